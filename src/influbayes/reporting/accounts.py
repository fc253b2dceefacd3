"""Makes the account of the data: rows read, used and rejected, posts and raw rates per level, cell and creator.

Takes a checked table of posts and the names of the label columns in the model. Knows no draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

from influbayes.tables.posts import PostsTable
from influbayes.tables.problems import Problem


def account_data(posts: PostsTable, *, factors: Sequence[str], crossed: Sequence[str]) -> dict[str, Any]:
    """Return the `data` part of results.json.

    Parameters
    ----------
    posts
        The checked table.
    factors
        Label columns in the model; their levels are counted.
    crossed
        Those of them whose levels are all there are; every pair of them makes cells.

    Returns
    -------
    dict
        ``file, is_sample, format, digest, rows_read, rows_used, rejected`` (reason to rows), ``levels`` (column to
        level to posts), ``rates`` (``levels``: column to level to ``posts, conversions, trials, rate``; ``cells``: one
        row each with ``variable, level`` and the same), ``warnings`` and ``notices``. Rates are 0 to 1.
    """
    rates = {column: count_levels(posts, column) for column in factors}
    return {
        "file": posts.file,
        "is_sample": posts.is_sample,
        "format": posts.format,
        "digest": posts.digest,
        "rows_read": posts.rows_read,
        "rows_used": posts.rows_used,
        "rejected": dict(sorted(posts.rejected.items())),
        "levels": {column: {level: row["posts"] for level, row in rows.items()} for column, rows in rates.items()},
        "rates": {
            "levels": rates,
            "cells": [cell for pair in combinations(crossed, 2) for cell in count_cells(posts, *pair)],
        },
        "warnings": [_say_problem(problem) for problem in posts.notices if problem.rule != "accept"],
        "notices": [_say_problem(problem) for problem in posts.notices if problem.rule == "accept"],
    }


def count_levels(posts: PostsTable, column: str) -> dict[str, dict[str, Any]]:
    """Return level -> ``posts, conversions, trials, rate`` of one label column, levels sorted."""
    return {str(level): counts for (level,), counts in _count_groups(posts, [column])}


def count_cells(posts: PostsTable, first: str, second: str) -> list[dict[str, Any]]:
    """Return one row per cell of two label columns that holds posts: ``variable, level, levels`` and the counts."""
    return [
        {"variable": f"{first}:{second}", "level": f"{a}:{b}", "levels": [str(a), str(b)], **counts}
        for (a, b), counts in _count_groups(posts, [first, second])
    ]


def _count_groups(posts: PostsTable, columns: list[str]) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Counts of all groups at once: a table may have ten thousand creators."""
    groups = posts.frame.groupby(columns, sort=True, observed=True)
    table = groups.agg(posts=("trials", "size"), conversions=("conversions", "sum"), trials=("trials", "sum"))
    for row in table.reset_index().itertuples(index=False, name=None):
        rows, conversions, trials = (int(value) for value in row[len(columns) :])
        rate = conversions / trials if trials else None
        counts = {"posts": rows, "conversions": conversions, "trials": trials, "rate": rate}
        yield row[: len(columns)], counts


def _say_problem(problem: Problem) -> dict[str, Any]:
    return {
        "code": problem.code,
        "column": problem.column,
        "count": problem.count,
        "lines": list(problem.lines[:5]),
        "text": problem.message,
    }
