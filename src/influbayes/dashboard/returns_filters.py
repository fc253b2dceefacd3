"""The filters of the returns page: widgets in the side bar, and the part of the ledger they choose.

Shows choices and calls exported functions; parts are kept with the run, so that going back costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import streamlit as st

from influbayes.dashboard.run_index import StudyRun, load_run_ledger
from influbayes.reporting.returns_results import collect_part
from influbayes.returns.filters import OF_INFLUENCERS, LedgerFilter, PayoutRule, describe_filter
from influbayes.returns.index import LedgerIndex, cut_ledger, index_ledger
from influbayes.returns.parts import PART_DRAWS, PartReturns, estimate_part

TITLES = {
    "influencer": "Influencer",
    "platform": "Platform",
    "category": "Category",
    "product": "Product",
    "type": "Influencer type",
    "campaign": "Campaign",
}
PAYOUTS: dict[PayoutRule, str] = {
    "by-orders": "in proportion to the orders that are left",
    "whole": "whole: this part of the revenue against all of the cost",
}
MOST_KEPT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPart:
    """The part of a ledger that is looked at: estimates, and what results.json would say of it."""

    chosen: LedgerFilter
    words: str
    found: PartReturns
    results: dict[str, Any]


def choose_filter(run: StudyRun) -> LedgerFilter:
    """Let the user choose a part of the run's ledger in the side bar and return it."""
    index = find_index(run)
    with st.sidebar:
        st.markdown("**Show only**")
        picked: dict[str, Any] = {
            name: tuple(
                st.multiselect(title, list_levels(index, name), key=f"returns-{name}-{run.name}", placeholder="all")
            )
            for name, title in TITLES.items()
        }
        start, end = _choose_period(index, run.name)
        orders = LedgerFilter(product=picked["product"], campaign=picked["campaign"], start=start, end=end)
        payout = _choose_payout(run.name) if orders.cuts_orders else None
    return LedgerFilter(**picked, start=start, end=end, payout=payout)


def _choose_period(index: LedgerIndex, name: str) -> tuple[date | None, date | None]:
    """Return the first and last day chosen, None where it is that of the ledger or no period is chosen yet."""
    first, last = find_period(index)
    days = st.date_input("Period of orders", (first, last), min_value=first, max_value=last, key=f"returns-days-{name}")
    if not isinstance(days, tuple) or len(days) < 2:
        return None, None
    return (days[0] if days[0] > first else None), (days[1] if days[1] < last else None)


def _choose_payout(name: str) -> PayoutRule:
    return st.radio(
        "Payouts belong to influencers, not to orders. Count them",
        list(PAYOUTS),
        format_func=PAYOUTS.__getitem__,
        key=f"returns-payout-{name}",
    )


def find_index(run: StudyRun) -> LedgerIndex:
    """Return the run's ledger laid out for filters, made at the first call."""
    if "ledger index" not in run.kept:
        run.kept["ledger index"] = index_ledger(load_run_ledger(run))
    index: LedgerIndex = run.kept["ledger index"]
    return index


def find_period(index: LedgerIndex) -> tuple[date, date]:
    """Return the first and the last day of an order."""
    epoch = date(1970, 1, 1)
    return tuple(epoch + timedelta(days=int(day)) for day in (index.day.min(), index.day.max()))  # type: ignore[return-value]


def list_levels(index: LedgerIndex, name: str) -> list[str]:
    """Return what a filter can choose, sorted."""
    if name in OF_INFLUENCERS:
        return sorted(set(index.ledger.influencers[OF_INFLUENCERS[name]].astype(str)) - {""})
    return sorted(level for level in set(index.levels[name]) if level)


def show_part(run: StudyRun, chosen: LedgerFilter) -> ShownPart:
    """Return the estimates of a part; everything is estimated with the run's own draws, so it gives the run's numbers.

    Raises
    ------
    DataRefused, UsageError
        Nothing is left, or no order of the part can be credited.
    """
    kept: dict[LedgerFilter, ShownPart] = run.kept.setdefault("parts", {})
    if chosen not in kept:
        while len(kept) >= MOST_KEPT:
            kept.pop(next(iter(kept)))
        kept[chosen] = _estimate(run, chosen)
    return kept[chosen]


def _estimate(run: StudyRun, chosen: LedgerFilter) -> ShownPart:
    asked, index = run.results["provenance"], find_index(run)
    found = estimate_part(
        cut_ledger(index, chosen),
        prob=asked["prob"],
        best=asked["best"],
        seed=asked["seed"],
        draws=int(run.results["engine"]["draws"]) if chosen.is_empty else PART_DRAWS,
    )
    words = "" if chosen.is_empty else describe_filter(chosen)
    results = collect_part(found, chosen=words, prob=asked["prob"], best=asked["best"])
    return ShownPart(chosen=chosen, words=words, found=found, results=results)
