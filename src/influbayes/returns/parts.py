"""Returns of a part of a ledger, fast enough to answer while a filter is moved: sums exact, draws from the same models.

Takes a part of an indexed ledger; makes totals, slices and the effects table. What differs from `estimate_returns` is
the number of draws, and that means over more than 1,000 different amounts are drawn from a distribution that matches
the bootstrap's first three moments (`draw_mean`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum

import numpy as np
import pandas as pd

from influbayes.errors import UsageError
from influbayes.returns.audiences import GROUPS, count_audience
from influbayes.returns.estimands import ReturnEffect, count_probability
from influbayes.returns.estimates import Heterogeneity, describe_returns, judge_heterogeneity
from influbayes.returns.incremental import GroupSizes, Incremental, compare_audiences
from influbayes.returns.index import (
    LedgerPart,
    count_users,
    gather_part,
    knows_non_buyers,
    mark_both_groups,
)
from influbayes.returns.money import (
    NO_ORDERS,
    NOTHING_BOUGHT,
    OF_INFLUENCER,
    OF_ORDER,
    Slice,
    Totals,
    code_people,
    divide,
    list_slices,
)
from influbayes.returns.pooling import PooledReturns, pool_counts, require_buyers
from influbayes.tables.cells import BoolArray, FloatArray, IntArray

PART_DRAWS, FEWEST_PART_DRAWS = 1000, 200
MOST_PART_NUMBERS = 400_000  # draws x influencers
FEW_WEIGHTS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSums:
    """What needs no estimate: totals and slices of a part of a ledger."""

    totals: Totals
    slices: tuple[Slice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartReturns:
    """What a part of a ledger returns; the fields are those of `Returns`.

    `incremental` is None without control or exposed users; `sizes_lost` tells that the sizes of the groups, given for
    the whole ledger, do not hold for the part.
    """

    part: LedgerPart
    totals: Totals
    slices: tuple[Slice, ...]
    pooled: PooledReturns
    incremental: Incremental | None
    heterogeneity: Heterogeneity
    effects: tuple[ReturnEffect, ...]
    sizes_lost: bool
    best: int
    prob: float
    seed: int
    draws: int

    @property
    def people(self) -> pd.DataFrame:
        """The influencers of the part, in the order of the draws."""
        return self.part.people

    @property
    def payout(self) -> FloatArray:
        """(influencers,) what each was paid, in currency."""
        return self.part.payout


@dataclass(frozen=True, slots=True, kw_only=True)
class LossAlert:
    """P(ROAS truly below `floor`) of one influencer, its raw ROAS (NaN without payout) and the money involved.

    `expected_loss` is what keeping it is expected to lose against the floor, in currency: E[max(floor x payout -
    revenue, 0)].
    """

    influencer: str
    probability: float
    mcse: float
    roas: float
    lower: float
    upper: float
    raw: float
    payout: float
    expected_loss: float


def estimate_part(
    part: LedgerPart,
    *,
    prob: float = 0.9,
    best: int = 5,
    seed: int = 20260101,
    draws: int = PART_DRAWS,
    sizes: GroupSizes | None = None,
) -> PartReturns:
    """Return sums and estimates of a part of a ledger.

    Parameters
    ----------
    part : LedgerPart
        From `cut_ledger`.
    prob, best, seed
        As in `estimate_returns`.
    draws : int
        200 or more; fewer are made where draws x influencers would pass 400,000, and `draws` of the result says so.
    sizes : GroupSizes, optional
        Sizes of the groups where the ledger holds buyers only. They hold for the whole ledger, so they are used only
        where the filter is empty.

    Returns
    -------
    PartReturns
        Sums equal those of `estimate_returns(ledger, chosen)`; the estimates have the same posterior.

    Raises
    ------
    DataRefused
        IB-D51: no exposed order of the part names a known influencer; `sum_part` gives its sums all the same.
    UsageError
        `draws` below 200.
    """
    if draws < FEWEST_PART_DRAWS:
        raise UsageError(f"{draws:,} draws are too few to tell intervals by: give {FEWEST_PART_DRAWS} or more.")
    made = min(draws, max(FEWEST_PART_DRAWS, MOST_PART_NUMBERS // max(len(part.people), 1)))
    pool_rng, lift_rng, check_rng = np.random.default_rng(seed).spawn(3)
    known = knows_non_buyers(part)
    usable = sizes if part.chosen.is_empty and not known else None
    counts = count_audience(gather_part(part, "exposed"), len(part.people))
    require_buyers(counts, part.index.ledger)
    pooled = pool_counts(counts, buyers_only=not known, draws=made, rng=pool_rng, most_weights=FEW_WEIGHTS)
    lift = _compare(part, known, usable, made, lift_rng)
    sums = sum_part(part)
    return PartReturns(
        part=part,
        totals=sums.totals,
        slices=sums.slices,
        pooled=pooled,
        incremental=lift,
        heterogeneity=judge_heterogeneity(pooled, prob=prob, rng=check_rng, most_weights=FEW_WEIGHTS),
        effects=describe_returns(part.people, pooled, lift, part.payout, best=best, prob=prob),
        sizes_lost=sizes is not None and usable is None and not known,
        best=best,
        prob=prob,
        seed=seed,
        draws=made,
    )


def _compare(
    part: LedgerPart, known: bool, sizes: GroupSizes | None, draws: int, rng: np.random.Generator
) -> Incremental | None:
    both = mark_both_groups(part)
    return compare_audiences(
        gather_part(part, "exposed", leave_out=both),
        gather_part(part, "control", leave_out=both),
        len(part.people),
        known=known,
        left_out=int(both.sum()),
        sizes=sizes,
        draws=draws,
        rng=rng,
        most_weights=FEW_WEIGHTS,
    )


def list_alerts(found: PartReturns, *, floor: float = 1.0, least: float = 0.5) -> tuple[LossAlert, ...]:
    """Return the influencers whose ROAS is below `floor` with a probability of `least` or more, the surest first.

    Parameters
    ----------
    found : PartReturns
    floor : float
        Revenue per unit of payout that an influencer must bring, 0 or more; 1 brings the payout back, and with goods
        that cost 60 % of revenue the payout is earned at 2.5.
    least : float
        Probability from which an influencer is listed, 0 to 1.

    Raises
    ------
    UsageError
        `floor` below 0, or `least` outside 0 to 1.
    """
    if not (0 <= floor < float("inf") and 0 <= least <= 1):
        raise UsageError(f"ROAS {floor:g} with probability {least:g}: give a ROAS from 0 and a probability of 0 to 1.")
    rows = _judge_losses(found, found.payout > 0, floor)
    chosen = [row for row in rows if row.probability >= least]
    return tuple(sorted(chosen, key=lambda row: (-row.probability, -row.expected_loss, row.influencer)))


def _judge_losses(found: PartReturns, paid: BoolArray, floor: float) -> list[LossAlert]:
    if not paid.any():
        return []
    payout, revenue, raw = found.payout[paid], found.pooled.revenue[:, paid], found.pooled.counts.spend[paid]
    below = (revenue < floor * payout).sum(axis=0)
    loss = np.maximum(floor * payout - revenue, 0).mean(axis=0)
    tail = (1 - found.prob) / 2
    low, middle, high = np.quantile(revenue / payout, [tail, 0.5, 1 - tail], axis=0)
    rows = []
    for i, name in enumerate(found.part.people["id"].astype(str).to_numpy()[paid]):
        chance = count_probability(int(below[i]), len(revenue))
        rows.append(
            LossAlert(
                influencer=str(name),
                probability=chance.value,
                mcse=chance.mcse,
                roas=float(middle[i]),
                lower=float(low[i]),
                upper=float(high[i]),
                raw=divide(float(raw[i]), float(payout[i])),
                payout=float(payout[i]),
                expected_loss=float(loss[i]),
            )
        )
    return rows


# --- sums -------------------------------------------------------------------------------------------------------------


def mark_credited_rows(part: LedgerPart) -> BoolArray:
    """Return (rows of the whole,) whether a row of the part is exposed and names a known influencer."""
    return np.asarray(part.rows & (part.index.group == GROUPS["exposed"]) & (part.index.owner >= 0), dtype=np.bool_)


def sum_part(part: LedgerPart) -> PartSums:
    """Return what `sum_totals` and `sum_slices` return for the part."""
    return PartSums(totals=_sum_totals(part), slices=_slice_part(part))


def cut_posts(part: LedgerPart) -> pd.DataFrame:
    """Return the posts of the influencers of the part; filters of orders leave posts alone."""
    posts = part.index.ledger.posts
    chosen: pd.DataFrame = posts.loc[part.kept[posts["influencer"].to_numpy()]]
    return chosen


def _sum_totals(part: LedgerPart) -> Totals:
    exposed, credited = part.index.group == GROUPS["exposed"], mark_credited_rows(part)
    bought = part.rows & (part.revenue != 0)
    payout, revenue = _add_up(part.payouts), _add_up(part.revenue[bought & credited])
    payouts = part.index.ledger.payouts
    return Totals(
        revenue_all=_add_up(part.revenue[bought]),
        revenue_exposed=_add_up(part.revenue[bought & exposed]),
        revenue_credited=revenue,
        payout=payout,
        roas=divide(revenue, payout),
        orders=int(part.orders[credited].sum()),
        orders_paid=int(payouts["orders"].to_numpy()[part.kept[payouts["influencer"].to_numpy()]].sum()),
        influencers=len(part.people),
        exposed_users=int((count_users(part, exposed) > 0).sum()),
        control_users=int((count_users(part, ~exposed) > 0).sum()),
    )


def _add_up(values: FloatArray) -> float:
    return fsum(values.tolist())


def _slice_part(part: LedgerPart) -> tuple[Slice, ...]:
    rows = mark_credited_rows(part)
    place = part.place[part.index.owner[rows]]
    found: list[Slice] = []
    for variable in OF_INFLUENCER:
        codes, levels = code_people(part.people, variable)
        payout = np.bincount(codes, weights=part.payout, minlength=len(levels))
        people = np.bincount(codes, minlength=len(levels))
        found += _make_slices(part, variable, levels, rows, codes[place], payout, people)
    for variable in OF_ORDER:
        found += _slice_orders(part, variable, rows, place)
    return tuple(found)


def _slice_orders(part: LedgerPart, variable: str, rows: BoolArray, place: IntArray) -> list[Slice]:
    """Campaigns, products or sources; each influencer's payout is shared in proportion to its exposed orders."""
    codes, levels = _code_orders(part, variable, rows)
    count = len(part.people)
    orders = part.orders[rows]
    every = np.bincount(place, weights=orders, minlength=count)
    weight = np.divide(orders, every[place], out=np.zeros(len(orders)), where=every[place] > 0)
    payout = np.bincount(codes, weights=weight * part.payout[place], minlength=len(levels))
    payout[-1] += part.payout[every == 0].sum()
    pairs = np.bincount(codes * count + place, minlength=len(levels) * count).reshape(len(levels), count)
    slices = _make_slices(part, variable, levels, rows, codes, payout, (pairs > 0).sum(axis=1))
    return [one for one in slices if one.payout > 0 or one.orders > 0]


def _code_orders(part: LedgerPart, variable: str, rows: BoolArray) -> tuple[IntArray, tuple[str, ...]]:
    """Return the group of each credited row and the names of the groups, the last for payouts nothing tells of."""
    known = [level or NOTHING_BOUGHT for level in part.index.levels[variable]]
    if NOTHING_BOUGHT not in known:
        known.append(NOTHING_BOUGHT)
    names = sorted(set(known))
    codes = np.array([names.index(name) for name in known])[part.index.codes[variable][rows]]
    if variable == "product":
        codes = np.where(part.other[rows], names.index(NOTHING_BOUGHT), codes)
    return codes.astype(np.int64), (*names, NO_ORDERS)


def _make_slices(
    part: LedgerPart,
    variable: str,
    levels: tuple[str, ...],
    rows: BoolArray,
    codes: IntArray,
    payout: FloatArray,
    people: IntArray,
) -> list[Slice]:
    size = len(levels)
    revenue = np.bincount(codes, weights=part.revenue[rows], minlength=size)
    orders = np.bincount(codes, weights=part.orders[rows], minlength=size)
    users = _count_distinct(codes, part.index.user[rows], size)
    return list_slices(variable, levels, revenue=revenue, payout=payout, orders=orders, users=users, influencers=people)


def _count_distinct(codes: IntArray, user: IntArray, size: int) -> IntArray:
    """Return (groups,) the distinct users of each group."""
    span = int(user.max(initial=0)) + 1
    pairs = np.sort(codes * span + user)
    first = np.append(True, pairs[1:] != pairs[:-1]) if len(pairs) else np.zeros(0, dtype=np.bool_)
    return np.bincount(pairs[first] // span, minlength=size).astype(np.int64)
