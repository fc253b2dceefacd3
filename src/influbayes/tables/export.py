"""Tables to CSV and XLSX files that a spreadsheet program opens without running anything: the only way out.

Takes a frame; knows no column by name. Text that a spreadsheet would take for a formula gets a leading quote
(CWE-1236); numbers never do, so that they stay numbers.
"""

from __future__ import annotations

import csv
import os
import secrets
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd

from influbayes.errors import OutputError, UsageError
from influbayes.tables.problems import quote_value
from influbayes.tables.typed import write_moment

GUARD = "'"
FORMULA_STARTS = frozenset("=+-@")
LINE_STARTS = frozenset("\t\r\n")
BLOCK_ROWS = 20_000

ExportCell = str | float | int | bool | date | None


def export_table(frame: pd.DataFrame, path: str | Path) -> Path:
    """Write a table to a CSV or XLSX file and return its path; the file is there whole or not at all.

    Text cells and headers that, after blanks, start with ``=``, ``+``, ``-``, ``@`` (full-width forms too), a TAB or a
    line end get a leading ``'``; other control characters are left out; numbers are written so that they are read
    back exactly; missing values are empty cells; dates are year-month-day. The index is not written.

    Parameters
    ----------
    frame
        The table; every column has a name.
    path
        Ends in .csv or .xlsx. An existing file is replaced in one step.

    Raises
    ------
    UsageError
        The ending is another one.
    OutputError
        The file cannot be written, or XLSX is asked for and the package openpyxl is missing.

    Notes
    -----
    CSV is UTF-8, with a byte-order mark where a character is not ASCII: Excel needs it.
    """
    target = Path(path)
    writers = {".csv": _write_csv, ".xlsx": _write_xlsx}
    writer = writers.get(target.suffix.lower())
    if writer is None:
        raise UsageError(f"Cannot export to {quote_value(target.name)}: the name must end in .csv or .xlsx.")
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        writer(frame, partial)
        os.replace(partial, target)
    except OSError as error:
        raise OutputError(f"Cannot write {quote_value(str(target), limit=200)} ({error.strerror or error}).") from error
    finally:
        partial.unlink(missing_ok=True)
    return target


def guard_text(text: str) -> str:
    """Return a text as a spreadsheet may have it: a leading quote where it would be taken for a formula.

    Examples
    --------
    >>> [guard_text(text) for text in ("=1+1", " @SUM(A1)", "Mega", "＝1")]
    ["'=1+1", "' @SUM(A1)", 'Mega', "'＝1"]
    """
    cleaned = "".join(character for character in text if _is_kept(character)) if not text.isprintable() else text
    first = next((character for character in cleaned if not _is_blank(character)), "")
    dangerous = first in LINE_STARTS or unicodedata.normalize("NFKC", first) in FORMULA_STARTS
    return GUARD + cleaned if first and dangerous else cleaned


def _is_kept(character: str) -> bool:
    """Controls, lone surrogates and the two non-characters that XML forbids are dropped."""
    return character in LINE_STARTS or not (
        unicodedata.category(character) in ("Cc", "Cs") or character in ("\ufffe", "\uffff")
    )


def _is_blank(character: str) -> bool:
    """Blanks and invisible characters, before which a formula may still be seen; TAB and line ends are not."""
    return character not in LINE_STARTS and (character.isspace() or unicodedata.category(character) == "Cf")


def _iterate_rows(frame: pd.DataFrame) -> Iterator[list[ExportCell]]:
    for start in range(0, len(frame), BLOCK_ROWS):
        block = frame.iloc[start : start + BLOCK_ROWS]
        columns = [[_export_cell(value) for value in block.iloc[:, k].tolist()] for k in range(block.shape[1])]
        for row in zip(*columns, strict=True):
            yield list(row)


def _export_cell(value: Any) -> ExportCell:
    if isinstance(value, str):
        return guard_text(value)
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return None if np.isnan(value) else float(value)
    if isinstance(value, datetime):
        return write_moment(value.isoformat(sep=" "))
    if isinstance(value, date):
        return value.isoformat()
    return guard_text(str(value))


def _name_columns(frame: pd.DataFrame) -> list[str]:
    return [guard_text(str(name)) for name in frame.columns]


def _write_csv(frame: pd.DataFrame, path: Path) -> None:
    with path.open("w", encoding=_choose_encoding(frame), newline="", errors="replace") as stream:
        _write_rows(frame, stream)
        stream.flush()
        os.fsync(stream.fileno())


def _write_rows(frame: pd.DataFrame, stream: TextIO) -> None:
    writer = csv.writer(stream)  # CRLF, so that cells with either line end are quoted
    writer.writerow(_name_columns(frame))
    for row in _iterate_rows(frame):
        writer.writerow([_write_csv_cell(cell) for cell in row])


def _write_csv_cell(cell: ExportCell) -> str:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return repr(cell)
    return "" if cell is None else str(cell)


def _choose_encoding(frame: pd.DataFrame) -> str:
    texts = [str(name) for name in frame.columns]
    plain = all(text.isascii() for text in texts) and all(_is_plain(frame.iloc[:, k]) for k in range(frame.shape[1]))
    return "utf-8" if plain else "utf-8-sig"


def _is_plain(column: pd.Series) -> bool:
    if column.dtype.kind in "biufM":
        return True
    return all(not isinstance(value, str) or value.isascii() for value in column.unique().tolist())


def _write_xlsx(frame: pd.DataFrame, path: Path) -> None:
    try:
        openpyxl = import_module("openpyxl")
    except ImportError as error:
        raise OutputError("Writing XLSX needs the package openpyxl: pip install openpyxl, or export to CSV.") from error
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("table")
    sheet.append(_name_columns(frame))
    for row in _iterate_rows(frame):
        sheet.append(_finite_or_text(row))
    book.save(path)


def _finite_or_text(row: Sequence[ExportCell]) -> list[ExportCell]:
    """A sheet has no number for infinity."""
    return [str(cell) if isinstance(cell, float) and not np.isfinite(cell) else cell for cell in row]
