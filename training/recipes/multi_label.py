"""A small dense network with a probability of its own for each genre, from partial labels.

What is left open about a track is left out of the loss. Several networks, which differ in their
seeds, are averaged. Built and trained with Keras; runs in numpy, see `tagger.models.multi_label`.
"""

from __future__ import annotations

import io

import numpy as np

from tagger.models.multi_label import HIDDEN, HIDDEN_BIAS, OUTPUT, OUTPUT_BIAS, MultiLabelWeights

UNITS = 128
EPOCHS = 60
BATCH = 64
NETWORKS = 5
RATE = 1e-3
NOISE = 0.3  # standard deviations, added to the inputs
DROP_INPUTS, DROP_HIDDEN = 0.2, 0.5
PENALTY = 1e-3
DECAY = 1e-2


def fit_networks(
    rows: np.ndarray,
    targets: np.ndarray,
    *,
    networks: int | None = None,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Learn each label against all that surely does not have it.

    Parameters
    ----------
    rows : np.ndarray [shape=(n, n_inputs)]
    targets : np.ndarray [shape=(n, n_labels)]
        1, 0, or NaN where nothing is known.
    networks : int
        How many are averaged; by default `NETWORKS`.

    Returns
    -------
    dict of str to np.ndarray
        The arrays that `tagger.models.multi_label` runs.
    """
    mean, scale = rows.mean(axis=0), rows.std(axis=0)
    scale[scale < 1e-9] = 1.0
    standard = ((rows - mean) / scale).astype(np.float32)
    seeds = range(seed * 1000, seed * 1000 + (networks or NETWORKS))
    parts = [_fit_one(standard, targets, own) for own in seeds]
    hidden, hidden_bias, output, output_bias = (np.stack(each) for each in zip(*parts, strict=True))
    return {
        HIDDEN: hidden / scale[:, None],
        HIDDEN_BIAS: hidden_bias - (mean / scale) @ hidden,
        OUTPUT: output,
        OUTPUT_BIAS: output_bias,
    }


def predict(arrays: dict[str, np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Logits [shape=(n, n_labels)], as scan computes them."""
    return MultiLabelWeights(packed(arrays)).logits(rows)


def packed(arrays: dict[str, np.ndarray]) -> bytes:
    """The weights file; in single precision, which halves it."""
    content = io.BytesIO()
    np.savez(content, **{name: a.astype(np.float32) for name, a in arrays.items()})  # type: ignore[arg-type]
    return content.getvalue()


def weighted(targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Targets without NaN, and the weight of each, 0 where nothing is known [shape as targets]."""
    known, truth = ~np.isnan(targets), np.nan_to_num(targets)
    positive, negative = (truth * known).sum(axis=0), ((1 - truth) * known).sum(axis=0)
    # A rare genre counts for more, but not for as much as if it were as frequent as all others.
    return truth, known * np.where(truth > 0, np.sqrt(negative / np.maximum(positive, 1)), 1.0)


def _fit_one(rows: np.ndarray, targets: np.ndarray, seed: int) -> list[np.ndarray]:
    from tagger.training.recipes.keras_start import start_keras

    start_keras()
    import keras

    keras.utils.set_random_seed(seed)
    truth, weight = weighted(targets.astype(np.float32))

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
