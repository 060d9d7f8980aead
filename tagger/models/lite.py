"""Runs any network with LiteRT: one input, several outputs by name.

The converter may swap the order of outputs, so they are read by the names in the signature.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tagger.sound.native_messages import native_messages_hidden

# One process a core is how a collection is scanned; a second thread would only get in the way.
THREADS = 1


class LiteNetwork:
    """A network in LiteRT's form, loaded from memory.

    Parameters
    ----------
    weights : bytes
        A `.tflite` file.
    input : str
        The signature's name of the input.
    shape : tuple of int
        Of an input that the network must take.
    outputs : sequence of str
        Names of outputs that it must have.

    Raises
    ------
    ValueError, RuntimeError, KeyError
        Where it is no such network.
    """

    def __init__(
        self, weights: bytes, input: str, shape: tuple[int, ...], outputs: Sequence[str]
    ) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._input = input
        with native_messages_hidden():
            self._interpreter = Interpreter(model_content=weights, num_threads=THREADS)
            self._run: Any = self._interpreter.get_signature_runner()
            # Whatever LiteRT has to say, it says with the first input; and what cannot run at all
            # shows here.
            self._run(**{input: np.zeros(shape, dtype=np.float32)})
        details = self._run.get_output_details()
        self._sizes = {name: int(details[name]["shape"][-1]) for name in outputs}

    def size(self, output: str) -> int:
        """Length of an output's last axis."""
        return self._sizes[output]

    def __call__(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """The outputs by name for a batch of inputs."""
        answer = self._run(**{self._input: rows})
        return {name: answer[name] for name in self._sizes}
