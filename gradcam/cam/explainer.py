"""The walk: images -> program -> maps, and what there is to say about them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from gradcam.cam import options, pixels, verdicts
from gradcam.cam.explanation import Explanation
from gradcam.cam.program import Program, Question, Settings
from gradcam.errors import ModelError
from gradcam.targets import resolving
from gradcam.trace import inputs, kernels, sources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradcam.messages.notes import Note


# Programs kept: enough for a few image sizes and kinds of targets, few enough to bound the memory
# where every call brings a new function as its target.
PROGRAMS_KEPT = 16
IMAGES_PER_RUN = 32


class Explainer:
    """Explains many batches of one model: traced once per input shape, then as fast as the model.

    Args:
        model: a built Keras model.
        layer: the path of a layer, a layer object, a list of those, or None for the last feature
            map before the target.
        method: a name from `gradcam.METHODS`.
        score: `"logit"` explains what goes into a final softmax or sigmoid, `"probability"` what
            comes out.
        class_names: the names of the classes in the order of the output.
        relu: False keeps the negative side of the maps.
        counterfactual: True explains what speaks against the target.
        fuse: how the maps of several layers become one, `"mean"` or `"max"`.
        max_channels: for scorecam and ablationcam, so many channels, the most varied of each image.
        batch_size: images, or changed images, that go through the model at once.
        input: the name of the input that heatmaps belong to, where a layer sees several.

    >>> import keras, numpy as np
    >>> model = keras.Sequential([
    ...     keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
    ...     keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2),
    ... ])
    >>> explainer = Explainer(model)
    >>> explanation = explainer(np.ones((5, 8, 8, 3)), target=1)
    >>> explanation.layer, explanation.maps.shape, explanation.heatmaps.shape
    ('conv', (5, 6, 6), (5, 8, 8))
    """

    def __init__(
        self,
        model: Any,
        layer: Any = None,
        method: str = "gradcam",
        *,
        score: str = "logit",
        class_names: Sequence[str] | None = None,
        relu: bool = True,
        counterfactual: bool = False,
        fuse: str = "mean",
        max_channels: int | None = None,
        batch_size: int | None = None,
        input: str | None = None,  # noqa: A002 - the word of the user's model
    ) -> None:
        self._source = sources.open_source(model)
        self._settings = options.settings(
            layer=layer,
            method=method,
            score=score,
            class_names=class_names,
            relu=relu,
            counterfactual=counterfactual,
            fuse=fuse,
            max_channels=max_channels,
            batch_size=batch_size,
            input=input,
        )
        self._programs: OrderedDict[Any, Program] = OrderedDict()
        self._lock = threading.RLock()
        self._fixes_batch = False
        self._has_seen_pixels = False

    def __repr__(self) -> str:
        named = [repr(layer) for layer in self._settings.layers if layer is not None]
        layers = " and ".join(named) or "the last feature map"
        return f"Explainer({self._settings.method} of {layers} in '{self._source.name}')"

    def __call__(self, images: Any, target: Any = None, top_k: int | None = None) -> Explanation:
        """Explain some images.

        Args:
            images: what the model takes; one image may come without the batch axis.
            target: see `gradcam.targets`; None for each image's own top class.
            top_k: explain so many of the top classes of each image.
        """
        return self._explained(self._question(images, target, top_k))

    def prepare(self, images: Any, target: Any = None, top_k: int | None = None) -> list[str]:
        """Trace for such images and such a target, without running the model on them.

        Raises whatever a call would raise that doesn't depend on the pixels, and makes the first
        call as fast as the next.

        Returns:
            The paths of the layers.
        """
        question = self._question(images, target, top_k)
        program = self._program(question, question.key())
        program.target.check(program.outputs, question.arguments)
        return [scene.call.path for scene in program.scenes]

    def look_at_pixels(
        self, images: Any, target: Any = None, top_k: int | None = None
    ) -> Note | None:
        """What the first call would say of the range of some images, without explaining them.

        No later call says it again, but for blank maps.
        """
        question = self._question(images, target, top_k)
        self._has_seen_pixels = True
        return pixels.note(self._program(question, question.key()), question.batch)

    def _question(self, images: Any, target: Any, top_k: int | None) -> Question:
        batch = inputs.read(self._source, images)
        options.check_top_k(top_k, target)
        names = self._settings.class_names
        asked = None if target is None else resolving.as_target(target).named(names)
        arguments = asked.arguments(len(batch)) if asked else ()
        return Question(batch, asked, arguments, top_k)

    def _explained(self, question: Question) -> Explanation:
        try:
            return _joined(self._parts(question), self._settings)
        except ModelError as error:
            if error.code != "cannot-run" or self._source.specs() is not None:
                raise
            # A subclassed model doesn't say what it takes: integers as they are, or floats.
            floats = question.in_floats()
            wrong = inputs.misfit(self._source, question.batch) if floats is None else None
            if wrong is not None:
                raise wrong from error
            if floats is None:
                raise
        return self._explained(floats)

    def _parts(self, question: Question) -> list[dict[str, Any]]:
        size = self._fixed_rows() or self._settings.batch_size or IMAGES_PER_RUN
        key = question.key()  # once: it is a new one each time for what can't be compared
        return [
            self._answer(question.rows(slice(first, first + size)), key, first)
            for first in range(0, len(question.batch), size)
        ]

    def _answer(self, question: Question, key: Any, first: int) -> dict[str, Any]:
        """Explain as many images as go through the model at once; `first` is their first number."""
        program = self._program(question, key)
        program.target.check(program.outputs, question.arguments)
        with kernels.missing_ones_named(self._source.name):
            results = tf.nest.map_structure(lambda tensor: tensor.numpy(), program(question))
        verdicts.check_finite(program, question, results, first)
        names = self._settings.class_names
        labels = [[program.target.label(int(i), names) for i in row] for row in results["index"]]
        values = tf.nest.flatten(results["outputs"])
        of_images = (
            verdicts.frames_outside(program, results, first)
            + verdicts.blank_maps(program, results, labels, first)
            + verdicts.blank_heatmaps(program, results, first)
        )
        return results | {
            "targets": [tuple(row) if question.top_k else row[0] for row in labels],
            "paths": [scene.call.path for scene in program.scenes],
            "notes": self._of_pixels(program, question, has_blank=bool(of_images))
            + program.notes
            + verdicts.look_like_probabilities(program, values)
            + of_images,
        }

    def _of_pixels(self, program: Program, question: Question, *, has_blank: bool) -> list[Note]:
        """The note on pixels in the wrong range: in the first call, and where maps are blank."""
        if self._has_seen_pixels and not has_blank:
            return []
        self._has_seen_pixels = True
        found = pixels.note(program, question.batch)
        return [found] if found is not None else []

    def _program(self, question: Question, kind: Any) -> Program:
        """The traced program for this kind of question, traced now if there is none."""
        size = len(question.batch) if self._fixes_batch else self._fixed_rows()
        key = (kind, size)
        with self._lock:
            program = self._programs.get(key)
            if program is None:
                program = self._programs[key] = self._traced(question, size)
                while len(self._programs) > PROGRAMS_KEPT:
                    self._programs.popitem(last=False)
            self._programs.move_to_end(key)
        return program

    def _traced(self, question: Question, size: int | None) -> Program:
        try:
            return Program(self._source, self._settings, question, rows=size)
        except ModelError as error:
            # A `call` that computes with the size of the batch needs to know it.
            if error.code != "cannot-run" or size is not None:
                raise
            program = Program(self._source, self._settings, question, rows=len(question.batch))
            self._fixes_batch = True
            return program

    def _fixed_rows(self) -> int | None:
        specs = self._source.specs()
        return specs[0].shape[0] if specs else None


def explain(
    model: Any,
    images: Any,
    target: Any = None,
    layer: Any = None,
    method: str = "gradcam",
    *,
    score: str = "logit",
    class_names: Sequence[str] | None = None,
    relu: bool = True,
    counterfactual: bool = False,
    top_k: int | None = None,
    fuse: str = "mean",
    max_channels: int | None = None,
    batch_size: int | None = None,
    input: str | None = None,  # noqa: A002 - the word of the user's model
) -> Explanation:
    """Explain some images once; `Explainer` is for many batches of the same model.

    The arguments are those of `Explainer` and of its call. The model is left as it was; nothing
    holds on to it.

    >>> import keras, numpy as np
    >>> model = keras.Sequential([
    ...     keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
    ...     keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, activation="softmax"),
    ... ])
    >>> explain(model, np.ones((2, 8, 8, 3)), top_k=2).heatmaps.shape
    (2, 2, 8, 8)
    """
    explainer = Explainer(
        model,
        layer,
        method,
        score=score,
        class_names=class_names,
        relu=relu,
        counterfactual=counterfactual,
        fuse=fuse,
        max_channels=max_channels,
        batch_size=batch_size,
        input=input,
    )
    return explainer(images, target, top_k)


def _joined(parts: Sequence[dict[str, Any]], settings: Settings) -> Explanation:
    """One explanation of the runs that a batch was split into."""

    def join(name: str) -> Any:
        pieces = [part.get(name) for part in parts]
        if len(pieces) == 1 or pieces[0] is None:
            return pieces[0]
        return tf.nest.map_structure(lambda *arrays: np.concatenate(arrays), *pieces)

    paths = parts[0]["paths"]
    return Explanation(
        maps=join("maps"),
        heatmaps=join("heatmaps"),
        scores=join("scores"),
        outputs=join("outputs"),
        targets=tuple(target for part in parts for target in part["targets"]),
        layer=paths[0] if len(paths) == 1 else tuple(paths),
        method=settings.method,
        notes=tuple(dict.fromkeys(note for part in parts for note in part["notes"])),
        warped_heatmaps=join("warped_heatmaps"),
        coverage=join("coverage"),
        signed=not settings.relu,
    )
