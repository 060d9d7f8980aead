"""Pictures of how good a model is and of how it learned: each one PNG, as bytes.

No screen is needed. Names of genres and features may be other people's text: nothing in them is
taken as markup.
"""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, wraps
from typing import Any, Concatenate, ParamSpec

import numpy as np

from tagger.system.screen import printable
from tagger.training.measure.metrics import (
    Measured,
    Measurement,
    accuracy_by_coverage,
    confusion_matrix,
    per_genre,
)
from tagger.training.measure.training_history import Correlation

DPI = 110
# Okabe & Ito 2008: for all eyes.
BLUE, ORANGE, GREEN, PINK = "#0072b2", "#e69f00", "#009e73", "#cc79a7"
SKY, RED, BLACK = "#56b4e9", "#d55e00", "#000000"
COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY, RED, BLACK)
MARKERS = "osD^vPX"
GREY = "#999999"
# The first one of them that has a letter draws it; for scripts that DejaVu lacks.
FONTS = (
    "DejaVu Sans",
    *(f"Noto Sans {kind}" for kind in ("CJK JP", "CJK SC", "JP", "SC", "KR", "Arabic", "Hebrew")),
    *("Noto Sans Devanagari", "Noto Sans Thai", "Source Han Sans", "IPAGothic", "TakaoGothic"),
    *("WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback", "Unifont"),
    *("Yu Gothic", "Meiryo", "Microsoft YaHei", "Malgun Gothic", "Segoe UI"),
    *("Hiragino Sans", "PingFang SC", "Apple SD Gothic Neo", "Arial Unicode MS"),
)
STYLE: dict[str, Any] = {
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": "medium",
    "figure.titlesize": "large",
    "legend.frameon": False,
}
NAME_LENGTH = 22
GENRES_WITH_NUMBERS = 20  # more, and a confusion matrix has no room for them
GENRES_WITH_CURVES = 20
FEATURES_DRAWN = 25

P = ParamSpec("P")


def as_png(draw: Callable[Concatenate[Any, P], None]) -> Callable[P, bytes]:
    """Turn a function that draws into a figure into one that returns a PNG."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> bytes:
        from matplotlib import rc_context
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        with rc_context({**STYLE, "font.family": _fonts()}), warnings.catch_warnings():
            # A script that no font has comes out as boxes, and `lacks_glyphs` tells of it.
            warnings.filterwarnings("ignore", message="Glyph")
            figure = Figure(dpi=DPI, layout="constrained")
            FigureCanvasAgg(figure)
            draw(figure, *args, **kwargs)
            png = io.BytesIO()
            figure.savefig(png, format="png")
            return png.getvalue()

    return drawn


@cache
def _fonts() -> list[str]:
    """Return those of `FONTS` that are installed."""
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return [name for name in FONTS if name in installed]


def lacks_glyphs(names: Iterable[str]) -> bool:
    """Tell whether names have letters that no installed font has."""
    from matplotlib.font_manager import findfont, get_font

    letters = {ord(letter) for name in names for letter in short(name)}
    return bool(letters - {c for name in _fonts() for c in get_font(findfont(name)).get_charmap()})


def _interval(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a figure of each row, and the lengths of its error bars, down and up."""
    value, low, high = (
        np.array([row[name + end] for row in rows]) for end in ("", "_low", "_high")
    )
    return value, np.maximum([value - low, high - value], 0)


def short(name: str) -> str:
    """Return a name that fits beside an axis and does nothing to the picture."""
    name = printable(name)
    return name if len(name) <= NAME_LENGTH else name[: NAME_LENGTH - 1] + "…"


def _in_two_lines(name: str) -> str:
    """Return a name that needs more room, and has it."""
    return "\n".join(textwrap.wrap(printable(name), NAME_LENGTH, max_lines=2, placeholder="…"))


@as_png
def confusion(figure: Any, measured: Measured) -> None:
    """Draw a heat map of what was taken for what; each row sums to 1."""
    from sklearn.metrics import ConfusionMatrixDisplay

    matrix = confusion_matrix(measured)
    n = len(matrix)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = float(np.clip(0.62 * n + 2.5, 5, 16))
    figure.set_size_inches(side + 1, side)
    ax = figure.subplots()
    drawn = ConfusionMatrixDisplay(shares, display_labels=list(map(short, measured.labels))).plot(
        ax=ax,
        cmap="Blues",
        colorbar=False,
        include_values=n <= GENRES_WITH_NUMBERS,
        im_kw={"vmin": 0, "vmax": 1},
    )
    ax.set_xticks(ax.get_xticks(), ax.get_xticklabels(), rotation=45, ha="right")
    ax.tick_params(axis="x", rotation=45)
    ax.set(xlabel="predicted genre", ylabel="true genre")
    ax.set_title(f"Confusion matrix, {matrix.sum():,} tracks")
    for place, text in np.ndenumerate(drawn.text_ if drawn.text_ is not None else []):
        text.set(text=f"{matrix[place] or ''}", size=9)  # tracks in place of shares
    figure.colorbar(drawn.im_, ax=ax, label="share of the genre's tracks", shrink=0.8)


@as_png
def genres(figure: Any, measured: Measured) -> None:
    """Precision, recall and F1 of each genre with their 95 % intervals."""
    rows = {label: row for label, row in per_genre(measured).items() if row["n"]}
    y = np.arange(len(rows))
    figure.set_size_inches(10, max(3.0, 0.34 * len(rows) + 1.4))
    figure.suptitle("Each genre, with 95 % intervals; dashed: mean over the genres")
    kinds = (("Precision", "precision"), ("Recall", "recall"), ("F1", "f1"))
    for ax, (title, key), colour in zip(
        figure.subplots(1, 3, sharey=True), kinds, COLOURS, strict=False
    ):
        # A genre that is never guessed has no precision: nothing is drawn but its interval.
        value, xerr = _interval(list(rows.values()), key)
        ax.errorbar(value, y, xerr=xerr, fmt="o", color=colour, capsize=2)
        ax.axvline(value.mean(), color=GREY, linestyle="--", linewidth=1)
        ax.set_xlim(-0.02, 1.02)
        ax.set_title(title)
        ax.grid(axis="x", alpha=0.3)
        ax.set_yticks(y, [f"{short(label)} ({row['n']})" for label, row in rows.items()])
    figure.axes[0].invert_yaxis()
    figure.axes[0].set_ylabel("genre (tracks)")
    figure.supxlabel("share", size="medium")


@as_png
def precision_recall_curves(figure: Any, measured: Measured) -> None:
    """Draw precision over recall: one panel a genre, the others behind it in grey."""
    from sklearn.metrics import PrecisionRecallDisplay, precision_recall_curve

    def display(truth: np.ndarray, scores: np.ndarray) -> Any:
        precision, recall, _ = precision_recall_curve(truth, scores)
        # Without the point at a recall of 0, which was not measured.
        return PrecisionRecallDisplay(precision=precision[:-1], recall=recall[:-1])

    figure.suptitle("Precision and recall of each genre as its threshold falls")
    _panels(figure, measured, display, "AP", "average_precision")
    figure.supxlabel("recall", size="medium")
    figure.supylabel("precision", size="medium")


@as_png
def roc_curves(figure: Any, measured: Measured) -> None:
    """Draw the receiver operating characteristic: panels as for precision and recall."""
    from sklearn.metrics import RocCurveDisplay, roc_curve

    def display(truth: np.ndarray, scores: np.ndarray) -> Any:
        false_positives, true_positives, _ = roc_curve(truth, scores)
        return RocCurveDisplay(fpr=false_positives, tpr=true_positives)

    figure.suptitle("Tracks of a genre found, over other tracks taken for it")
    _panels(figure, measured, display, "AUC", "roc_auc")
    figure.supxlabel("false positive rate", size="medium")
    figure.supylabel("true positive rate (recall)", size="medium")


def _panels(
    figure: Any,
    measured: Measured,
    display: Callable[[np.ndarray, np.ndarray], Any],
    short_name: str,
    figure_name: str,
) -> None:
    """Draw a curve of each of the most frequent genres that can be told from others."""
    rows = list(per_genre(measured).values())
    known = [i for i, row in enumerate(rows) if row[figure_name] is not None]
    drawn = sorted(sorted(known, key=lambda i: -rows[i]["n"])[:GENRES_WITH_CURVES])
    columns = max(1, min(5, len(drawn)))
    lines = max(1, -(-len(drawn) // columns))
    figure.set_size_inches(max(4.5, 2.3 * columns), 2.5 * lines + 0.8)
    axes = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for ax in axes[len(drawn) :]:
        ax.set_visible(False)
    curves = {i: display(*measured.against_the_rest(i)) for i in drawn}
    for ax, i in zip(axes, drawn, strict=False):
        for other, curve in curves.items():
            curve.plot(ax=ax)
            own = other == i
            # Afterwards: from version to version plot() takes a line's style in another way.
            for line in np.ravel(curve.line_):
                line.set(color=BLUE if own else "#dddddd", linewidth=1 + own, zorder=2 + own)
        name = short(measured.labels[i])
        ax.set_title(
            f"{name}\nn {rows[i]['n']}, {short_name} {rows[i][figure_name]:.2f}", size="small"
        )
        ax.set(xlabel="", ylabel="", xlim=(0, 1), ylim=(0, 1))


@as_png
def learning_curve(figure: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw accuracy over the number of tracks that are learned from."""
    from sklearn.model_selection import LearningCurveDisplay

    figure.set_size_inches(7, 4.6)
    ax = figure.subplots()
    accuracies = np.array([row["accuracy"] for row in rows])
    LearningCurveDisplay(
        train_sizes=np.array([row["tracks"] for row in rows]),
        train_scores=accuracies,
        test_scores=accuracies,
    ).plot(ax=ax, score_type="test", score_name="accuracy", std_display_style="errorbar")
    ax.legend(["mean of the splits, with its standard deviation"], loc="lower right")
    ax.set(ylim=(0, 1.02), xlabel="tracks that are learned from")
    ax.set_title("Accuracy against training size")
    ax.grid(alpha=0.3)


@as_png
def reliability_diagram(figure: Any, measured: Measured, ece: float) -> None:
    """Accuracy over confidence with 95 % intervals, above how often each confidence occurs."""
    figure.set_size_inches(6, 6.2)
    bins = measured.bins
    middles = np.array([(b.low + b.high) / 2 for b in bins])
    width = bins[0].high - bins[0].low
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    top.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="perfect calibration")
    accuracy, yerr = _interval([vars(b) for b in bins], "accuracy")
    top.errorbar(
        [b.confidence for b in bins],
        accuracy,
        yerr=yerr,
        fmt="o",
        color=BLUE,
        capsize=2,
        label="measured, with 95 % interval",
    )
    top.set_ylim(-0.02, 1.02)
    top.set_xlim(-0.02, 1.02)
    top.set_ylabel("accuracy")
    top.set_title(f"Reliability: calibration error (ECE) {ece:.3f}")
    top.legend()
    top.grid(alpha=0.3)
    bottom.bar(middles, [b.n for b in bins], width=width * 0.94, color=SKY)
    bottom.set_ylabel("tracks")
    bottom.set_xlabel("confidence")


@as_png
def coverage(figure: Any, measured: Measured, threshold: float | None) -> None:
    """Accuracy of the surest share of the tracks, and where the model's threshold stands."""
    confidence, share, accuracy = accuracy_by_coverage(measured)
    figure.set_size_inches(7, 4.6)
    ax = figure.subplots()
    ax.plot(share, accuracy, color=BLUE, linewidth=2, label="accuracy of the named")
    ax.plot(share, confidence, color=ORANGE, linestyle="--", label="lowest confidence among them")
    named = 0 if threshold is None else int((confidence >= threshold).sum())
    if named:
        ax.plot(
            share[named - 1],
            accuracy[named - 1],
            "o",
            color=RED,
            markersize=9,
            label=f"threshold {threshold:.2f}: {share[named - 1]:.0%} named, "
            f"{accuracy[named - 1]:.0%} of them right",
        )
    ax.set_xlim(0, 1.01)
    ax.set_ylim(0, 1.03)
    ax.set_xlabel("coverage: share of the tracks that are named, the most confident first")
    ax.set_ylabel("accuracy, confidence")
    ax.set_title("Accuracy and coverage")
    ax.legend(loc="lower left")
    ax.grid(alpha=0.3)


@as_png
def comparison(figure: Any, rows: Sequence[Measurement], title: str) -> None:
    """Accuracy of several models, or of recipes under several protocols, with 95 % intervals."""
    names = list(dict.fromkeys(row.name for row in rows))
    series = list(dict.fromkeys(row.protocol for row in rows))
    room = 0.22 * len(series) + 0.2
    figure.set_size_inches(9, max(2.6, room * len(names) + 1.6))
    ax = figure.subplots()
    for s, kind in enumerate(series):
        own = [row for row in rows if row.protocol == kind]
        y = [names.index(row.name) + 0.7 * ((s + 0.5) / len(series) - 0.5) for row in own]
        value, xerr = _interval([row.figures for row in own], "accuracy")
        ax.errorbar(
            value,
            y,
            xerr=xerr,
            fmt=MARKERS[s % len(MARKERS)],
            color=COLOURS[s % len(COLOURS)],
            capsize=2,
            label=short(kind),
        )
    for boundary in range(len(names) - 1):
        ax.axhline(boundary + 0.5, color="#eeeeee", linewidth=1, zorder=0)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_yticks(range(len(names)), [_in_two_lines(name) for name in names])
    ax.set_xlim(0, 1)
    ax.set_xlabel("accuracy, with 95 % interval")
    ax.set_title(printable(title))
    ax.grid(axis="x", alpha=0.3)
    if len(series) > 1:
        figure.legend(loc="outside lower center", ncols=min(4, len(series)))


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
    """Draw the features that a model relies on.

    Parameters
    ----------
    rows : sequence of (str, float, float)
        As `TrainingHistory.importance`; what is unknown of all features is not drawn.
    """
    rows = rows[:FEATURES_DRAWN]
    y = np.arange(len(rows))
    kinds = (
        ([row[1] for row in rows], BLUE, "share of all gain"),
        ([row[2] for row in rows], ORANGE, "increase of the log loss (permutation)"),
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
def correlation(figure: Any, found: Correlation) -> None:
    """Heat map of the features' correlations, those that go together side by side."""
    from scipy.cluster.hierarchy import leaves_list, linkage

    matrix, names = found.matrix, list(found.names)
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
