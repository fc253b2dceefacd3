"""Small tables by tier and region: fees, limits and last plans, checked against the levels that were fitted.

Takes a CSV or TSV file and the levels; gives numbers by label ("Micro" or "Micro:US"). Knows no model and no plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from influbayes.tables.cells import TextColumn
from influbayes.tables.fees import read_fees
from influbayes.tables.numbers import read_numbers
from influbayes.tables.problems import Problem, compose_problem, list_values
from influbayes.tables.records import Records
from influbayes.tables.refusals import refuse_if_any
from influbayes.tables.sources import read_records


@dataclass(frozen=True, slots=True, kw_only=True)
class CellTable:
    """Numbers by label: `columns` name -> label -> amount; labels of the first factor, or cells "Micro:US"."""

    file: str
    columns: Mapping[str, Mapping[str, float]]
    notices: tuple[Problem, ...]


def read_cell_table(
    source: str | Path,
    *,
    levels: Mapping[str, Sequence[str]],
    amounts: Sequence[str] = (),
    counts: Sequence[str] = (),
    optional: bool = False,
    complete: bool = False,
) -> CellTable:
    """Return the numbers of a table with one row a level of the first factor, or a cell of the first two.

    Parameters
    ----------
    source
        CSV or TSV file. Its first columns are named like the factors; the second factor may be left out.
    levels
        Factor -> fitted levels, one or two factors.
    amounts, counts
        Columns read as money (one currency, 0 or more) and as whole numbers.
    optional
        Whether columns and cells may be empty; at least one column must be there.
    complete
        Whether every level of the first factor, or every cell, must have a row.

    Raises
    ------
    DataRefused
        Unknown level or missing row (IB-D41), a row twice (IB-D41), no such column (IB-D14), and what the numbers
        themselves are refused for (IB-D19, IB-D40). All problems at once.
    """
    records = read_records(source, lambda header: range(len(header)))
    headers = [name.strip() for name in records.header]
    factors = [name for name in list(levels)[:2] if name in headers]
    wanted = [*amounts, *counts]
    problems = [*records.problems, *_miss_columns(records, headers, list(levels)[:1], wanted, optional=optional)]
    refuse_if_any(problems)
    labels, said = _read_labels(records, headers, factors, levels)
    problems += said
    columns: dict[str, Mapping[str, float]] = {}
    for name in (name for name in wanted if name in headers):
        column = _take(records, headers, name)
        values, found = _read_values(column, money=name in amounts, optional=optional)
        problems += [*found, *_require(column, values, optional)]
        columns[name] = {label: float(v) for label, v in zip(labels, values, strict=True) if np.isfinite(v)}
    if complete:
        problems += _miss_rows(records, labels, factors, levels)
    refuse_if_any(problems)
    notices = tuple(problem for problem in (*records.notices, *problems) if problem.rule != "refuse")
    return CellTable(file=records.file, columns=columns, notices=notices)


def _miss_columns(
    records: Records, headers: list[str], factors: list[str], wanted: list[str], *, optional: bool
) -> list[Problem]:
    missing = [name for name in factors if name not in headers]
    here = [name for name in wanted if name in headers]
    if not here or (not optional and len(here) < len(wanted)):
        missing += [name for name in wanted if name not in headers]
    if not missing:
        return []
    remedy = f"Name the columns {', '.join([*factors, *wanted])}."
    what = f"no column {list_values(missing)}; found {list_values(headers)}"
    return [compose_problem("IB-D14", "refuse", file=records.file, what=what, remedy=remedy)]


def _take(records: Records, headers: list[str], name: str) -> TextColumn:
    return records.take_column(headers.index(name), name)


def _read_labels(
    records: Records, headers: list[str], factors: list[str], levels: Mapping[str, Sequence[str]]
) -> tuple[list[str], list[Problem]]:
    parts, problems = [], []
    for name in factors:
        column = _take(records, headers, name)
        values = [value.strip() for value in column.values]
        known = {level.casefold(): level for level in levels[name]}
        unknown = column.mark_rows([value.casefold() not in known for value in values])
        if unknown.any():
            remedy = f"Levels that were fitted: {list_values(levels[name])}."
            what, why = "a level that was not fitted", "Nothing is known of it."
            problems.append(column.report("IB-D41", "refuse", unknown, what=what, why=why, remedy=remedy))
        parts.append([known.get(values[code].casefold(), values[code]) for code in column.codes])
    labels = [":".join(part) for part in zip(*parts, strict=True)]
    twice = [k for k, label in enumerate(labels) if label in labels[:k]]
    if twice:
        problems.append(
            compose_problem(
                "IB-D41",
                "refuse",
                file=records.file,
                what=f"{labels[twice[0]]} stands here twice",
                remedy="Keep one row for each.",
                lines=[int(records.lines[k]) for k in twice],
            )
        )
    return labels, problems


def _read_values(column: TextColumn, *, money: bool, optional: bool) -> tuple[np.ndarray, list[Problem]]:
    if money:
        values, found = read_fees(column)
        return values, [problem for problem in found if problem.rule == "refuse" or (values == 0).any()]
    values, found = read_numbers(column, kind="count", missing="" if optional else "IB-D41")
    return values, [*found]


def _require(column: TextColumn, values: np.ndarray, optional: bool) -> list[Problem]:
    empty = column.mark_rows([not value.strip() for value in column.values])
    if optional or not empty.any():
        return []
    remedy = "Write an amount in every row."
    return [column.report("IB-D41", "refuse", empty, what="no amount", remedy=remedy, example="")]


def _miss_rows(
    records: Records, labels: list[str], factors: list[str], levels: Mapping[str, Sequence[str]]
) -> list[Problem]:
    wanted = list(levels[factors[0]])
    if len(factors) > 1:
        wanted = [f"{one}:{two}" for one in levels[factors[0]] for two in levels[factors[1]]]
    missing = [label for label in wanted if label not in labels]
    if not missing:
        return []
    remedy = "Add a row for each."
    return [
        compose_problem("IB-D41", "refuse", file=records.file, what=f"no fee for {list_values(missing)}", remedy=remedy)
    ]
