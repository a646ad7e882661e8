"""What explaining a SavedModel costs, next to its own forward pass and to the Keras model.

`python -m benchmarks saved_models` exports MobileNetV2 and prints the tables: a repeated call of
`Explainer`, opening, the memory that opening takes next to the size on disk, and the processor's
seconds for graphs of many operations.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

import gradcam
from benchmarks import large_graphs, memory, report, timing

ROUNDS = 15
BATCHES = (1, 8)
NODES = (5_000, 20_000, 100_000)


def main(*, markdown: bool = False) -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as folder:
        model = keras.applications.MobileNetV2(weights=None)
        path = Path(folder, "mobilenet")
        model.export(str(path), verbose=False)
        opened = _opening(path)
        print(report.machine(["tensorflow", "keras"]))
        rows = [_row(model, path, batch) for batch in BATCHES]
    header = ["batch", "forward", "Explainer", "ratio", "Keras model", "ratio"]
    title = "SavedModel of MobileNetV2: milliseconds a call, and the ratio to the forward pass"
    print(report.table(title, header, rows, markdown=markdown))
    print(opened)
    header = ["operations", "open", "layers", "first explain", "next explain"]
    title = "Graphs of many operations: seconds of the processor, and of the clock"
    print(report.table(title, header, [_large(nodes) for nodes in NODES], markdown=markdown))


def _large(nodes: int) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "large")
        large_graphs.save(path, nodes)
        x = np.ones((1, 8, 8, 2), "float32")
        kept: list[Any] = []
        steps: list[Callable[[], Any]] = [
            lambda: kept.append(gradcam.load_model(path)),
            lambda: gradcam.layers(kept[0]),
            lambda: kept.append(gradcam.Explainer(kept[0])) or kept[1](x),
            lambda: kept[1](x),
        ]
        return [str(nodes), *(_seconds(step) for step in steps)]


def _seconds(step: Callable[[], Any]) -> str:
    processor, clock = time.process_time(), time.perf_counter()
    step()
    return f"{time.process_time() - processor:.1f} ({time.perf_counter() - clock:.1f})"


def _row(model: keras.Model, path: Path, batch: int) -> list[str]:
    x = np.random.default_rng(0).uniform(size=(batch, 224, 224, 3)).astype("float32")
    served = tf.saved_model.load(str(path))
    forward = served.signatures["serving_default"]
    name = next(iter(forward.structured_input_signature[1]))
    saved = gradcam.Explainer(gradcam.load_model(path))
    own = gradcam.Explainer(model)
    times = timing.paired(
        {
            "forward": lambda: _run(forward, name, x),
            "saved": lambda: saved(x, target=7),
            "keras": lambda: own(x, target=7),
        },
        ROUNDS,
    )
    base = times["forward"]
    return [
        str(batch),
        f"{1e3 * np.median(base):.1f}",
        f"{1e3 * np.median(times['saved']):.1f}",
        f"{np.median(times['saved'] / base):.2f}",
        f"{1e3 * np.median(times['keras']):.1f}",
        f"{np.median(times['keras'] / base):.2f}",
    ]


def _run(forward: Callable[..., Any], name: str, x: np.ndarray) -> np.ndarray:
    return forward(**{name: tf.convert_to_tensor(x)})["output_0"].numpy()


def _opening(path: Path) -> str:
    """How long opening takes, and how much memory, in a sentence; measured in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.saved_models", str(path)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def open_once(path: Path) -> None:
    """Open a SavedModel and print what it took."""
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    importlib.import_module("gradcam.loading.saved_models")
    tf.Variable(tf.zeros(8))  # what TensorFlow itself takes
    kept = []
    start = time.perf_counter()
    text = f"{size / 1e6:.0f} MB on disk"
    if memory.MEASURABLE:
        (grown,) = memory.peaks([], [lambda: kept.append(gradcam.load_model(path))])
        text += f", {grown / 1e6:.0f} MB more at the peak of opening"
    else:
        kept.append(gradcam.load_model(path))
    print(f"{text}, {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    if sys.argv[1:]:
        open_once(Path(sys.argv[1]))
    else:
        main()
