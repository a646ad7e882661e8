"""What is said under one code: its three parts, in each voice."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Voice(enum.Enum):
    """To whom a sentence speaks: what it advises is an argument in Python, an option here."""

    PYTHON = "python"
    TERMINAL = "terminal"


@dataclass(frozen=True)
class Words:
    """Three parts, each of whole sentences, with the names of facts in braces until they are filled.

    A fact that is empty leaves nothing behind, so optional hints carry their own leading space.

    Attributes:
        received: what was received, or found.
        expected: what was expected; empty where that goes without saying.
        fix: what to do; empty where nothing has to be done.
        terminal: the same in the terminal's voice; None where both say the same.

    >>> words = Words("{count} inputs.", "Expected one.", "Use input=.").in_terminal(fix="Use -i.")
    >>> print(words.filled({"count": 2}, Voice.PYTHON))
    2 inputs. Expected one. Use input=.
    >>> print(words.filled({"count": 2}, Voice.TERMINAL))
    2 inputs. Expected one. Use -i.
    """

    received: str
    expected: str = ""
    fix: str = ""
    terminal: Words | None = None

    def in_terminal(
        self, received: str | None = None, expected: str | None = None, fix: str | None = None
    ) -> Words:
        """The same words, with some parts of their own in the terminal."""
        own = Words(
            self.received if received is None else received,
            self.expected if expected is None else expected,
            self.fix if fix is None else fix,
        )
        return replace(self, terminal=own)

    def filled(self, facts: Mapping[str, object], voice: Voice) -> Words:
        """The three parts of one voice, filled with facts."""
        words = self.terminal if voice is Voice.TERMINAL and self.terminal else self
        return Words(
            words.received.format(**facts).rstrip(),
            words.expected.format(**facts).strip(),
            words.fix.format(**facts).strip(),
        )

    def __str__(self) -> str:
        return " ".join(filter(None, (self.received, self.expected, self.fix)))
