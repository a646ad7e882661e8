"""Every program in `examples/` runs."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from examples import explain_photo, train_demo_model, transfer_learning

ROOT = Path(__file__).parents[2]
ASSETS = ROOT / "gradcam" / "command" / "assets"


def test_a_photograph_is_explained(tmp_path, capsys):
    explanation = explain_photo.main(["--out", str(tmp_path), "--method", "layercam"])
    said = capsys.readouterr().out
    assert "board-01-two.png: two, score " in said
    assert explanation.heatmaps.shape == (1, 64, 64)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".npy", ".png", ".png"]


@pytest.mark.slow
def test_a_nested_backbone_is_explained(tmp_path, capsys):
    given = ["--images", "20", "--epochs", "1", "--size", "64", "--out", str(tmp_path)]
    transfer_learning.main(given)
    said = capsys.readouterr().out
    assert "mobilenetv2_0.35_64/out_relu: " in said
    assert "mobilenetv2_0.35_64/block_13_expand_relu: " in said
    assert len(list(tmp_path.rglob("*.png"))) == 8


@pytest.mark.slow
def test_the_demo_s_model_is_trained_in_the_same_way_twice(tmp_path):
    # In a process of its own: TensorFlow stays deterministic, and slower, once it has been told to be.
    run = "train_demo_model.main(['--images', '40', '--epochs', '1', '--out', {!r}])"
    folders = [tmp_path / "one", tmp_path / "other"]
    script = "; ".join(
        ["from examples import train_demo_model", *(run.format(str(f)) for f in folders)]
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "Boards it has never seen: " in done.stdout
    first, second = (load(folder / "digits.keras").get_weights() for folder in folders)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(list((tmp_path / "one" / "images").iterdir())) == 12


def load(path):
    import keras  # noqa: PLC0415

    return keras.saving.load_model(path)


@pytest.fixture(scope="module")
def shipped():
    """The demo's model."""
    return load(ASSETS / "digits.keras")


def test_the_shipped_model_finds_and_reads_digits_on_boards_that_it_has_never_seen(shipped):
    boards, labels, boxes = train_demo_model.draw_boards(500, train_demo_model.HELD_OUT_SEED)
    found = train_demo_model.measure(shipped, boards, labels, boxes)
    assert found["accuracy"] >= 0.97
    assert found["scale"] < 0.7
    assert found["away"] < 0.5 * found["away_unmoved"]
    assert found["inside"] > 0.9


def test_a_frame_is_measured_by_the_digit_s_box():
    class Framed:
        """Reads a one everywhere, half a board wide, its middle a quarter of the board to the right."""

        def predict(self, boards, **_):
            return np.eye(10)[np.ones(len(boards), int)]

        def get_layer(self, _):
            return self

        def theta(self, boards):
            return np.array([[0.5, 0.5, 0.0]] * len(boards))

    boards = np.zeros((2, 192, 192), np.uint8)
    boxes = np.array([[0.25, -0.25, 0.75, 0.25], [-0.25, -0.25, 0.25, 0.25]])
    found = train_demo_model.measure(Framed(), boards, np.array([1, 2]), boxes)
    assert found == pytest.approx(
        {"accuracy": 0.5, "away": 8, "away_unmoved": 8, "scale": 0.5, "inside": 0.75}
    )


def test_the_boxes_surround_the_digits():
    random = np.random.default_rng(3)
    board, (left, top, right, bottom) = train_demo_model.draw_board(8, random)
    digit = train_demo_model.draw_chalk(8, np.random.default_rng(3))
    assert board.shape == digit.shape == (192, 192)
    assert digit[top:bottom, left:right].sum() == digit.sum() > 0
    for edge in (digit[top], digit[bottom - 1], digit[:, left], digit[:, right - 1]):
        assert edge.any()


def test_the_shipped_model_names_nothing_that_the_oldest_keras_does_not_know():
    with zipfile.ZipFile(ASSETS / "digits.keras") as archive:
        assert json.loads(archive.read("metadata.json"))["keras_version"] == "3.5.0"
        config = archive.read("config.json").decode()
    for newer in ("quantization_config", "input_axes", '"optional"', '"ragged"'):
        assert newer not in config
    assert '"output_layers": ["digit", 0, 0]' in config


def test_the_assets_are_small_and_what_the_script_draws(tmp_path):
    files = [path for path in ASSETS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 700_000
    assert max(path.stat().st_size for path in files) < 300_000
    shipped = sorted((ASSETS / "images").iterdir())
    assert len(shipped) == 12
    names = (ASSETS / "labels.txt").read_text(encoding="utf-8").split()
    assert tuple(names) == train_demo_model.NAMES
    _, labels, _ = train_demo_model.draw_boards(12, train_demo_model.SHOWN_SEED)
    assert [path.stem.split("-")[2] for path in shipped] == [names[label] for label in labels]


def test_the_shipped_pictures_are_read_correctly(shipped):
    import gradcam  # noqa: PLC0415

    paths = sorted((ASSETS / "images").iterdir())
    pixels = gradcam.read_images(paths, 64).mean(axis=-1, keepdims=True)
    answers = shipped.predict(pixels, verbose=0).argmax(axis=-1)
    names = [train_demo_model.NAMES[answer] for answer in answers]
    assert names == [path.stem.split("-")[2] for path in paths]
