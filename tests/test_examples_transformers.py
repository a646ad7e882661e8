"""The worked examples run, and their pieces do what they say."""

import cv2
import numpy as np
import pytest

from examples import digit_addition, feature_map_transformer, seeing


def test_digits_in_the_middle_of_a_network(tmp_path, capsys):
    right, path = feature_map_transformer.main(
        ["--images", "64", "--epochs", "1", "--out", str(tmp_path)]
    )
    assert set(right) == {"with a transformer", "without"}
    assert all(0 <= share <= 1 for share in right.values())
    assert cv2.imread(str(path)).shape[0] > 400
    assert "of 100 new digits" in capsys.readouterr().out


def test_the_plain_networks_are_no_smaller():
    sizes = [feature_map_transformer.make_model(flag).count_params() for flag in (True, False)]
    assert sizes[0] <= sizes[1] <= 1.1 * sizes[0]
    with_transformers = digit_addition.make_model().count_params()
    plain = digit_addition.make_plain_model().count_params()
    assert with_transformers <= plain <= 1.25 * with_transformers


def test_two_digits_are_added(tmp_path, capsys):
    right, path = digit_addition.main(["--images", "64", "--epochs", "1", "--out", str(tmp_path)])
    assert set(right) == {"two transformers", "plain network"}
    assert cv2.imread(str(path)).shape[1] > 600
    assert "pixels from the left digit (" in capsys.readouterr().out


def test_pairs_of_digits_lie_where_they_are_said_to():
    images, digits, places = digit_addition.make_pairs(20, seed=4)
    assert images.shape == (20, 40, 80, 1)
    assert digits.min() >= 0
    assert digits.max() <= 9
    assert (places[:, 0, 0] < places[:, 1, 0]).all()
    for image, place in zip(images[..., 0], places, strict=True):
        for x, y in place.round().astype(int):
            assert image[max(0, y - 8) : y + 9, max(0, x - 8) : x + 9].max() > 0.5
    again = digit_addition.make_pairs(20, seed=4)
    assert np.array_equal(images, again[0])


def test_the_sum_of_two_uncertain_digits():
    first, second = np.zeros((1, 10)), np.zeros((1, 10))
    first[0, [3, 4]] = 0.5
    second[0, [0, 9]] = [0.2, 0.8]
    sums = np.asarray(digit_addition.AddDigits()([first, second]))[0]
    assert np.flatnonzero(sums).tolist() == [3, 4, 12, 13]
    assert sums[[3, 4, 12, 13]] == pytest.approx([0.1, 0.1, 0.4, 0.4])


def test_the_transformers_start_at_different_halves():
    images, _, places = digit_addition.make_pairs(4)
    model = digit_addition.make_model()
    for name, middle in digit_addition.PLACES.items():
        theta = np.asarray(model.get_layer(name).theta(images))
        assert theta[0].tolist() == [0.5, 0, middle, 0, 1, 0]
    found = digit_addition.distances(model, images, places)
    # By hand: the middle of the left half is (79 / 4, 39 / 2).
    away = np.linalg.norm(places[:, 0] - [79 / 4, 39 / 2], axis=-1)
    assert found["left"][0] == pytest.approx(np.median(away))


def test_the_figures_of_the_document_can_be_drawn(tmp_path):
    seeing.main(["--images", "64", "--epochs", "1", "--out", str(tmp_path)])
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        f"{name}.png" for name in ("states", "bent", "frames", "heatmaps", "theta", "means")
    }
