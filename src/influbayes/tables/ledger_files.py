"""One file of a ledger to typed columns: which columns each of the four tables has and how its cells are read.

Takes a path and the name of the table; knows no other table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from influbayes.tables.cells import FloatArray, IntArray, TextColumn
from influbayes.tables.clocks import read_clocks
from influbayes.tables.dates import read_dates
from influbayes.tables.headers import Headers, find_columns
from influbayes.tables.labels import clean_label, read_labels
from influbayes.tables.numbers import read_numbers
from influbayes.tables.problems import Problem, Unit
from influbayes.tables.records import Records
from influbayes.tables.refusals import set_flaws_aside
from influbayes.tables.rows import find_totals, warn_repeats
from influbayes.tables.sources import read_records

Reading = Literal["id", "blank_id", "label", "blank_label", "count", "money", "date", "group"]

TABLES: Mapping[str, Mapping[str, Reading]] = {
    "influencers": {
        "id": "id",
        "name": "blank_label",
        "category": "label",
        "gender": "label",
        "follower_count": "count",
        "platform": "label",
        "influencer_type": "label",
    },
    "posts": {
        "influencer_id": "id",
        "platform": "label",
        "date": "date",
        "url": "blank_label",
        "reach": "count",
        "likes": "count",
        "comments": "count",
    },
    "tracking_data": {
        "source": "label",
        "campaign": "label",
        "influencer_id": "blank_id",
        "user_id": "id",
        "product": "blank_label",
        "date": "date",
        "orders": "count",
        "revenue": "money",
        "group": "group",
    },
    "payouts": {"influencer_id": "id", "basis": "label", "rate": "money", "orders": "count", "total_payout": "money"},
}
OPTIONAL: Mapping[str, tuple[str, ...]] = {"posts": ("caption",)}
GROUP_WORDS = {"0": 0.0, "0.0": 0.0, "control": 0.0, "1": 1.0, "1.0": 1.0, "exposed": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """Under which names the columns of one table are looked for."""

    name: str
    mapping: Mapping[str, str]

    def find(self, header: Sequence[str], *, file: str = "", line: int = 1, unit: Unit = "line") -> Headers:
        """Where the columns are in a header."""
        wanted, optional = tuple(TABLES[self.name]), OPTIONAL.get(self.name, ())
        return find_columns(header, wanted, optional=optional, mapping=self.mapping, file=file, line=line, unit=unit)

    def place(self, headers: Headers) -> dict[str, int]:
        """Where those columns are that are read; an optional one is only known, so that it is not taken for another."""
        return {name: place for name, place in headers.positions.items() if name in TABLES[self.name]}


@dataclass(slots=True, kw_only=True)
class RawTable:
    """One table as read: text columns for messages, the typed frame, and everything there is to say."""

    name: str
    file: str
    rows_read: int
    texts: dict[str, TextColumn] = field(default_factory=dict)
    frame: pd.DataFrame = field(default_factory=pd.DataFrame)
    found: list[Problem] = field(default_factory=list)
    has_clock: bool = False


def read_table(path: Path, name: str, *, mapping: Mapping[str, str], today: date) -> RawTable:
    """Return one table of a ledger with its problems; the frame is empty where a column is missing."""
    search = _Search(name=name, mapping=mapping)
    records = read_records(path, lambda header: set(search.place(search.find(header)).values()))
    headers = search.find(records.header, file=records.file, line=records.header_line, unit=records.unit)
    table = RawTable(name=name, file=records.file, rows_read=len(records.lines))
    table.found += [*records.notices, *records.problems, *headers.problems, *headers.notices]
    records, places, refused = set_flaws_aside(records, search.place(headers))
    table.found += refused
    records = _leave_totals_out(table, records, places)
    table.found += _say_repeats(records, name)
    for column, place in places.items():
        table.texts[column] = records.take_column(place, column)
    _convert(table, TABLES[name], records.lines, today)
    return table


def _leave_totals_out(table: RawTable, records: Records, places: Mapping[str, int]) -> Records:
    """Leave rows out that are the sum of the others; they are refused."""
    if not len(records.lines):
        return records
    numeric = [place for column, place in places.items() if TABLES[table.name][column] in ("count", "money")]
    totals, said = find_totals(records, [i for i in range(len(records.header)) if i not in numeric], numeric)
    table.found += said
    kept = np.ones(len(records.lines), dtype=np.bool_)
    kept[list(totals)] = False
    return records.keep_rows(kept)


def _say_repeats(records: Records, name: str) -> list[Problem]:
    """Say which rows of orders and payouts stand twice; none is removed."""
    return warn_repeats(records, None) if name in ("tracking_data", "payouts") else []


def _convert(table: RawTable, kinds: Mapping[str, Reading], lines: IntArray, today: date) -> None:
    series: dict[str, pd.Series] = {}
    for column, text in list(table.texts.items()):
        series["day" if kinds[column] == "date" else column] = _read_column(table, text, kinds[column], today)
    if len(series) == len(kinds):
        table.frame = pd.DataFrame({**series, "line": lines})


def _read_column(table: RawTable, text: TextColumn, kind: Reading, today: date) -> pd.Series:
    said: list[Problem]
    if kind == "date":
        days, said = read_dates(text, today=today)
        clocks = read_clocks(text)
        table.has_clock = clocks is not None
        made = pd.Series(days if clocks is None else days + clocks)
        said = [_refuse_no_date(problem) for problem in said]
    elif kind == "group":
        numbers, said = read_groups(text)
        made = pd.Series(np.nan_to_num(numbers).astype(np.int64))
    elif kind in ("count", "money"):
        numbers, said = read_numbers(text, kind="count" if kind == "count" else "money")
        made = pd.Series(np.nan_to_num(numbers).astype(np.int64) if kind == "count" else numbers)
    else:
        text, said = _read_text(text, kind)
        table.texts[text.name] = text
        made = pd.Series(np.array([*text.values, ""], dtype=object)[text.codes], dtype="str")
    table.found += said
    return made


def _read_text(text: TextColumn, kind: Reading) -> tuple[TextColumn, list[Problem]]:
    """Read labels; ids are not compared for spelling here (IB-D43 looks at those of all tables together)."""
    cleaned, said = read_labels(text, allow_empty=kind != "label")
    if kind == "id":
        empty = cleaned.mark_rows([not value for value in cleaned.values])
        if empty.any():
            why = "A row without an id belongs to nobody."
            said.append(cleaned.report("IB-D22", "refuse", empty, what="empty id", why=why, remedy="Write the id."))
    return cleaned, said


def _refuse_no_date(problem: Problem) -> Problem:
    """In a ledger every row needs its day: an empty date, only warned of in a table of posts, is refused here."""
    if problem.rule != "warn":
        return problem
    message = problem.message.replace("; the posts are kept", "")
    why = "Without its day a row cannot be placed before or after a post. Write the date. Nothing was fitted."
    return replace(problem, rule="refuse", message=f"{message} {why}")


def read_groups(column: TextColumn) -> tuple[FloatArray, list[Problem]]:
    """Return 0 (control) or 1 (exposed) a row, NaN where refused; the words control and exposed are read too."""
    words = [clean_label(value).casefold() for value in column.values]
    known = np.array([GROUP_WORDS.get(word, np.nan) for word in words])
    bad = np.isnan(known)
    problems: list[Problem] = []
    if bad.any():
        why = "Which users were exposed decides every return."
        remedy = "Write 0 for control and 1 for exposed."
        what = "neither 0 (control) nor 1 (exposed)"
        problems.append(column.report("IB-D33", "refuse", column.mark_rows(bad), what=what, why=why, remedy=remedy))
    spelled = column.mark_rows([word in ("control", "exposed") for word in words])
    if spelled.any():
        what = "read as control = 0, exposed = 1"
        problems.append(column.report("IB-D33", "accept", spelled, what=what, example=""))
    return known[column.codes], problems
