"""What a judged number is, and how all of them together decide what may be said.

Takes diagnostics and claims, gives the verdict and the lists of what is withheld. Fail-closed: a check that did not run
withholds like one that failed. Knows no model and judges no number itself (see convergence, wording, adequacy).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal

from influbayes.effects.estimands import Claim

Status = Literal["pass", "warn", "fail", "not_assessed"]
Consequence = Literal["none", "words_added", "statement_withheld", "cell_withheld", "all_withheld"]
VerdictStatus = Literal["ok", "partly_withheld", "withheld"]

REQUIRED = ("draws_complete", "draws_finite", "rhat", "ess_bulk", "ess_tail")
"""Checks without which nothing is reported for a question."""

_SAMPLER_FAILED: Literal[4] = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One judged number (the columns of results.json).

    `name` is stable ("rhat", "ess_bulk", "divergences", "predictive_cell", "sensitivity", "separation", ...);
    `subject` is what it is about (a variable, a cell "Micro:US", an effect id, a prior); `value` is None where it is
    not a finite number; `meaning` is a sentence or two for the analyst.
    """

    name: str
    subject: str
    question: str
    status: Status
    value: float | None
    threshold: float | None
    consequence: Consequence
    meaning: str


_PARTIAL = ("statement_withheld", "cell_withheld")
_FEW = 2
_MANY = {
    "sensitivity": "{} statements are withheld because halving or doubling the scale of a prior changes what they say.",
    "predictive_cell": "{} cells are withheld because the model does not predict their conversions.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What all checks together allow: `exit_code` 4 where everything is withheld, else 0; `reasons` are sentences."""

    status: VerdictStatus
    exit_code: Literal[0, 4]
    reasons: tuple[str, ...]


def decide_verdict(diagnostics: Sequence[Diagnostic]) -> Verdict:
    """Decide what may be said after all checks of all questions.

    Parameters
    ----------
    diagnostics : sequence of Diagnostic
        Of every question. Each question must have been judged for every name in `REQUIRED`.

    Returns
    -------
    Verdict
        `withheld` (exit 4) where a check withholds everything or a required check did not run; `partly_withheld` (exit
        0) where a statement or cell is withheld; else `ok`. `reasons` are the meanings of the checks responsible;
        several statements withheld by one check are counted in one sentence.
    """
    missing = _list_missing(diagnostics)
    fatal = _meanings(diagnostics, "all_withheld")
    if missing or fatal:
        return Verdict(status="withheld", exit_code=_SAMPLER_FAILED, reasons=(*missing, *fatal))
    partial = _count_alike([item for item in diagnostics if item.consequence in _PARTIAL])
    return Verdict(status="partly_withheld" if partial else "ok", exit_code=0, reasons=partial)


def list_withheld_claims(diagnostics: Sequence[Diagnostic], claims: Iterable[Claim]) -> Mapping[str, tuple[str, ...]]:
    """Return claim id -> names of the checks that withhold it; a claim that may be made is absent."""
    found = {claim.id: _list_causes(diagnostics, claim) for claim in claims}
    return {identity: names for identity, names in found.items() if names}


def list_withheld_cells(diagnostics: Iterable[Diagnostic], *, question: str) -> Mapping[str, tuple[str, ...]]:
    """Return cell ("Micro:US", or "Micro" where the model has one factor) -> names of the checks that withhold it."""
    hit = [item for item in diagnostics if item.consequence == "cell_withheld" and item.question == question]
    return {cell: _names(item for item in hit if item.subject == cell) for cell in {item.subject: None for item in hit}}


def finite_or_none(value: float) -> float | None:
    """Return `value`, or None where it is not a finite number: results.json holds no NaN."""
    return float(value) if isfinite(value) else None


def _list_missing(diagnostics: Sequence[Diagnostic]) -> tuple[str, ...]:
    """Name the required checks that did not run, question by question."""
    questions = {item.question: None for item in diagnostics}
    if not questions:
        return ("No check was run, so nothing is reported.",)
    ran = {(item.question, item.name) for item in diagnostics if item.status != "not_assessed"}
    return tuple(
        f"The check {name} was not run for the question {question}, so nothing is reported."
        for question in questions
        for name in REQUIRED
        if (question, name) not in ran
    )


def _meanings(diagnostics: Iterable[Diagnostic], *consequences: Consequence) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item.meaning for item in diagnostics if item.consequence in consequences))


def _count_alike(withholding: Sequence[Diagnostic]) -> tuple[str, ...]:
    """Return the meanings, with those of a check that hits more than two statements taken together."""
    shown: dict[str, None] = {}
    for item in withholding:
        alike = sum(other.name == item.name for other in withholding)
        words = _MANY.get(item.name) if alike > _FEW else None
        shown[words.format(alike) if words else item.meaning] = None
    return tuple(shown)


def _list_causes(diagnostics: Sequence[Diagnostic], claim: Claim) -> tuple[str, ...]:
    causes = _names(item for item in diagnostics if _withholds(item, claim))
    return causes or (REQUIRED if _list_missing(diagnostics) else ())


def _names(diagnostics: Iterable[Diagnostic]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item.name for item in diagnostics))


def _withholds(item: Diagnostic, claim: Claim) -> bool:
    if item.consequence == "all_withheld":
        return True
    if item.consequence != "statement_withheld" or item.question != claim.question:
        return False
    if item.name == "predictive_tenth":
        return claim.kind == "step" and item.subject == claim.variable
    if item.name == "predictive_creators":
        # Tier and region belong to the creator: only their contrasts count posts of one creator as separate evidence.
        return claim.kind in ("beats", "best")
    if item.name == "predictive_rows":
        return claim.kind in ("beats", "best", "step")
    return item.subject == claim.id
