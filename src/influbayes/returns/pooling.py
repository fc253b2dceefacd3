"""Expected revenue of each influencer, partially pooled, as draws, with the spread between influencers.

Takes a ledger; makes draws. Where the ledger knows users who bought nothing, revenue is users x conversion x spend per
buyer; where it holds buyers only, expected number of buyers x spend per buyer. Knows no payout.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from influbayes.errors import DataRefused
from influbayes.returns.audiences import Counts, count_audience, gather_audience
from influbayes.returns.populations import (
    RATE_PRIOR_SD,
    SPEND_PRIOR_SD,
    draw_conversions,
    draw_counts,
    draw_spend,
    estimate_dispersion,
)
from influbayes.tables.cells import FloatArray
from influbayes.tables.ledger import Ledger
from influbayes.tables.ledger_checks import has_non_buyers
from influbayes.tables.problems import compose_problem


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledReturns:
    """Draws of what each influencer brings.

    `revenue` (draws, influencers) expected revenue in currency; `rate` (draws, influencers) the same per exposed user, or,
    where the ledger holds buyers only, per influencer. `raw_rate` (influencers,) is the observed one (NaN without users).
    `rate_spread`, `spend_spread` (draws,) are the population's spreads of conversion (or buyers) and of spend per buyer.
    """

    revenue: FloatArray
    rate: FloatArray
    raw_rate: FloatArray
    counts: Counts
    rate_spread: FloatArray
    spend_spread: FloatArray
    dispersion: float
    buyers_only: bool


def pool_returns(
    ledger: Ledger, *, draws: int, rng: np.random.Generator, prior_factor: float = 1.0
) -> PooledReturns:
    """Return the partially pooled returns of a ledger; `prior_factor` scales the priors of the spreads.

    Raises
    ------
    DataRefused
        IB-D51: no exposed order names a known influencer.
    """
    counts = count_audience(gather_audience(ledger, "exposed"), len(ledger.influencers))
    if not counts.buyers.any():
        raise DataRefused([_refuse_nothing()])
    buyers_only = not has_non_buyers(ledger.orders)
    dispersion = estimate_dispersion(counts.spend, counts.squares, counts.buyers)
    prior = prior_factor * RATE_PRIOR_SD
    if buyers_only:
        bought = draw_counts(counts.buyers, draws=draws, rng=rng, prior_sd=prior)
        users = np.ones(len(counts.users))
        raw = counts.spend
    else:
        bought = draw_conversions(counts.buyers, counts.users, draws=draws, rng=rng, prior_sd=prior)
        users = counts.users
        raw = np.divide(counts.spend, users, out=np.full(len(users), np.nan), where=users > 0)
    spend = draw_spend(
        counts.spend,
        counts.buyers,
        dispersion=dispersion,
        draws=draws,
        rng=rng,
        prior_sd=prior_factor * SPEND_PRIOR_SD,
    )
    rate = bought.draws * spend.draws
    return PooledReturns(
        revenue=rate * users,
        rate=rate,
        raw_rate=raw,
        counts=counts,
        rate_spread=bought.spread,
        spend_spread=spend.spread,
        dispersion=dispersion,
        buyers_only=buyers_only,
    )


def _refuse_nothing() -> object:
    return compose_problem(
        "IB-D51",
        "refuse",
        file="tracking_data.csv",
        column="group",
        what="no exposed order of a known influencer",
        why="There is no return to estimate.",
        remedy="Check that group is 1 for exposed users and that influencer_id is filled in.",
    )
