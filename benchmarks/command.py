"""`gradcam explain` on a thousand photographs, next to a loop that only runs the forward pass.

`python -m benchmarks command` makes the photographs, 640 x 480, and runs two programs on them in
turns, each in a process of its own, timed from the first photograph to the last: without importing
TensorFlow, building the network and tracing it. The loop decodes and resizes a photograph after the
other and runs the compiled network on batches of the same size. The command writes an overlay for
each, what the report needs, the manifest and the report. Memory is the command's resident set.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from benchmarks import report

COUNT = 1000
ROUNDS = 3
BATCH = 16


def main(*, markdown: bool = False, count: int = COUNT, rounds: int = ROUNDS) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_photographs(folder / "photos", count)
        _child("make_model", folder)
        loops, commands = [], []
        for number in range(rounds):
            loops.append(_child("loop", folder))
            commands.append(_child("command", folder, str(number)))
    print(f"\n{report.machine(['tensorflow', 'keras', 'opencv-python-headless'])}\n")
    ratios = [c["seconds"] / loop["seconds"] for c, loop in zip(commands, loops, strict=True)]
    rows = [
        ["decode, resize, forward pass", _milliseconds(loops, count), "1.00", "-"],
        [
            "gradcam explain",
            _milliseconds(commands, count),
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            f"{statistics.median(c['growth'] for c in commands):+.1%}",
        ],
    ]
    header = ["", "ms a photograph", "ratio", f"memory at {count} against {count // 10}"]
    title = f"{count} photographs of 640 x 480 through MobileNetV2, batches of {BATCH}"
    print(report.table(title, header, rows, markdown=markdown))
    for name, arguments in (("--help", ["--help"]), ("wrong usage", ["explain", "."])):
        print(f"gradcam {name}: {_answer_time(arguments):.2f} s")


def make_photographs(folder: Path, count: int) -> None:
    """JPEG files with the detail of photographs: clouds, edges and noise."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(count):
        small = random.integers(0, 256, (30, 40, 3), np.uint8)
        clouds = cv2.resize(small, (640, 480), interpolation=cv2.INTER_CUBIC).astype(np.int16)
        noise = random.integers(-8, 9, clouds.shape, np.int16)
        image = np.clip(clouds + noise, 0, 255).astype(np.uint8)
        cv2.rectangle(image, (100, 80), (420, 300), random.integers(0, 256, 3).tolist(), 12)
        cv2.imwrite(str(folder / f"{number:04}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 90])


def _milliseconds(runs: list[dict[str, float]], count: int) -> str:
    return f"{1e3 * statistics.median(run['seconds'] for run in runs) / count:.1f}"


def _answer_time(arguments: list[str]) -> float:
    times = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "gradcam", *arguments], capture_output=True, check=False
        )
        times.append(time.perf_counter() - began)
    return min(times)


def _child(what: str, folder: Path, *more: str) -> dict[str, float]:
    """Run one of the programs below in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.command", what, str(folder), *more],
        stdout=subprocess.PIPE,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        check=True,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def make_model(folder: Path) -> dict[str, float]:
    """MobileNetV2 with random weights, and its preprocessing inside."""
    import keras  # noqa: PLC0415

    keras.utils.set_random_seed(0)
    inputs = keras.Input((224, 224, 3))
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    network = keras.applications.MobileNetV2(weights=None)
    keras.Model(inputs, network(scaled)).save(folder / "m.keras")
    return {}


def loop(folder: Path) -> dict[str, float]:
    """Decode, resize and run the compiled forward pass, one after the other."""
    import keras  # noqa: PLC0415
    import tensorflow as tf  # noqa: PLC0415

    from gradcam import read_images  # noqa: PLC0415

    model = keras.models.load_model(folder / "m.keras", compile=False)
    forward = tf.function(lambda images: model(images, training=False), autograph=False)
    paths = sorted((folder / "photos").iterdir())
    batches = [paths[first : first + BATCH] for first in range(0, len(paths), BATCH)]
    for batch in (batches[0], batches[-1]):
        forward(tf.convert_to_tensor(read_images(batch, 224)))
    began = time.perf_counter()
    for batch in batches:
        forward(tf.convert_to_tensor(read_images(batch, 224))).numpy()
    return {"seconds": time.perf_counter() - began}


def command(folder: Path, number: str) -> dict[str, float]:
    """Run `gradcam explain`, with a look at its memory at a tenth and at the end."""
    from gradcam.command import main as cli  # noqa: PLC0415
    from gradcam.command.run import job  # noqa: PLC0415
    from gradcam.command.run.manifest import Manifest  # noqa: PLC0415

    count = len(list((folder / "photos").iterdir()))
    memory: dict[int, int] = {}
    seen: list[float] = []
    add, begin, finish = Manifest.add, Manifest.begin, job._finish

    def timed_begin(self: Manifest) -> None:
        seen.append(time.perf_counter())
        begin(self)

    def watched_add(self: Manifest, entry: dict[str, object]) -> None:
        add(self, entry)
        memory[len(memory) + 1] = _resident()

    def timed_finish(*arguments: object) -> int:
        status = finish(*arguments)  # type: ignore[arg-type]
        seen.append(time.perf_counter())
        return status

    Manifest.begin, Manifest.add = timed_begin, watched_add  # type: ignore[method-assign]
    job._finish = timed_finish
    options = ["--model", str(folder / "m.keras"), "--out", str(folder / f"out{number}")]
    status = cli.main(["explain", str(folder / "photos"), *options])
    if status:
        raise SystemExit(status)
    growth = memory[count] / memory[max(1, count // 10)] - 1
    return {"seconds": seen[1] - seen[0], "growth": growth}


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


if __name__ == "__main__":
    programs = {"make_model": make_model, "loop": loop, "command": command}
    if len(sys.argv) > 1:
        print(json.dumps(programs[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])))
    else:
        main()
