"""`gtag models`: models of one's own come in whole and checked, and go without a trace."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
import tomli_w

from tagger.models import install, zoo
from tagger.models.card import CARD, read_card
from tagger.models.registry import bundled_folder
from tagger.training.run import train_model
from tests.training.archives import write_archive

BUNDLED = bundled_folder() / "trees"


def rewrite(folder: Path, **changes: object) -> None:
    data = read_card(folder).data | changes
    data = {key: value for key, value in data.items() if value is not None}
    (folder / CARD).write_text(tomli_w.dumps(data), encoding="utf-8")


@pytest.fixture
def mine(tmp_path) -> Path:
    """A model from somewhere, with more in its folder than its card names."""
    folder = Path(shutil.copytree(BUNDLED, tmp_path / "from-somewhere"))
    rewrite(folder, name="mine", version=3)
    (folder / "run-me.sh").write_text("echo no")
    (folder / "notes").symlink_to("/etc")
    return folder


@pytest.fixture
def own(tmp_path) -> Path:
    """Where the fixture `gtag` lets the user's own models live."""
    return tmp_path / "data" / "gtag" / "models"


def traces(own: Path) -> list[str]:
    """Everything that an installation may have left."""
    return sorted(str(p.relative_to(own.parent)) for p in own.parent.rglob("*"))


def test_an_installed_model_is_known_by_its_name(gtag, mine, own, make_audio):
    ran = gtag("models", "install", mine)
    assert ran.status == 0 and "mine-3" in ran.out
    # The card and what it names, and how the model learned; nothing else.
    assert traces(own) == [
        "models",
        "models/mine",
        "models/mine/card.toml",
        "models/mine/out_of_fold.npz",
        "models/mine/trees.ubj",
    ]
    assert "mine" in gtag("models").out
    scanned = gtag("scan", "--model", "mine", "--jobs", "1", "--json", make_audio(".wav"))
    assert scanned.status == 0 and '"model": "mine-3"' in scanned.out
    assert gtag("models", "verify", "mine").out == "ok: mine-3\n"
    removed = gtag("models", "remove", "mine")
    assert removed.status == 0
    assert traces(own) == ["models"]
    assert gtag("models", "verify", "mine").status == 2


def test_a_name_that_is_taken_is_refused(gtag, mine, own):
    assert gtag("models", "install", BUNDLED).status == 2
    assert not own.exists()
    assert gtag("models", "install", mine).status == 0
    before = traces(own)
    rewrite(mine, version=4)
    ran = gtag("models", "install", mine)
    assert ran.status == 2 and "gtag models remove mine" in ran.err
    assert traces(own) == before and read_card(own / "mine").tag == "mine-3"


def damaged(folder: Path) -> None:
    content = bytearray((folder / "trees.ubj").read_bytes())
    content[1000] ^= 1
    (folder / "trees.ubj").write_bytes(content)


def linked_outside(folder: Path) -> None:
    (folder / "trees.ubj").rename(folder.parent / "elsewhere.tflite")
    (folder / "trees.ubj").symlink_to(folder.parent / "elsewhere.tflite")


def table_linked_outside(folder: Path) -> None:
    (folder / "importance.csv").symlink_to("/etc/passwd")


def no_network(folder: Path) -> None:
    (folder / "trees.ubj").write_bytes(b"no network")
    digest = hashlib.sha256(b"no network").hexdigest()
    rewrite(folder, weights={"file": "trees.ubj", "sha256": digest})


def upwards(folder: Path) -> None:
    rewrite(folder, weights=read_card(folder).data["weights"] | {"file": "../x/trees.ubj"})


def no_weights(folder: Path) -> None:
    rewrite(folder, weights=None)


def weights_of_another_shape(folder: Path) -> None:
    rewrite(folder, labels=["A", "B"])


def odd_weights(folder: Path) -> None:
    rewrite(folder, weights="trees.ubj")


@pytest.mark.parametrize(
    "spoil",
    [
        *(damaged, linked_outside, no_network, upwards, no_weights, weights_of_another_shape),
        *(odd_weights, table_linked_outside),
    ],
)
def test_what_cannot_be_trusted_is_not_installed(gtag, mine, own, spoil):
    spoil(mine)
    ran = gtag("models", "install", mine)
    assert ran.status == 2
    assert "Traceback" not in ran.err and "mistake in gtag" not in ran.err
    assert not own.parent.exists() or traces(own) in ([], ["models"])


def test_an_interrupted_installation_leaves_nothing(gtag, mine, own, monkeypatch):
    def interrupted(card):
        raise KeyboardInterrupt

    monkeypatch.setattr(install, "verify", interrupted)
    assert gtag("models", "install", mine).status == 130
    assert traces(own) == []


def test_an_ensemble_comes_with_the_models_in_its_folder(gtag, mine, own, tmp_path):
    ensemble = tmp_path / "both"
    shutil.copytree(mine, ensemble / "mine", symlinks=True)
    card = {
        "name": "both",
        "version": 1,
        "kind": "ensemble",
        "labels": list(read_card(mine).labels),
        "label": read_card(mine).data["label"],
        "members": [
            {"model": "mine-3", "weight": 1.0},
            {"model": zoo.find("trees").tag, "weight": 2.0},
        ],
    }
    (ensemble / CARD).write_text(tomli_w.dumps(card))
    assert gtag("models", "install", ensemble).status == 0
    assert traces(own)[1:] == [
        *("models/both", "models/both/card.toml", "models/both/mine"),
        *("models/both/mine/card.toml", "models/both/mine/out_of_fold.npz"),
        "models/both/mine/trees.ubj",
    ]
    assert gtag("models", "verify", "both").status == 0


def test_a_multi_label_model_comes_with_the_backbone_in_its_folder(gtag, own, tmp_path):
    """Regression: the backbone of a head was copied, that of a multi-label model was not."""
    given = Path(shutil.copytree(bundled_folder() / "cnn", tmp_path / "given"))
    shutil.copytree(bundled_folder() / "musicnn", given / "theirs")
    rewrite(given / "theirs", name="theirs")
    rewrite(given, name="many", backbone=["theirs-1", "yamnet-1"])
    assert gtag("models", "install", given).status == 0
    assert [card.tag for card in zoo.used_by(read_card(own / "many"))] == ["theirs-1", "yamnet-1"]


def test_an_installed_model_can_be_a_member_of_an_ensemble(gtag, own, tmp_path):
    """Regression: what it had been measured by was left behind."""
    archive = write_archive(tmp_path / "set")
    for name in ("mine", "other"):
        train_model("logistic", [archive], tmp_path / name, protocols=["artist"], name=name)
    assert gtag("models", "install", tmp_path / "mine").status == 0
    members = ("--member", "mine", "--member", tmp_path / "other")
    ran = gtag("train", "--recipe", "ensemble", *members, "--output", tmp_path / "both")
    assert ran.status == 0, ran.err
    assert read_card(tmp_path / "both").uses == ("mine-1", "other-1")


def test_models_of_independent_genres_are_no_members(gtag, tmp_path):
    members = ("--member", "cnn", "--member", "trees")
    ran = gtag("train", "--recipe", "ensemble", *members, "--output", tmp_path / "both")
    assert ran.status == 2 and "genres are independent" in ran.err


def test_an_interrupted_training_is_no_damaged_model(gtag, own):
    """Regression: the work of gtag train --from-tags lay among the models."""
    (own / "my-genres.work").mkdir(parents=True)
    assert gtag("models", "verify").status == 0


def test_verify_finds_the_damaged_one(gtag, mine, own):
    assert gtag("models", "install", mine).status == 0
    assert gtag("models", "verify").status == 0
    damaged(own / "mine")
    (own / "empty").mkdir()
    ran = gtag("models", "verify")
    assert ran.status == 1
    lines = ran.out.splitlines()
    assert {f"ok: {zoo.find('cnn').tag}", "ok: musicnn-1", "ok: yamnet-1"} <= set(lines)
    bad = [line for line in lines if line.startswith("damaged: ")]
    assert len(bad) == 2 and "card.toml" in bad[0] and "trees.ubj" in bad[1]
    assert gtag("models", "verify", "mine").status == gtag("models", "verify", "empty").status == 1
    # Damaged ones can be removed, too.
    assert gtag("models", "remove", "mine").status == 0
    assert gtag("models", "remove", "empty").status == 0
    assert not list(own.iterdir())


@pytest.mark.parametrize(
    "name", ["trees", "../models", "..", ".", "", "nothing", "a/b", "\x1b[31m"]
)
def test_only_ones_own_models_can_be_removed(gtag, mine, own, name):
    assert gtag("models", "install", mine).status == 0
    ran = gtag("models", "remove", name)
    assert ran.status == 2 and "\x1b" not in ran.err
    assert (own / "mine" / CARD).exists() and (BUNDLED / CARD).exists()


def test_a_linked_model_is_unlinked_and_its_folder_stays(gtag, mine, own):
    own.mkdir(parents=True)
    (own / "mine").symlink_to(mine)
    assert gtag("models", "remove", "mine").status == 0
    assert not (own / "mine").is_symlink() and (mine / CARD).exists()


def test_list_says_the_same_as_models_alone(gtag):
    assert gtag("models", "list").out == gtag("models").out
    assert gtag("models", "list", "--json").out == gtag("models", "--json").out
