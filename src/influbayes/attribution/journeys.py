"""Sessions or written paths to journeys: the touches of a person up to a sign-up, or up to the last one seen.

Takes a `SessionsTable` (DuckDB does the window work) or a list of paths; makes `Journeys`, flat arrays that every rule
reads. Knows no rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from influbayes.errors import UsageError
from influbayes.tables.sessions import CHANNEL, EVENT, REVENUE, SESSION, START, USER, SessionsTable

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
SignUps = Literal["first", "each"]

LOOKBACK_DAYS = 90.0
# Touches are ordered by event_ts, then session start, then session id. A touch counts where its session had begun at
# the time of the sign-up and it lies inside the window before it (before the last touch, where nobody signed up).
_JOURNEYS = """
with ordered as (
    select *, coalesce(sum(sign_up) over (
        partition by person order by moment, start, id rows between unbounded preceding and 1 preceding), 0) as earlier
    from sessions
), kept as (
    select * from ordered where $repeat or earlier = 0
), ended as (
    select *,
        max(sign_up) over journey as converted,
        max(moment) over journey as ended,
        max(case when sign_up = 1 then value end) over journey as gained
    from kept window journey as (partition by person, earlier)
), touched as (
    select *, start <= ended and moment >= ended - $window as counts from ended
)
select person, earlier, converted, coalesce(gained, 0) as gained, channel, id, counts,
    (ended - moment) / 3600.0 as hours
from touched order by person, earlier, moment, start, id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Journeys:
    """Journeys in flat arrays; touch t belongs to journey `journey[t]`, touches in order of time.

    `channel` (touches,) index into `channels`; `hours` (touches,) from the touch to the end of its journey;
    `row` (touches,) row of the session table, -1 for written paths. Per journey: `person` index of the user,
    `conversions` and `nulls` how often it ended in a sign-up and how often not, `value` revenue. `uncredited` names
    sign-ups that no touch can be credited with, by reason; credited + uncredited = all sign-ups.
    """

    channels: tuple[str, ...]
    journey: IntArray
    channel: IntArray
    hours: FloatArray
    row: IntArray
    person: IntArray
    conversions: FloatArray
    nulls: FloatArray
    value: FloatArray
    persons: int
    uncredited: Mapping[str, int] = field(default_factory=dict)
    lookback_days: float = LOOKBACK_DAYS

    def __len__(self) -> int:
        return len(self.conversions)

    @property
    def lengths(self) -> IntArray:
        """Touches of each journey, at least 1."""
        return np.bincount(self.journey, minlength=len(self)).astype(np.int64)

    @property
    def starts(self) -> IntArray:
        """Index of the first touch of each journey."""
        return np.concatenate([[0], np.cumsum(self.lengths)[:-1]]).astype(np.int64)

    @property
    def credited(self) -> float:
        """Sign-ups that are shared out: what every rule's credits sum to."""
        return float(self.conversions.sum())


def build_journeys(
    sessions: SessionsTable,
    *,
    by: str = CHANNEL,
    lookback_days: float = LOOKBACK_DAYS,
    sign_ups: SignUps = "first",
) -> Journeys:
    """Return the journeys of a table of sessions over the levels of one label column.

    Parameters
    ----------
    sessions : SessionsTable
    by : str
        The label column whose levels are credited; the channel unless told.
    lookback_days : float
        Touches longer ago than this before the end of a journey do not count. Default 90.
    sign_ups : {"first", "each"}
        "first": a person's first sign-up ends the journey, later sign-ups are counted as uncredited. "each": every
        sign-up ends a journey and the next one begins after it.

    Returns
    -------
    Journeys
        The session that signed up is the last touch. `uncredited` holds sign-ups dated before any touch, and later
        ones.

    Raises
    ------
    UsageError
        The table has no such column, or the window is not above 0.
    """
    _check_journeys(sessions, by, lookback_days)
    channels = tuple(sorted(sessions.frame[by].unique()))
    table = _run_windows(sessions, channels, by, lookback_days, repeat=sign_ups == "each")
    return _collect(table, channels, sessions, lookback_days)


def _check_journeys(sessions: SessionsTable, by: str, lookback_days: float) -> None:
    if by not in sessions.labels:
        raise UsageError(f"{sessions.file} has no label column {by!r}. It has {', '.join(sessions.labels)}.")
    if not lookback_days > 0:
        raise UsageError(f"A lookback window of {lookback_days:g} days holds no touch. Give more than 0.")


def _run_windows(
    sessions: SessionsTable, channels: Sequence[str], by: str, lookback_days: float, *, repeat: bool
) -> dict[str, npt.NDArray[Any]]:
    import duckdb

    rows = _number_rows(sessions.frame, channels, by)
    with duckdb.connect(":memory:") as connection:
        connection.register("sessions", rows)
        window = round(lookback_days * 86_400)
        found = connection.execute(_JOURNEYS, {"repeat": repeat, "window": window}).fetchnumpy()
    return {name: np.asarray(values) for name, values in found.items()}


def _number_rows(frame: pd.DataFrame, channels: Sequence[str], by: str) -> pd.DataFrame:
    """Return sessions as numbers: people and channels as codes in sorted order, times in seconds."""
    # Ids are put in the order of their text, so that ties do not depend on the order of rows.
    ranks = np.empty(len(frame), dtype=np.int64)
    ranks[np.argsort(frame[SESSION].to_numpy(object), kind="stable")] = np.arange(len(frame))
    return pd.DataFrame(
        {
            "person": pd.factorize(frame[USER], sort=True)[0].astype(np.int64),
            "moment": frame[EVENT].to_numpy("datetime64[s]").astype(np.int64),
            "start": frame[START].to_numpy("datetime64[s]").astype(np.int64),
            "id": ranks,
            "channel": pd.Index(channels).get_indexer(pd.Index(frame[by])).astype(np.int64),
            "sign_up": frame["sign_up"].to_numpy(np.int64),
            "value": frame[REVENUE].to_numpy(np.float64) if REVENUE in frame else np.zeros(len(frame)),
        }
    )


def _collect(
    table: Mapping[str, npt.NDArray[Any]], channels: tuple[str, ...], sessions: SessionsTable, lookback_days: float
) -> Journeys:
    order = np.argsort(sessions.frame[SESSION].to_numpy(object), kind="stable")
    counts = table["counts"].astype(np.bool_)
    person = table["person"].astype(np.int64)[counts]
    converted = table["converted"].astype(np.int64)[counts]
    earlier = table["earlier"].astype(np.int64)[counts]
    hours = table["hours"].astype(np.float64)[counts]
    new = np.ones(len(person), dtype=np.bool_)
    new[1:] = (np.diff(person) != 0) | (np.diff(earlier) != 0)
    journey = np.cumsum(new) - 1
    first = np.flatnonzero(new)
    ends = converted[first].astype(np.float64)
    touched = int(ends.sum())
    return Journeys(
        channels=channels,
        journey=journey.astype(np.int64),
        channel=table["channel"].astype(np.int64)[counts],
        hours=hours,
        row=order[table["id"].astype(np.int64)[counts]],
        person=person[first],
        conversions=ends,
        nulls=1.0 - ends,
        value=table["gained"].astype(np.float64)[counts][first],
        persons=int(sessions.frame[USER].nunique()),
        uncredited=_count_uncredited(table, counts, sessions.sign_ups, touched),
        lookback_days=lookback_days,
    )


def _count_uncredited(
    table: Mapping[str, npt.NDArray[Any]], counts: npt.NDArray[np.bool_], sign_ups: int, credited: int
) -> dict[str, int]:
    """Say why sign-ups are not shared out: no touch before them, or later than the one that ended the journey."""
    signed = table["converted"].astype(np.bool_)
    journey = table["person"].astype(np.int64) * (sign_ups + 1) + table["earlier"].astype(np.int64)
    untouched = int(np.setdiff1d(journey[signed], journey[signed & counts]).size)
    later = sign_ups - credited - untouched
    found = {"no touch before the sign-up": untouched, "later sign-up of the same user": later}
    return {reason: count for reason, count in found.items() if count}


def make_journeys(
    paths: Sequence[Sequence[str]],
    *,
    conversions: Sequence[float],
    nulls: Sequence[float] | None = None,
    values: Sequence[float] | None = None,
    hours_apart: float = 24.0,
) -> Journeys:
    """Return journeys of written paths, each with how often it ended in a conversion and how often not.

    Parameters
    ----------
    paths : sequence of sequences of str
        Channels in order of time, at least one each.
    conversions, nulls, values : sequences of float
        Per path; nulls and values are 0 unless told.
    hours_apart : float
        Hours between touches, for rules that look at time.

    Raises
    ------
    UsageError
        A path without a touch, or lengths that differ.

    Examples
    --------
    >>> make_journeys([["a", "b"]], conversions=[3]).channels
    ('a', 'b')
    """
    lengths = np.array([len(path) for path in paths], dtype=np.int64)
    if len(conversions) != len(paths) or (lengths == 0).any():
        raise UsageError("Every path needs at least one touch and one count of conversions.")
    channels = tuple(sorted({channel for path in paths for channel in path}))
    index = {channel: code for code, channel in enumerate(channels)}
    journey = np.repeat(np.arange(len(paths)), lengths)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    place = np.arange(len(journey)) - starts[journey]
    return Journeys(
        channels=channels,
        journey=journey,
        channel=np.array([index[channel] for path in paths for channel in path], dtype=np.int64),
        hours=hours_apart * (lengths[journey] - 1 - place),
        row=np.full(len(journey), -1, dtype=np.int64),
        person=np.arange(len(paths)),
        conversions=np.asarray(conversions, dtype=np.float64),
        nulls=np.zeros(len(paths)) if nulls is None else np.asarray(nulls, dtype=np.float64),
        value=np.zeros(len(paths)) if values is None else np.asarray(values, dtype=np.float64),
        persons=len(paths),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JourneySummary:
    """Journeys that ended in a sign-up: touches, days, share with one touch; roles of each channel.

    `roles` channel -> how many of these journeys it opens, closes, and assists (stands in without closing).
    """

    journeys: int
    converted: float
    mean_touches: float
    median_days: float
    share_one_touch: float
    roles: Mapping[str, Mapping[str, float]]


def summarise_journeys(journeys: Journeys) -> JourneySummary:
    """Return how long converted journeys are and which channels open, assist and close them."""
    weight, lengths = journeys.conversions, journeys.lengths
    total = max(float(weight.sum()), 1e-300)
    days = np.maximum.reduceat(journeys.hours, journeys.starts) / 24
    with_sign_up = np.repeat(days, np.minimum(weight, 1).astype(np.int64))
    return JourneySummary(
        journeys=len(journeys),
        converted=float(weight.sum()),
        mean_touches=float(weight @ lengths / total),
        median_days=float(np.median(with_sign_up)) if len(with_sign_up) else float("nan"),
        share_one_touch=float(weight[lengths == 1].sum() / total),
        roles=_count_roles(journeys),
    )


def _count_roles(journeys: Journeys) -> dict[str, dict[str, float]]:
    weight, starts = journeys.conversions, journeys.starts
    ends = starts + journeys.lengths - 1
    size = len(journeys.channels)
    opens = np.bincount(journeys.channel[starts], weight, size)
    closes = np.bincount(journeys.channel[ends], weight, size)
    inside = np.unique(journeys.journey * size + journeys.channel)
    closing = np.arange(len(journeys)) * size + journeys.channel[ends]
    assists_codes = np.setdiff1d(inside, closing, assume_unique=True)
    assists = np.bincount(assists_codes % size, weight[assists_codes // size], size)
    return {
        name: {"opens": float(opens[code]), "assists": float(assists[code]), "closes": float(closes[code])}
        for code, name in enumerate(journeys.channels)
    }
