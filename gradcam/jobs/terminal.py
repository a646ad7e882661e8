"""What people read: on stderr, so that stdout is left to machines."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Print a line for people."""
    print(text, file=sys.stderr)


def say_error(text: str) -> None:
    """Print an error, with the name of the command before it."""
    say(f"gradcam: {text}")
