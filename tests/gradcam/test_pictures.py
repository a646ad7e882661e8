"""Pictures: read, coloured, laid over each other, saved."""

import base64
import hashlib
import io
import re

import cv2
import keras
import numpy as np
import pytest
from keras import layers
from PIL import ExifTags, Image

import gradcam
from gradcam import pictures
from tests.support.cli_models import picture as blobs
from tests.support.gradcam_models import cnn, images, nested


def explanation(**options):
    return gradcam.explain(cnn(), images(), **options)


def test_read_images_is_rgb_in_0_to_255(tmp_path):
    red = np.zeros((4, 6, 3), np.uint8)
    red[..., 2] = 255  # OpenCV writes BGR
    cv2.imwrite(str(tmp_path / "red.png"), red)
    found = gradcam.read_images(tmp_path / "red.png", 3)
    assert found.shape == (1, 3, 3, 3)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[0, 0, 0], [255, 0, 0])


def test_read_images_takes_grey_alpha_16_bit_and_odd_names(tmp_path):
    grey = np.full((4, 4), 100, np.uint8)
    alpha = np.dstack([np.full((4, 4, 3), 50, np.uint8), np.full((4, 4), 255, np.uint8)])
    deep = np.full((4, 4, 3), 65535, np.uint16)
    for name, picture in (("grey ü.png", grey), ("alpha.png", alpha), ("deep.png", deep)):
        (tmp_path / name).write_bytes(cv2.imencode(".png", picture)[1])
    names = [tmp_path / name for name in ("grey ü.png", "alpha.png", "deep.png")]
    found = gradcam.read_images(names, (2, 4))
    assert found.shape == (3, 2, 4, 3)
    np.testing.assert_array_equal(found[:, 0, 0], [[100] * 3, [50] * 3, [255] * 3])


def saved(picture, form, **options):
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def turned(orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return exif


FIRST, SECOND = (Image.fromarray(blobs(40, 60, seed)) for seed in (0, 3))
KINDS = {
    **{
        f"{form} turned {number}": saved(FIRST, form, exif=turned(number))
        for form in ("JPEG", "PNG", "WEBP", "TIFF")
        for number in range(1, 9)
    },
    "CMYK": saved(FIRST.convert("CMYK"), "JPEG"),
    "grey": saved(FIRST.convert("L"), "JPEG"),
    "black and white": saved(FIRST.convert("1"), "PNG"),
    "grey with alpha": saved(FIRST.convert("LA"), "PNG"),
    "palette": saved(FIRST.quantize(16), "PNG"),
    "palette with alpha": saved(FIRST.quantize(16), "PNG", transparency=bytes([0, 255] * 8)),
    "16 bits of grey": saved(Image.fromarray(blobs()[..., 0].astype("uint16") * 257), "TIFF"),
    "16 bits of PGM": b"P5 3 2 65535\n" + bytes(range(12)),
    "animated GIF": saved(FIRST, "GIF", save_all=True, append_images=[SECOND]),
    "animated WebP": saved(FIRST, "WEBP", save_all=True, append_images=[SECOND], lossless=True),
    "two in a JPEG": saved(FIRST, "MPO", save_all=True, append_images=[SECOND]),
    "EXIF that is none": saved(FIRST, "JPEG", exif=b"Exif\0\0once upon a time"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_is_read_as_opencv_reads_it(kind, tmp_path):
    (tmp_path / "picture").write_bytes(KINDS[kind])
    data = np.frombuffer(KINDS[kind], np.uint8)  # from a file, OpenCV fails over a turned TIFF
    expected = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
    found = pictures.read_photo(tmp_path / "picture")
    np.testing.assert_allclose(found, expected, atol=1 if kind == "CMYK" else 0)


def test_an_overlay_mixes_image_and_heatmap():
    found = explanation(relu=False)
    base = np.full((3, 16, 16, 3), 0.5, np.float32)
    assert found.overlay(base).shape == (3, 16, 16, 3)
    assert found.overlay(base).dtype == np.uint8
    np.testing.assert_array_equal(found.overlay(base, alpha=0), 128)
    coloured = pictures.colour(found.heatmaps, "turbo", signed=True)
    np.testing.assert_array_equal(found.overlay(base, alpha=1), coloured)
    half = found.overlay(base, alpha=0.5).astype(int)
    np.testing.assert_allclose(half, 64 + coloured / 2, atol=1)


def test_turbo_is_blue_at_zero_and_red_at_one():
    low, high = pictures.colour(np.array([[0.0, 0.99]]), "turbo")[0]
    assert low[2] > low[0]
    assert high[0] > high[2]


def test_with_a_negative_side_zero_is_the_middle_colour():
    found = pictures.colour(np.array([[-1.0, 0.0, 1.0]]), "turbo", signed=True)
    plain = pictures.colour(np.array([[0.0, 0.5, 1.0]]), "turbo")
    np.testing.assert_array_equal(found, plain)


@pytest.mark.parametrize("top_k", [None, 2])
def test_the_explanation_decides_the_scale_of_its_colours_not_each_heatmap(top_k, tmp_path):
    # Positive weights behind ReLUs: no heatmap of the first image has a negative side.
    model = cnn()
    model.get_layer("scores").set_weights([np.ones((8, 4)), np.zeros(4)])
    base = np.zeros((3, 16, 16, 3), np.uint8)
    found = gradcam.explain(model, images(), relu=False, method="hirescam", top_k=top_k)
    first = found.heatmaps[0] if top_k is None else found.heatmaps[0, 0]
    assert first.min() >= 0
    half_up = pictures.colour((first + 1) / 2, "turbo")
    overlay = found.overlay(base, alpha=1)[0]
    np.testing.assert_array_equal(overlay if top_k is None else overlay[0], half_up)
    picture = cv2.imread(str(found.save(tmp_path)[0]))[..., ::-1]
    np.testing.assert_array_equal(picture, half_up)
    png = base64.b64decode(re.search(r"base64,([^\"]+)", found._repr_html_())[1])
    shown = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_array_equal(shown, half_up)
    plain = gradcam.explain(model, images(), method="hirescam")
    assert not plain.signed
    np.testing.assert_array_equal(
        plain.overlay(base, alpha=1), pictures.colour(plain.heatmaps, "turbo")
    )


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (np.full((1, 2, 2, 3), 0.5), 128),
        (np.full((1, 2, 2, 3), 200.0), 200),
        (np.full((1, 2, 2), 7, np.uint8), 7),
        (np.full((1, 2, 2, 1), 1, np.int64), 1),
        (np.full((2, 2, 3), 9, np.uint8), 9),
        (np.full((1, 3, 2, 2), 5, np.uint8), 5),
    ],
)
def test_images_of_any_kind_are_shown(given, shown):
    base = pictures.overlay(given, np.zeros((1, 2, 2), np.float32), 0.0, "turbo")
    np.testing.assert_array_equal(base, shown)


def test_images_on_another_scale_are_stretched():
    given = np.array([[[[-1.0] * 3, [0.0] * 3], [[1.0] * 3, [1.0] * 3]]])
    base = pictures.overlay(given, np.zeros((1, 2, 2), np.float32), 0.0, "turbo")
    np.testing.assert_array_equal(base[0, ..., 0], [[0, 128], [255, 255]])


@pytest.mark.parametrize("value", [-1.0, 300.0, -1])
def test_a_constant_image_on_another_scale_is_black(value):
    given = np.full((1, 2, 2, 3), value)
    with np.errstate(all="raise"):
        base = pictures.overlay(given, np.zeros((1, 2, 2), np.float32), 0.0, "turbo")
    np.testing.assert_array_equal(base, 0)


def test_with_top_k_every_class_has_its_overlay():
    found = explanation(top_k=2)
    assert found.overlay(np.zeros((3, 16, 16, 3))).shape == (3, 2, 16, 16, 3)


def test_save_writes_heatmaps_and_raw_maps(tmp_path):
    found = explanation(top_k=2, class_names=["ant/bee", "cat", "dog", "eel"])
    written = found.save(tmp_path / "out")
    assert len(written) == 12
    assert all(path.parent == tmp_path / "out" for path in written)
    first = [path for path in written if path.name.startswith("0000.gradcam.conv2.")]
    assert {path.name.split(".", 4)[-1] for path in first} <= {"heatmap.png", "map.npy"} | {
        "png",
        "npy",
    }
    arrays = [path for path in written if path.suffix == ".npy"]
    np.testing.assert_array_equal(np.load(arrays[0]), found.maps[0, 0])
    picture = cv2.imread(str(written[0]))[..., ::-1]
    np.testing.assert_array_equal(picture, pictures.colour(found.heatmaps[0, 0], "turbo"))


ALIKE = ["cat/dog", "cat:dog", "cat dog", "cat_dog", "cat+dog", "cat" * 200, "cat" * 201]


@pytest.mark.parametrize("top_k", [None, len(ALIKE)])
def test_saved_files_are_told_apart_where_class_names_are_not(top_k, tmp_path):
    model, one = cnn(classes=len(ALIKE)), images(count=1)
    for name in ALIKE if top_k is None else [None]:
        found = gradcam.explain(model, one, name, class_names=ALIKE, top_k=top_k)
        written = found.save(tmp_path)
        assert found.save(tmp_path) == written  # the same explanation takes the same files
        maps = found.maps if top_k is None else found.maps[0]
        for path, raw in zip(written[1::2], maps, strict=True):
            np.testing.assert_array_equal(np.load(path), raw)
    assert len(list(tmp_path.iterdir())) == len(ALIKE) * 2
    assert all(len(path.name) <= 255 for path in tmp_path.iterdir())


def test_files_are_named_after_image_method_layer_and_target(tmp_path):
    model, _, _ = nested(2)
    names = ["ant", "red bee", "cat", "dog"]
    found = gradcam.explain(model, images(1), "ant", "level0/backbone/conv2", class_names=names)
    first, second = found.save(tmp_path)
    assert first.name == "0000.gradcam.level0+backbone+conv2.ant.heatmap.png"
    assert second.name == "0000.gradcam.level0+backbone+conv2.ant.map.npy"
    found = gradcam.explain(
        model, images(1), 1, ["backbone/conv1", "backbone/conv2"], class_names=names
    )
    digits = hashlib.sha256(b"red bee").hexdigest()[:8]
    layer = "level0+backbone+conv1+and+level0+backbone+conv2"
    assert found.save(tmp_path)[0].name == f"0000.gradcam.{layer}.red_bee-{digits}.heatmap.png"


@pytest.mark.parametrize("rank", [1, 3])
@pytest.mark.parametrize("top_k", [None, 2])
def test_maps_that_are_no_pictures_are_saved_raw(rank, top_k, tmp_path):
    conv, pool = {
        1: (layers.Conv1D, layers.GlobalAveragePooling1D),
        3: (layers.Conv3D, layers.GlobalAveragePooling3D),
    }[rank]
    parts = [keras.Input((6,) * rank + (2,)), conv(3, 3, name="conv"), pool(), layers.Dense(2)]
    x = np.random.default_rng(0).normal(size=(2,) + (6,) * rank + (2,))
    found = gradcam.explain(keras.Sequential(parts), x, top_k=top_k)
    written = found.save(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(written)
    assert [path.suffixes[-2:] for path in written] == [[".map", ".npy"]] * 2 * (top_k or 1)
    first = found.maps[0] if top_k is None else found.maps[0, 0]
    np.testing.assert_array_equal(np.load(written[0]), first)


def test_a_notebook_shows_heatmaps_targets_and_warnings():
    found = gradcam.explain(
        cnn(), images(), "<b>", class_names=["<b>", "b", "c", "d"], method="eigencam"
    )
    text = found._repr_html_()
    assert text.count("data:image/png;base64,") == 3
    assert "&lt;b&gt;: " in text
    assert "<b>" not in text
    assert "does not look at the target" in text
