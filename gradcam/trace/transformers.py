"""Spatial transformers, recognised by their interface, and the theta that each call warps by.

Convention: what a call hands to `grid`, or to `warp` where there is one, is what it samples by. Where
it calls neither, it is what `theta` returned.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

INTERFACE = ("transform", "align_corners", "theta", "grid", "inverse_grid")


def is_transformer(operation: Any) -> bool:
    """Whether a layer warps images in a way that can be followed back: it has the interface."""
    return all(hasattr(operation, name) for name in INTERFACE)


@dataclass
class Thetas:
    """The thetas of one call.

    Attributes:
        regressed: what `theta` returned.
        sampled: what `grid` and `warp` were given.
    """

    regressed: list[Any] = field(default_factory=list)
    sampled: list[Any] = field(default_factory=list)

    @property
    def known(self) -> Any:
        """The theta that the images were warped by; None where that can't be told, or is several."""
        thetas = self.sampled or self.regressed
        return thetas[0] if len({id(theta) for theta in thetas}) == 1 else None


def watched(
    operation: Any, thetas_of: Callable[[Any], Thetas | None]
) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Methods of a transformer that keep the thetas which its `call` works with.

    Args:
        operation: the transformer.
        thetas_of: where to keep them: those of its call that runs in this moment, if it does.
    """
    yield "theta", _keeping_result(operation, operation.theta, thetas_of)
    for name, place in (("grid", 0), ("warp", 1)):
        if callable(method := getattr(operation, name, None)):
            yield name, _keeping_argument(operation, method, place, thetas_of)


def _keeping_result(
    operation: Any, method: Callable[..., Any], thetas_of: Callable[[Any], Thetas | None]
) -> Callable[..., Any]:
    def theta(*args: Any, **kwargs: Any) -> Any:
        result = method(*args, **kwargs)
        thetas = thetas_of(operation)
        if thetas is not None:
            thetas.regressed.append(result)
        return result

    return theta


def _keeping_argument(
    operation: Any,
    method: Callable[..., Any],
    place: int,
    thetas_of: Callable[[Any], Thetas | None],
) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        thetas = thetas_of(operation)
        if thetas is not None:
            given = args[place] if len(args) > place else kwargs.get("theta")
            thetas.sampled += [] if given is None else [given]
        return method(*args, **kwargs)

    return function
