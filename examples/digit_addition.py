"""Two SpatialTransformers in parallel add two digits: each looks at one of them.

After the paper's "MNIST addition" (Jaderberg et al. 2015, appendix A), where each digit has its own channel.
Here both lie somewhere in one wide, cluttered image, and all that is told of them is their sum: not where
they are, nor which they are. Each transformer sees the whole image and hands a small window of it to one
network, which reads a digit.

Run it in the repository's folder: python -m examples.digit_addition --out addition
"""

import argparse
import time
from pathlib import Path

import keras
import numpy as np

import keras_stn
from examples.digits import draw_clutter, draw_digit
from keras_stn import plots

HEIGHT, WIDTH, TILE = 40, 80, 30
WINDOW = 16  # so few pixels that it pays to zoom in on a digit
SUMS = 19
PLACES = {"left": -0.5, "right": 0.5}


def make_pairs(count, seed=0):
    """`(count, 40, 80, 1)` images in [0, 1], the two digits of each, and where they are, x and y in pixels.

    Example:

    >>> images, digits, places = make_pairs(3)
    >>> images.shape, digits.shape, places.shape
    ((3, 40, 80, 1), (3, 2), (3, 2, 2))
    """
    random = np.random.default_rng(seed)
    digits = random.integers(0, 10, (count, 2))
    images = np.zeros((count, HEIGHT, WIDTH), np.uint8)
    places = np.zeros((count, 2, 2))
    for image, pair, place in zip(images, digits, places, strict=True):
        left = random.integers(0, WIDTH - 2 * TILE + 1)
        right = random.integers(left + TILE, WIDTH - TILE + 1)
        for number, x in enumerate((left, right)):
            y = random.integers(0, HEIGHT - TILE + 1)
            tile = draw_digit(pair[number], TILE, random)
            image[y : y + TILE, x : x + TILE] = tile
            ink = tile / tile.sum()
            place[number] = (
                x + ink.sum(axis=0) @ np.arange(TILE),
                y + ink.sum(axis=1) @ np.arange(TILE),
            )
        draw_clutter(image[:, :HEIGHT], 4, random)
        draw_clutter(image[:, HEIGHT:], 4, random)
    return (images / 255)[..., None].astype(np.float32), digits, places


@keras.saving.register_keras_serializable(package="examples")
class AddDigits(keras.layers.Layer):
    """The probability of each sum, 0 to 18, of those of two independent digits."""

    def call(self, inputs):
        """Two of `(batch, 10)` to `(batch, 19)`."""
        first, second = inputs
        pairs = first[:, :, None] * second[:, None, :]
        sums = np.add.outer(np.arange(10), np.arange(10))
        table = np.eye(SUMS, dtype="float32")[sums]
        return keras.ops.einsum("bij,ijs->bs", pairs, table)

    def compute_output_shape(self, input_shape):
        """`(batch, 19)`."""
        return (input_shape[0][0], SUMS)


def make_reader():
    """Reads one digit in a window."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((WINDOW, WINDOW, 1)),
            layers.Conv2D(24, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(48, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ],
        name="reader",
    )


def make_localization(middle):
    """Where to look: at the start, at a square half of the image around `middle`.

    Without a start of its own for each transformer, chance decides which digit it takes, and sometimes both
    take the same.
    """
    images = keras.Input((HEIGHT, WIDTH, 1))
    theta = keras_stn.localization_network(images.shape[1:], "affine", step_size=0.2)(images)
    start = np.array([[-0.5, 0, middle, 0, 0, 0]], "float32")
    return keras.Model(images, theta + start)


def make_model():
    """Two transformers, one reader, the sum."""
    images = keras.Input((HEIGHT, WIDTH, 1))
    reader = make_reader()
    windows = [
        keras_stn.SpatialTransformer(
            "affine", make_localization(middle), output_size=WINDOW, name=name
        )(images)
        for name, middle in PLACES.items()
    ]
    return keras.Model(images, AddDigits()([reader(window) for window in windows]))


def make_plain_model():
    """A network without transformers, with at least as many parameters and the same end."""
    layers = keras.layers
    images = keras.Input((HEIGHT, WIDTH, 1))
    x = images
    for filters in (16, 32, 48):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Dense(58, activation="relu")(layers.Flatten()(x))
    digits = [layers.Dense(10, activation="softmax")(x) for _ in PLACES]
    return keras.Model(images, AddDigits()(digits))


def train(model, images, digits, epochs, batch_size=32):
    """Trains on the sums alone, and returns the seconds that it took."""
    steps = epochs * -(-len(images) // batch_size)
    rate = keras.optimizers.schedules.CosineDecay(2e-3, steps)
    model.compile(
        keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    start = time.perf_counter()
    model.fit(images, digits.sum(axis=1), batch_size=batch_size, epochs=epochs, verbose=2)
    return time.perf_counter() - start


def accuracy(model, images, digits):
    """The share of images whose sum is right."""
    answers = model.predict(images, verbose=0).argmax(axis=-1)
    return float((answers == digits.sum(axis=1)).mean())


def distances(model, images, places):
    """How far the middle of each frame is from each digit, in pixels: `{name: (to left, to right)}`."""
    found = {}
    for name in PLACES:
        theta = np.asarray(model.get_layer(name).theta(images))
        middle = (theta[:, [2, 5]] + 1) / 2 * (WIDTH - 1, HEIGHT - 1)
        away = np.linalg.norm(middle[:, None] - places, axis=-1)
        found[name] = tuple(float(median) for median in np.median(away, axis=0))
    return found


def draw(model, images, digits):
    """Each image twice: with the frame of the left transformer, and below it with that of the right one."""
    grids, windows, labels = [], [], []
    for number, name in enumerate(PLACES):
        layer = model.get_layer(name)
        theta = layer.theta(images)
        grids.append(layer.grid(theta))
        windows.append(layer.warp(images, theta))
        labels += [f"{name}: {pair[number]} of {pair[0]} + {pair[1]}" for pair in digits]
    return plots.frames(
        np.concatenate([images] * len(PLACES)),
        np.concatenate(grids),
        np.concatenate(windows),
        labels,
        columns=len(images),
    )


def main(arguments=None):
    """Trains both, says how often they are right and where the transformers look, and draws it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("demo-out"))
    parser.add_argument("--images", type=int, default=16000)
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args(arguments)

    images, digits, _ = make_pairs(options.images)
    test_images, test_digits, test_places = make_pairs(max(100, options.images // 8), seed=1)
    right, models, start = {}, {}, {}
    for name, make in (("two transformers", make_model), ("plain network", make_plain_model)):
        keras.utils.set_random_seed(0)
        model = models[name] = make()
        if make is make_model:
            start = distances(model, test_images, test_places)
        print(f"{name}: {model.count_params():,} parameters")
        seconds = train(model, images, digits, options.epochs)
        right[name] = accuracy(model, test_images, test_digits)
        print(
            f"{name}: {right[name]:.1%} of {len(test_images)} new sums are right, {seconds:.0f} s"
        )

    model = models["two transformers"]
    for name, (left, other) in distances(model, test_images, test_places).items():
        own, foreign = (left, other) if name == "left" else (other, left)
        before = start[name][0 if name == "left" else 1]
        print(
            f"The middle of the {name} transformer's frame is {own:.1f} pixels from the {name} digit "
            f"({before:.1f} before the training), {foreign:.1f} from the other."
        )
    picture = draw(model, test_images[:4], test_digits[:4])
    path = plots.save(options.out / "addition.png", picture)
    print(f"Open {path}: above, where the left transformer looks; below, where the right one does.")
    return right, path


if __name__ == "__main__":
    main()
