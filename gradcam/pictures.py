"""Pictures: read, resized, coloured, laid over each other, encoded. The only user of OpenCV here.

Pillow reads the files: it tells size, mode and orientation before a pixel is decoded, and refuses a
file that is cut off, of which OpenCV makes half a picture without a word. OpenCV does what follows:
it resizes, colours and encodes faster, and has the colour maps.

Convention: images are RGB here; OpenCV's BGR does not leave this file.
"""

from __future__ import annotations

import contextlib
import numbers
import os
import stat
import struct
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from gradcam.errors import GradCamError, ImageError
from gradcam.messages import wording

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_PIXELS = 2**27
"""134 million: more than nearly any phone takes, and 400 MB once decoded."""

MAX_BYTES = 2**30

COLORMAPS: dict[str, int] = {
    name.removeprefix("COLORMAP_").lower(): getattr(cv2, name)
    for name in dir(cv2)
    if name.startswith("COLORMAP_")
}
"""OpenCV's colour maps by name."""

# Pillow knows other formats too, some of which are programs, such as EPS.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")
_READABLE = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, JPEG 2000 and PNM can be read."

# What Pillow raises over broken files; its warnings only where somebody made them errors.
_BROKEN = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, OSError, RuntimeError, SyntaxError),
    *(TypeError, ValueError, Warning, struct.error),
)


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
        _check_file(path)
        with Path(path).open("rb") as file:
            return _decoded(path, file)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error), "Check the path.") from error


def _check_file(path: str | os.PathLike[str]) -> None:
    """Raise for what would hang, or fill the memory, before it is opened."""
    found = Path(path).stat()
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
        raise _unreadable(path, "it is a pipe or a device", "Copy the image to a file first.")
    if found.st_size > MAX_BYTES:
        raise _unreadable(path, "it is larger than a gigabyte", "Make it smaller.")
    if not found.st_size:
        raise _unreadable(path, "it is empty", _READABLE)


def _decoded(path: str | os.PathLike[str], file: IO[bytes]) -> np.ndarray:
    """The first picture in a file; what is no image, only a part of one, or too large, is refused."""
    try:
        image = Image.open(file, formats=_FORMATS)
        _check_size(image)
        image.load()
        return _rgb(_upright(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        reason = f"it says that it has more pixels than the {MAX_PIXELS:,} that are read"
        raise _unreadable(path, reason, "Make it smaller.") from error
    except MemoryError as error:
        raise _unreadable(path, "there is not enough memory for it", "Make it smaller.") from error
    except UnidentifiedImageError as error:
        file.seek(0)
        if file.read(12)[4:] in {b"ftypheic", b"ftypheix", b"ftyphevc", b"ftypmif1"}:
            reason, advice = "it is HEIC, which can't be decoded", "Export it as JPEG."
        else:
            reason, advice = "it is no image of a known format", _READABLE
        raise _unreadable(path, reason, advice) from error
    except _BROKEN as error:
        if (
            isinstance(error, OSError) and error.errno is not None
        ):  # the system's word, not Pillow's
            raise
        advice = "Copy or download it again."
        raise _unreadable(path, "it is damaged or cut off", advice) from error


def _check_size(image: Image.Image) -> None:
    """Pillow raises the same for about twice as many pixels."""
    if image.width * image.height > MAX_PIXELS:
        raise Image.DecompressionBombError


def _upright(image: Image.Image) -> Image.Image:
    """A picture turned as its EXIF says; where that can't be read, it is taken as it is."""
    with contextlib.suppress(*_BROKEN):
        ImageOps.exif_transpose(image, in_place=True)
    return image


def _rgb(image: Image.Image) -> np.ndarray:
    """The pixels of any mode in 8 bits; transparency is dropped."""
    if image.mode.startswith("I"):  # grey in 16 bits, of which Pillow would make white
        levels = np.clip(np.asarray(image), 0, 65535) >> 8
        return np.repeat(levels.astype(np.uint8)[..., np.newaxis], 3, axis=-1)
    image.info.pop("transparency", None)  # or convert() warns of what is wanted
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _unreadable(path: str | os.PathLike[str], reason: str, advice: str) -> ImageError:
    name = wording.printable(os.fspath(path))
    return ImageError("image-unreadable", path=name, reason=reason, advice=advice)


def resize(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """A picture in another size: averaged where it shrinks, interpolated where it grows."""
    if picture.shape[:2] == (height, width):
        return picture
    is_smaller = height * width < picture.shape[0] * picture.shape[1]
    how = cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR
    return cv2.resize(picture, (width, height), interpolation=how)


def stretch(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """A picture or a heatmap in another size, interpolated: for what is smooth, or stays large."""
    if picture.shape[:2] == (height, width):
        return picture
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)


def fitted(picture: np.ndarray, height: int, width: int, channels: int) -> np.ndarray:
    """The pixels of a picture in the size, and the number of channels, that a model takes."""
    pixels = resize(picture, height, width)
    return grey(pixels) if channels == 1 else pixels


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
            hint=wording.suggestion(str(name), COLORMAPS),
            expected=f"one of: {wording.listing(sorted(COLORMAPS))}",
            advice="turbo is the default.",
        )
    return COLORMAPS[name]
