"""Draws the figures of docs/seeing.md: what keras_stn.plots and the callbacks show of a training.

Run it in the repository's folder: python -m examples.seeing --out docs/images
"""

import argparse
import tempfile
from pathlib import Path

import keras
import numpy as np

import keras_stn
from examples.arguments import count, make_folder
from examples.digits import make_digits
from gradcam.callbacks import ExplainCallback
from keras_stn import plots
from keras_stn.callbacks import TransformerMonitor

BROKEN = {
    "at the start": [1, 0, 0, 0, 1, 0],
    "zoomed in: fine": [0.5, 0, -0.3, 0, 0.5, 0.25],
    "turned": [0.5, -0.5, 0, 0.5, 0.5, 0],
    "flipped": [-0.8, 0, 0, 0, 0.8, 0],
    "zoomed out": [1.7, 0, 0, 0, 1.7, 0],
    "shrunk": [0.03, 0, 0, 0, 0.03, 0.3],
    "outside": [0.8, 0, 1.75, 0, 0.8, 0],
    "theta is NaN": [np.nan] * 6,
}


def make_model():
    """A classifier that sees only 12x12 pixels: it has to zoom in, and to find what to zoom in on."""
    layers = keras.layers
    images = keras.Input((40, 40, 1))
    where = keras_stn.localization_network(images.shape[1:], "attention", step_size=0.15)
    x = keras_stn.SpatialTransformer(
        "attention", localization=where, output_size=12, name="transformer"
    )(images)
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(x)
    x = layers.Flatten()(layers.MaxPooling2D()(x))
    x = layers.Dense(128, activation="relu")(x)
    return keras.Model(images, layers.Dense(10, activation="softmax")(x))


def draw_states(images):
    """One image under healthy and broken thetas."""
    layer = keras_stn.SpatialTransformer("affine", output_size=24)
    theta = np.array(list(BROKEN.values()), "float32")
    same = np.repeat(images[:1], len(theta), axis=0)
    layer.build(same.shape)
    outputs = layer.warp(same, theta)
    return plots.frames(same, layer.grid(theta), outputs, list(BROKEN), columns=4)


def draw_bent(images):
    """The deformed grid of one projective and one tps transformer."""
    projective = np.array([[0.9, 0, 0, 0, 0.9, 0, 0.3, 0.2]], "float32")
    spline = keras_stn.transforms.get("tps").identity.copy()
    spline += 0.12 * np.random.default_rng(3).standard_normal(len(spline))
    sheets = []
    for family, theta in (("projective", projective), ("tps", spline[None].astype("float32"))):
        layer = keras_stn.SpatialTransformer(family, output_size=40)
        layer.build(images[:1].shape)
        outputs = layer.warp(images[:1], theta)
        sheets.append(plots.meshes(images[:1], layer.grid(theta), outputs, [family]))
    height = max(sheet.shape[0] for sheet in sheets)
    padded = [
        np.pad(s, [(0, height - s.shape[0]), (0, 0), (0, 0)], constant_values=255) for s in sheets
    ]
    return np.concatenate(padded, axis=1)


def train(folder, images, labels, shown, shown_labels, epochs):
    """A training that is watched; its pictures go to a folder."""
    model = make_model()
    steps = epochs * -(-len(images) // 32)
    rate = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    monitor = TransformerMonitor(shown, folder / "log", folder, labels=shown_labels)
    heatmaps = ExplainCallback(shown, folder / "log", folder, target=shown_labels)
    model.fit(
        images, labels, batch_size=32, epochs=epochs, verbose=2, callbacks=[monitor, heatmaps]
    )
    return model, monitor


def main(arguments=None):
    """Trains, and draws everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("demo-out"))
    parser.add_argument("--images", type=count, default=4000)
    parser.add_argument("--epochs", type=count, default=8)
    options = parser.parse_args(arguments)
    make_folder(options.out)

    keras.utils.set_random_seed(0)
    images, labels = make_digits(options.images, clutter=2)
    new_images, new_labels = make_digits(1000, clutter=2, seed=1)
    shown, shown_labels = make_digits(8, clutter=2, seed=7)
    plots.save(options.out / "states.png", draw_states(shown))
    plots.save(options.out / "bent.png", draw_bent(shown))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, monitor = train(folder, images, labels, shown, shown_labels, options.epochs)
        layer = model.get_layer("transformer")
        pictures = {
            "frames": folder / layer.name / f"frames-epoch-{options.epochs:04d}.png",
            "heatmaps": folder / f"heatmaps-epoch-{options.epochs:04d}.png",
        }
        for picture, path in pictures.items():
            (options.out / f"{picture}.png").write_bytes(path.read_bytes())
    (history,) = monitor.history.values()
    plots.save(
        options.out / "theta.png",
        plots.theta_history(history.thetas, layer.transform, history.steps, columns=3),
    )
    outputs = layer.warp(new_images, layer.theta(new_images))
    plots.save(options.out / "means.png", plots.means(new_images, outputs, new_labels, columns=10))
    print(f"Look into {options.out}.")
    return options.out


if __name__ == "__main__":
    main()
