"""Notes of one kind are told once."""

from __future__ import annotations

from typing import Any

from influbayes.reporting.notes import merge_notes, say_few_trials


def make_row(subject: str, value: float | None, *, name: str = "few_rows", status: str = "warn") -> dict[str, Any]:
    return {
        "name": name,
        "subject": subject,
        "status": status,
        "value": value,
        "threshold": 30.0,
        "question": "as_bought",
        "meaning": f"{subject} alone",
    }


FEW = [make_row("Influencer_Tier:Mid", 12.0), make_row("Audience_Region:EU", 20.0), make_row("Audience_Region:US", 8.0)]
TOLD = (
    "Few trials: tier Mid (12); region EU (20) and US (8). Below 30 trials the effect of a level rests much on the "
    "prior. Add posts of these levels."
)


def test_levels_with_few_trials_are_told_in_one_sentence_by_column() -> None:
    assert say_few_trials(FEW) == TOLD


def test_the_sentence_follows_counts_and_limit() -> None:
    changed = [{**row, "threshold": 50.0} for row in FEW] + [make_row("Influencer_Tier:Mega", 1_040.0)]
    told = say_few_trials(changed)
    assert "tier Mid (12) and Mega (1,040)" in told
    assert "tier Mid (12), region" not in told
    assert say_few_trials([{**row, "threshold": 50.0} for row in FEW]).count("Below 50 trials") == 1


def test_they_stand_where_the_first_stood_and_the_rest_is_untouched() -> None:
    separation = make_row("posts", None, name="separation")
    passed = make_row("Audience_Region:APAC", 80.0, status="pass")
    merged = merge_notes([separation, FEW[0], passed, *FEW[1:]])
    assert [row["meaning"] for row in merged] == [separation["meaning"], TOLD, passed["meaning"]]
    assert merged[1]["subject"] == "Mid, EU, US"


def test_the_same_level_in_both_questions_is_named_once() -> None:
    both = [*FEW, *({**row, "question": "engagement_constant"} for row in FEW)]
    (merged,) = merge_notes(both)
    assert merged["meaning"] == TOLD


def test_one_level_alone_keeps_its_own_words() -> None:
    assert merge_notes([FEW[0]]) == [FEW[0]]
    twice = [FEW[0], {**FEW[0], "question": "engagement_constant"}]
    assert merge_notes(twice) == twice


def test_the_caller_s_rows_are_left_alone() -> None:
    rows = [dict(row) for row in FEW]
    merge_notes(rows)
    assert rows == FEW
