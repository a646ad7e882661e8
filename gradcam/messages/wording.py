"""How names, numbers and images are put into a sentence."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def suggestion(name: str, known: Iterable[str]) -> str:
    """A sentence with the names that are nearly `name`, or nothing.

    >>> suggestion("blok1", ["block1", "dense"])
    " Did you mean 'block1'?"
    >>> suggestion("zzz", ["block1"])
    ''
    """
    candidates = list(dict.fromkeys(known))
    lowered = {candidate.lower(): candidate for candidate in candidates}
    near = difflib.get_close_matches(name.lower(), lowered, n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(repr(lowered[n]) for n in near)}?" if near else ""


def listing(names: Sequence[object], limit: int = 40) -> str:
    """Names for a sentence, shortened in the middle where there are very many.

    >>> listing(["a", "b"])
    'a, b'
    >>> listing(list(range(100)), limit=4)
    '0, 1, ... (96 more) ..., 98, 99'
    """
    if len(names) <= limit:
        return ", ".join(map(str, names)) or "none"
    half = limit // 2
    shown = [*map(str, names[:half]), f"... ({len(names) - 2 * half} more) ..."]
    return ", ".join([*shown, *map(str, names[-half:])])


class Images(tuple[int, ...]):
    """Numbers of images, which a sentence says in words.

    >>> print(Images([0]), Images([1, 4]))
    image 0 images 1, 4
    """

    __slots__ = ()

    def __str__(self) -> str:
        return f"image{'s' if len(self) > 1 else ''} {listing(self, limit=10)}"


def counted(number: int, one: str, many: str) -> str:
    """A number with its noun.

    >>> counted(1, "class", "classes"), counted(3, "class", "classes")
    ('1 class', '3 classes')
    """
    return f"{number} {one if number == 1 else many}"


def indices(count: int) -> str:
    """The indices that an output of `count` values has.

    >>> indices(1), indices(3)
    ('0', '0 to 2')
    """
    return "0" if count == 1 else f"0 to {count - 1}"


def printable(text: object) -> str:
    r"""A name on one line of a terminal: control characters and bytes that are no UTF-8 escaped.

    >>> print(printable("two\nlines"), printable(b"caf\xe9.png".decode("utf-8", "surrogateescape")))
    two\nlines caf\xe9.png
    """
    return "".join(c if c.isprintable() else _escaped(c) for c in str(text))


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python holds a byte of a file name that it can't decode
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
