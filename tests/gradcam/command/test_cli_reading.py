"""Reading: headers of images, EXIF, names of classes, names of files, tables of names."""

import os
import struct
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcam import files, image_headers
from gradcam import pictures as images
from gradcam.colormaps import COLORMAPS
from gradcam.command.model import applications, labels
from gradcam.command.run import photos
from gradcam.errors import ImageError
from tests.support.cli_models import encoded, picture


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        (".jpg", "JPEG"),
        (".png", "PNG"),
        (".webp", "WebP"),
        (".gif", "GIF"),
        (".bmp", "BMP"),
        (".tiff", "TIFF"),
        (".ppm", "PNM"),
        (".avif", "AVIF"),
        (".jp2", "JPEG 2000"),
    ],
)
def test_a_header_says_what_a_file_is(suffix, kind, tmp_path):
    try:
        data = encoded(picture(210, 340), suffix)
    except cv2.error:
        pytest.skip(f"this OpenCV writes no {suffix}")
    assert image_headers.read(data) == image_headers.Header(kind, 340, 210)
    (tmp_path / f"a{suffix}").write_bytes(data)
    assert images.read_photo(tmp_path / f"a{suffix}").shape == (210, 340, 3)
    for length in range(0, len(data), max(1, len(data) // 50)):
        header = image_headers.read(data[:length])
        if header is not None and kind in {"JPEG", "PNG", "WebP", "GIF", "BMP", "PNM"}:
            assert not header.complete


def test_webp_without_loss_and_progressive_jpeg_have_headers():
    options = {".webp": [cv2.IMWRITE_WEBP_QUALITY, 101], ".jpg": [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]}
    for suffix, option in options.items():
        header = image_headers.read(cv2.imencode(suffix, picture(21, 34), option)[1].tobytes())
        assert (header.width, header.height, header.complete) == (34, 21, True)


@given(st.binary(max_size=80), st.sampled_from(sorted(image_headers._PARSERS)))
def test_no_bytes_break_the_header(data, start):
    beginnings = {b"P[1-6]\\s": b"P6 ", b"GIF8[79]a": b"GIF89a", b"RIFF....WEBP": b"RIFF1234WEBP"}
    header = image_headers.read(beginnings.get(start, start.replace(b"\\", b"")) + data)
    assert header is None or header.width * header.height >= 0
    jpeg = image_headers.read(b"\xff\xd8\xff" + data)
    assert jpeg.kind in {"JPEG", "image"}


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


def test_the_colour_maps_are_those_of_opencv():
    for name, number in COLORMAPS.items():
        assert getattr(cv2, f"COLORMAP_{name.upper()}") == number
    assert len(COLORMAPS) == len([name for name in dir(cv2) if name.startswith("COLORMAP_")])


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
    found = photos.find([str(tmp_path)], Path("out"))
    assert [os.path.relpath(path, tmp_path) for path in found] == ["a.webp", "b/10.png", "b/2.JPG"]
