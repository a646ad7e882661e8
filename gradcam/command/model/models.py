"""The options that say which model, and how it is loaded; shared by the commands that take one."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradcam.command.model import applications, foreign, preprocessing, quiet
from gradcam.errors import GradCamError, ModelError
from gradcam.messages import wording

if TYPE_CHECKING:
    import argparse

_DOWNLOADS = "https://storage.googleapis.com/tensorflow/keras-applications/"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of every command that takes a model."""
    group = parser.add_argument_group("the model")
    group.add_argument(
        "--model",
        metavar="M",
        help="a .keras or .h5 file, a SavedModel folder, or a network of keras.applications such"
        " as MobileNetV2",
    )
    group.add_argument(
        "--import",
        dest="imports",
        metavar="MODULE",
        action="append",
        default=[],
        help="a Python module with your own layers; may be given several times",
    )
    group.add_argument(
        "--unsafe",
        action="store_true",
        help="run code that the file brings along (Lambda layers): only for files you trust",
    )
    group.add_argument(
        "--signature", metavar="NAME", help="of a SavedModel with several, the one to explain"
    )


def check(options: argparse.Namespace) -> None:
    """Raise where the model can't be one, before anything slow is imported."""
    if not options.model:
        raise ModelError("model-not-given")
    for name in options.imports:
        if name.endswith(".py") or "/" in name:
            module = Path(name).stem
            raise GradCamError("import-is-a-path", name=name, module=module)
    if network(options) is None and not Path(options.model).exists():
        path = Path(options.model)
        with contextlib.suppress(OSError):
            beside = [child.name for child in path.parent.iterdir()]
            near = wording.suggestion(path.name, beside)
            if near:
                raise ModelError("model-missing", path=wording.printable(path), hint=near)
        hint = wording.suggestion(options.model, applications.NETWORKS)
        raise ModelError("model-missing", path=wording.printable(path), hint=hint)


def network(options: argparse.Namespace) -> str | None:
    """The network of `keras.applications` that is meant; a file of that name comes first."""
    return None if Path(options.model).exists() else applications.network_named(options.model)


def load(options: argparse.Namespace) -> Any:
    """The model that the options name, for `gradcam.Explainer` and the rest."""
    check(options)
    quiet.import_tensorflow(debug=options.debug)
    custom_objects: dict[str, Any] = {}
    for name in options.imports:
        custom_objects |= _layers_of(_imported(name))
    name = network(options)
    if name is not None:
        return _application(name)
    import gradcam  # noqa: PLC0415

    return gradcam.load_model(
        options.model,
        custom_objects=custom_objects,
        safe_mode=not options.unsafe,
        signature=options.signature,
    )


def sha256(name: str, model: Any) -> str:
    """The digest of a model's file; of the names and files of a folder; else of its weights."""
    digest = hashlib.sha256()
    path = Path(name)
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if path.is_dir():
        for child in sorted(child for child in path.rglob("*") if child.is_file()):
            digest.update(str(child.relative_to(path)).encode(errors="surrogateescape") + b"\0")
            with child.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()
    for array in model.get_weights():
        digest.update(array.tobytes())
    return digest.hexdigest()


def class_names() -> list[str] | None:
    """The names of ImageNet's classes; None where they were never downloaded and can't be."""
    import keras  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    home = Path(os.environ.get("KERAS_HOME") or Path("~/.keras").expanduser())
    if not (home / "models" / "imagenet_class_index.json").exists() and not _is_online():
        return None
    # Descending, so that the classes come in the order of the output.
    scores = np.arange(1000, 0, -1, dtype=np.float32)[np.newaxis]
    ordered = keras.applications.imagenet_utils.decode_predictions(scores, top=1000)
    return [label for _, label, _ in ordered[0]]


def _is_online() -> bool:
    """Whether Keras' downloads can be reached."""
    try:
        with urllib.request.urlopen(_DOWNLOADS, timeout=10):
            return True
    except urllib.error.HTTPError:
        return True  # somebody answered
    except OSError:
        return False


def _application(name: str) -> Any:
    import keras  # noqa: PLC0415

    def words(kind: str, reason: str) -> ModelError:  # noqa: ARG001
        return ModelError(
            "weights-missing", name=name, reason=wording.printable(reason.rstrip("."))
        )

    make = getattr(keras.applications, name)
    return foreign.call(lambda: make(weights="imagenet"), words)


def _imported(name: str) -> Any:
    def words(kind: str, reason: str) -> GradCamError:  # noqa: ARG001
        return GradCamError("import-failed", name=name, reason=reason)

    return preprocessing.import_user_module(name, words)


def _layers_of(module: Any) -> dict[str, Any]:
    """The layers and functions that a module defines, under the names that a file has for them."""
    return {
        name: value
        for name, value in vars(module).items()
        if (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    }
