"""Runs networks with LiteRT, and pretrained ones that other models use.

Weights are a `.tflite` file with a signature. The converter may swap the order of outputs, so they
are read by their names there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any

import numpy as np

from tagger.models.card import Card
from tagger.models.prediction import sigmoid
from tagger.models.track_features import TrackFeatures
from tagger.sound.native_messages import native_messages_hidden
from tagger.sound.patches import MUSICNN, PATCH_FRAMES, PATCH_MELS, Patches
from tagger.sound.yamnet_patches import YAMNET, YAMNET_FRAMES, YAMNET_MELS
from tagger.system.errors import ModelError
from tagger.system.exhausted import what_ran_out

# A scan uses one process a core.
THREADS = 1


class Network:
    """A network with one input and several outputs, loaded from memory.

    Parameters
    ----------
    weights : bytes
        A `.tflite` file.
    input : str
        The signature's name of the input.
    shape : tuple of int
        Of one batch.
    outputs : sequence of str
        Names of outputs in the signature.

    Raises
    ------
    ValueError, RuntimeError, KeyError
        Where the file is damaged or has another signature.
    ModelError
        LiteRT is not installed, or broken.
    """

    def __init__(
        self, weights: bytes, input: str, shape: tuple[int, ...], outputs: Sequence[str]
    ) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except Exception as error:  # whatever a library that does not fit the machine raises
            if lacking := what_ran_out(error):
                raise lacking from error
            raise ModelError(
                f"networks need LiteRT (ai-edge-litert), which cannot be loaded: {error}",
                hint="pip install --force-reinstall ai-edge-litert, on a platform that the README"
                " names",
            ) from error
        self._input = input
        self._lock = Lock()  # an interpreter that two threads call at once answers with nonsense
        with native_messages_hidden():
            self._interpreter = Interpreter(model_content=weights, num_threads=THREADS)
            self._run: Any = self._interpreter.get_signature_runner()
            # LiteRT prints its messages with the first input; a network that cannot run fails here.
            self._run(**{input: np.zeros(shape, dtype=np.float32)})
        details = self._run.get_output_details()
        self.sizes = {name: int(details[name]["shape"][-1]) for name in outputs}

    def __call__(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs by name for a batch of inputs."""
        with self._lock:
            answer = self._run(**{self._input: rows.astype(np.float32, copy=False)})
        return {name: answer[name] for name in self.sizes}


@dataclass(frozen=True)
class _PatchKind:
    """One of the front ends for pretrained networks.

    Attributes
    ----------
    shape : tuple of int
        Of a patch.
    of : callable
        The patches of a track.
    at_once : int
        How many the network takes in one call.
    """

    shape: tuple[int, int]
    of: Callable[[TrackFeatures], Patches]
    at_once: int


# By the name of the front end, as a card has it.
_PATCH_KINDS = {
    # Its layers are large for one patch, its weights small: several at once would be no faster.
    MUSICNN: _PatchKind((PATCH_FRAMES, PATCH_MELS), lambda features: features.patches, 1),
    # Its weights do not fit into a core's cache: read once for twelve patches, a seventh less time.
    YAMNET: _PatchKind((YAMNET_FRAMES, YAMNET_MELS), lambda features: features.yamnet_patches, 12),
}


class Backbone:
    """A pretrained network from patches to an `embedding` that other models use, and `tags`.

    The tags are logits of the card's labels.
    """

    def __init__(self, card: Card) -> None:
        self.card = card
        front_end = card.data.get("front_end")
        name = front_end.get("name") if isinstance(front_end, dict) else None
        if name not in _PATCH_KINDS:
            known = " and ".join(_PATCH_KINDS)
            raise ModelError(f"its front end is {name!r}; this gtag has {known}", path=card.folder)
        self._patches = _PATCH_KINDS[name]
        shape, outputs = (1, *self._patches.shape), ("embedding", "tags")
        self._network = card.load_weights(
            partial(Network, input="patches", shape=shape, outputs=outputs)
        )
        card.need_outputs(self._network.sizes["tags"])

    @property
    def n_dimensions(self) -> int:
        return self._network.sizes["embedding"]

    def embed(self, features: TrackFeatures) -> np.ndarray:
        """Return the embedding of each patch; means of the tags go to `features.logits` and
        `scores`.
        """
        said = self.outputs(self._patches.of(features).patches)
        features.logits[self.card.tag] = said["tags"].mean(axis=0)
        features.scores[self.card.tag] = sigmoid(said["tags"]).mean(axis=0)
        return said["embedding"]

    def starts_s(self, features: TrackFeatures) -> np.ndarray:
        return self._patches.of(features).starts_s

    def outputs(self, patches: np.ndarray) -> dict[str, np.ndarray]:
        """Embeddings and tags (logits) of patches, one row a patch."""
        n = self._patches.at_once
        each = [self._network(patches[i : i + n]) for i in range(0, len(patches), n)]
        return {name: np.concatenate([one[name] for one in each]) for name in each[0]}
