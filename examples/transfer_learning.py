"""Trains a head on a frozen backbone, then asks where the network looked: inside the backbone.

The backbone is one layer of the model, as every guide to transfer learning has it. Its feature maps lie one
level down, where `keras.Model(model.inputs, backbone.get_layer(...).output)` fails. Here it is one call.

Run it in the repository's folder: python -m examples.transfer_learning [--weights imagenet]
"""

import argparse
from pathlib import Path

import cv2
import keras
import numpy as np

import gradcam
from examples.arguments import count
from examples.train_demo_model import NAMES, draw_boards


def make_model(size, weights):
    """MobileNetV2 as one frozen layer, with a head for ten digits."""
    backbone = keras.applications.MobileNetV2(
        input_shape=(size, size, 3), alpha=0.35, include_top=False, weights=weights
    )
    backbone.trainable = False
    inputs = keras.Input((size, size, 3))
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    x = backbone(x, training=False)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(len(NAMES), activation="softmax")(x)), backbone


def as_seen(boards, size):
    """Grey boards as a batch of RGB pictures in 0..255."""
    small = [cv2.resize(board, (size, size), interpolation=cv2.INTER_AREA) for board in boards]
    return np.repeat(np.stack(small)[..., None], 3, axis=-1).astype(np.float32)


def main(arguments=None):
    """Trains the head, explains a few new boards by the last map of the backbone and by an earlier one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--weights", help="imagenet, or a file; the default is an untrained backbone"
    )
    parser.add_argument("--size", type=count, default=96)
    parser.add_argument("--images", type=count, default=1000)
    parser.add_argument("--epochs", type=count, default=3)
    parser.add_argument("--out", type=Path, default=Path("transfer"))
    options = parser.parse_args(arguments)

    keras.utils.set_random_seed(0)
    model, backbone = make_model(options.size, options.weights)
    boards, labels, _ = draw_boards(options.images, seed=0)
    model.compile(
        keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    model.fit(as_seen(boards, options.size), labels, epochs=options.epochs, verbose=2)

    shown = as_seen(draw_boards(4, seed=1)[0], options.size)
    for layer in (None, f"{backbone.name}/block_13_expand_relu"):
        explanation = gradcam.explain(model, shown, layer=layer, class_names=NAMES)
        print(f"{explanation.layer}: {', '.join(explanation.targets)}")
        folder = options.out / explanation.layer.replace("/", "+")
        folder.mkdir(parents=True, exist_ok=True)
        for number, picture in enumerate(explanation.overlay(shown)):
            cv2.imwrite(str(folder / f"{number}.png"), picture[..., ::-1])
        print(f"Wrote {len(shown)} overlays into {folder}")
    return model


if __name__ == "__main__":
    main()
