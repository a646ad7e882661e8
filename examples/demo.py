"""What the packages do, in a minute and one picture: `make demo`.

Trains a classifier with a SpatialTransformer on digits drawn here, then writes a picture: each image with the
frame that the transformer chose in it, what the rest of the network gets to see, and where it looked.
"""

import argparse
import time
from pathlib import Path

import cv2
import keras
import numpy as np

import gradcam
from examples.add_to_your_model import make_model
from examples.digits import make_digits

ZOOM = 4
MARGIN = 8
FRAME_COLOUR = (90, 200, 255)


def enlarged(image, size):
    """A grey image in [0, 1] as RGB bytes, `size` pixels wide, its pixels still to be seen."""
    grey = np.clip(image[..., 0] * 255, 0, 255).astype(np.uint8)
    return cv2.cvtColor(
        cv2.resize(grey, (size, size), interpolation=cv2.INTER_NEAREST), cv2.COLOR_GRAY2RGB
    )


def with_frame(picture, grid):
    """Draws the outline of a sampling grid, `(h, w, 2)` in [-1, 1], on a picture."""
    edge = np.concatenate([grid[0], grid[:, -1], grid[-1, ::-1], grid[::-1, 0]])
    pixels = np.round((edge + 1) / 2 * (np.array(picture.shape[1::-1]) - 1)).astype(np.int32)
    return cv2.polylines(picture.copy(), [pixels], True, FRAME_COLOUR, 2, cv2.LINE_AA)


def looked_at(views, explanation):
    """The heatmaps on what the network saw: behind a transformer, that is the frame they belong to."""
    height, width = explanation.heatmaps.shape[1:]
    grown = [cv2.resize(np.clip(view, 0, 1), (width, height)) * 255 for view in views]
    return explanation.overlay(np.stack([np.repeat(g[..., None], 3, axis=-1) for g in grown]))


def draw(images, labels, model):
    """One column an image: the frame in it, what is seen there, where the network looked, its answer."""
    transformer = model.layers[1]
    theta = transformer.theta(images)
    grids = np.asarray(transformer.grid(theta))
    seen = np.asarray(transformer.warp(images, theta))
    answers = model.predict(images, verbose=0)
    overlays = looked_at(seen, gradcam.explain(model, images))
    size = images.shape[1] * ZOOM
    columns = []
    rows = zip(images, labels, grids, seen, overlays, answers, strict=True)
    for image, label, grid, view, overlay, answer in rows:
        framed = with_frame(enlarged(image, size), grid)
        caption = np.full((30, size, 3), 255, np.uint8)
        guess = int(answer.argmax())
        colour = (30, 120, 30) if guess == label else (200, 30, 30)
        text = f"{guess}  ({answer.max():.0%})"
        cv2.putText(caption, text, (4, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.6, colour, 1, cv2.LINE_AA)
        gap = np.full((MARGIN, size, 3), 255, np.uint8)
        looked = cv2.resize(overlay, (size, size))
        parts = [framed, gap, enlarged(view, size), gap, looked, caption]
        columns.append(np.concatenate(parts))
    side = np.full((columns[0].shape[0], MARGIN, 3), 255, np.uint8)
    return np.concatenate([part for column in columns for part in (side, column)] + [side], axis=1)


def main(arguments=None):
    """Trains, draws, and says which file to open."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("demo-out"))
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args(arguments)

    keras.utils.set_random_seed(0)
    images, labels = make_digits(options.images)
    shown, shown_labels = make_digits(8, seed=7)
    model = make_model()
    model.compile(
        keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    start = time.perf_counter()
    print(f"Training a network with a SpatialTransformer on {len(images)} drawn digits:")
    model.fit(images, labels, batch_size=32, epochs=options.epochs, verbose=2)
    print(f"Trained in {time.perf_counter() - start:.0f} s.")

    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "transformer.png"
    picture = draw(shown, shown_labels, model)
    path.write_bytes(cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes())
    print(f"\nOpen {path}")
    print(
        "From above: each image with the frame that the transformer chose, what the network sees of it,"
    )
    print("where gradcam says that it looked, and its answer.")
    return path


if __name__ == "__main__":
    main()
