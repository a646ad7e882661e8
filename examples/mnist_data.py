"""MNIST for the examples: from a file, from Keras, or digits drawn here."""

import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from examples.handwriting import write_digits

DRAWN = "drawn"
KERAS = "keras"

# A .npy file is no archive, which is a TypeError; damage may show as any of the others.
UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    AttributeError,
    TypeError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What reading a file that is no sound `.npz` raises."""


class DataError(SystemExit):
    """Data that can't be used: ends the program with a sentence."""


class Digits(NamedTuple):
    """Images as `(n, 28, 28)` floats in [0, 1], labels as whole numbers from 0 to 9."""

    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]


def read_digits(source, train=None, test=None):
    """Digits from a `.npz` file, from Keras' download ("keras"), or drawn here ("drawn").

    `train` and `test` are how many images to take; of a file None takes all, drawn are 60000 and 10000.
    """
    if source == DRAWN:
        parts = write_digits(train or 60000, seed=1), write_digits(test or 10000, seed=2)
    else:
        parts = _download() if source == KERAS else _read(Path(source))
    cut = [
        (np.asarray(images[:count], np.float32) / 255, np.asarray(labels[:count], np.int32))
        for (images, labels), count in zip(parts, (train, test), strict=True)
    ]
    return Digits(*cut)


def _download():
    try:
        return keras.datasets.mnist.load_data()
    except Exception as error:  # noqa: BLE001 Keras raises nothing narrower where there is no network
        reason = str(error).splitlines()[0]
        raise DataError(
            f"Keras could not download MNIST: {reason}\n"
            "Fetch mnist.npz where there is a network and give its path, --data mnist.npz, or use "
            f"--data {DRAWN}, which needs none."
        ) from None


def _read(path):
    """The arrays of a file like Keras' own mnist.npz."""
    names = ("x_train", "y_train", "x_test", "y_test")
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            missing = [name for name in names if name not in file]
            if missing:
                raise DataError(
                    f"{path} has no array {', '.join(missing)}. It has: {', '.join(file) or 'none'}. "
                    "Expected is a file like Keras' mnist.npz: x_train and x_test of shape (n, 28, 28) with "
                    "0 to 255, y_train and y_test of shape (n,) with 0 to 9."
                )
            arrays = {name: file[name] for name in names}
    except FileNotFoundError:
        raise DataError(f"There is no file {path}. Give a .npz file, {KERAS} or {DRAWN}.") from None
    except UNREADABLE:
        raise DataError(f"{path} can't be read as an .npz file of NumPy arrays.") from None
    return tuple(
        _checked(path, part, arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "test")
    )


def _checked(path, part, images, labels):
    if images.ndim != 3 or images.shape[1:] != (28, 28) or not len(images):
        raise DataError(f"x_{part} in {path} has shape {images.shape}. Expected: (n, 28, 28).")
    if labels.shape != images.shape[:1]:
        raise DataError(
            f"y_{part} in {path} has shape {labels.shape}. Expected: ({len(images)},), one label an image."
        )
    if images.dtype.kind not in "fiu":
        raise DataError(
            f"x_{part} in {path} holds {images.dtype}. Expected: numbers from 0 to 255."
        )
    if not (images.min() >= 0 and 1 < images.max() <= 255):
        raise DataError(
            f"x_{part} in {path} holds {images.dtype} from {images.min()} to {images.max()}. Expected: "
            "numbers from 0 to 255."
        )
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() > 9:
        raise DataError(f"y_{part} in {path} must hold whole numbers from 0 to 9.")
    return images, labels
