"""Tables to CSV that a spreadsheet can open without running anything in it.

Takes a frame; makes bytes. The only place where tables are written for others.
"""

from __future__ import annotations

import csv
import io

import numpy as np
import pandas as pd

# What a spreadsheet may take for a formula, after blanks; full-width signs are read as their plain ones.
DANGEROUS = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")


def export_csv(frame: pd.DataFrame) -> bytes:
    """Return a frame as CSV (UTF-8 with byte-order mark, which spreadsheets need).

    Text cells and headers that could be a formula get a leading apostrophe; numbers never do. Missing values are empty.

    Examples
    --------
    >>> export_csv(pd.DataFrame({"name": ["=1+1"], "paid": [-2.5]})).decode("utf-8-sig").split()
    ['name,paid', "'=1+1,-2.5"]
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([guard_text(str(name)) for name in frame.columns])
    columns = [_write_cells(frame[name]) for name in frame.columns]
    writer.writerows(zip(*columns, strict=True))
    return text.getvalue().encode("utf-8-sig")


def guard_text(text: str) -> str:
    """Return a text cell that no spreadsheet takes for a formula."""
    start = text.lstrip(" \u00a0\u3000")
    return f"'{text}" if text.startswith(DANGEROUS[8:]) or start.startswith(DANGEROUS) else text


def _write_cells(cells: pd.Series) -> list[str]:
    if cells.dtype.kind in "iub":
        return [str(value) for value in cells.tolist()]
    if cells.dtype.kind == "f":
        return ["" if np.isnan(value) else repr(value) for value in cells.to_numpy(np.float64).tolist()]
    if cells.dtype.kind == "M":
        days = cells.to_numpy().astype("datetime64[s]")
        return [str(day).removesuffix("T00:00:00") for day in days]
    return ["" if value is None or value != value else guard_text(str(value)) for value in cells.tolist()]
