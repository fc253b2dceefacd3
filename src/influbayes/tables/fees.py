"""Fee cells to amounts: one currency sign, nothing below 0; what was gifted is said.

Takes a text column; knows no exchange rate and converts none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from influbayes.tables.cells import FloatArray, TextColumn
from influbayes.tables.numbers import PLAIN, read_numbers
from influbayes.tables.problems import Problem, list_values

SIGN = r"(?:(?:US|CA|AU|NZ|HK|MX|R|S)?\$|[€£¥₹₽₩₺₴₦₱฿₫]|zł|kr\.?|Kč|CHF|Fr\.|[A-Z]{3})"
SIGNED = re.compile(
    rf"(?P<minus>[-\u2212]?)\s*(?P<before>{SIGN})?\s*(?P<amount>[-+\u2212]?[0-9.,'\u2019\s]+?)\s*(?P<after>{SIGN})?"
)

LONGEST_FEE = 60  # characters; longer cells hold no amount


def read_fees(column: TextColumn) -> tuple[FloatArray, list[Problem]]:
    """Return one amount a row, in the unit of the file (NaN where empty or refused), and what was found.

    Refused: currencies mixed (IB-D40), below 0 (IB-D40), no number (IB-D19) or an ambiguous one (IB-D18).
    Warned: fees of 0 and empty ones (IB-D40), which no cost per purchase can be stated for.
    """
    plain = all(map(PLAIN.fullmatch, column.values))
    split = [("", value) if plain else _split_sign(value.strip()) for value in column.values]
    signs = [sign for sign, _ in split]
    # The messages show the raw cell: only the numbers are read from the bare amounts.
    bare = replace(column, values=tuple(amount for _, amount in split))
    amounts, found = read_numbers(bare, kind="money", missing="")
    problems = [_show_raw(column, problem) for problem in found]
    problems += _judge_signs(column, signs) + _judge_amounts(column, amounts)
    return np.where(amounts < 0, np.nan, amounts), problems


def _split_sign(text: str) -> tuple[str, str]:
    found = SIGNED.fullmatch(text) if len(text) <= LONGEST_FEE else None
    if not found or (found["before"] and found["after"] and found["before"] != found["after"]):
        return "", text
    return found["before"] or found["after"] or "", found["minus"] + found["amount"].strip()


def _show_raw(column: TextColumn, problem: Problem) -> Problem:
    if not problem.lines:
        return problem
    first = int(np.flatnonzero(column.lines == problem.lines[0])[0])
    return replace(problem, value=column.values[column.codes[first]])


def _judge_signs(column: TextColumn, signs: Sequence[str]) -> list[Problem]:
    kinds = dict.fromkeys(sign for sign, value in zip(signs, column.values, strict=True) if value.strip())
    if len(kinds) < 2:
        return _note_sign(column, signs) if any(kinds) else []
    counts = column.count_values()
    totals = {kind: sum(int(n) for sign, n in zip(signs, counts, strict=True) if sign == kind) for kind in kinds}
    common = max(totals, key=lambda kind: totals[kind])
    rows = column.mark_rows(
        [sign != common and bool(value.strip()) for sign, value in zip(signs, column.values, strict=True)]
    )
    shown = list_values([kind or "no sign" for kind in kinds])
    return [
        column.report(
            "IB-D40",
            "refuse",
            rows,
            what=f"mixed currencies ({shown}). The rarer ones stand",
            why="Amounts in several currencies cannot be compared or added.",
            remedy="Write all fees in one currency.",
        )
    ]


def _note_sign(column: TextColumn, signs: Sequence[str]) -> list[Problem]:
    rows = column.mark_rows([bool(sign) for sign in signs])
    sign = next(sign for sign in signs if sign)
    return [column.report("IB-D40", "accept", rows, what=f"fees in one currency ({sign})")]


def _judge_amounts(column: TextColumn, amounts: FloatArray) -> list[Problem]:
    found: list[Problem] = []
    if (amounts < 0).any():
        what, why = "below 0", "A fee is paid, not received."
        remedy = "Correct the rows, or leave the fee empty."
        found.append(column.report("IB-D40", "refuse", amounts < 0, what=what, why=why, remedy=remedy))
    if (amounts == 0).any():
        what, why = "fee 0", "Gifted? No cost per purchase can be stated for these posts."
        found.append(column.report("IB-D40", "warn", amounts == 0, what=what, why=why))
    empty = column.mark_rows([not value.strip() for value in column.values])
    if empty.any():
        what, why = "no fee; the posts are kept", "They are left out wherever fees are used."
        found.append(column.report("IB-D40", "warn", empty, what=what, why=why, example=""))
    return found
