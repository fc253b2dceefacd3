"""The shape k of a generalised Pareto distribution fitted to the largest importance weights.

Takes log weights; knows neither densities nor model. Source: Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto
smoothed importance sampling, arXiv:1507.02646; fit by Zhang and Stephens (2009), doi:10.1198/tech.2009.08017.
"""

from __future__ import annotations

import numpy as np

from influbayes.hierarchy.design import FloatArray

_LEAST_TAIL = 5
_FEW = 225
_PRIOR_DRAWS = 10.0


def estimate_pareto_k(log_weights: FloatArray) -> float:
    """Return Pareto k of the upper tail of weights (S,); below 0.7 they can be relied on.

    Infinite where a weight is not finite (-inf, a weight of 0, is), for fewer than 25 weights and for an even tail.
    """
    flat = np.asarray(log_weights, dtype=np.float64).ravel()
    if np.isnan(flat).any() or np.isposinf(flat).any() or not np.isfinite(flat.max()):
        return float("inf")
    shifted = np.sort(flat - flat.max())
    tail = int(3.0 * np.sqrt(len(flat))) if len(flat) > _FEW else len(flat) // 5
    if tail < _LEAST_TAIL:
        return float("inf")
    return fit_shape(np.exp(shifted[-tail:]) - np.exp(shifted[-tail - 1]))


def fit_shape(exceedances: FloatArray) -> float:
    """Return the shape of a generalised Pareto distribution fitted to sorted exceedances, drawn a little to 0.5."""
    count = len(exceedances)
    grid = 30 + int(np.sqrt(count))
    quarter = exceedances[int(count / 4 + 0.5 - 1)]
    if quarter <= exceedances[0]:
        return float("inf")
    theta = (1.0 - np.sqrt(grid / (np.arange(1, grid + 1) - 0.5))) / (3.0 * quarter) + 1.0 / exceedances[-1]
    shapes = np.log1p(-theta[:, None] * exceedances).mean(axis=1)
    profile = count * (np.log(-(theta / shapes)) - shapes - 1.0)
    weights = np.exp(profile - profile.max())
    weights[weights / weights.sum() < 10 * np.finfo(np.float64).eps] = 0.0
    best = float((theta * weights).sum() / weights.sum())
    shape = float(np.log1p(-best * exceedances).mean())
    return (count * shape + _PRIOR_DRAWS * 0.5) / (count + _PRIOR_DRAWS)
