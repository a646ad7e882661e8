"""What every layer of this repository must do, checked in one place."""

import json

import keras
import numpy as np
import tensorflow as tf


def check_layer(layer_class, arguments, *inputs, learns=True):
    """Runs all checks on a layer made of `arguments` and called on one or several arrays."""
    layer = layer_class(**arguments)
    outputs = layer(_single(inputs))
    _check_config(layer_class, layer, arguments)
    _check_symbolic(layer_class, arguments, inputs, outputs)
    _check_dtypes(layer_class, arguments, inputs)
    model = _model(layer_class(**arguments), inputs)
    _check_model(model, inputs)
    if learns:
        _check_training(model, inputs)


def _single(inputs):
    return inputs[0] if len(inputs) == 1 else list(inputs)


def _placeholders(inputs, batch=None):
    return [keras.Input(i.shape[1:], batch_size=batch, dtype=str(i.dtype)) for i in inputs]


def _model(layer, inputs):
    placeholders = _placeholders(inputs)
    return keras.Model(placeholders, layer(_single(placeholders)))


def _same(first, second):
    np.testing.assert_allclose(np.asarray(first), np.asarray(second), rtol=1e-6, atol=1e-6)


def _check_config(layer_class, layer, arguments):
    config = layer.get_config()
    for name, value in arguments.items():
        assert _plain(config[name]) == _plain(value), (
            f"{name} changed on its way through get_config"
        )
    again = layer_class.from_config(config)
    assert _plain(again.get_config()) == _plain(config)
    serialized = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    assert serialized["registered_name"] == f"keras_stn>{layer_class.__name__}"
    revived = keras.saving.deserialize_keras_object(serialized)
    assert type(revived) is layer_class
    assert _plain(revived.get_config()) == _plain(config)


def _plain(value):
    if isinstance(value, keras.layers.Layer):
        value = keras.saving.serialize_keras_object(value)
    return json.loads(json.dumps(value))


def _check_symbolic(layer_class, arguments, inputs, outputs):
    for batch in (None, len(inputs[0])):
        symbolic = layer_class(**arguments)(_single(_placeholders(inputs, batch)))
        assert symbolic.shape == (batch, *outputs.shape[1:])
        assert symbolic.dtype == keras.backend.standardize_dtype(outputs.dtype)
    shapes = [i.shape for i in inputs]
    expected = layer_class(**arguments).compute_output_shape(_single(shapes))
    assert tuple(expected) == tuple(outputs.shape)


def _check_dtypes(layer_class, arguments, inputs):
    exact = None
    for policy in ("float64", "float32", "mixed_float16", "mixed_bfloat16"):
        layer = layer_class(**arguments, dtype=policy)
        outputs = layer(_single(inputs))
        symbolic = layer_class(**arguments, dtype=policy)(_single(_placeholders(inputs)))
        assert symbolic.dtype == keras.backend.standardize_dtype(outputs.dtype), policy
        assert all(v.dtype in ("float32", "float64") for v in layer.variables), policy
        outputs = np.asarray(tf.cast(outputs, tf.float64))
        exact = outputs if exact is None else exact
        tolerance = {"mixed_float16": 2e-3, "mixed_bfloat16": 2e-2}.get(policy, 1e-5)
        np.testing.assert_allclose(outputs, exact, atol=tolerance, rtol=tolerance, err_msg=policy)


def _check_model(model, inputs):
    expected = model(list(inputs))
    _same(model.predict(list(inputs), verbose=0), expected)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    _same(clone(list(inputs)), expected)
    empty = [i[:0] for i in inputs]
    assert tuple(model(empty).shape) == (0, *expected.shape[1:])


def _check_training(model, inputs):
    flat = keras.layers.Flatten()(model.output)
    trained = keras.Model(model.inputs, keras.layers.Dense(1)(flat))
    trained.compile(keras.optimizers.SGD(0.01), "mse")
    before = [np.array(w) for w in trained.get_weights()]
    loss = trained.train_on_batch(list(inputs), np.ones((len(inputs[0]), 1), "float32"))
    assert np.isfinite(loss)
    after = trained.get_weights()
    assert any((a != b).any() for a, b in zip(after, before, strict=True))
    assert all(np.isfinite(a).all() for a in after)
