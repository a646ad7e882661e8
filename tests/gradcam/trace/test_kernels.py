"""A channels-first model says how it can run where TensorFlow has no kernel for it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import gradcam
from gradcam.trace import kernels


def runs_channels_first():
    """Whether oneDNN is there, as on processors with AVX-512 or with TF_ENABLE_ONEDNN_OPTS=1."""
    try:
        tf.nn.conv2d(tf.zeros((1, 1, 2, 2)), tf.zeros((1, 1, 1, 1)), 1, "SAME", "NCHW")
    except tf.errors.UnimplementedError:
        return False
    return True


def test_the_way_out_is_said_where_there_is_no_kernel():
    options = {"data_format": "channels_first"}
    model = keras.Sequential(
        [
            keras.Input((3, 8, 8)),
            layers.Conv2D(4, 3, activation="relu", name="conv", **options),
            layers.GlobalAveragePooling2D(**options),
            layers.Dense(2),
        ],
        name="net",
    )
    images = np.random.default_rng(0).random((2, 3, 8, 8)).astype("float32")
    if runs_channels_first():
        assert gradcam.explain(model, images).maps.shape == (2, 6, 6)
        codes = {finding.code for finding in gradcam.diagnose(model, images).findings}
        assert "channels-first-kernel" not in codes
        return
    with pytest.raises(
        gradcam.ModelError, match="The model 'net' takes its channels first in 'net"
    ):
        gradcam.explain(model, images)
    (found,) = gradcam.diagnose(model, images).errors
    assert (found.code, found.where) == ("channels-first-kernel", "conv")
    assert "TF_ENABLE_ONEDNN_OPTS=1" in found.fix


# What each kernel of TensorFlow 2.21 says without oneDNN.
@pytest.mark.parametrize(
    "text",
    [
        "The Conv2D op currently only supports the NHWC tensor format on the CPU. The op was given"
        " the format: NCHW\n\t [[{{node net/conv/convolution}}]] [Op:__inference_f_1]",
        "Conv2DCustomBackpropInputOp only supports NHWC. [Op:Conv2DBackpropInput]",
        "Depthwise convolution on CPU is only supported for NHWC format",
        "Default MaxPoolingOp only supports NHWC on device type CPU",
        "CPU implementation of Conv3D currently only supports the NHWC tensor format.",
        "Conv3DBackpropInputOpV2 only supports NDHWC on the CPU.",
        "Default AvgPooling3dGradOp only supports NDHWC on device type CPU",
    ],
)
def test_every_kernel_s_words_are_known(text):
    with (
        pytest.raises(gradcam.ModelError, match="Set TF_ENABLE_ONEDNN_OPTS=1") as raised,
        kernels.failures_named("net"),
    ):
        raise tf.errors.InvalidArgumentError(None, None, text)
    assert ("in 'net/conv/convolution'" in str(raised.value)) == ("node" in text)


def test_a_machine_without_enough_memory():
    for error in (tf.errors.ResourceExhaustedError(None, None, "OOM"), MemoryError()):
        with (
            pytest.raises(gradcam.ModelError, match="a smaller batch_size") as caught,
            kernels.failures_named("net"),
        ):
            raise error
        assert caught.value.code == "out-of-memory"


def test_an_operation_that_refuses_its_values():
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(2, 3, name="conv")(inputs)
    x = Shares()(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    with pytest.raises(gradcam.ModelError, match="division by zero") as caught:
        gradcam.explain(model, np.zeros((1, 8, 8, 1), "float32"), 0)
    assert caught.value.code == "cannot-compute"
    assert "Traceback" not in str(caught.value)


class Shares(keras.layers.Layer):
    def call(self, inputs):
        whole = tf.cast(inputs, tf.int32)
        return inputs + tf.cast(whole // (whole * 0), tf.float32)
