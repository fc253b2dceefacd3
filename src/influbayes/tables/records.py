"""Rows of text in columns: what every source of posts becomes before anything is checked.

Takes blocks of cells as text, whatever they were read from, and keeps of each wanted column its distinct values and
one small number a row. Of the other columns it keeps what the checks across rows need: whether two rows are equal and
whether a row says that it is a total. So memory grows with the rows and the distinct values, not with the file. Knows
no column by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from influbayes.errors import DataRefused
from influbayes.tables.cells import BoolArray, IntArray, TextColumn
from influbayes.tables.memory import refuse_if_too_large
from influbayes.tables.problems import Problem, Unit, compose_problem

BLOCK_ROWS = 20_000
MOST_COLUMNS = 16_384  # as in a workbook
TOTAL = re.compile(
    r"\s*(?:grand|sub|overall|report)?[ -]?"
    r"(?:totals?|sums?|summe|gesamt|insgesamt|gesamtsumme|suma|somme|totale)\b.*",
    re.IGNORECASE | re.DOTALL,
)
TOTAL_WORDS = ("total", "sum", "gesamt", "somme")

Keep = Callable[[Sequence[str]], Collection[int]]  # header -> places of the columns whose cells are wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """A fault of single cells, or of a whole column (no `lines`), that matters only if the column is used."""

    place: int
    what: str
    code: str = "IB-D19"
    lines: tuple[int, ...] = ()
    value: str | None = None
    example: str | None = None
    why: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodedCells:
    """One column: row i holds `values[codes[i]]`."""

    codes: NDArray[np.int32]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Header and rows of equal width, and what was found while reading them.

    `cells` holds the wanted columns by their place; `lines` where each row stands, counted in `unit`s, the header in
    `header_line` (0 where it stands in no line); `fingerprints` are equal where whole rows are; `said_totals` maps a
    row to the places of its cells that say "total"; `shown` holds single rows whole, the last one among them.
    """

    file: str
    format: str
    header: tuple[str, ...]
    cells: Mapping[int, CodedCells]
    lines: IntArray
    fingerprints: IntArray
    said_totals: Mapping[int, tuple[int, ...]]
    shown: Mapping[int, tuple[str, ...]]
    delimiter: str = ","
    header_line: int = 1
    unit: Unit = "line"
    problems: tuple[Problem, ...] = ()
    notices: tuple[Problem, ...] = ()
    flaws: tuple[Flaw, ...] = ()

    def take_column(self, place: int, name: str) -> TextColumn:
        """Return a wanted column as text cells, distinct values in order of appearance."""
        found = self.cells[place]
        codes, used = pd.factorize(found.codes)
        return TextColumn(
            name=name,
            header=self.header[place].strip(),
            file=self.file,
            delimiter=self.delimiter,
            unit=self.unit,
            lines=self.lines,
            codes=codes.astype(np.int64),
            values=tuple(found.values[code] for code in used.tolist()),
        )

    def keep_rows(self, kept: BoolArray) -> Records:
        """Return the records without the rows that are not marked."""
        if kept.all():
            return self
        moved = {int(old): new for new, old in enumerate(np.flatnonzero(kept))}
        return replace(
            self,
            cells={place: replace(found, codes=found.codes[kept]) for place, found in self.cells.items()},
            lines=self.lines[kept],
            fingerprints=self.fingerprints[kept],
            said_totals={moved[i]: places for i, places in self.said_totals.items() if i in moved},
            shown={moved[i]: row for i, row in self.shown.items() if i in moved},
        )


@dataclass(slots=True)
class _Coder:
    """The distinct values of one column so far, and the blocks of codes."""

    known: dict[str, int] = field(default_factory=dict)
    blocks: list[NDArray[np.int32]] = field(default_factory=list)

    def add_cells(self, cells: Sequence[str]) -> None:
        codes, values = pd.factorize(np.array([*cells, ""], dtype=object)[:-1])
        new = [self.known.setdefault(value, len(self.known)) for value in values.tolist()]
        self.blocks.append(np.array(new, dtype=np.int32)[codes])

    def finish(self) -> CodedCells:
        codes = np.concatenate(self.blocks) if self.blocks else np.empty(0, dtype=np.int32)
        return CodedCells(codes=codes, values=tuple(self.known))


class RecordCollector:
    """Takes blocks of cells as they are read and gives the records at the end."""

    def __init__(self, file: str, kept: Collection[int]) -> None:
        self.rows = 0
        self._file = file
        self._coders = {place: _Coder() for place in sorted(kept)}
        self._lines: list[IntArray] = []
        self._fingerprints: list[IntArray] = []
        self._said: dict[int, tuple[int, ...]] = {}
        self._shown: dict[int, tuple[str, ...]] = {}
        self._last: tuple[str, ...] = ()

    def add_rows(self, rows: Sequence[Sequence[str]], lines: Sequence[int]) -> None:
        """Take rows of equal width; `lines` says where each stands."""
        if rows:
            self.add_columns(list(zip(*rows, strict=True)), lines)

    def add_columns(self, columns: Sequence[Sequence[str]], lines: Sequence[int]) -> None:
        """Take a block of rows column by column."""
        count = len(lines)
        self._lines.append(np.array(lines, dtype=np.int64))
        self._fingerprints.append(np.fromiter(map(hash, zip(*columns, strict=True)), dtype=np.int64, count=count))
        for place, coder in self._coders.items():
            coder.add_cells(columns[place])
        self._note_totals(columns)
        self._last = tuple(column[-1] for column in columns)
        self.rows += count

    def refuse_if_too_large(self, rows: int) -> None:
        """Refuse (IB-D10) if so many rows do not fit in memory."""
        refuse_if_too_large(self._file, rows=rows, columns=len(self._coders))

    def finish(
        self, *, format: str, header: Sequence[str], delimiter: str = ",", header_line: int = 1, unit: Unit = "line"
    ) -> Records:
        """Return the records of all blocks."""
        none = np.empty(0, dtype=np.int64)
        last = {self.rows - 1: self._last} if self.rows else {}
        return Records(
            file=self._file,
            format=format,
            header=tuple(header),
            cells={place: coder.finish() for place, coder in self._coders.items()},
            lines=np.concatenate([none, *self._lines]),
            fingerprints=np.concatenate([none, *self._fingerprints]),
            said_totals=self._said,
            shown={**self._shown, **last},
            delimiter=delimiter,
            header_line=header_line,
            unit=unit,
        )

    def _note_totals(self, columns: Sequence[Sequence[str]]) -> None:
        found: dict[int, list[int]] = {}
        for place, column in enumerate(columns):
            text = "\n".join(column).casefold()
            if any(word in text for word in TOTAL_WORDS):
                for i, cell in enumerate(column):
                    if TOTAL.fullmatch(cell):
                        found.setdefault(i, []).append(place)
        for i, places in sorted(found.items()):
            self._said[self.rows + i] = tuple(places)
            self._shown[self.rows + i] = tuple(column[i] for column in columns)


def refuse_empty(file: str, what: str) -> DataRefused:
    """Return the refusal of a table without rows (IB-D07)."""
    remedy = "Give a file with one header line and one row for each post."
    return DataRefused([compose_problem("IB-D07", "refuse", file=file, what=what, remedy=remedy)])
