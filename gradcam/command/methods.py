"""Shows the methods that --method takes, each with what it does and when to use it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gradcam.cam.methods import METHODS
from gradcam.command import terminal

if TYPE_CHECKING:
    import argparse

SUMMARY = "show the methods, and when to use each"
USAGE = "gradcam methods [OPTIONS]"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Only how they are printed."""
    parser.add_argument(
        "--json", action="store_true", help="print one line of JSON a method on stdout"
    )


def run(options: argparse.Namespace) -> int:
    """Print the registry."""
    if options.json:
        for method in METHODS.values():
            facts = {"name": method.name, "summary": method.summary, "use_when": method.use_when}
            print(json.dumps({**facts, "paper": method.paper}))
        return 0
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column("method", style="bold", no_wrap=True)
    table.add_column("the map shows")
    table.add_column("use it for")
    for method in METHODS.values():
        table.add_row(method.name, f"{method.summary}.", method.use_when)
    terminal.console().print(table)
    return 0
