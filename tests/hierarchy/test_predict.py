"""Linear predictor, expected value and predictive draws against direct formulas, in blocks of any size."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom

from influbayes.errors import UsageError
from influbayes.hierarchy import predict
from influbayes.hierarchy.design import encode_rows
from influbayes.hierarchy.posterior import Fit
from influbayes.hierarchy.predict import expected_value, linear_predictor, log_likelihood, predictive_draws


def direct_eta(fit: Fit) -> np.ndarray:
    """The linear predictor written out row by row."""
    rows, draws = fit.design.rows, fit.draws
    eta = np.empty((*draws["intercept"].shape, len(rows)))
    for i in range(len(rows)):
        eta[..., i] = draws["intercept"]
        for k in range(rows.x.shape[1]):
            eta[..., i] += draws["slope"][..., k] * rows.x[i, k]
        for name, codes in rows.codes.items():
            eta[..., i] += draws[f"effect_{name}"][..., codes[i]]
        for pair in fit.design.interactions:
            a, b = (rows.codes[name][i] for name in pair.of)
            eta[..., i] += draws[f"effect_{pair.name}"][..., a, b]
    return eta


@pytest.fixture(params=["small_fit", "creator_fit"])
def fit(request: pytest.FixtureRequest) -> Fit:
    found: Fit = request.getfixturevalue(request.param)
    return found


def test_three_scales_against_direct_formulas(fit: Fit) -> None:
    eta = direct_eta(fit)
    np.testing.assert_allclose(linear_predictor(fit), eta, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(expected_value(fit), expit(eta), rtol=1e-12)
    draws = predictive_draws(fit, seed=1)
    assert draws.shape == eta.shape
    assert set(np.unique(draws)) == {0.0, 1.0}
    error = np.sqrt((expit(eta) * (1 - expit(eta))).mean() / eta.size)
    assert abs(draws.mean() - expit(eta).mean()) < 5 * error


def test_means_within_groups_are_weighted_and_leave_out_what_is_in_none(fit: Fit) -> None:
    rng = np.random.default_rng(1)
    by = rng.integers(-1, 4, 60)
    weights = rng.uniform(0.1, 3, 60)
    eta = direct_eta(fit)
    for function, values in ((linear_predictor, eta), (expected_value, expit(eta))):
        plain, weighted = function(fit, by=by), function(fit, by=by, weights=weights)
        for group in range(4):
            chosen = by == group
            np.testing.assert_allclose(plain[..., group], values[..., chosen].mean(-1), rtol=1e-12, atol=1e-13)
            expected = (values[..., chosen] * weights[chosen]).sum(-1) / weights[chosen].sum()
            np.testing.assert_allclose(weighted[..., group], expected, rtol=1e-12, atol=1e-13)


def test_a_group_without_rows_has_no_mean_and_a_sum_of_zero(fit: Fit) -> None:
    by = np.where(np.arange(60) < 30, 0, 2)
    means = expected_value(fit, by=by)
    assert means.shape[-1] == 3
    assert np.isnan(means[..., 1]).all()
    assert np.isfinite(means[..., [0, 2]]).all()
    assert (predictive_draws(fit, by=by)[..., 1] == 0).all()


def test_nobody_in_any_group(fit: Fit) -> None:
    assert expected_value(fit, by=np.full(60, -1)).shape == (4, 50, 0)


@pytest.mark.parametrize("size", [1, 200, 1_400, 12_000])
def test_block_size_changes_nothing(fit: Fit, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    by = np.arange(60) % 7 - 1
    functions = [
        lambda: linear_predictor(fit),
        lambda: expected_value(fit),
        lambda: log_likelihood(fit),
        lambda: predictive_draws(fit, seed=3),
        lambda: predictive_draws(fit, seed=3, by=by),
    ]
    whole, mean = [function() for function in functions], expected_value(fit, by=by)
    monkeypatch.setattr(predict, "_BLOCK", size)
    for function, values in zip(functions, whole, strict=True):
        np.testing.assert_allclose(function(), values, rtol=1e-13, atol=1e-13)
    np.testing.assert_array_equal(predictive_draws(fit, seed=3), whole[3])
    np.testing.assert_allclose(expected_value(fit, by=by), mean, rtol=1e-13)


def test_blocks_come_in_row_order_and_are_no_larger_than_told(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "_BLOCK", 1_400)
    parts = list(predict.iterate_rows(fit))
    assert [part.start for part, _ in parts] == list(range(0, 60, 7))
    assert max(eta.size for _, eta in parts) <= 1_400


def test_sums_of_groups_are_the_sums_of_their_replicated_rows(fit: Fit) -> None:
    by = np.arange(60) % 5 - 1
    rows = predictive_draws(fit, seed=9)
    sums = predictive_draws(fit, seed=9, by=by)
    for group in range(4):
        np.testing.assert_array_equal(sums[..., group], rows[..., by == group].sum(-1))
    assert not np.array_equal(predictive_draws(fit, seed=10), rows)


def test_replicated_counts_follow_the_trials(small_fit: Fit) -> None:
    trials = np.arange(1, 61)
    fit = replace(small_fit, design=replace(small_fit.design, rows=replace(small_fit.design.rows, trials=trials)))
    draws = predictive_draws(fit, seed=2)
    assert (draws <= trials).all()
    np.testing.assert_allclose(draws.mean((0, 1)), (trials * expit(direct_eta(fit))).mean((0, 1)), atol=2.0)


def test_log_likelihood_is_the_binomial_log_probability(small_fit: Fit) -> None:
    trials = np.arange(60) % 5 + 1
    rows = replace(small_fit.design.rows, trials=trials, conversions=np.minimum(trials, np.arange(60) % 3))
    fit = replace(small_fit, design=replace(small_fit.design, rows=rows))
    expected = binom.logpmf(rows.conversions, trials, expit(direct_eta(fit)))
    np.testing.assert_allclose(log_likelihood(fit), expected, rtol=1e-10)


def new_creators(fit: Fit, count: int) -> Any:
    import pandas as pd

    row = {"Story_Views": 9000, "Swipe_Ups": 90, "Influencer_Tier": "Mid", "Audience_Region": "US", "Creator_ID": "new"}
    return encode_rows(fit.design, pd.DataFrame([row] * count))


def test_a_new_creator_is_drawn_from_the_population(creator_fit: Fit) -> None:
    rows = new_creators(creator_fit, 2)
    eta = linear_predictor(creator_fit, rows)
    np.testing.assert_array_equal(eta[..., 0], eta[..., 1])  # one new creator, not two
    effect = np.asarray(eta[..., 0]) - linear_predictor(with_mean_creator(creator_fit), rows)[..., 0]
    ratio = effect / creator_fit.draws["scale_Creator_ID"]
    assert abs(ratio.mean()) < 5 / np.sqrt(200)
    assert ratio.std() == pytest.approx(1.0, abs=0.25)
    np.testing.assert_array_equal(linear_predictor(creator_fit, rows), eta)  # the fit's own seed


def with_mean_creator(fit: Fit) -> Fit:
    return replace(fit, draws={**fit.draws, "scale_Creator_ID": np.zeros_like(fit.draws["scale_Creator_ID"])})


def test_a_new_creator_of_a_fixed_scale(creator_fit: Fit) -> None:
    factors = tuple(
        replace(term, scale=0.5, scale_prior=None) if term.column == "Creator_ID" else term
        for term in creator_fit.design.factors
    )
    fixed = replace(creator_fit, design=replace(creator_fit.design, factors=factors))
    rows = new_creators(creator_fit, 1)
    ones = replace(creator_fit, draws={**creator_fit.draws, "scale_Creator_ID": np.full((4, 50), 0.5)})
    np.testing.assert_array_equal(linear_predictor(fixed, rows), linear_predictor(ones, rows))


def test_an_unseen_level_of_a_closed_factor_is_never_predicted(small_fit: Fit) -> None:
    codes = {**small_fit.design.rows.codes, "Influencer_Tier": np.full(60, -1)}
    message = r"^Influencer_Tier: a level of an `all` factor was not fitted; it cannot be predicted\.$"
    with pytest.raises(UsageError, match=message):
        linear_predictor(small_fit, replace(small_fit.design.rows, codes=codes))


def test_rows_times_draws_above_ten_million_are_refused_without_groups(small_fit: Fit) -> None:
    big = 50_001
    rows = replace(
        small_fit.design.rows,
        x=np.zeros((big, 2)),
        raw=np.zeros((big, 2)),
        codes={name: np.zeros(big, dtype=np.int64) for name in small_fit.design.rows.codes},
        conversions=None,
        trials=None,
    )
    message = (
        r"^50,001 rows x 200 draws are more than 10,000,000 numbers\. "
        r"Give by= to average within groups, or predict fewer rows at a time\.$"
    )
    for function in (linear_predictor, expected_value, predictive_draws):
        with pytest.raises(UsageError, match=message):
            function(small_fit, rows)
        assert function(small_fit, rows, by=np.zeros(big, dtype=np.int64)).shape == (4, 50, 1)


def test_groups_and_weights_must_fit_the_rows(small_fit: Fit) -> None:
    by = np.zeros(60, dtype=np.int64)
    for function in (linear_predictor, expected_value, predictive_draws):
        with pytest.raises(UsageError, match=r"^by= has 59 groups for 60 rows; give one a row, -1 to leave it out\.$"):
            function(small_fit, by=by[1:])
    message = r"^weights= are the weights of means: give by= as well, and one weight a row\.$"
    with pytest.raises(UsageError, match=message):
        linear_predictor(small_fit, weights=np.ones(60))
    with pytest.raises(UsageError, match=message):
        expected_value(small_fit, by=by, weights=np.ones(59))


def test_a_model_of_the_intercept_alone(approximate: Any, sixty_posts: Any, conversion: Any) -> None:
    from influbayes.hierarchy.design import build_design

    design = build_design(sixty_posts, replace(conversion, numerics=(), factors=()))
    fit = approximate(design, draws=50)
    np.testing.assert_array_equal(linear_predictor(fit), np.repeat(fit.draws["intercept"][..., None], 60, axis=-1))
