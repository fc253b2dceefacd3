"""Entry of `influbayes simulate`: writes a simulated table and the truth it was made from.

Takes command-line words; makes FILE and, beside it, FILE's truth. Knows no model.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from influbayes.entry.running import run_entry
from influbayes.errors import OutputError
from influbayes.reporting.whole_files import write_files
from influbayes.tables.files import name_place

if TYPE_CHECKING:
    from influbayes.tables.simulate import SimulatedPosts


def main(argv: Sequence[str] | None = None) -> int:
    """Run `influbayes simulate` and return its exit code.

    0 written; 1 a defect of ours; 2 the call is off; 5 FILE exists or could not be written; 130 interrupted.
    """
    return run_entry(_build_parser(), argv, work=_simulate)


def _simulate(arguments: argparse.Namespace, command: str) -> int:
    """Write the table asked for; return 0."""
    print(_WRITERS[arguments.table](arguments))
    return 0


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="influbayes simulate",
        description="Write a simulated table with a known truth, to try influbayes on or to check it with.",
    )
    tables = parser.add_subparsers(dest="table", required=True, metavar="TABLE")
    posts = tables.add_parser(
        "posts",
        help="sponsored posts, one row each, for influbayes fit",
        description="Write sponsored posts to FILE (CSV) and the truth they were made from beside it, NAME_truth.toml.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    posts.add_argument("--out", type=Path, default=Path("posts.csv"), metavar="FILE", help="the table to write")
    posts.add_argument("--posts", type=int, default=1500, metavar="N", help="number of posts")
    posts.add_argument("--creators", type=int, default=220, metavar="N", help="number of creators")
    posts.add_argument("--seed", type=int, default=20260101, metavar="S", help="whole number from 0")
    posts.add_argument("--sales", action="store_true", help="add the columns Purchases and Revenue")
    posts.add_argument("--overwrite", action="store_true", help="replace FILE and its truth")
    sessions = tables.add_parser(
        "sessions",
        help="sessions of people over channels, one row each, for influbayes attribute",
        description="Write sessions to FILE (CSV) and the truth they were made from beside it, NAME_truth.toml.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    sessions.add_argument("--out", type=Path, default=Path("sessions.csv"), metavar="FILE", help="the table to write")
    sessions.add_argument("--sessions", type=int, default=3000, metavar="N", help="number of sessions")
    sessions.add_argument("--seed", type=int, default=20260101, metavar="S", help="whole number from 0")
    sessions.add_argument("--overwrite", action="store_true", help="replace FILE and its truth")
    _add_ledger(tables)
    return parser


def _add_ledger(tables: Any) -> None:
    """Add the words of `influbayes simulate ledger`."""
    ledger = tables.add_parser(
        "ledger",
        help="influencers, posts, orders and payouts, for influbayes roas",
        description="Write the four tables of a ledger and truth.toml, what they were made from, into a new folder.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    ledger.add_argument("--out", type=Path, default=Path("ledger"), metavar="DIR", help="the folder to make")
    ledger.add_argument("--influencers", type=int, default=60, metavar="N", help="number of influencers")
    ledger.add_argument("--users", type=int, default=6000, metavar="N", help="users, two in five of them control")
    ledger.add_argument("--campaigns", type=int, default=5, metavar="N", help="number of campaigns")
    ledger.add_argument("--seed", type=int, default=20260101, metavar="S", help="whole number from 0")
    ledger.add_argument("--overwrite", action="store_true", help="replace the tables in DIR")


def _write_posts(arguments: argparse.Namespace) -> str:
    """Simulate and write posts; return what to tell the user."""
    out: Path = arguments.out
    beside = _name_truth(out)
    _require_place((out, beside), overwrite=arguments.overwrite)
    from influbayes.tables.simulate import render_posts_csv, render_truth, simulate_posts

    simulated = simulate_posts(
        posts=arguments.posts, creators=arguments.creators, seed=arguments.seed, sales=arguments.sales
    )
    _write_whole({beside: render_truth(simulated), out: render_posts_csv(simulated)}, overwrite=arguments.overwrite)
    return _describe(simulated, out, beside)


def _write_sessions(arguments: argparse.Namespace) -> str:
    """Simulate and write sessions; return what to tell the user."""
    out: Path = arguments.out
    beside = _name_truth(out)
    _require_place((out, beside), overwrite=arguments.overwrite)
    from influbayes.tables.simulate_sessions import render_sessions_csv, render_sessions_truth, simulate_sessions

    simulated = simulate_sessions(sessions=arguments.sessions, seed=arguments.seed)
    texts = {beside: render_sessions_truth(simulated), out: render_sessions_csv(simulated)}
    _write_whole(texts, overwrite=arguments.overwrite)
    return (
        f"Wrote {out}: {len(simulated.frame):,} simulated sessions of {simulated.users:,} users, "
        f"{simulated.sign_ups:,} sign-ups (seed {simulated.seed}).\n"
        f"Wrote {beside}: the truth they were made from.\n"
        f"Next: influbayes attribute {out}"
    )


def _write_ledger(arguments: argparse.Namespace) -> str:
    """Simulate and write a ledger; return what to tell the user."""
    out: Path = arguments.out
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file. Give a folder: --out ledger.")
    from influbayes.tables.ledger_simulation import render_ledger, simulate_ledger

    simulated = simulate_ledger(
        influencers=arguments.influencers, users=arguments.users, campaigns=arguments.campaigns, seed=arguments.seed
    )
    texts = {out / name: text for name, text in render_ledger(simulated).items()}
    _make_folder(out, texts, overwrite=arguments.overwrite)
    _write_whole(texts, overwrite=arguments.overwrite)
    rows, shown = len(simulated.tracking_data), out if out.name else name_place(out)
    return (
        f"Wrote {shown}: {len(simulated.influencers):,} simulated influencers, {rows:,} rows of users and orders (seed "
        f"{simulated.seed}), and truth.toml, what they were made from.\n"
        f"Next: influbayes roas {out}"
    )


def _make_folder(out: Path, texts: Mapping[Path, str], *, overwrite: bool) -> None:
    """Make the folder of a ledger, unless it holds one already."""
    taken = [path for path in texts if path.exists()]
    if taken and not overwrite:
        raise OutputError(f"{taken[0]} exists already. Give another folder with --out, or --overwrite to replace it.")
    try:
        out.mkdir(exist_ok=True)
    except OSError as reason:
        raise OutputError(f"{out} cannot be made: {reason.strerror}. Give another --out.") from reason


def _name_truth(out: Path) -> Path:
    """Return the file of the truth beside a table: posts.csv -> posts_truth.toml."""
    if not out.name:
        raise OutputError(f"{name_place(out)} is a folder. Give a file: --out posts.csv.")
    return out.with_name(f"{out.stem}_truth.toml")


def _require_place(paths: Sequence[Path], *, overwrite: bool) -> None:
    """Refuse a place that cannot be written before any time is spent."""
    for path in paths:
        if path.is_dir():
            raise OutputError(f"{path} is a folder. Give a file: --out {path / 'posts.csv'}.")
        if path.exists() and not overwrite:
            raise OutputError(f"{path} exists already. Give another name with --out, or --overwrite to replace it.")
    if not paths[0].parent.is_dir():
        raise OutputError(f"There is no folder {paths[0].parent}. Create it first, or give another --out.")


def _write_whole(texts: Mapping[Path, str], *, overwrite: bool) -> None:
    write_files({path: text.encode("utf-8") for path, text in texts.items()}, overwrite=overwrite)


def _describe(simulated: SimulatedPosts, out: Path, beside: Path) -> str:
    rate = simulated.frame["Converted"].mean()
    counts = f"{len(simulated.frame):,} simulated posts of {len(simulated.creator_effects):,} creators"
    return (
        f"Wrote {out}: {counts}, {rate:.1%} with a purchase (seed {simulated.seed}).\n"
        f"Wrote {beside}: the truth they were made from.\n"
        f"Next: influbayes fit {out}"
    )


_WRITERS = {"posts": _write_posts, "ledger": _write_ledger, "sessions": _write_sessions}


if __name__ == "__main__":
    sys.exit(main())
