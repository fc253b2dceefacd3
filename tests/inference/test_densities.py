"""Densities of log scales: what is drawn is what the density says, and densities integrate to one."""

from __future__ import annotations

import numpy as np
import pytest

from influbayes.inference.densities import Defended, NoScales, StudentMixture, fit_mixture, make_grid


def make_uneven(size: int):
    axes = tuple(np.array([-3.0, -1.5, -1.0, -0.4, 0.0, 0.7, 2.0]) + k for k in range(size))
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    return make_grid(axes, -0.5 * np.square(nodes - 0.3).sum(axis=-1).ravel() + 500.0)


@pytest.mark.parametrize("size", [1, 2])
def test_grid_density_integrates_to_one(size):
    grid = make_uneven(size)
    fine = [np.linspace(axis[0], axis[-1], 801) for axis in grid.axes]
    points = np.stack([part.ravel() for part in np.meshgrid(*fine, indexing="ij")], axis=1)
    values = np.exp(grid.log_density(points)).reshape([801] * size)
    for axis in fine:
        values = np.trapezoid(values, axis, axis=0)
    assert values == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_grid_draws_have_the_grid_density(size):
    grid = make_uneven(size)
    points = grid.draw(np.random.default_rng(1), 200_000)
    # the mean of 1 / density over draws is the volume of the support
    volume = np.prod([axis[-1] - axis[0] for axis in grid.axes])
    assert np.mean(np.exp(-grid.log_density(points))) == pytest.approx(volume, rel=0.03)
    assert np.isneginf(grid.log_density(np.full((1, size), 99.0))).all()


def test_grid_of_one_axis_has_the_right_cumulative_shares():
    grid = make_uneven(1)
    draws = grid.draw(np.random.default_rng(2), 100_000)[:, 0]
    fine = np.linspace(-3, 2, 5001)
    density = np.exp(grid.log_density(fine[:, None]))
    cumulative = np.concatenate(([0.0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(fine))))
    for at in (-1.7, -0.5, 0.2, 1.0):
        assert (draws < at).mean() == pytest.approx(np.interp(at, fine, cumulative), abs=0.006)


def test_mixture_density_is_that_of_scipy_and_of_its_draws():
    from scipy.stats import multivariate_t

    roots = np.array([[[1.0, 0.0], [0.5, 0.8]], [[0.4, 0.0], [-0.1, 0.3]]])
    mixture = StudentMixture(weights=np.array([0.7, 0.3]), centres=np.array([[0.0, 1.0], [3.0, -1.0]]), roots=roots)
    points = mixture.draw(np.random.default_rng(3), 100_000)
    direct = sum(
        weight * multivariate_t(centre, root @ root.T, df=5).pdf(points[:50])
        for weight, centre, root in zip(mixture.weights, mixture.centres, roots, strict=True)
    )
    np.testing.assert_allclose(np.exp(mixture.log_density(points[:50])), direct, rtol=1e-10)
    np.testing.assert_allclose(points.mean(axis=0), [0.9, 0.4], atol=0.03)


def test_fitted_mixture_finds_the_mean_and_covers_the_points():
    rng = np.random.default_rng(4)
    points = rng.normal(size=(4000, 4)) @ np.diag([1.0, 0.2, 3.0, 1.0]) + 2.0
    mixture = fit_mixture(points, parts=8)
    assert mixture.weights.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(mixture.weights @ mixture.centres, points.mean(axis=0), atol=0.05)
    log_ratio = -0.5 * np.square((points - 2.0) / [1.0, 0.2, 3.0, 1.0]).sum(axis=1) - mixture.log_density(points)
    assert np.var(log_ratio) < 0.5


def test_defended_density_is_the_mixture_and_never_zero():
    grid = make_uneven(1)
    defended = Defended(
        main=grid,
        share=0.05,
        draw_other=lambda rng, count: 4.0 * rng.standard_normal((count, 1)),
        log_density_other=lambda points: -(points[:, 0] ** 2) / 32 - np.log(4 * np.sqrt(2 * np.pi)),
    )
    points = np.linspace(-20, 20, 40_001)[:, None]
    density = np.exp(defended.log_density(points))
    assert (density > 0).all()
    assert np.trapezoid(density, points[:, 0]) == pytest.approx(1.0, abs=1e-4)
    draws = defended.draw(np.random.default_rng(1), 100_000)
    assert (np.abs(draws) > 6).mean() == pytest.approx(0.05 * 0.1336, abs=0.002)


def test_no_scales_is_a_point():
    assert NoScales().draw(np.random.default_rng(1), 7).shape == (7, 0)
    assert (NoScales().log_density(np.empty((7, 0))) == 0).all()
