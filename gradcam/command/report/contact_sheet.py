"""Several pictures on one: drawn with Pillow, which has letters."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

_INK, _PAPER, _FRAME = (32, 36, 44), (255, 255, 255), (255, 255, 255)
_GAP, _CAPTION, _LETTERS = 12, 30, 14


def outlined(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A picture with a line around the part where a mask (height, width) is more than a half."""
    part = np.uint8(mask > 0.5)
    # Nothing is outside of the picture: a part that reaches its edge is closed there.
    padded = Image.fromarray(np.pad(part, 2))
    inside = np.asarray(padded.filter(ImageFilter.MinFilter(5)))[2:-2, 2:-2]
    edge = (part > inside)[..., np.newaxis]
    return np.where(edge, np.array(_FRAME, np.uint8), picture)


def contact_sheet(pictures: list[np.ndarray], labels: list[str], columns: int) -> np.ndarray:
    """Pictures of one size (height, width, 3) in rows, each with its label below, on white."""
    height, width = pictures[0].shape[:2]
    rows = -(-len(pictures) // columns)
    step = (height + _CAPTION + _GAP, width + _GAP)
    sheet = Image.new("RGB", (columns * step[1] + _GAP, rows * step[0] + _GAP), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_LETTERS)
    for number, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        x = _GAP + number % columns * step[1]
        y = _GAP + number // columns * step[0]
        sheet.paste(Image.fromarray(picture), (x, y))
        draw.text((x, y + height + 6), label, _INK, font)
    return np.asarray(sheet)
