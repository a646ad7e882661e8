"""Shows where a model looked in every photograph: overlays, a manifest, a report."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from gradcam.command import terminal
from gradcam.command.model import models, preprocessing
from gradcam.command.run import request

if TYPE_CHECKING:
    import argparse

SUMMARY = "show where a model looked in photographs, or whole folders of them"

USAGE = "gradcam explain PHOTO|FOLDER|PATTERN... --model M [OPTIONS]"
EXAMPLES = """\
examples:
  gradcam explain cat.jpg --model MobileNetV2
  gradcam explain photos --model m.keras --preprocess unit --class-names a.txt
  gradcam explain 'in/*.jpg' --model m.keras --class top3 --method layercam

exit status:
  0    everything is done
  2    wrong usage, or a model that can't be explained: nothing was written
  3    some images failed, the others are done
  5    the disk is full, or the folder can't be written; --resume goes on
  124  --timeout is over; --resume goes on
  130  stopped by Ctrl-C; --resume goes on
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Photographs, model, question, output."""
    parser.add_argument(
        "photos", nargs="*", metavar="PHOTO", help="an image file, a folder, or a 'pattern*.jpg'"
    )
    models.add_arguments(parser)
    _add_reading(parser)
    _add_question(parser)
    _add_output(parser)


def _add_reading(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what the model takes")
    preprocessing.add_argument(group)
    group.add_argument(
        "--size", metavar="HxW", help="height and width, for models that take any size"
    )
    group.add_argument(
        "--class-names",
        metavar="FILE",
        help="one name a line, with or without index; labels.txt next to the model is found",
    )


def _add_question(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is explained")
    group.add_argument(
        "--class",
        dest="classes",
        metavar="C",
        action="append",
        default=[],
        help="a name, an index, or top3 and its like; may be repeated; default: the top class",
    )
    group.add_argument(
        "--method",
        metavar="M",
        action="append",
        default=[],
        help="one or several with commas, see gradcam methods; default: gradcam",
    )
    group.add_argument(
        "--layer",
        metavar="PATH",
        action="append",
        default=[],
        help="one or several with commas, see gradcam layers; default: the last feature map",
    )
    group.add_argument(
        "--score",
        choices=("logit", "probability"),
        default="logit",
        help="what is explained of a class; default: logit",
    )
    group.add_argument(
        "--counterfactual", action="store_true", help="what speaks against the class, as if for it"
    )
    group.add_argument(
        "--no-relu",
        action="store_true",
        help="also what speaks against the class, below the middle of the colours",
    )
    group.add_argument(
        "--max-channels",
        metavar="N",
        help="for scorecam and ablationcam: only so many channels, the most varied of each image",
    )
    group.add_argument("--output", metavar="NAME", help="of a model with several, the one meant")


def _add_output(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is written")
    group.add_argument("--out", metavar="DIR", default="gradcam-out", help="default: gradcam-out")
    group.add_argument(
        "--save",
        metavar="KINDS",
        action="append",
        default=[],
        help="of overlay, heatmap, map, with commas; default: overlay",
    )
    group.add_argument(
        "--alpha", metavar="A", default="0.5", help="opacity of the heatmap, 0 to 1; default: 0.5"
    )
    group.add_argument(
        "--colormap",
        metavar="NAME",
        default=request.DEFAULT_COLORMAP,
        help=f"a colour map of OpenCV; default: {request.DEFAULT_COLORMAP}",
    )
    group.add_argument(
        "--batch-size",
        metavar="N",
        help=f"images that go through the model at once; default: {request.IMAGES_AT_ONCE}",
    )
    again = group.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="leave what is done already")
    again.add_argument(
        "--overwrite", action="store_true", help="replace results of a run with other settings"
    )
    group.add_argument("--no-report", action="store_true", help="write no report.html")
    group.add_argument(
        "--json", action="store_true", help="print one line of JSON an image in place of the table"
    )


def run(options: argparse.Namespace) -> int:
    """Check what can be checked at once, load the model, and work."""
    asked = request.read(options)
    stdout = sys.stdout
    # Whatever a model, or the code that it brings along, prints is not for machines.
    with contextlib.redirect_stdout(sys.stderr):
        terminal.say(f"Loading {options.model} ...")
        model = models.load(options)
        from gradcam.command.run import job  # noqa: PLC0415

        return job.run(
            asked,
            model,
            models.network(options),
            resume=options.resume,
            overwrite=options.overwrite,
            json_lines=stdout if options.json else None,
            table=sys.stderr if options.json else stdout,
        )
