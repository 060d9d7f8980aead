"""The benchmark of the hot path finds the functions whose time it takes."""

from __future__ import annotations

from tagger.library.walk import Library
from tests.benchmarks.bench_hot_path import STAGES, cost


def test_each_stage_takes_time(make_audio):
    [track] = Library([str(make_audio(".mp3", duration_s=40.0))])
    spent = cost(track, "cnn", rounds=1)
    assert {stage for stage, ms in spent.items() if ms > 0} == {*STAGES, "the rest"}
