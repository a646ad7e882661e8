"""What an explanation costs, next to the model's own forward pass and to tf-keras-vis.

`python -m benchmarks.gradcam_speed [MODEL ...]` prints the tables. Everything is measured in one
process, the contestants one after the other in each round, and compared by the median of the
rounds' ratios, so that a machine that slows down slows all of them down.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import os
import resource
import statistics
import sys
import time
import warnings
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

import gradcam

try:
    import tf_keras_vis
except ImportError:  # the tables are printed without it
    tf_keras_vis = None

PEERS = {
    "gradcam": ("gradcam", "Gradcam"),
    "gradcam++": ("gradcam_plus_plus", "GradcamPlusPlus"),
    "layercam": ("layercam", "Layercam"),
    "scorecam": ("scorecam", "Scorecam"),
}
MODELS = {
    "MobileNetV2": "out_relu",
    "ResNet50": "conv5_block3_out",
    "VGG16": "block5_conv3",
}
GRADIENT_METHODS = ("gradcam", "gradcam++", "hirescam", "xgradcam", "layercam")
SLOW_METHODS = ("ablationcam", "scorecam")
ROUNDS = {1: 30, 8: 8}
SLOW_ROUNDS = {1: 3, 8: 1}
CHANNELS = 64


def main(models: Sequence[str] = ()) -> None:
    """Print every table, of all models or of those named."""
    warnings.filterwarnings("ignore", message="The structure of `inputs`")
    for name in models or MODELS:
        keras.backend.clear_session()
        model = getattr(keras.applications, name)(weights=None)
        print(f"\n{name}: milliseconds, and the ratio to the compiled forward pass")
        for batch in (1, 8):
            compare(model, name, batch, GRADIENT_METHODS)
        print(f"{name}: the first call for one image, in seconds")
        first_calls(model, name)
        print(f"{name}: methods that run the model again")
        for batch in (1, 8):
            compare(model, name, batch, SLOW_METHODS)
    memory()


def compare(model: keras.Model, name: str, batch: int, methods: tuple[str, ...]) -> None:
    """One line a method: forward pass, Explainer, tf-keras-vis."""
    x = np.random.default_rng(0).uniform(size=(batch, 224, 224, 3)).astype("float32")
    forward = tf.function(lambda images: model(images, training=False), autograph=False)
    layer = MODELS[name]
    for method in methods:
        is_slow = method in SLOW_METHODS
        channels = CHANNELS if method == "scorecam" else None
        explain = gradcam.Explainer(model, layer, method, max_channels=channels)
        runs = {
            "forward": lambda: forward(tf.convert_to_tensor(x)).numpy(),
            "explain": lambda explain=explain: explain(x, target=7),
        }
        if method == "scorecam":
            runs["bare"] = lambda: masked_passes(forward, x)
        peer = competitor(model, method, layer, batch)
        if peer is not None:
            runs["peer"] = lambda peer=peer: peer(x)
        times = measure(runs, SLOW_ROUNDS[batch] if is_slow else ROUNDS[batch])
        print(line(method, batch, times))


def line(method: str, batch: int, times: dict[str, list[float]]) -> str:
    """A row: milliseconds and ratios."""
    forward, ours = times["forward"], times["explain"]
    parts = [
        f"{method:12} batch {batch}",
        f"forward {1e3 * statistics.median(forward):8.1f}",
        f"Explainer {1e3 * statistics.median(ours):9.1f} ({ratio(ours, forward):6.2f}x)",
    ]
    if "bare" in times:
        parts.append(f"of its forward passes {ratio(ours, times['bare']):5.2f}x")
    if "peer" in times:
        parts.append(f"tf-keras-vis {1e3 * statistics.median(times['peer']):9.1f}")
        parts.append(f"which takes {ratio(times['peer'], ours):5.1f}x as long")
    return "  ".join(parts)


def ratio(first: list[float], second: list[float]) -> float:
    """The median of the ratios of the rounds."""
    return statistics.median(a / b for a, b in zip(first, second, strict=True))


def measure(runs: dict[str, object], rounds: int) -> dict[str, list[float]]:
    """Seconds of each contestant in each round, after one call to warm up."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return times


def masked_passes(forward: object, x: np.ndarray) -> None:
    """The forward passes that Score-CAM can't do without, in batches of the same size."""
    rows = tf.constant(np.repeat(x[:1], 32, axis=0))
    for _ in range(len(x) * CHANNELS // 32):
        forward(rows).numpy()


def competitor(model: keras.Model, method: str, layer: str, batch: int) -> object:
    """The same method of tf-keras-vis, or None where it has none or is not installed."""
    if tf_keras_vis is None or method not in PEERS:
        return None
    module, kind = PEERS[method]
    explainer_class = getattr(importlib.import_module(f"tf_keras_vis.{module}"), kind)
    utilities = importlib.import_module("tf_keras_vis.utils.model_modifiers")
    scores = importlib.import_module("tf_keras_vis.utils.scores")
    # A clone of its own: it changes the last activation of the model that it is given.
    explainer = explainer_class(model, utilities.ReplaceToLinear(), clone=True)
    score = scores.CategoricalScore([7] * batch)
    options = {"max_N": CHANNELS} if method == "scorecam" else {}

    def run(x: np.ndarray) -> None:
        with contextlib.redirect_stdout(io.StringIO()):  # it shows a progress bar
            explainer(score, x, penultimate_layer=layer, **options)

    return run


def first_calls(model: keras.Model, name: str) -> None:
    """A one-shot explanation of one image: everything is paid for."""
    x = np.random.default_rng(0).uniform(size=(1, 224, 224, 3)).astype("float32")
    ours, peers = [], []
    for _ in range(3):
        gc.collect()
        start = time.perf_counter()
        gradcam.explain(model, x, target=7, layer=MODELS[name])
        ours.append(time.perf_counter() - start)
        start = time.perf_counter()
        peer = competitor(model, "gradcam", MODELS[name], 1)
        if peer is not None:
            peer(x)
            peers.append(time.perf_counter() - start)
    text = f"explain {statistics.median(ours):.2f}"
    if peers:
        text += f"  tf-keras-vis {statistics.median(peers):.2f}  ({ratio(ours, peers):.2f}x)"
    print(text)


def memory() -> None:
    """How much an Explainer grows over 2,000 images in batches."""
    keras.backend.clear_session()
    model = keras.applications.MobileNetV2(weights=None)
    explain = gradcam.Explainer(model)
    x = np.random.default_rng(0).uniform(size=(8, 224, 224, 3)).astype("float32")
    for _ in range(10):
        explain(x)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(250):
        explain(x)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"\nMobileNetV2, 2,000 images in batches of 8: peak memory grew by {grown:.1f} MB")


if __name__ == "__main__":
    main(sys.argv[1:])
