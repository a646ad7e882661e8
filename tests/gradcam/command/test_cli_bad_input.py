"""What people give to `gradcam explain` by mistake: status, words, and nothing half-written."""

import errno
import os
import shutil
import string
import struct
import urllib.error
import urllib.request
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from keras import layers

import gradcam as package
from gradcam import files
from gradcam.messages import about_commands
from tests.support.cli_models import (
    encoded,
    everything,
    gradcam,
    manifest,
    network,
    picture,
    png_header,
)

MODEL = ("--model", "m.keras")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """Models, good and bad, and photographs, good and bad."""
    folder = tmp_path_factory.mktemp("shelf")
    network().save(folder / "m.keras")
    network(scaled=False).save(folder / "plain.keras")
    network(size=None).save(folder / "any.keras")
    network(channels=4).save(folder / "four.keras")
    keras.Sequential(
        [keras.Input((4, 4, 3)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(2)]
    ).save(folder / "flat.keras")
    keras.Sequential([keras.Input((8,)), layers.Dense(2)]).save(folder / "table.keras")
    pair = [keras.Input((8, 8, 3), name="left"), keras.Input((8, 8, 3), name="right")]
    both = layers.Dense(2)(layers.Flatten()(layers.Conv2D(2, 3)(pair[0] + pair[1])))
    keras.Model(pair, both).save(folder / "pair.keras")
    (folder / "cut.keras").write_bytes((folder / "m.keras").read_bytes()[:3000])
    code = layers.Lambda(lambda x: x + 1)
    keras.Sequential([keras.Input((8, 8, 3)), code, layers.Flatten(), layers.Dense(2)]).save(
        folder / "code.keras"
    )
    (folder / "text.keras").write_text("no model")
    (folder / "empty.keras").touch()
    (folder / "no-model").mkdir()
    (folder / "no-images").mkdir()
    (folder / "no-images" / "note.txt").write_text("no image")
    jpeg, png = encoded(picture(60, 80)), encoded(picture(60, 80), ".png")
    photos = {
        "fine.jpg": jpeg,
        "empty.jpg": b"",
        "text.jpg": b"once upon a time",
        "cut.jpg": jpeg[: len(jpeg) // 2],
        "header.jpg": jpeg[:10],
        "cut.png": png[: len(png) // 2],
        "cut.webp": encoded(picture(60, 80), ".webp")[:200],
        "cut.bmp": encoded(picture(60, 80), ".bmp")[:3000],
        "cut.ppm": encoded(picture(60, 80), ".ppm")[:3000],
        "bomb.png": png_header(50_000, 50_000),
        "large.png": png_header(12_000, 12_000),  # Pillow by itself takes 178 million pixels
        "broken.png": png_header(20, 20),
        "phone.heic": struct.pack(">I8s8xI4s4xII", 24, b"ftypheic", 20, b"ispe", 40, 30),
        "page.html": b"<html><body>404</body></html>",
    }
    for name, data in photos.items():
        (folder / name).write_bytes(data)
    (folder / "names.txt").write_text("cat\ncat\nrat\n")
    (folder / "two.txt").write_text("cat\ndog\n")
    (folder / "latin.txt").write_bytes("Männchen\n".encode("latin-1"))
    (folder / "blank.txt").write_text("\n\n")
    (folder / "module_of_mistakes.py").write_text(
        "number = 3\n\n\ndef fails(images):\n    return images / 0 + {}['a']\n\n\n"
        "def shrinks(images):\n    return images[0]\n"
    )
    (folder / "module_that_fails.py").write_text("1 / 0\n")
    (folder / "file").write_text("mine")
    os.mkfifo(folder / "pipe.jpg")
    return folder


@pytest.fixture(autouse=True)
def _inside(shelf, monkeypatch):
    monkeypatch.chdir(shelf)
    monkeypatch.syspath_prepend(shelf)


USAGE = {
    "photo missing": (["fien.jpg", *MODEL], "'fien.jpg' does not exist. Did you mean 'fine.jpg'"),
    "photo in no folder": (["nowhere/a.jpg", *MODEL], "There is no folder 'nowhere' either"),
    "photo not given": ([*MODEL], "No photograph was given"),
    "photo of no name": (["", *MODEL], "'' does not exist"),
    "photo is a pipe": (["pipe.jpg", *MODEL], "'pipe.jpg' is neither a file nor a folder"),
    "folder without images": (["no-images", *MODEL], "The folder 'no-images' holds no image"),
    "pattern without matches": (["*.jpeg", *MODEL], "The pattern '*.jpeg' matches no file"),
    "model not given": (["fine.jpg"], "No model was given"),
    "model missing": (["fine.jpg", "--model", "n.keras"], "'n.keras' does not exist"),
    "network misspelled": (["fine.jpg", "--model", "ResNet5O"], "Did you mean 'ResNet50'"),
    "model is text": (["fine.jpg", "--model", "text.keras"], "text.keras"),
    "model brings code": (
        ["fine.jpg", "--model", "code.keras"],
        "If you trust whoever made it, --unsafe runs it.",
    ),
    "model is empty": (["fine.jpg", "--model", "empty.keras"], "empty.keras"),
    "model is a photo": (["fine.jpg", "--model", "fine.jpg"], "fine.jpg"),
    "model is a folder of no model": (["fine.jpg", "--model", "no-model"], "no-model"),
    "model without feature map": (["fine.jpg", "--model", "flat.keras"], "has no feature map"),
    "model of a table": (["fine.jpg", "--model", "table.keras"], "inputs of shape (None, 8)"),
    "model of two images": (["fine.jpg", "--model", "pair.keras"], "2 inputs: left, right"),
    "model of four channels": (["fine.jpg", "--model", "four.keras"], "images of 4 channels"),
    "preprocessing unknown": (["fine.jpg", "--model", "plain.keras"], "Say it with --preprocess"),
    "size unknown": (["fine.jpg", "--model", "any.keras"], "Expected --size HxW"),
    "size of another": (["fine.jpg", *MODEL, "--size", "20x20"], "takes images of 16 x 16 only"),
    "size is no size": (["fine.jpg", *MODEL, "--size", "big"], "HEIGHTxWIDTH"),
    "size is zero": (["fine.jpg", *MODEL, "--size", "0x5"], "HEIGHTxWIDTH"),
    "layer unknown": (["fine.jpg", *MODEL, "--layer", "conv3"], "Did you mean 'conv"),
    "layer without positions": (["fine.jpg", *MODEL, "--layer", "average"], "shape (None, 8)"),
    "class unknown": (
        ["fine.jpg", *MODEL, "--class", "dgo", "--class-names", "names.txt"],
        "The class 'dgo'",
    ),
    "class ambiguous": (
        ["fine.jpg", *MODEL, "--class", "cat", "--class-names", "names.txt"],
        "Several classes are called 'cat': 0, 1",
    ),
    "class without names": (["fine.jpg", *MODEL, "--class", "cat"], "no class names to look it up"),
    "class out of range": (["fine.jpg", *MODEL, "--class", "3"], "Class 3 is out of range"),
    "class negative": (["fine.jpg", *MODEL, "--class", "-1"], "Class -1 is out of range"),
    "no top classes": (["fine.jpg", *MODEL, "--class", "top0"], "a number from 1"),
    "method unknown": (["fine.jpg", *MODEL, "--method", "grad-cam"], "Did you mean 'gradcam'"),
    "colormap unknown": (["fine.jpg", *MODEL, "--colormap", "veridis"], "'viridis'"),
    "kind unknown": (["fine.jpg", *MODEL, "--save", "overlays"], "Did you mean 'overlay'"),
    "alpha too large": (["fine.jpg", *MODEL, "--alpha", "50"], "a number from 0 (the image) to 1"),
    "alpha is no number": (["fine.jpg", *MODEL, "--alpha", "nan"], "a number from 0"),
    "batch of nothing": (["fine.jpg", *MODEL, "--batch-size", "0"], "a number from 1"),
    "score unknown": (["fine.jpg", *MODEL, "--score", "logits"], "invalid choice: 'logits'"),
    "output unknown": (["fine.jpg", *MODEL, "--output", "x"], "has no output 'x'"),
    "preprocess unknown": (["fine.jpg", *MODEL, "--preprocess", "uint"], "Did you mean 'unit'"),
    "preprocess of no module": (
        ["fine.jpg", *MODEL, "--preprocess", "no_such_module:f"],
        "No module named 'no_such_module'",
    ),
    "preprocess of no name": (
        ["fine.jpg", *MODEL, "--preprocess", "module_of_mistakes:f"],
        "has no attribute 'f'",
    ),
    "preprocess is no function": (
        ["fine.jpg", *MODEL, "--preprocess", "module_of_mistakes:number"],
        "no function",
    ),
    "preprocess fails": (
        ["fine.jpg", *MODEL, "--preprocess", "module_of_mistakes:fails"],
        "failed with KeyError: 'a'",
    ),
    "preprocess shrinks": (
        ["fine.jpg", *MODEL, "--preprocess", "module_of_mistakes:shrinks"],
        "of shape (16, 16, 3) for images of shape (1, 16, 16, 3)",
    ),
    "import of nothing": (
        ["fine.jpg", *MODEL, "--import", "no_such"],
        "the name of a Python module",
    ),
    "import of a file": (["fine.jpg", *MODEL, "--import", "a/my.py"], "--import my, from"),
    "import that fails": (
        ["fine.jpg", *MODEL, "--import", "module_that_fails"],
        "division by zero",
    ),
    "names missing": (["fine.jpg", *MODEL, "--class-names", "n.txt"], "No such file"),
    "names in latin-1": (["fine.jpg", *MODEL, "--class-names", "latin.txt"], "it is not UTF-8"),
    "names of nothing": (["fine.jpg", *MODEL, "--class-names", "blank.txt"], "no line with a name"),
    "names too few": (
        ["fine.jpg", *MODEL, "--class-names", "two.txt"],
        "Class names in 'two.txt': 2. Classes of the model",
    ),
    "out is a file": (
        ["fine.jpg", *MODEL, "--out", "file"],
        "which is a file. Expected a folder",
    ),
    "out below a file": (
        ["fine.jpg", *MODEL, "--out", "file/out"],
        "which is a file. Expected a folder",
    ),
    "flag unknown": (["fine.jpg", *MODEL, "--resum"], "Did you mean '--resume'"),
    "signature of a file": (["fine.jpg", *MODEL, "--signature", "s"], "signature"),
}


@pytest.mark.parametrize("case", USAGE)
def test_wrong_usage_writes_nothing(case, shelf):
    given, words = USAGE[case]
    before = set(shelf.rglob("*"))
    done = gradcam("explain", *given)
    assert done.status == 2, done.err
    assert words in done.words
    assert done.out == ""
    assert "Traceback" not in done.err
    assert {path for path in shelf.rglob("*") if "__pycache__" not in path.parts} <= before


PHOTOS = {
    "empty.jpg": "It is empty.",
    "text.jpg": "It is no image of a known format.",
    "page.html": "It is no image of a known format.",
    "cut.jpg": "It is damaged or cut off. Copy or download it again.",
    "header.jpg": "It is damaged or cut off.",
    "cut.png": "It is damaged or cut off. Copy or download it again.",
    "cut.webp": "It is damaged or cut off. Copy or download it again.",
    "cut.bmp": "It is damaged or cut off. Copy or download it again.",
    "cut.ppm": "It is damaged or cut off. Copy or download it again.",
    "bomb.png": "It says that it has more pixels than the 134,217,728 that are read.",
    "large.png": "It says that it has more pixels than the 134,217,728 that are read.",
    "broken.png": "It is damaged or cut off.",
    "phone.heic": "It is HEIC, which can't be decoded. Export it as JPEG.",
}


@pytest.mark.parametrize("name", PHOTOS)
def test_a_bad_photograph_fails_and_the_next_is_done(name, tmp_path):
    done = gradcam("explain", name, "fine.jpg", *MODEL, "--out", tmp_path / "out", "--no-report")
    assert done.status == 3, done.err
    bad, fine = manifest(tmp_path / "out")["images"]
    assert bad["status"] == "failed"
    assert bad["reason"].startswith(PHOTOS[name])
    assert fine["status"] == "done"
    assert PHOTOS[name].split(" the ")[0].split(",")[0].split()[-1] in done.words
    assert "Traceback" not in done.err
    assert set(everything(tmp_path / "out")) == {
        "manifest.json",
        fine["maps"][0]["files"]["overlay"],
    }


def test_a_telephone_s_picture_is_not_passed_over(tmp_path):
    for name in ("phone.heic", "fine.jpg"):
        shutil.copy(name, tmp_path / name)
    done = gradcam("explain", tmp_path, *MODEL, "--out", tmp_path / "out", "--no-report")
    assert done.status == 3
    assert [image["status"] for image in manifest(tmp_path / "out")["images"]] == ["done", "failed"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_photograph_that_may_not_be_read(tmp_path):
    shutil.copy("fine.jpg", tmp_path / "mine.jpg")
    (tmp_path / "mine.jpg").chmod(0)
    done = gradcam("explain", tmp_path / "mine.jpg", *MODEL, "--out", tmp_path / "out")
    assert done.status == 3
    assert "Permission denied" in manifest(tmp_path / "out")["images"][0]["reason"]


def test_a_photograph_whose_reading_the_system_refuses(tmp_path, monkeypatch):
    real = Path.open

    def refused(self, *arguments, **options):
        if self.name == "fine.jpg":
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", refused)
    done = gradcam("explain", "fine.jpg", *MODEL, "--out", tmp_path / "out", "--no-report")
    assert done.status == 3
    assert manifest(tmp_path / "out")["images"][0]["reason"] == "Permission denied. Check the path."


@pytest.mark.parametrize("allowed", [0, 1, 2, 4, 9])
def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch, allowed):
    """The disk is full after some writes: from then on every write fails."""
    for number in range(6):
        shutil.copy("fine.jpg", tmp_path / f"{number}.jpg")
    out, writes, real = tmp_path / "out", [], Path.open

    def full(self, mode="r", **options):
        if self.name.endswith(".tmp"):
            writes.append(self)
            if len(writes) > allowed:
                real(self, mode, **options).close()  # the name is there, the bytes are not
                raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, mode, **options)

    monkeypatch.setattr(Path, "open", full)
    given = (tmp_path, *MODEL, "--out", out, "--save", "overlay,map")
    done = gradcam("explain", *given)
    assert done.status == (5 if allowed else 2)
    assert "No space left on device" in done.words
    assert "Traceback" not in done.err
    assert not list(tmp_path.rglob("*.tmp"))
    if not allowed:
        assert not out.exists()
        return
    assert "make room, then run the same command with --resume" in done.words
    listed = {
        name
        for i in manifest(out)["images"]
        if i["status"] == "done"
        for name in [i["photo"], *(n for e in i["maps"] for n in e["files"].values())]
    }
    assert listed <= set(everything(out))
    monkeypatch.setattr(Path, "open", real)
    assert gradcam("explain", *given, "--resume").status == 0
    assert gradcam("explain", *given[:-1], "map,overlay", "--out", tmp_path / "x").status == 0


def test_a_folder_that_cannot_be_made_is_said(tmp_path, monkeypatch):
    def mkdir(self, *args, **options):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", mkdir)
    done = gradcam("explain", "fine.jpg", *MODEL, "--out", tmp_path / "out")
    assert done.status == 2
    assert "Read-only file system" in done.words


@pytest.mark.parametrize("text", ["not json", "[]", '{"name": "app", "icons": []}'])
def test_a_manifest_of_something_else_is_left_alone(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    done = gradcam("explain", "fine.jpg", *MODEL, "--out", tmp_path, "--no-report")
    assert done.status == 2
    assert "that this version of gradcam did not write" in done.words
    assert (tmp_path / "manifest.json").read_text() == text
    done = gradcam("explain", "fine.jpg", *MODEL, "--out", tmp_path, "--no-report", "--overwrite")
    assert done.status == 0, done.err


@pytest.mark.parametrize("message", ["URL fetch failure on https://x: None -- offline", None])
def test_weights_that_cannot_be_downloaded(tmp_path, monkeypatch, message):
    error = Exception(message) if message else ValueError("Incomplete or corrupted file detected.")

    def offline(*args, **options):
        raise error

    monkeypatch.setattr(keras.applications, "MobileNetV2", offline)
    done = gradcam("explain", "fine.jpg", "--model", "mobilenetv2", "--out", tmp_path / "out")
    assert done.status == 2
    assert "The weights of MobileNetV2 are not on this computer" in done.words
    assert "keras.applications.MobileNetV2().save('MobileNetV2.keras')" in done.words
    assert done.words.count("can't be downloaded") == 1
    assert not (tmp_path / "out").exists()


def test_a_network_without_its_class_names_shows_numbers(tmp_path, monkeypatch):
    def offline(*args, **options):
        raise urllib.error.URLError("offline")

    def small(weights):
        assert weights == "imagenet"
        return network(classes=1000)

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(urllib.request, "urlopen", offline)
    monkeypatch.setattr(keras.applications, "MobileNetV2", small)
    done = gradcam("explain", "fine.jpg", "--model", "MobileNetV2", "--out", tmp_path / "out")
    assert done.status == 0, done.err
    assert "The names of the ImageNet classes can't be downloaded" in done.words
    assert "Preprocessing: mobilenet_v2, that of MobileNetV2." in done.err
    assert manifest(tmp_path / "out")["images"][0]["top"][0][0].isdigit()


def test_read_images_refuses_the_same():
    with pytest.raises(package.ImageError, match="more pixels than the 134,217,728 that are read"):
        package.read_images("bomb.png", 8)
    assert cv2.imread("fine.jpg").shape == (60, 80, 3)
    assert package.read_images("fine.jpg", 8).dtype == np.float32


def test_every_sentence_of_the_command_is_tested():
    """A piece of each sentence without facts stands in a test."""
    tests = "".join(
        path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_cli*.py")
    )
    tests = " ".join(tests.split())
    untested = []
    for code, words in about_commands.WORDS.items():
        pieces = [text.split() for text, *_ in string.Formatter().parse(str(words))]
        runs = {" ".join(p[i : i + 3]) for p in pieces for i in range(len(p) - 2)}
        if not any(run in tests for run in runs):
            untested.append(code)
    assert not untested


def test_a_write_that_fails_takes_its_temporary_file_away(tmp_path, monkeypatch):
    def refuse(*names):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(files.os, "replace", refuse)
    with pytest.raises(OSError, match="quota"):
        files.write(tmp_path / "a", b"bytes")
    assert not list(tmp_path.iterdir())
