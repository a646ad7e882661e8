"""The callbacks, in `fit` as people run it; what they write is read back from the files."""

import re
import threading
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf

import gradcam
import keras_stn
from gradcam.callbacks import ExplainCallback
from gradcam.messages import about_callbacks
from keras_stn import plots
from keras_stn.callbacks import TransformerMonitor, health
from keras_stn.callbacks.views import look
from keras_stn.recording import recording

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.random((6, 16, 16, 1)).astype("float32")
LABELS = np.array([0, 1, 2] * 2)


def events(folder):
    """`{(tag, step): (plugin, array)}` of all event files in a folder."""
    found = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                plugin = value.metadata.plugin_data.plugin_name
                found[value.tag, event.step] = (plugin, tf.make_ndarray(value.tensor))
    return found


def picture(entry):
    """The pixels of an image summary, whose size is written beside them."""
    plugin, (width, height, content) = entry
    assert plugin == "images"
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert pixels.shape == (int(height), int(width), 3)
    return pixels


def read(path):
    return cv2.imread(str(path))[..., ::-1]


class Constant(keras.layers.Layer):
    """A localisation network that says the same of every image but some."""

    def __init__(self, theta, others=None):
        super().__init__()
        self.theta = np.array(theta, "float32")
        self.others = {k: np.array(v, "float32") for k, v in (others or {}).items()}

    def call(self, images):
        rows = [self.others.get(k, self.theta) for k in range(64)]
        return tf.stack(rows)[: tf.shape(images)[0]]

    def compute_output_shape(self, input_shape):
        return (input_shape[0], len(self.theta))


def stn(family="attention", name="stn", size=8, **options):
    return keras_stn.SpatialTransformer(family, output_size=size, name=name, **options)


def model_with(*layers, shape=(16, 16, 1), **compile_options):
    model = keras.Sequential(
        [keras.Input(shape), *layers, keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    model.compile(
        keras.optimizers.SGD(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **compile_options,
    )
    return model


def fit(model, *callbacks, epochs=1, images=IMAGES, labels=LABELS, **options):
    options = {"batch_size": 3, "verbose": 0, **options}
    return model.fit(images, labels, epochs=epochs, callbacks=list(callbacks), **options)


def test_everything_is_written_before_the_first_epoch_and_after_each(tmp_path):
    model = model_with(stn())
    monitor = TransformerMonitor(IMAGES[:3], tmp_path / "log", tmp_path / "png")
    fit(model, monitor, epochs=2)
    found = events(tmp_path / "log")
    tags = {"frames", "warped", "theta", "outside", "outside of each image", "area"}
    tags |= {"theta/s", "theta/tx", "theta/ty"}
    assert {tag for tag, _ in found} == {f"stn/{tag}" for tag in tags}
    assert {step for tag, step in found if tag == "stn/frames"} == {0, 1, 2}
    plugins = {tag: plugin for (tag, _), (plugin, _) in found.items()}
    assert plugins["stn/outside"] == plugins["stn/area"] == "scalars"
    assert plugins["stn/theta/s"] == "histograms"
    # At the identity nothing lies outside, and the frame spans the centres of 16 pixels: 15 of 16.
    assert found["stn/outside", 0][1] == 0
    assert found["stn/area", 0][1] == pytest.approx((15 / 16) ** 2)
    assert sorted(p.name for p in (tmp_path / "png" / "stn").iterdir()) == [
        *(f"frames-epoch-000{step}.png" for step in range(3)),
        "theta.png",
        *(f"warped-epoch-000{step}.png" for step in range(3)),
    ]


def test_pictures_show_the_weights_of_their_epoch(tmp_path):
    model = model_with(stn())
    monitor = TransformerMonitor(IMAGES[:3], tmp_path, tmp_path / "png", labels="abc")
    fit(model, monitor, epochs=2)
    layer = model.get_layer("stn")
    theta = layer.theta(IMAGES[:3])
    outputs = np.asarray(layer.warp(IMAGES[:3], theta))
    expected = plots.frames(IMAGES[:3], layer.grid(theta), outputs, "abc")
    found = events(tmp_path)
    assert np.array_equal(picture(found["stn/frames", 2]), expected)
    assert not np.array_equal(picture(found["stn/frames", 0]), expected)
    warped = plots.sheet(outputs, "abc", value_range=(0, 1))
    assert np.array_equal(picture(found["stn/warped", 2]), warped)
    thetas = monitor.history["stn"].thetas
    assert np.array_equal(thetas[2], theta)
    course = plots.theta_history(thetas, "attention", [0, 1, 2])
    assert np.array_equal(picture(found["stn/theta", 2]), course)
    assert np.array_equal(read(tmp_path / "png/stn/theta.png"), course)
    assert np.array_equal(read(tmp_path / "png/stn/frames-epoch-0002.png"), expected)


def test_histograms_hold_every_image(tmp_path):
    thetas = {k: [1.0, k / 10, 0] for k in range(6)}
    model = model_with(stn(localization=Constant([1, 0, 0], thetas)))
    fit(model, TransformerMonitor(IMAGES, tmp_path))
    found = events(tmp_path)
    buckets = found["stn/theta/tx", 1][1]
    assert buckets[0, 0] == 0
    assert buckets[-1, 1] == pytest.approx(0.5)
    assert buckets[:, 2].sum() == 6
    assert (buckets[:, 2] > 0).sum() == 6
    assert found["stn/theta/s", 1][1].tolist() == [[0.5, 1.5, 6]]
    # Of 8 columns at -1 to 1, moved by k / 10 of 7.5 pixels each; a pixel reaches half a pixel out.
    columns = 7.5 + 7.5 * (np.linspace(-1, 1, 8) + np.arange(6)[:, None] / 10)
    expected = (columns > 15.5).mean()
    assert found["stn/outside", 1][1] == pytest.approx(expected)


def test_feature_maps_in_the_middle_and_in_nested_models_are_seen(tmp_path):
    inner = keras.Sequential(
        [keras.Input((14, 14, 5)), stn("affine", "inner", size=6), keras.layers.Conv2D(2, 3)]
    )
    convolution = keras.layers.Conv2D(5, 3, name="conv")
    model = model_with(convolution, inner, stn("rotation", "last", size=None))
    monitor = TransformerMonitor(IMAGES[:4], tmp_path)
    fit(model, monitor)
    assert set(monitor.history) == {"inner", "last"}
    views, hidden = look(model, IMAGES[:4])
    assert not hidden
    # What reaches the inner transformer is what the convolution gives.
    np.testing.assert_allclose(views["inner"].images, convolution(IMAGES[:4]), atol=1e-6)
    assert views["last"].images.shape == (4, 4, 4, 2)
    expected = plots.frames(views["inner"].images, views["inner"].grids, views["inner"].outputs)
    assert np.array_equal(picture(events(tmp_path)["inner/frames", 1]), expected)


class Subclassed(keras.Model):
    """Calls one transformer twice, and has two inputs."""

    def __init__(self):
        super().__init__()
        self.stn = stn("translation", size=None)
        self.dense = keras.layers.Dense(3)

    def call(self, inputs):
        seen = [self.stn(image) for image in inputs]
        return self.dense(keras.layers.Flatten()(seen[0] - seen[1]))


def test_a_shared_layer_in_a_subclass_with_two_inputs_has_a_number_for_each_call(tmp_path):
    model = Subclassed()
    model.compile("sgd", "mse")
    pair = [IMAGES[:2], IMAGES[2:4]]
    monitor = TransformerMonitor(pair, tmp_path)
    # Never called before: there is nothing to look at before the first epoch.
    model.fit(pair, np.ones((2, 3)), verbose=0, epochs=2, callbacks=[monitor])
    assert set(monitor.history) == {"stn[0]", "stn[1]"}
    assert monitor.history["stn[1]"].steps == [1, 2]
    views, _ = look(model, pair)
    assert np.array_equal(views["stn[1]"].images, pair[1])


def test_a_model_loaded_from_a_file_and_other_formats(tmp_path):
    first = model_with(stn(align_corners=False), keras.layers.Permute((3, 1, 2)))
    first.add(keras.layers.Dense(2))
    first.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    monitor = TransformerMonitor((IMAGES * 255).astype("uint8"), tmp_path / "log")
    loaded.compile("sgd", "mse")
    loaded.fit(IMAGES, np.ones((6, 2)), verbose=0, callbacks=[monitor])
    # With corners not aligned the outermost of 8 points lie a pixel inside: 14 of 16.
    assert events(tmp_path / "log")["stn/area", 1][1] == pytest.approx((14 / 16) ** 2, abs=0.02)


def test_channels_first_and_half_precision(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    inputs = keras.Input((3, 12, 10))
    outputs = stn(data_format="channels_first", size=(6, 4))(inputs)
    outputs = keras.layers.Dense(3, dtype="float32")(keras.layers.Flatten()(outputs))
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse")
    images = RANDOM.random((2, 3, 12, 10)).astype("float32")
    model.fit(images, np.ones((2, 3)), verbose=0, callbacks=[TransformerMonitor(images, tmp_path)])
    shown = picture(events(tmp_path)["stn/warped", 0])
    upright = plots.sheet(
        np.moveaxis(look(model, images)[0]["stn"].outputs, 1, 1), value_range=(0, 1)
    )
    assert shown.shape == upright.shape
    assert look(model, images)[0]["stn"].images.shape == (2, 12, 10, 3)


def test_a_bent_grid_is_drawn_whole(tmp_path):
    model = model_with(stn("tps"))
    fit(model, TransformerMonitor(IMAGES[:2], tmp_path))
    view = look(model, IMAGES[:2])[0]["stn"]
    expected = plots.meshes(view.images, view.grids, view.outputs)
    assert np.array_equal(picture(events(tmp_path)["stn/frames", 1]), expected)


def test_calls_are_recorded_for_one_thread_and_one_block_only():
    layer = stn("translation")
    layer(IMAGES)
    with recording() as outer:
        layer(IMAGES[:1])
        with recording() as inner:
            layer(IMAGES[:2])
        thread = threading.Thread(target=layer, args=(IMAGES,))
        thread.start()
        thread.join()
        layer(IMAGES[:3])
    layer(IMAGES)
    assert [len(call.images) for call in outer] == [1, 3]
    assert [len(call.images) for call in inner] == [2]


def test_the_model_is_left_as_it_was(tmp_path):
    model = model_with(keras.layers.BatchNormalization(), stn(), keras.layers.Dropout(0.5))
    before = [w.numpy() for w in model.weights]
    nodes = {layer.name: len(layer._inbound_nodes) for layer in model.layers}
    attributes = {layer.name: dict(vars(layer)) for layer in model.layers}
    look(model, IMAGES)
    assert all(np.array_equal(a, b.numpy()) for a, b in zip(before, model.weights, strict=True))
    assert nodes == {layer.name: len(layer._inbound_nodes) for layer in model.layers}
    for layer in model.layers:
        assert vars(layer).keys() == attributes[layer.name].keys()
        # Not equal, but the same: a method that was wrapped would have its name.
        for name, value in attributes[layer.name].items():
            assert vars(layer)[name] is value, f"{layer.name}.{name}"


def test_it_trains_the_same_with_the_callbacks_as_without(tmp_path):
    results = []
    for callbacks in (False, True):
        keras.utils.set_random_seed(3)
        model = model_with(stn(), keras.layers.Conv2D(2, 3, name="conv"), keras.layers.Dropout(0.5))
        watchers = [
            TransformerMonitor(IMAGES[:2], tmp_path / "a"),
            ExplainCallback(IMAGES[:2], tmp_path / "b"),
        ]
        fit(model, *(watchers if callbacks else []), epochs=2, shuffle=False)
        results.append(model.get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("steps_per_execution", [1, 2])
def test_batches_are_counted_over_epochs(tmp_path, steps_per_execution):
    model = model_with(stn(), keras.layers.Conv2D(2, 3), steps_per_execution=steps_per_execution)
    monitor = TransformerMonitor(IMAGES[:2], tmp_path / "a", every=3, unit="batch")
    explain = ExplainCallback(IMAGES[:2], tmp_path / "b", tmp_path, every=3, unit="batch")
    fit(model, monitor, explain, epochs=2, batch_size=1)
    steps = [0, 3, 6, 9, 12] if steps_per_execution == 1 else [0, 4, 6, 10, 12]
    assert monitor.history["stn"].steps == steps
    assert sorted(step for tag, step in events(tmp_path / "b") if tag == "heatmaps") == steps
    assert (tmp_path / "heatmaps-batch-0012.png").exists()


def test_epochs_can_be_skipped_and_a_training_goes_on(tmp_path):
    model = model_with(stn())
    monitor = TransformerMonitor(IMAGES[:2], tmp_path, every=2)
    fit(model, monitor, epochs=3)
    assert monitor.history["stn"].steps == [0, 2]
    fit(model, monitor, epochs=6, initial_epoch=4)
    assert monitor.history["stn"].steps == [0, 2, 4, 6]
    fit(model, monitor, epochs=2)
    assert monitor.history["stn"].steps == [0, 2, 4, 6, 0, 2]


def test_on_two_devices(tmp_path, two_replicas):
    with two_replicas.scope():
        model = model_with(stn(), keras.layers.Conv2D(2, 3))
    monitor = TransformerMonitor(IMAGES[:3], tmp_path / "a")
    explain = ExplainCallback(IMAGES[:3], tmp_path / "b")
    fit(model, monitor, explain, batch_size=6)
    assert monitor.history["stn"].steps == [0, 1]
    assert ("heatmaps", 1) in events(tmp_path / "b")


IDENTITY = [1.0, 0, 0, 0, 1, 0]
SQUARE = np.pad(np.ones((6, 6, 6, 1), "float32"), [(0, 0), (8, 2), (8, 2), (0, 0)])


@pytest.mark.parametrize(
    ("theta", "images", "words"),
    [
        (
            [np.nan, 0, 0, 0, 1, 0],
            IMAGES,
            r"theta of 'stn' is NaN or infinite for image 2 after epoch 0",
        ),
        ([1, 0, 3, 0, 1, 0], IMAGES, r"'stn' sees nothing of image 2 after epoch 0.*no point"),
        ([0.01, 0, 0, 0, 0.01, 0], IMAGES, r"frame of 'stn' has shrunk to nothing for image 2"),
        ([0.5, 0, 0, 0, 0.001, 0], IMAGES, r"shrunk to nothing for image 2"),
        ([0.2, 0, -0.7, 0, 0.2, -0.7], SQUARE, r"output of 'stn' for image 2 is one flat colour"),
    ],
    ids=["nan", "outside", "shrunk", "line", "black"],
)
def test_what_is_wrong_is_said_once_with_the_number_of_the_image(tmp_path, theta, images, words):
    model = model_with(stn("affine", localization=Constant(IDENTITY, {2: theta})))
    with pytest.warns(UserWarning, match=words) as caught:
        fit(model, TransformerMonitor(images[:4], tmp_path), epochs=3, images=images)
    (message,) = [str(w.message) for w in caught]
    assert re.search(r"Expected .+: ", message)


def test_what_goes_wrong_later_is_said_then(tmp_path):
    model = model_with(stn("translation"))
    kernel = model.get_layer("stn")._network.layers[-1].bias

    class Move(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            kernel.assign([[0.0, 90.0], [0.0, 30.0], [np.nan, 0.0]][epoch])

    with pytest.warns(UserWarning, match="images 0, 1 after epoch") as caught:
        fit(model, Move(), TransformerMonitor(IMAGES[:2], tmp_path), epochs=3)
    said = [str(w.message) for w in caught]
    assert len(said) == 2
    assert "sees nothing of images 0, 1 after epoch 1" in said[0]
    assert "NaN or infinite for images 0, 1 after epoch 3" in said[1]


@pytest.mark.parametrize(
    ("theta", "size"),
    [
        (IDENTITY, 8),
        ([-1, 0, 0, 0, -1, 0], 8),
        ([2, 0, 0, 0, 2, 0], 8),
        ([0.1, 0, 0, 0, 0.1, 0], 8),  # 1.5 pixels wide: little, but more than a four hundredth
        ([0.04, 0, 0, 0, 0.04, 0], 1),  # a single point has no size to lose
        ([1, 0, 1.5, 0, 1, 0], 8),  # a quarter is inside
    ],
)
def test_healthy_transformers_are_not_warned_of(theta, size):
    model = model_with(stn("affine", size=size, localization=Constant(theta)))
    assert not health.problems(look(model, IMAGES)[0]["stn"])


def test_every_sentence_of_the_monitor_is_tested():
    tested = {"nan", "outside", "shrunk", "black"}
    assert tested == set(health.SENTENCES)


def test_areas_and_shares_outside_by_hand():
    corners = np.array([[[0, 0], [4, 0]], [[0, 2], [4, 2]]], float)  # h, w, (x, y)
    grids = np.stack([corners, corners[:, ::-1], corners * 0, corners + 100, corners * np.nan])
    assert health.area_share(grids, (4, 8))[:4].tolist() == [8 / 32, 8 / 32, 0, 8 / 32]
    assert health.outside_share(grids, (4, 8)).tolist() == [0, 0, 0, 1, 1]
    assert health.outside_share(corners[None] + 3.4, (6, 8))[0] == 0
    assert health.outside_share(corners[None] + 3.6, (6, 8))[0] == 0.75
    row = np.array([[[[0, 1], [3, 1], [3, 5]]]], float)
    assert health.area_share(row, (7, 7))[0] == 1


def test_a_transformer_inside_a_traced_function_is_named(tmp_path):
    class Traced(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = stn("translation", "hidden", size=None)
            self.run = tf.function(self.inner)

        def build(self, shape):
            self.inner.build(shape)

        def call(self, images):
            return self.run(images)

        def compute_output_shape(self, shape):
            return shape

    model = model_with(stn("translation", "seen", size=None), Traced())
    monitor = TransformerMonitor(IMAGES[:2], tmp_path)
    said = "can't look into 'hidden'.*The other transformers"
    with pytest.warns(UserWarning, match=said) as caught:
        fit(model, monitor, epochs=2)
    # On Python 3.13 TensorFlow's autograph adds deprecations of its own.
    assert sum(warning.category is UserWarning for warning in caught) == 1
    assert set(monitor.history) == {"seen"}


def log_gone(monkeypatch, where):
    """From now on nothing can be written."""

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"{where}.events.EventFile.picture", fail)


@pytest.mark.parametrize("where", ["keras_stn.callbacks", "gradcam.callbacks"])
def test_a_full_disk_is_said_once_and_the_training_goes_on(tmp_path, monkeypatch, where):
    model = model_with(stn(), keras.layers.Conv2D(2, 3))
    kind = TransformerMonitor if where.startswith("keras_stn") else ExplainCallback

    class Fill(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            log_gone(monkeypatch, where)

    with pytest.warns(UserWarning, match="No space left.*training goes on") as caught:
        history = fit(model, Fill(), kind(IMAGES[:2], tmp_path), epochs=3)
    assert len(caught) == 1
    assert len(history.epoch) == 3


@pytest.mark.parametrize("kind", [TransformerMonitor, ExplainCallback])
@pytest.mark.parametrize("taken", ["log_dir", "folder"])
def test_a_folder_that_cannot_be_made_is_found_at_the_start(tmp_path, kind, taken):
    file = tmp_path / "file"
    file.write_text("taken")
    folders = {"log_dir": tmp_path / "log", "folder": tmp_path / "png"} | {taken: file / "inside"}
    model = model_with(stn(), keras.layers.Conv2D(2, 3))
    with pytest.raises(ValueError, match=r"can't write .*Expected folders"):
        fit(model, kind(IMAGES[:2], **folders))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"images": IMAGES[:0]}, r"at least one image.*Received: \[0\]"),
        ({"images": np.zeros((65, 4, 4, 1))}, r"at most 64"),
        ({"images": [IMAGES, IMAGES[:2]]}, r"same number for each input"),
        ({"images": "cat.png"}, r"images must be arrays.*next\(iter\(data\)\)"),
        ({"log_dir": 3}, r"log_dir must be the path of a folder. Received: 3"),
        ({"folder": ""}, r"folder must be the path of a folder"),
        ({"every": 0}, r"every must be a whole number from 1. Received: 0"),
        ({"every": 1.5}, r"every must be a whole number"),
        ({"unit": "epochs"}, r"unit must be one of 'epoch', 'batch'.*Did you mean 'epoch'"),
        ({"labels": ["a"]}, r"Received labels of shape \(1,\) for 6 images"),
    ],
)
def test_wrong_arguments_of_the_monitor(arguments, words):
    with pytest.raises(ValueError, match=words):
        TransformerMonitor(**{"images": IMAGES, "log_dir": "log", **arguments})


class Late(keras.Model):
    """Has no weights before it is called."""

    def __init__(self):
        super().__init__()
        self.conv = keras.layers.Conv2D(2, 3, name="conv")
        self.dense = keras.layers.Dense(3)

    def call(self, images):
        return self.dense(keras.layers.Flatten()(self.conv(images)))


def test_a_subclass_that_was_never_called_is_explained_after_its_first_epoch(tmp_path):
    model = Late()
    model.compile("sgd", "mse")
    callback = ExplainCallback(IMAGES[:2], tmp_path, target=0)
    model.fit(IMAGES, np.ones((6, 3)), verbose=0, epochs=2, callbacks=[callback])
    assert sorted(step for tag, step in events(tmp_path) if tag == "heatmaps") == [1, 2]
    wrong = ExplainCallback(IMAGES[:2], tmp_path, layer="convv")
    other = Late()
    other.compile("sgd", "mse")
    with pytest.raises(gradcam.GradCamError, match="convv"):
        other.fit(IMAGES, np.ones((6, 3)), verbose=0, epochs=2, callbacks=[wrong])


def test_a_model_without_a_transformer_and_images_that_do_not_fit(tmp_path):
    with pytest.raises(ValueError, match=r"found no SpatialTransformer.*Add one, or leave"):
        fit(model_with(keras.layers.Conv2D(2, 3)), TransformerMonitor(IMAGES, tmp_path))
    with pytest.raises(ValueError, match="expected shape"):
        fit(model_with(stn()), TransformerMonitor(IMAGES[:, :8], tmp_path))


def test_heatmaps_are_those_of_the_weights_of_their_epoch(tmp_path):
    model = model_with(keras.layers.Conv2D(4, 3, activation="relu", name="conv"))
    callback = ExplainCallback(
        IMAGES[:3], tmp_path / "log", tmp_path / "png", target=LABELS[:3], layer="conv", alpha=0.4
    )
    fit(model, callback, epochs=2)
    found = events(tmp_path / "log")
    overlays = gradcam.explain(model, IMAGES[:3], target=LABELS[:3], layer="conv").overlay(
        IMAGES[:3], alpha=0.4
    )
    sheet = picture(found["heatmaps", 2])
    # By hand: each image six times as large, four pixels apart; two columns.
    for number, (row, column) in enumerate([(0, 0), (0, 1), (1, 0)]):
        top, left = 4 + 100 * row, 4 + 100 * column
        cell = sheet[top : top + 96, left : left + 96]
        assert np.abs(cell[::6, ::6].astype(int) - overlays[number]).max() <= 1
    assert (sheet[104:, 104:] == 255).all()
    assert not np.array_equal(picture(found["heatmaps", 0]), sheet)
    assert np.array_equal(read(tmp_path / "png" / "heatmaps-epoch-0002.png"), sheet)
    assert sorted(p.name for p in (tmp_path / "png").iterdir()) == [
        f"heatmaps-epoch-000{step}.png" for step in range(3)
    ]
    assert callback.explanation.layer == "conv"


def test_what_there_is_to_know_of_the_heatmaps_is_written_too(tmp_path):
    model = model_with(keras.layers.Conv2D(2, 3, activation="relu", bias_initializer="ones"))
    model.layers[-1].set_weights([np.full((392, 3), -1.0), np.zeros(3)])
    callback = ExplainCallback(IMAGES[:2] * 0, tmp_path, target=0)
    fit(model, callback)
    plugin, words = events(tmp_path)["heatmaps/warnings", 0]
    assert plugin == "text"
    assert b"image 1: everything in" in words.item()


def test_a_nan_in_the_weights_does_not_stop_the_training(tmp_path):
    model = model_with(keras.layers.Conv2D(2, 3, name="conv"))

    class Break(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.get_layer("conv").bias.assign([np.nan, 0])

    with pytest.warns(
        UserWarning, match="wrote nothing after epoch 1: .*NaN.*training goes on"
    ) as caught:
        fit(model, Break(), ExplainCallback(IMAGES[:2], tmp_path), epochs=3)
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"images": IMAGES[:0]}, r"Received 0 images to watch. Expected 1 to 64"),
        ({"images": np.zeros((65, 8, 8, 1))}, r"Received 65 images"),
        ({"images": [IMAGES, IMAGES]}, r"several inputs.*Give pictures="),
        ({"images": {"a": IMAGES}}, r"several inputs.*Give pictures="),
        ({"log_dir": None}, r"log_dir=None. Expected the path of a folder"),
        ({"folder": 3}, r"folder=3. Expected the path of a folder"),
        ({"every": True}, r"every=True. Expected a whole number from 1"),
        ({"unit": "step"}, r"unit='step'. Expected 'epoch' or 'batch'"),
    ],
)
def test_wrong_arguments_of_the_explain_callback(arguments, words):
    with pytest.raises(gradcam.GradCamError, match=words):
        ExplainCallback(**{"images": IMAGES, "log_dir": "log", **arguments})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"layer": "convv"}, r"no layer 'convv'"),
        ({"method": "gradcm"}, r"gradcm"),
        ({"target": 7}, r"7"),
        ({"alpha": 2}, r"alpha=2"),
        ({"images": IMAGES[:, :8]}, r"don't fit"),
    ],
)
def test_wrong_options_are_found_before_the_first_batch(tmp_path, arguments, words):
    model = model_with(keras.layers.Conv2D(2, 3, name="conv"))
    before = model.get_weights()
    with pytest.raises(gradcam.GradCamError, match=words):
        fit(model, ExplainCallback(**{"images": IMAGES, "log_dir": tmp_path, **arguments}))
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_every_sentence_about_callbacks_is_tested():
    text = Path(__file__).read_text(encoding="utf-8")
    words = {
        "callback-folder": "can't write .*Expected folders",
        "callback-pictures": "several inputs.*Give pictures=",
        "callback-count": "images to watch. Expected 1 to 64",
        "callback-skipped": "wrote nothing after epoch 1: ",
    }
    assert set(words) == set(about_callbacks.WORDS)
    for code, said in words.items():
        # Once here, and once in the test that provokes it.
        assert text.count(said) >= 2, code
