"""Independence Metropolis: chains that accept or reject independent proposals by their weights.

Takes log weights (log target minus log proposal density), gives which proposal each state of each chain is. Exact for
any proposal with the target's support; knows neither target nor proposal. Source: Tierney
(1994), doi:10.1214/aos/1176325750.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from influbayes.hierarchy.design import FloatArray, IntArray

STARTS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Chains:
    """`kept` (chain, draw) index of the proposal each state is; `accepted` (chain, draw) whether it is a new one.

    `acceptance` is the share of all proposals that were accepted, also of those between the kept states.
    """

    kept: IntArray
    accepted: npt.NDArray[np.bool_]
    acceptance: float


def run_chains(log_weights: FloatArray, rng: np.random.Generator, *, chains: int, draws: int, thin: int = 1) -> Chains:
    """Run independence Metropolis over proposals drawn beforehand.

    Parameters
    ----------
    log_weights : (chains x (STARTS + thin x draws),) array
        Chain by chain. The first `STARTS` proposals of a chain only serve to start it: one of them is drawn by weight.
        A weight that is not a number is never accepted.
    rng : Generator
    chains, draws : int
    thin : int
        Proposals for every state that is kept.

    Returns
    -------
    Chains
    """
    length = thin * draws
    table = np.where(np.isnan(log_weights), -np.inf, log_weights).reshape(chains, STARTS + length)
    thresholds = np.log(1.0 - rng.random((chains, length)))
    picks = rng.random(chains)
    states = np.empty((chains, length), dtype=np.int64)
    accepted = np.empty((chains, length), dtype=bool)
    first = [_pick_start(table[c, :STARTS], float(picks[c])) for c in range(chains)]
    for c in range(chains):
        states[c], accepted[c] = _run_chain(table[c].tolist(), thresholds[c].tolist(), first[c])
    kept = states[:, thin - 1 :: thin]
    before = np.concatenate((np.array(first)[:, None], kept[:, :-1]), axis=1)
    return Chains(
        kept=kept + (np.arange(chains) * (STARTS + length))[:, None],
        accepted=kept != before,
        acceptance=float(accepted.mean()),
    )


def _pick_start(log_weights: FloatArray, pick: float) -> int:
    top = log_weights.max()
    if not np.isfinite(top):
        return 0
    total = np.cumsum(np.exp(log_weights - top))
    return int(min(np.searchsorted(total, pick * total[-1]), len(total) - 1))


def _run_chain(log_weights: list[float], thresholds: list[float], first: int) -> tuple[list[int], list[bool]]:
    state, weight = first, log_weights[first]
    kept, accepted = [], []
    for i, threshold in enumerate(thresholds, start=STARTS):
        new = log_weights[i] > -np.inf and log_weights[i] - weight > threshold
        if new:
            state, weight = i, log_weights[i]
        kept.append(state)
        accepted.append(new)
    return kept, accepted


def expect_acceptance(log_weights: FloatArray) -> float:
    """Return the acceptance rate to expect in the long run, from the weights of a few hundred proposals."""
    finite = log_weights[np.isfinite(log_weights)]
    if not len(finite):
        return 0.0
    weights = np.exp(finite - finite.max())
    ratio = np.minimum(1.0, weights[None, :] / np.maximum(weights[:, None], 1e-300))
    return float((weights / weights.sum()) @ ratio.sum(axis=1) / len(log_weights))
