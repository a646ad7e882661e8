"""What Keras has renamed, moved and dropped: one table, for `.keras` and `.h5` files alike.

A file's config names classes and arguments as the Keras that wrote it did. Each row says what one of
them is called today. What the table doesn't know, and Keras doesn't take, is kept where it means
something, so that the error can name it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Classes under another name.
RENAMED = {
    "Policy": "DTypePolicy",
    "PolicyV1": "DTypePolicy",
    "Model": "Functional",
    "Container": "Functional",
    "Network": "Functional",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "LSTMV1": "LSTM",
    "LSTMV2": "LSTM",
    "GRUV1": "GRU",
    "GRUV2": "GRU",
    "GlorotUniformV2": "GlorotUniform",
    "GlorotNormalV2": "GlorotNormal",
    "HeUniformV2": "HeUniform",
    "HeNormalV2": "HeNormal",
    "LecunUniformV2": "LecunUniform",
    "LecunNormalV2": "LecunNormal",
    "VarianceScalingV2": "VarianceScaling",
    "RandomNormalV2": "RandomNormal",
    "RandomUniformV2": "RandomUniform",
    "TruncatedNormalV2": "TruncatedNormal",
    "OrthogonalV2": "Orthogonal",
    "ConstantV2": "Constant",
    "ZerosV2": "Zeros",
    "OnesV2": "Ones",
    "IdentityV2": "Identity",
    "Normal": "RandomNormal",
    "Uniform": "RandomUniform",
    "L1_L2": "L1L2",
    "l1_l2": "L1L2",
    "Convolution2DTranspose": "Conv2DTranspose",
    "Deconvolution2D": "Conv2DTranspose",
}
# Functions under another name: TensorFlow's own, that were passed as activations.
FUNCTIONS = {
    "softmax_v2": "softmax",
    "leaky_relu_v2": "leaky_relu",
    "relu_v2": "relu",
    "swish_v1": "swish",
    "hard_swish": "hard_silu",
}
_DTYPES = {"infer": None, "_infer": None, "infer_with_float32_vars": None, "float32_ref": "float32"}


class Repair(NamedTuple):
    """One row: in classes that are a `kind`, the argument becomes what `mend(value)` says.

    `mend` gives the new arguments, or None where the value means something that is gone.
    """

    kind: str
    argument: str
    mend: Callable[[Any], dict[str, Any] | None]


def _dropped(value: Any) -> dict[str, Any]:  # noqa: ARG001
    return {}


def _dropped_if(*harmless: Any) -> Callable[[Any], dict[str, Any] | None]:
    return lambda value: {} if value in harmless else None


def _renamed(name: str) -> Callable[[Any], dict[str, Any]]:
    return lambda value: {name: value}


def _one_of(name: str, spellings: dict[str, Any]) -> Callable[[Any], dict[str, Any]]:
    return lambda value: {
        name: spellings.get(value, value) if isinstance(value, str) else value,
    }


def _axis(value: Any) -> dict[str, Any]:
    return {"axis": value[0] if isinstance(value, list) and len(value) == 1 else value}


def _dtype(value: Any) -> dict[str, Any]:
    """A policy's name says all of it; a quantised one has more to say, and is new enough."""
    if isinstance(value, dict) and isinstance(value.get("config"), dict):
        name = value["config"].get("name")
        if value.get("class_name") in {"Policy", "PolicyV1", "DTypePolicy"} and name:
            value = name
    return {"dtype": _DTYPES.get(value, value) if isinstance(value, str) else value}


def _rows(kinds: str, arguments: str, mend: Callable[[Any], Any]) -> list[Repair]:
    return [Repair(kind, name, mend) for kind in kinds.split() for name in arguments.split()]


REPAIRS: tuple[Repair, ...] = (
    Repair("InputLayer", "batch_input_shape", _renamed("batch_shape")),
    # For any other layer it says what an InputLayer in front of it says.
    *_rows("Layer", "batch_input_shape input_shape input_dim input_dtype", _dropped),
    *_rows("InputLayer", "input_tensor type_spec", _dropped),
    Repair("Layer", "dtype", _dtype),
    *_rows("BaseDepthwiseConv BaseSeparableConv BaseConvTranspose", "groups", _dropped_if(1, None)),
    # They have one for each of their two kernels; this one never did anything.
    *_rows(
        "BaseDepthwiseConv BaseSeparableConv",
        "kernel_initializer kernel_regularizer kernel_constraint",
        _dropped,
    ),
    *_rows("LSTM GRU SimpleRNN RNN ConvLSTM", "time_major", _dropped_if(False)),
    Repair("BatchNormalization", "axis", _axis),
    *_rows(
        "BatchNormalization",
        "fused virtual_batch_size adjustment renorm_clipping renorm_momentum",
        _dropped,
    ),
    Repair("LeakyReLU", "alpha", _renamed("negative_slope")),
    *_rows("Embedding", "input_length sparse", _dropped),
    *_rows("MultiHeadAttention", "query_shape key_shape value_shape", _dropped),
    *_rows("MultiHeadAttention Softmax", "softmax_robust_masking robust_masking", _dropped),
    *_rows("BaseSpatialDropout", "trainable noise_shape", _dropped),
    *_rows("Lambda", "function_type module output_shape_type output_shape_module", _dropped),
    *_rows("Layer", "rng_type force_generator", _dropped),
    *_rows("Initializer", "dtype verify_shape", _dropped),
    Repair(
        "VarianceScaling", "distribution", _one_of("distribution", {"normal": "truncated_normal"})
    ),
    *(
        Repair("Layer", name, _one_of(name, FUNCTIONS))
        for name in ("activation", "recurrent_activation")
    ),
)
# What an old file leaves out has its old default, where that was another.
OLD_DEFAULTS: dict[str, dict[str, Any]] = {"GRU": {"reset_after": False}}


def mended(config: dict[str, Any], bases: Iterable[str], is_old: bool) -> dict[str, Any]:
    """The arguments of one object as Keras takes them now.

    Args:
        config: the arguments as they are in the file.
        bases: the names of the object's class and its bases.
        is_old: whether Keras 2 wrote the file.

    >>> mended({"groups": 1, "kernel_size": 3}, ["DepthwiseConv2D", "BaseDepthwiseConv"], True)
    {'kernel_size': 3}
    """
    kinds = set(bases)
    result = dict(config)
    if is_old:
        for kind in kinds & set(OLD_DEFAULTS):
            result = OLD_DEFAULTS[kind] | result
    for repair in REPAIRS:
        if repair.kind in kinds and repair.argument in result:
            becomes = repair.mend(result[repair.argument])
            if becomes is not None:
                del result[repair.argument]
                result |= becomes
    return result
