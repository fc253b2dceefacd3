"""Cells to dates: ISO, spreadsheet serials, or day/month/year in the one order that fits; nothing is guessed.

Takes a text column and today's date; knows no other column.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from influbayes.tables.cells import TextColumn
from influbayes.tables.problems import Problem

DateArray = NDArray[np.datetime64]

CLOCK = r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?(?: ?[AaPp][Mm])?"
ZONE = r"(?P<zone> ?(?:Z|z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?))"
TIME = rf"(?:[T ]+{CLOCK}{ZONE}?)?"
ISO = re.compile(r"(?P<year>[0-9]{4})(?P<mark>[-/.])(?P<month>[0-9]{1,2})(?P=mark)(?P<day>[0-9]{1,2})" + TIME)
NUMBERS = re.compile(r"(?P<first>[0-9]{1,2})(?P<mark>[-/.])(?P<second>[0-9]{1,2})(?P=mark)(?P<year>[0-9]{4})" + TIME)
SERIAL = re.compile(r"(?P<serial>[0-9]{5})(?:\.[0-9]+)?")
SERIAL_START = date(1899, 12, 30)  # day 0 of Excel and LibreOffice
SERIAL_RANGE = (25569, 73050)  # 1970 to 2099; other five-digit numbers are no dates
SLACK = timedelta(days=1)  # time zones: a post of this evening may be one of tomorrow elsewhere


@dataclass(frozen=True, slots=True, kw_only=True)
class _Format:
    """A way to write dates: `name` for messages, `read` returns the date or None."""

    name: str
    read: Callable[[str], date | None]


def read_dates(column: TextColumn, *, today: date) -> tuple[DateArray, list[Problem]]:
    """Return the day of each row as written (datetime64[s], NaT where empty or refused) and what was found.

    Refused: no date or more than one way of writing it, or day and month that cannot be told apart (IB-D31), an offset
    from UTC on some rows only (IB-D32), a day after `today` and one day of slack (IB-D39). Empty cells are warned of.
    """
    texts = [" ".join(value.split()) for value in column.values]
    chosen = _choose_format(texts)
    if chosen is None:
        return _refuse_all(column, texts)
    days = [chosen.read(text) if text else None for text in texts]
    problems = _judge_dates(column, texts, days, today) + _note_format(column, texts, chosen)
    late = [day is not None and day > today + SLACK for day in days]
    known = [
        np.datetime64("NaT", "s") if day is None or bad else np.datetime64(day, "s")
        for day, bad in zip(days, late, strict=True)
    ]
    return np.array(known, dtype="datetime64[s]")[column.codes], problems


def _choose_format(texts: Sequence[str]) -> _Format | None:
    """The format most cells fit; None if day and month cannot be told apart."""
    formats = (ISO_DATES, SERIAL_NUMBERS)
    filled = [text for text in texts if text]
    fits = {found.name: sum(found.read(text) is not None for text in filled) for found in formats}
    orders = sum(NUMBERS.fullmatch(text) is not None for text in filled)
    best = max(formats, key=lambda found: fits[found.name])
    if fits[best.name] >= orders:
        return best
    day_first = [text for text in filled if _read_ordered(text, day_first=True) is not None]
    month_first = [text for text in filled if _read_ordered(text, day_first=False) is not None]
    if len(day_first) == len(month_first):
        return None
    return DAY_FIRST if len(day_first) > len(month_first) else MONTH_FIRST


def _refuse_all(column: TextColumn, texts: Sequence[str]) -> tuple[DateArray, list[Problem]]:
    flags = [NUMBERS.fullmatch(text) is not None for text in texts]
    problem = column.report(
        "IB-D31",
        "refuse",
        column.mark_rows(flags),
        what="day or month first? Both fit, or each some of the rows,",
        why="A wrong order moves posts by months.",
        remedy="Write the dates as year-month-day, for example 2026-04-03.",
    )
    return np.full(len(column.codes), np.datetime64("NaT", "s"), dtype="datetime64[s]"), [problem]


def _judge_dates(column: TextColumn, texts: Sequence[str], days: Sequence[date | None], today: date) -> list[Problem]:
    found: list[Problem] = []
    strange = [bool(text) and day is None for text, day in zip(texts, days, strict=True)]
    empty = [not text for text in texts]
    late = [day is not None and day > today + SLACK for day in days]
    if any(strange):
        what, why = "not a date, or not written like the others", "A date that is guessed may be off by months."
        remedy = "Write the dates as year-month-day, for example 2026-04-03; rename the column if it holds no dates."
        rows = column.mark_rows(strange)
        found.append(column.report("IB-D31", "refuse", rows, what=what, why=why, remedy=remedy))
    if any(empty):
        rows = column.mark_rows(empty)
        found.append(column.report("IB-D31", "warn", rows, what="no date; the posts are kept", example=""))
    if any(late):
        what = f"after today ({today.isoformat()})"
        why = "The outcome of such a post is not known yet, or day and month are swapped."
        rows = column.mark_rows(late)
        remedy = "Correct the dates, or remove the rows."
        found.append(column.report("IB-D39", "refuse", rows, what=what, why=why, remedy=remedy))
    return found + _judge_zones(column, texts)


def _judge_zones(column: TextColumn, texts: Sequence[str]) -> list[Problem]:
    zoned = column.mark_rows([_has_zone(text) for text in texts])
    filled = column.mark_rows([bool(text) for text in texts])
    with_zone, dated = int(zoned.sum()), int(filled.sum())
    if with_zone in (0, dated):
        return []
    odd = zoned if with_zone * 2 <= dated else filled & ~zoned
    return [
        column.report(
            "IB-D32",
            "refuse",
            odd,
            what=f"{with_zone:,} of {dated:,} dates have an offset from UTC. The others stand"
            if odd is not zoned
            else f"{with_zone:,} of {dated:,} dates have an offset from UTC. They stand",
            why="Times with and without an offset cannot be put in order.",
            remedy="Write all of them with an offset, or none.",
        )
    ]


def _has_zone(text: str) -> bool:
    found = ISO.fullmatch(text) or NUMBERS.fullmatch(text)
    return found is not None and found["zone"] is not None


def _note_format(column: TextColumn, texts: Sequence[str], chosen: _Format) -> list[Problem]:
    if chosen is ISO_DATES:
        return []
    read = {i: day for i, text in enumerate(texts) if (day := chosen.read(text)) is not None}
    if not read:
        return []
    what = f"dates read as {chosen.name}"
    first = column.codes[np.isin(column.codes, list(read))][0]
    example = f'"{texts[first]}" is {read[int(first)].isoformat()}'
    rows = column.mark_rows([i in read for i in range(len(texts))])
    return [column.report("IB-D31", "accept", rows, what=what, example=example)]


def _make_date(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:  # 31 February: the calendar decides
        return None


def _read_iso(text: str) -> date | None:
    found = ISO.fullmatch(text)
    return _make_date(found["year"], found["month"], found["day"]) if found else None


def _read_serial(text: str) -> date | None:
    found = SERIAL.fullmatch(text)
    if not found or not SERIAL_RANGE[0] <= int(found["serial"]) <= SERIAL_RANGE[1]:
        return None
    return SERIAL_START + timedelta(days=int(found["serial"]))


def _read_ordered(text: str, *, day_first: bool) -> date | None:
    found = NUMBERS.fullmatch(text)
    if not found:
        return None
    day, month = (found["first"], found["second"]) if day_first else (found["second"], found["first"])
    return _make_date(found["year"], month, day)


def _read_day_first(text: str) -> date | None:
    return _read_ordered(text, day_first=True)


def _read_month_first(text: str) -> date | None:
    return _read_ordered(text, day_first=False)


ISO_DATES = _Format(name="year-month-day", read=_read_iso)
SERIAL_NUMBERS = _Format(name="days since 1899-12-30 (spreadsheet)", read=_read_serial)
DAY_FIRST = _Format(name="day, month, year", read=_read_day_first)
MONTH_FIRST = _Format(name="month, day, year", read=_read_month_first)
