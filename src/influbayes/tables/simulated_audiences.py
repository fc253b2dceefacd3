"""The users of a simulated ledger: who reached them, whether they bought, when, and for how much.

Takes influencers, posts and the true rates of each influencer; makes the table of users and orders. Some users buy
nothing, some influencers have a control audience that was not exposed. Knows no payout.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from influbayes.tables.cells import FloatArray, IntArray
from influbayes.tables.simulated_people import FIRST_DAY, PLATFORMS, TYPES, name_rows

Rng = np.random.Generator

DAYS = 170
TYPE_AUDIENCE = (2.0, 1.2, 0.6)  # exposed users, relative
PRODUCTS = ("Protein", "Shaker", "Vitamins")
SOURCES = PLATFORMS
CONTROL_SHARE = 0.4  # of all users
TWICE_EXPOSED, BOTH_GROUPS, TOO_EARLY = 0.03, 0.005, 0.01
EXTRA_ORDERS = 0.3  # mean of a Poisson: orders of a buyer beyond the first
AUDIENCE_SD = 0.5
MEAN_LAG_DAYS = 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Users of one group: the influencer of each, its user number, whether it bought, what it spent, orders."""

    owner: IntArray
    user: IntArray
    orders: IntArray
    revenue: FloatArray


def simulate_audiences(
    people: pd.DataFrame, returns: pd.DataFrame, *, users: int, value_cv: float, rng: Rng
) -> tuple[Audience, Audience]:
    """Return the exposed and the control users, each with what it bought.

    `value_cv` is sd over mean of what the buyers of one influencer spend.
    """
    kind = people["influencer_type"].map(dict(zip(TYPES, TYPE_AUDIENCE, strict=True))).to_numpy(np.float64)
    weights = np.asarray(kind * np.exp(AUDIENCE_SD * rng.standard_normal(len(people))), dtype=np.float64)
    controls = round(users * CONTROL_SHARE)
    shared = round(BOTH_GROUPS * users)
    exposed = _share_out(users - controls, weights, rng)
    again = rng.permutation(users - controls)[: round(TWICE_EXPOSED * (users - controls))]
    owner = np.concatenate([exposed, rng.integers(0, len(people), size=len(again))])
    user = np.concatenate([np.arange(users - controls), again])
    control_user = np.arange(users - controls, users)
    control_user[:shared] = rng.permutation(users - controls)[:shared]
    control_owner = _share_out(controls, weights, rng)
    rates, control_rates = returns["conversion"].to_numpy(), returns["control_conversion"].to_numpy()
    value, base = returns["spend_per_buyer"].to_numpy(), returns["control_spend"].to_numpy()
    return (
        _let_buy(owner, user, rates[owner], value[owner], value_cv, rng),
        _let_buy(control_owner, control_user, control_rates[control_owner], base[control_owner], value_cv, rng),
    )


def _share_out(users: int, weights: FloatArray, rng: Rng) -> IntArray:
    """Return the influencer of each user: one each, the rest unequally, in random order."""
    counts = 1 + rng.multinomial(users - len(weights), weights / weights.sum())
    return rng.permutation(np.repeat(np.arange(len(weights)), counts)).astype(np.int64)


def _let_buy(
    owner: IntArray, user: IntArray, rate: FloatArray, value: FloatArray, value_cv: float, rng: Rng
) -> Audience:
    buys = rng.random(len(owner)) < rate
    sd = np.sqrt(np.log1p(value_cv**2))
    spent = value * np.exp(sd * rng.standard_normal(len(owner)) - sd**2 / 2)
    orders = 1 + rng.poisson(EXTRA_ORDERS, size=len(owner))
    return Audience(
        owner=owner,
        user=user,
        orders=np.where(buys, orders, 0).astype(np.int64),
        revenue=np.where(buys, np.maximum(np.round(spent, 2), 0.01), 0.0),
    )


def make_tracking(
    people: pd.DataFrame, posts: pd.DataFrame, *, exposed: Audience, control: Audience, campaigns: int, rng: Rng
) -> pd.DataFrame:
    """Return the table of users and orders, in order of day, user and influencer."""
    names = name_rows("u", int(max(exposed.user.max(), control.user.max())) + 1)
    frames = [
        _describe_rows(people, part, group, day, names, campaigns, rng)
        for part, group, day in (
            (exposed, 1, _place_after_posts(posts, exposed.owner, rng)),
            (control, 0, rng.integers(0, DAYS, size=len(control.owner))),
        )
    ]
    table = pd.concat(frames, ignore_index=True)
    return table.sort_values(["date", "user_id", "influencer_id"], kind="stable", ignore_index=True)


def _place_after_posts(posts: pd.DataFrame, owner: IntArray, rng: Rng) -> IntArray:
    """Return the day of each exposed user: a few days after some post of its influencer, rarely before the first."""
    order = np.argsort(posts["owner"].to_numpy(), kind="stable")
    day = (posts["date"].to_numpy().astype("datetime64[D]") - FIRST_DAY).astype(np.int64)[order]
    counts = np.bincount(posts["owner"], minlength=int(owner.max()) + 1)
    start = np.concatenate([[0], np.cumsum(counts)[:-1]])
    chosen = start[owner] + np.floor(rng.random(len(owner)) * counts[owner]).astype(np.int64)
    after = day[chosen] + np.floor(rng.exponential(MEAN_LAG_DAYS, size=len(owner))).astype(np.int64)
    early = rng.random(len(owner)) < TOO_EARLY
    return np.asarray(np.where(early, 0, np.minimum(after, DAYS - 1)), dtype=np.int64)


def _describe_rows(
    people: pd.DataFrame, part: Audience, group: int, day: IntArray, names: list[str], campaigns: int, rng: Rng
) -> pd.DataFrame:
    count = len(part.owner)
    bought = part.orders > 0
    own = people["platform"].to_numpy()[part.owner]
    source = np.where(rng.random(count) < 0.75, own, rng.choice(SOURCES, size=count))
    return pd.DataFrame(
        {
            "source": source,
            "campaign": np.array(name_rows("Campaign ", campaigns))[rng.integers(0, campaigns, size=count)],
            "influencer_id": people["id"].to_numpy()[part.owner],
            "user_id": np.array(names, dtype=object)[part.user],
            "product": np.where(bought, rng.choice(PRODUCTS, size=count), ""),
            "date": (FIRST_DAY + day).astype(str),
            "orders": part.orders,
            "revenue": part.revenue,
            "group": group,
        }
    )
