"""Typed cells of workbooks and databases to text, so that one set of rules reads every source.

Takes Python values; knows no column. A number becomes the shortest text that gives it back exactly, written so that
no rule for typed-in text can take its decimal point for a mark between thousands.
"""

from __future__ import annotations

import math
import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import numpy as np

from influbayes.tables.encoding import CONTROL
from influbayes.tables.records import Flaw, Records

MOST_EXACT = 10**15  # spreadsheets keep 15 digits; a float above it may have lost some
AMBIGUOUS = re.compile(r"-?[0-9]{1,3}\.[0-9]{3}")
NO_TIME = re.compile(r"[T ]00:00:00(?:\.0+)?$")
NO_FRACTION = re.compile(r"\.0+(?=$|[-+Z])")

Cell = str | bytes | bool | int | float | Decimal | date | datetime | time | timedelta | None


def write_cell(value: Cell) -> str:
    """Return a value as text: nothing as "", whole floats without a point, days without a time of 0:00.

    Raises
    ------
    UnicodeDecodeError
        Bytes that are not UTF-8 text.

    Examples
    --------
    >>> [write_cell(value) for value in (None, True, 640.0, 18.125, "Mega")]
    ['', 'true', '640', '18.1250', 'Mega']
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return write_number(value)
    if isinstance(value, Decimal):
        return _write_decimal(value)
    if isinstance(value, datetime):
        return write_moment(value.isoformat(sep=" "))
    if isinstance(value, bytes):
        return value.decode("utf-8")
    return str(value)


def write_number(number: float) -> str:
    """Return a float as text; not-a-number as "nan", whole numbers above 15 digits as 1.78e+16."""
    if not math.isfinite(number):
        return str(number)
    if not number.is_integer():
        return _mark_decimal(repr(number))
    if abs(number) < MOST_EXACT:
        return str(int(number))
    written = (f"{number:.{places}e}" for places in range(1, 18))
    return next(text for text in written if float(text) == number)


def write_moment(text: str) -> str:
    """Return an ISO date and time without fractions of 0 and without a time of 0:00.

    Examples
    --------
    >>> write_moment("2026-04-03 00:00:00.000000")
    '2026-04-03'
    """
    return NO_TIME.sub("", NO_FRACTION.sub("", text))


def _write_decimal(number: Decimal) -> str:
    if not number.is_finite():
        return str(number).lower()
    if number == number.to_integral_value():
        return f"{number.to_integral_value():f}"
    return _mark_decimal(f"{number.normalize():f}")


def _mark_decimal(text: str) -> str:
    """18.125 in typed-in text may be eighteen thousand; as a stored number it is not, which a further 0 says."""
    return f"{text}0" if AMBIGUOUS.fullmatch(text) else text


def find_control_flaws(records: Records) -> tuple[Flaw, ...]:
    """Return the cells of wanted columns that hold control characters: no table of posts does (IB-D02, IB-D06)."""
    flaws = []
    for place, found in records.cells.items():
        if not CONTROL.search("\t".join(found.values)):
            continue
        flags = np.array([CONTROL.search(value) is not None for value in found.values])
        rows = np.flatnonzero(flags[found.codes])
        value = found.values[found.codes[rows[0]]]
        flaws.append(
            Flaw(
                place=place,
                code="IB-D06" if any("\x00" in text for text in found.values) else "IB-D02",
                what="control characters in the text",
                lines=tuple(records.lines[rows].tolist()),
                value=value,
                why="A table of posts holds none.",
                remedy="Remove them where the table comes from.",
            )
        )
    return tuple(flaws)
