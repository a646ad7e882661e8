"""Notes: what there is to know about an explanation, as data until somebody reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gradcam.messages import catalogue
from gradcam.messages.words import Voice

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Note:
    """Something to know about an explanation, one of its images, or one class of an image.

    Attributes:
        code: a stable name, such as `"warn-dead-activations"`.
        facts: what fills the sentence.
        image: the number of the image in its batch; None where it is about all of them.
        target: what was explained there, as in `Explanation.targets`; None where it is about no
            single target.

    >>> note = Note("warn-dead-activations", {"path": "conv"}, image=3)
    >>> print(note)  # doctest: +ELLIPSIS
    image 3: all activations of 'conv' are zero, ...
    >>> note.said(Voice.TERMINAL)  # doctest: +ELLIPSIS
    "All activations of 'conv' are zero, ...
    """

    code: str
    facts: Mapping[str, Any] = field(default_factory=dict, hash=False)
    image: int | None = None
    target: Any = None

    @property
    def message(self) -> str:
        """The sentence in the words of Python, with the number of the image."""
        text = self.said(Voice.PYTHON)
        return text if self.image is None else f"image {self.image}: {text[:1].lower()}{text[1:]}"

    def __str__(self) -> str:
        return self.message

    def said(self, voice: Voice) -> str:
        """The sentence in the words of a voice, to stand beside the image that it is about."""
        target = f"class {self.target}" if isinstance(self.target, int) else str(self.target)
        return catalogue.said(self.code, voice, **self.facts, target=target)
