"""A module that is imported when it is first used."""

from __future__ import annotations

import importlib
from typing import Any


class LazyModule:
    """Stands in for a module that takes seconds to import, until one of its names is needed.

    >>> LazyModule("math").sqrt(4)
    2.0
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self._name), name)
