"""Measures `gtag audit`: wrong genres are planted among judged songs, and looked for.

    python -m tagger.training.bundled.planted --data GTZAN --data PANDA --data MIREX \\
        --data EMOTIFY --data ISHKUR --data NO_MUSIC

The sets are those that the bundled models learned from, in the same order: what `cnn` says of a
song is its out-of-fold prediction, by models that did not learn from the artist, calibrated on
other folds. A song's own genre is the one where its judges would file it first. In each of twenty
rounds 5 % of the songs get the genre of another song instead, none that is above or below one that
the judges accept; after twenty rounds each song had a wrong genre once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from tagger.containers.read import TagState
from tagger.deciding import second_opinion
from tagger.deciding.decide import Policy, decide
from tagger.genres.vocabulary import lineage
from tagger.models.card import OUT_OF_FOLD, Card, read_card
from tagger.models.prediction import Prediction
from tagger.models.registry import bundled_folder
from tagger.system.errors import DataError
from tagger.training import multi_label
from tagger.training.data.datasets import read_tracks
from tagger.training.data.partial_labels import JUDGED
from tagger.training.data.track_views import read_items
from tagger.training.measure.metrics import told
from tagger.training.reporter import Tool

ROUNDS = 20
TRIED = (1.0, 0.2, 0.1, 0.05, 0.02)  # for `second_opinion.MOST_OWN`
SEED = 0


def judged_predictions(
    folders: Sequence[Path], card: Card
) -> list[tuple[tuple[str, ...], Prediction]]:
    """Return each judged song's accepted genres, the first one first, with its prediction.

    Raises
    ------
    DataError
        The sets are not those that the model learned from, in this order.
    """
    items = [item for folder in folders for item in read_items(folder)]
    with np.load(card.folder / OUT_OF_FOLD) as kept:
        logits, targets = kept["logits"].astype(float), kept["targets"].astype(float)
    table = multi_label.targets(items, card.labels)
    if not np.array_equal(np.nan_to_num(table, nan=-1.0), targets):
        raise DataError("the sets are not those of the model, or in another order")
    weights = np.array(
        [
            multi_label.SETS.get(item.source, multi_label.Says()).calibration
            * (1.0 if item.sound or item.views else multi_label.ESTIMATED)
            for item in items
        ]
    )
    folds = multi_label.fold_of([item.artist for item in items])
    rows = multi_label.cross_calibrated(logits, table, weights, folds)
    accepted = {
        row["track"]: tuple(JUDGED.get(name, name) for name in row["judged"].split("; "))
        for folder in folders
        for row in read_tracks(folder, ("track",))
        if row.get("judged")
    }
    return [
        (
            accepted[item.track],
            Prediction(card.labels, row, card.tag, card.thresholds, True, aims=card.aims),
        )
        for item, row in zip(items, rows, strict=True)
        if item.track in accepted
    ]


def own_confidence(prediction: Prediction, genre: str) -> float:
    """Return what an audit says of a song with this genre in its tags; infinite: nothing."""
    said = decide(prediction, TagState(genres=(genre,)), Policy()).own_confidence
    return float("inf") if said is None else said


def planted(accepted: Sequence[tuple[str, ...]], seed: int = SEED) -> list[str]:
    """Return a wrong genre for each song: another one's, which none of its own is related to."""
    rng = np.random.default_rng(seed)
    wrong = []
    for own in accepted:
        others = [genres[0] for genres in accepted if not _related(genres[0], own)]
        wrong.append(others[rng.integers(len(others))])
    return wrong


def _related(genre: str, own: Sequence[str]) -> bool:
    return any(name in lineage(genre) or genre in lineage(name) for name in own)


@click.command(cls=Tool)
@click.option("--data", required=True, multiple=True, type=click.Path(exists=True, path_type=Path))
def main(data: tuple[Path, ...]) -> None:
    """Measure how many planted genres an audit finds, and how many of its finds are planted."""
    card = read_card(bundled_folder() / "cnn")
    shipped, second_opinion.MOST_OWN = second_opinion.MOST_OWN, 1.0
    songs = judged_predictions(data, card)
    wrong = planted([accepted for accepted, _ in songs])
    of_right = np.array([own_confidence(p, accepted[0]) for accepted, p in songs])
    of_wrong = np.array(
        [own_confidence(p, genre) for (_, p), genre in zip(songs, wrong, strict=True)]
    )
    known = sum(genre in card.labels for genre in wrong)
    click.echo(f"{len(songs)} songs, {known} of the planted genres known to {card.tag}")
    click.echo("own at most | found of those planted | rightly listed | listed of those right")
    for most in TRIED:
        found, false = int((of_wrong <= most).sum()), int((of_right <= most).sum())
        # Over all rounds; each song is right in all but one of them.
        listed = found + (ROUNDS - 1) * false
        of_listed = told(round(found / ROUNDS), round(listed / ROUNDS))
        mark = "*" if most == shipped else " "
        click.echo(
            f"{mark}{most:.2f} | {told(found, len(songs))} | {found / listed:.1%}, one round:"
            f" {of_listed} | {told(false, len(songs))}"
        )


if __name__ == "__main__":
    main()
