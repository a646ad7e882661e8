"""What a model's file holds: the config as JSON, who wrote it, and the weights."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h5py

from gradcam.errors import ModelError
from gradcam.loading import file_kinds
from gradcam.loading.keras_files import archived_weights, legacy_weights
from gradcam.messages import findings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import keras

# What reading a file raises that is not whole, or that someone has changed.
_DAMAGED = (
    EOFError,
    KeyError,
    NotImplementedError,
    OSError,
    RuntimeError,
    UnicodeDecodeError,
    json.JSONDecodeError,
    zipfile.BadZipFile,
    zlib.error,
)
# Keras stores without compressing: what unpacks to this much from very little is a trap.
_UNPACKED = 1 << 28


@dataclass(frozen=True)
class Archive:
    """An open file.

    Attributes:
        text: the model's config, as JSON.
        version: of the Keras that wrote it, such as `"2.13.1"`; None where the file doesn't say.
        put: puts the weights into a model, given the names that layers have in the file where they
            are called otherwise in the model.
    """

    path: Path
    text: str
    version: str | None
    put: Callable[[keras.Model, Mapping[str, str]], None]

    @property
    def writer(self) -> str:
        """Who wrote the file, in words."""
        return f"Keras {self.version}" if self.version else "an unknown version of Keras"

    @property
    def is_old(self) -> bool:
        """Whether Keras 2 wrote it, or one before."""
        if self.version:
            return not self.version.startswith("3")
        return '"batch_input_shape"' in self.text

    def config(self) -> dict[str, Any]:
        """The model's config, read."""
        return _dictionary(self.path, self.text)

    def fill(self, model: keras.Model, original_names: Mapping[str, str]) -> None:
        """Put the stored weights into the model."""
        self.put(model, original_names)


@contextmanager
def opened(path: Path, kind: str) -> Iterator[Archive]:
    """Open a file of a known kind; `ModelError` where it is not whole."""
    openers = {
        file_kinds.KERAS: _zipped,
        file_kinds.KERAS_FOLDER: _folder,
        file_kinds.H5: _h5,
    }
    try:
        with openers[kind](path) as archive:
            yield archive
    except ModelError:
        raise
    except PermissionError as error:
        raise ModelError("file-unreadable", path=str(path), reason="permission denied") from error
    except _DAMAGED as error:
        raise file_kinds.damaged(path, kind, error) from error


@contextmanager
def _zipped(path: Path) -> Iterator[Archive]:
    with zipfile.ZipFile(path) as file:
        names = file.namelist()
        text = file.read("config.json").decode("utf-8")
        metadata = file.read("metadata.json") if "metadata.json" in names else b"{}"
        if "model.weights.h5" not in names:
            found = f"it has no model.weights.h5, but {findings.listing(names, limit=6)}"
            raise zipfile.BadZipFile(found)
        for part in file.infolist():
            if part.file_size > _UNPACKED and part.file_size > 100 * part.compress_size:
                trap = f"its part {part.filename} would unpack to {part.file_size} bytes"
                raise zipfile.BadZipFile(trap)
        has_assets = any(name.startswith("assets/") for name in names)

        def put(model: keras.Model, original_names: Mapping[str, str]) -> None:  # noqa: ARG001
            stream = io.BytesIO(file.read("model.weights.h5"))
            archived_weights.fill(model, stream, file if has_assets else None, old)

        archive = Archive(path, text, _version(path, metadata), put)
        old = archive.config()["config"] if archive.is_old else None
        yield archive


@contextmanager
def _folder(path: Path) -> Iterator[Archive]:
    metadata = path / "metadata.json"
    version = _version(path, metadata.read_bytes() if metadata.exists() else b"{}")

    def put(model: keras.Model, original_names: Mapping[str, str]) -> None:  # noqa: ARG001
        stream = io.BytesIO((path / "model.weights.h5").read_bytes())
        archived_weights.fill(model, stream, None, old)

    archive = Archive(path, (path / "config.json").read_text("utf-8"), version, put)
    old = archive.config()["config"] if archive.is_old else None
    yield archive


@contextmanager
def _h5(path: Path) -> Iterator[Archive]:
    with h5py.File(path, "r") as file:
        text = _text(file.attrs.get("model_config"))
        if text is None:
            raise _without_model(path, file)
        if "model_weights" not in file:
            raise KeyError("it has the model's config, but no group 'model_weights'")
        weights = file["model_weights"]
        version = file.attrs.get("keras_version", weights.attrs.get("keras_version"))

        def put(model: keras.Model, original_names: Mapping[str, str]) -> None:
            legacy_weights.fill(weights, model, original_names)

        yield Archive(path, text, _text(version), put)


def _without_model(path: Path, file: h5py.File) -> ModelError:
    """What an HDF5 file is that has no config: weights, or data of some other kind."""
    layers = legacy_weights.texts(file, "layer_names")
    if layers:
        found = f"weights of the layers {findings.listing(layers, limit=6)}"
        return ModelError("weights-only", path=str(path), found=found)
    names = sorted(file)
    for root in ("layers", "_layer_checkpoint_dependencies"):
        if root in names:
            found = f"weights of the layers {findings.listing(sorted(file[root]), limit=6)}"
            return ModelError("weights-only", path=str(path), found=found)
    windows = [name.partition("\\")[2] for name in names if "\\" in name]  # `layers\conv2d`
    if windows:
        found = f"weights of the layers {findings.listing(windows, limit=6)}"
        return ModelError("weights-only", path=str(path), found=found)
    if "vars" in names or "model_weights" in names:
        return ModelError("weights-only", path=str(path), found=findings.listing(names, limit=6))
    return ModelError(
        "not-a-model-file",
        path=str(path),
        found=f"an HDF5 file without a model; it holds {findings.listing(names, limit=6)}",
        advice="Check the path.",
    )


def _version(path: Path, metadata: bytes) -> str | None:
    return _text(_dictionary(path, metadata.decode("utf-8")).get("keras_version"))


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8")
    return str(value) if value is not None else None


def _dictionary(path: Path, text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise file_kinds.damaged(path, "a model", ValueError("its config is no dictionary"))
    return value
