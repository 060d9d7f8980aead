"""MP4: boxes of ISO base media, and iTunes' metadata in `moov.udta.meta.ilst`, as raw bytes.

Where the metadata stands before the sound and grows, the sound moves, and the chunk offsets with
it. Fragmented files have offsets in many more places: they are refused.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from tagger.containers.blocks import COMMENT, GENRE, Block, CannotKeepError, Entry, role_of
from tagger.containers.bounds import BOXES, MOST_BOXES_TO_SEARCH, TAG_BYTES
from tagger.containers.formats import MP4, Format
from tagger.containers.id3v1 import genre_names
from tagger.containers.parts import (
    BrokenTagError,
    Part,
    cut_off,
    parts_within,
    peek,
    read_exactly,
    read_ranges,
    replace_range,
)

# What brands say that it is sound: pictures are then cover art, or an audio book's chapters.
_AUDIO_BRANDS = {b"M4A ", b"M4B ", b"M4P "}

_GENRE, _OLD_GENRE, _FREEFORM, _ITUNES = b"\xa9gen", b"gnre", b"----", b"com.apple.iTunes"
_COMMENT = b"\xa9cmt"
_ATOMS = {GENRE: _GENRE, COMMENT: _COMMENT}
_UTF8, _UTF16 = 1, 2
_OFFSETS = {b"stco": "I", b"co64": "Q"}
# Which boxes inside which are taken apart, on the way to offsets and tags.
_TAKEN_APART = {
    b"": (b"moov",),
    b"moov": (b"trak", b"udta"),
    b"trak": (b"mdia",),
    b"mdia": (b"minf",),
    b"minf": (b"stbl",),
    b"udta": (b"meta",),
    b"meta": (b"ilst",),
    b"ilst": (b"----",),
}
_MUTAGEN_OPENS = frozenset(
    (b"moov", b"udta", b"trak", b"mdia", b"meta", b"ilst", b"stbl", b"minf", b"moof", b"traf")
)
_HANDLER = b"\0" * 8 + b"mdirappl" + b"\0" * 9


def recognise(file: BinaryIO, start: int) -> Format | None:
    """Return MP4 for sound; None for a film: it has a video track, and no brand of sound."""
    end = file.seek(0, 2)
    moov = next((box for box in boxes(file, start, end) if box.kind == b"moov"), None)
    if moov is None:
        return None
    path = (b"trak", b"mdia", b"hdlr")
    inside = parts_within(boxes, file, moov.body, min(moov.end, end), path)
    handlers = {peek(file, box.body + 8, 4) for box in inside}
    if b"soun" not in handlers:
        return None
    is_sound = b"vide" not in handlers or peek(file, start + 8, 4) in _AUDIO_BRANDS
    return MP4 if is_sound else None


def missing(file: BinaryIO, start: int, size: int) -> str | None:
    """Say what is missing of the index and the sound; None where that is nothing."""
    for box in boxes(file, start, size):
        if box.kind in (b"mdat", b"moov") and box.end > size:
            return cut_off(size, box.end)
    return None


def sound_ranges(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where sound lies: in boxes of its own."""
    yield from [(b.body, min(b.end, end)) for b in boxes(file, start, end) if b.kind == b"mdat"]


def boxes(file: BinaryIO, start: int, end: int) -> Iterator[Part]:
    """Yield the boxes (MP4 atoms) from `start` to `end`.

    Ends quietly at the first that does not fit: the caller notices that what it looks for is
    missing, or that the last box ends behind the end.
    """
    for _ in range(MOST_BOXES_TO_SEARCH):
        if start + 8 > end:
            return
        head = peek(file, start, 16)
        if len(head) < 8:
            return
        size, kind = struct.unpack(">I4s", head[:8])
        body = start + 8
        if size == 1 and len(head) == 16:
            size = int.from_bytes(head[8:])
            body = start + 16
        elif size == 0:
            size = end - start
        if size < body - start:
            return
        yield Part(kind, start, body, start + size)
        start += size


@dataclass
class _Box:
    """A box: its type (empty for stray bytes), its bytes before any children, its children."""

    kind: bytes
    data: bytes
    children: list[_Box] = field(default_factory=list)
    long: bool = False  # whether its size stands in 64 bits

    def child(self, kind: bytes) -> _Box | None:
        return next((c for c in self.children if c.kind == kind), None)

    def rendered(self) -> bytes:
        body = self.data + b"".join(c.rendered() for c in self.children)
        if not self.kind:
            return body
        if self.long:
            return struct.pack(">I4sQ", 1, self.kind, len(body) + 16) + body
        return struct.pack(">I4s", len(body) + 8, self.kind) + body

    def walk(self) -> Iterator[_Box]:
        yield self
        for child in self.children:
            yield from child.walk()


class Ilst(Block):
    """The `ilst` of the first `moov`; the file's boxes stand from `start` to `end`."""

    name = "MP4 metadata"

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        self._is_first = start == 0
        self._top = list(_few_boxes(file, start, end))
        moov = [box for box in self._top if box.kind == b"moov"]
        if not moov:
            raise BrokenTagError("it has no index (`moov`)")
        self._start, self._end = moov[0].start, moov[0].end
        TAG_BYTES.check(self._end - self._start)
        data = read_exactly(file, self._start, self._end - self._start)
        self._moov = _parse(data, b"")[0]
        self._only = len(moov) == 1 and self._moov_is_plain()
        self._fragmented = self._moov.child(b"mvex") is not None or any(
            box.kind in (b"moof", b"mfra", b"sidx", b"ssix") for box in self._top
        )
        self._udta = self._moov.child(b"udta")
        self._meta = self._udta and self._udta.child(b"meta")
        self._ilst = self._meta and self._meta.child(b"ilst")
        self.mends_reading = self._meta is not None and not self._meta.data
        atoms = self._ilst.children if self._ilst else []
        super().__init__((_entry(a) for a in atoms), exists=self._ilst is not None)

    def _moov_is_plain(self) -> bool:
        """Tell whether no box of which there should be one comes twice."""
        udta = [c for c in self._moov.children if c.kind == b"udta"]
        metas = [c for u in udta for c in u.children if c.kind == b"meta"]
        lists = [c for m in metas for c in m.children if c.kind == b"ilst"]
        return len(udta) <= 1 and len(metas) <= 1 and len(lists) <= 1

    def prepare(self) -> None:
        if not self._is_first:
            raise CannotKeepError("a tag stands before it, and mutagen cannot read it behind that")
        if self._fragmented:
            raise CannotKeepError("it is a fragmented MP4, whose tags cannot be written safely")
        if not self._only:
            raise CannotKeepError("it has its metadata more than once")
        if self._meta is not None and self._meta.data not in (b"", bytes(4)):
            raise CannotKeepError("its metadata box is of an unknown kind")

    def make(self, role: str, values: tuple[str, ...]) -> list[Entry]:
        data = b"".join(_box(b"data", struct.pack(">2I", _UTF8, 0) + v.encode()) for v in values)
        if role in _ATOMS:
            return [Entry(_box(_ATOMS[role], data), role, values)]
        mean = _box(b"mean", bytes(4) + _ITUNES)
        name = _box(b"name", bytes(4) + role.encode())
        return [Entry(_box(_FREEFORM, mean + name + data), role, values)]

    def as_mutagen_reads(self, tags: Any, role: str) -> tuple[str, ...]:
        if role in _ATOMS:
            return tuple(tags[_ATOMS[role].decode("latin-1")])
        return tuple(bytes(v).decode() for v in tags[f"----:com.apple.iTunes:{role}"])

    def store(self, file: BinaryIO, shape: Mapping[str, Any] | None = None) -> None:
        self.prepare()
        if self._udta is None:
            self._udta = _Box(b"udta", b"")
            self._moov.children.append(self._udta)
        if self._meta is None:
            self._meta = _Box(b"meta", bytes(4), [_Box(b"hdlr", _HANDLER)])
            self._udta.children.insert(0, self._meta)
        # As all programs expect it; undo makes it QuickTime's again.
        self._meta.data = b"" if shape is not None and shape.get("plain_meta") else bytes(4)
        if self._ilst is None:
            self._ilst = _Box(b"ilst", b"")
            self._meta.children.append(self._ilst)
        self._ilst.data, self._ilst.children = b"".join(e.raw for e in self.entries), []
        self._put(file, shape)

    def remove(self, file: BinaryIO, shape: Mapping[str, Any]) -> None:
        self.prepare()
        if shape["udta"] is False:
            self._moov.children = [c for c in self._moov.children if c.kind != b"udta"]
        elif shape["meta"] is False and self._udta is not None:
            self._udta.children = [c for c in self._udta.children if c.kind != b"meta"]
        elif self._meta is not None:
            self._meta.children = [c for c in self._meta.children if c.kind != b"ilst"]
            self._meta.data = b"" if shape.get("plain_meta") else self._meta.data
        self._put(file, shape)

    def shape(self) -> dict[str, Any]:
        return {
            "udta": self._udta is not None,
            "meta": self._meta is not None,
            "plain_meta": self._meta is not None and not self._meta.data,
            "area": self._end - self._start,
        }

    def _put(self, file: BinaryIO, shape: Mapping[str, Any] | None) -> None:
        old = self._end - self._start
        if shape is None or shape["area"] == old:
            self._pad(old - len(self._moov.rendered()))
        shift = len(self._moov.rendered()) - old
        if shift:
            self._move_offsets(shift)
        replace_range(file, self._start, old, self._moov.rendered())

    def _pad(self, free: int) -> None:
        """Let the largest free box beside the list give way or grow."""
        boxes = [b for b in self._meta.children if b.kind == b"free"] if self._meta else []
        box = max(boxes, key=lambda b: len(b.data), default=None)
        if box is not None and len(box.data) + free >= 0:
            box.data = bytes(len(box.data) + free)

    def _move_offsets(self, shift: int) -> None:
        for box in self._moov.walk():
            if box.kind in (b"saio", b"iloc"):
                raise CannotKeepError("it keeps offsets in boxes that gtag does not know")
            if box.kind in _OFFSETS:
                count, numbers = _offsets(box)
                moved = [n + shift if n >= self._end else n for n in numbers]
                try:
                    table = struct.pack(f">{count}{_OFFSETS[box.kind]}", *moved)
                except struct.error as error:
                    raise CannotKeepError("its sound would move beyond 4 GiB") from error
                box.data = box.data[:8] + table + box.data[8 + len(table) :]

    def content(self, file: BinaryIO) -> Iterator[bytes]:
        """Yield all that new tags must leave: other boxes, and where in them the sound stands."""
        media = [part for part in self._top if part.kind != b"moov"]
        for box in (b for c in self._moov.children if c is not self._udta for b in c.walk()):
            if box.kind in _OFFSETS:
                yield box.kind + box.data[:8]
                for offset in _offsets(box)[1]:
                    place = next((i for i, m in enumerate(media) if m.body <= offset < m.end), None)
                    # One that points nowhere is moved along with the others or not at all.
                    where = (-1, 0) if place is None else (place, offset - media[place].body)
                    yield struct.pack(">2q", *where)
            elif not box.children:
                yield box.kind + box.data
        for box in self._udta.children if self._udta else []:
            if box is not self._meta:
                yield box.rendered()
        for box in self._meta.children if self._meta else []:
            if box is not self._ilst and box.kind not in (b"free", b"hdlr"):
                yield box.rendered()
        for part in media:
            yield from read_ranges(file, part.start, part.end)


def _few_boxes(file: BinaryIO, start: int, end: int) -> Iterator[Part]:
    """Yield the boxes from `start` to `end`; those inside that mutagen would open count, too."""
    inside, count = [(start, end)], 0
    while inside:
        begin, stop = inside.pop()
        for part in boxes(file, begin, stop):
            count += 1
            BOXES.check(count)
            box = part._replace(end=min(part.end, stop))
            if begin == start:
                yield box
            if box.kind in _MUTAGEN_OPENS:
                # Behind version and flags, also where QuickTime has none.
                inside.append((box.body + 4 * (box.kind == b"meta"), box.end))


def _parse(data: bytes, parent: bytes) -> list[_Box]:
    found, position = list[_Box](), 0
    for part in boxes(io.BytesIO(data), 0, len(data)):
        if part.end > len(data) or not any(data[part.start : part.start + 4]):
            break
        body = data[part.body : part.end]
        box = _Box(part.kind, body, long=part.body - part.start == 16)
        # QuickTime's `meta` has no version and flags before its boxes.
        own = 4 if box.kind == b"meta" and body[4:8] != b"hdlr" else 0
        # A `meta` that does not begin with zeros is of a later version.
        if box.kind in _TAKEN_APART.get(parent, ()) and body[:own] == bytes(own):
            box.data, box.children = body[:own], _parse(body[own:], box.kind)
        found.append(box)
        position = part.end
    rest = data[position:]
    if rest[:8].strip(b"\0"):
        raise BrokenTagError("its index (`moov`) is damaged")
    # Zeros end a QuickTime user data list.
    return [*found, _Box(b"", rest)] if rest else found


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, kind) + body


def _offsets(box: _Box) -> tuple[int, tuple[int, ...]]:
    """Return the chunk offsets in a table."""
    count = int.from_bytes(box.data[4:8])
    size = struct.calcsize(_OFFSETS[box.kind])
    if len(box.data) < 8 + count * size:
        raise BrokenTagError("its table of chunks is damaged")
    return count, struct.unpack(f">{count}{_OFFSETS[box.kind]}", box.data[8 : 8 + count * size])


def _entry(atom: _Box) -> Entry:
    raw = atom.rendered()
    try:
        if atom.kind == _GENRE:
            return Entry(raw, GENRE, tuple(_texts(_parse(atom.data, _GENRE))))
        if atom.kind == _COMMENT:
            return Entry(raw, COMMENT, tuple(_texts(_parse(atom.data, _COMMENT))))
        if atom.kind == _OLD_GENRE:
            return Entry(raw, GENRE, tuple(_numbered(_parse(atom.data, _OLD_GENRE))))
        if atom.kind == _FREEFORM:
            parts = {c.kind: c.data[4:] for c in reversed(atom.children)}
            role = role_of(parts.get(b"name", b"").decode("utf-8", "replace"), genre="GENRE")
            if role == GENRE or (role not in (None, COMMENT) and parts.get(b"mean") == _ITUNES):
                return Entry(raw, role, tuple(_texts(atom.children)))
    except BrokenTagError:
        # No field that we understand, unless it plainly says nothing.
        if atom.kind in (_GENRE, _OLD_GENRE) and _BLANK.fullmatch(atom.data):
            return Entry(raw, GENRE)
    return Entry(raw)


_BLANK = re.compile(rb"[\0- ]*(data[\0- ]*)?")


def _texts(boxes: list[_Box]) -> Iterator[str]:
    for box in boxes:
        if box.kind == b"data":
            kind = int.from_bytes(box.data[1:4])
            yield box.data[8:].decode("utf-16-be" if kind == _UTF16 else "utf-8", "replace")


_NO_NUMBER = 255  # ID3v1's "no genre"


def _numbered(boxes: list[_Box]) -> Iterator[str]:
    names = genre_names()
    for box in boxes:
        number = int.from_bytes(box.data[8:10]) - 1  # ID3v1's numbers, from one
        if box.kind == b"data" and number >= 0 and number != _NO_NUMBER:
            yield names[number] if number < len(names) else str(number)
