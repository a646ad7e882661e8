"""Runs code that isn't ours, whatever it may raise: modules of users, downloads of Keras.

Such code raises exceptions of its own kinds, and Keras a bare `Exception` for a failed download. It
is the only reason to catch everything, so that is done here alone, around nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from gradcam.errors import GradCamError

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")


class ForeignError(Exception):
    """Code that isn't ours failed; the words are its own, what it raised is the cause.

    Attributes:
        kind: the name of what it raised.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error).strip() or "it says nothing more")
        self.kind = type(error).__name__


def call(function: Callable[[], Result]) -> Result:
    """What a function returns.

    Raises:
        GradCamError: as the function raised it.
        ForeignError: the function raised anything else, or wanted to end the process.

    >>> call(lambda: 1 / 0)
    Traceback (most recent call last):
    gradcam.jobs.foreign.ForeignError: division by zero
    """
    try:
        return function()
    except (GradCamError, ForeignError):
        raise
    except (Exception, SystemExit) as error:
        raise ForeignError(error) from error
