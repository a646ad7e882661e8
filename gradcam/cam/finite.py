"""Raises for what is not finite, and names the layer where it began."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from gradcam.errors import NonFiniteError
from gradcam.messages.wording import Images

if TYPE_CHECKING:
    from gradcam.cam.program import Program, Results
    from gradcam.cam.question import Question
    from gradcam.trace.recording import Recording


def check(program: Program, question: Question, results: Results, first: int) -> None:
    """Raise `NonFiniteError` for the images that are not finite, or turn so on the way.

    Args:
        program: what was run.
        question: the images.
        results: what came out.
        first: the number of the first image of the batch, for the messages.
    """
    run, batch = program.run, question.batch
    names = run.recording.input_names
    for array, name, finite in zip(batch.arrays, names, results.finite_inputs, strict=True):
        if not np.all(finite):
            where = f" of input '{name}'" if len(batch.arrays) > 1 else ""
            kind = "NaN" if np.isnan(array).any() else "An infinity"
            raise NonFiniteError(
                "non-finite-images", kind=kind, images=_numbers(~finite, first), name=where
            )
    for number, (tapped, layer) in enumerate(zip(run.tapped, results.layers, strict=True)):
        forward = layer.finite_activations & results.finite_scores
        if not np.all(forward):
            raise _forward_error(program, question, ~forward, first)
        if layer.finite_gradients is not None and not np.all(layer.finite_gradients):
            backward = np.all(layer.finite_gradients, axis=-1)
            column = int(np.argmin(np.all(layer.finite_gradients, axis=0)))
            path = _first_on_the_way_back(program, question, ~backward)
            raise NonFiniteError(
                "non-finite-gradients",
                kind="NaN or an infinity",
                target=run.target_of(column),
                images=_numbers(~backward, first),
                path=path or tapped.path,
            )
        for maps in results.maps[number]:
            if not np.all(maps.finite):
                wrong = _numbers(~maps.finite, first)
                raise NonFiniteError("non-finite-map", path=tapped.path, images=wrong)


def _forward_error(
    program: Program, question: Question, wrong: np.ndarray, first: int
) -> NonFiniteError:
    """The error for activations, with the first layer that is not finite."""
    outputs = _leaf_outputs(program.run.recording)
    path, kind = "the target", "NaN"  # such as the logarithm of a function target
    values = _values(program, question, wrong, [tensor for _, tensor in outputs])
    for (layer, _), value in zip(outputs, values, strict=True):
        if not np.all(np.isfinite(value)):
            path, kind = f"'{layer}'", "NaN" if np.any(np.isnan(value)) else "An infinity"
            break
    return NonFiniteError(
        "non-finite-activations", kind=kind, images=_numbers(wrong, first), path=path
    )


def _first_on_the_way_back(program: Program, question: Question, wrong: np.ndarray) -> str | None:
    """The layer nearest to the target whose gradient is not finite."""
    run = program.run
    outputs = _leaf_outputs(run.recording)
    with program.function.graph.as_default():
        found = run.recording.gradients(run.scores, [tensor for _, tensor in outputs])
    pairs = zip(outputs, found, strict=True)
    known = [(path, gradient) for (path, _), gradient in pairs if gradient is not None]
    values = _values(program, question, wrong, [gradient for _, gradient in known])
    paths = [
        path
        for (path, _), value in zip(known, values, strict=True)
        if not np.all(np.isfinite(value))
    ]
    return paths[-1] if paths else None


def _values(
    program: Program, question: Question, wrong: np.ndarray, tensors: list[tf.Tensor]
) -> list[np.ndarray]:
    """What tensors are for the first wrong image alone: those of a whole batch may not fit.

    A program for batches of one size gets them whole.
    """
    image = int(np.flatnonzero(wrong)[0])
    one = question if program.is_fixed else question.rows(slice(image, image + 1))
    return program.values(one, tensors)


def _leaf_outputs(recording: Recording) -> list[tuple[str, tf.Tensor]]:
    """The layers that call no other, with their output, in the order of the calls."""
    return [
        (call.path, call.outputs[0])
        for call in recording.calls
        if call.path and call.outputs and call.is_leaf and call.outputs[0].dtype.is_floating
    ]


def _numbers(wrong: np.ndarray, first: int) -> Images:
    flagged = wrong.reshape(len(wrong), -1).any(axis=1)
    return Images(first + int(image) for image in np.flatnonzero(flagged))
