"""Every error a user of `gradcam` can meet.

An error is raised with a code and the facts that fill its sentences, so its words live in one
place, `gradcam.messages`, and are said in the voice of whoever reads them:

>>> error = TargetError("unknown-class", name="cta", names="cat, dog", hint=" Did you mean 'cat'?")
>>> error.code
'unknown-class'
>>> print(error)
The class 'cta' is not one of class_names. Expected one of: cat, dog. Did you mean 'cat'?
>>> error.received
"The class 'cta' is not one of class_names."
"""

from __future__ import annotations

from typing import Any

from gradcam.messages import catalogue
from gradcam.messages.words import Voice, Words


class GradCamError(ValueError):
    """What every error of this package derives from; options that don't exist raise it directly.

    Attributes:
        code: a stable name, such as `"layer-not-found"`.
        facts: what fills the sentence.
    """

    def __init__(self, code: str, **facts: Any) -> None:
        super().__init__(catalogue.said(code, **facts))
        self.code = code
        self.facts = facts

    @property
    def received(self) -> str:
        """What was received, in the words of Python."""
        return self.words(Voice.PYTHON).received

    @property
    def expected(self) -> str:
        """What was expected; empty where that goes without saying."""
        return self.words(Voice.PYTHON).expected

    @property
    def fix(self) -> str:
        """What to do."""
        return self.words(Voice.PYTHON).fix

    def words(self, voice: Voice) -> Words:
        """The three parts in a voice; as text, in one piece."""
        return catalogue.words(self.code, voice, **self.facts)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.code, self.facts)


def _rebuild(kind: type[GradCamError], code: str, facts: dict[str, Any]) -> GradCamError:
    return kind(code, **facts)


class LayerNotFoundError(GradCamError):
    """No layer of the model has that name, or none of its calls could be seen."""


class AmbiguousLayerError(GradCamError):
    """The name stands for several layers, or for several calls of one."""


class NotAFeatureMapError(GradCamError):
    """The layer's output has no positions that a heatmap could be drawn over."""


class DisconnectedLayerError(GradCamError):
    """The target doesn't depend on the layer."""


class BlockedGradientError(GradCamError):
    """The target depends on the layer, but an operation on the way has no gradient."""


class NonFiniteError(GradCamError):
    """There is a NaN or an infinity in images, activations or gradients."""


class TargetError(GradCamError):
    """What should be explained doesn't fit what the model returns."""


class ImageError(GradCamError):
    """The images are not what the model takes, or can't be read or drawn."""


class ModelError(GradCamError):
    """The model can't be explained as it is: not built, another framework, no output."""
