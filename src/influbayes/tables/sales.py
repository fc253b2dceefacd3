"""Purchases and revenue of a post: whole numbers and money of 0 or more that agree with whether the post converted.

Takes text columns and the outcome; gives amounts and what was found. Knows no tier and no model.
"""

from __future__ import annotations

import numpy as np

from influbayes.tables.cells import BoolArray, FloatArray, TextColumn
from influbayes.tables.numbers import Kind, read_numbers
from influbayes.tables.problems import Problem

PURCHASES, REVENUE = "Purchases", "Revenue"
SALES: dict[str, Kind] = {PURCHASES: "count", REVENUE: "money"}
"""Columns that say how much a converting post brought, and how each is read; empty cells are allowed."""


def read_sales(column: TextColumn) -> tuple[FloatArray, list[Problem]]:
    """Return purchases or revenue of each row (NaN where empty or refused), and what was found.

    Refused: no number (IB-D19), an ambiguous one (IB-D18), below 0 (IB-D40), and for purchases parts of one (IB-D23).
    """
    amounts, found = read_numbers(column, kind=SALES[column.name], missing="")
    below = amounts < 0
    if below.any():
        why = "What was sold is 0 or more; a refund is no negative sale of a post."
        remedy = "Correct the rows, or leave the cell empty."
        found.append(column.report("IB-D40", "refuse", below, what="below 0", why=why, remedy=remedy))
    return np.where(below, np.nan, amounts), found


def judge_sales(column: TextColumn, amounts: FloatArray, outcome: TextColumn, bought: FloatArray) -> list[Problem]:
    """Return the refusal of rows whose sales and outcome contradict each other (IB-D34), and a warning of empty ones.

    A conversion is a post with at least one purchase: sales without it, or a conversion of 0 purchases, is one mistake
    or the other. A conversion may bring 0 in revenue (a voucher). Converting posts with an empty cell are kept: the
    mean of their tier is taken over the others.
    """
    found: list[Problem] = []
    sold = (amounts > 0) & (bought == 0)
    if sold.any():
        found.append(_refuse(column, outcome, sold, f"above 0 where {outcome.header} is 0"))
    none = (amounts == 0) & (bought > 0)
    if column.name == PURCHASES and none.any():
        found.append(_refuse(column, outcome, none, f"0 where {outcome.header} says there was a purchase"))
    missing = np.isnan(amounts) & (bought > 0) & column.mark_rows([not value.strip() for value in column.values])
    if missing.any():
        what, why = f"no {column.name} of converting posts", "They are kept, and left out of the mean of their tier."
        found.append(column.report("IB-D40", "warn", missing, what=what, why=why, example=""))
    return found


def _refuse(column: TextColumn, outcome: TextColumn, rows: BoolArray, what: str) -> Problem:
    i = int(np.flatnonzero(rows)[0])
    shown = ", ".join(f"{col.header}={col.values[col.codes[i]].strip()}" for col in (column, outcome))
    why = "A conversion is a post with at least one purchase, so one of the two is wrong."
    remedy = f"Correct the rows, or empty the cells of {column.header}."
    return column.report("IB-D34", "refuse", rows, what=what, why=why, remedy=remedy, example=shown)
