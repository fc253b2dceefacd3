"""Posts from a ledger: each order goes to the last post of its influencer before it, within a window of days.

Takes a ledger; makes a table of posts for the conversion study with influencer_type, platform, category, reach and
engagement (likes + comments). Knows no model.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from influbayes.errors import UsageError
from influbayes.tables.digest import digest_table
from influbayes.tables.ledger import Ledger
from influbayes.tables.posts import PostColumns, PostsTable
from influbayes.tables.problems import Problem, compose_problem

MOST_CONVERTING = 0.90
LEDGER_COLUMNS = PostColumns(
    outcome="Converted",
    numeric=("reach", "engagement"),
    labels=("influencer_type", "platform", "category"),
    optional_labels=("influencer_id",),
)


def build_posts(ledger: Ledger, window_days: int = 7) -> PostsTable:
    """Return the posts of a ledger, each with whether an exposed order followed it within the window.

    An order counts for the last post of its influencer at or before it, if that post is at most `window_days` old:
    at most window_days x 24 hours where the ledger has the time of day, else that many days.

    Parameters
    ----------
    ledger : Ledger
        From `read_ledger`.
    window_days : int
        From 1 to 365. Default 7.

    Returns
    -------
    PostsTable
        One row a post; `Converted` is 1 where at least one order counts for it, `orders` how many do. A notice
        (IB-D65) says where more than 90 % of posts convert, since the window then says nothing.

    Raises
    ------
    UsageError
        The window is not from 1 to 365 days, or there is no post.
    """
    if not 1 <= window_days <= 365:
        raise UsageError(f"A window of {window_days} days: give 1 to 365.")
    if ledger.posts.empty:
        raise UsageError(f"{ledger.folder} holds no post of a known influencer.")
    people = ledger.influencers.iloc[ledger.posts["influencer"].to_numpy()].reset_index(drop=True)
    counted = count_orders(ledger, window_days)
    engagement = (ledger.posts["likes"] + ledger.posts["comments"]).to_numpy(np.float64)
    frame = pd.DataFrame(
        {
            "reach": ledger.posts["reach"].to_numpy(np.float64),
            "engagement": engagement,
            "influencer_type": people["influencer_type"],
            "platform": ledger.posts["platform"],
            "category": people["category"],
            "influencer_id": ledger.posts["influencer_id"],
            "orders": counted,
            "conversions": (counted > 0).astype(np.int64),
            "trials": np.ones(len(counted), dtype=np.int64),
            "line": ledger.posts["line"],
        }
    )
    return PostsTable(
        frame=frame,
        columns=LEDGER_COLUMNS,
        file=f"{ledger.folder} (posts from the ledger)",
        format="ledger",
        digest=digest_table(frame),
        rows_read=ledger.rows_read["posts"],
        rejected=ledger.rejected,
        notices=(*ledger.notices, *_judge_window(ledger, counted, window_days)),
        is_sample=ledger.is_sample,
        window_days=window_days,
    )


def count_orders(ledger: Ledger, window_days: int) -> npt.NDArray[np.int64]:
    """Return (posts,) the exposed order rows that count for each post, in the order of `ledger.posts`."""
    posts, orders = ledger.posts, ledger.orders
    bought = orders.loc[(orders["group"] == 1) & (orders["orders"] > 0) & (orders["influencer"] >= 0)]
    times = posts["day"].to_numpy().astype("datetime64[s]").astype(np.int64)
    order = np.lexsort((times, posts["influencer"].to_numpy()))
    start = min(int(times.min(initial=0)), 0)
    span = (
        int(max(times.max(), bought["day"].to_numpy().astype("datetime64[s]").astype(np.int64).max(initial=0))) - start
    )
    keys = posts["influencer"].to_numpy()[order] * (span + 2) + times[order] - start
    wanted = bought["day"].to_numpy().astype("datetime64[s]").astype(np.int64)
    place = np.searchsorted(keys, bought["influencer"].to_numpy() * (span + 2) + wanted - start, side="right") - 1
    post = order[np.maximum(place, 0)]
    same = (place >= 0) & (posts["influencer"].to_numpy()[post] == bought["influencer"].to_numpy())
    recent = wanted - times[post] <= window_days * 86_400
    return np.bincount(post[same & recent], minlength=len(posts)).astype(np.int64)


def _judge_window(ledger: Ledger, counted: npt.NDArray[np.int64], window_days: int) -> list[Problem]:
    converted = int((counted > 0).sum())
    if converted <= MOST_CONVERTING * len(counted):
        return []
    ends = np.quantile(counted, [0, 0.5, 1]).astype(int)
    return [
        compose_problem(
            "IB-D65",
            "warn",
            file=ledger.name_file("posts"),
            what=f"{converted:,} of {len(counted):,} posts convert within {window_days} days",
            why="The window is too wide for this question: nearly every post converts. Orders per post: "
            f"median {ends[1]:,}, from {ends[0]:,} to {ends[2]:,}.",
            remedy="Give a narrower window (--window-days N, or window_days=N in Python), or compare returns with "
            "influbayes roas.",
        )
    ]
