"""Pictures: read, resized, coloured, laid over each other, encoded. The only user of OpenCV here.

Convention: images are RGB here; OpenCV's BGR does not leave this file.
"""

from __future__ import annotations

import numbers
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from gradcam import findings
from gradcam.errors import GradCamError, ImageError

if TYPE_CHECKING:
    from collections.abc import Iterable


def read_images(paths: Any, size: int | tuple[int, int]) -> np.ndarray:
    """Read image files as one batch.

    Grey, alpha, 16-bit and rotated (EXIF) images become plain RGB.

    Args:
        paths: a path or several.
        size: (height, width) to resize to, or one number for a square.

    Returns:
        (batch, height, width, 3) float32 RGB in 0..255.
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    height, width = (size, size) if isinstance(size, int) else size
    images = [_read(Path(path), height, width) for path in _some(paths)]
    return np.stack(images).astype(np.float32)


def overlay(
    images: Any,
    heatmaps: np.ndarray,
    alpha: Any,
    colormap: str,
    coverage: np.ndarray | None = None,
) -> np.ndarray:
    """Heatmaps (batch, [classes,] height, width) in colour over images of the same size.

    Where `coverage` (batch, height, width) is 0, the images stay as they are.
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
    coloured = colour(heatmaps, colormap)
    if heatmaps.ndim == 4:
        base = base[:, np.newaxis]
    share: Any = float(alpha)
    if coverage is not None:
        covered = coverage[..., np.newaxis]
        share = share * (covered[:, np.newaxis] if heatmaps.ndim == 4 else covered)
    mixed = (1 - share) * base.astype(np.float32) + share * coloured
    return np.rint(mixed).astype(np.uint8)


def colour(heatmaps: np.ndarray, colormap: str) -> np.ndarray:
    """Heatmaps (..., height, width) as RGB; with a negative side, zero is the middle colour."""
    if heatmaps.ndim < 2:
        raise ImageError("maps-undrawable", shape=heatmaps.shape)
    code = _colormap(colormap)
    values = (heatmaps + 1) / 2 if heatmaps.min() < 0 else heatmaps
    levels = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    table = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, np.newaxis], code)[:, 0, ::-1]
    return table[levels]


def encode(picture: np.ndarray) -> bytes:
    """An RGB picture (height, width, 3) uint8 as PNG."""
    if picture.ndim != 3:
        raise ImageError("maps-undrawable", shape=picture.shape[:-1])
    return bytes(cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))[1])


def _some(paths: Iterable[Any]) -> list[Any]:
    listed = list(paths)
    if not listed:
        raise ImageError("images-empty", shape="(0,)")
    return listed


def _read(path: Path, height: int, width: int) -> np.ndarray:
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        reason, advice = error.strerror or str(error), "Check the path."
        raise ImageError("image-unreadable", path=path, reason=reason, advice=advice) from error
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        reason = "it is no image that OpenCV knows" if data.size else "it is empty"
        advice = "JPEG, PNG, WebP, BMP and TIFF can be read."
        raise ImageError("image-unreadable", path=path, reason=reason, advice=advice)
    is_smaller = height * width < image.shape[0] * image.shape[1]
    how = cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR
    return cv2.resize(image, (width, height), interpolation=how)[..., ::-1]


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
    known = {key[9:].lower(): getattr(cv2, key) for key in dir(cv2) if key.startswith("COLORMAP_")}
    if name not in known:
        raise GradCamError(
            "unknown-option",
            option="colormap",
            value=name,
            hint=findings.suggestion(str(name), known),
            expected=f"one of: {findings.listing(sorted(known))}",
            advice="turbo is the default.",
        )
    return int(known[name])
