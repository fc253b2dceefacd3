"""Simulation-based calibration of any specification and engine: many replications, one record.

Takes an experiment and numbers of replications; gives a `CalibrationRecord`. Spreads replications over processes; the
record is the same for any number of them. Method: Talts, Betancourt, Simpson, Vehtari and Gelman (2018),
arXiv:1804.06788, with a data-dependent quantity after Modrák et al. (2023), doi:10.1214/23-BA1404.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from influbayes.calibration.covariates import check_shape
from influbayes.calibration.decision import ALPHA, FRESH_ALPHA, MOST_BAD, Failure, count_figures, find_failures
from influbayes.calibration.digests import digest_code, digest_spec
from influbayes.calibration.journal import Journal, open_journal
from influbayes.calibration.ranks import choose_thinned
from influbayes.calibration.record import CalibrationRecord, Stage
from influbayes.calibration.replication import (
    Experiment,
    Replication,
    name_engine,
    prepare_table,
    run_replication,
    simulate_design,
    spawn_generators,
)
from influbayes.errors import Interrupted, UsageError
from influbayes.inference.nuts import Progress

FRESH = 1000
_CHUNKS, _LARGEST_CHUNK = 25, 50
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_PACKAGES = ("influbayes", "numpy", "scipy", "pandas", "numba", "nutpie", "pymc")


def calibrate_engine(
    experiment: Experiment,
    *,
    replications: int = 1000,
    fresh: int = FRESH,
    workers: int = 1,
    journal: Path | None = None,
    progress: Progress | None = None,
) -> CalibrationRecord:
    """Check by simulation that what an engine says about a specification is true as often as it says.

    Each replication draws a truth from the specification's own prior, an outcome from the truth, fits it, and ranks
    the truth among 99 thinned draws. Uniform ranks, and intervals that hold the truth as often as they state, are what
    a right engine gives. A failure among the first replications (probability of a false alarm 0.01 over all tests) is
    decided by `fresh` ones, which test what failed at 0.001. More than 2 % of fits that fail or are flagged fail too.

    Parameters
    ----------
    experiment : Experiment
        Specification, engine, tables, seed, draws and chains.
    replications : int
        First replications, at least 10.
    fresh : int
        Replications that decide a failure, at least 10.
    workers : int
        Processes. More than one needs an engine that can be pickled: a name, or a function of a module.
    journal : Path, optional
        File to which finished replications are added and from which they are taken, if the experiment and the code are
        the same: a calibration that was stopped goes on where it was.
    progress : callable, optional
        Called with a text and the share done (0 to 1).

    Returns
    -------
    CalibrationRecord
        The same for the same experiment and numbers of replications, whatever `workers`.

    Raises
    ------
    UsageError
        A number is too small, or the engine refuses the settings.
    DataRefused
        The tables do not fit the specification.
    Interrupted
        Ctrl-C.
    """
    _check_numbers(experiment, replications, fresh, workers)
    code = digest_code(name_engine(experiment))  # of the code that runs, whatever becomes of the files meanwhile
    with _open_runner(experiment, workers, journal) as run:
        first = _make_stage(experiment, run(range(replications), progress), alpha=ALPHA)
        again = None
        if first.failures:
            numbers = range(replications, replications + fresh)
            again = _make_stage(experiment, run(numbers, progress), alpha=FRESH_ALPHA, among=first.failures)
    return _make_record(experiment, first, again, code=code)


def _check_numbers(experiment: Experiment, replications: int, fresh: int, workers: int) -> None:
    """Refuse what cannot work before any time is spent; simulating one table shows a misfit at once."""
    if min(replications, fresh) < 10:
        raise UsageError(f"{min(replications, fresh)} replications say nothing. Take 10 or more; 1000 is the default.")
    if workers < 1:
        raise UsageError(f"{workers} workers cannot work. Give 1 or more.")
    if experiment.seed < 0:
        raise UsageError(f"Seed {experiment.seed} is below 0. Give a whole number from 0.")
    choose_thinned(experiment.draws * experiment.chains)
    if experiment.posts is None:
        check_shape(experiment.shape)
    table_rng, outcome_rng, *_ = spawn_generators(experiment.seed, 0)
    simulate_design(prepare_table(experiment, rng=table_rng), rng=outcome_rng)


# --- running ---------------------------------------------------------------------------------------------------------


class _Runner:
    """Runs numbered replications, here or in a pool, and gives them in order."""

    def __init__(
        self, experiment: Experiment, pool: ProcessPoolExecutor | None, workers: int, journal: Journal | None
    ) -> None:
        self.experiment, self.pool, self.workers, self.journal = experiment, pool, workers, journal

    def __call__(self, numbers: range, progress: Progress | None) -> list[Replication]:
        done = {} if self.journal is None else self.journal.read()
        done = {number: one for number, one in done.items() if number in numbers}
        missing = [number for number in numbers if number not in done]
        size = max(1, min(_LARGEST_CHUNK, len(missing) // (_CHUNKS * self.workers)))
        chunks = [missing[at : at + size] for at in range(0, len(missing), size)]
        for chunk, found in zip(chunks, self._iterate_chunks(chunks), strict=True):
            if self.journal is not None:
                self.journal.append(chunk, found)
            done |= dict(zip(chunk, found, strict=True))
            if progress is not None:
                progress(f"replication {len(done):,} of {len(numbers):,}", len(done) / len(numbers))
        return [done[number] for number in numbers]

    def _iterate_chunks(self, chunks: Sequence[Sequence[int]]) -> Iterator[list[Replication]]:
        if self.pool is None:
            yield from (_run_chunk(self.experiment, chunk) for chunk in chunks)
            return
        futures: list[Future[list[Replication]]] = [
            self.pool.submit(_run_chunk, self.experiment, chunk) for chunk in chunks
        ]
        yield from (future.result() for future in futures)


@contextmanager
def _open_runner(experiment: Experiment, workers: int, journal: Path | None) -> Iterator[_Runner]:
    """Give a runner; on any exit nothing that waits is begun and the pool is closed."""
    kept = None if journal is None else open_journal(journal, experiment)
    if workers == 1:
        try:
            yield _Runner(experiment, None, 1, kept)
        except KeyboardInterrupt as stop:
            raise Interrupted("Stopped while calibrating; nothing was written.") from stop
        return
    with _one_thread_each():
        # Processes start afresh: a forked copy of a process with threads may hang.
        pool = ProcessPoolExecutor(max_workers=workers, mp_context=multiprocessing.get_context("spawn"))
        try:
            yield _Runner(experiment, pool, workers, kept)
        except KeyboardInterrupt as stop:
            raise Interrupted("Stopped while calibrating; nothing was written.") from stop
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let processes started meanwhile use one thread each; more of them would only wait for one another."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update({name: "1" for name, value in before.items() if value is None})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)


def _run_chunk(experiment: Experiment, numbers: Sequence[int]) -> list[Replication]:
    if experiment.posts is None:
        return [run_replication(experiment, number) for number in numbers]
    ready = prepare_table(experiment, rng=np.random.default_rng(0))
    return [run_replication(experiment, number, prepared=ready) for number in numbers]


# --- judging ---------------------------------------------------------------------------------------------------------


def _make_stage(
    experiment: Experiment, done: Sequence[Replication], *, alpha: float, among: tuple[Failure, ...] | None = None
) -> Stage:
    figures = count_figures(done, draws=experiment.draws * experiment.chains)
    return Stage(
        replications=len(done),
        alpha=alpha,
        engines=dict(sorted(Counter(one.engine_used for one in done if one.engine_used is not None).items())),
        failed=dict(sorted(Counter(one.failed for one in done if one.failed is not None).items())),
        flagged=sum(one.flagged for one in done),
        redrawn=sum(one.redrawn for one in done),
        figures=figures,
        failures=find_failures(figures, alpha=alpha, among=among),
    )


def _make_record(experiment: Experiment, first: Stage, fresh: Stage | None, *, code: str) -> CalibrationRecord:
    spec = experiment.specification
    stages = (first,) if fresh is None else (first, fresh)
    wrong = (*(words for stage in stages for words in _say_bad_fits(stage)), *_say_failures(fresh))
    return CalibrationRecord(
        status="failed" if wrong else "calibrated",
        because=wrong or _say_passed(first, fresh),
        model=spec.name,
        title=spec.title,
        engine=name_engine(experiment),
        draws=experiment.draws,
        chains=experiment.chains,
        seed=experiment.seed,
        table=_describe_table(experiment),
        first=first,
        fresh=fresh,
        specification_digest=digest_spec(spec),
        code_digest=code,
        versions=_list_versions(),
    )


def _say_bad_fits(stage: Stage) -> tuple[str, ...]:
    if stage.bad <= MOST_BAD * stage.replications:
        return ()
    return (
        f"{stage.bad:,} of {stage.replications:,} fits failed or did not pass the engine's own checks; "
        f"at most {MOST_BAD:.0%} may.",
    )


def _say_failures(fresh: Stage | None) -> tuple[str, ...]:
    failures = () if fresh is None else fresh.failures
    return tuple(
        f"{one.quantity}: {one.test} failed, and failed again in {fresh.replications:,} fresh replications "
        f"(adjusted p-value {one.adjusted:.2g})."
        for one in failures
        if fresh is not None
    )


def _say_passed(first: Stage, fresh: Stage | None) -> tuple[str, ...]:
    count = f"{len(first.figures)} quantities over {first.replications:,} replications"
    if fresh is None:
        return (f"Ranks and coverage of {count} lie within their bands.",)
    names = ", ".join(dict.fromkeys(one.quantity for one in first.failures))
    return (
        f"{count}: {names} left the bands once, but not in {fresh.replications:,} fresh replications, so by chance.",
    )


def _describe_table(experiment: Experiment) -> str:
    if experiment.posts is not None:
        return f"predictors of {experiment.posts.file}, {experiment.posts.rows_used:,} rows"
    shape = experiment.shape
    size = f"{shape.fewest:,}" if shape.fewest == shape.most else f"{shape.fewest:,} to {shape.most:,}"
    creators = "one creator for every five posts, at least 12"
    return f"simulated, {size} posts, {creators if shape.creators is None else f'{shape.creators:,} creators'}"


def _list_versions() -> Mapping[str, str]:
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
