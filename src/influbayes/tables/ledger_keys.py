"""Influencer ids across the tables of a ledger: one spelling each, each known once, rows matched to influencers.

Takes raw tables; knows no amount of money.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from influbayes.tables.cells import TextColumn
from influbayes.tables.labels import fold_label
from influbayes.tables.ledger_files import RawTable
from influbayes.tables.problems import Problem, quote_value

NUMBER_ID = re.compile(r"0*([0-9]+)(?:\.0*)?")
ID_COLUMNS = {
    "influencers": "id",
    "posts": "influencer_id",
    "tracking_data": "influencer_id",
    "payouts": "influencer_id",
}


def fold_id(text: str) -> str:
    """Return what is left of an id without leading zeros, a decimal part of zeros, case and accents.

    Examples
    --------
    >>> [fold_id(text) for text in ("7", "7.0", "007", "I7")]
    ['7', '7', '7', 'i7']
    """
    number = NUMBER_ID.fullmatch(text.strip())
    return number.group(1) if number else fold_label(text)


def judge_ids(raw: Mapping[str, RawTable]) -> list[Problem]:
    """Return the refusals of ids spelled in two ways (IB-D43) and of influencers that stand twice (IB-D44)."""
    columns = {name: raw[name].texts[column] for name, column in ID_COLUMNS.items()}
    return [*_refuse_spellings(columns), *_refuse_twice(columns["influencers"])]


def _refuse_spellings(columns: Mapping[str, TextColumn]) -> list[Problem]:
    """Refuse ids that read the same: the table influencers, or else the table read first, has the right spelling."""
    first: dict[str, str] = {}
    found: list[Problem] = []
    for column in columns.values():
        known = dict(first)
        for value in column.values:
            known.setdefault(fold_id(value), value)
        other = [bool(value) and known[fold_id(value)] != value for value in column.values]
        if any(other):
            odd = column.values[other.index(True)]
            found.append(
                column.report(
                    "IB-D43",
                    "refuse",
                    column.mark_rows(other),
                    what=f"{quote_value(known[fold_id(odd)])} and {quote_value(odd)}: one id?",
                    why="Written in two ways, an id matches nothing, and its money is lost.",
                    remedy="Write it alike in all tables.",
                    example="",
                )
            )
        first = known
    return found


def _refuse_twice(column: TextColumn) -> list[Problem]:
    counts = column.count_values()
    twice = counts > 1
    if not twice.any():
        return []
    why = "Every order and payout of such an influencer would count more than once."
    what = f"an id that stands more than once ({quote_value(column.values[int(np.argmax(twice))])})"
    remedy = "Keep one row for each influencer."
    rows = column.mark_rows(twice)
    return [column.report("IB-D44", "refuse", rows, what=what, why=why, remedy=remedy, example="")]


def match_ids(frame: pd.DataFrame, ids: pd.Series) -> pd.DataFrame:
    """Return the frame with `influencer`, the place of the id in `ids`, -1 where it is empty or unknown."""
    places = pd.Index(ids).get_indexer(pd.Index(frame["influencer_id"]))
    return frame.assign(influencer=places.astype(np.int64))


def code_ids(orders: pd.DataFrame) -> pd.DataFrame:
    """Return the orders with `user`, a code of the user in sorted order."""
    codes, _ = pd.factorize(orders["user_id"], sort=True)
    return orders.assign(user=codes.astype(np.int64))
