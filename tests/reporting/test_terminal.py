"""One screen: what matters first, readable at 80 columns, safe whatever the labels hold."""

from __future__ import annotations

import copy
import io
import sys
from typing import Any

import pytest
from rich.console import Console

from influbayes.reporting.terminal import group_withheld, print_screen, say_open

PATHS = {"folder": "runs/posts", "report": "runs/posts/report.html"}


def show(results: Any, *, width: int = 80, terminal: bool = False, **paths: str) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=terminal, color_system="standard" if terminal else None)
    print_screen(results, console=console, paths=paths or PATHS)
    return file.getvalue()


def find(text: str, *parts: str) -> list[int]:
    flat = " ".join(text.split())
    found = [flat.find(part) for part in parts]
    assert -1 not in found, (found, flat)
    return found


def test_the_screen_says_what_matters_in_order(conversion_results: dict[str, Any]) -> None:
    text = show(conversion_results)
    places = find(
        text,
        "CHECKS PASSED.",
        "conversion_creator, because 12 creators",
        "As bought: set to Micro instead of Mega",
        "At equal story views and swipe-ups, Mega posts",
        "Against the reference (90 % credible interval)",
        "Micro vs Mega",
        "LATAM vs US",
        "20 more swipe-ups multiplies the odds",
        "The two questions rank the tiers differently",
        "Data: posts.csv: 75 rows read, 72 used, 3 rejected (no trials: 3).",
        "IB-D29 37 repeats",
        "Report: runs/posts/report.html",
        "Open it:",
    )
    assert places == sorted(places)
    assert "SAMPLE DATA" not in text


def test_sample_data_is_the_first_line(conversion_results: dict[str, Any]) -> None:
    sample = {**conversion_results, "data": {**conversion_results["data"], "is_sample": True}}
    assert show(sample).startswith("SAMPLE DATA")


@pytest.mark.parametrize("width", [80, 100, 200])
def test_no_line_is_wider_than_the_screen(conversion_results: dict[str, Any], width: int) -> None:
    assert max(len(line) for line in show(conversion_results, width=width).splitlines()) <= width


def test_contrasts_stand_on_one_line_each_at_80_columns(conversion_results: dict[str, Any]) -> None:
    lines = show(conversion_results).splitlines()
    row = next(line for line in lines if line.startswith("Micro vs Mega"))
    numbers = {item["id"]: item for item in conversion_results["effects"]}
    difference = numbers["as_bought/difference/Influencer_Tier/Micro/Mega"]
    ratio = numbers["engagement_constant/odds_ratio/Influencer_Tier/Micro/Mega"]
    assert f"+{difference['estimate']:.1f} ({difference['lower']:.1f} to {difference['upper']:.1f})" in row
    assert f"{ratio['estimate']:.2f} (" in row
    assert "above 99" in row
    assert not any(line.startswith("Mid vs Micro") for line in lines)


def test_plain_output_has_no_escapes_and_a_terminal_has_colours(conversion_results: dict[str, Any]) -> None:
    assert "\x1b" not in show(conversion_results)
    assert "\x1b[" in show(conversion_results, terminal=True)


def test_everything_withheld_shows_no_number(conversion_analysis: Any, judge: Any, make_check: Any) -> None:
    failed = make_check(
        "rhat", "as_bought", "intercept", status="fail", consequence="all_withheld", meaning="R-hat 1.2."
    )
    text = show(judge(conversion_analysis, failed))
    find(text, "WITHHELD. The fit did not pass its own checks", "- R-hat 1.2.", "Data: posts.csv")
    for absent in ("Against the reference", "multiplies", "credible interval", "probability", "As bought"):
        assert absent not in text


def test_a_withheld_comparison_shows_no_number_and_its_reason_once(
    conversion_analysis: Any, judge: Any, make_check: Any
) -> None:
    claim = "as_bought/beats/Influencer_Tier/Mid/Mega"
    flip = make_check(
        "sensitivity", "as_bought", claim, status="fail", consequence="statement_withheld", meaning="The prior decides."
    )
    text = show(judge(conversion_analysis, flip))
    find(text, "PARTLY WITHHELD.", "What is withheld, and why - whether Mid beats Mega as bought. The prior decides.")
    row = next(line for line in text.splitlines() if line.startswith("Mid vs Mega"))
    assert row.count("withheld") == 2


def test_what_one_check_withholds_is_told_with_its_reason_once() -> None:
    texts = ["whether a beats b. Too few.", "what c is worth. Prior.", "whether d beats e. Too few.", "odd. Unknown."]
    assert group_withheld(texts, ["Too few.", "Prior.", ""]) == [
        "whether a beats b; whether d beats e. Too few.",
        "what c is worth. Prior.",
        "odd. Unknown.",
    ]
    many = [f"whether {k}. Too few." for k in range(5)]
    assert group_withheld(many, ["Too few."]) == ["whether 0; whether 1; whether 2; and 2 more. Too few."]
    assert group_withheld([], ["Too few."]) == []


def test_separation_is_told_under_mind(conversion_analysis: Any, judge: Any, make_check: Any) -> None:
    separated = make_check(
        "separation", "as_bought", "table", status="warn", consequence="words_added", meaning="Engagement separates."
    )
    find(show(judge(conversion_analysis, separated)), "Mind", "Engagement separates.")


HOSTILE = ["[red]x", "[/b]", "\x1b[2J\x1b]0;pwned\x07", "a\r\nSAMPLE DATA", "\u202egpj.exe", ":smile:", "{x}", "50 %/y"]


@pytest.mark.parametrize("label", HOSTILE)
def test_labels_are_printed_as_they_are_without_controls(conversion_results: dict[str, Any], label: str) -> None:
    hostile = copy.deepcopy(conversion_results)
    hostile["data"]["file"] = label
    hostile["choice"] = label
    for row in hostile["statements"]:
        if row["level"] == "Micro":
            row["level"] = label
    hostile["headline"]["as_bought"]["text"] = label
    text = show(hostile)
    shown = "".join(char for char in label if char.isprintable() or char in "\r\n").replace("\r\n", "  ")
    assert f"Data: {shown}: 75 rows" in text
    assert not any(char in text for char in "\x1b\x07\r\u202e")
    assert not any(line.startswith("SAMPLE DATA") for line in text.splitlines())


def test_long_labels_do_not_break_the_table(conversion_results: dict[str, Any]) -> None:
    long = copy.deepcopy(conversion_results)
    for row in long["statements"]:
        if row["level"] == "Micro":
            row["level"] = "Micro influencers with a very long name indeed"
    text = show(long)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert any(line.startswith("Micro influencers") and "(0." in line for line in text.splitlines())


def test_many_contrasts_are_cut_with_a_word(conversion_results: dict[str, Any]) -> None:
    many = copy.deepcopy(conversion_results)
    rows = [row for row in many["statements"] if row["id"] == "as_bought/beats/Influencer_Tier/Micro/Mega"]
    many["statements"] += [{**rows[0], "level": f"T{k}", "id": f"x{k}"} for k in range(30)]
    assert "23 more contrasts are in the report." in show(many)


@pytest.mark.parametrize(("system", "command"), [("linux", "xdg-open"), ("darwin", "open"), ("win32", "start")])
def test_the_page_can_be_opened_on_every_system(monkeypatch: pytest.MonkeyPatch, system: str, command: str) -> None:
    monkeypatch.setattr(sys, "platform", system)
    assert say_open("runs/x/report.html") == f"{command} runs/x/report.html"
    assert say_open("my runs/report.html") == f'{command} "my runs/report.html"'


def test_without_paths_nothing_is_said_of_a_report(conversion_results: dict[str, Any]) -> None:
    file = io.StringIO()
    print_screen(conversion_results, console=Console(file=file, width=80))
    assert "Report:" not in file.getvalue()


def test_a_study_of_one_question_shows_a_dash_for_the_other(conversion_results: dict[str, Any]) -> None:
    only = copy.deepcopy(conversion_results)
    only["headline"]["engagement_constant"] = None
    only["statements"] = [row for row in only["statements"] if row["question"] != "engagement_constant"]
    row = next(line for line in show(only).splitlines() if line.startswith("Micro vs Mega"))
    assert " - " in row
