"""Separation by linear programming: found where it is, absent where it is not, with the terms that cause it."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import numpy as np
import pytest

from influbayes.effects.separation import find_separation

SEEDS = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "seeds" / "influencer_conversion_data.csv"


def dummies(labels):
    labels = np.asarray(labels)
    return (labels[:, None] == np.unique(labels)[1:]).astype(float)


def ones(n):
    return np.ones((n, 1))


def find(X, conversions, names, trials=None):
    conversions = np.asarray(conversions)
    trials = np.ones(len(conversions), dtype=np.int64) if trials is None else np.asarray(trials)
    return find_separation(np.asarray(X, dtype=float), conversions, trials=trials, names=names)


def assert_direction_never_errs(X, conversions, found):
    margin = np.asarray(X) @ found.direction
    assert (margin[np.asarray(conversions) == 1] >= -1e-6).all()
    assert (margin[np.asarray(conversions) == 0] <= 1e-6).all()
    assert np.abs(margin).max() > 1e-3


def test_a_threshold_separates_completely():
    X = np.column_stack([np.ones(6), [1, 2, 3, 4, 5, 6]])
    found = find(X, [0, 0, 0, 1, 1, 1], ["intercept", "Swipe_Ups"])
    assert (found.kind, found.columns) == ("complete", ("Swipe_Ups",))
    assert_direction_never_errs(X, [0, 0, 0, 1, 1, 1], found)


def test_a_tie_at_the_threshold_separates_quasi():
    X = np.column_stack([np.ones(6), [1, 2, 3, 3, 5, 6]])
    assert find(X, [0, 0, 0, 1, 1, 1], ["intercept", "x"]).kind == "quasi"


def test_an_overlap_does_not_separate():
    X = np.column_stack([np.ones(6), [1, 2, 4, 3, 5, 6]])
    found = find(X, [0, 0, 0, 1, 1, 1], ["intercept", "x"])
    assert (found.kind, found.columns, found.sets) == ("none", (), ())
    assert not found.direction.any()


def test_a_level_without_conversions_separates_quasi_and_is_named_alone():
    rng = np.random.default_rng(1)
    tier, x = rng.integers(0, 3, 900), rng.normal(size=900)
    conversions = (rng.random(900) < 0.3) & (tier != 2)
    X = np.hstack([ones(900), x[:, None], dummies(tier)])
    found = find(X, conversions.astype(int), ["intercept", "x", "Tier", "Tier"])
    assert (found.kind, found.columns) == ("quasi", ("Tier",))


def test_two_terms_that_separate_only_together_are_both_named():
    rng = np.random.default_rng(2)
    a, b, noise = rng.normal(size=(3, 300))
    X = np.column_stack([np.ones(300), a, b, noise])
    found = find(X, (a + b > 0.1).astype(int), ["intercept", "a", "b", "noise"])
    assert (found.kind, found.columns, found.sets) == ("complete", ("a", "b"), (("a", "b"),))


def test_three_terms_are_found_by_leaving_out():
    rng = np.random.default_rng(3)
    columns = rng.normal(size=(300, 5))
    X = np.hstack([ones(300), columns])
    y = (columns[:, [0, 2, 4]].sum(axis=1) > 0).astype(int)
    assert find(X, y, ["intercept", *"abcde"]).columns == ("a", "c", "e")


def test_binomial_rows_with_both_outcomes_hold_their_margin_at_zero():
    X = np.column_stack([np.ones(3), [1.0, 2.0, 3.0]])
    assert find(X, [0, 2, 5], ["intercept", "x"], trials=[5, 5, 5]).kind == "quasi"
    assert find(X, [0, 2, 0], ["intercept", "x"], trials=[5, 5, 5]).kind == "none"
    assert find(X, [1, 2, 4], ["intercept", "x"], trials=[5, 5, 5]).kind == "none"
    assert find(X, [0, 5, 5], ["intercept", "x"], trials=[5, 5, 5]).kind == "complete"


def test_row_order_scale_and_split_trials_change_nothing():
    rng = np.random.default_rng(4)
    x = rng.normal(size=200)
    y = (x > 0.3).astype(int)
    X = np.column_stack([np.ones(200), x, rng.normal(size=200)])
    order = rng.permutation(200)
    names = ["intercept", "x", "z"]
    assert find(X, y, names).columns == find(X[order], y[order], names).columns == ("x",)
    assert find(X * [1, 1e6, 1e-4], y, names).columns == ("x",)
    assert find(np.vstack([X, X]), np.tile(y, 2), names).kind == "complete"


@pytest.mark.parametrize("seed", range(20))
def test_the_verdict_agrees_with_a_search_over_thresholds(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 8, 9).astype(float), rng.integers(0, 2, 9)
    y[:2] = (0, 1)
    low, high = sorted(((x[y == 0].min(), x[y == 0].max()), (x[y == 1].min(), x[y == 1].max())), key=sum)
    expected = "complete" if low[1] < high[0] else "quasi" if low[1] == high[0] and x.min() < x.max() else "none"
    assert find(np.column_stack([np.ones(9), x]), y, ["intercept", "x"]).kind == expected


@pytest.mark.parametrize("separated", [False, True])
def test_a_hundred_thousand_rows_take_seconds(separated):
    rng = np.random.default_rng(5)
    n = 100_000
    tier, x = rng.integers(0, 5, n), rng.normal(size=(n, 2))
    y = rng.random(n) < 1 / (1 + np.exp(2 - x[:, 0]))
    if separated:
        y &= tier != 3
    X = np.hstack([ones(n), x, dummies(tier)])
    start = time.perf_counter()
    found = find(X, y.astype(int), ["intercept", "a", "b", *["Tier"] * 4])
    assert found.kind == ("quasi" if separated else "none")
    assert time.perf_counter() - start < 20


def test_bad_shapes_and_values_are_errors():
    X = np.ones((3, 2))
    with pytest.raises(ValueError, match="1 names"):
        find(X, [0, 1, 1], ["intercept"])
    with pytest.raises(ValueError, match="not finite"):
        find(X * np.nan, [0, 1, 1], ["intercept", "x"])


def test_swipe_ups_within_tier_separate_the_sixty_real_posts():
    if not SEEDS.exists():
        pytest.skip("the reference data is not beside this checkout")
    with SEEDS.open(encoding="utf-8") as file:
        posts = list(csv.DictReader(file))
    numerics = np.array([[float(post["Story_Views"]), float(post["Swipe_Ups"])] for post in posts])
    tiers, regions = (dummies([post[name] for post in posts]) for name in ("Influencer_Tier", "Audience_Region"))
    X = np.hstack([ones(60), (numerics - numerics.mean(axis=0)) / numerics.std(axis=0), tiers, regions])
    names = ["intercept", "Story_Views", "Swipe_Ups", *["Influencer_Tier"] * 2, *["Audience_Region"] * 3]
    y = np.array([int(post["Converted"]) for post in posts])
    found = find(X, y, names)
    assert found.kind == "complete"
    assert found.columns == ("Story_Views", "Swipe_Ups", "Influencer_Tier")
    assert ("Swipe_Ups", "Influencer_Tier") in found.sets
    assert_direction_never_errs(X, y, found)
    bought = [name in ("intercept", "Influencer_Tier", "Audience_Region") for name in names]
    assert find(X[:, bought], y, [name for name, kept in zip(names, bought, strict=True) if kept]).kind == "none"
