"""ID3v2 tags, frame by frame as raw bytes.

A 2.3 tag stays 2.3 and a 2.4 tag 2.4, with every other frame's bytes as they are; a 2.2 tag becomes
2.3, by mutagen's translation. Unsynchronisation stays; an extended header, whose check sum would no
longer hold, goes.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

from tagger.containers.blocks import (
    COMMENT,
    GENRE,
    GTAG_ROLES,
    MOOD,
    MOOD_ROLES,
    MULTI_VALUE_SEPARATOR,
    Block,
    CannotKeepError,
    Description,
    Entry,
    distinct,
    from_text,
    split_joint,
    to_text,
)
from tagger.containers.bounds import FRAMES, MOST_LEADING_TAGS, TAG_BYTES, deadline
from tagger.containers.id3_bounds import check_id3, synchsafe
from tagger.containers.id3v1 import is_text, referenced_genres
from tagger.containers.parts import BrokenTagError, peek, read_exactly, replace_range

_FRAME_ID = re.compile(rb"[A-Z][A-Z0-9]{2}[A-Z0-9 \0]")
_FRAME_ID_22 = re.compile(rb"[A-Z][A-Z0-9]{2}")
# What stands in a frame that says nothing: an encoding, a byte order, zeros.
_BLANK = b"\0\1\2\3\xff\xfe "
_UNSYNC, _EXTENDED, _EXPERIMENTAL, _FOOTER = 0x80, 0x40, 0x20, 0x10
_COMMENT_LANGUAGE = "eng"  # what other taggers write where none is given
# Frames of text, by the names that Vorbis comments have for them.
_FRAMES = {
    "TITLE": "TIT2",
    "ARTIST": "TPE1",
    "ALBUM": "TALB",
    "ALBUMARTIST": "TPE2",
    "BPM": "TBPM",
    "COMPOSER": "TCOM",
    "CONDUCTOR": "TPE3",
    "COPYRIGHT": "TCOP",
    "DATE": "TDRC",
    "DISCNUMBER": "TPOS",
    "ENCODEDBY": "TENC",
    "ENCODING": "TSSE",
    "ISRC": "TSRC",
    "LABEL": "TPUB",
    "LANGUAGE": "TLAN",
    "LYRICIST": "TEXT",
    "MEDIA": "TMED",
    "REMIXER": "TPE4",
    "SUBTITLE": "TIT3",
    "TRACKNUMBER": "TRCK",
}
_NAMES = {frame: name for name, frame in _FRAMES.items()}
_DATE = re.compile(r"\d{4}(-\d\d(-\d\d([ T]\d\d(:\d\d(:\d\d)?)?)?)?)?")
_END_SIZE = 128  # of an ID3v1 tag


def id3v2_length(header: bytes) -> int:
    """Return the bytes that the tag with this 10-byte header takes in all; 0 where it is none."""
    size = synchsafe(header[6:10])
    if size is None or header[:3] != b"ID3" or header[3] > 4:
        return 0
    footer = 10 if header[3] == 4 and header[5] & _FOOTER else 0
    return 10 + size + footer


def skip_id3v2(file: BinaryIO) -> int:
    """Go behind all ID3v2 tags at the start; return that position."""
    position = 0
    for _ in range(MOST_LEADING_TAGS):
        length = id3v2_length(peek(file, position))
        if not length:
            break
        position += length
    file.seek(position)
    return position


class Slot:
    """Where in a file a tag stands or would stand: by default a plain stretch of the file.

    Attributes
    ----------
    room : int
        Free bytes to leave in a tag that grows.
    behind : int
        How many bytes follow in the file, at least.
    is_empty_chunk : bool
        Whether there is a chunk for a tag, but nothing in it.
    """

    room = 1024  # so that the next change moves no sound
    behind = _END_SIZE
    is_empty_chunk = False

    def __init__(self, start: int, size: int) -> None:
        self.start, self.size = start, size

    def check(self) -> None:
        """Raise CannotKeepError where nothing can be put."""

    def put(self, file: BinaryIO, data: bytes, *, keep: bool = False) -> None:
        """Replace what is there; nothing removes it, with its chunk unless `keep`."""
        replace_range(file, self.start, self.size, data)


class Id3v2(Block):
    """An ID3v2 tag. `data` is all that stands in its place; empty where there is none."""

    name = "ID3v2"

    def __init__(self, slot: Slot, data: bytes = b"") -> None:
        super().__init__(exists=bool(data))
        length = id3v2_length(data[:10])
        if length > len(data) or (data and not length):
            raise BrokenTagError("its ID3 tag is cut short" if length else "not a valid ID3 tag")
        # A chunk may be longer than the tag in it.
        self._slot, self._data, self._after = slot, data[:length], data[length:]
        self.version, self._revision, self._flags = 4, 0, 0
        self._extended, self._tail, self._plain_sizes, self._unsynced = b"", b"", False, False
        if data:
            check_id3(self._data)
            self._parse(self._data)

    def _parse(self, data: bytes) -> None:
        self.version, self._revision, self._flags = data[3], data[4], data[5]
        if self.version not in (2, 3, 4):
            raise BrokenTagError(f"its ID3 tag is of the unknown version 2.{self.version}")
        if self.version == 2 and self._flags & _EXTENDED:
            raise BrokenTagError("its ID3v2.2 tag is compressed in an unknown way")
        footer = 10 if self.version == 4 and self._flags & _FOOTER else 0
        body = data[10 : len(data) - footer]
        if self.version < 4 and self._flags & _UNSYNC:
            self._unsynced = _is_unsynced(body)
            if self._unsynced:
                body = body.replace(b"\xff\x00", b"\xff")
        if self.version > 2 and self._flags & _EXTENDED and not _FRAME_ID.match(body):
            if len(body) < 4:
                raise BrokenTagError("its ID3 tag ends in its extended header")
            size = synchsafe(body[:4]) if self.version == 4 else 4 + int.from_bytes(body[:4])
            if size is None or not 4 <= size <= len(body):
                raise BrokenTagError("its ID3 tag has an extended header of impossible size")
            self._extended, body = body[:size], body[size:]
        frames, end = _walk(body, self.version, plain=False)
        if self.version == 4 and body[end:].strip(b"\0"):
            # iTunes once wrote plain sizes into 2.4 tags.
            plain, plain_end = _walk(body, self.version, plain=True)
            if not body[plain_end:].strip(b"\0"):
                frames, end, self._plain_sizes = plain, plain_end, True
        # Bytes that are no frames (often a frame cut short) stay where they are: at the end.
        self._tail = body[end:] if body[end:].strip(b"\0") else b""
        self.entries = [self._entry(raw) for raw in frames]

    def _entry(self, raw: bytes) -> Entry:
        kind = raw[:3] if self.version == 2 else raw[:4].rstrip(b"\0 ")
        if kind in (b"TCON", b"TCO"):
            frame = self._decode(raw, "TCON")
            if frame is not None:
                # An old reference to "no genre" (255) says nothing.
                said = [g for t in frame.text for g in referenced_genres(t) if t not in _NO_GENRE]
                return Entry(raw, GENRE, self._values(said))
            if not raw[self._head :].strip(_BLANK):
                return Entry(raw, GENRE)
        elif kind in (b"TXXX", b"TXX"):
            frame = self._decode(raw, "TXXX")
            if frame is not None and frame.desc.upper() in (*GTAG_ROLES, *MOOD_ROLES):
                return Entry(raw, frame.desc.upper(), self._values(frame.text))
        elif kind in (b"COMM", b"COM"):
            frame = self._decode(raw, "COMM")
            if frame is not None and not frame.desc:
                return Entry(raw, COMMENT, self._values(frame.text))
        elif kind == b"TMOO":
            frame = self._decode(raw, "TMOO")
            if frame is not None:
                return Entry(raw, MOOD, self._values(frame.text))
        return Entry(raw)

    @property
    def _head(self) -> int:
        """Bytes of a frame's header."""
        return 6 if self.version == 2 else 10

    def place_of(self, role: str) -> int:
        # TagLib reads no further than to a frame without a byte.
        empty = (i for i, e in enumerate(self.entries) if len(e.raw) == self._head)
        return min(super().place_of(role), next(empty, len(self.entries)))

    def _values(self, texts: list[str]) -> tuple[str, ...]:
        return tuple(texts if self.version == 4 else split_joint(texts))

    def _decode(self, raw: bytes, kind: str) -> Any:
        """Decode as mutagen does, alone in a tag of its own; None where mutagen can't."""
        from mutagen.id3 import ID3

        flags = self._flags & _UNSYNC if self.version == 4 else 0
        header = b"ID3" + bytes((self.version, 0, flags)) + _to_synchsafe(len(raw))
        try:
            tag = ID3(io.BytesIO(header + raw), translate=False, load_v1=False)
            return next((f for f in tag.values() if f.FrameID == kind), None)
        except Exception:  # hostile bytes: then the frame is not one that we understand
            return None

    def description(self) -> Description:
        from mutagen.id3 import ID3

        told: Description = {}
        try:
            with deadline():
                tag = ID3(io.BytesIO(self._data), load_v1=False) if self._data else {}
        except Exception:  # hostile bytes: it tells nothing that anybody reads
            return told
        for frame in tag.values():
            name = _NAMES.get(frame.FrameID)
            if frame.FrameID == "TXXX" and frame.desc.upper() not in GTAG_ROLES:
                name = frame.desc.upper()
            elif frame.FrameID == "COMM" and not frame.desc:
                name = "COMMENT"
            if name and (values := distinct(map(str, frame.text))):
                told.setdefault(name, values)
        return told

    def tell(self, description: Description) -> list[Entry]:
        return [Entry(self._telling(name, values)) for name, values in description.items()]

    def _telling(self, name: str, values: tuple[str, ...]) -> bytes:
        text = self._joint.join(values)
        kind = _FRAMES.get(name)
        if name == "DATE" and not all(map(_DATE.fullmatch, values)):
            kind = None  # what is no date reads as none where a date should stand
        elif name == "DATE" and self.version == 3:
            kind = "TYER" if len(text) == 4 else None
        if name == "COMMENT":
            return self._frame("COMM", ("", text), _COMMENT_LANGUAGE, carried=True)
        return self._frame(kind or "TXXX", (text,) if kind else (name, text), carried=True)

    def translated(self, role: str, raw: bytes, shape: Mapping[str, Any]) -> Entry:
        version = shape.get("version")
        if version == self.version:
            return Entry(raw, role)
        # The same bytes mean something else in a tag of another version.
        then = Id3v2(self._slot)
        then.version = version if version in (2, 3, 4) else self.version
        said = then._entry(raw)
        if said.role != role or not said.values:
            raise CannotKeepError("its tag is of another version now, which cannot say what it did")
        (entry,) = self.make(role, said.values)
        return entry

    def foreign(self) -> list[bytes]:
        raw = self._as_23() if self.version == 2 else [e.raw for e in self.entries]
        others = (r for r, e in zip(raw, self.entries, strict=True) if e.role is None)
        return [*others, self._tail, self._after]

    def begin(self, id3_version: int) -> None:
        if not self.exists:
            self.version = id3_version

    def prepare(self) -> None:
        self._slot.check()
        if self.version == 2:
            frames = self._as_23()
            self.version, self._revision, self._flags = 3, 0, 0
            self._unsynced = False
            self.entries = [self._entry(raw) for raw in frames]
            self.limit(self.roles)

    def _as_23(self) -> list[bytes]:
        """Return the frames as those of version 2.3: most differ in their names and sizes alone.

        Raises
        ------
        CannotKeepError
            One of them has no name in 2.3, or bytes behind them are no frames.
        """
        if self._tail:
            raise CannotKeepError("its old ID3v2.2 tag is damaged")
        frames = []
        for entry in self.entries:
            name, body = entry.raw[:3].decode("latin-1"), entry.raw[6:]
            new_name = _name_in_23(name)
            if new_name is None:
                raise CannotKeepError("its old ID3v2.2 tag holds frames that 2.3 does not know")
            if name == "PIC":
                body = _picture_in_23(body)
            frames.append(new_name + struct.pack(">I", len(body)) + b"\0\0" + body)
        return frames

    def check(self, genres: Iterable[str]) -> None:
        super().check(genres := tuple(genres))
        for genre in genres:
            if not is_text(genre):
                raise CannotKeepError(
                    f"programs would read {genre!r} in an ID3 tag as the number of a genre"
                )
            if self.version < 4 and MULTI_VALUE_SEPARATOR in genre:
                raise CannotKeepError(f"an ID3v2.3 tag would say {genre!r} as several genres")

    def make(self, role: str, values: tuple[str, ...]) -> list[Entry]:
        if role == GENRE:
            raw = self._frame("TCON", (self._joint.join(map(_escaped, values)),))
        elif role == COMMENT:
            old = next((e.raw for e in self.entries if e.role == COMMENT), b"")
            language = old[self._head + 1 : self._head + 4].decode("latin-1")
            parts = ("", self._joint.join(values))
            raw = self._frame("COMM", parts, language or _COMMENT_LANGUAGE)
        elif role == MOOD and self.version == 4:  # 2.3 has no such frame
            raw = self._frame("TMOO", (self._joint.join(values),))
        else:
            raw = self._frame("TXXX", (role, self._joint.join(values)))
        return [Entry(raw, role, values)]

    def as_mutagen_reads(self, tags: Any, role: str) -> tuple[str, ...]:
        if role == GENRE:
            values = tags["TCON"].genres
        elif role == COMMENT:
            values = [text for key in tags if key.startswith("COMM::") for text in tags[key].text]
        else:
            in_frame = role == MOOD and "TMOO" in tags
            values = tags["TMOO" if in_frame else f"TXXX:{role}"].text
        return tuple(values if tags.version >= (2, 4, 0) else split_joint(values))

    @property
    def _joint(self) -> str:
        return "\0" if self.version == 4 else MULTI_VALUE_SEPARATOR

    def _frame(
        self, kind: str, parts: tuple[str, ...], language: str = "", *, carried: bool = False
    ) -> bytes:
        """Write a frame of text in the leanest encoding that its version and all programs know.

        What is `carried` over from ID3v1 was often no Latin-1, which programs can only guess while
        it keeps its bytes.
        """
        text = "\0".join(parts)
        lean = all(ord(c) < 0x100 for c in text)
        if self.version == 4 and not (carried and lean):
            encoding, encoded = b"\x03", text.encode()
        elif lean:
            encoding, encoded = b"\x00", text.encode("latin-1")
        else:
            utf16 = (b"\xff\xfe" + p.encode("utf-16-le") for p in text.split("\0"))
            encoding, encoded = b"\x01", b"\0\0".join(utf16)
        body = encoding + language.encode() + encoded
        size = struct.pack(">I", len(body))
        if self.version == 4 and not self._plain_sizes:
            size = _to_synchsafe(len(body))
        return kind.encode() + size + b"\0\0" + body

    def store(self, file: BinaryIO, shape: Mapping[str, Any] | None = None) -> None:
        if shape is not None and "whole" in shape:
            self._slot.put(file, from_text(shape["whole"]) + self._after)
            return
        flags, extended, area = self._flags & ~_EXTENDED, b"", len(self._data)
        if shape is not None:
            flags, extended, area = shape["flags"], from_text(shape["extended"]), shape["area"]
            self._revision = shape["revision"]
        body = extended + b"".join(e.raw for e in self.entries) + self._tail
        unsynced = self._unsynced and self.version < 4
        footer = 10 if self.version == 4 and flags & _FOOTER else 0

        def padded(length: int) -> bytes:
            data = body + bytes(max(0, length))
            return _unsync(data) if unsynced else data

        padding = area - 10 - len(padded(0))
        if self._tail or footer:
            padding = 0
        elif padding < 0:
            padding = self._slot.room
        data = padded(padding)
        behind = self._slot.behind
        if shape is None and behind < _END_SIZE and not (self._tail or self._after or footer):
            # At the end of a file, "GTAG" must not stand where others look for ID3v1's "TAG"
            # (mutagen also finds one that is a few bytes short).
            while b"TAG" in data[behind - 132 : min(0, behind - 120) or None]:
                padding += 2
                data = padded(padding)
        header = bytes((self.version, self._revision, flags)) + _to_synchsafe(len(data))
        tag = b"ID3" + header + data + (b"3DI" + header if footer else b"")
        self._slot.put(file, tag + self._after)

    def remove(self, file: BinaryIO, shape: Mapping[str, Any]) -> None:
        self._slot.put(file, b"", keep=bool(shape.get("empty_chunk")))

    def shape(self) -> dict[str, Any]:
        if self.version == 2:
            return {"version": 2, "whole": to_text(self._data)}
        return {
            "version": self.version,
            "revision": self._revision,
            "flags": self._flags,
            "extended": to_text(self._extended),
            "area": len(self._data),
            "empty_chunk": self._slot.is_empty_chunk,
        }


# What iTunes writes beside the standard's frames.
_ITUNES_IN_23 = {
    **{"PCS": b"PCST", "TCT": b"TCAT", "TDS": b"TDES", "TID": b"TGID", "WFD": b"WFED"},
    **{"TKW": b"TKWD", "MVN": b"MVNM", "MVI": b"MVIN", "GP1": b"GRP1", "TCP": b"TCMP"},
}


def _name_in_23(name: str) -> bytes | None:
    """Return what 2.3 calls a frame of 2.2; None where it has none like it."""
    from mutagen.id3 import Frames_2_2

    if name in _ITUNES_IN_23:
        return _ITUNES_IN_23[name]
    frame = Frames_2_2.get(name)
    # A frame that names frames of the same version would have to be translated inside.
    if frame is None or name in ("LNK", "CRM"):
        return None
    new_name = frame.__base__.__name__
    return new_name.encode() if len(new_name) == 4 and new_name != "Frame" else None


def _picture_in_23(body: bytes) -> bytes:
    """Return a picture whose kind stands there as a type of medium, no longer in three letters."""
    kind = body[1:4]
    if len(body) < 5:
        raise CannotKeepError("its old ID3v2.2 tag holds a damaged picture")
    types = {b"PNG": b"image/png", b"JPG": b"image/jpeg", b"-->": b"-->"}
    return body[:1] + types.get(kind, b"image/" + kind.lower()) + b"\0" + body[4:]


_NO_GENRE = frozenset({"255", "(255)"})


def _escaped(genre: str) -> str:
    """Write a genre as TCON has it, where a parenthesis would begin a reference to a number."""
    return "(" + genre if genre.startswith("(") else genre


def _walk(body: bytes, version: int, *, plain: bool) -> tuple[list[bytes], int]:
    """Return the whole frames at the start of `body`, and where they end."""
    head = 6 if version == 2 else 10
    pattern = _FRAME_ID_22 if version == 2 else _FRAME_ID
    frames, position = list[bytes](), 0
    while position + head <= len(body) and pattern.match(body, position):
        if version == 2:
            size: int | None = int.from_bytes(body[position + 3 : position + 6])
        elif version == 3 or plain:
            size = int.from_bytes(body[position + 4 : position + 8])
        else:
            size = synchsafe(body[position + 4 : position + 8])
        if size is None or position + head + size > len(body):
            break
        FRAMES.check(len(frames))
        frames.append(body[position : position + head + size])
        position += head + size
    return frames, position


def _to_synchsafe(number: int) -> bytes:
    if number >= 1 << 28:
        raise CannotKeepError("its ID3 tag would grow beyond what ID3 allows")
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def _is_unsynced(data: bytes) -> bool:
    """Tell whether it has no false synchronisation: some writers set the flag and do nothing."""
    return not re.search(rb"\xff[\xe0-\xff]", data)


def _unsync(data: bytes) -> bytes:
    return re.sub(rb"\xff(?=[\xe0-\xff\x00])|\xff\Z", b"\xff\x00", data)


def read_id3v2(file: BinaryIO, start: int, size: int) -> Id3v2:
    """Read the tag of `size` bytes at `start`."""
    TAG_BYTES.check(size)
    return Id3v2(Slot(start, size), read_exactly(file, start, size))
