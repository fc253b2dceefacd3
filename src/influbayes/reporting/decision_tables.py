"""Choices as plain data: the rows of `decisions` in results.json.

Takes finished choices; computes none. Every decision has `kind, inputs, rows, effects, sentences`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import exp
from typing import Any

from influbayes.decisions.options import Options
from influbayes.decisions.plan import Plan
from influbayes.decisions.premium import PairPremium, Premium
from influbayes.decisions.study import Choices
from influbayes.decisions.values import Amounts, describe_amounts
from influbayes.effects.contrasts import MEAN_OF_LEVELS
from influbayes.effects.estimands import Effect
from influbayes.reporting.decision_words import write_sentences
from influbayes.reporting.plain import make_plain
from influbayes.reporting.wording import name_column, strip_controls

Pairs = Mapping[tuple[str, str], str]


def make_decision(
    kind: str,
    *,
    inputs: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    effects: Sequence[str] = (),
    withheld: bool = False,
) -> dict[str, Any]:
    """Return one decision as plain data, with its sentences; numbers that are not finite become None."""
    plain, _ = make_plain({"kind": kind, "inputs": dict(inputs), "rows": list(rows), "effects": list(effects)})
    return {**plain, "sentences": [strip_controls(text) for text in write_sentences(plain, withheld=withheld)]}


def describe_plan(plan: Plan, *, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan as a decision of kind `plan`."""
    whole = ("unit", "risk", "budget", "spent", "objective", "mean", "cvar", "lower", "upper", "conversions", "gap")
    numbers = {name: getattr(plan, name) for name in whole}
    return make_decision(
        "plan",
        inputs={
            "prob": 0.9,
            **inputs,
            **numbers,
            "beats_last": None if plan.beats_last is None else plan.beats_last.value,
            "reaches_target": plan.reaches_target,
            "bindings": [asdict(row) for row in plan.bindings],
        },
        rows=[asdict(line) for line in plan.lines],
    )


# --- the choices of a study ------------------------------------------------------------------------------------------


def describe_choices(
    choices: Choices,
    *,
    references: Mapping[str, str | None],
    prob: float,
    sort: Callable[[Sequence[Mapping[str, Any]]], list[Any]] | None = None,
    withheld: bool = False,
    withheld_pairs: Mapping[str, Pairs] | None = None,
    on_prior: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Return the choices of a study as decisions, those that apply.

    Parameters
    ----------
    choices
        From `decisions.study`.
    references
        Factor -> its reference; the pairs against it come first.
    prob
        Mass of the intervals.
    sort
        Puts rows about levels (``variable, level, reference``) in the order of the page; by default as they come.
    withheld
        Whether the whole study is withheld: then no row and no number is given.
    withheld_pairs
        Question -> (level, reference) -> why the gate withholds their comparison.
    on_prior
        Questions in which outcomes are separated, so that sizes rest on the prior.
    """
    pairs = withheld_pairs or {}
    bought = pairs.get("as_bought", {})
    drafts = [
        _describe_premium(choices, references, bought, "as_bought" in on_prior),
        _describe_information(choices),
        _describe_tracking(choices, bought),
        _describe_creators(choices, references),
        *_describe_equivalence(choices, references, on_prior),
        _describe_populations(choices, references, bought),
        _describe_mix(choices, references, bought),
        _describe_priors(choices),
        *(
            _describe_frequentist(choices, name, references, pairs.get(name, {}))
            for name in sorted(choices.frequentist)
        ),
        _describe_comparison(choices),
        _describe_folds(choices),
    ]
    found = [{"prob": prob, **draft} for draft in drafts if draft is not None]
    return [_finish(_put_in_order(draft, sort), withheld=withheld) for draft in found]


def list_frequentist(choices: Choices) -> list[dict[str, Any]]:
    """Return the rows of the regressions, with the columns of the effects table."""
    return [asdict(row) for part in choices.frequentist.values() for row in part.rows]


def _put_in_order(
    draft: dict[str, Any], sort: Callable[[Sequence[Mapping[str, Any]]], list[Any]] | None
) -> dict[str, Any]:
    """Sort what speaks of levels: the rows of a decision, and the options of a premium."""
    if sort is None:
        return draft
    inputs, variable = dict(draft["inputs"]), draft["inputs"].get("variable")
    named = [{"variable": variable, **row} for row in draft["rows"]]
    levelled = all("level" in row and row["variable"] is not None for row in named)
    rows = [draft["rows"][k] for k in _find_order(named, sort)] if levelled else draft["rows"]
    if "options" in inputs:
        options = [{"variable": variable, "level": row["label"]} for row in inputs["options"]]
        inputs["options"] = [inputs["options"][k] for k in _find_order(options, sort)]
    return {**draft, "rows": rows, "inputs": inputs}


def _find_order(
    rows: Sequence[Mapping[str, Any]], sort: Callable[[Sequence[Mapping[str, Any]]], list[Any]]
) -> list[int]:
    return [row["place"] for row in sort([{**row, "place": k} for k, row in enumerate(rows)])]


def _finish(draft: dict[str, Any], *, withheld: bool) -> dict[str, Any]:
    kind, inputs = draft["kind"], {**draft["inputs"], "prob": draft["prob"]}
    # What the gate forbids is not given as a number either. Priors do not rest on the draws; of the regressions only
    # the gap to the model does.
    hidden = withheld and kind not in ("priors", "frequentist")
    rows = [] if withheld and kind != "priors" else draft["rows"]
    kept = {name: inputs[name] for name in ("prob", "variable") if name in inputs} if hidden else inputs
    return make_decision(kind, inputs=kept, rows=rows, effects=draft.get("effects", ()), withheld=hidden)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the money of a pricing comes from: "given", "column", "Revenue", "Purchases" or None.

    `amounts` are those of the column that values were taken from, `conversion_values` each level's mean.
    """

    fees: str | None = None
    values: str | None = None
    amounts: Amounts | None = None
    conversion_values: tuple[Effect, ...] = ()


NOWHERE = Origin()
_OF_MODEL = ("bayesian", "gap", "creators", "pooling", "prior")


def describe_premium(
    premium: Premium,
    options: Options,
    *,
    reference: str | None,
    prob: float,
    origin: Origin = NOWHERE,
    withheld_pairs: Pairs | None = None,
    rests_on_prior: bool = False,
) -> dict[str, Any]:
    """Return the decision of one pricing, with its sentences.

    `reference` is the level whose pairs come first; `withheld_pairs` (level, reference) -> why.
    """
    draft = _draft_premium(premium, options, reference, origin=origin, pairs=withheld_pairs or {}, rests=rests_on_prior)
    return _finish({"prob": prob, **draft}, withheld=False)


def _describe_premium(
    choices: Choices, references: Mapping[str, str | None], pairs: Pairs, rests: bool
) -> dict[str, Any] | None:
    premium, options = choices.premium, choices.levels
    if premium is None or options is None or premium.unit == "conversions":
        return None
    origin = Origin(
        fees=choices.fees_from,
        values=choices.values_from,
        amounts=choices.amounts,
        conversion_values=choices.conversion_values,
    )
    return _draft_premium(premium, options, references.get(premium.variable), origin=origin, pairs=pairs, rests=rests)


def _draft_premium(
    premium: Premium,
    options: Options,
    reference: str | None,
    *,
    origin: Origin,
    pairs: Pairs,
    rests: bool,
) -> dict[str, Any]:
    first = reference if reference in options.labels else options.labels[0]
    regrets = [
        {**asdict(regret), "worth": asdict(row)} for regret, row in zip(premium.regrets, premium.worths, strict=True)
    ]
    for row, label in zip(regrets, options.labels, strict=True):
        place = options.find(label)
        row["fee"] = None if options.fees is None else float(options.fees[place])
        row["rate"] = float(options.rates[..., place].mean())
        row["value"] = None if options.values is None else float(options.values[..., place].mean())
    return {
        "kind": "premium",
        "inputs": {
            "variable": premium.variable,
            "unit": premium.unit,
            "fees": origin.fees,
            "values": origin.values if options.has_money else None,
            "counted": options.counted,
            "amounts": None if origin.amounts is None else describe_amounts(origin.amounts),
            "conversion_values": [asdict(row) for row in origin.conversion_values],
            "single_value": premium.single_value,
            "population": options.population,
            "perfect_information": premium.perfect_information,
            "rests_on_prior": rests,
            "options": regrets,
        },
        "rows": [_describe_pair(pair, first, pairs) for pair in premium.pairs],
        "effects": [f"as_bought/expected_value/{premium.variable}/{label}" for label in options.labels],
    }


def _describe_pair(pair: PairPremium, first: str, withheld: Pairs) -> dict[str, Any]:
    why = withheld.get((pair.level, pair.reference)) or withheld.get((pair.reference, pair.level))
    worth = pair.worth_it
    row = {
        "level": pair.level,
        "reference": pair.reference,
        "front": pair.reference == first,
        "status": "stated" if why is None else "withheld",
        "because": why,
    }
    if why is not None:
        return row
    return {
        **row,
        "break_even": asdict(pair.break_even),
        "asked": pair.asked,
        "probability": None if worth is None else worth.value,
        "mcse": None if worth is None else worth.mcse,
        "at_least": None if worth is None else worth.at_least,
        "at_most": None if worth is None else worth.at_most,
        "premiums": pair.premiums.tolist(),
        "probabilities": pair.probabilities.tolist(),
        "turning": None if pair.turning is None else asdict(pair.turning),
    }


def _describe_information(choices: Choices) -> dict[str, Any] | None:
    if not choices.information or choices.cells is None or choices.premium is None:
        return None
    largest = max(choices.perfect, 1e-300)
    rows = [{**asdict(row), "share": min(1.0, row.value / largest)} for row in choices.information]
    inputs = {"posts": choices.information[0].posts, "unit": choices.premium.unit, "perfect": choices.perfect}
    return {"kind": "information", "inputs": {**inputs, "variable": choices.cells.variable}, "rows": rows}


def _describe_tracking(choices: Choices, withheld: Pairs) -> dict[str, Any] | None:
    point = choices.tracking
    if point is None or {(point.ahead, point.behind), (point.behind, point.ahead)} & set(withheld):
        return None
    row = {
        "ahead": point.ahead,
        "behind": point.behind,
        "missed": asdict(point.missed),
        "leaked": asdict(point.leaked),
        "map_leaked": point.map_leaked.tolist(),
        "map_missed": point.map_missed.tolist(),
    }
    return {"kind": "tracking", "inputs": {"variable": point.missed.variable}, "rows": [row]}


def _describe_creators(choices: Choices, references: Mapping[str, str | None]) -> dict[str, Any] | None:
    if choices.clustering is None:
        return None
    rows = [
        {**asdict(row), "front": row.reference == references.get(row.variable)}
        for row in choices.confidence
        if choices.levels is None or row.variable == choices.levels.variable
    ]
    return {"kind": "creators", "inputs": asdict(choices.clustering), "rows": rows}


def _describe_equivalence(
    choices: Choices, references: Mapping[str, str | None], on_prior: Sequence[str]
) -> list[dict[str, Any]]:
    found = []
    for question, rows in sorted(choices.equivalence.items()):
        described = []
        for row in rows:
            numbers = asdict(row.probability)
            labels = {"id": row.id, "variable": row.variable, "level": row.level, "reference": row.reference}
            front = row.reference in (references.get(row.variable), MEAN_OF_LEVELS)
            described.append({**labels, "front": front, "probability": numbers.pop("value"), **numbers})
        inputs = {"question": question, "threshold": choices.threshold, "rests_on_prior": question in on_prior}
        found.append({"kind": "equivalence", "inputs": inputs, "rows": described, "effects": [row.id for row in rows]})
    return found


def _describe_populations(
    choices: Choices, references: Mapping[str, str | None], withheld: Pairs
) -> dict[str, Any] | None:
    if not choices.new_creators:
        return None
    return {"kind": "populations", "inputs": {}, "rows": _list_elsewhere(choices.new_creators, references, withheld)}


def _describe_mix(choices: Choices, references: Mapping[str, str | None], withheld: Pairs) -> dict[str, Any] | None:
    if not choices.planned_mix or choices.mix is None:
        return None
    total = sum(choices.mix.values())
    inputs = {
        "variable": choices.planned_mix[0].variable,
        "weights": {label: share / total for label, share in choices.mix.items()},
        "population": choices.planned_mix[0].population,
    }
    rows = _list_elsewhere(choices.planned_mix, references, withheld)
    return {"kind": "planned_mix", "inputs": inputs, "rows": rows, "effects": [row["id"] for row in rows]}


def _list_elsewhere(
    effects: Sequence[Effect], references: Mapping[str, str | None], withheld: Pairs
) -> list[dict[str, Any]]:
    """Rows of another population, without the pairs that are withheld as bought; against the reference in front."""
    hidden = {frozenset(pair) for pair in withheld}
    return [
        {**asdict(row), "front": row.reference == (references.get(row.variable) or MEAN_OF_LEVELS)}
        for row in effects
        if frozenset((row.level, row.reference)) not in hidden
    ]


def _describe_priors(choices: Choices) -> dict[str, Any]:
    return {"kind": "priors", "inputs": {}, "rows": [asdict(row) for row in choices.priors]}


def _describe_frequentist(
    choices: Choices, question: str, references: Mapping[str, str | None], withheld: Pairs
) -> dict[str, Any]:
    part, hidden = choices.frequentist[question], {frozenset(pair) for pair in withheld}
    rows = []
    for gap in choices.gaps[question]:
        usual = gap.level is None or gap.reference in (references.get(gap.variable), MEAN_OF_LEVELS)
        row = {**asdict(gap), "bayesian": exp(gap.bayesian), "regression": exp(gap.regression)}
        if frozenset((gap.level, gap.reference)) in hidden:
            rows.append({**row, **dict.fromkeys(_OF_MODEL), "front": False, "status": "withheld"})
        else:
            rows.append({**row, "front": usual, "status": "stated"})
    inputs = {
        "question": question,
        "exists": part.exists,
        "columns": [name_column(name) for name in part.separated],
        "clusters": part.clusters,
        "notes": list(part.notes),
    }
    return {"kind": "frequentist", "inputs": inputs, "rows": rows, "effects": [row.id for row in part.rows]}


def _describe_comparison(choices: Choices) -> dict[str, Any] | None:
    if not choices.comparison:
        return None
    inputs = {"method": "leave_one_out", "folds": None}
    return {"kind": "comparison", "inputs": inputs, "rows": [asdict(row) for row in choices.comparison]}


def _describe_folds(choices: Choices) -> dict[str, Any] | None:
    """The exact comparison, where it was asked for; without rows where it could not be made."""
    if choices.folds is None:
        return None
    inputs = {"method": "creators_left_out", "folds": choices.folds}
    return {"kind": "comparison", "inputs": inputs, "rows": [asdict(row) for row in choices.cross_validated]}
