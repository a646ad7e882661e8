"""Pictures: read, resized, coloured, laid over each other, encoded. The only user of OpenCV here.

Convention: images are RGB here; OpenCV's BGR does not leave this file.
"""

from __future__ import annotations

import numbers
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from gradcam import image_headers
from gradcam.colormaps import COLORMAPS
from gradcam.errors import GradCamError, ImageError
from gradcam.messages import findings

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_PIXELS = 2**27
"""134 million: more than any phone takes, and 400 MB once decoded."""

MAX_BYTES = 2**30

SMALLEST_DISPLAYED = 256
"""Pixels along the longer side. A digit of 28 pixels is a stamp, which JPEG makes a blot."""

_READABLE = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, JPEG 2000 and PNM can be read."


def read_images(paths: Any, size: int | tuple[int, int]) -> np.ndarray:
    """Read image files as one batch.

    Grey, 16-bit and rotated (EXIF) images become plain RGB; an alpha channel is dropped, as Keras
    does when it loads an image. A file that is cut off, or that asks for more than 134 million
    pixels, is refused.

    Args:
        paths: a path or several.
        size: (height, width) to resize to, or one number for a square.

    Returns:
        (batch, height, width, 3) float32 RGB in 0..255.
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    height, width = (size, size) if isinstance(size, int) else size
    images = [resize(read_photo(path), height, width) for path in _some(paths)]
    return np.stack(images).astype(np.float32)


def read_photo(path: str | os.PathLike[str]) -> np.ndarray:
    """One image file at its own size: (height, width, 3) uint8 RGB, the right way up.

    Raises:
        ImageError: it can't be read, with the reason.
    """
    try:
        found = Path(path).stat()
        if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
            raise _unreadable(path, "it is a pipe or a device", "Copy the image to a file first.")
        if found.st_size > MAX_BYTES:
            raise _unreadable(path, "it is larger than a gigabyte", "Make it smaller.")
        data = Path(path).read_bytes()
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error), "Check the path.") from error
    header = _checked_header(path, data)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        reason = f"its {header.kind} data can't be decoded"
        raise _unreadable(path, reason, "Save it again, as JPEG or PNG.")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _checked_header(path: str | os.PathLike[str], data: bytes) -> image_headers.Header:
    """The header; raises for what is no image, a part of one, or more pixels than memory should hold."""
    if not data:
        raise _unreadable(path, "it is empty", _READABLE)
    header = image_headers.read(data)
    if header is None:
        raise _unreadable(path, "it is no image of a known format", _READABLE)
    if header.width * header.height > MAX_PIXELS:
        size = f"{header.width} x {header.height} pixels"
        reason = f"it says that it has {size}, more than the {MAX_PIXELS:,} that are read"
        raise _unreadable(path, reason, "Make it smaller.")
    if not header.complete:
        reason = f"it is cut off: the end of the {header.kind} data is missing"
        raise _unreadable(path, reason, "Copy or download it again.")
    return header


def _unreadable(path: str | os.PathLike[str], reason: str, advice: str) -> ImageError:
    name = findings.printable(os.fspath(path))
    return ImageError("image-unreadable", path=name, reason=reason, advice=advice)


def resize(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """A picture in another size: averaged where it shrinks, interpolated where it grows."""
    if picture.shape[:2] == (height, width):
        return picture
    is_smaller = height * width < picture.shape[0] * picture.shape[1]
    how = cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR
    return cv2.resize(picture, (width, height), interpolation=how)


def for_display(picture: np.ndarray, longest: int = 1024) -> np.ndarray:
    """A picture as people want to see it: not larger than needed, not too small to see anything."""
    height, width = picture.shape[:2]
    largest = max(height, width)
    if largest < SMALLEST_DISPLAYED:
        times = -(-SMALLEST_DISPLAYED // largest)
        return picture.repeat(times, 0).repeat(times, 1)  # its pixels are still to be seen
    share = min(1.0, longest / largest)
    size = max(1, round(height * share)), max(1, round(width * share))
    # Averaging is slow, and only needed where pixels would be skipped.
    return stretch(picture, *size) if share > 0.5 else resize(picture, *size)


def stretch(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """A picture or a heatmap in another size, interpolated: for what is smooth, or stays large."""
    if picture.shape[:2] == (height, width):
        return picture
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)


def grey(picture: np.ndarray) -> np.ndarray:
    """The luminance of an RGB picture: (height, width, 1)."""
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., np.newaxis]


def overlay(
    images: Any,
    heatmaps: np.ndarray,
    alpha: Any,
    colormap: str,
    coverage: np.ndarray | None = None,
    *,
    signed: bool = False,
) -> np.ndarray:
    """Heatmaps (batch, [classes,] height, width) in colour over images of the same size.

    Where `coverage` (batch, height, width) is 0, the images stay as they are. `signed` is that of
    `colour`.
    """
    if not isinstance(alpha, numbers.Real) or not 0 <= float(alpha) <= 1:
        raise ImageError(
            "unknown-option",
            option="alpha",
            value=alpha,
            hint="",
            expected="a number from 0 to 1",
            advice="0 shows the image, 1 the heatmap.",
        )
    base = _displayed(np.asarray(images), heatmaps.shape)
    coloured = colour(heatmaps, colormap, signed=signed)
    if heatmaps.ndim == 4:
        base = np.broadcast_to(base[:, np.newaxis], coloured.shape)
    # OpenCV takes pictures of two axes, however long the first.
    rows = (-1, heatmaps.shape[-1] * 3)
    share = float(alpha)
    mixed = cv2.addWeighted(
        np.ascontiguousarray(base).reshape(rows), 1 - share, coloured.reshape(rows), share, 0
    )
    mixed = mixed.reshape(coloured.shape)
    if coverage is None:
        return mixed
    share_seen = coverage[:, np.newaxis] if heatmaps.ndim == 4 else coverage
    return np.rint(base + share_seen[..., np.newaxis] * (mixed - base.astype(np.float32))).astype(
        np.uint8
    )


def colour(heatmaps: np.ndarray, colormap: str, *, signed: bool = False) -> np.ndarray:
    """Heatmaps (..., height, width) as RGB.

    Args:
        heatmaps: in [0, 1], or in [-1, 1] where they are signed.
        colormap: the name of an OpenCV colour map.
        signed: whether the scale has a negative side: then zero is the middle colour, also where
            a heatmap happens to have none.
    """
    if heatmaps.ndim < 2:
        raise ImageError("maps-undrawable", shape=heatmaps.shape)
    code = _colormap(colormap)
    values = (heatmaps + 1) / 2 if signed else heatmaps
    levels = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    painted = cv2.applyColorMap(levels.reshape(-1, levels.shape[-1]), code)
    return cv2.cvtColor(painted, cv2.COLOR_BGR2RGB).reshape(*heatmaps.shape, 3)


def encode(picture: np.ndarray) -> bytes:
    """An RGB picture (height, width, 3) uint8 as PNG; a fourth channel is its opacity."""
    if picture.ndim != 3:
        raise ImageError("maps-undrawable", shape=picture.shape[:-1])
    order = cv2.COLOR_RGBA2BGRA if picture.shape[2] == 4 else cv2.COLOR_RGB2BGR
    return bytes(cv2.imencode(".png", cv2.cvtColor(picture, order))[1])


def encode_jpeg(picture: np.ndarray, quality: int = 90) -> bytes:
    """An RGB picture (height, width, 3) uint8 as JPEG."""
    turned = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    return bytes(cv2.imencode(".jpg", turned, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


def work_on_one_thread() -> None:
    """Keep OpenCV from starting threads of its own, where a caller has several already."""
    cv2.setNumThreads(1)


def _some(paths: Iterable[Any]) -> list[Any]:
    listed = list(paths)
    if not listed:
        raise ImageError("images-empty", shape="(0,)")
    return listed


def _displayed(images: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Images as (batch, height, width, 3) uint8, for heatmaps of a shape."""
    batch, size = shape[0], shape[-2:]
    if images.ndim == len(size) + 1 and images.shape[:2] == size and batch == 1:
        images = images[np.newaxis]
    if images.ndim == len(size) and images.shape == size and batch == 1:
        images = images[np.newaxis]
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim == 4 and images.shape[1] in {1, 3} and images.shape[2:] == size:
        images = np.moveaxis(images, 1, -1)
    fits = images.ndim == 4 and images.shape[:3] == (batch, *size) and images.shape[3] in {1, 3}
    if not fits:
        raise ImageError("images-undrawable", shape=np.shape(images), expected=shape)
    return np.broadcast_to(_bytes(images), (batch, *size, 3))


def _bytes(images: np.ndarray) -> np.ndarray:
    if images.dtype == np.uint8:
        return images
    values = images.astype(np.float32)
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 255:
        factor = 255.0 if high <= 1 and images.dtype.kind == "f" else 1.0
        return np.rint(values * factor).astype(np.uint8)
    if high == low:  # nothing to stretch
        return np.zeros(values.shape, np.uint8)
    return np.rint((values - low) / (high - low) * 255).astype(np.uint8)


def _colormap(name: str) -> int:
    if name not in COLORMAPS:
        raise GradCamError(
            "unknown-option",
            option="colormap",
            value=name,
            hint=findings.suggestion(str(name), COLORMAPS),
            expected=f"one of: {findings.listing(sorted(COLORMAPS))}",
            advice="turbo is the default.",
        )
    return COLORMAPS[name]


# Pictures of several pictures.

_INK, _PAPER, _FRAME = (32, 36, 44), (255, 255, 255), (255, 255, 255)
_GAP, _CAPTION = 12, 30


def outlined(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A picture with a line around the part where a mask (height, width) is more than a half."""
    inside = (mask > 0.5).astype(np.uint8)
    # Nothing is outside of the picture: a part that reaches its edge is closed there.
    padded = cv2.copyMakeBorder(inside, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    contours, _ = cv2.findContours(
        padded, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(-1, -1)
    )
    lines = [cv2.approxPolyDP(contour, 3, True) for contour in contours]
    return cv2.polylines(picture.copy(), lines, True, _FRAME, 2, cv2.LINE_AA)


def contact_sheet(pictures: list[np.ndarray], labels: list[str], columns: int) -> np.ndarray:
    """Pictures of one size (height, width, 3) in rows, each with its label below, on white."""
    height, width = pictures[0].shape[:2]
    rows = -(-len(pictures) // columns)
    step = (height + _CAPTION + _GAP, width + _GAP)
    size = (rows * step[0] + _GAP, columns * step[1] + _GAP, 3)
    sheet = np.full(size, _PAPER, np.uint8)
    for number, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        y = _GAP + number // columns * step[0]
        x = _GAP + number % columns * step[1]
        sheet[y : y + height, x : x + width] = picture
        font = (cv2.FONT_HERSHEY_SIMPLEX, 0.5)
        place = (x, y + height + 20)
        cv2.putText(sheet, label, place, *font, _INK, 1, cv2.LINE_AA)
    return sheet
