"""What `gradcam explain` writes: files, manifest, streams, statuses."""

import json
import os
import re
import shutil
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from keras import layers

import gradcam as package
import keras_stn
from gradcam import pictures
from gradcam.command.run import plan, results
from tests.support.cli_models import (
    NAMES,
    command,
    encoded,
    everything,
    gradcam,
    manifest,
    network,
    picture,
)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """Models and photographs that the tests only read."""
    folder = tmp_path_factory.mktemp("shelf")
    network().save(folder / "m.keras")
    network(scaled=False).save(folder / "plain.keras")
    network(channels=1).save(folder / "grey.keras")
    network(classes=1, activation="sigmoid").save(folder / "yesno.keras")
    network(size=None).save(folder / "any.keras")
    (folder / "names.txt").write_text("\n".join(NAMES))
    for number, name in enumerate(["in/cat.jpg", "in/sub/cat.jpg", "in/zebra.png"]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encoded(picture(seed=number), Path(name).suffix))
    return folder


@pytest.fixture(autouse=True)
def _inside(shelf, monkeypatch):
    monkeypatch.chdir(shelf)


def explain(out, *arguments, photos=("in",), model="m.keras", report=False):
    extra = () if report else ("--no-report",)
    return gradcam("explain", *photos, "--model", model, "--out", out, *extra, *arguments)


def test_every_image_gets_its_files_and_its_place_in_the_manifest(tmp_path):
    out = tmp_path / "deep" / "out"
    done = explain(out, "--save", "overlay,heatmap,map", "--class-names", "names.txt", "--json")
    assert done.status == 0, done.err
    found = manifest(out)
    assert list(found)[:5] == ["schema", "model", "sha256", "versions", "settings"]
    assert found["schema"] == 1
    assert found["model"] == "m.keras"
    assert set(found["versions"]) == {"keras-stn", "tensorflow", "keras"}
    settings = found["settings"]
    assert settings["layer"] == "conv2"
    assert settings["methods"] == ["gradcam"]
    assert settings["preprocess"] == "raw"
    assert settings["score"] == "logit"
    assert found["complete"] is True
    assert [image["path"] for image in found["images"]] == [
        "in/cat.jpg",
        "in/zebra.png",
        "in/sub/cat.jpg",
    ]
    for image in found["images"]:
        assert image["status"] == "done"
        assert image["size"] == [24, 32]
        (entry,) = image["maps"]
        assert entry["target"] == image["top"][0][0]
        stem = Path(image["path"]).stem
        pattern = rf"{stem}-[0-9a-f]{{8}}\.gradcam\.conv2\.(cat|dog|rat)\."
        endings = {"overlay": "overlay.jpg", "heatmap": "heatmap.png", "map": "map.npy"}
        assert set(entry["files"]) == set(endings)
        for kind, ending in endings.items():
            assert re.fullmatch(pattern + ending, entry["files"][kind])
    listed = {name for i in found["images"] for m in i["maps"] for name in m["files"].values()}
    assert set(everything(out)) == {*listed, "manifest.json"}
    assert len(listed) == 9
    # On stdout a line an image, the same as in the manifest.
    assert [json.loads(line) for line in done.out.splitlines()] == found["images"]


def test_the_results_are_those_of_the_python_api(tmp_path):
    explain(tmp_path, "--save", "map,heatmap", "--class", "1", "--method", "hirescam")
    model = keras.models.load_model("m.keras")
    images = package.read_images(["in/cat.jpg", "in/zebra.png", "in/sub/cat.jpg"], 16)
    expected = package.explain(model, images, target=1, method="hirescam")
    for row, image in enumerate(manifest(tmp_path)["images"]):
        (entry,) = image["maps"]
        np.testing.assert_allclose(
            np.load(tmp_path / entry["files"]["map"]), expected.maps[row], rtol=1e-4, atol=1e-5
        )
        assert entry["score"] == pytest.approx(float(expected.scores[row]), rel=1e-4)
        probabilities = dict(image["top"])
        for index, share in enumerate(expected.outputs[row]):
            assert probabilities[str(index)] == pytest.approx(float(share), rel=1e-4)
        heat = cv2.imread(str(tmp_path / entry["files"]["heatmap"]))
        assert heat.shape == (16, 16, 3)


def test_an_overlay_has_the_proportions_of_the_photograph(tmp_path):
    big = tmp_path / "wide.jpg"
    big.write_bytes(encoded(picture(900, 2400)))
    explain(tmp_path / "out", photos=(big, "in/cat.jpg"), report=True)
    wide, small = manifest(tmp_path / "out")["images"]
    sizes = []
    for image in (wide, small):
        overlay = cv2.imread(str(tmp_path / "out" / image["maps"][0]["files"]["overlay"]))
        photo = cv2.imread(str(tmp_path / "out" / image["photo"]))
        heat = cv2.imread(str(tmp_path / "out" / image["maps"][0]["files"]["report"]))
        sizes.append([picture.shape[:2] for picture in (overlay, photo, heat)])
    assert wide["size"] == [900, 2400]
    assert sizes[0][:2] == [(384, 1024), (180, 480)]
    assert sizes[1][:2] == [(192, 256), (192, 256)]  # enlarged eight times
    for shapes in sizes:
        ratios = [width / height for height, width in shapes]
        assert max(ratios) / min(ratios) < 1.02


def test_the_overlay_is_photo_and_heatmap(tmp_path):
    explain(tmp_path / "photo", "--alpha", "0")
    explain(tmp_path / "heat", "--alpha", "1", "--save", "overlay,heatmap")
    image = manifest(tmp_path / "photo")["images"][1]
    overlay = cv2.imread(str(tmp_path / "photo" / image["maps"][0]["files"]["overlay"]))
    original = cv2.imread(image["path"])
    assert np.abs(cv2.resize(overlay, (32, 24)).astype(int) - original).mean() < 6
    image = manifest(tmp_path / "heat")["images"][1]["maps"][0]["files"]
    overlay = cv2.imread(str(tmp_path / "heat" / image["overlay"]))
    heat = cv2.imread(str(tmp_path / "heat" / image["heatmap"]))
    difference = cv2.resize(overlay, (16, 16), interpolation=cv2.INTER_AREA).astype(int) - heat
    assert np.abs(difference).mean() < 12


def test_several_methods_layers_and_classes(tmp_path):
    done = explain(
        tmp_path,
        *("--method", "gradcam,eigencam", "--layer", "conv1,conv2", "--class", "top2"),
        photos=("in/cat.jpg",),
        report=True,
    )
    assert done.status == 0, done.err
    found = manifest(tmp_path)
    assert found["settings"]["layer"] == ["conv1", "conv2"]
    assert found["settings"]["class"] == "top2"
    maps = found["images"][0]["maps"]
    assert len({tuple(entry["files"].values()) for entry in maps}) == 8
    assert {(entry["method"], entry["layer"]) for entry in maps} == {
        (method, layer) for method in ("gradcam", "eigencam") for layer in ("conv1", "conv2")
    }
    top = [name for name, _ in found["images"][0]["top"]]
    assert [entry["target"] for entry in maps if entry["method"] == "gradcam"] == top[:2] * 2
    aimless = [entry for entry in maps if entry["method"] == "eigencam"]
    assert all("does not look at the target" in entry["warnings"][0] for entry in aimless)
    assert (tmp_path / "report.html").stat().st_size > 1000
    assert set(everything(tmp_path)) == {
        "manifest.json",
        "report.html",
        found["images"][0]["photo"],
        *(name for entry in maps for name in entry["files"].values()),
    }


def rows(text):
    """The cells of a table that no screen shows."""
    return [re.split(r" {2,}", line.strip()) for line in text.splitlines()]


def test_the_table_is_printed_on_stdout_and_all_else_on_stderr(tmp_path):
    done = explain(tmp_path, "--class-names", "names.txt")
    entries = manifest(tmp_path)["images"]
    assert rows(done.out) == [["image", "top classes", "score"]] + [
        [
            entry["path"],
            ", ".join(f"{name} {share:.0%}" for name, share in entry["top"]),
            f"{entry['maps'][0]['score']:.3g}",
        ]
        for entry in entries
    ]
    assert done.err.splitlines()[:3] == [
        "Loading m.keras ...",
        "Preprocessing: raw, the model scales the pixels itself (Rescaling 'scale').",
        "Layer: conv2, the last feature map.",
    ]
    assert done.err.splitlines()[-1] == f"Look at {tmp_path}/manifest.json"


def test_each_row_of_the_table_says_what_it_is_about(tmp_path):
    options = ("--class", "top2", "--layer", "conv1,conv2", "--method", "gradcam,eigencam")
    done = explain(tmp_path, *options, photos=("in/cat.jpg",))
    header, first, second = rows(done.out)
    assert header == ["image", "top classes", "explained", "score", "warnings"]
    assert first[:2] == second[:2]
    image = manifest(tmp_path)["images"][0]
    assert [first[2], second[2]] == [name for name, _ in image["top"][:2]]
    assert first[-1].startswith("[1]")
    assert "[1] 'eigencam' does not look at the target" in done.words
    assert "Layer: conv1, conv2." in done.err


def test_with_json_the_table_leaves_stdout_to_machines(tmp_path):
    done = explain(tmp_path, "--json", photos=("in/cat.jpg",))
    assert [json.loads(line)["path"] for line in done.out.splitlines()] == ["in/cat.jpg"]
    assert "image" in done.err.split()
    assert "top classes" in done.err


@pytest.mark.parametrize("method", ["scorecam", "ablationcam"])
def test_max_channels_is_that_of_the_python_api(tmp_path, method):
    options = ("--method", method, "--max-channels", "1", "--save", "map", "--class", "0")
    done = explain(tmp_path, *options, photos=("in/cat.jpg",))
    assert done.status == 0, done.err
    found = manifest(tmp_path)
    assert found["settings"]["max_channels"] == 1
    model, image = keras.models.load_model("m.keras"), package.read_images("in/cat.jpg", 16)
    expected, every = (
        package.explain(model, image, 0, method=method, max_channels=count).maps[0]
        for count in (1, None)
    )
    saved = np.load(tmp_path / found["images"][0]["maps"][0]["files"]["map"])
    np.testing.assert_allclose(saved, expected, rtol=1e-5, atol=1e-6)
    assert np.abs(expected - every).max() > 5e-5


@pytest.mark.parametrize(
    ("option", "arguments"),
    [("--counterfactual", {"counterfactual": True}), ("--no-relu", {"relu": False})],
)
def test_what_speaks_against_a_class_can_be_shown(tmp_path, option, arguments):
    save = ("--save", "map,heatmap,overlay", "--alpha", "1")
    done = explain(tmp_path, option, *save, "--class", "1", photos=("in/zebra.png",), report=True)
    assert done.status == 0, done.err
    model, image = keras.models.load_model("m.keras"), package.read_images("in/zebra.png", 16)
    expected = package.explain(model, image, 1, **arguments)
    files = manifest(tmp_path)["images"][0]["maps"][0]["files"]
    assert np.abs(expected.maps).max() > 0
    saved = np.load(tmp_path / files["map"])
    np.testing.assert_allclose(saved, expected.maps[0], rtol=1e-4, atol=1e-5)
    coloured = pictures.colour(expected.heatmaps, "turbo", signed="relu" in arguments)[0]
    heatmap = cv2.imread(str(tmp_path / files["heatmap"]))[..., ::-1]
    np.testing.assert_allclose(heatmap, coloured, atol=6)
    for kind in ("overlay", "report"):
        shown = cv2.imread(str(tmp_path / files[kind]))[..., ::-1]
        small = cv2.resize(shown, (16, 16), interpolation=cv2.INTER_AREA)
        assert np.abs(small.astype(int) - coloured).mean() < 15
    assert explain(tmp_path, photos=("in/zebra.png",)).status == 2  # other settings
    page = (tmp_path / "report.html").read_text()
    assert ("<span>against</span><span>for</span>" in page) == ("relu" in arguments)


def test_a_misspelt_layer_is_answered_with_near_ones_before_anything_is_traced(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(plan, "Explainer", None)
    done = explain(tmp_path / "out", "--layer", "conv2,conv3")
    assert done.status == 2
    assert "has no layer 'conv3'. Did you mean 'conv2' or 'conv1'? Expected" in done.words
    assert "gradcam layers --model M lists all of them" in done.words
    assert not (tmp_path / "out").exists()


def test_classes_can_be_named_and_repeated(tmp_path):
    done = explain(
        tmp_path,
        "--class",
        "dog",
        "--class",
        "2",
        "--class-names",
        "names.txt",
        photos=("in/cat.jpg",),
    )
    assert done.status == 0, done.err
    assert [entry["target"] for entry in manifest(tmp_path)["images"][0]["maps"]] == ["dog", "rat"]


def test_labels_next_to_the_model_are_used_and_mentioned(tmp_path):
    shutil.copy("m.keras", tmp_path)
    (tmp_path / "labels.txt").write_text("0 ant\n1 bee\n2 fly\n")
    done = explain(tmp_path / "out", model=tmp_path / "m.keras")
    assert f"Class names: 3, from {tmp_path}/labels.txt." in done.err
    assert {name for name, _ in manifest(tmp_path / "out")["images"][0]["top"]} == {
        "ant",
        "bee",
        "fly",
    }
    (tmp_path / "labels.txt").write_text("ant\nbee\n")
    done = explain(tmp_path / "other", model=tmp_path / "m.keras")
    assert done.status == 0
    assert "has 2 names, but the model has 3 classes: the file is not used" in done.words


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("raw", lambda x: x),
        ("unit", lambda x: x / 255),
        ("signed", lambda x: x / 127.5 - 1),
        ("MobileNetV2", lambda x: x / 127.5 - 1),
        ("vgg16", lambda x: x[..., ::-1] - np.array([103.939, 116.779, 123.68])),
        ("my_own_preprocessing:halved", lambda x: x / 2),
    ],
)
def test_preprocessing_is_what_was_asked_for(tmp_path, monkeypatch, asked, expected):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_own_preprocessing.py").write_text(
        "def halved(images):\n    return images / 2\n"
    )
    explain(
        tmp_path / "out",
        "--save",
        "map",
        "--class",
        "0",
        "--preprocess",
        asked,
        model="plain.keras",
    )
    model = keras.models.load_model("plain.keras")
    images = package.read_images(["in/cat.jpg"], 16)
    found = manifest(tmp_path / "out")
    score = package.explain(model, expected(images).astype("float32"), target=0).scores[0]
    assert found["images"][0]["maps"][0]["score"] == pytest.approx(float(score), rel=1e-4)


def test_preprocessing_is_found_below_nested_models(tmp_path):
    inner = keras.Sequential(
        [keras.Input((16, 16, 3)), layers.Normalization(mean=120.0, variance=3000.0, name="norm")]
    )
    middle = keras.Sequential([keras.Input((16, 16, 3)), inner], name="middle")
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(3, 3)(middle(inputs))
    keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x))).save(tmp_path / "m.keras")
    done = explain(tmp_path / "out", model=tmp_path / "m.keras")
    assert done.status == 0, done.err
    assert (
        "Preprocessing: raw, the model scales the pixels itself (Normalization 'middle/" in done.err
    )
    assert manifest(tmp_path / "out")["settings"]["preprocess"] == "raw"


def test_a_rescaling_inside_the_network_is_no_preprocessing(tmp_path):
    inputs = keras.Input((16, 16, 3))
    x = layers.Rescaling(0.1)(layers.Conv2D(3, 3)(inputs))
    keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x))).save(tmp_path / "m.keras")
    done = explain(tmp_path / "out", model=tmp_path / "m.keras")
    assert done.status == 2
    assert "Say it with --preprocess: raw (0 to 255), unit (0 to 1)" in done.words


def test_scaling_that_was_made_for_other_pixels_is_warned_of(tmp_path):
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(3, 3)(layers.Rescaling(2.0, offset=-1.0)(inputs))
    keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x))).save(tmp_path / "m.keras")
    done = explain(tmp_path / "out", model=tmp_path / "m.keras")
    assert done.status == 0
    assert "as if it expected pixels from 0 to 1" in done.words
    assert "as if it expected" in manifest(tmp_path / "out")["warnings"][0]


def test_grey_models_get_grey_images_and_any_size_is_asked_for(tmp_path):
    done = explain(tmp_path / "grey", "--save", "map", model="grey.keras")
    assert done.status == 0, done.err
    photo = cv2.resize(cv2.imread("in/cat.jpg"), (16, 16), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(photo, cv2.COLOR_BGR2GRAY)[None, ..., None].astype("float32")
    score = package.explain(keras.models.load_model("grey.keras"), grey).scores[0]
    entry = manifest(tmp_path / "grey")["images"][0]["maps"][0]
    assert entry["score"] == pytest.approx(float(score), rel=1e-4)
    done = explain(tmp_path / "any", "--size", "20x40", "--save", "map", model="any.keras")
    assert done.status == 0, done.err
    files = manifest(tmp_path / "any")["images"][0]["maps"][0]["files"]
    assert np.load(tmp_path / "any" / files["map"]).shape == (16, 36)


def test_one_sigmoid_unit_has_two_sides(tmp_path):
    explain(tmp_path / "plain", model="yesno.keras")
    image = manifest(tmp_path / "plain")["images"][0]
    assert {name for name, _ in image["top"]} == {"negative", "positive"}
    assert sum(share for _, share in image["top"]) == pytest.approx(1, abs=1e-5)
    assert image["maps"][0]["target"] == image["top"][0][0]
    (tmp_path / "two.txt").write_text("no\nyes\n")
    explain(tmp_path / "named", "--class-names", tmp_path / "two.txt", model="yesno.keras")
    assert {name for name, _ in manifest(tmp_path / "named")["images"][0]["top"]} == {"no", "yes"}


def test_one_of_several_outputs_is_named(tmp_path):
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3)(layers.Rescaling(1 / 255)(inputs))
    x = layers.GlobalAveragePooling2D()(x)
    outputs = [layers.Dense(2, name="one")(x), layers.Dense(5, name="two")(x)]
    keras.Model(inputs, outputs).save(tmp_path / "m.keras")
    done = explain(tmp_path / "out", model=tmp_path / "m.keras")
    assert done.status == 2
    assert "The model has 2 outputs: one, two." in done.words
    done = explain(tmp_path / "out", "--output", "two", "--class", "4", model=tmp_path / "m.keras")
    assert done.status == 0, done.err
    image = manifest(tmp_path / "out")["images"][0]
    assert len(image["top"]) == 5
    assert image["maps"][0]["target"] == "4"


def test_a_model_of_fixed_batches_and_one_of_integers(tmp_path):
    inputs = keras.Input(batch_shape=(2, 16, 16, 3), dtype="uint8")
    x = layers.Conv2D(4, 3)(keras.ops.cast(inputs, "float32"))
    keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x))).save(
        tmp_path / "m.keras"
    )
    done = explain(tmp_path / "out", model=tmp_path / "m.keras")
    assert done.status == 0, done.err
    assert "Preprocessing: raw, the model takes uint8." in done.err
    assert [image["status"] for image in manifest(tmp_path / "out")["images"]] == ["done"] * 3


def test_layers_of_ones_own_come_with_import(tmp_path, monkeypatch):
    (tmp_path / "own_layers_of_a_test.py").write_text(
        "import keras\n\n\nclass Doubled(keras.layers.Layer):\n"
        "    def call(self, x):\n        print('called')\n        return 2 * x\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    import own_layers_of_a_test as own  # noqa: PLC0415

    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3)(own.Doubled()(layers.Rescaling(1 / 255)(inputs)))
    keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x))).save(tmp_path / "m.keras")
    (tmp_path / "photo.png").write_bytes(encoded(picture(), ".png"))
    command_line = ("photo.png", "--model", "m.keras", "--no-report", "--json")
    done = gradcam("explain", *command_line)
    assert done.status == 2
    assert "In the command, --import MODULE imports the module that defines it." in done.words
    done = gradcam("explain", *command_line, "--import", "own_layers_of_a_test")
    assert done.status == 0, done.err
    assert len(done.out.splitlines()) == 1  # what the layer prints is not for machines
    assert "called" in done.err


def test_behind_a_spatial_transformer_the_rest_stays_without_colour(tmp_path):
    inputs = keras.Input((16, 16, 3))
    warp = keras_stn.SpatialTransformer("attention", output_size=8)
    x = layers.Conv2D(4, 3, activation="relu")(warp(layers.Rescaling(1 / 255)(inputs)))
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    # It looks at the middle half of the image.
    bias = next(w for w in warp.trainable_weights if tuple(w.shape) == (3,))
    bias.assign(np.array([-5.0, 0.0, 0.0], np.float32))
    model.save(tmp_path / "m.keras")
    done = explain(
        tmp_path / "out",
        "--alpha",
        "1",
        model=tmp_path / "m.keras",
        photos=("in/cat.jpg",),
        report=True,
    )
    assert done.status == 0, done.err
    assert "The layer looks through a spatial transformer and saw" in done.words
    (entry,) = manifest(tmp_path / "out")["images"][0]["maps"]
    assert 0.15 < entry["seen"] < 0.45
    heat = cv2.imread(str(tmp_path / "out" / entry["files"]["report"]), cv2.IMREAD_UNCHANGED)
    height, width = heat.shape[:2]
    assert heat[0, 0, 3] == heat[-1, -1, 3] == 0
    assert heat[height // 2, width // 2, 3] == 255
    overlay = cv2.imread(str(tmp_path / "out" / entry["files"]["overlay"]))
    photo = cv2.imread("in/cat.jpg").repeat(8, 0).repeat(8, 1)
    assert np.abs(overlay[:20, :20].astype(int) - photo[:20, :20]).mean() < 10


@pytest.mark.parametrize("names", [None, ["cat", "a.b"]])
def test_warnings_stand_with_the_maps_that_they_are_about(names):
    inputs = keras.Input((12, 12, 1))
    shift = keras.Sequential(
        [layers.Flatten(), layers.Dense(2, kernel_initializer="zeros", bias_initializer="ones")]
    )
    shift.build((None, 12, 12, 1))
    shift.layers[-1].bias.assign([9.0, 9.0])
    x = keras_stn.SpatialTransformer("translation", localization=shift, name="stn")(inputs)
    x = layers.Conv2D(1, 3, activation="relu", name="conv")(x)
    x = layers.Dense(2, kernel_initializer=lambda shape, dtype: np.array([[1.0, -1.0]], dtype))(
        layers.GlobalAveragePooling2D()(x)
    )
    model = keras.Model(inputs, x)
    model.get_layer("conv").bias.assign([1.0])  # also where nothing is seen
    images = np.ones((2, 12, 12, 1), "float32")
    explanation = package.explain(model, images, top_k=2, class_names=names)
    for row in range(2):
        first, second = results.maps_of(explanation, row)
        assert [text[:9] for text in first.warnings] == ["The frame"]
        assert [text[:10] for text in second.warnings] == ["The frame ", "Everything"]


def test_a_class_called_zero_has_no_part_in_the_zero_gradient_of_another():
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(1, 3, kernel_initializer="ones", activation="relu", name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, kernel_initializer=lambda shape, dtype: np.array([[1.0, 0.0]], dtype)),
        ]
    )
    images = np.ones((1, 6, 6, 1), "float32")
    explanation = package.explain(model, images, top_k=2, class_names=["zero", "two"])
    zero, two = results.maps_of(explanation, 0)
    assert (zero.target, zero.warnings) == ("zero", [])
    assert two.target == "two"
    assert [text[:35] for text in two.warnings] == ["The gradient of two is zero everywh"]


def test_failed_images_have_their_reason_and_the_others_are_done(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_text("no picture")
    (tmp_path / "in" / "b.jpg").write_bytes(encoded(picture()))
    done = explain(tmp_path / "out", photos=(tmp_path / "in",))
    assert done.status == 3
    failed, fine = manifest(tmp_path / "out")["images"]
    assert (failed["status"], fine["status"]) == ("failed", "done")
    assert failed["reason"].startswith("It is no image of a known format.")
    assert "failed: It is no image of a known format." in done.words
    assert "2 images" in done.err
    assert "1 failed." in done.err


def test_an_image_that_spoils_the_numbers_spoils_no_other(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "spoiling_module.py").write_text(
        "import numpy as np\n\n\ndef logarithm(images):\n"
        "    return np.where(images == 0, np.nan, images)\n"
    )
    (tmp_path / "black.png").write_bytes(encoded(np.zeros((9, 9, 3), np.uint8), ".png"))
    (tmp_path / "white.png").write_bytes(encoded(np.full((9, 9, 3), 255, np.uint8), ".png"))
    done = explain(
        tmp_path / "out",
        *("--preprocess", "spoiling_module:logarithm"),
        photos=(tmp_path / "black.png", tmp_path / "white.png"),
        model="plain.keras",
    )
    assert done.status == 3
    black, white = manifest(tmp_path / "out")["images"]
    assert "NaN" in black["reason"]
    assert "this image" in black["reason"]
    assert white["status"] == "done"


def test_the_table_is_short_but_shows_every_failure(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(43):
        data = encoded(picture(8, 8)) if number != 42 else b"no picture"
        (tmp_path / "in" / f"{number:02}.jpg").write_bytes(data)
    done = explain(tmp_path / "out", photos=(tmp_path / "in",))
    assert "/39.jpg" in done.out
    assert "/40.jpg" not in done.out
    assert "/42.jpg" in done.out
    assert "... and 2 more, all in manifest.json." in done.err


def test_a_folder_of_results_is_not_explained(tmp_path):
    shutil.copytree("in", tmp_path / "in")
    for name in ("gradcam-out", "other"):
        done = explain(tmp_path / "in" / name, photos=(tmp_path / "in",))
        assert len(manifest(tmp_path / "in" / name)["images"]) == 3
        assert done.status == 0


def test_patterns_doubles_and_dashes(tmp_path, monkeypatch):
    shutil.copytree("in", tmp_path / "in")
    (tmp_path / "in" / "-rf.jpg").write_bytes(encoded(picture()))
    (tmp_path / "in" / "a[1].jpg").write_bytes(encoded(picture()))
    shutil.copy("m.keras", tmp_path)
    monkeypatch.chdir(tmp_path / "in")
    model = ("--model", "../m.keras", "--no-report", "--out", "../out")
    done = gradcam(
        "explain", "**/*.jpg", "cat.jpg", "./cat.jpg", "a[1].jpg", *model, "--", "-rf.jpg"
    )
    assert done.status == 0, done.err
    paths = [image["path"] for image in manifest("../out")["images"]]
    assert paths == ["-rf.jpg", "a[1].jpg", "cat.jpg", "sub/cat.jpg"]
    assert not list(Path("../out").glob("-*"))
    done = gradcam("explain", "-rf.jpg", *model)
    assert done.status == 2
    assert "The file of that name is written ./-rf.jpg." in done.words


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
def test_names_that_are_no_utf_8(tmp_path):
    name = os.fsdecode(b"caf\xe9 \n<script>'\".jpg")
    (tmp_path / name).write_bytes(encoded(picture()))
    shutil.copy("m.keras", tmp_path)
    done = command(
        *("explain", name, "--model", "m.keras", "--out", "out", "--json"),
        env={"LC_ALL": "C.UTF-8"},
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    (image,) = manifest(tmp_path / "out")["images"]
    assert os.fsencode(image["path"]) == os.fsencode(name)
    assert json.loads(done.stdout) == image
    assert b"caf\\xe9 \\n<script>'\".jpg" in done.stderr
    overlay = image["maps"][0]["files"]["overlay"]
    assert re.fullmatch(r"caf____script___-[0-9a-f]{8}\.gradcam\.conv2\.\d\.overlay\.jpg", overlay)
    assert (tmp_path / "out" / "report.html").exists()


def test_long_names_stay_apart(tmp_path):
    for letter in "ab":
        (tmp_path / f"{'ü' * 124}{letter}.png").write_bytes(encoded(picture(), ".png"))
    done = explain(
        tmp_path / "out", "--save", "overlay,heatmap,map", photos=(tmp_path,), report=True
    )
    assert done.status == 0, done.err
    names = [Path(name).name for name in everything(tmp_path / "out")]
    assert len(names) == 2 * 5 + 2
    assert max(len(os.fsencode(name)) for name in names) == 255


def test_classes_that_are_written_alike_keep_their_files(tmp_path):
    (tmp_path / "names.txt").write_text("a/b\na b\nA_B\n")
    done = explain(
        tmp_path / "out",
        "--class",
        "top3",
        "--class-names",
        tmp_path / "names.txt",
        photos=("in/cat.jpg",),
    )
    assert done.status == 0, done.err
    files = [entry["files"]["overlay"] for entry in manifest(tmp_path / "out")["images"][0]["maps"]]
    assert len({name.casefold() for name in files}) == 3
    assert set(everything(tmp_path / "out")) == {*files, "manifest.json"}
