"""How far draws can be trusted: R-hat, effective sample sizes and Monte Carlo errors of many quantities at once.

Takes draws (quantity, chain, draw) and returns numbers a quantity; knows neither models nor estimands. The definitions
are those of Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), doi:10.1214/20-BA1221, and equal ArviZ's to
rounding; they are written out here because ArviZ takes one quantity at a time, too slow for thousands of creators.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, ndtri

from influbayes.inference.likelihood import run_blocks, split

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

TAILS = (0.05, 0.95)
_BLOCK = 120_000
_LEAST_DRAWS = 4
_CONSTANT = 1e-15
_ONE_SD = (0.1586553, 0.8413447)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summaries:
    """Summaries of Q quantities, each array (Q,): median, interval, Monte Carlo error of the median, ESS and R-hat."""

    estimate: FloatArray
    lower: FloatArray
    upper: FloatArray
    mcse: FloatArray
    ess_bulk: FloatArray
    ess_tail: FloatArray
    rhat: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstConvergence:
    """The largest R-hat and the smallest ESS of several quantities; not-a-number where any quantity has none."""

    rhat: float
    ess_bulk: float
    ess_tail: float


def find_worst_convergence(draws: Mapping[str, FloatArray]) -> WorstConvergence:
    """Return the worst R-hat and ESS over all variables, each (chain, draw, *dims)."""
    table = summarise_quantities(stack_quantities(draws), prob=0.5)
    return WorstConvergence(
        rhat=float(np.max(table.rhat)),
        ess_bulk=float(np.min(table.ess_bulk)),
        ess_tail=float(np.min(table.ess_tail)),
    )


def stack_quantities(draws: Mapping[str, FloatArray]) -> FloatArray:
    """Return every number of every variable, (chain, draw, *dims) each, as one (quantity, chain, draw) array."""
    flat = [values.reshape(*values.shape[:2], -1) for values in draws.values()]
    return np.moveaxis(np.concatenate(flat, axis=-1), -1, 0)


def summarise_quantities(draws: FloatArray, *, prob: float, exponentiate: bool = False) -> Summaries:
    """Summarise many quantities.

    Parameters
    ----------
    draws : (quantity, chain, draw) array
    prob : float
        Mass of the equal-tailed interval, 0 to 1 (exclusive).
    exponentiate : bool
        Report exp(draws) (an odds ratio from its log); R-hat and ESS stay those of `draws`.

    Returns
    -------
    Summaries
        Not-a-number throughout for a quantity with a draw that is not finite, or with fewer than 4 draws a chain; R-hat
        also for a constant quantity and for a single chain.
    """
    size = max(1, _BLOCK // max(1, draws[0].size if len(draws) else 1))
    blocks = run_blocks(lambda at: _summarise_block(draws[at], prob, exponentiate), split(len(draws), size))
    table = np.concatenate(blocks, axis=1) if blocks else np.empty((7, 0))
    return Summaries(**dict(zip(Summaries.__dataclass_fields__, table, strict=True)))


def estimate_ess_bulk(draws: FloatArray) -> FloatArray:
    """Return the bulk effective sample size (quantity,) of draws (quantity, chain, draw)."""
    return _guard(draws, lambda good: _estimate_ess(_rank_normalise(_split_chains(good))))


def estimate_ess_mean(draws: FloatArray) -> FloatArray:
    """Return the effective sample size (quantity,) for the mean, as needed for the error of a share of draws."""
    return _guard(draws, lambda good: _estimate_ess(_split_chains(good)))


def estimate_rhat(draws: FloatArray) -> FloatArray:
    """Return the rank-normalised split R-hat (quantity,) of draws (quantity, chain, draw), bulk or tail if larger."""

    def estimate(good: FloatArray) -> FloatArray:
        halves = _split_chains(good)
        return _estimate_rhat(_rank_normalise(halves), _rank_normalise(_fold(halves)))

    return _guard(draws, estimate)


def _guard(draws: FloatArray, estimate: Callable[[FloatArray], FloatArray]) -> FloatArray:
    """Apply `estimate` to the quantities that can be judged; the others are not-a-number."""
    result = np.full(len(draws), np.nan)
    good = _is_usable(draws)
    if good.any():
        result[good] = estimate(draws[good])
    return result


def _is_usable(draws: FloatArray) -> npt.NDArray[np.bool_]:
    return np.asarray(np.isfinite(draws).all(axis=(1, 2)) & (draws.shape[2] >= _LEAST_DRAWS))


def _summarise_block(draws: FloatArray, prob: float, exponentiate: bool) -> FloatArray:
    """Return (7, quantity) in the order of `Summaries`."""
    table = np.full((7, len(draws)), np.nan)
    good = _is_usable(draws)
    if good.any():
        table[:, good] = _summarise_usable(draws[good], prob, exponentiate)
    return table


def _summarise_usable(draws: FloatArray, prob: float, exponentiate: bool) -> FloatArray:
    flat = draws.reshape(len(draws), -1)
    order = np.argsort(flat, axis=1)
    ordered = np.take_along_axis(flat, order, axis=1)
    low, middle, high = (_estimate_ess(_split_chains(_is_below(draws, ordered, p))) for p in (TAILS[0], 0.5, TAILS[1]))
    halves = _split_chains(draws)
    if halves.size == draws.size:
        bulk, folded = (scores.reshape(halves.shape) for scores in _score_both(order, ordered))
    else:
        bulk, folded = _rank_normalise(halves), _rank_normalise(_fold(halves))
    with np.errstate(over="ignore"):
        natural = np.exp(ordered) if exponentiate else ordered
    return np.stack(
        (
            *(find_quantile(natural, p) for p in (0.5, (1 - prob) / 2, (1 + prob) / 2)),
            _estimate_mcse_median(natural, middle),
            _estimate_ess(bulk),
            np.minimum(low, high),
            _estimate_rhat(bulk, folded),
        )
    )


def _score_both(order: IntArray, ordered: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return normal scores of the draws and of their distances from the median, from what sorts the draws.

    Distances rise to both sides of the median: their order is that of the draws with two rising runs merged.
    """
    middle = ordered.shape[1] // 2
    centre = (ordered[:, middle - (ordered.shape[1] + 1) % 2] + ordered[:, middle])[:, None] / 2
    below, above = (centre - ordered[:, :middle])[:, ::-1], ordered[:, middle:] - centre
    runs = np.concatenate((below, above), axis=1)
    merged = np.argsort(runs, axis=1, kind="stable")  # merges runs instead of sorting
    outwards = np.concatenate((order[:, :middle][:, ::-1], order[:, middle:]), axis=1)
    places = np.take_along_axis(outwards, merged, axis=1)
    return _score_order(order, ordered), _score_order(places, np.take_along_axis(runs, merged, axis=1))


def find_quantile(ordered: FloatArray, p: float) -> FloatArray:
    """Return the quantile (quantity,) of sorted draws (quantity, draws), linear between draws (Hyndman-Fan type 7)."""
    at = p * (ordered.shape[1] - 1)
    below = int(np.floor(at))
    above = min(below + 1, ordered.shape[1] - 1)
    step: FloatArray = ordered[:, below] + (ordered[:, above] - ordered[:, below]) * (at - below)
    return step


def _is_below(draws: FloatArray, ordered: FloatArray, p: float) -> FloatArray:
    return (draws <= find_quantile(ordered, p)[:, None, None]).astype(np.float64)


def _split_chains(draws: FloatArray) -> FloatArray:
    """Cut each chain in halves: (quantity, 2 chains, draw // 2); the middle draw of an odd chain falls out."""
    half = draws.shape[2] // 2
    if draws.shape[2] == 2 * half:
        return draws.reshape(len(draws), -1, half)  # nothing falls out, so nothing is copied
    return np.concatenate((draws[..., :half], draws[..., -half:]), axis=1)


def _rank_normalise(draws: FloatArray) -> FloatArray:
    """Replace draws by normal scores of their ranks over all chains, tied draws by that of their mean rank."""
    flat = draws.reshape(len(draws), -1)
    order = np.argsort(flat, axis=1)
    return _score_order(order, np.take_along_axis(flat, order, axis=1)).reshape(draws.shape)


def _score_order(order: IntArray, ordered: FloatArray) -> FloatArray:
    """Return normal scores (quantity, draws) in the draws' own order, from what sorts them and the sorted draws."""
    count = order.shape[1]
    scores = ndtri((np.arange(2 * count - 1) / 2 + 1 - 3 / 8) / (count + 1 / 4))
    by_rank = np.tile(scores[::2], (len(order), 1))
    tied = np.zeros((len(order), count + 1), dtype=bool)  # whether a draw equals the one before it
    tied[:, 1:-1] = ordered[:, 1:] == ordered[:, :-1]
    first = np.flatnonzero(tied[:, 1:] & ~tied[:, :-1])
    length = np.flatnonzero(tied[:, :-1] & ~tied[:, 1:]) - first + 1
    begins = np.cumsum(length) - length
    among = np.arange(length.sum()) - np.repeat(begins, length)
    np.put(by_rank, np.repeat(first, length) + among, np.repeat(scores[2 * (first % count) + length - 1], length))
    result = np.empty(ordered.shape)
    np.put_along_axis(result, order, by_rank, axis=1)
    return result


def _fold(draws: FloatArray) -> FloatArray:
    """Return distances from the median over all chains, in which a difference of spread shows."""
    middle = np.median(draws.reshape(len(draws), -1), axis=1)[:, None, None]
    return np.asarray(np.abs(draws - middle))


def _estimate_rhat(bulk: FloatArray, folded: FloatArray) -> FloatArray:
    """Return the larger R-hat (quantity,) of normal scores of draws and of their distances from the median."""
    if bulk.shape[1] == 2:  # the halves of a single chain
        return np.full(len(bulk), np.nan)
    return np.asarray(np.maximum(_compare_chains(bulk), _compare_chains(folded)))


def _compare_chains(chains: FloatArray) -> FloatArray:
    """R-hat of chains (quantity, chain, draw): sqrt((B / W + n - 1) / n), not-a-number where nothing varies."""
    count = chains.shape[2]
    between = count * chains.mean(axis=2).var(axis=1, ddof=1)
    within = chains.var(axis=2, ddof=1).mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.sqrt((between / within + count - 1) / count))


def _estimate_mcse_median(ordered: FloatArray, ess: FloatArray) -> FloatArray:
    """Half the distance of the order statistics that a median from `ess` independent draws would reach."""
    count = ordered.shape[1]
    low, high = (betaincinv(ess / 2 + 1, ess / 2 + 1, p) * count - 1 for p in _ONE_SD)
    first = np.floor(np.maximum(low, 0)).astype(np.int64)
    last = np.ceil(np.minimum(high, count - 1)).astype(np.int64)
    rows = np.arange(len(ordered))
    return np.asarray((ordered[rows, last] - ordered[rows, first]) / 2)


def _estimate_ess(chains: FloatArray) -> FloatArray:
    """Effective sample size (quantity,) of chains (quantity, chain, draw) by Geyer's initial monotone sequence."""
    rho = _estimate_autocorrelation(chains)
    total = chains.shape[1] * chains.shape[2]
    ess: FloatArray = total / np.maximum(_sum_autocorrelation(rho), 1 / np.log10(total))
    still = np.ptp(chains, axis=(1, 2)) < _CONSTANT
    ess[still] = total
    return ess


def _estimate_autocorrelation(chains: FloatArray) -> FloatArray:
    """Autocorrelation (quantity, lag) over all chains, with what lies between the chains counted as variance."""
    count = chains.shape[2]
    means = chains.mean(axis=2, keepdims=True)
    length = 1 << (2 * count - 1).bit_length()
    transformed = np.fft.rfft(chains - means, n=length, axis=2)
    power = (transformed.real**2 + transformed.imag**2).mean(axis=1)
    covariance = np.fft.irfft(power, n=length, axis=1)[:, :count] / count
    within = covariance[:, :1] * count / (count - 1)
    spread = covariance[:, :1] + (means[..., 0].var(axis=1, ddof=1)[:, None] if chains.shape[1] > 1 else 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        rho: FloatArray = 1 - (within - covariance) / spread
    rho[:, 0] = 1.0
    return rho


def _sum_autocorrelation(rho: FloatArray) -> FloatArray:
    """Integrated autocorrelation time: pairs of lags while their sum is positive, made monotone."""
    pairs_kept = max((rho.shape[1] - 3) // 2, 0) + 1
    pairs = rho[:, 0 : 2 * pairs_kept : 2] + rho[:, 1 : 2 * pairs_kept : 2]
    ends = ~(pairs > 0)
    ends[:, -1] = True
    stop = ends.argmax(axis=1)
    falling = np.minimum.accumulate(pairs, axis=1)
    inside = np.arange(pairs_kept) < stop[:, None]
    rows = np.arange(len(rho))
    last = rho[rows, 2 * stop]
    counted = (last > 0) | (pairs[rows, stop] >= 0)
    return np.asarray(-1 + 2 * np.where(inside, falling, 0).sum(axis=1) + np.where(counted, last, 0))
