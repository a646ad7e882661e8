"""From a request to explainers that are ready: everything that can be refused is refused here.

Nothing has been written yet. What remains to go wrong belongs to a single photograph.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcam.cam.explainer import Explainer
from gradcam.command.model import preprocessing
from gradcam.command.model.survey import OutputInfo, Survey, survey
from gradcam.command.run import image_classes, suggesting
from gradcam.errors import ImageError, TargetError
from gradcam.messages import catalogue, wording
from gradcam.messages.words import Voice
from gradcam.targets import Output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradcam.command.model.preprocessing import Preprocess
    from gradcam.command.run.request import Request


@dataclass(frozen=True)
class Plan:
    """A model with everything that is asked about each photograph.

    Attributes:
        request: what was asked for.
        height: of the model's input.
        width: of the model's input.
        channels: 1 or 3.
        channels_first: whether the axis of channels comes before the positions.
        batch_size: images at once; `fixed_batch` where the model takes no other number.
        fixed_batch: whether batches must be full.
        preprocess: from 0..255 to what the model takes.
        explainer: explains a batch, all layers and methods at once.
        aims: for each class the target, and the number of top classes.
        output: the output that is explained, and its number.
        class_names: the names of the classes, or None.
        settings: what the manifest says; another run with these gives the same files.
        notes: sentences on what was found out, to be shown once.
        warnings: sentences that hold for every photograph.
    """

    request: Request
    height: int
    width: int
    channels: int
    channels_first: bool
    batch_size: int
    fixed_batch: bool
    preprocess: Preprocess
    explainer: Explainer
    aims: tuple[tuple[Any, int | None], ...]
    output: OutputInfo
    output_number: int
    class_names: list[str] | None
    settings: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def batch(self, pixels: Sequence[np.ndarray]) -> np.ndarray:
        """Pixels (height, width, channels) of some images as what the model takes."""
        images = self.preprocess(np.stack(pixels).astype(np.float32))
        return np.moveaxis(images, -1, 1) if self.channels_first else images


def make(request: Request, model: Any, network: str | None) -> Plan:
    """Everything that a request needs of a model.

    Args:
        request: the checked options.
        model: the loaded model.
        network: the network of `keras.applications` that it is, if it is one.

    Raises:
        GradCamError: the request doesn't fit the model.
    """
    known = survey(model, request.layers)
    channels_first, channels = _channels(known)
    height, width = _size(request, known, channels_first)
    name, reason = preprocessing.choose(
        request.preprocess,
        network,
        known,
        lambda: suggesting.suggestion(
            model, request.photos, (height, width), channels, first=channels_first
        ),
    )
    notes, warnings = [f"Preprocessing: {name}, {reason}."], []
    if name == "raw" and known.doubt and request.preprocess is None:
        facts = {"layer": known.scaling[0], "doubt": known.doubt}
        warnings.append(catalogue.said("warn-scaling-doubt", Voice.TERMINAL, **facts))
    number, output = _output(request, known)
    names = image_classes.names_of(request, network, output, notes, warnings)
    preprocess = preprocessing.function(name)
    example = preprocess(np.zeros((known.shape[0] or 1, height, width, channels), np.float32))
    example = np.moveaxis(example, -1, 1) if channels_first else example
    asked = image_classes.asked(request.classes, names, output, notes)
    aims = tuple(
        (index if request.output is None else Output(output.name, index), top_k)
        for index, top_k in asked
    )
    explainer = _explainer(request, model, names, example)
    layers = explainer.prepare_each(example, aims)  # refused before anything is written
    notes.append(_layers_said(request, layers))
    settings = _settings(request, layers, name, (height, width), names)
    return Plan(
        request=request,
        height=height,
        width=width,
        channels=channels,
        channels_first=channels_first,
        batch_size=known.shape[0] or request.batch_size,
        fixed_batch=known.shape[0] is not None,
        preprocess=preprocess,
        explainer=explainer,
        aims=aims,
        output=output,
        output_number=number,
        class_names=names,
        settings=settings,
        notes=notes,
        warnings=warnings,
    )


def _channels(known: Survey) -> tuple[bool, int]:
    """Whether the channels come first, and how many there are; an open number is taken as RGB."""
    _, first, _, last = known.shape
    channels_first = last not in {1, 3, None} and first in {1, 3}
    channels = (first if channels_first else last) or 3
    if channels not in {1, 3}:
        raise ImageError("model-channels", channels=channels, shape=known.shape)
    return channels_first, channels


def _size(request: Request, known: Survey, channels_first: bool) -> tuple[int, int]:
    sizes = known.shape[2:] if channels_first else known.shape[1:3]
    if None in sizes and request.size is None:
        raise ImageError("size-unknown")
    height, width = (
        size or asked for size, asked in zip(sizes, request.size or (0, 0), strict=True)
    )
    if request.size not in {None, (height, width)}:
        expected = " x ".join("any" if size is None else str(size) for size in sizes)
        size = "{}x{}".format(*request.size) if request.size else ""
        raise ImageError("size-differs", size=size, expected=expected)
    return height, width


def _output(request: Request, known: Survey) -> tuple[int, OutputInfo]:
    """The output that is explained; one of several has to be named."""
    names = [output.name for output in known.outputs]
    if request.output is None:
        if len(names) > 1:
            raise TargetError("output-missing", count=len(names), names=wording.listing(names))
        return 0, known.outputs[0]
    if request.output not in names:
        hint = wording.suggestion(request.output, names)
        listed = wording.listing(names)
        raise TargetError("output-unknown", name=request.output, names=listed, hint=hint)
    number = names.index(request.output)
    return number, known.outputs[number]


def _explainer(
    request: Request, model: Any, names: list[str] | None, example: np.ndarray
) -> Explainer:
    """One explainer for all layers and methods: each batch runs through the model once."""
    return Explainer(
        model,
        list(request.layers),
        list(request.methods),
        score=request.score,
        relu=request.relu,
        counterfactual=request.counterfactual,
        max_channels=request.max_channels,
        class_names=names,
        fuse=None,
        batch_size=example.shape[0] if example.shape[0] > 1 else request.batch_size,
    )


def _layers_said(request: Request, layers: Sequence[str]) -> str:
    chosen = ", the last feature map" if request.layers == (None,) else ""
    return f"Layer: {wording.listing(layers)}{chosen}."


def _settings(
    request: Request,
    layers: Sequence[str],
    preprocess: str,
    size: tuple[int, int],
    names: list[str] | None,
) -> dict[str, Any]:
    """What decides about the results; `layer` is a list where several were asked for."""
    classes = [text or "top1" for text in request.classes]
    digest = hashlib.sha256("\n".join(names).encode(errors="replace")) if names else None
    return {
        "layer": layers[0] if len(layers) == 1 else list(layers),
        "methods": list(request.methods),
        "class": classes[0] if len(classes) == 1 else classes,
        "preprocess": preprocess,
        "size": list(size),
        "score": request.score,
        "counterfactual": request.counterfactual or None,
        "relu": request.relu and None,
        "max_channels": request.max_channels,
        "output": request.output,
        "class_names": digest.hexdigest()[:16] if digest else None,
        "save": list(request.save),
        "alpha": request.alpha,
        "colormap": request.colormap,
        "report": request.report,
    }
