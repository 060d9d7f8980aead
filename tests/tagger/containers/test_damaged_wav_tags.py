"""A damaged hidden tag of a WAV is content: kept to the byte, and no reason to refuse the rest."""

from __future__ import annotations

import struct

import mutagen.wave
import pytest
import taglib

from tagger.containers.formats import AIFF, WAV
from tagger.containers.read import read_tags
from tagger.containers.snapshot import restore, same_fields, snapshot
from tagger.containers.write import check_change
from tagger.system.errors import RefusedError
from tests.tagger.containers.helpers import CHANGE, packets, write
from tests.tagger.containers.test_other_tags import CUE, FMT, SOUND, chunk, riff
from tests.tagger.readers import as_programs_see, lost


def unpadded(kind: bytes, text: bytes) -> bytes:
    assert len(text) % 2
    return kind + struct.pack("<I", len(text)) + text


TITLE, ARTIST = unpadded(b"INAM", b"Title1\0"), unpadded(b"IART", b"Somebo\0")
DAMAGED = {
    "no pad bytes": chunk(b"LIST", b"INFO" + TITLE + ARTIST),
    "an item too long": chunk(b"LIST", b"INFO" + TITLE + b"\0IART\xff\xff\0\0cut"),
    "zeros for id3": chunk(b"id3 ", bytes(64)),
    "text for ID3": chunk(b"ID3 ", b"no tag at all"),
    "list and id3": chunk(b"id3 ", bytes(64)) + chunk(b"LIST", b"INFO" + TITLE + ARTIST),
}


@pytest.mark.parametrize("first", [True, False], ids=["before", "behind"])
@pytest.mark.parametrize("damaged", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_hidden_tag_of_a_wav_is_content(tmp_path, damaged, first):
    """Regression: all of the WAV was unreadable."""
    path = tmp_path / "a.wav"
    path.write_bytes(riff(FMT, damaged, SOUND, CUE) if first else riff(FMT, SOUND, CUE, damaged))
    before, sound, seen = path.read_bytes(), packets(path), as_programs_see(path)
    assert read_tags(path, WAV).user_genres == ()
    check_change(path, WAV)
    old = snapshot(path, WAV)
    write(path)
    assert damaged in path.read_bytes()
    assert packets(path) == sound
    assert mutagen.wave.WAVE(path)["TCON"].text == list(CHANGE.genres)
    with taglib.File(str(path)) as file:
        assert file.tags["GENRE"] == list(CHANGE.genres)
    assert lost(seen, as_programs_see(path)) == []
    restore(path, WAV, old)
    assert same_fields(path, WAV, old)
    if b"LIST" in damaged:
        assert path.read_bytes() == before


def test_a_genre_in_a_damaged_list_is_a_persons(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(
        riff(FMT, SOUND, chunk(b"LIST", b"INFO" + TITLE + unpadded(b"IGNR", b"Polka") + ARTIST))
    )
    before = path.read_bytes()
    assert read_tags(path, WAV).user_genres == ("Polka",)
    for refuses in (lambda: check_change(path, WAV), lambda: write(path)):
        with pytest.raises(RefusedError, match="INFO list is damaged"):
            refuses()
    assert path.read_bytes() == before


def test_an_info_list_that_is_cut_off_with_its_file(tmp_path):
    """Its sound is there, so it is heard; its lengths are not true, so it is not written."""
    path = tmp_path / "a.wav"
    path.write_bytes(riff(FMT, SOUND, chunk(b"LIST", b"INFO" + TITLE + b"\0" + ARTIST))[:-6])
    before = path.read_bytes()
    assert read_tags(path, WAV).user_genres == ()
    with pytest.raises(RefusedError, match="not as long as they claim"):
        write(path)
    assert path.read_bytes() == before


def test_zeros_for_the_id3_of_an_aiff(make_audio):
    path = make_audio(".aiff")
    data = path.read_bytes() + chunk(b"ID3 ", bytes(64), ">")
    path.write_bytes(data[:4] + struct.pack(">I", len(data) - 8) + data[8:])
    sound = packets(path)
    write(path)
    assert read_tags(path, AIFF).genres == CHANGE.genres
    assert packets(path) == sound
    assert chunk(b"ID3 ", bytes(64), ">") in path.read_bytes()
