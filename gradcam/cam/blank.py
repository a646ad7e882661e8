"""Why a map has nothing in it: facts of the trace, and the warning that they lead to.

Each method can be blank for other reasons: one keeps positive gradients only, another has no
gradient at all. A warning must be true for its method, and what it advises must help.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# They keep only gradients that speak for the target.
POSITIVE_ONLY = frozenset({"gradcam++", "layercam"})
# What holds of an image whatever the target.
OF_THE_IMAGE = frozenset({"warn-dead-activations", "warn-constant-channels"})
# Their map is negative only where the activations are, whatever speaks for or against.
UNSIGNED = POSITIVE_ONLY | {"eigencam", "scorecam"}


def facts(method: str, evidence: Sequence[Mapping[str, tf.Tensor]]) -> dict[str, tf.Tensor]:
    """What a reason is decided by, (batch, explained classes) each."""
    known = {}
    if "gradients" in evidence[0]:
        gradients = [each["gradients"] for each in evidence]
        known["product"] = _products(gradients, evidence[0]["activations"])
        if method in POSITIVE_ONLY:
            kept = [tf.nn.relu(gradient) for gradient in gradients]
            known["kept_product"] = _products(kept, evidence[0]["activations"])
    if "ablated_scores" in evidence[0]:
        losses = [tf.abs(each["score"][:, None] - each["ablated_scores"]) for each in evidence]
        known["effect"] = tf.stack([tf.reduce_max(loss, -1) for loss in losses], 1)
    if "masked_scores" in evidence[0]:
        best = [tf.reduce_max(each["masked_scores"], -1) for each in evidence]
        known["masked"] = tf.stack([~tf.math.is_inf(score) for score in best], 1)
    return known


def reason(method: str, known: Mapping[str, Any], image: int, explained: int) -> str:
    """The code of the warning for one map that is blank."""

    def fact(name: str) -> Any:
        return known[name][image, explained] if name in known else None

    reasons = {
        "warn-negative-activations": fact("low") < 0 and method in UNSIGNED,
        "warn-all-negative": fact("low") < 0,
        "warn-dead-activations": known["activation"][image] == 0,
        "warn-zero-gradient": fact("gradient") == 0,
        "warn-no-effect": fact("effect") == 0,
        "warn-constant-channels": fact("masked") is not None and not fact("masked"),
        "warn-inactive": fact("product") == 0,
        "warn-no-positive-gradient": fact("kept_product") == 0,
    }
    return next((code for code, holds in reasons.items() if holds), "warn-zero-map")


def _products(gradients: Sequence[tf.Tensor], activations: tf.Tensor) -> tf.Tensor:
    """The largest product of gradient and activation, (batch, explained classes)."""
    axes = list(range(1, activations.shape.rank))
    return tf.stack([tf.reduce_max(tf.abs(g * activations), axes) for g in gradients], 1)
