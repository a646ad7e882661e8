"""What the report shows of names and numbers, which may hold anything."""

from __future__ import annotations

import math
import unicodedata
from urllib.parse import quote

_TURNING = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}
_UNSEEN = {"Cc", "Cs", "Zl", "Zp"}
_WRITTEN = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def shown(text: object) -> str:
    r"""Text with everything visible: bytes that are no UTF-8, line breaks and what turns the text around.

    >>> print(shown("caf\udce9.jpg"), shown("two\nlines"), shown("cat\u202egpj.exe"))
    caf\xe9.jpg two\nlines cat\u202egpj.exe
    """
    return "".join(_visible(letter) for letter in str(text))


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
    """A predicted value, short enough for a table.

    >>> number(0.934, percent=True), number(-3.14159, percent=False)
    ('93.4%', '-3.14')
    """
    return f"{value:.1%}" if percent else f"{value:.3g}"


def width(value: float, largest: float) -> str:
    """The length of a bar, from 0 to 100.

    >>> width(0.5, 1.0), width(float("nan"), 1.0)
    ('50', '0')
    """
    share = abs(value) / largest if largest else 0.0
    return f"{100 * share:.4g}" if math.isfinite(share) else "0"


def _visible(letter: str) -> str:
    if letter.isprintable():
        return letter
    if letter in _WRITTEN:
        return _WRITTEN[letter]
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # how Python reads a byte of a file name that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    is_turning = unicodedata.bidirectional(letter) in _TURNING
    if is_turning or unicodedata.category(letter) in _UNSEEN:
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    return letter
