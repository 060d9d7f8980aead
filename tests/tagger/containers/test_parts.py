"""Stretches of a file: replaced, compared, digested."""

from __future__ import annotations

import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.containers import parts

SMALL = st.binary(max_size=60)


@given(data=SMALL, new=SMALL, start=st.integers(0, 60), size=st.integers(0, 60))
def test_what_follows_a_replaced_stretch_moves_along(data, new, start, size):
    start = min(start, len(data))
    size = min(size, len(data) - start)
    file = io.BytesIO(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "_COPY_BYTES", 7)  # so that much is moved in several steps
        parts.replace_range(file, start, size, new)
    assert file.getvalue() == data[:start] + new + data[start + size :]


@given(data=SMALL, reads=st.lists(st.tuples(st.integers(0, 70), st.integers(-1, 20)), max_size=8))
def test_a_file_is_hashed_whatever_is_read_of_it_and_skipped(data, reads):
    file = parts.HashedFile(io.BytesIO(data))
    assert file.read(5) == data[:5]
    file.begin()
    for place, size in reads:
        file.seek(place)
        assert file.read(size) == (data[place:] if size < 0 else data[place : place + size])
        assert file.tell() == max(place, min(len(data), place + size if size >= 0 else len(data)))
    assert file.digest() == hashlib.sha256(data).hexdigest()


@given(pieces=st.lists(SMALL, max_size=5), most=st.none() | st.integers(1, 200))
def test_the_digest_of_the_first_bytes_does_not_depend_on_the_pieces(pieces, most):
    expected = hashlib.sha256(b"".join(pieces)[:most]).hexdigest()
    assert parts.digest_of(pieces, most) == expected
