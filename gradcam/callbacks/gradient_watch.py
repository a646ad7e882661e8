"""Watches the gradients of `fit`, and says when a layer's turns None, zero or NaN.

The gradients are seen where the optimizer is handed them, whatever the model's `train_step` does.
For that, a second train function is traced with a wrapper in the place of the optimizer's `apply`;
it is used for the batches that are looked at, and the model's own for all others. Wrapper and
function are in place only while one batch is trained, so they are gone after an exception, too.
"""

from __future__ import annotations

import warnings
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from gradcam.messages import catalogue, wording
from gradcam.trace import private_keras

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Batches looked at in a row: what is zero for one batch may be a chance, and a kernel that starts
# at zero, as that of ThetaRegression, keeps the gradient from the layers before it for one step.
IN_A_ROW = 3
_ZERO, _NOT_FINITE = 1, 2


class GradientWatch(keras.callbacks.Callback):
    """Says once, in words, when a layer's gradient turns None, zero or NaN during `fit`.

    Looks at the first three batches, and at three in a row every so many. Training goes on as it
    would without it. With a LossScaleOptimizer (mixed_float16) a step that is not finite is part of
    the search for the scale, and is told of only where it lasts.

    Args:
        every: the number of batches between two looks.

    Attributes:
        said: what was said, the layers' names by code; of gradients that are not finite only the
            first layer.

    >>> watch = GradientWatch(every=50)
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> _ = model.fit(tf.ones((4, 2)), tf.ones((4, 1)), verbose=0, callbacks=[watch])
    >>> watch.said
    {}
    """

    def __init__(self, every: int = 100) -> None:
        super().__init__()
        if isinstance(every, bool) or not isinstance(every, int) or every < IN_A_ROW:
            text = catalogue.said("watch-every", received=repr(every), least=IN_A_ROW)
            raise ValueError(text)
        self.every = every
        self.said: dict[str, list[str]] = {}
        self._forget()

    def _forget(self) -> None:
        self._batch = 0
        self._original: Any = None
        self._watched: Any = None
        self._variables: list[Any] = []
        self._codes: tf.Variable | None = None
        self._rows: dict[tuple[str, int], int] = {}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Start anew: the model may have been compiled again."""
        self._forget()
        self.said = {}

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Put the watched train function in place where this batch is looked at."""
        if self._batch % self.every < IN_A_ROW and _optimizers(self.model):
            if self._watched is None:
                self._watched = self._train_function()
            self._original = self.model.train_function
            self.model.train_function = self._run

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Look, and count."""
        self._restore()
        if self._codes is not None and self._batch % self.every < IN_A_ROW:
            self._look(self._codes.numpy())
        self._batch += 1

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Let go of the model's variables."""
        self._restore()
        self._forget()

    def _train_function(self) -> Any:
        """A train function of the model's own making, not yet traced."""
        own = self.model.train_function
        try:
            self.model.make_train_function(force=True)
            return self.model.train_function
        finally:
            self.model.train_function = own

    def _run(self, iterator: Any) -> Any:
        """Train one batch, watched; nothing of it stays, whatever is raised."""
        try:
            with ExitStack() as stack:
                for optimizer in _optimizers(self.model):
                    stack.enter_context(self._wrapped(optimizer))
                return self._watched(iterator)
        finally:
            self._restore()

    def _restore(self) -> None:
        if self._original is not None:
            self.model.train_function, self._original = self._original, None

    @contextmanager
    def _wrapped(self, optimizer: Any) -> Iterator[None]:
        """Look at what the optimizer is handed."""
        original = optimizer.apply

        def apply(grads: Any, trainable_variables: Any = None) -> Any:
            grads = list(grads)
            variables = trainable_variables or private_keras.optimized_variables(optimizer)
            self._note(grads, list(variables))
            return original(grads, trainable_variables)

        # Not setattr: Keras would track it.
        vars(optimizer)["apply"] = apply
        try:
            yield
        finally:
            del vars(optimizer)["apply"]

    def _note(self, gradients: Sequence[Any], variables: Sequence[Any]) -> None:
        """Say which are None, which is known when it is traced, and measure the others."""
        pairs = list(zip(gradients, variables, strict=True))
        self._say("watch-none", [v for gradient, v in pairs if gradient is None], all_of=False)
        known = [(gradient, v) for gradient, v in pairs if gradient is not None]
        if not known:
            return
        codes = tf.stack([_code(gradient) for gradient, _ in known])
        new = [v for _, v in known if not any(v is other for other in self._variables)]
        if new:
            self._variables += new
            self._codes = self._memory(len(self._variables))
        if self._codes is None:
            return
        places = [
            next(n for n, other in enumerate(self._variables) if other is v) for _, v in known
        ]
        # One of several optimizers leaves the codes of the others as they are.
        self._codes.assign(
            codes
            if len(places) == len(self._variables)
            else tf.tensor_scatter_nd_update(self._codes, [[n] for n in places], codes)
        )

    def _memory(self, size: int) -> tf.Variable:
        """A variable that a compiled, or a distributed, train function can write to."""
        with tf.init_scope():
            return tf.Variable(
                tf.zeros([size], tf.int32),
                trainable=False,
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            )

    def _look(self, codes: Any) -> None:
        is_scaled = any(_is_scaling(optimizer) for optimizer in _optimizers(self.model))
        zero = self._lasting("zero", [code == _ZERO for code in codes])
        lasting = self._lasting("not finite", [code == _NOT_FINITE for code in codes])
        wrong = [code == _NOT_FINITE for code in codes]
        if is_scaled:
            # The search for a scale takes some steps at the start.
            wrong = lasting if self._batch >= self.every else [False] * len(wrong)
        pairs = list(zip(self._variables, zero, wrong, strict=True))
        if "watch-not-finite" in self.said:
            return
        # The first alone: whether a NaN reaches the layers behind it is for the processor to say,
        # whose ReLU hands it on or makes zero of it.
        first = [v for v, _, is_wrong in pairs if is_wrong][:1]
        self._say("watch-not-finite", first, all_of=False)
        if not first:  # what is zero behind a NaN is so for that reason
            self._say("watch-zero", [v for v, is_zero, _ in pairs if is_zero], all_of=True)

    def _lasting(self, kind: str, flags: list[Any]) -> list[bool]:
        """Which have been so for so many looks in a row."""
        lasting = []
        for number, flag in enumerate(flags):
            count = self._rows.get((kind, number), 0) + 1 if flag else 0
            self._rows[kind, number] = count
            lasting.append(count >= IN_A_ROW)
        return lasting

    def _say(self, code: str, variables: Sequence[Any], *, all_of: bool) -> None:
        """Say it of the layers that it was not said of.

        Args:
            code: the code of the sentence.
            variables: those that it holds for.
            all_of: whether it must hold for all variables of a layer.
        """
        said = self.said.get(code, [])
        new = list(dict.fromkeys(_layer(variable) for variable in variables))
        if all_of:
            holds = {variable.path for variable in variables}
            rest = [v for v in self._variables if v.path not in holds]
            new = [name for name in new if name not in {_layer(v) for v in rest}]
        new = [name for name in new if name not in said]
        if new:
            self.said[code] = said + new
            names = wording.listing([f"'{name}'" for name in new])
            text = catalogue.said(code, layers=names, batch=self._batch)
            warnings.warn(text, stacklevel=2)


def _optimizers(model: Any) -> list[Any]:
    """The optimizers of a model: that of `compile`, and those a custom `train_step` uses."""
    held = [getattr(model, "optimizer", None), *vars(model).values()]
    found = {id(one): one for one in held if isinstance(one, keras.optimizers.Optimizer)}
    return list(found.values())


def _is_scaling(optimizer: Any) -> bool:
    return isinstance(optimizer, keras.optimizers.LossScaleOptimizer)


def _layer(variable: Any) -> str:
    return variable.path.rpartition("/")[0] or variable.name


def _code(gradient: Any) -> tf.Tensor:
    """0, or what is wrong with a gradient."""
    values = gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient
    size = tf.reduce_sum(tf.abs(tf.cast(values, tf.float32)))
    wrong = tf.where(tf.equal(size, 0.0), _ZERO, 0)
    return tf.where(tf.math.is_finite(size), wrong, _NOT_FINITE)
