"""How layers are connected: the lists that Keras 2 wrote, as the calls that Keras 3 reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gradcam.loading.keras_files import operations
from gradcam.loading.keras_files.nodes import function_of

if TYPE_CHECKING:
    from collections.abc import Callable

OPERATION_LAYERS = {"TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer"}
_RECURRENT = {
    "LSTM",
    "GRU",
    "SimpleRNN",
    "RNN",
    "ConvLSTM2D",
    "Bidirectional",
    "CuDNNLSTM",
    "CuDNNGRU",
}
_CONSTANT = "_CONSTANT_VALUE"


@dataclass(frozen=True)
class Graph:
    """The connections of one Functional model, as its file has them.

    Attributes:
        entries: the layers by name.
        shifted: the names of models in it whose calls Keras 2 counted from 1.
    """

    entries: dict[str, dict[str, Any]]
    shifted: frozenset[str]

    @classmethod
    def of(cls, config: dict[str, Any]) -> Graph:
        """The graph in the config of a Functional model."""
        entries = {layer_name(entry): entry for entry in config["layers"]}
        graph = cls(entries, frozenset())
        used: dict[str, set[int]] = {}
        leaves = [*_leaves(config.get("output_layers"), graph)]
        for entry in entries.values():
            leaves += _leaves(entry.get("inbound_nodes"), graph)
        for leaf in leaves:
            if leaf[0] == _CONSTANT:
                continue
            used.setdefault(leaf[0], set()).add(leaf[1])
        return cls(
            entries,
            frozenset(
                name for name, numbers in used.items() if graph._counts_from_one(name, numbers)
            ),
        )

    def _counts_from_one(self, name: str, numbers: set[int]) -> bool:
        """A model counts as its own first call where Keras 2 wrote the file."""
        config = self.entries[name].get("config")
        is_model = isinstance(config, list) or (isinstance(config, dict) and "layers" in config)
        return is_model and 0 not in numbers

    def is_leaf(self, value: Any) -> bool:
        """Whether a list is one tensor: the layer's name, the number of the call, of the output."""
        return (
            isinstance(value, list)
            and len(value) in {3, 4}
            and isinstance(value[0], str)
            and isinstance(value[1], int)
            and (value[0] in self.entries or value[0] == _CONSTANT)
        )

    def tensor(self, leaf: list[Any]) -> Any:
        """A leaf in the words of Keras 3."""
        name, call, output = leaf[:3]
        if name == _CONSTANT:
            return constant(output)
        return {
            "class_name": "__keras_tensor__",
            "config": {
                "shape": [1],  # replaced by that of the tensor itself
                "dtype": "float32",
                "keras_history": [name, call - (name in self.shifted), output],
            },
        }

    def tensors(self, value: Any) -> Any:
        """A structure of leaves in the words of Keras 3; what is no leaf stays."""
        if self.is_leaf(value):
            return self.tensor(value)
        if isinstance(value, list):
            return [self.tensors(part) for part in value]
        if isinstance(value, dict):
            return {key: self.tensors(part) for key, part in value.items()}
        return value

    def ends(self, value: Any, is_input: bool) -> Any:
        """The inputs or outputs of the model; a list of one is the one."""
        if self.is_leaf(value):
            entry = self.entries[value[0]]
            config = entry.get("config")
            # Keras 3 takes one off again, but only where the model is Functional.
            is_functional = isinstance(config, dict) and "input_layers" in config
            back = value[0] in self.shifted and not is_functional and not is_input
            return [value[0], value[1] - back, value[2]]
        if isinstance(value, list):
            parts = [self.ends(part, is_input) for part in value]
            return parts[0] if len(parts) == 1 else parts
        if isinstance(value, dict):
            return {key: self.ends(part, is_input) for key, part in value.items()}
        return value

    def calls(self, entry: dict[str, Any]) -> list[dict[str, Any]]:
        """The calls of one layer that is no operation."""
        return [self._call(entry["class_name"], node) for node in entry.get("inbound_nodes") or ()]

    def _call(self, kind: str, node: Any) -> dict[str, Any]:
        if isinstance(node, dict) and {"args", "kwargs"} <= set(node):
            return node  # Keras 3 wrote it
        first, others = self.split(node)
        others = {name: value for name, value in others.items() if value is not None}
        if isinstance(first, list) and len(first) == 1:
            first = first[0]
        if kind in _RECURRENT and isinstance(first, list):
            others["initial_state"] = first[1:]
            first = first[0]
        return {"args": [first], "kwargs": others}

    def split(self, node: Any) -> tuple[Any, dict[str, Any]]:
        """The first argument of a call and the others; they stand beside the first tensor."""
        leaf = next(iter(_leaves(node, self)), None)
        others = leaf[3] if leaf is not None and len(leaf) == 4 else {}
        return self.tensors(node), self.tensors(others)

    def operation(
        self, entry: dict[str, Any], refuse: Callable[[str], Exception]
    ) -> tuple[operations.OperationCall, dict[str, Any]]:
        """What a layer that calls a function of TensorFlow is in Keras 3, and its one call."""
        config = entry["config"]
        nodes = entry.get("inbound_nodes") or []
        function = f"tf.{config.get('function', 'raw_ops')}"
        if len(nodes) != 1:
            raise refuse(function)
        first, others = self.split(nodes[0])
        if "node_def" in config:
            inputs = first if isinstance(first, list) else [first]
            function, first, others = function_of(config, inputs)
        if "slice_spec" in others:
            others["slice_spec"] = _slices(others["slice_spec"])
        call = operations.translated(function, first, others)
        if call is None:
            raise refuse(function)
        arguments = call.arguments
        if call.name != "GetItem":  # there, a list of numbers is a place
            arguments = [constant(argument) for argument in arguments]
        return call, {"args": arguments, "kwargs": {}}


def layer_name(entry: dict[str, Any]) -> str:
    """The name of a layer in a model's config: beside the config, or only in it."""
    config = entry.get("config")
    inner = config.get("name") if isinstance(config, dict) else None
    return str(entry.get("name") or inner or entry.get("class_name"))


def constant(value: Any) -> Any:
    """An argument that is no tensor; lists of numbers become arrays.

    >>> constant([1.0, 2.0])
    {'class_name': '__numpy__', 'config': {'value': [1.0, 2.0], 'dtype': 'float32'}}
    """
    if not isinstance(value, list) or not value:
        return value
    dtype = next((name for kind, name in _KINDS if _are_all(value, kind)), None)
    if dtype is None:
        return value
    return {"class_name": "__numpy__", "config": {"value": value, "dtype": dtype}}


_KINDS: tuple[tuple[Any, str], ...] = ((bool, "bool"), (int, "int32"), (int | float, "float32"))


def _are_all(value: Any, kind: Any) -> bool:
    if isinstance(value, list):
        return all(_are_all(part, kind) for part in value)
    return isinstance(value, kind)


def _slices(spec: Any) -> list[Any]:
    def part(value: Any) -> Any:
        if isinstance(value, dict) and set(value) == {"start", "stop", "step"}:
            return {"class_name": "__slice__", "config": value}
        if isinstance(value, dict) and value.get("class_name") == "__ellipsis__":
            return {"class_name": "__ellipsis__", "config": {}}
        return value

    return [part(value) for value in (spec if isinstance(spec, list) else [spec])]


def _leaves(value: Any, graph: Graph) -> list[list[Any]]:
    """Every tensor in a structure, and in the arguments beside it."""
    if graph.is_leaf(value):
        inner = _leaves(value[3], graph) if len(value) == 4 else []
        return [value, *inner]
    parts = value.values() if isinstance(value, dict) else value
    if not isinstance(value, dict | list):
        return []
    return [leaf for part in parts for leaf in _leaves(part, graph)]
