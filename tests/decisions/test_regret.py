"""Regret and the value of more posts: closed forms, brute force, never negative."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import betabinom, norm

from influbayes.decisions.regret import (
    estimate_perfect_information,
    estimate_regret,
    simulate_preposterior,
    value_posts,
)
from influbayes.errors import UsageError


def test_expected_regret_of_two_normals_is_the_unit_loss_integral():
    rng = np.random.default_rng(0)
    worths = np.stack([rng.normal(1.0, 2.0, (4, 50_000)), np.zeros((4, 50_000))], axis=-1)
    rows = estimate_regret(worths, ["a", "b"])
    expected = 2.0 * (norm.pdf(0.5) - 0.5 * norm.cdf(-0.5))
    assert rows[0].regret == pytest.approx(expected, abs=5 * rows[0].mcse)
    assert rows[0].probability_best == pytest.approx(norm.cdf(0.5), abs=0.01)
    assert rows[1].regret - rows[0].regret == pytest.approx(worths[..., 0].mean())
    assert estimate_perfect_information(worths) == pytest.approx(rows[0].regret)


def test_value_of_posts_equals_brute_force_with_conjugate_refits():
    rng = np.random.default_rng(1)
    a, b = np.array([4.0, 6.0]), np.array([16.0, 18.0])
    rates = rng.beta(a, b, (4, 5000, 2))
    worths = 100 * rates - [0.0, 4.0]

    def refit(kind: int, conversions: int) -> np.ndarray:
        after_a, after_b = a.copy(), b.copy()
        after_a[kind] += conversions
        after_b[kind] += 12 - conversions
        mean = 100 * after_a / (after_a + after_b) - [0.0, 4.0]
        return np.broadcast_to(mean, (4, 10, 2))

    found = value_posts(worths, rates, ["a", "b"], posts=12)
    now = (100 * a / (a + b) - [0.0, 4.0]).max()
    for kind in (0, 1):
        k = np.arange(13)
        exact = sum(betabinom.pmf(k, 12, a[kind], b[kind]) * [refit(kind, int(i))[0, 0].max() for i in k]) - now
        assert found[kind].method == "reweighted"
        assert found[kind].value == pytest.approx(exact, abs=0.08)
        after, error = simulate_preposterior(refit, rates, posts=12, kind=kind, simulations=400)
        assert found[kind].value == pytest.approx(after - now, abs=4 * error)


def test_value_of_very_many_posts_reaches_perfect_information_on_that_rate():
    rng = np.random.default_rng(2)
    rates = np.stack([rng.beta(4, 16, (4, 150)), np.full((4, 150), 0.2)], axis=-1)
    (first, second) = value_posts(rates, rates, ["a", "b"], posts=5000)
    assert first.method == "regression"
    assert first.value == pytest.approx(estimate_perfect_information(rates), rel=0.03)
    assert second.value == 0


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), posts=st.integers(0, 60))
def test_information_is_never_worth_less_than_nothing_nor_more_than_certainty(seed, posts):
    rng = np.random.default_rng(seed)
    rates = rng.beta(rng.uniform(1, 9, 3), rng.uniform(1, 30, 3), (4, 100, 3))
    worths = rates * rng.uniform(0, 100, 3) - rng.uniform(0, 20, 3)
    for row in value_posts(worths, rates, ["a", "b", "c"], posts=posts):
        assert row.value >= 0
        if row.method == "reweighted":
            assert row.value <= estimate_perfect_information(worths) + 1e-9
    assert all(row.regret >= 0 for row in estimate_regret(worths, ["a", "b", "c"]))


def test_no_posts_are_worth_nothing_and_fewer_are_refused():
    rates = np.random.default_rng(4).beta(2, 9, (4, 100, 2))
    assert [row.value for row in value_posts(rates, rates, ["a", "b"], posts=0)] == pytest.approx([0, 0], abs=1e-12)
    with pytest.raises(UsageError, match="0 or more"):
        value_posts(rates, rates, ["a", "b"], posts=-1)
