"""Regressions beside the model: equal to statsmodels' formula fit, finite under separation, the gap fully explained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from influbayes.decisions.study import fit_regressions, make_choices
from influbayes.effects.frequentist import fit_frequentist
from influbayes.effects.gap import explain_gap
from influbayes.effects.logit import fit_normal_logit
from influbayes.hierarchy.design import build_design
from influbayes.hierarchy.spec import leave_out_after_purchase, load_spec
from influbayes.tables.reader import read_posts
from influbayes.tables.simulate import simulate_posts

SEEDS = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "seeds"


def simulate(make_posts, *, posts=400, creators=80, creator_sd=0.0, seed=0, effects=(-0.4, 0.5, 0.1)):
    rng = np.random.default_rng(seed)
    owner = rng.integers(0, creators, posts)
    tier, region = rng.integers(0, 3, creators)[owner], rng.integers(0, 2, creators)[owner]
    luck = rng.normal(0, creator_sd, creators)[owner]
    swipes = rng.poisson(60, posts).astype(float)
    eta = -0.6 + np.array(effects)[tier] + 0.2 * region + 0.02 * (swipes - 60) + luck
    return make_posts(
        {
            "Influencer_Tier": np.array(["Mega", "Micro", "Mid"])[tier],
            "Audience_Region": np.array(["EU", "US"])[region],
            "Creator_ID": [f"c{k:03d}" for k in owner],
            "Story_Views": rng.poisson(5000, posts).astype(float),
            "Swipe_Ups": swipes,
            "Converted": rng.random(posts) < expit(eta),
        }
    )


def pick(rows, method, level):
    return next(row for row in rows if row.id.endswith(f"Influencer_Tier/{level}/Mega/{method}"))


@pytest.fixture(scope="module")
def table(make_posts):
    return simulate(make_posts, creator_sd=0.9)


@pytest.fixture(scope="module")
def design(table):
    return build_design(table, leave_out_after_purchase(load_spec("conversion_creator")), question="as_bought")


def test_likelihood_rows_equal_a_formula_fit(table, design):
    import statsmodels.formula.api as formula

    frame = table.frame
    model = formula.logit(
        "conversions ~ C(Influencer_Tier, Treatment('Mega')) + C(Audience_Region, Treatment('US'))", frame
    )
    plain = model.fit(disp=0)
    groups = frame["Creator_ID"].astype("category").cat.codes
    clustered = model.fit(disp=0, cov_type="cluster", cov_kwds={"groups": groups})
    found = fit_frequentist(design, prob=0.9, separated=())
    for method, fitted in (("wald", plain), ("clustered", clustered)):
        row = pick(found.rows, method, "Micro")
        name = "C(Influencer_Tier, Treatment('Mega'))[T.Micro]"
        low, high = np.exp(fitted.conf_int(0.1).loc[name])
        assert (row.estimate, row.lower, row.upper) == pytest.approx((np.exp(fitted.params[name]), low, high), rel=2e-3)
        assert row.interval_kind == "confidence"
        assert row.probability is None
    assert found.clusters == 80


def test_swapping_level_and_reference_turns_every_regression_round(table):
    spec = leave_out_after_purchase(load_spec("conversion"))
    from influbayes.hierarchy.spec import replace_references

    turned = replace_references(spec, {"Influencer_Tier": "Micro"})
    one = fit_frequentist(build_design(table, spec, question="as_bought"), separated=())
    other = fit_frequentist(build_design(table, turned, question="as_bought"), separated=())
    for method in ("wald", "firth"):
        row = pick(one.rows, method, "Micro")
        back = next(r for r in other.rows if r.id.endswith(f"Influencer_Tier/Mega/Micro/{method}"))
        assert (row.estimate, row.lower, row.upper) == pytest.approx(
            (1 / back.estimate, 1 / back.upper, 1 / back.lower), rel=1e-3
        )


def test_firth_equals_the_known_closed_form_of_one_two_by_two_table(make_posts):
    # Firth's estimate in a saturated 2 x 2 table is the log odds ratio with 1/2 added to every count.
    table = make_posts({"Influencer_Tier": ["Mega"] * 12 + ["Micro"] * 10, "Converted": [1] * 3 + [0] * 9 + [1] * 10})
    spec = leave_out_after_purchase(load_spec("conversion"))
    from dataclasses import replace

    spec = replace(spec, factors=spec.factors[:1], numerics=())
    found = fit_frequentist(build_design(table, spec, question="as_bought"), separated=("Influencer_Tier",))
    row = pick(found.rows, "firth", "Micro")
    assert row.estimate == pytest.approx((10.5 / 0.5) / (3.5 / 9.5), rel=1e-3)
    assert 1 < row.lower < row.estimate < row.upper < np.inf
    gone = pick(found.rows, "wald", "Micro")
    assert not found.exists
    assert np.isnan([gone.estimate, gone.lower, gone.upper]).all()
    assert "does not exist: Influencer_Tier separates" in gone.held


@pytest.mark.skipif(not SEEDS.is_dir(), reason="the seed tables lie outside the repository and are not here")
def test_the_sixty_seed_posts_are_separated_with_columns_named_and_firth_finite():
    path = SEEDS / "influencer_conversion_data.csv"
    table = read_posts(path)
    design = build_design(table, load_spec("conversion"))
    found = fit_regressions(design, table, 0.9)
    assert len(design.rows) == 60
    assert not found.exists
    assert found.separated
    assert all(np.isnan(row.estimate) for row in found.rows if row.id.endswith("/wald"))
    firth = [row for row in found.rows if row.id.endswith("/firth")]
    assert firth
    assert all(np.isfinite([row.estimate, row.lower, row.upper]).all() for row in firth)


def test_the_parts_of_the_gap_add_up_and_creators_shrink_the_regression(design, fit_normally):
    fit = fit_normally(design)
    found = fit_frequentist(design, separated=())
    gaps = explain_gap(fit, found)
    for gap in gaps:
        assert gap.creators + gap.pooling + gap.prior == pytest.approx(gap.gap, abs=1e-10)
    micro = next(gap for gap in gaps if (gap.level, gap.reference) == ("Micro", "Mega"))
    assert micro.creators > 0.03 * micro.bayesian  # the regression, blind to creators, says less than the model
    assert abs(micro.prior) < 0.05


def test_without_creators_and_with_much_data_there_is_no_gap(make_posts, fit_normally):
    table = simulate(make_posts, posts=6000, creators=6000)
    design = build_design(table, leave_out_after_purchase(load_spec("conversion")), question="as_bought")
    gaps = explain_gap(fit_normally(design, level_scale=2.5), fit_frequentist(design, separated=()))
    assert max(abs(gap.gap) for gap in gaps) < 0.02
    assert max(abs(gap.creators) for gap in gaps) < 1e-6


def test_a_runaway_fit_is_noticed_without_being_told(make_posts):
    table = make_posts({"Influencer_Tier": ["Mega"] * 9 + ["Micro"] * 9, "Converted": [0] * 9 + [1] * 9})
    from dataclasses import replace

    spec = leave_out_after_purchase(load_spec("conversion"))
    design = build_design(table, replace(spec, factors=spec.factors[:1], numerics=()), question="as_bought")
    assert not fit_frequentist(design).exists


def test_the_normal_logit_is_the_mode():
    rng = np.random.default_rng(1)
    X = np.column_stack([np.ones(50), rng.normal(size=50)])
    wins, trials, precision = rng.binomial(4, 0.4, 50).astype(float), np.full(50, 4.0), np.array([0.5, 2.0])
    mode, _ = fit_normal_logit(X, wins, trials, precision=precision, centre=np.array([0.3, -0.2]))
    gradient = X.T @ (wins - trials * expit(X @ mode)) - precision * (mode - [0.3, -0.2])
    assert gradient == pytest.approx([0, 0], abs=1e-8)


def test_a_study_with_everything_is_put_together(table, fit_normally):
    spec = leave_out_after_purchase(load_spec("conversion_creator"))
    fit = fit_normally(build_design(table, spec, question="as_bought"))
    choices = make_choices([fit], table)
    assert choices.premium is not None
    assert choices.premium.unit == "conversions"
    assert choices.fees_from is None
    assert all(row.value >= 0 for row in choices.information)
    assert {row.id.rsplit("/", 1)[1] for row in choices.new_creators} == {"new_creator"}
    assert choices.equivalence == {}


def test_with_a_quick_engine_creators_are_left_out_and_specifications_compared_by_fits(table, fit_normally):
    from influbayes.pipeline import add_choices
    from influbayes.reporting.results import ConversionAnalysis, QuestionResult

    spec = leave_out_after_purchase(load_spec("conversion_creator"))
    fit = fit_normally(build_design(table, spec, question="as_bought"))
    question = QuestionResult(
        fit=fit, effects=(), claims=(), probabilities={}, checks=(), calibration=None, diagnostics=()
    )
    analysis = ConversionAnalysis(posts=table, questions=(question,), choice="", prob=0.9, seed=1, command="")
    choices = add_choices(analysis, refit=fit_normally).choices
    assert {row.source for row in choices.confidence} == {"refit"}
    assert choices.comparison[0].difference == 0
    assert {row.name for row in choices.comparison} > {"conversion", "conversion_creator"}


def test_dependent_columns_have_no_regression_and_say_so(table):
    frame = table.frame.assign(Twice=2.0 * table.frame["Swipe_Ups"])
    spec = load_spec("conversion")
    twice = replace(spec, numerics=(*spec.numerics, replace(spec.numerics[1], column="Twice")))
    found = fit_frequentist(build_design(replace(table, frame=frame), twice))
    assert (found.rows, found.exists) == ((), False)
    assert found.notes[-1].startswith("Some columns are sums of others, so that only the priors tell them apart")


def test_posts_of_one_creator_have_no_clustered_errors_and_that_is_said(make_posts):
    frame = simulate_posts(posts=120, creators=20, seed=2).frame.assign(Creator_ID="c1")
    table = make_posts(frame[frame["Influencer_Tier"] == "Mega"].reset_index(drop=True))
    design = build_design(table, load_spec("complete_pooling"), question="engagement_constant")
    found = fit_frequentist(design, creators=["c1"] * len(design.rows))
    assert found.clusters == 0
    assert {row.id.rpartition("/")[2] for row in found.rows} == {"wald", "firth"}
    assert found.notes == ("All posts are of one creator, so errors clustered by creator do not exist.",)


def test_a_profile_whose_weights_fall_to_nothing_is_no_interval(design, monkeypatch):
    import firthmodels

    def fail(*args, **options):
        raise np.linalg.LinAlgError("Weighted design matrix is rank deficient")

    monkeypatch.setattr(firthmodels.FirthLogisticRegression, "conf_int", fail)
    found = fit_frequentist(design)
    firth = [row for row in found.rows if row.id.endswith("/firth")]
    assert firth
    assert all(np.isnan(row.estimate) for row in firth)
    assert f"Firth's logit did not converge for {len(firth)} of {len(firth)} comparisons." in found.notes
