"""Trains the model that `gradcam demo` ships, and draws the images that it is shown.

The pictures are chalk on a blackboard: one digit somewhere, turned, slanted and seen at an angle, between
pieces of other digits and loose strokes. A SpatialTransformer finds the digit and zooms in on it, told
nothing but which digit it is; a small network reads the 24x24 pixels that it hands on, too few for the whole
board.

Run it in the repository's folder, which takes a few minutes on two cores:

    python -m examples.train_demo_model --out gradcam/command/assets

The same seed gives the same pictures (OpenCV 5 draws other fonts than 4) and, on one machine, the same
weights. The shipped file was written with the oldest supported Keras, which `make test-oldest` installs;
what newer ones write, it can't read.
"""

import argparse
import json
import zipfile
from pathlib import Path

import cv2
import keras
import numpy as np
import tensorflow as tf

import keras_stn
from examples.digits import FONTS

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SIZE = 192
"""Of the pictures. The model sees them at a third of it."""
SEEN = 64
START = 0.6
"""Of the frame: its width before training, in widths of the board."""
SHOWN_SEED = 2025
"""Of a dozen that the shipped model reads without a mistake; of 2024 it takes a two for a seven."""
HELD_OUT_SEED = 1


def draw_chalk(digit, random, wander=0.26):
    """One digit as the chalk would leave it, before anything else is on the board: (SIZE, SIZE) uint8."""
    canvas = np.zeros((SIZE, SIZE), np.uint8)
    font = FONTS[random.integers(len(FONTS))]
    thickness = int(random.integers(3, 7))
    height = SIZE * random.uniform(0.30, 0.42)
    scale = height / cv2.getTextSize(str(digit), font, 1.0, thickness)[0][1]
    width, tall = cv2.getTextSize(str(digit), font, scale, thickness)[0]
    corner = (round((SIZE - width) / 2), round((SIZE + tall) / 2))
    cv2.putText(canvas, str(digit), corner, font, scale, 255, thickness, cv2.LINE_AA)
    return cv2.warpPerspective(
        canvas, _distortion(random, wander), (SIZE, SIZE), flags=cv2.INTER_LINEAR
    )


def _distortion(random, wander):
    """Slant, unequal scale, a turn, a tilt of the board and a place on it, about the middle."""
    angle = np.deg2rad(random.uniform(-25, 25))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    slant = np.array([[random.uniform(0.8, 1.2), random.uniform(-0.25, 0.25)], [0, 1]])
    matrix = np.eye(3)
    matrix[:2, :2] = turn @ slant
    matrix[:2, 2] = random.uniform(-wander, wander, 2) * SIZE
    matrix[2, :2] = random.uniform(-0.12, 0.12, 2) / SIZE
    centre = np.eye(3)
    centre[:2, 2] = SIZE / 2
    return centre @ matrix @ np.linalg.inv(centre)


def add_clutter(board, random, pieces=5, strokes=5):
    """Pieces of other digits and loose strokes, at the edge of the digit as well as on it."""
    for _ in range(pieces):
        side = int(SIZE * random.uniform(0.13, 0.2))
        other = draw_chalk(random.integers(10), random, wander=0.0)
        cut = (SIZE - side) // 2 + random.integers(-side // 2, side // 2, 2)
        put = random.integers(0, SIZE - side, 2)
        piece = other[cut[0] : cut[0] + side, cut[1] : cut[1] + side]
        place = board[put[0] : put[0] + side, put[1] : put[1] + side]
        np.maximum(place, piece * random.uniform(0.5, 0.9), out=place)
    for _ in range(strokes):
        start = random.integers(0, SIZE, 2)
        end = start + random.integers(-SIZE // 8, SIZE // 8 + 1, 2)
        shade = float(random.uniform(80, 220))
        cv2.line(board, tuple(map(int, start)), tuple(map(int, end)), shade, 3, cv2.LINE_AA)


def draw_board(digit, random):
    """One picture, (SIZE, SIZE) uint8, and the box around its digit: left, top, right, bottom in pixels."""
    board = draw_chalk(digit, random).astype(np.float32)
    left, top, width, height = cv2.boundingRect((board > 0).astype(np.uint8))
    add_clutter(board, random)
    smooth = random.normal(0, 1, (2, SIZE // 4, SIZE // 4)).astype(np.float32)
    grain, dust = (cv2.resize(noise, (SIZE, SIZE)) for noise in smooth)
    light = np.linspace(*random.uniform(22, 58, 2), SIZE, dtype=np.float32)
    board = board * np.clip(0.85 + 0.1 * grain, 0, 1)
    board = np.maximum(board, light[:, None] + 5 * dust)
    return np.clip(board, 0, 255).astype(np.uint8), (left, top, left + width, top + height)


def draw_boards(count, seed):
    """Pictures (count, SIZE, SIZE) uint8, each digit as often as the others; their labels; and their boxes.

    A box, in (count, 4), is the left, top, right and bottom edge of the digit; -1 and 1 are the board's.
    """
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(count) % 10)
    boards, boxes = zip(*(draw_board(label, random) for label in labels), strict=True)
    return np.stack(boards), labels, np.array(boxes) * 2 / SIZE - 1


def as_seen(boards):
    """The pictures as the model takes them: (count, SEEN, SEEN, 1) float32 in 0..255."""
    small = [cv2.resize(board, (SEEN, SEEN), interpolation=cv2.INTER_AREA) for board in boards]
    return np.stack(small)[..., None].astype(np.float32)


def make_localization():
    """From boards to theta: where eight learned maps have their middles tells where to look.

    It starts with a frame on the board's middle that most digits are only partly in: what the network can't
    read there, it must look for.
    """
    layers = keras.layers
    inputs = keras.Input((SEEN, SEEN, 1), name="unit_board")
    x = layers.AveragePooling2D(2, name="half")(inputs)
    for number, filters in enumerate((8, 16), start=1):
        x = layers.Conv2D(filters, 5, padding="same", activation="relu", name=f"search{number}")(x)
        x = layers.MaxPooling2D(name=f"shrink{number}")(x)
    x = layers.Conv2D(8, 1, name="maps")(x)
    height, width, count = x.shape[1:]
    x = layers.Permute((2, 1), name="by_map")(layers.Reshape((-1, count), name="rows")(x))
    x = layers.Softmax(name="shares")(x)
    middles = layers.Dense(2, use_bias=False, name="middles")
    x = layers.Flatten(name="where")(middles(x))
    places = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].reshape(2, -1)
    middles.set_weights([places[::-1].T])  # x, y
    # Without it, theta moves for all boards alike: where the maps lie differs little at first.
    x = layers.BatchNormalization(momentum=0.9, name="spread")(x)
    step_size, limit = 0.3, 0.8
    regression = keras_stn.ThetaRegression(
        "attention", step_size=step_size, limit=limit, name="theta"
    )
    model = keras.Model(inputs, regression(x), name="find_digit")
    kernel, bias = regression.get_weights()
    bias[0] = limit * np.arctanh((START - 1) / limit) / step_size
    regression.set_weights([kernel, bias])
    return model


def make_model():
    """Localises, samples 24x24 pixels there, and reads them with three convolutions."""
    layers = keras.layers
    inputs = keras.Input((SEEN, SEEN, 1), name="board")
    x = layers.Rescaling(1 / 255, name="unit_range")(inputs)
    x = keras_stn.SpatialTransformer(
        "attention", make_localization(), output_size=24, name="look_closer"
    )(x)
    for number, (filters, kernel) in enumerate(((16, 5), (32, 3), (48, 3)), start=1):
        x = layers.Conv2D(filters, kernel, padding="same", use_bias=False, name=f"conv{number}")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"norm{number}")(x)
        x = layers.ReLU(name=f"relu{number}")(x)
        x = layers.MaxPooling2D(name=f"pool{number}")(x)
    x = layers.Dropout(0.2, name="drop")(layers.Flatten(name="flat")(x))
    x = layers.Dense(48, activation="relu", name="dense")(x)
    outputs = layers.Dense(len(NAMES), activation="softmax", name="digit")(x)
    return keras.Model(inputs, outputs, name="chalk_digits")


def train(count, epochs, seed=0):
    """Draws and trains; gives the model."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    boards, labels, _ = draw_boards(count, seed)
    model = make_model()
    steps = epochs * -(-count // 64)
    schedule = keras.optimizers.schedules.CosineDecay(
        3e-4, steps - steps // 10, warmup_target=3e-3, warmup_steps=steps // 10
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=0.0, clipnorm=1.0)
    model.compile(
        optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False
    )
    model.fit(as_seen(boards), labels, batch_size=64, epochs=epochs, verbose=2)
    return model


def measure(model, boards, labels, boxes):
    """How often the model reads a board right, and how well its frame follows the digit.

    `away` is the distance from the frame's middle to the digit's, in pixels of 64, and `away_unmoved` that of
    the best frame that stays where it is; `scale` is the frame's side, the board's being 1; `inside` is the
    share of the digit's box that is in the frame.
    """
    seen = as_seen(boards)
    answers = model.predict(seen, batch_size=64, verbose=0)
    theta = np.asarray(model.get_layer("look_closer").theta(seen / 255))
    scale, middle = theta[:, :1], theta[:, 1:]
    low, high = boxes[:, :2], boxes[:, 2:]
    shared = np.minimum(high, middle + scale) - np.maximum(low, middle - scale)
    inside = np.clip(shared, 0, None).prod(axis=1) / (high - low).prod(axis=1)
    digit = (low + high) / 2

    def away(point):
        return float(np.linalg.norm(digit - point, axis=1).mean() * SEEN / 2)

    return {
        "accuracy": float((answers.argmax(axis=-1) == labels).mean()),
        "away": away(middle),
        "away_unmoved": away(np.median(digit, axis=0)),
        "scale": float(scale.mean()),
        "inside": float(inside.mean()),
    }


def save(model, path):
    """Saves a model so that every supported Keras reads it as it is.

    Keras 3.5 writes the one output of a model as a list of one, which newer versions take at its word: their
    model returns a list. All of them read the output without the list around it.
    """
    slim = keras.models.clone_model(model)  # without the optimizer, which the file has no use for
    slim.set_weights(model.get_weights())
    slim.save(path)
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["config.json"] = json.dumps(_without_lists_of_one(json.loads(files["config.json"])))
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def _without_lists_of_one(config):
    if isinstance(config, list):
        return [_without_lists_of_one(part) for part in config]
    if not isinstance(config, dict):
        return config
    plain = {key: _without_lists_of_one(part) for key, part in config.items()}
    for key in ("input_layers", "output_layers"):
        if key in plain and len(plain[key]) == 1:
            plain[key] = plain[key][0]
    return plain


def write_images(folder, count=12):
    """The demo's pictures, named by what is on them."""
    boards, labels, _ = draw_boards(count, SHOWN_SEED)
    for number, (board, label) in enumerate(zip(boards, labels, strict=True), start=1):
        cv2.imwrite(str(folder / f"board-{number:02d}-{NAMES[label]}.png"), board)


def main(arguments=None):
    """Writes the model, the names of its classes and the images."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("demo-model"))
    parser.add_argument("--images", type=int, default=10000)
    parser.add_argument("--epochs", type=int, default=14)
    options = parser.parse_args(arguments)

    (options.out / "images").mkdir(parents=True, exist_ok=True)
    model = train(options.images, options.epochs)
    save(model, options.out / "digits.keras")
    (options.out / "labels.txt").write_text("\n".join(NAMES) + "\n", encoding="utf-8")
    write_images(options.out / "images")
    print(f"Wrote {options.out}: {model.count_params():,} weights.")
    found = measure(model, *draw_boards(max(200, options.images // 10), HELD_OUT_SEED))
    print(
        "Boards it has never seen: {accuracy:.2%} read. The frame is {scale:.2f} of a board wide, its middle "
        "{away:.1f} pixels of {size} from the digit's ({away_unmoved:.1f} if it stood still), and "
        "{inside:.1%} of the digit are inside.".format(size=SEEN, **found)
    )
    return found


if __name__ == "__main__":
    main()
