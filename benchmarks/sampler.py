"""Compares the sampler with torch's, with Keras' `map_coordinates` and with plain TensorFlow."""

import functools
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

import keras_stn
from benchmarks import memory, report
from benchmarks.candidates import (
    Arrays,
    arrays,
    four_gathers,
    like_tensorflow,
    map_coordinates,
    tensorflow_call,
    torch_call,
)
from benchmarks.fit_steps import steps
from benchmarks.timing import Call, once, paired

HAS_TORCH = importlib.util.find_spec("torch") is not None


class Shape(NamedTuple):
    """A batch of images, the size it is sampled to, and the highest ratios to torch."""

    images: tuple[int, int, int, int]
    size: tuple[int, int]
    bars: dict[str, float]

    def __str__(self) -> str:
        text = "x".join(map(str, self.images))
        return text if self.size == self.images[1:3] else "{} to {}x{}".format(text, *self.size)


QUANTITIES = {
    "forward": "Forward",
    "grid": "Forward and the gradient of the grid",
    "all": "Forward and all gradients",
}

_LARGE = {"forward": 1.2, "grid": 1.3, "all": 1.6}
_MIDDLE = {"forward": 1.8, "grid": 1.8, "all": 2.5}
_SMALL = {"forward": 3.0, "grid": 3.0, "all": 3.0}

SHAPES = (
    Shape((256, 28, 28, 1), (28, 28), _SMALL),
    Shape((64, 64, 64, 3), (64, 64), _MIDDLE),
    Shape((32, 224, 224, 3), (224, 224), _LARGE),
    Shape((32, 28, 28, 256), (28, 28), _LARGE),
    Shape((128, 40, 40, 1), (20, 20), {}),
    Shape((16, 96, 160, 8), (64, 112), {}),
)

PAIRS = 15
_PAIRS_OF_GATHERS = 3

_DISTURBED = 1.5
"""A candidate whose median is so many times its fastest was disturbed by other work."""

_SLOW_SIZE = 2**20
"""Values of the output. Beyond, the gradients of map_coordinates are left out."""

MEMORY_BAR = 8
"""Arrays of the output's size, for three channels and more."""

_MEMORY_OUTPUT = 64 * 2**20
"""Bytes. Memory is measured with batches so large that all but arrays is small beside them."""


class Measured(NamedTuple):
    """Milliseconds a call, and the medians of the ratios to torch, where they were measured.

    `disturbed` tells which ratios other work on the machine has spoilt.
    """

    milliseconds: dict[str, float]
    ratios: dict[str, float]
    disturbed: dict[str, bool]


def measure(shape: Shape, quantity: str, pairs: int = PAIRS) -> Measured:
    """Times all candidates for one shape and quantity."""
    given = arrays(shape.images, shape.size)
    with_sampler, with_stand_in = steps(given, quantity)
    calls = {
        "eager": tensorflow_call(keras_stn.sample, given, quantity, graph=False),
        "graph": tensorflow_call(keras_stn.sample, given, quantity, graph=True),
        "fit": with_sampler,
        "stand-in": with_stand_in,
    }
    gathers = tensorflow_call(four_gathers, given, quantity, graph=True)
    expected = gathers()
    for name in ("eager", "graph"):
        _check(name, calls[name](), expected)
    if HAS_TORCH:
        calls = {"torch": torch_call(given, quantity), **calls}
        _check("torch", like_tensorflow(calls["torch"](), quantity), expected)
    seconds = paired(calls, pairs)
    noisy = {name: bool(np.median(s) > _DISTURBED * s.min()) for name, s in seconds.items()}
    seconds["fit"] = seconds["fit"] - seconds.pop("stand-in")
    ratios, disturbed = {}, {}
    if HAS_TORCH:
        for name in ("eager", "graph", "fit"):
            ratios[name] = float(np.median(seconds[name] / seconds["torch"]))
            disturbed[name] = noisy["torch"] or noisy[name]
    seconds |= paired({"gathers": gathers}, min(pairs, _PAIRS_OF_GATHERS))
    seconds |= _map_coordinates(given, quantity, expected)
    milliseconds = {name: 1e3 * float(np.median(s)) for name, s in seconds.items()}
    return Measured(milliseconds, ratios, disturbed)


def _map_coordinates(
    given: Arrays, quantity: str, expected: Sequence[Any]
) -> dict[str, np.ndarray]:
    if given.upstream.size > _SLOW_SIZE and quantity != "forward":
        return {}
    call = tensorflow_call(map_coordinates, given, quantity, graph=True)
    _check("map_coordinates", call(), expected)
    return {"map_coordinates": once(call)}


def _check(name: str, results: Sequence[Any], expected: Sequence[Any]) -> None:
    """Refuses a candidate that computes something else."""
    for result, other in zip(results, expected, strict=True):
        difference = np.abs(np.asarray(result) - np.asarray(other))
        # Rounding takes a few points across the border of a pixel, where the grid's gradient jumps.
        if not np.quantile(difference, 0.99) <= 1e-3 * np.abs(other).max():
            raise RuntimeError(f"{name} does not compute what four gathers do.")


def measure_alone(shape: Shape, pairs: int = PAIRS) -> dict[str, dict[str, list[float]]]:
    """What is measured in a process of its own, by what and by candidate, for each quantity.

    "memory": the peak in arrays of the output's size, less inputs and results. "processor": seconds of
    processor time on one thread, which other work on the machine disturbs little.
    """
    given = json.dumps([shape.images, shape.size, pairs])
    command = [sys.executable, "-m", "benchmarks.sampler", given]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _alone(images: Sequence[int], size: tuple[int, int], pairs: int) -> dict[str, Any]:
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    makers = {"graph": functools.partial(tensorflow_call, keras_stn.sample, graph=True)}
    if HAS_TORCH:
        makers["torch"] = functools.partial(torch_call, threads=1)
    extra = {n: _memory(make, images, size) for n, make in makers.items() if memory.MEASURABLE}
    processor: dict[str, list[float]] = {name: [] for name in makers}
    for quantity in QUANTITIES:
        calls = {name: make(arrays(images, size), quantity) for name, make in makers.items()}
        for name, seconds in paired(calls, pairs, time.process_time).items():
            processor[name].append(float(np.median(seconds)))
    return {"memory": extra, "processor": processor}


def _memory(
    make: Callable[[Arrays, str], Call], images: Sequence[int], size: tuple[int, int]
) -> list[float]:
    one = 4 * size[0] * size[1] * images[3]
    small, large = (
        arrays((batch, *images[1:]), size) for batch in (1, max(1, _MEMORY_OUTPUT // one))
    )
    output, grid = large.upstream.nbytes, large.grid.nbytes
    results = [output, output + grid, output + grid + large.images.nbytes]
    calls = ([make(given, quantity) for quantity in QUANTITIES] for given in (small, large))
    return [(p - own) / output for p, own in zip(memory.peaks(*calls), results, strict=True)]


def _milliseconds(value: float | None) -> str:
    if value is None:
        return "-"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f}"


def _times(shapes: Sequence[Shape], quantity: str, pairs: int, *, markdown: bool) -> str:
    rows = []
    for shape in shapes:
        found = measure(shape, quantity, pairs)
        bar = shape.bars.get(quantity)
        row = [str(shape), _milliseconds(found.milliseconds.get("torch"))]
        for name in ("eager", "graph", "fit"):
            cell = _milliseconds(found.milliseconds[name])
            if name in found.ratios:
                judged = bar is not None and (name != "eager" or quantity == "forward")
                mark = "!" if judged and found.ratios[name] > bar else ""
                mark += "~" if found.disturbed[name] else ""
                cell += f" ({found.ratios[name]:.2f}{mark})"
            row.append(cell)
        row += ["-" if bar is None else str(bar)]
        row += [_milliseconds(found.milliseconds.get(n)) for n in ("gathers", "map_coordinates")]
        rows.append(row)
    header = ["shape", "torch", "eager", "graph", "fit", "bar", "gathers", "map_coord."]
    return report.table(QUANTITIES[quantity], header, rows, markdown=markdown)


def _processor_table(shapes: Sequence[Shape], found: Sequence[Any], *, markdown: bool) -> str:
    rows = []
    for shape, alone in zip(shapes, found, strict=True):
        row = [str(shape)]
        for i, quantity in enumerate(QUANTITIES):
            seconds = {name: values[i] for name, values in alone["processor"].items()}
            cell = _milliseconds(1e3 * seconds["graph"])
            if "torch" in seconds:
                cell += f" ({seconds['graph'] / seconds['torch']:.2f})"
            torch = _milliseconds(1e3 * seconds["torch"] if "torch" in seconds else None)
            row += [torch, cell, str(shape.bars.get(quantity, "-"))]
        rows.append(row)
    header = ["shape", *("torch", "forward", "bar"), *("torch", "grid", "bar")]
    title = "Processor time on one thread, in graph: little disturbed by other work"
    return report.table(title, [*header, "torch", "all", "bar"], rows, markdown=markdown)


def _memory_table(shapes: Sequence[Shape], found: Sequence[Any], *, markdown: bool) -> str:
    rows = []
    for shape, alone in zip(shapes, found, strict=True):
        bar = MEMORY_BAR if shape.images[3] >= 3 else None
        torch = alone["memory"].get("torch", [None] * len(QUANTITIES))
        row = ["x".join(map(str, ("N", *shape.images[1:])))]
        for ours, theirs in zip(alone["memory"]["graph"], torch, strict=True):
            row.append(f"{abs(ours):.1f}{'!' if bar and ours > bar else ''}")
            row.append("-" if theirs is None else f"{abs(theirs):.1f}")
        rows.append([*row, str(bar or "-")])
    header = ["shape", "forward", "torch", "grid", "torch", "all", "torch", "bar"]
    title = "Peak memory in graph, in arrays of the output's size, above inputs and results"
    return report.table(title, header, rows, markdown=markdown)


_LEGEND = """\
Milliseconds a call, and in brackets the ratio to torch's grid_sample. ! is beyond the bar; ~ means
that other work disturbed torch or the candidate: its median is over {disturbed} times its fastest.
Medians of {pairs} rounds in which every candidate runs once, after a pause and an untimed call.

- eager, graph: keras_stn.sample called eagerly, and inside tf.function.
- fit: a step of fit (forward: of evaluate), less the same step with a stand-in for the sampler.
- gathers, map_coord.: four gathers in TensorFlow ops, keras.ops.image.map_coordinates; in graph.

Bilinear, zeros outside, random affine grids."""


def main(shapes: Sequence[Shape] = SHAPES, pairs: int = PAIRS, *, markdown: bool = False) -> None:
    """Prints a table for each quantity."""
    print("keras_stn: the sampler\n", flush=True)
    print(report.machine(["tensorflow", "keras", "torch"]) + "\n")
    print(_LEGEND.format(pairs=pairs, disturbed=_DISTURBED))
    if not HAS_TORCH:
        print("\ntorch is not installed: no ratios. `make bench` installs it.")
    for quantity in QUANTITIES:
        print("\n" + _times(shapes, quantity, pairs, markdown=markdown), flush=True)
    found = [measure_alone(shape, pairs) for shape in shapes]
    print("\n" + _processor_table(shapes, found, markdown=markdown))
    if memory.MEASURABLE:
        print("\n" + _memory_table(shapes, found, markdown=markdown))


if __name__ == "__main__":
    # The process of its own that `measure_alone` starts.
    print(json.dumps(_alone(*json.loads(sys.argv[1]))))
