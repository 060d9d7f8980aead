"""Runs a network on descriptors with LiteRT.

Weights are a `.tflite` file whose signature takes `features` and returns `logits`, the scaling of
the inputs worked in. Must not know: where models are kept, how they were trained.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tagger.errors import ModelError
from tagger.models.card import Card
from tagger.models.heard import Heard
from tagger.models.linear import columns_of
from tagger.models.prediction import Classifier, Scores, log_softmax
from tagger.native_messages import native_messages_hidden

# One process a core is how a collection is scanned; a second thread would only get in the way.
THREADS = 1


class FeatureNetwork:
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
            interpreter = Interpreter(model_content=weights, num_threads=THREADS)
            self._run: Any = interpreter.get_signature_runner()
            self.n_inputs = int(self._run.get_input_details()["features"]["shape"][-1])
            # Whatever LiteRT has to say, it says with the first row.
            self._run(features=np.zeros((1, self.n_inputs), dtype=np.float32))
        self.n_labels = int(self._run.get_output_details()["logits"]["shape"][-1])

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Log probabilities [shape=(n, n_labels)] from inputs [shape=(n, n_inputs)]."""
        return log_softmax(self._run(features=rows.astype(np.float32))["logits"])


class Dense(Classifier):
    """A network on the descriptors that its card names as `features`.

    Raises
    ------
    ModelError
        Where the weights are damaged or do not fit the card.
    """

    def __init__(self, card: Card) -> None:
        self.card = card
        self._columns, n_inputs = columns_of(card)
        try:
            self._network = FeatureNetwork(card.weights())
        except (ValueError, RuntimeError, KeyError) as error:
            raise ModelError(
                f"the weights are no network of ours: {error}", path=card.folder
            ) from error
        if (self._network.n_labels, self._network.n_inputs) != (len(card.labels), n_inputs):
            raise ModelError("the network has other inputs or outputs", path=card.folder)

    def scores(self, heard: Heard) -> Scores:
        return Scores(self._network(self._columns(heard)[None])[0])
