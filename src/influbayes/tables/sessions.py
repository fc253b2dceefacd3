"""A table of sessions: which columns it has, what each must hold, and the checked table itself.

Knows names and units; knows no file and no rule of attribution.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from influbayes.tables.problems import Problem

SESSION, USER, EVENT = "session_id", "user_id", "event_ts"
START, END = "session_start_ts", "session_end_ts"
CHANNEL, SIGN_UP, REVENUE = "channel_id", "Sign_up", "revenue"
REQUIRED = (SESSION, USER, EVENT, CHANNEL, SIGN_UP)
TIMES = (EVENT, START, END)
TOUCH_LABELS = (
    "event_name",
    "utm_source",
    "utm_content",
    "utm_medium",
    "utm_campaign",
    "utm_term",
    "page",
    "referrer",
    "country",
)
OPTIONAL = (START, END, *TOUCH_LABELS, REVENUE)
MISSING = "(missing)"
# Words that stand for "nothing was recorded"; they are kept as levels and warned of.
PLACEHOLDERS = frozenset(("blank", "(not set)", "not set", "(not provided)", "undefined"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionsTable:
    """A checked table of sessions.

    `frame` has one row a session in file order: `session_id`, `user_id` and every label column as str (missing labels
    are the level `(missing)`), the times as datetime64[s], `minutes` (float64, from start to end, not-a-number where
    either is unknown), `sign_up` (int64, 0 or 1), `revenue` (float64) where the file has it, and `line`. `rows_used`
    counts rows of the file: several rows of one session are one session. `lost_sign_ups` are those of rejected rows.
    `quality` is the data-quality account as plain data. Treat everything as read-only.
    """

    frame: pd.DataFrame
    file: str
    format: str
    digest: str
    rows_read: int
    rows_used: int
    rejected: Mapping[str, int] = field(default_factory=dict)
    lost_sign_ups: int = 0
    notices: tuple[Problem, ...] = ()
    is_sample: bool = False
    quality: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sign_ups(self) -> int:
        """Sessions that ended in a sign-up, among those used."""
        return int(self.frame["sign_up"].sum())

    @property
    def labels(self) -> tuple[str, ...]:
        """The label columns of the frame, channel first."""
        return tuple(name for name in (CHANNEL, *TOUCH_LABELS) if name in self.frame)
