"""Removal effects of a Markov chain over touches, by exact linear algebra, for any order and many weightings at once.

Takes journeys and weights of people; makes P(sign-up) and, per channel, 1 - P(without it) / P. Nothing is simulated.
Source: Anderl et al. (2016), Int. J. Research in Marketing 33, doi:10.1016/j.ijresmar.2016.03.001.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.linalg import spsolve

from influbayes.attribution.journeys import FloatArray, IntArray, Journeys

DENSE_STATES = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Observed transitions of order k.

    A state is the last k touches (fewer at the start). `source` and `target` (pairs,) are state numbers; target -1 is
    a sign-up, -2 none. `counts` (pairs, journeys) sparse: how often each journey makes each transition.
    `last_channel` (states,) is the channel of a state's last touch, -1 for the start, which is state 0.
    """

    source: IntArray
    target: IntArray
    counts: sparse.csr_array
    last_channel: IntArray
    channels: int


def build_chain(journeys: Journeys, *, order: int = 1) -> Chain:
    """Return the chain of order `order`; a channel that follows itself is a transition like any other."""
    state, last_channel = _number_states(journeys, order)
    starts, ends = journeys.starts, journeys.starts + journeys.lengths - 1
    before = np.concatenate([[0], state[:-1]])
    before[starts] = 0
    source = np.concatenate([before, state[ends], state[ends]])
    target = np.concatenate([state, np.full(len(ends), -1), np.full(len(ends), -2)])
    journey = np.concatenate([journeys.journey, np.arange(len(ends)), np.arange(len(ends))])
    both = journeys.conversions + journeys.nulls
    times = np.concatenate([both[journeys.journey], journeys.conversions, journeys.nulls])
    size = int(state.max(initial=0)) + 1
    keys, pair = np.unique(source * (size + 2) + target + 2, return_inverse=True)
    shape = (len(keys), len(ends))
    counts = sparse.csr_array(sparse.coo_array((times, (pair, journey)), shape=shape))
    return Chain(
        source=(keys // (size + 2)).astype(np.int64),
        target=(keys % (size + 2) - 2).astype(np.int64),
        counts=counts,
        last_channel=last_channel,
        channels=len(journeys.channels),
    )


def _number_states(journeys: Journeys, order: int) -> tuple[IntArray, IntArray]:
    """Return the state after each touch, from 1, and the last channel of each state (start first)."""
    size = len(journeys.channels) + 1
    place = np.arange(len(journeys.channel)) - journeys.starts[journeys.journey]
    key = journeys.channel + 1
    for back in range(1, order):
        shifted = np.concatenate([np.zeros(back, dtype=np.int64), journeys.channel[:-back] + 1])[: len(key)]
        # Renumbered at each step, so that the keys of long memories do not overflow.
        key = np.unique(key, return_inverse=True)[1] * size + np.where(place >= back, shifted, 0)
    _, first, number = np.unique(key, return_index=True, return_inverse=True)
    return number.astype(np.int64) + 1, np.concatenate([[-1], journeys.channel[first]]).astype(np.int64)


def compute_removal_effects(chain: Chain, weights: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
    """Return P(sign-up) and the removal effects, for each weighting of the journeys.

    Without a channel every transition into it is lost: such journeys end without a sign-up.

    Parameters
    ----------
    chain : Chain
    weights : (weightings, journeys) array, optional
        How much each journey counts; once each unless told.

    Returns
    -------
    rate : (weightings,) array
        P(sign-up), 0 to 1.
    effects : (weightings, channels) array
        1 - P(sign-up without the channel) / P(sign-up), 0 to 1; 0 where P is 0.
    """
    given = np.ones((1, chain.counts.shape[1])) if weights is None else weights
    mass = np.asarray(chain.counts @ given.T).T
    states = len(chain.last_channel)
    solve = _solve_dense if states <= DENSE_STATES else _solve_sparse
    removed = [-1, *range(chain.channels)]
    rates = np.stack([np.stack([solve(chain, row, channel) for channel in removed]) for row in mass])
    whole = rates[:, :1]
    effects = 1.0 - np.divide(rates[:, 1:], whole, out=np.ones_like(rates[:, 1:]), where=whole > 0)
    return rates[:, 0], np.clip(effects, 0.0, 1.0)


def _solve_dense(chain: Chain, mass: FloatArray, removed: int) -> float:
    states = len(chain.last_channel)
    chance, inner = _normalise(chain, mass, removed)
    matrix = np.eye(states)
    np.subtract.at(matrix, (chain.source[inner], chain.target[inner]), chance[inner])
    gain = np.bincount(chain.source, np.where(chain.target == -1, chance, 0.0), states)
    return float(np.linalg.solve(matrix, gain)[0])


def _solve_sparse(chain: Chain, mass: FloatArray, removed: int) -> float:
    states = len(chain.last_channel)
    chance, inner = _normalise(chain, mass, removed)
    steps = sparse.csc_array((chance[inner], (chain.source[inner], chain.target[inner])), shape=(states, states))
    gain = np.bincount(chain.source, np.where(chain.target == -1, chance, 0.0), states)
    solved = spsolve(sparse.csc_matrix(sparse.eye_array(states) - steps), gain)
    return float(np.asarray(solved)[0])


def _normalise(chain: Chain, mass: FloatArray, removed: int) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Return the chance of each transition and which of them lead to a state that is left."""
    out = np.bincount(chain.source, mass, len(chain.last_channel))[chain.source]
    chance = np.divide(mass, out, out=np.zeros_like(mass), where=out > 0)
    inner = chain.target >= 0
    if removed >= 0:
        inner &= chain.last_channel[np.maximum(chain.target, 0)] != removed
    return chance, inner


def share_removal_effects(effects: FloatArray, total: FloatArray | float) -> FloatArray:
    """Return credits (..., channels): `total` sign-ups shared in proportion to the removal effects."""
    sums = effects.sum(axis=-1, keepdims=True)
    even = np.full_like(effects, 1.0 / effects.shape[-1])
    shares = np.divide(effects, sums, out=even, where=sums > 0)
    return np.asarray(shares * np.asarray(total)[..., None], dtype=np.float64)
