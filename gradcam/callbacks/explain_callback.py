"""Heatmaps of the same images while a model trains."""

from __future__ import annotations

import inspect
import math
import numbers
import os
import re
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gradcam import files, pictures
from gradcam.callbacks.events import EventFile
from gradcam.cam.explainer import Explainer
from gradcam.cam.explanation import Explanation
from gradcam.errors import GradCamError, ImageError
from gradcam.messages import catalogue, wording

_MOST_IMAGES = 64
_GAP = 4
_SMALLEST_SIDE = 96  # smaller images are enlarged, so that something is seen
_TENSORFLOW_NOISE = re.compile(r"\{\{.*?\}\}\s*|\s*\[Op:\w+\].*")
_CANNOT_WRITE = (OSError, tf.errors.OpError)


class ExplainCallback(keras.callbacks.Callback):
    """Writes heatmaps of a fixed batch before the first epoch and after every `every` of them.

    They go to TensorBoard, as the picture `heatmaps`, and to PNG files if a folder is given. What
    there is to know about them goes to TensorBoard as the text `heatmaps/warnings`. The model is
    traced once and not changed; its weights are seen as they train.

    What can't be explained or written in the middle of a training, as when a weight is NaN or a
    disk is full, is said once and doesn't stop it. Wrong arguments raise before the first batch.

    Args:
        images: what the model takes, at most 64 images.
        log_dir: the folder for TensorBoard. Nothing but TensorFlow is needed to write there.
        folder: a folder for PNG files too, `heatmaps-epoch-0005.png`; None for none.
        every: how often.
        unit: `"epoch"` or `"batch"`: what `every` counts.
        target: see `gradcam.targets`. None explains each image's top class at the time, which
            changes while it trains; give the labels to watch the same class all along.
        pictures: what the heatmaps are drawn over; None draws the images.
        alpha: how much of the heatmap is seen, from 0 to 1.
        colormap: the name of an OpenCV colour map.
        **options: `layer`, `method` and the other options of `gradcam.Explainer`.

    Attributes:
        explanation: the latest `gradcam.Explanation`, None before the first.

    >>> import keras, numpy as np, tempfile
    >>> model = keras.Sequential([
    ...     keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
    ...     keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2),
    ... ])
    >>> model.compile("adam", "mse")
    >>> images = np.random.rand(8, 8, 8, 3)
    >>> callback = ExplainCallback(images[:4], log_dir=tempfile.mkdtemp(), target=1)
    >>> _ = model.fit(images, np.ones((8, 2)), epochs=2, verbose=0, callbacks=[callback])
    >>> callback.explanation.heatmaps.shape
    (4, 8, 8)
    """

    def __init__(
        self,
        images: Any,
        log_dir: str | os.PathLike[str],
        folder: str | os.PathLike[str] | None = None,
        *,
        every: int = 1,
        unit: str = "epoch",
        target: Any = None,
        pictures: Any = None,
        alpha: float = 0.5,
        colormap: str = "turbo",
        **options: Any,
    ) -> None:
        super().__init__()
        self.images = images
        self.log_dir = _folder(log_dir, "log_dir")
        self.folder = None if folder is None else _folder(folder, "folder")
        self.every = _whole(every)
        self.unit = _unit(unit)
        self.target = target
        self.pictures = _pictures(images, pictures)
        self.alpha = alpha
        self.colormap = colormap
        self.options = _known(options)
        self.explanation: Explanation | None = None
        self._explainer: Explainer | None = None
        self._events: EventFile | None = None
        self._is_first = True
        self._has_warned = False
        self._batches = 0
        self._batch_of_epoch = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Start anew, perhaps with another model."""
        self._explainer = None
        self._is_first = True

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Explain before the first epoch; wrong arguments are found here."""
        self._batch_of_epoch = 0
        # A subclass that was never called has no weights before its first batch.
        if self._is_first and self.model.built:
            self._explain_first(epoch if self.unit == "epoch" else self._batches)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Explain after every so many epochs."""
        if self.unit == "epoch" and (epoch + 1) % self.every == 0:
            self._explain_again(epoch + 1)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Explain after every so many batches."""
        # With steps_per_execution, several batches have passed since the last call, and Keras
        # counts as many where an epoch ends sooner.
        steps = (self.params or {}).get("steps") or batch + 1
        before, passed = self._batches, min(batch + 1, steps)
        self._batches += passed - self._batch_of_epoch
        self._batch_of_epoch = passed
        if self.unit == "batch" and before // self.every < self._batches // self.every:
            self._explain_again(self._batches)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """End the event file."""
        self._explainer = None
        if self._events is not None:
            events, self._events = self._events, None
            try:
                events.close()
            except _CANNOT_WRITE as error:
                self._warn("the training", error)

    def _explain_first(self, step: int) -> None:
        self._is_first = False
        try:
            self._explain(step)
        except _CANNOT_WRITE as error:
            raise GradCamError(
                "callback-folder",
                log_dir=str(self.log_dir),
                folder=self.folder and str(self.folder),
                reason=_first_line(error),
            ) from error

    def _explain_again(self, step: int) -> None:
        if self._is_first:
            self._explain_first(step)
            return
        try:
            self._explain(step)
        except (*_CANNOT_WRITE, GradCamError) as error:
            self._warn(f"{self.unit} {step}", error)

    def _warn(self, when: str, error: Exception) -> None:
        if not self._has_warned:
            self._has_warned = True
            sentence = catalogue.said("callback-skipped", when=when, reason=_first_line(error))
            warnings.warn(sentence, stacklevel=2)

    def _explain(self, step: int) -> None:
        if self._explainer is None:
            self._explainer = Explainer(self.model, **self.options)
        explanation = self._explainer(self.images, self.target)
        sheet = _sheet(explanation.overlay(self.pictures, self.alpha, self.colormap))
        self.explanation = explanation
        if self._events is None:
            self._events = EventFile(self.log_dir)
        self._events.picture("heatmaps", sheet, step)
        if explanation.warnings:
            self._events.words("heatmaps/warnings", explanation.warnings, step)
        self._events.flush()
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / f"heatmaps-{self.unit}-{step:04d}.png"
            files.write(path, pictures.encode(sheet))


def _sheet(overlays: np.ndarray) -> np.ndarray:
    """Pictures (batch, height, width, 3) side by side on white, small ones enlarged."""
    height, width = overlays.shape[1:3]
    factor = max(1, math.ceil(_SMALLEST_SIDE / max(height, width)))
    grown = overlays.repeat(factor, axis=1).repeat(factor, axis=2)
    padding = [(0, 0), (_GAP, 0), (_GAP, 0), (0, 0)]
    cells = np.pad(grown, padding, constant_values=255)
    columns = math.ceil(math.sqrt(len(cells) * cells.shape[1] / cells.shape[2]))
    columns = min(columns, len(cells))
    rows = math.ceil(len(cells) / columns)
    page = np.full((rows * columns, *cells.shape[1:]), 255, np.uint8)
    page[: len(cells)] = cells
    lines = page.reshape(rows, columns, *cells.shape[1:]).swapaxes(1, 2)
    joined = lines.reshape(rows * cells.shape[1], columns * cells.shape[2], 3)
    return np.pad(joined, [(0, _GAP), (0, _GAP), (0, 0)], constant_values=255)


def _pictures(given: Any, pictures: Any) -> Any:
    """What heatmaps are drawn over, as an array of 1 to 64 pictures."""
    if pictures is None:
        one_input = isinstance(given, list | tuple) and len(given) == 1 and np.ndim(given[0]) == 4
        pictures = given[0] if one_input else given
    if isinstance(pictures, dict):
        raise ImageError("callback-pictures")
    if isinstance(pictures, list | tuple):
        # One image an entry, as explain takes them; else the batches of several inputs.
        if len({np.shape(one) for one in pictures}) > 1 or {np.ndim(one) for one in pictures} - {3}:
            raise ImageError("callback-pictures")
        pictures = np.array([np.asarray(one) for one in pictures])
    count = len(pictures) if np.ndim(pictures) == 4 else 1
    if not 1 <= count <= _MOST_IMAGES:
        raise ImageError("callback-count", count=count)
    return pictures


def _known(options: dict[str, Any]) -> dict[str, Any]:
    """Checks that these are options of the explainer."""
    expected = [name for name in inspect.signature(Explainer).parameters if name != "model"]
    for name, value in options.items():
        if name not in expected:
            options_are = f"options of gradcam.Explainer: {', '.join(expected)}"
            raise _unknown(name, value, options_are, wording.suggestion(name, expected))
    return options


def _folder(value: Any, option: str) -> Path:
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise _unknown(option, value, "the path of a folder")
    return Path(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise _unknown("every", value, "a whole number from 1")
    return int(value)


def _unit(value: Any) -> str:
    if not isinstance(value, str) or value not in ("epoch", "batch"):
        raise _unknown("unit", value, "'epoch' or 'batch'")
    return str(value)


def _unknown(option: str, value: Any, expected: str, hint: str = "") -> GradCamError:
    advice = "See gradcam.callbacks.ExplainCallback."
    return GradCamError(
        "unknown-option", option=option, value=value, hint=hint, expected=expected, advice=advice
    )


def _first_line(error: Exception) -> str:
    """What an error says, without a full stop and without TensorFlow's names of operations."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    words = _TENSORFLOW_NOISE.sub("", lines[0]).strip().rstrip(".") if lines else ""
    return words or type(error).__name__
