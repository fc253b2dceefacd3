"""Every number the gate judges by, with its source, and the wording bands of a probability.

Takes and gives numbers; knows no checks. Change a number here and it changes everywhere.
"""

from __future__ import annotations

from bisect import bisect_right
from math import inf, isnan, nan

MIN_CHAINS = 4
"""Chains a fit must have: with fewer, R-hat and tail ESS are not reliable (Vehtari et al. 2021, 10.1214/20-BA1221)."""

MAX_RHAT = 1.01
"""Largest rank-normalised split R-hat of a reported quantity (Vehtari et al. 2021)."""

MIN_ESS = 400.0
"""Smallest bulk and tail effective sample size of a reported quantity: 100 a chain (Vehtari et al. 2021)."""

MAX_DIVERGENCES = 0
"""Divergent transitions allowed after the retries (Betancourt 2017, arXiv:1701.02434)."""

MIN_EBFMI = 0.3
"""Smallest E-BFMI of a chain (Betancourt 2016, arXiv:1604.00695)."""

MAX_DEPTH_SHARE = 0.05
"""Largest share of draws that ended at the maximum tree depth; more is slow mixing, not bias, until it is common."""

MAX_PROBABILITY_MCSE = 0.01
"""Monte Carlo error up to which a stated probability is precise enough: one percentage point."""

CUT_DISTANCE = 3.0
"""Monte Carlo errors a less precise probability must keep from every wording cut."""

CUTS = (0.05, 0.20, 0.80, 0.95, 0.99)
"""Probabilities at which the words of a statement change."""

UNDECIDED = 2
"""The band of the weakest words: the data cannot tell (0.20 to 0.80)."""

PREDICTIVE_ALPHA = 0.002
"""Chance that any predictive check of a correct model fails; shared out evenly over the checks."""

MAX_PARETO_K = 0.7
"""Pareto k above which leave-one-out is not reliable for a row (Vehtari et al. 2024, arXiv:1507.02646)."""

MIN_ROWS = 8
"""Rows below which the table says little beyond the prior."""

MIN_LEVEL_TRIALS = 30
"""Trials of a level below which its effect rests much on the prior."""

MAX_CUTS_MOVED = 1
"""Wording cuts a probability may cross when a prior scale is halved or doubled."""


def band(probability: float) -> int:
    """Return the wording band of a probability: 0 below 0.05, 1 below 0.20, 2 below 0.80, 3, 4, 5 from 0.99 on.

    Raises
    ------
    ValueError
        Where `probability` is not a number from 0 to 1: nothing may be worded from it.
    """
    if isnan(probability) or not 0.0 <= probability <= 1.0:
        raise ValueError(f"probability is {probability}; a number from 0 to 1 is needed to word a statement.")
    return bisect_right(CUTS, probability)


def odds(probability: float) -> float:
    """Return probability / (1 - probability): 0.9 gives 9; 1 gives inf; outside 0 to 1 gives NaN."""
    if isnan(probability) or not 0.0 <= probability <= 1.0:
        return nan
    return inf if probability == 1.0 else probability / (1.0 - probability)
