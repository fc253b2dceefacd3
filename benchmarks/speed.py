"""How long the same posterior takes with influbayes and with other programs: the same tables, one model, one run.

Every program is a process of its own over the same simulated table, timed from inside (table in memory to draws) and
from outside (start to written answer), between two runs of influbayes, so that both meet the same noise. A short time
for a wrong posterior is worth nothing, so each is compared with 40,000 draws of a reference, scales included. Programs
that are not installed are named and left out; a program expected to pass the limit is not run, and that is said.

    python benchmarks/speed.py                                  # minutes: 1,000 to 100,000 posts, limit 60 s
    python benchmarks/speed.py --full                           # an hour or two: to a million posts, limit 300 s
    python benchmarks/speed.py --sizes 2000 20000:1000 --programs bambi-nutpie --name bambi
    python benchmarks/speed.py --sizes 1000:150 --programs lme4 --name bambi --add

Writes NAME.json, NAME.md and NAME.png in benchmarks/results/; NAME is `short` (not kept), or with --full `speed`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from comparison.machine import describe_machine
from comparison.picture import draw_record
from comparison.programs import OURS, PROGRAMS, explain_absence
from comparison.schedule import Plan, run_plan
from comparison.tables import render_tables

RESULTS = Path(__file__).resolve().parent / "results"
SHORT = ("1000", "10000", "100000", "1000:150", "10000:1000")
FULL = ("1000", "10000", "100000", "1000000", "1000:150", "10000:1000", "100000:10000", "1000000:10000")


def main(argv: list[str] | None = None) -> int:
    """Run the programs asked for and write table, picture and figures."""
    arguments = parse_arguments(argv)
    if arguments.render:
        write_results(json.loads((RESULTS / f"{arguments.name}.json").read_text(encoding="utf-8")), arguments.name)
        return 0
    absent = {name: why for name in arguments.programs if (why := explain_absence(PROGRAMS[name]))}
    for name, why in absent.items():
        print(f"{name} is left out: {why}.")
    record: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": describe_machine(arguments.cores),
        "seed": arguments.seed,
        "limit": arguments.limit,
        "absent": absent,
        "rows": [],
    }
    earlier: list[dict[str, Any]] = []
    measured: list[dict[str, Any]] = []
    if arguments.add:
        known = json.loads((RESULTS / f"{arguments.name}.json").read_text(encoding="utf-8"))
        earlier, record["limit"] = known["rows"], max(known["limit"], record["limit"])
    with tempfile.TemporaryDirectory() as scratch:
        for row in run_plan(make_plan(arguments, absent, Path(scratch))):
            measured.append(row)
            record["rows"] = add_rows(earlier, measured)
            # After each row, so that an interrupted run keeps what it measured.
            write_json(record, arguments.name)
    write_results(record, arguments.name)
    print(render_tables(record))
    return 0


def add_rows(earlier: Sequence[dict[str, Any]], measured: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows by size: what was measured now replaces a program's earlier rows; runs of influbayes add up."""

    def name_run(row: dict[str, Any]) -> tuple[int, int, str]:
        return (row["posts"], row["creators"], row["program"])

    again = {name_run(row) for row in measured if row["program"] != OURS}
    rows = [*(row for row in earlier if name_run(row) not in again), *measured]
    return sorted(rows, key=lambda row: (row["creators"], row["posts"]))


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line and fill in what --full changes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="sizes to a million posts, limit 300 s, results/speed.*")
    parser.add_argument("--sizes", type=read_size, nargs="+", metavar="POSTS[:CREATORS]")
    parser.add_argument("--programs", nargs="*", choices=PROGRAMS, default=list(PROGRAMS), metavar="NAME")
    parser.add_argument("--limit", type=float, metavar="SECONDS", help="a program that takes longer is stopped")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--seed", type=int, default=20260101)
    parser.add_argument("--no-cold", action="store_true", help="leave out the runs with an empty compile cache")
    parser.add_argument("--nuts-reference-up-to", type=int, metavar="POSTS", help="larger tables: laplace draws it")
    parser.add_argument("--name", help="name of the files in results/")
    parser.add_argument(
        "--add",
        action="store_true",
        help="keep what NAME.json has of other sizes and programs; each keeps its neighbours",
    )
    parser.add_argument("--render", action="store_true", help="make table and picture of NAME.json again")
    arguments = parser.parse_args(argv)
    full = arguments.full
    arguments.sizes = arguments.sizes or [read_size(text) for text in (FULL if full else SHORT)]
    arguments.limit = arguments.limit or (300.0 if full else 60.0)
    arguments.name = arguments.name or ("speed" if full else "short")
    if arguments.nuts_reference_up_to is None:
        arguments.nuts_reference_up_to = 1000 if full else 0
    return arguments


def read_size(text: str) -> tuple[int, int]:
    """Return posts and creators (0: none in the model) from POSTS or POSTS:CREATORS."""
    posts, _, creators = text.partition(":")
    return int(posts), int(creators or 0)


def make_plan(arguments: argparse.Namespace, absent: dict[str, str], scratch: Path) -> Plan:
    """Return the plan of the runs."""
    return Plan(
        sizes=arguments.sizes,
        programs=[name for name in arguments.programs if name not in absent and name != OURS],
        limit=arguments.limit,
        cores=arguments.cores,
        seed=arguments.seed,
        nuts_reference_up_to=arguments.nuts_reference_up_to,
        cold=not arguments.no_cold,
        scratch=scratch,
        say=lambda line: print(line, flush=True),
    )


def write_json(record: dict[str, Any], name: str) -> None:
    """Write the figures."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def write_results(record: dict[str, Any], name: str) -> None:
    """Write figures, table and picture."""
    write_json(record, name)
    (RESULTS / f"{name}.md").write_text(render_tables(record), encoding="utf-8")
    draw_record(record, RESULTS / f"{name}.png")


if __name__ == "__main__":
    sys.exit(main())
