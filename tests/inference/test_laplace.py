"""The exact engine: oracles by dense quadrature, contracts, every prior family, separation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_expit
from scipy.stats import norm

from influbayes.hierarchy.coding import coords_of, dims_of
from influbayes.hierarchy.priors import log_density_scale
from influbayes.hierarchy.spec import ScalePrior
from influbayes.inference.convergence import find_worst_convergence
from influbayes.inference.densities import NoScales
from influbayes.inference.expansion import Expansions, expand_at
from influbayes.inference.laplace import (
    Model,
    evaluate_target,
    is_certified,
    read_model,
    run_attempt,
    sample_laplace,
)
from influbayes.inference.likelihood import Slope
from influbayes.inference.proposal import Proposal, Proposed
from influbayes.inference.scales import Prior


def log_likelihood(design, eta):
    y, m = design.conversions, design.trials
    return (y * log_expit(eta) + (m - y) * log_expit(-eta)).sum(axis=-1)


def assert_moments(draws, mean, sd, ess=2000.0):
    assert abs(draws.mean() - mean) < 4.5 * sd / np.sqrt(ess)
    assert draws.std() / sd == pytest.approx(1.0, abs=4.5 / np.sqrt(2 * ess))


def test_one_parameter_against_quadrature(intercept_only):
    fit = sample_laplace(intercept_only, draws=5000)
    grid = np.linspace(-5, 4, 4001)
    density = np.exp(log_likelihood(intercept_only, np.repeat(grid[:, None], 20, axis=1)) + norm(-1, 0.7).logpdf(grid))
    density /= np.trapezoid(density, grid)
    mean = np.trapezoid(grid * density, grid)
    sd = np.sqrt(np.trapezoid((grid - mean) ** 2 * density, grid))
    assert is_certified(fit.run.certificate)
    assert_moments(fit.draws["intercept"], mean, sd, ess=15_000)


def test_two_parameters_against_quadrature(with_slope):
    fit = sample_laplace(with_slope, draws=5000)
    a, b = np.meshgrid(np.linspace(-4, 5, 301), np.linspace(-4, 5, 301), indexing="ij")
    eta = a.reshape(-1, 1) + b.reshape(-1, 1) * with_slope.rows.x[:, 0]
    logs = log_likelihood(with_slope, eta) + norm(0.5, 1).logpdf(a.ravel()) + norm(-1, 0.8).logpdf(b.ravel())
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    for name, values in (("intercept", a.ravel()), ("slope", b.ravel())):
        mean = weights @ values
        assert_moments(fit.draws[name], mean, np.sqrt(weights @ (values - mean) ** 2), ess=15_000)


FAMILIES = {
    "half_normal = 0.8": ScalePrior(family="half_normal", parameters=(0.8,)),
    "exponential = 1.5": ScalePrior(family="exponential", parameters=(1.5,)),
    "half_cauchy = 0.5": ScalePrior(family="half_cauchy", parameters=(0.5,)),
    "half_student_t = [4, 0.7]": ScalePrior(family="half_student_t", parameters=(4.0, 0.7)),
}


@pytest.mark.parametrize("levels", [5, 14])
@pytest.mark.parametrize("family", FAMILIES)
def test_scale_of_a_factor_against_quadrature(make_design, family, levels):
    """Fixed coefficients but the intercept: the posterior of (intercept, scale) by quadrature over each level."""
    import pandas as pd

    rng = np.random.default_rng(levels)
    trials = rng.integers(5, 30, levels)
    y = rng.binomial(trials, 1 / (1 + np.exp(-(-0.5 + rng.normal(size=levels)))))
    frame = pd.DataFrame({"conversions": y, "trials": trials, "g": [f"L{k:02d}" for k in range(levels)]})
    text = (
        'title = "t"\n[outcome]\nsuccesses = "s"\ntrials = "n"\n[intercept]\nprior = { normal = [-0.3, 0.8] }\n'
        f'[[factor]]\ncolumn = "g"\nlevels = "sample"\nscale_prior = {{ {family} }}\n'
    )
    design = make_design(text, frame)
    fit = sample_laplace(design, draws=3000)
    a, log_s = np.linspace(-3.5, 3, 121), np.linspace(-7, 3.2, 161)
    x, w = np.polynomial.hermite_e.hermegauss(61)
    eta = a[:, None, None, None] + np.exp(log_s)[:, None, None] * x[None, None, None, :]
    y, n = design.conversions[:, None], design.trials[:, None]
    logs = np.zeros((121, 161))
    for k in range(levels):
        values = y[k] * log_expit(eta[:, :, 0]) + (n - y)[k] * log_expit(-eta[:, :, 0])
        top = values.max(axis=-1)
        logs += top + np.log(np.exp(values - top[..., None]) @ w)
    logs += norm(-0.3, 0.8).logpdf(a)[:, None] + log_density_scale(FAMILIES[family], np.exp(log_s)) + log_s
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    scale = np.broadcast_to(np.exp(log_s), weights.shape)
    mean = (weights * scale).sum()
    sd = np.sqrt((weights * (scale - mean) ** 2).sum())
    assert is_certified(fit.run.certificate), fit.run.certificate
    assert abs(fit.draws["scale_g"].mean() - mean) < 0.08 * sd
    assert np.log(fit.draws["scale_g"]).mean() == pytest.approx((weights * log_s).sum(), abs=0.08)
    assert fit.draws["intercept"].mean() == pytest.approx((weights.sum(axis=1) @ a), abs=0.03)


def test_target_is_likelihood_times_priors(campaign):
    design = campaign(40, 3, interaction=True, prior="exponential = 2")
    model = read_model(design)
    rng = np.random.default_rng(1)
    theta, phi = rng.normal(size=(5, model.prior.size)), rng.normal(size=(5, 3))
    drawn = Proposed(theta=theta, phi=phi, log_density=np.zeros(5), residual=theta)
    direct = []
    for one, logs in zip(theta, phi, strict=True):
        total = (
            log_likelihood(design, model.coding.X @ one)
            + norm(0, 1.5).logpdf(one[0])
            + norm(0, 1).logpdf(one[1:3]).sum()
        )
        for block, at in zip(model.coding.scales, range(3), strict=True):
            total += norm(0, np.exp(logs[at])).logpdf(one[block.start : block.stop]).sum()
            total += float(log_density_scale(block.scale_prior, np.exp(logs[at]))) + logs[at]
        direct.append(total)
    np.testing.assert_allclose(evaluate_target(model, drawn), direct, rtol=1e-12)


class Quadratic:
    """A likelihood that is Gaussian, to see that the engine then accepts nearly everything."""

    def __init__(self, curvature, centre):
        self.curvature, self.centre, self.X = curvature, centre, np.zeros((1, len(centre)))

    def evaluate(self, theta, phi):
        return -0.5 * np.einsum("sp,pq,sq->s", theta - self.centre, self.curvature, theta - self.centre)

    def expand(self, theta, phi):
        gradient = -(theta - self.centre) @ self.curvature
        return Slope(
            value=self.evaluate(theta, phi),
            gradient=gradient,
            curvature=np.broadcast_to(self.curvature, (len(theta), *self.curvature.shape)),
        )


@pytest.mark.parametrize("size", [1, 10, 50])
def test_gaussian_target_accepts_nearly_all(size):
    rng = np.random.default_rng(size)
    root = rng.normal(size=(size, size))
    prior = Prior(
        mean=np.ones(size),
        fixed=np.full(size, 0.5),
        owner=np.full(size, -1),
        names=(),
        scales=(),
    )
    likelihood = Quadratic(root @ root.T, rng.normal(size=size))

    expansions = expand_at(likelihood, prior, np.empty((1, 0)), start=prior.mean)
    proposal = Proposal(prior=prior, expansions=expansions, scales=NoScales(), heavy=0.05)
    model = Model(design=None, coding=None, prior=prior, likelihood=likelihood)
    attempt = run_attempt(model, proposal, rng, chains=4, draws=1000)
    assert attempt.chains.acceptance > 0.96
    assert is_certified(attempt.certificate), attempt.certificate


def test_separated_posts_are_finite_and_certified(campaign):
    fit = sample_laplace(campaign(60, 1, separated=True))
    assert is_certified(fit.run.certificate), fit.run.certificate
    worst = find_worst_convergence(fit.draws)
    assert worst.ess_bulk > 400
    assert worst.rhat < 1.02


CASES = {
    "plain": {},
    "interaction": {"interaction": True},
    "creators": {"creators": 30},
    "few creators": {"creators": 6},
    "fixed scales": {"prior": "1.5"},
    "fixed creators": {"creators": 25, "creator_prior": "0.8"},
    "all fixed": {"prior": "1.5", "creators": 25, "creator_prior": "0.8"},
    "five scales": {"interaction": True, "creators": 25, "region_levels": "all"},
    "binomial": {"trials": 8},
    "rare": {"rate": -3.0},
}


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_model_gives_a_certified_fit_of_the_same_shape(campaign, case):
    design = campaign(200, 11, **CASES[case])
    fit = sample_laplace(design)
    assert is_certified(fit.run.certificate), fit.run.certificate
    coords, dims = coords_of(design), dims_of(design)
    assert set(fit.draws) == set(dims)
    for name, values in fit.draws.items():
        assert values.shape == (4, 1000, *(len(coords[dim]) for dim in dims[name]))
        assert np.isfinite(values).all()
        assert not name.startswith("scale_") or (values > 0).all()
    assert {name: values.shape for name, values in fit.sample_stats.items()} == dict.fromkeys(
        ("accepted", "log_weight", "lp"), (4, 1000)
    )
    for term in design.factors:
        if term.levels == "all":
            np.testing.assert_allclose(fit.draws[f"effect_{term.column}"].sum(axis=-1), 0.0, atol=1e-9)
    worst = find_worst_convergence(fit.draws)
    assert worst.ess_bulk > 400
    assert worst.rhat < 1.02


def test_creators_as_columns_and_integrated_out_agree(campaign, monkeypatch):
    """Ten levels are columns, eleven are integrated out: forced both ways the posterior is the same."""
    from influbayes.inference import laplace

    design = campaign(150, 4, creators=9)
    columns = sample_laplace(design, draws=4000)
    monkeypatch.setattr(laplace, "FEWEST_LEVELS", 2)
    integrated = sample_laplace(design, draws=4000)
    assert "quadrature" in integrated.run.certificate
    assert "quadrature" not in columns.run.certificate
    for name, values in columns.draws.items():
        sd = values.std(axis=(0, 1))
        shift = np.abs(values.mean(axis=(0, 1)) - integrated.draws[name].mean(axis=(0, 1))) / sd
        assert (shift < 0.1).all(), name
        assert (np.abs(integrated.draws[name].std(axis=(0, 1)) / sd - 1) < 0.1).all(), name


def test_same_seed_same_draws_and_other_seed_other_draws(campaign):
    design = campaign(80, 2, creators=15)
    one, two, other = (sample_laplace(design, draws=200, seed=seed) for seed in (5, 5, 6))
    assert all((one.draws[name] == two.draws[name]).all() for name in one.draws)
    assert any((one.draws[name] != other.draws[name]).any() for name in one.draws)


def test_number_of_threads_changes_no_draw(campaign, monkeypatch):
    design = campaign(700, 2, creators=90)
    found = []
    for threads in ("1", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        found.append(sample_laplace(design, draws=200).draws)
    assert all((found[0][name] == found[1][name]).all() for name in found[0])


def test_progress_is_told(intercept_only):
    told = []
    sample_laplace(intercept_only, draws=100, progress=lambda text, share: told.append((text, share)))
    assert told
    assert all(0 <= share <= 1 for _, share in told)


def test_expansions_interpolate_between_their_points():
    made = Expansions(
        phi=np.array([[0.0], [1.0]]),
        mode=np.zeros((2, 1)),
        curvature=np.array([[[1.0]], [[3.0]]]),
        linear=np.array([[0.0], [2.0]]),
        constant=np.array([5.0, 7.0]),
        decrement=np.zeros(2),
        axis=0,
    )
    curvature, linear, constant = made.blend(np.array([[0.25], [9.0]]))
    np.testing.assert_allclose(curvature[:, 0, 0], [1.5, 3.0])
    np.testing.assert_allclose(linear[:, 0], [0.5, 2.0])
    np.testing.assert_allclose(constant, [5.5, 7.0])


def test_engine_starts_without_the_slow_libraries():
    import subprocess
    import sys

    code = (
        "import influbayes.inference.laplace, sys; "
        "print([name for name in ('pymc', 'pytensor', 'nutpie', 'arviz', 'arviz_stats', 'numba', 'scipy.optimize') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
