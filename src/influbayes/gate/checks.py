"""Checks: numbers become verdicts. Fail-closed: not-a-number fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["pass", "warn", "fail", "not_assessed"]
Consequence = Literal["none", "words_added", "statement_withheld", "cell_withheld", "all_withheld"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One judged number (the columns of results.json).

    `name` is stable ("rhat", "ess_bulk", "divergences", "predictive_cell", "sensitivity", "separation", ...);
    `subject` is what it is about (a variable, a cell "Micro:US", an effect id, a prior); `meaning` is a sentence for
    the analyst.
    """

    name: str
    subject: str
    question: str
    status: Status
    value: float | None
    threshold: float | None
    consequence: Consequence
    meaning: str
