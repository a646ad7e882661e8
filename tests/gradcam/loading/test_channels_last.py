"""Channels-first operations of a SavedModel, run by kernels that take channels last only."""

import numpy as np
import pytest
import tensorflow as tf

from gradcam.loading.saved_models import channels_last

random = np.random.default_rng(0)
IMAGES = random.normal(size=(2, 6, 7, 3)).astype("float32")
VOLUMES = random.normal(size=(2, 4, 5, 6, 3)).astype("float32")
KERNEL = random.normal(size=(2, 3, 3, 3)).astype("float32")
KERNEL_3D = random.normal(size=(2, 1, 3, 3, 3)).astype("float32")


def in_order(values, data_format):
    """What is said of each axis, channels last, in the order of a data format."""
    return [values[0], values[-1], *values[1:-1]] if data_format.startswith("NC") else values


def convolution(x, data_format):
    return tf.nn.conv2d(x, KERNEL, in_order([1, 2, 1, 1], data_format), "SAME", data_format)


def dilated(x, data_format):
    # Its gradient needs oneDNN wherever the channels are.
    rates = in_order([1, 1, 2, 1], data_format)
    return tf.stop_gradient(tf.nn.conv2d(x, KERNEL, 1, "SAME", data_format, rates)) + x


def explicitly_padded(x, data_format):
    padding = in_order([[0, 0], [1, 0], [0, 2], [0, 0]], data_format)
    return tf.nn.conv2d(x, KERNEL, 1, padding, data_format)


def depthwise(x, data_format):
    return tf.nn.depthwise_conv2d(x, KERNEL, [1, 1, 1, 1], "SAME", data_format)


def transposed(x, data_format):
    size = in_order([2, 12, 7, 3], data_format)
    strides = in_order([1, 2, 1, 1], data_format)
    return tf.nn.conv2d_transpose(x, KERNEL, size, strides, "SAME", data_format)


def maximum(x, data_format):
    windows, strides = in_order([1, 2, 3, 1], data_format), in_order([1, 1, 2, 1], data_format)
    return tf.nn.max_pool2d(x, windows, strides, "VALID", data_format)


def average(x, data_format):
    return tf.nn.avg_pool2d(x, in_order([1, 2, 3, 1], data_format), 1, "SAME", data_format)


def convolution_3d(x, data_format):
    strides = in_order([1, 2, 1, 1, 1], data_format)
    return tf.nn.conv3d(x, KERNEL_3D, strides, "SAME", data_format)


def transposed_3d(x, data_format):
    size, strides = in_order([2, 8, 5, 6, 3], data_format), in_order([1, 2, 1, 1, 1], data_format)
    return tf.nn.conv3d_transpose(x, KERNEL_3D, size, strides, "SAME", data_format)


def maximum_3d(x, data_format):
    return tf.nn.max_pool3d(x, in_order([1, 1, 2, 3, 1], data_format), 1, "VALID", data_format)


def average_3d(x, data_format):
    return tf.nn.avg_pool3d(x, in_order([1, 1, 2, 3, 1], data_format), 1, "VALID", data_format)


@pytest.mark.parametrize(
    ("function", "images"),
    [
        *((f, IMAGES) for f in (convolution, dilated, explicitly_padded, depthwise)),
        *((f, IMAGES) for f in (transposed, maximum, average)),
        *((f, VOLUMES) for f in (convolution_3d, transposed_3d, maximum_3d, average_3d)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_axes_are_moved_and_nothing_else_changes(function, images):
    first, last = ("NCDHW", "NDHWC") if images.ndim == 5 else ("NCHW", "NHWC")
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, np.moveaxis(images, -1, 1).shape, "x")
        made = function(x, first)
        after = tf.identity(made, "after")
    moved = channels_last.moved(graph.as_graph_def())
    formats = {n.attr["data_format"].s.decode() for n in moved.node if "data_format" in n.attr}
    assert formats == {last}

    @tf.function
    def run(x):
        results = tf.graph_util.import_graph_def(moved, {"x": x}, [made.name, after.name])
        return [*results, *tf.gradients(results[1], x)]

    expected = function(tf.constant(images), last)
    with tf.GradientTape() as tape:
        x = tf.constant(images)
        tape.watch(x)
        total = tf.reduce_sum(function(x, last))
    found = run(np.moveaxis(images, -1, 1))
    for tensor, by_hand in zip(found, (expected, expected, tape.gradient(total, x)), strict=True):
        np.testing.assert_allclose(np.moveaxis(tensor, 1, -1), by_hand, rtol=1e-4, atol=1e-5)


def test_a_graph_without_such_operations_is_left_alone():
    with tf.Graph().as_default() as graph:
        convolution(tf.compat.v1.placeholder(tf.float32, IMAGES.shape), "NHWC")
    graph_def = graph.as_graph_def()
    assert channels_last.moved(graph_def) is graph_def
