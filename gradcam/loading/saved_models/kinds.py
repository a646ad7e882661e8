"""What kind of layer some operations make, in the words of Keras.

The rules that choose a feature map speak of Keras' classes. Here operations get their names.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

CONVOLUTIONS = re.compile(
    r"Conv[23]D|Conv[23]DBackpropInputV?2?|DepthwiseConv2dNative|_FusedConv2D"
)
# Operations that mix positions or channels with weights.
CONTRACTIONS = re.compile(
    r"(Conv[23]D|Conv[23]DBackpropInputV?2?|DepthwiseConv2dNative|Conv|_FusedConv2D|MatMul|_FusedMatMul"
    r"|BatchMatMul(V[23])?|Einsum|Dilation2D)"
)
# Operations that only hand a tensor on, or ask for its size.
TRIVIAL = frozenset(
    {"Identity", "IdentityN", "Shape", "ShapeN", "Size", "Rank", "Const", "NoOp", "StopGradient"}
    | {"Pack", "Range", "GatherV2", "Prod", "ReadVariableOp", "Snapshot", "PreventGradient"}
    | {"PlaceholderWithDefault", "EnsureShape", "CheckNumerics", "Assert", "Unpack", "Placeholder"}
)
QUANTISED = re.compile(
    r"(FakeQuant\w*|Quantize\w*|Dequantize|Requantiz\w*|Quantized\w*|UniformQuantiz\w*"
    r"|UniformDequantize|UniformRequantize)"
)
# Programs within the program that TensorFlow can neither look into nor differentiate.
OPAQUE = {
    "XlaCallModule": "a compiled program (JAX, StableHLO)",
    "XlaLaunch": "a part compiled by XLA",
    "TRTEngineOp": "a TensorRT engine",
    "TPUPartitionedCall": "a part for TPUs",
    "TFLiteOp": "a TFLite program",
}
LOOPS = frozenset({"While", "StatelessWhile"})
BRANCHES = frozenset({"If", "StatelessIf", "Case", "StatelessCase"})
_SHAPES = frozenset({"StridedSlice", "Cast", "ConcatV2", "Mul", "Sub", "AddV2", "Maximum", "Fill"})

# In the order in which they decide: the first kind with an operation of its own is taken.
_BY_OPERATION = (
    ("ConvTranspose", {"Conv2DBackpropInput", "Conv2DBackpropInputV2", "Conv3DBackpropInputV2"}),
    ("Conv", {"Conv2D", "Conv3D", "Conv", "_FusedConv2D", "Dilation2D"}),
    ("DepthwiseConv", {"DepthwiseConv2dNative"}),
    ("Dense", {"MatMul", "_FusedMatMul"}),
    ("EinsumDense", {"Einsum", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"}),
    ("Embedding", {"ResourceGather"}),
    ("MaxPooling", {"MaxPool", "MaxPool3D", "MaxPoolV2"}),
    ("AveragePooling", {"AvgPool", "AvgPool3D"}),
    ("UpSampling", {"ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic", "ResizeArea"}),
    ("ZeroPadding", {"Pad", "PadV2", "MirrorPad"}),
    ("BatchNormalization", {"FusedBatchNormV3", "FusedBatchNormV2", "FusedBatchNorm"}),
    ("LayerNormalization", {"SquaredDifference", "Rsqrt"}),
    ("Concatenate", {"ConcatV2", "Concat"}),
    ("Activation", {"Relu", "Relu6", "Elu", "Selu", "LeakyRelu", "Sigmoid", "Tanh", "Softmax"}),
    ("GlobalPooling", {"Mean", "Max", "Sum"}),
    ("Cropping", {"StridedSlice", "Slice"}),
    ("Add", {"Add", "AddV2", "AddN"}),
    ("Subtract", {"Sub"}),
    ("Multiply", {"Mul"}),
    ("Transpose", {"Transpose"}),
    ("Reshape", {"Reshape", "Squeeze", "ExpandDims", "SpaceToBatchND", "BatchToSpaceND"}),
    ("Cast", {"Cast"}),
    ("Identity", {"Identity", "IdentityN"}),
)
# These say over how many axes of positions they go.
_DIMENSIONED = frozenset(
    {"Conv", "ConvTranspose", "DepthwiseConv", "MaxPooling", "AveragePooling", "UpSampling"}
    | {"ZeroPadding", "Cropping"}
)
# A pooling layer, say, may pad or reshape, but is one only where nothing else computes.
_ONLY_WITH = frozenset(
    {"Pad", "PadV2", "Reshape", "Squeeze", "ExpandDims", "Transpose", "Cast", "Identity"}
    | {"SpaceToBatchND", "BatchToSpaceND", "StridedSlice", "Slice", "ConcatV2", "MirrorPad"}
)
_MOVES = frozenset({"MaxPooling", "AveragePooling", "UpSampling", "ZeroPadding", "Cropping"})


def of_operations(operations: Iterable[str], axes: int) -> str:
    """The class that a layer of Keras made of such operations would have.

    Args:
        operations: the types of the operations that the layer's input goes through.
        axes: the number of axes of positions of what comes out.

    >>> of_operations(["Conv2D", "BiasAdd", "Relu"], 2), of_operations(["MaxPool"], 2)
    ('Conv2D', 'MaxPooling2D')
    """
    counts = Counter(operations)
    used = {operation for operation in counts if operation not in TRIVIAL} or set(counts)
    if used & LOOPS:
        return "RNN"
    for kind, makers in _BY_OPERATION:
        if not used & makers:
            continue
        if kind in _MOVES and used - makers - _ONLY_WITH - TRIVIAL:
            continue
        return f"{kind}{max(axes, 1)}D" if kind in _DIMENSIONED else kind
    return "Lambda" if len(used) != 1 else next(iter(used))


def is_normalisation(operations: Iterable[str]) -> bool:
    """Whether operations with weights only scale and shift."""
    return set(operations) - TRIVIAL <= {"Mul", "Add", "AddV2", "Sub", "RealDiv", "BiasAdd"}


def only_moves(operations: Iterable[str]) -> bool:
    """Whether operations only bring values into another shape or order."""
    return set(operations) <= TRIVIAL | _ONLY_WITH


def is_shape_arithmetic(operations: Iterable[str]) -> bool:
    """Whether operations may do no more than count sizes."""
    return all(operation in TRIVIAL | _SHAPES for operation in operations)


def is_attention(operations: Counter[str], products: int) -> bool:
    """Whether operations weigh values by a softmax: `products` of two computed tensors."""
    return operations["Softmax"] > 0 and products >= 2
