"""Chained Ogg files: all their links are heard, and a write changes the first one's tags only."""

from __future__ import annotations

import mutagen
import numpy as np
import pytest

from tagger.containers.ogg import ogg_links
from tagger.containers.write import write_change
from tagger.deciding.decide import Policy, Status
from tagger.library.walk import Library
from tagger.models import zoo
from tagger.pipeline.batch import track_results
from tagger.sound.audio import read_excerpts
from tests.conftest import aged

CONTAINERS = [".ogg", ".opus", ".oga"]


def chained(path, *links):
    path.write_bytes(b"".join(link.read_bytes() for link in links))
    return aged(path)


@pytest.fixture(params=CONTAINERS)
def links(request, make_audio):
    """Two pieces of 20 s and one of 5 s; the encoder gives every stream the same serial."""
    return [
        make_audio(request.param, duration_s=duration_s, style=style)
        for style, duration_s in (("disco", 20.0), ("metal", 20.0), ("jazz", 5.0))
    ]


def test_all_links_of_a_chained_ogg_are_heard(tmp_path, links):
    file = chained(tmp_path / f"chain{links[0].suffix}", *links)
    sizes = [link.stat().st_size for link in links]
    ends = list(np.cumsum(sizes))
    assert ogg_links(file) == list(zip([0, *ends[:-1]], ends, strict=True))
    sound = read_excerpts(file)
    assert sound.duration_s == pytest.approx(45.0, abs=0.3)
    assert [e.start_s for e in sound.excerpts] == pytest.approx([1.5, 16.5, 31.5], abs=0.3)
    # The last excerpt: all in the second link, that is 11.5 s to 20 s of it, and then the third.
    first_alone, second_alone, _ = (read_excerpts(link).excerpts[0].samples for link in links)
    for excerpt, alone, offset_s in (
        (sound.excerpts[0], first_alone, 0.0),
        (sound.excerpts[2], second_alone, len(first_alone) / 22050),
    ):
        begin = round((excerpt.start_s - offset_s) * 22050) - excerpt.edge_before
        expected = alone[begin : begin + 8 * 22050]
        heard = excerpt.samples[: len(expected)]
        lags = range(-600, 601, 20)  # what encoders put before and behind is a few ms
        assert max(np.corrcoef(np.roll(heard, lag), expected)[0, 1] for lag in lags) > 0.9


def test_a_short_chain_is_heard_whole(tmp_path, links):
    file = chained(tmp_path / f"chain{links[0].suffix}", links[2], links[2], links[2])
    sound = read_excerpts(file)
    (excerpt,) = sound.excerpts
    assert sound.duration_s == pytest.approx(15.0, abs=0.2)
    assert len(excerpt.samples) / 22050 == pytest.approx(15.0, abs=0.2)


def test_links_with_other_serials_are_found(tmp_path, make_audio):
    link = make_audio(".ogg", duration_s=4.0)
    from mutagen.ogg import OggPage

    with open(link, "rb") as source, open(tmp_path / "renamed.ogg", "wb") as target:
        try:
            while True:
                page = OggPage(source)
                page.serial = 77
                target.write(page.write())
        except EOFError:
            pass
    file = chained(tmp_path / "chain.ogg", link, tmp_path / "renamed.ogg", link)
    assert len(ogg_links(file)) == 3


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_a_file_of_one_link_is_none(make_audio, suffix):
    assert ogg_links(make_audio(suffix, duration_s=30.0)) == []


def test_a_link_that_is_damaged_costs_only_itself(tmp_path, make_audio):
    links = [make_audio(".ogg", duration_s=20.0, seed=seed) for seed in (1, 2, 3)]
    content = bytearray(links[1].read_bytes())
    content[28:1000] = bytes(972)  # its headers
    (tmp_path / "broken.ogg").write_bytes(content)
    file = chained(tmp_path / "chain.ogg", links[0], tmp_path / "broken.ogg", links[2])
    assert read_excerpts(file).duration_s == pytest.approx(40.0, abs=0.3)


def test_many_links_of_odd_lengths_end_in_some_sound(tmp_path, make_audio):
    link = make_audio(".opus", duration_s=3.0)
    file = chained(tmp_path / "chain.opus", *[link] * 30)
    content = file.read_bytes()
    for cut in (len(content) // 3, len(content) - 100):
        file.write_bytes(content[:cut])
        sound = read_excerpts(aged(file))
        assert sound.duration_s == pytest.approx(90.0 * cut / len(content), abs=4.0)


def test_a_write_leaves_the_other_links_as_they_are(tmp_path, make_audio):
    links = [make_audio(".ogg", duration_s=10.0, seed=seed) for seed in (1, 2)]
    file = chained(tmp_path / "chain.ogg", *links)
    tracks = Library([str(file)])
    (result,) = track_results(
        tracks,
        model=zoo.DEFAULT,
        policy=Policy(min_confidence=0.0),
        jobs=1,
        write=lambda track, change: write_change(track.path, track.format, change),
    )
    assert result.status is Status.WRITTEN, result.message
    assert mutagen.File(file)["genre"] == [result.new_genre]
    assert file.read_bytes().endswith(links[1].read_bytes())
    assert read_excerpts(file).duration_s == pytest.approx(20.0, abs=0.1)
