"""Sentences about choices, each made from one decision of results.json and from nothing else.

Takes plain rows (`decisions` in results.json). Knows no draws: a text can be written again from the JSON alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from influbayes.gate.thresholds import UNDECIDED, band
from influbayes.reporting.numbers import MINUS, format_number
from influbayes.reporting.wording import (
    WORDS,
    join_words,
    name_levels,
    say_mass,
    say_per_100,
    say_probability,
    say_ratio,
)

Decision = Mapping[str, Any]
WITHHELD = "Withheld: the fit did not pass its own checks, so nothing is chosen from it."


def write_sentences(decision: Decision, *, withheld: bool = False) -> list[str]:
    """Return the sentences of one decision, from its `kind`, `inputs` and `rows`."""
    if withheld:
        return [WITHHELD]
    return _WRITERS[decision["kind"]](decision)


def say_amount(value: float) -> str:
    """Return an amount of money without a currency sign: "1,250", "48", "0.85"."""
    if abs(value) >= 100:
        return f"{value:,.0f}".replace("-", MINUS)
    text = format_number(value, 3 if abs(value) >= 10 else 2)
    return text.removesuffix(".0")


def _say_chance(row: Mapping[str, Any]) -> str:
    return say_probability(row["probability"], at_least=row.get("at_least"), at_most=row.get("at_most"))


# --- premium ------------------------------------------------------------------------------------------------------


def _write_premium(decision: Decision) -> list[str]:
    front = [row for row in decision["rows"] if row["front"]]
    sentences = [_write_pair(row, decision) for row in front]
    sentences.append(_write_best(decision))
    if decision["inputs"]["single_value"] and decision["inputs"]["values"] is not None:
        sentences.append(
            "One value was taken for every conversion: a conversion is a post with at least one purchase, and larger "
            "creators may bring several. The assumption decides the answer as follows."
        )
        sentences += [_write_turning(row) for row in front if row.get("turning") is not None]
    return sentences


def _write_pair(row: Mapping[str, Any], decision: Decision) -> str:
    if row["status"] == "withheld":
        return f"Withheld: what {row['level']} may cost over {row['reference']}. {row['because']}"
    return _write_open_pair(row, decision) + (_ON_PRIOR if decision["inputs"]["rests_on_prior"] else "")


_ON_PRIOR = " This size rests on the prior."


def _write_open_pair(row: Mapping[str, Any], decision: Decision) -> str:
    point, level, other = row["break_even"], row["level"], row["reference"]
    mass = say_mass(point["prob"])
    if decision["inputs"]["values"] is not None:
        what = (
            f"A post of {level} is worth {_say_apart(point['estimate'])} than one of {other}: the break-even premium "
            f"is {say_amount(point['estimate'])} ({mass} {say_amount(point['lower'])} to {say_amount(point['upper'])})."
        )
    else:
        what = (
            f"A post of {level} is worth {say_ratio(point['estimate'])} times the fee of one of {other} ({mass} "
            f"{say_ratio(point['lower'])} to {say_ratio(point['upper'])})."
        )
    if row["asked"] is None:
        return what
    return f"{what} {_write_asked(row, decision)}"


def _say_apart(value: float) -> str:
    return f"{say_amount(abs(value))} {'more' if value >= 0 else 'less'}"


def _write_asked(row: Mapping[str, Any], decision: Decision) -> str:
    money = decision["inputs"]["values"] is not None
    size = say_amount(abs(row["asked"])) if money else f"{say_ratio(row['asked'])} times as much"
    direction = "more" if row["asked"] >= 0 else "less"
    asks = f"It costs {size} {direction}" if money else f"It costs {size}"
    found, chance = band(row["probability"]), _say_chance(row)
    if found == UNDECIDED:
        return f"{asks}; whether it is worth that cannot be told (probability {chance})."
    return f"{asks}; it is {WORDS[found]} worth that (probability {chance})."


def _write_best(decision: Decision) -> str:
    best = max(decision["inputs"]["options"], key=lambda row: row["mean"])
    unit = _UNITS[decision["inputs"]["unit"]]
    levels = name_levels(decision["inputs"]["variable"])
    chance = say_probability(best["probability_best"])
    lost = say_amount(best["regret"]) if decision["inputs"]["unit"] == "currency" else format_number(best["regret"], 2)
    opening = f"Of all {levels}, {best['label']} is the best buy on average (probability {chance} that it is best)."
    if best["regret"] == 0:
        return f"{opening} No draw prefers another, so no test of these would be worth money."
    return (
        f"{opening} Choosing "
        f"it now loses {lost} {unit} in expectation against knowing every rate; no test is worth more than that."
    )


_UNITS = {
    "currency": "per post",
    "value per post": "per post",
    "conversions per fee unit": "conversions per unit of fee",
    "conversions": "conversions per post",
}


def _write_turning(row: Mapping[str, Any]) -> str:
    factor, side, ahead = row["turning"]["estimate"], row["turning"]["level"], row["turning"]["reference"]
    if factor <= 1:
        return f"{side} and {ahead} are as good a buy at the values given."
    return (
        f"For {side} to be as good a buy as {ahead}, one of its conversions must be worth {say_ratio(factor)} times as "
        f"much ({say_mass(row['turning']['prob'])} {say_ratio(max(row['turning']['lower'], 0))} to "
        f"{say_ratio(max(row['turning']['upper'], 0))})."
    )


# --- information, tracking, creators, plan ------------------------------------------------------------------------


def _write_information(decision: Decision) -> list[str]:
    rows = sorted(decision["rows"], key=lambda row: (-row["value"], row["label"]))
    posts = decision["inputs"]["posts"]
    worth = [row for row in rows if row["share"] >= 0.01]
    if not worth:
        return [f"No {posts:,} more posts of any one kind would change the choice enough to be worth anything."]
    named = [f"{row['label']} {_say_value(row['value'], decision)}" for row in worth[:3]]
    return [
        f"Before choosing a cell to buy, {posts:,} more posts of one kind would be worth, for each post bought after: "
        f"{join_words(named)}. To know everything would be worth {_say_value(decision['inputs']['perfect'], decision)}."
    ]


def _say_value(value: float, decision: Decision) -> str:
    return (
        say_amount(value) if decision["inputs"]["unit"] in ("currency", "value per post") else format_number(value, 2)
    )


def _write_tracking(decision: Decision) -> list[str]:
    sentences = []
    for row in decision["rows"]:
        missed, leaked = row["missed"]["estimate"], row["leaked"]["estimate"]
        sentences.append(
            f"{row['ahead']} is ahead of {row['behind']} as recorded. The order turns if {100 * missed:.0f} % of the "
            f"conversions of {row['behind']} were missed, or if {100 * leaked:.1f} % of the posts of {row['ahead']} "
            "without a purchase were credited with one (a code passed on), all else being right."
        )
    return sentences


def _write_creators(decision: Decision) -> list[str]:
    inputs = decision["inputs"]
    sentences = [
        f"{inputs['posts']:,} posts of {inputs['creators']:,} creators carry as much evidence on a tier as about "
        f"{inputs['effective_posts']:,.0f} posts of as many creators (design effect {inputs['design_effect']:.1f})."
    ]
    for row in decision["rows"]:
        if row["front"] and row["naive"] is not None:
            roughly = "" if row["source"] == "refit" else "about "
            sentences.append(
                f"Without creators in the model the probability that {row['level']} beats {row['reference']} would "
                f"read {roughly}{say_probability(row['naive'])} instead of {say_probability(row['probability'])}"
                + (": over-confident." if _is_bolder(row) else ".")
            )
    return sentences


def _is_bolder(row: Mapping[str, Any]) -> bool:
    return bool(abs(row["naive"] - 0.5) > abs(row["probability"] - 0.5) + 0.005)


def _write_equivalence(decision: Decision) -> list[str]:
    bound = decision["inputs"]["threshold"]
    between = f"between {1 / bound:.3g} and {bound:.4g}"
    return [_write_equal_pair(row, between, decision["inputs"]["question"]) for row in decision["rows"] if row["front"]]


def _write_equal_pair(row: Mapping[str, Any], between: str, question: str) -> str:
    found, chance = band(row["probability"]), _say_chance(row)
    pair = f"{row['level']} and {row['reference']}"
    between = f"{between}, {'as bought' if question == 'as_bought' else 'engagement constant'}"
    if found == UNDECIDED:
        return f"Whether {pair} are practically equal (odds ratio {between}) cannot be told (probability {chance})."
    return f"{pair} are {WORDS[found]} practically equal (odds ratio {between}; probability {chance})."


def _write_priors(decision: Decision) -> list[str]:
    rows = {row["name"]: row for row in decision["rows"]}
    base = rows["rate"]
    sentences = [
        f"Before any post was seen, the priors put the conversion rate of an average post between "
        f"{say_per_100(100 * base['lower'])} % and {say_per_100(100 * base['upper'])} % ({100 * base['prob']:.0f} % of "
        "the prior)."
    ]
    for row in decision["rows"]:
        if row["name"] != "rate":
            sentences.append(
                f"They say that two {name_levels(row['variable'])} differ by at most {say_per_100(row['upper'])} "
                f"conversions per 100 posts ({100 * row['prob']:.0f} % of the prior; half of it below "
                f"{say_per_100(row['estimate'])})."
            )
    return sentences


def _write_comparison(decision: Decision) -> list[str]:
    rows = sorted(decision["rows"], key=lambda row: -row["elpd"])
    best, sentences = rows[0], []
    for row in rows[1:]:
        far = "clearly worse" if row["difference"] < -2 * row["difference_se"] else "not clearly worse"
        sentences.append(
            f"Left-out posts are predicted best by {best['name']}; {row['name']} is {far} (difference in log score "
            f"{row['difference']:.1f}, standard error {row['difference_se']:.1f})."
        )
    return sentences


def _write_populations(decision: Decision) -> list[str]:
    return []


def _write_frequentist(decision: Decision) -> list[str]:
    inputs = decision["inputs"]
    sentences = []
    if not inputs["exists"]:
        columns = join_words(inputs["columns"]) or "the terms"
        verb = "separates" if len(inputs["columns"]) == 1 else "separate"
        sentences.append(
            f"No maximum-likelihood estimate exists: {columns} {verb} the posts that converted from those that did "
            "not. Firth's penalised estimate is finite; it and the Bayesian sizes rest on more than the posts."
        )
    for row in decision["rows"]:
        if row["front"] and row["level"] is not None and row["gap"] is not None:
            sentences.append(_write_gap(row))
    return sentences


_METHODS = {"wald": "maximum likelihood", "clustered": "maximum likelihood", "firth": "Firth"}


def _write_gap(row: Mapping[str, Any]) -> str:
    parts = {
        "telling creators apart (non-collapsibility)": row["creators"],
        "pooling": row["pooling"],
        "the priors": row["prior"],
    }
    largest = max(parts, key=lambda name: abs(parts[name]))
    text = (
        f"{row['level']} against {row['reference']}: the regression says an odds ratio of "
        f"{say_ratio(row['regression'])} ({_METHODS[row['method']]}), this model {say_ratio(row['bayesian'])}."
    )
    if abs(row["gap"]) < 0.05:
        return f"{text} They agree."
    return f"{text} Most of the gap comes from {largest}."


def _write_plan(decision: Decision) -> list[str]:
    inputs, rows = decision["inputs"], [row for row in decision["rows"] if row["posts"] > 0]
    if not rows:
        return [f"Buy nothing: no post is worth its fee within these limits (budget {say_amount(inputs['budget'])})."]
    bought = join_words([f"{row['posts']:,} {row['label']}" for row in rows])
    worth = "net value" if inputs["unit"] == "currency" else "conversions"
    sentences = [
        f"Buy {bought} for {say_amount(inputs['spent'])} of {say_amount(inputs['budget'])}.",
        f"Expected {worth}: {say_amount(inputs['mean'])} ({say_mass(inputs['prob'])} {say_amount(inputs['lower'])} to "
        f"{say_amount(inputs['upper'])}); mean of the worst tenth {say_amount(inputs['cvar'])}. Only the uncertainty "
        "of the rates is counted there, not the luck of single posts.",
    ]
    if inputs["beats_last"] is not None:
        sentences.append(f"Probability that it beats the last plan: {say_probability(inputs['beats_last'])}.")
    if inputs["reaches_target"] is not None:
        chance = say_probability(inputs["reaches_target"])
        sentences.append(f"Probability of at least {inputs['target']:,.10g} conversions, luck counted: {chance}.")
    if inputs["bindings"]:
        sentences.append(f"What holds it back: {join_words([_say_binding(row) for row in inputs['bindings']])}.")
    return [*sentences, *(f"{row['label']}: {mark}." for row in rows for mark in row["marks"])]


def _say_binding(row: Mapping[str, Any]) -> str:
    gain = say_amount(row["gain"])
    if row["label"] is None:
        return f"the budget ({say_amount(row['step'])} more brings {gain})"
    less = "one post fewer" if row["limit"] == "at least" else "one post more"
    return f"the limit “{row['limit']}” of {row['label']} ({less} brings {gain})"


_WRITERS: dict[str, Callable[[Decision], list[str]]] = {
    "premium": _write_premium,
    "information": _write_information,
    "tracking": _write_tracking,
    "creators": _write_creators,
    "equivalence": _write_equivalence,
    "priors": _write_priors,
    "comparison": _write_comparison,
    "populations": _write_populations,
    "frequentist": _write_frequentist,
    "plan": _write_plan,
}
