"""The config of a model, in whatever spelling, as the config that Keras 3 reads today.

One walk over the config mends classes, arguments and connections, and notes what the file needs
that Keras does not have: code, and classes of one's own. Nothing is run or built here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import keras

from gradcam.errors import ModelError
from gradcam.loading.keras_files import classes, graphs, keras_2, repairs

if TYPE_CHECKING:
    from collections.abc import Mapping

_CALLABLE_ARGUMENTS = ("activation", "recurrent_activation")
# Layers that open another file, or unpack a pickle, and run what they find.
_PROGRAMS = {"FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"}
# What stands for a value of Python or a tensor.
_VALUES = {
    *("__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"),
}
# TensorFlow and Keras handle every name many times over.
_LONGEST_NAME = 1000
# Where the classes of an argument are at home: `Identity` is a layer, and an initializer.
_HOMES = {
    "initializer": "keras.initializers",
    "regularizer": "keras.regularizers",
    "constraint": "keras.constraints",
}


@dataclass(frozen=True)
class Missing:
    """A class or function that the file names and nobody has: its name, its module, its layer."""

    name: str
    module: str | None
    layer: str
    registered: str | None = None
    is_function: bool = False


@dataclass
class Modernizer:
    """Rewrites one config, and keeps what there is to say about it.

    Attributes:
        path: of the file, for messages.
        writer: the Keras that wrote it, such as `"Keras 2.13.1"`.
        is_old: whether that was Keras 2.
        custom_objects: what the user passed.
        code: the Python code that the file brings along, and the layer it is for. The config names
            it as if it were a function of the user's.
        missing: what is not to be found.
        programs: the layers that run a program of another kind, with their class.
        outside: what the model reads from other files.
        odd_arguments: arguments that Keras doesn't take: layer, its kind, name, value.
        original_names: of layers whose names Keras 3 no longer allows.
    """

    path: str
    writer: str
    is_old: bool
    custom_objects: Mapping[str, Any]
    code: dict[str, tuple[str, Any]] = field(default_factory=dict)
    programs: list[tuple[str, str]] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    odd_arguments: list[tuple[str, str, str, Any]] = field(default_factory=list)
    original_names: dict[str, str] = field(default_factory=dict)
    unnamed: int = 0

    def model(self, config: dict[str, Any]) -> dict[str, Any]:
        """The config of a whole model."""
        result = self._entry({**config, "compile_config": None}, "the model")
        build = config.get("build_config")
        return result | ({"build_config": build} if build else {})

    def _value(self, value: Any, where: str, home: str | None = None) -> Any:
        """Anything in a config."""
        if isinstance(value, list):
            return [self._value(part, where, home) for part in value]
        if not isinstance(value, dict):
            return value
        if "class_name" in value:
            if value["class_name"] in {"__tuple__", "TensorShape"} and "items" in value:
                return self._value(value["items"], where)
            if home is not None:
                value = {"module": home} | value
            return self._entry(value, where) if "config" in value else self._values(value, where)
        if value.get("type") == "ndarray" and "value" in value:
            return value["value"]
        return self._values(value, where)

    def _values(self, values: dict[str, Any], where: str) -> dict[str, Any]:
        return {
            key: self._value(part, where, _HOMES.get(str(key).rpartition("_")[2]))
            for key, part in values.items()
        }

    def _entry(self, entry: dict[str, Any], where: str) -> Any:
        """One object: its class, its arguments, and for a layer its calls."""
        entry = {key: entry[key] for key in entry if key != "compile_config"}  # nothing is compiled
        name, config = entry["class_name"], entry["config"]
        if name == "__lambda__":
            key = f"code {len(self.code)} of {where}"
            self.code[key] = (where, config)
            return _reference(key)
        if name == "function":
            return self._function(entry, where)
        if name in _VALUES:
            return _scalar({"class_name": name, "config": self._value(config, where)})
        if isinstance(config, dict):
            where = config.get("name", where)
            if len(str(where)) > _LONGEST_NAME:
                raise ValueError(f"the name of a layer has {len(str(where))} characters")
        elif isinstance(config, list):  # a Sequential of Keras before 2.2.3 keeps no name
            self.unnamed += 1
            given = entry.get("name", name)
            where = f"sequential_{self.unnamed}" if given == name else given
        custom = self._custom_key(entry)
        if custom is not None:
            rest = {"module": entry.get("module"), "registered_name": custom}
            return entry | rest | {"config": self._container(entry, where)}
        return self._own(entry, where)

    def _own(self, entry: dict[str, Any], where: str) -> Any:
        """An object of Keras' own."""
        name = repairs.RENAMED.get(entry["class_name"], entry["class_name"])
        if name == "DTypePolicy" and "name" in entry["config"]:
            return entry["config"]["name"]
        found = self._located(entry, name)
        if found is None:
            registered = entry.get("registered_name")
            self.missing.append(
                Missing(entry["class_name"], entry.get("module"), where, registered)
            )
            return entry
        home, kind = found
        if kind.__name__ in _PROGRAMS:
            self.programs.append((where, kind.__name__))
        config = self._arguments(kind, entry["config"], where)
        if isinstance(config, dict) and isinstance(config.get("vocabulary"), str):
            self.outside.append(f"the vocabulary of '{where}', {config['vocabulary']!r}")
        result = entry | {"module": home, "class_name": kind.__name__, "config": config}
        if self.is_old:
            result.pop("build_config", None)  # its layers are built when they are called
        return result | {"registered_name": None}

    def _located(self, entry: dict[str, Any], name: str) -> tuple[str, type] | None:
        config = entry["config"]
        is_layer = "inbound_nodes" in entry
        if (
            is_layer
            and "module" not in entry
            and "trainable" not in config
            and name != "InputLayer"
        ):
            # The .h5 files of Keras 3 don't say whether `Add` is the layer or the operation.
            return classes.operation(name) or classes.locate(name)
        if name == "Functional" and "input_layers" not in config:
            return None  # a subclassed model: its class is the user's own
        module = entry.get("module")
        if module is None and "module" in entry:
            return None  # defined in a notebook, whatever it is called
        package, _, name = name.rpartition(">")
        return classes.locate(name, package or module)

    def _custom_key(self, entry: dict[str, Any]) -> str | None:
        """The name under which the user passed, or registered, a class."""
        name = entry["class_name"]
        registered = entry.get("registered_name")
        for key in dict.fromkeys((registered, name, name.rpartition(">")[2])):
            if key and key in self.custom_objects:
                return str(key)
        for key in dict.fromkeys((registered, name)):
            if key and ">" in key and keras.saving.get_registered_object(key) is not None:
                return str(key)
        return None

    def _function(self, entry: dict[str, Any], where: str) -> Any:
        """A function that the file names: Keras' own by name alone, others by where they are from."""
        name = entry["config"]
        known = repairs.FUNCTIONS.get(name, name)
        if classes.has_function(known) and known not in self.custom_objects:
            return self._activation(known)
        for key in (entry.get("registered_name"), name):
            if key and (key in self.custom_objects or keras.saving.get_registered_object(key)):
                return _reference(key)
        if classes.is_own_module(entry.get("module"), name):
            return entry
        self.missing.append(Missing(name, entry.get("module"), where, is_function=True))
        return entry

    def _activation(self, name: str) -> Any:
        if name in self.custom_objects or keras.saving.get_registered_object(name) is not None:
            return _reference(name)
        if self.is_old and name in keras_2.FUNCTIONS:
            return _reference(keras_2.FUNCTIONS[name])
        return name

    def _container(self, entry: dict[str, Any], where: str) -> Any:
        """The config of an object that may be a model with layers."""
        config = entry["config"]
        if isinstance(config, list):
            config = {"name": where, "layers": config}
        if not isinstance(config, dict):
            return config
        if "input_layers" in config and _are_entries(config.get("layers")):
            return self._functional(config, where)
        if "layers" in config and _are_entries(config["layers"]):
            return self._sequential(config, where)
        return self._values(config, where)

    def _arguments(self, kind: type, config: Any, where: str) -> Any:
        if issubclass(kind, keras.Model):
            return self._container({"config": config}, where)
        config = repairs.mended(config, [base.__name__ for base in kind.__mro__], self.is_old)
        if kind is keras.layers.Lambda:
            config = self._lambda(config, where)
        for name in _CALLABLE_ARGUMENTS:
            if isinstance(config.get(name), str):
                config[name] = self._named_activation(config[name], where)
        config = self._values(config, where)
        for name in set(config) - classes.accepted(kind):
            if config[name] in (None, False, [], {}) or name == "name":
                del config[name]
            else:
                self.odd_arguments.append((where, kind.__name__, name, config[name]))
        return config

    def _named_activation(self, name: str, where: str) -> Any:
        found = self._activation(name)
        if found == name and not classes.has_function(name):
            self.missing.append(Missing(name, None, where, is_function=True))
        return found

    def _lambda(self, config: dict[str, Any], where: str) -> dict[str, Any]:
        """A Lambda layer: its code, unless the user passed the function under the layer's name."""
        if where in self.custom_objects:
            return config | {"function": _reference(where)}
        mended = dict(config)
        for name in ("function", "output_shape", "mask"):
            stored = mended.get(name)
            if isinstance(stored, list) and len(stored) == 3 and isinstance(stored[0], str):
                code = dict(zip(("code", "defaults", "closure"), stored, strict=True))
                mended[name] = {"class_name": "__lambda__", "config": code}
            elif isinstance(stored, str):
                mended[name] = _reference(stored)
        return mended

    def _sequential(self, config: dict[str, Any], where: str) -> dict[str, Any]:
        layers = [self._entry(self._plain(layer), where) for layer in config["layers"]]
        first = config["layers"][0] if config["layers"] else None
        if first is not None and first["class_name"] != "InputLayer":
            shape = input_shape(first)
            if shape is not None:
                name = f"{graphs.layer_name(first)}_input".replace("/", "_")
                layers.insert(0, _input_layer(name, shape))
        return config | {"layers": layers}

    def _functional(self, config: dict[str, Any], where: str) -> dict[str, Any]:
        graph = graphs.Graph.of(config)
        layers = []
        for entry in config["layers"]:
            if entry["class_name"] in graphs.OPERATION_LAYERS:
                layers.append(self._operation(entry, graph))
            else:
                calls = graph.calls(entry)
                layers.append(self._entry(self._plain(entry) | {"inbound_nodes": calls}, where))
        ends = {
            key: graph.ends(config[key], is_input=key == "input_layers")
            for key in ("input_layers", "output_layers")
        }
        return self._renamed_references(config | ends | {"layers": layers})

    def _plain(self, entry: dict[str, Any]) -> dict[str, Any]:
        """A layer with a name that Keras 3 allows, which is one without a slash."""
        name = graphs.layer_name(entry)
        new = name.replace("/", "_")
        if "/" in name:
            self.original_names[new] = name
        config = entry["config"]
        if isinstance(config, dict) and "/" in str(config.get("name", "")):
            config = config | {"name": new}
        return entry | {"name": new, "config": config}

    def _renamed_references(self, config: dict[str, Any]) -> dict[str, Any]:
        renamed = {old: new for new, old in self.original_names.items()}

        def visit(value: Any) -> Any:
            if isinstance(value, list):
                if len(value) == 3 and isinstance(value[0], str) and value[0] in renamed:
                    return [renamed[value[0]], *value[1:]]
                return [visit(part) for part in value]
            if isinstance(value, dict):
                return {key: visit(part) for key, part in value.items()}
            return value

        return visit(config) if renamed else config

    def _operation(self, entry: dict[str, Any], graph: graphs.Graph) -> dict[str, Any]:
        """A call of a function of TensorFlow, as the operation of Keras."""

        def refuse(function: str) -> ModelError:
            return ModelError(
                "unknown-operation",
                path=self.path,
                writer=self.writer,
                kind=entry["class_name"],
                layer=graphs.layer_name(entry),
                function=function,
            )

        call, node = graph.operation(entry, refuse)
        found = classes.operation(call.name)
        if found is None:
            raise refuse(f"keras.ops' {call.name}, which this Keras does not have,")
        home, kind = found
        name = graphs.layer_name(entry).replace("/", "_")
        options = call.options | {"name": name}
        config = {key: options[key] for key in set(options) & classes.accepted(kind)}
        return {
            "module": home,
            "class_name": call.name,
            "config": config,
            "registered_name": None,
            "name": name,
            "inbound_nodes": [node],
        }


def input_shape(entry: dict[str, Any]) -> Any:
    """The shape that the first layer of a model says it takes, however deep it lies."""
    config = entry.get("config")
    if isinstance(config, list):
        return input_shape(config[0]) if config else None
    if not isinstance(config, dict):
        return None
    shape = config.get("batch_input_shape") or config.get("batch_shape")
    if shape:
        return shape
    layers = config.get("layers")
    if not layers:
        return None
    if "input_layers" not in config:
        return input_shape(layers[0])
    ends = config["input_layers"]
    while isinstance(ends, list) and ends and isinstance(ends[0], list):
        ends = ends[0]
    named = {graphs.layer_name(layer): layer for layer in layers}
    return input_shape(named[ends[0]]) if isinstance(ends, list) and ends[0] in named else None


def _input_layer(name: str, shape: Any) -> dict[str, Any]:
    return {
        "module": "keras.layers",
        "class_name": "InputLayer",
        "config": {"batch_shape": shape, "name": name, "dtype": "float32"},
        "registered_name": None,
    }


def _scalar(entry: dict[str, Any]) -> Any:
    """A NumPy value that is one number is that number."""
    if entry["class_name"] == "__numpy__" and isinstance(entry["config"].get("value"), int | float):
        return entry["config"]["value"]
    return entry


def _reference(key: str) -> dict[str, Any]:
    """How a config names a function that is among the custom objects."""
    return {"class_name": "function", "config": key, "registered_name": key, "module": None}


def _are_entries(values: Any) -> bool:
    return isinstance(values, list) and all(
        isinstance(value, dict) and {"class_name", "config"} <= set(value) for value in values
    )
