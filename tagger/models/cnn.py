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
from tagger.models.prediction import Classifier, Scores, log_softmax
from tagger.native_messages import native_messages_hidden
from tagger.spectrogram import CHUNK_COLUMNS, N_MELS

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


class LiteNetwork:
    """A network in LiteRT's form, loaded from memory.

    Parameters
    ----------
    weights : bytes
        A `.tflite` file.

    Raises
    ------
    ValueError, RuntimeError, KeyError
        Where that is no network with this module's signature.
    """

    def __init__(self, weights: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter

        with native_messages_hidden():
            self._interpreter = Interpreter(model_content=weights, num_threads=THREADS)
            self._run: Any = self._interpreter.get_signature_runner()
            # Whatever LiteRT has to say, it says with the first chunk; and what cannot run at all
            # shows here.
            self._run(chunks=np.zeros((1, N_MELS, CHUNK_COLUMNS), dtype=np.float32))
        outputs = self._run.get_output_details()
        self.n_labels = int(outputs["logits"]["shape"][-1])
        self.n_dimensions = int(outputs["embedding"]["shape"][-1])

    def __call__(self, chunks: np.ndarray) -> NetworkOutput:
        """Logits and embeddings of chunks [shape=(n_chunks, N_MELS, CHUNK_COLUMNS)]."""
        # Outputs are read by name: the converter may swap their order.
        output = self._run(chunks=chunks)
        return NetworkOutput(output["logits"], output["embedding"])


class ChunkCnn(Classifier):
    """A chunk-averaged CNN, ready to be asked.

    Raises
    ------
    ModelError
        Where the weights are damaged or are no such network.
    """

    def __init__(self, card: Card) -> None:
        self.card = card
        try:
            self._network = LiteNetwork(card.weights())
        except (ValueError, RuntimeError, KeyError) as error:
            raise ModelError(
                f"the weights are no network of ours: {error}", path=card.folder
            ) from error
        if self._network.n_labels != len(card.labels):
            raise ModelError(
                f"the network has {self._network.n_labels} outputs for {len(card.labels)} labels",
                path=card.folder,
            )

    @property
    def n_dimensions(self) -> int:
        """Of the embedding."""
        return self._network.n_dimensions

    def hear(self, heard: Heard) -> NetworkOutput:
        """Logits and embedding of each chunk of a track."""
        return self._network(heard.chunks[0])

    def scores(self, heard: Heard) -> Scores:
        logits = self.hear(heard).logits
        return Scores(mean_log_probabilities(logits), log_softmax(logits))


def mean_log_probabilities(logits: np.ndarray) -> np.ndarray:
    """A track's score for each label, from its chunks: the average in log space.

    Parameters
    ----------
    logits : np.ndarray [shape=(n_chunks, n_labels)]

    Returns
    -------
    np.ndarray [shape=(n_labels,)]
        Log probabilities, not yet calibrated.
    """
    return log_softmax(log_softmax(logits).mean(axis=0))
