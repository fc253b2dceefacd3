"""Monte Carlo error and prior sensitivity: which word a statement may use, and when it is withheld."""

from __future__ import annotations

import math

import pytest

from influbayes.effects.estimands import Probability
from influbayes.effects.sensitivity import PriorShift
from influbayes.gate.wording import is_flipped, judge_probability, judge_sensitivity, say_probability, weaker_band

QUESTION = "as_bought"


def judge(value, mcse):
    return judge_probability("claim", Probability(value=value, mcse=mcse), question=QUESTION)


def shift(before, after, *, prior="scale_Influencer_Tier", factor=0.5, claim="claim"):
    return PriorShift(
        prior=prior,
        factor=factor,
        method="reweighted",
        claim_id=claim,
        probability_before=before,
        probability_after=after,
        pareto_k=0.1,
    )


def test_an_error_up_to_one_point_passes_even_at_a_cut():
    found = judge(0.95, 0.01)
    assert (found.status, found.consequence, found.subject) == ("pass", "none", "claim")
    assert found.meaning == "The probability is 95 % with a Monte Carlo error of 1.0 points."


def test_a_larger_error_passes_far_from_every_cut():
    assert judge(0.5, 0.09).status == "pass"
    assert judge(0.5, 0.11).status == "warn"


def test_near_a_cut_the_weaker_word_is_used():
    found = judge(0.955, 0.012)
    assert (found.status, found.consequence) == ("warn", "words_added")
    assert found.meaning == (
        "The probability is 96 % with a Monte Carlo error of 1.2 points, too near to 95 % to choose between two "
        "wordings: the weaker one is used. More draws settle it (for example --draws 4000)."
    )
    assert weaker_band(Probability(value=0.955, mcse=0.012)) == 3


def test_the_weaker_band_is_the_least_decided_within_reach():
    assert weaker_band(Probability(value=0.955, mcse=0.01)) == 4
    assert weaker_band(Probability(value=0.97, mcse=0.06)) == 2
    assert weaker_band(Probability(value=0.04, mcse=0.02)) == 1
    assert weaker_band(Probability(value=0.5, mcse=0.2)) == 2
    assert weaker_band(Probability(value=0.999, mcse=0.02)) == 3


@pytest.mark.parametrize(
    ("value", "mcse"), [(math.nan, 0.001), (0.9, math.nan), (0.9, math.inf), (1.2, 0.0), (0.9, -0.1)]
)
def test_what_is_no_probability_withholds_the_statement(value, mcse):
    found = judge(value, mcse)
    assert (found.status, found.consequence, found.value) == ("fail", "statement_withheld", None)
    assert found.meaning.startswith("The probability or its Monte Carlo error could not be computed")
    with pytest.raises(ValueError, match="cannot be worded"):
        weaker_band(Probability(value=value, mcse=mcse))


@pytest.mark.parametrize(
    ("before", "after", "flips"),
    [
        (0.51, 0.49, True),
        (0.48, 0.51, True),
        (0.51, 0.5, False),
        (0.504, 0.496, False),
        (0.496, 0.508, True),
        (0.96, 0.94, False),
        (0.96, 0.79, True),
        (0.96, 0.80, False),
        (0.94, 0.95, False),
        (0.94, 0.99, True),
        (0.70, 0.80, False),
        (0.03, 0.21, True),
        (0.9, math.nan, True),
        (math.nan, 0.9, True),
    ],
)
def test_a_flip_crosses_one_half_or_more_than_one_cut(before, after, flips):
    assert is_flipped(before, after) is flips


def test_a_flip_between_two_undecided_probabilities_says_that_the_leading_side_changes():
    found = judge_sensitivity([shift(0.54, 0.46)], question=QUESTION, claim_ids=["claim"])
    assert found[0].meaning.startswith("The statement is withheld because the prior decides which side leads: with the")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (0.496, 0.508, "goes from 49.6 % to 50.8 %"),
        (0.4961, 0.5012, "goes from 49.6 % to 50.1 %"),
        (0.46, 0.54, "goes from 46 % to 54 %"),
    ],
)
def test_what_crosses_one_half_is_never_said_to_be_one_half(before, after, said):
    found = judge_sensitivity([shift(before, after)], question=QUESTION, claim_ids=["claim"])
    assert said in found[0].meaning


def test_a_flip_withholds_the_statement_and_names_prior_and_probabilities():
    found = judge_sensitivity(
        [shift(0.96, 0.955), shift(0.96, 0.41, prior="scale_Audience_Region", factor=2.0)],
        question=QUESTION,
        claim_ids=["claim"],
    )
    assert len(found) == 1
    assert (found[0].status, found[0].consequence, found[0].subject) == ("fail", "statement_withheld", "claim")
    assert found[0].value == 0.41
    assert found[0].meaning == (
        "The statement is withheld because the prior decides it: with the scale of the prior of Audience_Region "
        "doubled, the probability goes from 96 % to 41 %. More posts would settle it."
    )


def test_a_steady_statement_passes_and_says_how_far_it_moves():
    found = judge_sensitivity([shift(0.9, 0.91), shift(0.9, 0.86, factor=2.0)], question=QUESTION, claim_ids=["claim"])
    assert (found[0].status, found[0].consequence) == ("pass", "none")
    assert found[0].meaning == (
        "The statement holds whether prior scales are halved or doubled; at most, with the scale of the prior of "
        "Influencer_Tier doubled, the probability goes from 90 % to 86 %."
    )


def test_a_flip_is_reported_before_a_larger_move_that_is_none():
    found = judge_sensitivity(
        [shift(0.51, 0.75), shift(0.51, 0.49, factor=2.0)], question=QUESTION, claim_ids=["claim"]
    )
    assert found[0].value == 0.49


def test_a_failed_refit_withholds():
    found = judge_sensitivity([shift(0.9, 0.9), shift(0.9, math.nan)], question=QUESTION, claim_ids=["claim"])
    assert (found[0].status, found[0].value) == ("fail", None)
    assert found[0].meaning == (
        "The statement is withheld: its probability with the scale of the prior of Influencer_Tier halved could not be "
        "computed."
    )


def test_a_claim_that_was_not_assessed_is_withheld():
    found = judge_sensitivity([shift(0.9, 0.9)], question=QUESTION, claim_ids=["claim", "forgotten"])
    assert [(item.subject, item.status) for item in found] == [("claim", "pass"), ("forgotten", "fail")]
    assert found[1].meaning.startswith("It was not tested whether this statement depends on the priors")


def test_probabilities_are_never_said_to_be_nought_or_all():
    assert [say_probability(p) for p in (1.0, 0.9995, 0.961, 0.0, math.nan)] == [
        "above 99.9 %",
        "above 99.9 %",
        "96 %",
        "below 0.1 %",
        "unknown",
    ]


@pytest.mark.parametrize(
    ("prior", "words"),
    [
        ("intercept", "the prior of the intercept halved"),
        ("slope[Swipe_Ups]", "the prior of Swipe_Ups halved"),
        ("scale_Tier__x__Region", "the prior of Tier with Region halved"),
    ],
)
def test_a_prior_is_named_as_the_report_names_it(prior, words):
    found = judge_sensitivity([shift(0.9, 0.3, prior=prior)], question=QUESTION, claim_ids=["claim"])
    assert words in found[0].meaning
