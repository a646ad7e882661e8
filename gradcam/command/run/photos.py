"""Which photographs are meant: files, folders, patterns."""

from __future__ import annotations

import glob
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from gradcam.errors import ImageError
from gradcam.messages import wording

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"),
    *(".avif", ".heic", ".heif", ".jp2", ".ppm", ".pgm", ".pbm", ".pnm"),
)
"""The endings by which images are found in a folder.

HEIC can't be decoded, but a telephone's pictures are not to be passed over without a word.
"""

_WILD = "*?["


def paths_of(given: Sequence[str], out: Path) -> list[str]:
    """The paths of the photographs, each once, in the order they were asked for.

    Args:
        given: files, folders (searched to any depth, by the endings of image files) and patterns.
        out: the folder of results. It, and folders that another run wrote, are passed over.

    Raises:
        ImageError: one of them stands for nothing.
    """
    found: dict[str, str] = {}
    for name in given:
        for path in _expanded(name, out):
            found.setdefault(os.path.abspath(path), path)  # noqa: PTH100 - links are kept apart
    return list(found.values())


def _expanded(name: str, out: Path) -> list[str]:
    path = Path(name)
    if name and path.is_dir():
        if os.path.realpath(path) == os.path.realpath(out):
            raise ImageError("out-among-photos", path=wording.printable(name))
        inside = list(_in_folder(path, out))
        if not inside:
            endings = wording.listing(SUFFIXES)
            raise ImageError("folder-empty", path=wording.printable(name), endings=endings)
        return inside
    if name and path.exists():
        if not path.is_file():
            raise ImageError("no-regular-file", path=wording.printable(name))
        return [str(path)]
    if any(character in name for character in _WILD):
        matches = sorted(glob.glob(name, recursive=True), key=os.fsencode)  # noqa: PTH207
        if not matches:
            raise ImageError("pattern-empty", pattern=wording.printable(name))
        return [path for match in matches for path in _matched(match, out)]
    raise ImageError("photo-missing", path=wording.printable(name), hint=_hint(path))


def _matched(match: str, out: Path) -> Iterable[str]:
    path = Path(match)
    if path.is_dir():
        return _in_folder(path, out)
    return [str(path)] if path.is_file() else []


def _in_folder(folder: Path, out: Path) -> Iterator[str]:
    """The image files below a folder, sorted by name; nothing hidden, no results of this command."""
    seen = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen or real == os.path.realpath(out) or _is_result(Path(place)):
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted((f for f in folders if not f.startswith(".")), key=os.fsencode)
        for name in sorted(files, key=os.fsencode):
            if not name.startswith(".") and name.lower().endswith(SUFFIXES):
                yield str(Path(place) / name)


def _is_result(folder: Path) -> bool:
    """Whether an earlier run wrote into a folder: its overlays are no photographs."""
    try:
        with (folder / "manifest.json").open(encoding="utf-8") as file:
            manifest = json.load(file)
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and {"schema", "settings", "images"} <= set(manifest)


def _hint(path: Path) -> str:
    """Names in the same folder that are nearly the same."""
    try:
        names = os.listdir(path.parent)  # noqa: PTH208
    except OSError:
        return f" There is no folder '{wording.printable(path.parent)}' either."
    return wording.suggestion(path.name, [wording.printable(name) for name in names])
