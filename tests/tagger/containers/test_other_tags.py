"""APE tags, ASF attributes, and the chunks of WAV, AIFF and DSF."""

from __future__ import annotations

import struct

import mutagen
import pytest
from mutagen.aiff import AIFF as MutagenAiff
from mutagen.apev2 import APEv2
from mutagen.asf import ASF as MutagenAsf
from mutagen.asf import ASFUnicodeAttribute
from mutagen.dsf import DSF as MutagenDsf
from mutagen.id3 import ID3, TCON, TIT2
from mutagen.wave import WAVE

from tagger.containers.formats import AIFF, ASF, DSF, TTA, WAV, WAVPACK
from tagger.containers.read import read_tags
from tagger.containers.write import Change, apply_change, check_change
from tagger.system.errors import RefusedError, UnreadableError
from tests.tagger.containers.helpers import TWO, form, packets, write, write_and_restore

# --- APE ---


def ape_item(key: bytes, value: bytes, flags: int = 0) -> bytes:
    return struct.pack("<2I", len(value), flags) + key + b"\0" + value


AWKWARD_APE = [
    ape_item(b"Title", "Ťitle".encode(), 1),  # read-only
    ape_item(b"Artist", b"One\0Two"),
    ape_item(b"Cover Art (Front)", b"cover.jpg\0" + bytes(range(256)), 2),
    ape_item(b"Link", b"http://example.org", 4),
    ape_item(b"Album", b""),
    ape_item(b"Genres", b"not ours"),
]


def ape_tag(*items: bytes, version: int = 2000, header: bool = True) -> bytes:
    body = b"".join(items)
    flags = 1 << 31 if header else 0
    numbers = struct.pack("<3I", version, len(body) + 32, len(items))
    footer = b"APETAGEX" + numbers + struct.pack("<I", flags) + bytes(8)
    head = b"APETAGEX" + numbers + struct.pack("<I", flags | 1 << 29) + bytes(8)
    return (head if header else b"") + body + footer


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("version", [1000, 2000])
@pytest.mark.parametrize("behind", [b"", b"TAG" + bytes(124) + b"\x11"])
def test_every_other_ape_item_keeps_its_bytes_and_place(make_audio, header, version, behind):
    path = make_audio(".wv")
    sound = packets(path)
    old = ape_item(b"GENRE", b"Bebop")
    tag = ape_tag(*AWKWARD_APE[:2], old, *AWKWARD_APE[2:], version=version, header=header)
    path.write_bytes(path.read_bytes() + tag + behind)
    before = path.read_bytes()
    assert read_tags(path, WAVPACK).genres == ("Bebop",)

    write(path, TWO)

    joint = b"\0" if version == 2000 else b"; "
    new = ape_item(b"Genre", joint.join([b"Polka", b"Hip-Hop"]))
    assert b"".join(AWKWARD_APE[:2]) + new + b"".join(AWKWARD_APE[2:]) in path.read_bytes()
    assert read_tags(path, WAVPACK).genres == ("Polka", "Hip-Hop")
    assert APEv2(path)["Artist"] == "One\0Two"
    assert packets(path)[: len(sound)] == sound
    path.write_bytes(before)
    write_and_restore(path, TWO)
    assert path.read_bytes() == before


GENRE = ape_item(b"Genre", b"Rock")


@pytest.mark.parametrize(
    "tag",
    [
        ape_tag(GENRE).replace(struct.pack("<2I", len(GENRE) + 32, 1), b"\xff\xff\xff\x7f" * 2),
        ape_tag(GENRE).replace(struct.pack("<2I", len(GENRE) + 32, 1), b"\xff\xff\xff\xff" * 2),
        ape_tag(GENRE).replace(struct.pack("<2I", len(GENRE) + 32, 1), bytes((32, 0, 0, 0) * 2)),
        ape_tag(struct.pack("<2I", 1 << 31, 0) + b"Genre\0Rock"),
        ape_tag(ape_item(b"Genre", b"Rock")[:-1]),
        ape_tag(b"12345678 no zero"),
    ],
)
def test_damaged_ape_tags_are_unreadable(make_audio, tag):
    path = make_audio(".wv")
    path.write_bytes(path.read_bytes() + tag)
    with pytest.raises(UnreadableError, match="APE"):
        read_tags(path, WAVPACK)


@pytest.mark.parametrize("suffix", [".wv", ".mp3"])
def test_ape_text_that_mutagen_cannot_check_is_refused(make_audio, suffix):
    path = make_audio(suffix)
    path.write_bytes(path.read_bytes() + ape_tag(GENRE, ape_item(b"Album", b"\xff no UTF-8")))
    before = path.read_bytes()
    assert read_tags(path, form(path)).genres == ("Rock",)
    with pytest.raises(RefusedError, match="could not be verified"):
        write(path)
    assert path.read_bytes() == before


def test_a_tta_may_have_three_tags(make_audio):
    path = make_audio(".tta")
    sound = packets(path)
    tail = ape_tag(*AWKWARD_APE, ape_item(b"Genre", b"Bebop")) + b"TAG" + bytes(124) + b"\x11"
    tags = ID3()
    tags.add(TCON(3, ["Swing"]))
    tags.save(path, v2_version=3)
    path.write_bytes(path.read_bytes() + tail)
    assert read_tags(path, TTA).user_genres == ("Swing", "Bebop", "Rock")
    before = path.read_bytes()
    write(path)
    assert read_tags(path, TTA).user_genres == ()
    assert packets(path)[:-1] == sound[:-1]
    assert b"".join(AWKWARD_APE) in path.read_bytes()
    path.write_bytes(before)
    write_and_restore(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("length", range(20, 110))
def test_an_ape_tag_is_no_id3v1_wherever_its_letters_stand(make_audio, length):
    """ "TAG" is in "APETAGEX" and in "GTAG_GENRE", and one of them may stand 128 from the end."""
    path = make_audio(".wv", duration_s=1.0)
    genre = "x" * length
    write(path, Change((genre,), (genre,), 0.5, "cnn-1"))
    state = read_tags(path, WAVPACK)
    assert state.genres == (genre,)
    assert state.hidden == ()


@pytest.mark.parametrize("suffix", [".wav", ".aiff", ".dsf"])
def test_an_id3_tag_at_the_end_is_no_id3v1(tmp_path, make_audio, suffix):
    path = tmp_path / ("a" + suffix)
    before = dsf() if suffix == ".dsf" else make_audio(suffix, duration_s=1.0).read_bytes()
    for length in range(40, 110):
        path.write_bytes(before)
        apply_change(path, form(path), Change(("x" * length,), ("x",), 0.5, "cnn-1"))
        assert path.read_bytes()[-128:-125] != b"TAG"
        assert "TIT2" not in mutagen.File(path).tags


# --- ASF ---


def test_asf_attributes_of_every_kind_stay(make_audio):
    path = make_audio(".wma")
    sound = packets(path)
    file = MutagenAsf(path)
    file.tags["Title"] = "Ťitle"
    file.tags["WM/Year"] = "1999"
    file.tags["WM/Picture"] = [b"\x03" + bytes(70_000), b"\x04" + bytes(100)]
    file.tags["WM/Lyrics"] = ["one", "two"]
    file.tags["IsVBR"] = True
    file.tags["WM/TrackNumber"] = 7
    file.tags["WM/Genre"] = ["Bebop", "Swing"]
    file.tags["WM/Mood"] = [
        ASFUnicodeAttribute("sad", language=0, stream=1),
        ASFUnicodeAttribute("glad", stream=1),
    ]
    file.save()
    before = path.read_bytes()
    others = [(k, str(v)) for k, v in MutagenAsf(path).tags if k != "WM/Genre"]
    assert read_tags(path, ASF).genres == ("Bebop", "Swing")

    write(path, TWO)

    now = MutagenAsf(path).tags
    assert [str(v) for v in now["WM/Genre"]] == ["Polka", "Hip-Hop"]
    mine = ("WM/Genre", "GTAG/GENRE", "GTAG/CONFIDENCE", "GTAG/MODEL")
    assert [(k, str(v)) for k, v in now if k not in mine] == others
    assert packets(path) == sound
    path.write_bytes(before)
    write_and_restore(path, TWO)
    assert path.read_bytes() == before


def test_asf_says_its_true_length_where_it_did(make_audio):
    path = make_audio(".wma")
    properties = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")

    def said() -> int:
        data = path.read_bytes()
        place = data.index(properties) + 40
        return int.from_bytes(data[place : place + 8], "little")

    data = path.read_bytes()
    place = data.index(properties) + 40
    path.write_bytes(data[:place] + struct.pack("<Q", len(data)) + data[place + 8 :])
    write(path)
    assert said() == path.stat().st_size
    path.write_bytes(data[:place] + struct.pack("<Q", 4711) + data[place + 8 :])
    write(path)
    assert said() == 4711


def test_damaged_asf_headers_are_unreadable(make_audio):
    path = make_audio(".wma")
    data = path.read_bytes()
    for place, value in ((16, struct.pack("<Q", 1 << 62)), (24, b"\x63"), (16 + 30, bytes(8))):
        path.write_bytes(data[:place] + value + data[place + len(value) :])
        with pytest.raises(UnreadableError, match="header"):
            read_tags(path, ASF)


# --- WAV and AIFF ---


def chunk(kind: bytes, data: bytes, order: str = "<") -> bytes:
    return kind + struct.pack(order + "I", len(data)) + data + bytes(len(data) % 2)


def riff(*chunks: bytes) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


FMT = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 8))
SOUND = chunk(b"data", bytes(range(256)) * 40 + b"\x80")  # of odd length
CUE = chunk(b"cue ", bytes(4))


def info(*items: bytes) -> bytes:
    return chunk(b"LIST", b"INFO" + b"".join(items))


def test_info_list_of_a_wav_is_hidden_and_follows(tmp_path):
    path = tmp_path / "a.wav"
    items = [chunk(b"INAM", b"Title\0"), chunk(b"ICMT", b"odd")]
    path.write_bytes(
        riff(FMT, info(items[0], chunk(b"IGNR", b"Bebop; Swing\0"), items[1]), SOUND, CUE)
    )
    state = read_tags(path, WAV)
    assert state.genres == ()
    assert state.hidden == (("INFO", ("Bebop", "Swing")),)
    before, sound = path.read_bytes(), packets(path)
    write(path, TWO)
    data = path.read_bytes()
    assert info(items[0], chunk(b"IGNR", b"Polka; Hip-Hop\0"), items[1]) in data
    assert struct.unpack("<I", data[4:8])[0] == len(data) - 8
    assert data[8:].startswith(b"WAVE" + FMT)
    assert SOUND + CUE + b"id3 " in data
    assert WAVE(path)["TCON"].text == ["Polka", "Hip-Hop"]
    assert packets(path) == sound
    path.write_bytes(before)
    write_and_restore(path, TWO)
    assert path.read_bytes() == before


def test_an_info_list_without_genre_gets_it(tmp_path):
    """Some programs read nothing else of a WAV."""
    path = tmp_path / "a.wav"
    title = chunk(b"INAM", b"Title\0")
    path.write_bytes(riff(FMT, SOUND, info(title), CUE))
    before = path.read_bytes()
    write(path)
    told = info(title, chunk(b"IGNR", b"Hip-Hop\0"))
    assert path.read_bytes()[8:].startswith(b"WAVE" + FMT + SOUND + told + CUE)
    path.write_bytes(before)
    write_and_restore(path)
    assert path.read_bytes() == before


def test_a_wav_without_any_tag_gets_both_kinds(make_audio):
    path = make_audio(".wav")
    before = path.read_bytes()
    assert b"INFO" not in before
    write(path, TWO)
    assert info(chunk(b"IGNR", b"Polka; Hip-Hop\0")) in path.read_bytes()
    assert WAVE(path)["TCON"].text == ["Polka", "Hip-Hop"]
    path.write_bytes(before)
    write_and_restore(path, TWO)
    assert path.read_bytes() == before


def test_an_id3_tag_of_a_wav_that_stands_alone_gets_no_info_list(make_audio):
    path = make_audio(".wav")
    file = WAVE(path)
    file.add_tags()
    file.tags.add(TIT2(3, ["Title"]))
    file.save()
    write(path)
    assert b"IGNR" not in path.read_bytes()


@pytest.mark.parametrize("kind", [b"id3 ", b"ID3 "])
@pytest.mark.parametrize("version", [3, 4])
def test_a_tag_between_other_chunks_of_a_wav(tmp_path, kind, version):
    source = tmp_path / "source"
    tags = ID3()
    tags.add(TCON(3, ["Bebop"]))
    tags.add(TIT2(3, ["Title"]))
    tags.save(source, v1=0, v2_version=version, padding=lambda i: 0)
    path = tmp_path / "a.wav"
    path.write_bytes(riff(FMT, chunk(kind, source.read_bytes()), SOUND, CUE) + b"behind it")
    before, sound = path.read_bytes(), packets(path)
    assert read_tags(path, WAV).genres == ("Bebop",)
    write(path, TWO)
    data = path.read_bytes()
    place = data.index(kind)
    assert data[place + 8 : place + 12] == b"ID3" + bytes((version,))
    assert data.endswith(SOUND + CUE + b"behind it")
    assert struct.unpack("<I", data[4:8])[0] == len(data) - 8 - len(b"behind it")
    assert packets(path) == sound
    path.write_bytes(before)
    write_and_restore(path, TWO)
    assert path.read_bytes() == before


def test_a_forgotten_even_byte(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(riff(FMT, SOUND)[:-1])
    sound = packets(path)
    write(path)
    assert WAVE(path)["TCON"].text == ["Hip-Hop"]
    assert path.read_bytes().startswith(b"RIFF")
    assert packets(path) == sound


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d[:4] + b"\xff\xff\xff\xff" + d[8:],
        lambda d: d.replace(SOUND[:8], b"data\xff\xff\xff\xff"),
        lambda d: d[:-500],
    ],
)
def test_a_wav_whose_lengths_are_not_true_is_refused(tmp_path, damage):
    path = tmp_path / "a.wav"
    path.write_bytes(damage(riff(FMT, SOUND)))
    before = path.read_bytes()
    assert read_tags(path, WAV).genres == ()
    with pytest.raises(RefusedError, match="not as long as they claim"):
        check_change(path, WAV)  # a dry run says so as well
    with pytest.raises(RefusedError, match="not as long as they claim"):
        write(path)
    assert path.read_bytes() == before


def test_text_chunks_of_an_aiff_stay(make_audio):
    path = make_audio(".aiff")
    data = path.read_bytes()
    body = data[8:] + chunk(b"NAME", b"odd", ">") + chunk(b"ANNO", b"note", ">")
    path.write_bytes(b"FORM" + struct.pack(">I", len(body)) + body)
    before, sound = path.read_bytes(), packets(path)
    write(path)
    after = path.read_bytes()
    assert after[8:].startswith(body)
    assert MutagenAiff(path)["TCON"].text == ["Hip-Hop"]
    assert read_tags(path, AIFF).genres == ("Hip-Hop",)
    assert packets(path) == sound
    path.write_bytes(before)
    write_and_restore(path)
    assert path.read_bytes() == before


# --- DSF ---


def dsf(tag: bytes = b"", *, pointer: int | None = None, behind: bytes = b"") -> bytes:
    fmt = b"fmt " + struct.pack("<QIIIIIIQII", 52, 1, 0, 1, 1, 2822400, 1, 32768, 4096, 0)
    data = b"data" + struct.pack("<Q", 12 + 4096) + bytes(range(256)) * 16
    length = 28 + len(fmt) + len(data)
    where = (length if tag else 0) if pointer is None else pointer
    total = length + len(tag) + len(behind)
    return b"DSD " + struct.pack("<3Q", 28, total, where) + fmt + data + tag + behind


def test_dsf_pointer_and_length_follow(tmp_path):
    path = tmp_path / "a.dsf"
    path.write_bytes(dsf())
    before = path.read_bytes()
    write(path)
    data = path.read_bytes()
    total, pointer = struct.unpack("<2Q", data[12:28])
    assert total == len(data)
    assert data[pointer : pointer + 3] == b"ID3"
    assert MutagenDsf(path)["TCON"].text == ["Hip-Hop"]
    assert data[28:pointer] == before[28:]
    path.write_bytes(before)
    write_and_restore(path)
    assert path.read_bytes() == before


def test_what_stands_behind_the_tag_of_a_dsf_stays(tmp_path):
    source = tmp_path / "source"
    tags = ID3()
    tags.add(TIT2(3, ["Title"]))
    tags.save(source, v1=0, padding=lambda i: 40)
    path = tmp_path / "a.dsf"
    path.write_bytes(dsf(source.read_bytes(), behind=b"behind it"))
    before = path.read_bytes()
    write(path, Change(("x" * 500,), ("x" * 500,), 0.5, "cnn-1"))
    assert path.read_bytes().endswith(b"behind it")
    assert MutagenDsf(path)["TIT2"].text == ["Title"]
    path.write_bytes(before)
    write_and_restore(path)
    assert path.read_bytes() == before


def test_a_dsf_that_points_behind_its_end_is_refused(tmp_path):
    path = tmp_path / "a.dsf"
    path.write_bytes(dsf(pointer=1 << 40))
    assert read_tags(path, DSF).genres == ()
    with pytest.raises(RefusedError, match="points to a tag behind its end"):
        write(path)
