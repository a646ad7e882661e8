"""Writes pictures and words for TensorBoard, with TensorFlow alone.

`tf.summary.image` needs TensorBoard, which need not be there where a model trains; it only wraps
`tf.summary.write`.
"""

from __future__ import annotations

import os

import numpy as np
import tensorflow as tf

from gradcam.pictures import encode

# TensorBoard's classes of data: words are tensors, a picture is a sequence of blobs.
_TENSOR, _BLOBS = 2, 3


class EventFile:
    """One event file in a folder."""

    def __init__(self, log_dir: str | os.PathLike[str]) -> None:
        self._writer = tf.summary.create_file_writer(os.fspath(log_dir))

    def picture(self, tag: str, picture: np.ndarray, step: int) -> None:
        """One RGB picture, (height, width, 3) uint8."""
        height, width = picture.shape[:2]
        content = [str(width).encode(), str(height).encode(), encode(picture)]
        self._write(tag, tf.constant(content), step, "images", _BLOBS)

    def words(self, tag: str, sentences: tuple[str, ...], step: int) -> None:
        """Some sentences, one a line."""
        self._write(tag, tf.constant("\n\n".join(sentences)), step, "text", _TENSOR)

    def flush(self) -> None:
        """Bring what was written to the disk."""
        self._writer.flush()

    def close(self) -> None:
        """End the file."""
        self._writer.close()

    def _write(self, tag: str, tensor: tf.Tensor, step: int, plugin: str, kind: int) -> None:
        metadata = tf.compat.v1.SummaryMetadata(
            plugin_data={"plugin_name": plugin, "content": b""}, data_class=kind
        )
        with self._writer.as_default():
            tf.summary.write(tag, tensor, step=step, metadata=metadata)
