"""Checks that only add words, as notes: those that say the same of several levels are told once.

Takes rows of `diagnostics` of a results.json. Knows no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from influbayes.reporting.wording import join_words, name_column

Row = Mapping[str, Any]


def merge_notes(diagnostics: Sequence[Row]) -> list[Row]:
    """Return the rows with the levels that have few trials in one row for all questions, in place of the first."""
    few = [row for row in diagnostics if _is_few_trials(row)]
    if len({row["subject"] for row in few}) < 2:
        return list(diagnostics)
    merged, found = {**few[0], "subject": _list_subjects(few), "meaning": say_few_trials(few), "value": None}, []
    for row in diagnostics:
        if not _is_few_trials(row):
            found.append(row)
        elif row is few[0]:
            found.append(merged)
    return found


def say_few_trials(rows: Sequence[Row]) -> str:
    """Return one sentence on all levels with few trials: "tier Mid (12), region EU (20) and US (8) have fewer ..."."""
    columns: dict[str, dict[str, float]] = {}
    for row in rows:
        column, _, level = row["subject"].partition(":")
        columns.setdefault(column, {})[level] = row["value"]
    named = [
        f"{name_column(column)} {join_words([f'{level} ({count:,.0f})' for level, count in levels.items()])}"
        for column, levels in columns.items()
    ]
    limit = rows[0]["threshold"]
    return (
        f"Few trials: {'; '.join(named)}. Below {limit:,.0f} trials the effect of a level rests much on the prior. "
        "Add posts of these levels."
    )


def _list_subjects(rows: Sequence[Row]) -> str:
    return ", ".join(dict.fromkeys(row["subject"].partition(":")[2] for row in rows))


def _is_few_trials(row: Row) -> bool:
    return bool(
        row["name"] == "few_rows" and row["status"] == "warn" and ":" in row["subject"] and row["value"] is not None
    )
