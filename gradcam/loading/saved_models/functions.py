"""Follows tensors through a program: a main graph that calls functions, which call functions.

Nothing is copied here. A `FunctionUse` is one use of a function, or the main graph; `Library.origin`
says which operation really makes a tensor, through any number of calls.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tensorflow.core.framework import node_def_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from gradcam.loading.saved_models import objections
from gradcam.trace import private_tensorflow

CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
# Where weights are used; a compiled function without any is left whole, because it is faster so.
_WEIGHTED = ("Conv", "Depthwise", "MatMul", "BatchMatMul", "Einsum", "FusedBatchNorm")
_COMPILED = ("_XlaMustCompile", "_XlaCompile")


class Made(NamedTuple):
    """A tensor: output `index` of `node` in `frame`, or a value from outside where `node` is None.

    Attributes:
        frame: the use of a function in which it is made.
        node: the operation that makes it.
        output: the number of the output.
        outside: the name of a value that the program is given.
    """

    frame: FunctionUse
    node: Any
    output: int
    outside: str = ""

    @property
    def name(self) -> str:
        """The name of the tensor in the flat graph."""
        return self.outside or f"{self.frame.prefix}{self.node.name}:{self.output}"


@dataclass(eq=False)
class FunctionUse:
    """One use of a function, or the main graph.

    Attributes:
        nodes: its operations by name.
        positions: their places in the order of the file.
        prefix: what their names start with in the flat graph.
        key: the place of the call in the whole program.
        arguments: what each argument is in the frame of the call, or a value from outside.
        results: the tensors that it returns, in order.
        attributes: the attributes of the call, for functions that leave types open.
        function: the name of the function, empty for the main graph.
        children: the frames of the calls in it.
    """

    nodes: dict[str, Any]
    positions: dict[str, int]
    prefix: str = ""
    key: tuple[int, ...] = ()
    arguments: dict[str, tuple[FunctionUse, str] | str] = field(default_factory=dict)
    results: list[str] = field(default_factory=list)
    attributes: Any = None
    function: str = ""
    children: dict[str, FunctionUse] = field(default_factory=dict)


class Library:
    """The functions of a program, and its main graph as a frame.

    Args:
        meta_graph: the program.
        path: of the directory that it lies in, for messages.
        safe_mode: whether what is made of it for running may do nothing but compute.
    """

    def __init__(
        self, meta_graph: meta_graph_pb2.MetaGraphDef, path: str = "", safe_mode: bool = True
    ) -> None:
        self.path, self.safe_mode = path, safe_mode
        graph_def = meta_graph.graph_def
        self.objects = meta_graph.object_graph_def
        self.functions = {f.signature.name: f for f in graph_def.library.function}
        self.registered_gradients = {
            gradient.registered_op_type: gradient.gradient_func
            for gradient in graph_def.library.registered_gradients
        }
        self.main = _frame(graph_def.node)
        self._offsets: dict[str, dict[str, int] | None] = {}
        self._weighted: dict[str, bool] = {}

    def called(self, node: node_def_pb2.NodeDef) -> str | None:
        """The function that an operation calls in its own place, None where it calls none."""
        if node.op in CALLS:
            name: str = node.attr["f"].func.name
            return name if name in self.functions else None
        return node.op if node.op in self.functions else None

    def is_inlined(self, node: node_def_pb2.NodeDef) -> bool:
        """Whether a call is looked into: all are but compiled functions without weights."""
        name = self.called(node)
        return name is not None and (not self.is_compiled(name, node) or self.has_weights(name))

    def is_compiled(self, name: str, node: node_def_pb2.NodeDef | None = None) -> bool:
        """Whether XLA compiles the function."""
        marked = [self.functions[name].attr, *([node.attr] if node is not None else [])]
        return any(key in attr and attr[key].b for attr in marked for key in _COMPILED)

    def has_weights(self, name: str) -> bool:
        """Whether the function, or one that it calls, uses weights."""
        if name not in self._weighted:
            self._weighted[name] = any(
                node.op.startswith(_WEIGHTED) or node.op == "ReadVariableOp"
                for inner in self.closure([name])
                for node in self.functions[inner].node_def
            )
        return self._weighted[name]

    def closure(self, names: list[str]) -> list[str]:
        """The functions, and all that they call or use in any way."""
        found: dict[str, None] = {}
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name in found or name not in self.functions:
                continue
            found[name] = None
            for node in self.functions[name].node_def:
                waiting.extend(functions_of(node))
        return list(found)

    def child(self, frame: FunctionUse, node: node_def_pb2.NodeDef) -> FunctionUse:
        """The frame of a call."""
        if node.name not in frame.children:
            function = self.functions[self.called(node) or ""]
            inputs = [text for text in node.input if not text.startswith("^")]
            names = [argument.name for argument in function.signature.input_arg]
            child = self.frame_of(
                function,
                prefix=f"{frame.prefix}{node.name}/",
                key=(*frame.key, frame.positions[node.name]),
            )
            child.arguments = {
                name: (frame, text) for name, text in zip(names, inputs, strict=True)
            }
            child.attributes = node.attr
            frame.children[node.name] = child
        return frame.children[node.name]

    def frame_of(self, function: Any, prefix: str = "", key: tuple[int, ...] = ()) -> FunctionUse:
        """A use of a function whose arguments are still open."""
        frame = _frame(function.node_def, function.signature.name)
        frame.prefix, frame.key = prefix, key
        frame.results = [function.ret[output.name] for output in function.signature.output_arg]
        return frame

    def origin(self, frame: FunctionUse, text: str) -> Made:
        """Which operation makes the tensor that `text` names in a frame."""
        while True:
            name, _, rest = text.partition(":")
            bound = frame.arguments.get(name) if frame.function else None
            if isinstance(bound, str):
                return Made(frame, None, 0, bound)
            if bound is not None:
                frame, text = bound
                continue
            node = frame.nodes[name]
            index = self._index(node, rest) if frame.function else int(rest or 0)
            if not self.is_inlined(node):
                return Made(frame, node, index)
            frame = self.child(frame, node)
            text = frame.results[index]

    def captured(self, frame: FunctionUse, name: str) -> Made:
        """The tensor of a frame that a gradient function names as in graphs, `node:number`."""
        node, _, number = name.partition(":")
        if node in frame.arguments:
            return self.origin(frame, node)
        made = Made(frame, frame.nodes[node], int(number))
        if not self.is_inlined(made.node):
            return made
        child = self.child(frame, made.node)
        return self.origin(child, child.results[made.output])

    def through_identities(self, frame: FunctionUse, text: str) -> Made:
        """As `origin`, and further through operations that only hand a tensor on."""
        made = self.origin(frame, text)
        seen = set()
        while made.node is not None and made.node.op in {"Identity", "ReadVariableOp", "Enter"}:
            if made.name in seen:
                raise ValueError(f"the operation '{made.node.name}' is its own input")
            seen.add(made.name)
            made = self.origin(made.frame, made.node.input[0])
        return made

    def _index(self, node: node_def_pb2.NodeDef, rest: str) -> int:
        """The number of an output that a function names `argument:number`."""
        argument, _, number = rest.partition(":")
        if node.op not in self._offsets:
            self._offsets[node.op] = self._fixed_offsets(node)
        offsets = self._offsets[node.op]
        if offsets is None:
            offsets = _open_offsets(node)
        return offsets.get(argument, 0) + int(number or 0)

    def _fixed_offsets(self, node: node_def_pb2.NodeDef) -> dict[str, int] | None:
        if node.op in self.functions:
            outputs = self.functions[node.op].signature.output_arg
            return {output.name: number for number, output in enumerate(outputs)}
        definition = private_tensorflow.operation_definition(node.op)
        if definition is None:
            return {}
        if any(output.number_attr or output.type_list_attr for output in definition.output_arg):
            return None
        return {output.name: number for number, output in enumerate(definition.output_arg)}


def functions_of(node: node_def_pb2.NodeDef) -> list[str]:
    """Every function that an operation may name: itself, the called one, branches, bodies."""
    return [node.op, *objections.named_functions(node)]


def _frame(nodes: Any, function: str = "") -> FunctionUse:
    by_name = {node.name: node for node in nodes}
    return FunctionUse(by_name, {name: n for n, name in enumerate(by_name)}, function=function)


def _open_offsets(node: node_def_pb2.NodeDef) -> dict[str, int]:
    """Where each output begins, for operations that choose how many there are."""
    offsets, total = {}, 0
    for output in private_tensorflow.operation_definition(node.op).output_arg:
        offsets[output.name] = total
        if output.number_attr:
            total += node.attr[output.number_attr].i
        elif output.type_list_attr:
            total += len(node.attr[output.type_list_attr].list.type)
        else:
            total += 1
    return offsets
