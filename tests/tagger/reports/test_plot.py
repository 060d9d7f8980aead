"""The picture of `gtag show --plot`."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from tagger.models.prediction import Prediction
from tagger.reports.plot import _draw_timeline
from tagger.sound.spectrogram import N_MELS, LogMel


@pytest.mark.parametrize("independent", [True, False])
def test_probabilities_of_a_chunk_are_drawn_as_high_as_they_are(independent):
    """Regression: independent ones were stacked, and cut off where they sum to more than 1."""
    chunk = np.array([[0.9, 0.8]] if independent else [[0.9, 0.1]])
    said = Prediction(
        ("Jazz", "Blues"),
        chunk[0],
        "m-1",
        independent=independent,
        chunk_probabilities=chunk,
        chunk_starts_s=np.array([0.0]),
    )
    ax = Figure().subplots()
    _draw_timeline([ax], said, LogMel((np.zeros((N_MELS, 200), np.float32),), (0.0,), 0.0))
    jazz, blues = ax.patches
    assert [jazz.get_height(), blues.get_height()] == pytest.approx(list(chunk[0]))
    assert blues.get_y() == pytest.approx(0 if independent else 0.9)
    assert blues.get_x() >= jazz.get_x() + jazz.get_width() or not independent
