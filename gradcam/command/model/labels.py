"""Reads the names of classes from a file."""

from __future__ import annotations

import re
from pathlib import Path

from gradcam.errors import TargetError
from gradcam.messages import wording

_NUMBERED = re.compile(r"\s*(\d+)\s*[:;,.)\t ]\s*(\S.*)")


def read(path: Path) -> list[str]:
    """One name a line; where every line starts with its index, that is taken away.

    Raises:
        TargetError: the file can't be read, or there is no name in it.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = error.strerror or str(error)
        raise _unreadable(path, reason) from error
    except UnicodeDecodeError as error:
        raise _unreadable(path, "it is not UTF-8 text") from error
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise _unreadable(path, "it has no line with a name")
    return without_indices(lines)


def without_indices(lines: list[str]) -> list[str]:
    """The names in the order of their indices, which count from 0 or from 1.

    >>> without_indices(["1 dog", "0 cat"])
    ['cat', 'dog']
    >>> without_indices(["2 doors", "4 doors"])
    ['2 doors', '4 doors']
    """
    matches = [match for line in lines if (match := _NUMBERED.fullmatch(line))]
    indices = sorted(int(match[1]) for match in matches)
    count = len(lines)
    if indices not in (list(range(count)), list(range(1, count + 1))):
        return lines
    return [match[2] for match in sorted(matches, key=lambda match: int(match[1]))]


def beside(model: str) -> Path | None:
    """The `labels.txt` next to a model's file, or in or next to its folder."""
    path = Path(model)
    places = [path, path.parent] if path.is_dir() else [path.parent]
    return next((file for place in places if (file := place / "labels.txt").is_file()), None)


def _unreadable(path: Path, reason: str) -> TargetError:
    return TargetError("labels-unreadable", path=wording.printable(path), reason=reason)
