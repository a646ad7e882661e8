"""What TensorFlow can't compute on this machine, in a sentence.

Without oneDNN, which is off by default where a processor lacks AVX-512, its kernels for the CPU
take no images with their channels first.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

import tensorflow as tf

from gradcam.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ONLY_CHANNELS_LAST = re.compile(r"only support(s|ed)\b.*\bND?HWC\b")
_NODE = re.compile(r"\{\{node ([^}]+)\}\}")


@contextlib.contextmanager
def missing_ones_named(model: str) -> Iterator[None]:
    """Raise what a lacking kernel means in the place of TensorFlow's error."""
    try:
        yield
    except tf.errors.OpError as error:
        meant = missing(error, model)
        if meant is None:
            raise
        raise meant from error


def missing(error: Exception, model: str) -> ModelError | None:
    """The error that says which kernel is missing, None where none is.

    >>> raised = tf.errors.UnimplementedError(
    ...     None, None, "The Conv2D op currently only supports the NHWC tensor format on the CPU."
    ... )
    >>> missing(raised, "cnn").code
    'channels-first-kernel'
    """
    if not isinstance(error, tf.errors.OpError) or not _ONLY_CHANNELS_LAST.search(str(error)):
        return None
    node = _NODE.search(str(error))
    where = f" in '{node[1]}'" if node else ""
    return ModelError("channels-first-kernel", name=model, where=where)
