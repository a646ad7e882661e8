"""The options that say which model, and how it is loaded; shared by the commands that take one."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from gradcam.errors import GradCamError, ModelError

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of every command that takes a model."""
    group = parser.add_argument_group("the model")
    group.add_argument(
        "--model",
        metavar="M",
        required=True,
        help="a .keras or .h5 file, a SavedModel folder, or a name of keras.applications",
    )
    group.add_argument(
        "--import",
        dest="imports",
        metavar="MODULE",
        action="append",
        default=[],
        help="import a Python module with custom layers first; may be given several times",
    )
    group.add_argument(
        "--unsafe",
        action="store_true",
        help="load code that is stored in the file (Lambda layers): only files you trust",
    )
    group.add_argument(
        "--signature", metavar="NAME", help="the signature of a SavedModel, if it has several"
    )


def load(options: argparse.Namespace) -> Any:
    """The model that the options name, after the modules that they import."""
    for name in options.imports:
        _import(name)
    import keras  # noqa: PLC0415

    try:
        return keras.models.load_model(options.model, compile=False, safe_mode=not options.unsafe)
    except (OSError, ValueError, TypeError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError("model-unreadable", path=options.model, reason=reason) from error


def _import(name: str) -> None:
    """Import a module, also from the folder that the command runs in."""
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        importlib.import_module(name)
    except (ImportError, SyntaxError, ValueError) as error:
        raise GradCamError("import-failed", name=name, reason=error) from error
