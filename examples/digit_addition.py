"""Two SpatialTransformers in parallel add two digits: each looks for one of them.

The paper's "MNIST addition" (Jaderberg et al. 2015, appendix A), on drawn digits. An image
has two channels with a digit in each, anywhere, large or small, turned; all that is told is the sum. Each
transformer warps both channels, and the four channels that result are classified. So that they needn't agree
first on who takes which digit, each transformer's localisation network reads one channel.

Run it in the repository's folder: python -m examples.digit_addition --out addition
"""

import argparse
import time
from functools import partial
from pathlib import Path

import keras
import numpy as np

import keras_stn
from examples.arguments import count, make_folder, seed
from examples.digits import draw_digit
from keras_stn import plots

SIZE, WINDOW, SUMS = 42, 16, 19
NAMES = ("first", "second")
SPLITS = {"training": 0, "validation": 1, "test": 2}
"""The seed of each split. The settings were chosen on the validation split."""


def make_pairs(count, seed=0):
    """`(count, 42, 42, 2)` images in [0, 1], the two digits of each, and where these are, x and y in pixels.

    Example:

    >>> images, digits, places = make_pairs(3)
    >>> images.shape, digits.shape, places.shape
    ((3, 42, 42, 2), (3, 2), (3, 2, 2))
    """
    random = np.random.default_rng(seed)
    digits = random.integers(0, 10, (count, 2))
    drawn = [[draw_digit(digit, SIZE, random) for digit in pair] for pair in digits]
    images = np.moveaxis(np.array(drawn, np.float32) / 255, 1, -1)
    pixels = np.arange(SIZE, dtype="float32")
    ink = images.sum(axis=(1, 2))
    x = np.einsum("nyxc,x->nc", images, pixels) / ink
    y = np.einsum("nyxc,y->nc", images, pixels) / ink
    return images, digits, np.stack([x, y], axis=-1)


def make_localization(channel):
    """Where to look, told from one channel; at the start, at the middle of the image.

    Where the ink lies can be told without a convolution. The start is a crop, so that it pays from the first
    step on to look where the digit is.
    """
    layers = keras.layers
    images = keras.Input((SIZE, SIZE, 2))
    x = layers.AveragePooling2D(3)(images[..., channel : channel + 1])
    x = layers.Dense(64, activation="tanh")(layers.Flatten()(x))
    theta = keras_stn.ThetaRegression("attention", step_size=0.2, limit=0.6)(x)
    return keras.Model(images, theta - np.array([0.4, 0, 0], "float32"))


def make_classifier(shape, filters):
    """Names the sum."""
    layers = keras.layers
    network = keras.Sequential([keras.Input(shape)], name="classifier")
    for width in filters:
        network.add(layers.Conv2D(width, 3, padding="same", use_bias=False))
        network.add(layers.BatchNormalization())
        network.add(layers.ReLU())
        network.add(layers.MaxPooling2D())
    network.add(layers.Flatten())
    network.add(layers.Dense(128, use_bias=False))
    network.add(layers.BatchNormalization())
    network.add(layers.ReLU())
    network.add(layers.Dense(SUMS, activation="softmax"))
    return network


def make_model(trainable=True):
    """Two transformers and a classifier. Frames that can't be trained stay in the middle."""
    images = keras.Input((SIZE, SIZE, 2))
    warped = [
        keras_stn.SpatialTransformer(
            "attention",
            make_localization(channel),
            output_size=WINDOW,
            name=name,
        )(images)
        for channel, name in enumerate(NAMES)
    ]
    x = keras.layers.Concatenate()(warped)
    model = keras.Model(images, make_classifier(x.shape[1:], (24, 48))(x))
    for name in NAMES:
        # As an argument of the layer, it wouldn't reach the variables of the localisation network.
        model.get_layer(name).trainable = trainable
    return model


NETWORKS = {
    "two transformers": make_model,
    "the same, frozen frames": partial(make_model, trainable=False),
    "plain network": partial(make_classifier, (SIZE, SIZE, 2), (16, 32, 40)),
}


def train(model, images, digits, epochs, batch_size=32):
    """Trains on the sums alone."""
    steps = epochs * -(-len(images) // batch_size)
    rate = keras.optimizers.schedules.CosineDecay(
        3e-4, steps - steps // 10, warmup_target=3e-3, warmup_steps=steps // 10
    )
    model.compile(
        keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    model.fit(images, digits.sum(axis=1), batch_size=batch_size, epochs=epochs, verbose=2)


def share_right(answers, digits):
    """The share of images whose sum is right."""
    return float((answers.argmax(axis=-1) == digits.sum(axis=1)).mean())


def with_fixed_frames(model, images):
    """What the network answers if every image gets the mean of all frames."""
    warped = []
    for name in NAMES:
        layer = model.get_layer(name)
        theta = np.asarray(layer.theta(images))
        fixed = np.broadcast_to(theta.mean(axis=0), theta.shape)
        warped.append(np.asarray(layer.warp(images, fixed)))
    return model.get_layer("classifier").predict(np.concatenate(warped, axis=-1), verbose=0)


def distances(model, images, places):
    """How far the digits are from their place in a frame that follows, and in one that doesn't.

    Medians, in pixels. A frame may hold its digit off its middle, if it does so in each image; so both are
    measured from the mean place of the digit, in the frame and in the image.
    """
    found = {}
    for channel, name in enumerate(NAMES):
        layer, place = model.get_layer(name), places[:, channel]
        grid = np.asarray(layer.grid(layer.theta(images)))
        middle = (grid.mean(axis=(1, 2)) + 1) / 2 * (SIZE - 1)
        found[name] = tuple(
            float(np.median(np.linalg.norm(where - where.mean(axis=0), axis=-1)))
            for where in (place - middle, place)
        )
    return found


def draw(model, images, digits):
    """Each image twice: above, the first channel and what is read of it; below, the second."""
    inputs, grids, windows, labels = [], [], [], []
    for channel, name in enumerate(NAMES):
        layer = model.get_layer(name)
        theta = layer.theta(images)
        inputs.append(images[..., channel, None])
        grids.append(layer.grid(theta))
        windows.append(layer.warp(images, theta)[..., channel, None])
        labels += [f"{name}: {pair[channel]} of {pair[0]} + {pair[1]}" for pair in digits]
    return plots.frames(*map(np.concatenate, (inputs, grids, windows)), labels, columns=len(images))


def report(model, images, digits, places):
    """Says whether the frames follow the digits, and whether that matters."""
    for name, (away, fixed) in distances(model, images, places).items():
        print(
            f"The digit is {away:.1f} pixels from its usual place in the {name} frame; "
            f"in a frame that doesn't move, {fixed:.1f}."
        )
    fixed = share_right(with_fixed_frames(model, images), digits)
    print(f"With the mean frame in every image, it would get {fixed:.1%} right.")


def main(arguments=None):
    """Trains the networks, says how often they are right and where the transformers look, and draws it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("demo-out"))
    parser.add_argument("--images", type=count, default=24000)
    parser.add_argument("--epochs", type=count, default=6)
    parser.add_argument("--seed", type=seed, default=0)
    parser.add_argument("--split", choices=["validation", "test"], default="test")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    options = parser.parse_args(arguments)
    make_folder(options.out)

    images, digits, _ = make_pairs(options.images, SPLITS["training"])
    held_out = make_pairs(max(100, options.images // 8), SPLITS[options.split])
    right, path = {}, None
    for name in options.networks:
        keras.utils.set_random_seed(options.seed)
        model = NETWORKS[name]()
        print(f"{name}: {model.count_params():,} parameters")
        start, processor = time.perf_counter(), time.process_time()
        train(model, images, digits, options.epochs)
        seconds, processor = time.perf_counter() - start, time.process_time() - processor
        right[name] = share_right(model.predict(held_out[0], verbose=0), held_out[1])
        print(
            f"{name}: {right[name]:.1%} of {len(held_out[0])} new sums are right, {seconds:.0f} s "
            f"({processor:.0f} s of processor time)"
        )
        if name == "two transformers":
            report(model, *held_out)
            path = plots.save(
                options.out / "addition.png", draw(model, held_out[0][:4], held_out[1][:4])
            )
            print(f"Open {path}: above, where the first looks; below, where the second does.")
    return right, path


if __name__ == "__main__":
    main()
