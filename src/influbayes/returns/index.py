"""A ledger laid out for many questions: rows as arrays of codes, so that any part of it is a mask away.

Takes a ledger once; makes the same sums, users and counts for a part that `filter_ledger` and the functions of this
room make from tables, in a fraction of the time. Knows no posterior.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from influbayes.errors import DataRefused, UsageError
from influbayes.returns.audiences import GROUPS, Audience
from influbayes.returns.filters import (
    OF_ORDERS,
    LedgerFilter,
    choose_influencers,
    refuse_one_sided,
    require_values,
)
from influbayes.tables.cells import BoolArray, FloatArray, IntArray
from influbayes.tables.ledger import Ledger, sum_payouts
from influbayes.tables.ledger_checks import mark_early

NOTHING_SPENT = 1e-6  # as in `gather_audience`


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerIndex:
    """The rows of a ledger's orders as arrays (rows,), read-only.

    `owner` influencer or -1; `user`; `pair` place among the distinct (owner, user), which are `pair_owner` and
    `pair_user`; `group`; `day` whole days; `codes` and `levels` of product, campaign, source; `early` before the first
    post of the influencer. `paid` (influencers,) all payouts in currency, `counted` their exposed orders.
    """

    ledger: Ledger
    owner: IntArray
    user: IntArray
    pair: IntArray
    pair_owner: IntArray
    pair_user: IntArray
    group: IntArray
    day: IntArray
    revenue: FloatArray
    orders: FloatArray
    codes: Mapping[str, IntArray]
    levels: Mapping[str, tuple[str, ...]]
    early: BoolArray
    paid: FloatArray
    counted: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerPart:
    """What a filter leaves of a ledger.

    `people` frame of the influencers kept; `place` (influencers of the whole,) their new place, -1 left out; `rows`
    (rows of the whole,) whether an order row counts; `revenue`, `orders` (rows of the whole,) with what was bought of
    other products set to 0; `other` marks those; `payout` (influencers kept,) and the single `payouts` in currency.
    """

    index: LedgerIndex
    chosen: LedgerFilter
    people: pd.DataFrame
    kept: BoolArray
    place: IntArray
    rows: BoolArray
    revenue: FloatArray
    orders: FloatArray
    other: BoolArray
    payout: FloatArray
    payouts: FloatArray


def index_ledger(ledger: Ledger) -> LedgerIndex:
    """Return a ledger laid out for `cut_ledger`; time linear in rows, done once."""
    orders = ledger.orders
    owner, user = orders["influencer"].to_numpy(np.int64), orders["user"].to_numpy(np.int64)
    span = int(user.max(initial=0)) + 1
    pairs, pair = np.unique((owner + 1) * span + user, return_inverse=True)
    coded = {name: pd.factorize(orders[column], sort=True) for name, column in OF_ORDERS.items()}
    counts = orders["orders"].to_numpy(np.float64)
    group = orders["group"].to_numpy(np.int64)
    credited = (group == GROUPS["exposed"]) & (owner >= 0)
    size = len(ledger.influencers)
    return LedgerIndex(
        ledger=ledger,
        owner=owner,
        user=user,
        pair=pair.astype(np.int64),
        pair_owner=pairs // span - 1,
        pair_user=pairs % span,
        group=group,
        day=orders["day"].to_numpy().astype("datetime64[D]").astype(np.int64),
        revenue=orders["revenue"].to_numpy(np.float64),
        orders=counts,
        codes={name: codes.astype(np.int64) for name, (codes, _) in coded.items()},
        levels={name: tuple(map(str, found)) for name, (_, found) in coded.items()},
        early=mark_early(orders, ledger.posts, size) & (group == GROUPS["exposed"]),
        paid=sum_payouts(ledger),
        counted=np.bincount(owner[credited], weights=counts[credited], minlength=size).astype(np.float64),
    )


def cut_ledger(index: LedgerIndex, chosen: LedgerFilter | None = None) -> LedgerPart:
    """Return the part of a ledger that a filter chooses, by the rules of `filter_ledger`.

    Raises
    ------
    DataRefused
        IB-D53: orders are left out and nothing says what becomes of the payouts.
    UsageError
        A value that does not occur, or nothing is left.
    """
    wanted = chosen or LedgerFilter()
    require_values(index.ledger, wanted, levels=index.levels)
    if wanted.cuts_orders and wanted.payout is None:
        raise DataRefused([refuse_one_sided(index.ledger, wanted)])
    kept = choose_influencers(index.ledger, wanted)
    rows = _choose_rows(index, wanted, kept)
    if not rows.any():
        raise UsageError("No order is left by the filter.")
    other = _mark_other_products(index, wanted)
    orders = np.where(other, 0.0, index.orders)
    shares, payouts = _share_payouts(index, wanted, rows, orders), index.ledger.payouts
    owners = payouts["influencer"].to_numpy()
    return LedgerPart(
        index=index,
        chosen=wanted,
        people=index.ledger.influencers.loc[kept].reset_index(drop=True),
        kept=kept,
        place=np.where(kept, np.cumsum(kept) - 1, -1),
        rows=rows,
        revenue=np.where(other, 0.0, index.revenue),
        orders=orders,
        other=other,
        payout=(index.paid * shares)[kept],
        payouts=(payouts["total_payout"].to_numpy(np.float64) * shares[owners])[kept[owners]],
    )


def _choose_rows(index: LedgerIndex, wanted: LedgerFilter, kept: BoolArray) -> BoolArray:
    """The row rules of `filter_ledger`: rows without an influencer stay if everybody is kept or they are control."""
    rows = np.append(kept, True)[index.owner]
    if not kept.all():
        rows &= (index.owner >= 0) | (index.group == GROUPS["control"])
    for name in ("campaign", "source"):
        values = getattr(wanted, name)
        if values:
            rows &= np.isin(np.array(index.levels[name]), values)[index.codes[name]]
    if wanted.start:
        rows &= index.day >= np.datetime64(wanted.start, "D").astype(np.int64)
    if wanted.end:
        rows &= index.day <= np.datetime64(wanted.end, "D").astype(np.int64)
    return rows & ~index.early if wanted.after_first_post else rows


def _mark_other_products(index: LedgerIndex, wanted: LedgerFilter) -> BoolArray:
    if not wanted.product:
        return np.zeros(len(index.owner), dtype=np.bool_)
    return ~np.isin(np.array(index.levels["product"]), wanted.product)[index.codes["product"]]


def _share_payouts(index: LedgerIndex, wanted: LedgerFilter, rows: BoolArray, orders: FloatArray) -> FloatArray:
    if wanted.payout != "by-orders" or not wanted.cuts_orders:
        return np.ones(len(index.paid))
    credited = rows & (index.group == GROUPS["exposed"]) & (index.owner >= 0)
    left = np.bincount(index.owner[credited], weights=orders[credited], minlength=len(index.paid))
    return np.divide(left, index.counted, out=np.ones(len(index.paid)), where=index.counted > 0)


def gather_part(part: LedgerPart, group: str, *, leave_out: BoolArray | None = None) -> Audience:
    """Return what `gather_audience` returns for the part; `leave_out` marks users (users,)."""
    index = part.index
    rows = part.rows & (index.group == GROUPS[group])
    if group == "exposed":
        rows = rows & (index.owner >= 0)
    if leave_out is not None:
        rows = rows & ~leave_out[index.user]
    size, pairs = len(index.pair_owner), index.pair[rows]
    there = np.bincount(pairs, minlength=size) > 0
    spend = np.bincount(pairs, weights=part.revenue[rows], minlength=size)[there]
    return Audience(
        owner=np.append(part.place, -1)[index.pair_owner[there]],
        user=index.pair_user[there],
        spend=np.where(np.abs(spend) < NOTHING_SPENT, 0.0, spend),
    )


def mark_both_groups(part: LedgerPart) -> BoolArray:
    """Return (users,) whether the user stands in the control and in the exposed group."""
    seen = [count_users(part, part.index.group == code) > 0 for code in GROUPS.values()]
    return np.asarray(seen[0] & seen[1], dtype=np.bool_)


def knows_non_buyers(part: LedgerPart) -> bool:
    """Return whether each group that is there knows a user who ordered nothing, as `has_non_buyers`."""
    for code in GROUPS.values():
        rows = part.rows & (part.index.group == code)
        users = part.index.user[rows]
        size = int(part.index.user.max(initial=0)) + 1
        seen = np.bincount(users, minlength=size) > 0
        if seen.any() and not (np.bincount(users, weights=part.orders[rows], minlength=size)[seen] == 0).any():
            return False
    return True


def count_users(part: LedgerPart, marked: BoolArray) -> IntArray:
    """Return (users,) the rows of the part that are marked, by user."""
    size = int(part.index.user.max(initial=0)) + 1
    return np.bincount(part.index.user[part.rows & marked], minlength=size).astype(np.int64)
