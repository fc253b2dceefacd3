"""What choosing now costs in expectation, and what knowing more would be worth before choosing.

Takes draws of what each option is worth; gives regrets, the expected value of perfect information and of n more posts.
Values are never negative: a decision maker may ignore what was learnt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, logit, xlog1py, xlogy

from influbayes.effects.estimands import estimate_probability
from influbayes.effects.ranking import find_lead
from influbayes.errors import UsageError
from influbayes.hierarchy.design import FloatArray
from influbayes.inference.convergence import estimate_ess_mean

LEAST_WEIGHT_DRAWS = 100.0
"""Effective draws below which the posterior after new posts is smoothed by regression instead of reweighting alone."""

_DEGREE = 3
_EDGE = 1e-12
_ROUNDING = 1e-12
_TINIEST = 1e-300


@dataclass(frozen=True, slots=True, kw_only=True)
class Regret:
    """One option chosen now: P(best), the expected regret and its Monte Carlo error, in the unit of the worths."""

    label: str
    mean: float
    probability_best: float
    regret: float
    mcse: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Information:
    """What `posts` more posts of `label` would be worth for one choice, in the unit of the worths.

    `method`: `reweighted` (the posterior after each outcome is the draws reweighted by its likelihood) or `regression`
    (worths regressed on the rate first, where too few draws would carry the weight). `ess` is the effective number
    of draws behind an outcome, on average over outcomes.
    """

    label: str
    posts: int
    value: float
    method: str
    ess: float


def estimate_regret(worths: FloatArray, labels: Sequence[str]) -> tuple[Regret, ...]:
    """Return the expected regret of choosing each option now.

    Parameters
    ----------
    worths : (chain, draw, option) array
        What each option is worth in each draw.
    labels : sequence of str
        One an option.

    Returns
    -------
    tuple of Regret
        Regret = E[largest worth - own worth] >= 0. The smallest equals the expected value of perfect information.
    """
    lost = worths.max(axis=-1, keepdims=True) - worths
    lead = find_lead(worths)
    return tuple(
        Regret(
            label=label,
            mean=float(worths[..., k].mean()),
            probability_best=1.0 if len(labels) == 1 else estimate_probability(lead[..., k]).value,
            regret=float(lost[..., k].mean()),
            mcse=_find_error(lost[..., k]),
        )
        for k, label in enumerate(labels)
    )


def estimate_perfect_information(worths: FloatArray) -> float:
    """Return E[max worth] - max E[worth], what it would be worth to know every rate before choosing."""
    return _drop_rounding(worths.max(axis=-1).mean() - worths.mean(axis=(0, 1)).max(), worths)


def value_posts(worths: FloatArray, rates: FloatArray, labels: Sequence[str], *, posts: int) -> tuple[Information, ...]:
    """Return what `posts` more posts of each kind would be worth before choosing once among the options.

    Parameters
    ----------
    worths : (chain, draw, option) array
        What each option is worth.
    rates : (chain, draw, kind) array
        Chance that one new post of a kind converts. New posts are taken as independent given the rate.
    labels : sequence of str
        One a kind.
    posts : int
        New posts, at least 0.

    Returns
    -------
    tuple of Information
        Never negative, and never above the expected value of perfect information (up to rounding).

    Notes
    -----
    Preposterior analysis (Raiffa and Schlaifer 1961): for each possible number of conversions k the posterior is the
    draws weighted by Binomial(k; posts, rate), so nothing is simulated. Where the weights rest on too few draws, worths
    are first regressed on the log odds of the rate (Strong et al. 2015, 10.1177/0272989X15575286).

    Raises
    ------
    UsageError
        `posts` below 0.
    """
    if posts < 0:
        raise UsageError(f"new posts are 0 or more; found {posts}.")
    flat = worths.reshape(-1, worths.shape[-1])
    return tuple(_value_kind(flat, rates[..., k].reshape(-1), label, posts) for k, label in enumerate(labels))


def simulate_preposterior(
    refit: Callable[[int, int], FloatArray],
    rates: FloatArray,
    *,
    posts: int,
    kind: int,
    simulations: int = 50,
    seed: int = 20260101,
) -> tuple[float, float]:
    """Return the expected best mean worth after `posts` new posts of `kind`, by refits, and its standard error.

    Parameters
    ----------
    refit : callable
        (kind, conversions) -> worths (chain, draw, option) of the model fitted to the table with the new posts.
    rates : (chain, draw, kind) array
        Today's posterior; outcomes are drawn from its predictive distribution.
    simulations : int
        Simulated outcomes; equal counts are fitted once.

    Notes
    -----
    Take off the best mean worth of today to have the value of the posts. Exact but slow: the check of `value_posts`.
    """
    rng = np.random.default_rng(seed)
    flat = rates[..., kind].reshape(-1)
    counts = rng.binomial(posts, rng.choice(flat, simulations))
    found = {int(k): float(refit(kind, int(k)).mean(axis=(0, 1)).max()) for k in np.unique(counts)}
    best = np.array([found[int(k)] for k in counts])
    return float(best.mean()), float(best.std(ddof=1) / np.sqrt(simulations))


def _drop_rounding(value: float, worths: FloatArray) -> float:
    """Return a worth of information, 0 where it is no more than the rounding of the worths it is a difference of."""
    return float(value) if value > _ROUNDING * float(np.abs(worths).max(initial=1.0)) else 0.0


def _value_kind(worths: FloatArray, rate: FloatArray, label: str, posts: int) -> Information:
    weights = _weigh_outcomes(rate, posts)
    mass = weights.sum(axis=1)
    ess = mass**2 / np.maximum((weights**2).sum(axis=1), _TINIEST)
    behind = float((mass * ess).sum() / mass.sum())
    smooth = not behind >= LEAST_WEIGHT_DRAWS
    used = _smooth_worths(worths, rate) if smooth else worths
    after = weights @ used  # (outcome, option): mass times the mean after the outcome
    value = float(after.max(axis=1).sum() / len(rate) - used.mean(axis=0).max())
    return Information(
        label=label,
        posts=posts,
        value=_drop_rounding(value, worths),
        method="regression" if smooth else "reweighted",
        ess=behind,
    )


def _weigh_outcomes(rate: FloatArray, posts: int) -> FloatArray:
    """Binomial(k; posts, rate) as (outcome, draw), columns summing to 1."""
    p = np.clip(rate, _EDGE, 1 - _EDGE)
    outcomes = np.arange(posts + 1.0)[:, None]
    ways = gammaln(posts + 1.0) - gammaln(outcomes + 1) - gammaln(posts - outcomes + 1)
    weights = np.exp(ways + xlogy(outcomes, p) + xlog1py(posts - outcomes, -p))
    return np.asarray(weights / weights.sum(axis=0))


def _smooth_worths(worths: FloatArray, rate: FloatArray) -> FloatArray:
    """Worths as a cubic in the log odds of the rate; their means stay as they are."""
    x = logit(np.clip(rate, _EDGE, 1 - _EDGE))
    spread = x.std()
    if not spread > 0:
        return np.broadcast_to(worths.mean(axis=0), worths.shape)
    basis = np.vander((x - x.mean()) / spread, _DEGREE + 1)
    return np.asarray(basis @ np.linalg.lstsq(basis, worths, rcond=None)[0])


def _find_error(draws: FloatArray) -> float:
    if not draws.std() > 0:
        return 0.0
    return float(draws.std() / np.sqrt(estimate_ess_mean(draws[None])[0]))
