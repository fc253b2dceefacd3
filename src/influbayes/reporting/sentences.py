"""Makes the statements of a study: sentences in plain words, each tied to its numbers and to the checks behind it.

Takes plain rows as they stand in results.json: effects, diagnostics, the terms of the model. Knows no draws: the text
of every statement can be written again from results.json alone (`write_texts`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from influbayes.effects.contrasts import MEAN_OF_LEVELS
from influbayes.gate.thresholds import UNDECIDED, band
from influbayes.reporting.judgements import Evidence, Judgement, StatementStatus, Topic, judge_statement
from influbayes.reporting.phrases import Fields, write_sentence
from influbayes.reporting.setting import Setting, read_setting

Row = Mapping[str, Any]
QUESTIONS = ("as_bought", "engagement_constant")


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One sentence with everything it rests on.

    `kind`: `headline, beats, step, best, expected_value, no_difference, disagreement, misfit, caveat`. `effects` are
    ids of the rows of the effects table behind it, those the text quotes among them. `claim` is the id of the claim
    whose `probability` is quoted, with its Monte Carlo error and bounds. `because` names the checks that touch the
    statement, `reasons` says in words why it is weakened or withheld.
    """

    id: str
    kind: str
    text: str
    effects: tuple[str, ...]
    probability: float | None
    mcse: float | None
    status: StatementStatus
    because: tuple[str, ...]
    reasons: tuple[str, ...] = ()
    question: str | None = None
    variable: str | None = None
    level: str | None = None
    reference: str | None = None
    step: float | None = None
    claim: str | None = None
    at_least: float | None = None
    at_most: float | None = None


def make_statements(
    claims: Sequence[Row], effects: Sequence[Row], *, evidence: Evidence, setting: Setting
) -> tuple[Statement, ...]:
    """Return every statement of a conversion study, the headlines first.

    Parameters
    ----------
    claims
        Rows with ``id, kind, question, variable, level, reference, step, effects, probability, mcse, at_least,
        at_most``.
    effects
        Rows of the effects table.
    evidence
        All diagnostics, and what the gate makes of them.
    setting
        The outcome and the terms of the model, for the words.
    """
    claims, effects = _put_in_order(claims), _put_in_order(effects)
    drafts = [
        *_draft_headlines(claims, setting),
        *_draft_claims(claims, setting),
        *_draft_expected_values(effects, setting),
        *_draft_no_differences(claims, setting),
        *_draft_disagreements(claims, effects, setting),
        *_draft_misfits(evidence, setting),
        {"id": "caveat/association", "kind": "caveat"},
    ]
    table = {row["id"]: row for row in effects}
    return tuple(_finish_statement(draft, table, evidence=evidence, setting=setting) for draft in drafts)


def _put_in_order(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: QUESTIONS.index(row["question"]))


def write_texts(results: Mapping[str, Any]) -> dict[str, str]:
    """Return statement id -> text, written from the rest of a results.json and from nothing else."""
    setting = read_setting(results["model"])
    table = {row["id"]: row for row in results["effects"]}
    return {row["id"]: write_sentence(row, table, setting=setting) for row in results["statements"]}


def _finish_statement(
    draft: Mapping[str, Any], table: Mapping[str, Row], *, evidence: Evidence, setting: Setting
) -> Statement:
    fields: dict[str, Any] = {**_EMPTY, **draft}
    claims = tuple(fields.pop("claims")) or tuple(filter(None, (fields["claim"],)))
    judgement = _judge_draft(fields, table, claims=claims, evidence=evidence)
    fields |= {"status": judgement.status, "because": judgement.because}
    kept = () if judgement.status == "withheld" else tuple(fields["reasons"])
    fields["reasons"] = kept + judgement.reasons
    return Statement(**{**fields, "text": write_sentence(fields, table, setting=setting)})


_EMPTY: dict[str, Any] = {
    **dict.fromkeys(
        ("question", "variable", "level", "reference", "step", "claim", "probability", "mcse", "at_least", "at_most")
    ),
    "effects": (),
    "reasons": (),
    "claims": (),
}


def _judge_draft(fields: Fields, table: Mapping[str, Row], *, claims: tuple[str, ...], evidence: Evidence) -> Judgement:
    names = ("kind", "question", "variable", "level", "reference")
    judgement = judge_statement(Topic(**{name: fields[name] for name in names}, claims=claims), evidence)
    if judgement.status != "withheld" and _lacks_numbers(fields, table):
        reason = "A number it would quote is missing or not finite."
        return Judgement(status="withheld", because=("draws_finite",), reasons=(reason,))
    return judgement


def _lacks_numbers(fields: Fields, table: Mapping[str, Row]) -> bool:
    # Fail-closed: an id that is not in the table, or a null number, leaves nothing to say.
    rows = [table.get(key) for key in fields["effects"]]
    broken = any(row is None or None in (row["estimate"], row["lower"], row["upper"]) for row in rows)
    return broken or (fields["claim"] is not None and fields["probability"] is None)


def _draft_headlines(claims: Sequence[Row], setting: Setting) -> Iterable[dict[str, Any]]:
    lead = find_lead(claims, setting=setting)
    for claim in claims:
        # Both questions speak of the same two levels, so that the two lines can be compared.
        if lead is not None and claim["kind"] == "beats" and _name_pair(claim) == _name_pair(lead):
            yield {**_draft_claim(claim), "id": f"{claim['question']}/headline", "kind": "headline"}


def _name_pair(claim: Row) -> tuple[str, str | None, str | None]:
    return claim["variable"], claim["level"], claim["reference"]


def find_lead(claims: Sequence[Row], *, setting: Setting) -> Row | None:
    """Return the claim the headline makes, as bought where that was asked.

    Of the first factor that has comparisons, the level with the highest probability of beating the reference: whether
    anything beats the reference is what is asked first. Ties go to the first level by name.
    """
    for question in QUESTIONS:
        rows = [row for row in claims if row["kind"] == "beats" and row["question"] == question]
        for factor in setting.list_factors(question, levels="all"):
            of_factor = [row for row in rows if row["variable"] == factor["variable"]]
            reference = factor["reference"] or MEAN_OF_LEVELS
            against = [row for row in of_factor if row["reference"] == reference] or of_factor
            if against:
                return min(against, key=lambda row: (-(row["probability"] or 0.0), row["level"] or ""))
    return None


def _draft_claim(claim: Row) -> dict[str, Any]:
    return {**{key: value for key, value in claim.items() if key in _EMPTY}, "claim": claim["id"]}


def _draft_claims(claims: Sequence[Row], setting: Setting) -> Iterable[dict[str, Any]]:
    for claim in claims:
        if claim["kind"] != "best":
            yield {**_draft_claim(claim), "id": claim["id"], "kind": claim["kind"]}
    for group in _group_claims(claims, "best").values():
        best = max(group, key=lambda row: row["probability"] or 0.0)
        yield {**_draft_claim(best), "id": best["id"], "kind": "best"}


def _group_claims(claims: Sequence[Row], kind: str) -> dict[tuple[str, str], list[Row]]:
    groups: dict[tuple[str, str], list[Row]] = {}
    for claim in claims:
        if claim["kind"] == kind:
            groups.setdefault((claim["question"], claim["variable"]), []).append(claim)
    return groups


def _draft_expected_values(effects: Sequence[Row], setting: Setting) -> Iterable[dict[str, Any]]:
    for row in effects:
        if row["estimand"] == "expected_value" and not setting.is_sample(row["variable"]):
            fields = {key: row[key] for key in ("id", "question", "variable", "level")}
            yield {**fields, "kind": "expected_value", "effects": (row["id"],)}


def _draft_no_differences(claims: Sequence[Row], setting: Setting) -> Iterable[dict[str, Any]]:
    for (question, variable), group in _group_claims(claims, "beats").items():
        bands = {None if row["probability"] is None else band(row["probability"]) for row in group}
        if bands == {UNDECIDED} and not setting.is_sample(variable):
            quoted = tuple(dict.fromkeys(key for row in group for key in row["effects"]))
            yield {
                "id": f"{question}/no_difference/{variable}",
                "kind": "no_difference",
                "question": question,
                "variable": variable,
                "effects": quoted,
                "claims": tuple(row["id"] for row in group),
            }


def _draft_disagreements(claims: Sequence[Row], effects: Sequence[Row], setting: Setting) -> Iterable[dict[str, Any]]:
    for factor in setting.list_factors("as_bought", levels="all"):
        variable = factor["variable"]
        orders = [rank_by_expectation(effects, question, variable) for question in QUESTIONS]
        levels = [[row["level"] for row in order] for order in orders]
        if all(levels) and levels[0] != levels[1] and set(levels[0]) == set(levels[1]):
            yield {
                "id": f"disagreement/{variable}",
                "kind": "disagreement",
                "variable": variable,
                "effects": (*(row["id"] for order in orders for row in order), *_list_steps(effects)),
                "claims": tuple(row["id"] for row in claims if row["variable"] == variable),
                "reasons": () if _differ_firmly(claims, variable) else (_NOT_FIRM,),
            }


def _list_steps(effects: Sequence[Row]) -> Iterable[str]:
    """Ids of what a step of each numeric is worth: what reverses an order is engagement that goes with purchases."""
    return [
        row["id"]
        for row in effects
        if (row["estimand"], row["question"]) == ("odds_ratio", "engagement_constant") and row["step"] is not None
    ]


_NOT_FIRM = "No pair of levels is told apart in opposite directions by the two questions, so chance may explain it."


def rank_by_expectation(effects: Sequence[Row], question: str, variable: str) -> list[Row]:
    """Return the expected-value rows of a variable under a question, the highest first."""
    rows = [
        row
        for row in effects
        if (row["estimand"], row["question"], row["variable"]) == ("expected_value", question, variable)
        and row["estimate"] is not None
    ]
    return sorted(rows, key=lambda row: (-row["estimate"], row["level"]))


def _differ_firmly(claims: Sequence[Row], variable: str) -> bool:
    sides: dict[tuple[str, str], set[int]] = {}
    for row in claims:
        if row["kind"] == "beats" and row["variable"] == variable and row["probability"] is not None:
            found = band(row["probability"])
            sides.setdefault((row["level"], row["reference"]), set()).add((found > UNDECIDED) - (found < UNDECIDED))
    return any({1, -1} <= found for found in sides.values())


def _draft_misfits(evidence: Evidence, setting: Setting) -> Iterable[dict[str, Any]]:
    for item in evidence.diagnostics:
        if item.name == "predictive_tenth" and item.consequence != "none":
            fields = {"question": item.question, "variable": item.subject, "reasons": (item.meaning,)}
            yield {"id": f"{item.question}/misfit/{item.subject}", "kind": "misfit", **fields}
