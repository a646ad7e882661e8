"""The values of weights: whether all are numbers, and which are zero by design.

A layer whose kernel is zero gives the same output for every image and hands no gradient on, until
its first step: that is how ThetaRegression, ReZero and LayerScale begin, and no fault.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcam.doctor.diagnosis import Finding, finding
from gradcam.messages import wording

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradcam.trace.recording import Call
    from gradcam.trace.sources import Source

_ADDED = re.compile(r".*(bias|beta|mean|seed).*")


def not_finite(source: Source) -> Iterator[Finding]:
    """The finding for weights that are NaN or infinite.

    >>> import keras
    >>> from gradcam.trace.sources import KerasSource
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="head")])
    >>> model.layers[0].bias.assign([np.nan]) is None
    False
    >>> [one.where.endswith("head/bias") for one in not_finite(KerasSource(model))]
    [True]
    """
    model: Any = getattr(source, "model", None)
    wrong = [v for v in getattr(model, "variables", ()) if not _is_finite(v)]
    if wrong:
        where = ", ".join(variable.path for variable in wrong)
        names = wording.listing([f"'{variable.path}'" for variable in wrong], limit=6)
        yield finding("non-finite-weights", "error", where, variables=names)


def _is_finite(variable: Any) -> bool:
    values = np.asarray(variable)
    return values.dtype.kind != "f" or bool(np.isfinite(values).all())


def has_zero_kernel(call: Call) -> bool:
    """Whether a weight that the layer multiplies by is zero everywhere."""
    weights = getattr(call.layer, "weights", None) or ()
    multiplied = [weight for weight in weights if not is_added(weight)]
    return any(not np.any(weight.numpy()) for weight in multiplied)


def is_added(weight: Any) -> bool:
    """Whether a weight is added, or counted, and not multiplied by."""
    return _ADDED.fullmatch(weight.name) is not None
