"""What the report shows of numbers and of the names of files."""

from __future__ import annotations

import math
from urllib.parse import quote


def url(path: str) -> str:
    r"""A relative path as a URL; a name that is no UTF-8 keeps its bytes.

    >>> url("report-files/50% #1?\udce9.jpg")
    'report-files/50%25%20%231%3F%E9.jpg'
    """
    return quote(path.encode("utf-8", "surrogateescape"))


def is_share(value: float) -> bool:
    """Whether a value can be a probability."""
    return 0.0 <= value <= 1.0


def number(value: float, percent: bool) -> str:
    """A predicted value, short enough for a table, and never rounded to a certainty.

    >>> number(0.934, percent=True), number(0.9999, percent=True), number(0.0002, percent=True)
    ('93.4%', '>99.9%', '<0.1%')
    >>> number(-3.14159, percent=False)
    '-3.14'
    """
    if not percent:
        return f"{value:.3g}"
    if 0.9995 <= value < 1:
        return ">99.9%"
    return "<0.1%" if 0 < value < 0.0005 else f"{value:.1%}"


def width(value: float, largest: float) -> str:
    """The length of a bar, from 0 to 100.

    >>> width(0.5, 1.0), width(float("nan"), 1.0)
    ('50', '0')
    """
    share = abs(value) / largest if largest else 0.0
    return f"{100 * share:.4g}" if math.isfinite(share) else "0"
