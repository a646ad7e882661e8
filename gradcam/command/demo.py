"""Explains a dozen embedded pictures with an embedded model, offline."""

from __future__ import annotations

import argparse
import shlex
import shutil
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from gradcam import files
from gradcam.command import explain, terminal
from gradcam.command.model import quiet
from gradcam.errors import GradCamError
from gradcam.messages import wording

if TYPE_CHECKING:
    import numpy as np

    from gradcam.cam.explanation import Explanation

SUMMARY = "see it work, on an embedded model and embedded pictures, offline"
USAGE = "gradcam demo [--out DIR]"

ABOUT = """\
The model reads chalk digits between pieces of other digits. It looks at each board through a
SpatialTransformer, which finds the digit and zooms in on it; the heatmaps are carried back to the
whole board, and what lies outside the frame stays clear.
"""

SHEET = "methods.png"
_PICTURED = "board-10-seven.png"
_TILE, _COLUMNS = 240, 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the results go."""
    parser.add_argument(
        "--out", metavar="DIR", default="gradcam-demo", help="default: gradcam-demo"
    )


def run(options: argparse.Namespace) -> int:
    """Lay out model and pictures, draw every method on one of them, and explain all of them."""
    out = Path(options.out)
    try:
        _lay_out(out)
        terminal.say(ABOUT)
        quiet.import_tensorflow(debug=options.debug)
        terminal.say("Drawing every method on one picture ...")
        files.write(out / SHEET, _sheet(out))
    except OSError as error:
        reason = error.strerror or str(error)
        path = wording.printable(out)
        raise GradCamError("out-unwritable", path=path, reason=reason) from error
    terminal.say(f"All methods side by side: {out / SHEET}\n")
    return _explain(out, options.debug)


def _lay_out(out: Path) -> None:
    """Copy the model and the pictures, so that people can go on with them."""
    with resources.as_file(resources.files("gradcam.command") / "assets") as assets:
        shutil.copytree(assets, out, dirs_exist_ok=True)


def _explain(out: Path, debug: bool) -> int:
    """What a person would type, and what it does."""
    given = [
        f"--model={out / 'digits.keras'}",
        "--class=top2",
        "--method=gradcam,layercam,scorecam",
    ]
    given += [f"--out={out}", "--overwrite", "--", str(out / "images")]
    terminal.say(f"$ gradcam explain {shlex.join(given)}", wrap=False)
    parser = argparse.ArgumentParser()
    explain.add_arguments(parser)
    parser.set_defaults(debug=debug)
    return explain.run(parser.parse_args(given))


def _sheet(out: Path) -> bytes:
    """One picture with what the transformer chose of it, and with the map of every method: PNG."""
    from gradcam import loading, pictures  # noqa: PLC0415
    from gradcam.cam import methods  # noqa: PLC0415
    from gradcam.cam.explainer import explain as explained  # noqa: PLC0415
    from gradcam.command.report.contact_sheet import contact_sheet, outlined  # noqa: PLC0415

    model = loading.load_model(out / "digits.keras")
    names = (out / "labels.txt").read_text(encoding="utf-8").split()
    photo = pictures.read_photo(out / "images" / _PICTURED)
    height, width = model.input_shape[1:3]
    batch = pictures.grey(pictures.resize(photo, height, width))[None].astype("float32")
    found = {
        name: explained(model, batch, method=name, class_names=names) for name in methods.METHODS
    }
    shown = pictures.resize(photo, _TILE, _TILE)
    first = next(iter(found.values()))
    share = float(first.outputs[0].max())
    tiles = [outlined(shown, _fitted(first.coverage))]
    tiles += [_overlay(shown, explanation) for explanation in found.values()]
    labels = [f"{first.targets[0]} {share:.0%}, and where it looks", *found]
    return pictures.encode(contact_sheet(tiles, labels, _COLUMNS))


def _overlay(shown: np.ndarray, explanation: Explanation) -> np.ndarray:
    from gradcam import pictures  # noqa: PLC0415
    from gradcam.command.report.contact_sheet import outlined  # noqa: PLC0415

    heatmap, coverage = _fitted(explanation.heatmaps), _fitted(explanation.coverage)
    mixed = pictures.overlay(shown[None], heatmap[None], 0.5, "turbo", coverage[None])
    return outlined(mixed[0], coverage)


def _fitted(maps: np.ndarray | None) -> np.ndarray:
    """The first of some maps at the size of a tile."""
    from gradcam import pictures  # noqa: PLC0415

    if maps is None:
        raise TypeError("The demo's model has a SpatialTransformer before the explained layer.")
    return pictures.resize(maps[0].astype("float32"), _TILE, _TILE)
