"""Where a truth lies among draws: its rank, and whether an interval holds it.

Takes draws and numbers; knows no model and no engine.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from influbayes.errors import UsageError
from influbayes.hierarchy.design import FloatArray, IntArray
from influbayes.inference.convergence import find_quantile

THINNED = 99
"""Draws a truth is ranked among; ranks go from 0 to 99."""

PROBS = (0.5, 0.8, 0.9, 0.95)
"""Intervals whose coverage is counted."""

Interval = Callable[[FloatArray, float], tuple[float, float]]


def choose_thinned(draws: int) -> IntArray:
    """Return the places of 99 draws spread evenly over `draws` (all chains, one after the other).

    Raises
    ------
    UsageError
        Fewer than 99 draws.
    """
    if draws < THINNED:
        raise UsageError(
            f"{draws} draws in all are too few to rank a truth among {THINNED}. Ask for {THINNED} or more."
        )
    return np.asarray(np.rint(np.linspace(0, draws - 1, THINNED)), dtype=np.int64)


def rank_truth(truth: float, draws: FloatArray, *, rng: np.random.Generator) -> int:
    """Return how many `draws` lie below `truth`; with equal ones, a rank at random among those possible."""
    below, equal = int((draws < truth).sum()), int((draws == truth).sum())
    return below + int(rng.integers(0, equal + 1))


def find_interval(ordered: FloatArray, prob: float) -> tuple[float, float]:
    """Return the equal-tailed interval of sorted draws (draws,), as the report states it."""
    lower, upper = (float(find_quantile(ordered[None], p)[0]) for p in ((1 - prob) / 2, (1 + prob) / 2))
    return lower, upper


def find_nominal(prob: float, draws: int) -> float:
    """Return the coverage an exact interval of `draws` independent draws has: prob x (draws - 1) / (draws + 1).

    The ends are order statistics (linear between draws), so few draws cover a little less than `prob`.
    """
    return prob * (draws - 1) / (draws + 1)
