"""One thread for linear algebra while a track is heard, and as many as before afterwards."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from tagger.models import zoo
from tagger.models.track_features import TrackFeatures
from tagger.sound import demo
from tagger.sound.audio import Excerpt, Sound
from tagger.system.one_thread import one_thread


def threads() -> set[int]:
    libraries = ThreadpoolController().select(user_api="blas").info()
    return {library["num_threads"] for library in libraries}


@pytest.fixture(autouse=True)
def two_threads():
    np.dot(np.ones(3), np.ones(3))
    with ThreadpoolController().limit(limits=2, user_api="blas"):
        if threads() != {2}:
            pytest.skip("no library with threads here")
        yield


def test_the_limit_is_lifted_by_the_last_to_leave():
    with one_thread():
        with one_thread():
            assert threads() == {1}
        assert threads() == {1}
    assert threads() == {2}
    with pytest.raises(ValueError), one_thread():
        raise ValueError
    assert threads() == {2}


def test_a_model_is_asked_in_one_thread(monkeypatch):
    """Regression: beside other processes, `--jobs 1` waited 100 ms a track for a second core."""
    seen = []
    features = TrackFeatures.from_sound(Sound((Excerpt(demo.compose("jazz", 0, 3.0), 0.0),), 3.0))
    model = zoo.load("fast")
    scores = type(model).scores
    monkeypatch.setattr(type(model), "scores", lambda *of: (seen.append(threads()), scores(*of))[1])
    model.predict(features)
    assert seen == [{1}] and threads() == {2}
