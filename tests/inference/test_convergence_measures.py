"""R-hat, ESS and Monte Carlo errors of many quantities at once equal ArviZ's of one at a time."""

from __future__ import annotations

import time

import numpy as np
import pytest

from influbayes.inference.convergence import (
    estimate_ess_bulk,
    estimate_ess_mean,
    estimate_rhat,
    find_quantile,
    summarise_quantities,
)


def walk(phi: float, *shape: int, seed: int = 1) -> np.ndarray:
    """Autoregressive chains (quantity, chain, draw)."""
    noise = np.random.default_rng(seed).normal(size=shape)
    chains = noise.copy()
    for t in range(1, shape[-1]):
        chains[..., t] = phi * chains[..., t - 1] + noise[..., t]
    return chains


CASES = {
    "independent": walk(0.0, 3, 4, 500),
    "sticky": walk(0.95, 3, 4, 500),
    "antithetic": walk(-0.7, 3, 4, 500),
    "odd number of draws": walk(0.3, 3, 4, 501),
    "repeated as a Metropolis chain": np.repeat(walk(0.3, 3, 4, 125), 4, axis=2),
    "many ties": np.round(walk(0.5, 3, 4, 300), 1),
    "chains apart": walk(0.5, 3, 4, 200) + 3 * np.arange(4)[:, None],
    "chains of different width": walk(0.5, 3, 4, 200) * (1 + np.arange(4)[:, None]),
    "very short": walk(0.2, 3, 4, 5),
    "shortest": walk(0.2, 3, 2, 4),
}


@pytest.mark.parametrize("case", CASES)
def test_every_number_equals_arviz(case: str) -> None:
    from arviz_stats.base import array_stats

    draws = CASES[case]
    axes = {"chain_axis": 1, "draw_axis": 2}
    ours = summarise_quantities(draws, prob=0.9)
    np.testing.assert_allclose(ours.rhat, array_stats.rhat(draws, method="rank", **axes), rtol=1e-10)
    np.testing.assert_allclose(ours.ess_bulk, array_stats.ess(draws, method="bulk", **axes), rtol=1e-10)
    np.testing.assert_allclose(
        ours.ess_tail, array_stats.ess(draws, method="tail", prob=(0.05, 0.95), **axes), rtol=1e-10
    )
    np.testing.assert_allclose(ours.mcse, array_stats.mcse(draws, method="median", **axes), rtol=1e-10)
    np.testing.assert_allclose(estimate_ess_mean(draws), array_stats.ess(draws, method="mean", **axes), rtol=1e-10)
    np.testing.assert_array_equal(estimate_rhat(draws), ours.rhat)
    np.testing.assert_array_equal(estimate_ess_bulk(draws), ours.ess_bulk)


def test_quantiles_equal_numpys() -> None:
    draws = np.sort(np.random.default_rng(2).normal(size=(5, 37)), axis=1)
    for p in (0.0, 0.05, 0.5, 0.77, 1.0):
        np.testing.assert_allclose(find_quantile(draws, p), np.quantile(draws, p, axis=1), rtol=1e-13)


def test_interval_of_exponentiated_draws_is_that_of_the_ratio_and_errors_stay_those_of_the_log() -> None:
    log_ratio = walk(0.4, 2, 4, 250)
    plain = summarise_quantities(log_ratio, prob=0.8)
    ratio = summarise_quantities(log_ratio, prob=0.8, exponentiate=True)
    flat = np.exp(log_ratio).reshape(2, -1)
    for got, p in ((ratio.lower, 0.1), (ratio.estimate, 0.5), (ratio.upper, 0.9)):
        np.testing.assert_allclose(got, np.quantile(flat, p, axis=1), rtol=1e-12)
    np.testing.assert_array_equal(ratio.rhat, plain.rhat)
    np.testing.assert_array_equal(ratio.ess_bulk, plain.ess_bulk)
    np.testing.assert_array_equal(ratio.ess_tail, plain.ess_tail)


def test_a_draw_that_is_not_finite_makes_its_quantity_not_a_number_and_no_other() -> None:
    draws = walk(0.0, 3, 4, 50)
    draws[1, 2, 3] = np.nan
    draws[2, 0, 0] = np.inf
    summary = summarise_quantities(draws, prob=0.9)
    for name in summary.__dataclass_fields__:
        assert np.isfinite(getattr(summary, name)).tolist() == [True, False, False], name


def test_constant_quantity_and_single_chain_have_no_rhat() -> None:
    assert np.isnan(summarise_quantities(np.ones((1, 4, 100)), prob=0.9).rhat[0])
    assert np.isnan(summarise_quantities(walk(0.0, 1, 1, 100), prob=0.9).rhat[0])


def test_fewer_than_four_draws_a_chain_are_not_judged() -> None:
    assert np.isnan(summarise_quantities(walk(0.0, 1, 4, 3), prob=0.9).ess_bulk[0])


def test_no_quantities_give_empty_columns() -> None:
    assert summarise_quantities(np.empty((0, 4, 10)), prob=0.9).rhat.shape == (0,)


def test_blocks_do_not_change_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = walk(0.3, 7, 4, 100)
    whole = summarise_quantities(draws, prob=0.9)
    monkeypatch.setattr("influbayes.inference.convergence._BLOCK", 800)
    parts = summarise_quantities(draws, prob=0.9)
    for name in whole.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))


def test_three_hundred_quantities_of_four_thousand_draws_take_seconds_not_minutes() -> None:
    draws = np.random.default_rng(3).normal(size=(300, 4, 1000))
    start = time.perf_counter()
    summarise_quantities(draws, prob=0.9)
    assert time.perf_counter() - start < 10  # about half a second when nothing else runs
