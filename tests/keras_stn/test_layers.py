"""The layers as Keras users meet them: one by one, combined, and in every kind of model."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_stn
from keras_stn.transforms import FAMILIES, ThinPlateSpline
from tests.support.conformance import check_layer

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.random((4, 12, 10, 3)).astype("float32")


def theta_near_identity(family, batch=4, spread=0.05):
    identity = keras_stn.transforms.get(family).identity
    return (identity + spread * RANDOM.standard_normal((batch, len(identity)))).astype("float32")


@pytest.mark.parametrize("family", FAMILIES)
def test_grid_generator_conforms(family):
    arguments = {"transform": family, "output_size": (5, 7), "align_corners": False}
    check_layer(keras_stn.GridGenerator, arguments, theta_near_identity(family))


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"interpolation": "bicubic", "fill_mode": "reflect", "align_corners": False},
        {"fill_mode": "nearest", "data_format": "channels_first"},
        {"interpolation": "nearest", "fill_value": 0.5},
    ],
    ids=str,
)
def test_grid_sampler_conforms(arguments):
    grid = RANDOM.uniform(-0.9, 0.9, (4, 6, 5, 2)).astype("float32")
    check_layer(keras_stn.GridSampler, arguments, IMAGES, grid)


@pytest.mark.parametrize("family", FAMILIES)
def test_theta_regression_conforms(family):
    features = RANDOM.random((4, 8)).astype("float32")
    arguments = {"transform": family, "step_size": 0.5, "limit": 0.3, "penalty": 0.1}
    check_layer(keras_stn.ThetaRegression, arguments, features)


@pytest.mark.parametrize("family", FAMILIES)
def test_spatial_transformer_conforms(family):
    arguments = {"transform": family, "output_size": [6, 8]}
    check_layer(keras_stn.SpatialTransformer, arguments, IMAGES)


def own_localization(family="affine", shape=(12, 10, 3)):
    inputs = keras.Input(shape)
    features = keras.layers.Flatten()(keras.layers.AveragePooling2D(2)(inputs))
    theta = keras_stn.ThetaRegression(family, name="theta")(features)
    return keras.Model(inputs, theta, name="where")


def test_spatial_transformer_with_every_argument_conforms():
    arguments = {
        "transform": "similarity",
        "localization": own_localization("similarity"),
        "output_size": 7,
        "interpolation": "bicubic",
        "fill_mode": "reflect",
        "fill_value": 0.0,
        "align_corners": False,
        "data_format": "channels_last",
    }
    layer = keras_stn.SpatialTransformer(**arguments)
    config = layer.get_config()
    again = keras_stn.SpatialTransformer.from_config(config)
    for name, value in arguments.items():
        if name not in ("transform", "localization"):
            assert getattr(again, name) == value
    assert again.localization.name == "where"
    assert config["transform"] == "similarity"
    np.testing.assert_allclose(again(IMAGES), layer(IMAGES), atol=1e-6)


def test_get_config_returns_what_was_given():
    assert keras_stn.SpatialTransformer().get_config()["localization"] is None
    assert keras_stn.SpatialTransformer("tps").get_config()["transform"] == "tps"
    layer = keras_stn.SpatialTransformer(ThinPlateSpline(3, 5), output_size=4)
    layer(IMAGES)
    config = layer.get_config()
    assert config["output_size"] == 4
    assert config["localization"] is None
    again = keras_stn.SpatialTransformer.from_config(config)
    assert (again.transform.rows, again.transform.cols) == (3, 5)


@pytest.mark.parametrize("size", [np.int64(4), np.array([4, 5]), [4, 5], (4, 5)])
def test_sizes_of_numpy_are_saved_as_numbers(size):
    config = keras_stn.GridGenerator(output_size=size).get_config()
    assert config["output_size"] in (4, [4, 5], (4, 5))
    assert "int64" not in repr(config["output_size"])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("align_corners", [True, False])
def test_starts_at_the_identity(family, align_corners):
    layer = keras_stn.SpatialTransformer(family, align_corners=align_corners)
    np.testing.assert_allclose(layer(IMAGES), IMAGES, atol=2e-6)


def test_the_parts_add_up_to_the_whole():
    layer = keras_stn.SpatialTransformer("affine", output_size=(9, 11), fill_mode="nearest")
    layer(IMAGES)
    theta = theta_near_identity("affine", spread=0.3)
    grid = keras_stn.GridGenerator("affine", (9, 11))(theta)
    parts = keras_stn.GridSampler(fill_mode="nearest")([IMAGES, grid])
    np.testing.assert_array_equal(layer.warp(IMAGES, theta), parts)
    np.testing.assert_array_equal(layer.grid(theta), grid)
    np.testing.assert_array_equal(layer.theta(IMAGES), np.tile(layer.transform.identity, (4, 1)))


@pytest.mark.parametrize("shape", [(None, None, 3), (None, 10, 3), (12, None, 3)])
def test_unknown_sizes(shape):
    inputs = keras.Input(shape)
    layer = keras_stn.SpatialTransformer("affine")
    model = keras.Model(inputs, layer(inputs))
    assert model.output_shape == (None, *shape)
    np.testing.assert_allclose(model.predict(IMAGES, verbose=0), IMAGES, atol=1e-6)
    if shape[:2] == (None, None):
        other = RANDOM.random((2, 9, 31, 3)).astype("float32")
        np.testing.assert_allclose(model.predict(other, verbose=0), other, atol=1e-6)


def test_grid_of_a_layer_for_images_of_any_size_asks_for_the_size():
    inputs = keras.Input((None, None, 3))
    layer = keras_stn.SpatialTransformer("rotation")
    keras.Model(inputs, layer(inputs))
    theta = np.zeros((1, 1), "float32")
    with pytest.raises(
        ValueError, match=r"isn't known here. Call grid\(theta, size=\(height, width\)"
    ):
        layer.grid(theta)
    assert layer.grid(theta, size=(4, 5)).shape == (1, 4, 5, 2)


@pytest.mark.parametrize("shape", [(1, 9, 2), (9, 1, 2), (1, 1, 1), (2, 3, 1)])
def test_tiny_images(shape):
    images = RANDOM.random((3, *shape)).astype("float32")
    for align_corners in (True, False):
        layer = keras_stn.SpatialTransformer("affine", align_corners=align_corners)
        np.testing.assert_allclose(layer(images), images, atol=1e-6)


def test_channels_first_gives_the_transposed_result():
    theta = theta_near_identity("affine", spread=0.3)
    last = keras_stn.SpatialTransformer("affine", output_size=5)
    first = keras_stn.SpatialTransformer("affine", output_size=5, data_format="channels_first")
    moved = IMAGES.transpose(0, 3, 1, 2)
    assert first(moved).shape == (4, 3, 5, 5)
    expected = np.asarray(last.warp(IMAGES, theta)).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(first.warp(moved, theta), expected)


def test_data_format_defaults_to_that_of_keras():
    keras.config.set_image_data_format("channels_first")
    assert keras_stn.GridSampler().data_format == "channels_first"
    assert keras_stn.SpatialTransformer()(np.zeros((1, 3, 8, 9), "float32")).shape == (1, 3, 8, 9)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float64", "float16"])
def test_images_are_cast_to_the_compute_type(dtype):
    images = (IMAGES * 200).astype(dtype)
    inputs = keras.Input(images.shape[1:], dtype=dtype)
    model = keras.Model(inputs, keras_stn.SpatialTransformer()(inputs))
    assert model.output.dtype == "float32"
    np.testing.assert_allclose(
        model.predict(images, verbose=0), images.astype("float32"), atol=1e-4
    )


def test_grids_keep_their_precision_under_a_mixed_policy():
    keras.config.set_dtype_policy("mixed_float16")
    theta = theta_near_identity("affine")
    inputs, given = keras.Input((224, 224, 1)), keras.Input((6,))
    grid = keras_stn.GridGenerator("affine", 224)(given)
    assert grid.dtype == "float32"
    model = keras.Model([inputs, given], keras_stn.GridSampler()([inputs, grid]))
    assert model.output.dtype == "float16"
    # A ramp shows where each pixel was read: half precision would misplace it by a twentieth of a pixel.
    ramp = np.broadcast_to(np.linspace(0, 1, 224)[None, None, :, None], (4, 224, 224, 1))
    found = model.predict([ramp, theta], verbose=0).astype("float64")
    keras.config.set_dtype_policy("float32")
    expected = keras_stn.sample(ramp, keras_stn.GridGenerator("affine", 224)(theta)).numpy()
    assert np.abs(found - expected).max() < 1e-3


def test_time_distributed():
    inputs = keras.Input((5, 12, 10, 3))
    layer = keras_stn.SpatialTransformer("attention", output_size=(6, 5))
    model = keras.Model(inputs, keras.layers.TimeDistributed(layer)(inputs))
    clips = RANDOM.random((2, 5, 12, 10, 3)).astype("float32")
    assert model.output_shape == (None, 5, 6, 5, 3)
    expected = layer(clips.reshape(10, 12, 10, 3)).numpy().reshape(2, 5, 6, 5, 3)
    np.testing.assert_allclose(model.predict(clips, verbose=0), expected, atol=1e-6)
    keras.config.set_dtype_policy("mixed_float16")
    inputs = keras.Input((5, 12, 10, 3), dtype="uint8")
    half = keras.layers.TimeDistributed(keras_stn.SpatialTransformer("attention"))(inputs)
    model = keras.Model(inputs, half)
    clips = (clips * 255).astype("uint8")
    np.testing.assert_allclose(model.predict(clips, verbose=0), clips, atol=0.5)


@pytest.mark.slow  # trains three networks
def test_several_transformers_in_series_in_parallel_and_nested():
    inputs = keras.Input((12, 10, 3))
    first = keras_stn.SpatialTransformer("rotation", name="first")(inputs)
    left = keras_stn.SpatialTransformer("attention", output_size=6, name="left")(first)
    right = keras_stn.SpatialTransformer("tps", output_size=6, name="right")(first)
    inner_inputs = keras.Input((6, 6, 6))
    inner = keras.Model(
        inner_inputs, keras_stn.SpatialTransformer("scale")(inner_inputs), name="inner"
    )
    joined = inner(keras.layers.Concatenate()([left, right]))
    outputs = keras.layers.Dense(2)(keras.layers.Flatten()(joined))
    model = keras.Model(inputs, outputs)
    model.compile("adam", "mse")
    names = {v.path for v in model.trainable_variables}
    assert len(names) == len(model.trainable_variables)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(IMAGES, training=True) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    assert not [
        v.path for v, g in zip(model.trainable_variables, gradients, strict=True) if g is None
    ]
    model.fit(IMAGES, np.zeros((4, 2)), epochs=2, verbose=0)


def test_one_localization_network_for_two_transformers():
    shared = own_localization()
    inputs = keras.Input((12, 10, 3))
    a = keras_stn.SpatialTransformer("affine", shared, fill_mode="nearest")(inputs)
    b = keras_stn.SpatialTransformer("affine", shared, fill_mode="reflect")(inputs)
    model = keras.Model(inputs, keras.layers.Add()([a, b]))
    assert len(model.trainable_variables) == 2
    np.testing.assert_allclose(model.predict(IMAGES, verbose=0), 2 * IMAGES, atol=1e-6)


def test_inside_a_sequential_and_a_subclassed_model():
    class Network(keras.Model):
        def __init__(self):
            super().__init__()
            self.look = keras_stn.SpatialTransformer("affine", output_size=6)
            self.head = keras.layers.Dense(2)

        def call(self, images):
            return self.head(keras.ops.reshape(self.look(images), (-1, 6 * 6 * 3)))

    sequential = keras.Sequential(
        [
            keras_stn.SpatialTransformer("affine", output_size=6),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )
    for model in (Network(), sequential):
        model.compile("adam", "mse")
        model.fit(IMAGES, np.zeros((4, 2)), batch_size=3, verbose=0)
        assert model.predict(IMAGES, verbose=0).shape == (4, 2)


def test_localization_by_a_plain_layer_and_by_a_sequential():
    plain = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(6)])
    layer = keras_stn.SpatialTransformer("affine", plain)
    inputs = keras.Input((12, 10, 3))
    model = keras.Model(inputs, layer(inputs))
    assert len(model.trainable_variables) == 2
    assert layer.theta(IMAGES).shape == (4, 6)


def test_localization_by_a_model_with_a_list_of_one_output(tmp_path):
    images = keras.Input((8, 8, 1))
    theta = keras_stn.ThetaRegression("scale")(keras.layers.Flatten()(images))
    network = keras.Model(images, [theta])
    layer = keras_stn.SpatialTransformer("scale", localization=network)
    model = keras.Sequential([keras.Input((8, 8, 1)), layer])
    pictures = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype("float32")
    np.testing.assert_array_equal(model(pictures), pictures)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(pictures), pictures)


@pytest.mark.parametrize("own", [False, True])
def test_a_layer_that_is_made_untrainable_keeps_its_network_from_learning(own):
    network = keras_stn.localization_network((16, 16, 1)) if own else None
    layer = keras_stn.SpatialTransformer(localization=network, trainable=False)
    model = keras.Sequential([keras.Input((16, 16, 1)), layer, keras.layers.Flatten()])
    assert model.trainable_variables == []
    layer.trainable = True
    assert model.trainable_variables


def test_nearest_interpolation_warns_that_localization_cannot_learn():
    layer = keras_stn.SpatialTransformer("affine", interpolation="nearest")
    with pytest.warns(UserWarning, match="can't learn.*Use 'bilinear', or set trainable=False"):
        layer(keras.Input((12, 10, 3)))


@pytest.mark.parametrize("frozen", ["network", "layer"])
def test_nearest_interpolation_is_fine_with_a_frozen_localization_network(frozen):
    # Warnings are errors here.
    network = own_localization()
    network.trainable = frozen != "network"
    layer = keras_stn.SpatialTransformer(
        "affine", network, interpolation="nearest", trainable=frozen != "layer"
    )
    layer(IMAGES)


def test_inverse_grid_leads_back():
    layer = keras_stn.SpatialTransformer("similarity", output_size=8)
    layer(IMAGES)
    theta = np.array([[0.5, 0.3, 0.1, -0.2]], "float32")
    inverse = layer.inverse_grid(theta, (12, 10)).numpy()
    assert inverse.shape == (1, 12, 10, 2)
    seen = np.isfinite(inverse).all(axis=-1)
    assert 0.15 < seen.mean() < 0.4, "half the size in each direction shows about a quarter"
    points = inverse[seen]
    matrix = layer.transform.matrix(theta).numpy()[0]
    back = points @ matrix[:2, :2].T + matrix[:2, 2]
    x, y = np.meshgrid(np.linspace(-1, 1, 10), np.linspace(-1, 1, 12))
    np.testing.assert_allclose(back, np.stack([x, y], -1)[seen[0]], atol=1e-5)
