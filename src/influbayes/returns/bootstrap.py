"""The Bayesian bootstrap over users: the posterior of a mean without any assumption about how people spend.

Takes what each user spent; makes draws. Dirichlet(1, ..., 1) weights over users (Rubin 1981,
10.1214/aos/1176345338); users who spent the same share one gamma weight, so users who bought nothing cost nothing.
"""

from __future__ import annotations

import numpy as np

from influbayes.tables.cells import FloatArray

MOST_WEIGHTS = 20_000
BLOCK = 2_000_000


def draw_mean(spend: FloatArray, *, users: int | None = None, draws: int, rng: np.random.Generator) -> FloatArray:
    """Return (draws,) posterior draws of the mean spend of a user.

    Parameters
    ----------
    spend
        What each user spent, in currency.
    users
        Size of the group where `spend` holds only those who bought; the others spent 0.
    draws, rng
        Number of draws and where they come from.

    Notes
    -----
    With more than 20,000 different amounts the draws come from the normal distribution with the same mean and variance,
    which the weighted mean has reached by then; cost stays linear in users.
    """
    total = len(spend) if users is None else users
    amounts, counts = np.unique(spend, return_counts=True)
    missing = total - len(spend)
    if missing > 0:
        amounts, counts = np.append(amounts, 0.0), np.append(counts, missing)
    mean = float(amounts @ counts) / total
    if len(amounts) > MOST_WEIGHTS:
        sd = np.sqrt(float(((amounts - mean) ** 2) @ counts) / total / (total + 1))
        return np.asarray(mean + sd * rng.standard_normal(draws), dtype=np.float64)
    made = np.empty(draws)
    step = max(1, BLOCK // len(amounts))
    for start in range(0, draws, step):
        weights = rng.standard_gamma(counts.astype(np.float64), size=(min(step, draws - start), len(amounts)))
        made[start : start + step] = (weights @ amounts) / weights.sum(axis=1)
    return made
