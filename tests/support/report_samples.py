"""Output folders as `gradcam explain` leaves them, made without a model."""

import json
import os
from pathlib import Path

import cv2
import numpy as np

from gradcam import pictures

ANIMALS = ("cat", "dog", "eel", "fox", "gnu")


def photo(number, size):
    """A smooth picture that differs with its number."""
    height, width = size
    y, x = np.mgrid[0:height, 0:width] / max(size)
    waves = [np.sin(6 * (x * (k + 1) + y * (number % 5 - k)) + number) for k in range(3)]
    return np.rint(127 + 90 * np.stack(waves, axis=-1)).astype(np.uint8)


def heat(number, size):
    """A coloured blob whose place depends on the number, as (height, width, 3) RGB."""
    height, width = size
    y, x = np.mgrid[0:height, 0:width] / max(size)
    place = np.array([0.25 + 0.5 * (number * 0.37 % 1), 0.25 + 0.5 * (number * 0.61 % 1)])
    blob = np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) * 18)
    return pictures.colour(blob / blob.max(), "turbo")


def write_files(folder, name, number, size, maps):
    """One image's pictures; the names of its photo and its heatmaps."""
    root = os.fsencode(folder) + b"/report-files/"
    os.makedirs(root, exist_ok=True)  # noqa: PTH103 - a path of bytes
    stem = os.fsencode(name)
    jpeg = cv2.imencode(".jpg", photo(number, size)[..., ::-1])[1].tobytes()
    files = {stem + b".photo.jpg": jpeg}
    for place in range(maps):
        png = pictures.encode(heat(number + 10 * place, size))
        files[stem + b".%d.heat.png" % place] = png
    for file, data in files.items():
        Path(os.fsdecode(root + file)).write_bytes(data)
    return [f"report-files/{os.fsdecode(file)}" for file in files]


def image(
    folder,
    path="in/cat.jpg",
    number=0,
    size=(90, 120),
    classes=None,
    methods=("gradcam",),
    layers=("backbone/out",),
    explained=1,
    warnings=(),
    stem=None,
):
    """The manifest's entry of an image that is done, and its files."""
    if classes is None:
        best = 0.45 + 0.54 * (number * 0.29 % 1)
        names = [ANIMALS[(number + step) % len(ANIMALS)] for step in range(3)]
        classes = [[names[0], best], [names[1], (1 - best) * 0.7], [names[2], (1 - best) * 0.2]]
    asked = [
        (target, method, layer)
        for target, _ in classes[:explained]
        for method in methods
        for layer in layers
    ]
    stem = stem or f"{number:04d}-0badcafe"
    first, *heats = write_files(folder, stem, number, size, len(asked))
    maps = [
        {"target": target, "method": method, "layer": layer, "score": 7.25 - place,
         "warnings": list(warnings), "files": {"report": file}}
        for place, ((target, method, layer), file) in enumerate(zip(asked, heats, strict=True))
    ]  # fmt: skip
    return {
        "path": path, "status": "done", "photo": first, "size": list(size), "top": classes,
        "maps": maps,
    }  # fmt: skip


def failed(path, reason):
    """The manifest's entry of an image that failed."""
    return {"path": path, "status": "failed", "reason": reason}


def write_manifest(folder, entries, **changes):
    """The manifest of a run, in its folder."""
    manifest = {
        "schema": 1,
        "model": "models/animals.keras",
        "sha256": "0" * 64,
        "versions": {"keras-stn": "0.1.0", "tensorflow": "2.21.0", "keras": "3.15.1"},
        "settings": {"layer": None, "methods": ["gradcam"], "preprocess": "unit", "score": "logit",
                     "alpha": 0.5, "colormap": "turbo"},
        "images": entries,
    } | changes  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder
