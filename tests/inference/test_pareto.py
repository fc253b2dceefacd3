"""Pareto k against ArviZ."""

from __future__ import annotations

import numpy as np
import pytest

from influbayes.inference.pareto import estimate_pareto_k


@pytest.mark.parametrize("tail", [0.05, 0.3, 0.7, 1.0, 1.5])
@pytest.mark.parametrize("count", [100, 1000, 4000])
def test_k_is_arviz_k(tail, count):
    from arviz_stats.base import array_stats

    rng = np.random.default_rng(int(100 * tail) + count)
    log_weights = tail * rng.exponential(size=count)
    assert estimate_pareto_k(log_weights) == pytest.approx(float(array_stats.psislw(-log_weights)[1]), abs=1e-10)


def test_k_recovers_the_tail_it_was_drawn_from():
    rng = np.random.default_rng(1)
    assert estimate_pareto_k(0.9 * rng.exponential(size=200_000)) == pytest.approx(0.9, abs=0.08)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_have_infinite_k(bad):
    assert estimate_pareto_k(np.append(np.random.default_rng(1).normal(size=500), bad)) == np.inf
    assert estimate_pareto_k(np.full(100, -np.inf)) == np.inf


def test_equal_weights_have_infinite_k_and_do_not_raise():
    assert estimate_pareto_k(np.zeros(1000)) == np.inf


def test_zero_weights_do_no_harm():
    values = np.random.default_rng(1).normal(size=2000)
    values[:500] = -np.inf
    assert np.isfinite(estimate_pareto_k(values))
