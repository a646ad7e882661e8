"""Writes what TensorBoard shows, with TensorFlow alone.

`tf.summary.image` and its like live in TensorBoard, which need not be installed where a model trains. They
only wrap `tf.summary.write`, which is used here with the same contents.
"""

from __future__ import annotations

import os
import re

import numpy as np
import tensorflow as tf

from keras_stn.plots.drawing import Picture, encode

_TENSORFLOW_NOISE = re.compile(r"\{\{.*?\}\}\s*|\s*\[Op:\w+\].*")

_SCALAR, _TENSOR, _BLOBS = 1, 2, 3
"""TensorBoard's classes of data."""

_MOST_BUCKETS = 30


class EventFile:
    """One event file in a folder; it is made with the first entry."""

    def __init__(self, log_dir: str | os.PathLike[str]) -> None:
        self._log_dir = os.fspath(log_dir)
        self._writer = tf.summary.create_file_writer(self._log_dir)

    def scalar(self, tag: str, value: float, step: int) -> None:
        """One number."""
        self._write(tag, tf.constant(value, tf.float32), step, "scalars", _SCALAR)

    def picture(self, tag: str, picture: Picture, step: int) -> None:
        """One RGB picture."""
        height, width = picture.shape[:2]
        content = tf.constant([str(width).encode(), str(height).encode(), encode(picture)])
        self._write(tag, content, step, "images", _BLOBS)

    def histogram(self, tag: str, values: np.ndarray, step: int) -> None:
        """How numbers are distributed; those that aren't finite are left out."""
        finite = values[np.isfinite(values)].astype(np.float64)
        if not finite.size:
            return
        low, high = finite.min(), finite.max()
        edges = np.linspace(low, high, _MOST_BUCKETS + 1) if high > low else [low - 0.5, low + 0.5]
        counts, edges = np.histogram(finite, edges)
        buckets = np.stack([edges[:-1], edges[1:], counts], axis=1)
        self._write(tag, tf.constant(buckets, tf.float64), step, "histograms", _TENSOR)

    def flush(self) -> None:
        """Brings what was written to the disk."""
        self._writer.flush()

    def close(self) -> None:
        """Ends the file."""
        self._writer.close()

    def _write(self, tag: str, tensor: tf.Tensor, step: int, plugin: str, kind: int) -> None:
        metadata = tf.compat.v1.SummaryMetadata(
            plugin_data={"plugin_name": plugin, "content": b""}, data_class=kind
        )
        with self._writer.as_default():
            tf.summary.write(tag, tensor, step=step, metadata=metadata)


def reason_of(error: Exception) -> str:
    """What an error says, in one line without a full stop and without TensorFlow's names of operations.

    >>> reason_of(OSError("{{function_node f}} No space left [Op:FlushSummaryWriter] name: "))
    'No space left'
    """
    lines = [line for line in str(error).splitlines() if line.strip()]
    words = _TENSORFLOW_NOISE.sub("", lines[0]).strip().rstrip(".") if lines else ""
    return words or type(error).__name__
