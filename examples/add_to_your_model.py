"""Adds a SpatialTransformer to a Keras model, trains it, saves it and loads it again.

Run it in the repository's folder: python -m examples.add_to_your_model --out digits.keras
"""

import argparse

import keras
import numpy as np

import keras_stn
from examples.digits import make_digits


def make_model(shape=(40, 40, 1), classes=10, transform="attention"):
    """A small classifier. The transformer is the one line that makes the difference."""
    inputs = keras.Input(shape)
    x = keras_stn.SpatialTransformer(transform, output_size=(20, 20))(inputs)
    for filters in (16, 32):
        x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(64, activation="relu")(x)
    return keras.Model(inputs, keras.layers.Dense(classes, activation="softmax")(x))


def main(arguments=None):
    """Trains, saves, loads, and checks that nothing was lost on the way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--out", default="digits.keras")
    options = parser.parse_args(arguments)

    keras.utils.set_random_seed(0)
    images, labels = make_digits(options.images)
    test_images, test_labels = make_digits(max(100, options.images // 4), seed=1)
    model = make_model()
    model.compile(
        keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    model.fit(images, labels, batch_size=32, epochs=options.epochs, verbose=2)

    model.save(options.out)
    loaded = keras.models.load_model(options.out)
    before, after = (m.predict(test_images, verbose=0) for m in (model, loaded))
    np.testing.assert_allclose(before, after, atol=1e-6)
    accuracy = (after.argmax(axis=-1) == test_labels).mean()
    print(f"{options.out} gives the same outputs as the model that was saved.")
    print(f"Accuracy on {len(test_labels)} new images: {accuracy:.1%}")
    return accuracy


if __name__ == "__main__":
    main()
