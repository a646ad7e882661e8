"""Networks with and without a spatial transformer on distorted digits: Jaderberg et al. 2015, Table 1, left.

Run it in the repository's folder:

    python -m examples.distorted_mnist --quick              # a look: two minutes
    python -m examples.distorted_mnist                      # the reduced schedule: about half an hour
    python -m examples.distorted_mnist --paper --data keras # the paper's own, on MNIST: wants a GPU

Each network's error is written as soon as it is known; run the same command again to go on where it stopped.
"""

import argparse
import json
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from examples.arguments import count, make_folder, seed
from examples.distorted_figure import draw_figure, draw_samples, sample_path
from examples.distorted_models import FAMILIES, make_model
from examples.distortions import DISTORTIONS, distort, size_of
from examples.mnist_data import DRAWN, KERAS, DataError, read_digits

PAPER = {
    "FCN": (2.1, 5.2, 3.1, 3.2),
    "CNN": (1.2, 0.8, 1.5, 1.4),
    "ST-FCN affine": (1.2, 0.8, 1.5, 2.7),
    "ST-CNN affine": (0.7, 0.5, 0.8, 1.2),
    "ST-CNN projective": (0.8, 0.6, 0.8, 1.3),
    "ST-CNN TPS": (0.7, 0.5, 0.8, 1.1),
}
"""Errors in the paper's table, in %, in the order of `DISTORTIONS`."""

console = Console(stderr=True)


@dataclass(frozen=True)
class Schedule:
    """How a network is trained; two runs with the same settings can be put together."""

    name: str
    train: int | None
    test: int | None
    iterations: int
    batch: int
    parameters: int
    models: tuple[str, ...] = tuple(FAMILIES)
    distortions: tuple[str, ...] = tuple(DISTORTIONS)

    def optimizer(self):
        """SGD in three steps as in the paper, or Adam in one cycle."""
        if self.name == "paper":
            third = max(1, self.iterations // 3)
            steps = [third, 2 * third]
            return keras.optimizers.SGD(
                keras.optimizers.schedules.PiecewiseConstantDecay(steps, [1e-2, 1e-3, 1e-4])
            )
        warm_up = max(1, self.iterations // 10)
        rate = keras.optimizers.schedules.CosineDecay(
            2e-4, max(1, self.iterations - warm_up), warmup_target=2e-3, warmup_steps=warm_up
        )
        return keras.optimizers.Adam(rate)

    @property
    def step_size(self):
        """The paper regresses theta like any other output; Adam wants the layer's default."""
        return 1.0 if self.name == "paper" else None


SCHEDULES = {
    "quick": Schedule(
        "quick",
        train=8000,
        test=2000,
        iterations=300,
        batch=64,
        parameters=100_000,
        models=("FCN", "CNN", "ST-FCN affine", "ST-CNN affine"),
        distortions=("R", "RTS"),
    ),
    "reduced": Schedule("reduced", 20_000, 10_000, iterations=2000, batch=64, parameters=100_000),
    "paper": Schedule("paper", None, None, iterations=150_000, batch=256, parameters=400_000),
}


def train(model, schedule, digits, distortion, random, advance):
    """Trains on digits that are distorted anew in each round; `advance` hears how many steps were made."""
    images, labels = digits
    model.compile(schedule.optimizer(), "sparse_categorical_crossentropy")
    batch = min(schedule.batch, len(images))
    done = 0
    while done < schedule.iterations:
        steps = min(len(images) // batch, schedule.iterations - done)
        chosen = random.permutation(len(images))[: steps * batch]
        distorted = distort(images[chosen], distortion, random)
        model.fit(distorted, labels[chosen], batch_size=batch, verbose=0)
        done += steps
        advance(steps)


def error_of(model, images, labels):
    """The share of wrong answers, in %."""
    answers = model.predict(images, batch_size=min(500, len(images)), verbose=0).argmax(axis=-1)
    return round(float((answers != labels).mean()) * 100, 2)


class Results:
    """The JSON file: settings, and one cell for each network and distortion that is done."""

    def __init__(self, path, settings):
        self.path = path
        self.content = {"schema": 1, "settings": settings, "versions": _versions(), "cells": []}
        if path.exists():
            self._resume(settings)

    def _resume(self, settings):
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            before, cells = content["settings"], content["cells"]
        except (OSError, ValueError, KeyError, TypeError):
            before, cells = None, None
        if not isinstance(before, dict) or not _are_cells(cells):
            raise DataError(f"{self.path} is no file of results. Choose another --out.")
        changed = [name for name in settings if before.get(name) != settings[name]]
        if changed:
            differing = ", ".join(
                f"{name} {before.get(name)!r}, now {settings[name]!r}" for name in changed
            )
            raise DataError(
                f"{self.path} holds results of other settings: {differing}. Choose another --out, or "
                "delete it."
            )
        self.content["cells"] = cells

    def find(self, model, distortion):
        """The cell of a network and a distortion, or None."""
        for cell in self.content["cells"]:
            if (cell["model"], cell["distortion"]) == (model, distortion):
                return cell
        return None

    def add(self, **cell):
        """Adds a cell and writes the file, whole or not at all."""
        self.content["cells"].append(cell)
        fresh = self.path.with_suffix(".tmp")
        fresh.write_text(json.dumps(self.content, indent=1) + "\n", encoding="utf-8")
        fresh.replace(self.path)


def _are_cells(cells):
    """Whether these are what `add` has written."""
    return isinstance(cells, list) and all(
        isinstance(cell, dict)
        and isinstance(cell.get("model"), str)
        and isinstance(cell.get("distortion"), str)
        and all(isinstance(cell.get(key), (int, float)) for key in ("error", "paper", "parameters"))
        for cell in cells
    )


def _versions():
    return {
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
    }


def results_table(results):
    """Errors beside the paper's, in parentheses; all of it fits into a terminal of 80 columns."""
    settings = results.content["settings"]
    table = Table(
        title=f"Errors in %, and the paper's on MNIST\n{settings['name']} schedule: "
        f"{settings['iterations']:,} steps of {settings['batch']}, data: {settings['data']}"
    )
    table.add_column("network")
    for distortion in DISTORTIONS:
        table.add_column(distortion, justify="right")
    for model, published in PAPER.items():
        cells = [results.find(model, distortion) for distortion in DISTORTIONS]
        if not any(cells):
            continue
        errors = [
            f"{cell['error']:.2f} ({paper})" if cell else f"- ({paper})"
            for cell, paper in zip(cells, published, strict=True)
        ]
        table.add_row(model, *errors)
    counts = [round(cell["parameters"] / 1000) for cell in results.content["cells"]]
    if counts:
        range_ = " to ".join(f"{number}k" for number in sorted({min(counts), max(counts)}))
        table.caption = f"Each network has {range_} parameters."
    return table


def run_cell(model_name, distortion, schedule, digits, seed, advance):
    """Trains and measures one network; gives the cell for the table, and the model."""
    start = time.perf_counter()
    # The networks of one distortion see the same images, whichever of them are run.
    keras.utils.set_random_seed(seed)
    random = np.random.default_rng([seed, list(DISTORTIONS).index(distortion)])
    test = distort(digits.test[0], distortion, random)
    model = make_model(model_name, size_of(distortion), schedule.parameters, schedule.step_size)
    train(model, schedule, digits.train, distortion, random, advance)
    cell = {
        "model": model_name,
        "distortion": distortion,
        "error": error_of(model, test, digits.test[1]),
        "paper": PAPER[model_name][list(DISTORTIONS).index(distortion)],
        "parameters": model.count_params(),
        "seconds": round(time.perf_counter() - start, 1),
    }
    return cell, model, test


def run(schedule, digits, results, seed):
    """Runs what is not there yet."""
    todo = [
        (model, distortion)
        for distortion in schedule.distortions
        for model in schedule.models
        if results.find(model, distortion) is None
    ]
    found = len(schedule.models) * len(schedule.distortions) - len(todo)
    if found:
        console.print(f"{results.path} has {found} results already; {len(todo)} to go.")
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        for number, (model_name, distortion) in enumerate(todo, start=1):
            label = f"{number}/{len(todo)} {model_name} on {distortion}"
            task = progress.add_task(label, total=schedule.iterations)
            cell, model, test = run_cell(
                model_name,
                distortion,
                schedule,
                digits,
                seed,
                lambda steps, task=task: progress.advance(task, steps),
            )
            if FAMILIES[model_name]:
                picture = sample_path(results.path.parent, model_name, distortion)
                draw_samples(picture, model.layers[1], test)
            results.add(**cell)
            progress.remove_task(task)
            progress.print(f"{label}: {cell['error']:.2f} % after {cell['seconds']:.0f} s")
            keras.backend.clear_session()


def main(arguments=None):
    """Runs, prints the table, and says where the figure is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--quick", action="store_true", help="two minutes, part of the table")
    which.add_argument("--paper", action="store_true", help="150k iterations with batches of 256")
    parser.add_argument(
        "--data",
        default=DRAWN,
        help=f"a file like Keras' mnist.npz, {KERAS!r} or {DRAWN!r} (default)",
    )
    parser.add_argument("--out", type=Path, help="folder; default: distorted-mnist-<schedule>")
    parser.add_argument("--models", nargs="+", choices=list(FAMILIES), metavar="NAME")
    parser.add_argument("--distortions", nargs="+", choices=list(DISTORTIONS), metavar="NAME")
    parser.add_argument("--iterations", type=count, help="instead of the schedule's")
    parser.add_argument("--train", type=count, help="how many digits to train on")
    parser.add_argument("--test", type=count, help="how many digits to measure on")
    parser.add_argument("--seed", type=seed, default=0)
    options = parser.parse_args(arguments)
    chosen = SCHEDULES["quick" if options.quick else "paper" if options.paper else "reduced"]
    names = ("models", "distortions", "iterations", "train", "test")
    given = {name: value for name in names if (value := getattr(options, name)) is not None}
    for name in given.keys() & {"models", "distortions"}:
        given[name] = tuple(dict.fromkeys(given[name]))
    schedule = replace(chosen, **given)

    settings = {**asdict(schedule), "data": options.data, "seed": options.seed}
    del settings["models"], settings["distortions"]
    out = options.out or Path(f"distorted-mnist-{schedule.name}")
    make_folder(out)
    results = Results(out / "results.json", settings)
    digits = read_digits(options.data, schedule.train, schedule.test)
    run(schedule, digits, results, options.seed)
    Console().print(results_table(results))
    if schedule.iterations < SCHEDULES["paper"].iterations:
        console.print(
            "This schedule is far shorter than the paper's: compare the rows with each other."
        )
    figure = draw_figure(out, results.content)
    console.print(f"Results: {results.path}\nFigure: {figure}")
    return results.content


if __name__ == "__main__":
    # It warns of each new network that is trained after another.
    tf.get_logger().setLevel("ERROR")
    try:
        main()
    except OSError as error:
        raise SystemExit(f"Stopped: {error}. The same command goes on where it was.") from None
    except KeyboardInterrupt:
        raise SystemExit("Stopped. The same command goes on with the next network.") from None
