"""Entry of the attribution study: `python -m influbayes.attribute sessions.csv` shares out credit and writes a report.

Takes command-line words; makes a run folder and one screen of text. Knows exit codes; computes nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from influbayes.entry.options import check_prob, refuse_idle, refuse_idle_overwrite, split_pairs
from influbayes.entry.running import run_entry, run_study
from influbayes.errors import UsageError

if TYPE_CHECKING:
    from influbayes.pipeline_sessions import SessionSettings
    from influbayes.tables.sessions import SessionsTable

SAMPLE, SAMPLE_TRUTH = "sessions.csv", "sessions_truth.toml"


def main(argv: Sequence[str] | None = None) -> int:
    """Run `influbayes attribute` and return its exit code.

    0 fine; 1 a defect of ours; 2 the call is off; 3 data or specification refused; 4 the sampler failed; 5 could not
    write, or the folder exists; 130 interrupted.
    """
    return run_entry(build_parser(), argv, work=lambda arguments, command: run_attribute(arguments, command=command))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of `influbayes attribute`; starting it imports nothing heavy."""
    parser = argparse.ArgumentParser(
        prog="influbayes attribute",
        description="Which channels stood on the way to a sign-up, by every rule, and how sure is that? Reads a table "
        "of sessions, shares out credit, fits a sign-up model, tries a baseline and writes a report.",
        epilog="Exit codes: 0 fine, 1 a defect of ours, 2 wrong call, 3 data or specification refused, 4 the sampler "
        "failed, 5 could not write, 130 interrupted.",
    )
    add = parser.add_argument
    add("sessions", nargs="?", metavar="SESSIONS", help="CSV or TSV file of sessions; without it the bundled sample")
    add(
        "--model",
        default="signup",
        metavar="NAME|FILE|none",
        help="sign-up model (default: signup); none leaves it out",
    )
    add("--baseline", default="auto", choices=("auto", "none"), help="models on held-out users (default: auto)")
    add("--out", metavar="DIR", help="run folder to make (default: runs/NAME, then runs/NAME-2, ...)")
    add("--lookback", type=float, default=90.0, metavar="DAYS", help="touches longer ago do not count (default: 90)")
    add("--half-life", type=float, default=7.0, metavar="DAYS", help="of time decay (default: 7)")
    add("--position", default="0.4,0.4", metavar="FIRST,LAST", help="shares of first and last touch (default: 0.4,0.4)")
    add("--direct", action="append", default=[], metavar="CHANNEL", help="counts as direct; repeatable")
    add("--order", type=int, default=1, metavar="K", help="memory of the Markov chain, in touches (default: 1)")
    add("--sign-ups", default="first", choices=("first", "each"), help="the first of a user, or each (default: first)")
    add("--truth", metavar="FILE", help="TOML with [incremental]: sign-ups each channel caused, from an experiment")
    add("--replicates", type=int, default=200, metavar="N", help="bootstrap replicates over users (default: 200)")
    add(
        "--engine",
        choices=("auto", "laplace", "nuts"),
        help="sampler of the sign-up model (default: auto)",
    )
    add("--draws", type=int, metavar="N", help="draws a chain (default: 1000)")
    add("--chains", type=int, metavar="N", help="chains, at least 4 (default: 4)")
    add("--seed", type=int, default=20260101, metavar="S", help="same seed, same numbers (default: 20260101)")
    add("--prob", type=float, default=0.9, metavar="P", help="mass of the intervals (default: 0.9)")
    add("--map", action="append", default=[], metavar="Column=theirs", help="name of a column in SESSIONS; repeatable")
    add("--overwrite", action="store_true", help="replace an earlier run in --out")
    add("--quiet", action="store_true", help="print nothing but problems")
    return parser


def run_attribute(arguments: argparse.Namespace, *, command: str) -> int:
    """Do what the arguments say; return 0, or 4 where everything is withheld."""
    from influbayes.inference.engine import check_settings
    from influbayes.reporting.credit_screen import print_credit_screen

    _refuse_idle(arguments)
    check_prob(arguments.prob)
    settings, mapping = _read_settings(arguments), split_pairs(arguments.map, "--map")
    check_settings(engine=settings.engine, draws=settings.draws, chains=settings.chains, seed=settings.seed)
    return run_study(
        lambda progress: _analyse(arguments, settings, mapping, command, progress),
        quiet=arguments.quiet,
        print_screen=print_credit_screen,
    )


def _refuse_idle(arguments: argparse.Namespace) -> None:
    refuse_idle_overwrite(overwrite=arguments.overwrite, out=arguments.out)
    if arguments.model == "none":
        given = {"--engine": arguments.engine, "--draws": arguments.draws, "--chains": arguments.chains}
        refuse_idle(given, where="with --model none", remedy="Name a sign-up model with --model")


def _analyse(
    arguments: argparse.Namespace,
    settings: SessionSettings,
    mapping: dict[str, str],
    command: str,
    progress: Any,
) -> tuple[dict[str, Any], Path]:
    """Read, reserve the folder, analyse, publish; return the results and the folder."""
    from influbayes.hierarchy.spec import load_spec
    from influbayes.pipeline_sessions import analyse_sessions, make_credit_files
    from influbayes.reporting.credit_results import collect_credit_results, list_credit_facts
    from influbayes.reporting.run_folder import publish_run, reserve_run
    from influbayes.tables.query import redact_secrets

    progress("reading the sessions", 0.0)
    spec = load_spec("signup" if arguments.model == "none" else arguments.model)
    sessions, truth, source = _read(arguments, mapping)
    _check_direct(arguments.direct, sessions)
    name = Path(sessions.file).stem or "run"
    with reserve_run(arguments.out, name=name, overwrite=arguments.overwrite, needed_bytes=5_000_000) as place:
        analysis = analyse_sessions(
            sessions,
            spec,
            settings=settings,
            truth=truth,
            truth_source=source,
            command=redact_secrets(command),
            progress=progress,
        )
        progress("writing the report", 0.0)
        results = collect_credit_results(analysis)
        files = make_credit_files(analysis, results)
        return results, publish_run(place, files, facts=list_credit_facts(results))


def _read(arguments: argparse.Namespace, mapping: dict[str, str]) -> tuple[SessionsTable, dict[str, float] | None, str]:
    """Return the checked sessions and, where it is known, what each channel caused."""
    from importlib.resources import as_file, files

    from influbayes.attribution.truth import load_truth
    from influbayes.tables.session_reader import read_sessions

    truth, source = None, "the truth given with --truth"
    if arguments.truth is not None:
        truth = load_truth(arguments.truth)
    if arguments.sessions is not None:
        return read_sessions(arguments.sessions, mapping=mapping), truth, source
    bundled = files("influbayes.data")
    with as_file(bundled.joinpath(SAMPLE)) as table, as_file(bundled.joinpath(SAMPLE_TRUTH)) as beside:
        sessions = replace(read_sessions(table, mapping=mapping), is_sample=True)
        if truth is None:
            truth, source = load_truth(beside), "the simulation's truth"
    return sessions, truth, source


def _check_direct(direct: list[str], sessions: SessionsTable) -> None:
    """Refuse a direct channel that no session names: it would change nothing."""
    from influbayes.tables.sessions import CHANNEL

    known = sorted(sessions.frame[CHANNEL].unique())
    absent = [name for name in direct if name not in known]
    if absent:
        raise UsageError(f"--direct {absent[0]}: no session has this channel. There are: {', '.join(known)}.")


def _read_settings(arguments: argparse.Namespace) -> SessionSettings:
    from influbayes.attribution.rules import RuleOptions
    from influbayes.pipeline_sessions import SessionSettings

    first, last = _split_position(arguments.position)
    options = RuleOptions(
        half_life_hours=24 * arguments.half_life,
        first_share=first,
        last_share=last,
        direct=frozenset(arguments.direct) if arguments.direct else None,
        markov_order=arguments.order,
    )
    return SessionSettings(
        options=options,
        lookback_days=arguments.lookback,
        sign_ups=arguments.sign_ups,
        replicates=arguments.replicates,
        prob=arguments.prob,
        seed=arguments.seed,
        signup=arguments.model != "none",
        baseline=arguments.baseline != "none",
        engine=arguments.engine or "auto",
        draws=1000 if arguments.draws is None else arguments.draws,
        chains=4 if arguments.chains is None else arguments.chains,
    )


def _split_position(text: str) -> tuple[float, float]:
    try:
        first, last = (float(part) for part in text.split(","))
    except ValueError as reason:
        raise UsageError(f"--position {text!r}: write two shares, for example --position 0.4,0.4.") from reason
    return first, last


if __name__ == "__main__":
    sys.exit(main())
