"""The sixty seed posts, told by a whole analysis: what is separated is named, and what rests on the prior says so.

The posts lie beside the checkout; without them these tests are skipped.
"""

from __future__ import annotations

import html
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from influbayes.decisions.study import Request
from influbayes.pipeline import Settings, add_choices, analyse_posts, find_quick_refit, make_files
from influbayes.reporting.html import render_report
from influbayes.reporting.plots_decisions import draw_decisions
from influbayes.reporting.results import collect_results
from influbayes.tables.reader import read_posts

SEED_POSTS = Path(__file__).resolve().parents[2] / "shared/data/seeds/influencer_conversion_data.csv"
SETTINGS = Settings(engine="laplace", draws=500, seed=4)
HELD = "engagement_constant"

pytestmark = pytest.mark.skipif(not SEED_POSTS.is_file(), reason="the seed posts do not lie beside the checkout")


@pytest.fixture(scope="module")
def study():
    analysis = analyse_posts(read_posts(SEED_POSTS), settings=SETTINGS)
    request = Request(threshold=1.2)
    analysis = add_choices(analysis, request, refit=find_quick_refit(analysis, SETTINGS))
    results = collect_results(analysis, created="2026-01-01T00:00:00+00:00")
    files = make_files(analysis, results)
    page = html.unescape(files["report.html"].decode()).replace("\u00a0", " ")
    return SimpleNamespace(results=json.loads(files["results.json"]), files=files, page=page)


def find_regressions(results, question):
    return next(
        row for row in results["decisions"] if row["kind"] == "frequentist" and row["inputs"]["question"] == question
    )


def test_separation_is_named_with_its_columns_and_only_where_it_is(study):
    (held,) = [row for row in study.results["diagnostics"] if row["name"] == "separation" and row["question"] == HELD]
    (bought,) = [
        row for row in study.results["diagnostics"] if row["name"] == "separation" and row["question"] == "as_bought"
    ]
    assert (held["status"], bought["status"]) == ("warn", "pass")
    assert held["meaning"].startswith("Story_Views, Swipe_Ups and Influencer_Tier separate the outcomes completely")
    assert held["meaning"] in study.page


def test_no_sentence_with_engagement_constant_hides_that_it_rests_on_the_prior(study):
    said = [row for row in study.results["statements"] if row["question"] == HELD and row["kind"] in ("beats", "step")]
    stated = [row for row in said if row["status"] == "stated"]
    assert len(stated) >= 4
    for row in stated:
        assert "This size rests on the prior." in row["text"], row["id"]
    for row in said:
        assert row["status"] == "stated" or row["text"].startswith("Withheld: "), row["id"]
    assert "This size rests on the prior." in study.results["headline"][HELD]["text"]
    assert "rests on the prior" not in study.results["headline"]["as_bought"]["text"]


def test_maximum_likelihood_does_not_exist_and_firth_is_finite(study):
    rows = [row for row in study.results["frequentist"] if row["question"] == HELD]
    likelihood = [row for row in rows if row["id"].endswith(("/wald", "/clustered"))]
    firth = [row for row in rows if row["id"].endswith("/firth")]
    assert likelihood
    assert all(row["estimate"] is None and row["lower"] is None for row in likelihood)
    assert len(firth) >= len(likelihood) / 2
    for row in firth:
        assert np.isfinite([row["estimate"], row["lower"], row["upper"]]).all()
    part = find_regressions(study.results, HELD)
    assert part["inputs"]["exists"] is False
    assert part["inputs"]["columns"] == ["story views", "swipe-ups", "tier"]
    assert part["sentences"][0].startswith(
        "No maximum-likelihood estimate exists: story views, swipe-ups and tier separate the posts that converted from "
        "those that did not. Firth's penalised estimate is finite"
    )
    assert part["sentences"][0] in study.page
    assert find_regressions(study.results, "as_bought")["inputs"]["exists"] is True


def test_the_gap_under_separation_is_put_down_to_the_prior_and_never_to_pooling(study):
    part = find_regressions(study.results, HELD)
    assert part["rows"]
    held = {
        row["claim"] for row in study.results["statements"] if row["question"] == HELD and row["status"] == "withheld"
    }
    for row in part["rows"]:
        assert row["method"] == "firth"
        assert row["pooling"] is None
        claim = f"{HELD}/beats/{row['variable']}/{row['level']}/{row['reference']}"
        assert (row["status"] == "withheld") == (claim in held)
        if claim in held:
            assert row["bayesian"] is row["gap"] is None
            continue
        assert row["creators"] + row["prior"] == pytest.approx(row["gap"], abs=1e-9)
    for text in part["sentences"][1:]:
        assert text.endswith(("Most of the gap comes from the priors, partial pooling among them.", "They agree."))
    assert "Against Firth, because no maximum-likelihood estimate exists: pooling cannot be told" in study.page


def test_the_size_beside_the_regression_is_the_one_the_effects_table_shows(study):
    shown = {
        (row["question"], row["variable"], row["level"], row["reference"]): row["estimate"]
        for row in study.results["effects"]
        if row["estimand"] == "odds_ratio"
    }
    for question in ("as_bought", HELD):
        for row in find_regressions(study.results, question)["rows"]:
            if row["level"] is not None and row["status"] == "stated":
                same = shown[question, row["variable"], row["level"], row["reference"]]
                assert row["bayesian"] == pytest.approx(same, rel=1e-6)


def test_the_report_is_made_again_from_results_json(study):
    pictures = {
        name.removeprefix("plots/").removesuffix(".png"): data
        for name, data in study.files.items()
        if name.startswith("plots/")
    }
    assert render_report(study.results, pictures).encode("utf-8") == study.files["report.html"]


def test_the_picture_of_the_separated_question_names_the_priors(study):
    assert "plots/regressions.png" in study.files
    assert "plots/regressions_engagement_constant.png" in study.files
    figure = draw_decisions(study.results)["regressions_engagement_constant"]
    words = " ".join(text.get_text() for text in figure.texts)
    assert "story views, swipe-ups and tier tell the outcomes apart" in words
    assert "Gaps are the priors' work, not pooling's." in words
    assert "Odds ratios, engagement constant, with 90 % intervals" in words
    assert 'href="#table-regressions-engagement_constant"' in study.files["report.html"].decode()
