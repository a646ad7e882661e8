"""What a diagnosis is: findings, the gradients behind them, and how both are shown."""

from __future__ import annotations

import json
import math
import textwrap
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from gradcam.messages import catalogue
from gradcam.messages.words import Voice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gradcam.errors import GradCamError

# The most serious first; the exit status of `gradcam doctor` where that is the worst.
SEVERITIES = {"error": 4, "warning": 1, "note": 0}
WIDTH = 80
ROWS_SHOWN = 12
_SHOWN = ("code", "severity", "where", "message", "fix")
# What follows from a cause, by the beginnings of the codes.
_CONSEQUENCES = {
    # Noise of our own says nothing of the images that the model is for.
    "input-made-up": ("input-range", "forward-constant"),
    "non-finite-images": (
        "non-finite-",
        "forward-",
        "gradient-zero",
        "gradient-dead",
        "weights-zero",
        "weights-nan",
        "explain-",
        "transformer-",
    ),
    "non-finite-weights": (
        "non-finite-gradients",
        "forward-",
        "gradient-",
        "weights-zero",
        "weights-nan",
        "weights-scale",
        "explain-",
        "transformer-",
    ),
    "non-finite-activations": (
        "non-finite-gradients",
        "gradient-zero",
        "gradient-dead",
        "weights-zero",
        "weights-nan",
        "explain-",
    ),
    "forward-dead": ("gradient-dead-relu", "gradient-zero", "forward-constant"),
    "transformer-constant": (
        "transformer-no-gradient",
        "forward-constant",
        "forward-dead",
        "gradient-",
        "weights-zero",
        "explain-",
    ),
    "transformer-black": (
        "transformer-outside",
        "transformer-shrunk",
        "transformer-no-gradient",
        "forward-constant",
        "forward-dead",
        "gradient-",
        "weights-zero",
        "explain-",
    ),
    "weights-nan": ("weights-scale",),
    "input-range": ("forward-constant",),
    "input-range-scaled-twice": ("forward-constant",),
    "transformer-nearest": ("gradient-zero",),
    "loss-expects-probabilities": ("weights-zero", "weights-scale"),
    "forward-independent": ("forward-constant", "weights-zero", "gradient-", "explain-"),
}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or worth knowing.

    Attributes:
        code: a stable name, such as `"blocked-gradient"`; an error of `explain` has the same.
        severity: `"error"`, `"warning"` or `"note"`.
        where: the path of a layer, an operation, a variable, or `"images"`.
        message: what was measured and what it means.
        fix: what to do, with a line of code where one helps.
        facts: what fills the sentences.
        wording: the code whose sentence the message is, where it isn't that of `code`.
    """

    code: str
    severity: str
    where: str
    message: str
    fix: str
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    wording: str = field(default="", repr=False, compare=False)

    def said(self, voice: Voice) -> Finding:
        """The same in another voice."""
        message, fix = _sentences(self.code, self.wording, voice, self.facts)
        return replace(self, message=message, fix=fix)


@dataclass(frozen=True)
class LayerGradient:
    """The target's gradient at the output of one layer on the way.

    Attributes:
        path: the layer.
        norm: its Euclidean norm over all images; None where there is no gradient.
        zeros: the share of its numbers that are exactly zero; None where there is no gradient.
    """

    path: str
    norm: float | None
    zeros: float | None


@dataclass(frozen=True)
class Diagnosis:
    """What `gradcam.diagnose` found, the most serious first.

    Attributes:
        findings: errors, then warnings, then notes; each kind in the order of the data's way
            through the model.
        gradients: the target's gradient at each layer on the way, from the inputs to the output.
        model: the name of the model.
        target: what the gradients are those of, in words.

    >>> diagnosis = Diagnosis((finding("images-empty", "error", "images", shape=(0, 8, 8, 3)),))
    >>> diagnosis.exit_status
    4
    >>> print(diagnosis)  # doctest: +ELLIPSIS
    1 error
    <BLANKLINE>
    ERROR images-empty at images
      Received no image: shape (0, 8, 8, 3). Expected at least one.
      Fix: Check the batch.
    <BLANKLINE>
    What to do first
      images: Check the batch.
    """

    findings: tuple[Finding, ...]
    gradients: tuple[LayerGradient, ...] = ()
    model: str = ""
    target: str = ""

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What keeps the model from running, learning or being explained."""
        return self._of("error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What is most likely a mistake."""
        return self._of("warning")

    @property
    def notes(self) -> tuple[Finding, ...]:
        """What is worth knowing, or could not be looked at."""
        return self._of("note")

    @property
    def exit_status(self) -> int:
        """0 where the model is healthy, 1 with warnings, 4 with errors."""
        return max((SEVERITIES[finding.severity] for finding in self.findings), default=0)

    def said(self, voice: Voice) -> Diagnosis:
        """The same in another voice: the command's, whose advice are its options."""
        return replace(self, findings=tuple(one.said(voice) for one in self.findings))

    def to_json(self) -> str:
        """Everything as JSON, with `"schema": 1` and the `"exit_status"`."""
        gradients = [asdict(one) for one in self.gradients]
        for row in gradients:
            if row["norm"] is not None and not math.isfinite(row["norm"]):
                row["norm"] = str(row["norm"])  # JSON has no number for it
        known = {
            "schema": 1,
            "exit_status": self.exit_status,
            "findings": [{name: getattr(one, name) for name in _SHOWN} for one in self.findings],
            "gradients": gradients,
            "model": self.model,
            "target": self.target,
        }
        return json.dumps(known, indent=2, allow_nan=False)

    def __str__(self) -> str:
        parts = [_headline(self)]
        parts += [_paragraph(finding) for finding in self.findings]
        if self.gradients:
            parts.append(_table(self.gradients, self.target))
        parts.append("What to do first\n" + _indented(_first_step(self.findings)))
        return "\n\n".join(parts)

    def _of(self, severity: str) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == severity)


def finding(code: str, severity: str, where: str, /, **facts: Any) -> Finding:
    """The finding of a code, filled with facts."""
    return _finding(code, "", severity, where, facts)


def reworded(code: str, text: str, severity: str, where: str, /, **facts: Any) -> Finding:
    """The finding of an error's code, with its fix, but a sentence of its own: that of `text`."""
    return _finding(code, text, severity, where, facts)


def from_error(error: GradCamError, where: str, severity: str = "error") -> Finding:
    """The finding that an error of `explain` stands for; the error ends in its fix."""
    return _finding(error.code, "", severity, where, error.facts)


def _finding(
    code: str, wording: str, severity: str, where: str, facts: Mapping[str, Any]
) -> Finding:
    message, fix = _sentences(code, wording, Voice.PYTHON, facts)
    return Finding(code, severity, where, message, fix, facts, wording)


def _sentences(code: str, wording: str, voice: Voice, facts: Mapping[str, Any]) -> tuple[str, str]:
    """The message and the fix; where they are of two codes, the fix is that of the first."""
    message = replace(catalogue.words(wording or code, voice, **facts), fix="")
    return str(message), catalogue.words(code, voice, **facts).fix


def ordered(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """The most serious first, otherwise as they come, without doubles."""
    unique = list(dict.fromkeys(found))
    return tuple(sorted(unique, key=lambda one: -SEVERITIES[one.severity]))


def without_consequences(found: Sequence[Finding]) -> list[Finding]:
    """The findings without those that follow from another.

    >>> dead = Finding("forward-dead", "error", "relu", "", "")
    >>> follows = Finding("gradient-dead-relu", "error", "relu", "", "")
    >>> [one.code for one in without_consequences([dead, follows])]
    ['forward-dead']
    """
    kept = list(found)
    for cause, consequences in _CONSEQUENCES.items():
        if any(one.code == cause for one in kept):
            kept = [
                one for one in kept if one.code == cause or not one.code.startswith(consequences)
            ]
    return kept


def _headline(diagnosis: Diagnosis) -> str:
    counts = [
        f"{len(of_kind)} {name}{'s' if len(of_kind) > 1 else ''}"
        for name, of_kind in (
            ("error", diagnosis.errors),
            ("warning", diagnosis.warnings),
            ("note", diagnosis.notes),
        )
        if of_kind
    ]
    who = f"{diagnosis.model}: " if diagnosis.model else ""
    return who + (", ".join(counts) or "nothing is wrong")


def _paragraph(one: Finding) -> str:
    head = f"{one.severity.upper()} {one.code} at {one.where}"
    return f"{head}\n{_indented(one.message)}\n{_indented('Fix: ' + one.fix)}"


def _first_step(found: Sequence[Finding]) -> str:
    serious = next((one for one in found if SEVERITIES[one.severity] > 0), None)
    if serious is None:
        return "Nothing has to be done."
    return f"{serious.where}: {serious.fix}"


def _indented(text: str) -> str:
    """Wrapped at 80 columns, two spaces in; lines of code, four spaces in already, stay whole."""
    lines = []
    for line in text.split("\n"):
        if line.startswith("    "):
            lines.append("  " + line)
        else:
            lines += textwrap.wrap(
                line,
                WIDTH,
                initial_indent="  ",
                subsequent_indent="  ",
                break_long_words=False,
                break_on_hyphens=False,
            )
    return "\n".join(lines)


def _table(gradients: Sequence[LayerGradient], target: str) -> str:
    rows = list(gradients)
    if len(rows) > ROWS_SHOWN:
        step = (len(rows) - 1) / (ROWS_SHOWN - 1)
        rows = [rows[round(number * step)] for number in range(ROWS_SHOWN)]
    shown = f", {len(rows)} of {len(gradients)} layers" if len(rows) < len(gradients) else ""
    lines = [f"Gradient of {target} at the layers on its way{shown}"]
    lines.append(f"  {'layer':<50} {'norm':>12} {'zeros':>10}")
    for row in rows:
        norm = "None" if row.norm is None else f"{row.norm:.3g}"
        zeros = "" if row.zeros is None else f"{row.zeros:.0%}"
        name = row.path if len(row.path) <= 50 else f"...{row.path[-47:]}"
        lines.append(f"  {name:<50} {norm:>12} {zeros:>10}")
    return "\n".join(lines)
