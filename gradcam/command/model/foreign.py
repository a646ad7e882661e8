"""Runs code that isn't ours: modules of users, downloads of Keras.

What such code raises becomes a sentence. Python's own exceptions do here; those of any other kind,
such as the bare `Exception` of a failed download, go on to the outermost frame of the command, the
one place that catches everything, which asks `blame` for the sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from gradcam.errors import GradCamError

Result = TypeVar("Result")
MakeError = Callable[[str, str], GradCamError]
"""Makes an error of the kind of exception that was raised, and of its reason."""

_FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    SystemExit,
    TypeError,
    ValueError,
)
_running: list[MakeError] = []


def call(function: Callable[[], Result], make_error: MakeError) -> Result:
    """What a function returns.

    Args:
        function: the code that isn't ours.
        make_error: what to say where it raises something.

    >>> call(lambda: 1 / 0, lambda kind, reason: GradCamError("import-failed", name=kind, reason=reason))
    Traceback (most recent call last):
    gradcam.errors.GradCamError: --import ZeroDivisionError failed: division by zero...
    """
    _running.append(make_error)
    try:
        result = function()
    except GradCamError:
        _running.pop()
        raise
    except _FAILURES as error:
        _running.pop()
        raise _said(make_error, error) from error
    _running.pop()
    return result


def blame(error: BaseException) -> GradCamError | None:
    """The error for an exception that came out of code that isn't ours; None where it didn't."""
    return _said(_running[-1], error) if _running else None


def forget() -> None:
    """Begin anew: nothing is running."""
    _running.clear()


def _said(make_error: MakeError, error: BaseException) -> GradCamError:
    return make_error(type(error).__name__, str(error).strip() or "no reason was given")
