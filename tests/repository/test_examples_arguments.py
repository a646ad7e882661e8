"""The examples end with a sentence where a file, a folder or a number is wrong, and their table fits."""

import io
import json
import re

import numpy as np
import pytest
from rich.console import Console

from examples import (
    cluttered_mnist,
    digit_addition,
    distorted_figure,
    distorted_mnist,
    feature_map_transformer,
    mnist_data,
    seeing,
)

ONE = ["--models", "FCN", "FCN", "--distortions", "R", "R"]
TINY = ["--iterations", "2", "--train", "64", "--test", "16", *ONE]
SETTINGS = {"name": "reduced", "iterations": 2000, "batch": 64, "data": "drawn"}


def cell(**changes):
    known = {"model": "FCN", "distortion": "R", "error": 35.51, "paper": 2.1, "parameters": 99_600}
    return {**known, **changes}


class Kept:
    """Results that are there already."""

    def __init__(self, cells):
        self.content = {"settings": SETTINGS, "cells": cells}

    find = distorted_mnist.Results.find


def test_the_table_fits_into_80_columns():
    cells = [
        cell(model=model, distortion=distortion, parameters=99_600 + 1000 * number)
        for model in distorted_mnist.PAPER
        for number, distortion in enumerate(distorted_mnist.DISTORTIONS)
    ]
    stream = io.StringIO()
    Console(file=stream, width=80).print(distorted_mnist.results_table(Kept(cells)))
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    rows = [line for line in lines if "35.51" in line]
    # Nothing is broken into two lines: every row has its errors and those of the paper.
    assert len(rows) == len(distorted_mnist.PAPER)
    for row, (model, published) in zip(rows, distorted_mnist.PAPER.items(), strict=True):
        errors = " │ ".join(rf"35\.51 \({paper}\)" for paper in published)
        assert re.fullmatch(rf" *│ {model} +│ {errors} │ *", row), row
    assert "2,000 steps of 64" in stream.getvalue()
    assert "100k to 103k parameters" in stream.getvalue()
    only = distorted_mnist.results_table(Kept([cell()]))
    assert only.caption == "Each network has 100k parameters."


@pytest.mark.parametrize(
    "content",
    [
        "",
        '{"settings": null, "cells": []}',
        '{"settings": [], "cells": []}',
        '{"settings": {}, "cells": {}}',
        '{"settings": {}, "cells": [5]}',
        '{"settings": {}, "cells": [{"model": "FCN", "distortion": "R"}]}',
        None,
    ],
)
def test_results_that_cannot_be_gone_on_with_are_left_alone(tmp_path, content):
    path = tmp_path / "results.json"
    path.mkdir() if content is None else path.write_text(content)
    with pytest.raises(mnist_data.DataError, match=r"is no file of results\. Choose another --out"):
        distorted_mnist.main([*TINY, "--out", str(tmp_path)])
    assert content is None or path.read_text() == content


@pytest.mark.parametrize(
    "example", [distorted_mnist, digit_addition, feature_map_transformer, seeing]
)
def test_a_folder_that_cannot_be_made_or_written_to_is_found_first(tmp_path, monkeypatch, example):
    (tmp_path / "file").write_text("taken")
    for name in ("file", "file/inside"):
        with pytest.raises(SystemExit, match=f"{name} can't be written to: .*--out"):
            example.main(["--out", str(tmp_path / name)])
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(SystemExit, match="can't be written to: Permission denied"):
        example.main(["--out", str(tmp_path)])


def test_a_name_given_twice_is_run_once(tmp_path):
    content = distorted_mnist.main([*TINY, "--out", str(tmp_path)])
    assert [(one["model"], one["distortion"]) for one in content["cells"]] == [("FCN", "R")]


def test_a_damaged_picture_is_left_out_of_the_figure(tmp_path):
    path = distorted_figure.sample_path(tmp_path, "ST-CNN affine", "R")
    path.parent.mkdir()
    path.write_bytes(b"no picture")
    content = Kept([cell(model="ST-CNN affine")]).content
    assert distorted_figure.draw_figure(tmp_path, content).exists()


@pytest.mark.parametrize(
    ("read", "letter"), [(mnist_data.read_digits, "x"), (cluttered_mnist.read_parts, "X")]
)
def test_files_that_are_damaged_or_hold_one_array(tmp_path, read, letter):
    images = np.random.default_rng(0).integers(0, 256, (40, 28, 28), dtype=np.uint8)
    names = [f"{kind}_{part}" for part in ("train", "valid", "test") for kind in (letter, "y")]
    damaged = tmp_path / "damaged.npz"
    np.savez_compressed(damaged, **dict.fromkeys(names, images))
    content = bytearray(damaged.read_bytes())
    content[1000:1040] = b"\xff" * 40
    damaged.write_bytes(content)
    np.save(tmp_path / "one.npy", images)
    for path in (damaged, tmp_path / "one.npy"):
        with pytest.raises(mnist_data.DataError, match=r"can't be read as an \.npz file"):
            read(path)


@pytest.mark.parametrize(
    ("example", "arguments", "words"),
    [
        (distorted_mnist, ["--seed", "-1"], "from 0 to 4294967295, and a whole number"),
        (distorted_mnist, ["--seed", str(2**32)], "from 0 to 4294967295"),
        (distorted_mnist, ["--iterations", "1.5"], "invalid count value: '1.5'"),
        (digit_addition, ["--seed", "-1"], "from 0 to 4294967295"),
        (digit_addition, ["--images", "0"], "must be at least 1. Received: 0"),
        (digit_addition, ["--epochs", "-2"], "must be at least 1. Received: -2"),
        (feature_map_transformer, ["--epochs", "0"], "must be at least 1"),
        (feature_map_transformer, ["--images", "0"], "must be at least 1"),
        (seeing, ["--epochs", "0"], "must be at least 1"),
    ],
)
def test_numbers_out_of_range(example, arguments, words, capsys):
    with pytest.raises(SystemExit):
        example.main(arguments)
    assert words in capsys.readouterr().err


def test_results_are_read_back_as_they_were_written(tmp_path):
    results = distorted_mnist.Results(tmp_path / "results.json", SETTINGS)
    results.add(**cell(seconds=1.5))
    again = distorted_mnist.Results(tmp_path / "results.json", SETTINGS)
    assert again.find("FCN", "R") == cell(seconds=1.5)
    assert json.loads((tmp_path / "results.json").read_text())["settings"] == SETTINGS
