"""Specifications made from specifications, and their TOML, keep what they must keep."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from influbayes.errors import UsageError
from influbayes.hierarchy.spec import (
    FactorTerm,
    InteractionTerm,
    NormalPrior,
    NumericTerm,
    Outcome,
    ScalePrior,
    Specification,
    has_after_purchase,
    leave_out_after_purchase,
    list_prior_scales,
    list_shipped_specs,
    load_spec,
    multiply_prior_scale,
    parse_spec,
    render_spec,
    replace_references,
    required_columns,
)
from influbayes.tables.posts import PostColumns

REFERENCE_DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
UNIT = NormalPrior(mean=0, sd=1)


def terms_of(spec):
    return replace(spec, source="", name="")


def read_back(spec):
    return parse_spec(render_spec(spec), name=spec.name)


def scale_prior(family, *parameters):
    return ScalePrior(family=family, parameters=parameters)


def make_spec():
    return Specification(
        name="made",
        title='A "quoted" title with \\ and é',
        outcome=Outcome(successes="won", trials="played"),
        intercept=NormalPrior(mean=-0.1, sd=1e-3),
        numerics=(
            NumericTerm(column="a b", transform="none", prior=UNIT, report_step=0.25),
            NumericTerm(column="late", prior=UNIT, after_purchase=True),
        ),
        factors=(
            FactorTerm(column="F", levels="all", reference="x", scale_prior=scale_prior("half_normal", 1.0)),
            FactorTerm(column="G", levels="all", scale=2.5, after_purchase=True),
            FactorTerm(column="H", levels="all", scale_prior=scale_prior("half_cauchy", 0.3)),
            FactorTerm(column="S", levels="sample", scale_prior=scale_prior("exponential", 4.0)),
            FactorTerm(column="T", levels="sample", scale_prior=scale_prior("half_student_t", 3.0, 2.0)),
        ),
        interactions=(
            InteractionTerm(of=("F", "G"), scale=1.5),
            InteractionTerm(of=("F", "H"), scale_prior=scale_prior("half_normal", 0.5)),
        ),
    )


@pytest.mark.parametrize("name", list_shipped_specs())
def test_a_shipped_specification_survives_being_written_and_read(name):
    assert terms_of(read_back(load_spec(name))) == terms_of(load_spec(name))


def test_every_form_of_every_term_survives_being_written_and_read():
    assert terms_of(read_back(make_spec())) == terms_of(make_spec())
    assert render_spec(read_back(make_spec())) == render_spec(make_spec())


@given(
    mean=st.floats(allow_nan=False, allow_infinity=False),
    sd=st.floats(min_value=0, exclude_min=True, allow_infinity=False),
    title=st.text(st.characters(exclude_categories=("C", "Z")), min_size=1),
)
def test_any_number_and_title_survive_being_written_and_read(mean, sd, title):
    spec = Specification(name="n", title=title, outcome=Outcome(column="y"), intercept=NormalPrior(mean=mean, sd=sd))
    assert terms_of(read_back(spec)) == terms_of(spec)


def test_as_bought_leaves_out_what_happens_after_the_purchase():
    spec = leave_out_after_purchase(load_spec("conversion_creator"))
    assert (spec.name, spec.numerics) == ("conversion_creator", ())
    assert spec.title == "Conversion with partially pooled tier, region and creator (as bought)"
    assert [term.column for term in spec.factors] == ["Influencer_Tier", "Audience_Region", "Creator_ID"]
    assert not has_after_purchase(spec)
    assert terms_of(parse_spec(spec.source, name="x")) == terms_of(spec)


def test_as_bought_drops_an_interaction_with_the_factor_it_loses():
    spec = leave_out_after_purchase(make_spec())
    assert [term.column for term in spec.factors] == ["F", "H", "S", "T"]
    assert [term.name for term in spec.interactions] == ["F__x__H"]
    assert [term.column for term in spec.numerics] == ["a b"]


def test_without_such_terms_as_bought_is_the_same_specification():
    spec = load_spec("signup")
    assert not has_after_purchase(spec)
    assert leave_out_after_purchase(spec) is spec


def test_a_reference_is_replaced_and_the_rest_stays():
    spec = load_spec("conversion")
    other = replace_references(spec, {"Audience_Region": "EU"})
    assert [term.reference for term in other.factors] == ["Mega", "EU"]
    assert terms_of(replace_references(other, {"Audience_Region": "US"})) == terms_of(spec)
    assert 'reference = "EU"' in other.source


@pytest.mark.parametrize("column", ["Creator_ID", "Story_Views", "Nowhere"])
def test_a_reference_of_what_is_no_factor_with_all_levels_is_refused(column):
    with pytest.raises(UsageError, match=f"'{column}' is no factor .* It has: Influencer_Tier, Audience_Region"):
        replace_references(load_spec("conversion_creator"), {column: "EU"})


def test_every_top_level_prior_is_listed():
    assert list_prior_scales(load_spec("conversion_interaction")) == (
        "intercept",
        "slope[Story_Views]",
        "slope[Swipe_Ups]",
        "scale_Influencer_Tier",
        "scale_Audience_Region",
        "scale_Influencer_Tier__x__Audience_Region",
    )
    assert "scale_G" in list_prior_scales(make_spec())


@pytest.mark.parametrize("name", list_prior_scales(make_spec()))
def test_widening_changes_one_prior_and_narrowing_takes_it_back(name):
    wide = multiply_prior_scale(make_spec(), name, 2)
    lines = set(render_spec(wide).splitlines()) ^ set(render_spec(make_spec()).splitlines())
    assert 1 <= len(lines) <= 2
    assert terms_of(multiply_prior_scale(wide, name, 0.5)) == terms_of(make_spec())


def test_each_family_is_widened_by_its_own_rule():
    spec = make_spec()
    for name in list_prior_scales(spec):
        spec = multiply_prior_scale(spec, name, 2)
    assert spec.intercept == NormalPrior(mean=-0.1, sd=2e-3)
    assert spec.numerics[0].prior.sd == 2
    assert spec.factors[0].scale_prior.parameters == (2,)
    assert spec.factors[1].scale == 5
    assert spec.factors[2].scale_prior.parameters == (0.6,)
    assert spec.factors[3].scale_prior.parameters == (2,)  # a rate: halved
    assert spec.factors[4].scale_prior.parameters == (3, 4)  # degrees of freedom stay
    assert spec.interactions[0].scale == 3
    assert spec.interactions[1].scale_prior.parameters == (1,)


def test_an_unknown_prior_and_an_impossible_factor_are_refused():
    with pytest.raises(UsageError, match=r"has no prior 'slope'. It has: intercept, slope\[Story_Views\]"):
        multiply_prior_scale(load_spec("conversion"), "slope", 2)
    for factor in (0, -1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="finite number above 0"):
            multiply_prior_scale(load_spec("conversion"), "intercept", factor)


def test_required_columns_are_those_of_the_terms_and_an_optional_creator():
    assert required_columns(load_spec("conversion")) == PostColumns()
    assert required_columns(load_spec("conversion_creator")) == PostColumns(
        labels=("Influencer_Tier", "Audience_Region", "Creator_ID"), optional_labels=()
    )
    columns = required_columns(make_spec())
    assert (columns.outcome, columns.successes, columns.trials) == (None, "won", "played")
    assert (columns.numeric, columns.labels) == (("a b", "late"), ("F", "G", "H", "S", "T"))


@pytest.mark.skipif(not REFERENCE_DATA.is_dir(), reason="the shared reference data are not here")
def test_every_reference_specification_is_read():
    paths = sorted(REFERENCE_DATA.glob("*/spec.toml"))
    assert paths
    for path in paths:
        assert terms_of(read_back(load_spec(path))) == terms_of(load_spec(path))
