"""The decision: which tests fail, at which family-wise level, and how rarely a right engine fails."""

import numpy as np
import pytest
from scipy import stats

from influbayes.calibration.decision import count_figures, count_quantity, find_failures, list_tests
from influbayes.calibration.ranks import PROBS
from influbayes.calibration.replication import Replication

QUANTITIES = [f"q{k}" for k in range(12)]


def simulate_figures(count, *, seed, spread=1.0, names=QUANTITIES):
    """Figures of a normal truth against a posterior that is `spread` times as wide as it should be."""
    rng = np.random.default_rng(seed)
    truths = rng.standard_normal((len(names), count))
    ranks = rng.binomial(99, stats.norm.cdf(truths / spread))
    half = stats.norm.ppf([(1 + prob) / 2 for prob in PROBS]) * spread
    held = np.abs(truths)[..., None] <= half
    return tuple(count_quantity(name, ranks[k], held[k], draws=10**6) for k, name in enumerate(names))


def test_figures_are_counts_of_ranks_and_of_truths_held():
    done = [
        Replication(ranks={"a": 0}, covered={"a": (True, True, True, True)}, engine_used="x"),
        Replication(ranks={"a": 99, "b": 7}, covered={"a": (False, True, True, True)}, engine_used="x"),
        Replication(ranks={}, covered={}, engine_used=None, failed="no draws"),
    ]
    first, second = count_figures(done, draws=400)
    assert (first.name, first.replications, second.name, second.replications) == ("a", 2, "b", 1)
    assert (first.counts[0], first.counts[99], sum(first.counts)) == (1, 1, 2)
    assert [held.covered for held in first.coverage] == [1, 2, 2, 2]
    assert second.coverage == ()


def test_every_quantity_has_a_test_of_ranks_and_one_of_each_interval():
    tests = list_tests(simulate_figures(20, seed=1))
    assert len(tests) == 12 * 5
    assert {test for _, test, _ in tests} == {"ranks", "coverage 0.5", "coverage 0.8", "coverage 0.9", "coverage 0.95"}


def test_a_right_engine_fails_about_as_rarely_as_stated():
    failed = [bool(find_failures(simulate_figures(300, seed=seed), alpha=0.2)) for seed in range(150)]
    assert 0.02 < np.mean(failed) <= 0.2 + 4 * np.sqrt(0.16 / 150)


def test_failures_are_adjusted_by_holm_and_sorted():
    figures = simulate_figures(1000, seed=2, spread=0.7, names=["bad"])
    figures += simulate_figures(1000, seed=3, names=["good"])
    failures = find_failures(figures, alpha=0.01)
    assert {one.quantity for one in failures} == {"bad"}
    assert [one.p_value for one in failures] == sorted(one.p_value for one in failures)
    assert failures[0].adjusted == pytest.approx(10 * failures[0].p_value)
    assert all(one.p_value <= one.adjusted <= 0.01 for one in failures)


def test_fresh_replications_test_only_what_failed():
    bad = simulate_figures(500, seed=4, spread=0.6, names=["bad", "other"])
    first = tuple(one for one in find_failures(bad, alpha=0.01) if one.quantity == "bad")
    again = find_failures(bad, alpha=0.001, among=first)
    assert {one.quantity for one in again} == {"bad"}
    assert again[0].adjusted == pytest.approx(len(first) * again[0].p_value)


@pytest.mark.parametrize(("spread", "count", "least"), [(0.8, 1000, 0.98), (1.25, 1000, 0.98), (0.9, 2000, 0.85)])
def test_a_wrong_width_is_found_with_the_power_stated(spread, count, least):
    """One of twelve quantities too narrow or too wide: 20 % with 1,000 replications, 10 % with 2,000."""
    found = []
    for seed in range(40):
        figures = simulate_figures(count, seed=seed, spread=spread, names=["bad"])
        figures += simulate_figures(count, seed=1000 + seed, names=QUANTITIES[1:])
        found.append(any(one.quantity == "bad" for one in find_failures(figures, alpha=0.01)))
    assert np.mean(found) >= least
