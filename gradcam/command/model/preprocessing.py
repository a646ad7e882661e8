"""From pixels in 0 to 255 to what the model takes."""

from __future__ import annotations

import functools
import importlib
import re
import sys
from typing import TYPE_CHECKING, Any

from gradcam.command.model import applications, foreign, labels
from gradcam.errors import GradCamError
from gradcam.messages import wording

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np

    from gradcam.command.model.survey import Survey

    Preprocess = Callable[[np.ndarray], np.ndarray]


# Teachable Machine's models have 2.5 MB.
_LARGEST_EXPORT = 1 << 24


def add_argument(group: argparse._ArgumentGroup) -> None:
    """The option of every command that takes images."""
    group.add_argument(
        "--preprocess",
        metavar="P",
        help="pixel values: raw (0 to 255), unit (0 to 1), signed (-1 to 1), a network of"
        " keras.applications, or module:function; found by itself where the model scales pixels",
    )


def choose(
    asked: str | None,
    network: str | None,
    survey: Survey,
    suggest: Callable[[], str] = str,
) -> tuple[str, str]:
    """The preprocessing, and a sentence that says why.

    Args:
        asked: what `--preprocess` says, already checked; None leaves it to be found.
        network: the network of `keras.applications` that the model is, if it is one.
        survey: the model.
        suggest: asked for a sentence on what is most likely right, where it can't be known.

    Raises:
        GradCamError: nobody says it, and it can't be known.
    """
    if asked is not None:
        module = applications.module_of(asked)
        return module or asked, "as asked for"
    if network is not None:
        return applications.NETWORKS[network], f"that of {network}"
    if survey.scaling:
        return "raw", f"the model scales the pixels itself ({', '.join(survey.scaling)})"
    if not survey.dtype.startswith(("float", "bfloat")):
        return "raw", f"the model takes {survey.dtype}"
    hint = ""
    if survey.arithmetic:
        operations = wording.listing(survey.arithmetic)
        hint = f" It begins with {operations}: if that scales the pixels, raw is right."
    raise GradCamError("preprocess-unknown", suggestion=suggest(), hint=hint)


def check_model_file(path: Path) -> None:
    """Raise where a file tells, before it is loaded, that the preprocessing has to be said.

    Teachable Machine exports keras_model.h5 beside labels.txt, and trains with pixels from -1 to 1.
    """
    if path.name != "keras_model.h5" or labels.beside(str(path)) is None:
        return
    if path.stat().st_size < _LARGEST_EXPORT and b'"Rescaling"' not in path.read_bytes():
        raise GradCamError("preprocess-of-teachable-machine", path=wording.printable(path))


def function(name: str) -> Preprocess:
    """The function behind a preprocessing: a batch in 0..255 to what the model takes.

    >>> import numpy as np
    >>> function("signed")(np.array([0.0, 255.0]))
    array([-1.,  1.])
    """
    if name in _SCALES:
        return _SCALES[name]
    if ":" in name:
        return functools.partial(_checked, name, _imported(name))
    module = importlib.import_module(f"keras.applications.{name}")
    preprocess = functools.partial(module.preprocess_input, data_format="channels_last")
    return functools.partial(_checked, name, preprocess)


def check_name(name: str) -> None:
    """Raise unless `--preprocess` can mean something; nothing is imported for that.

    >>> check_name("MobileNetV2")
    """
    known = [*_SCALES, *applications.MODULES]
    if name in _SCALES or applications.module_of(name) or re.fullmatch(r"[\w.]+:\w+", name):
        return
    raise GradCamError(
        "unknown-option",
        option="--preprocess",
        value=name,
        hint=wording.suggestion(name, [*known, *applications.NETWORKS]),
        expected=f"one of: {wording.listing(known)}, or module:function",
        advice="raw is 0 to 255, unit 0 to 1, signed -1 to 1.",
    )


def _raw(images: np.ndarray) -> np.ndarray:
    return images


def _unit(images: np.ndarray) -> np.ndarray:
    return images / 255


def _signed(images: np.ndarray) -> np.ndarray:
    return images / 127.5 - 1


_SCALES: dict[str, Preprocess] = {"raw": _raw, "unit": _unit, "signed": _signed}


def _imported(name: str) -> Preprocess:
    module, _, attribute = name.partition(":")
    words = _words(name)
    found = foreign.call(lambda: getattr(import_user_module(module, words), attribute), words)
    if not callable(found):
        raise GradCamError("preprocess-failed", name=name, error="TypeError", reason="no function")
    preprocess: Preprocess = found
    return preprocess


def import_user_module(name: str, words: foreign.MakeError) -> Any:
    """Import a module, also from the folder that the command runs in."""
    if "" not in sys.path:
        sys.path.insert(0, "")
    return foreign.call(lambda: importlib.import_module(name), words)


def _checked(name: str, preprocess: Preprocess, images: np.ndarray) -> np.ndarray:
    """Call a user's function, with its mistakes in words."""
    import numpy as np  # noqa: PLC0415

    result = foreign.call(lambda: np.asarray(preprocess(images.copy())), _words(name))
    if result.dtype.kind not in "biuf" or result.shape[:3] != images.shape[:3]:
        raise GradCamError(
            "preprocess-result",
            name=name,
            shape=result.shape,
            dtype=result.dtype,
            given=images.shape,
        )
    return result


def _words(name: str) -> foreign.MakeError:
    return lambda kind, reason: GradCamError(
        "preprocess-failed", name=name, error=kind, reason=reason
    )
