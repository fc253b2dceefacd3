"""The order of the runs: every opponent between two runs of influbayes, so that both meet the same noise.

Takes sizes, programs and limits; makes one row (a dict) a run, and says in a row where a program was not run. Compile
caches live in the scratch folder: the first run of a compiling program finds none ("cold"), later sizes are compiled
by a short run first and then timed ("warm").
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from comparison.answers import Answer, UnreadableAnswer, judge_accuracy, read_answer
from comparison.processes import Cost, run_program
from comparison.programs import OURS, PROGRAMS, Program, build_command

Row = dict[str, Any]
Summary = Mapping[str, tuple[float, float]]
References = Mapping[str | None, tuple[Summary, str]]  # by the family of the scale priors: summary and engine
REFERENCE_DRAWS = 10_000  # a chain; four chains
REFERENCE_SEED = 2  # not the seed of the measured runs
COLD_LIMIT = 600.0  # seconds: compiling is paid once, and says nothing of larger tables
SIMULATE = (
    "import sys; from influbayes.tables.simulate import render_posts_csv, simulate_posts; "
    "posts, creators, seed = map(int, sys.argv[2:]); "
    "open(sys.argv[1], 'wb').write("
    "render_posts_csv(simulate_posts(posts=posts, creators=creators, seed=seed)).encode())"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be run: sizes (posts, creators), programs, limit in seconds, cores, seed, references, patience."""

    sizes: Sequence[tuple[int, int]]
    programs: Sequence[str]
    limit: float
    cores: int
    seed: int
    nuts_reference_up_to: int
    cold: bool
    scratch: Path
    say: Callable[[str], None]
    times: dict[tuple[str, bool], list[tuple[int, float]]] = field(default_factory=dict)


def run_plan(plan: Plan) -> Iterator[Row]:
    """Yield one row after the other: influbayes, a program, influbayes, the next program, and so on for every size."""
    for posts, creators in plan.sizes:
        data = write_table(plan, posts, creators)
        references = {
            prior: run_reference(plan, data, posts, creators, prior)
            for prior in sorted({PROGRAMS[name].prior for name in (OURS, *plan.programs)}, key=str)
        }
        base = {"posts": posts, "creators": creators}
        *cold, before = run_ours(plan, data, base, references)
        yield from (*cold, before)
        for name in plan.programs:
            for row in run_opponent(plan, PROGRAMS[name], data, base, references):
                if "fit_seconds" not in row:
                    yield row
                    continue
                after = measure(plan, PROGRAMS[OURS], data, base, "warm", references)
                yield row | {"ours_beside": [pick_speed(before), pick_speed(after)]}
                yield after
                before = after


def run_ours(plan: Plan, data: Path, base: Row, references: References) -> list[Row]:
    """Return the first row of influbayes at a size, after one with an empty cache where this kind of model is new."""
    kind = plan.scratch / f"compiled_{bool(base['creators'])}"
    first = not kind.exists()
    kind.touch()
    return [measure(plan, PROGRAMS[OURS], data, base, cache, references) for cache in ("cold", "warm")[not first :]]


def write_table(plan: Plan, posts: int, creators: int) -> Path:
    """Simulate one table in a process of its own: memory of the caller would count into that of the programs."""
    path = plan.scratch / f"posts_{posts}_{creators}.csv"
    words = [str(path), str(posts), str(creators or max(1, posts // 7)), str(plan.seed)]
    subprocess.run([sys.executable, "-c", SIMULATE, *words], check=True)
    return path


def run_reference(plan: Plan, data: Path, posts: int, creators: int, prior: str | None) -> tuple[Summary, str]:
    """Return mean and sd of every quantity from 40,000 draws, and the engine that drew them."""
    engine = "nuts" if posts <= plan.nuts_reference_up_to and prior is None else "laplace"
    plan.say(f"reference of {posts:,} posts, {creators:,} creators: {engine}, {prior or 'half_normal'} scales")
    out = _make_folder(plan.scratch / "reference")
    command = build_command(PROGRAMS[f"influbayes-{engine}"], data, creators, out, cores=plan.cores)
    command += ["--draws", str(REFERENCE_DRAWS), "--seed", str(REFERENCE_SEED)]
    command += ["--prior", prior] if prior else []
    environment = build_environment(plan.cores, plan.scratch / "cache_reference")
    cost = run_program(command, environment=environment, limit=3600, scratch=out)
    if cost.code != 0:
        raise RuntimeError(f"the reference run failed: {cost.said}")
    return read_answer(out).summary, engine


def run_opponent(plan: Plan, program: Program, data: Path, base: Row, references: References) -> Iterator[Row]:
    """Yield the rows of one program at one size: cold and warm where it compiles, or why it was not run."""
    posts, creators = base["posts"], base["creators"]
    expected = expect_seconds(plan.times, program.name, posts, creators > 0)
    if expected > plan.limit:
        yield base | {"program": program.name, "not_run": explain_skip(plan, program.name, posts, creators > 0)}
        return
    if not program.compiles:
        yield measure(plan, program, data, base, "none", references)
        return
    first = not _cache_of(plan, program).exists()
    if first and plan.cold:
        yield measure(plan, program, data, base, "cold", references)
    else:
        _compile(plan, program, data, creators)
    yield measure(plan, program, data, base, "warm", references)


def _compile(plan: Plan, program: Program, data: Path, creators: int) -> None:
    """Fill the compile cache for this size with a run of few draws, which is not timed."""
    out = _make_folder(plan.scratch / "compiled")
    command = build_command(program, data, creators, out, cores=plan.cores)
    few = ["--draws", "100" if program.package == "influbayes" else "10"]
    environment = build_environment(plan.cores, _cache_of(plan, program))
    run_program([*command, *few], environment=environment, limit=COLD_LIMIT, scratch=out)


def measure(plan: Plan, program: Program, data: Path, base: Row, cache: str, references: References) -> Row:
    """Run a program once and return its row."""
    summary, engine = references[program.prior]
    row = base | {"program": program.name, "cache": cache, "reference": engine}
    out = _make_folder(plan.scratch / "answer")
    command = build_command(program, data, base["creators"], out, cores=plan.cores)
    environment = build_environment(plan.cores, _cache_of(plan, program))
    limit = plan.limit if cache != "cold" else max(plan.limit, COLD_LIMIT)
    cost = run_program(command, environment=environment, limit=limit, scratch=out)
    row |= {"started": time.strftime("%H:%M:%S"), **describe_cost(cost)}
    times = plan.times.setdefault((program.name, base["creators"] > 0), [])
    if cost.stopped:
        row["failed"] = f"stopped {cost.stopped}"
        if cache != "cold":
            times.append((base["posts"], float("inf")))
    elif cost.code != 0:
        row["failed"] = f"exit code {cost.code}: {(cost.said.strip().splitlines() or ['nothing said'])[-1]}"
    else:
        row |= _judge(out, summary)
        if cache != "cold" and "fit_seconds" in row:
            times.append((base["posts"], row["fit_seconds"]))
    plan.say(say_row(row))
    return row


def _judge(out: Path, reference: Summary) -> Row:
    try:
        answer = read_answer(out)
        return {**describe_answer(answer), **judge_accuracy(answer.summary, reference)}
    except UnreadableAnswer as reason:
        return {"failed": str(reason)}


def describe_cost(cost: Cost) -> Row:
    """Return the cost of a whole process under the names of a row."""
    return {
        "whole_seconds": cost.whole_seconds,
        "whole_cpu_seconds": cost.cpu_seconds,
        "peak_megabytes": cost.peak_megabytes,
    }


def describe_answer(answer: Answer) -> Row:
    """Return figures, effective sample sizes and their rates under the names of a row."""
    row: Row = {**answer.figures, "worst_ess": answer.worst_ess, "worst_parameter": answer.worst_parameter}
    row["shared_ess"] = answer.shared_ess
    if answer.worst_ess is not None:
        row["ess_per_second"] = answer.worst_ess / row["fit_seconds"]
        if row.get("fit_cpu_seconds"):
            row["ess_per_cpu_second"] = answer.worst_ess / row["fit_cpu_seconds"]
    return row


def pick_speed(row: Row) -> Row:
    """Return what a neighbouring run of influbayes is needed for."""
    return {key: row[key] for key in ("fit_seconds", "fit_cpu_seconds", "worst_ess") if key in row}


def expect_seconds(
    times: Mapping[tuple[str, bool], Sequence[tuple[int, float]]], program: str, posts: int, creators: bool
) -> float:
    """Return the fitting seconds that linear growth from the last two sizes would give; 0 where nothing is known.

    From a single size: in proportion to the posts. Without a run of this kind of model, that of the other kind. A
    program stopped at some size is expected to be stopped at that size and above; below, the stop says nothing.
    """
    known = times.get((program, creators)) or times.get((program, not creators)) or []
    if any(seconds == float("inf") and size <= posts for size, seconds in known):
        return float("inf")
    sizes = {size: seconds for size, seconds in sorted(known) if seconds < float("inf")}  # the last time of each size
    if not sizes:
        return 0.0
    *_, last = sizes
    if len(sizes) == 1 or last >= posts:
        return sizes[last] * max(1.0, posts / last)
    earlier = list(sizes)[-2]
    growth = max(0.0, (sizes[last] - sizes[earlier]) / (last - earlier))
    return sizes[last] + growth * (posts - last)


def explain_skip(plan: Plan, program: str, posts: int, creators: bool) -> str:
    """Return from which size on a program was not run, with its last measured time."""
    known = plan.times.get((program, creators)) or plan.times[(program, not creators)]
    stopped = [size for size, seconds in known if seconds == float("inf") and size <= posts]
    if stopped:
        return f"not run: stopped at {min(stopped):,} posts"
    last, seconds = max((size, seconds) for size, seconds in known if seconds < float("inf"))
    return f"not run: {seconds:.3g} s at {last:,} posts, expected above {plan.limit:.0f} s"


def build_environment(cores: int, cache: Path) -> dict[str, str]:
    """Return the environment of a run: its own compile cache, BLAS on one thread, kernels on the cores asked for.

    Programs that run chains side by side would otherwise start more threads than there are cores.
    """
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {
        **os.environ,
        **single,
        "NUMBA_NUM_THREADS": str(cores),
        "NUMBA_CACHE_DIR": str(cache / "numba"),
        "PYTENSOR_FLAGS": f"base_compiledir={cache}",
        "MPLBACKEND": "Agg",
    }


def say_row(row: Row) -> str:
    """Return one line for the screen."""
    head = f"{row['posts']:>9,} posts {row['creators']:>6,} creators  {row['program']:<18} {row['cache']:<4} "
    if "failed" in row:
        return head + row["failed"]
    ess = f"ESS {row['worst_ess']:7,.0f}" if row["worst_ess"] is not None else " " * 11
    return head + (
        f"fit {row['fit_seconds']:8.3g} s  whole {row['whole_seconds']:8.3g} s  cpu {row['whole_cpu_seconds']:8.3g} s  "
        f"{ess}  shift {row['worst_shift']:.2f} sd ({row['worst_shift_of']})"
    )


def _cache_of(plan: Plan, program: Program) -> Path:
    return plan.scratch / f"cache_{program.name}"


def _make_folder(path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    return path
