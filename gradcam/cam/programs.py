"""Traced programs that are kept for the next question of their kind."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from gradcam.cam.program import Program, traced
from gradcam.errors import ModelError
from gradcam.trace import private_keras, recorder

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradcam.cam.question import Question
    from gradcam.cam.settings import Settings
    from gradcam.trace.sources import Source

# Programs kept: enough for a few image sizes and kinds of targets, few enough to bound the memory
# where every call brings a new function as its target.
PROGRAMS_KEPT = 16
_SMALL = 65536  # bytes of an array whose numbers are compared


class Programs:
    """The programs of one model that were used last.

    Args:
        state: what of the model beside its weights is built into a trace, as a key.
    """

    def __init__(self, state: Any = None) -> None:
        self._programs: OrderedDict[Any, Program] = OrderedDict()
        self._lock = threading.RLock()
        self._fixes_batch = False
        self.state = state

    def __len__(self) -> int:
        return len(self._programs)

    def get(
        self, source: Source, settings: Settings, question: Question, kind: Any, rows: int | None
    ) -> Program:
        """The program for a kind of question, traced now if there is none.

        Args:
            source: the model.
            settings: what was asked for.
            question: a question of the kind.
            kind: its key.
            rows: the size of all batches, where the model takes no other.
        """
        with self._lock:
            size = len(question.batch) if self._fixes_batch else rows
            program = self._programs.get((settings, kind, size))
            if program is None:
                program, size = self._traced(source, settings, question, size)
                self._programs[settings, kind, size] = program
                while len(self._programs) > PROGRAMS_KEPT:
                    self._programs.popitem(last=False)
            self._programs.move_to_end((settings, kind, size))
            return program

    def _traced(
        self, source: Source, settings: Settings, question: Question, size: int | None
    ) -> tuple[Program, int | None]:
        try:
            return traced(source, settings, question, rows=size), size
        except ModelError as error:
            # A `call` that computes with the size of the batch needs to know it.
            if error.code != "cannot-run" or size is not None:
                raise
            size = len(question.batch)
            program = traced(source, settings, question, rows=size)
            self._fixes_batch = True
            return program, size


_kept: weakref.WeakKeyDictionary[Any, Programs] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def kept_with(model: Any) -> Programs:
    """The programs that are kept as long as a model lives, and stays as it is but for its weights."""
    state = _state(model)
    with _lock:
        programs = _kept.get(model)
        if programs is None or programs.state != state:
            programs = _kept[model] = Programs(state)
        return programs


def _state(model: Any) -> Any:
    """What decides how a model computes, beside its weights: the attributes of its layers.

    Values are told apart by identity, so an attribute that is set anew counts as changed, and what
    lies in a list or dict of the layer, and the numbers of a small array. What an object of one's own
    holds, or a global, isn't looked at.
    """
    if not isinstance(model, keras.Model):
        return None
    ignored = private_keras.bookkeeping()
    return tuple(
        (_Same(operation), _attributes(operation, ignored))
        for operation in recorder.operations_of(model)
    )


def _attributes(operation: Any, ignored: frozenset[str]) -> tuple[Any, ...]:
    return tuple(
        (name, _identity(value))
        for name, value in list(vars(operation).items())  # another thread may be setting one
        if name not in ignored and not name.startswith("_self_")
    )


def _identity(value: Any, *, entries: bool = True) -> Any:
    if isinstance(value, bool | int | float | str | bytes | type(None)):
        return type(value), value
    if entries and isinstance(value, list | tuple):
        return type(value), tuple(_identity(entry, entries=False) for entry in value)
    if entries and isinstance(value, dict):
        items = list(value.items())
        return dict, tuple((_Same(key), _identity(held, entries=False)) for key, held in items)
    if isinstance(value, np.ndarray) and value.nbytes <= _SMALL and not value.dtype.hasobject:
        return value.shape, value.dtype.str, value.tobytes()
    return _Same(value)


class _Same:
    """Equal to another of the same object, as long as that lives: its id may be given again."""

    def __init__(self, value: Any) -> None:
        self._value: Callable[[], Any]
        try:
            self._value = weakref.ref(value)
        except TypeError:  # such as a dict
            self._value = lambda: value

    def __eq__(self, other: object) -> bool:
        value = self._value()  # None where it is gone
        return isinstance(other, _Same) and value is not None and value is other._value()

    __hash__ = None  # type: ignore[assignment]
