"""Designs: canonical row order, learnt scaling, refusals in words, counterfactual and new rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from influbayes.errors import DataRefused, UsageError
from influbayes.hierarchy.design import (
    Design,
    Scaler,
    build_design,
    encode_rows,
    find_level,
    set_level,
    shift_numeric,
    zero_sum_basis,
)
from influbayes.hierarchy.spec import FactorTerm, NumericTerm, Specification, load_spec
from influbayes.tables.posts import PostColumns, PostsTable


def list_arrays(design: Design) -> dict[str, Any]:
    rows = design.rows
    codes = {f"code {name}": values for name, values in rows.codes.items()}
    return {"x": rows.x, "raw": rows.raw, "y": rows.conversions, "n": rows.trials, **codes}


def assert_equal_designs(one: Design, other: Design) -> None:
    assert (one.scalers, one.levels, one.numeric_names) == (other.scalers, other.levels, other.numeric_names)
    for name, values in list_arrays(one).items():
        np.testing.assert_array_equal(values, list_arrays(other)[name], err_msg=name, strict=True)


def shuffle(posts: PostsTable, seed: int) -> PostsTable:
    rng = np.random.default_rng(seed)
    columns = list(rng.permutation(posts.frame.columns))
    return replace(posts, frame=posts.frame.sample(frac=1, random_state=seed)[columns])


def refusal(posts: PostsTable, spec: Specification) -> list[str]:
    with pytest.raises(DataRefused) as caught:
        build_design(posts, spec)
    assert str(caught.value) == "\n".join(map(str, caught.value.problems))
    return [str(problem) for problem in caught.value.problems]


def keep_factor(spec: Specification, column: str, **changes: Any) -> Specification:
    """The specification with one factor alone, and no numeric term."""
    term = next(term for term in spec.factors if term.column == column)
    return replace(spec, numerics=(), factors=(replace(term, **changes),), interactions=())


@pytest.mark.parametrize("name", ["conversion", "conversion_creator", "conversion_interaction"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_rows_and_columns_in_any_order_give_the_same_design(sixty_posts: PostsTable, name: str, seed: int) -> None:
    spec = load_spec(name)
    assert_equal_designs(build_design(sixty_posts, spec), build_design(shuffle(sixty_posts, seed), spec))


def test_lines_lead_back_to_the_file(sixty_posts: PostsTable, conversion: Specification) -> None:
    design = build_design(shuffle(sixty_posts, 4), conversion)
    back = sixty_posts.frame.set_index("line").loc[design.lines]
    np.testing.assert_array_equal(back["Swipe_Ups"], design.rows.raw[:, 1])
    np.testing.assert_array_equal(back["conversions"], design.conversions)
    tiers = np.array(design.levels["Influencer_Tier"])[design.rows.codes["Influencer_Tier"]]
    assert list(back["Influencer_Tier"]) == list(tiers)


def test_levels_are_sorted_and_all_arrays_are_read_only(conversion_design: Design) -> None:
    assert conversion_design.levels["Influencer_Tier"] == ("Mega", "Micro", "Mid")
    assert conversion_design.levels["Audience_Region"] == ("APAC", "EU", "LATAM", "US")
    for values in list_arrays(conversion_design).values():
        assert not values.flags.writeable


def test_scaling_is_learnt_with_denominator_n(make_posts: Any, conversion: Specification) -> None:
    views, swipes = [0.0, 1.0, 3.0, 8.0], [2.0, 4.0, 4.0, 6.0]
    frame = pd.DataFrame(
        {
            "Story_Views": views,
            "Swipe_Ups": swipes,
            "Influencer_Tier": ["Mega", "Mid", "Mega", "Mid"],
            "Audience_Region": ["EU", "US", "US", "EU"],
            "Converted": [0, 1, 1, 0],
        }
    )
    terms = (
        replace(conversion.numerics[0], transform="log1p_standardise"),
        conversion.numerics[1],
    )
    design = build_design(make_posts(frame), replace(conversion, numerics=terms))
    logs = np.log([1, 2, 4, 9])
    assert design.scalers[0].transform == "log1p_standardise"
    assert design.scalers[0].centre == pytest.approx(logs.sum() / 4, rel=1e-14)
    assert design.scalers[0].scale == pytest.approx(np.sqrt(((logs - logs.mean()) ** 2).sum() / 4), rel=1e-14)
    assert design.scalers[1] == Scaler(transform="standardise", centre=4.0, scale=np.sqrt(2.0))
    np.testing.assert_allclose(design.rows.x[:, 1], (design.rows.raw[:, 1] - 4) / np.sqrt(2), rtol=1e-14)
    plain = replace(conversion, numerics=(replace(terms[0], transform="none"),))
    untouched = build_design(make_posts(frame), plain)
    assert untouched.scalers == (Scaler(transform="none", centre=0.0, scale=1.0),)
    np.testing.assert_array_equal(untouched.rows.x, untouched.rows.raw)


# --- refusals and notices ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "word"), [(0, "none"), (1, "all")])
def test_constant_outcome_is_refused(make_posts: Any, sixty_posts: PostsTable, conversion: Any, value: int, word: str):
    posts = make_posts(sixty_posts.frame.assign(conversions=value))
    assert refusal(posts, conversion) == [
        f"IB-F04 posts.csv, Converted: of 60 trials {word} converted. There is nothing to compare. Check the column, "
        "or add posts of both kinds. Nothing was fitted."
    ]


def test_single_level_with_a_reference_is_refused(make_posts: Any, sixty_posts: PostsTable, conversion: Any) -> None:
    posts = make_posts(sixty_posts.frame.assign(Influencer_Tier="Mid"))
    assert refusal(posts, conversion) == [
        'IB-F03 posts.csv, Influencer_Tier: only the level "Mid". There is nothing to compare with the reference '
        '"Mega". Add posts of another level, or use a specification without this column (--model FILE). '
        "Nothing was fitted."
    ]


def test_single_level_without_reference_and_constant_number_are_left_out(
    make_posts: Any, sixty_posts: PostsTable
) -> None:
    spec = load_spec("conversion_interaction")
    spec = replace(spec, factors=tuple(replace(term, reference=None) for term in spec.factors))
    posts = make_posts(sixty_posts.frame.assign(Influencer_Tier="Mid", Swipe_Ups=80.0))
    design = build_design(posts, spec)
    assert design.left_out == ("Swipe_Ups", "Influencer_Tier", "Influencer_Tier__x__Audience_Region")
    assert (design.numeric_names, list(design.levels), design.interactions) == (
        ("Story_Views",),
        ["Audience_Region"],
        (),
    )
    assert [(str(notice), notice.rule) for notice in design.notices] == [
        (
            'IB-F03 posts.csv, Influencer_Tier: only the level "Mid". There is nothing to compare, so the column is '
            "left out of the model.",
            "warn",
        ),
        (
            "IB-F03 posts.csv, Swipe_Ups: every row is 80. There is nothing to learn: it is left out of the model.",
            "warn",
        ),
    ]


def test_reference_that_is_no_level_is_refused_with_what_was_found(make_posts: Any, conversion: Any) -> None:
    frame = pd.DataFrame({"Influencer_Tier": ["Nano"] * 4 + ["Mid"] * 2, "Converted": [0, 1] * 3})
    assert refusal(make_posts(frame), keep_factor(conversion, "Influencer_Tier")) == [
        'IB-D37 posts.csv, Influencer_Tier: reference "Mega" not found. Found: "Mid" (2), "Nano" (4). Choose one of '
        "them with --reference Influencer_Tier=LEVEL. Nothing was fitted."
    ]


def test_many_found_levels_are_counted_not_listed(make_posts: Any, conversion: Any) -> None:
    frame = pd.DataFrame({"Influencer_Tier": [f"t{k:02}" for k in range(11)] * 2, "Converted": [0, 1] * 11})
    (message,) = refusal(make_posts(frame), keep_factor(conversion, "Influencer_Tier"))
    assert '"t07" (2) and 3 more. Choose' in message
    assert len(message) <= 600


def test_as_many_levels_as_rows(make_posts: Any, conversion: Any) -> None:
    frame = pd.DataFrame({"Influencer_Tier": list("abcdef"), "Converted": [0, 1] * 3})
    posts = make_posts(frame)
    spec = keep_factor(conversion, "Influencer_Tier", reference=None)
    assert refusal(posts, spec) == [
        "IB-F06 posts.csv, Influencer_Tier: 6 levels in 6 rows. Each row is its own level. Group the levels, or use "
        'levels = "sample". Nothing was fitted.'
    ]
    sample = keep_factor(conversion, "Influencer_Tier", reference=None, levels="sample")
    (notice,) = build_design(posts, sample).notices
    assert (str(notice), notice.rule) == (
        "IB-F06 posts.csv, Influencer_Tier: 6 levels in 6 rows. How much they differ (its scale) rests largely on the "
        "prior.",
        "warn",
    )


def test_empty_cells_of_an_interaction_are_named(make_posts: Any, sixty_posts: PostsTable) -> None:
    frame = sixty_posts.frame
    keep = ~((frame["Influencer_Tier"] == "Mega") & frame["Audience_Region"].isin(["EU", "US"]))
    spec = load_spec("conversion_interaction")
    design = build_design(make_posts(frame[keep]), spec)
    notice = next(notice for notice in design.notices if "Mega:EU" in notice.message)
    assert (notice.code, notice.rule, notice.column) == ("IB-F08", "warn", "Influencer_Tier:Audience_Region")
    assert notice.message.startswith("no post in ")
    assert notice.message.endswith(". These cells rest on the prior and the other cells.")
    counts = pd.crosstab(frame[keep]["Influencer_Tier"], frame[keep]["Audience_Region"])
    assert notice.message.count(":") == int((counts == 0).sum().sum())


def test_log_of_a_negative_number_is_refused(make_posts: Any, sixty_posts: PostsTable, conversion: Any) -> None:
    frame = sixty_posts.frame.assign(Swipe_Ups=sixty_posts.frame["Swipe_Ups"].where(sixty_posts.frame["line"] > 3, -2))
    assert refusal(make_posts(frame), load_spec("conversion_log_engagement")) == [
        'IB-D24 posts.csv, Swipe_Ups: below 0 in 2 rows (lines 2, 3; line 2: "-2"). log(1 + x) needs counts. Correct '
        "it, or use another transform. Nothing was fitted."
    ]


def test_every_problem_is_raised_at_once(make_posts: Any, sixty_posts: PostsTable) -> None:
    frame = sixty_posts.frame.assign(conversions=0, Influencer_Tier="Mid", Swipe_Ups=-1.0, Audience_Region="EU")
    codes = [message.split()[0] for message in refusal(make_posts(frame), load_spec("conversion_log_engagement"))]
    assert codes == ["IB-F04", "IB-F03", "IB-F03", "IB-D24"]


def test_a_table_read_for_another_specification_is_refused(make_posts: Any, sixty_posts: PostsTable) -> None:
    spec = load_spec("conversion_creator")
    posts = make_posts(sixty_posts.frame.drop(columns="Creator_ID"), columns=PostColumns(outcome="Clicked"))
    assert refusal(posts, spec) == [
        "IB-D14 posts.csv, Creator_ID: conversion_creator needs this column. Read it with "
        "columns=required_columns(spec). Nothing was fitted.",
        'IB-D14 posts.csv: read with the outcome "Clicked". The specification conversion_creator is about "Converted". '
        "Read it with columns=required_columns(spec). Nothing was fitted.",
    ]


# --- other rows -------------------------------------------------------------------------------------------------------


def new_rows(**changes: Any) -> pd.DataFrame:
    row = {"Story_Views": 9000, "Swipe_Ups": 90, "Influencer_Tier": "Mid", "Audience_Region": "US", "Creator_ID": "C1"}
    return pd.DataFrame([{**row, **changes}])


def test_fitted_rows_encode_to_themselves(sixty_posts: PostsTable, conversion_design: Design) -> None:
    frame = sixty_posts.frame.set_index("line").loc[conversion_design.lines]
    rows = encode_rows(conversion_design, frame)
    np.testing.assert_array_equal(rows.x, conversion_design.rows.x)
    for name, codes in conversion_design.rows.codes.items():
        np.testing.assert_array_equal(rows.codes[name], codes)
    assert rows.conversions is None
    assert rows.trials is None
    assert len(rows) == 60


def test_rows_are_scaled_as_learnt_and_new_creators_are_marked(sixty_posts: PostsTable) -> None:
    design = build_design(sixty_posts, load_spec("conversion_creator"))
    rows = encode_rows(design, new_rows(Creator_ID="nobody knows"))
    assert rows.codes["Creator_ID"].tolist() == [-1]
    scaler = design.scalers[0]
    assert rows.x[0, 0] == (9000 - scaler.centre) / scaler.scale


def test_numbers_as_labels_are_read_as_text(make_posts: Any, sixty_posts: PostsTable) -> None:
    creators = sixty_posts.frame["Creator_ID"].rank(method="dense").astype(int).astype(str)
    design = build_design(
        make_posts(sixty_posts.frame.assign(Creator_ID=creators)),
        keep_factor(load_spec("conversion_creator"), "Creator_ID"),
    )
    codes = encode_rows(design, new_rows(Creator_ID=7)).codes["Creator_ID"]
    assert design.levels["Creator_ID"][codes[0]] == "7"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"Influencer_Tier": "Nano"},
            'IB-F07 rows, Influencer_Tier: "Nano" not among the fitted levels "Mega", "Micro", "Mid". Rename the '
            "level, or fit with posts of it. Nothing was fitted.",
        ),
        ({"Audience_Region": None}, "IB-D22 rows, Audience_Region: no label in 1 row. Nothing was fitted."),
        ({"Swipe_Ups": None}, 'IB-D25 rows, Swipe_Ups: not a finite number in 1 row: "None". Nothing was fitted.'),
        ({"Swipe_Ups": "many"}, 'IB-D25 rows, Swipe_Ups: not a finite number in 1 row: "many". Nothing was fitted.'),
        ({"Swipe_Ups": np.inf}, 'IB-D25 rows, Swipe_Ups: not a finite number in 1 row: "inf". Nothing was fitted.'),
        (
            {"Swipe_Ups": -3},
            "IB-D24 rows, Swipe_Ups: below 0. log(1 + x) needs counts. Nothing was fitted.",
        ),
    ],
)
def test_rows_that_cannot_be_predicted_are_refused(sixty_posts: PostsTable, changes: Any, message: str) -> None:
    design = build_design(sixty_posts, load_spec("conversion_log_engagement"))
    frame = new_rows().astype(object).assign(**{name: [value] for name, value in changes.items()})
    with pytest.raises(DataRefused) as caught:
        encode_rows(design, frame)
    assert str(caught.value) == message


def test_rows_without_a_column_are_refused(conversion_design: Design) -> None:
    with pytest.raises(DataRefused) as caught:
        encode_rows(conversion_design, new_rows().drop(columns=["Swipe_Ups", "Audience_Region"]))
    assert str(caught.value) == (
        'IB-D14 rows, Swipe_Ups: columns missing from the rows to predict: "Swipe_Ups", "Audience_Region". '
        "Nothing was fitted."
    )


def test_set_level_changes_one_factor_only(conversion_design: Design) -> None:
    rows = set_level(conversion_design, conversion_design.rows, "Influencer_Tier", "Mid")
    assert set(rows.codes["Influencer_Tier"]) == {2}
    assert rows.codes["Audience_Region"] is conversion_design.rows.codes["Audience_Region"]
    assert rows.x is conversion_design.rows.x


def test_shift_numeric_is_in_the_unit_of_the_column(sixty_posts: PostsTable) -> None:
    design = build_design(sixty_posts, load_spec("conversion_log_engagement"))
    rows = shift_numeric(design, design.rows, "Swipe_Ups", 20.0)
    np.testing.assert_array_equal(rows.raw[:, 1], design.rows.raw[:, 1] + 20)
    scaler = design.scalers[1]
    expected = (np.log1p(design.rows.raw[:, 1] + 20) - scaler.centre) / scaler.scale
    np.testing.assert_allclose(rows.x[:, 1], expected, rtol=1e-14)
    np.testing.assert_array_equal(rows.x[:, 0], design.rows.x[:, 0])


def test_unknown_names_are_named_with_what_there_is(conversion_design: Design) -> None:
    rows = conversion_design.rows
    with pytest.raises(
        UsageError, match=r"^'Likes' is no numeric term of this model; it has Story_Views, Swipe_Ups\.$"
    ):
        shift_numeric(conversion_design, rows, "Likes", 1.0)
    with pytest.raises(UsageError, match=r"^'Tier' is no factor of this model; it has Influencer_Tier, Audience_Reg"):
        set_level(conversion_design, rows, "Tier", "Mid")
    with pytest.raises(
        UsageError, match=r"^'Nano' is no level of Influencer_Tier; it has \"Mega\", \"Micro\", \"Mid\"\.$"
    ):
        find_level(conversion_design, "Influencer_Tier", "Nano")


def test_rows_to_predict_hold_no_outcome(conversion_design: Design) -> None:
    bare = replace(conversion_design, rows=replace(conversion_design.rows, conversions=None, trials=None))
    message = r"^These rows hold no outcome; they can be predicted, not fitted\.$"
    with pytest.raises(UsageError, match=message):
        _ = bare.conversions
    with pytest.raises(UsageError, match=message):
        _ = bare.trials


@pytest.mark.parametrize("levels", [2, 3, 4, 7, 40])
def test_zero_sum_columns_are_orthonormal_and_sum_to_zero(levels: int) -> None:
    basis = zero_sum_basis(levels)
    assert basis.shape == (levels, levels - 1)
    np.testing.assert_allclose(basis.T @ basis, np.eye(levels - 1), atol=1e-14)
    np.testing.assert_allclose(basis.sum(axis=0), 0, atol=1e-14)
    np.testing.assert_allclose(basis @ basis.T, np.eye(levels) - 1 / levels, atol=1e-14)


def test_trials_of_a_table_are_kept(make_posts: Any) -> None:
    columns = PostColumns(outcome=None, successes="sold", trials="shown", numeric=(), labels=("Influencer_Tier",))
    frame = pd.DataFrame({"Influencer_Tier": list("abab"), "conversions": [1, 2, 0, 3], "trials": [5, 5, 4, 3]})
    base = load_spec("conversion")
    spec = replace(
        base,
        outcome=replace(base.outcome, column=None, successes="sold", trials="shown"),
        numerics=(),
        factors=(FactorTerm(column="Influencer_Tier", levels="all", scale=1.0),),
    )
    design = build_design(make_posts(frame, columns=columns), spec)
    assert design.trials.tolist() == [4, 5, 5, 3]
    assert design.conversions.tolist() == [0, 1, 2, 3]
    assert design.numerics == ()
    assert design.rows.x.shape == (4, 0)
    term = NumericTerm(column="absent", prior=base.intercept)
    assert refusal(make_posts(frame, columns=columns), replace(spec, numerics=(term,)))[0].startswith("IB-D14")
