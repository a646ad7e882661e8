"""The table at the end of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from gradcam.command import terminal
from gradcam.messages import findings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

ROWS = 40
"""Images shown; those that failed are always shown."""

CLASSES_SHOWN = 3


def show(entries: Iterable[dict[str, Any]]) -> None:
    """Print image, top classes, score, layer and warnings of each image, and what they mean."""
    listed = list(entries)
    done = [entry for entry in listed if entry["status"] == "done"]
    shown = {entry["path"] for entry in done[:ROWS]}
    rows = [entry for entry in listed if entry["path"] in shown or entry["status"] == "failed"]
    screen = terminal.console()
    warnings: dict[str, int] = {}
    screen.print(_table(rows, warnings))
    if len(done) > ROWS:
        screen.print(Text(f"... and {len(done) - ROWS} more, all in manifest.json."), style="dim")
    shares = [found["seen"] for e in done for found in e["maps"] if "seen" in found]
    if shares:
        said = findings.message("note-frame", share=_share(sum(shares) / len(shares)))
        screen.print(Text(said))
    for sentence, number in warnings.items():
        _note(screen, f"[{number}]", sentence)


def _table(entries: Sequence[dict[str, Any]], warnings: dict[str, int]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column("image", overflow="fold")
    table.add_column("top classes", overflow="fold")
    table.add_column("score", justify="right")
    table.add_column("layer", overflow="fold")
    table.add_column("warnings", no_wrap=True)
    for entry in entries:
        image = Text(findings.printable(entry["path"]))
        if entry["status"] == "failed":
            reason = Text(f"failed: {findings.printable(entry['reason'])}", style="red")
            table.add_row(image, reason, "", "", "")
        else:
            _add(table, image, entry, warnings)
    return table


def _add(table: Table, image: Text, entry: dict[str, Any], warnings: dict[str, int]) -> None:
    """A row for each class that was explained: methods and layers have the same score."""
    targets: dict[str, list[dict[str, Any]]] = {}
    for found in entry["maps"]:
        targets.setdefault(found["target"], []).append(found)
    top = "  ".join(
        f"{findings.printable(name)} {_share(share)}"
        for name, share in entry["top"][:CLASSES_SHOWN]
    )
    likeliest = entry["top"][0][0] if entry["top"] else None
    for number, (target, maps) in enumerate(targets.items()):
        score = f"{maps[0]['score']:.3g}"
        if target != likeliest and likeliest is not None:
            score = f"{findings.printable(target)} {score}"
        layers = dict.fromkeys(findings.printable(found["layer"]) for found in maps)
        said = dict.fromkeys(sentence for found in maps for sentence in found["warnings"])
        marks = [f"[{warnings.setdefault(text, len(warnings) + 1)}]" for text in said]
        first = number == 0
        table.add_row(
            image if first else "",
            top if first else "",
            score,
            Text(", ".join(layers)),
            Text(" ".join(marks), style="yellow"),
        )


def _share(share: float) -> str:
    """A probability as a percentage, never rounded to a certainty that isn't there.

    >>> _share(0.934), _share(0.9999), _share(0.0004)
    ('93%', '>99%', '<1%')
    """
    if 0.995 <= share < 1:
        return ">99%"
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"


def _note(screen: Console, mark: str, sentence: str) -> None:
    grid = Table.grid(padding=(0, 1))
    grid.add_row(Text(mark, style="yellow"), Text(sentence))
    screen.print(grid)
