"""Which pixels a model was trained with, as far as it tells, against those that it is given.

A layer that divides by 255 wants pixels from 0 to 255. A layer that normalises has learned how far
its inputs spread, and that spread grows with the pixels': images in another range give another one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from gradcam.trace.graph import SHAPE_OPS, ancestors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradcam.trace.recording import Call, Recording

# Constants that images are divided by where they come as 0 to 255; preprocessing multiplies by
# their inverse as often.
_BYTE_SCALES = (255.0, 127.5, 128.0, 256.0)
# Spreads of a trained model's inputs differ between photographs of equal contrast, but not by so much.
_FACTOR = 20.0
# The standard deviation of a photograph's pixels, as a share of their range.
_CONTRAST = 0.25
# A proposal has to lead so near to the learned spread.
_NEAR = 8.0
# How far pixels go from the darkest to the brightest in none of the usual ranges but 0 to 255.
_WIDE = 6.0


@dataclass(frozen=True)
class Proposal:
    """A way to scale images.

    Attributes:
        factor: what it does to their spread.
        line: the code for it.
        option: what `--preprocess` is called that does it to pixels from 0 to 255.
    """

    factor: float
    line: str
    option: str


_OF_BYTES = (
    Proposal(1 / 255, "images = images / 255", "unit"),
    Proposal(1 / 127.5, "images = images / 127.5 - 1", "signed"),
    Proposal(1 / 57.4, "images = keras.applications.densenet.preprocess_input(images)", "densenet"),
)
_OF_UNIT = (Proposal(255.0, "images = images * 255", "raw"),)
_OF_SIGNED = (Proposal(127.5, "images = (images + 1) * 127.5", "raw"),)


@dataclass(frozen=True)
class Misfit:
    """Images in another range than those of the training.

    Attributes:
        code: `"scaled-twice"`, or `"spread"`.
        facts: what was measured.
        proposal: what fits, None where nothing does.
    """

    code: str
    facts: dict[str, Any]
    proposal: Proposal | None


@dataclass(frozen=True)
class PixelRange:
    """What a traced model tells about its pixels.

    Attributes:
        number: the number of the input that it is about.
        scales: the layer that divides pixels from 0 to 255, in words; None where none does.
        norm: the first layer that normalises by what it learned of its inputs; None where none does.
        variance: of what that layer is given, one number a channel, inside the trace.
    """

    number: int
    scales: str | None
    norm: Call | None
    variance: tf.Tensor | None

    @property
    def has_learned(self) -> bool:
        """Whether the layer that normalises has learned something yet."""
        return self.norm is not None and _learned_variance(self.norm.layer) is not None

    def misfit(self, images: np.ndarray, variance: np.ndarray | None) -> Misfit | None:
        """What is wrong with the range of some images; None where nothing is, or none can say.

        Args:
            images: the array of the input.
            variance: the value of `self.variance` for them.
        """
        low, high = float(images.min()), float(images.max())
        if images.ndim < 3 or not np.isfinite([low, high]).all() or low == high:
            return None
        extent = {"low": low, "high": high}
        width, proposals = _usual(low, high)
        if self.scales is not None and low >= -1.001 and high <= 1.001:
            judge = {"judge": self.scales}
            return Misfit("scaled-twice", judge | extent, _nearest(proposals, 1 / 255))
        learned = _learned_variance(self.norm.layer) if self.norm is not None else None
        if self.norm is None or learned is None or variance is None:
            return None
        spread, expected = np.sqrt(np.abs(variance)), np.sqrt(learned)
        used = (expected > 0) & (spread > 0)
        if not used.any():
            return None
        ratios = spread[used] / expected[used]
        # A photograph with little contrast spreads little, and still is right.
        contrast = float(images.std()) / (_CONTRAST * width) if width else 1.0
        # A smooth one, or one of noise, is far from what some channels learned; never from all.
        least, middle, most = np.quantile(ratios / contrast, (0.1, 0.5, 0.9))
        proposal = _nearest(proposals, float(middle))
        is_wide = least > _FACTOR and not width and high - low > _WIDE
        if not is_wide and (proposal is None or (most >= 1 / _FACTOR and least <= _FACTOR)):
            return None
        ratio = float(np.median(ratios))
        facts = {
            "path": self.norm.path,
            "expected": float(np.median(expected[used])),
            "measured": float(np.median(spread[used])),
            "factor": max(ratio, 1 / ratio),
            "direction": "larger" if ratio > 1 else "smaller",
        }
        return Misfit("spread", facts | extent, proposal)


def learned_by(recording: Recording) -> PixelRange | None:
    """What a recording tells about the pixels of one of its inputs; None where it tells nothing."""
    scaled = _byte_scale(recording)
    norm = _first_norm(recording)
    number = scaled[1] if scaled is not None else norm[1] if norm is not None else None
    if number is None:
        return None
    if norm is None or norm[1] != number:
        return PixelRange(number, scaled[0] if scaled else None, None, None)
    received = tf.cast(norm[0].inputs[0], tf.float32)
    axis = _channel_axis(norm[0], received)
    axes = [n for n in range(received.shape.rank) if n != axis]
    variance = tf.nn.moments(received, axes)[1]
    return PixelRange(number, scaled[0] if scaled else None, norm[0], variance)


def _usual(low: float, high: float) -> tuple[float, Sequence[Proposal]]:
    """The width of the usual range that images lie in, 0 for none, and what may be done with them."""
    if low >= 0 and 2 < high <= 255:
        return 255.0, _OF_BYTES
    if low >= 0 and high <= 1.001:
        return 1.0, _OF_UNIT
    return (2.0, _OF_SIGNED) if low >= -1.001 and high <= 1.001 else (0.0, ())


def _nearest(proposals: Sequence[Proposal], ratio: float) -> Proposal | None:
    """The proposal that leads to the learned spread, where `ratio` is the spread over the learned."""
    away = {proposal: abs(np.log(ratio * proposal.factor)) for proposal in proposals}
    best = min(away, key=away.__getitem__, default=None)
    return best if best is not None and away[best] < np.log(_NEAR) else None


def _byte_scale(recording: Recording) -> tuple[str, int] | None:
    """The layer that scales 0 to 255 down at the start of the model, and the number of its input."""
    waiting = [
        (tensor, consumer, number)
        for number, tensor in enumerate(recording.inputs)
        for consumer in tensor.consumers()
    ]
    seen = set()
    while waiting:
        tensor, operation, number = waiting.pop(0)
        if operation in seen:
            continue
        seen.add(operation)
        if operation.type in {"Mul", "RealDiv"}:
            factor = _constant(operation, tensor)
            scale = None if not factor else factor if operation.type == "RealDiv" else 1 / factor
            if scale is not None and any(abs(scale / byte - 1) < 0.01 for byte in _BYTE_SCALES):
                call = recording.maker(operation)
                return (f"'{call.path}'" if call and call.path else "The model"), number
        if operation.type in SHAPE_OPS | {"Sub", "AddV2", "BiasAdd", "Pad"}:
            outputs = operation.outputs
            waiting += [(out, user, number) for out in outputs for user in out.consumers()]
    return None


def _constant(operation: tf.Operation, tensor: tf.Tensor) -> float | None:
    """The one number that an operation combines a tensor with."""
    others = [other for other in operation.inputs if other is not tensor]
    while others and others[0].op.type in {"Cast", "Identity", "ReadVariableOp"}:
        others = list(others[0].op.inputs)
    if not others:
        return None
    value = tf.get_static_value(others[0])
    return float(np.ravel(value)[0]) if value is not None and np.size(value) == 1 else None


def _first_norm(recording: Recording) -> tuple[Call, int] | None:
    """The first layer that normalises by what it learned, and the number of the input it sees."""
    for call in recording.calls:
        is_norm = {"BatchNormalization", "Normalization"} & set(call.families)
        if is_norm and call.layer is not None and call.outputs and call.inputs:
            behind = ancestors(call.inputs[:1])
            sees = [n for n, tensor in enumerate(recording.inputs) if tensor.op in behind]
            is_single = len(sees) == 1 and call.inputs[0].dtype.is_floating
            return (call, sees[0]) if is_single else None
    return None


def _learned_variance(layer: Any) -> np.ndarray | None:
    """The variance of its input as a layer learned it; None where it has learned nothing yet.

    Moving averages begin at a mean of 0 and a variance of 1, and keep a share of that for long: as
    long as all variances are alike and below it, they say nothing.
    """
    mean = getattr(layer, "moving_mean", getattr(layer, "mean", None))
    variance = getattr(layer, "moving_variance", getattr(layer, "variance", None))
    if mean is None or variance is None:
        return None
    means, variances = (
        np.ravel(np.asarray(value)).astype(np.float64) for value in (mean, variance)
    )
    is_new = bool((means == 0).all() and (variances == 1).all())
    if hasattr(layer, "moving_variance") and variances.max() <= 1:
        is_new |= bool(np.ptp(variances) <= 0.1 * variances.max()) and len(variances) > 1
    return None if is_new or not np.isfinite(variances).all() else variances


def _channel_axis(norm: Call, received: tf.Tensor) -> int:
    axis = getattr(norm.layer, "axis", -1)
    axis = axis[0] if isinstance(axis, list | tuple) and axis else axis
    return (
        int(axis) % int(received.shape.rank) if isinstance(axis, int) else received.shape.rank - 1
    )
