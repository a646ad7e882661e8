"""What is printed: results on stdout, and on stderr what is said about the work.

So `gradcam layers --model m.keras | grep conv` works, and `--json` leaves stdout to machines. Rich is
imported with the first thing that needs it: errors are plain and come at once.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import textwrap
import time
from typing import TYPE_CHECKING, Any, TextIO

from gradcam.messages import wording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console
    from rich.table import Table

_WIDEST = 10_000
"""Columns of a table that no screen shows: enough for a row to stay on its line."""

_SECONDS_BETWEEN_LINES = 10.0


def say(text: str, *, wrap: bool = True) -> None:
    """Print something about the work; what a file name could do to a terminal is taken out of it.

    Args:
        text: one line or several.
        wrap: whether a screen breaks long lines between words; a command to copy stays whole.
    """
    lines = [wording.printable(line) for line in text.split("\n")]
    if wrap and sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        wrapper = textwrap.TextWrapper(width, break_long_words=False, break_on_hyphens=False)
        lines = [wrapper.fill(line) for line in lines]
    print("\n".join(lines), file=sys.stderr)


def say_error(text: str) -> None:
    """Print an error, with the name of the command before it."""
    say(f"gradcam: {text}")


def console(out: TextIO) -> Console:
    """Rich's console on a stream; it drops colours by itself where they don't belong."""
    from rich.console import Console  # noqa: PLC0415

    return Console(file=out, highlight=False, markup=False, emoji=False)


def is_screen(out: TextIO) -> bool:
    """Whether a person reads a stream as it is printed."""
    return console(out).is_terminal


def table(*titles: str) -> Table:
    """A table without rows, in the style of all."""
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    made = Table(*titles, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="bold")
    made.pad_edge = False
    return made


def show_table(shown: Table, out: TextIO) -> None:
    """Print a table: drawn on a screen; elsewhere a line a row and nothing else, for grep and its like."""
    screen = console(out)
    if screen.is_terminal:
        screen.print(shown)
        return
    shown.box, shown.padding = None, (0, 2, 0, 0)
    screen.width = _WIDEST
    with screen.capture() as captured:
        screen.print(shown)
    out.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())
    out.flush()


def show_notes(sentences: Sequence[str], out: TextIO) -> None:
    """Print the sentences that the marks of a table stand for: [1], [2] and so on."""
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    notes = Table.grid("", "", padding=(0, 1))  # no sentence goes on below its mark
    for number, sentence in enumerate(sentences, 1):
        notes.add_row(Text(f"[{number}]"), Text(wording.printable(sentence)))
    show_table(notes, out)


@contextlib.contextmanager
def progress(total: int) -> Iterator[Callable[[], None]]:
    """A bar with rate and time left; a line now and then where the output is no terminal.

    Args:
        total: how many images there are.

    Yields:
        A function to call after each.
    """
    screen = console(sys.stderr)
    if not screen.is_terminal:
        yield _lines(total)
        return
    from rich import progress as bars  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    class Rate(bars.ProgressColumn):
        """How many a second, or how many seconds each."""

        def render(self, task: Any) -> Any:
            return Text(rate(int(task.completed), task.elapsed or 0.0))

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


def _lines(total: int) -> Callable[[], None]:
    began = last = time.monotonic()
    count = 0

    def step() -> None:
        nonlocal last, count
        count += 1
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES and count < total:
            last = now
            left = duration((total - count) * (now - began) / count)
            say(f"{count} of {total} images, {rate(count, now - began)}, {left} left")

    return step


def rate(count: int, seconds: float) -> str:
    """How fast it goes: how many images a second, or the seconds of each where that is slow.

    >>> rate(90, 20.0), rate(3, 12.0), rate(0, 1.0)
    ('4.5 images/s', '4 s an image', '')
    """
    if not count or not seconds:
        return ""
    if count >= seconds:
        return f"{count / seconds:.1f} images/s"
    each = seconds / count
    return f"{f'{each:.2g} s' if each < 60 else duration(each)} an image"


def duration(seconds: float) -> str:
    """Seconds for people.

    >>> duration(0.42), duration(7.4), duration(75), duration(7300)
    ('0.4 s', '7 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 0.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
