"""A dry run promises nothing that the write refuses."""

from __future__ import annotations

import struct

import pytest

from tagger.errors import RefusedError
from tagger.tags.write import check_change
from tests.tagger.tags.helpers import form, write
from tests.tagger.tags.test_odd_files import box, with_atom

ID3 = b"ID3\x04\0\0\0\0\x01\x00" + bytes(128)


def behind_id3(data: bytes) -> bytes:
    return ID3 + data


def riff_of_size_zero(data: bytes) -> bytes:
    return data[:4] + bytes(4) + data[8:]


def broken_freeform(data: bytes) -> bytes:
    return with_atom(data, box(b"----", box(b"mean", b"\0\0")))


def broken_disk(data: bytes) -> bytes:
    return with_atom(data, box(b"disk", box(b"data", struct.pack(">2I", 0, 0) + b"\0")))


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        (".ogg", behind_id3),
        (".opus", behind_id3),
        (".m4a", behind_id3),
        (".wav", behind_id3),
        (".wav", riff_of_size_zero),
        (".m4a", broken_freeform),
        (".m4a", broken_disk),
    ],
)
def test_a_rehearsal_refuses_what_a_write_refuses(make_audio, suffix, damage):
    path = make_audio(suffix)
    path.write_bytes(damage(path.read_bytes()))
    before = path.read_bytes()
    with pytest.raises(RefusedError) as written:
        write(path)
    with pytest.raises(RefusedError) as rehearsed:
        check_change(path, form(path))
    assert rehearsed.value.message == written.value.message
    assert path.read_bytes() == before
