"""The images: their axes, type, range and content, against what the model takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from gradcam.doctor.diagnosis import Finding, finding, from_error
from gradcam.errors import ImageError
from gradcam.messages import findings
from gradcam.trace import inputs
from gradcam.trace.graph import SHAPE_OPS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gradcam.doctor.traced_model import TracedModel
    from gradcam.trace.inputs import Batch
    from gradcam.trace.recording import Call
    from gradcam.trace.sources import Source

WHERE = "images"
# Constants that images are divided by where they come as 0 to 255; preprocessing multiplies by
# their inverse as often.
_BYTE_SCALES = (255.0, 127.5, 128.0, 256.0)
# Means and spreads of a trained model's inputs differ between images, but hardly by so much.
_FACTOR = 20.0
_NOISE_IMAGES = 4
_NOISE_SIZE = 64


@dataclass(frozen=True)
class Prepared:
    """The images as the model takes them, or None, and what is to be said about it."""

    batch: Batch | None
    findings: list[Finding]


def prepare(source: Source, images: Any) -> Prepared:
    """The images in the form that the model takes, repaired where that is possible."""
    if images is None:
        return _noise(source)
    found = list(_of_arrays(source, images))
    try:
        return _at_once(source, inputs.read(source, images), found)
    except ImageError as error:
        found.append(from_error(error, WHERE))
    for how, repaired in _repairs(source, images):
        try:
            batch = inputs.read(source, repaired)
        except ImageError:
            continue
        return _at_once(source, batch, [*found, finding("input-repaired", "note", WHERE, how=how)])
    return Prepared(None, found)


def _at_once(source: Source, batch: Batch, found: list[Finding]) -> Prepared:
    """As many of the images as go through the model at once."""
    specs = source.specs()
    size = (specs[0].shape[0] if specs else None) or len(batch)
    if size < len(batch):
        facts = {"count": len(batch), "expected": size}
        found = [*found, finding("input-fixed-batch", "note", WHERE, **facts)]
    return Prepared(batch.rows(slice(0, size)), found)


def _of_arrays(source: Source, images: Any) -> Iterator[Finding]:
    """What the arrays say before they are cast and reshaped."""
    specs = source.specs() or []
    shapes: list[tuple[int | None, ...] | None] = [spec.shape for spec in specs]
    types = [spec.dtype for spec in specs]
    if not specs:
        shapes, types = [source.built_shape()], ["float32"]
    given = list(images.values()) if isinstance(images, dict) else images
    arrays = given if isinstance(given, list | tuple) and len(specs) > 1 else [given]
    for array, shape, expected in zip(arrays, shapes, types, strict=False):
        if not hasattr(array, "shape") or not hasattr(array, "dtype"):
            continue
        dtype = tf.as_dtype(array.dtype)
        if shape is not None and len(array.shape) == len(shape) - 1 and len(shape) > 2:
            facts = {"shape": tuple(array.shape), "expected": inputs.expected_shape(shape)}
            yield finding("input-no-batch-axis", "warning", WHERE, **facts)
        if not tf.as_dtype(expected).is_floating:
            yield from _truncated(array, dtype, expected)
            continue
        # Numbers of words or of categories, (batch, length), are no image.
        if (dtype.is_integer or dtype == tf.bool) and (shape is None or len(shape) > 2):
            facts = {"dtype": dtype.name, "expected": expected}
            yield finding("input-integers", "warning", WHERE, **facts)
        elif dtype == tf.float64 and expected != "float64":
            yield finding("input-float64", "note", WHERE, expected=expected)


def _truncated(array: Any, dtype: tf.DType, expected: str) -> Iterator[Finding]:
    """Images with parts of whole numbers for a model that takes whole numbers."""
    if not dtype.is_floating or not tf.as_dtype(expected).is_integer:
        return
    values = np.asarray(array, np.float64)
    if not values.size or not np.isfinite(values).all() or (values == np.round(values)).all():
        return
    low, high = float(values.min()), float(values.max())
    scaled = "images * 255" if low >= 0 and high <= 1 else "np.round(images)"
    facts = {"dtype": dtype.name, "low": low, "high": high, "expected": expected}
    line = f'images = ({scaled}).astype("{expected}")'
    yield finding("input-truncated", "warning", WHERE, line=line, **facts)


def _repairs(source: Source, images: Any) -> Iterator[tuple[str, Any]]:
    """Ways to bring one array into the form that the model takes."""
    specs = source.specs()
    shape = specs[0].shape if specs and len(specs) == 1 else source.built_shape()
    if shape is None or not hasattr(images, "shape"):
        return
    array = np.asarray(images)
    if array.dtype.kind not in "biuf":
        return
    if array.ndim == len(shape) + 1:
        yield "without their first axis", array.reshape(-1, *array.shape[2:])
    if array.ndim == 4:
        yield "with their axes moved (np.moveaxis(images, 1, -1))", np.moveaxis(array, 1, -1)
        yield "with their axes moved (np.moveaxis(images, -1, 1))", np.moveaxis(array, -1, 1)
    if array.ndim == 4 and len(shape) == 4 and array.shape[-1] == shape[-1]:
        size = [want or have for want, have in zip(shape[1:3], array.shape[1:3], strict=True)]
        yield f"resized to {size[0]} x {size[1]}", tf.image.resize(array, size).numpy()


def _noise(source: Source) -> Prepared:
    """Noise in the place of images."""
    specs = source.specs()
    if specs:
        shapes = [spec.shape[1:] for spec in specs]
        fixed = specs[0].shape[0]
    else:
        built = source.built_shape()
        shapes, fixed = [built[1:]] if built else [], None
    generator = np.random.default_rng(0)
    count = fixed or _NOISE_IMAGES
    sizes = [(count, *[n or _NOISE_SIZE for n in shape]) for shape in shapes]
    arrays = [generator.uniform(size=size).astype(np.float32) for size in sizes]
    if not arrays:
        return Prepared(None, [])
    dtypes = [spec.dtype for spec in specs] if specs else ["float32"]
    arrays = [array.astype(dtype) for array, dtype in zip(arrays, dtypes, strict=True)]
    facts = {"shape": sizes[0], "low": 0, "high": 1}
    return Prepared(inputs.Batch(arrays), [finding("input-made-up", "note", WHERE, **facts)])


class ImagesCheck:
    """What can be said of the images when the model has seen them."""

    name = "the images"

    def __init__(self, traced: TracedModel) -> None:
        self._arrays = traced.batch.arrays
        self._names = traced.recording.input_names
        self._scaled = _byte_scale(traced)
        norm = _first_norm(traced)
        self._norm = norm
        self.tensors: dict[str, Any] = {}
        if self._scaled is not None:
            tensor = tf.cast(self._scaled[1], tf.float32)
            self.tensors["scaled"] = [tf.reduce_min(tensor), tf.reduce_max(tensor)]
        if norm is not None:
            received = tf.cast(norm.inputs[0], tf.float32)
            axis = _channel_axis(norm, received)
            axes = [n for n in range(received.shape.rank) if n != axis]
            self.tensors["norm"] = tf.nn.moments(received, axes)[1]

    def findings(self, facts: dict[str, Any]) -> Iterable[Finding]:
        """Not finite, constant, in another range than the model's."""
        for number, array in enumerate(self._arrays):
            if array.dtype.kind == "f" and array.ndim > 2:
                yield from self._of_content(array, number)
        array = self._arrays[0]
        if not np.isfinite(array).all() or array.ndim < 3:
            return
        extent = {"low": float(array.min()), "high": float(array.max())}
        if extent["low"] == extent["high"]:
            return
        judged = False
        if "scaled" in facts:
            low, high = (float(value) for value in facts["scaled"])
            # How far they go, not where: a mean may be subtracted before they are scaled.
            if 0 < high - low <= 2.002 and extent["low"] >= -1.001 and extent["high"] <= 1.001:
                judged = True
                judge = self._scaled[0] if self._scaled else ""
                yield finding("input-range-scaled-twice", "warning", WHERE, judge=judge, **extent)
        if "norm" in facts and self._norm is not None and not judged:
            yield from self._of_statistics(facts["norm"], extent)

    def _of_content(self, array: np.ndarray, number: int) -> Iterator[Finding]:
        rows = array.reshape(len(array), -1)
        finite = np.isfinite(rows).all(axis=1)
        name = f" of input '{self._names[number]}'" if len(self._arrays) > 1 else ""
        if not finite.all():
            kind = "NaN" if np.isnan(rows).any() else "An infinity"
            numbers = findings.Images(np.flatnonzero(~finite).tolist())
            yield finding("non-finite-images", "error", WHERE, kind=kind, images=numbers, name=name)
        constant = np.flatnonzero(finite & (rows.min(axis=1) == rows.max(axis=1))).tolist()
        if constant:
            has = "has" if len(constant) == 1 else "have"
            text = f"{str(findings.Images(constant)).capitalize()}{name} {has}"
            value = float(rows[constant[0], 0])
            yield finding("input-constant", "warning", WHERE, images=text, value=value)

    def _of_statistics(self, variance: Any, extent: dict[str, float]) -> Iterator[Finding]:
        """Against the statistics of the first layer that normalises."""
        norm = self._norm
        known = _learned_variance(norm.layer) if norm is not None else None
        if norm is None or known is None:
            return
        spread, expected = np.sqrt(np.abs(variance)), np.sqrt(known)
        used = (expected > 0) & (spread > 0)
        if not used.any():
            return
        ratio = float(np.median(spread[used] / expected[used]))
        if not (ratio > _FACTOR or ratio < 1 / _FACTOR):
            return
        yield finding(
            "input-range",
            "warning",
            WHERE,
            path=norm.path,
            expected=float(np.median(expected[used])),
            measured=float(np.median(spread[used])),
            factor=max(ratio, 1 / ratio),
            direction="more" if ratio > 1 else "less",
            line="images = images / 255" if ratio > 1 else "images = images * 255",
            **extent,
        )


def _byte_scale(traced: TracedModel) -> tuple[str, tf.Tensor] | None:
    """The layer that scales 0 to 255 down at the start of the model, and what it is given."""
    waiting = [
        (tensor, consumer) for tensor in traced.recording.inputs for consumer in tensor.consumers()
    ]
    seen = set()
    while waiting:
        tensor, operation = waiting.pop(0)
        if operation in seen:
            continue
        seen.add(operation)
        if operation.type in {"Mul", "RealDiv"}:
            factor = _constant(operation, tensor)
            scale = None if not factor else factor if operation.type == "RealDiv" else 1 / factor
            if scale is not None and any(abs(scale / byte - 1) < 0.01 for byte in _BYTE_SCALES):
                call = traced.recording.maker(operation)
                return (f"'{call.path}'" if call and call.path else "The model"), tensor
        if operation.type in SHAPE_OPS | {"Sub", "AddV2", "BiasAdd", "Pad"}:
            waiting += [(out, user) for out in operation.outputs for user in out.consumers()]
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


def _first_norm(traced: TracedModel) -> Call | None:
    """The first layer that normalises by statistics of what it is given."""
    for call in traced.measured_calls:
        is_norm = {"BatchNormalization", "Normalization"} & set(call.families)
        if is_norm and call.inputs and call.inputs[0].dtype.is_floating:
            return call
    return None


def _learned_variance(layer: Any) -> np.ndarray | None:
    """The variance of its input as a layer learned it; None where it has learned nothing yet."""
    mean = getattr(layer, "moving_mean", getattr(layer, "mean", None))
    variance = getattr(layer, "moving_variance", getattr(layer, "variance", None))
    if mean is None or variance is None:
        return None
    means, variances = (
        np.ravel(np.asarray(value)).astype(np.float64) for value in (mean, variance)
    )
    is_new = bool((means == 0).all() and (variances == 1).all())
    return None if is_new or not np.isfinite(variances).all() else variances


def _channel_axis(norm: Call, received: tf.Tensor) -> int:
    axis = getattr(norm.layer, "axis", -1)
    axis = axis[0] if isinstance(axis, list | tuple) and axis else axis
    return (
        int(axis) % int(received.shape.rank) if isinstance(axis, int) else received.shape.rank - 1
    )
