"""The model of moods that ships is the one that its command makes, and does what its card says."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from tagger.models.linear import LinearWeights
from tagger.models.moods import mood_of, moods_card
from tagger.models.track_features import TrackFeatures
from tagger.system.errors import DataError
from tagger.training.bundled import moods
from tests.training.archives import write_archive


@pytest.mark.shared_data
def test_the_command_makes_what_ships(shared_data, tmp_path):
    ran = CliRunner().invoke(
        moods.main, ["--data", str(shared_data / "panda"), "--models", str(tmp_path)]
    )
    assert ran.exit_code == 0, ran.output
    assert "right, of what is named: 86.5% (83.2% to 89.2%, n = 489)" in ran.output
    made = LinearWeights((tmp_path / "moods" / "moods.npz").read_bytes())
    ships = moods_card().load_weights(LinearWeights)
    np.testing.assert_allclose(made.coefficients, ships.coefficients, atol=1e-3)
    np.testing.assert_allclose(made.intercept, ships.intercept, atol=0.05)


@pytest.mark.shared_data
def test_it_runs_as_it_was_fitted(shared_data):
    """Of what YAMNet says, in a scan's own form, a scan makes what training made of it."""
    items, _ = moods.labelled(shared_data / "panda")
    weights, names = moods_card().load_weights(LinearWeights), moods_card().labels
    expected = weights(moods.rows_of(items[:50])).argmax(axis=1)
    for item, best in zip(items, expected, strict=False):
        features = TrackFeatures.from_kept(
            {
                "mean yamnet-1": item.views["yamnet"],
                "logits yamnet-1": item.views["yamnet_logits"],
            }
        )
        mood = mood_of(features)
        assert mood is not None and mood.name == names[best] and 0.25 <= mood.confidence <= 1


def test_of_a_spectrogram_alone_nothing_is_told():
    assert mood_of(TrackFeatures.from_kept({})) is None


def test_a_set_without_moods_is_refused(tmp_path):
    with pytest.raises(DataError, match="quadrant"):
        moods.labelled(write_archive(tmp_path / "set"))
