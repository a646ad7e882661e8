"""Runs what may raise anything: the user's own model, layers, loss and target.

The one place of the doctor that catches everything. Nothing is swallowed: the exception comes back,
and becomes a finding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from gradcam.doctor.diagnosis import Finding, finding, from_error
from gradcam.errors import GradCamError
from gradcam.trace.sources import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")


def attempt(action: Callable[[], Result]) -> tuple[Result | None, Exception | None]:
    """What an action returns, or None and what it raised.

    >>> attempt(lambda: 2 + 2)
    (4, None)
    >>> attempt(lambda: 1 / 0)
    (None, ZeroDivisionError('division by zero'))
    """
    try:
        return action(), None
    except Exception as error:  # noqa: BLE001 - whatever the user's code raises is a finding
        return None, error


def not_looked_at(group: str, error: Exception | str) -> Finding:
    """The finding for a group of checks that could not be made."""
    reason = error if isinstance(error, str) else f"{type(error).__name__}: {reason_of(error)}"
    return finding("not-looked-at", "note", group, group=group.capitalize(), reason=reason)


def finding_of(error: Exception, where: str, group: str) -> Finding:
    """The finding of an error of this package, or that a group could not be looked at."""
    if isinstance(error, GradCamError):
        return from_error(error, where)
    return not_looked_at(group, error)
