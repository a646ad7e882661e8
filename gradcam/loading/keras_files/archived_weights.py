r"""Puts the weights of a `.keras` file into a model, for the places where Keras 2 put them, too.

The file keeps the weights of each layer under the name of its class and a number, such as
`layers/conv2d_1`. Keras 2 counted in the order of the config, and in 2.12 gave out each number twice.
On Windows it wrote `layers\conv2d_1` as one name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import h5py
import keras

from gradcam.loading.keras_files import graphs
from gradcam.loading.keras_files.legacy_weights import MisfitError
from gradcam.trace import private_keras

if TYPE_CHECKING:
    import io
    import zipfile
    from collections.abc import Iterator, Mapping

_ROOTS = ("layers", "_layer_checkpoint_dependencies")


class _Store(private_keras.WeightStore):
    """Keras' own reader, which knows where a part of the model lies in the file."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream, mode="r")
        self.places: dict[str, str] = {}

    def get(self, path: str) -> Any:
        parts = path.split("/")
        for count in range(len(parts), 0, -1):
            place = self.places.get("/".join(parts[:count]))
            if place is not None:
                return super().get("/".join([place, *parts[count:]]))
        return super().get(path)

    def has_path(self, path: str) -> bool:  # noqa: ARG002
        """True, so that Keras tells of what it misses instead of only warning."""
        return True


def fill(
    model: keras.Model,
    stream: io.BytesIO,
    archive: zipfile.ZipFile | None,
    old_config: Mapping[str, Any] | None,
) -> None:
    """Fill a model.

    Args:
        model: to be filled.
        stream: the bytes of `model.weights.h5`.
        archive: the zip file around it, where it has assets, such as vocabularies.
        old_config: the model's config as Keras 2 wrote it; None for a file of Keras 3.
    """
    _with_slashes(stream)
    store = _Store(stream)
    assets = private_keras.AssetStore("assets", archive=archive, mode="r") if archive else None
    failed: set[int] = set()
    messages: dict[int, Any] = {}
    try:
        if old_config is not None:
            store.places = dict(_places(model, old_config, store.h5_file, "", "", {}))
        private_keras.load_state(
            model,
            weights_store=store,
            assets_store=assets,
            inner_path="",
            visited_saveables=set(),
            failed_saveables=failed,
            error_msgs=messages,
        )
    finally:
        store.close()
        if assets is not None:
            assets.close()
    if failed:
        saveable, error = next(iter(messages.values()))
        raise MisfitError(f"'{getattr(saveable, 'name', saveable)}': {error}")


def _with_slashes(stream: io.BytesIO) -> None:
    r"""Move what Keras 2 stored on Windows, whose file paths made names such as `layers\conv2d`."""
    with h5py.File(stream, "r") as file:
        names = [name for name in file if "\\" in name]
    if names:
        with h5py.File(stream, "r+") as file:
            for name in names:
                file.move(name, name.replace("\\", "/"))


def _places(
    model: keras.Model,
    config: Any,
    group: h5py.Group,
    own: str,
    theirs: str,
    known: dict[str, str],
) -> Iterator[tuple[str, str]]:
    """Where each layer is looked for, and where Keras 2 put it.

    `known` has the layers met so far: one that two models share lies with the first of them.
    """
    root = next((root for root in _ROOTS if root in group), None)
    if root is None or not isinstance(config, dict):
        return
    stored = _stored(config, group[root], known)
    used: dict[str, int] = {}
    for layer in model.layers:
        kind = private_keras.to_snake_case(type(layer).__name__)
        number = used[kind] = used.get(kind, -1) + 1
        place = f"{own}layers/{kind}_{number}" if number else f"{own}layers/{kind}"
        if layer.name not in stored:
            if layer.name in known:
                yield place, known[layer.name]
            continue
        name, entry = stored[layer.name]
        lies = known.setdefault(layer.name, f"{theirs}{root}/{name}")
        yield place, f"{theirs}{root}/{name}"
        if isinstance(layer, keras.Model) and hasattr(layer, "layers"):
            inner = group[root][name]
            yield from _places(layer, entry["config"], inner, f"{place}/", f"{lies}/", known)


def _stored(
    config: dict[str, Any], group: h5py.Group, known: Mapping[str, str]
) -> dict[str, tuple[str, dict[str, Any]]]:
    """The name in the file and the config of each layer of a model that is stored with it."""
    names: dict[str, list[str]] = {}
    for name in sorted(group, key=_number):
        names.setdefault(re.sub(r"_\d+$", "", name), []).append(name)
    entries: dict[str, list[dict[str, Any]]] = {}
    for entry in _entries(config):
        kind = private_keras.to_snake_case(entry["class_name"].rpartition(">")[2])
        entries.setdefault(kind, []).append(entry)
    found = {}
    for kind, alike in entries.items():
        if len(alike) > len(names.get(kind, ())):  # the others are shared
            alike = [entry for entry in alike if _name(entry) not in known]  # noqa: PLW2901
        for entry, name in zip(alike, names.get(kind, ()), strict=False):
            found[_name(entry)] = (name, entry)
    return found


def _name(entry: dict[str, Any]) -> str:
    return graphs.layer_name(entry).replace("/", "_")


def _entries(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    layers = config.get("layers") or []
    return layers if "input_layers" in config else [
        layer for layer in layers if layer["class_name"] != "InputLayer"
    ]  # fmt: skip


def _number(name: str) -> tuple[str, int]:
    found = re.fullmatch(r"(.*)_(\d+)", name)
    return (found[1], int(found[2])) if found else (name, 0)
