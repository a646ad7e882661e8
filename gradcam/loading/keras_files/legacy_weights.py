"""Puts the weights of an `.h5` file into a model, by name where there are names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import keras
import numpy as np

from gradcam.trace import private_keras

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from keras import Variable


class MisfitError(Exception):
    """The stored weights are not those of the model; the text says which."""


def fill(group: h5py.Group, model: keras.Model, original_names: Mapping[str, str]) -> None:
    """Weights of an `.h5` file: one group a layer of the model, nested models laid flat.

    Args:
        group: the file's `model_weights`.
        model: to be filled.
        original_names: of layers that are called otherwise in the file.
    """
    stored = {name: group[name] for name in texts(group, "layer_names") if name in group}
    layers = [layer for layer in model.layers if layer.weights]
    missing = []
    for layer in layers:
        name = original_names.get(layer.name, layer.name)
        if name in stored:
            _fill(layer, _arrays(stored.pop(name)), original_names)
        else:
            missing.append(layer)
    rest = [(name, arrays) for name in stored if (arrays := _arrays(stored[name]))]
    if len(rest) != len(missing):
        names = ", ".join(name for name, _ in rest) or "none"
        wanted = ", ".join(layer.name for layer in missing) or "none"
        raise MisfitError(f"there are weights for the layers {names}, but none for {wanted}")
    for layer, (_, arrays) in zip(missing, rest, strict=True):  # renamed after it was built
        _fill(layer, arrays, original_names)
    top = group.get("top_level_model_weights")
    if top is not None:
        weights = {id(weight) for weight in model.weights}
        own = [one for one in private_keras.direct_variables(model) if id(one) in weights]
        if own:
            _assign(own, [array for _, array in _arrays(top)], model.name)


def texts(group: h5py.Group, name: str) -> list[str]:
    """An attribute with a list of names; a long one lies in parts, `name0`, `name1` and so on."""
    parts = [name] if name in group.attrs else []
    while not parts or parts[-1] != name:
        part = f"{name}{len(parts)}"
        if part not in group.attrs:
            break
        parts.append(part)
    return [
        text.decode("utf-8") if isinstance(text, bytes) else str(text)
        for part in parts
        for text in group.attrs[part]
    ]


def _arrays(group: h5py.Group) -> list[tuple[str, Any]]:
    """The stored weights of one layer, by their full names, in order."""
    return [(name, np.asarray(group[name])) for name in texts(group, "weight_names")]


def _fill(layer: Any, arrays: Sequence[tuple[str, Any]], original_names: Mapping[str, str]) -> None:
    """Fill a layer or a nested model: each part by its name where that is clear, else by order."""
    units = list(_units(layer))
    by_name = _by_unit(units, arrays, original_names)
    if by_name is not None:
        for unit, values in zip(units, by_name, strict=True):
            _assign(_in_file_order(unit), _fitting(unit, values), unit.name)
    else:
        _fill_in_order(layer, units, arrays)
    for unit in units:
        if hasattr(unit, "finalize_state"):  # Normalization works with what it made of its weights
            unit.finalize_state()


def _fill_in_order(layer: Any, units: Sequence[Any], arrays: Sequence[tuple[str, Any]]) -> None:
    """Keras 2 stores what can be trained before the rest, each in the order of the layers."""
    wanted = [
        variable
        for trainable in (True, False)
        for unit in units
        for variable in (unit.trainable_weights if trainable else unit.non_trainable_weights)
    ]
    _assign(wanted, [array for _, array in arrays], layer.name)


def _units(layer: Any) -> Iterator[Any]:
    """The layers with weights that a model is made of; another layer is one itself."""
    if not isinstance(layer, keras.Model) or not hasattr(layer, "layers"):
        yield layer
        return
    for inner in layer.layers:
        if inner.weights:
            yield from _units(inner)


def _in_file_order(unit: Any) -> list[Variable]:
    return [*unit.trainable_weights, *unit.non_trainable_weights]


def _by_unit(
    units: Sequence[Any], arrays: Sequence[tuple[str, Any]], original_names: Mapping[str, str]
) -> list[list[Any]] | None:
    """The arrays of each unit, found by name; None where the names don't tell."""
    owners: dict[str, list[Any]] = {original_names.get(u.name, u.name): [] for u in units}
    if len(owners) != len(units):
        return None
    for name, array in arrays:
        way = name.split("/")[:-1]
        candidates = [
            "/".join(way[first:last])
            for first in range(len(way))
            for last in range(first + 1, len(way) + 1)
        ]
        found = [candidate for candidate in candidates if candidate in owners]
        if len(set(found)) != 1:
            return None
        owners[found[0]].append(array)
    filled = list(owners.values())
    return filled if all(filled) else None


def _fitting(unit: Any, values: list[Any]) -> list[Any]:
    """What a unit takes of its stored weights."""
    if isinstance(unit, keras.layers.Normalization):
        # How many images it was adapted to is a weight in some versions of Keras, not in others.
        return values[: len(unit.weights)]
    return values


def _assign(variables: Sequence[Variable], values: Sequence[Any], name: str) -> None:
    if len(variables) != len(values):
        raise MisfitError(f"'{name}' has {len(variables)} weights, {len(values)} are stored")
    for variable, value in zip(variables, values, strict=True):
        if tuple(variable.shape) != tuple(value.shape):
            raise MisfitError(
                f"the weight '{variable.name}' of '{name}' has shape {tuple(variable.shape)},"
                f" stored is one of {tuple(value.shape)}"
            )
        variable.assign(value)
