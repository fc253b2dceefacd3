"""The Bayesian bootstrap over users: the posterior of a mean without any assumption about how people spend.

Takes what each user spent; makes draws. Dirichlet(1, ..., 1) weights over users (Rubin 1981,
10.1214/aos/1176345338); users who spent the same share one gamma weight, so users who bought nothing cost nothing.
"""

from __future__ import annotations

import numpy as np

from influbayes.tables.cells import FloatArray

MOST_WEIGHTS = 20_000
BLOCK = 2_000_000
FLAT = 1e-4  # a skewness below which a gamma distribution is the normal one


def draw_mean(
    spend: FloatArray,
    *,
    users: int | None = None,
    draws: int,
    rng: np.random.Generator,
    most_weights: int = MOST_WEIGHTS,
) -> FloatArray:
    """Return (draws,) posterior draws of the mean spend of a user.

    Parameters
    ----------
    spend
        What each user spent, in currency.
    users
        Size of the group where `spend` holds only those who bought; the others spent 0.
    draws, rng
        Number of draws and where they come from.
    most_weights
        With more different amounts than this, 20,000 unless told, the draws come from the shifted gamma distribution
        with the same mean, variance and skewness as the weighted mean, which by then is all but normal; cost stays
        linear in users.
    """
    total = len(spend) if users is None else users
    amounts, counts = np.unique(spend, return_counts=True)
    missing = total - len(spend)
    if missing > 0:
        amounts, counts = np.append(amounts, 0.0), np.append(counts, missing)
    mean = float(amounts @ counts) / total
    if len(amounts) > most_weights:
        return _draw_matched(amounts - mean, counts / total, total, mean=mean, draws=draws, rng=rng)
    made = np.empty(draws)
    step = max(1, BLOCK // len(amounts))
    for start in range(0, draws, step):
        weights = rng.standard_gamma(counts.astype(np.float64), size=(min(step, draws - start), len(amounts)))
        made[start : start + step] = (weights @ amounts) / weights.sum(axis=1)
    return made


def _draw_matched(
    apart: FloatArray, shares: FloatArray, total: int, *, mean: float, draws: int, rng: np.random.Generator
) -> FloatArray:
    """Draw from the shifted gamma with the moments of a Dirichlet-weighted mean.

    Its variance is m2 / (n + 1) and its third central moment 2 m3 / ((n + 1)(n + 2)), with m2, m3 those of the users.
    """
    variance = float(apart**2 @ shares) / (total + 1)
    third = 2 * float(apart**3 @ shares) / ((total + 1) * (total + 2))
    sd = variance**0.5
    skewness = third / sd**3 if sd > 0 else 0.0
    if abs(skewness) < FLAT:
        return np.asarray(mean + sd * rng.standard_normal(draws), dtype=np.float64)
    shape = 4 / skewness**2
    return np.asarray(mean + sd * skewness / 2 * (rng.standard_gamma(shape, draws) - shape), dtype=np.float64)
