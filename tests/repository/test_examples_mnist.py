"""The experiments on digits: their data, their distortions, and the scripts from start to end."""

import json

import cv2
import keras
import numpy as np
import pytest

import keras_stn
from examples import distorted_mnist, distortions, mnist_data
from examples.distorted_models import FAMILIES, make_model
from examples.distortions import DISTORTIONS, distort
from examples.handwriting import write_digits

DIGITS = write_digits(40, seed=3)[0] / np.float32(255)


class Fixed:
    """A random generator that gives what it was told: for each call, the next of the values."""

    def __init__(self, **values):
        self.values = {name: list(calls) for name, calls in values.items()}

    def uniform(self, low, high, size):
        value = np.asarray(self.values["uniform"].pop(0), float)
        assert (value >= np.min(low)).all()
        assert (value <= np.max(high)).all()
        return np.broadcast_to(value, size).copy()

    def normal(self, mean, deviation, size):
        return np.broadcast_to(self.values["normal"].pop(0), size).copy()


# The digits


def test_written_digits_are_white_on_black_inside_their_box_and_differ():
    images, labels = write_digits(60, seed=1)
    assert images.max(axis=(1, 2)).min() > 200
    boxes = np.array([cv2.boundingRect(image) for image in images])
    assert boxes[:, 2:].max(axis=1).min() >= 19
    assert boxes[:, 2:].max() <= 22
    assert set(labels) == set(range(10))
    assert len(np.unique(images, axis=0)) == 60
    again, _ = write_digits(60, seed=1)
    np.testing.assert_array_equal(images, again)


def test_the_mass_of_a_written_digit_lies_in_the_middle():
    centres = [
        (moments["m10"] / moments["m00"], moments["m01"] / moments["m00"])
        for moments in map(cv2.moments, DIGITS)
    ]
    assert np.abs(np.array(centres) - 13.5).max() < 1.0


# The distortions


@pytest.mark.parametrize(("degrees", "turns"), [(90, 1), (-90, -1), (0, 0)])
def test_r_turns_as_numpy_does(degrees, turns):
    turned = distort(DIGITS, "R", Fixed(uniform=[degrees]))[..., 0]
    np.testing.assert_allclose(turned, np.rot90(DIGITS, turns, axes=(1, 2)), atol=1e-4)


def test_r_stays_within_90_degrees_and_uses_all_of_them():
    # A dot to the right of the middle: where it goes tells the angle.
    dot = np.zeros((500, 28, 28), np.float32)
    dot[:, 13:15, 23:25] = 1
    turned = distort(dot, "R", np.random.default_rng(0))[..., 0]
    places = np.arange(28) - 13.5
    x, y = (turned * places).sum((1, 2)), (turned * places[:, None]).sum((1, 2))
    angles = np.rad2deg(np.arctan2(-y, x))
    assert -91 < angles.min() < -88
    assert 88 < angles.max() < 91
    assert abs(angles.mean()) < 8


def test_rts_places_a_digit_as_it_is():
    moved = distort(
        DIGITS, "RTS", Fixed(uniform=[1.0, np.float64([14 + 5, 14 + 9]), 0.0])
    )  # (x, y) = (5, 9) pixels from the corner
    assert moved.shape == (len(DIGITS), 42, 42, 1)
    np.testing.assert_allclose(moved[:, 9:37, 5:33, 0], DIGITS, atol=1e-4)
    assert moved.sum() == pytest.approx(DIGITS.sum(), rel=1e-4)


def test_rts_agrees_with_opencv():
    angle, scale, centre = 30.0, 0.8, np.array([16.0, 25.0])
    ours = distort(DIGITS, "RTS", Fixed(uniform=[scale, centre, angle]))[..., 0]
    matrix = cv2.getRotationMatrix2D((13.5, 13.5), angle, scale)
    matrix[:, 2] += centre - 0.5 - 13.5
    theirs = np.stack([cv2.warpAffine(digit, matrix, (42, 42)) for digit in DIGITS])
    # OpenCV rounds coordinates to a 32nd of a pixel.
    assert np.abs(ours - theirs).max() < 0.07
    assert np.abs(ours - theirs).mean() < 1e-3


def test_rts_keeps_within_its_ranges():
    square = np.zeros((400, 28, 28), np.float32)
    square[:, 7:21, 7:21] = 1
    placed = distort(square, "RTS", np.random.default_rng(0))[..., 0]
    scales = np.sqrt(placed.sum((1, 2))) / 14
    assert 0.67 < scales.min() < 0.75
    assert 1.15 < scales.max() < 1.23
    mass = placed.sum((1, 2))
    x = (placed * np.arange(42)).sum((1, 2)) / mass + 0.5
    y = (placed * np.arange(42)[:, None]).sum((1, 2)) / mass + 0.5
    for centre in (x, y):
        assert (np.abs(centre - 21) < 21 - 14 * scales + 0.3).all()
        assert centre.std() > 3
    # What is far from the middle of a digit is still in the picture.
    corners = [placed[:, 0, 0], placed[:, 0, -1], placed[:, -1, 0], placed[:, -1, -1]]
    assert np.max(corners) == 0


def test_p_is_the_homography_that_opencv_finds():
    random = np.random.default_rng(5)
    pulls = random.normal(0, 2, (6, 4, 2))
    scales = np.linspace(0.75, 1, 6)
    found = distortions.pulling(scales, pulls)
    corners = np.float32([[0, 0], [27, 0], [27, 27], [0, 27]])
    for matrix, pull, scale in zip(found, pulls, scales, strict=True):
        targets = 13.5 + (corners - 13.5) * scale + pull
        expected = cv2.getPerspectiveTransform(targets.astype(np.float32), corners)
        np.testing.assert_allclose(matrix, expected, atol=1e-3)


def test_p_moves_pixels_as_opencv_does():
    pulls = np.array([[3, 2], [-2, 1], [1, -3], [0, 2]], float)
    ours = distort(DIGITS, "P", Fixed(uniform=[0.9], normal=[pulls]))[..., 0]
    matrix = distortions.pulling([0.9], pulls[None])[0]
    theirs = np.stack(
        [
            cv2.warpPerspective(
                digit, matrix, (28, 28), flags=cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
            )
            for digit in DIGITS
        ]
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_p_pulls_again_where_a_digit_would_be_torn_apart():
    # The upper left corner is pulled past the lower right one.
    folded = np.zeros((1, 4, 2))
    folded[0, 0] = 40
    random = Fixed(uniform=[1.0, 1.0], normal=[folded, np.zeros((1, 4, 2))])
    np.testing.assert_allclose(distort(DIGITS[:1], "P", random)[..., 0], DIGITS[:1], atol=1e-4)
    assert not random.values["normal"]


def test_e_bends_at_the_sixteen_points():
    # A ramp shows where each pixel is read: at the control points, as far away as they were pulled.
    ramp = np.broadcast_to(np.arange(28) / 27, (1, 28, 28))
    pulls = np.zeros((4, 4, 2))
    pulls[..., 0] = np.random.default_rng(0).uniform(-2, 2, (4, 4))
    random = Fixed(uniform=[1.0], normal=[pulls.reshape(1, 32)])
    bent = distort(ramp, "E", random)[0, ..., 0] * 27
    lattice = np.arange(4) * 9
    read = bent[np.ix_(lattice, lattice)]
    np.testing.assert_allclose(read[:, 1:3], (lattice + pulls[..., 0])[:, 1:3], atol=1e-3)


def test_e_scales_by_what_it_draws():
    expected = keras_stn.sample(
        DIGITS[..., None],
        keras_stn.GridGenerator("affine", output_size=28)(
            np.tile(np.float32([1 / 0.75, 0, 0, 0, 1 / 0.75, 0]), (len(DIGITS), 1))
        ),
    )
    random = Fixed(uniform=[0.75], normal=[0.0])
    np.testing.assert_allclose(distort(DIGITS, "E", random), expected, atol=1e-4)


@pytest.mark.parametrize("name", DISTORTIONS)
def test_distortions_differ_from_image_to_image_and_follow_the_generator(name):
    same = np.repeat(DIGITS[:1], 4, axis=0)
    first, again = (distort(same, name, np.random.default_rng(1)) for _ in range(2))
    size = distortions.size_of(name)
    assert first.shape == (4, size, size, 1)
    np.testing.assert_array_equal(first, again)
    assert len(np.unique(first, axis=0)) == 4
    assert np.isfinite(first).all()
    assert 0 <= first.min() < first.max() <= 1


# The networks


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(("size", "parameters"), [(28, 100_000), (42, 100_000), (42, 400_000)])
def test_networks_have_comparable_numbers_of_parameters(name, size, parameters):
    model = make_model(name, size, parameters)
    assert model.count_params() == pytest.approx(parameters, rel=0.03)
    assert model.output_shape == (None, 10)
    assert any(isinstance(layer, keras_stn.SpatialTransformer) for layer in model.layers) == (
        "ST" in name
    )


def test_the_paper_s_numbers_are_the_documents():
    assert list(distorted_mnist.PAPER) == list(FAMILIES)
    assert {len(row) for row in distorted_mnist.PAPER.values()} == {len(DISTORTIONS)}


def test_the_papers_schedule():
    schedule = distorted_mnist.SCHEDULES["paper"]
    assert (schedule.iterations, schedule.batch) == (150_000, 256)
    rate = schedule.optimizer()._learning_rate
    rates = [float(rate(step)) for step in (0, 50_000, 50_001, 100_000, 100_001, 149_999)]
    np.testing.assert_allclose(rates, [1e-2, 1e-2, 1e-3, 1e-3, 1e-4, 1e-4], rtol=1e-5)


# The data


def write_file(path, **changes):
    images, labels = write_digits(30)
    arrays = {"x_train": images, "y_train": labels, "x_test": images[:8], "y_test": labels[:8]}
    arrays.update(changes)
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def test_digits_from_a_file(tmp_path):
    path = write_file(tmp_path / "mnist.npz")
    digits = mnist_data.read_digits(str(path), train=20)
    images, labels = write_digits(30)
    np.testing.assert_allclose(digits.train[0], images[:20] / 255, rtol=1e-6)
    np.testing.assert_array_equal(digits.train[1], labels[:20])
    assert len(digits.test[0]) == 8


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"x_test": None}, "has no array x_test. It has: x_train, y_train, y_test"),
        (
            {"x_train": np.zeros((30, 784))},
            r"x_train in .* has shape \(30, 784\). Expected: \(n, 28",
        ),
        ({"y_train": np.zeros((30, 1), int)}, r"has shape \(30, 1\). Expected: \(30,\), one label"),
        ({"x_test": np.full((8, 28, 28), 0.5)}, "holds float64 from 0.5 to 0.5. Expected: numbers"),
        ({"x_test": np.full((8, 28, 28), "a")}, "x_test in .* holds <U1. Expected: numbers"),
        ({"y_test": np.full(8, 10)}, "y_test in .* must hold whole numbers from 0 to 9"),
    ],
)
def test_wrong_arrays(tmp_path, changes, words):
    path = write_file(tmp_path / "mnist.npz", **changes)
    with pytest.raises(mnist_data.DataError, match=words):
        mnist_data.read_digits(str(path))


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "There is no file"), (b"no zip", "can't be read"), (b"PK\x03\x04", "can't be read")],
)
def test_files_that_are_none(tmp_path, content, words):
    path = tmp_path / "mnist.npz"
    if content:
        path.write_bytes(content)
    with pytest.raises(SystemExit, match=words):
        distorted_mnist.main(["--data", str(path), "--out", str(tmp_path / "out")])


def test_no_network(monkeypatch):
    def fail():
        raise Exception("URL fetch failure on https://...")  # noqa: TRY002 what Keras raises

    monkeypatch.setattr(keras.datasets.mnist, "load_data", fail)
    with pytest.raises(SystemExit, match=r"could not download MNIST: URL fetch failure.*\n.*drawn"):
        mnist_data.read_digits("keras")


# The script

TINY = ["--iterations", "2", "--train", "64", "--test", "16"]


@pytest.fixture(scope="module")
def first_run(tmp_path_factory):
    out = tmp_path_factory.mktemp("distorted") / "out"
    some = ["--models", "FCN", "ST-CNN affine", "--distortions", "RTS"]
    return out, distorted_mnist.main([*TINY, *some, "--out", str(out)])


@pytest.mark.slow  # trains
def test_the_script_writes_results_and_a_figure(first_run):
    out, content = first_run
    assert json.loads((out / "results.json").read_text()) == content
    assert content["settings"]["iterations"] == 2
    cells = {(cell["model"], cell["distortion"]): cell for cell in content["cells"]}
    assert list(cells) == [("FCN", "RTS"), ("ST-CNN affine", "RTS")]
    cell = cells["ST-CNN affine", "RTS"]
    assert cell["paper"] == 0.5
    assert 0 <= cell["error"] <= 100
    assert cell["error"] * 16 / 100 == pytest.approx(round(cell["error"] * 16 / 100), abs=0.01)
    assert cv2.imread(str(out / "figure.png")).std() > 20
    assert [path.name for path in (out / "samples").iterdir()] == ["RTS.ST-CNN-affine.png"]


@pytest.mark.slow  # trains
def test_the_script_goes_on_where_it_stopped(first_run, capsys):
    out, content = first_run
    some = ["--models", "FCN", "ST-CNN affine", "ST-CNN TPS", "--distortions", "RTS"]
    more = distorted_mnist.main([*TINY, *some, "--out", str(out)])
    assert more["cells"][:2] == content["cells"]
    assert [cell["model"] for cell in more["cells"]] == ["FCN", "ST-CNN affine", "ST-CNN TPS"]
    printed = capsys.readouterr()
    assert "has 2 results already; 1 to go" in " ".join(printed.err.split())
    assert "ST-CNN TPS" in printed.out
    assert "(0.5)" in printed.out
    assert "far shorter than the paper's" in " ".join(printed.err.split())


@pytest.mark.slow  # trains
def test_what_was_done_is_kept_when_the_next_fails(tmp_path, monkeypatch):
    make = distorted_mnist.make_model

    def fail_later(name, *arguments):
        if name == "CNN":
            raise KeyboardInterrupt
        return make(name, *arguments)

    monkeypatch.setattr(distorted_mnist, "make_model", fail_later)
    some = ["--models", "FCN", "CNN", "--distortions", "R"]
    with pytest.raises(KeyboardInterrupt):
        distorted_mnist.main([*TINY, *some, "--out", str(tmp_path)])
    cells = json.loads((tmp_path / "results.json").read_text())["cells"]
    assert [cell["model"] for cell in cells] == ["FCN"]


def test_results_of_other_settings_are_left_alone(first_run):
    out, _ = first_run
    before = (out / "results.json").read_bytes()
    with pytest.raises(SystemExit, match=r"other settings: iterations 2, now 3\. Choose"):
        distorted_mnist.main(["--iterations", "3", *TINY[2:], "--out", str(out)])
    assert (out / "results.json").read_bytes() == before


def test_a_file_that_holds_no_results(tmp_path):
    (tmp_path / "results.json").write_text("[]")
    with pytest.raises(SystemExit, match="is no file of results"):
        distorted_mnist.main([*TINY, "--out", str(tmp_path)])


@pytest.mark.parametrize(
    "arguments", [["--iterations", "0"], ["--models", "RNN"], ["--train", "x"]]
)
def test_wrong_arguments_end_with_a_sentence(arguments, capsys):
    with pytest.raises(SystemExit):
        distorted_mnist.main(arguments)
    assert "error: argument" in capsys.readouterr().err
