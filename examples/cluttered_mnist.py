"""A small network with a spatial transformer against a plain one of twice its size, on cluttered digits.

Run it in the repository's folder:

    python -m examples.cluttered_mnist --data cluttered_mnist.npz --seeds 3

The file holds X_train, X_valid and X_test, (n, height * width) or (n, height, width) in [0, 1], square, and
y_train, y_valid and y_test with whole numbers from 0 to 9. The transformer has the layer's defaults.
"""

import argparse
import json
import time
from pathlib import Path

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

import keras_stn
from examples.mnist_data import UNREADABLE, DataError

CLASSES = 10
EPOCHS = 11
BATCH = 64
STEPS_AT_ONCE = 12
PLAIN_SIZE = 24
PARTS = ("train", "valid", "test")


def read_parts(path):
    """`{part: (images (n, size, size, 1), labels (n,))}` of an `.npz` file; ends with a sentence if not."""
    names = [f"{kind}_{part}" for part in PARTS for kind in "Xy"]
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            if missing := [name for name in names if name not in file]:
                raise DataError(
                    f"{path} has no array {', '.join(missing)}. It has: {', '.join(file) or 'none'}."
                )
            arrays = {name: file[name] for name in names}
    except FileNotFoundError:
        raise DataError(f"There is no file {path}.") from None
    except UNREADABLE:
        raise DataError(f"{path} can't be read as an .npz file of NumPy arrays.") from None
    return {part: _checked(path, part, arrays[f"X_{part}"], arrays[f"y_{part}"]) for part in PARTS}


def _checked(path, part, images, labels):
    count = len(images) if images.ndim else 0
    size = round((images.size / max(count, 1)) ** 0.5)
    if not count or images.size != count * size**2 or size < 16:
        raise DataError(
            f"X_{part} in {path} has shape {images.shape}. Expected: (n, height * width) or (n, height, "
            "width), square, of 16 pixels or more."
        )
    if images.dtype.kind != "f" or not (images.min() >= 0 and images.max() <= 1):
        raise DataError(f"X_{part} in {path} must hold fractions in [0, 1].")
    if labels.size != count or labels.dtype.kind not in "iu":
        raise DataError(f"y_{part} in {path} must hold {count} whole numbers, one an image.")
    if labels.min() < 0 or labels.max() >= CLASSES:
        raise DataError(f"y_{part} in {path} must lie between 0 and {CLASSES - 1}.")
    return images.reshape(count, size, size, 1).astype(np.float32), labels.reshape(count)


def transformer_network(shape):
    """At most 120k parameters, the localisation network's 65k included."""
    layers = keras.layers
    inputs = keras.Input(shape)
    x = keras_stn.SpatialTransformer("attention", output_size=24)(inputs)
    for filters, kernel in ((20, 5), (40, 3), (48, 3)):
        x = layers.Conv2D(filters, kernel, padding="same", use_bias=False)(x)
        # Normalised behind the pooling, where it costs a quarter.
        x = layers.BatchNormalization(momentum=0.9)(layers.MaxPooling2D()(x))
        x = layers.ReLU()(x)
    x = layers.Dropout(0.1)(layers.Flatten()(x))
    x = layers.Dropout(0.1)(layers.Dense(64, activation="relu")(x))
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(x))


def plain_network(shape):
    """A plain network of 260k parameters for 40x40 images."""
    layers = keras.layers
    x = inputs = keras.Input(shape)
    for kernel in (9, 7):
        x = layers.MaxPooling2D()(layers.Conv2D(32, kernel, activation="relu")(x))
    x = layers.Dense(256, activation="relu")(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(x))


def jitter(images, random, degrees=10, scale=0.1, shift=0.1, bend=0.05):
    """Turns, scales, moves and bends each image a little: more to learn from than there is."""
    count, size = images.shape[:2]
    spline = keras_stn.transforms.ThinPlateSpline(4, 4)
    angle = np.deg2rad(random.uniform(-degrees, degrees, count))
    cos, sin = np.array([np.cos(angle), np.sin(angle)]) * random.uniform(
        1 - scale, 1 + scale, count
    )
    turns = np.stack([cos, sin, -sin, cos], axis=1).reshape(count, 2, 2)
    points = spline.identity.reshape(-1, 2) @ turns + random.uniform(-shift, shift, (count, 1, 2))
    theta = (points + random.normal(0, bend, points.shape)).reshape(count, -1).astype(np.float32)
    grid = keras_stn.GridGenerator(spline, output_size=size)(theta)
    return np.asarray(keras_stn.GridSampler()([images, grid]))


def one_cycle(epochs, steps, highest=4e-3):
    """AdamW whose steps grow for a tenth of the time, then shrink to nothing."""
    warm_up = max(1, epochs * steps // 10)
    rate = keras.optimizers.schedules.CosineDecay(
        highest / 10, max(1, epochs * steps - warm_up), warmup_target=highest, warmup_steps=warm_up
    )
    return keras.optimizers.AdamW(rate, weight_decay=0.0)


def train(model, parts, epochs, random, with_jitter=True):
    """Trains, and leaves the weights of the epoch that did best on the validation part; says which."""
    parts = {
        part: (images, keras.utils.to_categorical(labels, CLASSES))
        for part, (images, labels) in parts.items()
    }
    images, labels = parts["train"]
    batch = min(BATCH, len(images))
    steps = len(images) // batch
    optimizer = one_cycle(epochs, steps) if with_jitter else "adam"
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1 if with_jitter else 0.0)
    # Several steps without a return to Python: with a network this small, a tenth of the time.
    model.compile(optimizer, loss, metrics=["accuracy"], steps_per_execution=STEPS_AT_ONCE)
    best, chosen, kept = (0.0, -np.inf), 0, model.get_weights()
    for epoch in range(1, epochs + 1):
        order = random.permutation(len(images))[: steps * batch]
        shown = jitter(images[order], random) if with_jitter else images[order]
        model.fit(shown, labels[order], batch_size=batch, verbose=0)
        loss, accuracy = model.evaluate(*parts["valid"], batch_size=500, verbose=0)
        if (accuracy, -loss) > best:
            best, chosen, kept = (accuracy, -loss), epoch, model.get_weights()
    model.set_weights(kept)
    return chosen


def run(make, parts, seed, epochs, with_jitter=True):
    """One training; gives a row for the table."""
    keras.utils.set_random_seed(seed)
    model = make(parts["train"][0].shape[1:])
    wall, cpu = time.perf_counter(), time.process_time()
    chosen = train(model, parts, epochs, np.random.default_rng(seed), with_jitter)
    row = {"seed": seed, "parameters": model.count_params(), "epoch": chosen}
    row |= {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    for part in ("valid", "test"):
        images, labels = parts[part]
        answers = model.predict(images, batch_size=500, verbose=0).argmax(axis=-1)
        row[part] = round(float((answers != labels).mean()) * 100, 2)
    return row


def table_of(rows):
    """A line a training, and their mean."""
    table = Table(title="Errors in %; the epoch is chosen on the validation part")
    columns = ("network", "seed", "parameters", "epoch", "valid", "test", "seconds", "CPU s")
    for column in columns:
        table.add_column(column, justify="left" if column == "network" else "right")
    for name, group in rows.items():
        for row in group:
            numbers = (row["seed"], row["parameters"], row["epoch"])
            times = (f"{row['seconds']:.0f}", f"{row['cpu_seconds']:.0f}")
            errors = (f"{row['valid']:.2f}", f"{row['test']:.2f}")
            table.add_row(name, *map(str, numbers), *errors, *times)
        if len(group) > 1:
            means = [f"{np.mean([row[part] for row in group]):.2f}" for part in ("valid", "test")]
            table.add_row("mean", "", "", "", *means, end_section=True)
    return table


def main(arguments=None):
    """Trains, and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3, help="how many trainings, from seed 0 on")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--plain", action="store_true", help="the plain network, too")
    parser.add_argument("--out", type=Path, help="a JSON file for the numbers")
    options = parser.parse_args(arguments)
    if min(options.seeds, options.epochs) < 1:
        parser.error("--seeds and --epochs must be at least 1.")
    if options.out and not options.out.parent.is_dir():
        parser.error(f"--out: there is no folder {options.out.parent}.")
    parts = read_parts(options.data)
    size = parts["train"][0].shape[1]
    if options.plain and size < PLAIN_SIZE:
        parser.error(f"--plain needs images of {PLAIN_SIZE} pixels or more; they have {size}.")
    networks = {"transformer": (transformer_network, options.epochs, True)}
    if options.plain:
        networks["plain"] = (plain_network, 15, False)
    console = Console(stderr=True)
    rows = {}
    for name, (make, epochs, with_jitter) in networks.items():
        for seed in range(options.seeds):
            row = run(make, parts, seed, epochs, with_jitter)
            rows.setdefault(name, []).append(row)
            console.print(f"{name}, seed {seed}: {row['test']:.2f} % after {row['seconds']:.0f} s")
            if options.out:
                options.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    Console().print(table_of(rows))
    return rows


if __name__ == "__main__":
    main()
