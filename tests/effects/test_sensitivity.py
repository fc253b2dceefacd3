"""Prior sensitivity: weights against densities of scipy, probabilities against closed forms, refits where needed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from influbayes.effects.estimands import Claim
from influbayes.effects.sensitivity import FACTORS, assess_sensitivity, log_prior_ratio, weigh_claim
from influbayes.errors import SamplingFailed
from influbayes.hierarchy.design import Design, ModelRows, Scaler, zero_sum_basis
from influbayes.hierarchy.posterior import EngineRun, Fit
from influbayes.hierarchy.spec import (
    FactorTerm,
    InteractionTerm,
    NormalPrior,
    NumericTerm,
    Outcome,
    ScalePrior,
    Specification,
    list_prior_scales,
)

LEVELS = {"T": ("a", "b", "c"), "R": ("x", "y"), "C": tuple("12345")}
SPEC = Specification(
    name="hand",
    title="By hand",
    outcome=Outcome(column="Converted"),
    intercept=NormalPrior(mean=0.3, sd=1.5),
    numerics=(
        NumericTerm(column="views", prior=NormalPrior(mean=0, sd=1)),
        NumericTerm(column="swipes", prior=NormalPrior(mean=0.1, sd=0.7)),
    ),
    factors=(
        FactorTerm(column="T", levels="all", scale_prior=ScalePrior(family="half_normal", parameters=(1.0,))),
        FactorTerm(column="R", levels="all", scale=2.5),
        FactorTerm(column="C", levels="sample", scale=0.8),
    ),
    interactions=(InteractionTerm(of=("T", "R"), scale=0.5),),
)


def make_fit(seed=0, shape=(4, 500), **draws):
    rng = np.random.default_rng(seed)

    def zero_sum(*names):
        bases = [zero_sum_basis(len(LEVELS[name])) for name in names]
        basis = bases[0] if len(bases) == 1 else np.kron(*bases)
        effects = rng.normal(size=(*shape, basis.shape[1])) @ basis.T
        return effects.reshape(*shape, *(len(LEVELS[name]) for name in names))

    made = {
        "intercept": rng.normal(size=shape),
        "slope": rng.normal(size=(*shape, 2)),
        "effect_T": zero_sum("T"),
        "scale_T": np.abs(rng.normal(size=shape)),
        "effect_R": zero_sum("R"),
        "effect_C": 0.1 * rng.normal(size=(*shape, 5)),
        "effect_T__x__R": 0.3 * zero_sum("T", "R"),
    }
    design = Design(
        specification=SPEC,
        question="as_bought",
        rows=ModelRows(x=np.zeros((0, 2)), raw=np.zeros((0, 2)), codes={}),
        scalers=(Scaler(transform="standardise", centre=0, scale=1),) * 2,
        levels=LEVELS,
        numerics=SPEC.numerics,
        factors=SPEC.factors,
        interactions=SPEC.interactions,
        lines=np.zeros(0, dtype=np.int64),
    )
    run = EngineRun(name_asked="nuts", name_used="nuts", why="", draws=500, chains=4, seed=1, seconds=0.0)
    return Fit(design=design, draws={**made, **draws}, sample_stats={}, run=run)


def make_claim(margin, identity="claim"):
    return Claim(
        id=identity,
        kind="beats",
        question="as_bought",
        variable="T",
        level="a",
        reference="b",
        step=None,
        effects=(),
        margin=margin,
    )


def refuse_refit(spec):
    raise AssertionError(f"no refit was needed, but {spec.name} was refitted")


def change_factor(spec, column, **changes):
    return replace(
        spec, factors=tuple(replace(term, **changes) if term.column == column else term for term in spec.factors)
    )


def test_weights_of_the_intercept_and_of_one_slope_are_ratios_of_normal_densities():
    fit = make_fit()
    intercept = log_prior_ratio(fit, replace(SPEC, intercept=NormalPrior(mean=0.3, sd=3.0)))
    value = fit.draws["intercept"]
    np.testing.assert_allclose(intercept, stats.norm(0.3, 3).logpdf(value) - stats.norm(0.3, 1.5).logpdf(value))
    numerics = (SPEC.numerics[0], replace(SPEC.numerics[1], prior=NormalPrior(mean=0.1, sd=0.35)))
    value = fit.draws["slope"][..., 1]
    np.testing.assert_allclose(
        log_prior_ratio(fit, replace(SPEC, numerics=numerics)),
        stats.norm(0.1, 0.35).logpdf(value) - stats.norm(0.1, 0.7).logpdf(value),
    )


def test_weights_of_an_estimated_scale_use_its_draws_only():
    fit = make_fit()
    changed = change_factor(SPEC, "T", scale_prior=ScalePrior(family="half_normal", parameters=(2.0,)))
    value = fit.draws["scale_T"]
    expected = stats.halfnorm(scale=2).logpdf(value) - stats.halfnorm().logpdf(value)
    np.testing.assert_allclose(log_prior_ratio(fit, changed), expected)


@pytest.mark.parametrize(("column", "scale"), [("R", 2.5), ("C", 0.8)])
def test_weights_of_a_fixed_scale_are_ratios_of_the_coefficients_densities(column, scale):
    fit = make_fit()
    effect = fit.draws[f"effect_{column}"]
    coefficients = effect @ zero_sum_basis(2) if column == "R" else effect
    ratio = stats.norm(0, scale / 2).logpdf(coefficients) - stats.norm(0, scale).logpdf(coefficients)
    changed = change_factor(SPEC, column, scale=scale / 2)
    np.testing.assert_allclose(log_prior_ratio(fit, changed), ratio.sum(axis=-1))


def test_weights_of_an_interaction_under_a_fixed_scale():
    fit = make_fit()
    effect = fit.draws["effect_T__x__R"].reshape(4, 500, 6)
    coefficients = effect @ np.kron(zero_sum_basis(3), zero_sum_basis(2))
    ratio = stats.norm(0, 1.0).logpdf(coefficients) - stats.norm(0, 0.5).logpdf(coefficients)
    changed = replace(SPEC, interactions=(replace(SPEC.interactions[0], scale=1.0),))
    np.testing.assert_allclose(log_prior_ratio(fit, changed), ratio.sum(axis=-1))


def test_no_change_governs_no_variable():
    assert log_prior_ratio(make_fit(), SPEC) is None


def test_halved_and_doubled_prior_give_the_normal_closed_form():
    """A normal posterior times a ratio of normal priors is normal: precisions add, and so do precision x mean."""
    mean, sd, shape = 0.25, 0.4, (4, 2500)
    grid = stats.norm(mean, sd).ppf((np.random.default_rng(3).permutation(10_000) + 0.5) / 10_000).reshape(shape)
    fit = make_fit(shape=shape, intercept=grid)
    found = assess_sensitivity(fit, [make_claim(grid)], refit=lambda _: fit, make_claims=lambda _: ())
    before = stats.norm(mean, sd).sf(0)
    checked = 0
    for shift in found:
        assert shift.probability_before == pytest.approx(before, abs=1e-3)
        if "intercept" not in shift.prior.lower():
            continue
        new_sd = 1.5 * shift.factor
        precision = sd**-2 - 1.5**-2 + new_sd**-2
        centre = (mean / sd**2 - 0.3 / 1.5**2 + 0.3 / new_sd**2) / precision
        assert shift.method == "reweighted"
        assert shift.probability_after == pytest.approx(stats.norm(centre, precision**-0.5).sf(0), abs=1e-3)
        checked += 1
    assert checked == len(FACTORS)


def test_every_prior_scale_is_halved_and_doubled_for_every_claim():
    fit = make_fit(
        intercept=0.3 + 0.1 * np.random.default_rng(1).normal(size=(4, 500)),
        slope=0.1 * np.random.default_rng(2).normal(size=(4, 500, 2)),
        scale_T=0.5 + 0.05 * np.random.default_rng(4).random((4, 500)),
    )
    claims = [make_claim(fit.draws["intercept"], "one"), make_claim(fit.draws["slope"][..., 0], "two")]
    found = assess_sensitivity(fit, claims, refit=refuse_refit, make_claims=lambda _: ())
    expected = {(p, f, c) for p in list_prior_scales(SPEC) for f in FACTORS for c in ("one", "two")}
    assert {(shift.prior, shift.factor, shift.claim_id) for shift in found} == expected
    assert len(found) == len(expected) == 7 * 2 * 2


def test_uneven_weights_lead_to_a_refit_of_the_changed_specification():
    fit = make_fit(intercept=4.0 + np.random.default_rng(1).normal(size=(4, 500)))
    asked = []

    def refit(spec):
        asked.append(spec)
        return fit

    found = assess_sensitivity(
        fit,
        [make_claim(fit.draws["intercept"] - 4.0)],
        refit=refit,
        make_claims=lambda _: [make_claim(np.full((4, 50), -1.0))],
    )
    refitted = [shift for shift in found if shift.method == "refitted"]
    halved = [spec for spec in asked if spec.intercept.sd == 0.75]
    assert len(halved) == 1
    assert len(asked) == len(refitted)
    assert {shift.probability_after for shift in refitted} == {0.0}
    assert all(shift.probability_before == pytest.approx(0.5, abs=0.05) for shift in refitted)


def test_a_refit_that_fails_or_lacks_the_claim_gives_not_a_number():
    fit = make_fit(intercept=4.0 + np.random.default_rng(1).normal(size=(4, 500)))

    def fail(spec):
        raise SamplingFailed("no draws")

    for refit in (fail, lambda spec: fit):
        found = assess_sensitivity(fit, [make_claim(fit.draws["intercept"])], refit=refit, make_claims=lambda _: ())
        after = [shift.probability_after for shift in found if shift.method == "refitted"]
        assert after
        assert np.isnan(after).all()


def test_priors_of_terms_left_out_of_the_design_are_not_assessed():
    fit = make_fit()
    design = replace(fit.design, numerics=SPEC.numerics[:1], factors=SPEC.factors[:1], interactions=())
    found = assess_sensitivity(
        replace(fit, design=design),
        [make_claim(fit.draws["intercept"])],
        refit=lambda spec: fit,
        make_claims=lambda _: [make_claim(np.ones((4, 5)))],
    )
    assert len({shift.prior for shift in found}) == 3


def test_no_claims_need_no_work():
    assert assess_sensitivity(make_fit(), [], refit=refuse_refit, make_claims=lambda _: ()) == ()


def test_a_weighted_probability_counts_ties_half_and_never_hides_nan():
    claim = make_claim(np.array([[1.0, -1.0], [0.0, 2.0]]))
    assert weigh_claim(claim, np.array([0.1, 0.2, 0.4, 0.3])) == pytest.approx(0.1 + 0.2 + 0.3)
    assert np.isnan(weigh_claim(make_claim(np.array([[1.0, np.nan]])), np.array([0.5, 0.5])))
