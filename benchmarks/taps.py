"""What the gradient of a tapped layer, and explanations on it, cost next to the forward pass.

`python -m benchmarks taps` prints the table. Forward pass and tap run in a `tf.function`, the
explanations in an `Explainer`, one after the other in each round; they are compared by the median of
the rounds' ratios.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

import gradcam
from benchmarks import report
from benchmarks.timing import paired

MODELS: dict[str, Callable[..., keras.Model]] = {
    "MobileNetV2": keras.applications.MobileNetV2,
    "ResNet50": keras.applications.ResNet50,
    "EfficientNetB0": keras.applications.EfficientNetB0,
}
METHODS = ["gradcam", "gradcam++", "hirescam", "xgradcam", "layercam"]
BATCHES = (1, 8)
PAIRS = 20
SIZE = 224
TITLE = "The last feature map, and the median of the ratios to the forward pass"
HEADER = ["model", "batch", "forward, ms", "tap and gradient", "gradcam", "five methods"]


def main(*, markdown: bool = False, size: int = SIZE, pairs: int = PAIRS) -> None:
    """Print a row for each model and batch."""
    rows = []
    for name, build in MODELS.items():
        model = build(weights=None, input_shape=(size, size, 3))
        rows += [[name, str(batch), *_measured(model, batch, pairs)] for batch in BATCHES]
        keras.backend.clear_session()
    print(report.table(TITLE, HEADER, rows, markdown=markdown))


def _measured(model: keras.Model, batch: int, pairs: int) -> list[str]:
    shape = (batch, *model.input_shape[1:])
    images = tf.constant(np.random.default_rng(0).uniform(0, 255, shape), tf.float32)
    tap = gradcam.tap(model)

    @tf.function(autograph=False)
    def forward(images: tf.Tensor) -> tf.Tensor:
        return model(images, training=False)

    @tf.function(autograph=False)
    def gradient(images: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            _, outputs = tap(images, tape=tape)
            score = outputs[:, 0]
        return tap.gradient(tape, score)

    one, five = gradcam.Explainer(model), gradcam.Explainer(model, method=METHODS)
    array = images.numpy()
    calls = {
        "forward": lambda: forward(images).numpy(),
        "tap": lambda: gradient(images).numpy(),
        "gradcam": lambda: one(array, target=0),
        "five": lambda: five(array, target=0),
    }
    times = paired(calls, pairs)
    ratios = [np.median(times[name] / times["forward"]) for name in ("tap", "gradcam", "five")]
    return [f"{1e3 * np.median(times['forward']):.1f}", *(f"{ratio:.2f}" for ratio in ratios)]


if __name__ == "__main__":
    main()
