"""Digits for the examples: drawn here, so that nothing has to be downloaded."""

import cv2
import numpy as np

FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
)


def draw_digit(digit, size, random):
    """One digit, white on black: its font, size, place, slant and stroke are random. `size` in pixels."""
    canvas = np.zeros((size, size), np.uint8)
    font = FONTS[random.integers(len(FONTS))]
    thickness = int(random.integers(1, 3))
    height = size * random.uniform(0.32, 0.55)
    scale = height / cv2.getTextSize(str(digit), font, 1.0, thickness)[0][1]
    width, tall = cv2.getTextSize(str(digit), font, scale, thickness)[0]
    corner = (round((size - width) / 2), round((size + tall) / 2))
    cv2.putText(canvas, str(digit), corner, font, scale, 255, thickness, cv2.LINE_AA)
    shift = random.uniform(-0.2, 0.2, 2) * size
    matrix = cv2.getRotationMatrix2D((size / 2, size / 2), random.uniform(-35, 35), 1.0)
    matrix[:, 2] += shift
    return cv2.warpAffine(canvas, matrix, (size, size))


def draw_clutter(image, count, random):
    """Adds short strokes that belong to no digit."""
    size = image.shape[0]
    for _ in range(count):
        start = random.integers(0, size, 2)
        end = start + random.integers(-size // 8, size // 8 + 1, 2)
        colour = int(random.integers(100, 256))
        cv2.line(image, tuple(map(int, start)), tuple(map(int, end)), colour, 1, cv2.LINE_AA)


def make_digits(count, size=40, clutter=6, seed=0):
    """`(count, size, size, 1)` images in [0, 1], and their labels.

    Example:

    >>> images, labels = make_digits(3)
    >>> images.shape, labels.shape
    ((3, 40, 40, 1), (3,))
    """
    random = np.random.default_rng(seed)
    labels = random.integers(0, 10, count)
    drawn = [draw_digit(label, size, random) for label in labels]
    for image in drawn:
        draw_clutter(image, clutter, random)
    images = np.stack(drawn) / 255 + random.normal(0, 0.05, (count, size, size))
    return np.clip(images, 0, 1)[..., None].astype(np.float32), labels
