"""Handwritten-looking digits, drawn here: a stand-in for MNIST where nothing can be downloaded.

Each digit is one to three strokes through a few points; writers differ in where they put the points, in
slant, proportions and pen. As in MNIST, a digit fills 20x20 of 28x28 pixels, its centre of mass in the
middle.
"""

import cv2
import numpy as np

SIZE = 28
BOX = 20
DETAIL = 4
"""Strokes are drawn this many times larger, then brought down: a soft edge."""

WOBBLE = 0.08
"""How far a writer puts a point from where it belongs, in heights of a digit."""

_RING = [(0.5, 0), (0.1, 0.2), (0.05, 0.55), (0.3, 0.97), (0.7, 0.95), (0.95, 0.5), (0.8, 0.1)]

# Strokes of each way to write a digit, points (x, y) from the top left of its box. A stroke that ends in its
# first point is closed.
STROKES = (
    ([[*_RING, (0.5, 0)]],),
    ([[(0.5, 0), (0.5, 0.5), (0.5, 1)]], [[(0.25, 0.25), (0.55, 0), (0.52, 0.5), (0.5, 1)]]),
    (
        [[(0.1, 0.25), (0.45, 0), (0.8, 0.25), (0.5, 0.6), (0.05, 1)], [(0.05, 1), (0.95, 0.97)]],
        [[(0.1, 0.2), (0.5, 0), (0.8, 0.3), (0.4, 0.8), (0.1, 0.9), (0.3, 0.75), (0.95, 1)]],
    ),
    (
        [
            [(0.1, 0.1), (0.5, 0), (0.8, 0.2), (0.65, 0.42), (0.35, 0.48)],
            [(0.35, 0.48), (0.75, 0.55), (0.88, 0.78), (0.5, 1), (0.08, 0.88)],
        ],
    ),
    (
        [
            [(0.65, 0), (0.35, 0.35), (0.05, 0.65)],
            [(0.05, 0.65), (0.95, 0.63)],
            [(0.68, 0.3), (0.65, 1)],
        ],
        [[(0.15, 0), (0.1, 0.45), (0.5, 0.52), (0.8, 0.45)], [(0.85, 0), (0.8, 0.5), (0.75, 1)]],
    ),
    (
        [
            [(0.85, 0.02), (0.25, 0.03)],
            [(0.25, 0.03), (0.2, 0.42)],
            [(0.2, 0.42), (0.6, 0.38), (0.88, 0.65), (0.6, 0.98), (0.08, 0.92)],
        ],
    ),
    (
        [[(0.7, 0), (0.3, 0.3), (0.1, 0.7), (0.4, 1), (0.8, 0.8), (0.6, 0.55), (0.15, 0.72)]],
        [[(0.4, 0), (0.15, 0.5), (0.25, 0.95), (0.7, 0.95), (0.75, 0.62), (0.2, 0.7)]],
    ),
    (
        [[(0.08, 0.05), (0.9, 0.03)], [(0.9, 0.03), (0.6, 0.45), (0.4, 1)]],
        [
            [(0.08, 0.05), (0.9, 0.03)],
            [(0.9, 0.03), (0.6, 0.5), (0.45, 1)],
            [(0.35, 0.5), (0.85, 0.48)],
        ],
    ),
    (
        [
            [(0.8, 0.15), (0.45, 0), (0.2, 0.22), (0.5, 0.48), (0.85, 0.75), (0.5, 1)],
            [(0.5, 1), (0.15, 0.78), (0.5, 0.48), (0.8, 0.15)],
        ],
    ),
    (
        [[(0.8, 0.2), (0.45, 0), (0.15, 0.25), (0.4, 0.48), (0.8, 0.22), (0.75, 0.6), (0.55, 1)]],
        [
            [(0.8, 0.2), (0.45, 0), (0.15, 0.25), (0.4, 0.48), (0.8, 0.2)],
            [(0.8, 0.2), (0.82, 0.6), (0.4, 1)],
        ],
    ),
)


def smooth(points, pieces=6):
    """A Catmull-Rom curve through `(n, 2)` points, `pieces` short lines between two of them."""
    points = np.asarray(points, float)
    before = np.concatenate([2 * points[:1] - points[1:2], points[:-2]])
    after = np.concatenate([points[2:], 2 * points[-1:] - points[-2:-1]])
    t = np.arange(pieces)[:, None, None] / pieces
    start, end = points[:-1], points[1:]
    curve = start + t / 2 * (
        end - before + t * (2 * before - 5 * start + 4 * end - after)
        + t * t * (3 * (start - end) + after - before)
    )  # fmt: skip
    return np.concatenate([curve.transpose(1, 0, 2).reshape(-1, 2), points[-1:]])


def write_digit(digit, random):
    """One digit as `(28, 28)` bytes, white on black."""
    ways = STROKES[digit]
    strokes = ways[random.integers(len(ways))]
    # One wobble for each place, so that strokes that meet in a point still do.
    wobbles = {}
    width = random.uniform(0.45, 0.85)
    slant = random.normal(0.15, 0.2)
    drawn = []
    for stroke in strokes:
        moved = [
            np.add(point, wobbles.setdefault(point, random.normal(0, WOBBLE, 2)))
            for point in stroke
        ]
        x, y = smooth(moved).T
        drawn.append(np.stack([x * width - slant * y, y], axis=1))
    return _ink(drawn, pen=random.uniform(1.4, 3.2))


def _ink(strokes, pen):
    points = np.concatenate(strokes)
    low, high = points.min(axis=0), points.max(axis=0)
    scale = (BOX - pen) / (high - low).max()
    canvas = np.zeros((SIZE * DETAIL, SIZE * DETAIL), np.uint8)
    for stroke in strokes:
        placed = ((stroke - (low + high) / 2) * scale + SIZE / 2) * DETAIL
        cv2.polylines(canvas, [np.round(placed).astype(np.int32)], False, 255, round(pen * DETAIL))
    image = cv2.resize(canvas, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    moments = cv2.moments(image)
    shift = np.array([moments["m10"], moments["m01"]]) / moments["m00"] - (SIZE - 1) / 2
    room = (SIZE - BOX) // 2
    matrix = np.float32([[1, 0, 0], [0, 1, 0]])
    matrix[:, 2] = -np.clip(np.round(shift), -room, room)
    return cv2.warpAffine(image, matrix, (SIZE, SIZE))


def write_digits(count, seed=0):
    """`(count, 28, 28)` bytes, and their labels.

    Example:

    >>> images, labels = write_digits(3)
    >>> images.shape, images.dtype.name, labels.shape
    ((3, 28, 28), 'uint8', (3,))
    """
    random = np.random.default_rng(seed)
    labels = random.integers(0, 10, count)
    return np.stack([write_digit(label, random) for label in labels]), labels
