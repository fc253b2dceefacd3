"""What every reader refuses alike: flawed cells of the columns in use, and, at the end, whatever was found wrong.

Takes records and problems; knows no table and no column by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from influbayes.errors import DataRefused
from influbayes.tables.problems import Problem, compose_problem, sort_problems
from influbayes.tables.records import Flaw, Records


def set_flaws_aside(
    records: Records, positions: Mapping[str, int]
) -> tuple[Records, dict[str, int], tuple[Problem, ...]]:
    """Refuse what a workbook or a typed file holds that is no cell of a table, in the columns in use.

    Parameters
    ----------
    records
        As read; `flaws` holds those of all columns.
    positions
        Column in use -> its place.

    Returns
    -------
    tuple
        The records without the flawed rows, the places of the columns that can be read at all, and the refusals: with
        them the other checks still find what else is wrong.
    """
    names = {place: name for name, place in positions.items()}
    flaws = [flaw for flaw in records.flaws if flaw.place in names]
    problems = tuple(_refuse_flaw(records, flaw, names[flaw.place]) for flaw in flaws)
    spoiled = {flaw.place for flaw in flaws if not flaw.lines}
    kept = ~np.isin(records.lines, [line for flaw in flaws for line in flaw.lines])
    return records.keep_rows(kept), {name: place for name, place in positions.items() if place not in spoiled}, problems


def refuse_if_any(found: Iterable[Problem]) -> None:
    """Raise DataRefused with every refusal among the problems found, in line order."""
    refused = [problem for problem in found if problem.rule == "refuse"]
    if refused:
        raise DataRefused(sort_problems(refused))


def _refuse_flaw(records: Records, flaw: Flaw, name: str) -> Problem:
    return compose_problem(
        flaw.code,
        "refuse",
        file=records.file,
        column=records.header[flaw.place].strip(),
        what=flaw.what,
        lines=flaw.lines,
        value=flaw.value,
        example=flaw.example,
        why=flaw.why,
        remedy=flaw.remedy.format(name=name),
        unit=records.unit,
    )
