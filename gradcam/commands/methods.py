"""Lists the methods that --method takes, each with what it does and when to use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradcam.jobs import terminal

if TYPE_CHECKING:
    import argparse

SUMMARY = "list the methods, and when to use each"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None."""
    del parser


def run(options: argparse.Namespace) -> int:
    """Print the registry."""
    del options
    from gradcam.methods import METHODS  # noqa: PLC0415

    for method in METHODS.values():
        terminal.say(f"{method.name:13} {method.summary}. {method.use_when}")
    return 0
