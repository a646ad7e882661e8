"""What there is to know about an explanation: notes on the run, its layers, and maps with nothing in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gradcam import targets
from gradcam.cam import blank
from gradcam.cam.methods import METHODS
from gradcam.messages import wording
from gradcam.messages.notes import Note
from gradcam.trace import blockers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gradcam.cam.heatmaps import Drawn
    from gradcam.cam.program import Results
    from gradcam.cam.run import Aimed, Run, Tapped
    from gradcam.cam.settings import Settings


def of_outputs(run: Run) -> list[Note]:
    """On the model's outputs, whatever the images."""
    notes = []
    for output in run.outputs.outputs if run.settings.score == "logit" else ():
        if output.hidden:
            notes.append(
                Note("warn-probability", {"name": output.name, "activation": output.hidden})
            )
        if output.first:
            facts = {"name": output.name, "first": output.first, "last": output.ending}
            notes.append(Note("warn-two-activations", facts))
    return notes


def of_method(run: Run, aimed: Aimed, name: str) -> list[Note]:
    """On a target that was not given, or was given to a method that doesn't look at it."""
    notes = []
    if isinstance(aimed.target, targets.Regression) and aimed.aim.target is None:
        notes.append(Note("warn-one-linear-unit"))
    is_aimed = run.settings.counterfactual or aimed.aim.target is not None or aimed.aim.top_k
    if is_aimed and not METHODS[name].needs_target:
        notes.append(Note("warn-class-independent", {"method": name}))
    return notes


def of_layers(run: Run, layers: Sequence[Tapped]) -> list[Note]:
    """On tapped layers, whatever the images."""
    return [note for tapped in layers for note in _of_layer(run, tapped)]


def _of_layer(run: Run, tapped: Tapped) -> Iterator[Note]:
    path, frame = tapped.path, tapped.frame
    if tapped.is_chosen:
        hidden = run.maps.hidden_after(tapped.call)
        if hidden:
            facts = {"path": path, "hidden": wording.listing(hidden, limit=6)}
            yield Note("warn-hidden-layers", facts)
        sequence = run.maps.sequence_after(tapped.call)
        if sequence:
            yield Note("warn-token-layers", {"path": path, "sequence": sequence})
    if frame.way.unresolved:
        names = wording.listing(frame.way.unresolved)
        yield Note("warn-warped-frame", {"path": path, "names": names})
    if not frame.axes:
        known = {
            "path": path,
            "map_rank": tapped.output.shape.rank - 2,
            "name": frame.name,
            "shape": tuple(frame.tensor.shape),
        }
        yield Note("warn-no-frame", known)


def on_probabilities(run: Run, values: Sequence[Any]) -> list[Note]:
    """Where scores sum to one though no softmax was found at the end."""
    if run.settings.score != "logit":
        return []
    notes = []
    for output, value in zip(run.outputs.outputs, values, strict=True):
        is_classes = value.ndim == 2 and value.shape[1] > 1
        if is_classes and output.ending == "linear" and not output.hidden:
            sums = np.sum(value, axis=1, dtype=np.float64)
            if np.all(value >= 0) and np.allclose(sums, 1.0, atol=1e-3):
                facts = {"name": output.name, "activation": "softmax"}
                notes.append(Note("warn-probability", facts))
    return notes


def on_frames_outside(layers: Sequence[Tapped], drawn: Drawn, first: int) -> list[Note]:
    """On each image that a spatial transformer shows nothing of."""
    if drawn.coverage is None:
        return []
    facts = {"path": layers[0].path, "names": wording.listing(layers[0].frame.way.paths)}
    return [
        Note("warn-frame-outside", facts, first + int(image))
        for image in np.flatnonzero(drawn.coverage.max(axis=(1, 2)) == 0)
    ]


def on_blank_heatmaps(layers: Sequence[Tapped], drawn: Drawn, first: int) -> list[Note]:
    """On each image whose map has something in it, and whose heatmap has nothing."""
    maps, heatmaps = (
        np.abs(values).reshape(len(values), -1).max(axis=1)
        for values in (drawn.maps, drawn.heatmaps)
    )
    is_lost = (maps > 0) & (heatmaps == 0)
    if drawn.coverage is not None:  # a frame outside of the image is said by itself
        is_lost &= drawn.coverage.max(axis=(1, 2)) > 0
    path = wording.listing([tapped.path for tapped in layers])
    return [
        Note("warn-blank-heatmap", {"path": path}, first + int(image))
        for image in np.flatnonzero(is_lost)
    ]


def on_blank_maps(
    run: Run, results: Results, place: tuple[int, int], columns: range, labels: Any, first: int
) -> list[Note]:
    """On each map that has nothing in it, with the reason.

    Args:
        run: what was traced.
        results: what came out.
        place: the numbers of the layer and of the method.
        columns: the classes of one aim, among those of all.
        labels: what was explained of each image, for each of these classes.
        first: the number of the first image.
    """
    settings, notes = run.settings, []
    layer, tapped = results.layers[place[0]], run.tapped[place[0]]
    method, maps = METHODS[settings.methods[place[1]]], results.maps[place[0]][place[1]]
    is_blank = (maps.high <= 0) if settings.relu else (maps.high == 0) & (maps.low == 0)
    for image, column in np.argwhere(is_blank[:, columns.start : columns.stop]):
        code = blank.reason(method, layer, maps, image, columns[column])
        known = {
            "path": tapped.path,
            "method": settings.methods[place[1]],
            "reason": _no_slope(run, tapped, columns[column])
            if code == "warn-zero-gradient"
            else "",
            "other": "eigengradcam" if "gradients" in method.evidence else "eigencam",
            **_sides(settings),
        }
        target = None if code in blank.OF_THE_IMAGE else labels[image][column]
        notes.append(Note(code, known, first + int(image), target))
    return notes


def _no_slope(run: Run, tapped: Tapped, column: int) -> str:
    """Why a gradient is zero, where an operation or the target says it."""
    flat = blockers.flat_operations([tapped.output], run.scores, run.recording)
    why = f" ({wording.listing(flat)} has no slope)" if flat else ""
    return why or run.target_of(column).zero_hint


def _sides(settings: Settings) -> dict[str, str]:
    """The words for what a counterfactual turns round."""
    if settings.counterfactual:
        return {"against": "for", "sign": "negative", "turned": "leave counterfactual=True out"}
    return {"against": "against", "sign": "positive", "turned": "use counterfactual=True"}
