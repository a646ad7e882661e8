"""The figure of `distorted_mnist`: what the transformers do with distorted digits, and the errors as bars."""

import cv2
import numpy as np

SHOWN = 8
"""Digits beside each other."""

INK = (40, 40, 40)
GREY = (165, 165, 165)
BLUE = (40, 110, 190)
FRAME = (90, 200, 255)
FONT = cv2.FONT_HERSHEY_SIMPLEX
TILE = 88
MARGIN = 12
CAPTION = 26


def sample_path(folder, model, distortion):
    """Where the picture of one network's transformer lies."""
    return folder / "samples" / f"{distortion}.{model.replace(' ', '-')}.png"


def draw_samples(folder, cell, model, images):
    """Writes a picture: digits with the frame that the transformer chose, below them what it hands on."""
    images = images[:SHOWN]
    layer = model.layers[1]
    theta = layer.theta(images)
    grids, seen = np.asarray(layer.grid(theta)), np.asarray(layer.warp(images, theta))
    above = [_framed(_tile(image), grid) for image, grid in zip(images, grids, strict=True)]
    below = [_tile(image) for image in seen]
    rows = [np.concatenate([_padded(tile) for tile in row], axis=1) for row in (above, below)]
    path = sample_path(folder, cell["model"], cell["distortion"])
    path.parent.mkdir(exist_ok=True)
    _write(path, np.concatenate(rows))


def draw_figure(folder, content):
    """Writes the figure and gives its path."""
    parts = []
    cells = content["cells"]
    shown = "ST-CNN affine"
    for distortion in dict.fromkeys(cell["distortion"] for cell in cells):
        path = sample_path(folder, shown, distortion)
        if path.exists():
            picture = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
            title = f"{distortion}: images with the frame of {shown}, and what it hands on"
            parts += [_title(title, picture.shape[1]), picture]
    parts += _bars(cells, content["settings"]["name"])
    width = max(part.shape[1] for part in parts) + 2 * MARGIN
    figure = np.concatenate([_widened(part, width) for part in parts])
    path = folder / "figure.png"
    _write(path, figure)
    return path


def _bars(cells, schedule):
    """One block a distortion: a bar for each network, the paper's as a line on it."""
    width = SHOWN * (TILE + 4)
    longest = max(max(cell["error"], cell["paper"]) for cell in cells)
    room, left = width - 270, 160
    parts = [_title(f"Errors in %: {schedule} schedule (bars), the paper (lines)", width)]
    for distortion in dict.fromkeys(cell["distortion"] for cell in cells):
        rows = [cell for cell in cells if cell["distortion"] == distortion]
        block = np.full((len(rows) * 20 + 10, width, 3), 255, np.uint8)
        for number, cell in enumerate(rows):
            y = number * 20
            _text(block, f"{distortion:4}{cell['model']}", (0, y + 14))
            end = left + round(cell["error"] / longest * room)
            colour = BLUE if cell["model"].startswith("ST") else GREY
            cv2.rectangle(block, (left, y + 2), (end, y + 16), colour, -1)
            paper = left + round(cell["paper"] / longest * room)
            cv2.line(block, (paper, y), (paper, y + 18), INK, 2)
            _text(block, f"{cell['error']:.2f} ({cell['paper']})", (max(end, paper) + 8, y + 14))
        parts.append(block)
    return parts


def _tile(image):
    grey = np.round(np.clip(image[..., 0], 0, 1) * 255).astype(np.uint8)
    grown = cv2.resize(grey, (TILE, TILE), interpolation=cv2.INTER_NEAREST)
    return cv2.cvtColor(grown, cv2.COLOR_GRAY2RGB)


def _framed(tile, grid):
    """The outline of a sampling grid, `(h, w, 2)` in [-1, 1], on an enlarged image."""
    edge = np.concatenate([grid[0], grid[1:, -1], grid[-1, -2::-1], grid[-2:0:-1, 0]])
    corners = np.round((np.clip(edge, -9, 9) + 1) / 2 * (TILE - 1)).astype(np.int32)
    return cv2.polylines(tile, [corners], True, FRAME, 1, cv2.LINE_AA)


def _padded(tile):
    return cv2.copyMakeBorder(tile, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=(255, 255, 255))


def _widened(part, width):
    right = width - MARGIN - part.shape[1]
    return cv2.copyMakeBorder(part, 2, 2, MARGIN, right, cv2.BORDER_CONSTANT, value=(255, 255, 255))


def _title(words, width):
    strip = np.full((CAPTION, width, 3), 255, np.uint8)
    _text(strip, words, (0, CAPTION - 8))
    return strip


def _text(picture, words, corner):
    cv2.putText(picture, words, corner, FONT, 0.42, INK, 1, cv2.LINE_AA)


def _write(path, picture):
    encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
    path.write_bytes(encoded.tobytes())
