"""What is wrong with the shape of images, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradcam.errors import GradCamError, ImageError

if TYPE_CHECKING:
    from collections.abc import Sequence


def fits(sizes: Sequence[int], expected: Sequence[int | None]) -> bool:
    """Whether sizes are the expected ones, None being any."""
    return len(sizes) == len(expected) and all(
        want in {None, size} for size, want in zip(sizes, expected, strict=True)
    )


def rank_error(array: Any, shape: Sequence[int | None], name: str) -> GradCamError:
    """The error for an array with too many or too few axes; `name` is that of one of several inputs."""
    sizes = tuple(array.shape)
    advice = (
        "Stack the images to one batch."
        if len(sizes) > len(shape)
        else "A batch axis is missing: images[None] adds one."
        if len(sizes) == len(shape) - 1 and fits(sizes, shape[1:])
        else "An image needs its axis of channels: images[..., None] adds one."
    )
    return ImageError(
        "images-rank",
        shape=sizes,
        rank=len(sizes),
        name=name,
        expected=expected_shape(shape),
        advice=advice,
    )


def shape_advice(sizes: Sequence[int], expected: Sequence[int | None]) -> str:
    """What most likely happened to images of the right rank."""
    if len(sizes) == 4 and fits((sizes[2], sizes[3], sizes[1]), expected[1:]):
        return "They look channels-first: np.moveaxis(images, 1, -1) turns them."
    if len(sizes) == 4 and fits((sizes[3], sizes[1], sizes[2]), expected[1:]):
        return "They look channels-last: np.moveaxis(images, -1, 1) turns them."
    if fits(sizes[1:-1], expected[1:-1]):
        if sizes[-1] == 1 and expected[-1] == 3:
            return "Grey images become RGB with np.repeat(images, 3, axis=-1)."
        if sizes[-1] == 4 and expected[-1] == 3:
            return "Drop the alpha channel: images[..., :3]."
        return "Check the number of channels."
    return "Resize the images, for example with keras.ops.image.resize."


def expected_shape(shape: Sequence[int | None]) -> str:
    """The shape of a batch that an input takes, for a sentence."""
    sizes = ["any" if size is None else str(size) for size in shape[1:]]
    return f"({', '.join(['batch', *sizes])})"
