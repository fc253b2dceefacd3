"""Sums of a ledger: revenue of all, exposed and credited rows, payouts, and ROAS as ratios of sums for every slice.

Takes a ledger; makes plain sums, no interval. Every sum is rounded once (fsum), so row order does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum, nan

import numpy as np
import pandas as pd

from influbayes.returns.filters import count_exposed_orders
from influbayes.tables.cells import FloatArray, IntArray
from influbayes.tables.ledger import Ledger, sum_payouts

NO_ORDERS = "(payout without exposed orders)"
NOTHING_BOUGHT = "(nothing bought)"
OF_INFLUENCER = {
    "influencer": ("id",),
    "persona": ("category", "gender"),
    "platform": ("platform",),
    "type": ("influencer_type",),
}
OF_ORDER = ("campaign", "product", "source")


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The key metrics, money in currency.

    `revenue_all`: every row; `revenue_exposed`: rows of the exposed group; `revenue_credited`: exposed rows that name a
    known influencer, which ROAS uses; `orders` are those of credited rows; `roas` is NaN where nothing was paid.
    """

    revenue_all: float
    revenue_exposed: float
    revenue_credited: float
    payout: float
    roas: float
    orders: int
    orders_paid: int
    influencers: int
    exposed_users: int
    control_users: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One part of the returns: sums of revenue, payout and orders, and their ratio (NaN where the payout is 0)."""

    variable: str
    level: str
    revenue: float
    payout: float
    orders: int
    users: int
    influencers: int
    roas: float


def divide(revenue: float, payout: float) -> float:
    """Return revenue / payout; NaN, never infinite, where the payout is 0."""
    return revenue / payout if payout > 0 else nan


def mark_credited(ledger: Ledger) -> np.ndarray:
    """Return (orders,) whether the row is exposed and names a known influencer."""
    return ((ledger.orders["group"] == 1) & (ledger.orders["influencer"] >= 0)).to_numpy()


def sum_totals(ledger: Ledger) -> Totals:
    """Return the key metrics of a ledger."""
    orders, credited = ledger.orders, mark_credited(ledger)
    exposed = (orders["group"] == 1).to_numpy()
    revenue = orders["revenue"].to_numpy(np.float64)
    payout = fsum(ledger.payouts["total_payout"].tolist())
    return Totals(
        revenue_all=fsum(revenue.tolist()),
        revenue_exposed=fsum(revenue[exposed].tolist()),
        revenue_credited=fsum(revenue[credited].tolist()),
        payout=payout,
        roas=divide(fsum(revenue[credited].tolist()), payout),
        orders=int(orders["orders"].to_numpy()[credited].sum()),
        orders_paid=int(ledger.payouts["orders"].sum()),
        influencers=len(ledger.influencers),
        exposed_users=int(orders["user"][exposed].nunique()),
        control_users=int(orders["user"][~exposed].nunique()),
    )


def sum_slices(ledger: Ledger) -> tuple[Slice, ...]:
    """Return ROAS by influencer, persona, platform, type, campaign, product and source.

    Slices of influencers take their whole payouts. Campaigns, products and sources share each influencer's payout in
    proportion to its exposed orders; the payout of influencers without exposed orders stands on a line of its own, so
    that the slices of every variable sum to all of it.
    """
    found: list[Slice] = []
    for variable in OF_INFLUENCER:
        codes, levels = code_influencers(ledger, variable)
        found += _sum_groups(ledger, variable, codes, levels)
    for variable in OF_ORDER:
        found += _sum_order_groups(ledger, variable)
    return tuple(found)


def code_influencers(ledger: Ledger, variable: str) -> tuple[IntArray, tuple[str, ...]]:
    """Return (influencers,) the group of each and the names of the groups, sorted; persona is "category x gender"."""
    return code_people(ledger.influencers, variable)


def code_people(influencers: pd.DataFrame, variable: str) -> tuple[IntArray, tuple[str, ...]]:
    """Return the same as `code_influencers`, from the frame of influencers alone."""
    parts = [influencers[column].astype(str) for column in OF_INFLUENCER[variable]]
    label = parts[0] if len(parts) == 1 else parts[0] + " × " + parts[1]
    codes, levels = pd.factorize(label, sort=True)
    return codes.astype(np.int64), tuple(levels.astype(str))


def sum_by(codes: IntArray, values: FloatArray, groups: int) -> FloatArray:
    """Return (groups,) sums of the values of each group."""
    return np.asarray(np.bincount(codes, weights=values, minlength=groups), dtype=np.float64)


def _sum_groups(ledger: Ledger, variable: str, codes: IntArray, levels: tuple[str, ...]) -> list[Slice]:
    rows = ledger.orders.loc[mark_credited(ledger)]
    group = codes[rows["influencer"].to_numpy()]
    return _make_slices(
        variable,
        levels,
        rows,
        group,
        sum_by(codes, sum_payouts(ledger), len(levels)),
        np.bincount(codes, minlength=len(levels)),
    )


def _sum_order_groups(ledger: Ledger, variable: str) -> list[Slice]:
    rows = ledger.orders.loc[mark_credited(ledger)]
    named = rows[variable].where(rows[variable] != "", NOTHING_BOUGHT)
    codes, found = pd.factorize(named, sort=True)
    levels = (*found.astype(str), NO_ORDERS)
    payout, influencers = share_payouts(ledger, rows, codes.astype(np.int64), len(levels))
    slices = _make_slices(variable, levels, rows, codes.astype(np.int64), payout, influencers)
    return [part for part in slices if part.payout > 0 or part.orders > 0]


def share_payouts(ledger: Ledger, rows: pd.DataFrame, codes: IntArray, groups: int) -> tuple[FloatArray, IntArray]:
    """Return (groups,) the payout of each group of order rows and its influencers; what nothing tells goes last."""
    count = len(ledger.influencers)
    orders = rows["orders"].to_numpy(np.float64)
    place = rows["influencer"].to_numpy()
    every = count_exposed_orders(ledger.orders, count)
    paid = sum_payouts(ledger)
    weight = np.divide(orders, every[place], out=np.zeros(len(rows)), where=every[place] > 0)
    payout = sum_by(codes, weight * paid[place], groups)
    payout[-1] += paid[every == 0].sum()
    pairs = np.unique(codes * count + place)
    return payout, np.bincount(pairs // max(count, 1), minlength=groups)


def _make_slices(
    variable: str,
    levels: tuple[str, ...],
    rows: pd.DataFrame,
    codes: IntArray,
    payout: FloatArray,
    influencers: IntArray,
) -> list[Slice]:
    size = len(levels)
    revenue = sum_by(codes, rows["revenue"].to_numpy(np.float64), size)
    orders = sum_by(codes, rows["orders"].to_numpy(np.float64), size)
    users = np.bincount(
        np.unique(codes * (int(rows["user"].max() if len(rows) else 0) + 1) + rows["user"].to_numpy())
        // (int(rows["user"].max() if len(rows) else 0) + 1),
        minlength=size,
    )
    return list_slices(
        variable, levels, revenue=revenue, payout=payout, orders=orders, users=users, influencers=influencers
    )


def list_slices(
    variable: str,
    levels: tuple[str, ...],
    *,
    revenue: FloatArray,
    payout: FloatArray,
    orders: FloatArray,
    users: IntArray,
    influencers: IntArray,
) -> list[Slice]:
    """Return the slices of one variable from sums by level (levels,); ROAS is not defined where the payout is 0."""
    return [
        Slice(
            variable=variable,
            level=level,
            revenue=round(float(revenue[i]), 6),
            payout=round(float(payout[i]), 6),
            orders=int(orders[i]),
            users=int(users[i]),
            influencers=int(influencers[i]),
            roas=divide(float(revenue[i]), float(payout[i])),
        )
        for i, level in enumerate(levels)
    ]
