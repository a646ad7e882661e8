"""Lists the layers of a model as a tree: path, kind, shape, and what can be explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradcam.jobs import models, terminal

if TYPE_CHECKING:
    import argparse

SUMMARY = "list the layers of a model, and which of them can be explained"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Only those of the model."""
    models.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print a line for every call of a layer."""
    import gradcam  # noqa: PLC0415

    for info in gradcam.layers(models.load(options)):
        mark = "*" if info.chosen else " "
        terminal.say(f"{mark} {info.path}  {info.kind}  {info.shape}  {info.reason}")
    return 0
