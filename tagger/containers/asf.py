"""ASF (WMA): recognised, complete or not, its attributes read and written as raw bytes.

They stand in three objects of the header, each with its own layout. A first value goes into the
extended content description, further ones into the metadata library, as the format wants it. Some
programs read the objects in the order of the file, others the extended content description first:
they agree where it stands first.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO

from tagger.containers.blocks import ALL_ROLES, COMMENT, GENRE, MOOD, Block, CannotKeepError, Entry
from tagger.containers.bounds import FIELDS, OBJECTS, TAG_BYTES
from tagger.containers.formats import ASF, Format
from tagger.containers.id3v1 import referenced_genres
from tagger.containers.parts import (
    BrokenTagError,
    Part,
    cut_off,
    peek,
    read_exactly,
    read_ranges,
    replace_range,
    unpack_at,
)

MAGIC = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_STREAM = bytes.fromhex("9107dcb7b7a9cf118ee600c00c205365")
_AUDIO = bytes.fromhex("409e69f84d5bcf11a8fd00805f5c442b")
_VIDEO = bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b")
_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
_ABSURD = 1 << 40  # bytes: a claim of more is a mistake of whoever wrote it

_EXTENDED = bytes.fromhex("40a4d0d207e3d21197f000a0c95ea850")
_METADATA = bytes.fromhex("eacbf8c5af5b77488467aa8c44fa4cca")
_LIBRARY = bytes.fromhex("941c23449894d149a1411d134e457054")
_EXTENSION = bytes.fromhex("b503bf5f2ea9cf118ee300c00c205365")
_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_EXTENSION_HEAD = bytes.fromhex("11d2d3abbaa9cf118ee600c00c2053650600")

# One letter before each raw record says where it stands.
_LETTERS = {_EXTENDED: b"E", _METADATA: b"M", _LIBRARY: b"L"}


def recognise(file: BinaryIO, start: int) -> Format | None:
    """Return ASF for sound; None for a film."""
    head = peek(file, start, 30)
    if len(head) < 30:
        return None
    size, count = struct.unpack("<QI", head[16:28])
    end = min(start + size, file.seek(0, 2))
    first = islice(objects(file, start + 30, end), min(count, OBJECTS.most))
    kinds = {peek(file, o.body, 16) for o in first if o.kind == _STREAM and o.body + 16 <= end}
    return ASF if _AUDIO in kinds and _VIDEO not in kinds else None


def missing(file: BinaryIO, start: int, size: int) -> str | None:
    """Say what is missing of the header and the data behind it; None where that is nothing."""
    begin = _data_start(file, start)
    kind, data = unpack_at(file, begin, "<16sQ")
    if kind != _DATA or data > _ABSURD:  # it is 0 while it is broadcast
        return None
    return cut_off(size, begin + data)


def sound_ranges(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where sound lies: behind the header."""
    yield _data_start(file, start), end


def _data_start(file: BinaryIO, start: int) -> int:
    return start + int(unpack_at(file, start + 16, "<Q")[0])


def objects(file: BinaryIO, start: int, end: int) -> Iterator[Part]:
    """Yield the objects from `start` to `end`, up to one that is shorter than its own head."""
    while start < end:
        head = peek(file, start, 24)
        part = Part(head[:16], start, start + 24, start + int.from_bytes(head[16:], "little"))
        yield part
        if part.size < 0:
            return
        start = part.end


_NAMED = {GENRE: "WM/Genre", MOOD: "WM/Mood", COMMENT: "WM/Comments"}


def attribute_name(role: str) -> str:
    """Name a role's attribute as other taggers name theirs, with a slash."""
    return _NAMED.get(role) or role.replace("_", "/", 1)


_ROLES = {attribute_name(role).upper(): role for role in ALL_ROLES} | {"WM/GENREID": GENRE}


@dataclass
class _Object:
    guid: bytes
    data: bytes  # without the 24 bytes of GUID and size

    def rendered(self) -> bytes:
        return self.guid + struct.pack("<Q", len(self.data) + 24) + self.data


class AsfAttributes(Block):
    """The attributes in the header that begins at `start`."""

    name = "ASF attributes"

    def __init__(self, file: BinaryIO, start: int) -> None:
        head = read_exactly(file, start, 30)
        self._start, self._reserved = start, head[28:]
        self._size, count = struct.unpack("<QI", head[16:28])
        if not 30 <= self._size <= file.seek(0, 2) - start:
            raise BrokenTagError("its header claims to be longer than the file")
        TAG_BYTES.check(self._size)
        self._objects = _objects(read_exactly(file, start + 30, self._size - 30))
        if len(self._objects) != count:
            raise BrokenTagError("its header does not hold what it counts")
        self._inner: list[_Object] = []
        self._extensions = [o for o in self._objects if o.guid == _EXTENSION]
        for extension in self._extensions[:1]:
            if extension.data[:18] != _EXTENSION_HEAD:
                raise BrokenTagError("its header extension is damaged")
            self._inner = _objects(extension.data[22:])
        self._guids = [o.guid for o in (*self._objects, *self._inner) if o.guid in _LETTERS]
        super().__init__(self._entries(), exists=True)
        FIELDS.check(len(self.entries))

    def _entries(self) -> Iterator[Entry]:
        for item in (*self._objects, *self._inner):
            if item.guid in _LETTERS:
                yield from _records(item)

    def prepare(self) -> None:
        if len(set(self._guids)) != len(self._guids) or len(self._extensions) > 1:
            raise CannotKeepError("it has its attributes more than once")

    def make(self, role: str, values: tuple[str, ...]) -> list[Entry]:
        key = attribute_name(role).encode("utf-16-le") + b"\0\0"
        entries = []
        for i, value in enumerate(values):
            text = value.encode("utf-16-le") + b"\0\0"
            if i == 0 and len(text) <= 0xFFFF:
                raw = b"E" + struct.pack("<H", len(key)) + key
                raw += struct.pack("<2H", 0, len(text)) + text
            else:
                raw = b"L" + struct.pack("<4HI", 0, 0, len(key), 0, len(text)) + key + text
            entries.append(Entry(raw, role, (value,)))
        return entries

    def as_mutagen_reads(self, tags: Any, role: str) -> tuple[str, ...]:
        return tuple(str(value) for value in tags[attribute_name(role)])

    def store(self, file: BinaryIO, shape: Mapping[str, Any] | None = None) -> None:
        self.prepare()
        outer = [_Object(o.guid, o.data) for o in self._objects]
        inner = [_Object(o.guid, o.data) for o in self._inner]
        for guid, letter in _LETTERS.items():
            records = [e.raw[1:] for e in self.entries if e.raw[:1] == letter]
            data = struct.pack("<H", len(records)) + b"".join(records)
            there = next((o for o in (*outer, *inner) if o.guid == guid), None)
            if there is not None:
                there.data = data
            elif records:
                (outer if guid == _EXTENDED else inner).append(_Object(guid, data))
        place = self._best_place(outer) if shape is None else shape.get("place")
        if place is not None:
            extended = next(o for o in outer if o.guid == _EXTENDED)
            outer.remove(extended)
            outer.insert(place, extended)
        if shape is not None:  # what was made for gtag's sake goes again, if it is empty
            made = set(_LETTERS) - {bytes.fromhex(guid) for guid in shape["objects"]}
            outer = [o for o in outer if o.guid not in made or o.data != bytes(2)]
            inner = [o for o in inner if o.guid not in made or o.data != bytes(2)]
            if not inner and not shape["extension"]:
                outer = [o for o in outer if o.guid != _EXTENSION]
        if inner and not any(o.guid == _EXTENSION for o in outer):
            outer.append(_Object(_EXTENSION, b""))
        body = b"".join(o.rendered() for o in inner)
        for item in outer:
            if item.guid == _EXTENSION:
                item.data = _EXTENSION_HEAD + struct.pack("<I", len(body)) + body
        size = 30 + sum(len(o.rendered()) for o in outer)
        self._correct_file_size(outer, file, size - self._size)
        head = read_exactly(file, self._start, 16) + struct.pack("<QI", size, len(outer))
        data = head + self._reserved + b"".join(o.rendered() for o in outer)
        replace_range(file, self._start, self._size, data)

    def _best_place(self, outer: list[_Object]) -> int | None:
        """Return where the extended content description is to go; None where it is to stay.

        It stays where that would change the order in which some read what is not ours.
        """
        guids = [o.guid for o in outer]
        if _EXTENDED not in guids or _EXTENSION not in guids:
            return None
        places = {e.role: set[bytes]() for e in self.entries}
        names: dict[bytes, set[bytes]] = {b"E": set(), b"M": set(), b"L": set()}
        for entry in self.entries:
            places[entry.role].add(entry.raw[:1])
            if entry.role is None:
                names[entry.raw[:1]].add(_key(entry.raw))
        ours_are_split = any(len(where) > 1 for role, where in places.items() if role)
        others_are_split = names[b"E"] & (names[b"M"] | names[b"L"])
        if guids.index(_EXTENDED) < guids.index(_EXTENSION) or not ours_are_split:
            return None
        return None if others_are_split else guids.index(_EXTENSION)

    def _correct_file_size(self, objects: list[_Object], file: BinaryIO, growth: int) -> None:
        """Keep true what the header says of the file's length, where it was true."""
        length = file.seek(0, 2)
        for item in objects:
            if item.guid == _PROPERTIES and item.data[16:24] == struct.pack("<Q", length):
                new = struct.pack("<Q", length + growth)
                item.data = item.data[:16] + new + item.data[24:]

    def shape(self) -> dict[str, Any]:
        guids = [o.guid for o in self._objects]
        return {
            "objects": [guid.hex() for guid in self._guids],
            "extension": bool(self._extensions),
            "place": guids.index(_EXTENDED) if _EXTENDED in guids else None,
        }

    def others(self) -> Iterator[bytes]:
        """Yield what new attributes must leave in the header: other objects."""
        for item in (*self._objects, *self._inner):
            if item.guid == _PROPERTIES:
                yield item.guid + item.data[:16] + item.data[24:]
            elif item.guid not in (_EXTENSION, *_LETTERS):
                yield item.rendered()

    def sound(self, file: BinaryIO, end: int) -> Iterator[bytes]:
        """Yield all between the header and `end`."""
        yield from read_ranges(file, self._start + self._size, end)


def _objects(data: bytes) -> list[_Object]:
    found = list[_Object]()
    for part in objects(io.BytesIO(data), 0, len(data)):
        OBJECTS.check(len(found))
        if part.size < 0 or part.end > len(data):
            raise BrokenTagError("its header is damaged")
        found.append(_Object(part.kind, data[part.body : part.end]))
    return found


def _key(raw: bytes) -> bytes:
    """Return the name of an attribute, as it stands in a record behind its letter."""
    if raw[:1] == b"E":
        return raw[3 : 3 + int.from_bytes(raw[1:3], "little")].upper()
    return raw[13 : 13 + int.from_bytes(raw[5:7], "little")].upper()


def _records(item: _Object) -> Iterator[Entry]:
    """Yield the records of an object, each with the letter of the object before it."""
    data, position = item.data, 2
    letter = _LETTERS[item.guid]
    try:
        for _ in range(struct.unpack("<H", data[:2])[0]):
            if letter == b"E":
                key_start = position + 2
                key_end = key_start + struct.unpack("<H", data[position:key_start])[0]
                kind, size = struct.unpack("<2H", data[key_end : key_end + 4])
                value_start = key_end + 4
            else:
                key_start = position + 12
                _, _, key_size, kind, size = struct.unpack("<4HI", data[position:key_start])
                key_end = value_start = key_start + key_size
            end = value_start + size
            if end > len(data):
                raise BrokenTagError("its attributes are damaged")
            raw = letter + data[position:end]
            name = data[key_start:key_end].decode("utf-16-le", "replace").rstrip("\0").upper()
            role = _ROLES.get(name)
            if role is None:
                yield Entry(raw)
            elif kind != 0:  # not text; what is empty says nothing, whatever its kind
                yield Entry(raw, None if data[value_start:end].strip(b"\0") else role)
            else:
                text = data[value_start:end].decode("utf-16-le", "replace").rstrip("\0")
                yield Entry(raw, role, referenced_genres(text) if name == "WM/GENREID" else (text,))
            position = end
    except struct.error as error:
        raise BrokenTagError("its attributes are damaged") from error
    if position != len(data):
        raise BrokenTagError("its attributes are damaged")
