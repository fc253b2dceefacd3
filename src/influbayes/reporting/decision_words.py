"""Sentences about choices, each made from one decision of results.json and from nothing else.

Takes plain rows (`decisions` in results.json). Knows no draws: a text can be written again from the JSON alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from influbayes.gate.thresholds import UNDECIDED, band
from influbayes.reporting.beside_words import (
    say_chance,
    write_comparison,
    write_creators,
    write_equivalence,
    write_frequentist,
    write_priors,
)
from influbayes.reporting.numbers import format_number, format_share
from influbayes.reporting.wording import (
    MINUS,
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


def write_key_sentences(decision: Decision) -> list[str]:
    """Return what the screen says of one decision: the buy, and what was asked for; the page says the rest.

    Where fees stand in the table and nobody said what a conversion is worth, only the best buy is told.
    """
    kind, inputs = decision["kind"], decision["inputs"]
    if not decision["rows"]:
        return []
    if kind == "premium":
        asked = inputs["fees"] == "given" or inputs["values"] is not None
        pairs = [_write_pair(row, decision) for row in decision["rows"] if row["front"] and asked]
        return [*pairs, _write_best(decision), *_write_losses(decision)]
    if kind == "planned_mix" or (kind == "equivalence" and inputs["question"] == "as_bought"):
        return _WRITERS[kind](decision)
    return []


def say_amount(value: float) -> str:
    """Return an amount of money without a currency sign: "1,250", "48", "0.85"."""
    if abs(value) >= 100:
        return f"{value:,.0f}".replace("-", MINUS)
    text = format_number(value, 3 if abs(value) >= 10 else 2)
    return text.removesuffix(".0")


# --- premium ------------------------------------------------------------------------------------------------------


def _write_premium(decision: Decision) -> list[str]:
    front = [row for row in decision["rows"] if row["front"]]
    sentences = [_write_pair(row, decision) for row in front]
    sentences.append(_write_best(decision))
    sentences += _write_losses(decision)
    if decision["inputs"].get("amounts") is not None:
        sentences.append(_write_amounts(decision["inputs"]))
    if decision["inputs"]["single_value"] and decision["inputs"]["values"] is not None:
        sentences.append(
            "One value was taken for every conversion: a conversion is a post with at least one purchase, and larger "
            "creators may bring several. This is what it would take to turn the answer."
        )
        sentences += [_write_turning(row) for row in front if row.get("turning") is not None]
    return sentences


def _write_amounts(inputs: Mapping[str, Any]) -> str:
    """Say where the worth of a conversion comes from, level by level."""
    amounts, levels = inputs["amounts"], name_levels(inputs["variable"])
    posts = dict(zip(amounts["labels"], amounts["posts"], strict=True))
    named = [
        f"{row['level']} {say_amount(row['estimate'])} ({say_amount(row['lower'])} to {say_amount(row['upper'])}, "
        f"{posts[row['level']]:,} posts)"
        for row in inputs["conversion_values"]
    ]
    what = f"the mean {amounts['source'].lower()} of converting posts"
    if amounts["source"] == "Purchases":
        priced = "without a price" if amounts["price"] is None else f"at {say_amount(amounts['price'])} a purchase"
        what = f"the mean purchases of converting posts, {priced}"
    mass = say_mass(inputs["conversion_values"][0]["prob"]) if named else ""
    return (
        f"What a conversion brings is taken from the column {amounts['source']}: {what}, partially pooled over the "
        f"{levels}. Median, {mass} and posts behind it: {join_words(named)}."
    )


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
    found, chance = band(row["probability"]), say_chance(row)
    if found == UNDECIDED:
        return f"{asks}; whether it is the better buy at these fees cannot be told (probability {chance})."
    return f"{asks}, and is {WORDS[found]} the better buy at these fees (probability {chance})."


def _write_best(decision: Decision) -> str:
    best = max(decision["inputs"]["options"], key=lambda row: row["mean"])
    unit = _UNITS[decision["inputs"]["unit"]]
    levels = name_levels(decision["inputs"]["variable"])
    chance = say_probability(best["probability_best"])
    lost = say_worth(best["regret"], decision)
    opening = (
        f"Of all {levels}, {best['label']} is the best buy on average, with {_say_mean(best['mean'], decision)} "
        f"(probability {chance} that it is best)."
    )
    if best["regret"] == 0:
        return f"{opening} No draw prefers another, so knowing more would not change the choice."
    return (
        f"{opening} Choosing "
        f"it now loses {lost} {unit} in expectation against knowing every rate; no test is worth more than that."
    )


def _say_mean(mean: float, decision: Decision) -> str:
    said, unit = say_worth(mean, decision), decision["inputs"]["unit"]
    return f"a net value of {said} per post" if unit == "currency" else f"{said} {_UNITS[unit]}"


def _write_losses(decision: Decision) -> list[str]:
    """Say which options cost more than they bring, where fees and values are known."""
    inputs = decision["inputs"]
    if inputs["unit"] != "currency":
        return []
    losing = [row for row in inputs["options"] if row["mean"] < 0]
    if not losing or len(losing) < len(inputs["options"]):
        named = join_words([row["label"] for row in losing])
        return [f"On average posts of {named} cost more than they bring."] if losing else []
    best = max(losing, key=lambda row: row["mean"])
    least = (
        f"a post of {best['label']}, which loses least, brings {say_amount(best['fee'] + best['mean'])} and costs "
        f"{say_amount(best['fee'])}"
    )
    needed = f"; a conversion would have to be worth {say_amount(best['fee'] / best['rate'])}" if best["rate"] else ""
    return [f"At these fees and values no post earns back its fee on average: {least}{needed}."]


_UNITS = {
    "currency": "per post",
    "value per post": "per post",
    "conversions per fee unit": "conversions per 1,000 of fees",
    "conversions": "conversions per post",
    "purchases per fee unit": "purchases per 1,000 of fees",
    "purchases": "purchases per post",
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


# --- information, tracking, populations, plan ------------------------------------------------------------------------


def is_worth_asking(decision: Decision) -> bool:
    """Return whether more posts of any kind would be worth at least a hundredth of knowing everything."""
    return any(row["share"] >= 0.01 for row in decision["rows"])


def name_unit(decision: Decision) -> str:
    """Return what a worth is counted in: "in money", "conversions per 1,000 of fees"."""
    unit = decision["inputs"]["unit"]
    return "in money" if unit in _MONEY else _UNITS[unit]


def _write_information(decision: Decision) -> list[str]:
    rows = sorted(decision["rows"], key=lambda row: (-row["value"], row["label"]))
    posts = decision["inputs"]["posts"]
    if not is_worth_asking(decision):
        return [f"No {posts:,} more posts of any one kind would change the choice enough to be worth anything."]
    named = [f"{row['label']} {say_worth(row['value'], decision)}" for row in rows[:3] if row["share"] >= 0.01]
    return [
        f"Before choosing a cell to buy, {posts:,} more posts of one kind would be worth, for each post bought after "
        f"({name_unit(decision)}): {join_words(named)}. To know everything would be worth "
        f"{say_worth(decision['inputs']['perfect'], decision)}."
    ]


_MONEY = ("currency", "value per post")


def say_worth(value: float, decision: Decision) -> str:
    """Return a worth in the unit that `name_unit` says: money as an amount, counts per fee for 1,000 of fees."""
    unit = decision["inputs"]["unit"]
    if unit in _MONEY:
        return say_amount(value)
    return format_number(1000 * value if unit.endswith("fee unit") else value, 2)


def _write_tracking(decision: Decision) -> list[str]:
    sentences = []
    for row in decision["rows"]:
        below = min(row["missed"]["lower"], row["leaked"]["lower"]) < 0
        known = " Below 0 %, the order is the other way as it is." if below else ""
        sentences.append(
            f"{row['ahead']} is ahead of {row['behind']} as recorded. The order turns if {_say_share(row['missed'])} "
            f"of the conversions of {row['behind']} were missed, or if {_say_share(row['leaked'])} of the posts of "
            f"{row['ahead']} without a purchase were credited with one (a code passed on), all else being right.{known}"
        )
    return sentences


def _say_share(row: Mapping[str, Any]) -> str:
    reach = f"{format_share(row['lower']).removesuffix(' %')} to {format_share(row['upper'])}"
    return f"{format_share(row['estimate'])} ({say_mass(row['prob'])} {reach})"


def _write_mix(decision: Decision) -> list[str]:
    """What the planned shares make of the comparisons with the reference."""
    weights = sorted(decision["inputs"]["weights"].items(), key=lambda pair: (-pair[1], pair[0]))
    shares = join_words([f"{100 * share:.3g} % {label}" for label, share in weights if share > 0])
    return [
        _write_elsewhere(row, f"With posts spread as planned ({shares})")
        for row in decision["rows"]
        if row["estimand"] == "difference" and row["front"]
    ]


def _write_elsewhere(row: Mapping[str, Any], where: str) -> str:
    """The difference of two levels in another population, told from the side that is ahead."""
    ahead = row["probability"] >= 0.5
    first, second = (row["level"], row["reference"]) if ahead else (row["reference"], row["level"])
    numbers = (
        [row["estimate"], row["lower"], row["upper"]] if ahead else [-row[k] for k in ("estimate", "upper", "lower")]
    )
    size, low, high = (say_per_100(number) for number in numbers)
    chance = say_probability(max(row["probability"], 1 - row["probability"]))
    found = band(max(row["probability"], 1 - row["probability"]))
    difference = f"{size} conversions per 100 posts ({say_mass(row['prob'])} {low} to {high})"
    if found == UNDECIDED:
        return (
            f"{where}, {first} and {second} cannot be told apart: {first} minus {second} is {difference}. Probability "
            f"that {first} is ahead: {chance}."
        )
    return f"{where}, {first} is {WORDS[found]} ahead of {second} (probability {chance}), by {difference}."


def _write_populations(decision: Decision) -> list[str]:
    """What the comparisons with the reference come to with creators not seen before."""
    return [
        _write_elsewhere(row, "With new creators")
        for row in decision["rows"]
        if row["estimand"] == "difference" and row["front"]
    ]


def _write_plan(decision: Decision) -> list[str]:
    inputs, rows = decision["inputs"], [row for row in decision["rows"] if row["posts"] > 0]
    if not rows:
        return [f"Buy nothing: no post is worth its fee within these limits (budget {say_amount(inputs['budget'])})."]
    bought = join_words([f"{row['posts']:,} {row['label']}" for row in rows])
    worth = "net value" if inputs["unit"] == "currency" else inputs["unit"]
    sentences = [
        f"Buy {bought} for {say_amount(inputs['spent'])} of {say_amount(inputs['budget'])}.",
        f"Expected {worth}: {say_amount(inputs['mean'])} ({say_mass(inputs['prob'])} {say_amount(inputs['lower'])} to "
        f"{say_amount(inputs['upper'])}); mean of the worst tenth {say_amount(inputs['cvar'])}. Only the uncertainty "
        "of the rates is counted there, not the luck of single posts.",
    ]
    if inputs.get("values") in ("Purchases", "Revenue"):
        sentences.append(f"What a conversion brings is that of the column {inputs['values']} in the run.")
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
    "creators": write_creators,
    "equivalence": write_equivalence,
    "priors": write_priors,
    "comparison": write_comparison,
    "populations": _write_populations,
    "planned_mix": _write_mix,
    "frequentist": write_frequentist,
    "plan": _write_plan,
}
