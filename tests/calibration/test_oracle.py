"""The oracle of these tests against quadrature and brute force: a calibration of a wrong oracle would prove nothing."""

from dataclasses import replace

import numpy as np
import pytest
from calibration_oracle import SLOPES, TIERS, sample_exactly
from scipy.integrate import simpson
from scipy.special import expit

from influbayes.calibration.covariates import TableShape, replace_outcomes, simulate_table
from influbayes.calibration.truths import draw_conversions, draw_parameters, find_log_odds
from influbayes.hierarchy.design import build_design


def simulate(spec, *, posts=60, seed=1):
    rng = np.random.default_rng(seed)
    table = simulate_table(spec, TableShape(fewest=posts, most=posts), rng=rng)
    design = build_design(table, spec)
    truth = draw_parameters(design, rng=rng)
    eta = find_log_odds(design, truth, table.frame)
    return build_design(replace_outcomes(table, draw_conversions(eta, table.frame["trials"], rng=rng)), spec)


def gather(design, seeds=30, **settings):
    fits = [sample_exactly(design, draws=500, seed=seed, **settings) for seed in range(seeds)]
    return {name: np.concatenate([fit.draws[name].reshape(2000, -1) for fit in fits]) for name in fits[0].draws}


def test_an_intercept_alone_agrees_with_one_dimensional_quadrature():
    design = simulate(replace(SLOPES, numerics=(), factors=()))
    grid = np.linspace(-6, 4, 4001)
    log_p = design.conversions.sum() * grid - design.trials.sum() * np.logaddexp(0, grid) - 0.5 * (grid + 1) ** 2
    weights = np.exp(log_p - log_p.max()) / simpson(np.exp(log_p - log_p.max()), x=grid)
    mean = simpson(weights * grid, x=grid)
    sd = np.sqrt(simpson(weights * (grid - mean) ** 2, x=grid))
    drawn = gather(design)["intercept"]
    assert drawn.mean() == pytest.approx(mean, abs=0.03 * sd)
    assert drawn.std() == pytest.approx(sd, rel=0.03)


def test_tiers_with_their_scale_agree_with_millions_of_draws_from_the_prior():
    design = simulate(TIERS, posts=30, seed=2)
    tier = design.rows.codes["Influencer_Tier"]
    successes, trials = np.bincount(tier, design.conversions), np.bincount(tier, design.trials)
    rng, size = np.random.default_rng(5), 3_000_000
    intercept, scale, z = rng.normal(-0.5, 1, size), np.abs(rng.standard_normal(size)), rng.standard_normal((size, 3))
    eta = intercept[:, None] + scale[:, None] * (z - z.mean(1, keepdims=True))
    log_w = eta @ successes - np.logaddexp(0, eta) @ trials
    weights = np.exp(log_w - log_w.max())
    weights /= weights.sum()
    assert 1 / (weights**2).sum() > 5000
    mean = (weights * scale).sum()
    sd = np.sqrt((weights * scale**2).sum() - mean**2)
    drawn = gather(design)["scale_Influencer_Tier"]
    assert drawn.mean() == pytest.approx(mean, abs=0.06 * sd)
    assert drawn.std() == pytest.approx(sd, rel=0.06)


def test_a_slope_agrees_with_many_draws_from_the_prior():
    design = simulate(SLOPES, posts=30, seed=3)
    rng, size = np.random.default_rng(4), 400_000
    intercept, slope = rng.normal(-1, 1, size), rng.normal(0.5, 0.7, size)
    z = rng.standard_normal((size, 3))
    effects = SLOPES.factors[0].scale * (z - z.mean(1, keepdims=True))
    tier = design.rows.codes["Influencer_Tier"]
    log_w = np.zeros(size)
    for row in range(len(design.rows)):
        p = expit(intercept + slope * design.rows.x[row, 0] + effects[:, tier[row]])
        log_w += np.log(p if design.conversions[row] else 1 - p)
    weights = np.exp(log_w - log_w.max())
    weights /= weights.sum()
    mean = (weights * slope).sum()
    sd = np.sqrt((weights * slope**2).sum() - mean**2)
    drawn = gather(design)["slope"]
    assert drawn.mean() == pytest.approx(mean, abs=0.06 * sd)
    assert drawn.std() == pytest.approx(sd, rel=0.06)
