"""Sentences say what the numbers say, no more, and change when the numbers do."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from influbayes.gate.thresholds import CUTS
from influbayes.reporting.phrases import write_sentence
from influbayes.reporting.results import collect_results, encode_results
from influbayes.reporting.sentences import write_texts
from influbayes.reporting.setting import Setting
from influbayes.reporting.wording import (
    WORDS,
    join_words,
    name_column,
    name_levels,
    say_mass,
    say_per_100,
    say_probability,
    say_ratio,
    strip_controls,
)

Row = dict[str, Any]


def make_term(question: str, kind: str, variable: str, **fields: Any) -> Row:
    empty = {"levels": None, "reference": None, "transform": None, "step": None, "after_purchase": False}
    return {"question": question, "kind": kind, "variable": variable, "prior": "", **empty, **fields}


POSTS = Setting(
    outcome={"column": "Converted", "successes": None, "trials": None},
    terms=(
        make_term("engagement_constant", "numeric", "Swipe_Ups", step=20.0, after_purchase=True),
        make_term("engagement_constant", "numeric", "Story_Views", step=5000.0, after_purchase=True),
        make_term("engagement_constant", "factor", "Influencer_Tier", levels="all", reference="Mega"),
        make_term("engagement_constant", "factor", "Audience_Region", levels="all", reference="US"),
        make_term("as_bought", "factor", "Influencer_Tier", levels="all", reference="Mega"),
        make_term("as_bought", "factor", "Audience_Region", levels="all", reference="US"),
    ),
)
ENROLLED = Setting(
    outcome={"column": None, "successes": "Enrolled", "trials": "Asked"},
    terms=(make_term("as_bought", "factor", "Campaign", levels="all"),),
)


def make_effect(estimand: str, **fields: Any) -> Row:
    odds = estimand == "odds_ratio"
    return {
        "id": estimand,
        "question": "engagement_constant" if odds else "as_bought",
        "estimand": estimand,
        "variable": "Influencer_Tier",
        "level": "Micro",
        "reference": "Mega",
        "step": None,
        "scale": "odds" if odds else "per_100_posts",
        "estimate": 1.4 if odds else 3.2,
        "lower": 1.1,
        "upper": 1.8 if odds else 5.4,
        "prob": 0.9,
        **fields,
    }


def make_fields(kind: str, *effects: Row, **fields: Any) -> Row:
    first = effects[0]
    return {
        "kind": kind,
        "question": first["question"],
        "variable": first["variable"],
        "level": first["level"],
        "reference": first["reference"],
        "step": first["step"],
        "effects": [row["id"] for row in effects],
        "probability": 0.992,
        "mcse": 0.001,
        "at_least": None,
        "at_most": None,
        "status": "stated",
        "because": [],
        "reasons": [],
        **fields,
    }


def say(kind: str, *effects: Row, setting: Setting = POSTS, **fields: Any) -> str:
    return write_sentence(make_fields(kind, *effects, **fields), {row["id"]: row for row in effects}, setting=setting)


STEP = make_effect(
    "odds_ratio", variable="Swipe_Ups", level=None, reference=None, step=20.0, estimate=1.8, lower=1.5, upper=2.2
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            say("headline", make_effect("difference")),
            "As bought: set to Micro instead of Mega, posts are expected to bring 3.2 more conversions per 100 posts "
            "(90 % credible interval 1.1 to 5.4). Micro almost certainly beats Mega (probability 99.2 %).",
        ),
        (
            say("beats", make_effect("difference", estimate=0.3, lower=-1.9, upper=2.4), probability=0.61),
            "As bought, Micro and Mega cannot be told apart: the expected difference, Micro minus Mega, is 0.3 "
            "conversions per 100 posts (90 % credible interval −1.9 to 2.4). Probability that Micro beats Mega: 61 %.",
        ),
        (
            say("beats", make_effect("odds_ratio"), probability=0.97),
            "At equal swipe-ups and story views, Micro posts have 1.4 times the odds of at least one purchase that "
            "Mega posts have (90 % credible interval 1.10 to 1.8). Micro very probably has the higher odds "
            "(probability 97 %).",
        ),
        (
            say("step", STEP, probability=0.99999),
            "A post with 20 more swipe-ups multiplies the odds of at least one purchase by 1.8 (1.5 to 2.2), holding "
            "story views, tier and region constant. The odds almost certainly rise with swipe-ups (probability above "
            "99.9 %).",
        ),
        (
            say("best", make_effect("probability_best", scale="probability"), probability=0.9),
            "As bought, Micro probably has the highest expected conversions of all tiers (probability 90 %).",
        ),
        (
            say("best", make_effect("probability_best", scale="probability"), probability=0.4),
            "As bought, the data do not say which of the tiers is best; Micro leads (probability 40 %).",
        ),
        (
            say(
                "expected_value",
                make_effect("expected_value", scale="probability", estimate=0.123, lower=0.1, upper=0.148),
            ),
            "As bought, with every post set to Micro, 12.3 conversions per 100 posts are expected (90 % credible "
            "interval 10.0 to 14.8).",
        ),
        (
            say("beats", make_effect("difference"), status="withheld", reasons=["The prior decides it."]),
            "Withheld: whether Micro beats Mega as bought. The prior decides it.",
        ),
        (
            say("step", STEP, status="withheld", reasons=["A.", "B.", "C.", "D."]),
            "Withheld: what 20 more swipe-ups are worth. A. B. And 2 more reasons, listed under the checks.",
        ),
    ],
)
def test_sentences_read_as_agreed(text: str, expected: str) -> None:
    assert text == expected


def test_an_unknown_outcome_and_column_are_named_neutrally() -> None:
    effect = make_effect("difference", variable="Campaign", level="A", reference="mean of levels")
    assert say("beats", effect, setting=ENROLLED) == (
        'As bought: set to A instead of the mean of the levels of "Campaign", trials are expected to bring 3.2 more '
        'successes in "Enrolled" per 100 trials (90 % credible interval 1.1 to 5.4). A almost certainly beats the mean '
        'of the levels of "Campaign" (probability 99.2 %).'
    )
    assert "purchase" not in say("beats", make_effect("odds_ratio"), setting=ENROLLED)


def test_a_step_on_a_logarithm_says_where_it_starts() -> None:
    terms = [
        {**term, "transform": "log1p_standardise"} if term["variable"] == "Swipe_Ups" else term for term in POSTS.terms
    ]
    bent = replace(POSTS, terms=tuple(terms))
    assert say("step", STEP, setting=bent).startswith("A post with 20 more swipe-ups than the mean multiplies the odds")


@pytest.mark.parametrize(
    ("step", "words"),
    [(20.0, "20 more"), (5000.0, "5,000 more"), (12345.0, "12,345 more"), (33.333333, "33.3 more"), (-1.0, "1 fewer")],
)
def test_steps_are_written_as_asked_for(step: float, words: str) -> None:
    assert f"A post with {words} swipe-ups multiplies" in say("step", {**STEP, "step": step})


def test_the_favoured_side_is_told_whichever_way_the_claim_was_made() -> None:
    turned = make_effect("difference", level="Mega", reference="Micro", estimate=-3.2, lower=-5.4, upper=-1.1)
    assert say("beats", turned, probability=1 - 0.992) == say("beats", make_effect("difference"))
    odds = make_effect("odds_ratio", level="Mega", reference="Micro", estimate=1 / 1.4, lower=1 / 1.8, upper=1 / 1.1)
    assert say("beats", odds, probability=1 - 0.992) == say("beats", make_effect("odds_ratio"))


@settings(max_examples=200, deadline=None)
@given(
    centre=st.floats(-20, 20),
    width=st.floats(0.1, 10),
    probability=st.floats(0.0001, 0.9999).filter(lambda value: abs(value - 0.5) > 1e-6),
)
def test_turning_a_comparison_round_never_changes_its_sentence(centre: float, width: float, probability: float) -> None:
    one = make_effect("difference", estimate=centre, lower=centre - width, upper=centre + width)
    other = make_effect(
        "difference",
        level="Mega",
        reference="Micro",
        estimate=-centre,
        lower=-centre - width,
        upper=-centre + width,
    )
    # 1 - (1 - p) is p only up to rounding, which must not matter either.
    assert say("beats", one, probability=probability) == say("beats", other, probability=1 - probability)


def test_a_changed_sign_changes_the_words() -> None:
    assert "3.2 fewer conversions" in say("beats", make_effect("difference", estimate=-3.2, lower=-5.4, upper=-1.1))
    falling = {**STEP, "estimate": 0.56, "lower": 0.4, "upper": 0.8}
    text = say("step", falling, probability=0.004)
    assert "by 0.56 (0.40 to 0.80)" in text
    assert "The odds almost certainly fall with swipe-ups (probability 99.6 %)" in text


def test_swapped_levels_change_the_words() -> None:
    swapped = make_effect("difference", level="Mega", reference="Micro")
    assert "set to Mega instead of Micro" in say("beats", swapped)
    assert "Mega almost certainly beats Micro" in say("beats", swapped)


def test_a_changed_scale_changes_the_words() -> None:
    share = make_effect("expected_value", scale="probability", estimate=0.12, lower=0.1, upper=0.14)
    assert "12.0 conversions per 100 posts" in say("expected_value", share)
    assert "0.1 conversions per 100 posts" in say("expected_value", {**share, "scale": "per_100_posts"})


def test_a_changed_interval_mass_changes_the_words() -> None:
    assert "(95 % credible interval" in say("beats", make_effect("difference", prob=0.95))
    assert say_mass(0.999) == "99.9 % credible interval"


@pytest.mark.parametrize(
    ("probability", "word"),
    [
        (0.5, "cannot be told apart"),
        (0.7999, "cannot be told apart"),
        (0.8, "Micro probably beats Mega"),
        (0.95, "Micro very probably beats Mega"),
        (0.99, "Micro almost certainly beats Mega"),
        (0.2001, "cannot be told apart"),
        (0.199, "Mega probably beats Micro"),
        (0.049, "Mega very probably beats Micro"),
        (0.009, "Mega almost certainly beats Micro"),
    ],
)
def test_one_table_of_cuts_drives_the_words(probability: float, word: str) -> None:
    assert word in say("beats", make_effect("difference"), probability=probability)
    assert len(WORDS) == len(CUTS) + 1


def test_a_weakened_statement_takes_the_weaker_word() -> None:
    fields = {"probability": 0.96, "mcse": 0.02}
    assert "Micro very probably beats" in say("beats", make_effect("difference"), **fields)
    assert "Micro probably beats" in say("beats", make_effect("difference"), status="weakened", **fields)


@pytest.mark.parametrize(
    ("value", "bounds", "text"),
    [
        (1.0, {}, "above 99.9 %"),
        (0.0, {}, "below 0.1 %"),
        (0.9999, {"at_least": 0.9995}, "above 99.9 %"),
        (0.998, {"at_least": 0.9952}, "above 99.5 %"),
        (0.002, {"at_most": 0.0048}, "below 0.5 %"),
        (0.00001, {"at_most": 0.0002}, "below 0.1 %"),
        (0.9949, {}, "99.5 %"),
        (0.9985, {}, "99.9 %"),
        (0.97, {}, "97 %"),
        (0.985, {}, "98.5 %"),
        (0.004, {}, "0.4 %"),
    ],
)
def test_probabilities_are_never_certain(value: float, bounds: dict[str, float], text: str) -> None:
    assert say_probability(value, **bounds) == text


@given(st.floats(0, 1), st.floats(0, 1))
def test_no_probability_is_written_as_0_or_100_percent(value: float, bound: float) -> None:
    for text in (say_probability(value), say_probability(value, at_least=bound), say_probability(value, at_most=bound)):
        number = float(re.findall(r"[\d.]+", text)[0])
        assert 0 < number < 100 or text.startswith(("above", "below"))
        assert number < 100


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.8, "1.8"),
        (0.56, "0.56"),
        (12, "12"),
        (1.04, "1.04"),
        (0.9, "0.90"),
        (0.997, "1.00"),
        (0.0123, "0.012"),
        (9.96, "10"),
        (123.4, "120"),
        (1e-9, "below 0.001"),
        (1e9, "above 1,000"),
    ],
)
def test_ratios_have_two_digits(value: float, text: str) -> None:
    assert say_ratio(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(3.21, "3.2"), (-0.8, "−0.8"), (0.04, "0.04"), (-0.001, "0.00"), (0, "0.00"), (12, "12.0")]
)
def test_numbers_per_100_posts_have_one_decimal(value: float, text: str) -> None:
    assert say_per_100(value) == text


def test_names_are_human_or_quoted() -> None:
    assert [name_column(name) for name in ("Swipe_Ups", "Story_Views", "Likes")] == [
        "swipe-ups",
        "story views",
        '"Likes"',
    ]
    assert name_levels("Audience_Region") == "regions"
    assert [join_words(list(words)) for words in ("", "a", "ab", "abc")] == ["", "a", "a and b", "a, b and c"]


def test_controls_never_reach_a_text() -> None:
    effect = make_effect("difference", level="Mi\x1b[31mcro\u202e", reference="Me\nga")
    text = say("beats", effect)
    assert "Mi[31mcro" in text
    assert "Me ga" in text
    assert not any(char in text for char in "\x1b\u202e\n")
    assert strip_controls("a\tb\x00c") == "a bc"


# --- the statements of a whole study --------------------------------------------------------------------------------


def index(results: Row) -> dict[str, Row]:
    return {row["id"]: row for row in results["statements"]}


def test_the_text_is_rebuilt_from_the_file_alone(conversion_results: Row) -> None:
    read = json.loads(encode_results(conversion_results))
    stored = {row["id"]: row["text"] for row in read["statements"]}
    for row in read["statements"]:
        row["text"] = ""
    assert write_texts(read) == stored


def is_quoted(row: Row, statement: Row) -> bool:
    return row["id"] in statement["effects"] and row["estimand"] in ("difference", "odds_ratio")


@pytest.mark.parametrize(
    ("change", "statement"),
    [
        (
            lambda row: {**row, "estimate": -row["estimate"], "lower": -row["upper"], "upper": -row["lower"]},
            "as_bought",
        ),
        (lambda row: {**row, "level": row["reference"], "reference": row["level"]}, "as_bought"),
        (lambda row: {**row, "scale": "per_100_posts"}, "engagement_constant"),
        (lambda row: {**row, "prob": 0.5}, "engagement_constant"),
    ],
)
def test_a_mutated_effect_changes_the_rebuilt_text(conversion_results: Row, change: Any, statement: str) -> None:
    changed = copy.deepcopy(conversion_results)
    headline = index(changed)[f"{statement}/headline"]
    changed["effects"] = [change(row) if is_quoted(row, headline) else row for row in changed["effects"]]
    assert write_texts(changed)[headline["id"]] != headline["text"]


def test_ids_are_unique_and_effects_exist(conversion_results: Row) -> None:
    ids = [row["id"] for row in conversion_results["statements"]]
    assert len(ids) == len(set(ids))
    known = {row["id"] for row in conversion_results["effects"]}
    assert all(set(row["effects"]) <= known for row in conversion_results["statements"])


def test_the_headline_comes_first_and_both_lines_speak_of_the_same_levels(conversion_results: Row) -> None:
    first, second = conversion_results["statements"][:2]
    assert (first["id"], second["id"]) == ("as_bought/headline", "engagement_constant/headline")
    assert (first["level"], first["reference"]) == (second["level"], second["reference"]) == ("Micro", "Mega")
    assert conversion_results["headline"]["as_bought"] == {"text": first["text"], "statement": first["id"]}
    assert "Micro almost certainly beats Mega" in first["text"]
    assert "Mega almost certainly has the higher odds" in second["text"]


def test_without_a_reference_the_headline_compares_with_the_mean() -> None:
    from influbayes.reporting.sentences import find_lead
    from influbayes.reporting.setting import read_setting

    claims = [
        {
            "kind": "beats",
            "question": "as_bought",
            "variable": "T",
            "level": "A",
            "reference": "B",
            "probability": 0.99,
        },
        {
            "kind": "beats",
            "question": "as_bought",
            "variable": "T",
            "level": "A",
            "reference": "mean of levels",
            "probability": 0.9,
        },
    ]
    terms = [make_term("as_bought", "factor", "T", levels="all")]
    setting = read_setting({"outcome": POSTS.outcome, "terms": terms})
    assert find_lead(claims, setting=setting) == claims[1]


def test_adds_is_never_said_with_engagement_held(conversion_results: Row) -> None:
    for row in conversion_results["statements"]:
        if row["question"] == "engagement_constant":
            assert not re.search(r"\badd(s|ed)?\b|\bbring", row["text"])


def test_nothing_is_called_a_cause(conversion_results: Row) -> None:
    for row in conversion_results["statements"]:
        if row["kind"] != "caveat":
            assert not re.search(r"\bcauses?\b|\bleads? to\b|\beffect of\b|\bbecause of\b", row["text"])
    assert "not proof of cause" in index(conversion_results)["caveat/association"]["text"]


def test_the_two_rankings_are_told_when_they_differ(conversion_results: Row) -> None:
    row = index(conversion_results)["disagreement/Influencer_Tier"]
    assert "as bought Micro, then Mid, then Mega" in row["text"]
    assert "at equal story views and swipe-ups Mega, then Mid, then Micro" in row["text"]
    assert "chance" not in row["text"]
    assert "disagreement/Audience_Region" not in index(conversion_results)


def test_regions_that_do_not_differ_are_told_once(conversion_results: Row) -> None:
    row = index(conversion_results)["as_bought/no_difference/Audience_Region"]
    assert row["text"] == "As bought, the regions cannot be told apart: every comparison lies between 20 % and 80 %."
    assert "as_bought/no_difference/Influencer_Tier" not in index(conversion_results)


def test_creators_have_no_sentences_of_their_own(conversion_results: Row) -> None:
    assert all(row["variable"] != "Creator_ID" for row in conversion_results["statements"])


MICRO = "as_bought/beats/Influencer_Tier/Micro/Mega"


def test_a_flip_withholds_its_statement_and_the_headline_that_repeats_it(
    conversion_analysis: Any, judge: Any, make_check: Any
) -> None:
    flip = make_check(
        "sensitivity", "as_bought", MICRO, status="fail", consequence="statement_withheld", meaning="The prior decides."
    )
    results = judge(conversion_analysis, flip)
    rows = index(results)
    for key in (MICRO, "as_bought/headline"):
        assert rows[key]["status"] == "withheld"
        assert rows[key]["because"] == ["sensitivity"]
        assert rows[key]["text"] == "Withheld: whether Micro beats Mega as bought. The prior decides."
    assert rows["as_bought/beats/Influencer_Tier/Mid/Mega"]["status"] == "stated"
    assert rows["engagement_constant/headline"]["status"] == "stated"
    assert results["status"] == "partly_withheld"
    assert write_texts(results) == {key: row["text"] for key, row in rows.items()}


def test_an_imprecise_probability_weakens_only_its_statement(
    conversion_analysis: Any, judge: Any, make_check: Any
) -> None:
    imprecise = make_check(
        "probability_error", "as_bought", MICRO, status="warn", consequence="words_added", meaning="M."
    )
    rows = index(judge(conversion_analysis, imprecise))
    assert (rows[MICRO]["status"], rows[MICRO]["reasons"]) == ("weakened", ["M."])
    assert [row["status"] for row in rows.values()].count("weakened") == 2  # the headline repeats it


def test_creators_too_different_withhold_every_comparison_of_the_question(
    conversion_analysis: Any, judge: Any, make_check: Any
) -> None:
    spread = make_check(
        "predictive_creators", "as_bought", "Creator_ID", status="fail", consequence="statement_withheld", meaning="S."
    )
    rows = index(judge(conversion_analysis, spread)).values()
    for row in rows:
        is_comparison = row["kind"] in ("headline", "beats", "best", "no_difference")
        if row["question"] == "as_bought":
            assert (row["status"] == "withheld") == is_comparison
        elif row["question"] == "engagement_constant":
            assert row["status"] == "stated"


def test_a_shape_that_does_not_fit_withholds_the_step_and_is_told(
    conversion_analysis: Any, judge: Any, make_check: Any
) -> None:
    shape = make_check(
        "predictive_tenth",
        "engagement_constant",
        "Swipe_Ups",
        status="fail",
        consequence="statement_withheld",
        meaning="Tenth 3 is off.",
    )
    rows = index(judge(conversion_analysis, shape))
    assert rows["engagement_constant/step/Swipe_Ups"]["status"] == "withheld"
    assert rows["engagement_constant/step/Story_Views"]["status"] == "stated"
    assert (
        "the shape in swipe-ups does not fit. Tenth 3 is off." in rows["engagement_constant/misfit/Swipe_Ups"]["text"]
    )


def test_a_misfitted_cell_withholds_its_expected_value(conversion_analysis: Any, judge: Any, make_check: Any) -> None:
    cell = make_check(
        "predictive_cell", "as_bought", "Micro:US", status="fail", consequence="cell_withheld", meaning="Off."
    )
    rows = index(judge(conversion_analysis, cell))
    prefix = "expected_value/Influencer_Tier:Audience_Region/Micro:US"
    assert rows[f"as_bought/{prefix}"]["text"] == "Withheld: the expected conversions of Micro:US as bought. Off."
    assert rows[f"engagement_constant/{prefix}"]["status"] == "stated"


def test_separation_says_that_sizes_rest_on_the_prior(conversion_analysis: Any, judge: Any, make_check: Any) -> None:
    separated = make_check(
        "separation", "engagement_constant", "Swipe_Ups", status="warn", consequence="words_added", meaning="Separated."
    )
    rows = index(judge(conversion_analysis, separated))
    step = rows["engagement_constant/step/Swipe_Ups"]
    assert step["text"].endswith("This size rests on the prior.")
    assert (step["status"], step["because"]) == ("stated", ["separation"])
    assert "rests on the prior" not in rows["as_bought/headline"]["text"]


def test_separation_of_one_level_touches_sentences_with_that_level(
    conversion_analysis: Any, judge: Any, make_check: Any
) -> None:
    separated = make_check(
        "separation", "as_bought", "Influencer_Tier:Mid", status="warn", consequence="words_added", meaning="None."
    )
    rows = index(judge(conversion_analysis, separated))
    assert "rests on the prior" in rows["as_bought/beats/Influencer_Tier/Mid/Mega"]["text"]
    assert "rests on the prior" in rows["as_bought/beats/Influencer_Tier/Mid/Micro"]["text"]
    assert "rests on the prior" not in rows[MICRO]["text"]


def test_a_number_that_is_not_finite_withholds_what_quotes_it(conversion_analysis: Any) -> None:
    first, second = conversion_analysis.questions
    broken = "as_bought/difference/Influencer_Tier/Micro/Mega"
    effects = tuple(replace(row, lower=float("nan")) if row.id == broken else row for row in second.effects)
    results = collect_results(replace(conversion_analysis, questions=(first, replace(second, effects=effects))))
    assert index(results)[MICRO]["status"] == "withheld"
    assert index(results)[MICRO]["text"].endswith("A number it would quote is missing or not finite.")


def test_a_claim_without_its_probability_is_withheld(conversion_analysis: Any) -> None:
    first, second = conversion_analysis.questions
    probabilities = {key: value for key, value in second.probabilities.items() if key != MICRO}
    changed = replace(conversion_analysis, questions=(first, replace(second, probabilities=probabilities)))
    assert index(collect_results(changed))[MICRO]["status"] == "withheld"
