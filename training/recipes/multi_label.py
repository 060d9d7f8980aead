"""A small dense network with a probability of its own for each genre, from partial labels.

What is left open about a track is left out of the loss. Several networks, which differ in their
seeds, are averaged. Built and trained with Keras; runs in numpy, see `tagger.models.multi_label`.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from tagger.models.multi_label import (
    CLIP,
    COMPANY,
    HIDDEN,
    HIDDEN_BIAS,
    MEAN,
    OUTPUT,
    OUTPUT_BIAS,
    OWN,
    OWN_BIAS,
    PROJECTION,
    SCALE,
    SILENCED_FROM,
    MultiLabelWeights,
)

UNITS = 128
EPOCHS = 40
BATCH = 128
NETWORKS = 5
RATE = 1.5e-3
NOISE = 0.3  # standard deviations, added to the inputs
DROP_INPUTS, DROP_HIDDEN = 0.2, 0.5
PENALTY = 1e-3
DECAY = 1e-2
# Of the inputs of each kind at most so many principal components are kept.
COMPONENTS = 200
# The variance of each kind of input, so that one of many columns does not outweigh the others.
VARIANCE = 256.0
# How much a rare genre counts for more: 0 not at all, 1 as if all were as frequent.
RARITY = 0.25


def fit_networks(
    rows: np.ndarray,
    targets: np.ndarray,
    *,
    kinds: Sequence[int] | None = None,
    weights: np.ndarray | None = None,
    networks: int | None = None,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Learn each label against all that surely does not have it.

    Parameters
    ----------
    rows : np.ndarray [shape=(n, n_inputs)]
    targets : np.ndarray [shape=(n, n_labels)]
        1, 0, or NaN where nothing is known.
    kinds : sequence of int, optional
        How many columns each kind of input has, in their order; by default all are of one kind.
    weights : np.ndarray [shape=(n,)], optional
        How much each row counts; by default all alike.
    networks : int
        How many are averaged; by default `NETWORKS`.

    Returns
    -------
    dict of str to np.ndarray
        The arrays that `tagger.models.multi_label` runs.
    """
    mean, scale = rows.mean(axis=0), rows.std(axis=0)
    scale[scale < 1e-6] = 1.0
    standard = np.clip((rows - mean) / scale, -CLIP, CLIP)
    projection = principal_components(standard, kinds or [rows.shape[1]])
    components = (standard @ projection).astype(np.float32)
    counts = np.ones(len(rows)) if weights is None else weights
    seeds = range(seed * 1000, seed * 1000 + (networks or NETWORKS))
    parts = [_fit_one(components, targets, counts, own) for own in seeds]
    hidden, hidden_bias, output, output_bias = (np.stack(each) for each in zip(*parts, strict=True))
    return {
        MEAN: mean,
        SCALE: scale,
        PROJECTION: projection,
        HIDDEN: hidden,
        HIDDEN_BIAS: hidden_bias,
        OUTPUT: output,
        OUTPUT_BIAS: output_bias,
    }


def principal_components(standard: np.ndarray, kinds: Sequence[int]) -> np.ndarray:
    """Return the projection on each kind's components [shape=(n_inputs, n_components)]."""
    from scipy.linalg import block_diag

    blocks = []
    for n, columns in zip(kinds, np.split(standard, np.cumsum(kinds)[:-1], axis=1), strict=True):
        centred = columns - columns.mean(axis=0)
        _, vectors = np.linalg.eigh(centred.T @ centred)
        blocks.append(vectors[:, ::-1][:, :COMPONENTS] * np.sqrt(VARIANCE / n))
    return np.asarray(block_diag(*blocks))


def predict(arrays: dict[str, np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Logits [shape=(n, n_labels)], as scan computes them."""
    weights = MultiLabelWeights(packed(arrays))
    return weights.logits(weights.components(rows))


def packed(arrays: dict[str, np.ndarray]) -> bytes:
    """Return the weights file; in half precision but for the scaling, which quarters it."""
    content = io.BytesIO()
    exact = (MEAN, SCALE, COMPANY, OWN, OWN_BIAS, SILENCED_FROM)
    small = {k: a.astype(np.float32 if k in exact else np.float16) for k, a in arrays.items()}
    np.savez_compressed(content, **small)  # type: ignore[arg-type]
    return content.getvalue()


def weighted(targets: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Targets without NaN, and the weight of each, 0 where nothing is known [shape as targets].

    Parameters
    ----------
    weights : np.ndarray [shape=(n,)]
        Of the rows.
    """
    known, truth = weights[:, None] * ~np.isnan(targets), np.nan_to_num(targets)
    positive, negative = (truth * known).sum(axis=0), ((1 - truth) * known).sum(axis=0)
    return truth, known * np.where(truth > 0, (negative / np.maximum(positive, 1)) ** RARITY, 1.0)


def _fit_one(
    rows: np.ndarray, targets: np.ndarray, weights: np.ndarray, seed: int
) -> list[np.ndarray]:
    from tagger.training.recipes.keras_start import start_keras

    start_keras()
    import keras

    keras.utils.set_random_seed(seed)
    truth, weight = weighted(targets.astype(np.float32), weights.astype(np.float32))

    def loss(truth_and_weight: np.ndarray, logits: np.ndarray) -> object:
        truth, weight = keras.ops.split(truth_and_weight, 2, axis=1)
        surprise = keras.ops.softplus(logits) - truth * logits
        return keras.ops.sum(weight * surprise, axis=1)

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((rows.shape[1],)),
            layers.GaussianNoise(NOISE, seed=seed),
            layers.Dropout(DROP_INPUTS, seed=seed + 1),
            layers.Dense(UNITS, "relu", kernel_regularizer=keras.regularizers.L2(PENALTY)),
            layers.Dropout(DROP_HIDDEN, seed=seed + 2),
            layers.Dense(targets.shape[1]),
        ]
    )
    steps = EPOCHS * -(-len(rows) // BATCH)
    model.compile(
        keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(RATE, steps), DECAY), loss
    )
    both = np.concatenate([truth, weight.astype(np.float32)], axis=1)
    model.fit(rows, both, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    return [np.asarray(w, dtype=np.float64) for w in model.get_weights()]
