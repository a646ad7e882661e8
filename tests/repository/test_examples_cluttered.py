"""The script that measures a transformer against a plain network on cluttered digits."""

import json

import numpy as np
import pytest

import keras_stn
from examples import cluttered_mnist
from examples.mnist_data import DataError

RANDOM = np.random.default_rng(0)


def write_file(path, count=64, **changes):
    arrays = {}
    for part in cluttered_mnist.PARTS:
        arrays[f"X_{part}"] = RANDOM.random((count, 1600)).astype("float32")
        arrays[f"y_{part}"] = RANDOM.integers(0, 10, (count, 1)).astype("int32")
    arrays.update(changes)
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def test_the_network_has_the_layers_defaults_and_at_most_120k_parameters():
    model = cluttered_mnist.transformer_network((40, 40, 1))
    assert model.count_params() <= 120_000
    layer = model.layers[1]
    default = keras_stn.SpatialTransformer("attention", output_size=layer.output_size).get_config()
    assert {**layer.get_config(), "name": ""} == {**default, "name": ""}
    plain = cluttered_mnist.plain_network((40, 40, 1))
    assert 250_000 < plain.count_params() < 270_000


@pytest.mark.slow
def test_the_script_prints_a_table_and_writes_its_numbers(tmp_path, capsys):
    path = write_file(tmp_path / "digits.npz")
    arguments = ["--data", str(path), "--seeds", "2", "--epochs", "1"]
    rows = cluttered_mnist.main([*arguments, "--out", str(tmp_path / "out.json")])
    assert json.loads((tmp_path / "out.json").read_text()) == rows
    assert [row["seed"] for row in rows["transformer"]] == [0, 1]
    for row in rows["transformer"]:
        assert row["epoch"] == 1
        assert 0 <= row["test"] <= 100
        assert row["test"] * 64 / 100 == pytest.approx(round(row["test"] * 64 / 100), abs=0.01)
        assert row["seconds"] > 0
    table = capsys.readouterr().out
    mean = np.mean([row["test"] for row in rows["transformer"]])
    assert f"{mean:.2f}" in table
    assert "mean" in table


class Recorder:
    """A model whose validation results are given; its weights are the number of its epochs."""

    def __init__(self, results):
        self.results, self.epoch, self.seen = results, 0, []

    def compile(self, *arguments, **options):
        pass

    def fit(self, images, labels, **options):
        self.epoch += 1
        self.seen.append(images)

    def evaluate(self, images, labels, **options):
        return self.results[self.epoch - 1]

    def get_weights(self):
        return self.epoch

    def set_weights(self, weights):
        self.epoch = weights


def test_the_best_epoch_on_the_validation_part_is_kept():
    images, labels = RANDOM.random((64, 40, 40, 1)).astype("float32"), np.zeros(64, int)
    parts = {"train": (images, labels), "valid": (images, labels)}
    model = Recorder([(0.5, 0.8), (0.3, 0.9), (0.2, 0.9), (0.1, 0.7)])
    assert cluttered_mnist.train(model, parts, 4, np.random.default_rng(0)) == 3
    assert model.epoch == 3
    # Each epoch shows images moved anew.
    assert all(shown.shape == images.shape for shown in model.seen)
    assert np.abs(model.seen[0] - model.seen[1]).max() > 0.1


def test_jitter_moves_as_far_as_it_says():
    images = RANDOM.random((5, 40, 40, 1)).astype("float32")
    still = cluttered_mnist.jitter(images, np.random.default_rng(0), 0, 0, 0, 0)
    np.testing.assert_allclose(still, images, atol=1e-5)
    dot = np.zeros((300, 41, 41, 1), np.float32)
    dot[:, 20, 20] = 1
    moved = cluttered_mnist.jitter(dot, np.random.default_rng(0), 0, 0, shift=0.1, bend=0)
    places = np.arange(41) - 20
    x = (moved[..., 0] * places).sum((1, 2)) / moved.sum((1, 2, 3))
    # A tenth of half the width: 2 of 20 pixels.
    assert 1.7 < np.abs(x).max() < 2.01


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"X_valid": None}, "has no array X_valid. It has: X_train"),
        ({"X_train": np.zeros((64, 1601), "float32")}, r"X_train in .* has shape \(64, 1601\)"),
        ({"X_train": np.zeros((0, 1600), "float32")}, r"X_train in .* has shape \(0, 1600\)"),
        ({"X_test": np.full((64, 1600), 255.0)}, r"X_test in .* must hold fractions in \[0, 1\]"),
        ({"y_test": np.zeros(3, int)}, "y_test in .* must hold 64 whole numbers"),
        ({"y_train": np.full(64, 10)}, "y_train in .* must lie between 0 and 9"),
    ],
)
def test_wrong_arrays(tmp_path, changes, words):
    path = write_file(tmp_path / "digits.npz", **changes)
    with pytest.raises(DataError, match=words):
        cluttered_mnist.read_parts(path)


@pytest.mark.parametrize(
    ("content", "words"), [(None, "There is no file"), (b"x", "can't be read")]
)
def test_files_that_are_none(tmp_path, content, words):
    path = tmp_path / "digits.npz"
    if content:
        path.write_bytes(content)
    with pytest.raises(SystemExit, match=words):
        cluttered_mnist.main(["--data", str(path)])


def test_wrong_arguments(tmp_path, capsys):
    with pytest.raises(SystemExit):
        cluttered_mnist.main(["--data", "x.npz", "--seeds", "0"])
    assert "must be at least 1" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cluttered_mnist.main(["--data", "x.npz", "--out", str(tmp_path / "no" / "out.json")])
    assert "there is no folder" in capsys.readouterr().err


def test_images_too_small_for_the_plain_network(tmp_path, capsys):
    small = {f"X_{part}": np.zeros((64, 23, 23), "float32") for part in cluttered_mnist.PARTS}
    path = write_file(tmp_path / "digits.npz", **small)
    with pytest.raises(SystemExit):
        cluttered_mnist.main(["--data", str(path), "--plain"])
    assert "--plain needs images of 24 pixels or more; they have 23" in capsys.readouterr().err
    size = cluttered_mnist.PLAIN_SIZE
    assert cluttered_mnist.plain_network((size, size, 1)).output_shape == (None, 10)
    with pytest.raises(ValueError, match="zero or negative"):
        cluttered_mnist.plain_network((size - 1, size - 1, 1))
