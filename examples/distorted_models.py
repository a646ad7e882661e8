"""The networks of Jaderberg et al. 2015, Table 1 left, each with about the same number of parameters."""

import keras

import keras_stn

CLASSES = 10
SEEN = 28
"""What a transformer hands on: a digit's own size."""

FAMILIES = {
    "FCN": None,
    "CNN": None,
    "ST-FCN affine": "affine",
    "ST-CNN affine": "affine",
    "ST-CNN projective": "projective",
    "ST-CNN TPS": "tps",
}


def make_model(name, size, parameters, step_size=None):
    """One of `FAMILIES` for images of `size`, with the width that comes closest to `parameters`.

    The ST-CNN has the layer's default localisation network, the ST-FCN one of three small dense layers.
    `step_size` is that of theta; None takes the default.
    """
    options = {} if step_size is None else {"step_size": step_size}
    inputs = keras.Input((size, size, 1))
    features, left = inputs, parameters
    if FAMILIES[name]:
        network = _localization(name, size, options)
        features = keras_stn.SpatialTransformer(FAMILIES[name], network, output_size=SEEN)(inputs)
        left -= network.count_params()
        size = SEEN
    classify, count = (_dense, _dense_size) if "FCN" in name else (_convolve, _convolve_size)
    width = min(range(8, 640), key=lambda width: abs(count(size, width) - left))
    outputs = keras.layers.Dense(CLASSES, activation="softmax")(classify(features, width))
    return keras.Model(inputs, outputs)


def _localization(name, size, options):
    if "CNN" in name:
        return keras_stn.localization_network((size, size, 1), FAMILIES[name], **options)
    inputs = keras.Input((size, size, 1))
    features = keras.layers.Flatten()(inputs)
    for _ in range(3):
        features = keras.layers.Dense(32, activation="relu")(features)
    theta = keras_stn.ThetaRegression(FAMILIES[name], **{"step_size": 0.1, **options})(features)
    return keras.Model(inputs, theta)


def _dense(features, width):
    features = keras.layers.Flatten()(features)
    for _ in range(2):
        features = keras.layers.Dense(width, activation="relu")(features)
    return features


def _dense_size(size, width):
    return width * (size**2 + 1) + width * (width + 1) + CLASSES * (width + 1)


def _convolve(features, width):
    for kernel in (9, 7):
        features = keras.layers.Conv2D(width, kernel, activation="relu")(features)
        features = keras.layers.MaxPooling2D()(features)
    return keras.layers.Flatten()(features)


def _convolve_size(size, width):
    positions = (((size - 8) // 2 - 6) // 2) ** 2
    return width * (81 + 1) + width * (49 * width + 1) + CLASSES * (positions * width + 1)
