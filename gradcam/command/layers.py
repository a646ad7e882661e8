"""Shows the layers of a model as a tree, and which of them can be explained."""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
import json
import sys
from typing import TYPE_CHECKING

from gradcam.command import terminal
from gradcam.command.model import models
from gradcam.errors import GradCamError
from gradcam.messages.wording import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from gradcam.trace.inspection import LayerInfo

SUMMARY = "show the layers of a model, and which of them can be explained"
USAGE = "gradcam layers --model M [OPTIONS]"
EXAMPLES = """\
examples:
  gradcam layers --model m.keras
  gradcam layers --model m.keras --filter 'block_*_add'
  gradcam layers --model m.keras | grep Conv2D
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of the model, and how it is printed."""
    models.add_arguments(parser)
    parser.add_argument(
        "--filter",
        metavar="TEXT",
        help="only layers with this in their path or kind; * stands for anything",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one line of JSON a layer, and nothing else"
    )


def run(options: argparse.Namespace) -> int:
    """Print every call of a layer, in the order of the calls."""
    with contextlib.redirect_stdout(sys.stderr):
        model = models.load(options)
        from gradcam.trace.inspection import layers  # noqa: PLC0415

        infos = layers(model)
    chosen = next((info for info in infos if info.chosen), None)
    is_filtered = options.filter is not None
    if is_filtered:
        infos = _matching(infos, options.filter)
    if options.json:
        for info in infos:
            print(json.dumps(dataclasses.asdict(info)))
        return 0
    if not terminal.is_screen(sys.stdout):
        _print_lines(infos)
    else:
        _show(infos, None if is_filtered else str(getattr(model, "name", options.model)))
        if chosen is not None:
            terminal.say(_choice(chosen))
    if chosen is None:
        terminal.say(
            "Without --layer there is nothing to choose: no layer with weights before the output"
            " has more than one position."
        )
    return 0


def _choice(chosen: LayerInfo) -> str:
    return (
        f"Without --layer, {chosen.path} is explained: the last feature map before the output,"
        " after its activation. Pooling, dropout, reshapes and padding don't count."
    )


def _matching(infos: Sequence[LayerInfo], text: str) -> list[LayerInfo]:
    """The layers with a text in their path or kind, whatever its case.

    Raises:
        GradCamError: there is none.
    """
    pattern = f"*{text.replace('[', '[[]')}*".lower()  # brackets number the calls of a layer
    found = [
        info
        for info in infos
        if any(fnmatch.fnmatchcase(name.lower(), pattern) for name in (info.path, info.kind))
    ]
    if not found:
        raise GradCamError("filter-empty", text=printable(text), count=len(infos))
    return found


def _print_lines(infos: Sequence[LayerInfo]) -> None:
    """A line a layer that says everything by itself."""
    table = terminal.table("path", "kind", "output", "heatmap")
    for info in infos:
        heatmap = "chosen" if info.chosen else "yes" if info.explainable else f"no: {info.reason}"
        table.add_row(printable(info.path), info.kind, _output(info), heatmap)
    terminal.show_table(table, sys.stdout)


def _show(infos: Sequence[LayerInfo], root: str | None) -> None:
    """A table for a screen: a tree below a root, or paths without one; each reason is said once."""
    from rich.text import Text  # noqa: PLC0415

    table = terminal.table("path", "kind", "output", "heatmap")
    paths = [info.path for info in infos]
    if root is not None:
        table.add_row(Text(printable(root), style="dim"))
    guides = _guides(paths) if root is not None else [""] * len(paths)
    names = _own_parts(paths) if root is not None else paths
    reasons: dict[str, int] = {}
    for info, guide, name in zip(infos, guides, names, strict=True):
        # The guides stand for what a path begins with, so that long ones fit a line.
        style = "bold green" if info.chosen else "not dim"
        path = Text(guide, style="dim", no_wrap=False).append(printable(name), style=style)
        if info.explainable:
            heatmap = Text("chosen" if info.chosen else "yes", style=style)
        else:
            mark = reasons.setdefault(info.reason, len(reasons) + 1)
            heatmap = Text(f"no [{mark}]", style="dim")
        kind = Text(info.kind, no_wrap=True, overflow="ellipsis")
        table.add_row(path, kind, _output(info), heatmap)
    # Where a line is too long, the kind gives way first, and then the path goes on below.
    rest = max(len(_output(info)) for info in infos) + len("kind" + "heatmap") + 11
    path_column, _, *others = table.columns
    path_column.overflow, path_column.no_wrap = "fold", True
    path_column.max_width = max(20, terminal.console(sys.stdout).width - rest)
    for column in others:
        column.no_wrap = True
    terminal.show_table(table, sys.stdout)
    terminal.show_notes([f"{reason[:1].upper()}{reason[1:]}." for reason in reasons], sys.stdout)
    inside = next((path for path, name in zip(paths, names, strict=True) if path != name), None)
    if inside is not None:
        terminal.say(f"The path of a layer inside another has both names: {inside}")


def _output(info: LayerInfo) -> str:
    """The shape of an output, which every reader knows to have one row an image."""
    if info.shape is None:
        return ""
    return "x".join("?" if size is None else str(size) for size in info.shape[1:]) or "1"


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
