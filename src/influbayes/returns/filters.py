"""Part of a ledger, revenue and payouts alike: what is left out of one is left out of the other, or is refused.

Takes a ledger and a filter; makes a ledger. Knows no ratio.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Literal

import numpy as np
import pandas as pd

from influbayes.errors import DataRefused, UsageError
from influbayes.tables.cells import BoolArray, FloatArray
from influbayes.tables.ledger import Ledger
from influbayes.tables.ledger_checks import mark_early
from influbayes.tables.problems import Problem, compose_problem, list_values

PayoutRule = Literal["by-orders", "whole"]

OF_INFLUENCERS = {
    "influencer": "id",
    "platform": "platform",
    "category": "category",
    "gender": "gender",
    "type": "influencer_type",
}
OF_ORDERS = {"product": "product", "campaign": "campaign", "source": "source"}
PAYOUT_WORDS = {
    "by-orders": "each influencer's payout counts in proportion to the exposed orders that are left",
    "whole": "payouts are left whole, so the ROAS is that of this part of the revenue against all of the cost",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerFilter:
    """Which part of a ledger is looked at; empty means all.

    `influencer` (ids), `platform`, `category`, `gender`, `type` choose influencers, with their orders and payouts.
    `product`, `campaign`, `source`, `start`, `end` (days, both included) and `after_first_post` choose orders; payouts
    know none of these, so `payout` must say what becomes of them: "by-orders" or "whole".
    """

    influencer: tuple[str, ...] = ()
    platform: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    gender: tuple[str, ...] = ()
    type: tuple[str, ...] = ()
    product: tuple[str, ...] = ()
    campaign: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    start: date | None = None
    end: date | None = None
    after_first_post: bool = False
    payout: PayoutRule | None = None

    @property
    def cuts_orders(self) -> bool:
        """Whether orders are left out that the payouts do not know of."""
        parts = (self.product, self.campaign, self.source, self.start, self.end)
        return any(part not in ((), None) for part in parts) or self.after_first_post

    @property
    def is_empty(self) -> bool:
        """Whether everything is looked at."""
        return not self.cuts_orders and not any(getattr(self, name) for name in OF_INFLUENCERS)


def filter_ledger(ledger: Ledger, chosen: LedgerFilter) -> Ledger:
    """Return the part of a ledger that a filter chooses, its payouts cut alike.

    Control rows stay unless they name an influencer who was left out. With a product, users who bought only others
    count as users who bought nothing of it.

    Raises
    ------
    DataRefused
        IB-D53: orders are left out and nothing says what becomes of the payouts.
    UsageError
        A value that does not occur, or nothing is left.
    """
    if chosen.is_empty:
        return ledger
    require_values(ledger, chosen)
    if chosen.cuts_orders and chosen.payout is None:
        raise DataRefused([refuse_one_sided(ledger, chosen)])
    kept = choose_influencers(ledger, chosen)
    orders = _choose_orders(ledger, chosen, kept)
    shares = _share_payouts(ledger, orders, chosen)
    return _rebuild(ledger, kept, orders, shares, _say_filter(ledger, chosen))


def describe_filter(chosen: LedgerFilter) -> str:
    """Return the filter in words: "platform Instagram; product Protein (payouts ...)"; "" for everything."""
    words = [
        f"{field.name} {', '.join(map(str, value)) if isinstance(value, tuple) else value}"
        for field in fields(chosen)
        if field.name not in ("payout", "after_first_post") and (value := getattr(chosen, field.name))
    ]
    words += ["orders after the first post of their influencer"] if chosen.after_first_post else []
    rule = f" ({PAYOUT_WORDS[chosen.payout]})" if chosen.cuts_orders and chosen.payout else ""
    return "; ".join(words) + rule


def require_values(ledger: Ledger, chosen: LedgerFilter, *, levels: Mapping[str, Sequence[str]] | None = None) -> None:
    """Raise UsageError where a filter names what does not occur; `levels` are those of orders, where known already."""
    columns: dict[str, Iterable[str]] = {name: ledger.influencers[column] for name, column in OF_INFLUENCERS.items()}
    orders: Mapping[str, Iterable[str]] = levels or {name: ledger.orders[column] for name, column in OF_ORDERS.items()}
    columns |= orders
    for name, column in columns.items():
        if not getattr(chosen, name):
            continue
        known = set(column) - {""}
        wrong = [value for value in getattr(chosen, name) if value not in known]
        if wrong:
            raise UsageError(f"No {name} {list_values(wrong)}. There are: {list_values(sorted(known), most=12)}.")
    if chosen.start and chosen.end and chosen.start > chosen.end:
        raise UsageError(f"The period starts on {chosen.start}, after its end {chosen.end}.")


def refuse_one_sided(ledger: Ledger, chosen: LedgerFilter) -> Problem:
    """Return the refusal of a filter of orders that does not say what becomes of payouts."""
    names = [name for name in OF_ORDERS if getattr(chosen, name)]
    names += ["period"] if chosen.start or chosen.end else []
    names += ["time of the first post"] if chosen.after_first_post else []
    return compose_problem(
        "IB-D53",
        "refuse",
        file=ledger.name_file("payouts"),
        what=f"payouts have no {' and no '.join(names)}",
        why="Filtering revenue but not payouts makes every ROAS too small.",
        remedy="Say what becomes of payouts: by-orders (in proportion to exposed orders) or whole. Write --payout "
        'by-orders on the command line, LedgerFilter(payout="by-orders") in Python.',
    )


def choose_influencers(ledger: Ledger, chosen: LedgerFilter) -> BoolArray:
    """Return (influencers,) whom a filter keeps; UsageError where that is nobody."""
    kept = np.ones(len(ledger.influencers), dtype=np.bool_)
    for name, column in OF_INFLUENCERS.items():
        wanted = getattr(chosen, name)
        if wanted:
            kept &= ledger.influencers[column].isin(wanted).to_numpy()
    if not kept.any():
        raise UsageError("No influencer is left by the filter.")
    return kept


def _choose_orders(ledger: Ledger, chosen: LedgerFilter, kept: BoolArray) -> pd.DataFrame:
    orders: pd.DataFrame = ledger.orders
    place = orders["influencer"].to_numpy()
    every = bool(kept.all())
    rows = np.append(kept, True)[place] & (every | (place >= 0) | (orders["group"] == 0).to_numpy())
    for name in ("campaign", "source"):
        if getattr(chosen, name):
            rows &= orders[name].isin(getattr(chosen, name)).to_numpy()
    day = orders["day"].to_numpy().astype("datetime64[D]")
    if chosen.start:
        rows = rows & (day >= np.datetime64(chosen.start))
    if chosen.end:
        rows = rows & (day <= np.datetime64(chosen.end))
    if chosen.after_first_post:
        rows = rows & ~(mark_early(orders, ledger.posts, len(kept)) & (orders["group"] == 1).to_numpy())
    orders = orders.loc[rows]
    if chosen.product:
        other = ~orders["product"].isin(chosen.product)
        orders = orders.assign(
            orders=orders["orders"].where(~other, 0),
            revenue=orders["revenue"].where(~other, 0.0),
            product=orders["product"].where(~other, ""),
        )
    if orders.empty:
        raise UsageError("No order is left by the filter.")
    return orders


def count_exposed_orders(orders: pd.DataFrame, influencers: int) -> FloatArray:
    """Return (influencers,) the tracked orders of exposed rows."""
    seen = orders.loc[(orders["group"] == 1) & (orders["influencer"] >= 0)]
    counted = np.bincount(seen["influencer"], weights=seen["orders"], minlength=influencers)
    return np.asarray(counted, dtype=np.float64)


def _share_payouts(ledger: Ledger, orders: pd.DataFrame, chosen: LedgerFilter) -> FloatArray:
    """Return (influencers,) the share of each payout that counts; whole where no exposed order could tell."""
    count = len(ledger.influencers)
    if chosen.payout != "by-orders" or not chosen.cuts_orders:
        return np.ones(count)
    before, after = count_exposed_orders(ledger.orders, count), count_exposed_orders(orders, count)
    return np.divide(after, before, out=np.ones(count), where=before > 0)


def _rebuild(ledger: Ledger, kept: BoolArray, orders: pd.DataFrame, shares: FloatArray, said: Problem | None) -> Ledger:
    places = np.append(np.where(kept, np.cumsum(kept) - 1, -1), -1)

    def recode(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(influencer=places[frame["influencer"].to_numpy()]).reset_index(drop=True)

    payouts = ledger.payouts.assign(
        total_payout=ledger.payouts["total_payout"] * shares[ledger.payouts["influencer"].to_numpy()]
    )
    return replace(
        ledger,
        influencers=ledger.influencers.loc[kept].reset_index(drop=True),
        posts=recode(ledger.posts.loc[kept[ledger.posts["influencer"].to_numpy()]]),
        orders=recode(orders),
        payouts=recode(payouts.loc[kept[payouts["influencer"].to_numpy()]]),
        notices=(*ledger.notices, *([said] if said else [])),
    )


def _say_filter(ledger: Ledger, chosen: LedgerFilter) -> Problem | None:
    what = f"only {describe_filter(chosen)}"
    return compose_problem("IB-D53", "accept", file=ledger.name_file("payouts"), what=what)
