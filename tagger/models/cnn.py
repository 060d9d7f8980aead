"""Runs a chunk-averaged CNN with LiteRT.

Weights are a `.tflite` file whose signature takes `chunks` and returns `logits` and `embedding`.
Must not know: where models are kept, how they were trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tagger.errors import ModelError
from tagger.models.card import Card
from tagger.models.heard import Heard
from tagger.models.prediction import Prediction

# One process a core is how a collection is scanned; a second thread would only get in the way.
THREADS = 1


@dataclass(frozen=True)
class NetworkOutput:
    """What the network says of each chunk.

    Attributes
    ----------
    logits : np.ndarray [shape=(n_chunks, n_labels)]
    embedding : np.ndarray [shape=(n_chunks, n_dimensions)]
    """

    logits: np.ndarray
    embedding: np.ndarray


class ChunkCnn:
    """A chunk-averaged CNN, ready to be asked.

    Raises
    ------
    ModelError
        Where the weights are damaged or are no such network.
    """

    def __init__(self, card: Card) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self.card = card
        try:
            self._interpreter = Interpreter(model_content=card.weights(), num_threads=THREADS)
            self._run: Any = self._interpreter.get_signature_runner()
            outputs = self._run.get_output_details()
            width = outputs["logits"]["shape"][-1]
            outputs["embedding"]  # noqa: B018  asked for its KeyError
        except (ValueError, RuntimeError, KeyError) as error:
            raise ModelError(
                f"the weights are no network of ours: {error}", path=card.folder
            ) from error
        if width != len(card.labels):
            raise ModelError(
                f"the network has {width} outputs for {len(card.labels)} labels", path=card.folder
            )

    def hear(self, heard: Heard) -> NetworkOutput:
        """Logits and embedding of each chunk of a track."""
        chunks, _ = heard.chunks
        output = self._run(chunks=chunks)
        return NetworkOutput(output["logits"], output["embedding"])

    def predict(self, heard: Heard) -> Prediction:
        logits = self.hear(heard).logits
        return Prediction(
            labels=self.card.labels,
            probabilities=chunk_average(logits, self.card.temperature),
            model=self.card.tag,
            chunk_probabilities=np.exp(_log_softmax(logits)),
            chunk_starts_s=heard.chunks[1],
        )


def chunk_average(logits: np.ndarray, temperature: float) -> np.ndarray:
    """A track's probabilities from its chunks: the mean in log space, then calibrated.

    Parameters
    ----------
    logits : np.ndarray [shape=(n_chunks, n_labels)]
    temperature : float

    Returns
    -------
    np.ndarray [shape=(n_labels,)]
    """
    mean = _log_softmax(logits).mean(axis=0)
    return np.exp(_log_softmax(mean / temperature))


def _log_softmax(x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float64)
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))
