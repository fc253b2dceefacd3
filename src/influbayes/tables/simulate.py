"""Simulated posts with a stated truth: a table like a campaign's, and the numbers it was made from.

Takes sizes, a seed and optionally a truth; makes a frame, its CSV text and its truth as TOML. Knows no model: the
truth is stated on the scale of the specification `conversion_creator`, and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from influbayes.errors import UsageError
from influbayes.tables.simulated_text import render_csv, render_tables

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

FIRST_DAY = "2026-01-01"
LAST_DAY = "2026-06-30"
MOST_POSTS = 2_000_000
ENGAGEMENT = ("Story_Views", "Swipe_Ups")


@dataclass(frozen=True, slots=True, kw_only=True)
class TierProfile:
    """What a tier looks like: its share of creators, median views, swipe-ups per view, and median fee in USD."""

    share: float
    median_views: float
    swipe_rate: float
    fee_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionProfile:
    """What a region looks like: its share of creators, and what fees and swipe-ups are multiplied by."""

    share: float
    fee_factor: float
    swipe_factor: float


TIERS: Mapping[str, TierProfile] = {
    "Mega": TierProfile(share=0.20, median_views=26_000, swipe_rate=0.0045, fee_usd=9_000),
    "Mid": TierProfile(share=0.35, median_views=9_000, swipe_rate=0.0120, fee_usd=2_400),
    "Micro": TierProfile(share=0.45, median_views=3_000, swipe_rate=0.0330, fee_usd=650),
}
REGIONS: Mapping[str, RegionProfile] = {
    "US": RegionProfile(share=0.34, fee_factor=1.25, swipe_factor=1.05),
    "EU": RegionProfile(share=0.27, fee_factor=1.10, swipe_factor=1.00),
    "LATAM": RegionProfile(share=0.20, fee_factor=0.75, swipe_factor=1.00),
    "APAC": RegionProfile(share=0.19, fee_factor=0.85, swipe_factor=0.95),
}

# Spread on the log scale, of creators within a tier and of posts within a creator.
CREATOR_REACH_SD, POST_REACH_SD = 0.26, 0.20
CREATOR_SWIPE_SD, POST_SWIPE_SD = 0.26, 0.26
CREATOR_FEE_SD, POST_FEE_SD = 0.22, 0.06
# Purchases of a post that converted, on average, and what one is worth: larger creators sell to several.
PURCHASES_PER_CONVERSION = {"Mega": 250.0, "Mid": 80.0, "Micro": 22.0}
PURCHASES_SHAPE = 2.0  # gamma shape of how many bought: many posts sell little, a few sell much
BASKET_USD, BASKET_SHAPE = 80.0, 3.0
POST_COUNT_SHAPE = 4.0  # gamma shape of how often creators are booked: most a few times, some often


@dataclass(frozen=True, slots=True, kw_only=True)
class PostsTruth:
    """The coefficients that posts are simulated from, in log-odds, on the scale of `conversion_creator`.

    `intercept` is the log-odds of a post with average engagement, tier, region and creator. `slopes` are per standard
    deviation (denominator n) of the realised column over the table. `tier_effects` and `region_effects` sum to zero.
    Creators are drawn from Normal(0, `creator_sd`). The defaults are the bundled sample's.
    """

    intercept: float = -0.85
    slopes: Mapping[str, float] = field(default_factory=lambda: {"Story_Views": 0.15, "Swipe_Ups": 0.80})
    tier_effects: Mapping[str, float] = field(default_factory=lambda: {"Mega": -0.60, "Mid": 0.10, "Micro": 0.50})
    region_effects: Mapping[str, float] = field(
        default_factory=lambda: {"US": 0.16, "EU": 0.06, "LATAM": -0.08, "APAC": -0.14}
    )
    creator_sd: float = 0.60


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedPosts:
    """A simulated table with everything it was made from.

    `frame` has the public columns Post_ID, Creator_ID, Post_Date, Story_Views, Swipe_Ups, Influencer_Tier,
    Audience_Region, Fee, Converted, in order of date. `creator_effects` are the log-odds drawn for each creator;
    `centres` and `scales` the mean and standard deviation (denominator n) that the slopes refer to;
    `probabilities` (posts,) the conversion probability of each post.
    """

    frame: pd.DataFrame
    truth: PostsTruth
    creator_effects: Mapping[str, float]
    centres: Mapping[str, float]
    scales: Mapping[str, float]
    probabilities: FloatArray
    seed: int


def simulate_posts(
    *,
    posts: int = 1500,
    creators: int = 220,
    seed: int = 20260101,
    truth: PostsTruth | None = None,
    sales: bool = False,
) -> SimulatedPosts:
    """Simulate sponsored posts whose conversion follows a stated logistic model.

    log-odds = intercept + slopes x standardised engagement + tier + region + creator effect; tier and region belong to
    the creator. Mega has reach and a modest swipe-through, Micro the reverse; dates lie in 2026-01-01 to 2026-06-30.

    Parameters
    ----------
    posts : int
        Rows, from `creators` to 2,000,000. Default 1500.
    creators : int
        Creators, at least 1, each with at least one post. Default 220.
    seed : int
        0 or more; the same seed gives the same table.
    truth : PostsTruth, optional
        The coefficients; without it those of the bundled sample. Views, swipe-ups and fees do not depend on it.
    sales : bool
        Whether to add Purchases and Revenue (USD) of each post, 0 where it did not convert: PURCHASES_PER_CONVERSION
        in the mean, each for about BASKET_USD. The other columns stay as they are.

    Returns
    -------
    SimulatedPosts

    Raises
    ------
    UsageError
        Where a size, the seed or the truth is not possible.

    Examples
    --------
    >>> len(simulate_posts(posts=50, creators=10).frame)
    50
    """
    truth = PostsTruth() if truth is None else truth
    _require_sizes(posts, creators, seed)
    _require_truth(truth)
    # One stream for the table and one for the outcome: a different truth meets the same posts.
    table_rng, outcome_rng, sales_rng = np.random.default_rng(seed).spawn(3)
    frame = _simulate_table(posts, creators, table_rng)
    effects = np.round(truth.creator_sd * outcome_rng.standard_normal(creators), 6)
    names = _name_rows("C", creators)
    by_creator = dict(zip(names, map(float, effects), strict=True))
    probabilities = _compute_probabilities(frame, truth, by_creator)
    frame["Converted"] = (outcome_rng.random(posts) < probabilities).astype(np.int64)
    if sales:
        frame = _add_sales(frame, sales_rng)
    return SimulatedPosts(
        frame=frame,
        truth=truth,
        creator_effects=by_creator,
        centres={name: float(frame[name].mean()) for name in ENGAGEMENT},
        scales={name: float(frame[name].std(ddof=0)) for name in ENGAGEMENT},
        probabilities=probabilities,
        seed=seed,
    )


def _require_sizes(posts: int, creators: int, seed: int) -> None:
    if not 1 <= creators <= posts <= MOST_POSTS:
        raise UsageError(
            f"{posts:,} posts of {creators:,} creators cannot be simulated. Give 1 or more creators, at least as many "
            f"posts as creators, and at most {MOST_POSTS:,} posts."
        )
    if seed < 0:
        raise UsageError(f"Seed {seed} is below 0. Give a whole number from 0.")


def _require_truth(truth: PostsTruth) -> None:
    """Refuse a truth that names other levels or columns, is not finite, or does not sum to zero."""
    parts: Mapping[str, tuple[Mapping[str, float], Any]] = {
        "slopes": (truth.slopes, ENGAGEMENT),
        "tier_effects": (truth.tier_effects, TIERS),
        "region_effects": (truth.region_effects, REGIONS),
    }
    for name, (given, wanted) in parts.items():
        if set(given) != set(wanted):
            raise UsageError(f"{name} names {', '.join(given) or 'nothing'}; it must name {', '.join(wanted)}.")
        if name != "slopes" and abs(sum(given.values())) > 1e-9:
            raise UsageError(f"{name} sum to {sum(given.values()):.6g}; they must sum to 0.")
    numbers = [truth.intercept, truth.creator_sd, *(value for given, _ in parts.values() for value in given.values())]
    if not np.isfinite(numbers).all() or truth.creator_sd < 0:
        raise UsageError("Every number of the truth must be finite, and creator_sd 0 or more.")


def _simulate_table(posts: int, creators: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return every column but the outcome, in order of date."""
    tier, region = _assign_cells(creators, rng)
    owner = _assign_posts(posts, creators, rng)
    views = _simulate_views(tier, owner, rng)
    day = np.sort(rng.integers(0, _count_days(), size=posts))
    return pd.DataFrame(
        {
            "Post_ID": _name_rows("P", posts),
            "Creator_ID": np.array(_name_rows("C", creators))[owner],
            "Post_Date": (np.datetime64(FIRST_DAY) + day).astype(str),
            "Story_Views": views,
            "Swipe_Ups": _simulate_swipes(views, tier, region, owner, rng),
            "Influencer_Tier": np.array(list(TIERS))[tier][owner],
            "Audience_Region": np.array(list(REGIONS))[region][owner],
            "Fee": _simulate_fees(tier, region, owner, rng),
        }
    )


def _count_days() -> int:
    return int((np.datetime64(LAST_DAY) - np.datetime64(FIRST_DAY)).astype(int)) + 1


def _add_sales(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Add how often a converting post sold, at least once, and for how much together."""
    more = frame["Influencer_Tier"].map(dict(PURCHASES_PER_CONVERSION)).to_numpy(np.float64) - 1
    many = rng.gamma(PURCHASES_SHAPE, more / PURCHASES_SHAPE)
    purchases = (1 + rng.poisson(many)) * frame["Converted"].to_numpy(np.int64)
    baskets = rng.gamma(BASKET_SHAPE * np.maximum(purchases, 1), BASKET_USD / BASKET_SHAPE)
    return frame.assign(Purchases=purchases, Revenue=np.where(purchases > 0, np.round(baskets, 2), 0.0))


def _name_rows(letter: str, count: int) -> list[str]:
    width = len(str(count))
    return [f"{letter}{number:0{width}d}" for number in range(1, count + 1)]


def _assign_cells(creators: int, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Return tier and region of each creator: fixed quotas by cell, so that chance empties no cell, then shuffled."""
    shares = np.outer([tier.share for tier in TIERS.values()], [region.share for region in REGIONS.values()]).ravel()
    quota = np.floor(creators * shares).astype(np.int64)
    rest = np.argsort(quota - creators * shares, kind="stable")[: creators - int(quota.sum())]
    quota[rest] += 1
    cells = rng.permutation(np.repeat(np.arange(len(shares)), quota))
    return cells // len(REGIONS), cells % len(REGIONS)


def _assign_posts(posts: int, creators: int, rng: np.random.Generator) -> IntArray:
    """Return the creator of each post: one each, the rest unequally, in random order."""
    weights = rng.gamma(POST_COUNT_SHAPE, size=creators)
    counts = 1 + rng.multinomial(posts - creators, weights / weights.sum())
    return rng.permutation(np.repeat(np.arange(creators), counts)).astype(np.int64)


def _spread(creator_sd: float, post_sd: float, owner: IntArray, rng: np.random.Generator) -> FloatArray:
    """Return (posts,) log-normal factors with a part of the creator and a part of the post."""
    creators = int(owner.max()) + 1
    of_creator = creator_sd * rng.standard_normal(creators)
    return np.exp(of_creator[owner] + post_sd * rng.standard_normal(len(owner)))


def _simulate_views(tier: IntArray, owner: IntArray, rng: np.random.Generator) -> IntArray:
    median = np.array([profile.median_views for profile in TIERS.values()])[tier][owner]
    views: IntArray = np.rint(median * _spread(CREATOR_REACH_SD, POST_REACH_SD, owner, rng)).astype(np.int64)
    return views


def _simulate_swipes(
    views: IntArray, tier: IntArray, region: IntArray, owner: IntArray, rng: np.random.Generator
) -> IntArray:
    """Return swipe-ups: each view swipes with a rate of its tier, region, creator and post."""
    rate = np.array([profile.swipe_rate for profile in TIERS.values()])[tier]
    rate = rate * np.array([profile.swipe_factor for profile in REGIONS.values()])[region]
    varied = np.minimum(rate[owner] * _spread(CREATOR_SWIPE_SD, POST_SWIPE_SD, owner, rng), 0.5)
    swipes: IntArray = rng.binomial(views, varied).astype(np.int64)
    return swipes


def _simulate_fees(tier: IntArray, region: IntArray, owner: IntArray, rng: np.random.Generator) -> IntArray:
    """Return the fee in USD, to 10 USD: by tier and region, with a rate card of the creator and some haggling."""
    fee = np.array([profile.fee_usd for profile in TIERS.values()])[tier]
    fee = fee * np.array([profile.fee_factor for profile in REGIONS.values()])[region]
    tens: IntArray = np.rint(fee[owner] * _spread(CREATOR_FEE_SD, POST_FEE_SD, owner, rng) / 10).astype(np.int64)
    fee_usd: IntArray = 10 * tens
    return fee_usd


def _compute_probabilities(frame: pd.DataFrame, truth: PostsTruth, creator_effects: Mapping[str, float]) -> FloatArray:
    """Return (posts,) conversion probabilities of the stated model."""
    eta = np.full(len(frame), truth.intercept)
    for name, slope in truth.slopes.items():
        eta += slope * _standardise(frame[name].to_numpy(dtype=np.float64))
    for column, effects in (
        ("Influencer_Tier", truth.tier_effects),
        ("Audience_Region", truth.region_effects),
        ("Creator_ID", creator_effects),
    ):
        eta += frame[column].map(dict(effects)).to_numpy(dtype=np.float64)
    return np.asarray(1.0 / (1.0 + np.exp(-eta)), dtype=np.float64)


def _standardise(column: FloatArray) -> FloatArray:
    """Return (x - mean) / sd, denominator n; a constant column is all zeros."""
    sd = column.std()
    return (column - column.mean()) / (sd if sd > 0 else 1.0)


def render_posts_csv(simulated: SimulatedPosts) -> str:
    """Return the table as CSV text with a header, commas and line feeds."""
    return render_csv(simulated.frame)


def render_truth(simulated: SimulatedPosts) -> str:
    """Return the truth as TOML: sizes, seed, coefficients in log-odds, scaling, and the effect of each creator."""
    truth = simulated.truth
    head = [
        "# What the table beside this file was simulated from, on the scale of the specification conversion_creator:",
        "# log-odds; slopes per standard deviation (denominator n) of the column in this table; effects of tiers and",
        "# of regions sum to zero; creators are drawn from Normal(0, creator_sd).",
        f"seed = {simulated.seed}",
        f"posts = {len(simulated.frame)}",
        f"creators = {len(simulated.creator_effects)}",
        f"conversions = {int(simulated.frame['Converted'].sum())}",
        f"intercept = {truth.intercept!r}",
        f"creator_sd = {truth.creator_sd!r}",
    ]
    tables = {
        "slope": truth.slopes,
        "centre": {name: round(value, 6) for name, value in simulated.centres.items()},
        "scale": {name: round(value, 6) for name, value in simulated.scales.items()},
        "effect_Influencer_Tier": truth.tier_effects,
        "effect_Audience_Region": truth.region_effects,
        "effect_Creator_ID": simulated.creator_effects,
    }
    return render_tables(head, tables)
