"""Pictures with the statistics of photographs, and networks that have learned from them."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

SIZE = 32


def photographs(count=6, seed=0, contrast=(0.15, 0.3), brightness=(0.3, 0.7)):
    """Pictures (count, 32, 32, 3) from 0 to 255, whose parts are alike near each other."""
    generator = np.random.default_rng(seed)
    waves = np.fft.fftfreq(SIZE)
    falls = 1 / np.maximum(np.hypot(waves[:, None], waves[None]), 1 / SIZE)
    pictures = []
    for _ in range(count):
        noise = generator.normal(size=(SIZE, SIZE, 3)) + generator.normal(size=(SIZE, SIZE, 1))
        smooth = np.fft.ifft2(np.fft.fft2(noise, axes=(0, 1)) * falls[..., None], axes=(0, 1)).real
        smooth = (smooth - smooth.mean()) / smooth.std()
        picture = generator.uniform(*brightness) + generator.uniform(*contrast) * smooth
        pictures.append(np.clip(picture, 0, 1))
    return np.rint(np.stack(pictures) * 255).astype("float32")


def as_caffe(images):
    return images[..., ::-1] - np.float32([103.939, 116.779, 123.68])


def as_torch(images):
    return (images / 255 - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])


PREPROCESSINGS = {
    "raw": lambda images: images,
    "unit": lambda images: images / 255,
    "signed": lambda images: images / 127.5 - 1,
    "caffe": as_caffe,
    "torch": as_torch,
}


def learned(trained_on, *, scaling=None, bias=True, name="net"):
    """A network whose normalisation has seen photographs in one preprocessing."""
    keras.utils.set_random_seed(5)
    inputs = keras.Input((SIZE, SIZE, 3), name="image")
    x = scaling(inputs) if scaling is not None else inputs
    x = layers.Conv2D(16, 3, strides=2, use_bias=bias, name="conv")(x)
    x = layers.BatchNormalization(momentum=0.0, name="norm")(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(3, activation="softmax", name="head")(x), name=name)
    if trained_on is not None:
        model(PREPROCESSINGS[trained_on](photographs(32, seed=9)), training=True)
    return model
