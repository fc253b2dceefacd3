"""The parts of a workbook as events of its XML: cells, shared texts, number formats, list of sheets.

Takes open streams of the parts; keeps only what a table needs. Knows the format of XLSX (ECMA-376), no table and no
column. No document type and no entity is read (defusedxml).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import IO, Any
from xml.sax.handler import ContentHandler

from influbayes.tables.typed import write_moment, write_number

MOST_ROWS = 1_048_576
MOST_COLUMNS = 16_384
LONGEST_CELL = 32_767
REFERENCE = re.compile(r"\$?([A-Z]{1,3})\$?([0-9]{1,7})")
INTEGER = re.compile(r"-?[0-9]+")
ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
BUILT_IN_DATES = frozenset((14, 15, 16, 17, 22, 27, 28, 29, 30, 31, 36, 50, 51, 52, 53, 54, 55, 56, 57, 58))
NOT_SHOWN = re.compile(r'"[^"]*"|\\.|_.|\*.|\[[^\]]*\]')
CURRENCY = re.compile(r"\[\$([^\]-]+)(?:-[^\]]*)?\]|\"\s*([^\"\s]{1,3})\s*\"|\\?([$€£¥₹₽₩₺₴₦₱฿₫])")
SIGNS = re.compile(r"(?:US|CA|AU|NZ|HK|MX|R|S)?\$|[€£¥₹₽₩₺₴₦₱฿₫]|zł|kr\.?|Kč|CHF|Fr\.|[A-Z]{3}")
DAY_0 = datetime(1899, 12, 30)
DAY_0_OF_1904 = datetime(1904, 1, 1)
LAST_DAY = 2_958_466  # the day after 9999-12-31


class StopReadingError(Exception):
    """Raised by a handler that has seen enough."""


class TooLargeError(Exception):
    """A part holds more than a table of posts can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberFormat:
    """How a number is shown as far as it changes what the number means: as a day, or with a currency sign."""

    is_date: bool = False
    sign: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetCell:
    """One cell that is not empty; `fault` is "formula" (without a stored result), "error" or ""."""

    row: int
    column: int
    text: str
    fault: str = ""


@dataclass(slots=True, kw_only=True)
class SheetParts:
    """What the cells of a sheet refer to."""

    texts: Sequence[str] = ()
    formats: Sequence[NumberFormat] = ()
    from_1904: bool = False


@dataclass(slots=True, kw_only=True)
class SheetNotes:
    """What a sheet says beside its cells: merged ranges (first and last row, first and last column), hidden rows."""

    merged: list[tuple[int, int, int, int]] = field(default_factory=list)
    hidden: set[int] = field(default_factory=set)


def parse_part(stream: IO[bytes], handler: ContentHandler, sax: Any) -> None:
    """Send the events of an XML part to a handler until its end, or until it has seen enough."""
    try:
        sax.parse(stream, handler, forbid_dtd=True)
    except StopReadingError:
        return


def read_reference(reference: str) -> tuple[int, int] | None:
    """Return row and column of a cell, both from 1, for example (2, 28) for "AB2"; None if it is none."""
    found = REFERENCE.fullmatch(reference)
    if not found:
        return None
    column = 0
    for letter in found[1]:
        column = column * 26 + ord(letter) - 64
    row = int(found[2])
    return (row, column) if 1 <= row <= MOST_ROWS and column <= MOST_COLUMNS else None


def read_format(code: str) -> NumberFormat:
    """Return what a format code such as ``[$€-407]#,##0.00`` or ``dd/mm/yyyy`` says about the number."""
    positive = code.partition(";")[0]
    bare = NOT_SHOWN.sub("", positive).lower()
    if "general" not in bare and ("y" in bare or "d" in bare):
        return NumberFormat(is_date=True)
    for found in CURRENCY.finditer(positive):
        sign = next(group for group in found.groups() if group).strip()
        if SIGNS.fullmatch(sign):
            return NumberFormat(sign=sign)
    return NumberFormat()


def unescape_text(text: str) -> str:
    """Return a text with ``_x000D_`` and the like as characters."""
    return ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


class _Part(ContentHandler):
    """A handler that knows elements by their bare names and collects text where it is wanted."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] | None = None

    def startElement(self, name: str, attrs: Any) -> None:  # noqa: N802 - the name that SAX calls
        self.start(name.rpartition(":")[2], attrs)

    def endElement(self, name: str) -> None:  # noqa: N802 - the name that SAX calls
        self.end(name.rpartition(":")[2])

    def characters(self, content: str) -> None:
        if self.pieces is not None:
            self.pieces.append(content)

    def start(self, name: str, attrs: Any) -> None:
        """An element begins."""

    def end(self, name: str) -> None:
        """An element ends."""

    def take_text(self) -> str:
        text = "".join(self.pieces or ())
        self.pieces = None
        return text


class WorkbookList(_Part):
    """The sheets of a workbook: name and id of each, and whether days are counted from 1904."""

    def __init__(self) -> None:
        super().__init__()
        self.sheets: list[tuple[str, str]] = []
        self.from_1904 = False

    def start(self, name: str, attrs: Any) -> None:
        """Note a sheet, or the start of the calendar."""
        if name == "sheet":
            ids = [value for key, value in attrs.items() if key.rpartition(":")[2] == "id" and ":" in key]
            self.sheets.append((attrs.get("name", ""), ids[0] if ids else ""))
        elif name == "workbookPr":
            self.from_1904 = attrs.get("date1904", "0") in ("1", "true")


class Relations(_Part):
    """Ids to the parts they mean."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: dict[str, str] = {}

    def start(self, name: str, attrs: Any) -> None:
        """Note where an id leads."""
        if name == "Relationship":
            self.targets[attrs.get("Id", "")] = attrs.get("Target", "")


class SharedTexts(_Part):
    """The texts that cells refer to by number, without phonetic hints."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._runs: list[str] = []
        self._phonetic = False

    def start(self, name: str, attrs: Any) -> None:
        """Begin a text, or a run of it."""
        if name == "si":
            self._runs = []
        elif name == "rPh":
            self._phonetic = True
        elif name == "t" and not self._phonetic:
            self.pieces = []

    def end(self, name: str) -> None:
        """Close a run or a text."""
        if name == "t" and self.pieces is not None:
            self._runs.append(self.take_text())
        elif name == "rPh":
            self._phonetic = False
        elif name == "si":
            self.texts.append(unescape_text("".join(self._runs)))


class Styles(_Part):
    """The number format of each cell style."""

    def __init__(self) -> None:
        super().__init__()
        self._codes: dict[str, NumberFormat] = {}
        self._in_cells = False
        self.formats: list[NumberFormat] = []

    def start(self, name: str, attrs: Any) -> None:
        """Note a format, or the format of a style."""
        if name == "numFmt":
            self._codes[attrs.get("numFmtId", "")] = read_format(attrs.get("formatCode", ""))
        elif name == "cellXfs":
            self._in_cells = True
        elif name == "xf" and self._in_cells:
            key = attrs.get("numFmtId", "0")
            built_in = NumberFormat(is_date=key.isdecimal() and int(key) in BUILT_IN_DATES)
            self.formats.append(self._codes.get(key, built_in))

    def end(self, name: str) -> None:
        """Leave the styles of cells."""
        if name == "cellXfs":
            self._in_cells = False


class SheetCells(_Part):
    """Gives every cell that is not empty to `take`, row by row; notes merged ranges and hidden rows."""

    def __init__(self, parts: SheetParts, take: Callable[[SheetCell], None]) -> None:
        super().__init__()
        self.notes = SheetNotes()
        self._parts = parts
        self._take = take
        self._row = self._column = 0
        self._kind = self._style = self._value = ""
        self._formula = self._phonetic = False
        self._inline: list[str] = []

    def start(self, name: str, attrs: Any) -> None:
        """Begin a row, a cell or a part of one."""
        if name == "c":
            self._start_cell(attrs)
        elif name == "v" or (name == "t" and not self._phonetic):
            self.pieces = []
        elif name == "row":
            self._start_row(attrs)
        elif name == "f":
            self._formula = True
        elif name == "rPh":
            self._phonetic = True
        elif name == "mergeCell":
            self._note_merged(attrs.get("ref", ""))

    def end(self, name: str) -> None:
        """Close a cell or a part of one."""
        if name == "v" and self.pieces is not None:
            self._value = self.take_text()
        elif name == "t" and self.pieces is not None:
            self._inline.append(self.take_text())
        elif name == "rPh":
            self._phonetic = False
        elif name == "c":
            self._end_cell()

    def _start_row(self, attrs: Any) -> None:
        number = attrs.get("r", "")
        self._row = int(number) if number.isdecimal() and len(number) < 9 else self._row + 1
        self._column = 0
        if self._row > MOST_ROWS:
            raise TooLargeError(f"a row with number {number}")
        if attrs.get("hidden", "0") in ("1", "true"):
            self.notes.hidden.add(self._row)

    def _start_cell(self, attrs: Any) -> None:
        place = read_reference(attrs.get("r", ""))
        self._column = place[1] if place else self._column + 1
        if self._column > MOST_COLUMNS:
            raise TooLargeError("more columns than a workbook can have")
        self._kind, self._style = attrs.get("t", "n"), attrs.get("s", "0")
        self._value, self._inline, self._formula = "", [], False

    def _end_cell(self) -> None:
        fault = "error" if self._kind == "e" else ""
        text = self._write_value()
        if self._formula and not text and self._kind != "str":
            fault = "formula"
        if text or fault:
            self._take(SheetCell(row=self._row, column=self._column, text=text, fault=fault))

    def _write_value(self) -> str:
        if self._kind == "s":
            place = int(self._value) if self._value.isdecimal() else len(self._parts.texts)
            return self._parts.texts[place] if place < len(self._parts.texts) else ""
        if self._kind == "inlineStr":
            return unescape_text("".join(self._inline))
        if self._kind == "b":
            return {"1": "true", "0": "false"}.get(self._value, self._value)
        if self._kind in ("str", "e"):
            return unescape_text(self._value)
        if self._kind == "d":
            return write_moment(self._value)
        return self._write_number()

    def _write_number(self) -> str:
        text = self._value.strip()
        shown = self._find_format()
        try:
            number = float(text)
        except ValueError:
            return text
        if shown.is_date and 0 <= number < LAST_DAY:
            return self._write_day(number)
        return shown.sign + (text if INTEGER.fullmatch(text) else write_number(number))

    def _find_format(self) -> NumberFormat:
        place = int(self._style) if self._style.isdecimal() else 0
        return self._parts.formats[place] if place < len(self._parts.formats) else NumberFormat()

    def _write_day(self, number: float) -> str:
        start = DAY_0_OF_1904 if self._parts.from_1904 else DAY_0
        try:
            moment = start + timedelta(milliseconds=round(number * 86_400_000))
        except OverflowError:  # the last days of 9999 counted from 1904
            return write_number(number)
        return write_moment(moment.isoformat(sep=" ", timespec="milliseconds"))

    def _note_merged(self, reference: str) -> None:
        first, _, last = reference.partition(":")
        start, end = read_reference(first), read_reference(last)
        if start and end:
            self.notes.merged.append((start[0], end[0], start[1], end[1]))
