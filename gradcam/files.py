"""Writes files whole or not at all, under names that no other image has; tells what is no file."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LONGEST_NAME = 255
"""Bytes that a file system allows in a name."""

LONGEST_PART = 60

LARGE = 1 << 28
"""Bytes from which on a size that is only declared would take the machine."""

_TEMPORARY = ".gradcam-{}.tmp"
_NUMBERS = itertools.count()


def write(path: Path, data: bytes) -> None:
    """Write a file so that its name never stands for a part of it.

    The bytes go to a temporary file in the same folder, which then takes the name. A failed or
    interrupted write leaves neither.
    """
    temporary = path.parent / _TEMPORARY.format(f"{os.getpid()}-{next(_NUMBERS)}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
        os.replace(temporary, path)  # noqa: PTH105 - the same call, one name for tests to break
    finally:
        temporary.unlink(missing_ok=True)


def trouble(path: Path) -> str | None:
    """Why what lies at a path can't be read as a file; None where it can, or nothing is there.

    A pipe is waited for without end. A file with holes takes no space on the disk, but all of its
    size in memory.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    if stat.S_ISDIR(found.st_mode):
        return "it is a directory"
    if not stat.S_ISREG(found.st_mode):
        return "it is a device, a pipe or a socket"
    stored = getattr(found, "st_blocks", found.st_size) * 512
    if is_inflated(found.st_size, stored):
        return f"it claims {found.st_size} bytes and holds {stored}"
    return None


def is_inflated(claimed: int, stored: int) -> bool:
    """Whether something claims to be large, and next to nothing is there of it.

    >>> is_inflated(1 << 30, 1 << 10), is_inflated(1 << 30, 1 << 29), is_inflated(1 << 20, 0)
    (True, False, False)
    """
    return claimed > LARGE and claimed > 20 * stored


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed run was just writing."""
    for left in folder.glob(_TEMPORARY.format("*")):
        left.unlink(missing_ok=True)


def stems(paths: Sequence[str]) -> dict[str, str]:
    """A name for each path that no other path has, on file systems without case either.

    It is the name of the file without its ending, fit for any file system, and eight hexadecimal
    digits of the SHA-256 of the path.

    >>> stems(["a/cat.jpg", "b/cat.jpg"])
    {'a/cat.jpg': 'cat-6bbac45d', 'b/cat.jpg': 'cat-02bdfb85'}
    """
    taken: set[str] = set()
    found = {}
    for path in paths:
        stem = safe(Path(path).stem)
        for salt in itertools.count():
            digits = hashlib.sha256(os.fsencode(path) + b"\0" * salt).hexdigest()[:8]
            name = f"{stem}-{digits}"
            if name.casefold() not in taken:
                break
        taken.add(name.casefold())
        found[path] = name
    return found


def safe(text: str) -> str:
    """Text as part of a file name: without what a file system, a shell or a URL may stumble over.

    >>> safe("-rf <b>a/b</b>"), safe("Größe 2")
    ('_rf__b_a_b__b_', 'Größe_2')
    """
    kept = re.sub(r"[^\w+\-=@\[\]().,]", "_", text)
    return re.sub(r"^[-.]", "_", kept) or "_"


def name(stem: str, parts: Iterable[str], ending: str) -> str:
    """`<stem>.<part>...<ending>`, the parts made safe; shortened to what a file system allows.

    The stem keeps its digits, and a part that had to be shortened gets digits of its own.
    """
    tail = ".".join(["", *map(part, parts)]) + ending
    text, _, digits = stem.rpartition("-")
    room = LONGEST_NAME - len(f"-{digits}{tail}".encode())
    return f"{_cut(text, room)}-{digits}{tail}"


def part(text: str) -> str:
    """One of the parts between the dots: safe, without dots of its own, not longer than 60 bytes.

    >>> part("St. Bernard")
    'St__Bernard'
    """
    cleaned = safe(text).replace(".", "_")
    if len(cleaned.encode()) <= LONGEST_PART:
        return cleaned
    return f"{_cut(cleaned, LONGEST_PART - 9)}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _cut(text: str, room: int) -> str:
    """As many whole characters as fit into so many bytes."""
    return text.encode()[:room].decode(errors="ignore")
