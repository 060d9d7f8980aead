"""One table of the containers that gtag tags or decodes, and how to know each by its content.

An extension is a claim, the content is a fact: `identify` looks at the first bytes (and, where
those say too little, at the stream headers behind them).
"""

from __future__ import annotations

import importlib
import os
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from os import PathLike
from typing import Any, BinaryIO

from tagger.containers.bounds import (
    MOST_BOXES_TO_SEARCH,
    MOST_LEADING_TAGS,
    MOST_ZEROS,
    OBJECTS,
)
from tagger.system.errors import UnreadableError


@dataclass(frozen=True)
class Format:
    """A container: its name for people, its tag family, and the mutagen class that reads its tags.

    Attributes
    ----------
    name : str
    family : str
        How its main tag is written: "id3", "vorbis", "mp4", "asf" or "ape"; empty where gtag
        decodes the container, but writes no tags into it.
    mutagen_class : str
        Dotted name of a `mutagen.FileType` that reads the tags; where there is a choice, one that
        leaves the stream alone: mutagen can loop for ever over a damaged Musepack header.
        mutagen is imported only where a file is opened with it.
    """

    name: str
    family: str = ""
    mutagen_class: str = ""

    @property
    def is_tagged(self) -> bool:
        """Whether gtag reads and writes its tags."""
        return bool(self.family)

    def open_with_mutagen(self, file: Any) -> Any:
        """A `mutagen.FileType` of the path or file object; raises `mutagen.MutagenError`."""
        module, _, name = self.mutagen_class.rpartition(".")
        return getattr(importlib.import_module(module), name)(file)


MP3 = Format("MP3", "id3", "mutagen.id3.ID3FileType")
FLAC = Format("FLAC", "vorbis", "mutagen.flac.FLAC")
OGG_VORBIS = Format("Ogg Vorbis", "vorbis", "mutagen.oggvorbis.OggVorbis")
OPUS = Format("Opus", "vorbis", "mutagen.oggopus.OggOpus")
OGG_FLAC = Format("Ogg FLAC", "vorbis", "mutagen.oggflac.OggFLAC")
SPEEX = Format("Speex", "vorbis", "mutagen.oggspeex.OggSpeex")
MP4 = Format("MP4", "mp4", "mutagen.mp4.MP4")
ASF = Format("ASF", "asf", "mutagen.asf.ASF")
WAV = Format("WAV", "id3", "mutagen.wave.WAVE")
AIFF = Format("AIFF", "id3", "mutagen.aiff.AIFF")
APE = Format("Monkey's Audio", "ape", "mutagen.apev2.APEv2File")
WAVPACK = Format("WavPack", "ape", "mutagen.apev2.APEv2File")
MUSEPACK = Format("Musepack", "ape", "mutagen.apev2.APEv2File")
TTA = Format("TTA", "id3", "mutagen.id3.ID3FileType")
DSF = Format("DSF", "id3", "mutagen.dsf.DSF")

FORMATS = (
    MP3, FLAC, OGG_VORBIS, OPUS, OGG_FLAC, SPEEX, MP4, ASF,
    WAV, AIFF, APE, WAVPACK, MUSEPACK, TTA, DSF,
)  # fmt: skip

# Decoded, but not tagged: the container holds no tags, or no maintained library writes them.
AAC = Format("AAC without a container")
AC3 = Format("AC-3")
AMR = Format("AMR")
AU = Format("AU")
CAF = Format("CAF")
DFF = Format("DSDIFF")
DTS = Format("DTS")
MATROSKA = Format("Matroska")
OMA = Format("OpenMG")
REAL = Format("RealAudio")
RF64 = Format("RF64")
SHORTEN = Format("Shorten")
TAK = Format("TAK")
W64 = Format("Wave64")
WEBM = Format("WebM")

# How a file begins; where more has to be looked at, see `identify_open`.
_MAGIC = (
    (b"fLaC", FLAC),
    (b"MAC ", APE),
    (b"wvpk", WAVPACK),
    (b"MPCK", MUSEPACK),
    (b"TTA1", TTA),
    (b"DSD ", DSF),
    (b"#!AMR", AMR),
    (b".snd", AU),
    (b"caff", CAF),
    (b"\x7f\xfe\x80\x01", DTS),
    (b"\xfe\x7f\x01\x80", DTS),
    (b"\x1f\xff\xe8\x00\x07", DTS),
    (b"\xff\x1f\x00\xe8\xf1\x07", DTS),
    (b"DTSHDHDR", DTS),
    (b"EA3\x01", OMA),
    (b"ea3", OMA),  # a tag of its own in front, by the rules of ID3
    (b".ra\xfd", REAL),
    (b"ajkg", SHORTEN),
    (b"tBaK", TAK),
    (bytes.fromhex("726966662e91cf11a5d628db04c10000"), W64),
)

# Extensions that promise sound and nothing else: a file with such a name that `identify` does not
# know is reported, any other is only counted. `.mp4`, `.asf`, `.mov`, `.mkv`, `.webm`, `.rm` are as
# often films.
AUDIO_EXTENSIONS = frozenset(
    {".mp3", ".flac", ".fla", ".ogg", ".oga", ".opus", ".spx", ".m4a", ".m4b", ".m4p", ".m4r"}
    | {".wma", ".wav", ".wave", ".aif", ".aiff", ".aifc", ".ape", ".wv", ".mpc", ".mp+", ".mpp"}
    | {".tta", ".dsf", ".mp2", ".m2a", ".mpa", ".mpga", ".aac", ".mka", ".ac3", ".eac3", ".dts"}
    | {".dtshd", ".caf", ".au", ".snd", ".w64", ".rf64", ".ra", ".amr", ".awb", ".dff", ".oma"}
    | {".aa3", ".shn", ".tak", ".ofr", ".ofs"}
)

ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_STREAM = bytes.fromhex("9107dcb7b7a9cf118ee600c00c205365")
_ASF_AUDIO = bytes.fromhex("409e69f84d5bcf11a8fd00805f5c442b")
_ASF_VIDEO = bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b")

_OGG_AUDIO = {
    b"\x01vorbis": OGG_VORBIS,
    b"OpusHead": OPUS,
    b"\x7fFLAC": OGG_FLAC,
    b"Speex   ": SPEEX,
}
_OGG_VIDEO = (b"\x01video", b"BBCD\x00", b"OVP80", b"\x80kate")
# A film, or a single frame: ffmpeg turns the cover of a FLAC into that.
_OGG_PICTURE = b"\x80theora"
_THEORA_HEADERS = 3
_PAGES_OF_A_COVER = 256

# An MP4 with a video track is a film, except where its brand says that it is sound: then the
# pictures are cover art or an audio book's chapters.
_MP4_AUDIO_BRANDS = {b"M4A ", b"M4B ", b"M4P "}

# How far to look for the first MPEG frame behind junk, and how many in a row are no accident.
_MPEG_SEARCH = 512 * 1024
_MPEG_IN_A_ROW = 4
_MPEG_EXTENSIONS = frozenset({".mp3", ".mp2", ".mpga", ".mpa", ".bit"})

# What begins like this is of another kind, whatever MPEG frames stand in it: an archive of MP3s is
# no MP3.
_FOREIGN = (
    b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08", b"7z\xbc\xaf\x27\x1c", b"Rar!", b"\x1f\x8b",
    b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"LZIP", b"\x04\x22\x4d\x18", b"MSCF", b"ISc(",
    b"StuffIt", b"SIT!", b"!<arch>", b"070701", b"070702", b"070707", b"xar!", b"hsqs", b"wim",
    b"\x1a\x45\xdf\xa3", b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM", b"OggS", b"FLV\x01",
    b".RMF", b".ra\xfd", b"caff", b".snd", b"riff", b"nut/", b"\0\0\x01\xba", b"\0\0\x01\xb3",
    b"MThd", b"ADIF", b"#!AMR", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*",
    b"%PDF", b"%!PS", b"{\\rtf", b"\xd0\xcf\x11\xe0", b"<", b"\xef\xbb\xbf<", b"\x7fELF", b"MZ",
    b"\xca\xfe\xba\xbe", b"\xfe\xed\xfa", b"#!/", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe",
    b"SQLite format 3",
)  # fmt: skip
_FOREIGN_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"uuid")
_DISC_IMAGE, _DISC_IMAGE_AT = b"CD001", 0x8001
_TAR_BLOCK = 512
_FOREIGN_HEAD = 1 << 16  # bytes in which all of these show
_ID3_HEADER = 10
_TS_PACKET = 188


def has_audio_extension(path: str | PathLike[str]) -> bool:
    """Whether the name promises a container of the table."""
    return os.path.splitext(os.fspath(path))[1].lower() in AUDIO_EXTENSIONS  # noqa: PTH122


def identify(path: str | PathLike[str]) -> Format | None:
    """The container that a file's content says it is, or None.

    The name counts where an MP3's frames stand behind junk: unknown archives have frames, too.

    Raises
    ------
    UnreadableError
        When the file cannot be opened or read.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - opening a FIFO would wait
            return None
        with open(path, "rb") as file:
            return identify_open(file, os.fspath(path))
    except OSError as error:
        raise UnreadableError.of_system(error, path) from error


def supported_format(path: str | PathLike[str]) -> Format:
    """As `identify`, for a file that has to be of a known container; else UnreadableError."""
    format = identify(path)
    if format is None:
        raise UnreadableError(_why_no_format(path), path=path)
    return format


def _why_no_format(path: str | PathLike[str]) -> str:
    status = os.stat(path)  # noqa: PTH116 - the name may be bytes
    if stat.S_ISDIR(status.st_mode):
        return "is a folder, not a music file"
    if not stat.S_ISREG(status.st_mode):
        return "is no regular file"
    return "not a sound format that gtag supports" if status.st_size else "empty file"


def identify_open(file: BinaryIO, name: str | bytes = "") -> Format | None:
    """As `identify`, for a seekable file object."""
    start = skip_id3v2(file)
    head = file.read(36)
    for magic, format in _MAGIC:
        if head.startswith(magic):
            return format
    if head[:3] == b"MP+" and len(head) > 3 and head[3] & 0xF == 7:
        return MUSEPACK
    if head[:4] == b"FRM8" and head[12:16] == b"DSD ":
        return DFF
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return WAV if head[:4] == b"RIFF" else RF64
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return AIFF
    if head[:4] == b"OggS":
        return _identify_ogg(file, start)
    if head[4:8] == b"ftyp":
        return _identify_mp4(file, start)
    if head[:16] == ASF_HEADER:
        return _identify_asf(file, start)
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return _identify_matroska(file, start)
    if head[:4] == b".RMF":
        return _identify_real(file, start)
    if _is_framed(file, start, _adts_frame):
        return AAC
    if _is_framed(file, start, _ac3_frame):
        return AC3
    return MP3 if _find_mpeg_audio(file, start, name) is not None else None


def sound_start(file: BinaryIO, name: str | bytes = "") -> int:
    """Where a container begins: behind ID3v2 tags, an MP3's behind junk, too. 0 for an unknown one.

    Parameters
    ----------
    file : binary file
        Seekable.
    name : str or bytes
        As `identify` takes it into account.
    """
    format = identify_open(file, name)
    if format is None:
        return 0
    start = skip_id3v2(file)
    return (_find_mpeg_audio(file, start, name) or 0) if format == MP3 else start


def behind_zeros(file: BinaryIO, start: int) -> int:
    """Where the zeros from `start` on end; `start` itself where they do not."""
    file.seek(start)
    for position in range(start, start + MOST_ZEROS, _MPEG_SEARCH):
        data = file.read(_MPEG_SEARCH)
        rest = data.lstrip(b"\0")
        if rest:
            return position + len(data) - len(rest)
        if not data:
            break
    return start


def _is_foreign(head: bytes) -> bool:
    """Whether something that is no MPEG sound begins so."""
    if head.startswith(_FOREIGN) or head.startswith(_FOREIGN_BOXES, 4):
        return True
    if head.startswith(_DISC_IMAGE, _DISC_IMAGE_AT):
        return True
    if len(head) > 2 * _TS_PACKET and head[0] == head[_TS_PACKET] == head[2 * _TS_PACKET] == 0x47:
        return True
    try:
        # Of any age: the oldest have no signature, but a sum over the header.
        tarfile.TarInfo.frombuf(head[:_TAR_BLOCK], "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return False
    return True


def synchsafe(data: bytes) -> int | None:
    """The number in four bytes of seven bits each, as ID3 has it; None where they are none."""
    if len(data) < 4 or max(data) > 0x7F:
        return None
    a, b, c, d = data
    return a << 21 | b << 14 | c << 7 | d


def id3v2_length(header: bytes) -> int:
    """Bytes that the ID3v2 tag with this 10-byte header takes in all; 0 where it is none."""
    size = synchsafe(header[6:10])
    if size is None or header[:3] != b"ID3" or header[3] > 4:
        return 0
    footer = 10 if header[3] == 4 and header[5] & 0x10 else 0
    return 10 + size + footer


def skip_id3v2(file: BinaryIO) -> int:
    """Go behind all ID3v2 tags at the start; returns that position."""
    position = 0
    for _ in range(MOST_LEADING_TAGS):
        file.seek(position)
        length = id3v2_length(file.read(10))
        if not length:
            break
        position += length
    file.seek(position)
    return position


def iso_boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int, int]]:
    """The ISO base media boxes (MP4 atoms) from `start` to `end`: type, start, body, end.

    Ends quietly at the first box that does not fit: a truncated last `mdat` is clipped, for
    anything smaller the caller notices that what it looks for is missing.
    """
    for _ in range(MOST_BOXES_TO_SEARCH):
        if start + 8 > end:
            return
        file.seek(start)
        head = file.read(16)
        if len(head) < 8:
            return
        size, kind = struct.unpack(">I4s", head[:8])
        body = start + 8
        if size == 1 and len(head) == 16:
            size = struct.unpack(">Q", head[8:])[0]
            body = start + 16
        elif size == 0:
            size = end - start
        if size < body - start:
            return
        yield kind, start, body, min(start + size, end)
        start += size


def _identify_mp4(file: BinaryIO, start: int) -> Format | None:
    end = file.seek(0, os.SEEK_END)
    file.seek(start + 8)
    brand = file.read(4)
    handlers = set()
    index = next((box for box in iso_boxes(file, start, end) if box[0] == b"moov"), None)
    if index is not None:
        for body in _bodies(file, *index[2:], (b"trak", b"mdia", b"hdlr")):
            file.seek(body + 8)
            handlers.add(file.read(4))
    if b"soun" not in handlers:
        return None
    return MP4 if b"vide" not in handlers or brand in _MP4_AUDIO_BRANDS else None


def _bodies(file: BinaryIO, start: int, end: int, kinds: tuple[bytes, ...]) -> Iterator[int]:
    """Where the bodies begin of the boxes of the last kind, each kind within the one before."""
    for kind, _, body, stop in iso_boxes(file, start, end):
        if kind == kinds[0]:
            if len(kinds) > 1:
                yield from _bodies(file, body, stop, kinds[1:])
            else:
                yield body


def _identify_asf(file: BinaryIO, start: int) -> Format | None:
    file.seek(start + 16)
    head = file.read(14)
    if len(head) < 14:
        return None
    size, count = struct.unpack("<QI", head[:12])
    position, kinds = start + 30, set()
    end = min(start + size, file.seek(0, os.SEEK_END))
    for _ in range(min(count, OBJECTS.most)):
        if position + 40 > end:
            break
        file.seek(position)
        entry = file.read(40)
        length = struct.unpack("<Q", entry[16:24])[0]
        if entry[:16] == _ASF_STREAM:
            kinds.add(entry[24:40])
        if length < 24:
            break
        position += length
    return ASF if _ASF_AUDIO in kinds and _ASF_VIDEO not in kinds else None


def ogg_pages(file: BinaryIO, position: int) -> Iterator[tuple[int, bytes, bytes]]:
    """Ogg pages one behind the other: where each stands, its 27 bytes of header, its lacing values.

    The file stands before the page's data then.
    """
    while True:
        file.seek(position)
        head = file.read(27)
        if len(head) < 27 or head[:4] != b"OggS":
            return
        lacing = file.read(head[26])
        yield position, head, lacing
        position += 27 + len(lacing) + sum(lacing)


def _identify_ogg(file: BinaryIO, start: int) -> Format | None:
    """Every logical stream begins with a page of its own, before all other pages."""
    found: Format | None = None
    pictures, position = set[bytes](), start
    for place, head, lacing in islice(ogg_pages(file, start), 64):
        if not head[5] & 0x02:
            break
        packet = file.read(16)
        if packet.startswith(_OGG_PICTURE):
            pictures.add(head[14:18])
        elif packet.startswith(_OGG_VIDEO):
            return None
        for magic, audio in _OGG_AUDIO.items():
            if packet.startswith(magic) and found is None:
                found = audio
        position = place + 27 + len(lacing) + sum(lacing)
    return found if _are_still(file, position, pictures) else None


def _are_still(file: BinaryIO, position: int, serials: set[bytes]) -> bool:
    """Whether each of these Theora streams has a single frame, as a cover has: it stands first."""
    if not serials:
        return True
    packets = dict.fromkeys(serials, 1)  # that with which it began
    for _, head, lacing in islice(ogg_pages(file, position), _PAGES_OF_A_COVER):
        serial = head[14:18]
        if serial in packets:
            packets[serial] += sum(size < 255 for size in lacing)
            if packets[serial] > _THEORA_HEADERS + 1:
                return False
    return set(packets.values()) == {_THEORA_HEADERS + 1}


def _identify_matroska(file: BinaryIO, start: int) -> Format | None:
    """By its document's type; one with pictures is a film (a cover is an attachment)."""
    end = file.seek(0, os.SEEK_END)
    name, kinds = None, set[int]()

    def walk(parent: int, start: int, end: int) -> None:
        nonlocal name
        for kind, body, stop in _ebml_elements(file, start, end):
            if kind not in _EBML_INSIDE[parent]:
                continue
            if kind in _EBML_INSIDE:
                walk(kind, body, stop)
                if kind == _TRACKS:
                    return  # nothing else is looked for in a segment
                continue
            file.seek(body)
            value = file.read(min(stop - body, 16))
            if kind == _DOCTYPE:
                name = value.rstrip(b"\0")
            else:
                kinds.add(int.from_bytes(value))

    walk(_TOP, start, end)
    if _MATROSKA_SOUND not in kinds or _MATROSKA_PICTURES in kinds:
        return None
    return {b"matroska": MATROSKA, b"webm": WEBM}.get(name or b"")


_TOP, _EBML, _DOCTYPE, _SEGMENT = 0, 0x1A45DFA3, 0x4282, 0x18538067
_TRACKS, _TRACK, _TRACK_TYPE = 0x1654AE6B, 0xAE, 0x83
_EBML_INSIDE = {
    _TOP: (_EBML, _SEGMENT),
    _EBML: (_DOCTYPE,),
    _SEGMENT: (_TRACKS,),
    _TRACKS: (_TRACK,),
    _TRACK: (_TRACK_TYPE,),
}
_MATROSKA_PICTURES, _MATROSKA_SOUND = 1, 2
# The tracks are described before the clusters of sound, unless somebody puts them last.
_MOST_ELEMENTS = 100_000


def _ebml_elements(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The elements from `start` to `end`: kind, body, end. One of unknown length takes the rest."""
    for _ in range(_MOST_ELEMENTS):
        file.seek(start)
        head = file.read(12)
        kind_size = 9 - head[0].bit_length() if head else 9
        if start >= end or kind_size > 4 or len(head) <= kind_size:
            return
        size_size = 9 - head[kind_size].bit_length()
        body = kind_size + size_size
        if size_size > 8 or len(head) < body:
            return
        size = int.from_bytes(head[kind_size:body]) & (1 << 7 * size_size) - 1
        unknown = size == (1 << 7 * size_size) - 1
        stop = end if unknown else min(start + body + size, end)
        yield int.from_bytes(head[:kind_size]), start + body, stop
        start = stop


def _identify_real(file: BinaryIO, start: int) -> Format | None:
    """A RealMedia file names the kind of each of its streams in its header."""
    file.seek(start)
    head = file.read(1 << 16)
    return REAL if b"audio/x-pn-" in head and b"video/x-pn-" not in head else None


def _is_framed(file: BinaryIO, start: int, frame: Callable[[bytes], int]) -> bool:
    """Whether frames follow each other; `frame` tells the length of one by its header, or 0."""
    for _ in range(_MPEG_IN_A_ROW):
        file.seek(start)
        length = frame(file.read(7))
        if not length:
            return False
        start += length
    return True


def _adts_frame(header: bytes) -> int:
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 15 > 12:
        return 0
    length = int.from_bytes(header[3:6]) >> 5 & 0x1FFF
    return length if length > 7 else 0


_AC3_BITRATES = (
    32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640,
)  # kbit/s  # fmt: skip


def _ac3_frame(header: bytes) -> int:
    """Of AC-3, or of Enhanced AC-3, whose identity is above 10."""
    if len(header) < 6 or header[:2] != b"\x0b\x77":
        return 0
    identity, rate, code = header[5] >> 3, header[4] >> 6, header[4] & 0x3F
    if identity > 10:
        return 2 * ((int.from_bytes(header[2:4]) & 0x7FF) + 1) if identity <= 16 else 0
    if rate == 3 or code >= 2 * len(_AC3_BITRATES):
        return 0
    bitrate = _AC3_BITRATES[code >> 1]
    return (4 * bitrate, 2 * (320 * bitrate // 147 + (code & 1)), 6 * bitrate)[rate]


# Layers II and III only: "layer I" is what tables of jumps in programs look like.
_BITRATES = {  # kbit/s by (is MPEG 1, layer)
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def _mpeg_frame(header: bytes) -> tuple[int, tuple[int, int, int]] | None:
    """Length in bytes of the frame with this 4-byte header, and what all frames share."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    bitrate, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer not in (2, 3) or bitrate in (0, 15) or rate == 3:
        return None
    samples_by_8 = 72 if layer == 3 and version != 3 else 144
    bits = 1000 * _BITRATES[version == 3, layer][bitrate - 1]
    return samples_by_8 * bits // _RATES[version][rate] + padding, (version, layer, rate)


def is_mpeg_frame(file: BinaryIO, position: int) -> bool:
    """Whether a frame of MPEG sound begins there, and another behind it."""
    for _ in range(2):
        file.seek(position)
        frame = _mpeg_frame(file.read(4))
        if frame is None:
            return False
        position += frame[0]
    return True


def _find_mpeg_audio(file: BinaryIO, start: int, name: str | bytes) -> int | None:
    """Where the frames begin, or None. Behind junk they count only in what is named an MP3."""
    if start > file.seek(0, os.SEEK_END):
        start = _ID3_HEADER  # the tag lies about its size
    file.seek(start)
    if _is_foreign(file.read(_FOREIGN_HEAD)):
        return None
    start = behind_zeros(file, start)  # some taggers pad behind the ID3v2 tag
    file.seek(start)
    data = file.read(_MPEG_SEARCH + 8 * 1024)
    extension = os.fsdecode(os.path.splitext(name)[1]).lower()  # noqa: PTH122

    def frames_from(position: int) -> tuple[int, int]:
        """How many consistent frames follow each other, and where the last of them ends."""
        kind, count = None, 0
        while count < _MPEG_IN_A_ROW:
            frame = _mpeg_frame(data[position : position + 4])
            if frame is None or kind not in (None, frame[1]) or position + frame[0] > len(data):
                break
            count, kind, position = count + 1, frame[1], position + frame[0]
        return count, position

    count, end = frames_from(0)
    rest = data[end : end + 8]
    if count >= 2 or (count == 1 and (not rest or rest.startswith((b"TAG", b"APETAGEX")))):
        return start
    # Zip's directory stands at the end: it may have anything in front.
    if extension not in _MPEG_EXTENSIONS or _is_foreign(data) or zipfile.is_zipfile(file):
        return None
    position = data.find(b"\xff")
    while 0 <= position < _MPEG_SEARCH:
        if frames_from(position)[0] == _MPEG_IN_A_ROW:
            return start + position
        position = data.find(b"\xff", position + 1)
    return None
