"""Sampled simulations told by a whole analysis: adjusting reverses the tiers; a few creators post much."""

from __future__ import annotations

import html
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from influbayes.hierarchy.spec import choose_spec, replace_references
from influbayes.pipeline import Settings, add_choices, analyse_posts, find_quick_refit, make_files
from influbayes.reporting.decision_words import write_sentences
from influbayes.reporting.results import collect_results, encode_results
from influbayes.reporting.sentences import write_texts
from influbayes.reporting.wording import say_probability

TIERS = ("Mega", "Micro", "Mid")
SWIPES = {"Mega": 35.0, "Micro": 130.0, "Mid": 80.0}
"""Micro works by bringing swipe-ups ..."""
AT_EQUAL = {"Mega": 1.1, "Micro": -1.1, "Mid": 0.0}
"""... and among posts with equal swipe-ups is the worst: log odds."""
SETTINGS = Settings(engine="laplace", draws=500, seed=4)


def simulate_reversal(*, posts=450, creators=90, seed=2):
    rng = np.random.default_rng(seed)
    owner = np.sort(np.concatenate([np.arange(creators), rng.integers(0, creators, posts - creators)]))
    tier = np.array(TIERS)[rng.integers(0, 3, creators)][owner]
    region = np.array(["EU", "US"])[rng.integers(0, 2, creators)][owner]
    swipes = rng.poisson(np.array([SWIPES[name] for name in tier]) * rng.lognormal(0, 0.25, posts)).astype(float)
    eta = (
        -3.4 + 0.04 * swipes + np.array([AT_EQUAL[name] for name in tier]) + 0.3 * rng.standard_normal(creators)[owner]
    )
    return pd.DataFrame(
        {
            "Creator_ID": [f"C{k:03d}" for k in owner],
            "Influencer_Tier": tier,
            "Audience_Region": region,
            "Story_Views": np.round(9000 * rng.lognormal(0, 0.4, posts)),
            "Swipe_Ups": swipes,
            "Converted": (rng.random(posts) < expit(eta)).astype(np.int64),
        }
    )


@pytest.fixture(scope="module")
def reversed_study(make_posts):
    posts = make_posts(simulate_reversal())
    analysis = analyse_posts(posts, settings=SETTINGS)
    analysis = add_choices(analysis, refit=find_quick_refit(analysis, SETTINGS))
    results = collect_results(analysis, created="2026-01-01T00:00:00+00:00")
    return SimpleNamespace(analysis=analysis, results=results, files=make_files(analysis, results))


def find_statement(results, name):
    return next(row for row in results["statements"] if row["id"] == name)


ORDERS = (
    "as bought Micro, then Mid, then Mega; at equal story views and swipe-ups Mega, then Mid, then Micro",
    "What a level brings through engagement counts as bought",
    "swipe-ups on average, Mega posts",
)


def test_both_orders_and_the_reason_are_in_results_text_and_page(reversed_study):
    results = json.loads(reversed_study.files["results.json"])
    row = find_statement(results, "disagreement/Influencer_Tier")
    assert row["status"] == "stated"
    assert row["reasons"] == []  # a pair is told apart in opposite directions: no word of chance
    page = html.unescape(reversed_study.files["report.html"].decode()).replace("\u00a0", " ")
    for words in ORDERS:
        assert words in row["text"]
        assert words in page
    bought = find_statement(results, "as_bought/beats/Influencer_Tier/Micro/Mega")
    held = find_statement(results, "engagement_constant/beats/Influencer_Tier/Micro/Mega")
    assert bought["probability"] > 0.95
    assert held["probability"] < 0.05
    assert results["headline"]["as_bought"]["text"].startswith("As bought: set to Micro instead of Mega")
    assert "Mega posts have" in results["headline"]["engagement_constant"]["text"]


def test_the_reason_quotes_the_means_of_the_table(reversed_study):
    means = reversed_study.analysis.posts.frame.groupby("Influencer_Tier")["Swipe_Ups"].mean()
    text = find_statement(reversed_study.results, "disagreement/Influencer_Tier")["text"]
    assert (
        f"Micro posts have {means['Micro']:.0f} swipe-ups on average, Mega posts {means['Mega']:.0f}, and posts with "
        "more swipe-ups have more conversions." in text
    )


def test_the_text_follows_the_numbers_of_the_file_alone(reversed_study):
    results = json.loads(encode_results(reversed_study.results))
    assert write_texts(results) == {row["id"]: row["text"] for row in results["statements"]}
    swipes = next(row for row in results["model"]["terms"] if row["variable"] == "Swipe_Ups")
    swipes["means"]["Influencer_Tier"]["Micro"] = 200.0
    assert "Micro posts have 200 swipe-ups" in write_texts(results)["disagreement/Influencer_Tier"]
    swipes["means"]["Influencer_Tier"]["Micro"] = 1.0  # fewer swipe-ups cannot be why it gains
    assert "on average" not in write_texts(results)["disagreement/Influencer_Tier"]
    for row in results["effects"]:
        if row["id"] == "as_bought/expected_value/Influencer_Tier/Micro":
            row["level"], row["id"] = "Mega", "swapped"
    with pytest.raises(KeyError):  # a quoted row that is gone is never passed over in silence
        write_texts(results)


# --- few creators, many posts ---------------------------------------------------------------------------------------


def simulate_clustered(*, creators=24, each=14, seed=9):
    """Tiers that do not differ at all; creators that do, with many posts each."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(creators), each)
    tier = np.array(TIERS)[np.arange(creators) % 3][owner]
    return pd.DataFrame(
        {
            "Creator_ID": [f"C{k:03d}" for k in owner],
            "Influencer_Tier": tier,
            "Audience_Region": np.array(["EU", "US"])[rng.integers(0, 2, creators)][owner],
            "Story_Views": np.round(9000 * rng.lognormal(0, 0.4, len(owner))),
            "Swipe_Ups": rng.poisson(60, len(owner)).astype(float),
            "Converted": (rng.random(len(owner)) < expit(-0.4 + 1.2 * rng.standard_normal(creators)[owner])).astype(
                int
            ),
        }
    )


@pytest.fixture(scope="module")
def clustered_study(make_posts):
    analysis = analyse_posts(make_posts(simulate_clustered()), settings=SETTINGS)
    analysis = add_choices(analysis, refit=find_quick_refit(analysis, SETTINGS))
    results = collect_results(analysis, created="2026-01-01T00:00:00+00:00")
    return SimpleNamespace(results=results, files=make_files(analysis, results))


def test_the_report_says_that_ignoring_creators_would_be_over_confident(clustered_study):
    """No tier differs in truth: without creators one seems to, with them it does not, and the page says which is so."""
    results = json.loads(clustered_study.files["results.json"])
    decision = next(row for row in results["decisions"] if row["kind"] == "creators")
    row = max((row for row in decision["rows"] if row["front"]), key=lambda row: abs(row["naive"] - 0.5))
    assert row["source"] == "refit"
    assert abs(row["naive"] - 0.5) > 0.45  # a wrong "very probably"
    assert abs(row["probability"] - 0.5) < 0.45
    pair = f"{row['level']} beats {row['reference']}"
    said = next(text for text in decision["sentences"] if pair in text)
    assert said == (
        f"Without creators in the model the probability that {pair} would read {say_probability(row['naive'])} instead "
        f"of {say_probability(row['probability'])}: over-confident."
    )
    assert "336 posts of 24 creators carry as much evidence on a tier as about" in decision["sentences"][0]
    page = html.unescape(clustered_study.files["report.html"].decode()).replace("\u00a0", " ")
    assert said in page
    assert decision["sentences"][0] in page
    assert decision["inputs"]["effective_posts"] < 0.5 * 336


def test_the_word_over_confident_follows_the_two_probabilities(clustered_study):
    decision = next(row for row in clustered_study.results["decisions"] if row["kind"] == "creators")
    timid = json.loads(json.dumps(decision))
    for row in timid["rows"]:
        row["naive"], row["probability"] = row["probability"], row["naive"]
    told = write_sentences(timid)
    assert not any("over-confident" in text for text in told if "Without creators" in text and _is_flipped(timid, text))
    assert told != decision["sentences"]


def _is_flipped(decision, text):
    row = next(row for row in decision["rows"] if f"{row['level']} beats {row['reference']}" in text)
    return abs(row["naive"] - 0.5) < abs(row["probability"] - 0.5)


# --- another reference ------------------------------------------------------------------------------------------------


def test_swapping_the_reference_changes_no_conclusion(reversed_study):
    """The same posts against Micro instead of Mega: every pair keeps its sentence, every level its rank and rate."""
    posts = replace(reversed_study.analysis.posts, notices=())
    spec, _ = choose_spec(posts)
    spec = replace_references(spec, {"Influencer_Tier": "Micro", "Audience_Region": "US"})
    turned = collect_results(
        analyse_posts(posts, spec, settings=SETTINGS), created=reversed_study.results["provenance"]["created"]
    )
    before, after = (
        {
            (row["question"], row["variable"], frozenset((row["level"], row["reference"]))): (
                row["text"],
                row["status"],
            )
            for row in results["statements"]
            if row["kind"] == "beats"
        }
        for results in (reversed_study.results, turned)
    )
    assert len(before) == 8
    assert before == after
    for kind in ("expected_value", "rank", "probability_best"):
        one, other = (
            {row["id"]: row["estimate"] for row in results["effects"] if row["estimand"] == kind}
            for results in (reversed_study.results, turned)
        )
        assert one == other
    best = [
        find_statement(results, "as_bought/best/Influencer_Tier/Micro") for results in (reversed_study.results, turned)
    ]
    assert best[0]["text"] == best[1]["text"]
