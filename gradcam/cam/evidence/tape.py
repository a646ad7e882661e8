"""What the run itself gives, under its tape: activations, scores and gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

from gradcam.cam.evidence.registry import evidence

if TYPE_CHECKING:
    from gradcam.cam.run import Run, Tapped


@evidence(of_class=False)
def activations(tapped: Tapped, run: Run) -> tf.Tensor:
    """A, (batch, positions..., channels)."""
    del run
    return tapped.activations


@evidence(of_class=True)
def gradients(tapped: Tapped, run: Run) -> list[tf.Tensor]:
    """G = d score / d A, of the same shape: one backward pass a class for all tapped layers."""
    number = run.tapped.index(tapped)
    return [
        tf.cast(tapped.channels_last(of_layers[number]), tf.float32) for of_layers in run.gradients
    ]


@evidence(of_class=True)
def score(tapped: Tapped, run: Run) -> list[tf.Tensor]:
    """y, (batch,)."""
    del tapped
    return tf.unstack(run.scores, axis=1)
