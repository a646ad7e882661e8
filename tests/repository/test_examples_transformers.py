"""The worked examples run, and their pieces do what they say."""

import cv2
import numpy as np
import pytest

from examples import digit_addition, feature_map_transformer, seeing


@pytest.mark.slow
def test_digits_in_the_middle_of_a_network(tmp_path, capsys):
    right, path = feature_map_transformer.main(
        ["--images", "64", "--epochs", "1", "--out", str(tmp_path)]
    )
    assert set(right) == {"with a transformer", "without"}
    assert all(0 <= share <= 1 for share in right.values())
    assert cv2.imread(str(path)).shape[0] > 400
    assert "of 100 new digits" in capsys.readouterr().out


def test_the_networks_that_are_compared_are_of_one_size():
    sizes = [feature_map_transformer.make_model(flag).count_params() for flag in (True, False)]
    assert sizes[0] <= sizes[1] <= 1.1 * sizes[0]
    sizes = [make().count_params() for make in digit_addition.NETWORKS.values()]
    assert sizes[0] == sizes[1] <= sizes[2] <= 1.1 * sizes[0]


@pytest.mark.slow
def test_two_digits_are_added(tmp_path, capsys):
    right, path = digit_addition.main(["--images", "64", "--epochs", "1", "--out", str(tmp_path)])
    assert list(right) == list(digit_addition.NETWORKS)
    assert all(0 <= share <= 1 for share in right.values())
    assert cv2.imread(str(path)).shape[1] > 600
    said = capsys.readouterr().out
    assert "of 100 new sums are right" in said
    assert "pixels from its usual place in the first frame" in said
    assert "With the mean frame in every image" in said


def test_pairs_of_digits_lie_where_they_are_said_to():
    images, digits, places = digit_addition.make_pairs(20, seed=4)
    assert images.shape == (20, 42, 42, 2)
    assert digits.min() >= 0
    assert digits.max() <= 9
    for image, pair in zip(images, places, strict=True):
        for channel, (x, y) in enumerate(pair):
            rows, columns = np.nonzero(image[..., channel])
            assert columns.min() < x < columns.max()
            assert rows.min() < y < rows.max()
            weights = image[rows, columns, channel]
            assert x == pytest.approx(np.average(columns, weights=weights), abs=1e-3)
            assert y == pytest.approx(np.average(rows, weights=weights), abs=1e-3)
    again = digit_addition.make_pairs(20, seed=4)
    assert np.array_equal(images, again[0])
    assert not np.array_equal(images[..., 0], images[..., 1])


def look_aside(model, change):
    """Makes both transformers look `change` further right where their channel's middle is bright."""
    for name in digit_addition.NAMES:
        *_, dense, theta = model.get_layer(name).localization.layers
        kernel = np.zeros(dense.kernel.shape, "float32")
        kernel[7 * 14 + 7, 0] = 1  # the middle of 14x14 positions
        dense.set_weights([kernel, np.zeros(64, "float32")])
        kernel = np.zeros(theta.kernel.shape, "float32")
        kernel[0, 1] = change
        theta.set_weights([kernel, np.zeros(3, "float32")])


def test_each_transformer_looks_where_its_own_channel_says():
    model = digit_addition.make_model()
    look_aside(model, change=1)
    images = np.zeros((2, 42, 42, 2), "float32")
    images[0, :, :, 0] = 1
    images[1, :, :, 1] = 1
    moved = [np.asarray(model.get_layer(name).theta(images)) for name in digit_addition.NAMES]
    assert moved[0][0, 1] > 0.1
    assert moved[1][1, 1] > 0.1
    assert moved[0][1].tolist() == moved[1][0].tolist() == pytest.approx([0.6, 0, 0])
    places = np.array([[[20.5, 20.5]] * 2, [[20.5, 24.5]] * 2])
    found = digit_addition.distances(model, images, places)
    # By hand: the first frame has moved right in the first image alone, the digit down in the second; both
    # images are as far from their mean.
    step = moved[0][0, 1] * 41 / 2
    assert found["first"] == pytest.approx((np.hypot(step, 4) / 2, 2), abs=1e-3)


def test_fixed_frames_show_every_image_at_the_same_place():
    model = digit_addition.make_model()
    images, _, _ = digit_addition.make_pairs(6)
    before = digit_addition.with_fixed_frames(model, images)
    assert before == pytest.approx(model.predict(images, verbose=0), abs=1e-5)
    look_aside(model, change=3)
    assert digit_addition.with_fixed_frames(model, images) != pytest.approx(
        model.predict(images, verbose=0), abs=1e-5
    )


def test_frozen_frames_have_nothing_to_learn_in_the_transformers():
    frozen = digit_addition.NETWORKS["the same, frozen frames"]()
    learned = len(frozen.get_layer("classifier").trainable_variables)
    assert len(frozen.trainable_variables) == learned
    # Kernel and bias of two layers, in each of two localisation networks.
    assert len(digit_addition.make_model().trainable_variables) == learned + 8


@pytest.mark.slow
def test_the_figures_of_the_document_can_be_drawn(tmp_path):
    seeing.main(["--images", "64", "--epochs", "1", "--out", str(tmp_path)])
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        f"{name}.png" for name in ("states", "bent", "frames", "heatmaps", "theta", "means")
    }
