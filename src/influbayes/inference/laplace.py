"""Draws by independence Metropolis with a nested-Laplace proposal: exact, without compiling and without PyMC.

Takes a design, gives a `Fit`. Where a `sample` factor has more than ten levels, the largest is integrated out by
quadrature and its effects are drawn afterwards from their exact conditionals. Nothing is judged here but the engine's
own certificate; an uncertified run is returned all the same, and whoever called decides.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from influbayes.hierarchy.coding import Coding, code_design, decode, dims_of
from influbayes.hierarchy.design import Design, FloatArray
from influbayes.hierarchy.posterior import EngineRun, Fit
from influbayes.inference import certificate as judging
from influbayes.inference.certificate import Certificate, is_certified
from influbayes.inference.densities import StudentMixture, factorise
from influbayes.inference.expansion import condition, evaluate_marginal
from influbayes.inference.likelihood import DenseLikelihood, hold_blas, read_dense
from influbayes.inference.metropolis import STARTS, Chains, expect_acceptance, run_chains
from influbayes.inference.plan import Plan, make_plan
from influbayes.inference.proposal import Proposal, Proposed, correct_residuals
from influbayes.inference.quadrature import NODES, PopulationLikelihood, read_population
from influbayes.inference.scales import Prior, collect_priors, find_grouped

__all__ = ["is_certified", "sample_laplace"]

Progress = Callable[[str, float], None]

FEWEST_LEVELS = 10
PILOT = 200
HEAVY_SHARES = (0.05, 0.5)
LEAST_PILOT_ACCEPTANCE = 0.6
GOOD_PILOT_ACCEPTANCE = 0.8
CORRECTION_PILOT = 1000
CORRECTION_BUDGET = 60_000
JOINT_SHARE = 0.5
CHECKED_DRAWS = 16
PLANNED_NODES = 11
"""Nodes with which the proposal is made; where the chain needs more, so does the proposal."""
EARLY_QUADRATURE_SD = 0.01
"""Stricter than the certificate, so that a run is not made in vain."""
THINNING = ((1, 0.97), (2, 0.8), (3, 0.7), (4, 0.6), (6, 0.5))
MOST_THINNING = 8
THINNING_BUDGET = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A design as the engine sees it: coding, priors and likelihood, and the log scale fixed for the population."""

    design: Design
    coding: Coding
    prior: Prior
    likelihood: DenseLikelihood | PopulationLikelihood


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One run of the chain: proposals, their log weights and log target, the states, and the certificate."""

    proposed: Proposed
    log_weights: FloatArray
    log_target: FloatArray
    chains: Chains
    certificate: Certificate
    heavy: float
    thin: int
    adapted: bool


def sample_laplace(
    design: Design, *, draws: int = 1000, chains: int = 4, seed: int = 20260101, progress: Progress | None = None
) -> Fit:
    """Draw from the posterior of a design by independence Metropolis.

    Parameters
    ----------
    design : Design
    draws, chains : int
        Draws per chain and number of chains.
    seed : int
        Same seed, table and versions give the same draws, whatever the number of threads.
    progress : callable, optional
        Called with a text and the share done (0 to 1).

    Returns
    -------
    Fit
        Variables as `dims_of(design)`; `sample_stats` accepted (0/1), log_weight and lp, each (chain, draw).
        `run.certificate` says whether the draws may be used (`is_certified`); every attempt is a rung.
    """
    start = time.perf_counter()
    with hold_blas():
        named, attempts = _sample(design, draws=draws, chains=chains, seed=seed, progress=progress)
    best = attempts[-1]
    certificate = {**best.certificate, "finite": judging.judge_value(judging.count_infinite(*named.values()), 0.0)}
    run = EngineRun(
        name_asked="laplace",
        name_used="laplace",
        why="asked for",
        draws=draws,
        chains=chains,
        seed=seed,
        seconds=time.perf_counter() - start,
        rungs=tuple(_describe(attempt) for attempt in attempts),
        certificate=certificate,
    )
    return Fit(design=design, draws=named, sample_stats=_collect_statistics(best), run=run)


def _sample(
    design: Design, *, draws: int, chains: int, seed: int, progress: Progress | None
) -> tuple[dict[str, FloatArray], list[Attempt]]:
    """Return the draws by variable and all attempts; more nodes of quadrature where the fewer are not enough."""
    rng = np.random.default_rng(seed)
    attempts: list[Attempt] = []
    model, plan = _prepare(design, rng, nodes=PLANNED_NODES, progress=progress)
    for nodes in NODES:
        if nodes > PLANNED_NODES and isinstance(model.likelihood, PopulationLikelihood):
            model, plan = _prepare(design, rng, nodes=nodes, progress=progress)
        model = _use_nodes(model, nodes)
        pilot = pick_proposal(model, plan, rng)
        if nodes != NODES[-1] and not pilot.quadrature <= EARLY_QUADRATURE_SD:
            continue
        attempts += _attempt_twice(model, pilot, rng, chains=chains, draws=draws, progress=progress)
        if not _needs_nodes(attempts[-1]):
            break
    _tell(progress, "drawing effects", 0.9)
    return name_draws(model, attempts[-1], rng), attempts


def read_model(design: Design, *, nodes: int = NODES[0]) -> Model:
    """Code a design; the `sample` factor with the most levels is integrated out if it has more than ten."""
    counts = {term.column: len(design.levels[term.column]) for term in design.factors if term.levels == "sample"}
    largest = max(counts, key=lambda column: counts[column], default=None)
    grouped = (largest,) if largest is not None and counts[largest] > FEWEST_LEVELS else ()
    coding = code_design(design, grouped=grouped)
    prior = collect_priors(design, coding)
    if not grouped:
        return Model(design=design, coding=coding, prior=prior, likelihood=read_dense(design, coding))
    term = find_grouped(design, coding)
    fixed = None if term is None else term.scale
    likelihood = read_population(design, coding, axis=prior.population, fixed_scale=fixed, nodes=nodes)
    return Model(design=design, coding=coding, prior=prior, likelihood=likelihood)


def _prepare(design: Design, rng: np.random.Generator, *, nodes: int, progress: Progress | None) -> tuple[Model, Plan]:
    """Read the rows and find where the posterior is; a population's likelihood is told where its levels' modes are."""
    _tell(progress, "finding the posterior", 0.0)
    model = read_model(design, nodes=nodes)
    plan = make_plan(model.likelihood, model.prior, rng, work=len(model.likelihood.X))
    if isinstance(model.likelihood, PopulationLikelihood):
        model = replace(model, likelihood=model.likelihood.guided_by(plan.expansions))
    return model, plan


def _use_nodes(model: Model, nodes: int) -> Model:
    if isinstance(model.likelihood, PopulationLikelihood):
        return replace(model, likelihood=replace(model.likelihood, nodes=nodes))
    return model


@dataclass(frozen=True, slots=True, kw_only=True)
class Pilot:
    """What 200 proposals say: the proposal with its tails chosen, proposals a kept draw, the error of quadrature."""

    proposal: Proposal
    thin: int
    quadrature: float


def pick_proposal(model: Model, plan: Plan, rng: np.random.Generator) -> Pilot:
    """Choose the tails, heavy where a pilot of 200 accepts fewer than 60 %, and how many proposals to make a draw."""
    plain = Proposal(prior=model.prior, expansions=plan.expansions, scales=plan.scales, heavy=HEAVY_SHARES[0])
    drawn, log_weights = _pilot(model, plain, rng, PILOT)
    expected = expect_acceptance(log_weights)
    proposal = plain if expected >= LEAST_PILOT_ACCEPTANCE else replace(plain, heavy=HEAVY_SHARES[1])
    if expected < GOOD_PILOT_ACCEPTANCE and measure_cost(model.likelihood) <= CORRECTION_BUDGET:
        proposal, expected = correct_proposal(model, plain, proposal, rng)
    return Pilot(
        proposal=proposal,
        thin=choose_thinning(expected, model.likelihood),
        quadrature=_check_quadrature(model, drawn, log_weights),
    )


def correct_proposal(
    model: Model, plain: Proposal, chosen: Proposal, rng: np.random.Generator
) -> tuple[Proposal, float]:
    """Put right where residuals lie and how far they spread, if that is better; return the acceptance to expect."""
    wide = replace(plain, heavy=HEAVY_SHARES[1])
    learnt = _pilot(model, wide, rng, CORRECTION_PILOT)
    corrected = correct_residuals(wide, learnt[0].residual, learnt[1])
    candidates = [chosen] if corrected is None else [chosen, corrected, replace(corrected, heavy=HEAVY_SHARES[0])]
    rates = [expect_acceptance(_pilot(model, one, rng, 2 * PILOT)[1]) for one in candidates]
    best = int(np.argmax(rates))
    return candidates[best], rates[best]


def _pilot(model: Model, proposal: Proposal, rng: np.random.Generator, count: int) -> tuple[Proposed, FloatArray]:
    drawn = proposal.draw(rng, count)
    return drawn, evaluate_target(model, drawn) - drawn.log_density


def measure_cost(likelihood: DenseLikelihood | PopulationLikelihood) -> int:
    """Return the cost of one evaluation of the likelihood, in rows."""
    return len(likelihood.X) * (likelihood.nodes if isinstance(likelihood, PopulationLikelihood) else 1)


def choose_thinning(acceptance: float, likelihood: DenseLikelihood | PopulationLikelihood) -> int:
    """Return how many proposals to make for every draw kept: more where few are accepted, if the rows allow it."""
    wanted = next((count for count, enough in THINNING if acceptance >= enough), MOST_THINNING)
    return max(1, min(wanted, THINNING_BUDGET // measure_cost(likelihood)))


def _check_quadrature(model: Model, drawn: Proposed, log_weights: FloatArray) -> float:
    """Return the error of quadrature at those of the pilot's proposals that weigh most; 0 without quadrature."""
    if not isinstance(model.likelihood, PopulationLikelihood):
        return 0.0
    heaviest = np.argsort(-np.where(np.isfinite(log_weights), log_weights, -np.inf), kind="stable")[:CHECKED_DRAWS]
    return model.likelihood.compare_nodes(drawn.theta[heaviest], drawn.phi[heaviest])


def _attempt_twice(
    model: Model, pilot: Pilot, rng: np.random.Generator, *, chains: int, draws: int, progress: Progress | None
) -> list[Attempt]:
    """Run the chain; where its certificate fails, once more with what the first run learnt."""
    _tell(progress, "drawing", 0.2)
    first = run_attempt(model, pilot.proposal, rng, chains=chains, draws=draws, thin=pilot.thin)
    if is_certified(first.certificate) or _needs_nodes(first):
        return [first]
    adapted = adapt_proposal(pilot.proposal, first)
    if adapted is None:
        return [first]
    _tell(progress, "drawing again", 0.6)
    return [first, run_attempt(model, adapted, rng, chains=chains, draws=draws, thin=pilot.thin)]


def evaluate_target(model: Model, proposed: Proposed) -> FloatArray:
    """Return the log posterior density (S,) up to a constant, in coefficients and log scales."""
    theta, phi = proposed.theta, proposed.phi
    total = model.likelihood.evaluate(theta, phi) + model.prior.log_density_coefficients(theta, phi)
    return np.asarray(total + model.prior.log_density_scales(phi))


def run_attempt(
    model: Model, proposal: Proposal, rng: np.random.Generator, *, chains: int, draws: int, thin: int = 1
) -> Attempt:
    """Propose, weigh, run the chains, keep every `thin`-th state and certify."""
    proposed = proposal.draw(rng, chains * (STARTS + thin * draws))
    log_target = evaluate_target(model, proposed)
    log_weights = log_target - proposed.log_density
    states = run_chains(log_weights, rng, chains=chains, draws=draws, thin=thin)
    return Attempt(
        proposed=proposed,
        log_weights=log_weights,
        log_target=log_target,
        chains=states,
        certificate=certify(model, proposal, proposed, log_weights, states),
        heavy=proposal.heavy,
        thin=thin,
        adapted=proposal.joint is not None,
    )


def certify(
    model: Model, proposal: Proposal, proposed: Proposed, log_weights: FloatArray, states: Chains
) -> dict[str, Mapping[str, Any]]:
    """Collect the certificate of a run."""
    kept = np.concatenate((proposed.theta, proposed.phi), axis=1)[states.kept]
    flat = states.kept.ravel()
    infinite = judging.count_infinite(kept, log_weights[flat]) + float(np.isnan(log_weights).sum())
    entries: dict[str, Mapping[str, Any]] = {
        "acceptance": judging.judge_value(states.acceptance, judging.MIN_ACCEPTANCE, at_least=True),
        **judging.judge_weights(log_weights),
        "finite": judging.judge_value(infinite, 0.0),
        "movement": judging.judge_value(judging.measure_movement(kept), judging.MIN_MOVEMENT, at_least=True),
        "reach": judging.judge_value(
            judging.measure_reach(kept.reshape(flat.size, -1), np.hstack((proposed.theta, proposed.phi))),
            judging.MAX_REACH,
        ),
        "mode_found": judging.judge_value(_measure_gain(proposal), judging.MAX_NEWTON_GAIN),
        "condition": judging.judge_value(_measure_condition(proposal, proposed.phi[flat[:1]]), judging.MAX_CONDITION),
    }
    if proposal.joint is None:
        entries["misfit"] = judging.judge_residuals(proposed.residual[flat])
    if isinstance(model.likelihood, PopulationLikelihood):
        some = flat[np.linspace(0, len(flat) - 1, CHECKED_DRAWS).round().astype(int)]
        change = model.likelihood.compare_nodes(proposed.theta[some], proposed.phi[some])
        entries["quadrature"] = judging.judge_value(change, judging.MAX_QUADRATURE_SD)
    return entries


def _measure_gain(proposal: Proposal) -> float:
    """Return what another Newton step promises at the worst point, times the marginal there against the highest."""
    made = proposal.expansions
    value = evaluate_marginal(made, proposal.prior, made.phi)
    return float(np.max(made.decrement * np.exp(value - value.max())))


def _measure_condition(proposal: Proposal, phi: FloatArray) -> float:
    factor = condition(proposal.expansions, proposal.prior, phi).factor[0]
    return float(np.linalg.cond(factor) ** 2)


def _needs_nodes(attempt: Attempt) -> bool:
    entry = attempt.certificate.get("quadrature")
    return entry is not None and not entry["passed"]


def adapt_proposal(proposal: Proposal, attempt: Attempt) -> Proposal | None:
    """Add a t with the weighted mean and covariance of a run; None where its weights allow none."""
    points = np.hstack((attempt.proposed.theta, attempt.proposed.phi))
    usable = np.isfinite(attempt.log_weights) & np.isfinite(points).all(axis=1)
    if usable.sum() <= 2 * points.shape[1]:
        return None
    log_weights, points = attempt.log_weights[usable], points[usable]
    weights = np.exp(np.minimum(log_weights, np.quantile(log_weights, 0.999)) - log_weights.max())
    weights /= weights.sum()
    mean = weights @ points
    spread = (points - mean).T @ ((points - mean) * weights[:, None])
    size = len(mean)
    spread += 1e-9 * np.trace(spread) / size * np.eye(size)
    joint = StudentMixture(weights=np.ones(1), centres=mean[None], roots=factorise(spread)[None])
    return replace(proposal, joint=joint, joint_share=JOINT_SHARE, heavy=HEAVY_SHARES[1])


def name_draws(model: Model, attempt: Attempt, rng: np.random.Generator) -> dict[str, FloatArray]:
    """Return the states as named variables (chain, draw, *dims), the population's effects drawn afresh."""
    kept = attempt.chains.kept
    theta, phi = attempt.proposed.theta[kept], attempt.proposed.phi[kept]
    named = decode(model.coding, theta)
    named |= {name: np.exp(phi[..., k]) for k, name in enumerate(model.prior.names)}
    if isinstance(model.likelihood, PopulationLikelihood):
        effects = model.likelihood.draw_effects(theta.reshape(-1, theta.shape[-1]), phi.reshape(kept.size, -1), rng)
        named[f"effect_{model.coding.grouped[0]}"] = effects.reshape(*kept.shape, -1)
    return {name: np.ascontiguousarray(named[name]) for name in dims_of(model.design)}


def _collect_statistics(attempt: Attempt) -> dict[str, FloatArray]:
    kept = attempt.chains.kept
    return {
        "accepted": attempt.chains.accepted.astype(np.float64),
        "log_weight": attempt.log_weights[kept],
        "lp": attempt.log_target[kept],
    }


def _describe(attempt: Attempt) -> Mapping[str, Any]:
    return {
        "heavy_share": attempt.heavy,
        "proposals_a_draw": attempt.thin,
        "adapted": attempt.adapted,
        **{name: entry["value"] for name, entry in attempt.certificate.items()},
    }


def _tell(progress: Progress | None, text: str, share: float) -> None:
    if progress is not None:
        progress(text, share)
