"""The time of day beside a date, where every cell has one written alike; without it a day is all that is known.

Takes a text column; knows no table.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from influbayes.tables.cells import TextColumn

ISO_CLOCK = re.compile(
    r"\s*[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}[T ]+([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:[.,][0-9]+)?)?\s*"
)
LAST = (23, 59, 60)


def read_clocks(column: TextColumn) -> NDArray[np.timedelta64] | None:
    """Return the time of day of each row in seconds, or None unless every cell is a year-month-day with a time.

    Cells with an offset from UTC or with am and pm are left to the day.
    """
    seconds = [_read_clock(value) for value in column.values]
    known = [value for value in seconds if value is not None]
    if len(known) < len(seconds) or not seconds:
        return None
    return np.array(known, dtype="timedelta64[s]")[column.codes]


def _read_clock(text: str) -> int | None:
    found = ISO_CLOCK.fullmatch(text)
    if found is None:
        return None
    parts = tuple(int(part or 0) for part in found.groups())
    if any(part > last for part, last in zip(parts, LAST, strict=True)):
        return None
    return parts[0] * 3600 + parts[1] * 60 + parts[2]
