"""How well would each post be predicted had it been left out? Pareto-smoothed importance sampling over the rows.

Takes a fit; posts that are alike are looked at once. Judges nothing. Source: Vehtari, Gelman and Gabry (2017),
doi:10.1007/s11222-016-9696-4; Vehtari, Simpson, Gelman, Yao and Gabry (2024), arXiv:1507.02646.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from influbayes.effects.criticism import take_rows, thin_fit
from influbayes.effects.weights import EQUAL, LEAST_TAIL, count_tail, smooth_log_weights, smooth_tails, sum_logs
from influbayes.hierarchy.design import FloatArray, IntArray, ModelRows
from influbayes.hierarchy.posterior import Fit
from influbayes.hierarchy.predict import LARGEST, iterate_rows, weigh_outcomes

LOO_ROWS = 5_000
PARETO_LIMIT = 0.7
_FITTED = 64
_LARGEST_EXPONENT = 300.0


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


def estimate_pointwise_loo(fit: Fit) -> tuple[FloatArray, FloatArray]:
    """Return leave-one-out log scores and Pareto k (rows,), in the order of the file's lines, so that fits compare.

    Above 5,000 rows those of an even sample of the lines.
    """
    order = np.argsort(fit.design.lines, kind="stable")
    chosen = order[np.unique(np.linspace(0, len(order) - 1, min(LOO_ROWS, len(order))).astype(np.int64))]
    rows, thinned = take_rows(fit.design.rows, chosen), thin_fit(fit, LARGEST // len(chosen))
    first, place = _find_alike(rows)
    parts = [leave_out(log_lik, eta) for log_lik, eta in _iterate_log_likelihood(thinned, take_rows(rows, first))]
    elpd, k, _, _ = np.concatenate(parts, axis=1)[:, place]
    return elpd, k


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
    tail = count_tail(count)
    places = np.argpartition(ratios, count - tail - 1, axis=1)[:, count - tail - 1 :]
    places = np.take_along_axis(places, np.argsort(np.take_along_axis(ratios, places, 1), axis=1), 1)
    largest = np.take_along_axis(ratios, places, 1)
    weights, k = np.empty_like(ratios), np.empty(len(ratios))
    smooth = (largest[:, 1] - largest[:, 0] > 0) & (largest[:, -1] - largest[:, 1] > EQUAL) & (tail >= LEAST_TAIL)
    for row in np.flatnonzero(~smooth):
        weights[row], k[row] = smooth_log_weights(-log_lik[:, row])
    for part in np.array_split(np.flatnonzero(smooth), max(1, int(np.ceil(smooth.sum() / _FITTED)))):
        weights[part], k[part] = smooth_tails(ratios[part], largest[part], places[part, 1:])
    return _score(weights, k, log_lik.T, eta.T)


def _score(weights: FloatArray, k: FloatArray, log_lik: FloatArray, eta: FloatArray) -> FloatArray:
    """Return elpd, k, p and the predicted probability (4, rows) under log weights (rows, draws)."""
    top = log_lik.max(axis=1)
    if not (weights.min() > -_LARGEST_EXPONENT and (top - log_lik.min(axis=1)).max() < _LARGEST_EXPONENT):
        return _score_logs(weights, k, log_lik, eta)
    weight = np.exp(weights)
    weight /= weight.sum(axis=1, keepdims=True)
    likelihood = np.exp(log_lik - top[:, None])
    elpd = np.log(np.einsum("ij,ij->i", weight, likelihood)) + top
    p = np.log(likelihood.mean(axis=1)) + top - elpd
    return np.stack([elpd, k, p, np.einsum("ij,ij->i", weight, expit(eta))])


def _score_logs(weights: FloatArray, k: FloatArray, log_lik: FloatArray, eta: FloatArray) -> FloatArray:
    """Do the same where exp could underflow."""
    total = sum_logs(weights)
    elpd = sum_logs(weights + log_lik) - total
    predicted = np.exp(sum_logs(weights - np.logaddexp(0.0, -eta)) - total)
    return np.stack([elpd, k, sum_logs(log_lik) - np.log(log_lik.shape[1]) - elpd, predicted])


def _find_alike(rows: ModelRows) -> tuple[IntArray, IntArray]:
    """Return the first row of every set of equal rows (predictors, levels, outcome), and the set of each row."""
    keys = np.column_stack([*rows.codes.values(), rows.raw, np.asarray(rows.conversions), np.asarray(rows.trials)])
    _, first, place = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return first, place.ravel()


def _iterate_log_likelihood(fit: Fit, rows: ModelRows) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yield log likelihood (binomial coefficients included) and linear predictor, each (draws, block of rows)."""
    conversions, trials = np.asarray(rows.conversions), np.asarray(rows.trials)
    for part, eta in iterate_rows(fit, rows):
        yield weigh_outcomes(eta, conversions[part], trials[part]).T, eta.T


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
