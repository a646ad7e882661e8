"""The classes of an output: what they are called, and which of them `--class` means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from gradcam.command.model import labels, models
from gradcam.errors import TargetError
from gradcam.messages import catalogue, wording
from gradcam.messages.words import Voice

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gradcam.command.model.survey import OutputInfo
    from gradcam.command.run.request import Request

_TOP = re.compile(r"top(\d+)")

SIDES = ("negative", "positive")
"""What the sides of a single sigmoid unit are called where nobody names them."""


def names_of(
    request: Request,
    network: str | None,
    output: OutputInfo,
    notes: list[str],
    warnings: list[str],
) -> list[str] | None:
    """The names given with the request, found beside the model, or known of the network."""
    classes = output.shape[1:][output.class_axis] if len(output.shape) in {2, 4} else 1
    possible = {classes, 2} if classes == 1 else {classes}
    if request.labels is not None:
        path, names = request.labels
        if classes is not None and len(names) not in possible:
            facts = {"path": wording.printable(path), "count": len(names), "classes": classes}
            raise TargetError("labels-count", **facts)
        return names
    if network is not None:
        found = models.class_names()
        if found is None:
            warnings.append(catalogue.said("warn-no-class-names", Voice.TERMINAL))
        return found
    beside = labels.beside(request.model)
    found = _beside(beside, classes, possible, notes, warnings) if beside else None
    return list(SIDES) if found is None and output.is_yes_or_no else found


def _beside(
    path: Path, classes: int | None, possible: set[Any], notes: list[str], warnings: list[str]
) -> list[str] | None:
    names = labels.read(path)
    shown = wording.printable(path)
    if classes is not None and len(names) not in possible:
        facts = {"path": shown, "count": len(names), "classes": classes}
        warnings.append(catalogue.said("warn-labels-count", Voice.TERMINAL, **facts))
        return None
    notes.append(f"Class names: {len(names)}, from {shown}.")
    return names


def asked(
    given: Sequence[str | None], names: list[str] | None, output: OutputInfo, notes: list[str]
) -> list[tuple[int | None, int | None]]:
    """For each `--class` an index, or how many of the top classes: all where more are asked for."""
    count = 2 if output.is_yes_or_no else output.shape[1] if len(output.shape) == 2 else None
    found: list[tuple[int | None, int | None]] = []
    for text in given:
        index, top_k = _target(text, names)
        if top_k is not None and count is not None and 1 < count < top_k:
            notes.append(catalogue.said("note-top-all", Voice.TERMINAL, count=count, asked=text))
            top_k = count
        if output.is_yes_or_no and top_k in {1, 2}:  # the sides of one unit are asked about singly
            found += [(None, None)] if top_k == 1 else [(0, None), (1, None)]
        else:
            found.append((index, top_k))
    return found


def _target(text: str | None, names: list[str] | None) -> tuple[int | None, int | None]:
    """The class, or the number of top classes, that `--class` means."""
    if text is None:
        return None, None
    if names is not None and text in names:
        indices = [index for index, name in enumerate(names) if name == text]
        if len(indices) > 1:
            listed = wording.listing(indices)
            raise TargetError("class-ambiguous", name=text, indices=listed, first=indices[0])
        return indices[0], None
    top = _TOP.fullmatch(text)
    if top:
        return None, int(top[1])
    if re.fullmatch(r"-?\d{1,9}", text):
        return int(text), None
    if names is None:
        raise TargetError("class-without-names", name=text)
    hint = wording.suggestion(text, names)
    raise TargetError("unknown-class", name=text, names=wording.listing(names), hint=hint)
