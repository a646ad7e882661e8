"""The same results however a model is run."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_stn

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.random((6, 14, 11, 3)).astype("float32")
TARGETS = RANDOM.random((6, 2)).astype("float32")
THETA = ([1, 0, 0, 0, 1, 0] + 0.2 * RANDOM.standard_normal((6, 6))).astype("float32")


def warp_and_gradients(images, theta):
    layer = keras_stn.SpatialTransformer("affine", output_size=(9, 8), fill_mode="reflect")
    with tf.GradientTape() as tape:
        tape.watch([images, theta])
        outputs = layer.warp(images, theta)
        loss = tf.reduce_sum(outputs**2)
    return outputs, *tape.gradient(loss, [images, theta])


WAYS = {
    "graph": tf.function(warp_and_gradients),
    "graph of unknown sizes": tf.function(
        warp_and_gradients,
        input_signature=[tf.TensorSpec([None, None, None, 3]), tf.TensorSpec([None, 6])],
    ),
    "jit": tf.function(warp_and_gradients, jit_compile=True),
    "jit in a graph": tf.function(tf.function(warp_and_gradients, jit_compile=True)),
}


@pytest.mark.parametrize("way", WAYS)
def test_graph_and_jit_agree_with_eager(way):
    arrays = tf.constant(IMAGES), tf.constant(THETA)
    expected = warp_and_gradients(*arrays)
    for found, wanted in zip(WAYS[way](*arrays), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def make_model(seed=1):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((14, 11, 3))
    features = keras.layers.Conv2D(4, 3, padding="same", activation="tanh")(inputs)
    looked = keras_stn.SpatialTransformer("affine", output_size=(9, 8))(features)
    return keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(looked)))


def train(**options):
    model = make_model()
    model.compile(keras.optimizers.SGD(0.05), "mse", **options)
    history = model.fit(IMAGES, TARGETS, batch_size=4, epochs=3, shuffle=False, verbose=0)
    return history.history["loss"], model.predict(IMAGES, verbose=0)


@pytest.fixture(scope="module")
def trained_by_default():
    return train(jit_compile="auto")


@pytest.mark.parametrize("options", [{"run_eagerly": True}, {"jit_compile": True}], ids=str)
def test_fit_learns_the_same_as_by_default(options, trained_by_default):
    # Six images in batches of four: the last batch is smaller.
    losses, outputs = trained_by_default
    assert losses[-1] < losses[0]
    other_losses, other_outputs = train(**options)
    np.testing.assert_allclose(other_losses, losses, rtol=1e-4)
    np.testing.assert_allclose(other_outputs, outputs, rtol=1e-3, atol=1e-4)


def test_in_a_data_pipeline():
    layer = keras_stn.SpatialTransformer("affine", output_size=7)
    layer.build((None, 14, 11, 3))
    data = tf.data.Dataset.from_tensor_slices((IMAGES, THETA)).batch(4).map(layer.warp)
    found = np.concatenate(list(data.as_numpy_iterator()))
    np.testing.assert_allclose(found, layer.warp(IMAGES, THETA), atol=1e-6)
    single = tf.data.Dataset.from_tensor_slices(IMAGES).map(lambda image: layer(image[None])[0])
    assert np.stack(list(single.as_numpy_iterator())).shape == (6, 7, 7, 3)


def test_on_two_replicas_as_on_one(two_replicas, trained_by_default):
    losses, outputs = trained_by_default
    assert two_replicas.num_replicas_in_sync == 2
    with two_replicas.scope():
        model = make_model()
        model.compile(keras.optimizers.SGD(0.05), "mse")
    data = tf.data.Dataset.from_tensor_slices((IMAGES, TARGETS)).batch(4)
    history = model.fit(data, epochs=3, shuffle=False, verbose=0)
    np.testing.assert_allclose(history.history["loss"], losses, rtol=1e-3)
    np.testing.assert_allclose(model.predict(IMAGES, verbose=0), outputs, rtol=1e-2, atol=1e-3)


def test_a_network_that_starts_with_the_transformer_does_not_compute_the_gradient_of_its_images():
    inputs = keras.Input((14, 11, 3))
    looked = keras_stn.SpatialTransformer("affine", output_size=(9, 8))(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(looked)))

    def step(images):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(images) ** 2)
        return tape.gradient(loss, model.trainable_variables)

    graph = tf.function(step).get_concrete_function(tf.TensorSpec([6, 14, 11, 3])).graph
    needed = {op.name for op in _ancestors(graph.outputs)}
    assert any(
        "slope" in name or "slope" in str(graph.get_operation_by_name(name).node_def)
        for name in needed
    )
    assert not any(
        "keras_stn_spread" in str(graph.get_operation_by_name(name).node_def) for name in needed
    )


def _ancestors(tensors):
    found, waiting = set(), [t.op for t in tensors]
    while waiting:
        operation = waiting.pop()
        if operation not in found:
            found.add(operation)
            waiting += [i.op for i in operation.inputs] + list(operation.control_inputs)
    return found


def test_one_trace_serves_all_batches():
    layer = keras_stn.SpatialTransformer("affine")
    layer(IMAGES)
    from keras_stn import sampler  # noqa: PLC0415

    traces = sampler._compiled.cache_info().currsize
    for batch in (1, 2, 5):
        layer(IMAGES[:batch])
    layer(RANDOM.random((2, 14, 11, 3)).astype("float32"))
    assert sampler._compiled.cache_info().currsize == traces
