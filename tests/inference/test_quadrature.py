"""One factor integrated out: against adaptive quadrature of another library, and exact draws of its effects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import log_expit

from influbayes.inference.expansion import expand_at
from influbayes.inference.laplace import read_model
from influbayes.inference.levels import cut_blocks
from influbayes.inference.quadrature import PopulationLikelihood


def make_rows(sizes, *, trials=1, seed=1, size=2):
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(len(sizes)), sizes)
    X = np.column_stack((np.ones(len(codes)), rng.normal(size=(len(codes), size - 1))))
    m = rng.integers(1, trials + 1, len(codes)).astype(float)
    y = rng.binomial(m.astype(int), 0.3).astype(float)
    shuffled = rng.permutation(len(codes))
    return X[shuffled], y[shuffled], m[shuffled], codes[shuffled]


def make_population(rows, *, nodes=21, axis=0):
    X, y, m, codes = rows
    return PopulationLikelihood(
        X=X,
        cross=X.T @ y,
        blocks=cut_blocks(X, y, m, codes),
        levels=int(codes.max()) + 1,
        axis=axis,
        fixed_scale=None,
        nodes=nodes,
    )


def log_joint(rows, theta, scale, level, z):
    X, y, m, codes = rows
    own = codes == level
    eta = X[own] @ theta + scale * z
    return float((y[own] * log_expit(eta) + (m - y)[own] * log_expit(-eta)).sum() - 0.5 * z**2)


def integrate_directly(rows, theta, scale):
    total = 0.0
    for level in range(int(rows[3].max()) + 1):
        grid = np.linspace(-8, 8, 201)
        top = max(log_joint(rows, theta, scale, level, z) for z in grid)
        peak = grid[np.argmax([log_joint(rows, theta, scale, level, z) for z in grid])]
        area = quad(lambda z, lv=level, t=top: np.exp(log_joint(rows, theta, scale, lv, z) - t), -12, 12,
                    points=[peak - 0.5, peak, peak + 0.5], epsabs=1e-12, limit=300)[0]  # fmt: skip
        total += top + np.log(area) - 0.5 * np.log(2 * np.pi)
    return total


@pytest.mark.parametrize("trials", [1, 6])
@pytest.mark.parametrize("scale", [0.05, 0.8, 2.5])
def test_integrated_likelihood_is_the_product_of_integrals(trials, scale):
    rows = make_rows([3, 1, 20, 40, 7], trials=trials)
    theta = np.array([[0.3, -0.5], [-2.0, 1.0]])
    found = make_population(rows).evaluate(theta, np.full((2, 1), np.log(scale)))
    direct = [integrate_directly(rows, one, scale) for one in theta]
    np.testing.assert_allclose(found, direct, atol=2e-5)


def test_levels_keep_their_rows_and_outcomes():
    rows = make_rows([3, 1, 20, 40, 7, 1, 16, 17, 33] * 60, trials=3)
    X, y, m, codes = rows
    blocks = cut_blocks(X, y, m, codes)
    assert len(blocks) > 1
    for block in blocks:
        for level, code in enumerate(block.members):
            own, here = codes == code, slice(block.first[level], block.first[level + 1])
            assert (block.X[here] == X[own]).all()
            assert (block.trials[here] == m[own]).all()
            assert block.conversions[level] == y[own].sum()


@pytest.mark.parametrize("sizes", [[5, 16, 9], [17, 40, 200]])
@pytest.mark.parametrize(("far", "trials"), [(0.0, 1), (25.0, 1), (0.0, 4), (290.0, 1), (310.0, 3)])
def test_every_way_of_summing_gives_the_same(sizes, far, trials):
    """Products, products of 16, and logarithms row by row: which is used depends on rows, trials and reach."""
    rows = make_rows(sizes, trials=trials)
    X, y, m, codes = rows
    theta, scale = np.array([far, 0.4]), 0.3
    found = make_population(rows, nodes=41).evaluate(theta[None], np.full((1, 1), np.log(scale)))
    eta, z = X @ theta, np.linspace(-100, 30, 26_001)
    expected = 0.0
    for level in range(len(sizes)):
        own = codes == level
        x = eta[own][:, None] + scale * z
        value = (y[own][:, None] * x - m[own][:, None] * np.logaddexp(0.0, x)).sum(axis=0) - 0.5 * z**2
        expected += np.logaddexp.reduce(value) + np.log(z[1] - z[0]) - 0.5 * np.log(2 * np.pi)
    assert found[0] == pytest.approx(expected, abs=1e-5 * max(1.0, abs(expected) / 1e3))


def test_the_compiled_exponential_is_exact():
    import numba

    from influbayes.inference.kernels import _exp

    @numba.njit
    def apply(x, out):
        for i in range(len(x)):
            out[i] = _exp(x[i])

    x = np.concatenate((np.linspace(-699, 699, 10_001), np.linspace(-1, 1, 1001)))
    found = np.empty_like(x)
    apply(x, found)
    np.testing.assert_allclose(found, np.exp(x), rtol=5e-16)


def test_far_out_the_integral_stays_finite_and_right():
    rows = make_rows([3, 5, 20])
    theta, phi = np.array([[0.3, 400.0], [7.0, 0.0]]), np.array([[0.0], [0.0]])
    found = make_population(rows).evaluate(theta, phi)
    assert np.isfinite(found).all()
    assert found[1] == pytest.approx(integrate_directly(rows, theta[1], 1.0), rel=1e-5)


def test_gradient_and_curvature_are_the_derivatives():
    built = make_population(make_rows([3, 1, 20, 40, 7], trials=4), nodes=41)
    theta, phi, step = np.array([[0.3, -0.5]]), np.array([[0.2]]), 1e-4
    slope = built.expand(theta, phi)
    assert slope.value[0] == pytest.approx(built.evaluate(theta, phi)[0], abs=1e-9)
    for k in range(2):
        shift = step * np.eye(2)[k]
        up, down = built.expand(theta + shift, phi), built.expand(theta - shift, phi)
        np.testing.assert_allclose(slope.gradient[:, k], (up.value - down.value) / (2 * step), rtol=1e-5)
        np.testing.assert_allclose(slope.curvature[:, k], -(up.gradient - down.gradient) / (2 * step), rtol=1e-4)


def test_known_modes_change_the_integral_by_nothing_that_matters(campaign):
    model = read_model(campaign(300, 5, creators=40), nodes=21)
    phi = model.prior.find_medians()[None]
    expansions = expand_at(model.likelihood, model.prior, phi, start=model.prior.mean, axis=model.prior.population)
    guided = model.likelihood.guided_by(expansions)
    theta = expansions.mode + 0.3 * np.random.default_rng(1).normal(size=(30, model.prior.size))
    scales = np.tile(phi, (30, 1)) + 0.1 * np.random.default_rng(2).normal(size=(30, 3))
    np.testing.assert_allclose(guided.evaluate(theta, scales), model.likelihood.evaluate(theta, scales), atol=1e-5)


def test_too_few_nodes_are_seen():
    rows = make_rows([1, 2, 3, 4] * 10)
    theta, phi = np.random.default_rng(1).normal(size=(16, 2)), np.full((16, 1), np.log(5.0))
    assert make_population(rows, nodes=3).compare_nodes(theta, phi) > 0.05
    assert make_population(rows, nodes=41).compare_nodes(theta, phi) < 0.01


def test_modes_of_levels_are_found_from_far_away():
    """Plain Newton steps go in circles here."""
    rows = make_rows([1, 2, 3, 40] * 5, trials=60)
    theta, phi = np.random.default_rng(1).normal(size=(16, 2)), np.full((16, 1), np.log(4.0))
    assert make_population(rows, nodes=41).compare_nodes(theta, phi) < 0.01


@pytest.mark.parametrize(("successes", "rows"), [(0, 3), (3, 3), (1, 50)])
@pytest.mark.parametrize("scale", [0.1, 1.0, 6.0])
def test_drawn_effects_have_the_exact_distribution(successes, rows, scale):
    y = np.zeros(rows)
    y[:successes] = 1.0
    case = (np.ones((rows, 1)), y, np.ones(rows), np.zeros(rows, dtype=np.int64))
    population = make_population(case)
    theta, phi = np.full((20_000, 1), -0.4), np.full((20_000, 1), np.log(scale))
    drawn = population.draw_effects(theta, phi, np.random.default_rng(7))[:, 0] / scale
    fine = np.linspace(-9, 9, 6001)
    density = np.exp([log_joint(case, np.array([-0.4]), scale, 0, z) for z in fine])
    cumulative = np.concatenate(([0.0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(fine))))
    expected = np.interp(np.sort(drawn), fine, cumulative / cumulative[-1])
    distance = np.abs(expected - (np.arange(20_000) + 0.5) / 20_000).max()
    assert distance < 1.63 / np.sqrt(20_000)  # Kolmogorov, 1 %


@pytest.mark.parametrize("width", [0.2, 0.9])
def test_draws_are_exact_also_where_the_modes_are_badly_known(width):
    case = (np.ones((4, 1)), np.array([1.0, 0.0, 0.0, 0.0]), np.ones(4), np.zeros(4, dtype=np.int64))
    (block,) = cut_blocks(*case)
    count = 20_000
    drawn = block.draw_effects(
        np.zeros((4, count)), np.full(count, 2.0), np.full((1, count), 5.0), np.full((1, count), width),
        np.random.default_rng(3),
    )[0]  # fmt: skip
    fine = np.linspace(-9, 9, 6001)
    density = np.exp([log_joint(case, np.zeros(1), 2.0, 0, z) for z in fine])
    mean = np.trapezoid(fine * density, fine) / np.trapezoid(density, fine)
    assert drawn.mean() == pytest.approx(mean, abs=0.02)


def test_draws_do_not_depend_on_the_threads(monkeypatch):
    population = make_population(make_rows([3, 5, 20, 9] * 200))
    theta, phi = np.random.default_rng(1).normal(size=(60, 2)), np.zeros((60, 1))
    found = []
    for threads in ("1", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        drawn = population.draw_effects(theta, phi, np.random.default_rng(3))
        found.append((drawn, population.evaluate(theta, phi)))
    assert (found[0][0] == found[1][0]).all()
    assert (found[0][1] == found[1][1]).all()


def test_fixed_scale_needs_no_log_scale():
    built = make_population(make_rows([3, 5, 20]))
    fixed = replace(built, axis=None, fixed_scale=0.7)
    theta = np.array([[0.1, 0.2]])
    np.testing.assert_allclose(
        fixed.evaluate(theta, np.empty((1, 0))), built.evaluate(theta, np.log([[0.7]])), rtol=1e-12
    )
