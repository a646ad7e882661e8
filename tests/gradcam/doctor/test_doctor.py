"""The doctor as a whole: healthy models, its report, its command, and what it leaves alone."""

import json
import re
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import gradcam
from gradcam.command import main as cli
from gradcam.doctor import Diagnosis, Finding
from tests.support import doctor_models as models
from tests.support.gradcam_models import state

NONE = Path(__file__).parents[3] / "docs" / "none.md"


def images_for(name):
    if name == "recurrent":
        return models.images()[..., 0]
    return models.images(high=255 if name == "sequential" else 1)


@pytest.mark.parametrize("name", models.HEALTHY)
def test_healthy_models_are_healthy(name):
    model = models.HEALTHY[name]()
    diagnosis = gradcam.diagnose(model, images_for(name))
    assert diagnosis.exit_status == 0, str(diagnosis)
    assert {one.code for one in diagnosis.findings} <= {"explain-nested", "no-feature-map"}
    assert all(one.norm is not None for one in diagnosis.gradients)


@pytest.mark.parametrize(
    ("name", "size", "low", "high"),
    [
        pytest.param("MobileNetV2", 64, -1, 1, marks=pytest.mark.slow),
        pytest.param("ResNet50", 64, -120, 130, marks=pytest.mark.slow),
    ],
)
def test_networks_of_keras_applications_have_no_error(name, size, low, high):
    network = getattr(keras.applications, name)
    model = network(weights=None, input_shape=(size, size, 3), classes=5)
    x = models.images(2, size, low=low, high=high)
    diagnosis = gradcam.diagnose(model, x, loss="sparse_categorical_crossentropy")
    assert not diagnosis.errors
    assert diagnosis.exit_status == 0, str(diagnosis)
    assert {one.code for one in diagnosis.notes} <= {"explain-coarse"}


@pytest.mark.parametrize("name", ["subclassed", "nested", "residual"])
def test_the_model_is_left_as_it_was(name):
    model = models.HEALTHY[name]()
    before = state(model)
    gradcam.diagnose(model, models.images(), layer="nowhere")
    assert state(model) == before


def test_a_model_that_is_not_built_stays_so():
    model = models.Subclassed()
    before = state(model)
    diagnosis = gradcam.diagnose(model, models.images())
    assert [one.code for one in diagnosis.warnings] == ["not-built"]
    assert diagnosis.gradients
    assert state(model) == before
    assert model(models.images()).shape == (4, 3)


def test_noise_of_its_own_is_not_judged():
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3),
        ]
    )
    diagnosis = gradcam.diagnose(model, None)
    assert diagnosis.exit_status == 0
    assert "input-made-up" in {found.code for found in diagnosis.findings}


@pytest.mark.parametrize("model", [None, "m.keras", keras.Sequential, object()])
def test_what_is_no_model_is_a_finding(model):
    diagnosis = gradcam.diagnose(model, models.images())
    assert [one.code for one in diagnosis.findings] == ["not-a-model"]
    assert diagnosis.exit_status == 4


def test_the_gradients_are_those_of_the_score():
    model = models.with_middle(None)
    x = models.images()
    table = {one.path: one for one in gradcam.diagnose(model, x, target=1).gradients}
    values = x
    for name in ("first", "second", "pool"):
        values = model.get_layer(name)(values)
    pooled = tf.constant(values)
    with tf.GradientTape() as tape:
        tape.watch(pooled)
        scores = model.get_layer("head")(model.get_layer("hidden")(pooled))
        score = tf.reduce_sum(scores[:, 1])
    expected = tape.gradient(score, pooled).numpy()
    np.testing.assert_allclose(table["pool"].norm, np.linalg.norm(expected), rtol=1e-5)
    np.testing.assert_allclose(table["pool"].zeros, np.mean(expected == 0), atol=1e-6)
    assert list(table) == ["first", "second", "pool", "hidden", "head"]


@pytest.mark.parametrize(
    ("function", "asked"),
    [
        (models.numpy_function, {"layer": "second"}),
        (lambda x: x.numpy(), {}),
        (lambda x: None, {}),
        (lambda x: tf.reshape(x, (4, 3)), {}),
        (lambda x: x / 0.0, {}),
        (None, {"layer": "secnd"}),
        (None, {"layer": "pool"}),
        (None, {"target": 7}),
    ],
)
def test_an_error_of_explain_ends_as_the_finding_does(function, asked):
    model = models.with_middle(models.Does(lambda x: x, name="middle"))
    model.get_layer("middle").function = function or (lambda x: x)
    with pytest.raises(gradcam.GradCamError) as caught:
        gradcam.explain(model, models.images(), **asked)
    diagnosis = gradcam.diagnose(model, models.images(), **asked)
    found = [one for one in diagnosis.findings if one.code == caught.value.code]
    assert found, str(diagnosis)
    assert str(caught.value).endswith(found[0].fix)


def test_the_report_is_readable():
    model = models.with_middle(models.Does(lambda x: x / 0.0, name="divides"))
    report = str(gradcam.diagnose(model, models.images()))
    assert max(map(len, report.splitlines())) <= 80
    assert "ERROR non-finite-activations at divides" in report
    assert re.search(r"What to do first\n  divides: Check the weights", report)
    assert "first" in report.split("Gradient of the top class")[1]


def test_the_most_serious_come_first_and_json_has_everything():
    diagnosis = gradcam.diagnose(models.nested(), models.images()[0], layer="nowhere")
    assert [one.severity for one in diagnosis.findings][:2] == ["error", "warning"]
    known = json.loads(diagnosis.to_json())
    assert known["schema"] == 1
    assert known["exit_status"] == 4
    assert known["findings"][0] == {
        "code": "layer-not-found",
        "severity": "error",
        "where": "nowhere",
        "message": diagnosis.findings[0].message,
        "fix": diagnosis.findings[0].fix,
    }
    assert known["gradients"][0].keys() == {"path", "norm", "zeros"}


def test_json_has_no_nan():
    model = models.with_middle(models.Does(lambda x: x / 0.0, name="divides"))
    json.loads(gradcam.diagnose(model, models.images()).to_json(), parse_constant=pytest.fail)


@pytest.mark.parametrize(
    ("severities", "status"), [((), 0), (("note",), 0), (("note", "warning"), 1), (("error",), 4)]
)
def test_exit_status(severities, status):
    found = tuple(Finding("code", severity, "", "", "") for severity in severities)
    assert Diagnosis(found).exit_status == status


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    models.functional().save(folder / "healthy.keras")
    bias = keras.initializers.Constant(-1e3)
    dead = layers.Conv2D(8, 1, activation="relu", bias_initializer=bias, name="dead")
    models.with_middle(dead).save(folder / "dead.keras")
    head = models.functional()
    head.get_layer("head").trainable = False
    head.save(folder / "frozen.keras")
    return folder


@pytest.mark.parametrize(
    ("name", "options", "status"),
    [
        ("healthy.keras", [], 0),
        ("frozen.keras", ["--class", "1"], 1),
        ("dead.keras", ["--loss", "mse"], 4),
        ("healthy.keras", ["--layer", "nowhere"], 4),
        ("missing.keras", [], 2),
    ],
)
def test_the_command(saved, capsys, name, options, status):
    assert cli.main(["doctor", "--model", str(saved / name), *options]) == status
    out = capsys.readouterr().out
    assert ("What to do first" in out) == (status != 2)


def test_the_command_with_an_image_and_json(saved, capsys, tmp_path):
    cv2.imwrite(str(tmp_path / "x.png"), (models.images(1)[0] * 255).astype("uint8"))
    arguments = ["--image", str(tmp_path / "x.png"), "--preprocess", "unit", "--json"]
    assert cli.main(["doctor", "--model", str(saved / "healthy.keras"), *arguments]) == 0
    assert json.loads(capsys.readouterr().out)["exit_status"] == 0


@pytest.mark.filterwarnings("ignore:.*`build\\(\\)` was called on layer")
def test_the_page_about_none_is_true():
    names = {}
    for block in re.findall(r"```python\n(.*?)```", NONE.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(block, "none.md", "exec"), names)


def test_the_page_about_none_names_codes_that_exist():
    text = NONE.read_text(encoding="utf-8")
    codes = re.findall(
        r"`((?:blocked|disconnected|returns|weights|gradient|explain|transformer|forward)-[\w-]+)`",
        text,
    )
    assert codes
    assert set(codes) <= set(gradcam.messages.catalogue.WORDS)
