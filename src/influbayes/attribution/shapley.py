"""Shapley values of sign-up rates: what a channel adds to the rate of journeys within a set of channels.

A set of channels is worth the sign-up rate of all journeys whose channels lie inside it (0 where there are none).
Exact up to 12 channels by all sets, beyond by random orders with a stated Monte Carlo error. Values are shares of the
overall rate times the number of journeys, so that they sum to the sign-ups. Source: Shapley (1953); for channels Zhao
et al. (2018), arXiv:1804.05327.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial

import numpy as np
from scipy import sparse

from influbayes.attribution.journeys import FloatArray, IntArray, Journeys

EXACT_CHANNELS = 12
ORDERS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapleyCredits:
    """`credits` (weightings, channels) in sign-ups; `error` their Monte Carlo standard error, 0 where exact."""

    credits: FloatArray
    error: FloatArray
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sets:
    """Distinct sets of channels: `members` (sets, channels) true where inside, and the set of each journey."""

    members: sparse.csr_array
    of_journey: IntArray


def share_rates(
    journeys: Journeys, weights: FloatArray | None = None, *, seed: int = 20260101, sets: Sets | None = None
) -> ShapleyCredits:
    """Return the Shapley credits of sign-up rates, for each weighting of the journeys.

    Parameters
    ----------
    journeys : Journeys
    weights : (weightings, journeys) array, optional
        How much each journey counts; once each unless told.
    seed : int
        Of the random orders, where there are more than 12 channels.
    sets : Sets, optional
        `find_sets(journeys)`, where many weightings share it.

    Returns
    -------
    ShapleyCredits
        Credits sum to the weighted sign-ups; a channel that goes with fewer sign-ups is below 0.
    """
    given = np.ones((1, len(journeys))) if weights is None else weights
    sets = find_sets(journeys) if sets is None else sets
    gained = _sum_sets(sets, given * journeys.conversions)
    seen = _sum_sets(sets, given * (journeys.conversions + journeys.nulls))
    if len(journeys.channels) <= EXACT_CHANNELS:
        values = compute_shapley(_worth_of_all(sets, gained, seen))
        error = np.zeros_like(values)
    else:
        values, error = _sample_orders(sets, gained, seen, seed)
    total = seen.sum(axis=0)[:, None]
    return ShapleyCredits(credits=values * total, error=error * total, exact=len(journeys.channels) <= EXACT_CHANNELS)


def compute_shapley(worth: FloatArray) -> FloatArray:
    """Return the Shapley values of a game given by the worth of all sets.

    Parameters
    ----------
    worth : (2^n, weightings) array
        Row S is the worth of the players whose bits are set in S; row 0 must be 0.

    Returns
    -------
    (weightings, n) array
        Values; they sum to the worth of all players.

    Examples
    --------
    >>> compute_shapley(np.array([[0.0], [0.0], [0.0], [1.0]]))
    array([[0.5, 0.5]])
    """
    players = int(worth.shape[0]).bit_length() - 1
    codes = np.arange(worth.shape[0])
    sizes = np.bitwise_count(codes).astype(np.int64)
    chance = np.array([factorial(s) * factorial(players - s - 1) for s in range(players)]) / factorial(players)
    values: list[FloatArray] = []
    for player in range(players):
        without = codes[(codes >> player) & 1 == 0]
        gain = worth[without | (1 << player)] - worth[without]
        values.append(np.asarray(chance[sizes[without]] @ gain, dtype=np.float64))
    stacked: FloatArray = np.stack(values, axis=-1)
    return stacked


def find_sets(journeys: Journeys) -> Sets:
    """Return the distinct sets, found by their bits (in words of 60 channels)."""
    size = len(journeys.channels)
    words = np.zeros((len(journeys), (size - 1) // 60 + 1), dtype=np.int64)
    np.bitwise_or.at(words, (journeys.journey, journeys.channel // 60), np.int64(1) << (journeys.channel % 60))
    _, first, inverse = np.unique(words, axis=0, return_index=True, return_inverse=True)
    code = np.arange(size)
    bits = (words[first][:, code // 60] >> (code % 60)) & 1
    return Sets(members=sparse.csr_array(bits), of_journey=np.ravel(inverse).astype(np.int64))


def _sum_sets(sets: Sets, weights: FloatArray) -> FloatArray:
    """Return (sets, weightings) sums of the journeys of each set."""
    journeys = len(sets.of_journey)
    where = (sets.of_journey, np.arange(journeys))
    gather = sparse.csr_array((np.ones(journeys), where), shape=(sets.members.shape[0], journeys))
    return np.asarray(gather @ weights.T)


def _worth_of_all(sets: Sets, gained: FloatArray, seen: FloatArray) -> FloatArray:
    """Return the rate inside every one of the 2^n sets: sums over subsets, one channel at a time."""
    players = sets.members.shape[1]
    codes = np.asarray(sets.members @ (1 << np.arange(players)))
    totals = np.zeros((2, 1 << players, gained.shape[1]))
    totals[0, codes], totals[1, codes] = gained, seen
    for player in range(players):
        with_player = np.flatnonzero((np.arange(1 << players) >> player) & 1)
        totals[:, with_player] += totals[:, with_player ^ (1 << player)]
    rate: FloatArray = np.divide(totals[0], totals[1], out=np.zeros_like(totals[0]), where=totals[1] > 0)
    return rate


def _sample_orders(sets: Sets, gained: FloatArray, seen: FloatArray, seed: int) -> tuple[FloatArray, FloatArray]:
    """Average the gains over random orders, each with its reverse; the error is that of the mean of pairs."""
    players = sets.members.shape[1]
    rng = np.random.default_rng(seed)
    total = np.zeros((gained.shape[1], players))
    squares = np.zeros_like(total)
    pairs = ORDERS // 2
    for _ in range(pairs):
        order = rng.permutation(players)
        both = 0.5 * (_walk_order(sets, gained, seen, order) + _walk_order(sets, gained, seen, order[::-1]))
        total += both
        squares += both**2
    mean = total / pairs
    spread = np.sqrt(np.maximum(squares / pairs - mean**2, 0.0) / (pairs - 1))
    return mean, spread


def _walk_order(sets: Sets, gained: FloatArray, seen: FloatArray, order: IntArray) -> FloatArray:
    """Let the channels join one by one; a set counts from the step at which its last member has joined."""
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    joined = np.maximum.reduceat(place[sets.members.indices], sets.members.indptr[:-1])
    gather = sparse.csr_array((np.ones(len(joined)), (joined, np.arange(len(joined)))), shape=(len(order), len(joined)))
    up, down = np.cumsum(gather @ gained, axis=0), np.cumsum(gather @ seen, axis=0)
    rate = np.divide(up, down, out=np.zeros_like(up), where=down > 0)
    gains = np.diff(rate, axis=0, prepend=0.0)
    return np.asarray(gains[place].T, dtype=np.float64)
