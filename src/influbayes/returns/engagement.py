"""Engagement by platform with its interval: likes and comments over reach, by the Bayesian bootstrap over posts.

Takes posts; makes frozen rows. Ratios are ratios of sums; posts that reached nobody are counted and left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from influbayes.returns.money import divide
from influbayes.tables.cells import FloatArray

MOST_POSTS = 2_000  # above, the normal distribution with the delta method's variance
FEWEST_POSTS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Engagement:
    """Engagement of one platform: `rate` = engaged / reach, 0 to 1, with its interval; NaN where it is not defined.

    The interval is that of the population the posts are drawn from; with fewer than two posts there is none.
    """

    platform: str
    posts: int
    posts_without_reach: int
    engaged: int
    reach: int
    rate: float
    lower: float
    upper: float
    prob: float


def estimate_engagement(
    posts: pd.DataFrame, *, prob: float = 0.9, draws: int = 1000, seed: int = 20260101
) -> tuple[Engagement, ...]:
    """Return the engagement of each platform, sorted by name.

    Parameters
    ----------
    posts : DataFrame
        Columns platform, reach, likes, comments, as in `Ledger.posts`.
    prob : float
        Mass of the equal-tailed credible intervals.
    draws, seed : int
        Of the bootstrap: Dirichlet(1, ..., 1) weights over posts (Rubin 1981, 10.1214/aos/1176345338).
    """
    rng = np.random.default_rng(seed)
    return tuple(
        _rate_platform(str(platform), posts.loc[posts["platform"] == platform], prob, draws, rng)
        for platform in sorted(set(posts["platform"]))
    )


def _rate_platform(platform: str, posts: pd.DataFrame, prob: float, draws: int, rng: np.random.Generator) -> Engagement:
    seen = posts.loc[posts["reach"] > 0]
    engaged = (seen["likes"] + seen["comments"]).to_numpy(np.float64)
    reach = seen["reach"].to_numpy(np.float64)
    rate = divide(float(engaged.sum()), float(reach.sum()))
    lower, upper = float("nan"), float("nan")
    if len(seen) >= FEWEST_POSTS:
        tail = (1 - prob) / 2
        lower, upper = np.quantile(_draw_ratio(engaged, reach, draws, rng), [tail, 1 - tail]).tolist()
    return Engagement(
        platform=platform,
        posts=len(posts),
        posts_without_reach=len(posts) - len(seen),
        engaged=int(engaged.sum()),
        reach=int(reach.sum()),
        rate=rate,
        lower=lower,
        upper=upper,
        prob=prob,
    )


def _draw_ratio(above: FloatArray, below: FloatArray, draws: int, rng: np.random.Generator) -> FloatArray:
    """Return draws of the ratio of means of two quantities of the same posts."""
    if len(above) > MOST_POSTS:
        ratio = above.sum() / below.sum()
        sd = np.sqrt(((above - ratio * below) ** 2).sum()) / below.sum()
        return np.asarray(ratio + sd * rng.standard_normal(draws), dtype=np.float64)
    weights = rng.standard_exponential((draws, len(above)))
    return np.asarray((weights @ above) / (weights @ below), dtype=np.float64)
