"""Measures how good own genres become with more tracks, for docs/training.md.

    python -m tagger.training.bundled.learning_curve

Learns from the shipped sample of `data.company` as if some of its genres were a person's, under new
names, and is measured on other artists; what it says of the bundled model had not learned from the
artist either. Neither the test part nor its artists are among the other music that is learned from.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tagger.training import own_genres
from tagger.training.data.company import Company, read_company
from tagger.training.measure.metrics import how_many, wilson
from tagger.training.multi_label import Family, fold_of
from tagger.training.recipes import own

GENRES = ("Blues", "Classical", "Country", "Hip-Hop", "Jazz", "Metal")
SIZES = (5, 10, 20, 50)
DRAWS = 5
FOLDS = 3  # as for a person's library
TESTED = 0  # of as many folds of artists


def curve(
    company: Company, sizes: Sequence[int] = SIZES, draws: int = DRAWS, *, new_names: bool = True
) -> dict[int, dict[str, tuple[int, int]]]:
    """Return for each number of tracks a genre what became of the test part, over all draws.

    Parameters
    ----------
    new_names : bool
        The genres have names that gtag does not know; else its own, whose decision stays where
        tracks are few.
    """
    truth = np.array([[float(g in known.genres) for g in GENRES] for known in company.known])
    truth[[[g in known.open for g in GENRES] for known in company.known]] = np.nan
    inside = np.nansum(truth, axis=1) > 0
    tested = fold_of(company.artists, folds=FOLDS) == TESTED
    labels = tuple(f"my {g}" if new_names else g for g in GENRES)
    rows = own.rows_of(company)
    found = {}
    for size in sizes:
        counts: dict[str, list[tuple[int, int]]] = {}
        for draw in range(draws):
            chosen = _drawn(truth, inside & ~tested, size, draw)
            lesson = own.lesson_of(
                labels, truth[chosen], rows[chosen], company.only(~inside & ~tested)
            )
            artists = [company.artists[i] for i in chosen]
            judged = own_genres.judge(lesson, fold_of(artists, draw, FOLDS))
            fitted = judged.lesson.fit(lesson.rows, lesson.table, lesson.weights)
            said = judged.calibrated(fitted(rows[tested]))
            limits = np.array([f.threshold for f in judged.figures])
            names = Family(labels).named(said, limits)
            mine, n = inside[tested], len(names)
            right = truth[tested][np.arange(n), np.maximum(names, 0)] == 1
            best = truth[tested][np.arange(n), said.argmax(axis=1)] == 1
            foreign = (truth[tested] == 0).all(axis=1)
            for key, what, of in (
                ("best guess right", best, mine),
                ("named", names >= 0, mine),
                ("right, of those", right, mine & (names >= 0)),
                ("named, of other music", names >= 0, foreign),
            ):
                counts.setdefault(key, []).append(how_many(what, of))
        found[size] = {
            key: (sum(k for k, _ in pairs), sum(n for _, n in pairs))
            for key, pairs in counts.items()
        }
    return found


def _drawn(truth: np.ndarray, allowed: np.ndarray, size: int, draw: int) -> list[int]:
    """Return so many tracks of each genre."""
    rng = np.random.default_rng(draw)
    chosen: dict[int, None] = {}
    for j in range(truth.shape[1]):
        mine = np.flatnonzero(allowed & (truth[:, j] == 1))
        chosen |= dict.fromkeys(rng.choice(mine, min(size, len(mine)), replace=False).tolist())
    return list(chosen)


def main() -> None:
    company = read_company(own.base())
    for new_names in (True, False):
        print("new names" if new_names else "names that gtag knows")
        for size, shares in curve(company, new_names=new_names).items():
            cells = []
            for k, n in shares.values():
                # The draws measure the same tracks: their mean is as sure as one of them.
                low, high = wilson(round(k / DRAWS), round(n / DRAWS))
                share = k / max(n, 1)
                cells.append(f"{share:.0%} ({low:.0%}-{high:.0%}, n = {n / DRAWS:.0f})")
            print(f"| {size} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
