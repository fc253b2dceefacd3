"""Bands and p-values against simulation and against counting by hand."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from influbayes.calibration.bands import (
    find_binomial_band,
    find_binomial_p_value,
    find_ecdf_band,
    find_ecdf_p_value,
)


def simulate_counts(replications, bins, tables, seed=1):
    return np.random.default_rng(seed).multinomial(replications, np.full(bins, 1 / bins), size=tables)


@pytest.mark.parametrize("replications", [10, 100, 1000, 10_000])
@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_uniform_ranks_leave_the_band_as_often_as_stated(replications, alpha):
    band = find_ecdf_band(replications, 100, alpha=alpha)
    reached = np.cumsum(simulate_counts(replications, 100, 20_000), axis=1)[:, :-1]
    left = ((reached < band.lower) | (reached > band.upper)).any(axis=1).mean()
    assert left <= alpha + 4 * np.sqrt(alpha * (1 - alpha) / 20_000)
    assert left >= 0.85 * alpha  # counts are whole numbers, so the band is a little wide, never much


@pytest.mark.parametrize(("replications", "bins"), [(5, 4), (7, 3), (4, 5)])
def test_p_values_equal_those_of_counting_every_possible_table(replications, bins):
    places = np.arange(1, bins) / bins

    def stray(counts):
        reached = np.cumsum(counts)[:-1]
        below = stats.binom.cdf(reached, replications, places)
        above = stats.binom.sf(reached - 1, replications, places)
        return (2 * np.minimum(below, above)).min()

    tables = [c for c in product(range(replications + 1), repeat=bins) if sum(c) == replications]
    chances = stats.multinomial.pmf(tables, replications, np.full(bins, 1 / bins))
    strays = np.array([stray(np.array(one)) for one in tables])
    for one, strayed in zip(tables, strays, strict=True):
        expected = chances[strays <= strayed * (1 + 1e-7)].sum()
        assert find_ecdf_p_value(np.array(one)) == pytest.approx(expected, abs=1e-9)


def test_a_p_value_is_at_most_alpha_exactly_where_the_band_is_left():
    band = find_ecdf_band(300, 100, alpha=0.1)
    counts = simulate_counts(300, 100, 1500, seed=2)
    reached = np.cumsum(counts, axis=1)[:, :-1]
    left = ((reached < band.lower) | (reached > band.upper)).any(axis=1)
    p_values = np.array([find_ecdf_p_value(one) for one in counts])
    assert np.array_equal(p_values <= 0.1, left)
    assert 0.06 < left.mean() < 0.14


def test_p_values_of_uniform_ranks_are_uniform():
    p_values = [find_ecdf_p_value(one) for one in simulate_counts(500, 100, 1500, seed=3)]
    assert stats.kstest(p_values, "uniform").pvalue > 0.001


def test_the_band_is_symmetric_and_wider_than_a_pointwise_one():
    band = find_ecdf_band(100, 100, alpha=0.05)
    np.testing.assert_array_equal(band.lower + band.upper[::-1], 100)
    low, high = stats.binom.interval(0.95, 100, np.arange(1, 100) / 100)
    assert (band.lower[20:80] < low[20:80]).all()
    assert (band.upper[20:80] > high[20:80]).all()


@pytest.mark.parametrize("shape", ["narrow", "wide", "shifted"])
def test_ranks_that_are_not_uniform_are_found(shape):
    u = np.random.default_rng(4).random(1000)
    z = stats.norm.ppf(u)
    moved = {"narrow": 1.25 * z, "wide": 0.8 * z, "shifted": z + 0.2}[shape]
    counts = np.bincount((100 * stats.norm.cdf(moved)).astype(int).clip(0, 99), minlength=100)
    assert find_ecdf_p_value(counts) < 1e-4


def test_no_ranks_are_no_evidence():
    assert find_ecdf_p_value(np.zeros(100, dtype=int)) == 1.0
    assert find_binomial_p_value(0, 0, 0.9) == 1.0


def test_binomial_p_values_and_bands_agree_with_scipy():
    for count in (0, 80, 90, 100):
        below, above = stats.binom.cdf(count, 100, 0.9), stats.binom.sf(count - 1, 100, 0.9)
        assert find_binomial_p_value(count, 100, 0.9) == pytest.approx(min(1, 2 * min(below, above)))
    low, high = find_binomial_band(100, 0.9, alpha=0.01)
    inside = [count for count in range(101) if find_binomial_p_value(count, 100, 0.9) > 0.01]
    assert (low, high) == (inside[0], inside[-1])
