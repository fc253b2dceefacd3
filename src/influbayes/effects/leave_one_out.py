"""How well would each post be predicted had it been left out? Pareto-smoothed importance sampling over the rows.

Takes a fit; posts that are alike are looked at once. Judges nothing. Source: Vehtari, Gelman and Gabry (2017),
doi:10.1007/s11222-016-9696-4; Vehtari, Simpson, Gelman, Yao and Gabry (2024), arXiv:1507.02646.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from influbayes.effects.criticism import take_rows, thin_fit
from influbayes.effects.weights import smooth_log_weights
from influbayes.hierarchy.design import FloatArray, IntArray, ModelRows
from influbayes.hierarchy.posterior import Fit
from influbayes.hierarchy.predict import LARGEST, iterate_blocks

LOO_ROWS = 5_000
PARETO_LIMIT = 0.7
_PRIOR_DRAWS = 10.0
_FITTED = 64
_LEAST_TAIL = 5
_EQUAL = 1e-8


@dataclass(frozen=True, slots=True, kw_only=True)
class LooResult:
    """Leave-one-out by Pareto-smoothed importance sampling.

    `elpd` is the expected log predictive density of the whole table (sum over its rows), `se` its standard error, `p`
    the effective number of parameters; `pareto_k` (rows_used,) in the order of the rows used, `above_limit` how many
    are above 0.7. `rows` are the rows used, `probabilities` their probability of a conversion predicted without their
    own outcome. `note` says in a sentence where only part of the rows or draws was used, else None.
    """

    elpd: float
    se: float
    p: float
    pareto_k: FloatArray
    rows: IntArray
    probabilities: FloatArray
    above_limit: int
    rows_used: int
    draws_used: int
    note: str | None = None


def estimate_loo(fit: Fit) -> LooResult:
    """Estimate leave-one-out predictive accuracy (Vehtari, Gelman and Gabry 2017, 10.1007/s11222-016-9696-4).

    Above 5,000 rows an even sample of the rows is used and the sum scaled up; above 10^7 rows x draws evenly spaced
    draws. `note` then says so.

    Returns
    -------
    LooResult
        Log densities in natural logarithms; binomial coefficients included.
    """
    chosen = np.unique(np.linspace(0, len(fit.design.rows) - 1, min(LOO_ROWS, len(fit.design.rows))).astype(np.int64))
    thinned = thin_fit(fit, LARGEST // len(chosen))
    rows = take_rows(fit.design.rows, chosen)
    first, place = _find_alike(rows)
    parts = [leave_out(log_lik, eta) for log_lik, eta in _iterate_log_likelihood(thinned, take_rows(rows, first))]
    elpd, k, p, probabilities = np.concatenate(parts, axis=1)[:, place]
    total = len(fit.design.rows)
    return LooResult(
        elpd=float(elpd.mean() * total),
        se=_standard_error(elpd, total),
        p=float(p.mean() * total),
        pareto_k=k,
        rows=chosen,
        probabilities=np.clip(probabilities, 0.0, 1.0),
        above_limit=int((~(k <= PARETO_LIMIT)).sum()),
        rows_used=len(chosen),
        draws_used=int(thinned.draws["intercept"].size),
        note=_say_loo_used(fit, thinned, len(chosen)),
    )


def leave_out(log_lik: FloatArray, eta: FloatArray) -> FloatArray:
    """Leave each row out in turn.

    Parameters
    ----------
    log_lik, eta : (draws, rows) arrays
        Log likelihood and linear predictor of each row at each draw.

    Returns
    -------
    ndarray
        (4, rows): elpd, Pareto k, effective number of parameters, and the probability of a conversion predicted without
        the row. The smoothing equals ArviZ's.
    """
    ratios = np.ascontiguousarray(-log_lik.T)
    ratios -= ratios.max(axis=1, keepdims=True)
    count = ratios.shape[1]
    tail = int(3 * np.sqrt(count)) if count > 225 else count // 5
    places = np.argpartition(ratios, count - tail - 1, axis=1)[:, count - tail - 1 :]
    places = np.take_along_axis(places, np.argsort(np.take_along_axis(ratios, places, 1), axis=1), 1)
    largest = np.take_along_axis(ratios, places, 1)
    weights, k = np.empty_like(ratios), np.empty(len(ratios))
    smooth = (largest[:, 1] - largest[:, 0] > 0) & (largest[:, -1] - largest[:, 1] > _EQUAL) & (tail >= _LEAST_TAIL)
    for row in np.flatnonzero(~smooth):
        weights[row], k[row] = smooth_log_weights(-log_lik[:, row])
    for part in np.array_split(np.flatnonzero(smooth), max(1, int(np.ceil(smooth.sum() / _FITTED)))):
        weights[part], k[part] = _smooth(ratios[part], largest[part], places[part, 1:])
    return _score(weights, k, log_lik.T, eta.T)


def _score(weights: FloatArray, k: FloatArray, log_lik: FloatArray, eta: FloatArray) -> FloatArray:
    """Return elpd, k, p and the predicted probability (4, rows) under log weights (rows, draws)."""
    total = _log_sum(weights)
    elpd = _log_sum(weights + log_lik) - total
    predicted = np.exp(_log_sum(weights - np.logaddexp(0.0, -eta)) - total)
    return np.stack([elpd, k, _log_sum(log_lik) - np.log(log_lik.shape[1]) - elpd, predicted])


def _smooth(ratios: FloatArray, largest: FloatArray, places: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return log weights (rows, draws) with the largest replaced by quantiles of the fitted Pareto tail, and k."""
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
        weights = np.exp(profile - _log_sum(profile)[:, None])
        weights[weights < 10 * np.finfo(np.float64).eps] = 0.0
        best = (theta * weights).sum(axis=1) / weights.sum(axis=1)
        shape = np.log1p(-best[:, None] * exceedances).mean(axis=1)
    unfit = quarter[:, 0] <= exceedances[:, 0]
    k = np.where(unfit, np.nan, (count * shape + _PRIOR_DRAWS * 0.5) / (count + _PRIOR_DRAWS))
    return k, -shape / best


def _log_sum(values: FloatArray) -> FloatArray:
    """Return log(sum(exp(values))) over the last axis."""
    top = values.max(axis=-1, keepdims=True)
    return np.asarray(np.log(np.exp(values - top).sum(axis=-1)) + top[..., 0])


def _find_alike(rows: ModelRows) -> tuple[IntArray, IntArray]:
    """Return the first row of every set of equal rows (predictors, levels, outcome), and the set of each row."""
    keys = np.column_stack([*rows.codes.values(), rows.raw, np.asarray(rows.conversions), np.asarray(rows.trials)])
    _, first, place = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return first, place.ravel()


def _iterate_log_likelihood(fit: Fit, rows: ModelRows) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yield log likelihood (binomial coefficients included) and linear predictor, each (draws, block of rows)."""
    from scipy.special import gammaln

    conversions, trials = np.asarray(rows.conversions), np.asarray(rows.trials)
    coefficient = gammaln(trials + 1.0) - gammaln(conversions + 1.0) - gammaln(trials - conversions + 1.0)
    for part, eta in iterate_blocks(fit, rows):
        density = conversions[part] * eta - trials[part] * np.logaddexp(0.0, eta) + coefficient[part]
        yield density.reshape(-1, density.shape[-1]), eta.reshape(-1, eta.shape[-1])


def _standard_error(elpd: FloatArray, total: int) -> float:
    """Standard error over rows, plus that of having looked at only some of them."""
    used = len(elpd)
    if used < 2:
        return float("nan")
    variance = float(elpd.var(ddof=1))
    sampling = total**2 * variance / used * (1.0 - used / total)
    return float(np.sqrt(total * variance + sampling))


def _say_loo_used(fit: Fit, thinned: Fit, used: int) -> str | None:
    rows, draws, kept = len(fit.design.rows), fit.draws["intercept"].size, thinned.draws["intercept"].size
    parts = [f"{used:,} of {rows:,} rows"] * (used < rows) + [f"{kept:,} of {draws:,} draws"] * (kept < draws)
    return f"Leave-one-out uses {' and '.join(parts)}, evenly spaced." if parts else None
