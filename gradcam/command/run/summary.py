"""The table at the end of a run."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from rich.text import Text

from gradcam.command import terminal
from gradcam.messages import catalogue, wording
from gradcam.messages.words import Voice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.table import Table

ROWS = 40
"""Images shown; those that failed are always shown."""

CLASSES_SHOWN = 3


def show(entries: Iterable[dict[str, Any]], out: TextIO) -> None:
    """Print what was found in each image; what there is to know about it goes to stderr."""
    listed = list(entries)
    done = [entry for entry in listed if entry["status"] == "done"]
    shown = {entry["path"] for entry in done[:ROWS]}
    warnings: dict[str, int] = {}
    rows = [
        row
        for entry in listed
        if entry["path"] in shown or entry["status"] == "failed"
        for row in _rows(entry, warnings)
    ]
    terminal.show_table(_table(rows, is_screen=terminal.is_screen(out)), out)
    if len(done) > ROWS:
        terminal.say(f"... and {len(done) - ROWS} more, all in manifest.json.")
    shares = [found["seen"] for e in done for found in e["maps"] if "seen" in found]
    if shares:
        terminal.say(
            catalogue.said("note-frame", Voice.TERMINAL, share=_share(sum(shares) / len(shares)))
        )
    terminal.show_notes(list(warnings), sys.stderr)


def _table(rows: Sequence[_Row], *, is_screen: bool) -> Table:
    """A table without columns that would say nothing new."""
    done = [row for row in rows if not row.is_failed]
    columns = {"image": "image", "top classes": "top"}
    is_another = any(row.likeliest and row.target not in row.likeliest for row in done)
    columns |= {"explained": "target"} if is_another else {}
    columns |= {"score": "score"}
    columns |= {"layer": "layers"} if len({row.layers for row in done}) > 1 else {}
    columns |= {"warnings": "marks"} if any(row.marks for row in done) else {}
    table = terminal.table(*columns)
    for column in table.columns:
        column.overflow = "fold"
        column.justify = "right" if column.header == "score" else "left"
    before = ""
    for row in rows:
        cells = [getattr(row, attribute) for attribute in columns.values()]
        if is_screen and row.image == before:  # elsewhere a row is read by itself
            cells[:2] = "", ""
        before = row.image
        table.add_row(*map(Text, cells), style="red" if row.is_failed else "")
    return table


@dataclass(frozen=True)
class _Row:
    """What the table says of an image, or of one of the classes that were explained of it."""

    image: str
    top: str
    likeliest: tuple[str, ...] = ()
    target: str = ""
    score: str = ""
    layers: str = ""
    marks: str = ""
    is_failed: bool = False


def _rows(entry: dict[str, Any], warnings: dict[str, int]) -> Iterator[_Row]:
    """A row for each class that was explained: methods and layers have the same score."""
    image = wording.printable(entry["path"])
    if entry["status"] == "failed":
        yield _Row(image, f"failed: {wording.printable(entry['reason'])}", is_failed=True)
        return
    targets: dict[str, list[dict[str, Any]]] = {}
    for found in entry["maps"]:
        targets.setdefault(found["target"], []).append(found)
    top = ", ".join(
        f"{wording.printable(name)} {_share(share)}" for name, share in entry["top"][:CLASSES_SHOWN]
    )
    likeliest = tuple(wording.printable(name) for name, _ in entry["top"][:1])
    for target, maps in targets.items():
        layers = dict.fromkeys(wording.printable(found["layer"]) for found in maps)
        said = dict.fromkeys(sentence for found in maps for sentence in found["warnings"])
        numbers = sorted(warnings.setdefault(text, len(warnings) + 1) for text in said)
        yield _Row(
            image=image,
            top=top,
            likeliest=likeliest,
            target=wording.printable(target),
            score=f"{maps[0]['score']:.3g}",
            layers=", ".join(layers),
            marks=" ".join(f"[{number}]" for number in numbers),
        )


def _share(share: float) -> str:
    """A probability as a percentage, never rounded to a certainty that isn't there.

    >>> _share(0.934), _share(0.9999), _share(0.0004)
    ('93%', '>99%', '<1%')
    """
    if 0.995 <= share < 1:
        return ">99%"
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"
