"""The one order of levels on page and screen: the reference, then the others, the best as bought first."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from typing import Any

import pytest

from influbayes.reporting.level_order import make_key, order_levels, sort_rows


def make_results(
    expected: Mapping[str, Mapping[str, float]],
    *,
    references: Mapping[str, str | None],
    question: str = "as_bought",
    status: str = "ok",
    cells: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """A results.json with what the order is made of, and nothing else."""
    return {
        "status": status,
        "data": {
            "levels": {column: dict.fromkeys(sorted(levels), 10) for column, levels in expected.items()},
            "rates": {"cells": cells or []},
        },
        "model": {"terms": [{"variable": column, "reference": level} for column, level in references.items()]},
        "effects": [
            {"estimand": "expected_value", "question": question, "variable": column, "level": level, "estimate": value}
            for column, levels in expected.items()
            for level, value in levels.items()
        ],
    }


TIERS = {"Mega": 0.2, "Micro": 0.3, "Mid": 0.5}
REGIONS = {"EU": 0.4, "US": 0.1}
BOTH = {"Tier": TIERS, "Region": REGIONS}


@pytest.mark.parametrize(
    ("reference", "order"),
    [
        ("Mega", ["Mega", "Mid", "Micro"]),
        ("Mid", ["Mid", "Micro", "Mega"]),
        (None, ["Mid", "Micro", "Mega"]),
    ],
)
def test_the_reference_is_first_then_the_best(reference: str | None, order: list[str]) -> None:
    assert order_levels(make_results({"Tier": TIERS}, references={"Tier": reference}), "Tier") == order


def test_as_bought_decides_and_the_other_question_only_where_it_is_alone() -> None:
    results = make_results({"Tier": TIERS}, references={"Tier": "Mega"}, question="engagement_constant")
    assert order_levels(results, "Tier") == ["Mega", "Mid", "Micro"]
    bought = make_results({"Tier": {"Mega": 0.1, "Micro": 0.9, "Mid": 0.2}}, references={"Tier": "Mega"})
    results["effects"] += bought["effects"]
    assert order_levels(results, "Tier") == ["Mega", "Micro", "Mid"]


def test_a_withheld_study_gives_away_no_order() -> None:
    results = make_results({"Tier": TIERS}, references={"Tier": "Mega"}, status="withheld")
    assert order_levels(results, "Tier") == ["Mega", "Micro", "Mid"]


def test_a_level_without_an_estimate_is_last_and_an_unknown_column_is_empty() -> None:
    results = make_results({"Tier": TIERS}, references={"Tier": "Mega"})
    results["data"]["levels"]["Tier"]["Nano"] = 1
    assert order_levels(results, "Tier") == ["Mega", "Mid", "Micro", "Nano"]
    assert order_levels(results, "Channel") == []


def test_rows_come_against_the_reference_first_whatever_their_order_was() -> None:
    results = make_results(BOTH, references={"Tier": "Mega", "Region": "US"})
    pairs = [("Mid", "Mega"), ("Micro", "Mega"), ("Micro", "Mid")]
    for shuffled in permutations(pairs):
        rows = [{"variable": "Tier", "level": a, "reference": b} for a, b in shuffled]
        assert [(row["level"], row["reference"]) for row in sort_rows(results, rows)] == pairs


def test_columns_keep_the_order_they_came_in() -> None:
    results = make_results(BOTH, references={"Tier": "Mega", "Region": "US"})
    rows = [{"variable": name, "level": level} for name, level in (("Region", "EU"), ("Tier", "Mid"), ("Region", "US"))]
    assert [row["level"] for row in sort_rows(results, rows)] == ["US", "EU", "Mid"]


def test_cells_sort_by_both_columns_even_where_labels_hold_colons() -> None:
    cells = [
        {"variable": "Tier:Region", "level": f"{tier}:{region}", "levels": [tier, region]}
        for tier in ("Mega", "a:b")
        for region in ("EU", "US")
    ]
    expected = {"Tier": {"Mega": 0.2, "a:b": 0.3}, "Region": REGIONS, "Tier:Region": {}}
    results = make_results(expected, references={"Tier": "Mega", "Region": "US"}, cells=cells)
    del results["data"]["levels"]["Tier:Region"]
    # An estimate of each cell is no reason to order cells by it.
    results["effects"] += make_results({"Tier:Region": {"a:b:EU": 0.9, "Mega:US": 0.1}}, references={})["effects"]
    place = make_key(results)
    assert place("Tier:Region", "a:b:EU") == (1, 1)
    assert [row["level"] for row in sort_rows(results, cells)] == ["Mega:US", "Mega:EU", "a:b:US", "a:b:EU"]
