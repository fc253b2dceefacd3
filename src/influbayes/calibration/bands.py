"""Simultaneous bands for the ECDF of ranks, and exact p-values of ranks and of coverage.

Takes counts and sizes; knows no draws. The bands are those of Säilynoja, Bürkner and Vehtari (2022),
doi:10.1007/s11222-022-10090-6: pointwise binomial intervals, as wide as it takes for all of them to hold at once with
the stated probability. That probability is computed exactly: counts of ranks are multinomial, which is independent
Poisson counts given their sum, so a walk through the band is a chain of convolutions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import bdtr, bdtrc, gammaln

from influbayes.hierarchy.design import FloatArray, IntArray

_TIES = 1 + 1e-9  # results equal to the observed one count as extreme as it, whatever the rounding
_STEPS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Limits (bins - 1,) of the number of ranks in the first 1, 2, ... bins; both limits belong to the band."""

    lower: IntArray
    upper: IntArray


def find_ecdf_band(replications: int, bins: int, *, alpha: float) -> Band:
    """Return the simultaneous band of the cumulative counts of uniform ranks.

    Parameters
    ----------
    replications : int
        Number of ranks.
    bins : int
        Number of possible ranks (100 for ranks among 99 draws).
    alpha : float
        Probability, at most, that uniform ranks leave the band anywhere.

    Returns
    -------
    Band
    """
    return _find_region(replications, bins, _find_level(replications, bins, alpha))


def find_ecdf_p_value(counts: IntArray) -> float:
    """Return P(uniform ranks stray at least as far as these), exactly.

    Parameters
    ----------
    counts : (bins,) int array
        How often each rank occurred.

    Returns
    -------
    float
        At most alpha exactly where the counts leave `find_ecdf_band` of that alpha; 1 without ranks.
    """
    replications, bins = int(counts.sum()), len(counts)
    if replications == 0:
        return 1.0
    reached = np.cumsum(counts)[:-1]
    strayed = _tabulate_tails(replications, bins)[np.arange(bins - 1), reached].min()
    return float(np.clip(1.0 - _find_inside(replications, bins, float(strayed) * _TIES), 0.0, 1.0))


def find_binomial_p_value(count: int, total: int, probability: float) -> float:
    """Return the two-sided p-value, twice the smaller tail, of `count` of `total` where `probability` is due."""
    if total == 0:
        return 1.0
    return float(min(1.0, 2.0 * min(bdtr(count, total, probability), _find_upper_tail(count, total, probability))))


def find_binomial_band(total: int, probability: float, *, alpha: float) -> tuple[int, int]:
    """Return the smallest and largest count whose two-sided p-value is above `alpha`."""
    counts = np.arange(total + 1)
    tails = 2.0 * np.minimum(bdtr(counts, total, probability), _find_upper_tail(counts, total, probability))
    inside = np.flatnonzero(tails > alpha)
    return int(inside[0]), int(inside[-1])


def _find_upper_tail(count: IntArray | int, total: int, probability: FloatArray | float) -> FloatArray:
    """P(X >= count)."""
    return np.where(np.asarray(count) > 0, bdtrc(np.maximum(np.asarray(count) - 1, 0), total, probability), 1.0)


@lru_cache(maxsize=16)
def _tabulate_tails(replications: int, bins: int) -> FloatArray:
    """Two-sided binomial tail (bins - 1, replications + 1) of every count at every place; above 1 in the middle."""
    share = (np.arange(1, bins) / bins)[:, None]
    counts = np.arange(replications + 1)[None]
    table = 2.0 * np.minimum(bdtr(counts, replications, share), _find_upper_tail(counts, replications, share))
    table.setflags(write=False)
    return table


def _find_region(replications: int, bins: int, level: float) -> Band:
    """Counts whose tail is above `level`; everything left of the middle and right of it is contiguous."""
    inside = _tabulate_tails(replications, bins) > level
    return Band(lower=inside.argmax(axis=1), upper=replications - inside[:, ::-1].argmax(axis=1))


@lru_cache(maxsize=256)
def _find_inside(replications: int, bins: int, level: float) -> float:
    """Return P(uniform ranks have every tail above `level`)."""
    if level >= 1.0:
        return 0.0
    band = _find_region(replications, bins, level)
    step = _tabulate_poisson(replications / bins, replications)
    walk, start = np.ones(1), 0
    for low, high in zip(band.lower.tolist(), band.upper.tolist(), strict=True):
        walk, start = _advance(walk, start, step, low, high), low
    whole = _advance(walk, start, step, replications, replications)[0]
    return float(whole / _tabulate_poisson(float(replications), replications)[-1])


def _advance(walk: FloatArray, start: int, step: FloatArray, low: int, high: int) -> FloatArray:
    """Add one Poisson bin to a walk at `start`, `start` + 1, ...; keep the places `low` to `high`."""
    reach = np.convolve(walk, step[: high - start + 1])
    kept = np.zeros(high - low + 1)
    first = max(low, start)
    kept[first - low :] = reach[first - start : high - start + 1]
    return kept


def _tabulate_poisson(mean: float, most: int) -> FloatArray:
    counts = np.arange(most + 1)
    return np.asarray(np.exp(counts * np.log(mean) - mean - gammaln(counts + 1.0)))


@lru_cache(maxsize=64)
def _find_level(replications: int, bins: int, alpha: float) -> float:
    """Return the largest pointwise level whose band uniform ranks leave with probability at most `alpha`."""
    low, high = np.log(1e-15), np.log(alpha)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if 1.0 - _find_inside(replications, bins, float(np.exp(middle))) <= alpha:
            low = middle
        else:
            high = middle
    return float(np.exp(low))
