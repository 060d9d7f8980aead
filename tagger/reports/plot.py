"""Draws one track: waveform, log-mel spectrogram, genres from chunk to chunk.

Excerpts stand side by side, each under the time where it lies in the track.
"""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np

from tagger.models.prediction import Prediction
from tagger.sound.audio import Sound
from tagger.sound.decoder import SAMPLE_RATE
from tagger.sound.spectrogram import (
    CHUNK_COLUMNS,
    COLUMN_S,
    N_MELS,
    TOP_DB,
    LogMel,
    mel_frequencies,
)

SIZE_INCHES = 12.0, 8.0
DPI = 110
WAVE_POINTS = 1200  # of an excerpt: more than the picture has pixels
GENRES_DRAWN = 4  # in colour; the others together in grey
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7")  # Okabe & Ito 2008: for all eyes


def plot_track(
    sound: Sound, mel: LogMel, prediction: Prediction, title: str, file: str | PathLike[str]
) -> None:
    """Write the picture of one track as PNG.

    Parameters
    ----------
    sound : Sound
    mel : LogMel
        Of the same excerpts.
    prediction : Prediction
        Without probabilities of chunks, their panel is left out.
    title : str
        Shown as it is, without markup.
    file : path-like
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lengths = [db.shape[1] for db in mel.excerpts]
    timeline = prediction.chunk_probabilities is not None
    heights = (1.0, 2.2, 1.8) if timeline else (1.0, 2.2)
    figure = Figure(figsize=SIZE_INCHES, dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(
        len(heights),
        len(lengths),
        squeeze=False,
        sharey="row",
        sharex="col",
        width_ratios=lengths,
        height_ratios=heights,
    )
    genre, confidence = prediction.ranked()[0]
    figure.suptitle(
        f"{title}\n{genre} {confidence:.0%}, then {prediction.runner_up} "
        f"{prediction.runner_up_confidence:.0%} · {prediction.model}",
        parse_math=False,
    )
    for column, (excerpt, db) in enumerate(zip(sound.excerpts, mel.excerpts, strict=True)):
        _draw_waveform(axes[0, column], excerpt.samples[excerpt.edge_before :], excerpt.start_s)
        image = _draw_spectrogram(axes[1, column], db, excerpt.start_s)
        axes[0, column].set_xlim(excerpt.start_s, excerpt.start_s + db.shape[1] * COLUMN_S)
        axes[-1, column].xaxis.set_major_formatter(lambda s, _: f"{int(s) // 60}:{int(s) % 60:02d}")
        axes[-1, column].set_xlabel("time in the track (min:s)")
    axes[0, 0].set_ylabel("amplitude")
    axes[1, 0].set_ylabel("frequency (Hz, mel scale)")
    figure.colorbar(image, ax=axes[1, :], label="dB below the maximum", pad=0.01, aspect=15)
    if timeline:
        handles = _draw_timeline(axes[2], prediction, mel)
        axes[2, 0].set_ylabel("probability\nby chunk")
        figure.legend(
            handles=handles, loc="outside lower center", ncols=len(handles), frameon=False
        )
    figure.savefig(file, format="png")


def _draw_waveform(ax: Any, samples: np.ndarray, start_s: float) -> None:
    """Draw the outline: lowest and highest sample of each stretch."""
    width = max(1, len(samples) // WAVE_POINTS)
    stretches = samples[: len(samples) // width * width].reshape(-1, width)
    time = start_s + np.arange(len(stretches)) * width / SAMPLE_RATE
    ax.fill_between(
        time, stretches.min(axis=1), stretches.max(axis=1), color="#444444", linewidth=0
    )
    ax.set_ylim(-1.05, 1.05)


def _draw_spectrogram(ax: Any, db: np.ndarray, start_s: float) -> Any:
    end_s = start_s + db.shape[1] * COLUMN_S
    image = ax.imshow(
        db,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=-TOP_DB,
        vmax=0,
        extent=(start_s, end_s, 0, N_MELS),
    )
    hertz = np.array([250, 500, 1000, 2000, 4000, 8000])
    ax.set_yticks(np.searchsorted(mel_frequencies(), hertz), labels=[f"{h:,}" for h in hertz])
    return image


def _draw_timeline(axes: Any, prediction: Prediction, mel: LogMel) -> list[Any]:
    """Draw each chunk's probabilities in the middle of the chunk: stacked, or side by side where
    they are independent and may sum to more than 1.
    """
    from matplotlib.patches import Patch

    assert prediction.chunk_probabilities is not None and prediction.chunk_starts_s is not None
    mean = prediction.chunk_probabilities.mean(axis=0)
    drawn = np.argsort(-mean)[: min(GENRES_DRAWN, len(mean))]
    names = [prediction.labels[i] for i in drawn]
    shares = prediction.chunk_probabilities[:, drawn]
    colours = list(COLOURS[: len(drawn)])
    if len(drawn) < len(mean) and not prediction.independent:
        shares = np.column_stack([shares, 1 - shares.sum(axis=1)])
        names, colours = [*names, "all others"], [*colours, "#cccccc"]
    chunk_s = CHUNK_COLUMNS * COLUMN_S
    for ax, start_s, db in zip(axes, mel.starts_s, mel.excerpts, strict=True):
        end_s = start_s + db.shape[1] * COLUMN_S
        inside = (prediction.chunk_starts_s >= start_s - COLUMN_S / 2) & (
            prediction.chunk_starts_s < end_s
        )
        starts = prediction.chunk_starts_s[inside]
        width = chunk_s / 2 if len(starts) > 1 else chunk_s
        middle, below, step = starts + chunk_s / 2, np.zeros(len(starts)), 0.0
        if prediction.independent:
            step = width / len(colours)
            middle, width = middle - width / 2 + step / 2, step
        for i, (share, colour) in enumerate(zip(shares[inside].T, colours, strict=True)):
            ax.bar(middle + i * step, share, width * 0.96, bottom=below, color=colour, linewidth=0)
            if not prediction.independent:
                below += share
        ax.set_ylim(0, 1)
    return [Patch(color=c, label=n) for c, n in zip(colours, names, strict=True)]
