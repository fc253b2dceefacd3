"""The sentences of the returns study: each a pure function of its row and the numbers in results.json.

Takes results as plain data; makes statements with text, probability and status. Computes no estimate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from influbayes.effects.estimands import Probability
from influbayes.gate.thresholds import UNDECIDED, band
from influbayes.gate.wording import weaker_band
from influbayes.reporting.wording import MINUS, WORDS, say_mass, say_probability

Row = Mapping[str, Any]
MOST_LOSING, MOST_LEADERS = 60, 10
LIKELY_LOSS = 0.5


def make_statements(results: Row) -> list[dict[str, Any]]:
    """Return the statements of a returns study in reading order, the headline first."""
    rows = [
        *_plan_totals(results),
        _plan("no_difference", results, variable="influencer"),
        *_plan_leaders(results),
        *_plan_losing(results),
        *_plan_personas(results),
        *_plan_caveats(results),
    ]
    return [{**row, "text": write_statement(row, results)} for row in rows]


def write_statement(row: Row, results: Row) -> str:
    """Return the text of a statement, rebuilt from the rest of the results."""
    text = _WRITERS[row["kind"]](row, results)
    return f"Withheld: {text}" if row["status"] == "withheld" else text


def say_money(amount: float | None) -> str:
    """Return an amount of money without its currency, which a ledger does not name."""
    if amount is None:
        return "–"
    return (f"{amount:,.0f}" if abs(amount) >= 1000 else f"{amount:,.2f}").replace("-", MINUS)


def say_roas(value: float | None) -> str:
    """Return a return on spend: 0.47, 3.2, 41; an en dash where it is not defined."""
    if value is None:
        return "–"
    text = f"{value:.0f}" if abs(value) >= 19.95 else f"{value:.1f}" if abs(value) >= 9.95 else f"{value:.2f}"
    return text.replace("-", MINUS)


def say_interval(effect: Row) -> str:
    """Return "1.46 (90 % credible interval 1.35 to 1.57)"."""
    ends = f"{say_roas(effect['lower'])} to {say_roas(effect['upper'])}"
    return f"{say_roas(effect['estimate'])} ({say_mass(effect['prob'])} {ends})"


def find_effect(results: Row, estimand: str, variable: str, level: str | None) -> Row | None:
    """Return the row of the effects table, None without one."""
    return _index(results).get((estimand, variable, level))


_CACHE: dict[int, tuple[Any, dict[tuple[str, str, str | None], Row]]] = {}


def _index(results: Row) -> dict[tuple[str, str, str | None], Row]:
    """Return the effects by estimand, variable and level; the last table asked for is kept."""
    effects = results["effects"]
    kept = _CACHE.get(0)
    if kept is None or kept[0] is not effects:
        kept = (effects, {(row["estimand"], row["variable"], row["level"]): row for row in effects})
        _CACHE[0] = kept
    return kept[1]


# --- which statements there are ---------------------------------------------------------------------------------------


def _plan(
    kind: str,
    results: Row,
    *,
    variable: str | None = None,
    level: str | None = None,
    effects: tuple[Row | None, ...] = (),
    probability: float | None = None,
    claim: str | None = None,
    withheld_by: str | None = None,
    question: str = "returns",
) -> dict[str, Any]:
    draws = results["engine"]["draws"]
    mcse = None if probability is None else (probability * (1 - probability) / draws) ** 0.5
    weak = (
        probability is not None
        and mcse is not None
        and weaker_band(Probability(value=probability, mcse=mcse)) != band(probability)
    )
    because = [withheld_by] if withheld_by else ["probability_error"] if weak else []
    return {
        "id": "/".join(part for part in (question, kind, variable, level, claim) if part),
        "kind": kind,
        "text": "",
        "effects": [row["id"] for row in effects if row is not None],
        "probability": probability,
        "mcse": mcse,
        "status": "withheld" if withheld_by else "weakened" if weak else "stated",
        "because": because,
        "reasons": [
            row["meaning"] for row in results["diagnostics"] if row["name"] in because and row["status"] != "pass"
        ],
        "question": question,
        "variable": variable,
        "level": level,
        "reference": None,
        "step": None,
        "claim": claim,
        "at_least": None,
        "at_most": None,
    }


def _plan_totals(results: Row) -> list[dict[str, Any]]:
    roas = find_effect(results, "roas", "total", None)
    lift = find_effect(results, "incremental_roas", "total", None)
    held = results["incremental"] is None or results["incremental"]["label"] != "incremental"
    return [
        _plan(
            "headline", results, variable="total", effects=(roas,), probability=roas["probability"] if roas else None
        ),
        _plan(
            "incremental",
            results,
            variable="total",
            effects=(lift,),
            probability=None if held or lift is None else lift["probability"],
            withheld_by="control_group" if held else None,
            question="incremental",
        ),
    ]


def _plan_leaders(results: Row) -> list[dict[str, Any]]:
    best = [row for row in results["effects"] if row["estimand"] == "probability_best"]
    best.sort(key=lambda row: (-row["estimate"], row["level"]))
    return [
        _plan(
            "leader",
            results,
            variable="influencer",
            level=row["level"],
            effects=(find_effect(results, "roas", "influencer", row["level"]), row),
            probability=row["estimate"],
        )
        for row in best[: min(results["provenance"]["best"], MOST_LEADERS)]
    ]


def _plan_losing(results: Row) -> list[dict[str, Any]]:
    rows = [row for row in results["effects"] if row["estimand"] == "roas" and row["variable"] == "influencer"]
    raw = {row["id"]: row["roas"] for row in results["influencers"]}
    losing = [
        row
        for row in rows
        if 1 - row["probability"] >= LIKELY_LOSS or (raw[row["level"]] is not None and raw[row["level"]] < 1)
    ]
    losing.sort(key=lambda row: (row["probability"], row["level"]))
    return [
        _plan(
            "losing",
            results,
            variable="influencer",
            level=row["level"],
            effects=(
                row,
                find_effect(results, "expected_loss_keeping", "influencer", row["level"]),
                find_effect(results, "expected_loss_dropping", "influencer", row["level"]),
            ),
            probability=1 - row["probability"],
        )
        for row in losing[:MOST_LOSING]
    ]


def _plan_personas(results: Row) -> list[dict[str, Any]]:
    rows = [row for row in results["effects"] if row["estimand"] == "roas" and row["variable"] == "persona"]
    rows.sort(key=lambda row: (-row["estimate"], row["level"]))
    return [
        _plan(
            "persona", results, variable="persona", level=row["level"], effects=(row,), probability=row["probability"]
        )
        for row in rows
    ]


def _plan_caveats(results: Row) -> list[dict[str, Any]]:
    claims = ["revenue_not_profit"]
    claims += ["filter"] if results["data"]["filter"] else []
    claims += ["control_used"] if (results["incremental"] or {}).get("by_influencer") else []
    claims += ["left_out"] if (results["incremental"] or {}).get("left_out") else []
    claims += [f"state_{state}" for state in _STATES if any(row["state"] == state for row in results["influencers"])]
    return [_plan("caveat", results, claim=claim) for claim in claims]


# --- how they read ----------------------------------------------------------------------------------------------------


def _word(row: Row) -> str:
    """Return the word for the statement's probability, the weaker one where its error does not settle it."""
    return WORDS[weaker_band(Probability(value=row["probability"], mcse=row["mcse"]))]


def _write_headline(row: Row, results: Row) -> str:
    effect, totals = find_effect(results, "roas", "total", None), results["totals"]
    sums = f"{say_money(totals['revenue_credited'])} of exposed revenue on {say_money(totals['payout'])} paid"
    if effect is None:
        return f"ROAS is not defined: {sums}."
    return (
        f"ROAS is {say_roas(totals['roas'])} ({sums}). Had the same users been reached again, it would be "
        f"{say_interval(effect)}; {say_probability(row['probability'])} that it is above 1."
    )


def _write_incremental(row: Row, results: Row) -> str:
    lift, effect = results["incremental"], find_effect(results, "incremental_roas", "total", None)
    if lift is None:
        return "there are no control users to compare with, so incremental ROAS cannot be had."
    if lift["label"] != "incremental":
        shown = "" if effect is None else f" ({say_interval(effect)})"
        return (
            f"incremental ROAS. Among buyers, not incremental: {say_money(lift['exposed_mean'])} per exposed and "
            f"{say_money(lift['control_mean'])} per control buyer{shown}. The ledger knows nobody who bought nothing."
        )
    if effect is None:
        return "Incremental ROAS is not defined: nothing was paid."
    chance = say_probability(row["probability"])
    verdict = (
        f"Whether exposure brings back more than it costs cannot be told ({chance})."
        if weaker_band(Probability(value=row["probability"], mcse=row["mcse"])) == UNDECIDED
        else f"Exposure {_word(row)} brings back more than it costs ({chance})."
    )
    return (
        f"Incremental ROAS is {say_interval(effect)}: {say_money(lift['exposed_mean'])} per exposed user against "
        f"{say_money(lift['control_mean'])} per control user, {lift['exposed_users']:,} exposed users. {verdict}"
    )


def _write_no_difference(row: Row, results: Row) -> str:
    found = results["heterogeneity"]
    spread = (
        f"revenue per {found['unit']} varies by {_say_share(found['raw_sd'])} in the raw figures, by "
        f"{_say_share(found['pooled_sd'])} once chance is taken out ({say_mass(results['provenance']['prob'])} "
        f"{_say_share(found['lower'])} to {_say_share(found['upper'])})"
    )
    if found["apart"] and found["steady"]:
        return f"Influencers differ in what they bring: {spread}."
    if found["apart"]:
        return f"Influencers may differ in what they bring, but that depends on the prior: {spread}."
    return (
        f"Influencers cannot be told apart by what they bring: {spread}. Where their ROAS differs, it is because they "
        "were paid differently."
    )


def _say_share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _write_leader(row: Row, results: Row) -> str:
    effect = find_effect(results, "roas", "influencer", row["level"])
    best = results["provenance"]["best"]
    shown = "" if effect is None else f" ROAS {say_interval(effect)}."
    return f"{row['level']}: {say_probability(row['probability'])} that it is truly among the best {best}.{shown}"


def _write_losing(row: Row, results: Row) -> str:
    raw = next(part["roas"] for part in results["influencers"] if part["id"] == row["level"])
    effect = find_effect(results, "roas", "influencer", row["level"])
    keep = find_effect(results, "expected_loss_keeping", "influencer", row["level"])
    drop = find_effect(results, "expected_loss_dropping", "influencer", row["level"])
    if effect is None or keep is None or drop is None:
        return f"{row['level']}: ROAS not defined."
    chance = say_probability(row["probability"])
    index = weaker_band(Probability(value=row["probability"], mcse=row["mcse"]))
    word = "cannot be told whether it loses money" if index == UNDECIDED else f"{WORDS[index]} loses money"
    return (
        f"{row['level']} {word}: {chance} that its ROAS is truly below 1 (raw {say_roas(raw)}, pooled "
        f"{say_interval(effect)}). Expected loss {say_money(keep['estimate'])} if kept, "
        f"{say_money(drop['estimate'])} if dropped."
    )


def _write_persona(row: Row, results: Row) -> str:
    effect = find_effect(results, "roas", "persona", row["level"])
    shown = "not defined" if effect is None else say_interval(effect)
    return f"{row['level']}: ROAS {shown}; {say_probability(row['probability'])} that it is above 1."


_STATES: dict[str, str] = {
    "payout_zero": "were paid nothing: ROAS is not defined, and they are not ranked",
    "no_users": "reached nobody who is in the ledger: their ROAS is 0, without anything to learn from",
    "no_orders": "have no order: their raw ROAS is 0, their estimate rests on the other influencers",
    "one_buyer": "have one buyer: their estimate rests mostly on the other influencers",
}


def _write_caveat(row: Row, results: Row) -> str:
    claim, lift = row["claim"], results["incremental"] or {}
    if claim == "filter":
        return f"Only part of the ledger is shown: {results['data']['filter']}."
    if claim == "control_used":
        return f"Each influencer is compared with {'; or '.join(lift['controls'].values())}."
    if claim == "left_out":
        return f"{lift['left_out']:,} users stood in both groups and are left out of incremental ROAS."
    if claim.startswith("state_"):
        state = claim.removeprefix("state_")
        names = [part["id"] for part in results["influencers"] if part["state"] == state]
        more = f" and {len(names) - 8:,} more" if len(names) > 8 else ""
        return f"{', '.join(names[:8])}{more} {_STATES[state]}."
    return (
        "ROAS is revenue over payout: goods, shipping and returns are not taken off, so 1 is not the point of profit. "
        "It counts every purchase of exposed users, also those they would have made anyway; incremental ROAS does not."
    )


_WRITERS: dict[str, Callable[[Row, Row], str]] = {
    "headline": _write_headline,
    "incremental": _write_incremental,
    "no_difference": _write_no_difference,
    "leader": _write_leader,
    "losing": _write_losing,
    "persona": _write_persona,
    "caveat": _write_caveat,
}
