"""From an explanation to what the manifest says of one photograph, and to its files."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from gradcam import files, pictures
from gradcam.command.run.manifest import REPORT_FILES
from gradcam.messages.words import Voice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gradcam.cam.explanation import Explanation
    from gradcam.command.run.plan import Plan
    from gradcam.command.run.request import Request
    from gradcam.messages.notes import Note

CLASSES_NAMED = 5
SMALLEST_DISPLAYED = 256
"""Pixels along the longer side. A digit of 28 pixels is a stamp, which JPEG makes a blot."""

PHOTO_SIDE, HEAT_SIDE = 480, 240


@dataclass(frozen=True, eq=False)
class Photo:
    """A photograph that was read.

    Attributes:
        path: as it was given.
        stem: what its files begin with.
        size: (height, width) of the file.
        shown: RGB, as it is shown to people.
        pixels: (height, width, channels) of the model's input, in 0..255.
    """

    path: str
    stem: str
    size: tuple[int, int]
    shown: np.ndarray
    pixels: np.ndarray


@dataclass(frozen=True, eq=False)
class Map:
    """One map of one photograph, with what is said about it."""

    method: str
    layer: str
    target: str
    score: float
    warnings: list[str]
    raw: np.ndarray
    heatmap: np.ndarray
    coverage: np.ndarray | None


def prepare_photo(path: str, stem: str, plan: Plan) -> Photo:
    """Read a photograph for a model, and for people.

    Raises:
        ImageError: it can't be read.
    """
    picture = pictures.read_photo(path)
    return Photo(
        path=path,
        stem=stem,
        size=(picture.shape[0], picture.shape[1]),
        shown=_for_display(picture),
        pixels=pictures.fitted(picture, plan.height, plan.width, plan.channels),
    )


def _for_display(picture: np.ndarray, longest: int = 1024) -> np.ndarray:
    """A picture as people want to see it: not larger than needed, not too small to see anything."""
    height, width = picture.shape[:2]
    largest = max(height, width)
    if largest < SMALLEST_DISPLAYED:
        times = -(-SMALLEST_DISPLAYED // largest)
        return picture.repeat(times, 0).repeat(times, 1)  # its pixels are still to be seen
    share = min(1.0, longest / largest)
    size = max(1, round(height * share)), max(1, round(width * share))
    # Averaging is slow, and only needed where pixels would be skipped.
    return pictures.stretch(picture, *size) if share > 0.5 else pictures.resize(picture, *size)


def maps_of(explanation: Explanation, row: int) -> Iterator[Map]:
    """The maps of one image of a batch: one, or one for each of its top classes."""
    several = explanation.scores.ndim == 2
    places = [(row, k) for k in range(explanation.scores.shape[1])] if several else [(row,)]
    targets = explanation.targets[row] if several else (explanation.targets[row],)
    for place, target in zip(places, targets, strict=True):
        yield Map(
            method=explanation.method,
            layer=str(explanation.layer),
            target=str(target),
            score=_rounded(explanation.scores[place]),
            warnings=_warnings(explanation.notes, row, target),
            raw=explanation.maps[place],
            heatmap=explanation.heatmaps[place],
            coverage=None if explanation.coverage is None else explanation.coverage[row],
        )


def _warnings(notes: Sequence[Note], row: int, target: Any) -> list[str]:
    """What is said of one map: of all images, of this one, or of this map's class in it."""
    said = [
        note.said(Voice.TERMINAL)
        for note in sorted(notes, key=lambda note: note.image is not None)
        if note.image in (None, row)
        and note.target in (None, target)
        and not note.code.startswith("warn-pixels")  # said of the whole run
    ]
    return list(dict.fromkeys(said))


def top_classes(outputs: Any, row: int, plan: Plan) -> list[list[Any]]:
    """The most likely classes with their probabilities; nothing where the output is no class."""
    values = np.asarray(tf.nest.flatten(outputs)[plan.output_number][row], np.float64)
    names = plan.class_names
    if values.ndim == 3:  # a segmentation: the share of the pixels where each class wins
        values = np.moveaxis(values, plan.output.class_axis, -1)
        if values.shape[-1] == 1:
            return []
        counts = np.bincount(values.argmax(-1).ravel(), minlength=values.shape[-1])
        shares = counts / counts.sum()
    elif values.size == 1:
        if plan.output.ending != "sigmoid" and (names is None or len(names) != 2):
            return []
        positive = values.ravel()[0]
        if plan.output.ending != "sigmoid":
            positive = 1 / (1 + np.exp(-positive))
        shares = np.array([1 - positive, positive])
        names = names if names and len(names) == 2 else ["negative", "positive"]
    elif values.ndim == 1:
        shares = values if _are_shares(values, plan.output.ending) else _softmax(values)
    else:
        return []
    order = np.argsort(-shares, kind="stable")[:CLASSES_NAMED]
    return [[names[i] if names else str(i), _rounded(shares[i])] for i in order]


def _are_shares(values: np.ndarray, ending: str) -> bool:
    """Whether an output holds probabilities already."""
    is_sum_one = bool(np.all(values >= 0)) and abs(values.sum() - 1) < 1e-3
    return ending != "linear" or is_sum_one


def _softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max())
    return powers / powers.sum()


def _rounded(value: Any) -> float:
    """Six digits: what lies beyond them is the arithmetic's, not the model's."""
    return float(f"{float(value):.6g}")


def write(photo: Photo, maps: Sequence[Map], top: list[list[Any]], plan: Plan) -> dict[str, Any]:
    """Write the files of one photograph, and say what the manifest says of it.

    Raises:
        OSError: a file can't be written; then none of this photograph is left.
    """
    written: list[Path] = []
    entry: dict[str, Any] = {"path": photo.path, "status": "done", "size": list(photo.size)}
    finished = False
    try:
        if plan.request.report:
            name = f"{REPORT_FILES}/{files.name(photo.stem, [], '.photo.jpg')}"
            picture = _for_display(photo.shown, PHOTO_SIDE)
            _write(plan, name, pictures.encode_jpeg(picture, 85), written)
            entry["photo"] = name
        entry["top"] = top
        entry["maps"] = [
            _entry(found) | {"files": _files(photo, found, label, plan, written)}
            for found, label in zip(maps, _labels(maps), strict=True)
        ]
        finished = True
    finally:
        if not finished:
            for path in written:
                path.unlink(missing_ok=True)
    return entry


def _entry(found: Map) -> dict[str, Any]:
    """What the manifest says of a map but for its files."""
    said = {
        "target": found.target,
        "method": found.method,
        "layer": found.layer,
        "score": found.score,
        "warnings": found.warnings,
    }
    # Behind a spatial transformer: the share of the photograph that the layer could see.
    return said if found.coverage is None else said | {"seen": _rounded(found.coverage.mean())}


def _labels(maps: Sequence[Map]) -> list[str]:
    """The class in the name of each map's files: told apart where two are written alike."""
    taken: set[tuple[str, ...]] = set()
    labels = []
    for found in maps:
        plain = label = files.part(found.target)
        number = 1
        while (found.method, found.layer, label.casefold()) in taken:
            number += 1
            label = f"{plain}_{number}"
        taken.add((found.method, found.layer, label.casefold()))
        labels.append(label)
    return labels


def _files(photo: Photo, found: Map, label: str, plan: Plan, written: list[Path]) -> dict[str, str]:
    """Write the files of one map: by kind, their names relative to the folder of results."""
    request = plan.request
    parts = [found.method, found.layer.replace("/", "+"), label]
    contents: dict[str, bytes] = {}
    if "overlay" in request.save:
        contents["overlay"] = pictures.encode_jpeg(_overlay(photo, found, plan))
    if "heatmap" in request.save:
        contents["heatmap"] = pictures.encode(_coloured(found.heatmap, request))
    if "map" in request.save:
        file = io.BytesIO()
        np.save(file, found.raw)
        contents["map"] = file.getvalue()
    names = {kind: files.name(photo.stem, parts, _ENDINGS[kind]) for kind in contents}
    if request.report:
        ending, contents["report"] = _report_heat(photo, found, request)
        names["report"] = f"{REPORT_FILES}/{files.name(photo.stem, parts, ending)}"
    for kind, data in contents.items():
        _write(plan, names[kind], data, written)
    return names


_ENDINGS = {"overlay": ".overlay.jpg", "heatmap": ".heatmap.png", "map": ".map.npy"}


def _coloured(heatmap: np.ndarray, request: Request) -> np.ndarray:
    return pictures.colour(heatmap, request.colormap, signed=not request.relu)


def _report_heat(photo: Photo, found: Map, request: Request) -> tuple[str, bytes]:
    """The heatmap in the photograph's proportions, transparent where the layer saw nothing."""
    height, width = _for_display(photo.shown, HEAT_SIDE).shape[:2]
    heat = _coloured(pictures.stretch(found.heatmap, height, width), request)
    if found.coverage is None:
        return ".heat.jpg", pictures.encode_jpeg(heat, 85)
    seen = pictures.stretch(found.coverage, height, width)
    opacity = np.rint(255 * np.clip(seen, 0, 1)).astype(np.uint8)
    return ".heat.png", pictures.encode(np.dstack([heat, opacity]))


def _overlay(photo: Photo, found: Map, plan: Plan) -> np.ndarray:
    """The heatmap over the photograph as people see it, in its own proportions."""
    height, width = photo.shown.shape[:2]
    heatmap = pictures.stretch(found.heatmap, height, width)[np.newaxis]
    coverage = None
    if found.coverage is not None:
        coverage = pictures.stretch(found.coverage, height, width)[np.newaxis]
    request, shown = plan.request, photo.shown[np.newaxis]
    mixed: np.ndarray = pictures.overlay(
        shown, heatmap, request.alpha, request.colormap, coverage, signed=not request.relu
    )
    return mixed[0]


def _write(plan: Plan, name: str, data: bytes, written: list[Path]) -> None:
    path = plan.request.out / name
    path.parent.mkdir(exist_ok=True)
    files.write(path, data)
    written.append(path)
