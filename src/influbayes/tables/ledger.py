"""A folder of four tables to a checked ledger: influencers, posts, orders and payouts that fit together.

Takes a folder with the tables influencers, posts, tracking_data and payouts, each a CSV, TSV, Parquet or XLSX file;
collects every problem of all four before it raises. Knows no model and no ratio.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from influbayes.errors import DataRefused, UsageError
from influbayes.tables.digest import digest_table
from influbayes.tables.files import name_place
from influbayes.tables.ledger_checks import check_money, check_orders, check_payouts
from influbayes.tables.ledger_files import TABLES, RawTable, read_table
from influbayes.tables.ledger_keys import code_ids, judge_ids, match_ids
from influbayes.tables.problems import Problem, compose_problem, quote_value, sort_problems

TABLE_NAMES = tuple(TABLES)
ENDINGS = (".csv", ".tsv", ".parquet", ".xlsx")
OTHER_ENDINGS = "or .tsv, .parquet, .xlsx"
ORDER_KEYS = ("influencer_id", "user_id", "day", "source", "campaign", "product", "revenue", "orders", "group")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Four checked tables whose ids fit together. Treat the frames as read-only.

    `influencers` (sorted by id): id, name, category, gender, follower_count, platform, influencer_type.
    `posts`: influencer_id, influencer, platform, day, url, reach, likes, comments, line.
    `orders` (the rows of tracking_data, in canonical order): source, campaign, influencer_id, influencer, user_id,
    user, product, day, orders, revenue, group (0 control, 1 exposed), line. 0 orders: a user who bought nothing.
    `payouts`: influencer_id, influencer, basis, rate, orders, total_payout, line.
    `influencer` is the row of `influencers`, -1 where the row names none (organic) or an unknown one; `user` is a code.
    `day` holds the clock time where every post and every order has one (`has_clock`).
    `rows_read` = rows of each file; `rejected` = rows left out by reason; `files` = table -> name of its file.
    """

    folder: str
    influencers: pd.DataFrame
    posts: pd.DataFrame
    orders: pd.DataFrame
    payouts: pd.DataFrame
    digest: str
    rows_read: Mapping[str, int]
    rejected: Mapping[str, int] = field(default_factory=dict)
    notices: tuple[Problem, ...] = ()
    has_clock: bool = False
    is_sample: bool = False
    files: Mapping[str, str] = field(default_factory=dict)

    def name_file(self, table: str) -> str:
        """Return the file of a table as messages show it; where it is not known, the table."""
        return self.files.get(table, table)


def read_ledger(
    folder: str | Path, *, mapping: Mapping[str, str] | None = None, today: date | None = None, is_sample: bool = False
) -> Ledger:
    """Return the checked ledger of a folder.

    Parameters
    ----------
    folder
        Holds influencers.csv, posts.csv, tracking_data.csv and payouts.csv; any of them may be a .tsv, .parquet or
        .xlsx file instead.
    mapping
        TABLE.COLUMN -> the name of that column in the file, for example ``posts.reach`` -> ``Impressions``.
    today
        The day after which, with one day of slack, nothing can have happened; the day of the clock unless told.
    is_sample
        Whether these are the tables that come with influbayes.

    Returns
    -------
    Ledger
        Its digest and every number made from it do not depend on the order of rows or columns.

    Raises
    ------
    DataRefused
        A file is missing or cannot be used; `problems` holds everything found in all four.
    UsageError
        A name left of the = in `mapping` is not TABLE.COLUMN.

    Examples
    --------
    >>> ledger = read_ledger("campaign", mapping={"posts.reach": "Impressions"})  # doctest: +SKIP
    """
    place = Path(folder)
    paths, found = _find_files(place)
    maps = _split_mapping(mapping or {})
    raw = {name: read_table(paths[name], name, mapping=maps[name], today=today or date.today()) for name in paths}
    found += [problem for table in raw.values() for problem in table.found]
    _refuse_if_any(found)
    found += judge_ids(raw)
    _refuse_if_any(found)
    return _finish(place, raw, found, is_sample=is_sample)


def _find_files(folder: Path) -> tuple[dict[str, Path], list[Problem]]:
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "no such folder"
        remedy = f"Give the folder that holds {', '.join(f'{name}.csv' for name in TABLE_NAMES)} ({OTHER_ENDINGS})."
        raise DataRefused([compose_problem("IB-D14", "refuse", file=name_place(folder), what=what, remedy=remedy)])
    paths: dict[str, Path] = {}
    found: list[Problem] = []
    for name in TABLE_NAMES:
        there = [folder / f"{name}{end}" for end in ENDINGS if (folder / f"{name}{end}").is_file()]
        if not there:
            found.append(_refuse_missing(folder, name))
        else:
            paths[name] = there[0]
            found += [_refuse_second(there[0], second) for second in there[1:]]
    return paths, found


def _refuse_second(first: Path, second: Path) -> Problem:
    return compose_problem(
        "IB-D14",
        "refuse",
        file=second.name,
        what=f"the same table as {quote_value(first.name)}",
        why="It is not known which of the two counts.",
        remedy="Keep one of them in the folder.",
    )


def _refuse_missing(folder: Path, name: str) -> Problem:
    there = ", ".join(quote_value(path.name) for path in sorted(folder.iterdir())[:8]) or "nothing"
    return compose_problem(
        "IB-D14",
        "refuse",
        file=f"{name}.csv",
        what=f"file not found in {quote_value(name_place(folder))}",
        why=f"A ledger needs all four tables. Found: {there}.",
        remedy=f"Put the table there under this name ({OTHER_ENDINGS}).",
    )


def _split_mapping(mapping: Mapping[str, str]) -> dict[str, dict[str, str]]:
    maps: dict[str, dict[str, str]] = {name: {} for name in TABLE_NAMES}
    for ours, theirs in mapping.items():
        table, dot, column = ours.partition(".")
        if not dot or table not in maps:
            raise UsageError(f"--map {ours}={theirs}: write TABLE.COLUMN=NAME, TABLE one of {', '.join(TABLE_NAMES)}.")
        maps[table][column] = theirs
    return maps


def _refuse_if_any(found: list[Problem]) -> None:
    refused = [problem for problem in found if problem.rule == "refuse"]
    if refused:
        order = {name: place for place, name in enumerate(TABLE_NAMES)}
        ordered: list[Problem] = sorted(sort_problems(refused), key=lambda found: order.get(Path(found.file).stem, 9))
        raise DataRefused(ordered)


def _finish(place: Path, raw: Mapping[str, RawTable], found: list[Problem], *, is_sample: bool) -> Ledger:
    influencers = raw["influencers"].frame.sort_values("id", kind="stable").reset_index(drop=True)
    ids = influencers["id"]
    posts, orders, payouts = (match_ids(raw[name].frame, ids) for name in ("posts", "tracking_data", "payouts"))
    orders = code_ids(orders).sort_values(list(ORDER_KEYS), kind="stable", ignore_index=True)
    clock = raw["posts"].has_clock and raw["tracking_data"].has_clock
    posts, orders = (_settle_clock(frame, clock) for frame in (posts, orders))
    found += check_money(orders, raw["tracking_data"])
    found += check_payouts(payouts, posts, orders, influencers, raw)
    found += check_orders(orders, posts, influencers, raw)
    _refuse_if_any(found)
    unknown = (posts["influencer"] < 0).to_numpy()
    return Ledger(
        folder=name_place(place.resolve()),
        influencers=influencers,
        posts=posts.loc[~unknown].sort_values(["influencer_id", "day", "url", "line"], ignore_index=True),
        orders=orders,
        payouts=payouts.sort_values(["influencer_id", "total_payout", "line"], ignore_index=True),
        digest=_digest(raw),
        rows_read={name: table.rows_read for name, table in raw.items()},
        rejected={"posts of an unknown influencer": int(unknown.sum())} if unknown.any() else {},
        notices=sort_problems(problem for problem in found if problem.rule != "refuse"),
        has_clock=clock,
        is_sample=is_sample,
        files={name: table.file for name, table in raw.items()},
    )


def _settle_clock(frame: pd.DataFrame, clock: bool) -> pd.DataFrame:
    """Keep the time of day only where every post and order has one: otherwise a day is all that can be compared."""
    if clock:
        return frame
    return frame.assign(day=frame["day"].to_numpy().astype("datetime64[D]").astype("datetime64[s]"))


def _digest(raw: Mapping[str, RawTable]) -> str:
    parts = "\n".join(f"{name} {digest_table(raw[name].frame)}" for name in TABLE_NAMES)
    return hashlib.sha256(parts.encode()).hexdigest()


def sum_payouts(ledger: Ledger) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return (influencers,) what each was paid in all, in currency: several payouts of one are summed first."""
    codes = ledger.payouts["influencer"].to_numpy()
    paid = ledger.payouts["total_payout"].to_numpy(np.float64)
    return np.bincount(codes, weights=paid, minlength=len(ledger.influencers)).astype(np.float64)
