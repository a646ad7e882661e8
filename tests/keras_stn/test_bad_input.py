"""What a wrong network is told when it is built: received, expected, what to do."""

import keras
import numpy as np
import pytest

import keras_stn

IMAGES = np.zeros((2, 20, 20, 3), "float32")


class ReturnsNothing(keras.layers.Layer):
    def call(self, images):
        if self.name == "never":
            return images
        return None


class ReturnsAList(keras.layers.Layer):
    def call(self, images):
        return [keras.ops.mean(images, axis=(1, 2))] * 2


class ShortIdentity(keras_stn.transforms.Translation):
    num_params = 3


def build(localization, family="affine"):
    inputs = keras.Input((20, 20, 3))
    return keras_stn.SpatialTransformer(family, localization)(inputs)


def dense(units):
    return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(units)])


def warp(theta):
    layer = keras_stn.SpatialTransformer()
    layer(IMAGES)
    return layer.warp(IMAGES, theta)


CASES = {
    "three values where affine needs six": (
        lambda: build(dense(3)),
        "'affine' takes theta of shape (batch, 6), 6 parameters an image. Received 3 of them: shape "
        "(None, 3). End the localisation network with keras_stn.ThetaRegression('affine')",
    ),
    "six values where projective needs eight": (
        lambda: build(dense(6), "projective"),
        "'projective' takes theta of shape (batch, 8), 8 parameters an image. Received 6",
    ),
    "theta is an image": (
        lambda: build(keras.layers.Conv2D(6, 3)),
        "Received shape (None, 18, 18, 6). End a localisation network with keras_stn.ThetaRegression",
    ),
    "returns None": (
        lambda: build(ReturnsNothing()),
        "must return one tensor, theta. Received: None. Does every branch of its call() end in "
        "`return theta`?",
    ),
    "returns None, eagerly": (
        lambda: keras_stn.SpatialTransformer("affine", ReturnsNothing())(IMAGES),
        "must return one tensor, theta. Received: None.",
    ),
    "returns a list": (
        lambda: build(ReturnsAList()),
        "must return one tensor, theta. Received: a list. ",
    ),
    "localization is a function": (
        lambda: build(lambda images: images),
        "localization must be a Keras model or layer from images to theta, or None",
    ),
    "theta without a batch axis": (
        lambda: keras_stn.GridGenerator("affine", 5)(np.zeros(6, "float32")),
        "Received shape (6,). One image? Give theta a batch axis: theta[None].",
    ),
    "theta of another batch": (
        lambda: warp(np.zeros((3, 6), "float32")),
        "One row of theta is needed for each image. Received 2 images and 3 rows.",
    ),
    "theta of integers": (
        lambda: keras_stn.GridGenerator("affine", 5)(np.zeros((2, 6), "int32")),
        "theta must hold floating point numbers. Received: int32.",
    ),
    "theta of integers, symbolic": (
        lambda: keras_stn.GridGenerator("affine", 5)(keras.Input((6,), dtype="int64")),
        "theta must hold floating point numbers. Received: int64.",
    ),
    "images without a batch axis": (
        lambda: keras_stn.SpatialTransformer()(IMAGES[0]),
        "images must have four axes, (batch, height, width, channels) or, with "
        "data_format='channels_first', (batch, channels, height, width). Received "
        "shape (20, 20, 3). One image? Give it a batch axis: images[None].",
    ),
    "images without channels": (
        lambda: keras_stn.SpatialTransformer()(keras.Input((20, 20))),
        "Received shape (None, 20, 20). One image? Give it a batch axis: images[None]. Grey images? Give "
        "them channels: images[..., None].",
    ),
    "images of rank five": (
        lambda: keras_stn.SpatialTransformer()(keras.Input((7, 20, 20, 3))),
        "Received shape (None, 7, 20, 20, 3). A sequence of images? Put the layer into "
        "keras.layers.TimeDistributed.",
    ),
    "unknown channels": (
        lambda: keras_stn.SpatialTransformer()(keras.Input((20, 20, None))),
        "A localisation network needs to know the number of channels. Received input_shape=(20, 20, None).",
    ),
    "grid of three numbers a point": (
        lambda: keras_stn.GridSampler()([IMAGES, np.zeros((2, 5, 5, 3), "float32")]),
        "The last axis of a grid must hold two numbers, x and y. Received shape (2, 5, 5, 3).",
    ),
    "grid of rank three": (
        lambda: keras_stn.GridSampler()([IMAGES, np.zeros((5, 5, 2), "float32")]),
        "A grid must have four axes, (batch, height, width, 2)",
    ),
    "grid of another batch": (
        lambda: keras_stn.GridSampler()([IMAGES, np.zeros((3, 5, 5, 2), "float32")]),
        "A grid is needed for each image. Received 2 images and 3 grids.",
    ),
    "grid of integers": (
        lambda: keras_stn.GridSampler()([IMAGES, np.zeros((2, 5, 5, 2), "int32")]),
        "A grid must hold floating point numbers. Received: int32.",
    ),
    "one tensor where two are needed": (
        lambda: keras_stn.GridSampler()(IMAGES),
        "GridSampler is called on two inputs, [images, grid]. Received: the shape (2, 20, 20, 3).",
    ),
    "one placeholder where two are needed": (
        lambda: keras_stn.GridSampler()(keras.Input((20, 20, 3))),
        "Write GridSampler()([images, grid])",
    ),
    "three tensors where two are needed": (
        lambda: keras_stn.GridSampler()([IMAGES] * 3),
        "GridSampler is called on two inputs, [images, grid].",
    ),
    "unknown family": (
        lambda: keras_stn.SpatialTransformer("afine"),
        "Received: 'afine'. Did you mean 'affine'?",
    ),
    "family by its other name": (
        lambda: keras_stn.GridGenerator("homography", 5),
        "What other libraries call 'homography' is here projective.",
    ),
    "family that is no word": (
        lambda: keras_stn.SpatialTransformer(6),
        "transform must be one of 'translation', 'scale'",
    ),
    "family by its class": (
        lambda: keras_stn.SpatialTransformer(keras_stn.transforms.Affine),
        "Received the class itself. Write Affine().",
    ),
    "family with an identity of another length": (
        lambda: keras_stn.SpatialTransformer(ShortIdentity()),
        "Received: ShortIdentity with num_params = 3 and an identity of shape (2,).",
    ),
    "images and grid for the transformer": (
        lambda: keras_stn.SpatialTransformer()([IMAGES, IMAGES]),
        "images must be one tensor. Received several",
    ),
    "a list for a fill mode": (
        lambda: keras_stn.GridSampler(fill_mode=["constant"]),
        "fill_mode must be one of 'constant', 'nearest', 'reflect'. Received: ['constant'].",
    ),
    "no size for the way back": (
        lambda: keras_stn.SpatialTransformer().inverse_grid(np.zeros((1, 6), "float32"), None),
        "size must be two positive whole numbers, (height, width), or one for a square. Received: None.",
    ),
    "unknown interpolation": (
        lambda: keras_stn.SpatialTransformer(interpolation="bilinaer"),
        "interpolation must be one of 'nearest', 'bilinear', 'bicubic'. Received: 'bilinaer'. Did you mean "
        "'bilinear'?",
    ),
    "fill mode for interpolation": (
        lambda: keras_stn.GridSampler(interpolation="reflect"),
        "Received: 'reflect', which is a fill mode. Use fill_mode='reflect'",
    ),
    "interpolation for fill mode": (
        lambda: keras_stn.GridSampler(fill_mode="bilinear"),
        "Received: 'bilinear', which is an interpolation. Use interpolation='bilinear'",
    ),
    "zeros": (
        lambda: keras_stn.GridSampler(fill_mode="zeros"),
        "What other libraries call 'zeros' is here constant with fill_value=0.0.",
    ),
    "border": (
        lambda: keras_stn.GridSampler(fill_mode="border"),
        "What other libraries call 'border' is here nearest.",
    ),
    "reflection": (
        lambda: keras_stn.GridSampler(fill_mode="reflection"),
        "What other libraries call 'reflection' is here reflect.",
    ),
    "mirror": (
        lambda: keras_stn.GridSampler(fill_mode="mirror"),
        "is here reflect with align_corners=True",
    ),
    "wrap": (
        lambda: keras_stn.GridSampler(fill_mode="wrap"),
        "is here none of them: this package doesn't repeat images.",
    ),
    "fill value": (
        lambda: keras_stn.GridSampler(fill_value=float("nan")),
        "fill_value must be a finite number. Received: nan.",
    ),
    "data format": (
        lambda: keras_stn.GridSampler(data_format="channel_last"),
        "Did you mean 'channels_last'?",
    ),
    "output size zero": (
        lambda: keras_stn.SpatialTransformer(output_size=0),
        "output_size must be two positive whole numbers, (height, width), or one for a square. Received: 0.",
    ),
    "output size negative": (
        lambda: keras_stn.GridGenerator(output_size=(3, -4)),
        "Received: (3, -4).",
    ),
    "output size of three numbers": (
        lambda: keras_stn.SpatialTransformer(output_size=(3, 4, 5)),
        "Received: (3, 4, 5).",
    ),
    "output size of floats": (
        lambda: keras_stn.SpatialTransformer(output_size=3.5),
        "Received: 3.5.",
    ),
    "no output size": (
        lambda: keras_stn.GridGenerator("affine"),
        "Received: None.",
    ),
    "features of rank four": (
        lambda: keras_stn.ThetaRegression()(keras.Input((5, 5, 3))),
        "ThetaRegression needs features of shape (batch, n), n known. Received shape (None, 5, 5, 3). Put "
        "keras.layers.Flatten",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_told_in_words(case):
    make, words = CASES[case]
    with pytest.raises(ValueError) as caught:
        make()
    assert words in " ".join(str(caught.value).split())
