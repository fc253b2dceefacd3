"""The shipped specifications say what the design says, explain every prior, and `auto` chooses among them."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pandas as pd
import pytest

from influbayes.hierarchy import spec_measured
from influbayes.hierarchy.spec import choose_spec, list_shipped_specs, load_spec, say_asked
from influbayes.tables.posts import PostColumns, PostsTable

SHIPPED = (
    "complete_pooling",
    "conversion",
    "conversion_creator",
    "conversion_interaction",
    "conversion_ledger",
    "conversion_log_engagement",
    "no_pooling",
    "signup",
)


def posts_of(frame):
    return PostsTable(frame=frame, columns=PostColumns(), file="t.csv", format="csv", digest="", rows_read=len(frame))


def test_exactly_these_specifications_ship():
    assert list_shipped_specs() == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_every_prior_is_explained_by_its_unit_and_reason(name):
    text = files("influbayes.models").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    priors = re.findall(r"^(?:prior|scale_prior|scale) = ", text, flags=re.MULTILINE)
    explained = re.findall(
        r"^# Unit: .*\n(?:# .*\n)*?# Reason: .*\n(?:# .*\n)*(?:prior|scale_prior|scale) = ", text, flags=re.MULTILINE
    )
    assert len(explained) == len(priors) > 0
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize("name", SHIPPED[:-2])
def test_engagement_is_after_the_purchase_and_tier_and_region_are_not(name):
    spec = load_spec(name)
    assert all(term.after_purchase and term.report_step for term in spec.numerics)
    assert not any(term.after_purchase for term in spec.factors)


def test_conversion_compares_with_mega_and_us_and_asks_for_twenty_swipe_ups():
    spec = load_spec("conversion")
    assert {term.column: term.reference for term in spec.factors} == {
        "Influencer_Tier": "Mega",
        "Audience_Region": "US",
    }
    assert {term.column: term.report_step for term in spec.numerics} == {"Story_Views": 5000, "Swipe_Ups": 20}
    assert {term.transform for term in spec.numerics} == {"standardise"}
    assert spec.intercept.sd == 1.5


def test_the_variants_differ_from_conversion_as_their_names_say():
    base = load_spec("conversion")
    creator, interaction, log = (load_spec(f"conversion_{x}") for x in ("creator", "interaction", "log_engagement"))
    assert creator.factors[:2] == base.factors
    assert (creator.factors[2].column, creator.factors[2].levels) == ("Creator_ID", "sample")
    assert interaction.factors == base.factors
    assert interaction.interactions[0].of == ("Influencer_Tier", "Audience_Region")
    assert {term.transform for term in log.numerics} == {"log1p_standardise"}
    assert load_spec("complete_pooling").factors == ()
    assert [term.scale for term in load_spec("no_pooling").factors] == [2.5, 2.5]


def test_the_ledger_and_sign_up_specifications_name_no_reference():
    ledger, signup = load_spec("conversion_ledger"), load_spec("signup")
    assert {term.column: term.levels for term in ledger.factors} == {
        "influencer_type": "all",
        "platform": "all",
        "category": "all",
        "influencer_id": "sample",
    }
    assert {term.transform for term in ledger.numerics} == {"log1p_standardise"}
    assert all(term.reference is None for term in (*ledger.factors, *signup.factors))
    assert {term.levels for term in signup.factors} == {"sample"}
    assert signup.outcome.column == "Sign_up"


def test_auto_takes_creators_where_ten_have_more_than_one_post():
    ids = [f"c{i}" for i in range(10)] * 2 + ["single"]
    spec, why = choose_spec(posts_of(pd.DataFrame({"Creator_ID": ids})))
    assert spec.name == "conversion_creator"
    assert "10 of 11 creators have more than one post" in why
    assert why.endswith(f"so each creator has an effect of its own. {spec_measured.say_coverage()}")


def test_a_model_without_creators_that_was_asked_for_says_what_it_costs():
    repeated = posts_of(pd.DataFrame({"Creator_ID": [f"c{i}" for i in range(12)] * 2}))
    why = say_asked(load_spec("conversion"), repeated)
    assert why.startswith("conversion: asked for with --model. It takes posts as independent, but 12 of 12 creators")
    assert why.endswith(f"intervals of tier and region are too narrow. {spec_measured.say_coverage()}")
    plain = "conversion_creator: asked for with --model."
    assert say_asked(load_spec("conversion_creator"), repeated) == plain
    for frame in (pd.DataFrame({"Converted": [0, 1]}), pd.DataFrame({"Creator_ID": list("abcdefghijklmn")})):
        assert say_asked(load_spec("conversion"), posts_of(frame)) == "conversion: asked for with --model."


def test_the_coverage_is_said_with_its_shares(monkeypatch):
    monkeypatch.setattr(spec_measured, "COVERAGE", {"conversion": 0.504, "conversion_creator": 0.896})
    monkeypatch.setattr(spec_measured, "TABLES", 1234)
    assert spec_measured.say_coverage() == (
        "On 1,234 simulated tables like the bundled sample, 90 % intervals of differences between tiers held the "
        "truth 90 % of the time with creator effects, 50 % without."
    )


def test_the_coverage_stated_is_the_one_measured():
    root = Path(__file__).resolve().parents[2]
    measured = json.loads((root / "benchmarks" / "results" / "creators_coverage.json").read_text())
    sample = tomllib.loads((root / "data" / "posts_truth.toml").read_text())
    for name in ("posts", "creators", "creator_sd"):
        assert measured[name] == sample[name], f"not tables like the bundled sample: {name}"
    assert measured["uncertified"] == 0
    for name, stated in spec_measured.COVERAGE.items():
        model = measured["models"][name]
        assert model["tables"] == spec_measured.TABLES
        assert model["coverage"] == pytest.approx(stated, abs=5e-4)
    plain, creators = (measured["models"][name] for name in ("conversion", "conversion_creator"))
    assert plain["coverage"] + 3 * plain["standard_error"] < 0.9, "too sure, beyond chance"
    assert creators["coverage"] == pytest.approx(0.9, abs=3 * creators["standard_error"])


def test_auto_takes_posts_as_independent_where_fewer_creators_repeat():
    ids = [f"c{i}" for i in range(9)] * 2 + ["single"]
    spec, why = choose_spec(posts_of(pd.DataFrame({"Creator_ID": ids})))
    assert spec.name == "conversion"
    assert "only 9 of 10 creators have more than one post (10 are needed" in why
    assert "posts are taken as independent" in why


def test_auto_says_that_posts_are_independent_without_a_creator_column():
    spec, why = choose_spec(posts_of(pd.DataFrame({"Converted": [0, 1]})))
    assert spec.name == "conversion"
    assert "has no Creator_ID: posts are taken as independent" in why
