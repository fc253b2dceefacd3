"""Text to records: finds the delimiter, splits strictly, checks the width of every record against the header.

Takes decoded text; knows lines, quotes and widths; knows no column by name.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from influbayes.errors import DataRefused
from influbayes.tables.encoding import FileText
from influbayes.tables.problems import Problem, compose_problem, quote_value

DELIMITERS = (",", ";", "\t")
DELIMITER_NAMES = {",": '","', ";": '";"', "\t": "TAB"}
SEP_LINE = re.compile(r'"?sep=([,;\t])"?[ ,;\t]*(\r\n|\r|\n|$)', re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Header and rows of equal width as text, with the line each row starts in; problems found while splitting.

    `text` is the whole file as decoded, for searches that are quicker there than cell by cell.
    """

    file: str
    text: str
    delimiter: str
    header: tuple[str, ...]
    header_line: int
    rows: list[list[str]]
    lines: list[int]
    problems: tuple[Problem, ...] = ()
    notices: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Split:
    """Every record that is not blank, the line it starts in, and the lines of records whose quotes do not pair."""

    delimiter: str
    rows: list[list[str]]
    lines: list[int]
    torn: list[int]

    def count_agreeing(self) -> int:
        width = len(self.rows[0]) if self.rows else 0
        return sum(len(row) == width for row in self.rows[1:])


def split_records(source: FileText) -> Records:
    """Return the records of a text, the delimiter (comma, semicolon or TAB) taken from the whole file.

    Blank lines are passed over. Rows of another width than the header are left out and refused as problems.

    Raises
    ------
    DataRefused
        Nothing but blank lines, or a header without a row below it (IB-D07).
    """
    text, notices, first_line = source.text, list(source.notices), 1
    split = None
    named = SEP_LINE.match(text)
    if named:
        text, first_line = text[named.end() :], 2
        split = _split_text(text, named.group(1), first_line=first_line)
        notices.append(_note_sep_line(source.file, named.group(1)))
    split = split or _choose_split(text)
    if split.torn and len(split.rows) < 2:
        raise DataRefused([_report_torn(source.file, split.torn)])
    if not split.rows:
        raise _refuse_empty(source.file, "holds no header and no rows")
    header, header_line = tuple(split.rows[0]), split.lines[0]
    if len(split.rows) == 1:
        raise _refuse_empty(source.file, f"no rows below the header in line {header_line}")
    if split.delimiter != "," and not named:
        what = f"delimiter {DELIMITER_NAMES[split.delimiter]}"
        notices.append(compose_problem("IB-D03", "accept", file=source.file, what=what))
    good, problems = _check_widths(source.file, split, text, first_line)
    return Records(
        file=source.file,
        text=source.text,
        delimiter=split.delimiter,
        header=header,
        header_line=header_line,
        rows=[split.rows[i] for i in good],
        lines=[split.lines[i] for i in good],
        problems=tuple(problems),
        notices=tuple(notices),
    )


def _split_text(text: str, delimiter: str, *, first_line: int = 1) -> _Split:
    # newline="" keeps the line ends: the reader then counts physical lines, also those inside quotes.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    torn: list[int] = []
    offset = first_line
    while True:
        start = reader.line_num
        try:
            for row in reader:
                rows.append(row)
                lines.append(start + offset)
                start = reader.line_num
        except csv.Error:
            torn.append(start + offset)
            continue
        break
    kept = [i for i, row in enumerate(rows) if not _is_blank(row)]
    if len(kept) < len(rows):
        rows, lines = [rows[i] for i in kept], [lines[i] for i in kept]
    return _Split(delimiter=delimiter, rows=rows, lines=lines, torn=torn)


def _is_blank(row: Sequence[str]) -> bool:
    """A line without any character, or one of blanks and delimiters only, as spreadsheets leave below a table."""
    return not row or (not row[0].strip() and not any(cell.strip() for cell in row))


def _choose_split(text: str) -> _Split:
    """Split by the delimiter under which most rows are as wide as the header, wider headers first."""
    best: _Split | None = None
    for delimiter in _order_delimiters(text):
        split = _split_text(text, delimiter)
        if best is None or _score(split) > _score(best):
            best = split
        if not split.torn and len(split.rows[0] if split.rows else ()) > 1 and _agrees(split):
            return split
    return best if best is not None else _split_text(text, ",")


def _order_delimiters(text: str) -> list[str]:
    first = next((line for line in io.StringIO(text, newline="") if line.strip()), "")
    found = [delimiter for delimiter in DELIMITERS if delimiter in first] or [","]
    return sorted(found, key=lambda delimiter: -first.count(delimiter))


def _agrees(split: _Split) -> bool:
    return split.count_agreeing() == len(split.rows) - 1


def _score(split: _Split) -> tuple[bool, int, int]:
    width = len(split.rows[0]) if split.rows else 0
    return width > 1, split.count_agreeing() - len(split.torn), width


def _check_widths(file: str, split: _Split, text: str, first_line: int) -> tuple[list[int], list[Problem]]:
    width = len(split.rows[0])
    good = [i for i in range(1, len(split.rows)) if len(split.rows[i]) == width]
    wrong = [i for i in range(1, len(split.rows)) if len(split.rows[i]) != width]
    problems = _report_widths(file, split, wrong, text, first_line) if wrong else []
    if split.torn:
        problems.append(_report_torn(file, split.torn))
    return good, problems


def _report_widths(file: str, split: _Split, wrong: list[int], text: str, first_line: int) -> list[Problem]:
    physical = list(io.StringIO(text, newline=""))
    kinds: dict[str, list[int]] = {}
    for i in wrong:
        raw = physical[split.lines[i] - first_line]
        kinds.setdefault(_name_width_fault(split, i, raw), []).append(i)
    makers = {"delimiter": _report_delimiters, "trailing": _report_trailing, "ragged": _report_ragged}
    return [
        makers[kind](file, split, rows, physical[split.lines[rows[0]] - first_line]) for kind, rows in kinds.items()
    ]


def _name_width_fault(split: _Split, i: int, raw: str) -> str:
    width, row = len(split.rows[0]), split.rows[i]
    if len(row) == 1 and _find_other_delimiter(raw, split.delimiter, width):
        return "delimiter"
    extra_is_empty = len(row) > width and not any(cell.strip() for cell in row[width:])
    header_is_longer = len(row) == width - 1 and not split.rows[0][-1].strip()
    return "trailing" if extra_is_empty or header_is_longer else "ragged"


def _find_other_delimiter(raw: str, delimiter: str, width: int) -> str | None:
    others = (other for other in DELIMITERS if other != delimiter)
    return next((other for other in others if width > 1 and _width_of(raw, other) == width), None)


def _width_of(raw: str, delimiter: str) -> int:
    return len(next(iter(csv.reader([raw], delimiter=delimiter, skipinitialspace=True)), []))


def _report_delimiters(file: str, split: _Split, rows: list[int], raw: str) -> Problem:
    other = _find_other_delimiter(raw, split.delimiter, len(split.rows[0])) or ","
    name, other_name = DELIMITER_NAMES[split.delimiter], DELIMITER_NAMES[other]
    return compose_problem(
        "IB-D03",
        "refuse",
        file=file,
        what=f"the header is split by {name}, but {other_name} splits the values",
        lines=[split.lines[i] for i in rows],
        value=raw.rstrip("\r\n"),
        why="One file has one delimiter.",
        remedy=f"Write {name} in these rows too, or save the whole file again.",
    )


def _report_trailing(file: str, split: _Split, rows: list[int], raw: str) -> Problem:
    width, found = len(split.rows[0]), len(split.rows[rows[0]])
    return compose_problem(
        "IB-D04",
        "refuse",
        file=file,
        what=f"header {width} fields, rows {found}, the surplus field being empty,",
        lines=[split.lines[i] for i in rows],
        value=raw.rstrip("\r\n"),
        why="Columns would shift by one without a word.",
        remedy=f"Remove the {DELIMITER_NAMES[split.delimiter]} at the end of the longer lines.",
    )


def _report_ragged(file: str, split: _Split, rows: list[int], raw: str) -> Problem:
    width, found = len(split.rows[0]), len(split.rows[rows[0]])
    values = f"{found} value{'' if found == 1 else 's'}"
    return compose_problem(
        "IB-D05",
        "refuse",
        file=file,
        what="not as many values as the header",
        lines=[split.lines[i] for i in rows],
        value=raw.rstrip("\r\n"),
        example=f"{values}, header {width}: {quote_value(raw.strip())}",
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


def _refuse_empty(file: str, what: str) -> DataRefused:
    remedy = "Give a file with one header line and one row for each post."
    return DataRefused([compose_problem("IB-D07", "refuse", file=file, what=what, remedy=remedy)])


def _note_sep_line(file: str, delimiter: str) -> Problem:
    what = f"line 1 ({quote_value('sep=' + delimiter)}) names the delimiter; the header is line 2"
    return compose_problem("IB-D03", "accept", file=file, what=what)
