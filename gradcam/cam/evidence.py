"""Gathers the evidence that methods ask for, inside the trace: gradients and changed runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from gradcam.errors import BlockedGradientError, ModelError, NotAFeatureMapError
from gradcam.messages.findings import listing
from gradcam.trace import blockers
from gradcam.trace.graph import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gradcam.cam.frames import Frame
    from gradcam.targets.scoring import Outputs, Target
    from gradcam.trace.recording import Call, Recording

# Half precision has no numbers below 6e-8, where gradients of a deep head easily are. A power of
# two only shifts the exponent.
HALF_SCALE = 1024.0

# Enough for the matrix products of a head to be efficient, few enough for feature maps to fit.
ROWS_PER_RUN = 32


@dataclass(frozen=True)
class Scene:
    """One layer of a traced model, and what is explained there.

    Attributes:
        recording: what the model did.
        call: the tapped layer.
        channels_first: the layout of its output.
        frame: the input it sees.
        outputs: the outputs as targets read them.
        target: what is explained.
        prepared: what the target decided on the unchanged images.
        scores: (batch, classes explained), negated for a counterfactual.
        sign: -1 for a counterfactual, else 1.
        candidates: layers that could be tapped instead, for errors.
        sequence: a layer behind it that works on tokens, where the layer was chosen by itself.
        hidden: what could not be chosen behind it, in words, where the layer was chosen by itself.
    """

    recording: Recording
    call: Call
    channels_first: bool
    frame: Frame
    outputs: Outputs
    target: Target
    prepared: tuple[Any, ...]
    scores: tf.Tensor
    sign: float
    candidates: list[str]
    sequence: str | None = None
    hidden: Sequence[str] = ()

    @property
    def tapped(self) -> tf.Tensor:
        """The activations as the layer returned them."""
        return self.call.outputs[0]

    def activations(self) -> tf.Tensor:
        """The activations in float32, channels last."""
        return tf.cast(self.channels_last(self.tapped), tf.float32)

    def channels_last(self, tensor: tf.Tensor) -> tf.Tensor:
        """Move the channels behind the positions."""
        if not self.channels_first:
            return tensor
        rank = tensor.shape.rank
        return tf.transpose(tensor, [0, *range(2, rank), 1])

    def gather(
        self, wanted: tuple[str, ...], max_channels: int | None, rows_per_run: int | None
    ) -> list[dict[str, tf.Tensor]]:
        """The wanted evidence for each explained class; activations are always there."""
        rows = rows_per_run or ROWS_PER_RUN
        shared: dict[str, tf.Tensor] = {"activations": self.activations()}
        each: dict[str, tf.Tensor] = {}
        if "ablated_scores" in wanted:
            each["ablated_scores"] = self.ablated_scores(max_channels, rows)
        if "masked_scores" in wanted:
            each["masked_scores"] = self.masked_scores(max_channels, rows)
        gathered = []
        for explained in range(self.scores.shape[1]):
            evidence = shared | {name: values[..., explained] for name, values in each.items()}
            if "score" in wanted:
                evidence["score"] = self.scores[:, explained]
            if "gradients" in wanted:
                evidence["gradients"] = self.gradients(explained)
            gathered.append(evidence)
        return gathered

    def gradients(self, explained: int) -> tf.Tensor:
        """The gradient of one explained class with respect to the activations, channels last."""
        score = self.scores[:, explained]
        if not self._is_half():
            return self._gradient(score)
        scaled = self._gradient(score * HALF_SCALE) / HALF_SCALE
        axes = list(range(1, scaled.shape.rank))
        fits = tf.math.is_finite(tf.reduce_sum(scaled, axes, keepdims=True))
        return tf.where(fits, scaled, self._gradient(score))

    def ablated_scores(self, max_channels: int | None, rows_per_run: int) -> tf.Tensor:
        """The scores with one channel set to zero, (batch, channels, classes explained).

        A channel that is zero already changes nothing and is not run; one that `max_channels`
        leaves out counts as if it changed nothing.
        """
        activations = self.activations()
        wanted = _chosen(activations, _positions_any(activations != 0.0), max_channels)
        tapped = self.tapped
        channel_axis = 1 if self.channels_first else tapped.shape.rank - 1
        channels = activations.shape[-1]

        def without(rows: tf.Tensor, channel: tf.Tensor) -> tf.Tensor:
            kept = tf.one_hot(channel, channels, on_value=0.0, off_value=1.0, dtype=tapped.dtype)
            shape = [1] * tapped.shape.rank
            shape[0], shape[channel_axis] = -1, channels
            return tf.gather(tapped, rows) * tf.reshape(kept, shape)

        unchanged = tf.repeat(self.scores[:, None, :], channels, axis=1)
        return self._run_again(tapped, without, wanted, unchanged, rows_per_run)

    def masked_scores(self, max_channels: int | None, rows_per_run: int) -> tf.Tensor:
        """The scores of the image masked by each channel, (batch, channels, classes explained).

        A channel whose map is constant, or that `max_channels` leaves out, is not run and scores
        minus infinity.
        """
        frame = self.frame
        if not frame.axes or not frame.tensor.dtype.is_floating:
            raise NotAFeatureMapError(
                "not-maskable",
                path=self.call.path,
                name=frame.name,
                shape=frame.tensor.shape,
                dtype=frame.tensor.dtype.name,
            )
        activations = self.activations()
        axes = list(range(1, activations.shape.rank - 1))
        varies = tf.reduce_max(activations, axes) > tf.reduce_min(activations, axes)
        wanted = _chosen(activations, varies, max_channels)
        maps = tf.transpose(activations, [0, activations.shape.rank - 1, *axes])

        def masked(rows: tf.Tensor, channel: tf.Tensor) -> tf.Tensor:
            mask = frame.as_seen(tf.gather_nd(maps, tf.stack([rows, channel], 1)))
            low = tf.reduce_min(mask, axes, keepdims=True)
            high = tf.reduce_max(mask, axes, keepdims=True)
            mask = frame.carried_back(tf.math.divide_no_nan(mask - low, high - low), rows)
            images = tf.gather(frame.tensor, rows)
            return images * tf.cast(frame.spread(mask), images.dtype)

        nothing = tf.fill([*tf.unstack(tf.shape(wanted)), self.scores.shape[1]], -float("inf"))
        return self._run_again(frame.tensor, masked, wanted, nothing, rows_per_run)

    def _gradient(self, score: tf.Tensor) -> tf.Tensor:
        try:
            gradient = tf.gradients(score, self.tapped)[0]
        except LookupError as error:  # an operation without a registered gradient
            raise self._blocked(
                [blockers.unregistered(error, [self.tapped], score, self.recording)]
            ) from error
        if gradient is None:
            between = ([self.tapped], score, self.recording)
            raise self._blocked(blockers.blockers(*between) or blockers.custom_gradients(*between))
        return tf.cast(self.channels_last(tf.convert_to_tensor(gradient)), tf.float32)

    def _blocked(self, names: list[str]) -> BlockedGradientError:
        behind = (
            self.candidates[self.candidates.index(self.call.path) + 1 :]
            if (self.call.path in self.candidates)
            else []
        )
        return BlockedGradientError(
            "blocked-gradient",
            target=self.target,
            path=self.call.path,
            blockers=listing(names) if names else "an operation without a gradient",
            paths=f": {listing(behind)}" if behind else "",
        )

    def _is_half(self) -> bool:
        return any(
            output.dtype == tf.float16 for call in self.recording.calls for output in call.outputs
        )

    def _run_again(
        self,
        feed: tf.Tensor,
        changed: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
        wanted: tf.Tensor,
        scores: tf.Tensor,
        rows_per_run: int,
    ) -> tf.Tensor:
        """Fill in the scores of the wanted (image, channel) pairs, some rows at a time."""
        if self.recording.inputs[0].shape[0] is not None:
            raise ModelError("fixed-batch", count=self.recording.inputs[0].shape[0])
        part = Part([feed], self.outputs.fetches(), self.recording.inputs)
        pairs = tf.cast(tf.where(wanted), tf.int32)
        count = tf.shape(pairs)[0]
        runs = (count + rows_per_run - 1) // rows_per_run
        explained = self.scores.shape[1]
        results = tf.TensorArray(
            tf.float32, runs, infer_shape=False, element_shape=[None, explained]
        )

        def run(number: tf.Tensor, results: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            chunk = pairs[number * rows_per_run : (number + 1) * rows_per_run]
            rows, channel = chunk[:, 0], chunk[:, 1]
            outputs = self.outputs.fetched(part([changed(rows, channel)], rows))
            prepared = tf.nest.map_structure(lambda t: tf.gather(t, rows), self.prepared)
            score = self.sign * self.target.score(outputs, prepared)
            return number + 1, results.write(number, score)

        _, results = tf.while_loop(
            lambda number, _: number < runs, run, (0, results), parallel_iterations=1
        )
        return tf.tensor_scatter_nd_update(scores, pairs, results.concat())


def _positions_any(condition: tf.Tensor) -> tf.Tensor:
    return tf.reduce_any(condition, list(range(1, condition.shape.rank - 1)))


def _chosen(activations: tf.Tensor, useful: tf.Tensor, max_channels: int | None) -> tf.Tensor:
    """The channels to run, (batch, channels): useful, and of each image's own most varied ones."""
    channels = activations.shape[-1]
    if max_channels is None or max_channels >= channels:
        return useful
    variance = tf.math.reduce_variance(activations, list(range(1, activations.shape.rank - 1)))
    best = tf.math.top_k(variance, max_channels).indices
    return useful & (tf.reduce_max(tf.one_hot(best, channels), 1) > 0.0)
