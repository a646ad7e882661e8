"""The callback that watches transformers."""

from __future__ import annotations

import itertools
import os
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_stn import checks, plots
from keras_stn.callbacks import health
from keras_stn.callbacks.events import EventFile, reason_of
from keras_stn.callbacks.views import HIDDEN, View, look
from keras_stn.plots.charts import parameter_names
from keras_stn.plots.pictures import MOST_IMAGES, few_enough, shown, usual_range

_CANNOT_WRITE = (OSError, tf.errors.OpError)
_CANNOT_RUN = (
    "TransformerMonitor could not run the model on its images: {reason}. The training goes on. Expected a "
    "model that runs on them at all times: call model(images) to see the whole error."
)


@dataclass
class History:
    """What a transformer did for the images that are watched.

    Attributes:
        steps: the epochs, or batches, after which it was looked at.
        thetas: theta at each step, `(batch, num_params)`.
        outside: which share of each grid lay outside its image, `(batch,)`.
    """

    steps: list[int] = field(default_factory=list)
    thetas: list[np.ndarray] = field(default_factory=list)
    outside: list[np.ndarray] = field(default_factory=list)


class TransformerMonitor(keras.callbacks.Callback):
    """Watches every `SpatialTransformer` of a model while it trains, on images that stay the same.

    Before the first epoch, if the model is built by then, and after every `every` of them, it writes for each
    transformer, wherever in the model it sits: `frames`, the images that reach it with the sampling frames on
    them and what is read there; `warped`, that alone; a histogram of each parameter of theta, and its course
    as a picture; `outside`, which share of the grid lies outside the image; `area`, how much of the image the
    frame covers. A layer in the middle of a network gets feature maps, drawn by their mean magnitude.

    It warns, once for each layer and with the number of the image, when theta is NaN, when the output is
    black because the frame lies outside the image or where there is nothing, and when the frame has
    shrunk to nothing.

    The model is run for these images in addition, without training and without changing anything. What can't
    be written later on, as on a full disk, is said once and doesn't stop the training.

    Args:
        images: what the model takes, at most 64 images; for several inputs a list or dict of arrays.
        log_dir: the folder for TensorBoard. Nothing but TensorFlow is needed to write there.
        folder: a folder for PNG files too, `<layer>/frames-epoch-0005.png` and so on; None for none.
        every: how often to look.
        unit: "epoch" or "batch": what `every` counts.
        labels: what stands below each image; None numbers them.

    Attributes:
        history: for each transformer by name, its `steps`, `thetas` and shares `outside`.

    A transformer that is called more than once, as in `TimeDistributed`, or shares its name, gets a number
    for each call: `"stn[1]"`. Calls inside loops of TensorFlow, or a `tf.function` of the model's own, can't
    be looked into.

    Example:

    >>> import tempfile
    >>> from keras_stn.callbacks import TransformerMonitor
    >>> model = keras.Sequential([
    ...     keras.Input((16, 16, 1)), keras_stn.SpatialTransformer("attention", name="stn"),
    ...     keras.layers.Flatten(), keras.layers.Dense(2),
    ... ])
    >>> model.compile("adam", "mse")
    >>> images = np.random.rand(8, 16, 16, 1)
    >>> monitor = TransformerMonitor(images[:4], log_dir=tempfile.mkdtemp())
    >>> _ = model.fit(images, np.ones((8, 2)), epochs=2, verbose=0, callbacks=[monitor])
    >>> monitor.history["stn"].steps
    [0, 1, 2]
    """

    def __init__(
        self,
        images: Any,
        log_dir: str | os.PathLike[str],
        folder: str | os.PathLike[str] | None = None,
        *,
        every: int = 1,
        unit: str = "epoch",
        labels: Any = None,
    ) -> None:
        super().__init__()
        self.images = keras.tree.map_structure(_array, images)
        self.log_dir = _path(log_dir, "log_dir")
        self.folder = None if folder is None else _path(folder, "folder")
        self.every = checks.whole_number(every, "every")
        self.unit = checks.one_of(unit, ("epoch", "batch"), "unit", {})
        count = _count(self.images)
        self.labels = plots.sheets.numbered(labels, count)
        self.history: dict[str, History] = {}
        self._events: EventFile | None = None
        self._said: set[tuple[str, str]] = set()
        self._watched: keras.Model | None = None
        self._is_first = True
        self._batches = 0
        self._batch_of_epoch = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Starts anew; with another model, from nothing."""
        self._is_first = True
        if self.model is not self._watched:
            self._watched = self.model
            self.history, self._said = {}, set()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks at the model before the first epoch; wrong arguments are found here."""
        self._batch_of_epoch = 0
        # A subclass that was never called has no weights before its first batch.
        if self._is_first and self.model.built:
            self._look_first(epoch if self.unit == "epoch" else self._batches)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks at the model after every so many epochs."""
        if self.unit == "epoch" and (epoch + 1) % self.every == 0:
            self._look_again(epoch + 1)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks at the model after every so many batches."""
        # With steps_per_execution, several batches have passed since the last call, and Keras counts as many
        # where an epoch ends sooner.
        before, passed = (
            self._batches,
            min(batch + 1, (self.params or {}).get("steps") or batch + 1),
        )
        self._batches += passed - self._batch_of_epoch
        self._batch_of_epoch = passed
        if self.unit == "batch" and before // self.every < self._batches // self.every:
            self._look_again(self._batches)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Ends the event file."""
        if self._events is not None:
            events, self._events = self._events, None
            try:
                events.close()
            except _CANNOT_WRITE as error:
                self._say_once("", "write", self._lost(error))

    def _look_first(self, step: int) -> None:
        self._is_first = False
        views = self._views()
        try:
            self._write(views, step)
        except _CANNOT_WRITE as error:
            folder = self.folder and str(self.folder)
            raise ValueError(
                f"TransformerMonitor can't write to its folders. Received: log_dir={str(self.log_dir)!r}, "
                f"folder={folder!r}. Expected folders that can be made and written to: {reason_of(error)}."
            ) from error

    def _look_again(self, step: int) -> None:
        if self._is_first:
            self._look_first(step)
            return
        try:
            views = self._views()
        except (tf.errors.OpError, ValueError) as error:
            self._say_once("", "run", _CANNOT_RUN.format(reason=reason_of(error)))
            return
        try:
            self._write(views, step)
        except (*_CANNOT_WRITE, ValueError) as error:
            self._say_once("", "write", self._lost(error))

    def _lost(self, error: Exception) -> str:
        given = [self.log_dir] if self.folder is None else [self.log_dir, self.folder]
        folders = " and ".join(repr(str(folder)) for folder in given)
        return (
            f"TransformerMonitor could not write what it saw: {reason_of(error)}. The training goes on. "
            f"Check that there is room in {folders}, and that it can be written there."
        )

    def _views(self) -> dict[str, View]:
        """One look at all transformers."""
        views, hidden = look(self.model, self.images)
        for name in hidden:
            self._say_once(name, "hidden", HIDDEN.format(layer=name))
        return views

    def _write(self, views: dict[str, View], step: int) -> None:
        if self._events is None:
            self._events = EventFile(self.log_dir)
        for name, view in views.items():
            self._check(name, view, step)
            self._write_numbers(self._events, name, view, step)
            self._write_pictures(self._events, name, view, step)
        self._events.flush()

    def _check(self, name: str, view: View, step: int) -> None:
        """Keeps theta, and says what is wrong with it."""
        history = self.history.setdefault(name, History())
        if history.steps[-1:] == [step]:  # a training that goes on begins where it ended
            del history.steps[-1], history.thetas[-1], history.outside[-1]
        history.steps.append(step)
        history.thetas.append(view.theta)
        history.outside.append(health.outside_share(view.pixels, view.size))
        when = f"after {self.unit} {step}"
        for code, numbers in health.problems(view).items():
            facts = {"layer": name, "images": health.listed(numbers), "when": when}
            seen = health.seen_outside(view.layer)
            self._say_once(name, code, health.SENTENCES[code].format(**facts, seen=seen))

    def _write_numbers(self, events: EventFile, name: str, view: View, step: int) -> None:
        outside = health.outside_share(view.pixels, view.size)
        area = health.area_share(view.pixels, view.size)
        events.scalar(f"{name}/outside", float(outside.mean()), step)
        if np.isfinite(area).any():
            events.scalar(f"{name}/area", float(np.nanmedian(area)), step)
        events.histogram(f"{name}/outside of each image", outside, step)
        family = view.layer.transform
        for parameter, values in zip(
            parameter_names(family, family.num_params), view.theta.T, strict=True
        ):
            events.histogram(f"{name}/theta/{parameter}", values, step)

    def _write_pictures(self, events: EventFile, name: str, view: View, step: int) -> None:
        labels = self.labels if len(self.labels) == len(view.images) else None
        aligned, colours = view.layer.align_corners, usual_range(view.images)
        # A model may cut its images into more than fit on a sheet.
        images, outputs = shown(view.images[:MOST_IMAGES]), shown(view.outputs[:MOST_IMAGES])
        grids = view.grids[:MOST_IMAGES]
        draw = plots.meshes if _bends(view.layer.transform) else plots.frames
        known = self.history[name]
        drawn = {
            "frames": draw(
                images, grids, outputs, labels, align_corners=aligned, value_range=colours
            ),
            "warped": plots.sheet(outputs, labels, value_range=colours),
            "theta": plots.theta_history(known.thetas, view.layer.transform, _rising(known.steps)),
        }
        for kind, picture in drawn.items():
            events.picture(f"{name}/{kind}", picture, step)
            if self.folder is not None:
                # The course of theta holds all that was before: one file is enough.
                number = "" if kind == "theta" else f"-{self.unit}-{step:04d}"
                plots.save(self.folder / _file_name(name) / f"{kind}{number}.png", picture)

    def _say_once(self, name: str, code: str, sentence: str) -> None:
        if (name, code) not in self._said:
            self._said.add((name, code))
            warnings.warn(sentence, stacklevel=2)


def _array(values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "biufV" or array.ndim == 0:
        raise ValueError(
            "images must be arrays that the model takes. Received: "
            f"{array.dtype} of shape {array.shape}. Of a data set, take a batch: next(iter(data))[0]."
        )
    return array


def _count(images: Any) -> int:
    counts = {len(array) for array in keras.tree.flatten(images)}
    if len(counts) != 1 or 0 in counts:
        raise ValueError(
            "images must hold at least one image, and the same number for each input. "
            f"Received: {sorted(counts)} of them."
        )
    count = counts.pop()
    few_enough(count)
    return count


def _path(value: Any, argument: str) -> Path:
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise ValueError(f"{argument} must be the path of a folder. Received: {value!r}.")
    return Path(value)


def _bends(transform: Any) -> bool:
    """Whether straight lines or their even spacing may not stay: then the frame doesn't tell all."""
    return not hasattr(transform, "matrix") or transform.num_params > 6


def _rising(steps: list[int]) -> list[int] | None:
    """The steps for a chart; where training started anew they are counted instead."""
    return steps if all(a < b for a, b in itertools.pairwise(steps)) else None


def _file_name(name: str) -> str:
    return re.sub(r"[^\w+\-\[\].]", "_", name.replace("/", "+"))
