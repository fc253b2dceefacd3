"""One replication: a truth from the prior, a table from the truth, a fit of the table, the ranks of the truth.

Takes an experiment and a number; the number alone decides every draw, so that replications can run anywhere in any
order. Knows no verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from influbayes.calibration.covariates import TableShape, replace_outcomes, simulate_table
from influbayes.calibration.quantities import (
    LOG_LIKELIHOOD,
    choose_cells,
    measure_log_likelihood,
    measure_parameters,
)
from influbayes.calibration.ranks import PROBS, Interval, choose_thinned, find_interval, rank_truth
from influbayes.calibration.truths import draw_conversions, draw_parameters, find_log_odds
from influbayes.effects.criticism import take_rows
from influbayes.errors import SamplingFailed, UsageError
from influbayes.gate.convergence import judge_certificate
from influbayes.hierarchy.design import Design, FloatArray, IntArray, build_design
from influbayes.hierarchy.posterior import Fit
from influbayes.hierarchy.spec import Specification
from influbayes.inference.engine import Engine, fit_model
from influbayes.tables.posts import PostsTable

MOST_REDRAWS = 1_000
_LONGEST_REASON = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What every replication shares.

    `engine` is a name of `fit_model` or a function with the signature of an engine. `posts` gives the predictors where
    they are not simulated at `shape`. `interval` turns sorted draws and a mass into an interval.
    """

    specification: Specification
    engine: str | Engine = "auto"
    shape: TableShape = field(default_factory=TableShape)
    posts: PostsTable | None = None
    seed: int = 20260101
    draws: int = 1000
    chains: int = 4
    interval: Interval = find_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Replication:
    """What one replication gave.

    `ranks` quantity -> 0 to 99; `covered` quantity -> for each of `PROBS`, whether the interval held the truth.
    `failed` says why there are no draws to rank. `flagged`: the engine's own checks did not pass; its ranks count.
    `redrawn`: truths drawn again because their outcome was constant, which no engine accepts.
    """

    ranks: Mapping[str, int]
    covered: Mapping[str, tuple[bool, ...]]
    engine_used: str | None
    failed: str | None = None
    flagged: bool = False
    redrawn: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """A design with its outcome, and the truth the outcome was drawn from."""

    design: Design
    truth: Mapping[str, FloatArray]
    redrawn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A table of predictors and its design, both with a placeholder outcome."""

    table: PostsTable
    template: Design


def run_replication(experiment: Experiment, number: int, *, prepared: Prepared | None = None) -> Replication:
    """Run replication `number` (from 0) of an experiment.

    Parameters
    ----------
    experiment : Experiment
    number : int
    prepared : Prepared, optional
        Of the table that the experiment gives, where many replications share it.

    Returns
    -------
    Replication
        The same for the same experiment and number, whatever ran before.

    Raises
    ------
    DataRefused
        The table does not fit the specification.
    UsageError
        The engine refuses the settings, or nearly every truth gives a constant outcome.
    """
    table_rng, outcome_rng, rank_rng, fit_rng = spawn_generators(experiment.seed, number)
    ready = prepare_table(experiment, rng=table_rng) if prepared is None else prepared
    simulated = simulate_design(ready, rng=outcome_rng)
    try:
        fit = find_engine(experiment.engine)(
            simulated.design,
            draws=experiment.draws,
            chains=experiment.chains,
            seed=int(fit_rng.integers(2**31)),
            progress=None,
        )
    except (SamplingFailed, ArithmeticError, np.linalg.LinAlgError) as reason:
        return _report_failure(f"{type(reason).__name__}: {reason}", simulated)
    broken = [name for name, values in fit.draws.items() if not np.isfinite(values).all()]
    if broken:
        return _report_failure(f"draws of {', '.join(broken)} are not finite", simulated, fit.run.name_used)
    return _rank_fit(fit, simulated, experiment.interval, rank_rng)


def spawn_generators(seed: int, number: int) -> tuple[np.random.Generator, ...]:
    """Return the four generators of a replication: table, truth and outcome, ties and cells, seed of the fit.

    They are those of `SeedSequence(seed).spawn(n)[number].spawn(4)` for any n.
    """
    child = np.random.SeedSequence(seed, spawn_key=(number,))
    return tuple(np.random.default_rng(stream) for stream in child.spawn(4))


def find_engine(engine: str | Engine) -> Engine:
    """Return the engine of that name, or the function itself."""
    return partial(fit_model, engine=engine) if isinstance(engine, str) else engine


def name_engine(experiment: Experiment) -> str:
    """Return the name of the engine that an experiment is about."""
    engine = experiment.engine
    return engine if isinstance(engine, str) else getattr(engine, "__name__", type(engine).__name__)


def prepare_table(experiment: Experiment, *, rng: np.random.Generator) -> Prepared:
    """Simulate a table, or take the one the experiment gives, and build its design."""
    given, spec = experiment.posts, experiment.specification
    table = simulate_table(spec, experiment.shape, rng=rng) if given is None else given
    alternating = np.minimum(np.arange(len(table.frame)) % 2, table.frame["trials"].to_numpy())
    return Prepared(table=table, template=build_design(replace_outcomes(table, alternating), spec))


def simulate_design(ready: Prepared, *, rng: np.random.Generator) -> Simulated:
    """Draw a truth and its outcome.

    A constant outcome is refused before any fit, so the truth and its outcome are drawn again. That keeps ranks
    uniform, since it depends on the outcome only: the posterior given any outcome that is left is the same.
    """
    table, template = ready.table, ready.template
    trials = table.frame["trials"].to_numpy(np.int64)
    for redrawn in range(MOST_REDRAWS):
        truth = draw_parameters(template, rng=rng)
        conversions = draw_conversions(find_log_odds(template, truth, table.frame), trials, rng=rng)
        if 0 < conversions.sum() < trials.sum():
            return Simulated(design=put_outcome(template, conversions, table), truth=truth, redrawn=redrawn)
    raise UsageError(
        f"{MOST_REDRAWS:,} truths from the priors of {template.specification.name!r} gave tables without both "
        "outcomes. Take more posts, or a prior of the intercept that is nearer to what is seen."
    )


def put_outcome(template: Design, conversions: IntArray, table: PostsTable) -> Design:
    """Return the design of `table` with other conversions (rows, in the table's order).

    The same as building it afresh, in a tenth of the time: only the order of rows alike in every model column depends
    on the outcome.
    """
    place = {line: k for k, line in enumerate(table.frame["line"].tolist())}
    rows = replace(template.rows, conversions=conversions[[place[line] for line in template.lines.tolist()]])
    order = np.lexsort((template.trials, np.asarray(rows.conversions), number_cells(template)))
    return replace(template, rows=take_rows(rows, order), lines=template.lines[order])


def number_cells(design: Design) -> IntArray:
    """Return (rows,) the number of the run of rows alike in every model column, in canonical order."""
    changed = np.zeros(len(design.rows), dtype=np.int64)
    for key in (*design.rows.codes.values(), *design.rows.raw.T):
        changed[1:] |= key[1:] != key[:-1]
    return np.cumsum(changed)


def is_flagged(fit: Fit) -> bool:
    """Tell whether the engine's own checks failed: its certificate, or R-hat, ESS and divergences of the last attempt.

    An engine that reports neither is not flagged.
    """
    if fit.run.certificate is not None:
        judged = judge_certificate(fit.run.certificate, question=fit.design.question)
        return any(diagnostic.status != "pass" for diagnostic in judged)
    if not fit.run.rungs:
        return False
    last = fit.run.rungs[-1]
    converged = last["rhat"] <= 1.01 and last["ess_bulk"] >= 400 and last["ess_tail"] >= 400
    return not (converged and last["divergences"] == 0)


def _report_failure(why: str, simulated: Simulated, engine_used: str | None = None) -> Replication:
    return Replication(
        ranks={}, covered={}, engine_used=engine_used, failed=why[:_LONGEST_REASON], redrawn=simulated.redrawn
    )


def _rank_fit(fit: Fit, simulated: Simulated, interval: Interval, rng: np.random.Generator) -> Replication:
    design, truth = simulated.design, simulated.truth
    chosen = choose_cells(design, rng=rng)
    drawn = {name: values.reshape(-1) for name, values in measure_parameters(design, fit.draws, chosen=chosen).items()}
    true = {name: float(value) for name, value in measure_parameters(design, truth, chosen=chosen).items()}
    places = choose_thinned(fit.draws["intercept"].size)
    ranks = {name: rank_truth(true[name], values[places], rng=rng) for name, values in drawn.items()}
    log_likelihood = measure_log_likelihood(_thin_fit(fit, places), design, truth)
    return Replication(
        ranks=ranks | {LOG_LIKELIHOOD: rank_truth(*log_likelihood, rng=rng)},
        covered={name: _cover(true[name], np.sort(values), interval) for name, values in drawn.items()},
        engine_used=fit.run.name_used,
        flagged=is_flagged(fit),
        redrawn=simulated.redrawn,
    )


def _thin_fit(fit: Fit, places: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Fit:
    """Return the fit with the draws at `places` (over all chains) as one chain."""
    kept = {name: values.reshape(-1, *values.shape[2:])[places][None] for name, values in fit.draws.items()}
    return replace(fit, draws=kept, sample_stats={})


def _cover(truth: float, ordered: FloatArray, interval: Interval) -> tuple[bool, ...]:
    ends = [interval(ordered, prob) for prob in PROBS]
    return tuple(bool(lower <= truth <= upper) for lower, upper in ends)
