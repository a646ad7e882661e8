"""Checks the images against what the model takes, and brings them into the form it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from gradcam.errors import ImageError
from gradcam.messages import wording
from gradcam.trace.input_shapes import expected_shape, fits, rank_error, shape_advice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradcam.trace.sources import InputSpec, Source

# The axes of a batch of images, where nothing else says that an array is one.
BATCH_RANK = 4


@dataclass(frozen=True)
class Batch:
    """The model's inputs for some images.

    Attributes:
        arrays: one array an input, in the model's order, with the batch as first axis.
        structure: how a subclassed model nests its inputs; None where they are one array, or the
            model knows itself.
    """

    arrays: list[np.ndarray]
    structure: Any = None

    def __len__(self) -> int:
        return int(self.arrays[0].shape[0])

    def rows(self, rows: slice) -> Batch:
        """Some of the images."""
        return Batch([array[rows] for array in self.arrays], self.structure)

    def in_floats(self) -> Batch | None:
        """The same with floats in the place of integers; None where there are none."""
        if all(array.dtype.kind == "f" for array in self.arrays):
            return None
        return Batch([array.astype(np.float32) for array in self.arrays], self.structure)

    def key(self) -> tuple[Any, ...]:
        """What a trace depends on: structure, shapes without the batch, and types."""
        return (
            repr(self.structure),
            tuple((array.shape[1:], array.dtype.str) for array in self.arrays),
        )


def read(source: Source, images: Any) -> Batch:
    """The images as the model's inputs.

    Raises:
        ImageError: they don't fit, with what was received and what the model expects.
    """
    images = _without_torch(images)
    specs = source.specs()
    if specs is None:
        batch = _unspecified(source, images)
    else:
        given = _by_input(images, specs)
        pairs = zip(given, specs, strict=True)
        several = len(specs) > 1
        batch = Batch([_fitted(_array(image, spec.dtype), spec, several) for image, spec in pairs])
    sizes = [len(array) for array in batch.arrays]
    if len(set(sizes)) > 1:
        raise ImageError("images-batch", sizes=wording.listing(sizes))
    if sizes[0] == 0:
        raise ImageError("images-empty", shape=batch.arrays[0].shape)
    return batch


def _without_torch(images: Any) -> Any:
    """Tensors of PyTorch as NumPy takes them: without a gradient, on the CPU, of a type it has."""
    if isinstance(images, dict):
        return {name: _without_torch(image) for name, image in images.items()}
    if isinstance(images, list | tuple) and any(map(_is_torch, images)):
        return type(images)(_without_torch(image) for image in images)
    if not _is_torch(images):
        return images
    tensor = images.detach().cpu()
    return (tensor.float() if tensor.dtype.is_floating_point else tensor).numpy()


def _is_torch(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] == "torch"


def _by_input(images: Any, specs: Sequence[InputSpec]) -> list[Any]:
    """One entry an input, in the order of the model's inputs."""
    names = [spec.name for spec in specs]
    if isinstance(images, dict):
        return _of_dict(images, specs)
    if len(specs) == 1:
        _check_labels(images, len(specs[0].shape))
        # A list with one batch in it is how Keras itself takes a single input.
        is_wrapped = isinstance(images, list | tuple) and len(images) == 1
        return [images[0] if is_wrapped and np.ndim(images[0]) == len(specs[0].shape) else images]
    if not isinstance(images, list | tuple) or len(images) != len(specs):
        received = f"{len(images)} arrays" if isinstance(images, list | tuple) else "one array"
        raise ImageError("inputs-names", received=received, expected=wording.listing(names))
    return list(images)


def _of_dict(images: dict[Any, Any], specs: Sequence[InputSpec]) -> list[Any]:
    """By the names of the inputs, or by the keys of the model. Others are left alone, as by Keras."""
    keys = [spec.way if spec.way and isinstance(spec.way[0], str) else None for spec in specs]
    for ways in (keys, [(spec.name,) for spec in specs]):
        found = [_at(images, way) if way else None for way in ways]
        if all(array is not None for array in found):
            return found
    known = [
        spec.name if way is None else "/".join(map(str, way))
        for spec, way in zip(specs, keys, strict=True)
    ]
    received = f"a dict with {wording.listing(sorted(map(str, images)))}"
    raise ImageError("inputs-names", received=received, expected=wording.listing(known))


def _at(images: Any, way: tuple[Any, ...]) -> Any:
    """What the keys lead to, or None."""
    for key in way:
        if isinstance(images, dict):
            images = images.get(key)
        else:
            is_there = isinstance(images, list | tuple) and isinstance(key, int)
            images = images[key] if is_there and key < len(images) else None
    return images


def _check_labels(images: Any, rank: int) -> None:
    """Raise for the pairs of images and labels that data sets give."""
    if not isinstance(images, tuple) or len(images) not in {2, 3}:
        return
    if np.ndim(_first(images[0])) + 1 == rank and np.ndim(_first(images[1])) + 1 < rank:
        raise ImageError(
            "images-kind",
            received=f"a tuple of {len(images)} arrays",
            advice="If it is (images, labels), give the images alone: batch[0].",
        )


def _first(batch: Any) -> Any:
    """The first row of a batch."""
    return batch[0] if np.ndim(batch) else batch


def _unspecified(source: Source, images: Any) -> Batch:
    """The inputs of a subclassed model, which doesn't say what it takes."""
    shape = source.built_shape()
    if shape is not None:
        _check_labels(images, len(shape))
    if isinstance(images, dict) or _are_several(images, source):
        return _nested(source, images)
    count = source.built_count()
    if count is not None:
        raise ImageError("inputs-names", received="one array", expected=f"a list of {count} arrays")
    if (
        isinstance(images, list | tuple)
        and len(images) == 1
        and _ranks(images) == {len(shape or ())}
    ):
        images = images[0]
    array = _array(images, None)
    if shape is None:
        return Batch([_leaf(images)])
    if array.ndim == len(shape) - 1:
        array, images = array[np.newaxis], np.asarray(images)[np.newaxis]
    if array.ndim != len(shape):
        raise rank_error(array, (None, *shape[1:]), "")
    return Batch([_leaf(images)])


def _nested(source: Source, images: Any) -> Batch:
    """Several inputs, nested as the model takes them."""
    count = source.built_count()
    if count is not None and isinstance(images, list | tuple) and len(images) != count:
        received = f"{len(images)} arrays"
        raise ImageError("inputs-names", received=received, expected=f"a list of {count} arrays")
    structure = tf.nest.map_structure(lambda _: 0, images)
    leaves = [_leaf(leaf) for leaf in tf.nest.flatten(images)]
    shapes = source.built_shapes()
    known = tf.nest.flatten(shapes) if shapes is not None else []
    if len(known) == len(leaves) and all(
        leaf.ndim == shape.rank - 1 for leaf, shape in zip(leaves, known, strict=True)
    ):
        leaves = [leaf[np.newaxis] for leaf in leaves]  # one image, in all of its inputs
    return Batch(leaves, structure)


def tensors(source: Source, images: Any) -> list[Any]:
    """The tensors or arrays that images are made of, in the order of the model's inputs.

    Raises:
        ImageError: they don't have the shapes that the model takes, batch axis included.
    """
    specs = source.specs()
    if specs is None:
        return tf.nest.flatten(images)
    leaves = _of_dict(images, specs) if isinstance(images, dict) else tf.nest.flatten(images)
    if len(leaves) != len(specs):
        received = "one array" if len(leaves) == 1 else f"{len(leaves)} arrays"
        names = wording.listing([spec.name for spec in specs])
        raise ImageError("inputs-names", received=received, expected=names)
    for leaf, spec in zip(leaves, specs, strict=True):
        _check_kind(leaf)
        shape = getattr(leaf, "shape", None)
        if shape is None or getattr(shape, "rank", 0) is None:
            continue
        sizes, name = tuple(shape), f" '{spec.name}'" if len(specs) > 1 else ""
        if len(sizes) != len(spec.shape):
            raise rank_error(leaf, spec.shape, name)
        if not all(want in {None, size} or size is None for size, want in _pairs(sizes, spec)):
            raise ImageError(
                "images-shape",
                shape=sizes,
                name=name,
                expected=expected_shape(spec.shape),
                advice=shape_advice(sizes, spec.shape),
            )
    return leaves


def _pairs(sizes: Sequence[int | None], spec: InputSpec) -> zip[tuple[int | None, int | None]]:
    return zip(sizes[1:], spec.shape[1:], strict=True)


def misfit(source: Source, batch: Batch) -> ImageError | None:
    """The error for images unlike those that a subclassed model was built with, if they are."""
    shapes = source.built_shapes() if source.specs() is None else None
    known = tf.nest.flatten(shapes) if shapes is not None else []
    if len(known) != len(batch.arrays):
        return None
    for number, (array, of_build) in enumerate(zip(batch.arrays, known, strict=True)):
        shape = tuple(of_build.as_list())
        if array.ndim == len(shape) and not fits(array.shape[1:], shape[1:]):
            return ImageError(
                "images-shape",
                shape=array.shape,
                name=f" {number}" if len(known) > 1 else "",
                expected=expected_shape(shape),
                advice=shape_advice(array.shape, shape),
            )
    return None


def _are_several(images: Any, source: Source) -> bool:
    """Whether a list holds one batch an input, rather than one image an entry."""
    if not isinstance(images, list | tuple) or not images:
        return False
    if source.built_count() is not None:
        return True
    shape = source.built_shape()
    if shape is not None:
        return len(images) > 1 and _ranks(images) == {len(shape)}
    ranks = _ranks(images)
    return isinstance(images, tuple) or len(ranks) > 1 or min(ranks) >= BATCH_RANK


def _ranks(arrays: Sequence[Any]) -> set[int]:
    """The numbers of axes; none where an entry is no array but numbers in lists."""
    return {len(getattr(array, "shape", ())) for array in arrays}


def _leaf(given: Any) -> np.ndarray:
    """An input of unknown type: numbers that are no images, such as ids, keep theirs."""
    array = _array(given, None)
    own = np.asarray(given)
    return own if own.dtype.kind in "biu" and own.ndim < BATCH_RANK else array


def _array(images: Any, dtype: str | None) -> np.ndarray:
    """Numbers of the type that the model takes; integers become floats unless it takes integers."""
    _check_kind(images)
    if isinstance(images, tf.Tensor) and not hasattr(images, "numpy"):
        raise ImageError(
            "images-kind",
            received="a symbolic tensor, without values yet,",
            advice="Inside of a tf.function use gradcam.tap; explain is called outside of it.",
        )
    try:
        array = np.asarray(images)
    except ValueError as error:
        raise ImageError(
            "images-kind",
            received="arrays of different shapes",
            advice="Resize the images to one size first.",
        ) from error
    if array.dtype.name == "bfloat16":  # a type of TensorFlow's, which NumPy counts to no kind
        array = array.astype(np.float32)
    if array.dtype.kind not in "biuf":
        raise ImageError(
            "images-kind",
            received=f"an array of {array.dtype}",
            advice="Read files with gradcam.read_images.",
        )
    if dtype == "string":
        raise ImageError(
            "images-kind",
            received=f"an array of {array.dtype} for an input that takes words",
            advice="Explain a part of the model that begins with numbers.",
        )
    return array.astype(dtype or np.float32, copy=False)


def _check_kind(images: Any) -> None:
    """Raise unless something may be an array of numbers."""
    is_array = hasattr(images, "__array__") or hasattr(images, "__array_interface__")
    is_data = isinstance(images, tf.data.Dataset | keras.utils.PyDataset)
    if isinstance(images, str | bytes) or is_data or not (hasattr(images, "__len__") or is_array):
        kind = type(images).__name__
        advice = (
            "Read the file with gradcam.read_images."
            if isinstance(images, str | bytes)
            else "Take one batch out of a data set with next(iter(data)), without its labels."
        )
        raise ImageError("images-kind", received=f"a {kind}", advice=advice)


def _fitted(array: np.ndarray, spec: InputSpec, several: bool) -> np.ndarray:
    """The array with a batch axis, and a channel axis where a grey image lacks it."""
    shape, name = spec.shape, f" '{spec.name}'" if several else ""
    if array.ndim == len(shape) - 1:
        if fits(array.shape, shape[1:]):
            array = array[np.newaxis]
        elif shape[-1] == 1 and fits(array.shape[1:], shape[1:-1]):
            array = array[..., np.newaxis]
    elif shape[-1] == 1 and fits(array.shape, shape[1:-1]):
        array = array[np.newaxis, ..., np.newaxis]
    if array.ndim != len(shape):
        raise rank_error(array, shape, name)
    if not fits(array.shape[1:], shape[1:]):
        raise ImageError(
            "images-shape",
            shape=array.shape,
            name=name,
            expected=expected_shape(shape),
            advice=shape_advice(array.shape, shape),
        )
    if shape[0] and len(array) % shape[0]:  # so many go through the model at once
        raise ImageError("images-fixed-batch", count=len(array), expected=shape[0], advice="")
    return array
