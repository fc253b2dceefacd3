"""Predictive checks, calibration and leave-one-out against hand counts and closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit, logsumexp
from scipy.stats import binom

from influbayes.effects import criticism, leave_one_out
from influbayes.effects.calibration_curve import estimate_calibration
from influbayes.effects.criticism import (
    check_predictions,
    number_tenths,
    take_rows,
    thin_fit,
)
from influbayes.effects.leave_one_out import estimate_loo, leave_out
from influbayes.effects.weights import smooth_log_weights
from influbayes.hierarchy.design import Design, ModelRows, Scaler
from influbayes.hierarchy.posterior import EngineRun, Fit
from influbayes.hierarchy.spec import FactorTerm, NormalPrior, NumericTerm, Outcome, ScalePrior, Specification

RUN = EngineRun(name_asked="nuts", name_used="nuts", why="", draws=250, chains=4, seed=1, seconds=0.0)
HALF_NORMAL = ScalePrior(family="half_normal", parameters=(1.0,))


def make_factor(column):
    return FactorTerm(column=column, levels="all", scale_prior=HALF_NORMAL)


def make_fit(conversions, *, intercept, factors=(), codes=None, x=None, slope=None, trials=None):
    """Make a fit by hand: effects of factors are 0, `x` (rows, numerics) is used as it is."""
    rows = len(conversions)
    x = np.zeros((rows, 0)) if x is None else np.asarray(x, dtype=float)
    numerics = tuple(
        NumericTerm(column=f"x{index}", transform="none", prior=NormalPrior(mean=0, sd=1))
        for index in range(x.shape[1])
    )
    terms = tuple(make_factor(name) for name in factors)
    spec = Specification(
        name="hand",
        title="By hand",
        outcome=Outcome(column="Converted"),
        intercept=NormalPrior(mean=0, sd=1.5),
        numerics=numerics,
        factors=terms,
    )
    design = Design(
        specification=spec,
        question="as_bought",
        rows=ModelRows(
            x=x,
            raw=x,
            codes={name: np.asarray(codes[name]) for name in factors},
            conversions=np.asarray(conversions),
            trials=np.ones(rows, dtype=np.int64) if trials is None else np.asarray(trials),
        ),
        scalers=tuple(Scaler(transform="none", centre=0.0, scale=1.0) for _ in numerics),
        levels={name: tuple(f"{name}{level}" for level in range(max(codes[name]) + 1)) for name in factors},
        numerics=numerics,
        factors=terms,
        interactions=(),
        lines=np.arange(rows) + 2,
    )
    intercept = np.broadcast_to(np.asarray(intercept, dtype=float), (4, 250)).copy()
    draws = {"intercept": intercept}
    if numerics:
        draws["slope"] = np.broadcast_to(np.asarray(slope, dtype=float), (4, 250, len(numerics))).copy()
    for name in factors:
        draws[f"effect_{name}"] = np.zeros((4, 250, len(design.levels[name])))
        draws[f"scale_{name}"] = np.ones((4, 250))
    return Fit(design=design, draws=draws, sample_stats={}, run=RUN)


def simulate(rate, rows, seed=0):
    return (np.random.default_rng(seed).random(rows) < rate).astype(np.int64)


def test_cells_hold_what_was_observed_and_expected():
    tier, region = np.repeat([0, 1], 100), np.tile([0, 1], 100)
    y = np.where(tier == 0, np.arange(200) % 5 == 0, np.arange(200) % 4 == 0).astype(np.int64)
    fit = make_fit(y, intercept=logit(0.2), factors=("T", "R"), codes={"T": tier, "R": region})
    checks = check_predictions(fit, seed=3)
    assert [check.subject for check in checks] == ["T0:R0", "T0:R1", "T1:R0", "T1:R1"]
    assert {check.kind for check in checks} == {"cell"}
    assert [check.posts for check in checks] == [50] * 4
    assert [check.observed for check in checks] == [10, 10, 25, 0]
    assert [check.raw_rate for check in checks] == [0.2, 0.2, 0.5, 0.0]
    for check in checks:
        assert check.expected == pytest.approx(10, abs=0.4)
        assert check.lower == pytest.approx(binom(50, 0.2).ppf(0.005), abs=1)
        assert check.upper == pytest.approx(binom(50, 0.2).ppf(0.995), abs=1)
    assert checks[0].tail == pytest.approx(binom(50, 0.2).cdf(9) + binom(50, 0.2).pmf(10) / 2, abs=0.05)
    assert checks[2].tail > 0.99999
    assert checks[3].tail < 1e-4


def test_cells_without_posts_are_left_out_and_one_factor_gives_levels():
    y = simulate(0.3, 90)
    fit = make_fit(
        y, intercept=-0.8, factors=("T", "R"), codes={"T": np.repeat([0, 1, 1], 30), "R": np.repeat([0, 0, 1], 30)}
    )
    assert [check.subject for check in check_predictions(fit, seed=1)] == ["T0:R0", "T1:R0", "T1:R1"]
    one = make_fit(y, intercept=-0.8, factors=("T",), codes={"T": np.repeat([0, 1, 2], 30)})
    assert [check.subject for check in check_predictions(one, seed=1)] == ["T0", "T1", "T2"]


def test_a_model_without_factors_or_numerics_has_no_checks():
    assert check_predictions(make_fit(simulate(0.3, 50), intercept=-0.8), seed=1) == ()


def test_trials_are_counted():
    trials = np.full(40, 25)
    y = np.random.default_rng(2).binomial(25, 0.4, 40)
    fit = make_fit(y, intercept=logit(0.4), factors=("T",), codes={"T": np.repeat([0, 1], 20)}, trials=trials)
    *cells, spread = check_predictions(fit, seed=4)
    assert spread.kind == "row_spread"
    for check, part in zip(cells, (y[:20], y[20:]), strict=True):
        assert check.observed == part.sum()
        assert check.expected == pytest.approx(200, rel=0.02)
        assert check.raw_rate == pytest.approx(part.sum() / 500)
        assert 0.001 < check.tail < 0.999


def test_tenths_keep_ties_together():
    assert np.bincount(number_tenths(np.random.default_rng(1).normal(size=1000))).tolist() == [100] * 10
    assert set(number_tenths(np.repeat([0.0, 1.0], 50))) == {2, 7}
    assert set(number_tenths(np.full(30, 4.0))) == {5}
    values = np.array([1.0] * 15 + list(range(2, 87)))
    assert len(set(number_tenths(values)[:15])) == 1


def test_a_missed_bend_shows_in_the_tenths():
    x = np.random.default_rng(5).uniform(-2, 2, (2000, 1))
    bent = simulate(expit(-1 + x[:, 0] ** 2), 2000)
    straight = simulate(expit(-1 + x[:, 0]), 2000)
    good = check_predictions(make_fit(straight, intercept=-1, x=x, slope=1), seed=6)
    assert [check.subject for check in good] == [f"x0:{tenth}" for tenth in range(1, 11)]
    assert all(1e-4 < check.tail < 1 - 1e-4 for check in good)
    bad = check_predictions(make_fit(bent, intercept=-1, x=x, slope=0), seed=6)
    assert bad[0].tail > 1 - 1e-6


def test_creators_that_differ_show_in_the_spread():
    rng = np.random.default_rng(7)
    creators = np.array([f"c{code:03d}" for code in rng.permutation(np.repeat(np.arange(150), 8))])
    code = np.unique(creators, return_inverse=True)[1]
    alike = make_fit(simulate(0.3, 1200, 8), intercept=logit(0.3))
    differing = simulate(expit(logit(0.3) + rng.normal(0, 1.0, 150)[code]), 1200, 9)
    spread = check_predictions(alike, seed=1, creators=creators)[-1]
    assert (spread.kind, spread.subject, spread.posts, spread.raw_rate) == ("creator_spread", "Creator_ID", 1200, None)
    assert spread.expected == pytest.approx(8 * 0.3 * 0.7, rel=0.05)
    totals = np.bincount(code, alike.design.conversions)
    assert spread.observed == pytest.approx(np.square(totals - 2.4).mean(), rel=0.05)
    assert 0.001 < spread.tail < 0.999
    intercept = logit(differing.mean())
    assert check_predictions(make_fit(differing, intercept=intercept), seed=1, creators=creators)[-1].tail > 1 - 1e-6


def test_creators_in_blocks_give_the_same_spread(monkeypatch):
    creators = np.repeat([f"c{code}" for code in range(50)], 6)
    fit = make_fit(simulate(0.3, 300), intercept=logit(0.3))
    whole = check_predictions(fit, seed=1, creators=creators)[-1]
    monkeypatch.setattr(criticism, "LARGEST", 7_000)
    blocks = check_predictions(fit, seed=1, creators=creators)[-1]
    assert blocks.observed == pytest.approx(whole.observed, rel=0.05)
    assert blocks.expected == pytest.approx(whole.expected, rel=0.02)


def test_rows_of_several_trials_that_differ_too_much_are_overdispersed():
    """Beta-binomial rows against binomial ones; a table of single trials has no such check."""
    rng = np.random.default_rng(5)
    trials = rng.integers(1, 40, 200)
    plain = rng.binomial(trials, 0.3)
    spread = rng.binomial(trials, rng.beta(0.3 * 8, 0.7 * 8, 200))
    good, bad = (
        check_predictions(make_fit(found, intercept=logit(0.3), trials=trials), seed=1)[-1] for found in (plain, spread)
    )
    assert (good.kind, good.subject, good.posts) == ("row_spread", "rows", int((trials > 1).sum()))
    several = trials[trials > 1]
    assert good.expected == pytest.approx((several * 0.3 * 0.7).mean(), rel=0.03)
    assert good.observed == pytest.approx(np.square(plain - 0.3 * trials)[trials > 1].mean(), rel=0.03)
    assert 0.001 < good.tail < 0.999
    assert bad.tail > 1 - 1e-6
    assert "row_spread" not in {check.kind for check in check_predictions(make_fit(plain > 3, intercept=0.0), seed=1)}


def test_same_seed_same_numbers():
    fit = make_fit(simulate(0.3, 90), intercept=-0.8, factors=("T",), codes={"T": np.repeat([0, 1, 2], 30)})
    assert check_predictions(fit, seed=1) == check_predictions(fit, seed=1)
    assert check_predictions(fit, seed=1) != check_predictions(fit, seed=2)


def test_a_calibrated_model_lies_inside_its_band():
    x = np.random.default_rng(3).normal(size=(2500, 1))
    fit = make_fit(simulate(expit(x[:, 0] - 0.5), 2500, 4), intercept=-0.5, x=x, slope=1)
    found = estimate_calibration(fit, seed=1)
    assert len(found.predicted) == 100
    assert (np.diff(found.predicted) > 0).all()
    assert (np.diff(found.observed) >= 0).all()
    assert ((found.lower <= found.observed) & (found.observed <= found.upper)).mean() > 0.95
    overconfident = replace(fit, draws={**fit.draws, "slope": fit.draws["slope"] * 3})
    wrong = estimate_calibration(overconfident, seed=1)
    assert ((wrong.observed < wrong.lower) | (wrong.observed > wrong.upper)).mean() > 0.4


def test_calibration_of_one_predicted_value_is_the_rate():
    found = estimate_calibration(make_fit(np.array([1, 0, 0, 0]), intercept=logit(0.3)), seed=1)
    assert found.predicted == pytest.approx([0.3])
    assert found.observed == pytest.approx([0.25])


def make_beta_fit(ones, zeros):
    """Make an intercept-only fit whose draws are the exact Beta posterior under a uniform prior."""
    p = np.random.default_rng(1).beta(1 + ones, 1 + zeros, (4, 250))
    return make_fit(np.repeat([1, 0], [ones, zeros]), intercept=logit(p))


def test_loo_equals_its_closed_form():
    ones, zeros = 30, 70
    found = estimate_loo(make_beta_fit(ones, zeros))
    each = np.repeat([np.log(ones / 101), np.log(zeros / 101)], [ones, zeros])
    assert found.elpd == pytest.approx(each.sum(), abs=0.1)
    assert found.se == pytest.approx(np.sqrt(100 * each.var(ddof=1)), rel=0.02)
    assert found.p == pytest.approx(1.0, abs=0.25)
    assert (found.above_limit, found.rows_used, found.draws_used, found.note) == (0, 100, 1000, None)
    assert found.pareto_k.shape == (100,)


def test_loo_of_equal_draws_is_the_log_likelihood():
    y, trials = np.array([3, 0, 5]), np.array([5, 2, 5])
    found = estimate_loo(make_fit(y, intercept=logit(0.4), trials=trials))
    assert found.elpd == pytest.approx(binom(trials, 0.4).logpmf(y).sum())
    assert found.p == pytest.approx(0.0, abs=1e-9)
    assert not found.pareto_k.any()


def test_loo_of_a_part_says_so_and_scales_up(monkeypatch):
    monkeypatch.setattr(leave_one_out, "LOO_ROWS", 50)
    monkeypatch.setattr(leave_one_out, "LARGEST", 50 * 500)
    whole = make_beta_fit(300, 300)
    order = np.random.default_rng(2).permutation(600)
    rows = take_rows(whole.design.rows, order)
    found = estimate_loo(replace(whole, design=replace(whole.design, rows=rows)))
    assert found.note == "Leave-one-out uses 50 of 600 rows and 500 of 1,000 draws, evenly spaced."
    assert found.elpd == pytest.approx(600 * np.log(300 / 601), rel=0.01)
    assert (found.rows_used, found.draws_used) == (50, 500)


def test_leaving_out_many_rows_at_once_equals_arviz_row_by_row():
    rng = np.random.default_rng(3)
    log_lik = -np.abs(rng.standard_t(4, (4000, 60))) * rng.uniform(0.01, 3, 60)
    log_lik[:, :3] = [-0.7, -0.2, -3.0]
    eta = rng.normal(size=(4000, 60))
    elpd, k, p, predicted = leave_out(log_lik, eta)
    for row in range(60):
        weights, shape = smooth_log_weights(-log_lik[:, row])
        expected = float(logsumexp(weights + log_lik[:, row]))
        assert elpd[row] == pytest.approx(expected, rel=1e-10)
        assert k[row] == pytest.approx(shape, abs=1e-8)
        assert p[row] == pytest.approx(logsumexp(log_lik[:, row]) - np.log(4000) - expected, abs=1e-10)
        assert predicted[row] == pytest.approx(np.exp(weights) @ expit(eta[:, row]), rel=1e-9)


def test_the_left_out_probability_is_that_of_the_other_posts():
    ones, zeros = 30, 70
    found = estimate_loo(make_beta_fit(ones, zeros)).probabilities
    assert found == pytest.approx(np.repeat([ones / 101, (ones + 1) / 101], [ones, zeros]), abs=0.003)


def test_thinning_spreads_over_the_chain_and_keeps_four_hundred():
    fit = make_fit(simulate(0.3, 20), intercept=np.arange(1000.0).reshape(4, 250))
    assert thin_fit(fit, 5000) is fit
    thinned = thin_fit(fit, 10).draws["intercept"]
    assert thinned.shape == (4, 100)
    assert (thinned[:, 0] == [0, 250, 500, 750]).all()
    assert (thinned[:, -1] == [249, 499, 749, 999]).all()
