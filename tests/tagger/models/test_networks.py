"""Pretrained networks as a scan runs them: what they answer, whoever asks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from tagger.models import zoo


def test_two_threads_may_ask_one_network():
    """Regression: an interpreter that two threads called at once answered with NaN."""
    yamnet = zoo.load_backbone("yamnet")
    patches = np.random.default_rng(0).normal(-3, 2, (24, 96, 64)).astype(np.float32)
    expected = yamnet.outputs(patches)["embedding"]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: yamnet.outputs(patches)["embedding"], range(32)))
    assert all(np.array_equal(answer, expected) for answer in answers)
