"""Entry of `influbayes calibrate`: simulation-based calibration of a specification and an engine, as a record.

Takes command-line words; makes a folder with record.json, the specification and two pictures, whole or not at all.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from influbayes.entry.running import WITHHELD, run_entry
from influbayes.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from influbayes.calibration.record import CalibrationRecord, Stage
    from influbayes.calibration.replication import Experiment
    from influbayes.reporting.run_folder import RunPlace

_PROGRESS_SECONDS = 5.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run `influbayes calibrate` and return its exit code.

    0 calibrated; 1 a defect of ours; 2 the call is off; 3 the specification or its tables are refused; 4 not
    calibrated (the record is written); 5 the folder is taken or could not be written; 130 interrupted.
    """
    return run_entry(_build_parser(), argv, work=lambda arguments, _: _calibrate(arguments))


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="influbayes calibrate",
        description=(
            "Check an engine by simulation: draw truths from the model's own priors, simulate posts from them, fit, "
            "and see whether intervals hold the truth as often as they say."
        ),
    )
    parser.add_argument("--model", default="conversion", metavar="NAME|FILE", help="specification (default conversion)")
    parser.add_argument("--engine", default="auto", metavar="NAME", help="engine as for fit (default auto)")
    parser.add_argument("--replications", type=int, default=1000, metavar="N", help="fits (default 1000)")
    parser.add_argument("--posts", default="30-500", metavar="N", help="posts a table, N or LOW-HIGH (default 30-500)")
    parser.add_argument("--creators", type=int, metavar="N", help="creators a table (default one for five posts)")
    parser.add_argument(
        "--seed", type=int, default=20260101, metavar="S", help="whole number from 0 (default 20260101)"
    )
    parser.add_argument("--draws", type=int, default=1000, metavar="N", help="draws a chain, 4 chains (default 1000)")
    parser.add_argument(
        "--journal", type=Path, metavar="FILE", help="keep finished fits here, and go on from those kept before"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to make (default runs/calibration-MODEL)")
    parser.add_argument("--workers", type=int, metavar="K", help="processes (default: the cores there are)")
    return parser


def _calibrate(arguments: argparse.Namespace) -> int:
    """Calibrate and write; return the exit code."""
    experiment = _make_experiment(arguments)
    workers = _count_cores() if arguments.workers is None else arguments.workers
    from influbayes.calibration.calibrator import calibrate_engine
    from influbayes.reporting.run_folder import reserve_run, say_published

    start = time.monotonic()
    with reserve_run(arguments.out, name=f"calibration-{experiment.specification.name}") as place:
        record = calibrate_engine(
            experiment,
            replications=arguments.replications,
            workers=workers,
            journal=arguments.journal,
            progress=_report_progress(start),
        )
        written = _publish(record, experiment, place)
    try:
        print(_describe(record, time.monotonic() - start))
        print(f"Wrote {written}")
    except KeyboardInterrupt as reason:
        raise Interrupted(say_published(written)) from reason
    return 0 if record.status == "calibrated" else WITHHELD


def _make_experiment(arguments: argparse.Namespace) -> Experiment:
    from influbayes.calibration.covariates import TableShape
    from influbayes.calibration.replication import Experiment
    from influbayes.hierarchy.spec import load_spec
    from influbayes.inference.engine import check_settings

    fewest, most = _read_sizes(arguments.posts)
    experiment = Experiment(
        specification=load_spec(arguments.model),
        engine=arguments.engine,
        shape=TableShape(fewest=fewest, most=most, creators=arguments.creators),
        seed=arguments.seed,
        draws=arguments.draws,
    )
    check_settings(engine=arguments.engine, draws=experiment.draws, chains=experiment.chains, seed=experiment.seed)
    return experiment


def _read_sizes(text: str) -> tuple[int, int]:
    """Return the fewest and most posts of "120" or "30-500"."""
    low, dash, high = text.partition("-")
    if not low.strip().isdecimal() or (dash and not high.strip().isdecimal()):
        raise UsageError(f"--posts {text!r} is no number of posts. Write one number, or two: --posts 30-500.")
    return int(low), int(high) if dash else int(low)


def _count_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _report_progress(start: float) -> Callable[[str, float], None]:
    """Return a function that prints plain lines, at most one every few seconds."""
    last = start

    def report(text: str, share: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _PROGRESS_SECONDS or share >= 1:
            last = now
            print(f"{text}, {now - start:.0f} s", file=sys.stderr, flush=True)

    return report


def _publish(record: CalibrationRecord, experiment: Experiment, place: RunPlace) -> Path:
    from influbayes.calibration.plots import draw_coverage, draw_ecdf
    from influbayes.calibration.record import render_record
    from influbayes.hierarchy.spec import render_spec
    from influbayes.reporting.run_folder import publish_run

    files: dict[str, bytes] = {
        "record.json": render_record(record).encode("utf-8"),
        "spec.toml": render_spec(experiment.specification).encode("utf-8"),
    }
    if record.first.figures:
        files |= {"plots/ecdf.png": draw_ecdf(record), "plots/coverage.png": draw_coverage(record)}
    facts = {"study": "calibration", "status": record.status, "seed": record.seed, "versions": dict(record.versions)}
    return publish_run(place, dict(files), facts=facts)


def _describe(record: CalibrationRecord, seconds: float) -> str:
    verdict = "Calibrated" if record.status == "calibrated" else "NOT calibrated"
    lines = [f"{verdict}: {record.model} with engine {record.engine} ({record.table})."]
    lines += [f"  {sentence}" for sentence in record.because]
    lines += [_describe_coverage(record.first), _describe_fits(record.first, seconds)]
    return "\n".join(line for line in lines if line)


def _describe_coverage(stage: Stage) -> str:
    """Say how often the 90 % intervals of all quantities held the truth."""
    held = [one for figures in stage.figures for one in figures.coverage if one.prob == 0.9]
    total = sum(figures.replications for figures in stage.figures if figures.coverage)
    return (
        f"  90 % intervals held the truth {sum(one.covered for one in held) / total:.1%} of the time." if total else ""
    )


def _describe_fits(stage: Stage, seconds: float) -> str:
    engines = ", ".join(f"{count:,} by {name}" for name, count in stage.engines.items()) or "none"
    return f"  Fits: {engines}; {stage.bad:,} failed or flagged; {seconds:.0f} s in all."


if __name__ == "__main__":
    sys.exit(main())
