"""Prints what a benchmark found: the machine it ran on, and tables."""

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from pathlib import Path


def machine(packages: Sequence[str]) -> str:
    """One line: processor, cores, and the versions of Python and of the packages."""
    versions = [f"Python {platform.python_version()}"]
    for package in packages:
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{package} not installed")
    return f"{_processor()}, {cores()} cores; {', '.join(versions)}"


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def table(
    title: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, markdown: bool
) -> str:
    """The first column to the left, the others to the right, below a title."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    between, edge = (" | ", "|") if markdown else ("  ", "")

    def line(cells: Sequence[str]) -> str:
        padded = [cells[0].ljust(widths[0])]
        padded += [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        text = between.join(padded)
        return f"{edge} {text} {edge}" if markdown else text

    if markdown:
        dashes = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
        return "\n".join([f"**{title}**", "", line(header), line(dashes), *map(line, rows)])
    return "\n".join([title, line(header), "-" * len(line(header)), *map(line, rows)])
