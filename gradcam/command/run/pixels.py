"""Says before the work begins when photographs reach the model in another range than it learned."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gradcam.command.run import results
from gradcam.errors import GradCamError
from gradcam.messages.words import Voice

if TYPE_CHECKING:
    import numpy as np

    from gradcam.command.run.plan import Plan

# So many photographs are read once more for it; what can't be read is told of in its turn.
_LOOKED_AT = 4


def warning(plan: Plan) -> str | None:
    """The sentence for pixels in the wrong range; None where nothing is wrong, or nothing tells."""
    pixels = [array for path in plan.request.photos[:_LOOKED_AT] for array in _pixels(path, plan)]
    if not pixels:
        return None
    if plan.fixed_batch:
        pixels = [pixels[number % len(pixels)] for number in range(plan.batch_size)]
    try:
        note = plan.explainer.look_at_pixels(plan.batch(pixels), plan.aims)
    except GradCamError:  # a preprocessing that fails on one of them: told of in its turn, too
        return None
    if note is None:
        return None
    option = note.facts["option"]
    advice = f" Most likely right: --preprocess {option}." if option else ""
    return replace(note, facts={**note.facts, "advice": advice}).said(Voice.TERMINAL)


def _pixels(path: str, plan: Plan) -> list[np.ndarray]:
    """The pixels of a photograph in the size of the model; none where it can't be read."""
    try:
        return [results.prepare_photo(path, "", plan).pixels]
    except (GradCamError, OSError):
        return []
