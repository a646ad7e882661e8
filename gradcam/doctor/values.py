"""The weights themselves: whether all of them are numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gradcam.doctor.diagnosis import Finding, finding
from gradcam.messages import findings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradcam.trace.sources import Source


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
        names = findings.listing([f"'{variable.path}'" for variable in wrong], limit=6)
        yield finding("non-finite-weights", "error", where, variables=names)


def _is_finite(variable: Any) -> bool:
    values = np.asarray(variable)
    return values.dtype.kind != "f" or bool(np.isfinite(values).all())
