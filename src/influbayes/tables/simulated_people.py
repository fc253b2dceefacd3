"""The influencers of a simulated ledger and their posts.

Takes how many and a generator; makes two tables as frames. Knows no user, no order and no truth.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

FIRST_DAY = np.datetime64("2026-01-05")
LAST_POST = 150
CATEGORIES = ("Beauty", "Fitness", "Food", "Travel")
GENDERS = ("Female", "Male", "Other")
GENDER_SHARES = (0.48, 0.42, 0.10)
PLATFORMS = ("Instagram", "TikTok", "YouTube")
TYPES = ("Mega", "Macro", "Micro")
TYPE_SHARES = (0.15, 0.35, 0.50)
TYPE_FOLLOWERS = (1_800_000, 320_000, 45_000)


def name_rows(letter: str, count: int) -> list[str]:
    """Return "i01", "i02", ... with as many digits as the last one needs."""
    width = len(str(count))
    return [f"{letter}{number:0{width}d}" for number in range(1, count + 1)]


def simulate_people(count: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return the table of influencers, in the order of their ids."""
    ids = name_rows("i", count)
    kind = rng.choice(len(TYPES), size=count, p=TYPE_SHARES)
    followers = np.rint(np.array(TYPE_FOLLOWERS)[kind] * np.exp(0.3 * rng.standard_normal(count))).astype(np.int64)
    return pd.DataFrame(
        {
            "id": ids,
            "name": [f"Creator {name[1:]}" for name in ids],
            "category": rng.choice(CATEGORIES, size=count),
            "gender": rng.choice(GENDERS, size=count, p=GENDER_SHARES),
            "follower_count": followers,
            "platform": rng.choice(PLATFORMS, size=count),
            "influencer_type": np.array(TYPES)[kind],
        }
    )


def simulate_posts(people: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return one to five posts an influencer, in order of date; the first in the first 40 days.

    Column `owner` holds the row of the influencer in `people`.
    """
    counts = 1 + rng.binomial(4, 0.45, size=len(people))
    owner = np.repeat(np.arange(len(people)), counts)
    first = np.zeros(len(owner), dtype=np.bool_)
    first[np.concatenate([[0], np.cumsum(counts)[:-1]])] = True
    day = np.where(first, rng.integers(0, 40, size=len(owner)), rng.integers(0, LAST_POST, size=len(owner)))
    reach = np.rint(people["follower_count"].to_numpy()[owner] * rng.beta(4, 12, size=len(owner))).astype(np.int64)
    engaged = rng.binomial(reach, rng.beta(6, 120, size=len(owner)))
    comments = rng.binomial(engaged, 0.06)
    posts = pd.DataFrame(
        {
            "influencer_id": people["id"].to_numpy()[owner],
            "platform": people["platform"].to_numpy()[owner],
            "date": (FIRST_DAY + day).astype(str),
            "url": "",
            "reach": reach,
            "likes": engaged - comments,
            "comments": comments,
            "owner": owner,
        }
    ).sort_values(["date", "influencer_id", "reach"], kind="stable", ignore_index=True)
    posts["url"] = [f"post/{name}" for name in name_rows("", len(posts))]
    return posts
