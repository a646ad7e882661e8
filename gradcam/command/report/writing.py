"""The report: one page for all images that a run has explained.

It is made of `manifest.json` and the pictures that it names, and of nothing else, so the same run
gives the same page. The page needs no network: style, script and, up to a size, the pictures are in it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib import resources
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
from markupsafe import Markup

from gradcam import files, pictures
from gradcam.command.report import content as report_content
from gradcam.command.report import text as report_text
from gradcam.errors import GradCamError

if TYPE_CHECKING:
    from collections.abc import Iterator

INLINE_BYTES = 12_000_000
"""Pictures of more bytes than this stay beside the page: browsers are slow with larger ones."""


def write(folder: str | Path) -> Path:
    """Write `report.html` into the output folder of `gradcam explain`.

    Args:
        folder: where `manifest.json` and the pictures are.

    Returns:
        The path of the report. The file appears when it is complete, or stays as it was.
    """
    folder = Path(folder)
    path = folder / "report.html"
    text = _page(folder)
    try:
        files.write(path, text.encode("utf-8"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise GradCamError("report-unwritable", path=path, reason=reason) from error
    return path


def _page(folder: Path) -> str:
    path = folder / "manifest.json"
    try:
        manifest = _checked(json.loads(_read(path)))
        attachments = _Pictures(folder, manifest)
        content = report_content.read(manifest, attachments.source)
    except GradCamError:
        raise
    except LookupError as error:
        raise GradCamError("report-manifest", path=path, reason=f"it has no {error}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise GradCamError("report-manifest", path=path, reason=error) from error
    legend = pictures.colour(np.linspace(0, 1, 256)[np.newaxis], content["colormap"])
    return _rendered(
        content | {"inline": attachments.inline, "legend": _data_url(pictures.encode(legend))}
    )


def _checked(manifest: Any) -> dict[str, Any]:
    if not isinstance(manifest, dict):
        raise ValueError(f"it holds a {type(manifest).__name__}")
    if manifest["schema"] != 1:
        raise ValueError(f"its schema is {manifest['schema']!r}")
    return manifest


class _Pictures:
    """The pictures that a manifest names: in the page when they are small together, else beside it."""

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self._folder = folder
        sizes = (self._path(name).stat().st_size for name in _names(manifest))
        try:
            self.inline = sum(sizes) <= INLINE_BYTES
        except OSError as error:
            raise _unreadable(error) from error

    def source(self, name: str) -> str:
        """What goes into the `src` of an `img`."""
        path = self._path(name)
        return _data_url(_read(path)) if self.inline else report_text.url(name)

    def _path(self, name: str) -> Path:
        pure = PurePath(name)
        if pure.is_absolute() or ".." in pure.parts:
            raise GradCamError("report-outside", path=self._folder / "manifest.json", name=name)
        path = self._folder.resolve() / pure
        # A link below the folder may lead anywhere; a pipe would be waited for.
        if path.resolve() != path or files.trouble(path):
            raise GradCamError("report-outside", path=self._folder / "manifest.json", name=name)
        return path


def _names(manifest: dict[str, Any]) -> Iterator[str]:
    """The pictures that the report shows."""
    for image in manifest["images"]:
        if image["status"] == "done":
            yield image["photo"]
            yield from (entry["files"]["report"] for entry in image["maps"])


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(error) from error


def _unreadable(error: OSError) -> GradCamError:
    reason = error.strerror or str(error)
    return GradCamError("report-unreadable", path=error.filename, reason=reason)


def _data_url(data: bytes) -> str:
    kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _rendered(content: dict[str, Any]) -> str:
    style, script = _source("report.css"), _source("report.js")
    beside = "" if content["inline"] else " 'self' file:"
    policy = (
        f"default-src 'none'; img-src data:{beside}; style-src {_hash(style)};"
        f" script-src {_hash(script)}; base-uri 'none'; form-action 'none'"
    )
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    template = environment.from_string(_source("report.html"))
    # Ours, not the user's: the only two texts that are not escaped.
    trusted = {"style": Markup(style), "script": Markup(script)}  # noqa: S704
    return template.render(content, policy=policy, **trusted)


@cache
def _source(name: str) -> str:
    return (resources.files("gradcam.command.report") / "templates" / name).read_text(
        encoding="utf-8"
    )


def _hash(text: str) -> str:
    """What a content security policy calls the one style, or the one script, that it lets in."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
