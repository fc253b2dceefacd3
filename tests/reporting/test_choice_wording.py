"""Sentences about choices follow their numbers, and change when a number, a level or a unit does."""

from __future__ import annotations

import io
from copy import deepcopy
from typing import Any

import pytest
from rich.console import Console

from influbayes.reporting.decision_words import write_key_sentences, write_sentences
from influbayes.reporting.html import group_statements, render_report
from influbayes.reporting.terminal import print_screen


def make_difference(level: str, reference: str, estimate: float, probability: float, **more: Any) -> dict[str, Any]:
    row = {"estimand": "difference", "variable": "Tier", "level": level, "reference": reference, "front": True}
    numbers = {"estimate": estimate, "lower": estimate - 2, "upper": estimate + 3, "probability": probability}
    return {**row, **numbers, "prob": 0.9, **more}


def make_mix(*rows: dict[str, Any], weights: dict[str, float] | None = None) -> dict[str, Any]:
    inputs = {"prob": 0.9, "variable": "Tier", "weights": weights or {"EU": 0.25, "MX": 0.0, "US": 0.75}}
    return {"kind": "planned_mix", "inputs": inputs, "rows": list(rows)}


# --- other populations ------------------------------------------------------------------------------------------------


def test_a_planned_mix_names_its_shares_the_largest_first_and_none_of_nought() -> None:
    assert write_sentences(make_mix(make_difference("Micro", "Mega", 4.0, 0.97))) == [
        "With posts spread as planned (75 % US and 25 % EU), Micro is very probably ahead of Mega (probability 97 %), "
        "by 4.0 conversions per 100 posts (90 % credible interval 2.0 to 7.0)."
    ]


def test_the_side_that_is_ahead_tells_the_sentence_and_turning_the_pair_changes_nothing() -> None:
    behind = make_difference("Micro", "Mega", -4.0, 0.03)
    turned = make_difference("Mega", "Micro", 4.0, 0.97, lower=1.0, upper=6.0)
    assert write_sentences(make_mix(behind)) == write_sentences(make_mix(turned))
    assert "Mega is very probably ahead of Micro" in write_sentences(make_mix(behind))[0]


def test_an_undecided_difference_claims_no_winner() -> None:
    (text,) = write_sentences(make_mix(make_difference("Micro", "Mega", -0.6, 0.43)))
    assert "Mega and Micro cannot be told apart: Mega minus Micro is 0.6 conversions per 100 posts" in text
    assert "Probability that Mega is ahead: 57 %." in text
    assert "probably ahead" not in text


@pytest.mark.parametrize(
    ("probability", "words"),
    [(0.7, "cannot be told apart"), (0.9, "is probably ahead"), (0.96, "very probably"), (0.995, "almost certainly")],
)
def test_words_follow_the_probability_in_other_populations(probability: float, words: str) -> None:
    decision = make_mix(make_difference("Micro", "Mega", 4.0, probability))
    assert words in write_sentences(decision)[0]
    new = {**decision, "kind": "populations", "inputs": {"prob": 0.9}}
    assert write_sentences(new)[0].startswith("With new creators, ")
    assert words in write_sentences(new)[0]


def test_other_estimands_and_other_pairs_stay_in_the_table() -> None:
    rows = [make_difference("Micro", "Mid", 4.0, 0.9, front=False), make_difference("Micro", "Mega", 1.2, 0.9)]
    assert len(write_sentences(make_mix(*rows, {**rows[1], "estimand": "lift"}))) == 1


# --- what loses money -------------------------------------------------------------------------------------------------


def make_option(label: str, mean: float, *, fee: float, rate: float) -> dict[str, Any]:
    return {"label": label, "mean": mean, "fee": fee, "rate": rate, "probability_best": 0.6, "regret": 3.0}


def make_premium(*options: dict[str, Any], unit: str = "currency", fees: str = "given") -> dict[str, Any]:
    inputs = {
        "variable": "Influencer_Tier",
        "unit": unit,
        "fees": fees,
        "values": "given",
        "counted": "conversions",
        "amounts": None,
        "single_value": False,
        "rests_on_prior": False,
        "options": list(options),
        "prob": 0.9,
    }
    return {"kind": "premium", "inputs": inputs, "rows": []}


LOSING = (make_option("Mega", -9_377, fee=9_547, rate=0.34), make_option("Micro", -452, fee=668, rate=0.432))


def test_where_no_post_earns_its_fee_the_report_says_so_and_what_it_would_take() -> None:
    told = write_sentences(make_premium(*LOSING))
    assert told[-1] == (
        "At these fees and values no post earns back its fee on average: a post of Micro, which loses least, brings "
        "216 and costs 668; a conversion would have to be worth 1,546."
    )


def test_single_losers_are_named_and_winners_are_not() -> None:
    options = (*LOSING[:1], make_option("Mid", 120, fee=90, rate=0.4), make_option("Nano", -1, fee=9, rate=0.1))
    assert write_sentences(make_premium(*options))[-1] == (
        "On average posts of Mega and Nano cost more than they bring."
    )
    assert len(write_sentences(make_premium(options[1]))) == 1  # nothing loses: only the best buy is told


@pytest.mark.parametrize("unit", ["value per post", "conversions per fee unit"])
def test_without_fees_or_money_nothing_is_said_of_losses(unit: str) -> None:
    assert not any("fee on average" in text for text in write_sentences(make_premium(*LOSING, unit=unit)))


# --- information ------------------------------------------------------------------------------------------------------


def make_information(unit: str, *values: float) -> dict[str, Any]:
    rows = [{"label": f"cell {k}", "value": value, "share": value / 10} for k, value in enumerate(values)]
    return {"kind": "information", "inputs": {"posts": 12, "unit": unit, "perfect": 10.0}, "rows": rows}


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        ("currency", "(in money): cell 0 4 and cell 1 2."),
        ("conversions", "(conversions per post): cell 0 4.0 and cell 1 2.0."),
        ("conversions per fee unit", "(conversions per 1,000 of fees): cell 0 4,000 and cell 1 2,000."),
        ("purchases", "(purchases per post): "),
    ],
)
def test_the_worth_of_posts_says_what_it_is_counted_in(unit: str, words: str) -> None:
    assert words in write_sentences(make_information(unit, 4.0, 2.0, 0.0))[0]


def test_posts_worth_nothing_are_not_listed() -> None:
    (text,) = write_sentences(make_information("currency", 0.0, 0.001))
    assert text == "No 12 more posts of any one kind would change the choice enough to be worth anything."


# --- practical equivalence and tracking -------------------------------------------------------------------------------


def make_equal(*probabilities: float, threshold: float = 1.25, question: str = "as_bought") -> dict[str, Any]:
    rows = [
        {"level": f"L{k}", "reference": "R", "front": True, "probability": value, "at_least": None, "at_most": None}
        for k, value in enumerate(probabilities)
    ]
    return {"kind": "equivalence", "inputs": {"question": question, "threshold": threshold}, "rows": rows}


def test_pairs_of_which_nothing_can_be_said_are_told_at_once() -> None:
    assert write_sentences(make_equal(0.5, 0.97, 0.61)) == [
        "L1 and R are very probably practically equal (odds ratio between 0.8 and 1.25, as bought; probability 97 %).",
        "Whether these are practically equal (odds ratio between 0.8 and 1.25, as bought) cannot be told: L0 and R "
        "(50 %); L2 and R (61 %).",
    ]


def test_equivalence_follows_threshold_question_and_probability() -> None:
    assert (
        "between 0.5 and 2, engagement constant"
        in write_sentences(make_equal(0.97, threshold=2.0, question="engagement_constant"))[0]
    )
    assert "are very probably not practically equal" in write_sentences(make_equal(0.03))[0]


def make_tracking(missed: float, leaked: float, *, reach: float) -> dict[str, Any]:
    rows = [
        {"estimate": value, "lower": value - reach, "upper": value + reach, "prob": 0.9} for value in (missed, leaked)
    ]
    pair = {"ahead": "Micro", "behind": "Mega", "missed": rows[0], "leaked": rows[1]}
    return {"kind": "tracking", "inputs": {"variable": "Tier"}, "rows": [pair]}


def test_tracking_errors_are_told_with_their_intervals() -> None:
    assert write_sentences(make_tracking(0.22, 0.142, reach=0.05)) == [
        "Micro is ahead of Mega as recorded. The order turns if 22 % (90 % credible interval 17 to 27 %) of the "
        "conversions of Mega were missed, or if 14 % (90 % credible interval 9.2 to 19 %) of the posts of Micro "
        "without a purchase were credited with one (a code passed on), all else being right."
    ]
    (doubtful,) = write_sentences(make_tracking(0.014, 0.014, reach=0.3))
    assert "1.4 % (90 % credible interval −29 to 31 %)" in doubtful
    assert doubtful.endswith("Below 0 %, the order is the other way as it is.")


# --- the screen -------------------------------------------------------------------------------------------------------


def show(results: Any) -> str:
    file = io.StringIO()
    print_screen(results, console=Console(file=file, width=80), paths={})
    return " ".join(file.getvalue().split())


def test_the_screen_tells_the_best_buy_and_what_was_asked_for(conversion_results: dict[str, Any]) -> None:
    pair = {"level": "Micro", "reference": "Mega", "front": False, "status": "withheld", "because": ""}
    premium = {**make_premium(*LOSING), "rows": [pair]}
    decisions = [premium, make_mix(make_difference("Micro", "Mega", 4.0, 0.97))]
    shown = show({**conversion_results, "decisions": decisions})
    assert (
        "What to buy - Of all tiers, Micro is the best buy on average, with a net value of −452 per post (prob" in shown
    )
    assert "no post earns back its fee on average" in shown
    assert "With posts spread as planned (75 % US and 25 % EU)" in shown
    assert "What to buy" not in show({**conversion_results, "decisions": []})
    assert "What to buy" not in show({**conversion_results, "decisions": decisions, "status": "withheld"})


def test_pairs_are_on_the_screen_only_where_fees_or_values_were_given() -> None:
    premium = make_premium(*LOSING)
    pair = {"level": "Micro", "reference": "Mega", "front": True, "status": "withheld", "because": "The prior decides."}
    premium["rows"] = [pair]
    assert write_key_sentences(premium)[0].startswith("Withheld: what Micro may cost over Mega.")
    premium["inputs"] |= {"fees": "column", "values": None, "unit": "conversions per fee unit"}
    premium["inputs"]["options"] = [
        make_option("Mega", 0.0004, fee=900, rate=0.36),
        make_option("Mid", 0.001, fee=4, rate=1),
    ]
    assert write_key_sentences(premium)[0].startswith(
        "Of all tiers, Mid is the best buy on average, with 1.0 conversions per 1,000 of fees (probability 60 % that"
    )


# --- folds ------------------------------------------------------------------------------------------------------------


def test_statements_beyond_the_reference_and_the_first_question_unfold_under_what_they_hold(
    conversion_results: dict[str, Any],
) -> None:
    groups = {group.heading: group for group in group_statements(conversion_results)}
    beats = groups["Which levels beat which"]
    assert {(row["question"], row["reference"]) for row in beats.front} == {("as_bought", "Mega"), ("as_bought", "US")}
    pairs, held = beats.folds
    assert pairs.summary == f"{len(pairs.rows)} other pairs, as bought"
    assert {row["question"] for row in pairs.rows} == {"as_bought"}
    assert held.summary == f"{len(held.rows)} comparisons, engagement constant"
    assert {row["question"] for row in held.rows} == {"engagement_constant"}
    every = [row for row in conversion_results["statements"] if row["kind"] == "beats"]
    told = [*beats.front, *(row for fold in beats.folds for row in fold.rows)]
    assert sorted(row["id"] for row in told) == sorted(row["id"] for row in every)
    page = render_report(conversion_results, {})
    for fold in beats.folds:
        assert f"<summary>{fold.summary}</summary>" in page
    assert " more: " not in page


def test_a_fold_counts_what_is_withheld_in_it(conversion_results: dict[str, Any]) -> None:
    results = deepcopy(conversion_results)
    row = next(
        row for row in results["statements"] if row["question"] == "engagement_constant" and row["kind"] == "beats"
    )
    row["status"] = "withheld"
    folds = next(group for group in group_statements(results) if group.heading == "Which levels beat which").folds
    assert [fold.summary.endswith("(1 withheld)") for fold in folds] == [False, True]


def test_one_statement_alone_is_named_in_the_singular(conversion_results: dict[str, Any]) -> None:
    kept = [row for row in conversion_results["statements"] if row["kind"] != "beats"]
    one = next(row for row in conversion_results["statements"] if row["kind"] == "beats" and row["reference"] == "APAC")
    (group,) = [
        group
        for group in group_statements({**conversion_results, "statements": [*kept, one]})
        if group.heading == "Which levels beat which"
    ]
    assert [fold.summary for fold in group.folds] == ["1 other pair, as bought"]
