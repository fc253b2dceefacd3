"""Importance weights, Pareto-smoothed, with the diagnostic that says whether they can be trusted.

Takes log ratios of densities at draws; knows neither the densities nor the model. Equal to ArviZ's, which takes one row
at a time and a second to load. Source: Vehtari, Simpson, Gelman, Yao and Gabry (2024), arXiv:1507.02646; Pareto fit by
Zhang and Stephens (2009), doi:10.1198/tech.2009.08017.
"""

from __future__ import annotations

import numpy as np

from influbayes.hierarchy.design import FloatArray, IntArray

LEAST_TAIL = 5
EQUAL = 1e-8
_FEW = 225
_PRIOR_DRAWS = 10.0


def smooth_log_weights(log_ratios: FloatArray) -> tuple[FloatArray, float]:
    """Return Pareto-smoothed log weights (sum of weights 1) and Pareto k of importance ratios (Vehtari et al. 2024).

    Ratios whose upper tail is equal to within 10^-8 need no smoothing and would break the Pareto fit: they are only
    normalised, with k = 0. Ratios too uneven or too few to fit have k = inf; ratios that are not finite also have NaN
    weights.
    """
    flat = np.asarray(log_ratios, dtype=np.float64).ravel()
    if not np.isfinite(flat).all():
        return np.full_like(flat, np.nan), float("inf")
    order = np.argsort(flat)
    if np.ptp(flat[order[-max(LEAST_TAIL, int(np.ceil(min(flat.size / 5, 3 * np.sqrt(flat.size))))) :]]) < EQUAL:
        return flat - sum_logs(flat), 0.0
    tail = count_tail(flat.size)
    if tail < LEAST_TAIL:
        return flat - sum_logs(flat), float("inf")
    shifted = flat - flat[order[-1]]
    weights, k = smooth_tails(shifted[None], shifted[order[-tail - 1 :]][None], order[-tail:][None])
    return weights[0] - sum_logs(weights[0]), float(k[0])


def count_tail(draws: int) -> int:
    """Return how many of the largest ratios make the tail."""
    return int(3 * np.sqrt(draws)) if draws > _FEW else draws // 5


def smooth_tails(ratios: FloatArray, largest: FloatArray, places: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return log weights (rows, draws) with the largest replaced by quantiles of the fitted Pareto tail, and k (rows,).

    `ratios` (rows, draws) log ratios, at most 0; `largest` (rows, 1 + tail) the sorted largest, the first of them the
    last that stays as it is; `places` (rows, tail) where the others are. k is infinite where no Pareto fits.
    """
    cutoff = np.exp(largest[:, :1])
    k, sigma = _fit_tails(np.exp(largest[:, 1:]) - cutoff)
    p = np.arange(0.5, places.shape[1]) / places.shape[1]
    with np.errstate(invalid="ignore"):
        smoothed = np.log(cutoff + sigma[:, None] * np.expm1(-k[:, None] * np.log1p(-p)) / k[:, None])
    usable = np.isfinite(smoothed).all(axis=1)
    kept = np.where(usable[:, None], np.minimum(smoothed, largest[:, -1:]), largest[:, 1:])
    weights = ratios.copy()
    np.put_along_axis(weights, places, kept, axis=1)
    return weights, np.where(np.isnan(k), np.inf, k)


def _fit_tails(exceedances: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Fit a generalised Pareto distribution to sorted exceedances (rows, tail): shape drawn a little to 0.5, scale."""
    count = exceedances.shape[1]
    grid = 30 + int(count**0.5)
    quarter = exceedances[:, int(count / 4 + 0.5) - 1, None]
    steps = 1.0 - np.sqrt(grid / (np.arange(1, grid + 1) - 0.5))
    with np.errstate(all="ignore"):  # a tail that is no Pareto gives not-a-number, which the caller turns into k = inf
        theta = steps / (3.0 * quarter) + 1.0 / exceedances[:, -1:]
        shapes = np.stack([np.log1p(-theta[:, j, None] * exceedances).mean(axis=1) for j in range(grid)], axis=1)
        profile = count * (np.log(-theta / shapes) - shapes - 1.0)
        weights = np.exp(profile - sum_logs(profile)[:, None])
        weights[weights < 10 * np.finfo(np.float64).eps] = 0.0
        best = (theta * weights).sum(axis=1) / weights.sum(axis=1)
        shape = np.log1p(-best[:, None] * exceedances).mean(axis=1)
    unfit = quarter[:, 0] <= exceedances[:, 0]
    k = np.where(unfit, np.nan, (count * shape + _PRIOR_DRAWS * 0.5) / (count + _PRIOR_DRAWS))
    return k, -shape / best


def sum_logs(values: FloatArray) -> FloatArray:
    """Return log(sum(exp(values))) over the last axis."""
    top = values.max(axis=-1, keepdims=True)
    return np.asarray(np.log(np.exp(values - top).sum(axis=-1)) + top[..., 0])
