"""Lines, letters, sizes and files: the only user of OpenCV in this package.

Convention: pictures are RGB uint8 `(height, width, 3)`; points are `(x, y)` in pixels, the centre of the
first pixel at 0.
"""

from __future__ import annotations

import os
import unicodedata
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

Picture = np.ndarray[Any, np.dtype[np.uint8]]
Colour = tuple[int, int, int]

INK: Colour = (33, 37, 41)
FAINT: Colour = (173, 181, 189)
PAPER: Colour = (255, 255, 255)
RED: Colour = (214, 40, 40)
BLUE: Colour = (0, 170, 255)
ORANGE: Colour = (255, 140, 0)

TEXT_HEIGHT = 18
"""The height of a line of text."""

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FONT_SCALE = 0.4
_SHIFT = 4
"""Lines are drawn to a sixteenth of a pixel."""


def blank(height: int, width: int, colour: Colour = PAPER) -> Picture:
    """A picture of one colour."""
    return np.full((height, width, 3), colour, np.uint8)


def checkered(height: int, width: int) -> Picture:
    """What lies outside an image: two light greys, in squares."""
    rows, columns = np.arange(height)[:, None] // 6, np.arange(width) // 6
    grey = np.where((rows + columns) % 2, 214, 232).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)


def resized(picture: Picture, height: int, width: int) -> Picture:
    """Another size: pixels stay to be seen where it grows, and are averaged where it shrinks."""
    shrinks = height * width < picture.shape[0] * picture.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(picture, (width, height), interpolation=how), np.uint8)


def line(picture: Picture, points: np.ndarray, colour: Colour, thickness: int = 1) -> None:
    """Draws a line through `(n, 2)` points, in place; it is broken where a point isn't finite."""
    present = np.isfinite(points).all(axis=-1)
    starts = np.flatnonzero(np.diff(np.concatenate([[False], present, [False]]).astype(int)) == 1)
    ends = np.flatnonzero(np.diff(np.concatenate([[False], present, [False]]).astype(int)) == -1)
    for start, end in zip(starts, ends, strict=True):
        fixed = np.round(points[start:end] * 2**_SHIFT).astype(np.int32)
        cv2.polylines(picture, [fixed], False, colour, thickness, cv2.LINE_AA, _SHIFT)


def faintly(picture: Picture, change: Callable[[Picture], None]) -> None:
    """Makes a change half transparent, in place."""
    changed = picture.copy()
    change(changed)
    picture[:] = cv2.addWeighted(picture, 0.4, changed, 0.6, 0)


def dot(picture: Picture, point: np.ndarray, colour: Colour, radius: int) -> None:
    """Draws a filled circle, in place."""
    if np.isfinite(point).all():
        x, y = (int(number) for number in np.round(point * 2**_SHIFT))
        cv2.circle(picture, (x, y), radius << _SHIFT, colour, -1, cv2.LINE_AA, _SHIFT)


def area(picture: Picture, points: np.ndarray, colour: Colour) -> None:
    """Fills a polygon, in place."""
    cv2.fillPoly(picture, [np.round(points).astype(np.int32)], colour, cv2.LINE_AA)


def text_width(words: str) -> int:
    """How many pixels a text takes."""
    return int(cv2.getTextSize(_drawable(words), _FONT, _FONT_SCALE, 1)[0][0])


def text(words: str, width: int, colour: Colour = INK, align: str = "left") -> Picture:
    """A line of text on paper, `TEXT_HEIGHT` high; shortened where it is longer than `width`."""
    words = _drawable(words)
    if text_width(words) > width:
        while words and text_width(words + "...") > width:
            words = words[:-1]
        words = f"{words}..." if words else ""
    picture = blank(TEXT_HEIGHT, width)
    spare = width - text_width(words)
    left = {"left": 0, "centre": spare // 2, "right": spare}[align]
    corner = (max(left, 0), TEXT_HEIGHT - 6)
    cv2.putText(picture, words, corner, _FONT, _FONT_SCALE, colour, 1, cv2.LINE_AA)
    return picture


def _drawable(words: str) -> str:
    """OpenCV's letters are those of ASCII: accents are left out, the rest becomes question marks."""
    plain = unicodedata.normalize("NFKD", words)
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return plain.replace("\n", " ").encode("ascii", "replace").decode()


def encode(picture: Picture) -> bytes:
    """A picture as a PNG file's content."""
    blue_first = np.ascontiguousarray(_checked(picture)[..., ::-1])
    # Enlarged pixels compress well, where the time for it is taken.
    return bytes(cv2.imencode(".png", blue_first, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1])


def save(path: str | os.PathLike[str], picture: Picture) -> Path:
    """Writes a picture as a PNG file, its folder too; a file of that name is replaced in one step.

    Example:

    >>> import tempfile
    >>> from keras_stn import plots
    >>> plots.save(tempfile.mkdtemp() + "/frames.png", np.zeros((8, 8, 3), "uint8")).name
    'frames.png'
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(
            f"Pictures are written as PNG files. Received: {str(path)!r}. Let the name end in .png."
        )
    content = encode(picture)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def _checked(picture: Any) -> Picture:
    array = np.asarray(picture)
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or 0 in array.shape:
        raise ValueError(
            "A picture must be RGB uint8 of shape (height, width, 3). Received: "
            f"{array.dtype} of shape {array.shape}. keras_stn.plots.pictures makes some of images."
        )
    return array
