"""The command `gradcam`: its parser, and the outermost frame around every subcommand.

Nothing here imports TensorFlow, NumPy or OpenCV: help, version and wrong usage answer at once.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
import traceback
import warnings
from typing import TYPE_CHECKING, Any, NoReturn

from gradcam import __version__
from gradcam.command import terminal, time_limit
from gradcam.command.model import foreign
from gradcam.errors import GradCamError
from gradcam.messages import catalogue, wording
from gradcam.messages.words import Voice

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = (
    "explain",
    "layers",
    "methods",
    "doctor",
    "demo",
)
"""The modules of `gradcam.command`, in the order in which help lists them."""

BUG, WRONG, DISK_FULL, INTERRUPTED, PIPE_CLOSED = 1, 2, 5, 130, 141


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence, with what may have been meant."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where help is; exit with 2."""
        terminal.say_error(f"Wrong usage: {message}. See {self.prog} --help.")
        raise SystemExit(WRONG)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status.

    Args:
        arguments: what follows the name of the command; None takes those of the process.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    foreign.forget()
    try:
        return _run(given, debug)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else WRONG
    except KeyboardInterrupt:
        terminal.say("Interrupted.")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has gone. Python would complain once more when it flushes.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except Exception as error:  # noqa: BLE001 - the outermost frame: no traceback but with --debug
        blamed = foreign.blame(error)
        if blamed is not None:
            return _said(str(blamed.words(Voice.TERMINAL)), debug, WRONG)
        facts = {"kind": type(error).__name__, "reason": error}
        return _said(catalogue.said("unexpected", Voice.TERMINAL, **facts), debug, BUG)


def _run(given: Sequence[str], debug: bool) -> int:
    """Run a subcommand; what a user can cause becomes a sentence."""
    try:
        name = _command(given)
        command = importlib.import_module(f"gradcam.command.{name}")
        options = _options(command, name, given[1:])
        # The command hides the warnings of libraries.
        with time_limit.within(options.timeout), warnings.catch_warnings():
            return int(command.run(options))
    except GradCamError as error:
        status = DISK_FULL if error.code == "out-full" else WRONG
        return _said(str(error.words(Voice.TERMINAL)), debug, status)
    except BrokenPipeError:
        raise
    except OSError as error:
        return _said(catalogue.said("system-refused", Voice.TERMINAL, reason=error), debug, WRONG)


def _said(sentence: str, debug: bool, status: int) -> int:
    """Print an error, and where it comes from if that was asked for."""
    terminal.say_error(sentence)
    if debug:
        traceback.print_exc()
    return status


def _command(given: Sequence[str]) -> str:
    """The name of the subcommand; help, version and wrong names end here."""
    parser = Parser(
        prog="gradcam",
        description="Shows where a Keras model looked.",
        usage="gradcam COMMAND [OPTIONS]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_epilog(given),
        add_help=True,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"gradcam {__version__}")
    if given and given[0] in COMMANDS:
        return given[0]
    names = wording.listing(COMMANDS)
    if given and not given[0].startswith("-"):
        hint = wording.suggestion(given[0], COMMANDS)
        raise GradCamError("command-unknown", name=given[0], names=names, hint=hint)
    _, rest = parser.parse_known_args(given)
    raise GradCamError("command-missing", received=" ".join(rest) or "no command", names=names)


def _epilog(given: Sequence[str]) -> str:
    """The list of commands, read from their modules only where help is asked for."""
    if not {"-h", "--help"} & set(given[:1]):
        return ""
    lines = ["commands:"]
    for name in COMMANDS:
        summary = importlib.import_module(f"gradcam.command.{name}").SUMMARY
        lines.append(f"  {name:9} {summary}")
    return "\n".join([*lines, "", "gradcam COMMAND --help shows the options of a command."])


def _options(command: Any, name: str, given: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        prog=f"gradcam {name}",
        description=command.__doc__,
        usage=getattr(command, "USAGE", None),
        epilog=getattr(command, "EXAMPLES", None),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_arguments(parser)
    time_limit.add_argument(parser)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    # What follows -- is a name, however it begins; argparse forgets that where both are mixed.
    end = given.index("--") if "--" in given else len(given)
    names = given[end + 1 :]
    options, unknown = parser.parse_known_intermixed_args(given[:end])
    if hasattr(options, "photos"):
        options.photos = [*options.photos, *names]
    else:
        unknown += names
    if unknown:
        known = [text for action in parser._actions for text in action.option_strings]
        text = unknown[0].partition("=")[0]
        hint = wording.suggestion(text, known)
        if os.path.lexists(unknown[0]):
            hint = f" The file of that name is written ./{wording.printable(unknown[0])}."
        name = wording.printable(text)
        raise GradCamError("flag-unknown", name=name, hint=hint, command=parser.prog)
    return options
