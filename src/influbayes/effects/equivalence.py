"""Practical equivalence: the probability that an odds ratio lies within a bound that the user gave.

Takes a fit and a bound; without a bound nothing is claimed, there is no default.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from influbayes.effects.contrasts import list_contrasts, subtract_levels
from influbayes.effects.estimands import Probability, estimate_probability, name_row
from influbayes.errors import UsageError
from influbayes.hierarchy.design import FloatArray
from influbayes.hierarchy.posterior import Fit


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalence:
    """P(1/threshold < odds ratio < threshold) of one contrast; `id` is that of the contrast's odds ratio."""

    id: str
    variable: str
    level: str
    reference: str
    probability: Probability


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where the odds ratio of one contrast lies against a bound R; the three probabilities add to 1.

    `worse` = P(odds ratio < 1/R), `equal` = P(1/R to R), `better` = P(odds ratio > R); `question`, `variable`, `level`
    and `reference` name the contrast, `id` its odds ratio in the effects table.
    """

    id: str
    question: str
    variable: str
    level: str
    reference: str
    worse: Probability
    equal: Probability
    better: Probability


def check_threshold(threshold: float) -> None:
    """Raise UsageError unless `threshold` is an odds ratio above 1."""
    if not 1 < threshold < float("inf"):
        raise UsageError(
            f"--threshold {threshold:g}: an odds ratio above 1; 1.1 means that 1/1.1 to 1.1 counts as equal."
        )


def estimate_equivalence(fit: Fit, *, threshold: float) -> tuple[Equivalence, ...]:
    """Return the probability that two levels are practically equal, for every contrast of the `all` factors.

    Parameters
    ----------
    fit : Fit
    threshold : float
        Odds ratio above 1.

    Returns
    -------
    tuple of Equivalence
        The same for a contrast and its reverse: the bound is symmetric on the log odds.

    Raises
    ------
    UsageError
        `threshold` not above 1.
    """
    return tuple(
        Equivalence(
            id=position.id,
            variable=position.variable,
            level=position.level,
            reference=position.reference,
            probability=position.equal,
        )
        for position in place_contrasts(fit, threshold=threshold)
    )


def place_contrasts(fit: Fit, *, threshold: float) -> tuple[Position, ...]:
    """Return on which side of practical equality every contrast of the `all` factors lies, and how surely.

    Parameters
    ----------
    fit : Fit
    threshold : float
        Odds ratio above 1.

    Returns
    -------
    tuple of Position
        One for each contrast; `equal` does not depend on its direction, as the bound is symmetric on the log odds.

    Raises
    ------
    UsageError
        `threshold` not above 1.
    """
    check_threshold(threshold)
    bound = float(np.log(threshold))
    return tuple(
        Position(
            id=name_row(fit.design.question, "odds_ratio", factor, level, reference),
            question=fit.design.question,
            variable=factor,
            level=level,
            reference=reference,
            worse=estimate_probability(-bound - draws),
            equal=estimate_probability(bound - np.abs(draws)),
            better=estimate_probability(draws - bound),
        )
        for factor, level, reference, draws in _list_log_odds_ratios(fit)
    )


def _list_log_odds_ratios(fit: Fit) -> Iterator[tuple[str, str, str, FloatArray]]:
    """Give (factor, level, reference, draws of the log odds ratio) of every contrast of the `all` factors."""
    for term in fit.design.factors:
        if term.levels == "all":
            effects, levels = fit.draws[f"effect_{term.column}"], fit.design.levels[term.column]
            for level, reference in list_contrasts(fit.design, term):
                yield term.column, level, reference, subtract_levels(effects, levels, level, reference)
