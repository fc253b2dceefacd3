"""What a model may know of a session before its outcome: labels, time, and the user's earlier sessions.

Takes the checked sessions; makes one frame of features, and names the columns that are left out because they exist
only after the outcome or identify a row. Knows no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from influbayes.attribution.history import tell_history
from influbayes.attribution.terms import group_terms
from influbayes.tables.session_quality import name_host
from influbayes.tables.sessions import CHANNEL, MISSING, SESSION, START, USER, SessionsTable

INTENT = "utm_term_intent"
REFERRER_HOST = "referrer_host"
RARE = "(rare)"
FEWEST_ROWS = 10
_LABELS = (CHANNEL, "utm_source", "utm_medium", "utm_campaign", "utm_term", "page", "country")
LEFT_OUT: Mapping[str, str] = {
    "session_end_ts": "known only after the session, and so after the outcome",
    "minutes": "the length of the session that signed up is known only after the sign-up",
    "event_name": "names the sign-up itself",
    "event_ts": "the time of the sign-up in a session with one; the session's start is used instead",
    "revenue": "exists only after the outcome",
    SESSION: "identifies the row",
    USER: "identifies the person; people are kept on one side of every split",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """`frame` one row a session, labels as category, numbers as float64; `outcome` and `user` (rows,).

    `left_out` column -> why it is not used.
    """

    frame: pd.DataFrame
    outcome: np.ndarray[Any, np.dtype[np.int64]]
    user: np.ndarray[Any, np.dtype[np.int64]]
    minutes: np.ndarray[Any, np.dtype[np.float64]]
    left_out: Mapping[str, str]


def make_features(sessions: SessionsTable, *, set_aside: tuple[str, ...] = ()) -> Features:
    """Return the features of every session in file order.

    Parameters
    ----------
    sessions : SessionsTable
    set_aside : tuple of str
        Columns that are missing in most rows.

    Returns
    -------
    Features
        Labels; intent of the search term; host of the referrer; hour, weekday and month of the start; how many
        sessions the user had before, days since the first and the last, minutes spent in them.
    """
    frame = sessions.frame
    names = [name for name in _LABELS if name in frame and name not in set_aside and frame[name].nunique() > 1]
    labels = {name: _join_rare(frame[name]) for name in names}
    if "utm_term" in labels:
        intents = group_terms(frame["utm_term"])
        labels[INTENT] = frame["utm_term"].map(dict(intents.intent)).astype(str)
    if "referrer" in frame and "referrer" not in set_aside:
        hosts = {value: name_host(value) or MISSING for value in frame["referrer"].unique()}
        labels[REFERRER_HOST] = _join_rare(frame["referrer"].map(hosts))
    made = pd.DataFrame({name: pd.Categorical(values.to_numpy(object)) for name, values in labels.items()})
    for name, values in {**_tell_time(frame[START]), **tell_history(frame)}.items():
        made[name] = values
    left = {name: why for name, why in LEFT_OUT.items() if name in frame}
    left |= dict.fromkeys(set_aside, "missing in most rows")
    return Features(
        frame=made,
        outcome=frame["sign_up"].to_numpy(np.int64),
        user=pd.factorize(frame[USER], sort=True)[0].astype(np.int64),
        minutes=frame["minutes"].to_numpy(np.float64),
        left_out=left,
    )


def _join_rare(column: pd.Series) -> pd.Series:
    """Return labels with those of fewer than ten rows as one level."""
    counts = column.map(column.value_counts())
    return column.where(counts >= FEWEST_ROWS, RARE).astype(str)


def _tell_time(start: pd.Series) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    parts = {"hour": start.dt.hour, "weekday": start.dt.day_of_week, "month": start.dt.month}
    return {name: part.to_numpy(np.float64) for name, part in parts.items()}
