"""iTunes metadata of an MP4 file: the atoms in `moov.udta.meta.ilst`, as raw bytes.

Where the metadata stands before the sound and grows, the sound moves, and the chunk offsets with
it. Fragmented files have offsets in many more places: they are refused.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from tagger.containers.blocks import (
    GENRE,
    Block,
    BrokenTagError,
    CannotKeepError,
    Entry,
    read_exactly,
    read_ranges,
    replace_range,
    role_of,
)
from tagger.containers.bounds import BOXES, TAG_BYTES
from tagger.containers.formats import iso_boxes
from tagger.containers.id3v1 import genre_names

_GENRE, _OLD_GENRE, _FREEFORM, _ITUNES = b"\xa9gen", b"gnre", b"----", b"com.apple.iTunes"
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
        moov = [box for box in self._top if box[0] == b"moov"]
        if not moov:
            raise BrokenTagError("it has no index (`moov`)")
        _, self._start, _, self._end = moov[0]
        TAG_BYTES.check(self._end - self._start)
        data = read_exactly(file, self._start, self._end - self._start)
        self._moov = _parse(data, b"")[0]
        self._only = len(moov) == 1 and self._moov_is_plain()
        self._fragmented = self._moov.child(b"mvex") is not None or any(
            kind in (b"moof", b"mfra", b"sidx", b"ssix") for kind, *_ in self._top
        )
        self._udta = self._moov.child(b"udta")
        self._meta = self._udta and self._udta.child(b"meta")
        self._ilst = self._meta and self._meta.child(b"ilst")
        self.mends_reading = self._meta is not None and not self._meta.data
        atoms = self._ilst.children if self._ilst else []
        super().__init__((_entry(a) for a in atoms), exists=self._ilst is not None)

    def _moov_is_plain(self) -> bool:
        """No box of which there should be one comes twice."""
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
        if role == GENRE:
            return [Entry(_box(_GENRE, data), role, values)]
        mean = _box(b"mean", bytes(4) + _ITUNES)
        name = _box(b"name", bytes(4) + role.encode())
        return [Entry(_box(_FREEFORM, mean + name + data), role, values)]

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
        """All that new tags must leave: every other box, and where in them the sound stands."""
        media = [(body, end) for kind, _, body, end in self._top if kind != b"moov"]
        for box in (b for c in self._moov.children if c is not self._udta for b in c.walk()):
            if box.kind in _OFFSETS:
                yield box.kind + box.data[:8]
                for offset in _offsets(box)[1]:
                    place = next((i for i, (s, e) in enumerate(media) if s <= offset < e), None)
                    # One that points nowhere is moved along with the others or not at all.
                    where = (-1, 0) if place is None else (place, offset - media[place][0])
                    yield struct.pack(">2q", *where)
            elif not box.children:
                yield box.kind + box.data
        for box in self._udta.children if self._udta else []:
            if box is not self._meta:
                yield box.rendered()
        for box in self._meta.children if self._meta else []:
            if box is not self._ilst and box.kind not in (b"free", b"hdlr"):
                yield box.rendered()
        for kind, start, _, end in self._top:
            if kind != b"moov":
                yield from read_ranges(file, start, end)


def _few_boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int, int]]:
    """The boxes from `start` to `end`; those inside that mutagen would open are counted, too."""
    inside, count = list[tuple[int, int]](), 0
    for box in iso_boxes(file, start, end):
        count += 1
        BOXES.check(count)
        yield box
        inside += _opened_by_mutagen(box)
    while inside:
        for box in iso_boxes(file, *inside.pop()):
            count += 1
            BOXES.check(count)
            inside += _opened_by_mutagen(box)


def _opened_by_mutagen(box: tuple[bytes, int, int, int]) -> list[tuple[int, int]]:
    kind, _, body, end = box
    # Behind version and flags, also where QuickTime has none.
    return [(body + 4 * (kind == b"meta"), end)] if kind in _MUTAGEN_OPENS else []


def _parse(data: bytes, parent: bytes) -> list[_Box]:
    boxes, position = list[_Box](), 0
    while position < len(data):
        if not data[position : position + 8].strip(b"\0"):
            # Zeros end a QuickTime user data list.
            return [*boxes, _Box(b"", data[position:])]
        size, kind = struct.unpack(">I4s", data[position : position + 8].ljust(8, b"\0"))
        head = 8
        if size == 1:
            size = int.from_bytes(data[position + 8 : position + 16])
            head = 16
        if size < head or position + size > len(data):
            raise BrokenTagError("its index (`moov`) is damaged")
        body = data[position + head : position + size]
        box = _Box(kind, body, long=head == 16)
        # QuickTime's `meta` has no version and flags before its boxes.
        own = 4 if kind == b"meta" and body[4:8] != b"hdlr" else 0
        # A `meta` that does not begin with zeros is of a later version.
        if kind in _TAKEN_APART.get(parent, ()) and body[:own] == bytes(own):
            box.data, box.children = body[:own], _parse(body[own:], kind)
        boxes.append(box)
        position += size
    return boxes


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, kind) + body


def _offsets(box: _Box) -> tuple[int, tuple[int, ...]]:
    """The chunk offsets in a table."""
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
        if atom.kind == _OLD_GENRE:
            return Entry(raw, GENRE, tuple(_numbered(_parse(atom.data, _OLD_GENRE))))
        if atom.kind == _FREEFORM:
            parts = {c.kind: c.data[4:] for c in reversed(atom.children)}
            role = role_of(parts.get(b"name", b"").decode("utf-8", "replace"), genre="GENRE")
            if role == GENRE or (role is not None and parts.get(b"mean") == _ITUNES):
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
