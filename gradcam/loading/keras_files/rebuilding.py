"""Rebuilds a Keras model from a `.keras` or `.h5` file of any version.

The config is rewritten before anything is built, so Keras only meets what it knows. The model is
never compiled, nothing is written, and the state of Keras is afterwards what it was before.
"""

from __future__ import annotations

import importlib
import math
import platform
import re
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from gradcam import files
from gradcam.errors import ModelError
from gradcam.loading import file_kinds
from gradcam.loading.keras_files import archives, hdf5, lambda_code
from gradcam.loading.keras_files.legacy_weights import MisfitError
from gradcam.loading.keras_files.modern_configs import Missing, Modernizer
from gradcam.messages import wording
from gradcam.trace import private_keras

if TYPE_CHECKING:
    from pathlib import Path

# All that is ever imported because a file names it.
_PACKAGES = ("keras_stn",)
# What Keras raises where a config is not what its layers take, and what layers raise when called.
_ERRORS = (
    ArithmeticError,
    AttributeError,
    ImportError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    tf.errors.OpError,
)
_MODEL_OPTIMIZATION = (
    " These classes are of tensorflow_model_optimization, which quantises or prunes: load the model"
    " that it was made from, or strip_pruning(model) first."
)
_DROPPED = (
    " Keras 3 has dropped this layer: open the file with the package tf_keras, which is Keras 2, save it"
    " there as a SavedModel, model.save('folder'), and load that."
)
_DROPPED_LAYERS = {"CuDNNGRU", "CuDNNLSTM", "LocallyConnected1D", "LocallyConnected2D"}
_ADDONS = " The class is of tensorflow_addons, which has ended; copy it into your code."


def load(path: Path, kind: str, custom_objects: dict[str, Any], safe_mode: bool) -> keras.Model:
    """The model in a file of a known kind.

    Args:
        path: of the file or the unpacked directory.
        kind: what `file_kinds.recognise` said.
        custom_objects: classes and functions by the names that the file has for them.
        safe_mode: whether code in the file is refused.
    """
    with archives.opened(path, kind) as archive:
        for package in _PACKAGES:
            if package in archive.text:
                importlib.import_module(package)  # registers its layers
        modernizer = Modernizer(str(path), archive.writer, archive.is_old, custom_objects)
        try:
            config = modernizer.model(archive.config())
        except ModelError:
            raise
        except _ERRORS as error:
            raise _failure(modernizer, error) from error
        _refuse(modernizer, safe_mode)
        names = custom_objects | _functions(modernizer)
        try:
            model = _built(archive, config, names, safe_mode)
        except ModelError:
            raise
        except _ERRORS as error:
            raise _failure(modernizer, error) from error
        try:
            archive.fill(model, modernizer.original_names)
        except MisfitError as error:
            raise ModelError(
                "weights-misfit", path=str(path), writer=archive.writer, reason=str(error)
            ) from error
        except ModelError:
            raise
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            raise file_kinds.damaged(path, kind, error) from error
    return model


def _built(
    archive: archives.Archive, config: dict[str, Any], names: dict[str, Any], safe_mode: bool
) -> keras.Model:
    """The model, before its weights are read.

    Its variables get values once it is known that the file holds as much: a layer can ask for
    more memory than there is.
    """

    def build() -> keras.Model:
        with private_keras.ObjectSharingScope():
            return keras.saving.deserialize_keras_object(
                config, custom_objects=names, safe_mode=safe_mode
            )

    try:
        with private_keras.variables_without_values() as made:
            model = build()
    except ValueError as error:
        if "stateless scope" not in str(error):
            raise
        return build()  # a layer of the user's own makes its variables with a value
    wanted = sum(math.prod(variable.shape) * tf.as_dtype(variable.dtype).size for variable in made)
    if wanted > files.LARGE + 4 * archive.size:
        raise hdf5.inflated(archive.path, "the weights of its layers", wanted, archive.size)
    private_keras.give_values(made)
    return model


def _refuse(modernizer: Modernizer, safe_mode: bool) -> None:
    """Raise for what the file needs and must not, or can't, have."""
    if safe_mode and (modernizer.code or modernizer.programs):
        what = [f"the program of the {kind} '{layer}'" for layer, kind in modernizer.programs]
        if modernizer.code:
            layers = [
                repr(layer) for layer in dict.fromkeys(name for name, _ in modernizer.code.values())
            ]
            what.insert(0, f"the function of {_counted('Lambda layer', layers)}")
        raise ModelError("unsafe-file", path=modernizer.path, what=", ".join(what))
    if safe_mode and modernizer.outside:
        found = wording.listing(modernizer.outside, limit=6)
        raise ModelError("file-reaches-out", path=modernizer.path, found=found)
    if modernizer.missing:
        raise ModelError(
            "custom-object",
            path=modernizer.path,
            what="; ".join(dict.fromkeys(map(_described, modernizer.missing))),
            objects=", ".join(
                dict.fromkeys(f"'{_key(m)}': {_short(m)}" for m in modernizer.missing)
            ),
            advice=_advice(modernizer.missing),
        )


def _counted(what: str, names: list[str]) -> str:
    return f"{what}{'s' if len(names) > 1 else ''} {wording.listing(names)}"


def _described(missing: Missing) -> str:
    kind = "function" if missing.is_function else "class"
    home = f" of the module {missing.module}" if missing.module else ""
    return f"the {kind} '{_short(missing)}'{home}, for the layer '{missing.layer}'"


def _short(missing: Missing) -> str:
    return missing.name.rpartition(">")[2]


def _key(missing: Missing) -> str:
    return missing.registered or missing.name


def _advice(missing: list[Missing]) -> str:
    homes = {(entry.module or "") + entry.name for entry in missing}
    if any(re.search(r"tfmot|model_optimization|Quantize|PruneLow", home) for home in homes):
        return _MODEL_OPTIMIZATION
    if any(entry.name in _DROPPED_LAYERS for entry in missing):
        return _DROPPED
    return _ADDONS if any("addons" in home.lower() for home in homes) else ""


def _functions(modernizer: Modernizer) -> dict[str, Any]:
    """The code that the file brings along, as functions."""
    functions = {}
    for key, (layer, stored) in modernizer.code.items():
        try:
            functions[key] = lambda_code.function_of(stored, modernizer.custom_objects)
        except (EOFError, TypeError, ValueError) as error:
            raise ModelError(
                "code-unreadable",
                path=modernizer.path,
                layer=layer,
                reason=str(error) or type(error).__name__,
                version=".".join(platform.python_version_tuple()[:2]),
            ) from error
    return functions


def _failure(modernizer: Modernizer, error: Exception) -> ModelError:
    """What it means that Keras could not build the model."""
    facts = {"path": modernizer.path, "writer": modernizer.writer, "version": keras.__version__}
    text = str(error)
    for layer, kind, argument, value in modernizer.odd_arguments:
        if argument in text:
            return ModelError(
                "unknown-argument",
                layer=layer,
                kind=kind,
                argument=argument,
                value=wording.listing([repr(value)[:60]]),
                **facts,
            )
    return ModelError("cannot-rebuild", where=_layer_in(text), reason=_reason(error), **facts)


def _layer_in(text: str) -> str:
    """The innermost layer that Keras names when it tells of an error."""
    names = re.findall(r"'name': '([^']+)'", text.rpartition("Exception encountered")[0])
    return f"layer '{names[-1]}': " if names else ""


def _reason(error: Exception) -> str:
    """The innermost sentence: Keras wraps each error in the one of the object around it."""
    text = re.sub(r"\x1b\[\d*m", "", str(error)).rpartition("Exception encountered:")[2]
    said = next((line.strip() for line in text.splitlines() if line.strip()), "")
    said = said or type(error).__name__
    return said.rstrip(".") if len(said) < 300 else f"{said[:300]}..."
