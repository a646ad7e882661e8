"""The figure of `distorted_mnist`: what the transformers do with distorted digits, and the errors as bars."""

import cv2
import numpy as np

from examples.distorted_models import FAMILIES
from examples.distortions import DISTORTIONS
from keras_stn import plots

SHOWN = 4
"""Digits of each distortion."""

SHOWN_FIRST = "ST-CNN affine"
WIDTH = 1040
INK = (40, 40, 40)
GREY = (165, 165, 165)
BLUE = (40, 110, 190)
WHITE = (255, 255, 255)
MARGIN = 12
LINE = 20
LEFT = 180
RIGHT = 110


def sample_path(folder, model, distortion):
    """Where the picture of one network's transformer lies."""
    return folder / "samples" / f"{distortion}.{model.replace(' ', '-')}.png"


def draw_samples(path, layer, images):
    """Writes a picture: digits with the frame that the transformer chose, beside them what it hands on."""
    images = images[:SHOWN]
    theta = layer.theta(images)
    outlined = plots.meshes if layer.transform.name == "tps" else plots.frames
    picture = outlined(images, layer.grid(theta), layer.warp(images, theta), columns=SHOWN)
    plots.save(path, picture)


def draw_figure(folder, content):
    """Writes the figure and gives its path."""
    # A run that was stopped and went on with other options has them in another order.
    done = {(cell["distortion"], cell["model"]): cell for cell in content["cells"]}
    columns = [
        [done[distortion, model] for model in FAMILIES if (distortion, model) in done]
        for distortion in DISTORTIONS
    ]
    columns = [cells for cells in columns if cells]
    parts = [part for cells in columns for part in _samples(folder, cells)]
    parts.append(
        _title(f"Errors in %: {content['settings']['name']} schedule (bars), paper (lines)")
    )
    longest = max(max(cell["error"], cell["paper"]) for cell in content["cells"])
    parts += [_bars(cells, longest) for cells in columns]
    width = max(part.shape[1] for part in parts) + 2 * MARGIN
    figure = np.concatenate([_widened(part, width) for part in parts])
    return plots.save(folder / "figure.png", figure)


def _samples(folder, cells):
    """A title and the digits of one distortion, where some network has a transformer."""
    pictures = {
        cell["model"]: picture
        for cell in cells
        if (picture := _read(sample_path(folder, cell["model"], cell["distortion"]))) is not None
    }
    if not pictures:
        return []
    shown = SHOWN_FIRST if SHOWN_FIRST in pictures else next(iter(pictures))
    title = f"{cells[0]['distortion']}: what {shown} reads, and what it hands on"
    return [_title(title), pictures[shown]]


def _bars(cells, longest):
    """A bar for each network, the paper's as a line on it."""
    block = np.full((len(cells) * LINE + 10, WIDTH, 3), 255, np.uint8)
    room = WIDTH - LEFT - RIGHT
    for number, cell in enumerate(cells):
        y = number * LINE
        _text(block, f"{cell['distortion']}: {cell['model']}", (0, y + 14))
        end, paper = (LEFT + round(cell[key] / longest * room) for key in ("error", "paper"))
        colour = BLUE if cell["model"].startswith("ST") else GREY
        cv2.rectangle(block, (LEFT, y + 2), (end, y + 16), colour, -1)
        cv2.line(block, (paper, y), (paper, y + 18), INK, 2)
        _text(block, f"{cell['error']:.2f} ({cell['paper']})", (max(end, paper) + 8, y + 14))
    return block


def _read(path):
    """A picture no wider than the figure; None where there is none."""
    read = cv2.imread(str(path)) if path.exists() else None
    if read is None:
        return None
    picture = cv2.cvtColor(read, cv2.COLOR_BGR2RGB)
    height, width = picture.shape[:2]
    size = (WIDTH, round(height * WIDTH / width))
    return picture if width <= WIDTH else cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _widened(part, width):
    right = width - MARGIN - part.shape[1]
    return cv2.copyMakeBorder(part, 2, 2, MARGIN, right, cv2.BORDER_CONSTANT, value=WHITE)


def _title(words):
    strip = np.full((30, WIDTH, 3), 255, np.uint8)
    _text(strip, words, (0, 20))
    return strip


def _text(picture, words, corner):
    cv2.putText(picture, words, corner, cv2.FONT_HERSHEY_SIMPLEX, 0.45, INK, 1, cv2.LINE_AA)
