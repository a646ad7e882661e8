"""Why a map has nothing in it: facts of the trace, and the note that they lead to.

Each method can be blank for other reasons: one keeps positive gradients only, another has no
gradient at all. A note must be true for its method, and what it advises must help.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import tensorflow as tf

from gradcam.cam.heatmaps import finite_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradcam.cam.methods import Method

# What holds of an image whatever the target.
OF_THE_IMAGE = frozenset({"warn-dead-activations", "warn-constant-channels"})


class LayerFacts(NamedTuple):
    """What is known of a tapped layer, (batch,) or, with "of each class", (batch, classes).

    Attributes:
        activation: the largest magnitude of the activations.
        finite_activations: whether they are finite.
        gradient: the largest magnitude of the gradient of each class; None where no method asks.
        finite_gradients: whether it is finite.
        product: the largest magnitude of gradient times activation.
        kept_product: the same of positive gradients alone.
        effect: how far a score of each class moves with a channel at most.
        masked: whether a channel could mask the image.
    """

    activation: Any
    finite_activations: Any
    gradient: Any = None
    finite_gradients: Any = None
    product: Any = None
    kept_product: Any = None
    effect: Any = None
    masked: Any = None


class MapFacts(NamedTuple):
    """The lowest and the highest value of a map of each class, and whether all are finite."""

    low: Any
    high: Any
    finite: Any


def layer_facts(evidence: Sequence[dict[str, tf.Tensor]]) -> LayerFacts:
    """The facts of a layer, from its evidence for each class."""
    activations = evidence[0]["activations"]
    facts = LayerFacts(_largest(activations), finite_rows(activations))
    if "gradients" in evidence[0]:
        gradients = [each["gradients"] for each in evidence]
        facts = facts._replace(
            gradient=tf.stack([_largest(gradient) for gradient in gradients], 1),
            finite_gradients=tf.stack([finite_rows(gradient) for gradient in gradients], 1),
            product=_products(gradients, activations),
            kept_product=_products([tf.nn.relu(gradient) for gradient in gradients], activations),
        )
    if "ablated_scores" in evidence[0]:
        losses = [tf.abs(each["score"][:, None] - each["ablated_scores"]) for each in evidence]
        facts = facts._replace(effect=tf.stack([tf.reduce_max(loss, -1) for loss in losses], 1))
    if "masked_scores" in evidence[0]:
        best = [tf.reduce_max(each["masked_scores"], -1) for each in evidence]
        facts = facts._replace(masked=tf.stack([~tf.math.is_inf(score) for score in best], 1))
    return facts


def map_facts(maps: tf.Tensor) -> MapFacts:
    """The facts of maps (batch, classes, positions...)."""
    axes = list(range(2, maps.shape.rank))
    return MapFacts(tf.reduce_min(maps, axes), tf.reduce_max(maps, axes), finite_rows(maps))


def reason(method: Method, layer: LayerFacts, maps: MapFacts, image: int, column: int) -> str:
    """The code of the note for one map that is blank."""
    uses = set(method.evidence)
    is_negative = maps.low[image, column] < 0

    def is_nothing(evidence: str, of_class: Any) -> bool:
        return evidence in uses and not of_class[image, column]

    reasons = {
        "warn-negative-activations": is_negative and method.follows_activations,
        "warn-all-negative": is_negative,
        "warn-dead-activations": layer.activation[image] == 0,
        "warn-zero-gradient": is_nothing("gradients", layer.gradient),
        "warn-no-effect": is_nothing("ablated_scores", layer.effect),
        "warn-constant-channels": is_nothing("masked_scores", layer.masked),
        "warn-inactive": is_nothing("gradients", layer.product),
        "warn-no-positive-gradient": method.positive_only
        and is_nothing("gradients", layer.kept_product),
    }
    return next((code for code, holds in reasons.items() if holds), "warn-zero-map")


def _largest(tensor: tf.Tensor) -> tf.Tensor:
    return tf.reduce_max(tf.abs(tensor), list(range(1, tensor.shape.rank)))


def _products(gradients: Sequence[tf.Tensor], activations: tf.Tensor) -> tf.Tensor:
    """The largest product of gradient and activation, (batch, explained classes)."""
    axes = list(range(1, activations.shape.rank))
    return tf.stack([tf.reduce_max(tf.abs(g * activations), axes) for g in gradients], 1)
