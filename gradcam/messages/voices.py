"""In whose words a sentence is said."""

import enum


class Voice(enum.Enum):
    """To whom a sentence speaks: what it advises is an argument there, and an option here."""

    PYTHON = "python"
    TERMINAL = "terminal"
