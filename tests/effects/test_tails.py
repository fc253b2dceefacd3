"""Position of a number among replicates: the mid-p share, and beyond them the binomial."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, chi2

from influbayes.effects.tails import locate_count, locate_variance


def test_position_of_a_count_is_the_mid_p_share():
    assert locate_count(np.arange(100.0), 50.0, 100.0) == pytest.approx(0.505)
    assert locate_count(np.repeat([3.0, 4.0], 50), 4.0, 10.0) == pytest.approx(0.75)
    assert np.isnan(locate_count(np.arange(100.0), np.nan, 100.0))


@pytest.mark.parametrize(("rate", "count"), [(0.3, 30), (0.3, 3), (0.05, 13), (0.9, 33)])
def test_beyond_the_replicates_the_position_is_that_of_the_binomial(rate, count):
    replicated = np.random.default_rng(1).binomial(50, rate, 4000).astype(float)
    exact = binom(50, rate).cdf(count - 1) + binom(50, rate).pmf(count) / 2
    found = locate_count(replicated, float(count), 50.0)
    nearer, expected = min(found, 1 - found), min(exact, 1 - exact)
    assert nearer == pytest.approx(expected, rel=0.3)
    assert (found < 0.5) == (exact < 0.5)


def test_replicates_that_never_differ_and_equal_the_count_put_it_in_the_middle():
    assert locate_count(np.zeros(100), 0.0, 10.0) == 0.5
    assert locate_count(np.full(100, 10.0), 10.0, 10.0) == 0.5


def test_a_count_never_replicated_is_as_odd_as_the_replicates_can_tell():
    """No conversion in 100 replicates of 10 trials still allows a rate of 1 in 2,000."""
    assert locate_count(np.zeros(100), 1.0, 10.0) == pytest.approx(1 - 0.0025, abs=1e-3)
    assert locate_count(np.zeros(4000), 3.0, 50.0) > 1 - 1e-6


@pytest.mark.parametrize("count", [0.0, 50.0])
def test_the_ends_of_the_range_are_finite(count):
    replicated = np.random.default_rng(1).binomial(50, 0.5, 4000).astype(float)
    found = locate_count(replicated, count, 50.0)
    assert min(found, 1 - found) < 1e-9


def test_replicates_that_spread_more_than_a_binomial_widen_the_tail():
    rng = np.random.default_rng(1)
    narrow = rng.binomial(100, 0.3, 4000).astype(float)
    wide = rng.binomial(100, rng.beta(30, 70, 4000)).astype(float)
    assert locate_count(narrow, 52.0, 100.0) > locate_count(wide, 52.0, 100.0) > 0.99


def test_a_variance_beyond_the_replicates_follows_chi_square():
    replicated = np.random.default_rng(1).chisquare(100, 4000)
    assert locate_variance(replicated, 100.0) == pytest.approx(chi2(100).cdf(100), abs=0.03)
    assert 1 - locate_variance(replicated, 160.0) == pytest.approx(chi2(100).sf(160), rel=0.5)
    assert np.isnan(locate_variance(np.ones(100), 2.0))
    assert np.isnan(locate_variance(replicated, np.nan))
