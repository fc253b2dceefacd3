"""Cells to points in time, to the second: ISO or day/month/year with a clock, one way for the whole column.

Takes a text column; makes datetime64[s]. Knows no other column. Times with an offset are turned to UTC.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from influbayes.tables.cells import TextColumn
from influbayes.tables.dates import DateArray
from influbayes.tables.problems import Problem

_CLOCK = r"(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?(?: ?([AaPp])[Mm])?)?"
_ZONE = r"(?: ?(Z|z|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?"
_ISO = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})" + _CLOCK + _ZONE, re.ASCII)
_NUMBERS = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})" + _CLOCK + _ZONE, re.ASCII)
_NO_TIME = np.datetime64("NaT", "s")


def read_times(column: TextColumn, *, allow_empty: bool) -> tuple[DateArray, list[Problem]]:
    """Return the time of each row (datetime64[s], not-a-time where empty or refused) and what was found.

    Refused: no time, or day and month that cannot be told apart (IB-D31); an offset on some rows only (IB-D32); an
    empty cell (IB-D31) unless `allow_empty`.
    """
    texts = [" ".join(value.split()) for value in column.values]
    order = _find_order(texts)
    read = [_read_time(text, order) for text in texts]
    problems = _refuse_unread(column, texts, read, order) + _refuse_zones(column, texts)
    if not allow_empty:
        problems += _refuse_empty(column, texts)
    if not problems and order in ("dmy", "mdy"):
        problems += _note_order(column, texts, order)
    times = np.array([_NO_TIME if time is None else np.datetime64(time, "s") for time in read], dtype="datetime64[s]")
    return times[column.codes], problems


def _find_order(texts: Sequence[str]) -> str:
    """Return "iso", "dmy", "mdy", or "" where day and month cannot be told apart."""
    found = [match for text in texts if (match := _NUMBERS.fullmatch(text))]
    if not found or 2 * len(found) < sum(bool(text) for text in texts):
        return "iso"
    first = max(int(match[1]) for match in found) > 12
    second = max(int(match[2]) for match in found) > 12
    return "" if first == second else "dmy" if first else "mdy"


def _read_time(text: str, order: str) -> datetime | None:
    match = (_ISO if order == "iso" else _NUMBERS).fullmatch(text)
    if match is None or not order:
        return None
    parts = match.groups()
    year, month, day = _order_date(parts[:3], order)
    hour, minute, second = (int(part or 0) for part in parts[3:6])
    if parts[6]:
        hour = hour % 12 + (12 if parts[6] in "pP" else 0)
    try:
        return datetime(year, month, day, hour, minute, second) - _read_offset(parts[7])
    except (ValueError, OverflowError):
        return None


def _order_date(parts: Sequence[str], order: str) -> tuple[int, int, int]:
    a, b, c = (int(part) for part in parts)
    return {"iso": (a, b, c), "dmy": (c, b, a), "mdy": (c, a, b)}[order]


def _read_offset(text: str | None) -> timedelta:
    if not text or text[0] not in "+-":
        return timedelta(0)
    digits = text[1:].replace(":", "").ljust(4, "0")
    size = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -size if text[0] == "-" else size


def _refuse_unread(
    column: TextColumn, texts: Sequence[str], read: Sequence[datetime | None], order: str
) -> list[Problem]:
    flags = [bool(text) and time is None for text, time in zip(texts, read, strict=True)]
    if not any(flags):
        return []
    what = "not a time, or not written like the others" if order else "day or month first? Both fit"
    why = "The order of touches decides who gets credit."
    remedy = "Write the times as year-month-day hour:minute:second, for example 2026-04-03 09:30:00."
    return [column.report("IB-D31", "refuse", column.mark_rows(flags), what=what, why=why, remedy=remedy)]


def _refuse_empty(column: TextColumn, texts: Sequence[str]) -> list[Problem]:
    flags = [not text for text in texts]
    if not any(flags):
        return []
    why = "A session without a time has no place in a journey."
    remedy = "Write the time, or remove the rows."
    return [column.report("IB-D31", "refuse", column.mark_rows(flags), what="no time", why=why, remedy=remedy)]


def _refuse_zones(column: TextColumn, texts: Sequence[str]) -> list[Problem]:
    zoned = column.mark_rows([_has_zone(text) for text in texts])
    filled = column.mark_rows([bool(text) for text in texts])
    count, rows = int(zoned.sum()), int(filled.sum())
    if count in (0, rows):
        return []
    what = f"{count:,} of {rows:,} times have an offset from UTC. The odd ones stand"
    odd = zoned if 2 * count <= rows else filled & ~zoned
    why, remedy = "Touches would change their order.", "Write all times with an offset, or none."
    return [column.report("IB-D32", "refuse", odd, what=what, why=why, remedy=remedy)]


def _has_zone(text: str) -> bool:
    match = _ISO.fullmatch(text) or _NUMBERS.fullmatch(text)
    return match is not None and match[8] is not None


def _note_order(column: TextColumn, texts: Sequence[str], order: str) -> list[Problem]:
    words = {"dmy": "day, month, year", "mdy": "month, day, year"}[order]
    rows = column.mark_rows([bool(text) for text in texts])
    return [column.report("IB-D31", "accept", rows, what=f"times read as {words}")]
