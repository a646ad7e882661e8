"""Reading: images whole, broken and turned, names of classes, names of files, tables of names."""

import contextlib
import os
import struct
import tempfile
import warnings
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcam import files
from gradcam import pictures as images
from gradcam.command.model import applications, labels
from gradcam.command.run import photos
from gradcam.errors import ImageError
from tests.support.cli_models import encoded, picture


def whole_or_refused(path, whole):
    """What is read of a part of a file: all of the picture, or nothing."""
    try:
        found = images.read_photo(path)
    except ImageError as error:
        return error.facts["reason"]
    np.testing.assert_array_equal(found, whole)
    return "whole"


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".jpg", []),
        (".jpg", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
        (".png", []),
        (".webp", []),
        (".webp", [cv2.IMWRITE_WEBP_QUALITY, 101]),  # without loss
        (".gif", []),
        (".bmp", []),
        (".tiff", []),
        (".ppm", []),
        (".avif", []),
        (".jp2", []),
    ],
)
def test_a_file_is_read_whole_or_refused(suffix, options, tmp_path):
    try:
        data = cv2.imencode(suffix, picture(210, 340)[..., ::-1], options)[1].tobytes()
    except cv2.error:
        pytest.skip(f"this OpenCV writes no {suffix}")
    path = tmp_path / "a"  # what a file is stands in it, not in its name
    path.write_bytes(data)
    whole = images.read_photo(path)
    assert np.abs(whole.astype(int) - picture(210, 340)).mean() < 20
    np.testing.assert_array_equal(whole, cv2.imread(str(path))[..., ::-1])
    said = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for length in range(1, len(data), max(1, len(data) // 50)):
            path.write_bytes(data[:length])
            said.add(whole_or_refused(path, whole))
    assert any("it is damaged or cut off" in reason for reason in said)
    assert "whole" not in said


BEGINNINGS = [encoded(picture(), suffix)[:12] for suffix in (".jpg", ".png", ".webp", ".bmp")]
BEGINNINGS += [
    b"GIF89a",
    b"II*\0",
    b"P6 3 2 255 ",
    b"\0\0\0\x0cjP  \r\n\x87\n",
    b"\0\0\0\x18ftypavif",
]


@given(st.sampled_from([b"", *BEGINNINGS]), st.binary(max_size=80))
def test_no_bytes_raise_anything_else(start, data):
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "a.jpg"
        path.write_bytes(start + data)
        with contextlib.suppress(ImageError):
            assert images.read_photo(path).shape[2] == 3


def with_orientation(jpeg, orientation):
    """A JPEG with an EXIF segment that says how it has to be turned."""
    tiff = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHH", 274, 3, 1, orientation, 0) + b"\0" * 4
    segment = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]


def test_photographs_are_turned_as_exif_says(tmp_path):
    upright = np.zeros((40, 60, 3), np.uint8)
    upright[:20, :30] = 255  # the corner on the upper left is white
    turned = np.rot90(upright, 1)  # so the camera was held, and 6 says: turn it clockwise
    (tmp_path / "a.jpg").write_bytes(with_orientation(encoded(np.ascontiguousarray(turned)), 6))
    found = images.read_photo(tmp_path / "a.jpg")
    assert found.shape == (40, 60, 3)
    assert np.abs(found.astype(int) - upright).mean() < 4


def test_reading_grey_alpha_and_16_bit(tmp_path):
    grey, deep = picture()[..., 0], picture().astype(np.uint16) * 257
    alpha = np.dstack([picture(), np.full(picture().shape[:2], 255, np.uint8)])
    for name, image in (("grey", grey), ("alpha", alpha), ("deep", deep)):
        (tmp_path / f"{name}.png").write_bytes(encoded(image, ".png"))
    np.testing.assert_array_equal(images.read_photo(tmp_path / "alpha.png"), picture())
    np.testing.assert_array_equal(images.read_photo(tmp_path / "deep.png"), picture())
    found = images.read_photo(tmp_path / "grey.png")
    np.testing.assert_array_equal(found, np.repeat(grey[..., None], 3, axis=-1))
    np.testing.assert_array_equal(images.grey(found)[..., 0], grey)


def test_a_gigabyte_is_not_read(tmp_path):
    with (tmp_path / "big.jpg").open("wb") as file:
        file.truncate(2**30 + 1)
    with pytest.raises(ImageError, match="larger than a gigabyte"):
        images.read_photo(tmp_path / "big.jpg")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("cat\ndog\n", ["cat", "dog"]),
        ("0 cat\n1 dog", ["cat", "dog"]),
        ("1: dog\r\n0: cat\r\n", ["cat", "dog"]),
        ("1, cat\n2, dog", ["cat", "dog"]),
        ("0\tEgyptian cat\n1\tdog", ["Egyptian cat", "dog"]),
        ("\ufeff0 cat\n\n1 dog\n\n", ["cat", "dog"]),
        ("2 doors\n4 doors\n", ["2 doors", "4 doors"]),
        ("0\n1\n2\n", ["0", "1", "2"]),
        ("3D\n2D", ["3D", "2D"]),
        ("tench, Tinca tinca\nGröße", ["tench, Tinca tinca", "Größe"]),
    ],
)
def test_names_of_classes_come_with_or_without_an_index(tmp_path, text, names):
    (tmp_path / "names.txt").write_text(text, encoding="utf-8", newline="")
    assert labels.read(tmp_path / "names.txt") == names


def test_the_networks_are_those_of_keras():
    assert set(applications.MODULES) == {
        name
        for name in dir(keras.applications)
        if hasattr(getattr(keras.applications, name), "preprocess_input")
        and name not in {"imagenet_utils", "resnet50"}  # another name for resnet
    }
    for name, module in applications.NETWORKS.items():
        assert getattr(keras.applications, name).__module__.rpartition(".")[2] == module
    known = {name for name in dir(keras.applications) if name[0].isupper()}
    assert set(applications.NETWORKS) == known


@given(st.lists(st.text(min_size=1), unique=True, max_size=6))
def test_stems_are_names_that_stay_apart(names):
    paths = [f"{folder}/{name}.jpg" for folder in "aA" for name in names]
    stems = files.stems(paths)
    assert len({stem.casefold() for stem in stems.values()}) == len(set(paths))
    for stem in stems.values():
        name = files.name(stem, ["scorecam", "a/b" * 50, "ü" * 200], ".overlay.jpg")
        assert len(name.encode()) <= 255
        assert "/" not in name
        assert not name.startswith((".", "-"))
        assert name.isprintable()


def test_digits_that_collide_are_drawn_again(monkeypatch):
    class Digest:
        def __init__(self, data):
            self.data = data

        def hexdigest(self):
            return "same" * 2 if not self.data.endswith(b"\0") else "othe" * 2

    monkeypatch.setattr(files.hashlib, "sha256", Digest)
    assert list(files.stems(["a/X.jpg", "b/x.jpg"]).values()) == ["X-samesame", "x-otheothe"]


def test_folders_are_searched_in_order_and_links_do_not_go_in_circles(tmp_path):
    for name in ("b/2.JPG", "b/10.png", "a.webp", ".hidden/a.jpg", "b/.a.jpg", "b/c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b" / "round").symlink_to(tmp_path)
    found = photos.paths_of([str(tmp_path)], Path("out"))
    assert [os.path.relpath(path, tmp_path) for path in found] == ["a.webp", "b/10.png", "b/2.JPG"]
