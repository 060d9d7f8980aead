"""Noise, hum and tones that detectors learn from."""

from __future__ import annotations

from pathlib import Path

from tagger.sound.audio import read_excerpts
from tagger.training.data import steady_sounds
from tagger.training.data.steady_sounds import write_steady_sounds
from tagger.training.data.track_views import read_items


def test_they_are_a_set_of_sound(tmp_path, monkeypatch):
    monkeypatch.setattr(steady_sounds, "SETS", 1)
    folder = write_steady_sounds(tmp_path / "steady")
    items = read_items(folder)
    assert len(items) == 6 and {item.kind for item in items} == {"noise"}
    for item in items:
        assert not item.known.genres and not item.known.open
        assert read_excerpts(item.sound).duration_s == steady_sounds.SECONDS
    before = {item.track: Path(item.sound).read_bytes() for item in items}
    again = write_steady_sounds(tmp_path / "again")
    assert {i.track: Path(i.sound).read_bytes() for i in read_items(again)} == before
