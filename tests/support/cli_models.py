"""Models, photographs and a way to run the command that its tests share."""

import contextlib
import io
import json
import os
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import keras
import numpy as np
from keras import layers

from gradcam.command import main as cli

ROOT = Path(__file__).parents[2]
NAMES = ("cat", "dog", "rat")


def network(size=16, channels=3, classes=3, activation="softmax", scaled=True):
    """A convolution or two behind a Rescaling, or not."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((size, size, channels))
    x = layers.Rescaling(1 / 255, name="scale")(inputs) if scaled else inputs
    x = layers.Conv2D(6, 3, activation="relu", name="conv1")(x)
    x = layers.Conv2D(8, 3, activation="relu", name="conv2")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    return keras.Model(inputs, layers.Dense(classes, activation=activation, name="scores")(x))


def picture(height=24, width=32, seed=0):
    """Colourful blobs."""
    blobs = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), np.uint8)
    return cv2.resize(blobs, (width, height), interpolation=cv2.INTER_CUBIC)


def encoded(image, suffix=".jpg"):
    """A picture (RGB) as a file of that ending."""
    turned = image if image.ndim == 2 else image[..., [2, 1, 0, *range(3, image.shape[2])]]
    return cv2.imencode(suffix, np.ascontiguousarray(turned))[1].tobytes()


def png_header(width, height):
    """A PNG of a few bytes that says how large it is."""
    header = b"IHDR" + width.to_bytes(4) + height.to_bytes(4) + b"\x08\x02\0\0\0"
    end = b"\0\0\0\0IEND" + zlib.crc32(b"IEND").to_bytes(4)
    return b"\x89PNG\r\n\x1a\n" + b"\0\0\0\x0d" + header + zlib.crc32(header).to_bytes(4) + end


class Done:
    """What a run of the command left: its status and what it printed."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err
        # All that a person reads; screens break lines anywhere.
        self.words = " ".join(f"{out} {err}".split())


def gradcam(*arguments):
    """Run the command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = cli.main([str(argument) for argument in arguments])
    return Done(status, out.getvalue(), err.getvalue())


def command(*arguments, cwd=None, **options):
    """Run the command in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-m", "gradcam", *map(os.fsdecode, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        check=False,
        timeout=120,
        **options,
    )


def manifest(folder):
    """The manifest of a folder of results."""
    return json.loads((Path(folder) / "manifest.json").read_bytes())


def everything(folder):
    """Every file below a folder with its bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }
