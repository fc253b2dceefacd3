"""Summaries and probabilities of hand-written draws equal arithmetic and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from influbayes.effects.estimands import (
    Quantity,
    estimate_probability,
    estimate_rows,
    estimate_shares,
    name_row,
    summarise_draws,
)
from influbayes.errors import UsageError
from influbayes.inference.convergence import estimate_ess_bulk

seeds = st.integers(0, 2**32 - 1)
quick = settings(max_examples=25, deadline=None)


def normal_draws(seed: int, centre: float = 0.0, *, chains: int = 4, draws: int = 100) -> np.ndarray:
    return np.random.default_rng(seed).normal(centre, 1, size=(chains, draws))


def test_median_and_interval_of_evenly_spaced_draws() -> None:
    shuffled = np.random.default_rng(0).permutation(np.arange(401.0 * 4)).reshape(4, 401)
    summary = summarise_draws(shuffled, prob=0.9)
    assert summary.estimate == 801.5
    assert summary.lower == pytest.approx(0.05 * 1603)
    assert summary.upper == pytest.approx(0.95 * 1603)


def test_monte_carlo_error_of_a_median_is_that_of_the_normal_theory() -> None:
    summary = summarise_draws(normal_draws(1, draws=5000), prob=0.9)
    assert summary.mcse == pytest.approx(np.sqrt(np.pi / 2 / 20_000), rel=0.15)
    assert summary.ess_bulk == pytest.approx(20_000, rel=0.1)
    assert summary.rhat < 1.01


@pytest.mark.parametrize("prob", [0.0, 1.0, 90.0, float("nan")])
def test_mass_outside_zero_to_one_is_refused(prob: float) -> None:
    with pytest.raises(UsageError, match=r"prob is the mass of the interval, between 0 and 1; found .* Try 0\.9\."):
        summarise_draws(normal_draws(0), prob=prob)


def test_draws_that_are_not_chain_by_draw_are_refused() -> None:
    with pytest.raises(
        UsageError, match=r"draws of one quantity are \(chain, draw\); found an array with shape \(5,\)"
    ):
        summarise_draws(np.ones(5), prob=0.9)
    with pytest.raises(UsageError, match=r"\(chain, draw\)"):
        estimate_probability(np.ones((2, 3, 4)))


@quick
@given(seeds)
def test_summary_does_not_depend_on_the_order_of_chains(seed: int) -> None:
    draws = normal_draws(seed)
    order = np.random.default_rng(seed + 1).permutation(4)
    first, second = summarise_draws(draws, prob=0.8), summarise_draws(draws[order], prob=0.8)
    for name in first.__dataclass_fields__:
        assert getattr(first, name) == pytest.approx(getattr(second, name), rel=1e-9), name


@quick
@given(seeds)
def test_estimate_interval_and_share_do_not_depend_on_the_order_of_draws(seed: int) -> None:
    draws = normal_draws(seed)
    mixed = np.random.default_rng(seed + 1).permutation(draws.ravel()).reshape(draws.shape)
    first, second = summarise_draws(draws, prob=0.8), summarise_draws(mixed, prob=0.8)
    assert (first.estimate, first.lower, first.upper) == (second.estimate, second.lower, second.upper)
    assert estimate_probability(draws).value == estimate_probability(mixed).value


def test_probability_is_the_share_of_draws_and_its_error_that_of_a_share() -> None:
    margin = normal_draws(3, 0.5, draws=5000)
    found = estimate_probability(margin)
    share = (margin > 0).mean()
    assert found.value == pytest.approx(share, abs=1e-15)
    assert found.mcse == pytest.approx(np.sqrt(share * (1 - share) / 20_000), rel=0.1)
    assert found.at_least is None
    assert found.at_most is None


@quick
@given(seeds, st.floats(-5, 5))
def test_probability_of_a_margin_and_of_its_negative_add_to_one_exactly(seed: int, centre: float) -> None:
    margin = normal_draws(seed, centre)
    one, other = estimate_probability(margin), estimate_probability(-margin)
    assert one.value + other.value == 1.0
    assert one.mcse == pytest.approx(other.mcse, rel=1e-12)
    assert (one.at_least is None) == (other.at_most is None)


@pytest.mark.parametrize("below", [0, 1, 9])
def test_few_draws_on_one_side_give_a_beta_value_and_bound(below: int) -> None:
    margin = np.abs(normal_draws(4, draws=1000)) + 0.1
    margin.ravel()[np.arange(below) * 397] *= -1
    ess = float(np.clip(estimate_ess_bulk(margin[None])[0], below, 4000))
    beta = stats.beta(below + 0.5, ess - below + 0.5)
    found = estimate_probability(margin)
    assert found.value == pytest.approx(1 - beta.mean(), rel=1e-12)
    assert found.mcse == pytest.approx(beta.std(), rel=1e-9)
    assert found.at_least == pytest.approx(1 - beta.ppf(0.95), rel=1e-9)
    assert found.at_most is None
    assert found.value < 1.0
    assert estimate_probability(-margin).at_most == pytest.approx(beta.ppf(0.95), rel=1e-9)


def test_ten_draws_on_the_rarer_side_are_counted() -> None:
    margin = np.abs(normal_draws(4, draws=1000)) + 0.1
    margin.ravel()[np.arange(10) * 397] *= -1
    found = estimate_probability(margin)
    assert found.value == 1 - 10 / 4000
    assert found.at_least is None


def test_fewer_effective_draws_make_a_certain_statement_less_certain() -> None:
    fresh = np.abs(normal_draws(5, draws=1000)) + 1
    sticky = np.repeat(fresh[:, :100], 10, axis=1)
    assert estimate_probability(sticky).value < estimate_probability(fresh).value


def test_ties_count_half() -> None:
    margin = np.concatenate([np.ones(50), np.zeros(100), -np.ones(50)])
    margin = np.random.default_rng(0).permutation(margin).reshape(4, 50)
    assert estimate_probability(margin).value == 0.5
    more = np.where(margin < 0, 0.0, margin)
    assert estimate_probability(more).value == pytest.approx((50 + 75) / 200)


def test_margin_that_is_not_finite_has_no_probability() -> None:
    margin = normal_draws(6)
    margin[0, 0] = np.nan
    assert np.isnan(estimate_probability(margin).value)
    assert np.isnan(estimate_probability(margin).mcse)
    assert np.isnan(estimate_shares(margin[None], np.array([400.0]))[0])


@quick
@given(seeds)
def test_shares_of_many_margins_are_the_probabilities_of_each(seed: int) -> None:
    margins = np.stack([normal_draws(seed, centre) for centre in (-6, -2.5, -1, 0, 1, 2.5, 6)])
    shares = estimate_shares(margins, estimate_ess_bulk(margins))
    each = [estimate_probability(margin).value for margin in margins]
    np.testing.assert_allclose(shares, each, rtol=1e-9)


def test_rows_keep_their_order_whatever_their_scale_and_shape() -> None:
    def label(level: str, scale: str, draws: np.ndarray) -> Quantity:
        return Quantity(
            estimand="odds_ratio" if scale == "odds" else "difference",
            variable="Tier",
            level=level,
            reference="Mega",
            population="p",
            held="h",
            scale=scale,  # type: ignore[arg-type]
            null_value=1.0 if scale == "odds" else 0.0,
            draws=draws,
        )

    draws = normal_draws(7, 0.3)
    quantities = [label("a", "odds", draws), label("a", "per_100_posts", draws), label("b", "odds", draws[:, :50])]
    rows = estimate_rows(quantities, "as_bought", prob=0.9)
    assert [row.id for row in rows] == [
        "as_bought/odds_ratio/Tier/a/Mega",
        "as_bought/difference/Tier/a/Mega",
        "as_bought/odds_ratio/Tier/b/Mega",
    ]
    ordered = np.sort(draws.ravel())
    assert rows[0].estimate == pytest.approx((np.exp(ordered[199]) + np.exp(ordered[200])) / 2)
    assert rows[1].estimate == pytest.approx(np.median(draws))
    assert rows[0].probability == rows[1].probability == pytest.approx((draws > 0).mean())
    assert rows[0].rhat == rows[1].rhat
    assert {row.interval_kind for row in rows} == {"eti"}
    assert {row.prob for row in rows} == {0.9}


def test_ids_leave_out_the_parts_that_do_not_apply() -> None:
    assert name_row("as_bought", "step", "Swipe_Ups", None, None) == "as_bought/step/Swipe_Ups"
    assert name_row("as_bought", "beats", "Tier", "Micro", "Mega") == "as_bought/beats/Tier/Micro/Mega"
