"""Predictive checks, separation, LOO and row counts: what each withholds and the words it adds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from influbayes.effects.criticism import PredictiveCheck
from influbayes.effects.leave_one_out import LooResult
from influbayes.effects.separation import Separation
from influbayes.gate.adequacy import judge_loo, judge_predictions, judge_rows, judge_separation

QUESTION = "as_bought"


def check(kind, subject, tail=0.4, observed=30.0, expected=20.0):
    return PredictiveCheck(
        kind=kind, subject=subject, posts=200, observed=observed, expected=expected, lower=8, upper=33, tail=tail
    )


def judge(*checks):
    return judge_predictions(checks, question=QUESTION)


def test_fitting_groups_pass():
    found = judge(check("cell", "Micro:US"), check("tenth", "Swipe_Ups:1"), check("creator_spread", "Creator_ID"))
    assert [item.name for item in found] == ["predictive_cell", "predictive_tenth", "predictive_creators"]
    assert {(item.status, item.consequence) for item in found} == {("pass", "none")}
    assert found[0].threshold == pytest.approx(0.002 / 3 / 2)


def test_the_central_interval_shrinks_with_the_number_of_checks():
    edge = 0.002 / 2 / 2
    inside = judge(check("cell", "a", edge), check("cell", "b", 1 - edge))
    assert {item.status for item in inside} == {"pass"}
    outside = judge(check("cell", "a", np.nextafter(edge, 0)), check("cell", "b", np.nextafter(1 - edge, 1)))
    assert {item.status for item in outside} == {"fail"}
    assert judge(check("cell", "a", 0.0006))[0].status == "fail"
    assert judge(check("cell", "a", 0.0006), check("cell", "b"))[0].status == "pass"


def test_a_misfitting_cell_is_withheld():
    found = judge(check("cell", "Micro:US", 1.0), check("cell", "Mega:US"))
    assert [(item.subject, item.consequence) for item in found] == [("Micro:US", "cell_withheld"), ("Mega:US", "none")]
    assert found[0].meaning == (
        "The model does not describe Micro:US: 30 conversions in 200 posts, 20.0 expected. Its estimate is withheld; "
        "an interaction of the factors (--model conversion_interaction) may describe it."
    )


def test_misfitting_tenths_are_one_diagnostic_a_column():
    found = judge(
        *(check("tenth", f"Swipe_Ups:{tenth}", 0.0 if tenth in (1, 10) else 0.5) for tenth in range(1, 11)),
        check("tenth", "Views:all:3", 0.5),
    )
    assert [(item.subject, item.status) for item in found] == [("Swipe_Ups", "fail"), ("Views:all", "pass")]
    assert found[0].consequence == "statement_withheld"
    assert found[0].meaning.startswith(
        "The shape in Swipe_Ups does not fit: in tenth 1 and 10 of its values the model is off (30 conversions in 200"
    )


def test_creator_spread_names_its_remedy():
    found = judge(check("creator_spread", "Creator_ID", 1.0, observed=3.6, expected=2.0))
    assert (found[0].name, found[0].consequence) == ("predictive_creators", "statement_withheld")
    assert (
        "differ more than independent posts would (variance of their totals 1.8 times the expected)" in found[0].meaning
    )
    assert "--model conversion_creator" in found[0].meaning


def test_overdispersed_rows_are_named_with_the_remedy():
    (found,) = judge(check("row_spread", "rows", 1.0, observed=5.0, expected=2.0))
    assert (found.name, found.status, found.consequence) == ("predictive_rows", "fail", "statement_withheld")
    assert found.meaning == (
        "Rows of several trials differ more than the model expects (variance 2.5 times the expected), so intervals of "
        "this model cannot be trusted. Comparisons and steps are withheld; add a column that tells the rows apart, "
        "such as Creator_ID, and a term for it (--model FILE)."
    )
    (passed,) = judge(check("row_spread", "rows", 0.4))
    assert (passed.status, passed.consequence) == ("pass", "none")
    assert passed.meaning.endswith("they are not overdispersed.")


@pytest.mark.parametrize("kind", ["cell", "tenth", "creator_spread", "row_spread"])
def test_a_tail_that_is_no_number_fails(kind):
    found = judge(check(kind, "Swipe_Ups:3", math.nan), check(kind, "Swipe_Ups:4"))
    assert found[0].status == "fail"
    assert found[0].value is None


def test_no_checks_give_no_diagnostics():
    assert judge() == ()


def separation(kind, *columns):
    return Separation(kind=kind, columns=columns, sets=(columns,), direction=np.zeros(2))


def test_separation_adds_words_and_names_the_columns():
    found = judge_separation(separation("complete", "Swipe_Ups", "Influencer_Tier"), question=QUESTION)
    assert (found.name, found.status, found.consequence) == ("separation", "warn", "words_added")
    assert found.subject == "Swipe_Ups, Influencer_Tier"
    assert found.meaning == (
        "Swipe_Ups and Influencer_Tier separate the outcomes completely: they tell the posts that converted from the "
        "others without one mistake. The direction is clear, but the size of the effects rests on the prior. Read the "
        "interval, not the point; more posts near the boundary help."
    )
    quasi = judge_separation(separation("quasi", "Influencer_Tier"), question=QUESTION)
    assert quasi.meaning.startswith("Influencer_Tier separates the outcomes in part: some posts are told apart")
    assert judge_separation(separation("none"), question=QUESTION).status == "pass"


def loo(*k):
    return LooResult(
        elpd=-10.0,
        se=1.0,
        p=2.0,
        pareto_k=np.array(k),
        rows=np.arange(len(k)),
        probabilities=np.full(len(k), 0.5),
        above_limit=0,
        rows_used=len(k),
        draws_used=4000,
    )


def test_influential_posts_add_words():
    assert judge_loo(loo(0.1, 0.7), question=QUESTION).status == "pass"
    for k in (0.71, math.nan, math.inf):
        found = judge_loo(loo(0.1, k), question=QUESTION)
        assert (found.status, found.consequence) == ("warn", "words_added")
        assert found.meaning.startswith("1 of 2 posts influence the fit strongly (Pareto k above 0.7)")
    assert judge_loo(loo(), question=QUESTION).status == "warn"


def test_rows_that_say_enough_pass():
    found = judge_rows(
        "Tier", ["Mega", "Mid"], np.array([40, 30]), np.array([40, 30]), np.array([3, 29]), question=QUESTION
    )
    assert [(item.name, item.subject, item.status) for item in found] == [("few_rows", "Tier", "pass")]


def test_few_rows_few_trials_and_one_sided_levels_add_words():
    found = judge_rows(
        "Tier",
        ["Mega", "Mid", "Nano"],
        np.array([2, 2, 3]),
        np.array([29, 30, 800]),
        np.array([3, 30, 0]),
        question=QUESTION,
    )
    assert [(item.name, item.subject) for item in found] == [
        ("few_rows", "table"),
        ("few_rows", "Tier:Mega"),
        ("separation", "Tier:Mid"),
        ("separation", "Tier:Nano"),
    ]
    assert {(item.status, item.consequence) for item in found} == {("warn", "words_added")}
    assert found[0].meaning == "The table has 7 rows; below 8 the answer rests mostly on the prior. Add posts."
    assert found[1].meaning.startswith("Tier Mega has 29 trials; below 30")
    assert found[2].meaning.startswith("All of the 30 trials of Tier Mid converted")
    assert found[3].meaning == (
        "None of the 800 trials of Tier Nano converted: the size of its effect rests on the prior. Read the bound of "
        "its interval, not the point."
    )
