"""Which layers can be explained, and which one is chosen when nobody says.

The last feature map before the target is the one whose positions still show where something is,
with the most meaning in its channels. Pooling, dropout, reshapes and padding only move it about;
a map with a single position, and the scores themselves, say nothing about where.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from gradcam.errors import DisconnectedLayerError, NotAFeatureMapError
from gradcam.messages.wording import listing
from gradcam.trace import layouts
from gradcam.trace.graph import Dependence, ancestors
from gradcam.trace.logits import ModelOutput, core_tensors
from gradcam.trace.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import tensorflow as tf

    from gradcam.trace.recording import Call, Recording

# Moves values about: the feature map before it is meant.
MOVES_VALUES = re.compile(
    r"(.*Pooling\dD|.*Dropout.*|GaussianNoise|Identity|Reshape|Flatten|Permute|RepeatVector"
    r"|ZeroPadding\dD|Cropping\dD|UpSampling\dD|ActivityRegularization|Masking"
    r"|Pad|Transpose|Squeeze|ExpandDims|Cast|GetItem|Resize|Copy)"
)
# Prepares the image: what comes out is still the image.
PREPARES_IMAGE = re.compile(
    r"(InputLayer|Rescaling|Normalization|Resizing|CenterCrop|Random[A-Z].*|RandAugment|AugMix"
    r"|AutoContrast|Equalization|Grayscale|Solarization|MixUp|CutMix|BaseImagePreprocessingLayer)"
)
SEQUENCE_LAYER = re.compile(r"(MultiHeadAttention|GroupedQueryAttention|RNN|Embedding)")

EACH_STEP = re.compile(r"(TimeDistributed|ConvLSTM\dD)")  # calls the same layer for each step
UNTRACKED = re.compile(r"(Conv[23]D|DepthwiseConv2dNative|Conv[23]DBackpropInput(V2)?)")


class FeatureMaps:
    """The feature maps of a recording, seen from the outputs that are explained."""

    def __init__(
        self, recording: Recording, outputs: Sequence[ModelOutput], scores: Iterable[tf.Tensor]
    ) -> None:
        self._recording = recording
        self._scores = {tensor.ref() for output in outputs for tensor in core_tensors(output)}
        self._way = ancestors(scores)
        self._formats = layouts.formats(recording)
        self._axes = Upstream(recording, _dimension)
        self._learning = Upstream(recording, lambda call: _learns(call) or None)

    def reason(self, call: Call) -> tuple[str, str]:
        """Why a call can't be explained and what to do, or two empty strings where it can."""
        if call.inside is not None:
            return f"it runs inside {call.inside}", "Choose a layer outside of it."
        if len(call.outputs) != 1:
            own, inside = (
                "Let a layer of its own make the map.",
                "Choose one of the layers inside it.",
            )
            return f"it returns {len(call.outputs)} tensors", own if call.is_leaf else inside
        around = _around(call)
        if around is not None:
            return f"it is part of '{around.path}', which works on tokens", "Choose a convolution."
        output = call.outputs[0]
        if not output.dtype.is_floating:
            return f"it holds {output.dtype.name}, not activations", "Choose a layer after it."
        return self._reason_of_shape(call, output)

    def _reason_of_shape(self, call: Call, output: tf.Tensor) -> tuple[str, str]:
        rank = output.shape.rank
        if rank is None:
            return "its rank is not known", "Let the layer fix the rank of its output."
        if rank < 3:
            return "it has no axes of positions", "Choose a layer before the pooling or flattening."
        if rank > 5:
            return f"it has {rank - 2} axes of positions", "Choose a layer with one to three."
        if rank == 3 and not self._has_positions(output):
            return (
                "its first axis after the batch numbers tokens, not positions of a convolution",
                "Token sequences are no feature map; choose a convolution before them.",
            )
        if all(size == 1 for size in positions(output.shape, self.data_format(call))):
            return "it has only one position", "Choose a layer before the pooling."
        return "", ""

    def data_format(self, call: Call) -> str:
        """Where the channels of a call's output are."""
        return layouts.of_output(self._formats, call)

    def is_connected(self, call: Call) -> bool:
        """Whether the target depends on the call's output."""
        return any(output.op in self._way for output in call.outputs)

    def is_candidate(self, call: Call) -> bool:
        """Whether the automatic choice may take a call."""
        return (
            bool(call.path)
            and _is_whole(call)
            and not _is_any(call, MOVES_VALUES)
            and not _is_any(call, PREPARES_IMAGE)
            and self.is_connected(call)
            and not self.reason(call)[0]
            and call.outputs[0].ref() not in self._scores
            and self.is_learned(call)
        )

    def choose(self, name: str, seen: tf.Tensor | None = None) -> Call:
        """The last feature map before the target.

        Args:
            name: the model's name, for the error.
            seen: an input that the layer has to see.

        Raises:
            NotAFeatureMapError: there is none, with the reason.
        """
        calls = self._recording.calls
        found = (call for call in reversed(calls) if self.is_candidate(call))
        sees = Dependence(seen) if seen is not None else None
        chosen = next((call for call in found if sees is None or sees(call.outputs)), None)
        if chosen is not None:
            return chosen
        raise NotAFeatureMapError("no-feature-map", name=name, reason=self._reason_of_none())

    def _reason_of_none(self) -> str:
        """Why there is no feature map at all."""
        calls = [call for call in self._recording.calls if call.path and call.is_leaf]
        if any("tokens" in self.reason(call)[0] for call in calls):
            return "its layers return token sequences (batch, tokens, features)"
        for call in calls:
            if len(call.outputs) > 1 and call.has_weights and self.is_connected(call):
                return f"'{call.path}' returns {len(call.outputs)} tensors, not one"
        learned = [call for call in calls if call.has_weights and self.is_connected(call)]
        if learned and all("Dense" in call.families for call in learned):
            return self._reason_of_dense(learned)
        return "no layer with weights returns axes of positions"

    def _reason_of_dense(self, calls: Sequence[Call]) -> str:
        """That Dense layers alone, which are these calls, have no positions to show."""
        operations = calls[0].outputs[0].graph.get_operations()
        taken = next(
            (
                f" on {operation.inputs[0].shape[-1]} values"
                for operation in operations
                if operation.type == "MatMul" and self._recording.maker(operation) is calls[0]
            ),
            "",
        )
        names = listing([call.path for call in calls], limit=6)
        return (
            f"all weights are in Dense layers ({names}){taken}; without a convolution there is no"
            " heatmap"
        )

    def check(self, call: Call, target: str) -> None:
        """Raise unless a call, asked for by name, can be explained."""
        reason, advice = self.reason(call)
        if reason:
            shape = call.outputs[0].shape if call.outputs else "()"
            raise NotAFeatureMapError(
                "not-a-feature-map", path=call.path, shape=shape, reason=reason, advice=advice
            )
        if not self.is_connected(call):
            raise DisconnectedLayerError(
                "disconnected-layer",
                target=target,
                path=call.path,
                paths=listing(self.candidates()[-12:]),
            )

    @functools.cached_property
    def _candidates(self) -> list[str]:
        return [call.path for call in self._recording.calls if self.is_candidate(call)]

    def candidates(self) -> list[str]:
        """The paths that the automatic choice may take, in the order of the calls."""
        return self._candidates

    def sequence_after(self, call: Call) -> str | None:
        """The first layer on token sequences behind a feature map that leads to the target."""
        calls = self._recording.calls
        later = calls[calls.index(call) + 1 :]
        found = (c for c in later if _is_any(c, SEQUENCE_LAYER) and self.is_connected(c))
        return next((other.path for other in found), None)

    def hidden_after(self, call: Call) -> list[str]:
        """What computes feature maps behind a call, but can't be tapped, in words."""
        calls = self._recording.calls
        in_graphs = [
            f"'{other.path}' inside {other.inside}"
            for other in calls[calls.index(call) + 1 :]
            if other.is_leaf and other.has_weights and self._is_hidden_map(other, call)
        ]
        return list(dict.fromkeys([*in_graphs, *self._untracked_after(call)]))

    def _is_hidden_map(self, hidden: Call, chosen: Call) -> bool:
        """Whether a call that can't be tapped makes a feature map outside of the chosen call."""
        shape = hidden.hidden_shape
        if shape is None or shape.rank is None or shape.rank < 3 or _around(hidden) is not None:
            return False
        around = hidden.parent
        while around is not None and not around.outputs:
            around = around.parent
        is_used = around is None or not around.path or self.is_connected(around)
        is_inside = chosen in _parents(hidden)
        return is_used and not is_inside and any(size != 1 for size in shape.as_list()[1:-1])

    def _untracked_after(self, call: Call) -> Iterable[str]:
        """Convolutions that no layer of the model stands for, in the order of the graph."""
        for operation in call.outputs[0].graph.get_operations()[call.last_op :]:
            if not UNTRACKED.fullmatch(operation.type) or operation not in self._way:
                continue
            maker = self._recording.maker(operation)
            size = operation.outputs[0].shape[1:-1].as_list() if maker else []
            if maker is not None and not maker.is_leaf and any(n != 1 for n in size):
                scope = operation.name.split("/")
                name = scope[-2] if len(scope) > 1 else scope[0]
                yield f"the {operation.type} of '{name}', which is no layer of the model's attributes"

    def _has_positions(self, output: tf.Tensor) -> bool:
        """Whether a (batch, n, channels) tensor comes from a layer along one axis of positions."""
        return self._axes.nearest(output) == "1"

    def is_learned(self, call: Call) -> bool:
        """Whether weights, other than those that normalise the image, made the output."""
        return self._learning.nearest(call.outputs[0]) is not None


def may_be_chosen(call: Call) -> bool:
    """Whether a call that just returned looks like one that the automatic choice may take."""
    if len(call.outputs) != 1 or not _is_whole(call):
        return False
    if _is_any(call, MOVES_VALUES) or _is_any(call, PREPARES_IMAGE) or _around(call) is not None:
        return False
    output = call.outputs[0]
    rank = output.shape.rank
    if not output.dtype.is_floating or rank is None or not 3 <= rank <= 5:
        return False
    sizes = output.shape.as_list()
    return any(size != 1 for size in sizes[1:-1]) and any(size != 1 for size in sizes[2:])


def _dimension(call: Call) -> str | None:
    """The number of axes of positions that the class of a layer names, such as the 2 of Conv2D."""
    return next((m[1] for family in call.families if (m := re.search(r"(\d)D$", family))), None)


def _learns(call: Call) -> bool:
    """Whether a call has weights, other than those that normalise the image."""
    return (call.has_weights or _is_any(call, EACH_STEP)) and not _is_any(call, PREPARES_IMAGE)


def _is_whole(call: Call) -> bool:
    """Whether a call is the smallest that shows all of its map: some layers call one a step."""
    is_split = any(_is_any(parent, EACH_STEP) for parent in _parents(call))
    return (call.is_leaf or _is_any(call, EACH_STEP)) and not is_split


def _parents(call: Call) -> list[Call]:
    """The calls around a call, the nearest first."""
    parents = []
    while call.parent is not None:
        call = call.parent
        parents.append(call)
    return parents


def _around(call: Call) -> Call | None:
    """The layer on token sequences that a call is part of, if any."""
    parent = call.parent
    while parent is not None and not _is_any(parent, SEQUENCE_LAYER):
        parent = parent.parent
    return parent


def positions(shape: tf.TensorShape, data_format: str) -> list[int | None]:
    """The sizes of the axes that are neither batch nor channels.

    >>> import tensorflow as tf
    >>> positions(tf.TensorShape([None, 7, 5, 64]), "channels_last")
    [7, 5]
    """
    sizes = shape.as_list()
    return sizes[2:] if data_format == "channels_first" else sizes[1:-1]


@functools.cache
def _names_match(families: tuple[str, ...], pattern: re.Pattern[str]) -> bool:
    return any(pattern.fullmatch(family) for family in families)


def _is_any(call: Call, pattern: re.Pattern[str]) -> bool:
    return _names_match(call.families, pattern)
