"""Shows where a model looked in one photograph: the Python API in five lines that matter.

Run it in the repository's folder; without options it takes the demo's model and one of its pictures:

    python -m examples.explain_photo
    python -m examples.explain_photo --model my.keras --photo cat.jpg --class-names names.txt
"""

import argparse
from importlib import resources
from pathlib import Path

import cv2

import gradcam

ASSETS = resources.files("gradcam.command") / "assets"


def main(arguments=None):
    """Explains, says what the model saw, and writes the overlay and the raw map."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=str(ASSETS / "digits.keras"))
    parser.add_argument("--photo", default=str(ASSETS / "images" / "board-01-two.png"))
    parser.add_argument("--class-names", default=str(ASSETS / "labels.txt"))
    parser.add_argument("--method", default="gradcam", choices=gradcam.METHODS)
    parser.add_argument("--out", type=Path, default=Path("explained"))
    options = parser.parse_args(arguments)

    model = gradcam.load_model(options.model)
    names = Path(options.class_names).read_text(encoding="utf-8").split()

    # What the model takes: its size, its channels, and 0..255, as this one has a Rescaling layer. For a model
    # without one, scale the pixels here as in its training, or the heatmap is of another picture.
    height, width, channels = model.inputs[0].shape[1:]
    photos = gradcam.read_images(options.photo, (height, width))
    batch = photos.mean(axis=-1, keepdims=True) if channels == 1 else photos

    explanation = gradcam.explain(model, batch, method=options.method, class_names=names)
    print(f"{options.photo}: {explanation.targets[0]}, score {explanation.scores[0]:.3g}")
    print(f"{options.method} of the layer {explanation.layer!r}")
    for warning in explanation.warnings:
        print(f"Warning: {warning}")

    files = explanation.save(options.out)  # heatmaps as PNG, raw maps as .npy
    overlay = options.out / "overlay.png"
    cv2.imwrite(str(overlay), explanation.overlay(photos)[0][..., ::-1])
    for file in [*files, overlay]:
        print(f"Wrote {file}")
    return explanation


if __name__ == "__main__":
    main()
