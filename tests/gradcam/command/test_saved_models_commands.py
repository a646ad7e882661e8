"""The doctor and the command take a SavedModel directory like any other model."""

import json

import numpy as np
import pytest
import tensorflow as tf

import gradcam
from gradcam.command import main as cli
from gradcam.pictures import encode
from tests.support import saved_model_makers as makers
from tests.support.gradcam_models import cnn

KINDS = {"keras": ("conv2", 16), "module": ("second", 8), "graph": ("conv2", 8)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A directory of each kind, and a picture."""
    folder = tmp_path_factory.mktemp("models")
    cnn(activation="softmax").export(str(folder / "keras"))
    makers.save_module(folder / "module", lambda net, x: {"p": tf.nn.softmax(net.scores(x))})
    makers.save_graph(folder / "graph", makers.graph_net)
    pixels = np.random.default_rng(0).integers(0, 255, (16, 16, 3)).astype("uint8")
    (folder / "a.png").write_bytes(encode(pixels))
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_a_diagnosis_walks_through_the_graph(folder, kind):
    layer, size = KINDS[kind]
    x = np.random.default_rng(0).normal(size=(2, size, size, 3)).astype("float32")
    diagnosis = gradcam.diagnose(gradcam.load_model(folder / kind), x)
    assert diagnosis.errors == ()
    assert layer in [row.path for row in diagnosis.gradients]
    assert all(row.norm > 0 for row in diagnosis.gradients)


@pytest.mark.parametrize("kind", KINDS)
def test_the_commands_take_a_directory(folder, kind, tmp_path, capsys):
    model = ["--model", str(folder / kind)]
    assert cli.main(["layers", *model, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["path"] for row in rows if row["chosen"]] == [KINDS[kind][0]]
    picture = str(folder / "a.png")
    arguments = [*model, "--image", picture, "--preprocess", "unit", "--json"]
    status = cli.main(["doctor", *arguments])
    report = json.loads(capsys.readouterr().out)
    assert status == report["exit_status"] < 4
    assert report["gradients"]
    out = ["--out", str(tmp_path), "--preprocess", "unit"]
    assert cli.main(["explain", picture, *model, *out]) == 0
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["images"][0]["status"] == "done"
    assert manifest["settings"]["layer"] == KINDS[kind][0]
