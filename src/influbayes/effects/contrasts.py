"""What levels and steps are worth: odds ratios, differences, lifts and expected values, each with its labels.

Takes a Fit and returns the effects table (`Effect`) and the statements that may be made about it (`Claim`). Every
number is a function of the draws and of `averages`; what may be said, and in which words, is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np
from scipy.special import logit

from influbayes.effects.averages import (
    Averages,
    average_own_posts,
    average_posts,
    find_baseline,
    find_step,
    find_step_log_odds_ratio,
    list_all_factors,
)
from influbayes.effects.estimands import Claim, Effect, Quantity, check_prob, estimate_rows, name_row
from influbayes.effects.ranking import find_lead, rank_averages
from influbayes.hierarchy.design import Design, FloatArray
from influbayes.hierarchy.posterior import Fit
from influbayes.hierarchy.spec import FactorTerm, Question

MEAN_OF_LEVELS = "mean of levels"
POPULATION = "population"
ALL_POSTS = "all posts"
MOST_PAIRED = 12
_ONE_POST = "any one post"
# A mean of probabilities that rounds to 0 or 1 must still have finite odds.
_EDGE = (1e-300, 1 - 2.0**-53)


def estimate_effects(fit: Fit, *, prob: float = 0.9, averages: Averages | None = None) -> tuple[Effect, ...]:
    """Return the effects table of a fit.

    For every `all` factor: odds ratio (conditional), odds ratio of averaged expected values, difference in expected
    conversions per 100 posts and lift of each level against the reference (without one: against the mean of the
    levels), then, with at most 12 levels, of the remaining pairs. For every numeric: odds ratio and difference for one
    `report_step`. Expected values over all posts, by level, by cell of the first two `all` factors. For every `sample`
    factor: odds ratio of each level against the population, and expected value over its own posts. Ranks and the
    probability of being best, of levels and cells.

    Parameters
    ----------
    fit : Fit
    prob : float
        Mass of the equal-tailed intervals, between 0 and 1.
    averages : Averages, optional
        `average_posts(fit)`, where already computed.

    Returns
    -------
    tuple of Effect
        Ids are unique. Averages over more than 10^7 rows x draws use every n-th draw; `population` says so.

    Raises
    ------
    UsageError
        `prob` outside 0 to 1.
    """
    check_prob(prob)
    given = average_posts(fit) if averages is None else averages
    rows = estimate_rows(tuple(_list_quantities(fit, given)), fit.design.question, prob=prob)
    return rows + rank_averages(given, prob=prob)


def make_claims(fit: Fit, *, averages: Averages | None = None) -> tuple[Claim, ...]:
    """Return the statements that may be made from a fit, each with its margin.

    `beats`: each level against the reference and the remaining pairs of every `all` factor; as bought on the difference
    of averaged expected values, with engagement constant on the log odds ratio. `step`: a step of a numeric raises the
    odds. `best`: a level against the largest of the others, on the same scale as `beats`.

    Parameters
    ----------
    fit : Fit
    averages : Averages, optional
        `average_posts(fit)`, where already computed; needed as bought only.

    Returns
    -------
    tuple of Claim
        `margin` (chain, draw) is above 0 where the statement holds.
    """
    design = fit.design
    scores = score_levels(fit, averages)
    claims: list[Claim] = []
    for term in design.factors:
        if term.levels == "all":
            claims.extend(_claim_contrasts(design, term, scores[term.column]))
    claims.extend(_claim_steps(fit))
    for name, score in scores.items():
        claims.extend(_claim_best(design, name, score))
    return tuple(claims)


def score_levels(fit: Fit, averages: Averages | None = None) -> dict[str, FloatArray]:
    """Return what the levels of each `all` factor are compared on, (chain, draw, level).

    As bought the averaged expected value, with engagement constant the effect on the log odds.
    """
    factors = list_all_factors(fit.design)
    if fit.design.question == "as_bought" and factors:
        return dict((average_posts(fit) if averages is None else averages).levels)
    return {name: fit.draws[f"effect_{name}"] for name in factors}


def list_contrasts(design: Design, term: FactorTerm) -> tuple[tuple[str, str], ...]:
    """Return (level, reference) pairs: the reference first, then the remaining pairs with at most 12 levels."""
    levels = design.levels[term.column]
    if term.reference is None:
        first = [(level, MEAN_OF_LEVELS) for level in levels]
    else:
        first = [(level, term.reference) for level in levels if level != term.reference]
    if len(levels) > MOST_PAIRED:
        return tuple(first)
    rest = [level for level in levels if level != term.reference]
    return (*first, *((level, other) for other, level in combinations(rest, 2)))


def _list_quantities(fit: Fit, averages: Averages) -> Iterator[Quantity]:
    for term in fit.design.factors:
        if term.levels == "all":
            for level, reference in list_contrasts(fit.design, term):
                yield from contrast_levels(fit, averages, term.column, level, reference)
    for column in fit.design.numeric_names:
        yield from _contrast_step(fit, averages, column)
    yield from _expect_all(fit.design, averages)
    for term in fit.design.factors:
        if term.levels == "sample":
            yield from _describe_sample(fit, averages, term.column)


def contrast_levels(fit: Fit, averages: Averages, factor: str, level: str, reference: str) -> Iterator[Quantity]:
    """The four estimands of one level against another, or against the mean of the levels."""
    levels, means = fit.design.levels[factor], averages.levels[factor]
    mine = means[..., levels.index(level)]
    other = means.mean(axis=-1) if reference == MEAN_OF_LEVELS else means[..., levels.index(reference)]
    held = _say_held(fit.design, factor)
    odds_ratio = Quantity(
        estimand="odds_ratio",
        variable=factor,
        level=level,
        reference=reference,
        population=_ONE_POST,
        held=_say_interaction(fit.design, factor) + held,
        scale="odds",
        null_value=1.0,
        draws=subtract_levels(fit.draws[f"effect_{factor}"], levels, level, reference),
    )
    yield odds_ratio
    averaged = replace(odds_ratio, population=averages.population.words, held=held)
    log_odds = _find_log_odds(mine) - _find_log_odds(other)
    yield replace(averaged, estimand="average_odds_ratio", draws=log_odds)
    plain = replace(averaged, null_value=0.0)
    yield replace(plain, estimand="difference", scale="per_100_posts", draws=100 * (mine - other))
    yield replace(plain, estimand="lift", scale="probability", draws=mine / np.maximum(other, _EDGE[0]) - 1)


def _contrast_step(fit: Fit, averages: Averages, column: str) -> Iterator[Quantity]:
    design, step = fit.design, find_step(fit.design, column)
    held = _say_held(design, column)
    yield Quantity(
        estimand="odds_ratio",
        variable=column,
        step=step,
        population=_ONE_POST,
        held=_say_baseline(design, column) + held,
        scale="odds",
        null_value=1.0,
        draws=find_step_log_odds_ratio(fit, column, step),
    )
    yield Quantity(
        estimand="difference",
        variable=column,
        step=step,
        population=averages.population.words,
        held=held,
        scale="per_100_posts",
        null_value=0.0,
        draws=100 * (averages.steps[column] - averages.overall),
    )


def _expect_all(design: Design, averages: Averages) -> Iterator[Quantity]:
    """Expected values over all posts, by level and by cell."""
    yield _expect(averages, ALL_POSTS, None, "all columns at their values", averages.overall)
    for factor, means in averages.levels.items():
        for k, level in enumerate(design.levels[factor]):
            yield _expect(averages, factor, level, _say_held(design, factor), means[..., k])
    if averages.crossed is None or averages.cells is None:
        return
    first, second = averages.crossed
    held = _say_held(design, first, second)
    for i, one in enumerate(design.levels[first]):
        for j, two in enumerate(design.levels[second]):
            yield _expect(averages, f"{first}:{second}", f"{one}:{two}", held, averages.cells[..., i, j])


def _expect(averages: Averages, variable: str, level: str | None, held: str, draws: FloatArray) -> Quantity:
    return Quantity(
        estimand="expected_value",
        variable=variable,
        level=level,
        population=averages.population.words,
        held=held,
        scale="probability",
        null_value=None,
        draws=draws,
    )


def _describe_sample(fit: Fit, averages: Averages, factor: str) -> Iterator[Quantity]:
    """Each level of a `sample` factor against its population, and over its own posts."""
    levels, effects = fit.design.levels[factor], fit.draws[f"effect_{factor}"]
    held = _say_held(fit.design, factor)
    for k, level in enumerate(levels):
        yield Quantity(
            estimand="odds_ratio",
            variable=factor,
            level=level,
            reference=POPULATION,
            population=_ONE_POST,
            held=held,
            scale="odds",
            null_value=1.0,
            draws=effects[..., k],
        )
    own = average_own_posts(averages.population, factor)
    for k, level in enumerate(levels):
        yield Quantity(
            estimand="expected_value",
            variable=factor,
            level=level,
            population=f"the posts of {level} among {averages.population.words}",
            held="all columns at their values",
            scale="probability",
            null_value=None,
            draws=own[..., k],
        )


def _claim_contrasts(design: Design, term: FactorTerm, score: FloatArray) -> Iterator[Claim]:
    question, factor = design.question, term.column
    for level, reference in list_contrasts(design, term):
        quoted = [name_row(question, what, factor, level, reference) for what in ("difference", "odds_ratio")]
        sides = [side for side in (level, reference) if side in design.levels[factor]]
        yield Claim(
            id=name_row(question, "beats", factor, level, reference),
            kind="beats",
            question=question,
            variable=factor,
            level=level,
            reference=reference,
            step=None,
            effects=(*quoted, *(name_row(question, "expected_value", factor, side) for side in sides)),
            margin=subtract_levels(score, design.levels[factor], level, reference),
        )


def _claim_steps(fit: Fit) -> Iterator[Claim]:
    question = fit.design.question
    for k, column in enumerate(fit.design.numeric_names):
        step = find_step(fit.design, column)
        yield Claim(
            id=name_row(question, "step", column),
            kind="step",
            question=question,
            variable=column,
            level=None,
            reference=None,
            step=step,
            effects=tuple(name_row(question, what, column) for what in ("odds_ratio", "difference")),
            margin=fit.draws["slope"][..., k] * np.sign(step),
        )


def _claim_best(design: Design, factor: str, score: FloatArray) -> Iterator[Claim]:
    question: Question = design.question
    lead = find_lead(score)
    for k, level in enumerate(design.levels[factor]):
        yield Claim(
            id=name_row(question, "best", factor, level),
            kind="best",
            question=question,
            variable=factor,
            level=level,
            reference=None,
            step=None,
            effects=tuple(name_row(question, what, factor, level) for what in ("probability_best", "expected_value")),
            margin=lead[..., k],
        )


def subtract_levels(values: FloatArray, levels: tuple[str, ...], level: str, reference: str) -> FloatArray:
    """Values (chain, draw, level) of `level` minus those of `reference` or of the mean of the levels."""
    other = values.mean(axis=-1) if reference == MEAN_OF_LEVELS else values[..., levels.index(reference)]
    return np.asarray(values[..., levels.index(level)] - other)


def _find_log_odds(probability: FloatArray) -> FloatArray:
    return np.asarray(logit(np.clip(probability, *_EDGE)))


def _say_held(design: Design, *varied: str) -> str:
    """Name the columns that stay as they are, and what as bought does not hold."""
    columns = (*design.numeric_names, *(term.column for term in design.factors))
    others = [column for column in columns if column not in varied]
    words = (
        f"{_join(others)} held at {'its' if len(others) == 1 else 'their'} values" if others else "nothing else held"
    )
    if design.question == "as_bought":
        return f"{words}; engagement left free to follow {_join(list(varied))}"
    return words


def _say_interaction(design: Design, factor: str) -> str:
    """Say what the conditional odds ratio of a factor in an interaction averages over."""
    partners = [name for pair in design.interactions if factor in pair.of for name in pair.of if name != factor]
    return f"averaged on the log-odds scale over the levels of {_join(partners)}; " if partners else ""


def _say_baseline(design: Design, column: str) -> str:
    baseline = find_baseline(design, column)
    return f"{column} raised from its mean, {baseline:,.6g}; " if baseline else ""


def _join(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
