"""Shows the layers of a model as a tree: path, kind, shape, and what can be explained."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from typing import TYPE_CHECKING

from gradcam.command import terminal
from gradcam.command.model import models
from gradcam.messages import findings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from gradcam.trace.feature_maps import LayerInfo

SUMMARY = "show the layers of a model, and which of them can be explained"
USAGE = "gradcam layers --model M [OPTIONS]"
EXAMPLES = """\
examples:
  gradcam layers --model m.keras
  gradcam layers --model m.keras --json 2>/dev/null | grep '"chosen": true'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of the model, and how it is printed."""
    models.add_arguments(parser)
    parser.add_argument(
        "--json", action="store_true", help="print one line of JSON a layer on stdout"
    )


def run(options: argparse.Namespace) -> int:
    """Print every call of a layer, in the order of the calls."""
    with contextlib.redirect_stdout(sys.stderr):
        model = models.load(options)
        from gradcam.trace.inspection import layers  # noqa: PLC0415

        infos = layers(model)
    if options.json:
        for info in infos:
            print(json.dumps(dataclasses.asdict(info)))
        return 0
    _show(infos, str(getattr(model, "name", options.model)))
    return 0


def _show(infos: Sequence[LayerInfo], name: str) -> None:
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column("path", no_wrap=True)  # a line that breaks breaks the tree
    for title in ("kind", "shape", "can be explained"):
        table.add_column(title, overflow="fold")
    table.add_row(Text(findings.printable(name), style="dim"), "", "", "")
    paths = [info.path for info in infos]
    for info, guides, own in zip(infos, _guides(paths), _own_parts(paths), strict=True):
        # The guides stand for what a path begins with, so that long ones fit a line.
        path = Text(guides, style="dim").append(
            findings.printable(own), style="bold green" if info.chosen else "not dim"
        )
        can = f"{'yes' if info.explainable else 'no'}: {info.reason}"
        can = f"chosen: {info.reason}" if info.chosen else can
        style = "bold green" if info.chosen else "" if info.explainable else "dim"
        shape = "" if info.shape is None else str(info.shape)
        table.add_row(path, info.kind, shape, Text(can, style=style))
    screen = terminal.console()
    screen.print(table)
    inside = next(
        (path for path, own in zip(paths, _own_parts(paths), strict=True) if path != own), None
    )
    if inside is not None:
        screen.print(
            f"The path of a layer inside another has both names: {findings.printable(inside)}"
        )
    screen.print(_choice(infos))


def _choice(infos: Sequence[LayerInfo]) -> str:
    """Which layer is chosen where nobody names one, and why."""
    chosen = next((info for info in infos if info.chosen), None)
    if chosen is None:
        return (
            "Without --layer there is nothing to choose: no layer with weights before the output"
            " has more than one position."
        )
    return (
        f"Without --layer, {findings.printable(chosen.path)} is chosen: the last feature map before"
        " the output, after its activation. Pooling, dropout, reshapes and padding don't count."
    )


def _guides(paths: Sequence[str]) -> list[str]:
    """The lines of a tree before each path; what lies inside a layer comes right after it.

    >>> _guides(["a", "a/b", "a/c", "d"])
    ['├─ ', '│  ├─ ', '│  └─ ', '└─ ']
    """
    guides = []
    goes_on: list[bool] = []  # at each depth, whether another layer follows
    for depth in reversed(_depths(paths)):
        goes_on = (goes_on + [False] * (depth + 1))[: depth + 1]
        before = ["│  " if follows else "   " for follows in goes_on[:depth]]
        guides.append("".join(before) + ("├─ " if goes_on[depth] else "└─ "))
        goes_on[depth] = True
    return guides[::-1]


def _depths(paths: Sequence[str]) -> list[int]:
    return [len(around) for around in _around(paths)]


def _own_parts(paths: Sequence[str]) -> list[str]:
    """Each path without that of the layer around it.

    >>> _own_parts(["a", "a/b", "a/b/c", "d/e"])
    ['a', 'b', 'c', 'd/e']
    """
    return [
        path.removeprefix(f"{around[-1]}/") if around else path
        for path, around in zip(paths, _around(paths), strict=True)
    ]


def _around(paths: Sequence[str]) -> Iterator[list[str]]:
    """For each path those of the layers around it, the outermost first."""
    around: list[str] = []
    for path in paths:
        while around and not path.startswith(f"{around[-1]}/"):
            around.pop()
        yield list(around)
        around.append(path)
