"""What was asked for, checked as far as that goes without TensorFlow."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradcam.cam.methods import METHODS
from gradcam.command.model import labels, models, preprocessing
from gradcam.command.run import photos
from gradcam.errors import GradCamError
from gradcam.messages import wording

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

KINDS = ("overlay", "heatmap", "map")
DEFAULT_COLORMAP = "turbo"
IMAGES_AT_ONCE = 16
LARGEST_SIZE = 2**24
"""Pixels of a model's input. An image of them takes 200 MB, and its activations many times that."""


@dataclass(frozen=True)
class Request:
    """The checked options of `gradcam explain`.

    Attributes:
        photos: the paths of the photographs, each once.
        model: what `--model` says.
        layers: the layers by path; `(None,)` for the automatic choice.
        methods: the names of the methods.
        classes: `None` for the top class, a name, an index as text, or `top3` and its like.
        preprocess: what `--preprocess` says, or None.
        size: (height, width), or None.
        score: `"logit"` or `"probability"`.
        counterfactual: whether what speaks against the class is explained.
        relu: whether only what speaks for it is shown.
        max_channels: how many channels scorecam and ablationcam try, or None for all.
        output: the name of one of several outputs, or None.
        labels: the file with class names and the names, or None.
        out: the folder of results.
        save: which of `KINDS` are written.
        alpha: how much of the heatmap an overlay shows.
        colormap: the name of the colour map.
        batch_size: images that go through the model at once.
        report: whether `report.html` is written.
    """

    photos: list[str]
    model: str
    layers: tuple[str | None, ...]
    methods: tuple[str, ...]
    classes: tuple[str | None, ...]
    preprocess: str | None
    size: tuple[int, int] | None
    score: str
    counterfactual: bool
    relu: bool
    max_channels: int | None
    output: str | None
    labels: tuple[Path, list[str]] | None
    out: Path
    save: tuple[str, ...]
    alpha: float
    colormap: str
    batch_size: int
    report: bool


def read(options: argparse.Namespace) -> Request:
    """Check the options, and find the photographs.

    Raises:
        GradCamError: one of them can't be meant.
    """
    if not options.photos:
        raise GradCamError("photo-not-given")
    if options.preprocess is not None:
        preprocessing.check_name(options.preprocess)
    out = Path(options.out)
    request = Request(
        photos=[],
        model=options.model,
        layers=_several(options.layer) or (None,),
        methods=_choices("--method", _several(options.method) or ("gradcam",), METHODS),
        classes=tuple(options.classes) or (None,),
        preprocess=options.preprocess,
        size=_size(options.size),
        score=options.score,
        counterfactual=options.counterfactual,
        relu=not options.no_relu,
        max_channels=_count("--max-channels", options.max_channels),
        output=options.output,
        labels=_labels(options.class_names),
        out=out,
        save=_choices("--save", _several(options.save) or ("overlay",), KINDS),
        alpha=_alpha(options.alpha),
        colormap=_colormap(options.colormap),
        batch_size=_count("--batch-size", options.batch_size) or IMAGES_AT_ONCE,
        report=not options.no_report,
    )
    for place in (out, *out.parents):
        if place.exists() and not place.is_dir():
            raise GradCamError("out-is-a-file", path=wording.printable(place))
    models.check(options)
    if options.preprocess is None:
        preprocessing.check_model_file(Path(options.model))
    request.photos.extend(photos.paths_of(options.photos, out))
    return request


def _several(given: Sequence[str]) -> tuple[str, ...]:
    """Values of an option that may be repeated, and may hold several with commas; each once."""
    parts = (part.strip() for text in given for part in text.split(","))
    return tuple(dict.fromkeys(part for part in parts if part))


def _choices(option: str, values: tuple[str, ...], known: Iterable[str]) -> tuple[str, ...]:
    names = list(known)
    for value in values:
        if value not in names:
            hint = wording.suggestion(value, names)
            expected = f"one of: {wording.listing(names)}"
            raise _wrong(option, value, expected, hint=hint)
    return values


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,5})(?:[xX,](\d{1,5}))?", text)
    height, width = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 0 < height * width <= LARGEST_SIZE:
        raise _wrong("--size", text, "HEIGHTxWIDTH in pixels, such as 224x224, 4096x4096 at most")
    return height, width


def _alpha(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise _wrong("--alpha", text, "a number from 0 (the image) to 1 (the heatmap)")
    return value


def _colormap(name: str) -> str:
    if name == DEFAULT_COLORMAP:
        return name
    from gradcam.pictures import COLORMAPS  # noqa: PLC0415 - OpenCV's, which takes a moment to import

    return _choices("--colormap", (name,), sorted(COLORMAPS))[0]


def _count(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,6}", text) or not int(text):
        raise _wrong(option, text, "a number from 1")
    return int(text)


def _labels(name: str | None) -> tuple[Path, list[str]] | None:
    return None if name is None else (Path(name), labels.read(Path(name)))


def _wrong(option: str, value: Any, expected: str, hint: str = "") -> GradCamError:
    return GradCamError(
        "unknown-option", option=option, value=value, hint=hint, expected=expected, advice=""
    )
