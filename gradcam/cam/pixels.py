"""Says when images lie in another range than those that the model was trained with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradcam.messages.notes import Note

if TYPE_CHECKING:
    from gradcam.cam.program import Program
    from gradcam.cam.question import Question

# A range shows in a few images; the part of the model before the first normalisation runs on them.
_IMAGES = 8


def note(program: Program, question: Question) -> Note | None:
    """The note for images in the wrong range; None where nothing is wrong, or nothing tells.

    Args:
        program: a trace of the model for such images.
        question: the images, all finite.
    """
    known = program.run.pixel_range
    if known is None:
        return None
    some = question if program.is_fixed else question.rows(slice(0, _IMAGES))
    variance = None
    if known.variance is not None:
        (variance,) = program.values(some, [known.variance])
    misfit = known.misfit(some.batch.arrays[known.number], variance)
    if misfit is None:
        return None
    proposal = misfit.proposal
    advice = {
        "advice": f" Most likely right: {proposal.line}." if proposal else "",
        "option": proposal.option if proposal else "",
    }
    return Note(f"warn-pixels-{misfit.code}", misfit.facts | advice)
