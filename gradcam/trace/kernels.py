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
_SAID = re.compile(r"^(.+)\n\s*\[\[\{\{node", re.MULTILINE)
_NODE = re.compile(r"\{\{node ([^}]+)\}\}")


@contextlib.contextmanager
def failures_named(model: str) -> Iterator[None]:
    """Raise what it means that TensorFlow can't compute something, in the place of its error."""
    try:
        yield
    except (tf.errors.OpError, MemoryError) as error:
        raise missing(error, model) or _failure(error, model) from error


def _failure(error: Exception, model: str) -> ModelError:
    """Out of memory, which happens every day, or an operation that refused its values."""
    if isinstance(error, tf.errors.ResourceExhaustedError | MemoryError):
        return ModelError("out-of-memory", name=model)
    found = _SAID.search(str(error))  # TensorFlow puts where it was traced before it
    said = (found[1] if found else str(error).partition("\n")[0]).strip().rstrip(".")
    node = _NODE.search(str(error))
    where = f" in '{node[1]}'" if node else ""
    return ModelError(
        "cannot-compute", name=model, where=where, reason=said[:300] or type(error).__name__
    )


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
