"""Expected revenue of each influencer, partially pooled, as draws, with the spread between influencers.

Takes a ledger; makes draws. Where the ledger knows users who bought nothing, revenue is users x conversion x spend per
buyer; where it holds buyers only, expected number of buyers x spend per buyer. Knows no payout.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from influbayes.errors import DataRefused
from influbayes.returns.audiences import Counts, count_audience, gather_audience
from influbayes.returns.bootstrap import MOST_WEIGHTS, draw_mean
from influbayes.returns.populations import (
    RATE_PRIOR_SD,
    SPEND_PRIOR_SD,
    Population,
    draw_conversions,
    draw_counts,
    draw_spend,
)
from influbayes.tables.cells import FloatArray
from influbayes.tables.ledger import Ledger
from influbayes.tables.ledger_checks import has_non_buyers
from influbayes.tables.problems import compose_problem


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledReturns:
    """Draws of what each influencer brings.

    `revenue` (draws, influencers) expected revenue in currency; `rate` (draws, influencers) the same per exposed user,
    or, where the ledger holds buyers only, per influencer. `raw_rate` (influencers,) is the observed one (NaN without
    users). `rate_spread`, `spend_spread` (draws,) are the spreads of conversion (or buyers) and of spend per buyer.
    """

    revenue: FloatArray
    rate: FloatArray
    raw_rate: FloatArray
    counts: Counts
    rate_spread: FloatArray
    spend_spread: FloatArray
    buyers_only: bool


def pool_returns(ledger: Ledger, *, draws: int, rng: np.random.Generator, prior_factor: float = 1.0) -> PooledReturns:
    """Return the partially pooled returns of a ledger; `prior_factor` scales the priors of the spreads.

    Raises
    ------
    DataRefused
        IB-D51: no exposed order names a known influencer.
    """
    counts = count_audience(gather_audience(ledger, "exposed"), len(ledger.influencers))
    require_buyers(counts, ledger)
    buyers_only = not has_non_buyers(ledger.orders)
    return pool_counts(counts, buyers_only=buyers_only, draws=draws, rng=rng, prior_factor=prior_factor)


def pool_counts(
    counts: Counts,
    *,
    buyers_only: bool,
    draws: int,
    rng: np.random.Generator,
    prior_factor: float = 1.0,
    most_weights: int = MOST_WEIGHTS,
) -> PooledReturns:
    """Return the partially pooled returns from counts and sums of influencers, some of whom brought buyers."""
    prior = prior_factor * RATE_PRIOR_SD
    if buyers_only:
        bought = draw_counts(counts.buyers, draws=draws, rng=rng, prior_sd=prior)
        users = np.ones(len(counts.users))
        raw = counts.spend
    else:
        bought = draw_conversions(counts.buyers, counts.users, draws=draws, rng=rng, prior_sd=prior)
        users = counts.users
        raw = np.divide(counts.spend, users, out=np.full(len(users), np.nan), where=users > 0)
    spend = draw_spend_of(counts, draws=draws, rng=rng, prior_factor=prior_factor, most_weights=most_weights)
    rate = bought.draws * spend.draws
    return PooledReturns(
        revenue=rate * users,
        rate=rate,
        raw_rate=raw,
        counts=counts,
        rate_spread=bought.spread,
        spend_spread=spend.spread,
        buyers_only=buyers_only,
    )


def draw_spend_of(
    counts: Counts,
    *,
    draws: int,
    rng: np.random.Generator,
    prior_factor: float = 1.0,
    most_weights: int = MOST_WEIGHTS,
) -> Population:
    """Return draws of the spend per buyer of each influencer; refunds beyond purchases lower the level of all alike."""
    buyers = float(counts.buyers.sum())
    if not buyers:
        nothing = np.zeros((draws, len(counts.buyers)))
        return Population(draws=nothing, spread=np.zeros(draws), mean=np.zeros(draws))
    mean = draw_mean(counts.amounts, draws=draws, rng=rng, most_weights=most_weights)
    overall = mean * (len(counts.amounts) / buyers)
    return draw_spend(
        counts.logs,
        counts.squares,
        counts.buyers,
        overall=np.maximum(overall, 0.0),
        rng=rng,
        prior_sd=prior_factor * SPEND_PRIOR_SD,
    )


def require_buyers(counts: Counts, ledger: Ledger) -> None:
    """Raise DataRefused (IB-D51) where no exposed order of a ledger names a known influencer."""
    if counts.buyers.any():
        return
    problem = compose_problem(
        "IB-D51",
        "refuse",
        file=ledger.name_file("tracking_data"),
        column="group",
        what="no exposed order of a known influencer",
        why="There is no return to estimate.",
        remedy="Check that group is 1 for exposed users and that influencer_id is filled in.",
    )
    raise DataRefused([problem])
