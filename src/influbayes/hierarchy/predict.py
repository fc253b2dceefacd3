"""The waist: linear predictor, expected value and predictive draws. Every number after the posterior comes from these.

Each function reduces block by block, so that rows x draws never exists at once above 10^7 numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, gammaln

from influbayes.errors import UsageError
from influbayes.hierarchy.design import FloatArray, IntArray, ModelRows

if TYPE_CHECKING:
    from influbayes.hierarchy.posterior import Fit

LARGEST = 10_000_000
_BLOCK = 2_000_000


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
    return _reduce(fit, rows, by, weights, expit)


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
    trials = np.ones(len(given), dtype=np.int64) if given.trials is None else given.trials
    rng = np.random.default_rng(seed)
    groups = _check_groups(fit, given, by)
    totals = np.zeros((*fit.draws["intercept"].shape, groups))
    for part, eta in iterate_blocks(fit, given):
        # Row by row, so that the numbers drawn do not depend on where a block ends.
        counts = rng.binomial(trials[part, None, None], np.moveaxis(expit(eta), -1, 0))
        _gather(totals, np.moveaxis(counts, 0, -1).astype(np.float64), part, by)
    return totals


def log_likelihood(fit: Fit) -> FloatArray:
    """Return the log likelihood (chain, draw, rows) of every fitted row, binomial coefficient included.

    Raises
    ------
    UsageError
        Where rows x draws is above 10^7.
    """
    result = np.empty((*fit.draws["intercept"].shape, _check_groups(fit, fit.design.rows, None)))
    conversions, trials = fit.design.conversions, fit.design.trials
    ways = gammaln(trials + 1.0) - gammaln(conversions + 1.0) - gammaln(trials - conversions + 1.0)
    for part, eta in iterate_blocks(fit):
        result[..., part] = conversions[part] * eta - trials[part] * np.logaddexp(0.0, eta) + ways[part]
    return result


def iterate_blocks(fit: Fit, rows: ModelRows | None = None) -> Iterator[tuple[slice, FloatArray]]:
    """Yield (rows, draws of eta (chain, draw, block)) in row order, each block at most 2 x 10^6 numbers."""
    given = fit.design.rows if rows is None else rows
    draws = fit.draws["intercept"].size
    size = max(1, _BLOCK // max(1, draws))
    fresh = {name: _draw_new_level(fit, name) for name, codes in given.codes.items() if (codes < 0).any()}
    for start in range(0, len(given), size):
        part = slice(start, min(start + size, len(given)))
        yield part, _predict_block(fit, given, part, fresh)


def _predict_block(fit: Fit, rows: ModelRows, part: slice, fresh: dict[str, FloatArray]) -> FloatArray:
    eta: FloatArray = np.repeat(fit.draws["intercept"][..., None], part.stop - part.start, axis=-1)
    if fit.design.numerics:
        eta += fit.draws["slope"] @ rows.x[part].T
    for term in fit.design.factors:
        codes, effect = rows.codes[term.column][part], fit.draws[f"effect_{term.column}"]
        known = effect[..., np.maximum(codes, 0)]
        eta += np.where(codes >= 0, known, fresh[term.column][..., None]) if (codes < 0).any() else known
    for pair in fit.design.interactions:
        first, second = (rows.codes[name][part] for name in pair.of)
        eta += fit.draws[f"effect_{pair.name}"][..., first, second]
    return eta


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
    weight = np.ones(len(given)) if weights is None else np.asarray(weights, dtype=np.float64)
    totals = np.zeros((*fit.draws["intercept"].shape, groups))
    for part, eta in iterate_blocks(fit, given):
        values = link(eta)
        _gather(totals, values if by is None else values * weight[part], part, by)
    if by is None:
        return totals
    mass = np.bincount(by[by >= 0], weight[by >= 0], groups)
    return np.divide(totals, mass, out=np.full_like(totals, np.nan), where=mass > 0)


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
    """Put a block into its place, or add it to the sums of its groups."""
    if by is None:
        totals[..., part] = values
        return
    groups = by[part]
    order = np.argsort(groups, kind="stable")
    order = order[np.searchsorted(groups[order], 0) :]
    if len(order):
        present, starts = np.unique(groups[order], return_index=True)
        totals[..., present] += np.add.reduceat(values[..., order], starts, axis=-1)
