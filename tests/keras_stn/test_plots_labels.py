"""Labels and numbers on pictures: in whatever form they come, they can be read."""

import re

import numpy as np
import pytest
import tensorflow as tf

from keras_stn import plots

IMAGES = np.random.default_rng(0).random((3, 8, 8, 1))


@pytest.mark.parametrize(
    "labels",
    [
        tf.constant(["cat", "dog", "eel"]),
        (b"cat", b"dog", b"eel"),
        np.array([["cat"], ["dog"], ["eel"]]),
    ],
)
def test_words_are_read_from_tensors_bytes_and_columns(labels):
    assert np.array_equal(plots.sheet(IMAGES, labels), plots.sheet(IMAGES, ["cat", "dog", "eel"]))
    means = plots.means(IMAGES, IMAGES, labels)
    assert np.array_equal(means, plots.means(IMAGES, IMAGES, ["cat", "dog", "eel"]))


def test_labels_in_a_column_are_the_classes_of_the_means():
    # As Keras' CIFAR-10 has them.
    column = np.array([[3], [1], [3]])
    assert np.array_equal(
        plots.means(IMAGES, IMAGES, column), plots.means(IMAGES, IMAGES, [3, 1, 3])
    )


def test_classes_stand_in_the_order_of_numbers_then_words():
    groups = plots.averages._groups([10, "b", 9, None, 10], 5)
    assert {name: rows.tolist() for name, rows in groups.items()} == {
        "9": [2],
        "10": [0, 4],
        "None": [3],
        "b": [1],
    }


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.eye(3), r"labels of shape \(3, 3\) for 3 images.*argmax"),
        ([1, 2], r"labels of shape \(2,\) for 3 images.*leave labels out"),
        ([[1], [1, 2]], r"labels of shape \(2,\) for 3 images"),
        (5, r"labels=5 for 3 images.*Give a list"),
        ((name for name in "abc"), r"labels=<generator.*Give a list"),
        ({0: "a", 1: "b", 2: "c"}, r"labels=\{0: 'a'.*Give a list"),
    ],
)
@pytest.mark.parametrize("draw", [plots.sheet, lambda i, labels: plots.means(i, i, labels)])
def test_labels_that_do_not_fit(draw, labels, words):
    with pytest.raises(ValueError) as raised:
        draw(IMAGES, labels)
    assert re.search(words, str(raised.value)), str(raised.value)


@pytest.mark.parametrize("number", [-0.000888, -8.88e8, 0.00823])
def test_the_ends_of_a_chart_are_written_whole(number, monkeypatch):
    monkeypatch.setattr(plots.drawing, "_drawable", written := Written(plots.drawing._drawable))
    plots.theta_history(np.full((2, 3, 1), number))
    assert not any("..." in words for words in written.words)


class Written:
    """Keeps what is written."""

    def __init__(self, drawable):
        self.drawable, self.words = drawable, []

    def __call__(self, words):
        self.words.append(words)
        return self.drawable(words)


def test_feature_maps_near_the_largest_float_are_drawn_without_a_warning():
    huge = np.full((1, 4, 4, 5), 3e38, "float32")
    assert plots.sheet(huge).max() == 255
