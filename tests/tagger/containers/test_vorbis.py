"""Vorbis comments in FLAC and Ogg: raw comments, padding, pages."""

from __future__ import annotations

import io
import struct

import av
import pytest
from mutagen.flac import FLAC as MutagenFlac
from mutagen.flac import Picture
from mutagen.id3 import ID3, TCON, TIT2
from mutagen.ogg import OggPage
from mutagen.oggvorbis import OggVorbis

from tagger.containers.formats import FLAC, OGG_VORBIS
from tagger.containers.read import read_tags
from tagger.containers.write import Change
from tagger.sound.audio import read_excerpts
from tagger.system.errors import RefusedError, UnreadableError, WriteFailedError
from tests.tagger.containers.helpers import TWO, form, packets, write, write_and_restore
from tests.tagger.specimens import add_theora

AWKWARD = [
    b"TITLE=\xff\xfe is no UTF-8",
    b"no equals sign",
    b"=no key",
    b"title=again",
    b"K\xc3\xa4y=value",
    b"EMPTY=",
    b"METADATA_BLOCK_PICTURE=" + b"QUJD" * 5000,
    b"GENRES=not ours",
    b"GENRE TAG=nor this",
]


def comment(*comments: bytes, vendor: bytes = b"some \xff vendor") -> bytes:
    parts = [struct.pack("<I", len(c)) + c for c in comments]
    head = struct.pack("<I", len(vendor)) + vendor
    return head + struct.pack("<I", len(parts)) + b"".join(parts)


def flac_block(kind: int, body: bytes, last: bool = False) -> bytes:
    return bytes((kind | last << 7,)) + struct.pack(">I", len(body))[1:] + body


def flac_with(path, *blocks: tuple[int, bytes]) -> None:
    """Put these metadata blocks behind the stream information, in place of all others."""
    data = path.read_bytes()
    end = 4
    while True:
        last, size = data[end] & 0x80, int.from_bytes(data[end + 1 : end + 4])
        end += 4 + size
        if last:
            break
    made = b"".join(flac_block(k, b, last=i == len(blocks) - 1) for i, (k, b) in enumerate(blocks))
    path.write_bytes(b"fLaC" + flac_block(0, data[8:42], last=not blocks) + made + data[end:])


def ogg_with(path, *comments: bytes) -> None:
    """Put these comments into an Ogg Vorbis file."""
    with open(path, "r+b") as file:
        OggPage(file)
        pages = [OggPage(file)]
        while not pages[-1].complete or sum(len(p.packets) for p in pages) < 2:
            pages.append(OggPage(file))
        _, setup = OggPage.to_packets(pages)
        packet = b"\x03vorbis" + comment(*comments) + b"\x01"
        OggPage.replace(file, pages, OggPage.from_packets([packet, setup], pages[0].sequence))


def picture(data: bytes) -> bytes:
    block = Picture()
    block.data = data
    return block.write()


PLACES = [
    [],
    [(1, bytes(4000))],
    [(1, b""), (2, b"appl" + bytes(30)), (1, bytes(300))],
    [(2, b"appl" + bytes(30))],
    [(4, comment(*AWKWARD))],
    [(4, comment(*AWKWARD, b"genre=Bebop", b"Genre=Swing")), (1, bytes(100))],
    [(1, bytes(3)), (4, comment(*AWKWARD)), (6, picture(b"picture" * 999)), (3, bytes(18))],
]


@pytest.mark.parametrize("blocks", PLACES)
def test_flac_blocks_stay(make_audio, blocks):
    path = make_audio(".flac")
    flac_with(path, *blocks)
    before, sound = path.read_bytes(), packets(path)
    write(path, TWO)
    data = path.read_bytes()
    for kind, body in blocks:
        if kind not in (1, 4):
            assert flac_block(kind, body) in data or flac_block(kind, body, last=True) in data
    if any(kind == 4 for kind, _ in blocks):
        for raw in AWKWARD:
            assert struct.pack("<I", len(raw)) + raw in data
        assert b"some \xff vendor" in data
    assert MutagenFlac(path)["genre"] == ["Polka", "Hip-Hop"]
    assert packets(path) == sound
    path.write_bytes(before)
    write_and_restore(path, TWO)
    assert path.read_bytes() == before


def test_flac_padding_gives_way(make_audio):
    path = make_audio(".flac")
    flac_with(path, (4, comment(b"title=x")), (1, bytes(400)))
    size = path.stat().st_size
    write(path)
    assert path.stat().st_size == size


def test_flac_genres_in_any_case_and_several(make_audio):
    path = make_audio(".flac")
    flac_with(path, (4, comment(b"genre=Bebop", b"Title=x", b"GENRE= Swing ", b"Genre=")))
    assert read_tags(path, FLAC).genres == ("Bebop", "Swing")


def test_flac_with_two_comments_is_refused(make_audio):
    path = make_audio(".flac")
    flac_with(path, (4, comment(b"title=x")), (4, comment(b"title=y")))
    before = path.read_bytes()
    with pytest.raises(RefusedError, match="more than one"):
        write(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "blocks",
    [
        [(4, b"\xff\xff\xff\xff")],
        [(4, comment(b"a=b")[:-1])],
        [(4, struct.pack("<II", 0, 1 << 31))],
        [(4, comment()), (127, b"")],
        [(0, bytes(34))],
    ],
)
def test_damaged_flac_metadata_is_unreadable(make_audio, blocks):
    path = make_audio(".flac")
    flac_with(path, *blocks)
    with pytest.raises(UnreadableError, match="cannot be read"):
        read_tags(path, FLAC)


def test_flac_picture_longer_than_its_block_says(make_audio):
    """As written by some taggers for pictures beyond 16 MiB: the next block is in its middle."""
    path = make_audio(".flac")
    flac_with(path, (6, bytes(5000)), (1, bytes(10)))
    data = path.read_bytes()
    path.write_bytes(data.replace(flac_block(6, bytes(5000))[:4], b"\x06\0\0\x10", 1))
    with pytest.raises(UnreadableError):
        read_tags(path, FLAC)


def test_genres_hidden_in_id3_around_a_flac(make_audio):
    path = make_audio(".flac")
    sound = packets(path)
    tags = ID3()
    tags.add(TCON(3, ["Bebop"]))
    tags.add(TIT2(3, ["Title"]))
    tags.save(path)
    path.write_bytes(path.read_bytes() + b"TAG" + bytes(124) + b"\x11")
    state = read_tags(path, FLAC)
    assert state.genres == ()
    assert state.user_genres == ("Bebop", "Rock")
    before = path.read_bytes()
    write(path)
    assert read_tags(path, FLAC).user_genres == ()
    assert ID3(path)["TCON"].text == ["Hip-Hop"]
    assert ID3(path)["TIT2"].text == ["Title"]
    assert path.read_bytes()[-1] == 7
    assert MutagenFlac(path)["genre"] == ["Hip-Hop"]
    path.write_bytes(before)
    write_and_restore(path)
    assert path.read_bytes() == before
    assert packets(path)[:-1] == sound[:-1]  # ffmpeg takes ID3v1 for the end of the last frame


def test_flac_with_a_large_picture(make_audio):
    path = make_audio(".flac")
    flac_with(path, (6, picture(bytes(range(256)) * 20_000)))
    write(path)
    assert MutagenFlac(path).pictures[0].data == bytes(range(256)) * 20_000


# --- Ogg ---


@pytest.mark.parametrize("suffix", [".ogg", ".oga", ".opus"])
def test_ogg_page_numbers_and_check_sums(make_audio, suffix):
    path = make_audio(suffix)
    sound = packets(path)
    long = tuple(f"Genre number {i} " + "x" * 300 for i in range(300))  # many pages
    write(path, Change(long, long[:1], 0.5, "cnn-1"))
    assert read_tags(path, form(path)).genres == long
    assert packets(path) == sound
    with open(path, "rb") as file:
        numbers = []
        while True:
            start = file.tell()
            try:
                page = OggPage(file)
            except EOFError:
                break
            end = file.tell()
            file.seek(start)
            assert file.read(end - start) == page.write()  # the check sum among it
            numbers.append(page.sequence)
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > 20
    with av.open(str(path), options={"err_detect": "crccheck+explode"}) as container:
        assert sum(1 for _ in container.decode(audio=0)) > 20


def test_ogg_comments_stay_raw(make_audio):
    path = make_audio(".ogg")
    ogg_with(path, *AWKWARD, b"GENRE=Bebop")
    before, sound = path.read_bytes(), packets(path)
    write(path, TWO)
    data = path.read_bytes()
    for raw in AWKWARD:
        if len(raw) < 200:  # longer ones are cut by the heads of pages
            assert struct.pack("<I", len(raw)) + raw in data
    assert OggVorbis(path)["metadata_block_picture"] == ["QUJD" * 5000]
    assert packets(path) == sound
    path.write_bytes(before)
    write_and_restore(path, TWO)
    assert path.read_bytes() == before


def test_opus_data_behind_the_comment_stays(make_audio):
    path = make_audio(".opus")
    with open(path, "r+b") as file:
        OggPage(file)
        page = OggPage(file)
        packet = page.packets[0] + b"\x01binary data that must be kept" * 30
        OggPage.replace(file, [page], OggPage.from_packets([packet], page.sequence))
    write(path)
    assert b"\x01binary data that must be kept" * 30 in path.read_bytes()


def chain(first: bytes, second: bytes, serial: int) -> bytes:
    """Two Ogg files one behind the other, the second under another number."""
    file, pages = io.BytesIO(second), []
    while file.tell() < len(second):
        page = OggPage(file)
        page.serial = serial
        pages.append(page.write())
    return first + b"".join(pages)


def test_a_chained_ogg_keeps_its_second_stream(make_audio):
    path = make_audio(".ogg")
    data = path.read_bytes()
    path.write_bytes(chain(data, data, 4711))
    second = path.read_bytes()[len(data) :]
    long = tuple(f"{i}" * 300 for i in range(100, 200))
    write(path, Change(long, long[:1], 0.5, "cnn-1"))
    assert path.read_bytes().endswith(second)
    assert read_tags(path, OGG_VORBIS).genres == long


def test_a_chain_under_one_number_is_left_alone_rather_than_renumbered(make_audio):
    path = make_audio(".ogg")
    data = path.read_bytes()
    path.write_bytes(data + data)
    long = tuple(f"{i}" * 300 for i in range(100, 200))
    before = path.read_bytes()
    with pytest.raises(WriteFailedError, match="sound would change"):
        write(path, Change(long, long[:1], 0.5, "cnn-1"))
    assert path.read_bytes() == before
    write(path)  # one page stays one page
    assert path.read_bytes().endswith(data)


def test_multiplexed_streams_keep_their_pages(make_audio):
    path = make_audio(".ogg")
    other = make_audio(".opus").read_bytes()
    pages = []
    for data, serial in ((path.read_bytes(), 1), (other, 2)):
        file, mine = io.BytesIO(data), []
        while file.tell() < len(data):
            page = OggPage(file)
            page.serial = serial
            mine.append(page.write())
        pages.append(mine)
    mixed = [p for pair in zip(*pages, strict=False) for p in pair]
    mixed += pages[0][len(pages[1]) :] + pages[1][len(pages[0]) :]
    path.write_bytes(b"".join(mixed))
    before = path.read_bytes()
    long = tuple(f"{i}" * 300 for i in range(100, 200))
    write(path, Change(long, long[:1], 0.5, "cnn-1"))
    after = path.read_bytes()
    assert all(page in after for page in pages[1])
    path.write_bytes(before)
    write_and_restore(path, Change(long, long[:1], 0.5, "cnn-1"))


def test_an_ogg_cut_short_further_on(make_audio):
    path = make_audio(".ogg")
    data = path.read_bytes()
    path.write_bytes(data[:-100])
    write(path)  # needs no new numbers
    assert path.read_bytes().endswith(data[-1000:-100])
    path.write_bytes(data[:-100])
    long = tuple(f"{i}" * 300 for i in range(100, 200))
    with pytest.raises(RefusedError, match="damaged further on"):
        write(path, Change(long, long[:1], 0.5, "cnn-1"))
    assert path.read_bytes() == data[:-100]
    path.write_bytes(data[:200])
    with pytest.raises(UnreadableError):
        read_tags(path, OGG_VORBIS)


def test_an_ogg_with_a_cover_stream_is_heard_and_every_other_packet_stays(make_audio):
    path = make_audio(".ogg", duration_s=5.0)
    heard = read_excerpts(path)
    add_theora(path, frames=1)
    with_cover = read_excerpts(path)
    assert [e.samples.tolist() for e in with_cover.excerpts] == [
        e.samples.tolist() for e in heard.excerpts
    ]

    def all_packets():
        with av.open(str(path)) as container:
            return [(p.stream.type, bytes(p)) for p in container.demux() if p.size]

    before, packets_before = path.read_bytes(), all_packets()
    assert [kind for kind, _ in packets_before].count("video") == 1
    write(path, Change(("x" * 5000,), ("x" * 5000,), 0.5, "cnn-1"))  # pages are laid out anew
    assert OggVorbis(path)["genre"] == ["x" * 5000]
    assert all_packets() == packets_before
    path.write_bytes(before)
    write_and_restore(path, TWO)
    assert path.read_bytes() == before
