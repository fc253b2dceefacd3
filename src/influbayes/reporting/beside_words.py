"""Sentences on what stands beside the model: creators, equivalence, priors, other specifications, regressions.

Takes one decision of results.json each, as plain rows. Knows no draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from influbayes.gate.thresholds import UNDECIDED, band
from influbayes.reporting.wording import (
    MINUS,
    WORDS,
    join_words,
    name_levels,
    say_per_100,
    say_probability,
    say_ratio,
)

Decision = Mapping[str, Any]


def say_chance(row: Mapping[str, Any]) -> str:
    """Return a probability with its one-sided bounds, where it has them."""
    return say_probability(row["probability"], at_least=row.get("at_least"), at_most=row.get("at_most"))


def write_creators(decision: Decision) -> list[str]:
    """Return what repeated posts of one creator are worth, and what ignoring that would do."""
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


_BOLDER = 0.02
"""How much further from one half a probability must lie to be called over-confident; refits alone move it by less."""


def _is_bolder(row: Mapping[str, Any]) -> bool:
    return bool(abs(row["naive"] - 0.5) > abs(row["probability"] - 0.5) + _BOLDER)


def write_equivalence(decision: Decision) -> list[str]:
    """Return how surely levels are practically equal: those of which something can be said, then the others at once."""
    inputs = decision["inputs"]
    question = "as bought" if inputs["question"] == "as_bought" else "engagement constant"
    between = f"odds ratio between {1 / inputs['threshold']:.3g} and {inputs['threshold']:.4g}, {question}"
    front = [row for row in decision["rows"] if row["front"]]
    said = [_write_equal_pair(row, between) for row in front if band(row["probability"]) != UNDECIDED]
    unknown = [row for row in front if band(row["probability"]) == UNDECIDED]
    if unknown:
        named = [f"{row['level']} and {row['reference']} ({say_chance(row)})" for row in unknown]
        said.append(f"Whether these are practically equal ({between}) cannot be told: {'; '.join(named)}.")
    added = " It rests on the prior." if inputs.get("rests_on_prior") else ""
    return [f"{text}{added}" for text in said]


def _write_equal_pair(row: Mapping[str, Any], between: str) -> str:
    return (
        f"{row['level']} and {row['reference']} are {WORDS[band(row['probability'])]} practically equal ({between}; "
        f"probability {say_chance(row)})."
    )


def write_priors(decision: Decision) -> list[str]:
    """Return what the priors say before any post."""
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


def write_comparison(decision: Decision) -> list[str]:
    """Return which specification predicts left-out posts best."""
    rows = sorted(decision["rows"], key=lambda row: -row["elpd"])
    folds = decision["inputs"].get("folds")
    if not rows:
        return ["Specifications were not compared by leaving out creators: not every refit could be made."]
    how = "one post at a time" if folds is None else f"whole creators, in {folds} folds, with exact refits"
    sentences = [f"Leaving out {how}, the left-out posts are predicted best by {rows[0]['name']}."]
    for far, words in ((True, "Clearly worse"), (False, "Not clearly worse")):
        named = [_say_score(row) for row in rows[1:] if _is_far(row) == far]
        if named:
            sentences.append(f"{words} (difference in log score, its standard error): {join_words(named)}.")
    if folds is not None:
        sentences.append("This asks how well posts of creators not seen before are predicted.")
    return sentences


def _is_far(row: Mapping[str, Any]) -> bool:
    return bool(row["difference"] < -2 * row["difference_se"])


def _say_score(row: Mapping[str, Any]) -> str:
    return f"{row['name']} ({row['difference']:.1f}, {row['difference_se']:.1f})".replace("-", MINUS)


def write_frequentist(decision: Decision) -> list[str]:
    """Return where regressions of the same posts say otherwise, and why."""
    inputs = decision["inputs"]
    sentences = []
    if not inputs["exists"]:
        columns = join_words(inputs["columns"]) or "the terms"
        verb = "separates" if len(inputs["columns"]) == 1 else "separate"
        sentences.append(
            f"No maximum-likelihood estimate exists: {columns} {verb} the posts that converted from those that did "
            "not. Firth's penalised estimate is finite; it and the Bayesian sizes rest on more than the posts. How "
            "much of a gap is pooling cannot be told then: what is not due to creators is put down to the priors."
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
        "the priors" if row["pooling"] is not None else "the priors, partial pooling among them": row["prior"],
    }
    known = {name: abs(size) for name, size in parts.items() if size is not None}
    largest = max(known, key=lambda name: known[name])
    text = (
        f"{row['level']} against {row['reference']}, odds ratio: {say_ratio(row['regression'])} by the regression "
        f"({_METHODS[row['method']]}), {say_ratio(row['bayesian'])} by this model."
    )
    if abs(row["gap"]) < 0.05:
        return f"{text} They agree."
    return f"{text} Most of the gap comes from {largest}."
