"""One column of text cells, its distinct values, and how faults in it are said.

Every conversion works on the distinct values and spreads the result over the rows. Knows no kind of column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from influbayes.tables.problems import Problem, Rule, Unit, compose_problem

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

MOST_LINES = 100_000  # lines one problem holds; the count stays that of all


@dataclass(frozen=True, slots=True, kw_only=True)
class TextColumn:
    """Cells of one column: row i holds `values[codes[i]]`, as written in the file, and stands in line `lines[i]`.

    `name` is ours, `header` the one in the file; `delimiter` decides whether a comma can be the decimal mark; `unit`
    is what `lines` counts.
    """

    name: str
    header: str
    file: str
    delimiter: str
    lines: IntArray
    codes: IntArray
    values: tuple[str, ...]
    unit: Unit = "line"

    def count_values(self) -> IntArray:
        """Rows with each distinct value."""
        return np.bincount(self.codes, minlength=len(self.values)).astype(np.int64)

    def mark_rows(self, flags: Sequence[bool] | BoolArray) -> BoolArray:
        """Rows whose value is flagged; `flags` has one entry a distinct value."""
        return np.asarray(flags, dtype=np.bool_)[self.codes]

    def report(
        self,
        code: str,
        rule: Rule,
        rows: BoolArray,
        *,
        what: str,
        why: str = "",
        remedy: str = "",
        example: str | None = None,
    ) -> Problem:
        """Return the problem of the marked rows (at least one); `example` replaces the first raw value."""
        places = np.flatnonzero(rows)
        return compose_problem(
            code,
            rule,
            file=self.file,
            column=self.header,
            what=what,
            why=why,
            remedy=remedy,
            lines=self.lines[places[:MOST_LINES]].tolist(),
            count=len(places),
            unit=self.unit,
            value=self.values[self.codes[places[0]]],
            example=example,
        )
