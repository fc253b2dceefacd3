"""XLSX workbooks to records: the only sheet with data, its first row that is not empty being the header.

Takes a path; knows zip limits, sheets, merged ranges and what a cell without a value means; knows no column by name.
Lines are rows of the sheet.
"""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.sax import SAXException

from influbayes.tables.files import load_package, refuse_file
from influbayes.tables.memory import show_bytes
from influbayes.tables.problems import Problem, compose_problem, list_values
from influbayes.tables.records import BLOCK_ROWS, Flaw, Keep, RecordCollector, Records, refuse_empty
from influbayes.tables.sheet import (
    MOST_COLUMNS,
    Relations,
    SharedTexts,
    SheetCell,
    SheetCells,
    SheetNotes,
    SheetParts,
    StopReadingError,
    Styles,
    TooLargeError,
    WorkbookList,
    parse_part,
)
from influbayes.tables.typed import find_control_flaws

MOST_BYTES = 200 * 10**6
MOST_RATIO = 100
MOST_PARTS = 10_000
SMALL_PART = 100_000  # bytes; a ratio says nothing about smaller ones
MOST_CELLS = 20_000_000
WORKBOOK = "xl/workbook.xml"
FORMULA = (
    "a formula without a stored result",
    "The program that wrote the file did not calculate it.",
    "Open the file in a spreadsheet program, recalculate and save it, or paste the values.",
)
ERROR = (
    "an error of a formula, not a value",
    "What the cell should hold is not known.",
    "Correct the formula or write the value.",
)


@dataclass(slots=True, kw_only=True)
class _Table:
    """The sheet being read: header, rows that are not yet handed over, and cells without a value of their own."""

    file: str
    keep: Keep
    header_row: int = 0
    header: dict[int, str] = field(default_factory=dict)
    collector: RecordCollector | None = None
    width: int = 0
    rows: list[list[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    row: int = 0
    cells: dict[int, str] = field(default_factory=dict)
    faults: dict[tuple[str, int], list[tuple[int, str]]] = field(default_factory=dict)
    beyond: list[int] = field(default_factory=list)

    def take_cell(self, cell: SheetCell) -> None:
        """Take the next cell; a new row closes the one before."""
        if cell.row != self.row:
            self.close_row()
            self.row = cell.row
        self.cells[cell.column] = cell.text
        if cell.fault:
            self.faults.setdefault((cell.fault, cell.column), []).append((cell.row, cell.text))

    def close_row(self) -> None:
        """Take the row as header or as a row of data; rows of blanks are passed over."""
        cells, self.cells = self.cells, {}
        faulty = any(rows[-1][0] == self.row for rows in self.faults.values())
        if not faulty and not any(text.strip() for text in cells.values()):
            return
        if not self.header_row:
            self.header_row, self.header = self.row, cells
            self.width = max(cells)
            names = [cells.get(column, "") for column in range(1, self.width + 1)]
            self.collector = RecordCollector(self.file, self.keep(names))
            return
        if any(column > self.width and text.strip() for column, text in cells.items()):
            self.beyond.append(self.row)
            return
        self.rows.append([cells.get(column, "") for column in range(1, self.width + 1)])
        self.lines.append(self.row)
        if len(self.rows) * self.width >= BLOCK_ROWS * 10:
            self.hand_over()

    def hand_over(self) -> None:
        """Give the rows read so far to the collector."""
        if self.collector is None:
            return
        self.collector.add_rows(self.rows, self.lines)
        if self.collector.rows * self.width > MOST_CELLS:
            raise TooLargeError(f"more than {MOST_CELLS:,} cells")
        self.collector.refuse_if_too_large(self.collector.rows)
        self.rows, self.lines = [], []


def read_workbook(path: Path, file: str, keep: Keep) -> Records:
    """Return the records of the only sheet with data.

    Raises
    ------
    DataRefused
        The workbook unpacks to too much (IB-D08), is damaged or holds data in several sheets (IB-D06), or has no rows
        below its header (IB-D07). Merged cells (IB-D05), errors and formulas without a stored result (IB-D19) are
        flaws of the columns they stand in.
    """
    sax = load_package("defusedxml.sax", file=file, purpose="reading XLSX")
    defused = load_package("defusedxml", file=file, purpose="reading XLSX")
    try:
        with zipfile.ZipFile(path) as archive:
            _refuse_bombs(archive, file)
            return _read_sheet(archive, file, keep, sax)
    except TooLargeError as error:
        what, why = f"holds {error}", "A table of posts never does; reading it would fill the memory."
        raise refuse_file("IB-D08", file, what, "Save the sheet of posts alone, or as CSV.", why=why) from error
    except defused.DefusedXmlException as error:
        what, why = "holds XML with a document type or entities", "Spreadsheet programs never write that: an attack."
        raise refuse_file("IB-D08", file, what, "Do not use this file.", why=why) from error
    except (zipfile.BadZipFile, zlib.error, SAXException, KeyError, NotImplementedError, EOFError, OSError) as error:
        raise _refuse_damaged(file) from error
    except RuntimeError as error:  # zipfile says so of a part with a password
        raise _refuse_damaged(file) from error


def _refuse_damaged(file: str) -> Exception:
    what = "begins like an Excel workbook but cannot be read"
    remedy = "Save or download it again, without a password, or save the sheet as CSV UTF-8."
    return refuse_file("IB-D06", file, what, remedy, why="It is damaged, cut short or protected.")


def _refuse_bombs(archive: zipfile.ZipFile, file: str) -> None:
    parts = archive.infolist()
    whole, packed = sum(part.file_size for part in parts), sum(part.compress_size for part in parts)
    ratio = max(
        [whole / max(packed, 1)]
        + [part.file_size / max(part.compress_size, 1) for part in parts if part.file_size > SMALL_PART]
    )
    if whole <= MOST_BYTES and (ratio <= MOST_RATIO or whole <= SMALL_PART) and len(parts) <= MOST_PARTS:
        return
    what = f"unpacks from {show_bytes(packed)} to {show_bytes(whole)} in {len(parts):,} parts"
    why = f"At most {show_bytes(MOST_BYTES)} and {MOST_RATIO} times the packed size are read: bombs look like this."
    raise refuse_file("IB-D08", file, what, "Save the sheet of posts alone, or as CSV.", why=why)


def _read_sheet(archive: zipfile.ZipFile, file: str, keep: Keep, sax: Any) -> Records:
    listed = WorkbookList()
    _parse(archive, WORKBOOK, listed, sax)
    parts = SheetParts(from_1904=listed.from_1904)
    paths = _find_sheets(archive, listed, sax)
    filled = [name for name, path in paths if _holds_data(archive, path, sax)]
    if not filled:
        raise refuse_empty(file, "holds no sheet with data")
    if len(filled) > 1:
        what = f"{len(filled)} sheets hold data: {list_values(filled)}"
        remedy = "Keep the sheet of posts alone in the workbook, or save that sheet as CSV."
        raise refuse_file("IB-D06", file, what, remedy, why="It is not known which one holds the posts.")
    texts, styles = SharedTexts(), Styles()
    _parse_if_there(archive, "xl/sharedStrings.xml", texts, sax)
    _parse_if_there(archive, "xl/styles.xml", styles, sax)
    parts.texts, parts.formats = texts.texts, styles.formats
    table = _Table(file=file, keep=keep)
    cells = SheetCells(parts, table.take_cell)
    _parse(archive, dict(paths)[filled[0]], cells, sax)
    table.close_row()
    table.hand_over()
    return _finish(table, cells.notes, filled[0])


def _find_sheets(archive: zipfile.ZipFile, listed: WorkbookList, sax: Any) -> list[tuple[str, str]]:
    relations = Relations()
    _parse(archive, "xl/_rels/workbook.xml.rels", relations, sax)
    there = set(archive.namelist())
    targets = [(name, relations.targets.get(key, "")) for name, key in listed.sheets]
    # An absolute target begins with a slash; the others are relative to the folder of the workbook.
    paths = [(name, posixpath.normpath(posixpath.join("/xl", target)).lstrip("/")) for name, target in targets]
    return [(name, path) for name, path in paths if path in there and "chartsheets" not in path]


def _holds_data(archive: zipfile.ZipFile, path: str, sax: Any) -> bool:
    seen: list[SheetCell] = []

    def stop(cell: SheetCell) -> None:
        seen.append(cell)
        raise StopReadingError

    # Without the shared texts a cell that refers to one would look empty: give it any text.
    _parse(archive, path, SheetCells(SheetParts(texts=_AnyText()), stop), sax)
    return bool(seen)


class _AnyText(Sequence[str]):
    """As many texts as are asked for."""

    def __len__(self) -> int:
        return 2**62

    def __getitem__(self, place: Any) -> Any:
        return "x"


def _parse(archive: zipfile.ZipFile, name: str, handler: Any, sax: Any) -> None:
    with archive.open(name) as stream:
        parse_part(stream, handler, sax)


def _parse_if_there(archive: zipfile.ZipFile, name: str, handler: Any, sax: Any) -> None:
    if name in archive.namelist():
        _parse(archive, name, handler, sax)


def _finish(table: _Table, notes: SheetNotes, sheet: str) -> Records:
    if table.collector is None or not (table.collector.rows or table.beyond):
        raise refuse_empty(table.file, f"no rows below the header in row {table.header_row}")
    header = [table.header.get(column, "") for column in range(1, table.width + 1)]
    records = table.collector.finish(format="xlsx", header=header, header_line=table.header_row, unit="row")
    flaws = (*_find_faults(table), *_find_merged(table, notes), *find_control_flaws(records))
    problems = _report_beyond(table) if table.beyond else ()
    hidden = sorted(notes.hidden.intersection(records.lines.tolist())) if notes.hidden else []
    notices = (_note_hidden(table.file, hidden),) if hidden else ()
    return replace(records, flaws=flaws, problems=problems, notices=notices)


def _find_faults(table: _Table) -> tuple[Flaw, ...]:
    words = {"formula": FORMULA, "error": ERROR}
    return tuple(
        Flaw(
            place=column - 1,
            what=words[kind][0],
            lines=tuple(row for row, _ in rows if row > table.header_row),
            value=next((text for row, text in rows if row > table.header_row), ""),
            example=None if kind == "error" else "",
            why=words[kind][1],
            remedy=words[kind][2],
        )
        for (kind, column), rows in table.faults.items()
        if rows[-1][0] > table.header_row
    )


def _find_merged(table: _Table, notes: SheetNotes) -> tuple[Flaw, ...]:
    """Merged ranges hold one value for several cells; those above the header and in the header are left alone."""
    rows: dict[int, set[int]] = {}
    for top, bottom, left, right in notes.merged:
        if bottom <= table.header_row:
            continue
        known = range(max(top, table.header_row + 1), min(bottom, table.row) + 1)
        for column in range(left, min(right, table.width, MOST_COLUMNS) + 1):
            rows.setdefault(column, set()).update(known)
    return tuple(
        Flaw(
            place=column - 1,
            code="IB-D05",
            what="merged cells",
            lines=tuple(sorted(found)),
            example="",
            why="Only the first cell of a merged range holds a value.",
            remedy="Unmerge the cells and write the value in each.",
        )
        for column, found in sorted(rows.items())
        if found
    )


def _report_beyond(table: _Table) -> tuple[Problem, ...]:
    return (
        compose_problem(
            "IB-D05",
            "refuse",
            file=table.file,
            what="values to the right of the last column with a header",
            lines=table.beyond,
            unit="row",
            why="It is not known what they mean.",
            remedy="Give their column a header, or remove them.",
        ),
    )


def _note_hidden(file: str, rows: Sequence[int]) -> Problem:
    return compose_problem(
        "IB-D30",
        "warn",
        file=file,
        what="hidden rows are read like the others",
        lines=rows,
        unit="row",
        remedy="Remove them if a filter was meant to leave them out.",
    )
