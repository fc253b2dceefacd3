"""Ranks: which level or cell comes out first, and how surely.

Takes averaged expected values (or effects of a `sample` factor, which rank alike) and returns rows of the effects
table. R-hat and ESS of a rank are those of the expected value it is cut from: a rank that never changes has none.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from influbayes.effects.averages import Averages, average_posts
from influbayes.effects.estimands import (
    Effect,
    Quantity,
    Summary,
    check_prob,
    estimate_probability,
    label_row,
    list_summaries,
)
from influbayes.errors import UsageError
from influbayes.hierarchy.design import FloatArray
from influbayes.hierarchy.posterior import Fit
from influbayes.hierarchy.spec import Question
from influbayes.inference.convergence import summarise_quantities

_NO_INTERVAL = "a probability is one number, so lower and upper repeat it"


def rank_levels(fit: Fit, factor: str, *, prob: float = 0.9, averages: Averages | None = None) -> tuple[Effect, ...]:
    """Rank the levels of a factor, or cells, by expected value.

    Parameters
    ----------
    fit : Fit
    factor : str
        An `all` factor; "A:B" for the cells of the first two `all` factors; or a `sample` factor, ranked on effects.
    prob : float
        Mass of the equal-tailed intervals, between 0 and 1.
    averages : Averages, optional
        `average_posts(fit)`, where already computed.

    Returns
    -------
    tuple of Effect
        For each level a row `rank` (median rank, 1 = best, whole ranks; `scale` is the one ranked on) and a row
        `probability_best` (0 to 1).

    Raises
    ------
    UsageError
        `factor` is none of these, or `prob` outside 0 to 1.
    """
    check_prob(prob)
    if any(term.column == factor and term.levels == "sample" for term in fit.design.factors):
        effects, levels = fit.draws[f"effect_{factor}"], fit.design.levels[factor]
        return _rank(effects, levels, factor, "any one post", fit.design.question, prob=prob)
    given = average_posts(fit) if averages is None else averages
    known = _list_averages(given)
    if factor not in known:
        offered = ", ".join(dict.fromkeys([*known, *fit.design.levels]))
        raise UsageError(f"{factor!r} cannot be ranked; this model has {offered}.")
    return _rank(*known[factor], factor, given.population.words, fit.design.question, prob=prob)


def rank_averages(averages: Averages, *, prob: float) -> tuple[Effect, ...]:
    """Rank the levels of every `all` factor, and the cells of the first two."""
    question, words = averages.population.fit.design.question, averages.population.words
    ranked = [
        _rank(scores, levels, variable, words, question, prob=prob)
        for variable, (scores, levels) in _list_averages(averages).items()
    ]
    return tuple(row for rows in ranked for row in rows)


def find_lead(scores: FloatArray) -> FloatArray:
    """Return each score (..., level) minus the largest of the others: above 0 where that level is best."""
    if scores.shape[-1] < 2:
        return np.full_like(scores, np.inf)
    runner_up, top = np.moveaxis(np.partition(scores, -2, axis=-1)[..., -2:], -1, 0)[..., None]
    lead = scores - top
    return np.asarray(np.where(lead == 0, top - runner_up, lead))


def find_ranks(scores: FloatArray) -> FloatArray:
    """Return the rank of each score (..., level) in its draw: 1 for the largest; ties keep the levels' order."""
    order = np.argsort(-scores, axis=-1, kind="stable")
    ranks = np.empty(scores.shape)
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(1.0, scores.shape[-1] + 1), scores.shape), axis=-1)
    return ranks


def _list_averages(averages: Averages) -> dict[str, tuple[FloatArray, tuple[str, ...]]]:
    """Averaged expected values (chain, draw, label) with their labels, by variable."""
    levels = averages.population.fit.design.levels
    known = {factor: (means, levels[factor]) for factor, means in averages.levels.items()}
    if averages.crossed is not None and averages.cells is not None:
        first, second = averages.crossed
        labels = tuple(f"{one}:{two}" for one in levels[first] for two in levels[second])
        known[f"{first}:{second}"] = (averages.cells.reshape(*averages.cells.shape[:2], -1), labels)
    return known


def _rank(
    scores: FloatArray, levels: tuple[str, ...], variable: str, population: str, question: Question, *, prob: float
) -> tuple[Effect, ...]:
    """Rows of the scores (chain, draw, level)."""
    by_level = np.moveaxis(scores, -1, 0)
    ranks = np.moveaxis(find_ranks(scores), -1, 0)
    leads = np.moveaxis(find_lead(scores), -1, 0)
    sources = list_summaries(summarise_quantities(by_level, prob=prob))
    errors = summarise_quantities(ranks, prob=prob).mcse
    rows = []
    for k, level in enumerate(levels):
        label = Quantity(
            estimand="rank",
            variable=variable,
            level=level,
            population=population,
            held=f"compared with the other {len(levels) - 1} of {variable}, draw by draw",
            scale="probability",
            null_value=None,
            draws=ranks[k],
        )
        rows.append(_label_rank(label, question, sources[k], float(errors[k]), prob=prob))
        rows.append(_label_best(label, question, sources[k], leads[k], prob=prob))
    return tuple(rows)


def _label_rank(label: Quantity, question: Question, source: Summary, error: float, *, prob: float) -> Effect:
    ordered = np.sort(label.draws, axis=None)
    middle, low, high = (float(ordered[_place(p, ordered.size)]) for p in (0.5, (1 - prob) / 2, (1 + prob) / 2))
    summary = replace(source, estimate=middle, lower=low, upper=high, mcse=error)
    return label_row(label, question, summary, prob=prob, probability=None)


def _label_best(label: Quantity, question: Question, source: Summary, lead: FloatArray, *, prob: float) -> Effect:
    best = estimate_probability(lead)
    summary = replace(source, estimate=best.value, lower=best.value, upper=best.value, mcse=best.mcse)
    quantity = replace(label, estimand="probability_best", held=f"{label.held}; {_NO_INTERVAL}")
    return label_row(quantity, question, summary, prob=prob, probability=best.value)


def _place(p: float, size: int) -> int:
    """Place of the p-quantile among sorted draws without interpolation, so that ranks stay whole."""
    return min(max(int(np.ceil(p * size - 1e-9)) - 1, 0), size - 1)
