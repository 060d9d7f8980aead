"""Between the epochs of a network on chunks: what is looked at, how an interrupted one resumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tagger.models.prediction import log_softmax
from tagger.sound.spectrogram import chunks
from tagger.training.data.datasets import Example, targets
from tagger.training.recipes import Settings

WATCHED = 256  # examples at most, epoch by epoch: for looking at, and soon done
AT_ONCE = 32  # of them


def go_on_at_random(model: Any, begun: Any, steps: int) -> None:
    """Let dropout of a loaded model go on after so many steps, as it would have without a break.

    Keras keeps neither its seeds nor how often they were used: the former are taken from a model
    that was built the same way.
    """
    for own, other in zip(_seeds(model), _seeds(begun), strict=True):
        own.assign([int(other.numpy()[0]), steps])


def _seeds(model: Any) -> list[Any]:
    return [v for v in model.non_trainable_variables if v.path.endswith("seed_generator_state")]


def watched(settings: Settings, labels: Sequence[str]) -> list[Example]:
    """Those of the examples to watch that are looked at after each epoch."""
    known = [example for example in settings.watch if example.genre in labels]
    return known[:: len(known) // WATCHED + 1]


def looked_at(model: Any, examples: Sequence[Example], labels: Sequence[str]) -> dict[str, float]:
    """Loss and accuracy on the middle chunk of each example; nothing where there is none."""
    if not examples:
        return {}
    middles = [chunks(e.log_mel())[0] for e in examples]
    batch = np.stack([c[len(c) // 2] for c in middles])
    parts = [batch[i : i + AT_ONCE] for i in range(0, len(batch), AT_ONCE)]
    logits = np.concatenate([np.asarray(model(part, training=False)[0]) for part in parts])
    told = log_softmax(logits)
    truth = targets(examples, labels)
    return {
        "val_loss": -float(told[np.arange(len(truth)), truth].mean()),
        "val_accuracy": float((told.argmax(axis=1) == truth).mean()),
    }
