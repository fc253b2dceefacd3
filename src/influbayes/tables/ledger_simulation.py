"""Simulated ledgers with a stated truth: influencers who really differ, their posts, users, orders and payouts.

Takes sizes, a seed and optionally a truth; makes the four tables, their CSV text and the truth as TOML. Knows no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from influbayes.errors import UsageError
from influbayes.tables.cells import BoolArray, FloatArray, IntArray
from influbayes.tables.simulated_audiences import Audience, make_tracking, simulate_audiences
from influbayes.tables.simulated_people import simulate_people, simulate_posts
from influbayes.tables.simulated_text import render_csv

Rng = np.random.Generator

MOST_USERS = 5_000_000
POST_PAID_SHARE = 0.6
PAYOUT_SD = 0.45


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerTruth:
    """What ledgers are simulated from; the defaults are the bundled tables'.

    `conversion`: median probability that an exposed user buys; `conversion_sd`: sd of influencers on its log-odds.
    `order_value`: median of what a buyer spends, in USD; `value_sd`: sd of influencers on its log; `value_cv`: sd over
    mean of buyers within an influencer (log-normal). `control_conversion`, `control_sd`: the same for users not
    exposed; what they spend has the same median and spread. `roas`: median return that payouts are set for.
    """

    conversion: float = 0.20
    conversion_sd: float = 0.45
    order_value: float = 52.0
    value_sd: float = 0.20
    value_cv: float = 0.80
    control_conversion: float = 0.09
    control_sd: float = 0.30
    roas: float = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedLedger:
    """The four tables as frames, and the truth of each influencer (a frame in the order of `influencers`).

    `returns` has id, exposed_users, conversion, spend_per_buyer, revenue (expected), control_conversion, control_spend,
    payout, roas (expected revenue / payout, NaN where the payout is 0) and incremental_roas. `unexposed_revenue` is
    what all exposed users together were expected to spend had nobody exposed them; a user whom two influencers reached
    is counted once there, so it is less than the sum over influencers.
    """

    influencers: pd.DataFrame
    posts: pd.DataFrame
    tracking_data: pd.DataFrame
    payouts: pd.DataFrame
    returns: pd.DataFrame
    unexposed_revenue: float
    truth: LedgerTruth
    seed: int


def simulate_ledger(
    *,
    influencers: int = 60,
    users: int = 6000,
    campaigns: int = 5,
    seed: int = 20260101,
    truth: LedgerTruth | None = None,
) -> SimulatedLedger:
    """Simulate the ledger of a campaign whose returns are known.

    Parameters
    ----------
    influencers : int
        From 2 to 100,000. Default 60.
    users : int
        Users in both groups together, at least four an influencer. Two in five are control. Default 6000.
    campaigns : int
        1 or more. Default 5.
    seed : int
        0 or more; the same seed gives the same tables.
    truth : LedgerTruth, optional
        Without it that of the bundled tables.

    Returns
    -------
    SimulatedLedger

    Raises
    ------
    UsageError
        Where a size, the seed or the truth is not possible.

    Examples
    --------
    >>> len(simulate_ledger(influencers=10, users=400).influencers)
    10
    """
    truth = LedgerTruth() if truth is None else truth
    _require_sizes(influencers, users, campaigns, seed)
    _require_truth(truth)
    people_rng, truth_rng, order_rng, payout_rng = np.random.default_rng(seed).spawn(4)
    people = simulate_people(influencers, people_rng)
    posts = simulate_posts(people, people_rng)
    returns = _draw_returns(people, truth, truth_rng)
    exposed, control = simulate_audiences(people, returns, users=users, value_cv=truth.value_cv, rng=order_rng)
    tracking = make_tracking(people, posts, exposed=exposed, control=control, campaigns=campaigns, rng=order_rng)
    payouts = _simulate_payouts(people, posts, exposed, returns, truth, payout_rng)
    return SimulatedLedger(
        influencers=people,
        posts=posts.drop(columns="owner"),
        tracking_data=tracking,
        payouts=payouts,
        returns=_finish_returns(people, returns, exposed, payouts),
        unexposed_revenue=_sum_unexposed(returns, exposed),
        truth=truth,
        seed=seed,
    )


def _require_sizes(influencers: int, users: int, campaigns: int, seed: int) -> None:
    if not (2 <= influencers <= 100_000 and 4 * influencers <= users <= MOST_USERS and campaigns >= 1):
        raise UsageError(
            f"{users:,} users of {influencers:,} influencers in {campaigns:,} campaigns cannot be simulated. Give 2 to "
            f"100,000 influencers, 4 to {MOST_USERS:,} users for each, and 1 or more campaigns."
        )
    if seed < 0:
        raise UsageError(f"Seed {seed} is below 0. Give a whole number from 0.")


def _require_truth(truth: LedgerTruth) -> None:
    rates = (truth.conversion, truth.control_conversion)
    sizes = (truth.order_value, truth.roas)
    spreads = (truth.conversion_sd, truth.value_sd, truth.value_cv, truth.control_sd)
    fits = all(0 < rate < 1 for rate in rates) and all(0 < size < np.inf for size in sizes)
    if not (fits and all(0 <= spread < 5 for spread in spreads)):
        raise UsageError("Rates lie between 0 and 1, order_value and roas above 0, spreads from 0 to 5.")


def _draw_returns(people: pd.DataFrame, truth: LedgerTruth, rng: Rng) -> pd.DataFrame:
    """Return the true rates and order values of each influencer, rounded as the truth file states them."""
    count = len(people)
    exposed = _logistic(_logit(truth.conversion) + truth.conversion_sd * rng.standard_normal(count))
    control = _logistic(_logit(truth.control_conversion) + truth.control_sd * rng.standard_normal(count))
    value, base = (truth.order_value * np.exp(truth.value_sd * rng.standard_normal(count)) for _ in range(2))
    return pd.DataFrame(
        {
            "id": people["id"],
            "conversion": np.round(exposed, 6),
            "spend_per_buyer": np.round(value, 4),
            "control_conversion": np.round(control, 6),
            "control_spend": np.round(base, 4),
        }
    )


def _logit(probability: float) -> float:
    return float(np.log(probability / (1 - probability)))


def _logistic(eta: FloatArray) -> FloatArray:
    return np.asarray(1 / (1 + np.exp(-eta)), dtype=np.float64)


def _simulate_payouts(
    people: pd.DataFrame, posts: pd.DataFrame, exposed: Audience, returns: pd.DataFrame, truth: LedgerTruth, rng: Rng
) -> pd.DataFrame:
    """Return payouts near what the median influencer would earn back; the last influencer was paid nothing."""
    count = len(people)
    reached = np.bincount(exposed.owner, minlength=count)
    orders = np.bincount(exposed.owner, weights=exposed.orders, minlength=count).astype(np.int64)
    fair = reached * truth.conversion * truth.order_value / truth.roas * np.exp(PAYOUT_SD * rng.standard_normal(count))
    by_post = (rng.random(count) < POST_PAID_SHARE) | (orders == 0)
    made = np.bincount(posts["owner"], minlength=count)
    rate = np.round(np.maximum(fair / np.where(by_post, made, np.maximum(orders, 1)), 1.0), 2)
    rate[-1] = 0.0
    times = np.where(by_post, made, orders)
    rows = [
        (people["id"].iloc[i], "post" if by_post[i] else "order", rate[i], int(orders[i]), round(rate[i] * times[i], 2))
        for i in range(count)
    ]
    return pd.DataFrame(
        _split_some(rows, made, by_post), columns=["influencer_id", "basis", "rate", "orders", "total_payout"]
    )


def _split_some(
    rows: list[tuple[str, str, float, int, float]], made: IntArray, by_post: BoolArray
) -> list[tuple[str, str, float, int, float]]:
    """Pay every fifth influencer with several posts in two parts."""
    split: list[tuple[str, str, float, int, float]] = []
    for i, (name, basis, rate, orders, total) in enumerate(rows):
        if i % 5 == 0 and by_post[i] and made[i] > 1:
            split += [(name, basis, rate, orders, rate), (name, basis, rate, 0, round(total - rate, 2))]
        else:
            split.append((name, basis, rate, orders, total))
    return split


def _finish_returns(
    people: pd.DataFrame, returns: pd.DataFrame, exposed: Audience, payouts: pd.DataFrame
) -> pd.DataFrame:
    reached = np.bincount(exposed.owner, minlength=len(people))
    paid = payouts.groupby("influencer_id")["total_payout"].sum().reindex(people["id"]).to_numpy(np.float64)
    spend = returns["spend_per_buyer"]
    revenue = reached * returns["conversion"] * spend
    base = reached * returns["control_conversion"] * returns["control_spend"]
    ratio = np.where(paid > 0, paid, np.nan)
    return returns.assign(
        exposed_users=reached,
        revenue=revenue,
        payout=paid,
        roas=revenue / ratio,
        incremental_roas=(revenue - base) / ratio,
    )


def _sum_unexposed(returns: pd.DataFrame, exposed: Audience) -> float:
    """Return the revenue expected had nobody been exposed: each user once, as one of its first influencer's."""
    _, first = np.unique(exposed.user, return_index=True)
    base = (returns["control_conversion"] * returns["control_spend"]).to_numpy(np.float64)
    return float(base[exposed.owner[first]].sum())


def render_ledger(simulated: SimulatedLedger) -> dict[str, str]:
    """Return file name -> text of the four tables and of the truth."""
    tables = {
        "influencers.csv": simulated.influencers,
        "posts.csv": simulated.posts,
        "tracking_data.csv": simulated.tracking_data,
        "payouts.csv": simulated.payouts,
    }
    return {
        **{name: render_csv(frame) for name, frame in tables.items()},
        "truth.toml": render_ledger_truth(simulated),
    }


def render_ledger_truth(simulated: SimulatedLedger) -> str:
    """Return the truth as TOML: what was asked for, the totals, and the numbers of each influencer."""
    truth, rows = simulated.truth, simulated.returns
    total, payout = rows["revenue"].sum(), rows["payout"].sum()
    head = [
        "# What the tables beside this file were simulated from. conversion: probability that an exposed user buys;",
        "# spend_per_buyer in USD; control_...: the same for users who were not exposed; revenue: expected of the",
        "# users reached; roas = revenue / payout; incremental_roas: less what they would have bought unexposed.",
        "# In the total a user whom two influencers reached would have bought once.",
        f"seed = {simulated.seed}",
        f"influencers = {len(rows)}",
        f"rows = {len(simulated.tracking_data)}",
        *(f"{name} = {getattr(truth, name)!r}" for name in LedgerTruth.__slots__),
        f"payout_total = {payout:.2f}",
        f"roas_total = {total / payout:.6f}",
        f"incremental_roas_total = {(total - simulated.unexposed_revenue) / payout:.6f}",
    ]
    blocks = [_render_influencer(row) for row in rows.to_dict("records")]
    return "\n".join([*head, "", *blocks]) + "\n"


def _render_influencer(row: Mapping[Any, Any]) -> str:
    keys = [key for key in row if key not in ("id", "revenue")]
    numbers = ", ".join(f"{key} = {float(row[key]):.6g}" for key in keys if float(row[key]) == float(row[key]))
    return f"{row['id']} = {{ {numbers} }}"
