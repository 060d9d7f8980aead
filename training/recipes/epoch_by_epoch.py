"""Trains a network on chunks epoch by epoch, so that an interrupted training can continue."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tagger.models.prediction import log_softmax
from tagger.sound.spectrogram import chunks
from tagger.storage.durable_io import take_name, write_whole
from tagger.training.data.datasets import Example, targets
from tagger.training.recipes.fitting import Settings

WATCHED = 256  # examples at most, so that measuring after each epoch stays quick
AT_ONCE = 32  # of them

Batches = Iterator[tuple[np.ndarray, np.ndarray]]
History = list[dict[str, float]]


def train_by_epochs(
    settings: Settings,
    labels: Sequence[str],
    *,
    epochs: int,
    steps: int,
    batches: Callable[[int], Batches],
    start: Callable[[], Any],
    before_epoch: Callable[[Any, int], None],
) -> tuple[Any, History]:
    """Train; return the Keras model, and loss and accuracy epoch by epoch.

    The state after each epoch is kept in `settings.work` until training is done.

    Parameters
    ----------
    steps : int
        Batches an epoch.
    batches : callable
        The batches of an epoch and those after it.
    start : callable
        Makes the compiled model.
    before_epoch : callable
        Given the model and the number of the epoch, from 0.
    """
    import keras

    keras.utils.set_random_seed(settings.seed)
    checkpoint = settings.work / "checkpoint"
    checkpoint.mkdir(parents=True, exist_ok=True)
    told_file = checkpoint / "told.json"
    history: History = []
    state = _latest(checkpoint) if settings.resume and told_file.is_file() else None
    if state is None:
        model = start()
        seeds = [int(seed.numpy()[0]) for seed in _seeds(model)]
    else:
        # Keras saves neither the seeds of dropout nor how often they were used, once a step.
        model = keras.models.load_model(state)
        history, seeds = json.loads(told_file.read_text())
        history = history[: int(state.stem)]
        for own, seed in zip(_seeds(model), seeds, strict=True):
            own.assign([seed, len(history) * steps])
    known = [example for example in settings.watch if example.genre in labels]
    watched = known[:: len(known) // WATCHED + 1]
    with settings.bar(total=epochs, initial=len(history), unit="epochs") as bar:
        for epoch in range(len(history), epochs):
            before_epoch(model, epoch)
            told = model.fit(
                batches(epoch),
                initial_epoch=epoch,
                epochs=epoch + 1,
                steps_per_epoch=steps,
                shuffle=False,
                verbose=0,
                callbacks=settings.callbacks(),
            )
            figures = {name: float(values[0]) for name, values in told.history.items()}
            history.append(figures | _validation(model, watched, labels))
            # In this order: the name of a state says how much of the history is its own.
            write_whole(told_file, json.dumps([history, seeds]).encode())
            before, state = state, checkpoint / f"{len(history)}.keras"
            fresh = checkpoint / "fresh.keras"
            model.save(fresh)
            take_name(fresh, state)
            if before is not None:
                before.unlink()
            bar.set_postfix(loss=f"{figures['loss']:.3f}")
            bar.update()
    shutil.rmtree(checkpoint)
    return model, history


def _latest(checkpoint: Path) -> Path | None:
    """Return the state after the most epochs, by its name."""
    states = [file for file in checkpoint.glob("*.keras") if file.stem.isdecimal()]
    return max(states, key=lambda file: int(file.stem), default=None)


def _seeds(model: Any) -> list[Any]:
    return [v for v in model.non_trainable_variables if v.path.endswith("seed_generator_state")]


def _validation(model: Any, examples: Sequence[Example], labels: Sequence[str]) -> dict[str, float]:
    """Loss and accuracy on the middle chunk of each example; nothing where there is none."""
    if not examples:
        return {}
    middles = [chunks(e.log_mel())[0] for e in examples]
    batch = np.stack([c[len(c) // 2] for c in middles])
    parts = [batch[i : i + AT_ONCE] for i in range(0, len(batch), AT_ONCE)]
    logits = np.concatenate([np.asarray(model(part, training=False)[0]) for part in parts])
    said = log_softmax(logits)
    truth = targets(examples, labels)
    return {
        "val_loss": -float(said[np.arange(len(truth)), truth].mean()),
        "val_accuracy": float((said.argmax(axis=1) == truth).mean()),
    }
