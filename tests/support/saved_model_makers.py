"""SavedModels of every kind, made by what people make them with."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1


class Conv(tf.Module):
    """A convolution in plain TensorFlow."""

    def __init__(self, channels, filters, name, dtype=tf.float32):
        super().__init__(name=name)
        values = np.random.default_rng(filters).normal(size=(3, 3, channels, filters))
        self.kernel = tf.Variable(tf.cast(values, dtype), name="kernel")

    @tf.Module.with_name_scope
    def __call__(self, images):
        return tf.nn.relu(tf.nn.conv2d(images, self.kernel, 1, "SAME"))


class Net(tf.Module):
    """Two convolutions, the mean, three classes."""

    def __init__(self, channels=3, dtype=tf.float32):
        super().__init__()
        self.first = Conv(channels, 4, "first", dtype)
        self.second = Conv(4, 5, "second", dtype)
        values = np.random.default_rng(1).normal(size=(5, 3))
        self.head = tf.Variable(tf.cast(values, dtype), name="head")

    def scores(self, images):
        features = self.second(self.first(images))
        return tf.reduce_mean(features, (1, 2)) @ self.head


def spec(channels=3, dtype=tf.float32, size=8, batch=None):
    return tf.TensorSpec((batch, size, size, channels), dtype, name="images")


def save_module(folder, function, module=None, signature_spec=None, **options):
    """Save `function(net, images)` of a module as its serving signature."""
    module = module or Net()
    traced = tf.function(lambda images: function(module, images))
    concrete = traced.get_concrete_function(signature_spec or spec())
    tf.saved_model.save(module, str(folder), signatures=concrete, **options)
    return module


def save_graph(folder, build, frozen=False):
    """Save a graph of TensorFlow 1: `build(images)` returns the outputs by name."""
    graph = tf.Graph()
    with graph.as_default(), v1.Session() as session:
        images = v1.placeholder(tf.float32, (None, 8, 8, 3), name="images")
        outputs = build(images)
        session.run(v1.global_variables_initializer())
        if frozen:
            names = [tensor.op.name for tensor in outputs.values()]
            definition = v1.graph_util.convert_variables_to_constants(
                session, graph.as_graph_def(), names
            )
            inner = tf.Graph()
            with inner.as_default(), v1.Session() as other:
                tf.import_graph_def(definition, name="")
                images = inner.get_tensor_by_name("images:0")
                outputs = {key: inner.get_tensor_by_name(t.name) for key, t in outputs.items()}
                return _build(folder, other, images, outputs)
        return _build(folder, session, images, outputs)


def _build(folder, session, images, outputs):
    builder = v1.saved_model.Builder(str(folder))
    signature = v1.saved_model.predict_signature_def({"images": images}, outputs)
    builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
    builder.save()


def graph_net(images):
    """Two convolutions in scopes of TensorFlow 1, with both kinds of variables."""
    features = images
    for number, is_resource in enumerate((False, True)):
        with v1.variable_scope(f"conv{number + 1}"):
            shape = (3, 3, features.shape[-1], 4)
            weights = v1.get_variable("weights", shape, use_resource=is_resource)
            features = tf.nn.relu(tf.nn.conv2d(features, weights, 1, "SAME"))
    with v1.variable_scope("logits"):
        weights = v1.get_variable("weights", (4, 3))
        scores = tf.matmul(tf.reduce_mean(features, (1, 2)), weights)
    return {"probabilities": tf.nn.softmax(scores, name="probabilities")}


def keras_2(script, **variables):
    """Run a script with Keras 2, in a process of its own."""
    lines = [
        "import os; os.environ['TF_USE_LEGACY_KERAS'] = '1'",
        "import numpy as np",
        "import tf_keras as keras",
        "layers = keras.layers",
        *(f"{name} = {str(value)!r}" for name, value in variables.items()),
    ]
    text = "\n".join([*lines, textwrap.dedent(script)])
    done = subprocess.run([sys.executable, "-c", text], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
