"""The callbacks where a training isn't the usual one: what they must not stop, and what they must say."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import gradcam
from gradcam.callbacks import ExplainCallback
from keras_stn.callbacks import TransformerMonitor, health
from keras_stn.callbacks.views import look
from tests.keras_stn.test_callbacks import (
    IMAGES,
    LABELS,
    Constant,
    events,
    fit,
    model_with,
    picture,
    stn,
)

RANDOM = np.random.default_rng(1)
AWAY = [1.0, 0, 3, 0, 1, 0]


def test_feature_maps_of_few_rows_are_no_images_with_their_channels_first(tmp_path):
    model = model_with(
        keras.layers.Conv2D(6, 3, strides=4, padding="same"), stn(), shape=(12, 40, 1)
    )
    images = RANDOM.random((6, 12, 40, 1)).astype("float32")
    assert model.layers[0].output.shape == (None, 3, 10, 6)
    fit(model, TransformerMonitor(images[:2], tmp_path), images=images)
    # The feature maps are drawn by their mean magnitude, the largest of the batch is white.
    reached = np.asarray(model.layers[0](images[:2]))
    values = np.abs(reached).mean(axis=-1) / np.abs(reached).mean(axis=-1).max()
    drawn = picture(events(tmp_path)["stn/frames", 1])
    greys = {grey for grey, *others in drawn.reshape(-1, 3).tolist() if others == [grey, grey]}
    assert np.isin(np.rint(values[:, 1:-1, 1:-1] * 255), list(greys)).mean() > 0.9


def test_a_model_that_cuts_its_images_into_many_is_watched(tmp_path):
    crops = keras.layers.Lambda(lambda x: keras.ops.reshape(x, (-1, 16, 16, 1)), (16, 16, 1))
    together = keras.layers.Lambda(lambda x: keras.ops.reshape(x, (-1, 12 * 64)), (12 * 64,))
    model = model_with(crops, stn(), together, shape=(12, 16, 16, 1))
    images = RANDOM.random((6, 12, 16, 16, 1)).astype("float32")
    monitor = TransformerMonitor(images, tmp_path)
    fit(model, monitor, images=images)
    assert monitor.history["stn"].thetas[-1].shape == (72, 3)
    assert ("stn/frames", 1) in events(tmp_path)


def test_each_step_of_time_distributed_is_watched(tmp_path):
    model = model_with(keras.layers.TimeDistributed(stn()), shape=(3, 16, 16, 1))
    images = RANDOM.random((6, 3, 16, 16, 1)).astype("float32")
    monitor = TransformerMonitor(images[:2], tmp_path)
    fit(model, monitor, images=images)
    assert list(monitor.history) == ["stn[0]", "stn[1]", "stn[2]"]
    views, _ = look(model, images[:2])
    assert all(np.array_equal(views[f"stn[{n}]"].images, images[:2, n]) for n in range(3))


def test_callbacks_may_be_used_again_with_another_model(tmp_path):
    monitor = TransformerMonitor(IMAGES[:2], tmp_path / "log")
    explain = ExplainCallback(IMAGES[:2], tmp_path / "log")
    for family, parameters in (("attention", 3), ("affine", 6)):
        model = model_with(stn(family), keras.layers.Conv2D(2, 3))
        fit(model, monitor, explain)
        assert [theta.shape for theta in monitor.history["stn"].thetas] == [(2, parameters)] * 2


def test_what_is_wrong_with_another_model_is_said_again(tmp_path):
    monitor = TransformerMonitor(IMAGES[:2], tmp_path)
    for _ in range(2):
        model = model_with(stn("affine", localization=Constant(AWAY)))
        with pytest.warns(UserWarning, match="sees nothing") as caught:
            fit(model, monitor)
        assert len(caught) == 1


def test_a_training_that_goes_on_has_each_step_once(tmp_path):
    model = model_with(stn())
    monitor = TransformerMonitor(IMAGES[:2], tmp_path)
    fit(model, monitor, epochs=2)
    fit(model, monitor, epochs=4, initial_epoch=2)
    history = monitor.history["stn"]
    assert history.steps == [0, 1, 2, 3, 4]
    assert len(history.thetas) == len(history.outside) == 5


def test_batches_are_counted_where_an_epoch_ends_within_an_execution(tmp_path):
    model = model_with(stn(), keras.layers.Conv2D(2, 3), steps_per_execution=4)
    monitor = TransformerMonitor(IMAGES[:2], tmp_path / "a", every=1, unit="batch")
    explain = ExplainCallback(IMAGES[:2], tmp_path / "b", every=1, unit="batch")
    fit(model, monitor, explain, epochs=2, batch_size=1)
    steps = [0, 4, 6, 10, 12]  # six batches an epoch: four, then two
    assert monitor.history["stn"].steps == steps
    assert sorted(step for tag, step in events(tmp_path / "b") if tag == "heatmaps") == steps


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "so the output is black, and"),
        ({"fill_value": 0.5}, "so the output is of one colour, and"),
        ({"fill_mode": "nearest"}, "so the output is the image's edge, repeated, and"),
    ],
)
def test_what_is_seen_outside_depends_on_the_fill_mode(tmp_path, options, words):
    model = model_with(stn("affine", localization=Constant(AWAY), **options))
    with pytest.warns(UserWarning, match=f"no point of the frame lies inside.*{words}"):
        fit(model, TransformerMonitor(IMAGES[:2], tmp_path))


def test_a_mirrored_image_is_seen_from_everywhere():
    model = model_with(stn("affine", localization=Constant(AWAY), fill_mode="reflect"))
    view = look(model, IMAGES)[0]["stn"]
    assert np.ptp(view.outputs[0]) > 0.5
    assert not health.problems(view)


def test_an_infinite_theta_is_said_without_warnings_of_numpy(tmp_path):
    model = model_with(stn("affine", localization=Constant([np.inf, 0, 0, 0, 1, 0])))
    with pytest.warns(UserWarning, match="NaN or infinite") as caught:
        fit(model, TransformerMonitor(IMAGES[:2], tmp_path))
    assert len(caught) == 1


class Limited(keras.layers.Layer):
    """Raises an error of TensorFlow for large pixels."""

    def call(self, images):
        tf.debugging.assert_less(tf.reduce_max(images), 5.0, "too bright")
        return images


def test_an_error_of_the_model_is_not_taken_for_one_of_the_disk(tmp_path):
    model = model_with(Limited(), stn())
    with pytest.raises(tf.errors.InvalidArgumentError, match="too bright"):
        fit(model, TransformerMonitor(IMAGES[:2] * 9, tmp_path))


def test_an_error_of_the_model_does_not_stop_a_training_that_runs(tmp_path):
    monitor = TransformerMonitor(IMAGES[:2], tmp_path)

    class Brighten(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            monitor.images = IMAGES[:2] * 9

    model = model_with(Limited(), stn())
    with pytest.warns(UserWarning, match="could not run the model.*training goes on") as caught:
        history = fit(model, Brighten(), monitor, epochs=3)
    assert len(caught) == 1
    assert len(history.epoch) == 3


@pytest.mark.parametrize("kind", [TransformerMonitor, ExplainCallback])
def test_a_folder_that_cannot_be_made_is_named_without_names_of_operations(tmp_path, kind):
    (tmp_path / "file").write_text("taken")
    model = model_with(stn(), keras.layers.Conv2D(2, 3))
    with pytest.raises(ValueError, match="can't write") as raised:
        fit(model, kind(IMAGES[:2], tmp_path / "file"))
    assert not re.search(r"function_node|\[Op:|\{\{", str(raised.value))
    assert "Not a directory" in str(raised.value)
    assert "folder=None" in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (ExplainCallback, "wrote nothing after the training: .*No space left"),
        (TransformerMonitor, "could not write what it saw: .*No space left"),
    ],
)
def test_a_disk_that_is_full_at_the_very_end_is_said(tmp_path, monkeypatch, kind, words):
    def fail(_):
        raise OSError(28, "No space left on device")

    package = "gradcam" if kind is ExplainCallback else "keras_stn"
    monkeypatch.setattr(f"{package}.callbacks.events.EventFile.close", fail)
    with pytest.warns(UserWarning, match=words) as caught:
        fit(model_with(stn(), keras.layers.Conv2D(2, 3)), kind(IMAGES[:2], tmp_path))
    assert "None" not in str(caught[0].message)


@pytest.mark.parametrize("images", [list(IMAGES[:3]), tuple(IMAGES[:3]), [IMAGES[:3]]])
def test_a_list_of_images_is_explained_as_a_batch_of_them(tmp_path, images):
    model = model_with(keras.layers.Conv2D(2, 3, activation="relu"))
    heatmaps = ExplainCallback(images, tmp_path / "list", target=LABELS[:3])
    batch = ExplainCallback(IMAGES[:3], tmp_path / "batch", target=LABELS[:3])
    fit(model, heatmaps, batch)
    drawn = [events(tmp_path / name)["heatmaps", 1] for name in ("list", "batch")]
    assert np.array_equal(*(picture(entry) for entry in drawn))


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"metod": "gradcam"}, r"metod='gradcam'. Did you mean 'method'\? Expected options of"),
        ({"top_k": 2}, r"top_k=2. Expected options of gradcam.Explainer: layer, method"),
        ({"unit": ["epoch"]}, r"unit=\['epoch'\]. Expected 'epoch' or 'batch'"),
    ],
)
def test_options_that_the_explainer_does_not_have_are_found_at_once(tmp_path, option, words):
    with pytest.raises(gradcam.GradCamError, match=words):
        ExplainCallback(IMAGES[:2], tmp_path, **option)
