"""Everything that errors, notes and the doctor say, by code."""

from __future__ import annotations

from gradcam.messages import (
    about_callbacks,
    about_commands,
    about_diagnosis,
    about_files,
    about_images,
    about_layers,
    about_maps,
    about_models,
    about_reports,
    about_saved_models,
    about_taps,
    about_targets,
)
from gradcam.messages.words import Voice, Words

WORDS: dict[str, Words] = (
    about_models.WORDS
    | about_files.WORDS
    | about_saved_models.WORDS
    | about_layers.WORDS
    | about_images.WORDS
    | about_targets.WORDS
    | about_taps.WORDS
    | about_commands.WORDS
    | about_reports.WORDS
    | about_callbacks.WORDS
    | about_maps.WORDS
    | about_diagnosis.WORDS
)


def words(code: str, voice: Voice = Voice.PYTHON, /, **facts: object) -> Words:
    """What is said under a code, filled with facts.

    >>> words("images-empty", shape=(0, 8, 8, 3)).fix
    'Check the batch.'
    """
    return WORDS[code].filled(facts, voice)


def said(code: str, voice: Voice = Voice.PYTHON, /, **facts: object) -> str:
    """The same in one piece.

    >>> said("images-empty", shape=(0, 8, 8, 3))
    'Received no image: shape (0, 8, 8, 3). Expected at least one. Check the batch.'
    """
    return str(words(code, voice, **facts))
