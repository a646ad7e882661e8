"""`manifest.json`: what a run has done, valid and true at every moment.

Each image is appended to a journal as soon as its files are there. The manifest itself is written
as a whole, now and then: never so often that writing it costs more than a small part of the time,
however many images there are. A run that was killed leaves a manifest with the images up to some
moment, and a journal with the others; `--resume` reads both. At the end the journal goes.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from gradcam import files
from gradcam.errors import GradCamError
from gradcam.messages import wording

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MANIFEST = "manifest.json"
JOURNAL = "manifest.journal"
REPORT = "report.html"
REPORT_FILES = "report-files"

_LARGEST_SHARE = 0.02
"""Of the time, for writing the manifest while the run goes on."""

_SHORTEST_PAUSE = 0.5
"""Seconds between two writes."""


class Manifest:
    """The manifest of a folder that is being written.

    Args:
        folder: where it lies; made if it isn't there.
        head: the keys before `images`.
        order: the paths of this run's images, in the order of the manifest.
        entries: what is known already, by path; images of other runs come first.
    """

    def __init__(
        self, folder: Path, head: dict[str, Any], order: Sequence[str], entries: dict[str, Any]
    ) -> None:
        self._folder = folder
        self._head = head
        own = set(order)
        # A place for every image, filled in one by one: as text, which takes a tenth of the memory.
        self._lines = {path: _line(e) for path, e in entries.items() if path not in own}
        self._lines |= {path: _line(entries[path]) if path in entries else "" for path in order}
        self._saved = 0.0
        self._pause = _SHORTEST_PAUSE
        self._journal: IO[str] | None = None

    def begin(self) -> None:
        """Make the folder, and write the manifest as it is now.

        Raises:
            GradCamError: nothing can be written there; then nothing was.
        """
        made = [p for p in (self._folder, *self._folder.parents) if not p.exists()]
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            files.remove_leftovers(self._folder)
            files.remove_leftovers(self._folder / REPORT_FILES)
            self._save(complete=False)
            self._journal = (self._folder / JOURNAL).open("w", encoding="ascii")
        except OSError as error:
            for folder in made:
                shutil.rmtree(folder, ignore_errors=True)
            reason = error.strerror or str(error)
            path = wording.printable(self._folder)
            raise GradCamError("out-unwritable", path=path, reason=reason) from error

    def add(self, entry: dict[str, Any]) -> None:
        """Note an image whose files are there, or why it has none."""
        line = self._lines[entry["path"]] = _line(entry)
        if self._journal is not None:
            self._journal.write(f"{line}\n")
            self._journal.flush()
        if time.monotonic() - self._saved > self._pause:
            self._save(complete=False)

    def close(self, *, complete: bool) -> None:
        """Write the manifest; with a complete one the journal is not needed any more."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        self._save(complete=complete)
        (self._folder / JOURNAL).unlink(missing_ok=True)

    def entries(self) -> Iterator[dict[str, Any]]:
        """The images that are done or failed, in order."""
        return (json.loads(line) for line in self._lines.values() if line)

    def _save(self, *, complete: bool) -> None:
        began = time.monotonic()
        lines = [line for line in self._lines.values() if line]
        files.write(self._folder / MANIFEST, text(self._head, lines, complete=complete))
        self._saved = time.monotonic()
        self._pause = max(_SHORTEST_PAUSE, (self._saved - began) / _LARGEST_SHARE)


def text(head: dict[str, Any], lines: Sequence[str], *, complete: bool) -> bytes:
    """A manifest as it is written: a line an image.

    >>> print(text({"schema": 1}, ['{"path": "a.jpg"}'], complete=True).decode(), end="")
    {
    "schema": 1,
    "complete": true,
    "images": [
    {"path": "a.jpg"}
    ]}
    """
    keys = "".join(f"{_line(key)}: {_line(value)},\n" for key, value in head.items())
    images = ",\n".join(lines)
    return f'{{\n{keys}"complete": {_line(complete)},\n"images": [\n{images}\n]}}\n'.encode()


def _line(value: Any) -> str:
    """JSON in ASCII: what is no UTF-8 in a file name becomes an escape that reads back the same."""
    return json.dumps(value)


def read(folder: Path) -> dict[str, Any] | None:
    """The manifest of a folder with the images of its journal; None where there is none.

    Raises:
        GradCamError: there is one, but not of this command.
    """
    path = folder / MANIFEST
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _foreign(folder) from error
    keys = {"schema", "settings", "sha256", "images"}
    if not isinstance(found, dict) or not keys <= set(found) or found["schema"] != 1:
        raise _foreign(folder)
    known = {entry["path"]: entry for entry in found["images"]}
    known |= {entry["path"]: entry for entry in _journaled(folder / JOURNAL)}
    return {**found, "images": list(known.values())}


def _journaled(path: Path) -> Iterator[dict[str, Any]]:
    """The images of a journal; the last line may have been cut off."""
    if not path.exists():
        return
    for line in path.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):
            yield json.loads(line)


def _foreign(folder: Path) -> GradCamError:
    return GradCamError("out-foreign-manifest", path=wording.printable(folder))


def check_settings(folder: Path, old: dict[str, Any], head: dict[str, Any]) -> None:
    """Raise unless a manifest has the same model and settings, with what differs."""
    before = {"model": old["sha256"], **old["settings"]}
    now = {"model": head["sha256"], **head["settings"]}
    differing = [
        f"{name} {_short(before.get(name))} there, {_short(now.get(name))} here"
        if name != "model"
        else f"another model, {old.get('model')}, there"
        for name in now | before
        if before.get(name) != now.get(name)
    ]
    if differing:
        facts = {"path": wording.printable(folder), "differences": wording.listing(differing)}
        raise GradCamError("out-other-settings", **facts)


def _short(value: Any) -> str:
    if isinstance(value, list):
        return "+".join(map(str, value))
    return "none" if value is None else str(value)


def is_whole(entry: dict[str, Any], folder: Path) -> bool:
    """Whether an image is done and every file that it names is there."""
    return entry["status"] == "done" and all((folder / name).is_file() for name in files_of(entry))


def files_of(entry: dict[str, Any]) -> list[str]:
    """Every file that an image has, relative to the folder."""
    own = [entry["photo"]] if "photo" in entry else []
    return own + [name for map_ in entry.get("maps", ()) for name in map_["files"].values()]


def remove_results(folder: Path, old: dict[str, Any]) -> None:
    """Remove what a manifest lists, nothing else."""
    root = folder.resolve()
    for entry in old["images"]:
        for name in files_of(entry):
            path = folder / name
            if root in path.resolve().parents:  # a manifest that was written by hand names others
                path.unlink(missing_ok=True)
    for name in (REPORT, JOURNAL, MANIFEST):
        (folder / name).unlink(missing_ok=True)
