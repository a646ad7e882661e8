"""Reads the facts of a run: errors for what is not finite, notes on maps that are blank."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from gradcam.cam import blank
from gradcam.cam.program import Program, Question, Settings, read_outputs
from gradcam.errors import NonFiniteError
from gradcam.messages import findings
from gradcam.messages.findings import Images
from gradcam.messages.notes import Note
from gradcam.trace import blockers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradcam.trace.inputs import Batch
    from gradcam.trace.recording import Recording
    from gradcam.trace.sources import Source


def check_finite(program: Program, question: Question, results: Any, first: int) -> None:
    """Raise `NonFiniteError` for the images that are not finite, or turn so on the way.

    Args:
        program: what was run.
        question: the images.
        results: what came out.
        first: the number of the first image of the batch, for the messages.
    """
    batch = question.batch
    recording = program.scenes[0].recording
    for array, name, finite in zip(
        batch.arrays, recording.input_names, results["finite_inputs"], strict=True
    ):
        if not np.all(finite):
            where = f" of input '{name}'" if len(batch.arrays) > 1 else ""
            kind = "NaN" if np.isnan(array).any() else "An infinity"
            raise NonFiniteError(
                "non-finite-images", kind=kind, images=_numbers(~finite, first), name=where
            )
    for scene, facts in zip(program.scenes, results["facts"], strict=True):
        forward = facts["finite_activations"] & results["finite_scores"]
        if not np.all(forward):
            raise _forward_error(program.source, batch, ~forward, first)
        backward = np.all(facts.get("finite_gradients", True), axis=-1)
        if not np.all(backward):
            path = _first_on_the_way_back(program, question)
            raise NonFiniteError(
                "non-finite-gradients",
                kind="NaN or an infinity",
                target=program.target,
                images=_numbers(~backward, first),
                path=path or scene.call.path,
            )
        if not np.all(facts["finite_maps"]):
            wrong = _numbers(~np.all(facts["finite_maps"], axis=-1), first)
            raise NonFiniteError("non-finite-map", path=scene.call.path, images=wrong)


def blank_maps(program: Program, results: Any, labels: Sequence[Any], first: int) -> list[Note]:
    """A note for each map that has nothing in it, with the reason."""
    notes = []
    settings = program.settings
    for scene, facts in zip(program.scenes, results["facts"], strict=True):
        high, low = facts["high"], facts["low"]
        is_blank = (high <= 0) if settings.relu else (high == 0) & (low == 0)
        for image, explained in np.argwhere(is_blank):
            code = blank.reason(settings.method, facts, image, explained)
            why = ""
            if code == "warn-zero-gradient":
                flat = blockers.flat_operations([scene.tapped], scene.scores, scene.recording)
                why = f" ({findings.listing(flat)} has no slope)" if flat else ""
                why = why or program.target.zero_hint
            known = {
                "path": scene.call.path,
                "method": settings.method,
                "reason": why,
                "other": "eigengradcam" if "gradient" in facts else "eigencam",
                **_sides(settings),
            }
            target = None if code in blank.OF_THE_IMAGE else labels[image][explained]
            notes.append(Note(code, known, first + int(image), target))
    return notes


def blank_heatmaps(program: Program, results: Any, first: int) -> list[Note]:
    """A note for each image whose map has something in it, and whose heatmap has nothing."""
    maps, heatmaps = (
        np.abs(results[name]).reshape(len(results[name]), -1).max(axis=1)
        for name in ("maps", "heatmaps")
    )
    is_lost = (maps > 0) & (heatmaps == 0)
    if "coverage" in results:  # a frame outside of the image is said by itself
        is_lost &= results["coverage"].max(axis=(1, 2)) > 0
    path = findings.listing([scene.call.path for scene in program.scenes])
    return [
        Note("warn-blank-heatmap", {"path": path}, first + int(image))
        for image in np.flatnonzero(is_lost)
    ]


def frames_outside(program: Program, results: Any, first: int) -> list[Note]:
    """A note for each image that a spatial transformer shows nothing of."""
    if "coverage" not in results:
        return []
    way = program.scenes[0].frame.way
    facts = {"path": program.scenes[0].call.path, "names": findings.listing(way.paths)}
    return [
        Note("warn-frame-outside", facts, first + int(image))
        for image in np.flatnonzero(results["coverage"].max(axis=(1, 2)) == 0)
    ]


def _sides(settings: Settings) -> dict[str, str]:
    """The words for what a counterfactual turns round."""
    if settings.counterfactual:
        return {"against": "for", "sign": "negative", "turned": "leave counterfactual=True out"}
    return {"against": "against", "sign": "positive", "turned": "use counterfactual=True"}


def look_like_probabilities(program: Program, values: Sequence[Any]) -> list[Note]:
    """A note where scores sum to one though no softmax was found at the end."""
    if program.settings.score != "logit":
        return []
    notes = []
    for output, value in zip(program.outputs.outputs, values, strict=True):
        is_classes = value.ndim == 2 and value.shape[1] > 1
        if is_classes and output.ending == "linear" and not output.hidden:
            sums = np.sum(value, axis=1, dtype=np.float64)
            if np.all(value >= 0) and np.allclose(sums, 1.0, atol=1e-3):
                facts = {"name": output.name, "activation": "softmax"}
                notes.append(Note("warn-probability", facts))
    return notes


def _forward_error(source: Source, batch: Batch, wrong: np.ndarray, first: int) -> NonFiniteError:
    """The error for activations, with the first layer that is not finite."""
    paths: list[str] = []

    def trace(*tensors: tf.Tensor) -> tf.Tensor:
        recording = source.record(list(tensors), batch.structure)
        tapped = _tapped(recording)
        paths.extend(path for path, _ in tapped)
        is_nan = [tf.reduce_any(tf.math.is_nan(tensor)) for _, tensor in tapped]
        is_infinite = [tf.reduce_any(tf.math.is_inf(tensor)) for _, tensor in tapped]
        return tf.stack([is_nan, is_infinite], axis=1)

    flags = _run(trace, batch)
    # Where every layer is finite, the score is not, such as the logarithm of a function target.
    number = next((n for n, of_layer in enumerate(flags) if of_layer.any()), None)
    return NonFiniteError(
        "non-finite-activations",
        kind="An infinity" if number is not None and not flags[number][0] else "NaN",
        images=_numbers(wrong, first),
        path="the target" if number is None else f"'{paths[number]}'",
    )


def _first_on_the_way_back(program: Program, question: Question) -> str | None:
    """The layer nearest to the target whose gradient is not finite."""
    paths: list[str] = []

    def trace(*tensors: tf.Tensor) -> tf.Tensor:
        recording = program.source.record(list(tensors), question.batch.structure)
        outputs = read_outputs(recording, program.settings)
        scores = program.target.score(outputs, program.target.prepare(outputs, question.arguments))
        tapped = _tapped(recording)
        gradients = tf.gradients(scores, [tensor for _, tensor in tapped])
        known = [
            (path, gradient)
            for (path, _), gradient in zip(tapped, gradients, strict=True)
            if gradient is not None
        ]
        paths.extend(path for path, _ in known)
        return tf.stack(
            [~tf.reduce_all(tf.math.is_finite(tf.convert_to_tensor(g))) for _, g in known]
        )

    flags = _run(trace, question.batch)
    return next((path for path, bad in reversed(list(zip(paths, flags, strict=True))) if bad), None)


def _tapped(recording: Recording) -> list[tuple[str, tf.Tensor]]:
    """The layers that call no other, with their output, in the order of the calls."""
    return [
        (call.path, call.outputs[0])
        for call in recording.calls
        if call.path and call.outputs and call.is_leaf and call.outputs[0].dtype.is_floating
    ]


def _run(trace: Any, batch: Batch) -> np.ndarray:
    signature = [tf.TensorSpec(array.shape, array.dtype) for array in batch.arrays]
    function = tf.compat.v1.wrap_function(trace, signature)
    return function(*[tf.convert_to_tensor(array) for array in batch.arrays]).numpy()


def _numbers(wrong: np.ndarray, first: int) -> Images:
    return Images(first + int(image) for image in np.flatnonzero(wrong))
