"""Independence Metropolis on known targets."""

from __future__ import annotations

import numpy as np
import pytest

from influbayes.inference.metropolis import STARTS, expect_acceptance, run_chains


def test_states_have_the_target_distribution():
    rng = np.random.default_rng(5)
    target, proposal = np.array([0.5, 0.3, 0.15, 0.05]), np.array([0.1, 0.2, 0.3, 0.4])
    values = rng.choice(4, size=4 * (STARTS + 40_000), p=proposal)
    chains = run_chains(np.log(target / proposal)[values], rng, chains=4, draws=40_000)
    shares = np.bincount(values[chains.kept.ravel()], minlength=4) / chains.kept.size
    np.testing.assert_allclose(shares, target, atol=0.012)


def test_normal_target_under_a_wide_normal_proposal():
    rng = np.random.default_rng(6)
    values = 2.0 * rng.standard_normal(4 * (STARTS + 20_000))
    chains = run_chains(-0.5 * values**2 + 0.125 * values**2, rng, chains=4, draws=20_000)
    kept = values[chains.kept]
    assert abs(kept.mean()) < 0.03
    assert abs(kept.std() - 1.0) < 0.02


def test_equal_weights_accept_every_proposal():
    chains = run_chains(np.zeros(4 * (STARTS + 100)), np.random.default_rng(1), chains=4, draws=100)
    assert chains.acceptance == 1.0
    assert chains.accepted.all()
    assert (np.diff(chains.kept, axis=1) == 1).all()


def test_thinning_keeps_every_third_state_and_counts_all_proposals():
    chains = run_chains(np.zeros(2 * (STARTS + 30)), np.random.default_rng(1), chains=2, draws=10, thin=3)
    assert (np.diff(chains.kept, axis=1) == 3).all()
    assert chains.kept[0, 0] == STARTS + 2


def test_not_a_number_is_never_accepted():
    log_weights = np.zeros(STARTS + 50)
    log_weights[STARTS + 10 : STARTS + 20] = np.nan
    log_weights[STARTS + 30] = -np.inf
    chains = run_chains(log_weights, np.random.default_rng(1), chains=1, draws=50)
    assert not np.isin(chains.kept, np.arange(STARTS + 10, STARTS + 20)).any()
    assert STARTS + 30 not in chains.kept


def test_chains_start_by_weight():
    starts = []
    for seed in range(300):
        log_weights = np.full(STARTS + 1, -np.inf)
        log_weights[[3, 4]] = np.log([0.75, 0.25])
        starts.append(int(run_chains(log_weights, np.random.default_rng(seed), chains=1, draws=1).kept[0, 0]))
    assert set(starts) == {3, 4}
    assert abs(np.mean(np.array(starts) == 3) - 0.75) < 0.08


def test_expected_acceptance_is_what_a_long_chain_accepts():
    rng = np.random.default_rng(2)
    log_weights = rng.normal(size=STARTS + 50_000)
    chains = run_chains(log_weights, rng, chains=1, draws=50_000)
    assert expect_acceptance(log_weights[:2000]) == pytest.approx(chains.acceptance, abs=0.03)
    assert expect_acceptance(np.full(5, np.nan)) == 0.0
