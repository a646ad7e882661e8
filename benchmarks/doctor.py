"""What a diagnosis costs, next to the first, traced forward call of the same model.

`python -m benchmarks.doctor [MODEL ...]` prints a line a model. Both pay for their trace, as the
first call of anything does.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

import gradcam

MODELS = ("ResNet50", "MobileNetV2", "VGG16")
IMAGES = 4
ROUNDS = 3


def main(models: Sequence[str] = ()) -> None:
    """Print the table, of all models or of those named."""
    for name in models or MODELS:
        keras.backend.clear_session()
        model = getattr(keras.applications, name)(weights=None)
        x = np.random.default_rng(0).uniform(-1, 1, (IMAGES, 224, 224, 3)).astype("float32")
        forward, ours = [], []
        for _ in range(ROUNDS):
            forward.append(seconds(lambda model=model, x=x: first_call(model, x)))
            ours.append(seconds(lambda model=model, x=x: gradcam.diagnose(model, x, loss="mse")))
        ratio = statistics.median(b / a for a, b in zip(forward, ours, strict=True))
        print(
            f"{name:12} {IMAGES} images  first call {statistics.median(forward):6.2f} s"
            f"  diagnose {statistics.median(ours):6.2f} s  ({ratio:4.1f}x, at most 8x)"
        )


def first_call(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """The forward pass, traced anew."""
    forward = tf.function(lambda images: model(images, training=False), autograph=False)
    return forward(tf.convert_to_tensor(x)).numpy()


def seconds(call: Callable[[], object]) -> float:
    """Of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    main(sys.argv[1:])
