"""The data-quality account of sessions: what is missing and what was done with it, outliers, referrers that disagree.

Takes the frame of a `SessionsTable`; makes plain data for results.json. Removes nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from influbayes.tables.sessions import CHANNEL, MISSING, TOUCH_LABELS

SET_ASIDE_ABOVE = 0.5
SET_ASIDE_RULE = "A column that is missing in more than half of the rows is set aside: shown, not used by any model."
LEVEL_RULE = f"Missing values are a level of their own, {MISSING}."
FENCE = 3.0
MOST_GROUPS = 12
# Referrer and source agree where the source's name is part of the referrer's host.
ENGINES = ("google", "bing", "reddit", "facebook", "youtube", "linkedin", "twitter", "yahoo", "duckduckgo")


def account_quality(frame: pd.DataFrame) -> dict[str, Any]:
    """Return the account: ``missing`` per column with what was done, ``minutes`` outliers, ``referrer`` agreement.

    Outliers of session minutes lie above the third quartile + 3 interquartile ranges of log(1 + minutes), all rows.
    """
    return {
        "missing": [_account_column(frame, name) for name in (CHANNEL, *TOUCH_LABELS) if name in frame],
        "minutes": _account_minutes(frame),
        "referrer": _account_referrer(frame),
    }


def list_set_aside(quality: dict[str, Any]) -> tuple[str, ...]:
    """Return the columns that no model uses because most of their values are missing."""
    return tuple(row["column"] for row in quality["missing"] if row["set_aside"])


def _account_column(frame: pd.DataFrame, name: str) -> dict[str, Any]:
    missing = int((frame[name] == MISSING).sum())
    share = missing / max(1, len(frame))
    aside = share > SET_ASIDE_ABOVE and name != CHANNEL
    done = "nothing was missing" if not missing else SET_ASIDE_RULE if aside else LEVEL_RULE
    levels = int(frame[name].nunique())
    return {"column": name, "missing": missing, "share": share, "levels": levels, "set_aside": aside, "done": done}


def _account_minutes(frame: pd.DataFrame) -> dict[str, Any]:
    minutes = frame["minutes"].to_numpy(np.float64)
    known = np.isfinite(minutes)
    if not known.any():
        return {"known": 0, "fence": None, "outliers": 0, "median": None, "groups": []}
    low, middle, high = np.quantile(np.log1p(minutes[known]), [0.25, 0.5, 0.75])
    fence = float(np.expm1(high + FENCE * (high - low)))
    return {
        "known": int(known.sum()),
        "median": float(np.expm1(middle)),
        "fence": fence,
        "outliers": int((minutes[known] > fence).sum()),
        "groups": _group_minutes(frame.loc[known], fence),
    }


def _group_minutes(frame: pd.DataFrame, fence: float) -> list[dict[str, Any]]:
    source = "utm_source" if "utm_source" in frame else CHANNEL
    table = frame.assign(outlier=frame["minutes"] > fence).groupby([source, "sign_up"])
    summary = table.agg(sessions=("minutes", "size"), median=("minutes", "median"), outliers=("outlier", "sum"))
    largest = summary.sort_values("sessions", ascending=False, kind="stable").head(MOST_GROUPS)
    return [
        {
            "source": str(label),
            "sign_up": int(signed),
            "sessions": int(sessions),
            "median": float(median),
            "outliers": int(outliers),
        }
        for label, signed, sessions, median, outliers in largest.reset_index().to_numpy(object).tolist()
    ]


def _account_referrer(frame: pd.DataFrame) -> dict[str, Any] | None:
    """Count how often the referrer's host names another known source than utm_source does."""
    if "referrer" not in frame or "utm_source" not in frame:
        return None
    pairs = frame.groupby(["utm_source", "referrer"]).size()
    counts = {"agree": 0, "disagree": 0, "unknown": 0}
    for source, referrer, rows in pairs.reset_index().to_numpy(object).tolist():
        counts[_compare_source(str(source), str(referrer))] += int(rows)
    known = counts["agree"] + counts["disagree"]
    return {**counts, "agreement": counts["agree"] / known if known else None}


def _compare_source(source: str, referrer: str) -> str:
    host = name_host(referrer)
    said = next((name for name in ENGINES if name in source.casefold()), "")
    came = next((name for name in ENGINES if name in host), "")
    if not said or not came:
        return "unknown"
    return "agree" if said == came else "disagree"


def name_host(referrer: str) -> str:
    """Return the host of a referrer without "www."; "" where there is none.

    Examples
    --------
    >>> name_host("https://example.com/a?b")
    'example.com'
    """
    if referrer == MISSING:
        return ""
    host = referrer.split("://")[-1].split("/")[0].split("?")[0].casefold()
    return host.removeprefix("www.")
