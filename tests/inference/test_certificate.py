"""Runs that should not be trusted fail their certificate, over many seeds; a sound run passes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from influbayes.inference.certificate import (
    count_infinite,
    is_certified,
    judge_residuals,
    judge_value,
    judge_weights,
    measure_movement,
    measure_reach,
)
from influbayes.inference.densities import GridDensity, make_grid
from influbayes.inference.expansion import condition
from influbayes.inference.laplace import adapt_proposal, certify, evaluate_target, read_model, run_attempt
from influbayes.inference.plan import make_plan
from influbayes.inference.proposal import Proposal

SEEDS = 100
RUN = {"chains": 4, "draws": 600}


@pytest.fixture(scope="module", params=["scales", "creators", "no scales"])
def sound(request, campaign):
    """A small model and a sound proposal for it."""
    settings = {"scales": {}, "creators": {"creators": 30}, "no scales": {"prior": "1.0"}}[request.param]
    model = read_model(campaign(150, 8, **settings))
    plan = make_plan(model.likelihood, model.prior, np.random.default_rng(1), work=150)
    if "creators" in settings:
        model = replace(model, likelihood=model.likelihood.guided_by(plan.expansions))
    return model, Proposal(prior=model.prior, expansions=plan.expansions, scales=plan.scales, heavy=0.05)


def spoil_expansions(proposal, *, narrow=1.0, moved=0.0, direction=1):
    """Change the Normal of the coefficients along one direction: sd divided by `narrow`, mode moved by `moved` sds."""
    made = proposal.expansions
    given = condition(made, proposal.prior, made.phi)
    curvature, linear = made.curvature.copy(), made.linear.copy()
    for k in range(len(made.mode)):
        total = made.curvature[k] + np.diag(proposal.prior.precision(made.phi[k : k + 1])[0])
        along = np.linalg.inv(total)[:, direction]
        along = along / np.sqrt(along @ total @ along)
        steep = (narrow**2 - 1.0) * np.outer(total @ along, total @ along)
        centre = given.centre[k] + moved * along
        curvature[k] += steep
        linear[k] += steep @ centre + total @ along * moved
    return replace(proposal, expansions=replace(made, curvature=curvature, linear=linear))


def spoil_everywhere(proposal, **changes):
    """Return one spoilt proposal for every direction."""
    directions = range(proposal.expansions.mode.shape[1])
    return [spoil_expansions(proposal, direction=direction, **changes) for direction in directions]


def share_failed(model, *proposals, draws=RUN["draws"]):
    """Return the share of seeds whose certificate fails; the seeds take turns with the proposals."""
    runs = [
        run_attempt(model, proposals[seed % len(proposals)], np.random.default_rng(seed), chains=4, draws=draws)
        for seed in range(SEEDS)
    ]
    return np.mean([not is_certified(run.certificate) for run in runs])


def test_sound_runs_pass(sound):
    assert share_failed(*sound) == 0.0


def test_sd_halved_in_one_direction_fails(sound):
    model, proposal = sound
    # As many draws as a run has by default: with 600 a chain two directions of "creators" passed for 1 seed of 20.
    assert share_failed(model, *spoil_everywhere(proposal, narrow=2.0), draws=1000) == 1.0


def test_wrong_mode_fails(sound):
    model, proposal = sound
    assert share_failed(model, *spoil_everywhere(proposal, moved=3.0)) == 1.0


def test_sd_of_a_log_scale_halved_fails(campaign):
    model = read_model(campaign(400, 8))
    plan = make_plan(model.likelihood, model.prior, np.random.default_rng(1), work=400)
    grid = plan.scales.main
    assert isinstance(grid, GridDensity)
    narrow = make_grid(grid.axes, 4.0 * np.log(np.maximum(grid.density, 1e-300)).ravel())
    proposal = Proposal(
        prior=model.prior, expansions=plan.expansions, scales=replace(plan.scales, main=narrow), heavy=0.05
    )
    assert share_failed(model, proposal) == 1.0


def certify_changed(model, proposal, seed, change):
    """Return the certificate of a run whose coefficients and log scales (S, columns) were changed afterwards."""
    run = run_attempt(model, proposal, np.random.default_rng(seed), chains=4, draws=60)
    numbers = np.hstack((run.proposed.theta, run.proposed.phi))
    change(numbers, seed % numbers.shape[1])
    theta, phi = np.split(numbers, [run.proposed.theta.shape[1]], axis=1)
    return certify(model, proposal, replace(run.proposed, theta=theta, phi=phi), run.log_weights, run.chains)


def test_one_frozen_parameter_fails(sound):
    def freeze(numbers, column):
        numbers[:, column] = 0.1

    made = [certify_changed(*sound, seed, freeze) for seed in range(SEEDS)]
    assert not any(is_certified(one) or one["movement"]["passed"] for one in made)


def test_not_a_number_fails(sound):
    def break_some(numbers, column):
        numbers[::50, column] = np.nan

    made = [certify_changed(*sound, seed, break_some) for seed in range(SEEDS)]
    assert not any(is_certified(one) or one["finite"]["passed"] for one in made)


def test_mode_not_found_fails(sound):
    model, proposal = sound
    lost = replace(proposal, expansions=replace(proposal.expansions, decrement=np.array([0.5])))
    assert share_failed(model, lost, draws=30) == 1.0


def test_too_few_nodes_fail(campaign):
    model = read_model(campaign(120, 8, creators=40, creator_sd=4.0), nodes=21)
    plan = make_plan(model.likelihood, model.prior, np.random.default_rng(1), work=120)
    proposal = Proposal(prior=model.prior, expansions=plan.expansions, scales=plan.scales, heavy=0.5)
    few = replace(model, likelihood=replace(model.likelihood, nodes=3))
    assert share_failed(few, proposal) == 1.0


def test_adaptation_mends_a_narrow_proposal_and_stays_exact(sound):
    model, proposal = sound
    narrow = spoil_expansions(proposal, narrow=2.0)
    first = run_attempt(model, narrow, np.random.default_rng(1), chains=4, draws=1000)
    adapted = adapt_proposal(narrow, first)
    assert adapted is not None
    second = run_attempt(model, adapted, np.random.default_rng(2), chains=4, draws=3000)
    right = run_attempt(model, proposal, np.random.default_rng(3), chains=4, draws=3000)
    kept, expected = second.proposed.theta[second.chains.kept], right.proposed.theta[right.chains.kept]
    sd = expected.std(axis=(0, 1))
    assert (np.abs(kept.mean(axis=(0, 1)) - expected.mean(axis=(0, 1))) / sd < 0.15).all()
    np.testing.assert_allclose(kept.std(axis=(0, 1)) / sd, 1.0, atol=0.12)


def test_proposals_come_with_their_own_density(sound):
    """The mean weight of an arbitrary normalised target is 1: here the proposal with another share of t."""
    model, proposal = sound
    drawn = proposal.draw(np.random.default_rng(1), 20_000)
    z = drawn.residual
    other = replace(proposal, heavy=0.6)
    weights = np.exp(other._log_density_residual(z) - proposal._log_density_residual(z))
    assert weights.mean() == pytest.approx(1.0, abs=0.03)
    assert np.isfinite(evaluate_target(model, drawn)).all()


def test_entries():
    assert judge_value(0.5, 0.4, at_least=True)["passed"] is True
    assert judge_value(0.5, 0.4)["passed"] is False
    assert judge_value(np.nan, 0.4)["passed"] is False
    assert judge_value(np.inf, 0.4, at_least=True)["passed"] is False
    assert not is_certified({})
    assert not is_certified(None)
    assert not is_certified({"a": judge_value(0.1, 1.0), "b": judge_value(np.nan, 1.0)})


def test_even_weights_are_judged_by_their_variance_and_others_by_k():
    rng = np.random.default_rng(1)
    assert judge_weights(0.01 * rng.normal(size=2000)) == {
        "log_weight_variance": pytest.approx({"value": 1e-4, "threshold": 0.05, "passed": True}, rel=0.2)
    }
    assert judge_weights(np.zeros(2000))["log_weight_variance"]["passed"] is True
    assert judge_weights(1.5 * rng.exponential(size=2000))["pareto_k"]["passed"] is False
    assert judge_weights(np.append(rng.normal(size=2000), np.nan))["pareto_k"]["passed"] is False


def test_measures():
    rng = np.random.default_rng(1)
    z = rng.normal(size=(4000, 3))
    assert judge_residuals(z)["value"] == pytest.approx(1.0, abs=0.1)
    assert measure_reach(2.0 * z, z) == pytest.approx(2.0, abs=0.15)
    assert np.isnan(measure_reach(np.full((5, 2), np.nan), z[:, :2]))
    assert measure_movement(np.zeros((4, 100, 2))) == pytest.approx(0.01)
    assert measure_movement(z[:, 0].reshape(4, 1000, 1)) == 1.0
    assert np.isnan(measure_movement(np.full((4, 10, 1), np.nan)))
    assert count_infinite(np.array([1.0, np.nan]), np.array([np.inf])) == 2.0
