"""Entry of the returns study: `python -m influbayes.roas DIR` reads a ledger, estimates returns and writes a report.

Takes command-line words; makes a run folder and one screen of text. Knows exit codes; computes nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from influbayes.entry.options import check_prob, list_pairs, refuse_idle, refuse_idle_overwrite, split_pairs
from influbayes.entry.running import run_entry, run_study
from influbayes.errors import UsageError

if TYPE_CHECKING:
    from influbayes.returns.filters import LedgerFilter
    from influbayes.returns.incremental import GroupSizes
    from influbayes.tables.ledger import Ledger

SAMPLE = "ledger"
FILTERS = ("influencer", "platform", "category", "gender", "type", "product", "campaign", "source")


def main(argv: Sequence[str] | None = None) -> int:
    """Run `influbayes roas` and return its exit code.

    0 fine; 1 a defect of ours; 2 the call is off; 3 data refused; 4 everything is withheld; 5 could not write, or the
    folder exists; 130 interrupted.
    """
    return run_entry(build_parser(), argv, work=lambda arguments, command: run_roas(arguments, command=command))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of `influbayes roas`; starting it imports nothing heavy."""
    parser = argparse.ArgumentParser(
        prog="influbayes roas",
        description="What influencers return on what they were paid, and how sure is that? Reads a folder with "
        "influencers.csv, posts.csv, tracking_data.csv and payouts.csv, and writes a report.",
        epilog="Exit codes: 0 fine, 1 a defect of ours, 2 wrong call, 3 data refused, 4 all conclusions withheld, 5 "
        "could not write, 130 interrupted.",
    )
    add = parser.add_argument
    add("folder", nargs="?", metavar="DIR", help="folder with the four tables; without it the bundled sample")
    add("--out", metavar="DIR", help="run folder to make (default: runs/NAME, then runs/NAME-2, ...)")
    add("--filter", action="append", default=[], metavar="NAME=VALUE", help=f"{', '.join(FILTERS)}; repeatable")
    add("--from", dest="start", metavar="DAY", help="first day of orders, year-month-day")
    add("--to", dest="end", metavar="DAY", help="last day of orders, year-month-day")
    add("--after-first-post", action="store_true", help="leave orders before an influencer's first post out")
    add("--payout", choices=("by-orders", "whole"), help="what becomes of payouts when orders are filtered")
    add("--exposed-users", type=int, metavar="N", help="exposed users in all, where the ledger holds buyers only")
    add("--control-users", type=int, metavar="N", help="control users in all, where the ledger holds buyers only")
    add("--best", type=int, default=5, metavar="K", help="k of 'truly among the best k' (default: 5)")
    add("--draws", type=int, default=4000, metavar="N", help="posterior draws (default: 4000)")
    add("--seed", type=int, default=20260101, metavar="S", help="same seed, same numbers (default: 20260101)")
    add("--prob", type=float, default=0.9, metavar="P", help="mass of the credible intervals (default: 0.9)")
    add("--map", action="append", default=[], metavar="TABLE.COLUMN=theirs", help="name of a column; repeatable")
    add("--overwrite", action="store_true", help="replace an earlier run in --out")
    add("--quiet", action="store_true", help="print nothing but problems")
    return parser


def run_roas(arguments: argparse.Namespace, *, command: str) -> int:
    """Do what the arguments say; return 0, or 4 where everything is withheld."""
    from influbayes.reporting.returns_terminal import print_returns

    check_prob(arguments.prob)
    chosen, sizes = _read_filter(arguments), _read_sizes(arguments)
    _refuse_idle(arguments, chosen)
    return run_study(
        lambda progress: _analyse(arguments, chosen, sizes, command, progress),
        quiet=arguments.quiet,
        print_screen=print_returns,
    )


def _refuse_idle(arguments: argparse.Namespace, chosen: LedgerFilter) -> None:
    refuse_idle_overwrite(overwrite=arguments.overwrite, out=arguments.out)
    if not chosen.cuts_orders:
        refuse_idle(
            {"--payout": arguments.payout},
            where="where no orders are left out",
            remedy="Add --from, --to, --after-first-post or --filter by product, campaign or source",
        )


def _analyse(
    arguments: argparse.Namespace, chosen: LedgerFilter, sizes: GroupSizes | None, command: str, progress: Any
) -> tuple[dict[str, Any], Path]:
    """Read, reserve the folder, estimate, publish; return the results and the folder."""
    from influbayes.pipeline_ledger import analyse_ledger, make_returns_files
    from influbayes.reporting.results import list_facts
    from influbayes.reporting.run_folder import publish_run, reserve_run

    progress("reading the ledger", 0.0)
    ledger = _read(arguments)
    with reserve_run(arguments.out, name=f"returns-{ledger.folder}", overwrite=arguments.overwrite) as place:
        progress("estimating returns", 0.0)
        returns, results = analyse_ledger(
            ledger,
            chosen,
            prob=arguments.prob,
            draws=arguments.draws,
            best=arguments.best,
            seed=arguments.seed,
            sizes=sizes,
            command=command,
        )
        progress("writing the report", 0.0)
        return results, publish_run(place, make_returns_files(returns, results), facts=list_facts(results))


def _read(arguments: argparse.Namespace) -> Ledger:
    """Return the checked ledger; without a folder that of the bundled sample."""
    from influbayes.tables.ledger import read_ledger

    mapping = split_pairs(arguments.map, "--map")
    if arguments.folder is not None:
        return read_ledger(arguments.folder, mapping=mapping)
    from importlib.resources import as_file, files

    with as_file(files("influbayes.data").joinpath(SAMPLE)) as path:
        return read_ledger(path, mapping=mapping, is_sample=True)


def _read_filter(arguments: argparse.Namespace) -> LedgerFilter:
    from influbayes.returns.filters import LedgerFilter

    chosen: dict[str, list[str]] = {}
    for name, value in list_pairs(arguments.filter, "--filter"):
        if name not in FILTERS:
            raise UsageError(f"--filter {name}: there is no such filter. There are: {', '.join(FILTERS)}.")
        chosen.setdefault(name, []).append(value)
    values: Any = {name: tuple(found) for name, found in chosen.items()}
    return LedgerFilter(
        **values,
        start=_read_day(arguments.start, "--from"),
        end=_read_day(arguments.end, "--to"),
        after_first_post=arguments.after_first_post,
        payout=arguments.payout,
    )


def _read_day(text: str | None, option: str) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as reason:
        raise UsageError(f"{option} {text!r}: write the day as 2026-04-03.") from reason


def _read_sizes(arguments: argparse.Namespace) -> GroupSizes | None:
    given = (arguments.exposed_users, arguments.control_users)
    if given == (None, None):
        return None
    if None in given:
        raise UsageError("Give both --exposed-users and --control-users, or neither.")
    from influbayes.returns.incremental import GroupSizes

    return GroupSizes(exposed=given[0], control=given[1])


if __name__ == "__main__":
    sys.exit(main())
