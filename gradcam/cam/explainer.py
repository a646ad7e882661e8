"""The walk: images -> program -> maps, and what there is to say about them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gradcam.cam import answers, pixels, settings
from gradcam.cam.answers import Answer
from gradcam.cam.programs import Programs, kept_with
from gradcam.cam.question import Aim, Question
from gradcam.errors import GradCamError, ModelError
from gradcam.targets import resolving
from gradcam.targets.scoring import Target
from gradcam.trace import inputs, kernels, sources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradcam.cam.explanation import Explanation
    from gradcam.cam.program import Program
    from gradcam.messages.notes import Note

IMAGES_PER_RUN = 32


class Explainer:
    """Explains many batches of one model: traced once per input shape, then as fast as the model.

    Args:
        model: a built Keras model.
        layer: the path of a layer, a layer object, a list of those, or None for the last feature
            map before the target.
        method: a name from `gradcam.METHODS`, or a list of names: then a call gives a dict with an
            explanation by each, from one run of the model.
        score: `"logit"` explains what goes into a final softmax or sigmoid, `"probability"` what
            comes out.
        class_names: the names of the classes in the order of the output.
        relu: False keeps the negative side of the maps.
        counterfactual: True explains what speaks against the target.
        fuse: how the maps of several layers become one, `"mean"` or `"max"`; None keeps them apart,
            for `each`.
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
    >>> found = Explainer(model, method=["gradcam", "layercam"])(np.ones((5, 8, 8, 3)))
    >>> found["layercam"].maps.shape
    (5, 6, 6)
    """

    def __init__(
        self,
        model: Any,
        layer: Any = None,
        method: str | Sequence[str] = "gradcam",
        *,
        score: str = "logit",
        class_names: Sequence[str] | None = None,
        relu: bool = True,
        counterfactual: bool = False,
        fuse: str | None = "mean",
        max_channels: int | None = None,
        batch_size: int | None = None,
        input: str | None = None,  # noqa: A002 - the word of the user's model
    ) -> None:
        self._source = sources.open_source(model)
        self._settings = settings.checked(
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
        self._has_several_methods = settings.are_several(method)
        self._programs = Programs()
        self._has_seen_pixels = False

    def __repr__(self) -> str:
        named = [repr(layer) for layer in self._settings.layers if layer is not None]
        layers = " and ".join(named) or "the last feature map"
        return (
            f"Explainer({', '.join(self._settings.methods)} of {layers} in '{self._source.name}')"
        )

    def __call__(self, images: Any, target: Any = None, top_k: int | None = None) -> Any:
        """Explain some images.

        Args:
            images: what the model takes; one image may come without the batch axis.
            target: see `gradcam.targets`; None for each image's own top class.
            top_k: explain so many of the top classes of each image.

        Returns:
            An explanation; where a list of methods was given, a dict with one of each, by its name.
        """
        if self._settings.fuse is None and len(self._settings.layers) > 1:
            raise GradCamError(
                "unknown-option",
                option="fuse",
                value=None,
                hint="",
                expected="'mean' or 'max', as a call gives one map of all layers",
                advice="explainer.each(images, [(target, None)]) gives one a layer.",
            )
        found = self.each(images, [(target, top_k)])
        by_method = {explanation.method: explanation for explanation in found}
        return by_method if self._has_several_methods else found[0]

    def each(self, images: Any, aims: Sequence[tuple[Any, int | None]]) -> list[Explanation]:
        """Explain several targets of each image at once: the model runs forward once for all.

        Args:
            images: what the model takes.
            aims: for each explanation the target and `top_k`.

        Returns:
            The explanations, by layer where `fuse` is None, then by method, then by target.
        """
        question = self._question(images, aims)
        parts = self._answered(question)
        return answers.joined(parts, self._settings)

    def prepare(self, images: Any, target: Any = None, top_k: int | None = None) -> list[str]:
        """Trace for such images and such a target, without running the model on them.

        Raises whatever a call would raise that doesn't depend on the pixels, and makes the first
        call as fast as the next.

        Returns:
            The paths of the layers.
        """
        return self.prepare_each(images, [(target, top_k)])

    def prepare_each(self, images: Any, aims: Sequence[tuple[Any, int | None]]) -> list[str]:
        """Trace for such images and such targets, as `prepare` does for one."""
        question = self._question(images, aims)
        program = self._program(question, question.key())
        answers.check(program, question)
        return [tapped.path for tapped in program.run.tapped]

    def look_at_pixels(self, images: Any, aims: Sequence[tuple[Any, int | None]]) -> Note | None:
        """What the first call would say of the range of some images, without explaining them.

        No later call says it again, but for blank maps.
        """
        question = self._question(images, aims)
        self._has_seen_pixels = True
        return pixels.note(self._program(question, question.key()), question)

    def _question(self, images: Any, aims: Sequence[tuple[Any, int | None]]) -> Question:
        batch = inputs.read(self._source, images)
        return Question(batch, tuple(self._aim(*aim, len(batch)) for aim in aims))

    def _aim(self, target: Any, top_k: int | None, count: int) -> Aim:
        settings.check_top_k(top_k, target)
        if target is None:
            return Aim(None, top_k)
        asked = resolving.as_target(target).named(self._settings.class_names)
        return Aim(asked, top_k, asked.arguments(count))

    def _answered(self, question: Question) -> list[Answer]:
        try:
            return self._parts(question)
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
        return self._parts(floats)

    def _parts(self, question: Question) -> list[Answer]:
        """The answers for as many images as go through the model at once."""
        size = self._fixed_rows() or self._settings.batch_size or IMAGES_PER_RUN
        key = question.key()  # once: it is a new one each time for what can't be compared
        parts = []
        for first in range(0, len(question.batch), size):
            part = question.rows(slice(first, first + size))
            program = self._program(part, key)
            with kernels.failures_named(self._source.name):
                found = answers.answer(program, part, first)
            parts.append(self._of_pixels(program, part, found))
        return parts

    def _of_pixels(self, program: Program, question: Question, answer: Answer) -> Answer:
        """The answer with a note on pixels in the wrong range, in the first call or if it is blank."""
        if self._has_seen_pixels and not answer.is_blank:
            return answer
        self._has_seen_pixels = True
        return replace(answer, on_pixels=pixels.note(program, question))

    def _program(self, question: Question, kind: Any) -> Program:
        """The traced program for this kind of question, traced now if there is none."""
        return self._programs.get(self._source, self._settings, question, kind, self._fixed_rows())

    def _fixed_rows(self) -> int | None:
        specs = self._source.specs()
        return specs[0].shape[0] if specs else None


def explain(
    model: Any,
    images: Any,
    target: Any = None,
    layer: Any = None,
    method: str | Sequence[str] = "gradcam",
    *,
    score: str = "logit",
    class_names: Sequence[str] | None = None,
    relu: bool = True,
    counterfactual: bool = False,
    top_k: int | None = None,
    fuse: str | None = "mean",
    max_channels: int | None = None,
    batch_size: int | None = None,
    input: str | None = None,  # noqa: A002 - the word of the user's model
) -> Any:
    """Explain some images once; `Explainer` is for many batches of the same model.

    The arguments are those of `Explainer` and of its call. The model is left as it was.

    What was traced is kept for the next call with the same model, and goes when the model goes: it
    is found by a weak reference. It holds the model's weights by reference, so training is seen; an
    attribute that is changed on a layer, such as its activation, is traced anew. What isn't seen is
    a change inside of an object of your own that a layer holds, or of a global that its `call` reads:
    use an `Explainer` anew then. With a function as the target nothing is kept.

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
    is_target = isinstance(target, Target)
    if not (target.has_code if is_target else callable(target)):  # which may hold the model itself
        explainer._programs = kept_with(model)
    return explainer(images, target, top_k)
