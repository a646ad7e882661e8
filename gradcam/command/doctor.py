"""Says why it is None, why it is blank, why it doesn't learn."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

from gradcam.command import terminal
from gradcam.command.model import labels, models, preprocessing
from gradcam.messages.words import Voice

if TYPE_CHECKING:
    import argparse

SUMMARY = "say what is wrong with a model, and what to do first"

USAGE = "gradcam doctor --model M [--image X] [--layer L] [--class C] [--json]"
ANY_SIZE = 224
EXAMPLES = """\
examples:
  gradcam doctor --model m.keras
  gradcam doctor --model m.keras --image cat.jpg --preprocess unit --layer conv

exit status:
  0    healthy
  1    warnings
  2    wrong usage, or a file that can't be read
  4    errors found
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Model, images, question."""
    models.add_arguments(parser)
    group = parser.add_argument_group("what is looked at")
    group.add_argument(
        "--image",
        dest="images",
        metavar="X",
        action="append",
        default=[],
        help="an image file; may be repeated, and several say more; without one, noise is used",
    )
    preprocessing.add_argument(group)
    group.add_argument(
        "--layer", metavar="L", help="the path of a layer; default: the last feature map"
    )
    group.add_argument(
        "--class",
        dest="label",
        metavar="C",
        help="a class by name or index, also the label for the loss; default: the top class",
    )
    group.add_argument(
        "--loss",
        metavar="NAME",
        help="a loss of Keras, to look at the weights' gradients; default: that of the model",
    )
    group.add_argument(
        "--json", action="store_true", help="print everything as JSON, and nothing else"
    )


def run(options: argparse.Namespace) -> int:
    """Print the report, to stdout: it is what was asked for."""
    if options.preprocess is not None:
        preprocessing.check_name(options.preprocess)
    # Whatever a model, or the code that it brings along, prints is not for machines.
    with contextlib.redirect_stdout(sys.stderr):
        model = models.load(options)
        import gradcam  # noqa: PLC0415

        diagnosis = gradcam.diagnose(
            model,
            _images(options, model),
            layer=options.layer,
            target=_target(options),
            loss=options.loss,
        )
    told = diagnosis.said(Voice.TERMINAL)
    sys.stdout.write(f"{told.to_json() if options.json else told}\n")
    return diagnosis.exit_status


def _target(options: argparse.Namespace) -> int | None:
    """The class by its index; a name is looked up in the labels next to the model."""
    label = options.label
    if label is None or label.isdecimal():
        return None if label is None else int(label)
    from gradcam.targets.scoring import looked_up  # noqa: PLC0415

    path = labels.beside(options.model)
    network = models.network(options)
    names = labels.read(path) if path else models.class_names() if network else None
    return looked_up(label, names)


def _images(options: argparse.Namespace, model: Any) -> Any:
    """The image files as the model takes them, in one batch; None without files."""
    if not options.images:
        return None
    from gradcam import pictures  # noqa: PLC0415
    from gradcam.trace import sources  # noqa: PLC0415

    source = sources.open_source(model)
    specs = source.specs()
    shape = specs[0].shape if specs else source.built_shape() or ()
    if len(shape) != 4:
        shape = (None, None, None, 3)
    batch = pictures.read_images(options.images, (shape[1] or ANY_SIZE, shape[2] or ANY_SIZE))
    if shape[-1] == 1:
        batch = batch.mean(axis=-1, keepdims=True)
    return preprocessing.function(_preprocessing(options, model))(batch)


def _preprocessing(options: argparse.Namespace, model: Any) -> str:
    """As `gradcam explain` chooses it; a guess, and said so, where that can't be known."""
    from gradcam.command.model import survey  # noqa: PLC0415
    from gradcam.errors import GradCamError  # noqa: PLC0415

    try:
        seen = survey.survey(model)
        return preprocessing.choose(options.preprocess, models.network(options), seen)[0]
    except GradCamError:  # the model is broken, or does not tell
        if options.preprocess is not None:
            return str(options.preprocess)
        terminal.say("Pixels are given as 0 to 1, which is a guess: say it with --preprocess.")
        return "unit"
