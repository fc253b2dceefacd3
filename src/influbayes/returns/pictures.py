"""What the pictures and tables of the returns report show beside the estimates: weeks, engagement, paid orders.

Takes a ledger; makes plain rows. Ratios are ratios of sums; what is divided by 0 is NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from influbayes.returns.filters import count_exposed_orders
from influbayes.returns.money import divide, mark_credited
from influbayes.tables.ledger import Ledger, sum_payouts


def sum_weeks(ledger: Ledger) -> list[dict[str, Any]]:
    """Return exposed revenue and orders by week (weeks start on Monday), and ROAS so far."""
    rows = ledger.orders.loc[mark_credited(ledger)]
    days = rows["day"].to_numpy().astype("datetime64[D]")
    # Day 0 of the calendar is a Thursday; moving by three days makes weeks start on Monday.
    weeks = (days.astype(np.int64) + 3) // 7
    if not len(weeks):
        return []
    first = int(weeks.min())
    count = int(weeks.max()) - first + 1
    revenue = np.bincount(weeks - first, weights=rows["revenue"].to_numpy(np.float64), minlength=count)
    orders = np.bincount(weeks - first, weights=rows["orders"].to_numpy(np.float64), minlength=count)
    paid = float(sum_payouts(ledger).sum())
    so_far = np.cumsum(revenue)
    return [
        {
            "week": str(np.datetime64((first + i) * 7 - 3, "D")),
            "revenue": round(float(revenue[i]), 6),
            "orders": int(orders[i]),
            "roas_so_far": divide(float(so_far[i]), paid),
        }
        for i in range(count)
    ]


def rate_engagement(ledger: Ledger) -> list[dict[str, Any]]:
    """Return (likes + comments) / reach by platform, by sums; posts with reach 0 are left out."""
    posts = ledger.posts
    found = []
    for platform in sorted(set(posts["platform"])):
        part = posts.loc[posts["platform"] == platform]
        seen = part.loc[part["reach"] > 0]
        engaged = int((seen["likes"] + seen["comments"]).sum())
        reach = int(seen["reach"].sum())
        found.append(
            {
                "platform": platform,
                "posts": len(part),
                "posts_without_reach": len(part) - len(seen),
                "engaged": engaged,
                "reach": reach,
                "rate": divide(float(engaged), float(reach)),
            }
        )
    return found


def compare_paid_orders(ledger: Ledger) -> list[dict[str, Any]]:
    """Return, for each influencer, the orders it was paid for and the exposed orders tracked."""
    count = len(ledger.influencers)
    paid = np.bincount(ledger.payouts["influencer"], weights=ledger.payouts["orders"], minlength=count)
    tracked = count_exposed_orders(ledger.orders, count)
    return [
        {"influencer": str(name), "paid": int(paid[i]), "tracked": int(tracked[i])}
        for i, name in enumerate(ledger.influencers["id"])
    ]


def list_influencers(ledger: Ledger) -> pd.DataFrame:
    """Return the influencers with id as text, for tables and exports."""
    return ledger.influencers.drop(columns="line", errors="ignore")
