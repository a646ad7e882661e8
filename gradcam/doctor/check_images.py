"""The images: their axes, type, range and content, against what the model takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from gradcam.doctor.diagnosis import Finding, finding, from_error
from gradcam.errors import ImageError
from gradcam.messages import wording
from gradcam.trace import inputs, pixel_range
from gradcam.trace.input_shapes import expected_shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gradcam.doctor.traced_model import TracedModel
    from gradcam.trace.inputs import Batch
    from gradcam.trace.sources import Source

WHERE = "images"
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
            facts = {"shape": tuple(array.shape), "expected": expected_shape(shape)}
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
        self._range = pixel_range.learned_by(traced.recording)
        self.tensors: dict[str, Any] = {}
        if self._range is not None and self._range.variance is not None:
            self.tensors["variance"] = self._range.variance

    def findings(self, facts: dict[str, Any]) -> Iterable[Finding]:
        """Not finite, constant, in another range than the model's."""
        for number, array in enumerate(self._arrays):
            if array.dtype.kind == "f" and array.ndim > 2:
                yield from self._of_content(array, number)
        if self._range is None:
            return
        misfit = self._range.misfit(self._arrays[self._range.number], facts.get("variance"))
        if misfit is not None:
            code = "input-range-scaled-twice" if misfit.code == "scaled-twice" else "input-range"
            line = f" Most likely:\n    {misfit.proposal.line}" if misfit.proposal else ""
            yield finding(code, "warning", WHERE, line=line, **misfit.facts)

    def _of_content(self, array: np.ndarray, number: int) -> Iterator[Finding]:
        rows = array.reshape(len(array), -1)
        finite = np.isfinite(rows).all(axis=1)
        name = f" of input '{self._names[number]}'" if len(self._arrays) > 1 else ""
        if not finite.all():
            kind = "NaN" if np.isnan(rows).any() else "An infinity"
            numbers = wording.Images(np.flatnonzero(~finite).tolist())
            yield finding("non-finite-images", "error", WHERE, kind=kind, images=numbers, name=name)
        constant = np.flatnonzero(finite & (rows.min(axis=1) == rows.max(axis=1))).tolist()
        if constant:
            has = "has" if len(constant) == 1 else "have"
            text = f"{str(wording.Images(constant)).capitalize()}{name} {has}"
            value = float(rows[constant[0], 0])
            yield finding("input-constant", "warning", WHERE, images=text, value=value)
