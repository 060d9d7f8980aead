"""Imports Keras and TensorFlow without the messages that they print on import."""

from __future__ import annotations

import os

from tagger.sound.native_messages import native_messages_hidden

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def start_keras() -> None:
    """Import both, and let TensorFlow look for devices, which also prints messages."""
    with native_messages_hidden():
        import keras  # noqa: F401
        import tensorflow as tf

        tf.config.list_physical_devices()
