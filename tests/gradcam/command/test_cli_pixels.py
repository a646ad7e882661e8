"""The range of the pixels: warned of once a run, and proposed where nobody says it."""

import keras
import pytest
from keras import layers

from tests.support.cli_models import encoded, gradcam, manifest
from tests.support.photographs import learned, photographs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("pixels")
    learned("signed").save(place / "signed.keras")
    for number, image in enumerate(photographs(5, seed=1)):
        (place / f"{number}.png").write_bytes(encoded(image.astype("uint8"), ".png"))
    (place / "0-broken.png").write_bytes(b"nothing")
    return place


def explain(folder, out, *options):
    given = [folder, "--model", folder / "signed.keras", "--out", out, "--no-report", *options]
    return gradcam("explain", *given)


def test_wrong_pixels_are_warned_of_once_a_run(folder, tmp_path):
    asked = ("--preprocess", "raw", "--batch-size", "2", "--method", "gradcam,layercam")
    done = explain(folder, tmp_path, *asked)
    assert done.status == 3  # the broken photograph
    assert done.words.count("learned inputs with a spread of about") == 1
    assert "Most likely right: --preprocess signed." in done.words
    said = manifest(tmp_path)
    assert [text.startswith("'norm' learned inputs") for text in said["warnings"]] == [True]
    maps = [one for image in said["images"] for one in image.get("maps", [])]
    assert maps
    assert not [text for one in maps for text in one["warnings"] if "learned inputs" in text]


def test_right_pixels_are_not(folder, tmp_path):
    done = explain(folder, tmp_path, "--preprocess", "signed")
    assert "learned inputs" not in done.words
    assert manifest(tmp_path)["warnings"] == []


def first_line(done):
    return done.words.partition("Which pixel values")[0]


@pytest.mark.parametrize(
    ("trained_on", "option"), [("signed", "signed"), ("unit", "unit"), ("raw", "raw")]
)
def test_a_missing_preprocessing_is_suggested_by_the_photographs(
    folder, tmp_path, trained_on, option
):
    learned(trained_on).save(tmp_path / "m.keras")
    done = gradcam("explain", folder, "--model", tmp_path / "m.keras", "--out", tmp_path / "out")
    assert done.status == 2
    assert f"Most likely right: --preprocess {option};" in first_line(done)
    assert "'norm'" in first_line(done)
    assert "Which pixel values the model was trained with can't be seen in it" in done.words
    assert not (tmp_path / "out").exists()


def test_a_missing_preprocessing_is_suggested_by_a_network_inside(folder, tmp_path):
    inner = learned(None, name="mobilenetv2_1.00_224")
    inputs = keras.Input((32, 32, 3))
    model = keras.Model(inputs, layers.Dense(2)(inner(inputs)))
    model.save(tmp_path / "m.keras")
    done = gradcam("explain", folder, "--model", tmp_path / "m.keras", "--out", tmp_path / "out")
    said = "--preprocess mobilenet_v2; the model holds 'mobilenetv2_1.00_224'."
    assert said in first_line(done)


def test_nothing_is_suggested_without_a_reason(folder, tmp_path):
    learned(None).save(tmp_path / "m.keras")
    done = gradcam("explain", folder, "--model", tmp_path / "m.keras", "--out", tmp_path / "out")
    assert "Most likely" not in done.words
    assert "Say it with --preprocess" in done.words


def test_an_export_of_teachable_machine_is_known_by_its_files(folder, tmp_path):
    (tmp_path / "labels.txt").write_text("0 cat\n1 dog\n2 rat\n")
    (tmp_path / "keras_model.h5").write_bytes(b"\x89HDF\r\n\x1a\n not to be opened")
    given = ["explain", folder, "--model", tmp_path / "keras_model.h5", "--out", tmp_path / "out"]
    done = gradcam(*given)
    assert done.status == 2
    assert "Most likely right: --preprocess signed;" in done.err.splitlines()[0]
    assert "Loading" not in done.err
    # Said, the file is opened, and is what it is.
    assert "damaged" in gradcam(*given, "--preprocess", "signed").words
    learned("raw", scaling=layers.Rescaling(1 / 255)).save(tmp_path / "keras_model.h5")
    assert gradcam(*given, "--no-report").status == 3
