"""The range of the pixels: warned of once a run, and proposed where nobody says it."""

import pytest

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
