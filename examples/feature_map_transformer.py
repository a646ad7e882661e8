"""A SpatialTransformer in the middle of a network, on feature maps.

The first convolution sees the image as it is; the transformer moves and scales what it found, so that the
rest of the network meets it always in about the same place. Its localisation network is small, because the
features that it reads are already good.

Run it in the repository's folder: python -m examples.feature_map_transformer --out middle
"""

import argparse
import time
from pathlib import Path

import keras
import numpy as np

import keras_stn
from examples.arguments import count, make_folder
from examples.digits import make_digits
from keras_stn import plots

SIZE = 40


def make_model(with_transformer=True):
    """A classifier; without the transformer, one of at least as many parameters."""
    layers = keras.layers
    images = keras.Input((SIZE, SIZE, 1))
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(images)
    x = layers.MaxPooling2D()(x)
    if with_transformer:
        where = keras_stn.localization_network(
            x.shape[1:], "attention", filters=(16, 16), units=32, step_size=0.15
        )
        # Fewer positions than before: only where it zooms in is there as much to see.
        x = keras_stn.SpatialTransformer("attention", where, output_size=8, name="transformer")(x)
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    x = layers.Dense(64 if with_transformer else 20, activation="relu")(x)
    return keras.Model(images, layers.Dense(10, activation="softmax")(x))


def main(arguments=None):
    """Trains both, compares them, and draws where the transformer looks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("demo-out"))
    parser.add_argument("--images", type=count, default=6000)
    parser.add_argument("--epochs", type=count, default=8)
    options = parser.parse_args(arguments)
    make_folder(options.out)

    keras.utils.set_random_seed(0)
    images, labels = make_digits(options.images, clutter=2)
    test_images, test_labels = make_digits(max(100, options.images // 3), clutter=2, seed=1)
    right, models = {}, {}
    for name in ("with a transformer", "without"):
        model = models[name] = make_model(name != "without")
        steps = options.epochs * -(-len(images) // 32)
        rate = keras.optimizers.schedules.CosineDecay(3e-3, steps)
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
        print(f"{name}: {model.count_params():,} parameters")
        start = time.perf_counter()
        model.fit(images, labels, batch_size=32, epochs=options.epochs, verbose=2)
        seconds = time.perf_counter() - start
        answers = model.predict(test_images, verbose=0).argmax(axis=-1)
        right[name] = float((answers == test_labels).mean())
        print(f"{name}: {right[name]:.1%} of {len(test_images)} new digits, {seconds:.0f} s")

    shown = test_images[:8]
    layer = models["with a transformer"].get_layer("transformer")
    # The output of the layer before: what reaches the transformer.
    before = keras.Model(models["with a transformer"].inputs, layer.input)
    features = before.predict(shown, verbose=0)
    theta = layer.theta(features)
    grid = layer.grid(theta)
    picture = np.concatenate(
        [
            plots.frames(features, grid, layer.warp(features, theta), test_labels[:8], columns=4),
            # Padding keeps image and feature maps aligned, so the same frames fit the image.
            plots.frames(shown, grid, layer.warp(shown, theta), test_labels[:8], columns=4),
        ]
    )
    path = plots.save(options.out / "feature_maps.png", picture)
    print(f"Open {path}: the frames on the feature maps, and below on the images they are made of.")
    return right, path


if __name__ == "__main__":
    main()
