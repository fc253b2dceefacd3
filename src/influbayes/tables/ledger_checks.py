"""Checks across the tables of a ledger: unmatched rows, payouts, refunds, control and exposed users, orders too early.

Takes typed frames and the raw columns that name lines; words every fault. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import fsum

import numpy as np
import pandas as pd

from influbayes.tables.cells import BoolArray
from influbayes.tables.ledger_files import RawTable
from influbayes.tables.problems import Problem, Rule, compose_problem, list_values

UNKNOWN_SHARE = 0.05
PAYOUT_SLACK = 0.005  # relative: rates are often written rounded
TRACKED_SLACK = 0.10


def say_money(amount: float) -> str:
    """Return an amount with separators: "2,310", with cents below 1,000."""
    return f"{amount:,.2f}" if abs(amount) < 1000 else f"{amount:,.0f}"


def sum_exactly(values: pd.Series) -> float:
    """Return the sum, rounded once: the same for every order of the rows."""
    return fsum(values.to_numpy(np.float64).tolist())


def find_first_posts(posts: pd.DataFrame, influencers: int) -> np.ndarray:
    """Return (influencers,) the time of the first post of each, NaT without one."""
    first = np.full(influencers, np.datetime64("NaT", "s"), dtype="datetime64[s]")
    known = posts.loc[posts["influencer"] >= 0].groupby("influencer")["day"].min()
    first[known.index.to_numpy()] = known.to_numpy().astype("datetime64[s]")
    return first


def list_both_groups(orders: pd.DataFrame) -> np.ndarray:
    """Return the codes of the users that stand in the control and in the exposed group."""
    users, group = orders["user"].to_numpy(), orders["group"].to_numpy()
    return np.intersect1d(users[group == 0], users[group == 1])


def check_money(orders: pd.DataFrame, raw: RawTable) -> list[Problem]:
    """Return what to say about refunds and revenue without orders (IB-D49), and about orders without a product."""
    revenue, count = orders["revenue"], orders["orders"]
    found: list[Problem] = []
    refund = (revenue < 0).to_numpy()
    if refund.any():
        what = f"refunds of {say_money(-sum_exactly(revenue[refund]))} netted: revenue below 0"
        found.append(_report(raw, "revenue", "IB-D49", "warn", orders, refund, what, "They reduce the returns."))
    free = ((revenue > 0) & (count == 0)).to_numpy()
    if free.any():
        what = f"revenue of {say_money(sum_exactly(revenue[free]))} without orders"
        found.append(_report(raw, "revenue", "IB-D49", "warn", orders, free, what, "It is counted as revenue."))
    bare = ((orders["product"] == "") & (count > 0)).to_numpy()
    if bare.any():
        why = "An order is of some product; only users who bought nothing have none."
        found.append(
            _report(raw, "product", "IB-D22", "refuse", orders, bare, "empty label", why, 'Write it, or "unknown".')
        )
    return found + _check_unmatched(orders, raw)


def _check_unmatched(orders: pd.DataFrame, raw: RawTable) -> list[Problem]:
    """Orders of unknown influencers (IB-D42): warned of with their sum, refused above 5 % of revenue."""
    blank = (orders["influencer_id"] == "").to_numpy()
    unknown = (orders["influencer"] < 0).to_numpy() & ~blank
    revenue = orders["revenue"]
    found: list[Problem] = []
    if unknown.any():
        lost, every = sum_exactly(revenue[unknown].abs()), sum_exactly(revenue.abs())
        rule: Rule = "refuse" if lost > UNKNOWN_SHARE * every else "warn"
        names = list_values(sorted(set(orders["influencer_id"][unknown])))
        share = f", {100 * lost / every:.1f} % of all," if every else ""
        what = f"{int(unknown.sum()):,} orders, {say_money(sum_exactly(revenue[unknown]))}{share} of unknown {names}"
        why = "Nobody is credited with them."
        remedy = "Add the influencer, or correct the id."
        found.append(_report(raw, "influencer_id", "IB-D42", rule, orders, unknown, what, why, remedy))
    if blank.any():
        what = f"no influencer: organic, no credit ({say_money(sum_exactly(revenue[blank]))})"
        found.append(_report(raw, "influencer_id", "IB-D42", "accept", orders, blank, what))
    return found


def check_payouts(
    payouts: pd.DataFrame,
    posts: pd.DataFrame,
    orders: pd.DataFrame,
    influencers: pd.DataFrame,
    raw: Mapping[str, RawTable],
) -> list[Problem]:
    """Return what to say about payouts: unmatched, several, zero, below zero, not rate times orders, not as tracked."""
    table = raw["payouts"]
    unknown = (payouts["influencer"] < 0).to_numpy()
    found: list[Problem] = []
    if unknown.any():
        what = f"payouts of {say_money(sum_exactly(payouts['total_payout'][unknown]))} to an unknown influencer"
        why = "Their cost would be lost, and every return would look better than it is."
        remedy = "Add the influencer to the table influencers, or correct the id."
        found.append(_report(table, "influencer_id", "IB-D42", "refuse", payouts, unknown, what, why, remedy))
    known = payouts.loc[~unknown]
    lost = (posts["influencer"] < 0).to_numpy()
    if lost.any():
        why = "They are left out."
        found.append(
            _report(raw["posts"], "influencer_id", "IB-D42", "warn", posts, lost, "posts of an unknown influencer", why)
        )
    return [
        *found,
        *_check_basis(known, table),
        *_say_summed(known, table),
        *_judge_net(known, influencers, table),
        *_check_rates(known, table),
        *_compare_orders(known, orders, influencers, table),
    ]


def _check_basis(payouts: pd.DataFrame, raw: RawTable) -> list[Problem]:
    odd = (~payouts["basis"].isin(["post", "order"])).to_numpy()
    if not odd.any():
        return []
    what, why = "neither post nor order", "The basis says what the rate is paid for."
    return [_report(raw, "basis", "IB-D47", "refuse", payouts, odd, what, why, "Write post or order.")]


def _say_summed(payouts: pd.DataFrame, raw: RawTable) -> list[Problem]:
    counts = payouts["influencer_id"].value_counts()
    several = payouts["influencer_id"].isin(counts.index[counts > 1]).to_numpy()
    if not several.any():
        return []
    what = f"{int(several.sum()):,} payouts of {int((counts > 1).sum()):,} influencers with more than one, summed"
    return [_report(raw, "influencer_id", "IB-D45", "accept", payouts, several, what)]


def _judge_net(payouts: pd.DataFrame, influencers: pd.DataFrame, raw: RawTable) -> list[Problem]:
    net = payouts.groupby("influencer")["total_payout"].sum()
    found: list[Problem] = []
    below = payouts["influencer"].isin(net.index[net < -1e-9]).to_numpy()
    if below.any():
        what, why = "payouts that sum to less than 0", "A return on a negative cost means nothing."
        found.append(
            _report(raw, "total_payout", "IB-D47", "refuse", payouts, below, what, why, "Correct the payouts.")
        )
    zero = payouts["influencer"].isin(net.index[net.abs() <= 1e-9]).to_numpy()
    if zero.any():
        what, why = "payout 0: ROAS not defined", "The influencer is shown without ROAS and not ranked."
        found.append(_report(raw, "total_payout", "IB-D46", "warn", payouts, zero, what, why))
    unpaid = sorted(set(range(len(influencers))) - set(net.index))
    if unpaid:
        names = list_values(influencers["id"].iloc[unpaid])
        what = f"{len(unpaid):,} influencers without a payout ({names}): ROAS not defined"
        found.append(compose_problem("IB-D46", "warn", file=raw.file, what=what, why="Shown, not ranked."))
    return found


def _check_rates(payouts: pd.DataFrame, raw: RawTable) -> list[Problem]:
    """Compare each total with its rate: times orders, or, paid by post, times a whole number of posts (IB-D47)."""
    total, rate = payouts["total_payout"].to_numpy(np.float64), payouts["rate"].to_numpy(np.float64)
    posts = np.maximum(np.rint(np.divide(total, rate, out=np.ones_like(total), where=rate != 0)), 1.0)
    times = np.where(payouts["basis"] == "order", payouts["orders"].to_numpy(np.float64), posts)
    expected = rate * times
    off = np.abs(total - expected) > np.maximum(PAYOUT_SLACK * np.abs(expected), 0.011)
    if not off.any():
        return []
    i = int(np.flatnonzero(off)[0])
    example = f"expected {say_money(expected[i])}, paid {say_money(total[i])}"
    why = "What was paid is used."
    return [_report(raw, "total_payout", "IB-D47", "warn", payouts, off, "not the rate times orders", why, "", example)]


def _compare_orders(
    payouts: pd.DataFrame, orders: pd.DataFrame, influencers: pd.DataFrame, raw: RawTable
) -> list[Problem]:
    """Name both totals where the orders paid for are not the orders tracked (IB-D64)."""
    paid = np.bincount(payouts["influencer"], weights=payouts["orders"], minlength=len(influencers))
    seen = orders.loc[(orders["group"] == 1) & (orders["influencer"] >= 0)]
    tracked = np.bincount(seen["influencer"], weights=seen["orders"], minlength=len(influencers))
    there = np.bincount(payouts["influencer"], minlength=len(influencers)) > 0
    off = there & (np.abs(paid - tracked) > TRACKED_SLACK * np.maximum(tracked, 1))
    if not off.any():
        return []
    agree = int((there & (paid == tracked)).sum())
    what = (
        f"{agree:,} of {int(there.sum()):,} influencers were paid for as many orders as tracked (exposed): "
        f"paid {paid.sum():,.0f}, tracked {tracked.sum():,.0f}"
    )
    why = "Payouts and tracking count differently. Returns use tracked revenue and what was paid."
    return [compose_problem("IB-D64", "warn", file=raw.file, column="orders", what=what, why=why)]


def check_orders(
    orders: pd.DataFrame, posts: pd.DataFrame, influencers: pd.DataFrame, raw: Mapping[str, RawTable]
) -> list[Problem]:
    """Return what to say about groups and times: IB-D48, D50, D51, D52, D63."""
    table = raw["tracking_data"]
    return [
        *_say_idle(orders, posts, influencers, raw),
        *_say_groups(orders, table),
        *_say_early(orders, posts, influencers, table),
        *_say_buyers_only(orders, table),
    ]


def _say_idle(
    orders: pd.DataFrame, posts: pd.DataFrame, influencers: pd.DataFrame, raw: Mapping[str, RawTable]
) -> list[Problem]:
    seen = orders.loc[(orders["group"] == 1) & (orders["orders"] > 0), "influencer"]
    found = []
    for what, file, there in (
        ("exposed orders", raw["tracking_data"].file, seen),
        ("posts", raw["posts"].file, posts["influencer"]),
    ):
        idle = sorted(set(range(len(influencers))) - set(there))
        if idle:
            named = f"{len(idle):,} influencers without {what}, kept as 0 ({list_values(influencers['id'].iloc[idle])})"
            found.append(compose_problem("IB-D48", "accept", file=file, what=named))
    return found


def _say_groups(orders: pd.DataFrame, raw: RawTable) -> list[Problem]:
    control = (orders["group"] == 0).to_numpy()
    found: list[Problem] = []
    named = control & (orders["influencer_id"] != "").to_numpy() & (orders["orders"] > 0).to_numpy()
    if named.any():
        what = f"{int(named.sum()):,} control orders name an influencer: never in ROAS"
        found.append(compose_problem("IB-D50", "accept", file=raw.file, column="group", what=what))
    both = list_both_groups(orders)
    if len(both):
        rows = orders["user"].isin(both).to_numpy()
        what, why = f"{len(both):,} users in both groups", "They are left out of incremental ROAS."
        found.append(_report(raw, "group", "IB-D50", "warn", orders, rows, what, why))
    for there, word in ((control.any(), "control"), ((~control).any(), "exposed")):
        if not there:
            what = f"no {word} row"
            why = "Incremental ROAS is withheld." if word == "control" else "No return can be computed."
            rule: Rule = "warn"
            found.append(compose_problem("IB-D51", rule, file=raw.file, column="group", what=what, why=why))
    return found


def _say_early(orders: pd.DataFrame, posts: pd.DataFrame, influencers: pd.DataFrame, raw: RawTable) -> list[Problem]:
    early = mark_early(orders, posts, len(influencers)) & ((orders["orders"] > 0) & (orders["group"] == 1)).to_numpy()
    if not early.any():
        return []
    what = f"{int(early.sum()):,} orders ({say_money(sum_exactly(orders['revenue'][early]))}) before the first post"
    why = "No post is credited with them. ROAS counts them, as their users are marked exposed."
    remedy = "Leave them out: --after-first-post, or LedgerFilter(after_first_post=True) in Python."
    return [_report(raw, "date", "IB-D52", "warn", orders, early, what, why, remedy)]


def mark_early(orders: pd.DataFrame, posts: pd.DataFrame, influencers: int) -> BoolArray:
    """Return (orders,) whether the row lies before the first post of the influencer it names, or there is no post."""
    first = find_first_posts(posts, influencers)
    place = orders["influencer"].to_numpy()
    start = np.append(first, np.datetime64("NaT", "s"))[place]
    early = np.isnat(start) | (orders["day"].to_numpy().astype("datetime64[s]") < start)
    return np.asarray(early & (place >= 0), dtype=np.bool_)


def has_non_buyers(orders: pd.DataFrame) -> bool:
    """Return whether each group that is there knows a user who ordered nothing; otherwise it holds buyers only."""
    bought = orders.groupby(["group", "user"])["orders"].sum()
    return bool((bought == 0).groupby(level="group").any().all())


def _say_buyers_only(orders: pd.DataFrame, raw: RawTable) -> list[Problem]:
    if has_non_buyers(orders):
        return []
    users = orders.groupby("group")["user"].nunique()
    counts = f"{int(users.get(1, 0)):,} exposed and {int(users.get(0, 0)):,} control users, all bought"
    return [
        compose_problem(
            "IB-D63",
            "warn",
            file=raw.file,
            column="orders",
            what=f"no user who ordered nothing: {counts}",
            why='A difference among buyers is not incremental and is labelled "among buyers, not incremental".',
            remedy="Give the sizes of the groups: --exposed-users N and --control-users N, or sizes=GroupSizes(...) in "
            "Python.",
        )
    ]


def _report(
    raw: RawTable,
    column: str,
    code: str,
    rule: Rule,
    frame: pd.DataFrame,
    rows: BoolArray,
    what: str,
    why: str = "",
    remedy: str = "",
    example: str = "",
) -> Problem:
    return compose_problem(
        code,
        rule,
        file=raw.file,
        column=raw.texts[column].header,
        what=what,
        why=why,
        remedy=remedy,
        lines=[int(line) for line in frame["line"].to_numpy()[rows]],
        value=None,
        example=example,
    )
