"""The oracle of these tests against quadrature: a calibration of a wrong oracle would prove nothing."""

from dataclasses import replace

import numpy as np
import pytest
from calibration_oracle import SLOPES, TIERS, sample_exactly
from scipy.integrate import simpson
from scipy.special import expit

from influbayes.calibration.covariates import TableShape, replace_outcomes, simulate_table
from influbayes.calibration.truths import draw_conversions, draw_parameters, find_log_odds
from influbayes.hierarchy.design import build_design, zero_sum_basis


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


def test_tiers_with_their_scale_agree_with_four_dimensional_quadrature():
    design = simulate(TIERS, posts=30, seed=2)
    tier = design.rows.codes["Influencer_Tier"]
    successes = np.bincount(tier, design.conversions)
    trials = np.bincount(tier, design.trials)
    scale = np.linspace(0.01, 4.5, 150)
    u = np.linspace(-5, 5, 31)
    a, b, c = np.meshgrid(np.linspace(-4, 3, 41), u, u, indexing="ij")
    effects = np.stack([b, c], axis=-1) @ zero_sum_basis(3).T
    prior = -0.5 * ((a + 0.5) ** 2 + b**2 + c**2)

    def integrate(s):
        eta = a[..., None] + s * effects
        return np.exp((successes * eta - trials * np.logaddexp(0, eta)).sum(-1) + prior - shift).sum()

    shift = -trials.sum() * np.log(2)
    given = np.array([integrate(s) * np.exp(-(s**2) / 2) for s in scale])
    given /= given.sum()
    mean, sd = (given * scale).sum(), np.sqrt((given * scale**2).sum() - (given * scale).sum() ** 2)
    drawn = gather(design)["scale_Influencer_Tier"]
    assert drawn.mean() == pytest.approx(mean, abs=0.06 * sd)
    assert drawn.std() == pytest.approx(sd, rel=0.06)


def test_a_slope_agrees_with_a_second_importance_sampler_from_the_prior():
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
