"""Spatial transformers, recognised by their interface: where theta looks, and whether it can learn.

How far theta zooms is read off the grid, whatever the family: the affine map that comes nearest to
the way from the identity's grid to theta's.

Convention: theta maps output coordinates to input coordinates, both in [-1, 1]; a factor above 1
zooms out.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from gradcam.cam import warps
from gradcam.doctor.diagnosis import Finding, finding
from gradcam.doctor.traced_model import image_numbers
from gradcam.doctor.user_code import attempt, finding_of
from gradcam.errors import GradCamError
from gradcam.messages import wording
from gradcam.trace import private_keras, recorder, transformers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gradcam.doctor.traced_model import TracedModel
    from gradcam.trace.recording import Call

# Shares of the grid outside of the image.
_BLACK, _MUCH, _SOME = 0.98, 0.5, 0.1
_COLLAPSED, _SHRUNK = 0.05, 3.0
_FAR = 1e3
_SMALL_OUTPUT = 12


class TransformersCheck:
    """Every call of a spatial transformer."""

    name = "the spatial transformers"

    def __init__(self, traced: TracedModel, layer_scales: Any) -> None:
        self._traced = traced
        self._layer_scales = layer_scales
        self._errors: list[tuple[Call, Exception]] = []
        self.calls: list[Call] = []
        self._has_gradient: dict[Call, bool] = {}
        self.tensors: dict[str, Any] = {}
        for call in traced.recording.calls:
            if (
                not transformers.is_transformer(call.layer)
                or len(call.outputs) != 1
                or not call.inputs
            ):
                continue
            if call.thetas.known is not None:
                _, broken = attempt(functools.partial(warps.warp, call))
                self._errors += [(call, broken)] if isinstance(broken, GradCamError) else []
            if not hasattr(call.layer.transform, "identity"):  # of no family: not to be compared
                continue
            measured, error = attempt(functools.partial(self._measured, call))
            if measured is None or error is not None:
                self._errors.append((call, error or RuntimeError("it has no theta")))
                continue
            self.tensors[str(len(self.calls))] = measured
            self.calls.append(call)

    def _measured(self, call: Call) -> dict[str, Any]:
        layer, images = call.layer, call.inputs[0]
        theta = call.thetas.known
        theta = layer.theta(images) if theta is None else theta
        size = call.outputs[0].shape.as_list()
        channels_first = getattr(layer, "data_format", None) == "channels_first"
        size = size[2:] if channels_first else size[1:3]
        identity = tf.constant(np.asarray(layer.transform.identity), theta.dtype)[None]
        known: dict[str, Any] = {
            "theta": theta,
            "identity": identity,
            "grid": _grid(layer, theta, size),
            "base": _grid(layer, identity, size),
            "edge": _edge(images, channels_first),
        }
        traced = self._traced
        if traced.scores is not None and theta.op in traced.score_operations:
            gradient = traced.gradients(traced.scores, [theta])[0][0]
            self._has_gradient[call] = gradient is not None
            if gradient is not None:
                known["gradient"] = traced.measures.gradient(gradient)
        return known

    def findings(self, facts: dict[str, Any]) -> Iterable[Finding]:
        """For each transformer: its start, where it looks, whether it learns, its options."""
        for call, error in self._errors:
            yield finding_of(error, call.path, f"the spatial transformer '{call.path}'")
        for number, call in enumerate(self.calls):
            known = facts.get(str(number))
            if known is not None:
                yield from self._of_transformer(call, known)

    def _of_transformer(self, call: Call, known: dict[str, Any]) -> Iterator[Finding]:
        grid, base = np.asarray(known["grid"], float), np.asarray(known["base"], float)[0]
        family = getattr(call.layer.transform, "name", None) or "affine"
        facts = {"path": call.path, "family": str(family)}
        outside = _outside(grid)
        begun = [*self._start(call, known, facts)] or [*_constant(call, known, outside, facts)]
        yield from begun
        if not any(one.code == "transformer-constant" for one in begun):
            yield from self._where(call, known["theta"], outside, facts)
            if np.isfinite(grid).all():
                yield from _shape(call, grid, base, facts)
        yield from self._learns(call, known, outside, facts)
        yield from _options(call, known, outside)

    def _start(self, call: Call, known: dict[str, Any], facts: dict[str, str]) -> Iterator[Finding]:
        """A network that was never trained, and whose theta is not the identity.

        Training moves every bias: one that is still all zero tells that there was none.
        """
        theta, identity = np.asarray(known["theta"]), np.asarray(known["identity"])
        network = _network(call)
        weights = list(network.weights) if network is not None else []
        if not weights or np.abs(theta - identity).max() < 1e-3:
            return
        last = next((w for w in reversed(weights) if w.name == "bias"), None)
        if last is None or np.any(np.asarray(last)):
            return
        texts = {"theta": _numbers(theta[0]), "identity": _numbers(identity[0])}
        yield finding("transformer-start", "warning", call.path, **texts, **facts)

    @staticmethod
    def _where(
        call: Call, theta: np.ndarray, outside: np.ndarray, facts: dict[str, str]
    ) -> Iterator[Finding]:
        black = image_numbers(outside >= _BLACK)
        much = image_numbers((outside > _MUCH) & (outside < _BLACK))
        if black:
            shown = {"images": wording.Images(black), "theta": _numbers(theta[black[0]])}
            share = float(outside[black].mean())
            yield finding("transformer-black", "error", call.path, share=share, **shown, **facts)
        if much:
            share = float(outside[much].mean())
            shown = {"images": wording.Images(much)}
            yield finding(
                "transformer-outside", "warning", call.path, share=share, **shown, **facts
            )

    def _learns(
        self, call: Call, known: dict[str, Any], outside: np.ndarray, facts: dict[str, str]
    ) -> Iterator[Finding]:
        network = _network(call)
        if network is None or not network.trainable_variables:
            return
        layer = call.layer
        target = self._traced.target
        if getattr(layer, "interpolation", None) == "nearest":
            yield finding("transformer-nearest", "error", call.path, **facts)
        elif call in self._has_gradient:
            gradient = known.get("gradient")
            if gradient is None or gradient["zeros"] == 1:
                why = ", for the grid lies outside of the image" if outside.min() >= _BLACK else ""
                yield finding(
                    "transformer-no-gradient", "error", call.path, target=target, why=why, **facts
                )
        yield from self._scale(call, network, facts)

    def _scale(self, call: Call, network: Any, facts: dict[str, str]) -> Iterator[Finding]:
        scales = self._layer_scales()
        own = {id(layer) for layer in private_keras.all_layers(network)}
        mine = [scale for layer, scale in scales.items() if layer in own]
        rest = [scale for layer, scale in scales.items() if layer not in own]
        if not mine or not rest:
            return
        measured, middle = float(np.max(mine)), float(np.median(rest))
        factor = max(measured / middle, middle / measured)
        if factor > _FAR:
            is_large = measured > middle
            yield finding(
                "transformer-gradient-scale",
                "warning",
                call.path,
                measured=measured,
                middle=middle,
                factor=factor,
                direction="larger" if is_large else "smaller",
                step=0.1 if is_large else 1.0,
                **facts,
            )


def _constant(
    call: Call, known: dict[str, Any], outside: np.ndarray, facts: dict[str, str]
) -> Iterator[Finding]:
    """A network that gives every image the same theta, far from the identity."""
    theta, identity = np.asarray(known["theta"]), np.asarray(known["identity"])[0]
    network = _network(call)
    if network is None or not network.trainable_variables or len(theta) < 2:
        return
    if any(type(layer).__name__ == "ThetaRegression" for layer in recorder.operations_of(network)):
        return  # it did start at the identity, and has run away since
    is_same = bool((np.ptp(theta, axis=0) <= 1e-6 * (1 + np.abs(theta[0]))).all())
    if not is_same or float(outside.mean()) <= _MUCH:
        return
    texts = {"theta": _numbers(theta[0]), "identity": _numbers(identity)}
    severity = "error" if outside.min() >= _BLACK else "warning"
    share = float(outside.mean())
    yield finding(
        "transformer-constant",
        severity,
        call.path,
        share=share,
        units=len(identity),
        **texts,
        **facts,
    )


def _network(call: Call) -> Any:
    """The localisation network: the layer that gave theta."""
    params = call.layer.transform.num_params
    for child in reversed(call.children):
        if len(child.outputs) == 1 and child.outputs[0].shape.as_list()[1:] == [params]:
            return child.layer
    return getattr(call.layer, "localization", None)


def _grid(layer: Any, theta: tf.Tensor, size: list[int | None]) -> tf.Tensor:
    takes_size = "size" in inspect.signature(layer.grid).parameters
    if takes_size and None not in size:
        return layer.grid(theta, tuple(size))
    return layer.grid(theta)


def _edge(images: tf.Tensor, channels_first: bool) -> tf.Tensor:
    """The mean of the pixels along the images' edges, so of what lies next to the outside."""
    images = tf.cast(tf.transpose(images, [0, 2, 3, 1]) if channels_first else images, tf.float32)
    rows = tf.concat([images[:, 0], images[:, -1]], 1)
    columns = tf.concat([images[:, :, 0], images[:, :, -1]], 1)
    return tf.reduce_mean(tf.concat([rows, columns], 1))


def _outside(grid: np.ndarray) -> np.ndarray:
    """The share of each image's grid that lies outside of the image."""
    with np.errstate(invalid="ignore"):
        inside = (np.abs(grid) <= 1.001).all(axis=-1)
    return 1.0 - inside.reshape(len(grid), -1).mean(axis=1)


def _shape(
    call: Call, grid: np.ndarray, base: np.ndarray, facts: dict[str, str]
) -> Iterator[Finding]:
    """How far the grid zooms, mirrors and collapses."""
    points = base.reshape(-1, 2)
    if np.ptp(points, axis=0).min() == 0:  # an axis of one pixel
        return
    system = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    flat = grid.reshape(len(grid), -1, 2)
    matrices = [np.linalg.lstsq(system, one, rcond=None)[0][:2].T for one in flat]
    factors = np.array([np.linalg.svd(matrix, compute_uv=False) for matrix in matrices])
    determinants = np.array([np.linalg.det(matrix) for matrix in matrices])
    collapsed = image_numbers(factors[:, 1] < _COLLAPSED)
    mirrored = image_numbers((determinants < 0) & (factors[:, 1] >= _COLLAPSED))
    shrunk = image_numbers((factors[:, 0] > _SHRUNK) & (factors[:, 1] >= _COLLAPSED))
    if collapsed:
        numbers = {
            "smallest": float(factors[collapsed, 1].min()),
            "determinant": float(determinants[collapsed[0]]),
        }
        images = wording.Images(collapsed)
        yield finding(
            "transformer-collapsed", "warning", call.path, images=images, **numbers, **facts
        )
    if mirrored:
        images, determinant = wording.Images(mirrored), float(determinants[mirrored].min())
        yield finding(
            "transformer-mirrored",
            "warning",
            call.path,
            images=images,
            determinant=determinant,
            **facts,
        )
    if shrunk:
        images, largest = wording.Images(shrunk), float(factors[shrunk, 0].max())
        yield finding(
            "transformer-shrunk", "warning", call.path, images=images, largest=largest, **facts
        )


def _options(call: Call, known: dict[str, Any], outside: np.ndarray) -> Iterator[Finding]:
    """Advice on what lies outside, and on the corners, where it matters."""
    layer = call.layer
    fill, edge = float(getattr(layer, "fill_value", 0.0) or 0.0), float(known["edge"])
    share = float(outside.mean())
    is_constant = getattr(layer, "fill_mode", None) == "constant"
    if (
        is_constant
        and _SOME < share < _BLACK
        and abs(edge - fill) > 0.1 * max(abs(edge), abs(fill))
    ):
        facts = {"path": call.path, "share": share, "fill": fill, "edge": edge}
        yield finding("transformer-fill", "note", call.path, **facts)
    before = [int(n) for n in call.inputs[0].shape[1:] if n is not None]
    after = [int(n) for n in np.shape(known["grid"])[1:3]]
    is_first = getattr(layer, "data_format", None) == "channels_first"
    before = before[1:] if is_first else before[:-1]
    aligned = bool(layer.align_corners)
    if aligned and before != after and min(after) <= _SMALL_OUTPUT:
        # The corner pixels' centres lie half an output pixel inside with one, at the edge with
        # the other.
        shift = max(0.5 * abs(1 - n / m) for n, m in zip(after, before, strict=True))
        if shift > 0.1:
            texts = {"before": _size(before), "after": _size(after)}
            yield finding(
                "transformer-corners", "note", call.path, path=call.path, shift=shift, **texts
            )


def _size(numbers: list[int]) -> str:
    return " x ".join(map(str, numbers))


def _numbers(values: np.ndarray) -> str:
    shown = [f"{value:.3g}" for value in np.ravel(values)[:8]]
    return f"[{', '.join(shown)}{', ...' if np.size(values) > 8 else ''}]"
