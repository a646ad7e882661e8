"""Looks through an HDF5 file before anything in it is read: all of it has to lie in the file.

HDF5 can point to other files in four ways, and follows each without a word: links, external storage
and virtual datasets. It can also claim gigabytes that were never stored.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import h5py

from gradcam.errors import ModelError
from gradcam.files import is_inflated
from gradcam.messages.wording import listing

if TYPE_CHECKING:
    import mmap
    from pathlib import Path

_HEAP = b"GCOL\x01\x00\x00\x00"
_LINKS = {h5py.h5l.TYPE_SOFT: "a symbolic link", h5py.h5l.TYPE_EXTERNAL: "a link to another file"}


def check(path: Path, file: h5py.File, size: int) -> None:
    """Raise `ModelError` unless all that an HDF5 file holds lies in its own bytes.

    Args:
        path: of the model, for the message.
        file: the open file.
        size: how many bytes it has.
    """
    outside: list[str] = []
    claimed = 0
    for name, kind in _links(file):
        if kind != h5py.h5l.TYPE_HARD:
            outside.append(f"'{name}', {_LINKS.get(kind, 'a link of its own kind')}")
            continue
        found = file[name]
        if not isinstance(found, h5py.Dataset):
            continue
        if found.is_virtual:
            outside.append(f"'{name}', a virtual dataset")
        elif found.external:
            outside.append(f"'{name}', stored in '{found.external[0][0]}'")
        alone = math.prod(found.shape or ()) * found.dtype.itemsize
        stored = min(found.id.get_storage_size(), size)
        if is_inflated(alone, stored):
            raise inflated(path, f"its dataset '{name}'", alone, stored)
        claimed += alone
    if outside:
        raise ModelError("file-reaches-out", path=str(path), found=listing(outside, limit=6))
    if is_inflated(claimed, size):
        raise inflated(path, "what its datasets hold", claimed, size)


def check_heaps(data: bytes | mmap.mmap) -> None:
    """Raise `OSError` for a heap of texts in which HDF5 would go round without end.

    It steps from object to object by their sizes; free space of no size is a step of none.
    """
    start = data.find(_HEAP)
    while start >= 0:
        end = min(start + _number(data, start + 8, 8), len(data))
        place = start + 16
        while place + 16 <= end:
            index, size = _number(data, place, 2), _number(data, place + 8, 8)
            step = 16 + (size + 7) // 8 * 8 if index else size
            if step == 0:
                raise OSError("a text in it has no size")
            place += step
        start = data.find(_HEAP, start + len(_HEAP))


def _number(data: bytes | mmap.mmap, place: int, length: int) -> int:
    return int.from_bytes(data[place : place + length], "little")


def inflated(path: Path, what: str, claimed: int, stored: int) -> ModelError:
    """The error for a part of a file that claims to be large, and isn't there."""
    return ModelError("file-inflated", path=str(path), what=what, claimed=claimed, stored=stored)


def _links(file: h5py.File) -> list[tuple[str, int]]:
    """Every link of a file with its full name and kind; a group that holds itself is walked once."""
    found: list[tuple[str, int]] = []

    def note(name: bytes, link: h5py.h5l.LinkInfo) -> None:
        found.append((name.decode("utf-8", "surrogateescape"), link.type))

    file.id.links.visit(note, info=True)
    return found
