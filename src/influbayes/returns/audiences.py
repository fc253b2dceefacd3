"""Users of a ledger by group: what each user spent with each influencer, and the counts and sums models need.

Takes a ledger; makes arrays. Knows no posterior.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from influbayes.tables.cells import FloatArray, IntArray
from influbayes.tables.ledger import Ledger

GROUPS = {"control": 0, "exposed": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """One row a pair of user and influencer: `owner` (-1: none), `user`, net `spend` in currency."""

    owner: IntArray
    user: IntArray
    spend: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """For each influencer: `users`, `buyers` (net spend above 0), `spend` (refunds netted), and of the logs of what
    buyers spent the sum `logs` and the sum of `squares`. `amounts` (pairs,) are all spends other than 0.
    """

    users: FloatArray
    buyers: FloatArray
    spend: FloatArray
    logs: FloatArray
    squares: FloatArray
    amounts: FloatArray


def gather_audience(ledger: Ledger, group: str, *, leave_out: IntArray | None = None) -> Audience:
    """Return the users of "exposed" (credited rows only) or "control", without the users in `leave_out`."""
    orders = ledger.orders
    rows = (orders["group"] == GROUPS[group]).to_numpy()
    if group == "exposed":
        rows = rows & (orders["influencer"] >= 0).to_numpy()
    if leave_out is not None and len(leave_out):
        rows = rows & ~np.isin(orders["user"].to_numpy(), leave_out)
    owner, user = orders["influencer"].to_numpy()[rows], orders["user"].to_numpy()[rows]
    span = int(user.max(initial=0)) + 1
    pairs, place = np.unique((owner + 1) * span + user, return_inverse=True)
    spend = np.bincount(place, weights=orders["revenue"].to_numpy(np.float64)[rows], minlength=len(pairs))
    # Sums of cents come out as 1e-14 where a purchase was refunded in full: that user bought nothing.
    spend = np.where(np.abs(spend) < 1e-6, 0.0, spend)
    return Audience(owner=pairs // span - 1, user=pairs % span, spend=spend.astype(np.float64))


def count_audience(audience: Audience, influencers: int) -> Counts:
    """Return what models need of each influencer; pairs without an influencer are left out."""
    named = audience.owner >= 0
    owner, spend = audience.owner[named], audience.spend[named]

    def add(weights: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(owner, weights=weights, minlength=influencers), dtype=np.float64)

    bought = spend > 0
    logs = np.log(np.where(bought, spend, 1.0))
    return Counts(
        users=add(np.ones(len(owner))),
        buyers=add(bought.astype(np.float64)),
        spend=add(spend),
        logs=add(logs),
        squares=add(logs**2),
        amounts=spend[spend != 0],
    )


def sum_by_user(audience: Audience) -> FloatArray:
    """Return (users,) what each distinct user spent with all influencers together, in order of the user's code."""
    _, place = np.unique(audience.user, return_inverse=True)
    return np.asarray(np.bincount(place, weights=audience.spend), dtype=np.float64)
