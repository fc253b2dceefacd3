"""The waist: linear predictor, expected value and predictive draws. Every number after the posterior comes from these.

Each function reduces block by block, so that rows x draws never exists at once above 10^7 numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, gammaln

from influbayes.errors import UsageError
from influbayes.hierarchy.design import FloatArray, IntArray, ModelRows

if TYPE_CHECKING:
    from influbayes.hierarchy.posterior import Fit

LARGEST = 10_000_000
_BLOCK = 131_072
_MANY_DRAWS = 1_000


def linear_predictor(
    fit: Fit, rows: ModelRows | None = None, *, by: IntArray | None = None, weights: FloatArray | None = None
) -> FloatArray:
    """Return draws of the linear predictor eta (log-odds).

    Parameters
    ----------
    fit : Fit
    rows : ModelRows, optional
        Rows to predict; by default the rows the model was fitted to. An unseen level of a `sample` factor (code -1)
        gets one draw from its population for every posterior draw.
    by : (rows,) int array, optional
        Group of each row, 0 to G - 1; -1 leaves the row out.
    weights : (rows,) array, optional
        Weights of the means within groups; by default equal.

    Returns
    -------
    ndarray
        (chain, draw, rows), or with `by` the weighted means (chain, draw, G).

    Raises
    ------
    UsageError
        Without `by`, where rows x draws is above 10^7; `by` or `weights` that do not fit the rows.
    """
    return _reduce(fit, rows, by, weights, lambda eta: eta)


def expected_value(
    fit: Fit, rows: ModelRows | None = None, *, by: IntArray | None = None, weights: FloatArray | None = None
) -> FloatArray:
    """Return draws of the expected value inv_logit(eta), the probability (0 to 1) of a conversion per trial.

    Parameters, shapes and errors as for `linear_predictor`; with `by` the mean of probabilities, not the probability of
    the mean.
    """
    return _reduce(fit, rows, by, weights, lambda eta: expit(eta, out=eta))


def predictive_draws(
    fit: Fit, rows: ModelRows | None = None, *, by: IntArray | None = None, seed: int = 20260101
) -> FloatArray:
    """Return replicated conversions, Binomial(trials, expected value).

    Parameters
    ----------
    fit, rows, by
        As for `linear_predictor`; rows without trials count one trial each.
    seed : int
        Seed of the replication.

    Returns
    -------
    ndarray
        Counts (chain, draw, rows), or with `by` their sums (chain, draw, G).
    """
    given = fit.design.rows if rows is None else rows
    groups = _check_groups(fit, given, by)
    totals = np.zeros((groups, fit.draws["intercept"].size))
    for part, counts in _iterate_replicates(fit, given, seed):
        _gather(totals, counts, part, by)
    return _put_draws_first(totals, fit)


def replicate_sums(fit: Fit, groupings: Sequence[IntArray], *, seed: int) -> list[FloatArray]:
    """Return sums of replicated conversions by several groupings of the fitted rows, from one replication.

    Each grouping is (rows,) codes as `by` of `predictive_draws`, whose numbers these are; each result (chain, draw, G).
    """
    rows = fit.design.rows
    sums = [np.zeros((_check_groups(fit, rows, by), fit.draws["intercept"].size)) for by in groupings]
    for part, counts in _iterate_replicates(fit, rows, seed):
        for by, totals in zip(groupings, sums, strict=True):
            _gather(totals, counts, part, by)
    return [_put_draws_first(totals, fit) for totals in sums]


def _iterate_replicates(fit: Fit, rows: ModelRows, seed: int) -> Iterator[tuple[slice, FloatArray]]:
    """Yield (rows, replicated conversions (block, draws over all chains)) in row order."""
    trials = np.ones(len(rows), dtype=np.int64) if rows.trials is None else rows.trials
    rng = np.random.default_rng(seed)
    single = bool((trials == 1).all())
    for part, eta in iterate_rows(fit, rows):
        # Row by row, so that the numbers drawn do not depend on where a block ends.
        chances = expit(eta, out=eta)
        counts = rng.random(chances.shape) < chances if single else rng.binomial(trials[part, None], chances)
        yield part, counts.astype(np.float64)


def log_likelihood(fit: Fit) -> FloatArray:
    """Return the log likelihood (chain, draw, rows) of every fitted row, binomial coefficient included.

    Raises
    ------
    UsageError
        Where rows x draws is above 10^7.
    """
    result = np.empty((_check_groups(fit, fit.design.rows, None), fit.draws["intercept"].size))
    for part, eta in iterate_rows(fit, fit.design.rows):
        weigh_outcomes(eta, fit.design.conversions[part], fit.design.trials[part], out=result[part])
    return _put_draws_first(result, fit)


def weigh_outcomes(
    eta: FloatArray, conversions: IntArray, trials: IntArray, *, out: FloatArray | None = None
) -> FloatArray:
    """Return the log likelihood (rows, draws) of outcomes (rows,) at linear predictors (rows, draws)."""
    ways = gammaln(trials + 1.0) - gammaln(conversions + 1.0) - gammaln(trials - conversions + 1.0)
    result = np.abs(eta, out=out)
    np.negative(result, out=result)
    np.exp(result, out=result)
    np.log1p(result, out=result)
    result += np.maximum(eta, 0.0)  # log(1 + exp(eta)), finite for every eta
    if (trials != 1).any():
        result *= trials[:, None]
    np.subtract(conversions[:, None] * eta, result, out=result)
    if ways.any():
        result += ways[:, None]
    return result


def iterate_rows(fit: Fit, rows: ModelRows | None = None) -> Iterator[tuple[slice, FloatArray]]:
    """Yield (rows, eta (block, draws over all chains)) in row order, each block at most 131,072 numbers or one row.

    The array is the caller's to change. The draws of one row lie together: most of what follows works row by row.
    """
    given = fit.design.rows if rows is None else rows
    draws = fit.draws["intercept"].size
    size = max(1, _BLOCK // max(1, draws))
    fresh = {name: _draw_new_level(fit, name).reshape(-1) for name, codes in given.codes.items() if (codes < 0).any()}
    parts = _list_parts(fit)
    for start in range(0, len(given), size):
        part = slice(start, min(start + size, len(given)))
        yield part, _predict_block(fit, given, part, parts, fresh)


def _list_parts(fit: Fit) -> dict[str, FloatArray]:
    """Return slopes and effects by variable as (numerics, levels or cells; draws), the draws of one together."""
    named = ["slope"] * bool(fit.design.numerics) + [f"effect_{term.column}" for term in fit.design.factors]
    named += [f"effect_{pair.name}" for pair in fit.design.interactions]
    draws = fit.draws["intercept"].size
    return {name: np.ascontiguousarray(fit.draws[name].reshape(draws, -1).T) for name in named}


def _predict_block(
    fit: Fit, rows: ModelRows, part: slice, parts: dict[str, FloatArray], fresh: dict[str, FloatArray]
) -> FloatArray:
    x = rows.x[part]
    eta = np.repeat(fit.draws["intercept"].reshape(1, -1), len(x), axis=0)
    for k in range(len(fit.design.numerics)):
        eta += x[:, k, None] * parts["slope"][k]
    for term in fit.design.factors:
        codes, effects = rows.codes[term.column][part], parts[f"effect_{term.column}"]
        eta += effects[codes] if (codes >= 0).all() else _take_known(effects, codes, fresh[term.column])
    for pair in fit.design.interactions:
        eta += parts[f"effect_{pair.name}"][_number_cells(fit, rows, pair.of, part)]
    return eta


def _take_known(effects: FloatArray, codes: IntArray, fresh: FloatArray) -> FloatArray:
    return np.where(codes[:, None] >= 0, effects[np.maximum(codes, 0)], fresh)


def _number_cells(fit: Fit, rows: ModelRows, names: tuple[str, ...], part: slice) -> IntArray:
    """Return the place (rows,) of each row's cell among all cells of several factors."""
    sizes = [len(fit.design.levels[name]) for name in names]
    return np.asarray(np.ravel_multi_index([rows.codes[name][part] for name in names], sizes), dtype=np.int64)


def _put_draws_first(values: FloatArray, fit: Fit) -> FloatArray:
    """Return (rows, draws) as (chain, draw, rows), without copying."""
    return np.moveaxis(values.reshape(len(values), *fit.draws["intercept"].shape), 0, -1)


def _draw_new_level(fit: Fit, factor: str) -> FloatArray:
    """Draw one unseen level per posterior draw from the population Normal(0, scale); the fit's own seed."""
    term = next(term for term in fit.design.factors if term.column == factor)
    if term.levels == "all":
        raise UsageError(f"{factor}: a level of an `all` factor was not fitted; it cannot be predicted.")
    scale = fit.draws[f"scale_{factor}"] if term.scale is None else np.full_like(fit.draws["intercept"], term.scale)
    rng = np.random.default_rng([fit.run.seed, *factor.encode()])
    return np.asarray(scale * rng.standard_normal(scale.shape))


def _reduce(
    fit: Fit,
    rows: ModelRows | None,
    by: IntArray | None,
    weights: FloatArray | None,
    link: Callable[[FloatArray], FloatArray],
) -> FloatArray:
    given = fit.design.rows if rows is None else rows
    groups = _check_groups(fit, given, by)
    if weights is not None and (by is None or len(weights) != len(given)):
        raise UsageError("weights= are the weights of means: give by= as well, and one weight a row.")
    totals = np.zeros((groups, fit.draws["intercept"].size))
    for part, eta in iterate_rows(fit, given):
        values = link(eta)
        if weights is not None:
            values *= np.asarray(weights, dtype=np.float64)[part, None]
        _gather(totals, values, part, by)
    if by is not None:
        weight = np.ones(len(given)) if weights is None else np.asarray(weights, dtype=np.float64)
        mass = np.bincount(by[by >= 0], weight[by >= 0], groups)
        filled = mass > 0
        totals[filled] /= mass[filled, None]
        totals[~filled] = np.nan
    return _put_draws_first(totals, fit)


def _check_groups(fit: Fit, rows: ModelRows, by: IntArray | None) -> int:
    if by is not None and len(by) != len(rows):
        raise UsageError(f"by= has {len(by):,} groups for {len(rows):,} rows; give one a row, -1 to leave it out.")
    if by is not None:
        return int(by.max(initial=-1)) + 1
    if len(rows) * fit.draws["intercept"].size > LARGEST:
        raise UsageError(
            f"{len(rows):,} rows x {fit.draws['intercept'].size:,} draws are more than {LARGEST:,} numbers. "
            "Give by= to average within groups, or predict fewer rows at a time."
        )
    return len(rows)


def _gather(totals: FloatArray, values: FloatArray, part: slice, by: IntArray | None) -> None:
    """Put a block (rows, draws) into its place, or add it to the sums of its groups."""
    if by is None:
        totals[part] = values
        return
    groups = by[part]
    if values.shape[1] >= _MANY_DRAWS:
        for group, row in zip(groups.tolist(), values, strict=True):
            if group >= 0:
                totals[group] += row
        return
    order = np.argsort(groups, kind="stable")
    order = order[np.searchsorted(groups[order], 0) :]
    if len(order):
        present, starts = np.unique(groups[order], return_index=True)
        totals[present] += np.add.reduceat(values[order], starts, axis=0)
