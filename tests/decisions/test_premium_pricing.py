"""Premiums: arithmetic on known draws, complementary pairs, truth covered, the curve at the truth one half."""

from __future__ import annotations

import numpy as np
import pytest

from influbayes.decisions.options import find_fees
from influbayes.decisions.premium import draw_curve, find_break_even, price_premium
from influbayes.errors import UsageError


def find_pair(premium, level, reference):
    return next(pair for pair in premium.pairs if (pair.level, pair.reference) == (level, reference))


def test_break_even_is_the_difference_of_expected_values_in_money(make_options):
    options = make_options(fees=[70.0, 30.0, 45.0], values=300)
    premium = price_premium(options)
    pair = find_pair(premium, "Micro", "Mega")
    draws = 300 * (options.rates[..., 1] - options.rates[..., 0])
    assert pair.break_even.estimate == pytest.approx(np.median(draws))
    assert (pair.break_even.lower, pair.break_even.upper) == pytest.approx(tuple(np.quantile(draws, [0.05, 0.95])))
    assert pair.asked == -40
    assert pair.worth_it.value == pytest.approx((draws > -40).mean(), abs=0.01)
    assert premium.unit == "currency"


def test_the_two_directions_of_a_pair_add_up_to_one(make_options):
    premium = price_premium(make_options(fees=[70.0, 30.0, 45.0], values=300))
    one, other = find_pair(premium, "Micro", "Mega"), find_pair(premium, "Mega", "Micro")
    assert one.worth_it.value + other.worth_it.value == 1
    assert one.break_even.estimate == pytest.approx(-other.break_even.estimate)


def test_the_curve_falls_from_one_to_nothing_and_is_a_half_at_break_even(make_options):
    premium = price_premium(make_options(fees=[70.0, 30.0, 45.0], values=300))
    for pair in premium.pairs:
        assert (np.diff(pair.probabilities) <= 0).all()
        draws_curve = np.interp(pair.break_even.estimate, pair.premiums, pair.probabilities)
        assert draws_curve == pytest.approx(0.5, abs=0.02)


def test_without_money_the_break_even_is_a_multiple_of_the_other_fee(make_options):
    options = make_options(fees=[70.0, 30.0, 45.0])
    pair = find_pair(price_premium(options), "Micro", "Mega")
    ratio = options.rates[..., 1] / options.rates[..., 0]
    assert pair.break_even.estimate == pytest.approx(np.median(ratio), rel=1e-3)
    assert pair.asked == pytest.approx(30 / 70)
    better = options.rates[..., 1] / 30 > options.rates[..., 0] / 70
    assert pair.worth_it.value == pytest.approx(better.mean(), abs=0.01)
    assert price_premium(options).unit == "conversions per fee unit"


def test_the_turning_value_turns_the_answer(make_options):
    options = make_options(fees=[70.0, 30.0, 45.0], values=300)
    pair = find_pair(price_premium(options), "Micro", "Mega")
    assert pair.turning_side == "Mega"
    k = pair.turning.estimate
    assert k > 1
    mega = options.rates[..., 0] * 300 * k - 70
    micro = options.rates[..., 1] * 300 - 30
    assert (micro > mega).mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("mass", [0.5, 0.9])
def test_simulated_truth_is_covered_at_the_stated_rate_and_the_curve_there_averages_a_half(make_options, mass):
    """400 worlds drawn from the prior, each fitted by its conjugate posterior."""
    rng, worlds = np.random.default_rng(8), 400
    covered, heights = [], []
    for _ in range(worlds):
        truth = rng.beta(2, 8, 2)
        bought = rng.binomial(30, truth)
        rates = rng.beta(2 + bought, 8 + 30 - bought, (4, 250, 2))
        options = make_options(rates, fees=[50.0, 30.0], values=200)
        draws = find_break_even(options, "Micro", "Mega")
        true = 200 * (truth[1] - truth[0])
        low, high = np.quantile(draws, [(1 - mass) / 2, (1 + mass) / 2])
        covered.append(low <= true <= high)
        heights.append(draw_curve(draws, np.array([true]))[0])
    assert np.mean(covered) == pytest.approx(mass, abs=4 * np.sqrt(mass * (1 - mass) / worlds))
    assert np.mean(heights) == pytest.approx(0.5, abs=4 * np.sqrt(1 / 12 / worlds))


def test_fees_of_a_column_are_averaged_by_level_and_cell():
    codes = {"Tier": np.array([0, 0, 1, 1]), "Region": np.array([0, 1, 0, 0])}
    fees = find_fees(np.array([10.0, 20.0, 5.0, np.nan]), codes, {"Tier": ("Mega", "Micro"), "Region": ("EU", "US")})
    assert fees == {"Mega": 15, "Mega:EU": 10, "Mega:US": 20, "Micro": 5, "Micro:EU": 5}


def test_unknown_labels_and_gifted_posts_are_refused(make_options):
    with pytest.raises(UsageError, match="'Nano' is nothing that can be bought"):
        price_premium(make_options(values=3), [("Nano", "Mega")])
    with pytest.raises(UsageError, match="the fee of Micro is 0"):
        price_premium(make_options(fees=[1.0, 0.0, 1.0]))
    with pytest.raises(UsageError, match="with itself"):
        price_premium(make_options(values=3), [("Mega", "Mega")])
