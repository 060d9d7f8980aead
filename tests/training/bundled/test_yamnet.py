"""The second pretrained network: how it is made, what ships, and that it hears what it should."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from tagger.models import zoo
from tagger.models.card import read_card
from tagger.models.embeddings import mean_embedding, mean_logits
from tagger.models.registry import bundled_folder
from tagger.models.track_features import TrackFeatures
from tagger.sound.audio import read_excerpts
from tagger.sound.yamnet_patches import YAMNET_FRAMES, YAMNET_MELS
from tagger.system.errors import ConfigurationError
from tagger.training.bundled import yamnet


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_another_network_is_refused(tmp_path):
    file = tmp_path / yamnet.FILE
    file.write_bytes(b"TFL3")
    with pytest.raises(ConfigurationError, match="is not the"):
        yamnet.read_known(file, yamnet.FILE)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        yamnet.read_known(tmp_path / "gone", yamnet.FILE)


def test_the_bundled_network_comes_with_its_licence_and_its_classes():
    folder = bundled_folder() / "yamnet"
    licence = (folder / "LICENSE").read_text()
    assert "Apache License" in licence and "Changed for gtag" in licence
    card = read_card(folder)
    assert card.kind == "backbone" and card.data["licence"].startswith("Apache-2.0")
    assert len(card.labels) == 521
    assert {"Speech", "Music", "Rain", "Cricket"} <= set(card.labels)


def test_many_patches_at_once_are_heard_like_each_alone():
    backbone = zoo.load_backbone("yamnet")
    patches = np.random.default_rng(0).normal(-2, 1.5, (31, YAMNET_FRAMES, YAMNET_MELS))
    together = backbone.outputs(patches.astype(np.float32))
    for i in (0, 11, 12, 30):
        for name, alone in backbone.outputs(patches[i : i + 1].astype(np.float32)).items():
            np.testing.assert_array_equal(together[name][i], alone[0])


@pytest.mark.shared_data
def test_the_command_makes_what_ships(shared_data, tmp_path):
    """The weights are as they were: the new outputs are of the tensors inside the original."""
    from ai_edge_litert.interpreter import Interpreter

    originals = shared_data.parent / "weights"
    folder = tmp_path / "yamnet"
    arguments = [str(originals / name) for name in (yamnet.FILE, yamnet.CLASSES)]
    ran = CliRunner().invoke(yamnet.main, [*arguments, "--output", str(folder)])
    assert ran.exit_code == 0, ran.output
    shipped = bundled_folder() / "yamnet"
    assert read_card(folder).data == read_card(shipped).data
    assert (folder / "LICENSE").read_bytes() == (shipped / "LICENSE").read_bytes()

    original = Interpreter(str(originals / yamnet.FILE), num_threads=1)
    original.allocate_tensors()
    (given,), (scores,) = original.get_input_details(), original.get_output_details()
    patch = np.random.default_rng(0).normal(-2, 1.5, (1, YAMNET_FRAMES, YAMNET_MELS))
    original.set_tensor(given["index"], patch.astype(np.float32))
    original.invoke()
    said = zoo.load_backbone("yamnet").outputs(patch.astype(np.float32))
    assert said["embedding"].shape == (1, 1024) and said["tags"].shape == (1, 521)
    np.testing.assert_allclose(
        1 / (1 + np.exp(-said["tags"])), original.get_tensor(scores["index"]), atol=1 / 256
    )


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["gtzan", "no_music", "ishkur"])
def test_it_hears_what_the_original_heard(shared_data, name):
    """Against the network that takes the waveform, on real sound (every tenth recording)."""
    network = zoo.load_backbone("yamnet")
    folder = shared_data / name
    files = {file.stem: file for file in sorted((folder / "audio").rglob("*.*"))}
    with np.load(folder / "views.npz") as kept:
        known = [kept[column].astype(float) for column in ("yamnet", "yamnet_logits")]
        names = [str(track) for track in kept["names"]]
    for i in range(0, len(names), 10):
        features = TrackFeatures.from_sound(read_excerpts(files[names[i]]))
        assert cosine(mean_embedding(network, features), known[0][i]) > 0.99, names[i]
        assert cosine(mean_logits(network, features), known[1][i]) > 0.99, names[i]


def test_a_damaged_network_is_refused_by_its_digest(tmp_path):
    from tagger.system.errors import ModelError

    folder = tmp_path / "yamnet"
    shutil.copytree(bundled_folder() / "yamnet", folder)
    content = bytearray((folder / "yamnet.tflite").read_bytes())
    content[1000] ^= 1
    (folder / "yamnet.tflite").write_bytes(content)
    with pytest.raises(ModelError, match="not the file"):
        zoo.load_backbone(str(folder))
