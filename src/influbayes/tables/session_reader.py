"""Files to checked tables of sessions: the flow from bytes to a `SessionsTable`, every problem found in one pass.

Takes a path and a mapping; knows no rule of attribution and no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from influbayes.errors import DataRefused
from influbayes.tables.cells import BoolArray, FloatArray, IntArray, TextColumn
from influbayes.tables.dates import DateArray
from influbayes.tables.digest import digest_table
from influbayes.tables.headers import Headers, find_columns
from influbayes.tables.labels import read_labels, read_outcome
from influbayes.tables.numbers import read_numbers
from influbayes.tables.problems import Problem, Unit, sort_problems
from influbayes.tables.records import Records
from influbayes.tables.refusals import refuse_if_any, set_flaws_aside
from influbayes.tables.session_quality import account_quality
from influbayes.tables.session_rows import (
    Clock,
    judge_clocks,
    note_missing_labels,
    note_order,
    refuse_nothing_to_share,
    refuse_two_owners,
    reject_without_user,
    warn_early_sign_ups,
    warn_shared_users,
)
from influbayes.tables.session_times import read_times
from influbayes.tables.sessions import (
    CHANNEL,
    END,
    EVENT,
    MISSING,
    OPTIONAL,
    REQUIRED,
    REVENUE,
    SESSION,
    SIGN_UP,
    START,
    TIMES,
    TOUCH_LABELS,
    USER,
    SessionsTable,
)
from influbayes.tables.sources import read_records

NO_USER = "no user"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """Under which names the columns are looked for."""

    mapping: Mapping[str, str]

    def find(self, header: Sequence[str], *, file: str = "", line: int = 1, unit: Unit = "line") -> Headers:
        """Where the columns are in a header."""
        return find_columns(header, REQUIRED, optional=OPTIONAL, mapping=self.mapping, file=file, line=line, unit=unit)


@dataclass(slots=True, kw_only=True)
class _Reading:
    """What has been read so far: columns as text, converted arrays, and everything there is to say."""

    records: Records
    texts: dict[str, TextColumn] = field(default_factory=dict)
    times: dict[str, DateArray] = field(default_factory=dict)
    sign_ups: IntArray | None = None
    revenue: FloatArray | None = None
    found: list[Problem] = field(default_factory=list)


def read_sessions(source: str | Path, *, mapping: Mapping[str, str] | None = None) -> SessionsTable:
    """Return the checked table of sessions of a CSV, TSV, Parquet or XLSX file, or of a query.

    Parameters
    ----------
    source
        Path of the file, or ``sql:FILE::SELECT ...``. Needed columns: session_id, user_id, event_ts, channel_id,
        Sign_up; used where present: session_start_ts, session_end_ts, event_name, utm_source, utm_content,
        utm_medium, utm_campaign, utm_term, page, referrer, country, revenue.
    mapping
        Our column name to the name in this file.

    Returns
    -------
    SessionsTable
        One row a session; `rows_read` = `rows_used` + `rejected`; missing labels are the level ``(missing)``.

    Raises
    ------
    DataRefused
        The file cannot be used as it is; `problems` holds everything found, in line order.

    Examples
    --------
    >>> sessions = read_sessions("sessions.csv", mapping={"channel_id": "channel"})  # doctest: +SKIP
    """
    search = _Search(mapping=dict(mapping or {}))
    records = read_records(source, lambda header: set(search.find(header).positions.values()))
    reading = _Reading(records=records, found=[*records.notices, *records.problems])
    _locate_columns(reading, search)
    refuse_if_any(reading.found)
    _convert_columns(reading)
    refuse_if_any(reading.found)
    rejected = _check_rows(reading)
    refuse_if_any(reading.found)
    return _finish(reading, rejected)


def _locate_columns(reading: _Reading, search: _Search) -> None:
    """Find the columns by header and take the cells of each apart; flaws of columns in use are refused."""
    records = reading.records
    headers = search.find(records.header, file=records.file, line=records.header_line, unit=records.unit)
    reading.found += [*headers.problems, *headers.notices]
    reading.records, places, refused = set_flaws_aside(records, headers.positions)
    reading.found += refused
    for name, place in places.items():
        reading.texts[name] = reading.records.take_column(place, name)


def _convert_columns(reading: _Reading) -> None:
    for name, text in reading.texts.items():
        if name in TIMES:
            reading.times[name], said = read_times(text, allow_empty=name != EVENT)
        elif name == SIGN_UP:
            outcome, said = read_outcome(text)
            reading.sign_ups = np.nan_to_num(outcome).astype(np.int64)
            said = [replace(problem, message=problem.message.replace("purchase", "sign-up")) for problem in said]
        elif name == REVENUE:
            numbers, said = read_numbers(text, kind="money", missing="")
            reading.revenue = np.nan_to_num(numbers)
        elif name in (SESSION, USER):
            reading.texts[name], said = read_labels(text, allow_empty=name == USER)
        else:
            reading.texts[name], said = _read_touch_labels(text)
        reading.found += said


def _read_touch_labels(text: TextColumn) -> tuple[TextColumn, list[Problem]]:
    """Read labels of which an empty one is the level (missing)."""
    filled = replace(text, values=tuple(value if value.strip() else MISSING for value in text.values))
    labels, said = read_labels(filled)
    return labels, said + note_missing_labels(labels)


def _check_rows(reading: _Reading) -> BoolArray:
    texts, sign_ups = reading.texts, _known(reading.sign_ups)
    clock = _make_clock(reading)
    found = reading.found
    rejected, said = reject_without_user(texts[USER], sign_ups)
    found += said
    used = ~rejected
    found += judge_clocks(clock)
    found += refuse_two_owners(texts[SESSION], texts[USER])
    found += refuse_two_owners(texts[SESSION], texts[CHANNEL])
    found += warn_shared_users(texts[USER], used)
    found += refuse_nothing_to_share(reading.records.file, texts[CHANNEL], used, int(sign_ups[used].sum()))
    return rejected


def _make_clock(reading: _Reading) -> Clock:
    """Return the times; a session without a start began with its event, one without an end has no length."""
    event = reading.times[EVENT]
    start = reading.times.get(START, event)
    start = np.where(np.isnat(start), event, start)
    end = reading.times.get(END, np.full(len(event), np.datetime64("NaT", "s")))
    column = reading.texts.get(END if END in reading.texts else EVENT, reading.texts[EVENT])
    return Clock(column=column, event=event, start=start, end=end)


def _finish(reading: _Reading, rejected: BoolArray) -> SessionsTable:
    rows = _make_frame(reading).loc[~rejected]
    frame = _merge_rows(rows)
    reading.found += _note_journeys(reading, rejected)
    records, sign_ups = reading.records, _known(reading.sign_ups)
    return SessionsTable(
        frame=frame,
        file=records.file,
        format=records.format,
        digest=digest_sessions(frame),
        rows_read=len(rejected),
        rows_used=len(rows),
        rejected={NO_USER: int(rejected.sum())} if rejected.any() else {},
        lost_sign_ups=int(sign_ups[rejected].sum()),
        notices=sort_problems(problem for problem in reading.found if problem.rule != "refuse"),
        quality=account_quality(frame),
    )


def _note_journeys(reading: _Reading, rejected: BoolArray) -> list[Problem]:
    """Say what needs users: later sign-ups, ties, sign-ups before the first touch."""
    used = ~rejected
    users = pd.factorize(reading.texts[USER].codes[used])[0].astype(np.int64)
    clock, sign_ups = _make_clock(reading), _known(reading.sign_ups)[used]
    part = Clock(
        column=_take_rows(reading.texts[EVENT], used),
        event=clock.event[used],
        start=clock.start[used],
        end=clock.end[used],
    )
    first = pd.Series(part.start).groupby(users).transform("min").to_numpy("datetime64[s]")
    said = note_order(users, part.column, part.event, sign_ups) + warn_early_sign_ups(part, first, sign_ups)
    return said + _note_merged(_take_rows(reading.texts[SESSION], used))


def _note_merged(sessions: TextColumn) -> list[Problem]:
    repeats = pd.Series(sessions.codes).duplicated().to_numpy(np.bool_)
    if not repeats.any():
        return []
    what = "further events of a session already seen, joined to it: one session is one touch,"
    return [sessions.report("IB-D56", "accept", repeats, what=what, example="")]


def _take_rows(column: TextColumn, used: BoolArray) -> TextColumn:
    return replace(column, codes=column.codes[used], lines=column.lines[used])


def _make_frame(reading: _Reading) -> pd.DataFrame:
    clock = _make_clock(reading)
    series: dict[str, pd.Series] = {}
    for name in (SESSION, USER, CHANNEL, *TOUCH_LABELS):
        if name in reading.texts:
            text = reading.texts[name]
            series[name] = pd.Series(np.array([*text.values, ""], dtype=object)[text.codes], dtype="str")
    series[EVENT], series[START], series[END] = pd.Series(clock.event), pd.Series(clock.start), pd.Series(clock.end)
    series["minutes"] = pd.Series((clock.end - clock.start) / np.timedelta64(1, "m"))
    series["sign_up"] = pd.Series(_known(reading.sign_ups))
    if reading.revenue is not None:
        series[REVENUE] = pd.Series(reading.revenue)
    series["line"] = pd.Series(np.asarray(reading.records.lines, dtype=np.int64))
    return pd.DataFrame(series)


def _merge_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Join several rows of one session: the row with the sign-up tells its time, sums of revenue are kept."""
    if not frame[SESSION].duplicated().any():
        return frame.reset_index(drop=True)
    ordered = frame.sort_values(["sign_up", EVENT, "line"], ascending=[False, True, True], kind="stable")
    merged = ordered.drop_duplicates(SESSION).sort_values("line", kind="stable").set_index(SESSION, drop=False)
    groups = frame.groupby(SESSION)
    merged[START], merged[END] = groups[START].min(), groups[END].max()
    merged["minutes"] = (merged[END] - merged[START]).dt.total_seconds() / 60
    if REVENUE in frame:
        merged[REVENUE] = groups[REVENUE].sum()
    return merged.reset_index(drop=True)


def digest_sessions(frame: pd.DataFrame) -> str:
    """Return the digest of a session frame; times enter to the second, not to the day."""
    texts = {name: frame[name].astype("datetime64[s]").astype("int64") for name in TIMES}
    return digest_table(frame.drop(columns=[*TIMES, "minutes"]).assign(**texts))


def _known(array: IntArray | None) -> IntArray:
    """Columns that are required were found, or the file was refused before this is asked."""
    if array is None:
        raise DataRefused([])
    return array
