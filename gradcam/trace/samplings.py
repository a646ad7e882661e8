"""Finds what moves an image in a way that can't be followed back.

Such as a spatial transformer without the interface, or one in a graph without its layers: they read the
image at positions that are computed from it. Or a layer that crops it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from gradcam.trace.graph import descendants

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradcam.trace.recording import Call, Recording

POSITION_AXES = {"channels_first": (2, 3), "channels_last": (1, 2)}
# They speak of a tensor's shape, not of its values.
SHAPE_QUESTIONS = frozenset({"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"})
GATHERS = frozenset({"Gather", "GatherV2", "GatherNd"})
# They move the image by numbers, their second input.
IMAGE_MOVERS = frozenset(
    {"CropAndResize", "ImageProjectiveTransformV2", "ImageProjectiveTransformV3"}
)
# Call a function, which a graph keeps whole where XLA compiles it.
CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})


def names_of(
    recording: Recording, operations: set[tf.Operation], sources: Sequence[tf.Tensor]
) -> list[str]:
    """The paths, or names, of the samplers and crops among some operations.

    Args:
        recording: what the model did.
        operations: the operations.
        sources: the images.
    """

    def depend_on(tensors: Sequence[tf.Tensor]) -> set[tf.Operation]:
        used = descendants(tensors, operations, lambda op: op.type not in SHAPE_QUESTIONS)
        return used | {tensor.op for tensor in tensors}

    computed = depend_on(sources)
    positions = depend_on([op.outputs[0] for op in computed if _rounds(op)])
    samplers = _sampling_functions(computed)
    found = {
        call.path
        for call in recording.calls
        if call.outputs and call.outputs[0].op in computed and _crops(call)
    }
    for operation in computed:
        if operation.type in CALLS:
            moves = operation.get_attr("f").name in samplers
        elif operation.type in GATHERS:
            moves = operation.inputs[1].op in positions and operation.inputs[0].op in computed
        elif operation.type in IMAGE_MOVERS:
            moves = operation.inputs[0].op in computed
            moves &= any(tensor.op in computed for tensor in operation.inputs[1:])
        else:
            continue
        if moves:
            maker = recording.maker(operation)
            found.add(maker.path if maker is not None and maker.path else operation.name)
    return sorted(found)


def _crops(call: Call) -> bool:
    """Whether a layer cuts a part out of the images, or pads them, and so moves what is in them."""
    is_crop = "CenterCrop" in call.families
    names = ("crop_to_aspect_ratio", "pad_to_aspect_ratio")
    may_crop = "Resizing" in call.families and any(getattr(call.layer, n, 0) for n in names)
    if not (is_crop or may_crop):
        return False
    axes = POSITION_AXES[call.data_format or "channels_last"]
    before = [call.inputs[0].shape[axis] for axis in axes]
    after = [call.outputs[0].shape[axis] for axis in axes]
    if None in before:
        return True  # for some sizes it does
    return before != after if is_crop else before[0] * after[1] != before[1] * after[0]


def _rounds(operation: tf.Operation) -> bool:
    """Whether an operation makes whole numbers of others."""
    return (
        operation.type == "Cast"
        and operation.inputs[0].dtype.is_floating
        and operation.outputs[0].dtype.is_integer
    )


def _sampling_functions(operations: set[tf.Operation]) -> set[str]:
    """The called functions that gather at positions which they make whole numbers themselves.

    Or that call such a function, as an exported model does within the layer that loads it.
    """
    called = {op.get_attr("f").name: op.graph for op in operations if op.type in CALLS}
    if not called:
        return set()
    graph = next(iter(called.values()))
    functions = {f.signature.name: f for f in graph.as_graph_def().library.function}
    found: dict[str, bool] = {}

    def samples(name: str) -> bool:
        if name not in found:
            function = functions.get(name)
            found[name] = function is not None and (
                _samples(function) or any(samples(inner) for inner in _called_by(function))
            )
        return found[name]

    return {name for name in called if samples(name)}


def _called_by(function: Any) -> list[str]:
    return [node.attr["f"].func.name for node in function.node_def if node.op in CALLS]


def _samples(function: Any) -> bool:
    users: dict[str, list[Any]] = defaultdict(list)
    for node in function.node_def:
        for text in node.input:
            users[text.partition(":")[0]].append((node, text))
    waiting = [node.name for node in function.node_def if _is_rounding(node)]
    seen = set(waiting)
    while waiting:
        for node, text in users[waiting.pop()]:
            if node.op in GATHERS and text == node.input[1]:
                return True
            if node.name not in seen and node.op not in SHAPE_QUESTIONS:
                seen.add(node.name)
                waiting.append(node.name)
    return False


def _is_rounding(node: Any) -> bool:
    if node.op != "Cast":
        return False
    before, after = (tf.dtypes.as_dtype(node.attr[key].type) for key in ("SrcT", "DstT"))
    return bool(before.is_floating and after.is_integer)
