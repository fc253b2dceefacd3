"""Entry of the conversion study: `python -m influbayes.fit posts.csv` reads, fits, checks and writes a report.

Takes command-line words; makes a run folder and one screen of text. Knows exit codes; computes nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from influbayes.entry.options import check_prob, refuse_idle, refuse_idle_overwrite, split_pairs
from influbayes.entry.running import run_entry, run_study
from influbayes.errors import UsageError

if TYPE_CHECKING:
    from influbayes.hierarchy.spec import Specification
    from influbayes.tables.posts import PostsTable

SAMPLE = "posts.csv"
ENGINES = ("auto", "laplace", "nuts")
"""As `inference.engine.list_engines` gives them, without importing it for --help (a test compares them)."""
WINDOW_DAYS = 7
_BYTES_A_NUMBER = 8


def main(argv: Sequence[str] | None = None) -> int:
    """Run `influbayes fit` and return its exit code.

    0 fine; 1 a defect of ours; 2 the call is off; 3 data or specification refused; 4 the sampler or its checks failed,
    everything is withheld; 5 could not write, or the folder exists; 130 interrupted.
    """
    return run_entry(build_parser(), argv, work=lambda arguments, command: run_fit(arguments, command=command))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of `influbayes fit`; starting it imports nothing heavy."""
    parser = argparse.ArgumentParser(
        prog="influbayes fit",
        description="Which tiers, regions and creators bring purchases, and how sure is that? Reads a table of posts, "
        "fits a hierarchical logistic model, checks itself and writes a report.",
        epilog="Exit codes: 0 fine, 1 a defect of ours, 2 wrong call, 3 data or specification refused, 4 all "
        "conclusions withheld, 5 could not write, 130 interrupted.",
    )
    add = parser.add_argument
    add(
        "posts",
        nargs="?",
        metavar="POSTS",
        help="CSV, TSV, Parquet or XLSX file of posts, or sql:FILE::SELECT ...; without it the bundled sample",
    )
    add("--model", default="auto", metavar="auto|NAME|FILE", help="specification: auto (default), shipped name or file")
    add(
        "--ledger", metavar="DIR", help="build the posts from a folder of influencers, posts, tracking_data and payouts"
    )
    add(
        "--window-days",
        type=int,
        metavar="N",
        help="with --ledger: days an order counts for the post before it (default: 7)",
    )
    add("--out", metavar="DIR", help="run folder to make (default: runs/NAME, then runs/NAME-2, ...)")
    add(
        "--engine",
        default="auto",
        choices=ENGINES,
        help="sampler: auto (default) is laplace where it certifies itself, else nuts",
    )
    add("--draws", type=int, default=1000, metavar="N", help="draws a chain (default: 1000)")
    add("--chains", type=int, default=4, metavar="N", help="chains, at least 4 (default: 4)")
    add("--seed", type=int, default=20260101, metavar="S", help="same seed, same numbers (default: 20260101)")
    add("--reference", action="append", default=[], metavar="Column=LEVEL", help="level to compare with; repeatable")
    add("--prob", type=float, default=0.9, metavar="P", help="mass of the credible intervals (default: 0.9)")
    add("--map", action="append", default=[], metavar="Column=theirs", help="name of a column in POSTS; repeatable")
    add("--fees", metavar="FILE", help="fee of a post by tier and region (CSV), instead of the column Fee")
    add("--value-per-conversion", metavar="X|TIER=X,...", help="money per conversion, in the currency of the fees")
    add("--value-per-purchase", type=float, metavar="X", help="money per purchase, with a column Purchases")
    add(
        "--mix",
        metavar="REGION=SHARE,...",
        help="planned shares of the regions, scaled to sum to 1: tiers compared there",
    )
    add("--threshold", type=float, metavar="R", help="odds ratio above 1: 1/R to R counts as practically equal")
    add("--cross-validate", action="store_true", help="also compare models by exact folds of whole creators (slow)")
    add("--overwrite", action="store_true", help="replace an earlier run in --out")
    add("--quiet", action="store_true", help="print nothing but problems")
    return parser


def run_fit(arguments: argparse.Namespace, *, command: str) -> int:
    """Do what the arguments say; return 0, or 4 where everything is withheld."""
    from influbayes.inference.engine import check_settings
    from influbayes.reporting.terminal import print_screen

    _refuse_idle(arguments)
    check_prob(arguments.prob)
    check_settings(engine=arguments.engine, draws=arguments.draws, chains=arguments.chains, seed=arguments.seed)
    _check_choices(arguments)
    references, mapping = split_pairs(arguments.reference, "--reference"), split_pairs(arguments.map, "--map")
    return run_study(
        lambda progress: _analyse(arguments, references, mapping, command, progress),
        quiet=arguments.quiet,
        print_screen=print_screen,
    )


def _refuse_idle(arguments: argparse.Namespace) -> None:
    refuse_idle_overwrite(overwrite=arguments.overwrite, out=arguments.out)
    if arguments.ledger is None:
        refuse_idle(
            {"--window-days": arguments.window_days}, where="without --ledger", remedy="Add the folder: --ledger DIR"
        )


def _analyse(
    arguments: argparse.Namespace, references: dict[str, str], mapping: dict[str, str], command: str, progress: Any
) -> tuple[dict[str, Any], Path]:
    """Read, reserve the folder, fit, publish; return the results and the folder."""
    from influbayes.pipeline import (
        Settings,
        add_choices,
        analyse_posts,
        build_designs,
        draw_model,
        find_quick_refit,
        make_files,
    )
    from influbayes.reporting.ahead import work_ahead
    from influbayes.reporting.results import collect_results, list_facts
    from influbayes.reporting.run_folder import publish_run, reserve_run
    from influbayes.tables.query import redact_secrets

    shown = redact_secrets(command)
    progress("reading the posts", 0.0)
    posts, spec, choice = _read(arguments, references, mapping)
    build_designs(posts, spec)  # what cannot be fitted is refused before any folder is made
    request = _read_request(arguments, posts, spec)
    settings = Settings(
        engine=arguments.engine,
        draws=arguments.draws,
        chains=arguments.chains,
        seed=arguments.seed,
        prob=arguments.prob,
    )
    name = Path(posts.file).stem or "run"
    needed = _BYTES_A_NUMBER * arguments.draws * arguments.chains * 200
    with (
        reserve_run(arguments.out, name=name, overwrite=arguments.overwrite, needed_bytes=needed) as place,
        work_ahead(place) as ahead,
    ):
        analysis = analyse_posts(
            posts, spec, choice=choice, settings=settings, command=shown, progress=progress, ahead=ahead
        )
        progress("comparing what can be bought", 0.0)
        analysis = add_choices(analysis, request, refit=find_quick_refit(analysis, settings), ahead=ahead)
        progress("writing the report", 0.0)
        results = collect_results(analysis, mermaid=draw_model(analysis), created=_now())
        return results, publish_run(place, make_files(analysis, results, ahead=ahead), facts=list_facts(results))


def _read(
    arguments: argparse.Namespace, references: dict[str, str], mapping: dict[str, str]
) -> tuple[PostsTable, Specification, str]:
    """Return the checked table, the specification with its references, and why it was taken."""
    from influbayes.hierarchy.spec import choose_spec, load_spec, replace_references, required_columns, say_asked
    from influbayes.tables.reader import read_posts

    if arguments.ledger is not None:
        return _read_ledger(arguments, references, mapping)
    asked = None if arguments.model == "auto" else load_spec(arguments.model)
    columns = None if asked is None else required_columns(asked)
    if arguments.posts is None:
        with _open_sample() as path:
            posts = replace(read_posts(path, columns=columns, mapping=mapping), is_sample=True)
    else:
        posts = read_posts(arguments.posts, columns=columns, mapping=mapping)
    spec, choice = (asked, say_asked(asked, posts)) if asked else choose_spec(posts)
    return posts, replace_references(spec, references) if references else spec, choice


def _read_ledger(
    arguments: argparse.Namespace, references: dict[str, str], mapping: dict[str, str]
) -> tuple[PostsTable, Specification, str]:
    """Return posts built from a ledger, and the specification for them."""
    from influbayes.hierarchy.spec import load_spec, replace_references
    from influbayes.tables.ledger import read_ledger
    from influbayes.tables.ledger_posts import build_posts

    if arguments.posts is not None:
        raise UsageError("Give either POSTS or --ledger DIR, not both.")
    days = WINDOW_DAYS if arguments.window_days is None else arguments.window_days
    posts = build_posts(read_ledger(arguments.ledger, mapping=mapping), days)
    asked = arguments.model != "auto"
    spec = load_spec(arguments.model if asked else "conversion_ledger")
    choice = f"{spec.name}: " + ("asked for with --model." if asked else "the posts were built from a ledger.")
    return posts, replace_references(spec, references) if references else spec, choice


def _check_choices(arguments: argparse.Namespace) -> None:
    """Refuse a wrong threshold or value before anything is fitted."""
    from influbayes.decisions.options import parse_shares, parse_values
    from influbayes.effects.equivalence import check_threshold

    if arguments.threshold is not None:
        check_threshold(arguments.threshold)
    if arguments.value_per_conversion is not None:
        parse_values(arguments.value_per_conversion)
    if arguments.mix is not None:
        parse_shares(arguments.mix)
    if arguments.cross_validate and arguments.engine == "nuts":
        raise UsageError(
            "--cross-validate fits every model many times, and --engine nuts is too slow for that. Leave out either."
        )


def _read_request(arguments: argparse.Namespace, posts: PostsTable, spec: Specification) -> Any:
    """Return what was given on the command line about buying, checked against the levels in the table."""
    from influbayes.decisions.options import parse_values
    from influbayes.decisions.study import Request
    from influbayes.decisions.values import check_values
    from influbayes.effects.model_comparison import CREATORS, FOLDS
    from influbayes.tables.fee_table import read_cell_table

    factors = [term.column for term in spec.factors if term.levels == "all" and posts.frame[term.column].nunique() > 1]
    levels = {name: tuple(sorted(posts.frame[name].unique())) for name in factors[:2]}
    fees, text = None, arguments.value_per_conversion
    if not factors:
        refuse_idle(
            {
                "--fees": arguments.fees,
                "--value-per-conversion": text,
                "--value-per-purchase": arguments.value_per_purchase,
            },
            where=f"with the model {spec.name}: it has no label column of two or more levels, such as tier, to compare",
            remedy="Choose a --model that has one",
        )
    if arguments.fees is not None:
        fees = read_cell_table(arguments.fees, levels=levels, amounts=["Fee"], complete=True).columns["Fee"]
    values = None if text is None else parse_values(text)
    if isinstance(values, dict) and set(values) != set(levels[factors[0]]):
        named, known = ", ".join(sorted(values)), ", ".join(levels[factors[0]])
        raise UsageError(f"--value-per-conversion names {named}; give one amount for each of {known}.")
    check_values(per_conversion=text, per_purchase=arguments.value_per_purchase, columns=list(posts.frame.columns))
    if arguments.cross_validate and CREATORS not in posts.frame:
        raise UsageError(
            f"--cross-validate keeps the posts of a creator together: {posts.file} has no {CREATORS}. Add the column, "
            f"name yours with --map {CREATORS}=NAME, or leave --cross-validate out."
        )
    return Request(
        fees=fees,
        values=values,
        per_purchase=arguments.value_per_purchase,
        threshold=arguments.threshold,
        mix=None if arguments.mix is None else _read_mix(arguments.mix, levels),
        folds=FOLDS if arguments.cross_validate else None,
    )


def _read_mix(text: str, levels: Mapping[str, tuple[str, ...]]) -> Mapping[str, float]:
    """Return planned shares of the second label column; refuse those of levels that the table does not have."""
    from influbayes.decisions.options import parse_shares

    shares = parse_shares(text)
    if len(levels) < 2:
        raise UsageError(
            f"--mix {text!r}: the model has no second label column, such as region, to spread posts over. "
            "Leave --mix out."
        )
    _, (factor, known) = levels.items()
    unknown = [label for label in shares if label not in known]
    if unknown:
        raise UsageError(
            f"--mix {text!r}: {', '.join(unknown)} is no level of {factor} in the posts. It has {', '.join(known)}."
        )
    return shares


def _open_sample() -> Any:
    """Return a context manager giving the path of the bundled sample."""
    from importlib.resources import as_file, files

    return as_file(files("influbayes.data").joinpath(SAMPLE))


def _now() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).isoformat(timespec="seconds")


if __name__ == "__main__":
    sys.exit(main())
