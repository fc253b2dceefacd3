"""Files to checked tables of posts: the flow from a source to a `PostsTable`, every problem found in one pass.

Takes a path or a query, the wanted columns and a mapping; knows no model and no file format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from influbayes.errors import DataRefused, UsageError
from influbayes.tables.cells import BoolArray, FloatArray, TextColumn
from influbayes.tables.dates import DateArray, read_dates
from influbayes.tables.digest import digest_table
from influbayes.tables.fees import read_fees
from influbayes.tables.headers import Headers, find_columns
from influbayes.tables.labels import read_labels, read_outcome
from influbayes.tables.numbers import Kind, read_numbers
from influbayes.tables.posts import PostColumns, PostsTable
from influbayes.tables.problems import Problem, Unit, compose_problem, sort_problems
from influbayes.tables.records import Flaw, Records
from influbayes.tables.rows import (
    find_totals,
    judge_tiers,
    refuse_larger,
    reject_without_trials,
    warn_no_views,
    warn_repeats,
    warn_without_swipe,
)
from influbayes.tables.sales import SALES, judge_sales, read_sales
from influbayes.tables.sources import read_records

POST_ID, CREATOR, POST_DATE, FEE = "Post_ID", "Creator_ID", "Post_Date", "Fee"
VIEWS, SWIPES, TIER = "Story_Views", "Swipe_Ups", "Influencer_Tier"
KNOWN_COLUMNS = (POST_ID, CREATOR, POST_DATE, FEE, *SALES)
COUNT_COLUMNS = frozenset(("Story_Views", "Swipe_Ups", "reach", "likes", "comments"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """Which columns are looked for, and under which names."""

    columns: PostColumns
    mapping: Mapping[str, str]

    @property
    def optional(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.columns.optional_labels, *KNOWN_COLUMNS)))

    def find(self, header: Sequence[str], *, file: str = "", line: int = 1, unit: Unit = "line") -> Headers:
        """Where the columns are in a header."""
        standard = (*PostColumns().required, *COUNT_COLUMNS)
        names = {
            ours: theirs
            for ours, theirs in self.mapping.items()
            if ours in (*self.columns.required, *self.optional) or ours not in standard
        }
        return find_columns(
            header,
            self.columns.required,
            optional=self.optional,
            mapping=names,
            file=file,
            line=line,
            unit=unit,
        )


@dataclass(slots=True, kw_only=True)
class _Reading:
    """What has been read so far: columns as text, converted arrays, and everything there is to say."""

    records: Records
    columns: PostColumns
    texts: dict[str, TextColumn] = field(default_factory=dict)
    numbers: dict[str, FloatArray] = field(default_factory=dict)
    days: DateArray | None = None
    found: list[Problem] = field(default_factory=list)


def read_posts(
    source: str | Path,
    *,
    columns: PostColumns | None = None,
    mapping: Mapping[str, str] | None = None,
    today: date | None = None,
) -> PostsTable:
    """Return the checked table of posts of a CSV, TSV, Parquet or XLSX file, or of a query.

    Parameters
    ----------
    source
        Path of the file, or ``sql:FILE::SELECT ...`` for a DuckDB or SQLite file, which is only read. Of a text file
        encoding and delimiter are found out and said, and the first line holds the column names; of a workbook the
        only sheet with data is read. The size does not matter as long as the columns used fit in memory.
    columns
        Which columns are wanted and how each is read; the standard columns of posts unless told. Other columns of the
        file are passed over.
    mapping
        Our column name to the name in this file, for columns that are named differently there.
    today
        The day after which, with one day of slack, no post can have been made; the day of the clock unless told.

    Returns
    -------
    PostsTable
        One row a post that can be used, in file order, with `rows_read` = `rows_used` + `rejected`; `notices` says
        what was accepted or warned of. `format` is csv, tsv, parquet, xlsx or sql. The digest does not depend on the
        format, the order of rows or columns, the encoding, the delimiter or the line ends.

    Raises
    ------
    DataRefused
        The file cannot be used as it is; `problems` holds everything found, in line order.
    UsageError
        `columns` names neither an outcome nor successes and trials, or both.

    Examples
    --------
    >>> posts = read_posts("posts.csv", mapping={"Swipe_Ups": "link_clicks"})  # doctest: +SKIP
    """
    wanted = columns or PostColumns()
    _check_columns(wanted)
    search = _Wanted(columns=wanted, mapping=dict(mapping or {}))
    records = read_records(source, lambda header: set(search.find(header).positions.values()))
    reading = _Reading(records=records, columns=wanted)
    reading.found += [*records.notices, *records.problems]
    _locate_columns(reading, search)
    _convert_columns(reading, today or date.today())
    rejected = _check_rows(reading)
    _refuse_if_any(reading.found)
    return _finish(reading, rejected)


def _check_columns(columns: PostColumns) -> None:
    counted = columns.successes is not None and columns.trials is not None
    half = (columns.successes is None) != (columns.trials is None)
    if half or counted == (columns.outcome is not None):
        raise UsageError("Give either a 0/1 outcome column, or successes and trials.")


def _locate_columns(reading: _Reading, search: _Wanted) -> None:
    """Find the columns by header, leave flawed and total rows out, and take the cells of each column apart."""
    records, columns = reading.records, reading.columns
    headers = search.find(records.header, file=records.file, line=records.header_line, unit=records.unit)
    reading.found += [*headers.problems, *headers.notices]
    spoiled = _leave_out_flaws(reading, headers.positions)
    places = {name: place for name, place in headers.positions.items() if place not in spoiled}
    numeric = [places[name] for name in (*columns.outcomes, *columns.numeric, FEE, *SALES) if name in places]
    worded = [place for place in range(len(records.header)) if place not in numeric]
    totals, said = find_totals(reading.records, worded, numeric) if len(reading.records.lines) else (set(), [])
    reading.found += said
    _leave_out(reading, totals)
    for name, place in places.items():
        reading.texts[name] = reading.records.take_column(place, name)


def _leave_out_flaws(reading: _Reading, positions: Mapping[str, int]) -> set[int]:
    """Refuse the flaws of columns in use; leave their rows out, and return the columns that cannot be read at all."""
    names = {place: name for name, place in positions.items()}
    flaws = [flaw for flaw in reading.records.flaws if flaw.place in names]
    reading.found += [_report_flaw(reading.records, flaw, names[flaw.place]) for flaw in flaws]
    lines = {line for flaw in flaws for line in flaw.lines}
    if lines:
        _leave_out(reading, set(np.flatnonzero(np.isin(reading.records.lines, list(lines))).tolist()))
    return {flaw.place for flaw in flaws if not flaw.lines}


def _report_flaw(records: Records, flaw: Flaw, name: str) -> Problem:
    return compose_problem(
        flaw.code,
        "refuse",
        file=records.file,
        column=records.header[flaw.place].strip(),
        what=flaw.what,
        lines=flaw.lines,
        value=flaw.value,
        example=flaw.example,
        why=flaw.why,
        remedy=flaw.remedy.format(name=name),
        unit=records.unit,
    )


def _leave_out(reading: _Reading, rows: set[int]) -> None:
    if rows:
        kept = np.ones(len(reading.records.lines), dtype=np.bool_)
        kept[list(rows)] = False
        reading.records = reading.records.keep_rows(kept)


def _convert_columns(reading: _Reading, today: date) -> None:
    columns = reading.columns
    for name, text in reading.texts.items():
        if name == columns.outcome:
            reading.numbers[name], said = read_outcome(text)
        elif name in columns.outcomes:
            reading.numbers[name], said = read_numbers(text, kind="count", missing="IB-D21")
        elif name in columns.numeric:
            kind: Kind = "count" if name in COUNT_COLUMNS else "number"
            reading.numbers[name], said = read_numbers(text, kind=kind)
        elif name == FEE and name not in columns.labels:
            reading.numbers[name], said = read_fees(text)
        elif name in SALES and name not in columns.labels:
            reading.numbers[name], said = read_sales(text)
        elif name == POST_DATE and name not in columns.labels:
            reading.days, said = read_dates(text, today=today)
        else:
            is_id = name == POST_ID and name not in columns.labels
            reading.texts[name], said = read_labels(text, allow_empty=is_id)
        reading.found += said


def _check_rows(reading: _Reading) -> BoolArray:
    """Check across columns and rows; return the rows that are rejected."""
    texts, numbers, found = reading.texts, reading.numbers, reading.found
    found += warn_repeats(reading.records, texts.get(POST_ID))
    views, swipes, tiers = texts.get(VIEWS), texts.get(SWIPES), texts.get(TIER)
    if views and swipes and VIEWS in numbers and SWIPES in numbers:
        why = "A post cannot have more swipe-ups than views."
        found += refuse_larger(swipes, views, numbers[SWIPES] > numbers[VIEWS], why=why)
    if views and VIEWS in numbers:
        found += warn_no_views(views, numbers[VIEWS])
    outcome = reading.columns.outcome or reading.columns.successes or ""
    if swipes and SWIPES in numbers and outcome in numbers:
        found += warn_without_swipe(swipes, numbers[outcome], numbers[SWIPES], tiers)
    for name in SALES:
        if name in texts and name in numbers and outcome in numbers and name not in reading.columns.required:
            found += judge_sales(texts[name], numbers[name], texts[outcome], numbers[outcome])
    if tiers and CREATOR in texts and TIER not in numbers:
        found += judge_tiers(texts[CREATOR], tiers, reading.days)
    return _check_trials(reading)


def _check_trials(reading: _Reading) -> BoolArray:
    successes, trials = reading.columns.successes, reading.columns.trials
    none = np.zeros(len(reading.records.lines), dtype=np.bool_)
    if successes is None or trials is None or not {successes, trials} <= reading.numbers.keys():
        return none
    numbers, texts = reading.numbers, reading.texts
    larger = numbers[successes] > numbers[trials]
    why = "There cannot be more successes than trials."
    reading.found += refuse_larger(texts[successes], texts[trials], larger, why=why)
    rejected, said = reject_without_trials(texts[trials], numbers[trials])
    reading.found += said
    return rejected


def _refuse_if_any(found: list[Problem]) -> None:
    refused = [problem for problem in found if problem.rule == "refuse"]
    if refused:
        raise DataRefused(sort_problems(refused))


def _finish(reading: _Reading, rejected: BoolArray) -> PostsTable:
    frame = _make_frame(reading).loc[~rejected].reset_index(drop=True)
    return PostsTable(
        frame=frame,
        columns=reading.columns,
        file=reading.records.file,
        format=reading.records.format,
        digest=digest_table(frame),
        rows_read=len(rejected),
        rejected={"0 trials": int(rejected.sum())} if rejected.any() else {},
        notices=sort_problems(problem for problem in reading.found if problem.rule != "refuse"),
    )


def _make_frame(reading: _Reading) -> pd.DataFrame:
    columns, numbers = reading.columns, reading.numbers
    series: dict[str, pd.Series] = {}
    for name in (*KNOWN_COLUMNS, *columns.numeric, *columns.labels, *columns.optional_labels):
        if name in series or name not in reading.texts:
            continue
        if name in numbers:
            series[name] = pd.Series(numbers[name], dtype=np.float64)
        elif name == POST_DATE and reading.days is not None:
            series[name] = pd.Series(reading.days)
        else:
            text = reading.texts[name]
            series[name] = pd.Series(np.array([*text.values, ""], dtype=object)[text.codes], dtype="str")
    bought = columns.outcome or columns.successes or ""
    ones = np.ones(len(numbers[bought]))
    series["conversions"] = pd.Series(numbers[bought].astype(np.int64))
    series["trials"] = pd.Series((numbers[columns.trials] if columns.trials else ones).astype(np.int64))
    series["line"] = pd.Series(reading.records.lines)
    return pd.DataFrame(series)
