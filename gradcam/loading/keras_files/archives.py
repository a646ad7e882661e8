"""What a model's file holds: the config as JSON, who wrote it, and the weights."""

from __future__ import annotations

import io
import json
import lzma
import mmap
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h5py

from gradcam.errors import ModelError
from gradcam.files import is_inflated, trouble
from gradcam.loading import file_kinds
from gradcam.loading.keras_files import archived_weights, hdf5, legacy_weights
from gradcam.messages import wording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import keras

# What reading a file raises that is not whole, or that someone has changed.
_DAMAGED = (
    EOFError,
    KeyError,
    lzma.LZMAError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
# A config of a thousand layers takes a megabyte or two.
_LONGEST_CONFIG = 1 << 24
_CONFIGS = ("config.json", "metadata.json")
_WEIGHTS = "model.weights.h5"


@dataclass(frozen=True)
class Archive:
    """An open file.

    Attributes:
        text: the model's config, as JSON.
        version: of the Keras that wrote it, such as `"2.13.1"`; None where the file doesn't say.
        size: the bytes in which the weights lie.
        put: puts the weights into a model, given the names that layers have in the file where they
            are called otherwise in the model.
    """

    path: Path
    text: str
    version: str | None
    size: int
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
        if _WEIGHTS not in names:
            found = f"it has no {_WEIGHTS}, but {wording.listing(names, limit=6)}"
            raise zipfile.BadZipFile(found)
        _check_parts(path, file)
        text = file.read("config.json").decode("utf-8")
        metadata = file.read("metadata.json") if "metadata.json" in names else b"{}"
        has_assets = any(name.startswith("assets/") for name in names)

        def weights() -> io.BytesIO:
            return io.BytesIO(file.read(_WEIGHTS))

        size = file.getinfo(_WEIGHTS).file_size
        yield _with_weights(path, text, metadata, (size, weights), file if has_assets else None)


def _check_parts(path: Path, file: zipfile.ZipFile) -> None:
    """Raise for an archive that would unpack to far more than it is; Keras doesn't compress."""
    for part in file.infolist():
        if part.filename in _CONFIGS and part.file_size > _LONGEST_CONFIG:
            claimed = part.file_size
            raise hdf5.inflated(path, f"its part {part.filename}", claimed, part.compress_size)
    claimed = sum(part.file_size for part in file.infolist())
    stored = path.stat().st_size
    if is_inflated(claimed, stored):
        raise hdf5.inflated(path, "unpacked, its parts", claimed, stored)


@contextmanager
def _folder(path: Path) -> Iterator[Archive]:
    for name in (*_CONFIGS, _WEIGHTS):
        reason = trouble(path / name)
        if reason:
            raise ModelError("file-unreadable", path=str(path / name), reason=reason)
    sizes = {name: (path / name).stat().st_size for name in _CONFIGS if (path / name).exists()}
    for name, size in sizes.items():
        if size > _LONGEST_CONFIG:
            raise hdf5.inflated(path, f"its part {name}", size, size)
    metadata = (path / "metadata.json").read_bytes() if "metadata.json" in sizes else b"{}"
    text = (path / "config.json").read_text("utf-8")

    def weights() -> io.BytesIO:
        return io.BytesIO((path / _WEIGHTS).read_bytes())

    size = (path / _WEIGHTS).stat().st_size
    yield _with_weights(path, text, metadata, (size, weights), None)


def _with_weights(
    path: Path,
    text: str,
    metadata: bytes,
    weights: tuple[int, Callable[[], io.BytesIO]],
    assets: zipfile.ZipFile | None,
) -> Archive:
    """The parts of a `.keras` file, packed or not; of the weights their size, and how to read them."""
    size, read = weights

    def put(model: keras.Model, original_names: Mapping[str, str]) -> None:  # noqa: ARG001
        stream = read()
        hdf5.check_heaps(stream.getvalue())
        with h5py.File(stream, "r") as file:
            hdf5.check(path, file, size)
        archived_weights.fill(model, stream, assets, old)

    archive = Archive(path, text, _version(path, metadata), size, put)
    old = archive.config()["config"] if archive.is_old else None
    return archive


@contextmanager
def _h5(path: Path) -> Iterator[Archive]:
    with (
        path.open("rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        hdf5.check_heaps(content)
    with h5py.File(path, "r") as file:
        hdf5.check(path, file, path.stat().st_size)
        text = _text(file.attrs.get("model_config"))
        if text is None:
            raise _without_model(path, file)
        if len(text) > _LONGEST_CONFIG:
            raise hdf5.inflated(path, "its config", len(text), len(text))
        if "model_weights" not in file:
            raise KeyError("it has the model's config, but no group 'model_weights'")
        weights = file["model_weights"]
        version = file.attrs.get("keras_version", weights.attrs.get("keras_version"))

        def put(model: keras.Model, original_names: Mapping[str, str]) -> None:
            legacy_weights.fill(weights, model, original_names)

        yield Archive(path, text, _text(version), path.stat().st_size, put)


def _without_model(path: Path, file: h5py.File) -> ModelError:
    """What an HDF5 file is that has no config: weights, or data of some other kind."""
    layers = legacy_weights.texts(file, "layer_names")
    if layers:
        found = f"weights of the layers {wording.listing(layers, limit=6)}"
        return ModelError("weights-only", path=str(path), found=found)
    names = sorted(file)
    for root in ("layers", "_layer_checkpoint_dependencies"):
        if root in names:
            found = f"weights of the layers {wording.listing(sorted(file[root]), limit=6)}"
            return ModelError("weights-only", path=str(path), found=found)
    windows = [name.partition("\\")[2] for name in names if "\\" in name]  # `layers\conv2d`
    if windows:
        found = f"weights of the layers {wording.listing(windows, limit=6)}"
        return ModelError("weights-only", path=str(path), found=found)
    if "vars" in names or "model_weights" in names:
        return ModelError("weights-only", path=str(path), found=wording.listing(names, limit=6))
    return ModelError(
        "not-a-model-file",
        path=str(path),
        found=f"an HDF5 file without a model; it holds {wording.listing(names, limit=6)}",
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
