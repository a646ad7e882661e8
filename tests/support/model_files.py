"""Model files as Keras 2 writes them. Run as a program: `python tests/support/model_files.py FOLDER`.

It runs in a process of its own, because tf_keras and Keras 3 share names. For each model there are
`NAME.h5`, `NAME.keras` where Keras 2 can write one, and `NAME.npz` with inputs and outputs.
"""

# ruff: noqa: C901, PLC0415 - a list of models; tf_keras is only there in the process of its own

import json
import os
import shutil
import sys
import warnings
import zipfile
from pathlib import Path

import h5py
import numpy as np


def read_config(path):
    """The config in a file, as JSON."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("config.json"))
    with h5py.File(path) as file:
        return json.loads(file.attrs["model_config"])


def with_config(path, target, config, version=None):
    """A copy of a file with another config, and written by another version."""
    shutil.copy(path, target)
    if not zipfile.is_zipfile(path):
        with h5py.File(target, "r+") as file:
            file.attrs["model_config"] = json.dumps(config).encode()
            if version:
                file.attrs["keras_version"] = version
        return target
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(target, "w") as copy:
        for name in archive.namelist():
            content = archive.read(name)
            if name == "config.json":
                content = json.dumps(config).encode()
            if name == "metadata.json" and version:
                content = json.dumps({"keras_version": version}).encode()
            copy.writestr(name, content)
    return target


def entries(value):
    """Every object in a config: what has a class name."""
    if isinstance(value, dict):
        if "class_name" in value:
            yield value
        for part in list(value.values()):
            yield from entries(part)
    elif isinstance(value, list):
        for part in value:
            yield from entries(part)


def build():
    """Every model, by name, with its inputs."""
    import tensorflow as tf
    import tf_keras
    from tf_keras import backend, layers

    tf.random.set_seed(0)
    from tf_keras.src.applications import densenet, efficientnet, resnet

    def functional(inputs, outputs, **options):
        return tf_keras.Model(inputs, outputs, **options)

    def mobile(name):
        images = tf_keras.Input((16, 16, 3))
        x = layers.ZeroPadding2D(((0, 1), (0, 1)), name="Conv1_pad")(images)
        x = layers.Conv2D(8, 3, strides=2, use_bias=False, name="Conv1")(x)
        x = layers.BatchNormalization(name="bn_Conv1")(x)
        x = layers.ReLU(6.0, name="Conv1_relu")(x)
        y = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(x)
        y = layers.BatchNormalization(name="depthwise_BN")(y)
        x = layers.Add(name="block_add")([x, y])
        return functional(images, x, name=name)

    def teachable_machine():
        features = tf_keras.Sequential(
            [mobile("model1"), layers.GlobalAveragePooling2D(name="global_average_pooling2d_1")],
            name="sequential_1",
        )
        head = tf_keras.Sequential(
            [
                layers.Dense(6, activation="relu", input_shape=(8,), name="dense_1"),
                layers.Dense(3, activation="softmax", use_bias=False, name="dense_2"),
            ],
            name="sequential_3",
        )
        return tf_keras.Sequential([features, head], name="sequential_4")

    def frozen_backbone():
        backbone = mobile("backbone")
        backbone.trainable = False
        backbone.layers[-1].trainable = True
        images = tf_keras.Input((16, 16, 3), name="images")
        x = layers.Rescaling(1 / 127.5, offset=-1)(images)
        x = backbone(x, training=False)
        x = layers.GlobalMaxPooling2D()(x)
        x = layers.Dropout(0.2)(x)
        return functional(images, layers.Dense(2)(x))

    def shared():
        encoder = tf_keras.Sequential(
            [layers.Conv2D(4, 3, input_shape=(8, 8, 3), name="conv"), layers.Flatten()], name="twin"
        )
        other = functional(encoder.inputs, layers.Dense(3, name="head")(encoder.outputs[0]))
        left, right = tf_keras.Input((8, 8, 3), name="l"), tf_keras.Input((8, 8, 3), name="r")
        a, b = encoder(left), encoder(right)
        near = layers.Dot(1, normalize=True)([a, b])
        apart = layers.Subtract()([other(left), other(right)])
        return functional([left, right], layers.Concatenate()([near, apart]))

    def unet():
        images = tf_keras.Input((16, 16, 1))
        down = layers.Conv2D(4, 3, padding="same", activation="relu")(images)
        x = layers.MaxPooling2D()(down)
        x = layers.SeparableConv2D(8, 3, padding="same", activation="swish")(x)
        x = layers.SpatialDropout2D(0.1)(x)
        x = layers.Conv2DTranspose(4, 2, strides=2, padding="same")(x)
        up = layers.UpSampling2D(interpolation="bilinear")(layers.AveragePooling2D()(x))
        x = layers.concatenate([down, x, up], axis=3)
        return functional(images, layers.Conv2D(3, 1, activation="softmax", name="mask")(x))

    def two_outputs():
        images = tf_keras.Input((8, 8, 3), name="image")
        regularizer = tf_keras.regularizers.l1_l2(1e-4, 1e-3)
        x = layers.Conv2D(
            4, 3, kernel_regularizer=regularizer, kernel_constraint=tf_keras.constraints.MaxNorm(2)
        )(images)
        x = layers.PReLU(shared_axes=[1, 2])(layers.LeakyReLU(0.2)(x))
        x = layers.LayerNormalization(axis=[-1])(x)
        x = layers.GlobalAveragePooling2D()(x)
        model = functional(images, [layers.Dense(2, name="a")(x), layers.Dense(3, name="b")(x)])
        model.compile(tf_keras.optimizers.legacy.Adam(1e-3), "mse")
        return model

    def recurrent():
        sequence = tf_keras.Input((5, 4))
        x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(sequence)
        x, state = layers.GRU(4, return_sequences=True, return_state=True)(x)
        x = layers.GRU(4, recurrent_activation="hard_sigmoid")(x, initial_state=state)
        x = layers.LSTM(3, recurrent_activation="hard_sigmoid")(layers.RepeatVector(2)(x))
        return functional(sequence, layers.Dense(2)(x))

    def attention():
        sequence = tf_keras.Input((6, 8))
        x = layers.MultiHeadAttention(2, 4)(sequence, sequence)
        x = layers.LayerNormalization()(layers.Add()([x, sequence]))
        x = layers.Attention(use_scale=True)([x, x])
        x = layers.TimeDistributed(layers.Dense(3, activation="gelu"))(x)
        return functional(sequence, layers.GlobalAveragePooling1D()(x))

    def video():
        frames = tf_keras.Input((3, 6, 6, 2))
        x = layers.ConvLSTM2D(3, 2)(frames)
        return functional(frames, layers.Dense(2)(layers.Flatten()(x)))

    def preprocessing():
        images = tf_keras.Input((12, 12, 3))
        x = layers.RandomFlip()(images)
        x = layers.RandomRotation(0.1)(x)
        x = layers.RandomHeight(0.1)(x)
        x = layers.Resizing(9, 9)(x)
        x = layers.CenterCrop(8, 8)(x)
        x = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0])(x)
        adapted = layers.Normalization(name="adapted")
        adapted.adapt(np.random.default_rng(5).normal(3, 2, size=(20, 8, 8, 3)))
        x = layers.Rescaling([0.5, 1.0, 2.0], offset=1.0)(adapted(x))
        x = layers.ThresholdedReLU(0.5)(layers.Conv2D(3, 3)(x))
        return functional(images, layers.GlobalAveragePooling2D()(x))

    def functions():
        images = tf_keras.Input((8, 8, 3), name="image")
        x = layers.Conv2D(4, 3, padding="same", name="conv")(images)
        x = tf.nn.relu6(x / 2.0 - [0.1, 0.2, 0.3, 0.4]) + x * 0.5
        x = 1.0 - tf.clip_by_value(x, -1.0, 2.0)
        x = tf.image.resize(x, (6, 6))
        x = tf.concat([x, tf.sigmoid(x)], axis=-1)[:, 1:, ::2, tf.newaxis, :]
        x = tf.squeeze(x, axis=3)
        x = tf.transpose(x, [0, 2, 1, 3])
        x = tf.pad(x, [[0, 0], [1, 1], [0, 0], [0, 0]])
        y = tf.nn.softmax(tf.reshape(tf.reduce_mean(x, axis=[1, 2], keepdims=True), (-1, 8)))
        a, b = tf.split(y, [3, 5], axis=1)
        z = tf.expand_dims(tf.math.l2_normalize(b, axis=1), 1)
        z = tf.cast(tf.stack([z, z], axis=1), "float32")
        z = tf.nn.leaky_relu(tf.reduce_max(z, axis=[1, 2]), alpha=0.3)
        a = tf.gather(a, [0, 2], axis=1)
        return functional(images, tf.maximum(tf.concat([tf.nn.gelu(a), tf.abs(z)], 1), 0.05))

    def nodes():
        from tf_keras.src.engine.base_layer import TensorFlowOpLayer

        def call(op, inputs, constants=None, **attributes):
            node = tf.compat.v1.NodeDef(name=op, op=op)
            node.attr["T"].type = tf.float32.as_datatype_enum
            for name, value in attributes.items():
                node.attr[name].CopyFrom(value)
            number = {"ConcatV2": 3}.get(op, 0)
            if number:
                node.attr["N"].i = number - 1
            node.input.extend(f"in{n}" for n in range(len(inputs) + len(constants or {})))
            inputs = inputs if len(inputs) > 1 else inputs[0]
            return TensorFlowOpLayer(node.SerializeToString(), op, constants=constants)(inputs)

        integers = tf.compat.v1.AttrValue(type=tf.int32.as_datatype_enum)
        true = tf.compat.v1.AttrValue(b=True)
        images = tf_keras.Input((8, 8, 3))
        x = layers.Conv2D(4, 3)(images)
        y = call("AddV2", [call("Mul", [x], {1: np.float32(2.0)}), x])
        y = call("Sub", [y], {0: np.float32(1.0)})
        y = call("ConcatV2", [call("Relu6", [y]), x], {2: np.int32(-1)}, Tidx=integers)
        y = call("Mean", [y], {1: np.array([1, 2], "int32")}, Tidx=integers, keep_dims=true)
        return functional(images, layers.Dense(2)(layers.Flatten()(y)))

    def several_outputs_twice():
        images = tf_keras.Input((8, 8, 3))
        x = layers.Conv2D(3, 3, padding="same", activation="relu")(images)
        inner = functional(images, [x, layers.GlobalAveragePooling2D()(x)], name="multi")
        images = tf_keras.Input((8, 8, 3))
        (a, b), (c, d) = inner(images), inner(layers.Rescaling(0.5)(images))
        return functional(images, [layers.Concatenate()([a, c]), layers.Add()([b, d])])

    def patches():
        images = tf_keras.Input((8, 8, 3))
        x = tf.reshape(layers.Conv2D(8, 4, strides=4)(images), (-1, 4, 8))
        x = x + layers.Embedding(4, 8)(tf.range(start=0, limit=4, delta=1))
        x = layers.MultiHeadAttention(2, 4, dropout=0.1)(x, x)
        return functional(images, layers.Dense(2)(layers.Flatten()(x)))

    def distributed():
        inner = tf_keras.Sequential([layers.Conv2D(2, 3, input_shape=(8, 8, 3)), layers.Flatten()])
        frames = tf_keras.Input((4, 8, 8, 3))
        x = layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)])(
            layers.TimeDistributed(inner)(frames)
        )
        return functional(frames, tf_keras.Sequential([layers.Dense(2, input_shape=(2,))])(x))

    def with_code():
        # As in a notebook: what they call are global names, not parts of a closure.
        names = {"K": backend, "tf": tf}
        halve = eval("lambda x: K.mean(x, axis=3, keepdims=True) / 2", names)
        depth = eval("lambda x, by: tf.nn.space_to_depth(x, by)", names)
        images = tf_keras.Input((8, 8, 3))
        x = layers.Conv2D(4, 3)(images)
        x = layers.Lambda(halve, name="halve")(x)
        x = layers.Lambda(depth, name="depth", arguments={"by": 2})(x)
        return functional(images, layers.Flatten()(x))

    class Halved(layers.Layer):
        def call(self, inputs):
            return inputs / 2.0

    def custom():
        return tf_keras.Sequential(
            [layers.Conv2D(2, 3, input_shape=(8, 8, 3)), Halved(name="half")]
        )

    def half():
        tf_keras.mixed_precision.set_global_policy("mixed_float16")
        images = tf_keras.Input((8, 8, 3))
        x = layers.Conv2D(4, 3, activation="relu")(images)
        x = layers.BatchNormalization()(x)
        x = layers.GlobalAveragePooling2D()(x)
        model = functional(images, layers.Dense(2, dtype="float32", activation="softmax")(x))
        tf_keras.mixed_precision.set_global_policy("float32")
        return model

    def old_initializers():
        return tf_keras.Sequential(
            [
                layers.Conv2D(
                    3,
                    3,
                    kernel_initializer=tf_keras.initializers.VarianceScaling(2.0),
                    activation=tf.nn.relu6,
                ),
                layers.Activation("hard_sigmoid"),
                layers.Flatten(),
                layers.Dense(4, kernel_initializer="identity", activation=tf.nn.softmax),
            ]
        )

    models = {
        "teachable_machine": teachable_machine(),
        "frozen_backbone": frozen_backbone(),
        "shared": shared(),
        "unet": unet(),
        "two_outputs": two_outputs(),
        "recurrent": recurrent(),
        "attention": attention(),
        "video": video(),
        "preprocessing": preprocessing(),
        "functions": functions(),
        "nodes": nodes(),
        "several_outputs_twice": several_outputs_twice(),
        "patches": patches(),
        "distributed": distributed(),
        "lambda": with_code(),
        "custom": custom(),
        "half": half(),
        "unbuilt_sequential": old_initializers(),
        "mobilenet": tf_keras.applications.MobileNet(
            (32, 32, 3), alpha=0.25, weights=None, classes=3, classifier_activation=None
        ),
        "mobilenetv2": tf_keras.applications.MobileNetV2(
            (32, 32, 3), alpha=0.35, weights=None, classes=3, classifier_activation=None
        ),
        "mobilenetv3": tf_keras.applications.MobileNetV3Small(
            (32, 32, 3),
            alpha=0.25,
            minimalistic=False,
            weights=None,
            classes=3,
            classifier_activation=None,
        ),
        "efficientnet": efficientnet.EfficientNet(
            0.25,
            0.1,
            32,
            weights=None,
            input_shape=(32, 32, 3),
            classes=3,
            model_name="small",
            classifier_activation=None,
        ),
        "resnetv2": resnet.ResNet(
            lambda x: resnet.stack2(resnet.stack2(x, 4, 2, name="conv2"), 8, 2, name="conv3"),
            True,
            True,
            "resnetv2",
            weights=None,
            input_shape=(32, 32, 3),
            classes=3,
            classifier_activation=None,
        ),
        "densenet": densenet.DenseNet(
            [1, 1, 1, 1],
            weights=None,
            input_shape=(32, 32, 3),
            classes=3,
            classifier_activation=None,
        ),
    }
    models["unbuilt_sequential"].build((None, 6, 6, 3))
    return models


def scale_of(name):
    """What the inputs of a model range over: it rescales them itself, or it doesn't."""
    return 100 if name in {"efficientnet", "mobilenetv3", "preprocessing"} else 3


def randomise(model, rng):
    """Scales and biases that all differ, so that no two can be mistaken for each other."""
    for weight in model.weights:
        if weight.dtype.is_floating and weight.shape.rank == 1:
            positive = any(word in weight.name for word in ("variance", "gamma"))
            low, high = (0.5, 1.5) if positive else (-0.4, 0.4)
            weight.assign(rng.uniform(low, high, size=weight.shape))
    for part in model.submodules:
        if hasattr(part, "finalize_state") and part.weights:
            part.finalize_state()


def write(folder):
    """Write the files of every model."""
    for name, model in build().items():
        rng = np.random.default_rng(len(name))
        randomise(model, rng)
        shapes = [tensor.shape[1:] for tensor in model.inputs or ()] or [(6, 6, 3)]
        inputs = [
            (scale_of(name) * rng.normal(size=(3, *shape))).astype("float32") for shape in shapes
        ]
        outputs = model(inputs if len(inputs) > 1 else inputs[0], training=False)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        model.save(folder / f"{name}.h5")
        model.save(folder / f"{name}.keras")
        arrays = {f"input{number}": array for number, array in enumerate(inputs)}
        arrays |= {f"output{number}": array for number, array in enumerate(outputs)}
        np.savez(folder / f"{name}.npz", **arrays)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    write(Path(sys.argv[1]))
