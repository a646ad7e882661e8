"""Recognises what lies at a path, by its content: a model that can be opened, or what else it is."""

from __future__ import annotations

import errno
import os
import stat
import zipfile
from pathlib import Path
from typing import Any

from gradcam.errors import ModelError
from gradcam.files import trouble
from gradcam.loading.file_signatures import (
    CHECKPOINT,
    CORE_ML,
    TFJS,
    TORCH,
    TRANSFORMERS,
    name_of,
)
from gradcam.messages import wording

KERAS = "a .keras file"
H5 = "an .h5 file"
KERAS_FOLDER = "an unpacked .keras file"
SAVED_MODEL = "a SavedModel"

_HEAD = 4096
_HDF5 = b"\x89HDF\r\n\x1a\n"
_ENDINGS = (".keras", ".h5", ".hdf5", ".onnx", ".tflite", ".pt", ".pth", ".mlmodel")
_WEIGHTS = ("model.weights.h5", "model.weights.npz")


def recognise(path: Path) -> str:
    r"""The kind of the model at `path`, one of the four above; `ModelError` for all else.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     file.write(b"version https://git-lfs.github.com/spec/v1\nsize 9\n") and file.flush()
    ...     try:
    ...         recognise(Path(file.name))
    ...     except ModelError as error:
    ...         print(error.facts["found"])
    a Git LFS pointer, the text that stands for a file of 9 bytes
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return _folder(path, sorted(entry.name for entry in path.iterdir()))
        if not stat.S_ISREG(mode):
            raise _other(path, "a device, a pipe or a socket", "Copy what it holds to a file.")
        reason = trouble(path)
        if reason:
            raise ModelError("file-unreadable", path=str(path), reason=reason)
        return _file(path)
    except FileNotFoundError:
        raise _missing(path) from None
    except (OSError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError("file-unreadable", path=str(path), reason=_reason(error)) from None


def _file(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(_HEAD)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 8))
        tail = file.read()
        # HDF5 may follow a block of the user's own: at 512 bytes, or twice as far, and so on.
        starts = [0] + [512 << step for step in range(12)]
        is_h5 = False
        for start in starts:
            file.seek(start)
            is_h5 = is_h5 or file.read(8) == _HDF5
    if is_h5:
        return H5
    if head.startswith(b"PK"):
        return _archive(path)
    found, advice = name_of(head, tail, size, path.name)
    raise _other(path, found, advice)


def _archive(path: Path) -> str:
    """A zip file: a `.keras` file or something else that is packed in one."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise damaged(path, "a zip archive, as .keras files are", error) from None
    if "config.json" in names and (set(names) & set(_WEIGHTS) or "metadata.json" in names):
        return KERAS
    endings = {Path(name).suffix for name in names if not name.endswith("/")}
    if any(name.endswith(("data.pkl", "constants.pkl")) for name in names):
        raise _other(path, *TORCH)
    if endings == {".npy"}:
        raise _other(path, "a NumPy archive (.npz) of arrays", "Arrays alone are no model.")
    inside = [
        name
        for name in names
        if name.endswith((".keras", ".h5", ".hdf5", "saved_model.pb", "config.json"))
    ]
    if inside:
        found = f"a zip archive with {wording.listing(inside, limit=4)} in it"
        raise _other(path, found, "Unpack it, and load what is in it.")
    some = wording.listing(names, limit=4)
    raise _other(path, f"a zip archive without a model: {some}", "A .keras file has a config.json.")


def _folder(path: Path, names: list[str]) -> str:
    if "saved_model.pb" in names or "saved_model.pbtxt" in names:
        return SAVED_MODEL
    if "config.json" in names and set(names) & set(_WEIGHTS):
        return KERAS_FOLDER
    raise _other(path, *_named_folder(path, names))


def _named_folder(path: Path, names: list[str]) -> tuple[str, str]:
    """What a directory is that is no model; the first that fits."""
    below = [name for name in names if (path / name / "saved_model.pb").exists()]
    models = [name for name in names if name.endswith(_ENDINGS)]
    parts = {"variables", "keras_metadata.pb", "fingerprint.pb"} & set(names)
    again = "Copy the whole directory again, with saved_model.pb, variables/ and assets/."
    held = wording.listing(names, limit=4)
    descriptions: list[tuple[Any, str, str]] = [
        (not names, "an empty directory", "Check the path."),
        (
            below,
            f"a directory with a SavedModel below it: {wording.listing(below, limit=4)}",
            f"Load '{path / (below or [''])[-1]}'.",
        ),
        (any(name.endswith(".index") for name in names), *CHECKPOINT),
        (parts, "a part of a SavedModel: it has no saved_model.pb", again),
        ("coremldata.bin" in names or (path / "Data" / "com.apple.CoreML").is_dir(), *CORE_ML),
        (
            "config.json" in names
            and {"model.safetensors", "pytorch_model.bin", "tf_model.h5"} & set(names),
            *TRANSFORMERS,
        ),
        (
            models,
            f"a directory with {wording.listing(models, limit=4)} in it",
            f"Load one of them, such as '{path / (models or [''])[0]}'.",
        ),
        (
            "config.json" in names,
            "a directory with a config.json, but without model.weights.h5",
            "Copy the whole directory again.",
        ),
        ("model.json" in names, *TFJS),
        (True, f"a directory without saved_model.pb; it holds {held}", "Check the path."),
    ]
    return next((found, advice) for fits, found, advice in descriptions if fits)


def damaged(path: Path, found: str, error: Exception) -> ModelError:
    """The error for a file that is what it should be, but not whole."""
    return ModelError(
        "file-damaged",
        path=str(path),
        found=found,
        reason=str(error).rstrip(".") or type(error).__name__,
        size=path.stat().st_size if path.is_file() else "some",
    )


def _other(path: Path, found: str, advice: str) -> ModelError:
    return ModelError("not-a-model-file", path=str(path), found=found, advice=advice)


def _missing(path: Path) -> ModelError:
    if path.is_symlink():
        reason = f"it is a link to '{path.readlink()}', where there is nothing"
        return ModelError("file-unreadable", path=str(path), reason=reason)
    try:
        names = [str(entry) for entry in path.parent.iterdir()]
    except OSError:
        names = []
    if f"{path}.index" in names:
        return _other(path, *CHECKPOINT)
    hint = wording.suggestion(str(path), names)
    return ModelError("file-not-found", path=str(path), hint=hint, start=str(Path.cwd()))


def _reason(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number == errno.ELOOP:
        return "its links lead round in a circle"
    if number in {errno.EACCES, errno.EPERM}:
        return "permission denied"
    return (getattr(error, "strerror", None) or str(error)).lower()
