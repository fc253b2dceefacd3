"""What a user's earlier sessions tell of a session, and which sessions can still end in a first sign-up.

Takes sessions; makes columns in file order. Looks at nothing later than the session itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from influbayes.tables.sessions import EVENT, SESSION, START, USER, SessionsTable

EARLIER = "earlier_sessions"
HISTORY = (EARLIER, "days_since_first", "days_since_last", "earlier_minutes")


def tell_history(frame: pd.DataFrame) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    """Return what the user's earlier sessions tell, in file order.

    Returns
    -------
    dict
        ``earlier_sessions``; ``days_since_first`` and ``days_since_last`` (not-a-number without an earlier session);
        ``earlier_minutes`` spent.
    """
    ordered = _order(frame)
    users = ordered[USER]
    group = ordered.groupby(USER, sort=False)
    start = ordered[START]
    minutes = ordered["minutes"].fillna(0.0)
    found: dict[str, pd.Series] = {
        EARLIER: group.cumcount(),
        "days_since_first": (start - group[START].transform("first")).dt.total_seconds() / 86_400,
        "days_since_last": (start - group[START].shift()).dt.total_seconds() / 86_400,
        "earlier_minutes": minutes.groupby(users, sort=False).cumsum() - minutes,
    }
    return {name: values.reindex(frame.index).to_numpy(np.float64) for name, values in found.items()}


def keep_at_risk(sessions: SessionsTable) -> SessionsTable:
    """Return the sessions up to and with each user's first sign-up: whoever signed up cannot sign up first again."""
    ordered = _order(sessions.frame)
    before = ordered.groupby(USER, sort=False)["sign_up"].cumsum() - ordered["sign_up"]
    kept = (before == 0).reindex(sessions.frame.index).to_numpy(bool)
    return replace(sessions, frame=sessions.frame.loc[kept].reset_index(drop=True))


def find_last(frame: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which sessions are the last of their user among those given, in file order."""
    ordered = _order(frame)
    return (~ordered.duplicated(USER, keep="last")).reindex(frame.index).to_numpy(bool)


def _order(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values([USER, EVENT, START, SESSION], kind="stable")
