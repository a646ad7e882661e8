"""Every program in `examples/` runs."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from examples import explain_photo, train_demo_model, transfer_learning

ROOT = Path(__file__).parent.parent
ASSETS = ROOT / "gradcam" / "assets"


def test_a_photograph_is_explained(tmp_path, capsys):
    explanation = explain_photo.main(["--out", str(tmp_path), "--method", "layercam"])
    said = capsys.readouterr().out
    assert "board-04-two.png: two, score " in said
    assert explanation.heatmaps.shape == (1, 64, 64)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".npy", ".png", ".png"]


def test_a_nested_backbone_is_explained(tmp_path, capsys):
    given = ["--images", "20", "--epochs", "1", "--size", "64", "--out", str(tmp_path)]
    transfer_learning.main(given)
    said = capsys.readouterr().out
    assert "mobilenetv2_0.35_64/out_relu: " in said
    assert "mobilenetv2_0.35_64/block_13_expand_relu: " in said
    assert len(list(tmp_path.rglob("*.png"))) == 8


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
    assert "Accuracy on boards it has never seen" in done.stdout
    first, second = (load(folder / "digits.keras").get_weights() for folder in folders)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(list((tmp_path / "one" / "images").iterdir())) == 12


def load(path):
    import keras  # noqa: PLC0415

    return keras.saving.load_model(path)


def test_the_shipped_model_reads_boards_that_it_has_never_seen():
    boards, labels = train_demo_model.draw_boards(600, train_demo_model.HELD_OUT_SEED)
    model = load(ASSETS / "digits.keras")
    answers = model.predict(train_demo_model.as_seen(boards), verbose=0)
    assert (answers.argmax(axis=-1) == labels).mean() >= 0.97


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
    _, labels = train_demo_model.draw_boards(12, train_demo_model.SHOWN_SEED)
    assert [path.stem.split("-")[2] for path in shipped] == [names[label] for label in labels]


@pytest.mark.parametrize("path", sorted((ASSETS / "images").iterdir()), ids=lambda p: p.stem)
def test_the_shipped_pictures_are_read_correctly(path):
    import gradcam  # noqa: PLC0415

    pixels = gradcam.read_images(path, 64).mean(axis=-1, keepdims=True)
    answer = load(ASSETS / "digits.keras").predict(pixels, verbose=0).argmax()
    assert train_demo_model.NAMES[answer] == path.stem.split("-")[2]
