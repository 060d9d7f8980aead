"""MP4: raw atoms, old numbered genres, chunk offsets, and what is refused."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from mutagen.mp4 import MP4 as MutagenMp4

from tagger.containers.formats import MP4
from tagger.containers.read import read_tags
from tagger.containers.snapshot import obstacle, snapshot, sound_begins, sound_of
from tagger.containers.write import Change
from tagger.system.errors import GtagError, RefusedError, UnreadableError
from tests.tagger.containers.helpers import TWO, packets, write, write_and_restore


def atom(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, kind) + body


def data_atom(value: bytes, kind: int = 1, locale: int = 0) -> bytes:
    return atom(b"data", struct.pack(">2I", kind, locale) + value)


def freeform(name: bytes, *values: bytes, mean: bytes = b"com.apple.iTunes") -> bytes:
    parts = atom(b"mean", bytes(4) + mean) + atom(b"name", bytes(4) + name)
    return atom(b"----", parts + b"".join(values))


AWKWARD = [
    atom(b"\xa9nam", data_atom("Ťitle".encode(), locale=0x12345678)),
    atom(b"covr", atom(b"name", b"cover.jpg") + data_atom(bytes(range(256)) * 30, 13)),
    atom(b"trkn", data_atom(bytes((0, 0, 0, 3, 0, 12, 0, 0)), 0)),
    atom(b"XYZ!", b"no data atom at all"),
    atom(b"tmpo", data_atom(b"\x00\x78", 21)),
    freeform(b"MusicBrainz Track Id", data_atom(b"8b882575"), data_atom(b"two")),
    freeform(b"GTAG_GENRE", data_atom(b"not ours"), mean=b"org.example"),
    atom(b"\xa9ART", data_atom(b"\xff\xfe not UTF-8")),
    atom(b"sonm", data_atom(b"Title", 2)),
]


def inside(path: Path, change: Callable[[bytes], bytes], *kinds: bytes) -> None:
    """Change the body of the box at the end of the path `kinds`; offsets are corrected."""
    data = path.read_bytes()

    def rebuilt(data: bytes, kinds: tuple[bytes, ...]) -> bytes:
        if not kinds:
            return change(data)
        start = 4 if kinds[0] == b"ilst" else 0
        position = start
        while position < len(data):
            size = int.from_bytes(data[position : position + 4])
            if data[position + 4 : position + 8] == kinds[0]:
                body = rebuilt(data[position + 8 : position + size], kinds[1:])
                return data[:position] + atom(kinds[0], body) + data[position + size :]
            position += size
        return data + atom(kinds[0], rebuilt(b"", kinds[1:]))

    new = rebuilt(data, kinds)
    shift = len(new) - len(data)
    if data.index(b"moov") < data.index(b"mdat"):
        place = new.index(b"stco") + 8
        count = int.from_bytes(new[place : place + 4])
        offsets = struct.unpack(f">{count}I", new[place + 4 : place + 4 + 4 * count])
        moved = struct.pack(f">{count}I", *(o + shift for o in offsets))
        new = new[: place + 4] + moved + new[place + 4 + 4 * count :]
    path.write_bytes(new)


def with_atoms(path: Path, *atoms: bytes, free: int | None = None) -> None:
    """Give the file this `ilst`, and this much free space behind it."""
    meta = bytes(4) + atom(b"hdlr", bytes(8) + b"mdirappl" + bytes(9))
    meta += atom(b"ilst", b"".join(atoms))
    if free is not None:
        meta += atom(b"free", bytes(free))
    inside(path, lambda body: atom(b"meta", meta), b"moov", b"udta")


FAST = {"options": {"movflags": "faststart"}}


@pytest.mark.parametrize("encoding", [{}, FAST])
@pytest.mark.parametrize("free", [None, 0, 20, 5000])
def test_every_other_atom_keeps_its_bytes_and_place(make_audio, encoding, free):
    path = make_audio(".m4a", **encoding)
    sound = packets(path)
    old = atom(b"\xa9gen", data_atom(b"Bebop"))
    with_atoms(path, *AWKWARD[:3], old, *AWKWARD[3:], free=free)
    assert packets(path) == sound
    before = path.read_bytes()
    assert read_tags(path, MP4).genres == ("Bebop",)

    write(path, TWO)

    data = path.read_bytes()
    new = atom(b"\xa9gen", data_atom(b"Polka") + data_atom(b"Hip-Hop"))
    gtag = freeform(b"GTAG_GENRE", data_atom(b"Hip-Hop"))
    assert b"".join(AWKWARD[:3]) + new + b"".join(AWKWARD[3:]) + gtag in data
    assert packets(path) == sound
    assert (len(data) == len(before)) == (free == 5000)
    path.write_bytes(before)
    write_and_restore(path, TWO)
    assert path.read_bytes() == before


def test_offsets_of_64_bits(make_audio):
    path = make_audio(".m4a", **FAST)
    sound = packets(path)

    def longer(body: bytes) -> bytes:
        count = int.from_bytes(body[4:8])
        offsets = struct.unpack(f">{count}I", body[8:])
        return body[:8] + struct.pack(f">{count}Q", *(o + 4 * count for o in offsets))

    data = path.read_bytes()
    place = data.index(b"stco") - 4
    size = int.from_bytes(data[place : place + 4])
    table = atom(b"co64", longer(data[place + 8 : place + size]))
    grown = data[:place] + table + data[place + size :]
    for kind in (b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        at = grown.index(kind) - 4
        bigger = int.from_bytes(grown[at : at + 4]) + len(table) - size
        grown = grown[:at] + bigger.to_bytes(4) + grown[at + 4 :]
    path.write_bytes(grown)
    assert packets(path) == sound
    write(path)
    assert packets(path) == sound
    path.write_bytes(grown)
    write_and_restore(path)
    assert path.read_bytes() == grown


@pytest.mark.parametrize(("number", "name"), [(18, "Rock"), (1, "Blues"), (80, "Hard Rock")])
def test_numbered_genre_is_read_and_goes(make_audio, number, name):
    path = make_audio(".m4a")
    with_atoms(path, atom(b"gnre", data_atom(number.to_bytes(2), 0)), AWKWARD[0])
    assert read_tags(path, MP4).user_genres == (name,)
    before = path.read_bytes()
    write(path)
    assert b"gnre" not in path.read_bytes()
    assert MutagenMp4(path)["\xa9gen"] == ["Hip-Hop"]
    path.write_bytes(before)
    write_and_restore(path)
    assert path.read_bytes() == before


def test_genre_in_utf16(make_audio):
    path = make_audio(".m4a")
    with_atoms(path, atom(b"\xa9gen", data_atom("Škola".encode("utf-16-be"), 2)))
    assert read_tags(path, MP4).genres == ("Škola",)


def test_user_data_of_others_stays(make_audio):
    path = make_audio(".m4a")
    udta = atom(b"chpl", bytes(30)) + atom(b"\xa9xyz", b"+48.2+16.3/")
    inside(path, lambda body: udta, b"moov", b"udta")
    before = path.read_bytes()
    write(path)
    assert udta in path.read_bytes()
    path.write_bytes(before)
    write_and_restore(path)
    assert path.read_bytes() == before


def test_what_mutagen_cannot_check_is_refused(make_audio):
    path = make_audio(".m4a")
    inside(path, lambda body: atom(b"chpl", bytes(30)) + bytes(4), b"moov", b"udta")
    before = path.read_bytes()
    assert read_tags(path, MP4).genres == ()
    with pytest.raises(RefusedError, match="could not be verified"):
        write(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "movflags", ["frag_keyframe+empty_moov", "frag_every_frame+delay_moov", "dash+frag_keyframe"]
)
def test_fragmented_files_are_refused(make_audio, movflags):
    path = make_audio(".m4a", options={"movflags": movflags})
    assert b"moof" in path.read_bytes()
    before = path.read_bytes()
    assert read_tags(path, MP4).genres == ()
    with pytest.raises(RefusedError, match="fragmented"):
        write(path)
    assert path.read_bytes() == before


def test_one_moof_or_mvex_is_enough(make_audio):
    path = make_audio(".m4a")
    data = path.read_bytes()
    path.write_bytes(data + atom(b"moof", atom(b"mfhd", bytes(8))))
    with pytest.raises(RefusedError, match="fragmented"):
        write(path)
    path.write_bytes(data)
    inside(path, lambda body: body + atom(b"mvex", b""), b"moov")
    with pytest.raises(RefusedError, match="fragmented"):
        write(path)


@pytest.mark.parametrize("kind", [b"saio", b"iloc"])
def test_offsets_that_gtag_does_not_know_are_refused(make_audio, kind):
    path = make_audio(".m4a", **FAST)
    inside(path, lambda body: body + atom(kind, bytes(8)), b"moov")
    with pytest.raises(RefusedError, match="offsets"):
        write(path)


def test_metadata_twice_is_refused(make_audio):
    path = make_audio(".m4a")
    with_atoms(path, AWKWARD[0])
    inside(path, lambda body: body + atom(b"udta", b""), b"moov")
    with pytest.raises(RefusedError, match="more than once"):
        write(path)


def test_metadata_of_an_unknown_kind_is_refused(make_audio):
    path = make_audio(".m4a")
    inside(
        path, lambda body: atom(b"meta", b"\x01\0\0\0" + atom(b"hdlr", bytes(25))), b"moov", b"udta"
    )
    with pytest.raises(RefusedError, match="unknown kind"):
        write(path)


def test_sound_that_would_move_beyond_32_bits_is_refused(make_audio):
    path = make_audio(".m4a", **FAST)
    data = path.read_bytes()
    place = data.index(b"stco") + 12
    path.write_bytes(data[:place] + b"\xff\xff\xff\xff" + data[place + 4 :])
    with pytest.raises(RefusedError, match="4 GiB"):
        write(path)


def test_damaged_index_is_unreadable(make_audio):
    path = make_audio(".m4a", **FAST)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"moov", b"moof", 1))
    with pytest.raises(UnreadableError, match="index"):
        read_tags(path, MP4)
    place = data.index(b"stbl") - 4
    path.write_bytes(data[:place] + b"\x7f" + data[place + 1 :])
    with pytest.raises(UnreadableError, match="damaged"):
        read_tags(path, MP4)


def test_a_damaged_table_of_chunks_is_unreadable_to_all_who_compare_the_sound(make_audio):
    """Regression: an error without a path, and of no kind that a batch knows, left `snapshot`."""
    path = make_audio(".m4a")
    old = snapshot(path, MP4)
    data = path.read_bytes()
    count = data.index(b"stco") + 8
    path.write_bytes(data[:count] + b"\x7f\xff\xff\xff" + data[count + 4 :])
    for read in (
        lambda: snapshot(path, MP4),
        lambda: sound_of(path, MP4),
        lambda: sound_begins(path, MP4),
        lambda: obstacle(path, MP4, old, {}),
    ):
        with pytest.raises(UnreadableError, match="table of chunks") as raised:
            read()
        assert raised.value.path == str(path)
    with pytest.raises(GtagError, match="table of chunks"):
        write(path)


def test_a_long_genre_list(make_audio):
    path = make_audio(".m4a", **FAST)
    sound = packets(path)
    genres = tuple(f"{i} " + "x" * 500 for i in range(200))
    write(path, Change(genres, genres[:1], 0.5, "cnn-1"))
    assert MutagenMp4(path)["\xa9gen"] == list(genres)
    assert packets(path) == sound
