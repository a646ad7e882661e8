"""The class-activation-map methods: each a short pure function of the evidence it names.

The parameters of a function are the evidence it needs, as `cam/evidence` registers it:

| evidence | what it is |
|---|---|
| `activations` | A, (batch, positions..., channels): the output of the tapped layer |
| `gradients` | g = d score / d A, of the same shape |
| `score` | y, (batch,): the explained score |
| `ablated_scores` | y_k, (batch, channels): the score with channel k set to zero |
| `masked_scores` | s_k, (batch, channels): the score of the image that channel k masks; minus |
|  | infinity for a channel that was left out |

A function returns maps of shape (batch, positions...), signed. Whatever comes after, the ReLU and
the resizing, is the same for all of them and done elsewhere. A channel that was left out by
`max_channels` has `ablated_scores` equal to the score.
"""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradcam.environment import LazyModule

if TYPE_CHECKING:
    from collections.abc import Callable

    import tensorflow as tf
else:
    # The command knows the names of the methods before it needs TensorFlow.
    tf = LazyModule("tensorflow")


@dataclass(frozen=True)
class Method:
    """A method and what is known about it.

    Attributes:
        name: what `method=` takes.
        function: the map as a function of its evidence.
        evidence: the names of the evidence it needs.
        summary: what it does, in a line.
        use_when: when to choose it.
        paper: where it comes from.
        positive_only: whether it keeps only gradients that speak for the target.
        follows_activations: whether its map is negative only where the activations are, whatever
            speaks for or against the target.
    """

    name: str
    function: Callable[..., tf.Tensor]
    evidence: tuple[str, ...]
    summary: str
    use_when: str
    paper: str
    positive_only: bool = False
    follows_activations: bool = False

    @property
    def needs_target(self) -> bool:
        """Whether the map depends on what is explained."""
        return self.evidence != ("activations",)


METHODS: dict[str, Method] = {}


def method(
    name: str, use_when: str, paper: str, **facts: bool
) -> Callable[[Callable[..., tf.Tensor]], Callable[..., tf.Tensor]]:
    """Register a function under a name; its parameters say what evidence it needs.

    `facts` are the attributes of `Method` that are not False.
    """

    def register(function: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
        evidence = tuple(inspect.signature(function).parameters)
        summary = (inspect.getdoc(function) or "").split("\n", maxsplit=1)[0].rstrip(".")
        METHODS[name] = Method(name, function, evidence, summary, use_when, paper, **facts)
        return function

    return register


@method(
    "gradcam",
    use_when="The first to try: fast, well understood, works with any head.",
    paper="Selvaraju et al. 2017, arXiv:1610.02391",
)
def gradcam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Channels weighted by their mean gradient.

    w_k = mean over positions of g_k; map = sum_k w_k A_k.
    """
    return _weighted(activations, tf.reduce_mean(gradients, _positions(gradients)))


@method(
    "gradcam++",
    use_when="Several instances of the class in one image.",
    paper="Chattopadhay et al. 2018, arXiv:1710.11063",
    positive_only=True,
    follows_activations=True,
)
def gradcam_plus_plus(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Channels weighted by their positive gradients, each position by its share.

    alpha = g^2 / (2 g^2 + g^3 S_k) with S_k = sum over positions of A_k;
    w_k = sum over positions of alpha relu(g); map = sum_k w_k A_k.

    The paper's factor exp(score) is the same for all channels and left out: it overflows. The
    fraction is computed as 1 / (2 + g S_k), which is the same, matters only where g > 0 and doesn't
    underflow. The formula supposes activations that are not negative. With others (swish) S_k can
    be negative and the denominator pass through zero, so S_k is taken as at least 0: that changes
    nothing where the formula holds and keeps alpha between 0 and 1/2 where it doesn't.
    """
    positive = tf.nn.relu(gradients)
    axes = _positions(activations)
    total = tf.nn.relu(tf.reduce_sum(activations, axes, keepdims=True))
    return _weighted(activations, tf.reduce_sum(positive / (2.0 + positive * total), axes))


@method(
    "hirescam",
    use_when="Heads that are not pooling, such as Flatten: shows only what the model used.",
    paper="Draelos and Carin 2020, arXiv:2011.08891",
)
def hirescam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Gradient times activation, position by position.

    map = sum_k g_k A_k.
    """
    return tf.reduce_sum(gradients * activations, -1)


@method(
    "xgradcam",
    use_when="As gradcam, where the map should sum to the score in ReLU networks.",
    paper="Fu et al. 2020, arXiv:2008.02312",
)
def xgradcam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Channels weighted by their gradient, averaged where they are active.

    w_k = sum over positions of g_k A_k / sum over positions of A_k, 0 where A_k sums to 0;
    map = sum_k w_k A_k.
    """
    axes = _positions(activations)
    total = tf.reduce_sum(activations, axes)
    return _weighted(
        activations,
        tf.math.divide_no_nan(tf.reduce_sum(gradients * activations, axes), total),
    )


@method(
    "layercam",
    use_when="Fine detail from earlier layers; fuses well over several layers.",
    paper="Jiang et al. 2021, doi:10.1109/TIP.2021.3089943",
    positive_only=True,
    follows_activations=True,
)
def layercam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Activations weighted by their own positive gradient.

    map = sum_k relu(g_k) A_k.
    """
    return tf.reduce_sum(tf.nn.relu(gradients) * activations, -1)


@method(
    "eigencam",
    use_when="What stands out, whatever the class; no gradient is needed.",
    paper="Muhammad and Yeasin 2020, arXiv:2008.00299",
    follows_activations=True,
)
def eigencam(activations: tf.Tensor) -> tf.Tensor:
    """The main pattern of the activations, whatever the target.

    map = A v, with v the first right singular vector of A as a matrix (positions, channels), not
    centred, and the sign that makes sum(map * sum_k A_k) >= 0.
    """
    return _first_component(activations)


@method(
    "eigengradcam",
    use_when="As eigencam, but for a class.",
    paper="pytorch-grad-cam (Gildenblat 2021), after Muhammad and Yeasin 2020",
)
def eigengradcam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """The main pattern of gradient times activation.

    map = (g A) v, with v the first right singular vector of g A, and the sign as in eigencam.
    """
    return _first_component(gradients * activations)


@method(
    "ablationcam",
    use_when="Gradients that are saturated or noisy; costs one run of the head a channel.",
    paper="Desai and Ramaswamy 2020, doi:10.1109/WACV45572.2020.9093360",
)
def ablationcam(activations: tf.Tensor, score: tf.Tensor, ablated_scores: tf.Tensor) -> tf.Tensor:
    """Channels weighted by what the score loses without them.

    w_k = (y - y_k) / |y|, 1 in the place of |y| where the score is 0; map = sum_k w_k A_k.

    The paper divides by y: then every channel that supports a negative logit turns negative.
    """
    scale = tf.where(score == 0.0, 1.0, tf.abs(score))
    return _weighted(activations, (score[:, None] - ablated_scores) / scale[:, None])


@method(
    "scorecam",
    use_when="No gradients at all; costs one run of the model a channel; the most varied may do.",
    paper="Wang et al. 2020, arXiv:1910.01279",
    follows_activations=True,
)
def scorecam(activations: tf.Tensor, masked_scores: tf.Tensor) -> tf.Tensor:
    """Channels weighted by the score of the image that they mask.

    w = softmax over channels of s_k; map = sum_k w_k A_k. A channel whose map is constant gets
    weight 0 and no forward pass.
    """
    best = tf.reduce_max(masked_scores, -1, keepdims=True)
    best = tf.where(tf.math.is_inf(best), 0.0, best)  # an image without any channel to run
    weights = tf.exp(masked_scores - best)
    total = tf.reduce_sum(weights, -1, keepdims=True)
    return _weighted(activations, tf.math.divide_no_nan(weights, total))


def _positions(tensor: tf.Tensor) -> list[int]:
    return list(range(1, len(tensor.shape) - 1))


def _weighted(activations: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """The sum over k of w_k A_k."""
    return tf.einsum("b...k,bk->b...", activations, weights)


def _first_component(values: tf.Tensor) -> tf.Tensor:
    """The projection on the first right singular vector, signed as in eigencam.

    The smaller of the two Gram matrices has the same singular values, so its first eigenvector
    gives the projection at the least cost. Squaring costs half of the digits: float64 has them.
    """
    shape = tf.shape(values)
    channels = values.shape[-1]
    # The decomposition fails on NaN, whose image is reported by its name elsewhere.
    finite = tf.where(tf.math.is_finite(values), values, 0.0)
    count = None if None in values.shape[1:-1] else math.prod(values.shape[1:-1])
    flat = tf.cast(tf.reshape(finite, (shape[0], count or -1, channels)), tf.float64)
    if count is not None and count <= channels:
        roots, vectors = tf.linalg.eigh(tf.matmul(flat, flat, transpose_b=True))
        component = tf.sqrt(tf.nn.relu(roots[:, -1:])) * vectors[:, :, -1]
    else:
        _, vectors = tf.linalg.eigh(tf.matmul(flat, flat, transpose_a=True))
        component = tf.linalg.matvec(flat, vectors[:, :, -1])
    agreement = tf.reduce_sum(component * tf.reduce_sum(flat, -1), -1, keepdims=True)
    component = tf.where(agreement < 0, -component, component)
    return tf.cast(tf.reshape(component, shape[:-1]), tf.float32)
