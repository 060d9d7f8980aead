"""Pictures of how a model learned, and of what it looks at: each one PNG, as bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tagger.training.measure.training_history import Correlation
from tagger.training.report.plots import BLACK, BLUE, ORANGE, as_png, short

FEATURES_DRAWN = 25


@as_png
def training_curves(figure: Any, history: Sequence[Mapping[str, float]]) -> None:
    """Loss and accuracy epoch by epoch: on what is learned from, and on what is set aside."""
    names = {name for epoch in history for name in epoch}
    panels = [kind for kind in ("loss", "accuracy") if {kind, f"val_{kind}"} & names]
    figure.set_size_inches(5.2 * len(panels), 4)
    figure.suptitle("Training")
    epochs = np.arange(1, len(history) + 1)
    for ax, kind in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        lines = ((kind, "training", BLUE, "-"), (f"val_{kind}", "validation", ORANGE, "--"))
        for name, label, colour, dashes in lines:
            if name in names:
                values = [epoch.get(name, np.nan) for epoch in history]
                marker = "o" if len(history) < 3 else ""
                ax.plot(epochs, values, dashes, marker=marker, color=colour, label=label)
        ax.set_xlabel("epoch")
        ax.set_ylabel(kind)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend()
        ax.grid(alpha=0.3)


@as_png
def importance(figure: Any, rows: Sequence[tuple[str, float, float]]) -> None:
    """What a model relies on.

    Parameters
    ----------
    rows : sequence of (str, float, float)
        As `TrainingHistory.importance`; what is unknown of all features is not drawn.
    """
    rows = rows[:FEATURES_DRAWN]
    y = np.arange(len(rows))
    kinds = (
        ([row[1] for row in rows], BLUE, "share of all gain"),
        ([row[2] for row in rows], ORANGE, "rise of the log loss when shuffled (permutation)"),
    )
    drawn = [kind for kind in kinds if np.isfinite(kind[0]).any()]
    figure.set_size_inches(5 * len(drawn) + (len(drawn) < 2), max(3.0, 0.26 * len(rows) + 1.3))
    figure.suptitle(f"The {len(rows)} most important features")
    panels = figure.subplots(1, len(drawn), sharey=True, squeeze=False)[0]
    for ax, (values, colour, label) in zip(panels, drawn, strict=True):
        ax.locator_params(axis="x", nbins=5)
        ax.barh(y, values, color=colour)
        ax.axvline(0, color=BLACK, linewidth=0.8)
        ax.set_xlabel(label)
    panels[0].set_yticks(y, [short(row[0]) for row in rows])
    panels[0].invert_yaxis()


@as_png
def correlation(figure: Any, told: Correlation) -> None:
    """Heat map of the features' correlations, those that go together side by side."""
    from scipy.cluster.hierarchy import leaves_list, linkage

    matrix, names = told.matrix, list(told.names)
    if len(names) > 2:
        order = leaves_list(linkage(matrix, method="average"))
        matrix, names = matrix[np.ix_(order, order)], [names[i] for i in order]
    side = float(np.clip(0.3 * len(names) + 2.5, 5, 12))
    figure.set_size_inches(side + 1, side)
    ax = figure.subplots()
    image = ax.imshow(matrix, cmap="PuOr", vmin=-1, vmax=1)
    ax.set_xticks(range(len(names)), [short(name) for name in names], rotation=90, size=8)
    ax.set_yticks(range(len(names)), [short(name) for name in names], size=8)
    ax.set_title("Correlation of features over the tracks")
    figure.colorbar(image, ax=ax, label="Pearson's r", shrink=0.8)
