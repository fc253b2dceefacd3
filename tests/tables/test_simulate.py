"""Simulated posts: reproducible, realistic as described, and made from exactly the truth that is stated."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest

from influbayes.errors import UsageError
from influbayes.hierarchy.spec import load_spec
from influbayes.tables.simulate import (
    REGIONS,
    TIERS,
    PostsTruth,
    render_posts_csv,
    render_truth,
    simulate_posts,
)

COLUMNS = [
    "Post_ID",
    "Creator_ID",
    "Post_Date",
    "Story_Views",
    "Swipe_Ups",
    "Influencer_Tier",
    "Audience_Region",
    "Fee",
    "Converted",
]


@pytest.fixture(scope="module")
def sample():
    return simulate_posts()


@pytest.fixture(scope="module")
def frame(sample):
    return sample.frame


def bundled(name):
    return files("influbayes.data").joinpath(name).read_bytes().decode("utf-8")


def test_the_bundled_table_and_truth_are_what_the_generator_makes(sample):
    assert bundled("posts.csv") == render_posts_csv(sample)
    assert bundled("posts_truth.toml") == render_truth(sample)


def test_the_data_dictionary_describes_every_column_and_the_counts_of_the_file(frame):
    text = bundled("README.md")
    for column in COLUMNS:
        assert f"| `{column}` |" in text
    for column in ("Story_Views", "Swipe_Ups", "Fee"):
        low, middle, high = frame[column].min(), np.floor(frame[column].median() + 0.5), frame[column].max()
        assert f"{low:,} to {high:,}, median {middle:,.0f} |" in text
    for column in ("Influencer_Tier", "Audience_Region"):
        counts = frame[column].value_counts()
        assert all(f"{level} ({counts[level]}" in text for level in counts.index)
    assert f"{frame['Converted'].sum()} ones, {frame['Converted'].mean():.1%}".replace("%", " %") in text


def test_the_columns_are_the_public_ones_and_counts_are_whole(frame):
    assert list(frame.columns) == COLUMNS
    assert {frame[name].dtype for name in ("Story_Views", "Swipe_Ups", "Fee", "Converted")} == {np.dtype("int64")}
    assert frame["Post_ID"].is_unique
    assert set(frame["Converted"]) == {0, 1}
    assert (frame["Swipe_Ups"] <= frame["Story_Views"]).all()
    assert (frame["Swipe_Ups"] > 0).all()
    assert (frame["Fee"] > 0).all()


def test_there_are_1500_posts_of_220_creators_unequally_booked_over_two_quarters(frame):
    booked = frame["Creator_ID"].value_counts()
    assert (len(frame), len(booked)) == (1500, 220)
    assert booked.max() > 2 * booked.median()
    assert (booked > 1).sum() > 200
    assert frame["Post_Date"].is_monotonic_increasing
    assert "2026-01-01" <= frame["Post_Date"].min() < frame["Post_Date"].max() <= "2026-06-30"


def test_tier_and_region_belong_to_the_creator(frame):
    assert (frame.groupby("Creator_ID")[["Influencer_Tier", "Audience_Region"]].nunique() == 1).all(axis=None)


def test_every_tier_and_region_cell_has_posts_with_and_without_a_purchase(frame):
    cells = frame.groupby(["Influencer_Tier", "Audience_Region"])["Converted"].agg(["size", "mean"])
    assert len(cells) == 12
    assert cells["size"].min() >= 20
    assert cells["mean"].between(0.1, 0.7).all()


def test_posts_with_more_swipe_ups_convert_more_often(frame):
    rates = frame.groupby(pd.qcut(frame["Swipe_Ups"], 4), observed=True)["Converted"].mean().to_numpy()
    assert (np.diff(rates) > 0).all()
    assert rates[3] > 1.5 * rates[0]
    assert 0.25 < frame["Converted"].mean() < 0.40


def test_mega_brings_reach_with_modest_conversion_and_micro_swipes_more(frame):
    by_tier = frame.assign(rate=frame["Swipe_Ups"] / frame["Story_Views"]).groupby("Influencer_Tier")
    medians, converted = by_tier[["Story_Views", "rate", "Fee"]].median(), by_tier["Converted"].mean()
    assert medians["Story_Views"]["Mega"] > 5 * medians["Story_Views"]["Micro"]
    assert medians["rate"]["Micro"] > medians["rate"]["Mid"] > medians["rate"]["Mega"]
    assert medians["Fee"]["Mega"] > medians["Fee"]["Mid"] > medians["Fee"]["Micro"]
    assert 0.2 < converted["Mega"] < converted["Micro"] < 0.6


def test_some_micro_creators_convert_surprisingly_well_and_some_eu_and_latam_creators_beat_us_ones(frame):
    creators = frame.groupby("Creator_ID").agg(
        tier=("Influencer_Tier", "first"),
        region=("Audience_Region", "first"),
        rate=("Converted", "mean"),
        posts=("Converted", "size"),
    )
    booked = creators[creators["posts"] >= 5]
    usual_us = booked.loc[booked["region"] == "US", "rate"].median()
    assert ((booked["tier"] == "Micro") & (booked["rate"] >= 0.7)).sum() >= 5
    for region in ("EU", "LATAM"):
        assert (booked.loc[booked["region"] == region, "rate"] > usual_us).sum() >= 3


def test_regions_differ_a_little(frame):
    rates = frame.groupby("Audience_Region")["Converted"].mean()
    assert 0.03 < rates.max() - rates.min() < 0.2


def test_engagement_does_not_separate_the_outcomes(frame):
    for column in ("Story_Views", "Swipe_Ups"):
        lowest_converted = frame.loc[frame["Converted"] == 1, column].min()
        assert lowest_converted < frame.loc[frame["Converted"] == 0, column].median()
    assert abs(frame["Swipe_Ups"].skew()) < 3


def test_the_truth_is_on_the_scale_of_conversion_creator(sample):
    spec, truth = load_spec("conversion_creator"), tomllib.loads(render_truth(sample))
    assert {term.transform for term in spec.numerics} == {"standardise"}
    assert [term.column for term in spec.numerics] == list(truth["slope"])
    eta = np.full(len(sample.frame), truth["intercept"])
    for name in truth["slope"]:
        column = sample.frame[name].to_numpy(float)
        assert truth["centre"][name] == pytest.approx(column.mean(), abs=1e-5)
        assert truth["scale"][name] == pytest.approx(np.sqrt(np.mean((column - column.mean()) ** 2)), abs=1e-5)
        eta += truth["slope"][name] * (column - truth["centre"][name]) / truth["scale"][name]
    for term in spec.factors:
        effects = truth[f"effect_{term.column}"]
        eta += np.array([effects[level] for level in sample.frame[term.column]])
        assert term.levels == "sample" or sum(effects.values()) == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(sample.probabilities, 1 / (1 + np.exp(-eta)), rtol=1e-8)


def test_the_outcome_follows_the_probabilities():
    simulated = simulate_posts(posts=40_000, creators=2_000, seed=7)
    tenth = pd.qcut(simulated.probabilities, 10)
    grouped = simulated.frame["Converted"].groupby(tenth, observed=True)
    expected = pd.Series(simulated.probabilities).groupby(tenth, observed=True).mean()
    errors = np.sqrt(expected * (1 - expected) / grouped.size())
    assert (((grouped.mean() - expected) / errors).abs() < 4).all()


def test_creator_effects_have_the_stated_spread():
    simulated = simulate_posts(posts=5_000, creators=5_000, seed=3)
    drawn = np.array(list(simulated.creator_effects.values()))
    assert drawn.std() == pytest.approx(0.60, rel=0.05)
    assert abs(drawn.mean()) < 0.04


def test_another_truth_meets_the_same_posts_with_another_outcome(sample):
    truth = PostsTruth(
        intercept=1.0,
        slopes={"Story_Views": 0.0, "Swipe_Ups": 0.0},
        tier_effects=dict.fromkeys(TIERS, 0.0),
        region_effects=dict.fromkeys(REGIONS, 0.0),
        creator_sd=0.0,
    )
    other = simulate_posts(truth=truth)
    pd.testing.assert_frame_equal(other.frame.drop(columns="Converted"), sample.frame.drop(columns="Converted"))
    np.testing.assert_allclose(other.probabilities, 1 / (1 + np.exp(-1.0)))
    assert set(other.creator_effects.values()) == {0.0}


def test_the_same_seed_gives_the_same_table_and_another_seed_another():
    first, again, other = (simulate_posts(posts=60, creators=12, seed=seed) for seed in (5, 5, 6))
    assert render_posts_csv(first) == render_posts_csv(again) != render_posts_csv(other)


@pytest.mark.parametrize(("posts", "creators"), [(1, 1), (2, 1), (12, 12), (300, 7)])
def test_small_tables_are_whole(posts, creators):
    simulated = simulate_posts(posts=posts, creators=creators)
    assert len(simulated.frame) == posts
    assert simulated.frame["Creator_ID"].nunique() == creators
    assert np.isfinite(simulated.probabilities).all()


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"posts": 10, "creators": 11}, "at least as many posts as creators"),
        ({"posts": 10, "creators": 0}, "Give 1 or more creators"),
        ({"posts": 2_000_001, "creators": 5}, "at most 2,000,000 posts"),
        ({"seed": -1}, "Seed -1 is below 0"),
    ],
)
def test_impossible_sizes_are_refused(sizes, words):
    with pytest.raises(UsageError, match=words):
        simulate_posts(**sizes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tier_effects": {"Mega": 0.0}}, "tier_effects names Mega; it must name Mega, Mid, Micro"),
        ({"tier_effects": {"Mega": 1.0, "Mid": 0.0, "Micro": 0.0}}, "tier_effects sum to 1; they must sum to 0"),
        ({"slopes": {}}, "slopes names nothing; it must name Story_Views, Swipe_Ups"),
        ({"intercept": float("nan")}, "must be finite"),
        ({"creator_sd": -0.1}, "creator_sd 0 or more"),
    ],
)
def test_an_impossible_truth_is_refused(change, words):
    with pytest.raises(UsageError, match=words):
        simulate_posts(truth=PostsTruth(**change))
