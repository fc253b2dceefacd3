"""Pareto-smoothed importance weights: normalised, and never quietly wrong."""

from __future__ import annotations

import numpy as np
import pytest

from influbayes.effects.weights import smooth_log_weights


def test_smoothed_weights_sum_to_one_and_bad_ratios_are_not_hidden():
    rng = np.random.default_rng(1)
    weights, k = smooth_log_weights(rng.normal(size=1000))
    assert np.exp(weights).sum() == pytest.approx(1.0)
    assert k < 0.7
    assert smooth_log_weights(3.0 * rng.standard_cauchy(1000))[1] > 0.7
    flat, none = smooth_log_weights(np.full(1000, 3.0))
    np.testing.assert_allclose(np.exp(flat), 1 / 1000)
    assert none == 0.0
    assert smooth_log_weights(3.0 * rng.standard_cauchy(1000))[1] == np.inf
    broken, worst = smooth_log_weights(np.array([0.0] * 99 + [np.nan]))
    assert np.isnan(broken).all()
    assert worst == np.inf
