"""The one order of levels on page and screen: the reference first, then the others, the best as bought first.

Takes a results.json. Knows no words and no estimate of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
_QUESTIONS = ("as_bought", "engagement_constant")


def order_levels(results: Row, variable: str) -> list[str]:
    """Return the levels of a column: its reference, then the others by expected value as bought, the highest first.

    Without estimates, as in a study withheld as a whole, the others stand in order of their names.
    """
    expected = _find_expected(results, variable)
    known = dict.fromkeys([*results["data"]["levels"].get(variable, {}), *expected])
    reference = _find_reference(results, variable)
    return sorted(known, key=lambda level: (level != reference, -expected.get(level, 0.0), level))


def make_key(results: Row) -> Callable[[str, str], tuple[int, ...]]:
    """Return the key (variable, label) -> places of its levels; cells "a:b" sort by both."""
    orders: dict[str, dict[str, int]] = {}

    def place(variable: str, label: str) -> tuple[int, ...]:
        if variable not in results["data"]["levels"] and ":" in variable:
            columns, parts = _split_cell(results, variable, label)
            return tuple(place_level(column, part) for column, part in zip(columns, parts, strict=True))
        return (place_level(variable, label),)

    def place_level(column: str, level: str) -> int:
        if column not in orders:
            orders[column] = {known: k for k, known in enumerate(order_levels(results, column))}
        return orders[column].get(level, len(orders[column]))

    return place


def sort_rows(results: Row, rows: Sequence[Row]) -> list[Row]:
    """Return rows of comparisons or of single levels in the order of columns as they stand, levels as `order_levels`.

    Comparisons with the reference come before the other pairs of their column.
    """
    place, columns = make_key(results), list(dict.fromkeys(row["variable"] for row in rows))

    def key(row: Row) -> tuple[Any, ...]:
        variable, level, reference = row["variable"], row.get("level"), row.get("reference")
        against = () if reference is None else place(variable, reference)
        other_pair = bool(against) and against[0] > 0 and reference in results["data"]["levels"].get(variable, {})
        mine = () if level is None else place(variable, str(level))
        return (columns.index(variable), other_pair, mine, against)

    return sorted(rows, key=key)


def _find_expected(results: Row, variable: str) -> dict[str, float]:
    for question in _QUESTIONS:
        found = {
            str(row["level"]): float(row["estimate"])
            for row in results["effects"]
            if (row["estimand"], row["question"], row["variable"]) == ("expected_value", question, variable)
            and row["level"] is not None
            and row["estimate"] is not None
            and results["status"] != "withheld"
        }
        if found:
            return found
    return {}


def _find_reference(results: Row, variable: str) -> str | None:
    return next((term["reference"] for term in results["model"]["terms"] if term["variable"] == variable), None)


def _split_cell(results: Row, variable: str, label: str) -> tuple[list[str], list[str]]:
    """Columns and levels of a cell; labels may hold colons themselves, so the cells of the account are asked first."""
    for cell in results["data"]["rates"]["cells"]:
        if (cell["variable"], cell["level"]) == (variable, label):
            columns = [name for name in results["data"]["levels"] if name in variable]
            pairs = [(a, b) for a in columns for b in columns if f"{a}:{b}" == variable]
            if pairs:
                return list(pairs[0]), list(cell["levels"])
    first, _, second = variable.partition(":")
    one, _, two = label.partition(":")
    return [first, second], [one, two]
