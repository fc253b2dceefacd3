"""Makes the judgement on one statement: may it be said, said more weakly, or is it withheld, and why.

Takes the verdicts of the gate and what a statement is about. Judges no number itself and knows no wording.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from influbayes.effects.estimands import Claim, Effect
from influbayes.gate.checks import (
    REQUIRED,
    Diagnostic,
    Verdict,
    decide_verdict,
    list_withheld_cells,
    list_withheld_claims,
)

StatementStatus = Literal["stated", "weakened", "withheld"]

_SIZES = frozenset({"headline", "beats", "step", "expected_value"})
_QUOTING = frozenset({"headline", "beats", "step", "best"})
_OF_CELLS = frozenset({"expected_value", "rank", "probability_best"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """What a statement is about; `claims` are the ids of the claims it rests on (the one it quotes first)."""

    kind: str
    question: str | None = None
    variable: str | None = None
    level: str | None = None
    reference: str | None = None
    claims: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """`because` holds the names of the checks that touch the statement, `reasons` why it is weakened or withheld."""

    status: StatementStatus
    because: tuple[str, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All diagnostics and what the gate makes of them.

    `claims` id -> names of the checks that withhold it; `cells` question -> cell -> names of the checks.
    """

    diagnostics: tuple[Diagnostic, ...]
    verdict: Verdict
    claims: Mapping[str, tuple[str, ...]]
    cells: Mapping[str, Mapping[str, tuple[str, ...]]]


def gather_evidence(diagnostics: Sequence[Diagnostic], claims: Sequence[Claim]) -> Evidence:
    """Ask the gate about all diagnostics and claims of a study."""
    questions = dict.fromkeys(item.question for item in diagnostics)
    return Evidence(
        diagnostics=tuple(diagnostics),
        verdict=decide_verdict(diagnostics),
        claims=list_withheld_claims(diagnostics, claims),
        cells={question: list_withheld_cells(diagnostics, question=question) for question in questions},
    )


def judge_statement(topic: Topic, evidence: Evidence) -> Judgement:
    """Return whether a statement may be made: withheld if any check says so, else weakened, else stated.

    Checks that only add words ("this size rests on the prior") are named in `because` and leave the statement standing.
    """
    if evidence.verdict.status == "withheld":
        return _withhold_all(evidence)
    withheld = _list_withholding(topic, evidence)
    if withheld:
        return _make_judgement("withheld", withheld, reasons=withheld)
    weakening = [item for item in evidence.diagnostics if _weakens(topic, item)]
    adding = [item for item in evidence.diagnostics if _adds_words(topic, item)]
    return _make_judgement("weakened" if weakening else "stated", [*weakening, *adding], reasons=weakening)


def list_withheld_effects(effects: Iterable[Effect], evidence: Evidence) -> list[str]:
    """Return the ids of rows of the effects table that may not be shown: all of them, or those of misfitted cells."""
    everything = evidence.verdict.status == "withheld"
    return [row.id for row in effects if everything or _is_misfitted(row, evidence)]


def _is_misfitted(row: Effect, evidence: Evidence) -> bool:
    return row.estimand in _OF_CELLS and row.level in evidence.cells.get(row.question, {})


def _withhold_all(evidence: Evidence) -> Judgement:
    fatal = [item.name for item in evidence.diagnostics if item.consequence == "all_withheld"]
    because = tuple(dict.fromkeys(fatal)) or REQUIRED
    return Judgement(status="withheld", because=because, reasons=evidence.verdict.reasons)


def _list_withholding(topic: Topic, evidence: Evidence) -> list[Diagnostic]:
    names = {name for claim in topic.claims for name in evidence.claims.get(claim, ())}
    if topic.kind == "expected_value" and topic.level is not None and topic.question is not None:
        names |= set(evidence.cells.get(topic.question, {}).get(topic.level, ()))
    subjects = {*topic.claims, topic.variable, topic.level}
    return [
        item
        for item in evidence.diagnostics
        if item.name in names
        and item.consequence in ("statement_withheld", "cell_withheld")
        and topic.question in (None, item.question)
        and (item.subject in subjects or item.name in ("predictive_creators", "predictive_rows"))
    ]


def _weakens(topic: Topic, item: Diagnostic) -> bool:
    if topic.kind not in _QUOTING or item.name != "probability_error":
        return False
    return item.consequence == "words_added" and item.subject in topic.claims


def _adds_words(topic: Topic, item: Diagnostic) -> bool:
    if item.consequence != "words_added" or topic.kind not in _SIZES or item.question != topic.question:
        return False
    if item.name not in ("separation", "few_rows"):
        return False
    # A check about one level ("Influencer_Tier:Mid") touches sentences with that level; any other touches all.
    of_level, mine = item.subject.partition(":")[1] != "", {f"{topic.variable}:{topic.level}"}
    mine.add(f"{topic.variable}:{topic.reference}")
    return item.subject in mine or not of_level


def _make_judgement(
    status: StatementStatus, items: Sequence[Diagnostic], *, reasons: Sequence[Diagnostic]
) -> Judgement:
    return Judgement(
        status=status,
        because=tuple(dict.fromkeys(item.name for item in items)),
        reasons=tuple(dict.fromkeys(item.meaning for item in reasons)),
    )
