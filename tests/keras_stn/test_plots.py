"""Pictures: what is drawn lies where it must, in the colours it must have, whatever comes in."""

import re

import cv2
import keras
import numpy as np
import pytest

import keras_stn
from keras_stn import plots
from keras_stn.plots.drawing import BLUE, ORANGE, RED
from keras_stn.plots.pictures import NOT_A_NUMBER

RANDOM = np.random.default_rng(0)
GREY = np.full((1, 20, 20, 1), 0.5, "float32")
IDENTITY = [1.0, 0, 0, 0, 1, 0]


def grid_of(theta, size=10, family="affine", align_corners=True):
    theta = np.atleast_2d(np.array(theta, "float32"))
    return np.array(keras_stn.GridGenerator(family, size, align_corners)(theta))


def coloured_at(picture, colour, tolerance=40):
    """The rows and columns of the pixels of about that colour."""
    near = np.abs(picture.astype(int) - colour).max(axis=-1) <= tolerance
    return np.argwhere(near)


def extent(places):
    return [*places.min(axis=0), *places.max(axis=0)]


def image_area(picture):
    """First row and column of the grey image in a picture of `GREY`, and its height and width."""
    places = coloured_at(picture, (128, 128, 128), 1)
    top, left, bottom, right = extent(places)
    return top, left, bottom - top + 1, right - left + 1


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize(
    ("theta", "corner"),
    [
        (IDENTITY, (0, 0)),
        ([0.5, 0, 0.25, 0, 0.5, -0.25], None),
        ([0, -1, 0, 1, 0, 0], (1, 0)),  # the first row of the output runs up the right side
        ([-1, 0, 0, 0, 1, 0], (1, 0)),
        ([1, 0, 0, 0, -1, 0], (0, 1)),
    ],
    ids=["identity", "zoomed", "turned", "flipped", "upside-down"],
)
def test_the_frame_lies_where_the_output_reads(theta, corner, align_corners):
    grid = grid_of(theta, align_corners=align_corners)
    picture = plots.frames(GREY, grid, align_corners=align_corners)
    top, left, height, width = image_area(picture)
    assert height == width == 160
    # By hand: the pixel that -1 and 1 stand for, and pixels of 8x8.
    edges = (0.0, 19.0) if align_corners else (-0.5, 19.5)
    pixel = edges[0] + (grid[0] + 1) / 2 * (edges[1] - edges[0])
    expected = (pixel + 0.5) * 8 - 0.5 + (left, top)
    drawn = np.concatenate([coloured_at(picture, BLUE), coloured_at(picture, ORANGE)])
    first_row, first_column, last_row, last_column = extent(drawn)
    spare = 6  # the thickness of the line, and the dot
    low, high = expected.reshape(-1, 2).min(axis=0), expected.reshape(-1, 2).max(axis=0)
    assert np.allclose([first_column, first_row], low, atol=spare)
    assert np.allclose([last_column, last_row], high, atol=spare)
    # The dot is at the beginning of the output's first row.
    dots = coloured_at(picture, ORANGE)
    distance = np.abs(dots - expected[0, 0][::-1]).max(axis=1)
    assert (distance < 5).sum() > 30
    if corner is not None:
        on_right, at_bottom = corner
        assert (expected[0, 0, 0] > left + 80) == bool(on_right)
        assert (expected[0, 0, 1] > top + 80) == bool(at_bottom)
    # And that row, from its first to its last point, is orange.
    middle = expected[0].mean(axis=0)
    assert np.abs(dots - middle[::-1]).max(axis=1).min() <= 2


def test_both_conventions_of_one_grid_differ_by_half_a_pixel():
    grid = grid_of(IDENTITY)
    tight, wide = (plots.frames(GREY, grid, align_corners=flag) for flag in (True, False))
    tight, wide = (extent(coloured_at(p, BLUE)) for p in (tight, wide))
    # Half a pixel, drawn 8 wide, at each side; at the left, the dot covers the end.
    assert (wide[3] - wide[1]) - (tight[3] - tight[1]) == 8


def test_what_lies_outside_is_checkered_and_the_frame_is_still_seen():
    picture = plots.frames(GREY, grid_of([1, 0, 0.8, 0, 1, 0]))
    top, left, _, width = image_area(picture)
    assert extent(coloured_at(picture, BLUE))[3] > left + width + 40
    beside = picture[top + 20, left + width + 15 : left + width + 30]
    assert {tuple(pixel) for pixel in beside.tolist()} == {(214,) * 3, (232,) * 3}


@pytest.mark.parametrize(
    ("theta", "words_expected"),
    [
        ([np.nan] * 6, True),
        ([1, 0, 500.0, 0, 1, 0], True),
        ([1, 0, 9.0, 0, 1, 0], True),
        (IDENTITY, False),
    ],
    ids=["nan", "behind the camera", "far", "identity"],
)
def test_a_frame_that_cannot_be_seen_is_spoken_of(theta, words_expected):
    picture = plots.frames(GREY, grid_of(theta))
    assert (len(coloured_at(picture, RED)) > 20) == words_expected
    assert (len(coloured_at(picture, ORANGE)) == 0) == words_expected


def test_a_line_is_broken_at_points_behind_the_camera():
    theta = np.array([[1, 0, 0, 0, 1, 0, 1.4, 0]], "float32")
    grid = grid_of(theta, 24, "projective")
    assert np.abs(grid).max() > 1e5
    picture = plots.meshes(GREY, grid, lines=5)
    # Nothing leads to the far lower right, where TensorFlow puts such points.
    assert not len(coloured_at(picture[-40:, -40:], BLUE))
    assert len(coloured_at(picture, BLUE)) > 100


def test_one_nan_point_leaves_the_others():
    grid = grid_of(IDENTITY)
    grid[0, 9, 5] = np.nan
    whole, broken = plots.frames(GREY, grid_of(IDENTITY)), plots.frames(GREY, grid)
    missing = len(coloured_at(whole, BLUE)) - len(coloured_at(broken, BLUE))
    assert 0 < missing < len(coloured_at(whole, BLUE)) / 5


def test_outputs_stand_beside_in_the_colours_of_the_images():
    outputs = np.full((1, 10, 10, 1), 0.25, "float32")  # alone, it would look the same as 0.5
    picture = plots.frames(GREY, grid_of(IDENTITY), outputs)
    places = coloured_at(picture, (64, 64, 64), 1)
    assert places[:, 1].min() > image_area(picture)[1] + 160
    assert len(places) > 150**2
    # Its frame is straight, its first row above.
    top, left, _, right = extent(places)
    assert picture[top - 3, (left + right) // 2].tolist() == list(ORANGE)


def test_meshes_follow_a_bent_grid():
    family = keras_stn.transforms.get("tps")
    theta = family.identity.copy()
    theta[2 * 5] += 0.3  # the control point in the second row and column moves to the right
    layer = keras_stn.SpatialTransformer("tps", output_size=31)
    straight, bent = (np.asarray(layer.grid(t[None])) for t in (family.identity, theta))
    drawn = [plots.meshes(GREY, grid, lines=4) for grid in (straight, bent)]
    np.testing.assert_allclose((bent - straight)[0, 10, 10], (0.3, 0), atol=1e-5)
    assert not np.array_equal(*[p[:100, :100] for p in drawn])
    frame = plots.frames(GREY, straight)
    changed = np.argwhere((drawn[0] != frame).any(axis=-1))
    rows = np.unique(changed[:, 0])
    # Two inner lines each way, a third of the image apart: 160 pixels, from centre to centre of 20.
    top = image_area(frame)[0]
    expected = [top + (19 * share + 0.5) * 8 - 0.5 for share in (1 / 3, 2 / 3)]
    inner = [row for row in rows if (changed[:, 0] == row).sum() > 120]
    assert all(min(abs(row - e) for e in expected) <= 2 for row in inner)
    assert len(inner) >= 2


@pytest.mark.parametrize("count", [1, 2, 7, 33, 64])
def test_any_number_of_images_up_to_64_fits_a_sheet(count):
    images = RANDOM.random((count, 12, 9, 3)).astype("float32")
    grids = np.repeat(grid_of(IDENTITY, 6), count, axis=0)
    picture = plots.frames(images, grids, images[:, :6, :6])
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    assert 0.5 < picture.shape[1] / picture.shape[0] < 4
    assert max(picture.shape) < 3000


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (np.array([0, 128, 255], np.uint8), [0, 128, 255]),
        (np.array([0, 128, 255]), [0, 128, 255]),
        (np.array([0, 128, 255.0]), [0, 128, 255]),
        (np.array([0, 0.5, 1.0]), [0, 128, 255]),
        (np.array([0, 0.25, 0.5]), [0, 64, 128]),
        (np.array([False, True, True]), [0, 255, 255]),
        (np.array([-1.0, 0, 1]), [0, 128, 255]),
        (np.array([-2.0, 0, 3]), [0, 102, 255]),
        (np.array([0, 0.51, 1.02]), [0, 128, 255]),
        (np.array([-3.0, -3, -3]), [128, 128, 128]),
        (np.array([0, 0.5, 1.0], np.float16), [0, 128, 255]),
        (np.array([0, 1e-30, 1.0]), [0, 0, 255]),
        (np.array([-1e30, 0, 1e30]), [0, 128, 255]),
    ],
    ids=lambda value: str(value).replace("\n", " "),
)
def test_ranges_of_values(images, expected):
    assert plots.pictures(images.reshape(1, 1, 3, 1))[0, 0, :, 0].tolist() == expected


def test_the_range_can_be_given():
    images = np.array([0, 1, 2.0]).reshape(1, 1, 3, 1)
    assert plots.pictures(images, (0, 4))[0, 0, :, 1].tolist() == [0, 64, 128]
    assert plots.pictures(images, (1, 2))[0, 0, :, 1].tolist() == [0, 0, 255]


def test_colours_stay_and_pixels_that_are_no_numbers_are_magenta():
    images = np.zeros((1, 2, 2, 3))
    images[0, 0, 0] = [1, 0.5, 0]
    images[0, 1, 1, 2] = np.inf
    picture = plots.pictures(images)[0]
    assert picture[0, 0].tolist() == [255, 128, 0]
    assert picture[1, 1].tolist() == list(NOT_A_NUMBER)
    assert plots.pictures(np.full((1, 2, 2, 1), np.nan))[0, 0, 0].tolist() == list(NOT_A_NUMBER)


def test_feature_maps_are_shown_by_their_mean_magnitude():
    features = np.stack([np.full((4, 4), -2.0), np.full((4, 4), 4.0)], axis=-1)[None]
    features[0, 0, 0] = 0, 0
    picture = plots.pictures(features)[0]
    assert picture[0, 0].tolist() == [0, 0, 0]
    assert picture[1, 1].tolist() == [255, 255, 255]


def test_small_images_are_enlarged_and_large_ones_reduced():
    small = plots.sheet(np.eye(4)[None, :, :, None])
    assert len(coloured_at(small, (0, 0, 0), 0)) == 12 * 40 * 40
    large = plots.sheet(np.zeros((1, 600, 900, 3), np.uint8))
    assert 100 * 150 < len(coloured_at(large, (0, 0, 0), 0)) < 120 * 180
    assert plots.sheet(np.zeros((1, 1, 500, 1))).shape[0] < 60
    assert plots.sheet(np.zeros((3, 1, 1, 1))).ndim == 3


def test_labels_are_drawn_below_and_shortened():
    short, none, long = (
        plots.sheet(GREY, [label])
        for label in ("3", "", "a very long name of a class, with more words")
    )
    assert short.shape == none.shape == long.shape

    def ink(picture):
        return len(coloured_at(picture, (33, 37, 41), 60))

    assert ink(none) == 0 < ink(short) < ink(long)
    assert np.array_equal(plots.sheet(GREY, ["é"]), plots.sheet(GREY, ["e"]))


def test_columns_can_be_chosen():
    images = np.zeros((6, 8, 8, 1))
    one, six = plots.sheet(images, columns=1), plots.sheet(images, columns=6)
    assert one.shape[0] > 4 * one.shape[1]
    assert six.shape[1] > 3 * six.shape[0]


def test_means_are_those_of_each_class_in_one_range():
    images = np.zeros((6, 8, 8, 1))
    images[:3, :, :4] = [[[[1.0]]], [[[0.5]]], [[[0.0]]]]
    images[5] = np.nan
    outputs = images[:, :, :4].copy()
    outputs[0] = 1.0
    outputs[1] = outputs[2] = 0.5
    picture = plots.means(images, outputs, ["b", "b", "b", "a", "a", "a"], columns=2)
    # 0.5 for the left half of class b's inputs, 2 / 3 for its outputs; the largest mean is white.
    left, right = picture[:, : picture.shape[1] // 2], picture[:, picture.shape[1] // 2 :]
    assert not len(coloured_at(left, (191, 191, 191), 1))
    assert len(coloured_at(right, (191, 191, 191), 0)) > 1000
    assert not len(coloured_at(picture, NOT_A_NUMBER, 0))
    only_nan = plots.means(np.full((2, 4, 4, 1), np.nan), np.zeros((2, 4, 4, 1)))
    assert len(coloured_at(only_nan, NOT_A_NUMBER, 0)) > 1000


def test_theta_history_draws_the_course_of_the_median():
    rising = np.linspace(0, 1, 11)[:, None, None] * np.ones((1, 5, 1))
    chart = plots.theta_history(rising)
    line = coloured_at(chart, BLUE, 10)
    first, last = line[line[:, 1].argmin()], line[line[:, 1].argmax()]
    assert first[0] - last[0] > 80  # rows count downwards
    assert not len(coloured_at(chart, ORANGE))
    flat = plots.theta_history(np.ones((11, 5, 6)) * IDENTITY, "affine", columns=3)
    for name in range(6):
        assert np.ptp(coloured_at(flat[:100], BLUE, 10)[:, 0]) < 5, name


def test_theta_history_marks_steps_with_nan_and_survives_nothing_else():
    thetas = RANDOM.random((6, 4, 3))
    whole = plots.theta_history(thetas, "attention")
    thetas[2, 1, 0] = np.nan
    broken = plots.theta_history(thetas, "attention")
    assert len(coloured_at(broken, RED, 10)) > len(coloured_at(whole, RED, 10)) == 0
    all_nan = plots.theta_history(np.full((3, 2, 1), np.nan), "rotation")
    assert len(coloured_at(all_nan, RED, 10)) > 20
    assert plots.theta_history(thetas[:1]).ndim == 3


def test_theta_history_names_the_parameters_of_every_family():
    for name in keras_stn.transforms.FAMILIES:
        family = keras_stn.transforms.get(name)
        names = plots.charts.parameter_names(family, family.num_params)
        assert len(set(names)) == family.num_params
        assert not any(n.isdigit() for n in names)
        assert plots.theta_history(family.identity[None, None], name).ndim == 3


def test_save_writes_the_same_pixels_and_leaves_nothing_else(tmp_path):
    picture = RANDOM.integers(0, 256, (6, 5, 3), dtype=np.uint8)
    path = plots.save(tmp_path / "new" / "frames.PNG", picture)
    assert np.array_equal(cv2.imread(str(path))[..., ::-1], picture)
    plots.save(path, picture[::-1])
    assert np.array_equal(cv2.imread(str(path))[..., ::-1], picture[::-1])
    assert [p.name for p in path.parent.iterdir()] == ["frames.PNG"]


def test_tensors_may_come_in():
    layer = keras_stn.SpatialTransformer("projective", output_size=8)
    images = keras.ops.ones((2, 16, 16, 3))
    theta = layer.theta(images)
    assert plots.frames(images, layer.grid(theta), layer.warp(images, theta)).ndim == 3


IMAGES = np.zeros((2, 8, 8, 1))
MANY = np.zeros((65, 4, 4, 1))
GRIDS = np.repeat(grid_of(IDENTITY, 4), 2, axis=0)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: plots.frames(IMAGES[0], GRIDS),
            r"images must have four axes.*\(8, 8, 1\).*images\[None\]",
        ),
        (lambda: plots.frames(np.zeros((2, 3, 8, 8)), GRIDS), r"channels last.*np\.moveaxis"),
        (lambda: plots.frames(IMAGES[:0], GRIDS), r"at least one image.*\(0, 8, 8, 1\)"),
        (
            lambda: plots.frames(IMAGES.astype(str), GRIDS),
            r"images must be an array of numbers.*<U",
        ),
        (lambda: plots.frames(keras.Input((8, 8, 1)), GRIDS), r"KerasTensor.*Give the arrays"),
        (
            lambda: plots.frames(IMAGES, np.zeros((2, 6))),
            r"A grid must have four axes.*GridGenerator",
        ),
        (lambda: plots.frames(IMAGES, GRIDS[:1]), r"Received 2 images and 1 grids"),
        (lambda: plots.frames(IMAGES, GRIDS[..., :1]), r"two numbers, x and y"),
        (lambda: plots.frames(IMAGES, GRIDS, IMAGES), r"as large as the grid.*\(8, 8\).*\(4, 4\)"),
        (lambda: plots.frames(IMAGES, GRIDS, IMAGES[:1, :4, :4]), r"2 images and 1 of outputs"),
        (
            lambda: plots.frames(IMAGES, GRIDS, labels=["a"]),
            r"labels of shape \(1,\) for 2 images.*leave labels out",
        ),
        (
            lambda: plots.frames(IMAGES, GRIDS, columns=0),
            r"columns must be a whole number from 1. Received: 0",
        ),
        (
            lambda: plots.frames(IMAGES, GRIDS, value_range=(1, 0)),
            r"value_range.*Received: \(1, 0\)",
        ),
        (lambda: plots.pictures(IMAGES, (0, np.nan)), r"value_range must be two finite numbers"),
        (
            lambda: plots.meshes(IMAGES, GRIDS, lines=1),
            r"lines must be a whole number from 2. Received: 1",
        ),
        (lambda: plots.sheet(MANY), r"at most 64.*Received 65.*images\[:64\]"),
        (lambda: plots.means(IMAGES, IMAGES, np.eye(2)), r"labels of shape \(2, 2\).*argmax"),
        (lambda: plots.means(IMAGES, IMAGES[:1]), r"2 images and 1 of outputs"),
        (
            lambda: plots.means(np.zeros((65, 1, 1, 1)), np.zeros((65, 1, 1, 1)), range(65)),
            r"At most 64 classes",
        ),
        (
            lambda: plots.theta_history(np.zeros((3, 6))),
            r"\(steps, batch, num_params\).*3 of shape \(6,\)",
        ),
        (lambda: plots.theta_history([]), r"Received: none"),
        (lambda: plots.theta_history([np.zeros((2, 6)), np.zeros((3, 6))]), r"different shapes"),
        (lambda: plots.theta_history(np.zeros((3, 2, 5)), "affine"), r"'affine' takes theta"),
        (
            lambda: plots.theta_history(np.zeros((3, 2, 6)), steps=[0, 1]),
            r"steps must be rising numbers",
        ),
        (lambda: plots.theta_history(np.zeros((3, 2, 6)), steps=[0, 2, 1]), r"rising numbers"),
        (
            lambda: plots.save("frames.jpg", np.zeros((2, 2, 3), np.uint8)),
            r"PNG files.*frames\.jpg",
        ),
        (lambda: plots.save("frames.png", IMAGES), r"RGB uint8.*float64 of shape \(2, 8, 8, 1\)"),
    ],
)
def test_errors_say_what_was_received_and_what_to_do(call, words):
    with pytest.raises(ValueError) as raised:
        call()
    assert re.search(words, str(raised.value), flags=re.DOTALL), str(raised.value)
