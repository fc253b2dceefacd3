"""Lines of a text file to records: finds the delimiter, splits strictly, checks every width against the header.

Takes a text file whose encoding is known and reads it line by line; knows quotes and widths; knows no column by name.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TextIO

from influbayes.errors import DataRefused
from influbayes.tables.encoding import TextFile
from influbayes.tables.problems import Problem, compose_problem, quote_value
from influbayes.tables.records import BLOCK_ROWS, Keep, RecordCollector, Records, refuse_empty

DELIMITERS = (",", ";", "\t")
DELIMITER_NAMES = {",": '","', ";": '";"', "\t": "TAB"}
SEP_LINE = re.compile(r'"?sep=([,;\t])"?[ ,;\t]*(\r\n|\r|\n|$)', re.IGNORECASE)


@dataclass(slots=True)
class _WrongRows:
    """Rows of one kind of wrong width: their lines, and of the first how many values it has and how it is written."""

    values: int
    raw: str
    lines: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Split:
    """A text split by one delimiter: the header, the rows as wide as it, and the lines of all others."""

    delimiter: str
    first_line: int
    header: tuple[str, ...] = ()
    header_line: int = 0
    collector: RecordCollector | None = None
    wrong: dict[str, _WrongRows] = field(default_factory=dict)
    torn: list[int] = field(default_factory=list)

    def agrees(self) -> bool:
        return not self.torn and not self.wrong and len(self.header) > 1

    def score(self) -> tuple[bool, int, int]:
        rows = self.collector.rows if self.collector else 0
        return len(self.header) > 1, rows - len(self.torn), len(self.header)

    def holds_rows(self) -> bool:
        return bool(self.wrong) or (self.collector is not None and self.collector.rows > 0)


class _Lines:
    """The lines of a text, one after the other; `first` is the line with which the present record began."""

    def __init__(self, stream: TextIO) -> None:
        self.first = ""
        self.characters = 0
        self._stream = stream

    def __iter__(self) -> Iterator[str]:
        for line in self._stream:
            self.first = self.first or line
            self.characters += len(line)
            yield line


def split_records(source: TextFile, keep: Keep) -> Records:
    """Return the records of a text, the delimiter (comma, semicolon or TAB) taken from the whole file.

    Blank lines are passed over. Rows of another width than the header are left out and refused as problems.

    Parameters
    ----------
    source
        The text file.
    keep
        Gives for a header the places of the columns whose cells are wanted.

    Raises
    ------
    DataRefused
        Nothing but blank lines, or a header without a row below it (IB-D07); more rows than fit in memory (IB-D10).
    """
    notices = list(source.notices)
    named = _find_sep_line(source)
    split = _split_by(source, named, keep, first_line=2) if named else _choose_split(source, keep)
    if named:
        notices.append(_note_sep_line(source.file, named))
    if split.torn and not split.holds_rows():
        raise DataRefused([_report_torn(source.file, split.torn)])
    if not split.header:
        raise refuse_empty(source.file, "holds no header and no rows")
    if not split.holds_rows() or split.collector is None:
        raise refuse_empty(source.file, f"no rows below the header in line {split.header_line}")
    if split.delimiter != "," and not named:
        what = f"delimiter {DELIMITER_NAMES[split.delimiter]}"
        notices.append(compose_problem("IB-D03", "accept", file=source.file, what=what))
    source.refuse_if_changed()
    records = split.collector.finish(
        format="tsv" if split.delimiter == "\t" else "csv",
        header=split.header,
        delimiter=split.delimiter,
        header_line=split.header_line,
    )
    return replace(records, problems=tuple(_report_wrong(source.file, split)), notices=tuple(notices))


def _find_sep_line(source: TextFile) -> str:
    with source.open_text() as stream:
        found = SEP_LINE.match(stream.readline())
    return found.group(1) if found else ""


def _choose_split(source: TextFile, keep: Keep) -> _Split:
    """Split by the delimiter under which most rows are as wide as the header, wider headers first."""
    best: _Split | None = None
    for delimiter in _order_delimiters(source):
        split = _split_by(source, delimiter, keep)
        if split.agrees():
            return split
        best = split if best is None or split.score() > best.score() else best
    return best if best is not None else _split_by(source, ",", keep)


def _order_delimiters(source: TextFile) -> list[str]:
    with source.open_text() as stream:
        first = next((line for line in stream if line.strip()), "")
    found = [delimiter for delimiter in DELIMITERS if delimiter in first] or [","]
    return sorted(found, key=lambda delimiter: -first.count(delimiter))


def _split_by(source: TextFile, delimiter: str, keep: Keep, *, first_line: int = 1) -> _Split:
    split = _Split(delimiter=delimiter, first_line=first_line)
    rows: list[list[str]] = []
    lines: list[int] = []
    with source.open_text() as stream:
        if first_line == 2:
            stream.readline()
        tap = _Lines(stream)
        for line, row in _iterate_records(tap, split):
            if not split.header:
                split.header, split.header_line = tuple(row), line
                split.collector = RecordCollector(source.file, keep(row))
            elif len(row) != len(split.header):
                _note_wrong(split, row, line, tap.first)
            else:
                rows.append(row)
                lines.append(line)
            tap.first = ""
            if len(rows) >= BLOCK_ROWS:
                _hand_over(source, split, rows, lines, tap.characters)
        _hand_over(source, split, rows, lines, 0)
    return split


def _iterate_records(tap: _Lines, split: _Split) -> Iterator[tuple[int, list[str]]]:
    """Yield line and values of every record that is not blank; note the records whose quotes do not pair."""
    # The stream keeps the line ends: the reader then counts physical lines, also those inside quotes.
    reader = csv.reader(tap, delimiter=split.delimiter, strict=True, skipinitialspace=True)
    while True:
        start = reader.line_num
        try:
            for row in reader:
                if _is_blank(row):
                    tap.first = ""
                else:
                    yield start + split.first_line, row
                start = reader.line_num
        except csv.Error:
            split.torn.append(start + split.first_line)
            tap.first = ""
            continue
        break


def _hand_over(source: TextFile, split: _Split, rows: list[list[str]], lines: list[int], characters: int) -> None:
    """Give a block of rows to the collector; after the first one it is known how many rows are to come."""
    if split.collector is None:
        return
    if split.collector.rows == 0 and characters:
        split.collector.refuse_if_too_large(len(rows) * source.size // characters)
    split.collector.add_rows(rows, lines)
    rows.clear()
    lines.clear()


def _is_blank(row: Sequence[str]) -> bool:
    """A line without any character, or one of blanks and delimiters only, as spreadsheets leave below a table."""
    return not row or (not row[0].strip() and not any(cell.strip() for cell in row))


def _note_wrong(split: _Split, row: Sequence[str], line: int, raw: str) -> None:
    kind = _name_width_fault(split, row, raw)
    split.wrong.setdefault(kind, _WrongRows(values=len(row), raw=raw)).lines.append(line)


def _name_width_fault(split: _Split, row: Sequence[str], raw: str) -> str:
    width = len(split.header)
    if len(row) == 1 and _find_other_delimiter(raw, split.delimiter, width):
        return "delimiter"
    extra_is_empty = len(row) > width and not any(cell.strip() for cell in row[width:])
    header_is_longer = len(row) == width - 1 and not split.header[-1].strip()
    return "trailing" if extra_is_empty or header_is_longer else "ragged"


def _find_other_delimiter(raw: str, delimiter: str, width: int) -> str | None:
    others = (other for other in DELIMITERS if other != delimiter)
    return next((other for other in others if width > 1 and _width_of(raw, other) == width), None)


def _width_of(raw: str, delimiter: str) -> int:
    return len(next(iter(csv.reader([raw], delimiter=delimiter, skipinitialspace=True)), []))


def _report_wrong(file: str, split: _Split) -> list[Problem]:
    makers = {"delimiter": _report_delimiters, "trailing": _report_trailing, "ragged": _report_ragged}
    found = [makers[kind](file, split, rows) for kind, rows in split.wrong.items()]
    return found + ([_report_torn(file, split.torn)] if split.torn else [])


def _report_delimiters(file: str, split: _Split, rows: _WrongRows) -> Problem:
    other = _find_other_delimiter(rows.raw, split.delimiter, len(split.header)) or ","
    name, other_name = DELIMITER_NAMES[split.delimiter], DELIMITER_NAMES[other]
    return compose_problem(
        "IB-D03",
        "refuse",
        file=file,
        what=f"the header is split by {name}, but {other_name} splits the values",
        lines=rows.lines,
        value=rows.raw.rstrip("\r\n"),
        why="One file has one delimiter.",
        remedy=f"Write {name} in these rows too, or save the whole file again.",
    )


def _report_trailing(file: str, split: _Split, rows: _WrongRows) -> Problem:
    width, found = len(split.header), rows.values
    return compose_problem(
        "IB-D04",
        "refuse",
        file=file,
        what=f"header {width} fields, rows {found}, the surplus field being empty,",
        lines=rows.lines,
        value=rows.raw.rstrip("\r\n"),
        why="Columns would shift by one without a word.",
        remedy=f"Remove the {DELIMITER_NAMES[split.delimiter]} at the end of the longer lines.",
    )


def _report_ragged(file: str, split: _Split, rows: _WrongRows) -> Problem:
    width, found = len(split.header), rows.values
    values = f"{found} value{'' if found == 1 else 's'}"
    return compose_problem(
        "IB-D05",
        "refuse",
        file=file,
        what="not as many values as the header",
        lines=rows.lines,
        value=rows.raw.rstrip("\r\n"),
        example=f"{values}, header {width}: {quote_value(rows.raw.strip())}",
        why="It is not known which value belongs to which column.",
        remedy=f"Complete the rows, remove footers, and quote values that hold {DELIMITER_NAMES[split.delimiter]}.",
    )


def _report_torn(file: str, torn: list[int]) -> Problem:
    return compose_problem(
        "IB-D05",
        "refuse",
        file=file,
        what="quotes that do not pair up",
        lines=torn,
        why="The row cannot be split into values.",
        remedy='Close each quoted value with ", and write a quote inside a quoted value as "".',
    )


def _note_sep_line(file: str, delimiter: str) -> Problem:
    what = f"line 1 ({quote_value('sep=' + delimiter)}) names the delimiter; the header is line 2"
    return compose_problem("IB-D03", "accept", file=file, what=what)
