"""Practical equivalence: the probability that an odds ratio lies within a bound that the user gave.

Takes a fit and a bound; without a bound nothing is claimed, there is no default.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from influbayes.effects.contrasts import list_contrasts, subtract_levels
from influbayes.effects.estimands import Probability, estimate_probability, name_row
from influbayes.errors import UsageError
from influbayes.hierarchy.posterior import Fit


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalence:
    """P(1/threshold < odds ratio < threshold) of one contrast; `id` is that of the contrast's odds ratio."""

    id: str
    variable: str
    level: str
    reference: str
    probability: Probability


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
    check_threshold(threshold)
    bound, found = float(np.log(threshold)), []
    for term in fit.design.factors:
        if term.levels == "all":
            effects, levels = fit.draws[f"effect_{term.column}"], fit.design.levels[term.column]
            for level, reference in list_contrasts(fit.design, term):
                draws = subtract_levels(effects, levels, level, reference)
                found.append(
                    Equivalence(
                        id=name_row(fit.design.question, "odds_ratio", term.column, level, reference),
                        variable=term.column,
                        level=level,
                        reference=reference,
                        probability=estimate_probability(bound - np.abs(draws)),
                    )
                )
    return tuple(found)
