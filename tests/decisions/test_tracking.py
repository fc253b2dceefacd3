"""Tipping points: injected leakage and under-tracking are found again, and equal the odds correction."""

from __future__ import annotations

import numpy as np
import pytest

from influbayes.decisions.tracking import find_tipping_point, remove_leakage


def scatter(*means):
    rng = np.random.default_rng(6)
    return np.stack([np.clip(rng.normal(mean, 0.01, (4, 500)), 0.001, 0.99) for mean in means], axis=-1)


def test_injected_leakage_is_the_tipping_point_and_the_analytic_odds_correction(make_options):
    leaked = 0.15
    true = scatter(0.20)[..., 0]
    rates = np.stack([true + leaked * (1 - true), true, np.full_like(true, 0.05)], axis=-1)
    point = find_tipping_point(make_options(rates))
    assert (point.ahead, point.behind) == ("Mega", "Micro")
    assert point.leaked.estimate == pytest.approx(leaked)
    # Recorded odds are (true odds + l) / (1 - l): solving at equal true odds gives the same share in every draw.
    recorded, other = rates[..., 0] / (1 - rates[..., 0]), rates[..., 1] / (1 - rates[..., 1])
    assert point.leaked.estimate == pytest.approx(np.median((recorded - other) / (1 + recorded)))
    np.testing.assert_allclose(remove_leakage(rates[..., 0], leaked), true)


def test_injected_under_tracking_is_the_tipping_point(make_options):
    true = scatter(0.30)[..., 0]
    rates = np.stack([true, 0.6 * true, np.full_like(true, 0.01)], axis=-1)
    assert find_tipping_point(make_options(rates)).missed.estimate == pytest.approx(0.4)


def test_on_the_line_of_the_map_the_probability_is_a_half(make_options):
    rates = scatter(0.30, 0.20, 0.05)
    point = find_tipping_point(make_options(rates))
    assert point.map_missed[0] == pytest.approx(point.missed.estimate)
    assert point.map_missed[-1] == pytest.approx(0, abs=0.01)
    for leaked, missed in zip(point.map_leaked, point.map_missed, strict=True):
        ahead = remove_leakage(rates[..., 0], leaked) > rates[..., 1] / (1 - missed)
        assert ahead.mean() == pytest.approx(0.5, abs=0.01)


def test_the_pair_told_the_other_way_round_gives_the_same_answer(make_options):
    options = make_options(scatter(0.30, 0.20, 0.05))
    assert find_tipping_point(options, pair=("Micro", "Mega")).missed == find_tipping_point(options).missed
