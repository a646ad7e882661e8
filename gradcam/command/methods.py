"""Shows the methods that --method takes: what each does, and when to use it."""

from __future__ import annotations

import json
import sys
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
        "--json", action="store_true", help="print one line of JSON a method, and nothing else"
    )


def run(options: argparse.Namespace) -> int:
    """Print the registry."""
    if options.json:
        for method in METHODS.values():
            facts = {"name": method.name, "summary": method.summary, "use_when": method.use_when}
            print(json.dumps({**facts, "paper": method.paper}))
        return 0
    table = terminal.table("method", "the map shows", "use it for")
    table.columns[0].no_wrap = True
    for method in METHODS.values():
        table.add_row(method.name, f"{method.summary}.", method.use_when)
    terminal.show_table(table, sys.stdout)
    return 0
