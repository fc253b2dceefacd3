"""Choices in results.json, in words, on the page and in pictures: rebuilt from JSON, changed by mutation, withheld."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from influbayes.decisions.study import Request, make_choices
from influbayes.reporting.decision_words import say_amount, write_sentences
from influbayes.reporting.html import render_report
from influbayes.reporting.html_decisions import list_decision_tables
from influbayes.reporting.plots import draw_plots, save_figure
from influbayes.reporting.results import collect_results, encode_results, validate_results

CREATED = "2026-01-01T00:00:00+00:00"
FEES = {"Mega": 900.0, "Mid": 400.0, "Micro": 700.0}


@pytest.fixture(scope="module")
def study(conversion_analysis):
    fits = [question.fit for question in conversion_analysis.questions]
    request = Request(fees=FEES, values=1500.0, threshold=1.5)
    analysis = replace(conversion_analysis, choices=make_choices(fits, conversion_analysis.posts, request=request))
    return SimpleNamespace(analysis=analysis, results=collect_results(analysis, created=CREATED))


def find(results, kind, question=None):
    return next(
        row for row in results["decisions"] if row["kind"] == kind and row["inputs"].get("question") in (None, question)
    )


def test_results_with_choices_keep_the_schema_and_strict_json(study):
    assert validate_results(study.results) == ()
    assert json.loads(encode_results(study.results))["decisions"] == study.results["decisions"]
    kinds = [row["kind"] for row in study.results["decisions"]]
    assert kinds == [
        "premium",
        "information",
        "tracking",
        "creators",
        "equivalence",
        "equivalence",
        "populations",
        "priors",
        "frequentist",
        "frequentist",
    ]
    assert {row["interval_kind"] for row in study.results["frequentist"]} == {"confidence"}


def test_every_sentence_is_written_again_from_json_alone(study):
    for decision in json.loads(encode_results(study.results))["decisions"]:
        assert write_sentences(decision) == decision["sentences"]


def test_without_a_threshold_nothing_is_said_of_equivalence(conversion_analysis):
    fits = [question.fit for question in conversion_analysis.questions]
    choices = make_choices(fits, conversion_analysis.posts)
    results = collect_results(replace(conversion_analysis, choices=choices), created=CREATED)
    assert "equivalence" not in {row["kind"] for row in results["decisions"]}
    assert "practically equal" not in encode_results(results).decode()


def test_premium_sentences_state_price_chance_and_assumption(study):
    premium = find(study.results, "premium")
    text = " ".join(premium["sentences"])
    assert "A post of Micro is worth" in text
    assert "a conversion is a post with at least one purchase" in text
    assert "times as much" in text
    row = next(row for row in premium["rows"] if (row["level"], row["reference"]) == ("Micro", "Mega"))
    assert say_amount(row["break_even"]["estimate"]) in premium["sentences"][0]


def change(decision, edit):
    changed = deepcopy(decision)
    edit(changed)
    return write_sentences(changed)


def test_a_flipped_sign_a_swap_and_a_changed_value_change_the_words(study):
    premium = find(study.results, "premium")
    before = premium["sentences"]

    def flip(decision):
        row = next(row for row in decision["rows"] if row["front"])
        row["break_even"]["estimate"] *= -1

    def swap(decision):
        row = next(row for row in decision["rows"] if row["front"])
        row["level"], row["reference"] = row["reference"], row["level"]

    def doubt(decision):
        row = next(row for row in decision["rows"] if row["front"])
        row["probability"], row["at_least"], row["at_most"] = 0.5, None, None

    assert "less than one of Mega" in change(premium, flip)[0]
    assert change(premium, swap)[0] != before[0]
    assert "cannot be told" in change(premium, doubt)[0]
    equal = find(study.results, "equivalence", "as_bought")
    assert change(equal, lambda d: d["inputs"].update(threshold=1.1)) != equal["sentences"]


def test_a_withheld_study_gives_no_choice_and_no_number(study, make_check, judge):
    failed = make_check("rhat", "as_bought", status="fail", consequence="all_withheld")
    results = judge(study.analysis, failed)
    assert validate_results(results) == ()
    assert find(results, "frequentist", "as_bought")["rows"] == []
    assert "What to buy" not in render_report(results, {})
    for kind in ("premium", "information", "creators", "populations"):
        decision = find(results, kind)
        assert decision["rows"] == []
        assert decision["sentences"] == ["Withheld: the fit did not pass its own checks, so nothing is chosen from it."]
        assert "options" not in decision["inputs"]


def test_a_withheld_comparison_withholds_its_premium(study, make_check, judge):
    claim = "as_bought/beats/Influencer_Tier/Micro/Mega"
    because = "The answer turns when prior scales are halved."
    failed = make_check(
        "sensitivity", "as_bought", claim, status="fail", consequence="statement_withheld", meaning=because
    )
    results = judge(study.analysis, failed)
    premium = find(results, "premium")
    assert f"Withheld: what Micro may cost over Mega. {because}" in premium["sentences"]
    rows = [row for row in premium["rows"] if {row["level"], row["reference"]} == {"Micro", "Mega"}]
    assert all("break_even" not in row for row in rows)
    assert "Mega" not in {row["level"] for row in premium["rows"] if row["reference"] == "Micro" and "asked" in row}


def test_a_withheld_comparison_has_no_size_beside_the_regressions(study, make_check, judge):
    claim = "engagement_constant/beats/Influencer_Tier/Micro/Mega"
    why = make_check(
        "sensitivity",
        "engagement_constant",
        claim,
        status="fail",
        consequence="statement_withheld",
        meaning="It turns.",
    )
    results = judge(study.analysis, why)
    part = find(results, "frequentist", "engagement_constant")
    row = next(row for row in part["rows"] if (row["level"], row["reference"]) == ("Micro", "Mega"))
    assert row["status"] == "withheld"
    assert row["bayesian"] is row["gap"] is row["pooling"] is None
    assert row["regression"] is not None
    assert not any(text.startswith("Micro against Mega") for text in part["sentences"])
    shown, gaps = list_decision_tables(part, results)
    assert next(line for line in shown.rows if line[1:3] == ("Micro", "Mega"))[3] == "withheld"
    assert ("Micro", "Mega") not in [line[1:3] for line in gaps.rows]
    bought = find(results, "frequentist", "as_bought")
    assert any(text.startswith("Micro against Mega") for text in bought["sentences"])


def test_separation_marks_equivalence_of_its_question_alone(study, make_check, judge):
    found = make_check("separation", "engagement_constant", status="warn", consequence="words_added")
    results = judge(study.analysis, found)
    assert all(
        text.endswith("It rests on the prior.")
        for text in find(results, "equivalence", "engagement_constant")["sentences"]
    )
    assert not any("rests on the prior" in text for text in find(results, "equivalence", "as_bought")["sentences"])


def test_separation_marks_the_premium_as_resting_on_the_prior(study, make_check, judge):
    found = make_check("separation", "as_bought", status="warn", consequence="words_added")
    assert "This size rests on the prior." in find(judge(study.analysis, found), "premium")["sentences"][0]


def test_a_study_in_which_adjusting_reverses_the_tiers_reports_both_orders_and_the_reason(study):
    said = [row for row in study.results["statements"] if row["kind"] == "disagreement"]
    text = next(row["text"] for row in said if row["variable"] == "Influencer_Tier")
    assert "as bought Micro, then Mid, then Mega" in text
    assert "Mega, then Mid, then Micro" in text
    assert "What a level brings through engagement counts as bought" in text


def test_the_page_and_the_pictures_carry_the_choices(study):
    figures = draw_plots(study.results, study.analysis)
    assert {"premium", "tracking", "regressions"} <= set(figures)
    images = {name: save_figure(figures[name]) for name in ("premium", "tracking", "regressions")}
    page = render_report(study.results, images)
    for words in ("What a post may cost", "What more posts would be worth", "What regressions say", "Firth"):
        assert words in page
    for name in images:
        assert f'id="picture-{name}"' in page
    assert 'id="table-premium"' in page


def test_a_page_without_choices_has_no_such_section(conversion_results):
    assert "What to buy" not in render_report(conversion_results, {})


@pytest.mark.parametrize(
    ("value", "text"), [(10268.2, "10,268"), (668, "668"), (12.04, "12"), (4.87, "4.9"), (-459.3, "−459"), (0, "0")]
)
def test_amounts_are_whole_where_large(value, text):
    assert say_amount(value) == text


def test_hostile_labels_stay_text(study):
    premium = deepcopy(find(study.results, "premium"))
    premium["rows"][0]["level"] = "<script>alert(1)</script>"
    assert np.all([isinstance(text, str) for text in write_sentences(premium)])
    results = {**study.results, "decisions": [{**premium, "sentences": write_sentences(premium)}]}
    assert "<script>" not in render_report(results, {})
