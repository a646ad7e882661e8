"""Ends the process when a command takes too long, whatever it is doing.

A model can loop without end inside of TensorFlow, where no exception of Python reaches it. What is
on the disk is whole at every moment, so the process may end anywhere.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING

from gradcam.command import terminal
from gradcam.errors import GradCamError
from gradcam.messages import catalogue
from gradcam.messages.words import Voice

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

TIMED_OUT = 124
"""As `timeout` of GNU says it."""

_SHOW_CURSOR = "\x1b[?25h"


def add_argument(parser: argparse.ArgumentParser) -> None:
    """The option of every command."""
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        help=f"end with status {TIMED_OUT} after so long; what is done stays",
    )


@contextlib.contextmanager
def within(text: str | None) -> Iterator[None]:
    """End the process if what is done meanwhile takes longer than so many seconds."""
    if text is None:
        yield
        return
    seconds = _seconds(text)
    timer = threading.Timer(seconds, _end, [seconds])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= threading.TIMEOUT_MAX:
        raise GradCamError("timeout-value", received=text)
    return seconds


def _end(seconds: float) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(_SHOW_CURSOR)  # a bar of progress may have hidden it
    terminal.say_error(catalogue.said("timed-out", Voice.TERMINAL, seconds=f"{seconds:g}"))
    sys.stderr.flush()
    os._exit(TIMED_OUT)
