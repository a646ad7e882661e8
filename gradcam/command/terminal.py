"""What people read: on stderr, so that stdout is left to machines.

Rich is imported with the first thing that needs it: errors are plain and come at once.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from gradcam.messages import findings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

PLAIN_WIDTH = 120
"""Columns where nobody knows them: a file, a pipe."""

_SECONDS_BETWEEN_LINES = 10.0


def say(text: str) -> None:
    """Print a line for people; what a file name could do to a terminal is taken out of it."""
    lines = [findings.printable(line) for line in text.split("\n")]
    print("\n".join(lines), file=sys.stderr)


def say_error(text: str) -> None:
    """Print an error, with the name of the command before it."""
    say(f"gradcam: {text}")


def console() -> Console:
    """Rich's console on stderr; it drops colours by itself where they don't belong."""
    from rich.console import Console  # noqa: PLC0415

    found = Console(stderr=True, highlight=False, markup=False, emoji=False)
    if not found.is_terminal and "COLUMNS" not in os.environ:
        found.width = PLAIN_WIDTH
    return found


@contextlib.contextmanager
def progress(total: int, noun: str = "images") -> Iterator[Callable[[], None]]:
    """A bar with rate and time left; a line now and then where the output is no terminal.

    Args:
        total: how much there is to do.
        noun: of what.

    Yields:
        A function to call after each.
    """
    screen = console()
    if not screen.is_terminal:
        yield _lines(total, noun)
        return
    from rich import progress as bars  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    class Rate(bars.ProgressColumn):
        """How many a second."""

        def render(self, task: Any) -> Any:
            return Text(f"{task.finished_speed or task.speed or 0:.1f} {noun}/s")

    bar = bars.Progress(
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        Rate(),
        bars.TimeRemainingColumn(),
        console=screen,
        transient=True,
    )
    with bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)


def _lines(total: int, noun: str) -> Callable[[], None]:
    began = last = time.monotonic()
    count = 0

    def step() -> None:
        nonlocal last, count
        count += 1
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES and count < total:
            last = now
            rate = count / (now - began)
            left = duration((total - count) / rate)
            say(f"{count} of {total} {noun}, {rate:.1f} {noun}/s, {left} left")

    return step


def duration(seconds: float) -> str:
    """Seconds for people.

    >>> duration(7.4), duration(75), duration(7300)
    ('7 s', '1 min 15 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
