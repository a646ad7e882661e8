"""Writes what leads to some tensors of a program as one flat graph, without calls.

Only data is followed. What a program does on the side, such as counting its calls or printing,
hangs on control edges and is left behind, so that explaining a model advances nothing in it.
"""

from __future__ import annotations

import heapq
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import tensorflow as tf
from tensorflow.core.framework import graph_pb2, node_def_pb2

from gradcam.loading.saved_models import gradients, objections
from gradcam.loading.saved_models.functions import Made, functions_of
from gradcam.loading.saved_models.gradients import CustomGradient
from gradcam.trace import private_tensorflow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradcam.loading.saved_models.functions import FunctionUse, Library

VARIABLES = frozenset({"VarHandleOp", "VariableV2", "Variable"})
TABLES = frozenset({"HashTable", "HashTableV2", "MutableHashTable", "MutableHashTableV2"})
# A constant of this size holds weights: it is kept once, outside of the graphs that use it.
LARGE = 1 << 16

_LOOP = frozenset({"Enter", "RefEnter"})
_PIVOTS = frozenset({"Switch", "Merge", "Identity", "LoopCond", "Enter", "Const"})
# Said of the place where an operation ran, or of the process that traced it.
_LOCAL = ("_class", "_output_shapes", "_XlaMustCompile", "_XlaCompile")


@dataclass
class FlatGraph:
    """A graph without calls.

    Attributes:
        graph_def: its operations in the order in which they were traced, and the functions that
            control flow and compiled parts still need.
        captured: variables and tables that it reads, by the name of their tensor.
        constants: large constants, by the name of their tensor.
        outside: names of values that the program is given by other means.
        missing: placeholders that nobody feeds.
        gradients: the custom gradients, by the operation that has one.
    """

    graph_def: graph_pb2.GraphDef
    captured: dict[str, Made] = field(default_factory=dict)
    constants: dict[str, tf.Tensor] = field(default_factory=dict)
    outside: set[str] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)
    gradients: dict[str, CustomGradient] = field(default_factory=dict)


def flatten(library: Library, roots: Iterable[Made], fed: Iterable[str]) -> FlatGraph:
    """The flat graph that leads to some tensors.

    Args:
        library: the program.
        roots: the tensors that are wanted.
        fed: the names of the tensors that are given, where the graph begins.
    """
    return _Flattener(library, set(fed)).run(list(roots))


class _Flattener:
    def __init__(self, library: Library, fed: set[str]) -> None:
        self._library = library
        self._fed = fed
        self._keeps_controls = any(node.op in _LOOP for node in library.main.nodes.values())
        self._flat = FlatGraph(graph_pb2.GraphDef())
        self._sources: dict[str, list[str]] = {}
        self._made: dict[str, tuple[Made, list[str]]] = {}
        self._custom: dict[str, tuple[CustomGradient, str, list[str]] | None] = {}
        self._kept: dict[str, list[Made]] = {}
        self._large: dict[int, tf.Tensor | None] = {}
        self._suffix = f"_{secrets.token_hex(4)}"

    def run(self, roots: list[Made]) -> FlatGraph:
        waiting = list(roots)
        while waiting:
            made = waiting.pop()
            name = made.name.rpartition(":")[0]
            if name in self._made or self._is_border(made):
                continue
            inputs = [
                self._library.origin(made.frame, text)
                for text in made.node.input
                if not text.startswith("^")
            ]
            controls = self._controls(made)
            self._made[name] = (made, [source.name for source in inputs])
            self._sources[name] = [
                source.name.rpartition(":")[0] for source in (*inputs, *controls)
            ]
            captures = self._captures(name, made)
            waiting.extend((*inputs, *controls, *captures))
            for control in controls:
                self._made[name][1].append(f"^{control.name.rpartition(':')[0]}")
        self._write()
        if self._library.safe_mode:
            objections.check_graph(self._library.path, self._flat.graph_def)
        return self._flat

    def _is_border(self, made: Made) -> bool:
        """Whether the graph begins at a tensor, which is then noted."""
        flat, name = self._flat, made.name
        if made.node is None:
            flat.outside.add(name)
            return True
        if name in self._fed:
            return True
        operation = made.node.op
        if operation in VARIABLES | TABLES and not made.frame.function:
            flat.captured[name] = made
            return True
        if operation == "Placeholder":
            flat.missing.append(name)
            return True
        if operation == "Const":
            # One tensor for all uses of a function: its nodes are the same objects.
            if id(made.node) not in self._large:
                self._large[id(made.node)] = _large_constant(made.node)
            tensor = self._large[id(made.node)]
            if tensor is not None:
                flat.constants[name] = tensor
        return name in flat.constants

    def _controls(self, made: Made) -> list[Made]:
        """The control inputs without which a loop of TensorFlow 1 is not one."""
        if not self._keeps_controls or made.frame.function:
            return []
        sources = [text[1:] for text in made.node.input if text.startswith("^")]
        nodes = [made.frame.nodes[name] for name in sources if name in made.frame.nodes]
        return [Made(made.frame, node, 0) for node in nodes if node.op in _PIVOTS]

    def _write(self) -> None:
        used: list[str] = []
        graph_def = self._flat.graph_def
        for name in self._in_order():
            made, inputs = self._made[name]
            node = graph_def.node.add()
            node.CopyFrom(made.node)
            node.name, node.device = name, ""
            node.op = node.op.removeprefix("Ref") if node.op in _REFERENCES else node.op
            node.ClearField("experimental_debug_info")
            del node.input[:]
            node.input.extend(inputs)
            self._set_gradient(node, made)
            _clean(node, made.frame)
            used.extend(
                called for called in functions_of(node) if called in self._library.functions
            )
            self._rename_functions(node)
        for name in self._library.closure(used):
            function = graph_def.library.function.add()
            function.CopyFrom(self._library.functions[name])
            function.signature.name += self._suffix
            for node in function.node_def:
                node.attr.pop(private_tensorflow.GRADIENT, None)
                self._rename_functions(node)

    def _captures(self, name: str, made: Made) -> list[Made]:
        """What the custom gradient of an operation needs of the forward run."""
        if private_tensorflow.GRADIENT not in made.node.attr:
            return []
        function = self._library.registered_gradients.get(
            made.node.attr[private_tensorflow.GRADIENT].s.decode(), ""
        )
        if function not in self._custom:
            self._custom[function] = _custom_gradient(self._library, function)
        found = self._custom[function]
        if found is None or found[1] != made.frame.function:
            return []
        self._flat.gradients[name] = found[0]
        self._kept[name] = [self._library.captured(made.frame, text) for text in found[2]]
        return self._kept[name]

    def _set_gradient(self, node: node_def_pb2.NodeDef, made: Made) -> None:
        """Name the gradient that an operation has, and keep what it needs."""
        name = node.name
        node.attr.pop(private_tensorflow.GRADIENT, None)
        if self._library.called(made.node):
            node.attr[private_tensorflow.GRADIENT].s = gradients.COMPILED_CALL.encode()
        if name not in self._kept:
            return
        node.attr[private_tensorflow.GRADIENT].s = gradients.CUSTOM.encode()
        node.attr[gradients.TOKEN].s = self._flat.gradients[name].token
        node.attr[gradients.OWN_NAME].s = name.encode()
        types = self._flat.gradients[name].capture_types
        for number, (kept, dtype) in enumerate(zip(self._kept[name], types, strict=True)):
            identity = self._flat.graph_def.node.add()
            identity.name, identity.op = gradients.capture_name(name, number), "Identity"
            identity.input.append(kept.name)
            identity.attr["T"].type = dtype

    def _rename_functions(self, node: node_def_pb2.NodeDef) -> None:
        """Give the functions names of their own: TensorFlow keeps them in one list a process."""
        functions = self._library.functions
        if node.op in functions:
            node.op += self._suffix
        for attr in node.attr.values():
            kind = attr.WhichOneof("value")
            if kind == "func" and attr.func.name in functions:
                attr.func.name += self._suffix
            elif kind == "list":
                for function in attr.list.func:
                    if function.name in functions:
                        function.name += self._suffix

    def _in_order(self) -> list[str]:
        """The operations as they were traced, none before what it uses."""
        users: dict[str, list[str]] = {name: [] for name in self._made}
        open_inputs: dict[str, int] = dict.fromkeys(self._made, 0)
        for name, sources in self._sources.items():
            for source in sources:
                if source in users:
                    users[source].append(name)
                    open_inputs[name] += 1
        heap = [(self._place(name), name) for name, count in open_inputs.items() if count == 0]
        heapq.heapify(heap)
        order: list[str] = []
        while heap:
            _, name = heapq.heappop(heap)
            order.append(name)
            for user in users[name]:
                open_inputs[user] -= 1
                if open_inputs[user] == 0:
                    heapq.heappush(heap, (self._place(user), user))
        # What is left runs in a circle: a loop of TensorFlow 1.
        done = set(order)
        return order + sorted((name for name in self._made if name not in done), key=self._place)

    def _place(self, name: str) -> tuple[int, ...]:
        made = self._made[name][0]
        return (*made.frame.key, made.frame.positions[made.node.name])


_REFERENCES = frozenset(
    {"RefIdentity", "RefSwitch", "RefMerge", "RefEnter", "RefExit", "RefNextIteration"}
)


def _clean(node: node_def_pb2.NodeDef, frame: FunctionUse) -> None:
    """Take away what is said of another process, and fill types that a function leaves open."""
    for key in _LOCAL:
        if key in node.attr and not (key.startswith("_Xla") and node.op.endswith("Call")):
            del node.attr[key]
    for key in list(node.attr):
        place = node.attr[key].placeholder
        if place and frame.attributes is not None and place in frame.attributes:
            node.attr[key].CopyFrom(frame.attributes[place])
        if node.attr[key].WhichOneof("value") == "type" and node.attr[key].type > 100:
            node.attr[key].type -= 100  # a reference to a variable is read as its value


def _custom_gradient(
    library: Library, function: str
) -> tuple[CustomGradient, str, list[str]] | None:
    """A saved gradient function, the function that it belongs to, and what it captures there."""
    objects = library.objects
    if function not in library.functions or function not in objects.concrete_functions:
        return None
    definition = library.functions[function]
    saved = objects.concrete_functions[function]
    captured = [objects.nodes[number] for number in saved.bound_inputs]
    owners = {node.captured_tensor.concrete_function for node in captured}
    if len(owners) != 1 or not all(node.HasField("captured_tensor") for node in captured):
        return None
    frame = library.frame_of(definition)
    arguments = definition.signature.input_arg
    names = [f"{argument.name}:0" for argument in arguments]
    frame.arguments = {argument.name: f"{argument.name}:0" for argument in arguments}
    flat = flatten(library, [library.origin(frame, text) for text in frame.results], names)
    made = iter(frame.results)
    results = [
        library.origin(frame, next(made)).name if kind == "tensor_spec_value" else None
        for kind in _result_kinds(saved.output_signature)
    ]
    count = len(names) - len(captured)
    types = [argument.type for argument in arguments[count:]]
    gradient = CustomGradient(
        flat.graph_def, flat.constants, names[:count], names[count:], results, types
    )
    return gradient, owners.pop(), [node.captured_tensor.name for node in captured]


def _result_kinds(signature: Any) -> list[str | None]:
    """What a gradient function returns for each input: a tensor, or nothing."""
    kind = signature.WhichOneof("kind")
    values = (
        getattr(signature, kind).values if kind in {"list_value", "tuple_value"} else [signature]
    )
    return [value.WhichOneof("kind") for value in values]


def _large_constant(node: node_def_pb2.NodeDef) -> tf.Tensor | None:
    if node.attr["value"].tensor.ByteSize() < LARGE:
        return None
    with tf.init_scope():
        return tf.constant(tf.make_ndarray(node.attr["value"].tensor))


def dtype_of(node: Any) -> tf.DType | None:
    """The type of a variable, None for an operation that says none."""
    return tf.dtypes.as_dtype(node.attr["dtype"].type) if "dtype" in node.attr else None
