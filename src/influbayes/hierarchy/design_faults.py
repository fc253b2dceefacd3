"""What keeps a checked table from being fitted with a specification, and what is left out or rests on the prior.

Takes a table (or rows to predict) and terms; gives problems, all at once. Builds no arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from influbayes.hierarchy.spec import FactorTerm, InteractionTerm, NumericTerm, Specification, required_columns
from influbayes.tables.posts import PostsTable
from influbayes.tables.problems import Problem, compose_problem, count_rows, list_values, quote_value

SHOWN = 8
NEW_ROWS = "rows"


def judge_columns(posts: PostsTable, spec: Specification) -> list[Problem]:
    """Find columns that the table was not read with, and an outcome other than the specification's (IB-D14)."""
    wanted = required_columns(spec)
    remedy = "Read it with columns=required_columns(spec)."
    missing = [name for name in (*wanted.numeric, *wanted.labels) if name not in posts.frame]
    problems = [
        compose_problem(
            "IB-D14", "refuse", file=posts.file, column=name, what=f"{spec.name} needs this column", remedy=remedy
        )
        for name in missing
    ]
    if posts.columns.outcomes != wanted.outcomes:
        what = f"read with the outcome {list_values(posts.columns.outcomes)}"
        why = f"The specification {spec.name} is about {list_values(wanted.outcomes)}."
        problems.append(compose_problem("IB-D14", "refuse", file=posts.file, what=what, why=why, remedy=remedy))
    return problems


def judge_table(posts: PostsTable, spec: Specification) -> list[Problem]:
    """Find what is wrong with outcome, factors and numeric columns: F03, F04, F06, D24, D37."""
    factors = (problem for term in spec.factors for problem in _judge_factor(posts, term))
    numerics = (problem for term in spec.numerics for problem in _judge_numeric(posts, term))
    return [*_judge_outcome(posts), *factors, *numerics]


def judge_cells(posts: PostsTable, interactions: Iterable[InteractionTerm]) -> list[Problem]:
    """Name cells of an interaction that hold no post (IB-F08)."""
    problems = []
    for term in interactions:
        counts = pd.crosstab(posts.frame[term.of[0]], posts.frame[term.of[1]])
        empty = [f"{a}:{b}" for a in counts.index for b in counts.columns if counts.loc[a, b] == 0]
        if empty:
            what = f"no post in {list_values(empty, most=SHOWN)}"
            why = "These cells rest on the prior and the other cells."
            column = ":".join(term.of)
            problems.append(compose_problem("IB-F08", "warn", file=posts.file, column=column, what=what, why=why))
    return problems


def judge_new_rows(
    frame: pd.DataFrame,
    *,
    numerics: Sequence[NumericTerm],
    factors: Sequence[FactorTerm],
    levels: Mapping[str, tuple[str, ...]],
) -> list[Problem]:
    """Find what keeps rows from being predicted: D14, D22, D24, D25, F07."""
    wanted = [*(term.column for term in numerics), *(term.column for term in factors)]
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        what = f"columns missing from the rows to predict: {list_values(missing, most=SHOWN)}"
        return [compose_problem("IB-D14", "refuse", file=NEW_ROWS, column=missing[0], what=what)]
    wrong = (problem for term in numerics for problem in _judge_new_numbers(frame[term.column], term))
    unknown = (problem for term in factors for problem in _judge_new_labels(frame[term.column], term, levels))
    return [*wrong, *unknown]


def _judge_outcome(posts: PostsTable) -> Iterator[Problem]:
    conversions, trials = int(posts.frame["conversions"].sum()), int(posts.frame["trials"].sum())
    if 0 < conversions < trials:
        return
    yield compose_problem(
        "IB-F04",
        "refuse",
        file=posts.file,
        column=posts.columns.outcomes[0],
        what=f"of {trials:,} trials {'none' if conversions == 0 else 'all'} converted",
        why="There is nothing to compare.",
        remedy="Check the column, or add posts of both kinds.",
    )


def _judge_factor(posts: PostsTable, term: FactorTerm) -> Iterator[Problem]:
    counts = posts.frame[term.column].value_counts().sort_index()
    if len(counts) == 1:
        yield _judge_only_level(posts.file, term, str(counts.index[0]))
    elif term.reference is not None and term.reference not in counts.index:
        yield compose_problem(
            "IB-D37",
            "refuse",
            file=posts.file,
            column=term.column,
            what=f"reference {quote_value(term.reference)} not found",
            why=f"Found: {_list_counts(counts)}.",
            remedy=f"Choose one of them with --reference {term.column}=LEVEL.",
        )
    if 1 < len(counts) >= len(posts.frame):
        yield _judge_many_levels(posts.file, term, len(counts), len(posts.frame))


def _judge_only_level(file: str, term: FactorTerm, level: str) -> Problem:
    what = f"only the level {quote_value(level)}"
    if term.reference is None:
        why = "There is nothing to compare, so the column is left out of the model."
        return compose_problem("IB-F03", "warn", file=file, column=term.column, what=what, why=why)
    return compose_problem(
        "IB-F03",
        "refuse",
        file=file,
        column=term.column,
        what=what,
        why=f"There is nothing to compare with the reference {quote_value(term.reference)}.",
        remedy="Add posts of another level, or use a specification without this column (--model FILE).",
    )


def _judge_many_levels(file: str, term: FactorTerm, levels: int, rows: int) -> Problem:
    what = f"{levels:,} levels in {count_rows(rows)}"
    if term.levels == "sample":
        why = "How much they differ (its scale) rests largely on the prior."
        return compose_problem("IB-F06", "warn", file=file, column=term.column, what=what, why=why)
    why, remedy = "Each row is its own level.", 'Group the levels, or use levels = "sample".'
    return compose_problem("IB-F06", "refuse", file=file, column=term.column, what=what, why=why, remedy=remedy)


def _judge_numeric(posts: PostsTable, term: NumericTerm) -> Iterator[Problem]:
    column = posts.frame[term.column]
    if column.nunique() < 2:
        what, why = f"every row is {column.iloc[0]:g}", "There is nothing to learn: it is left out of the model."
        yield compose_problem("IB-F03", "warn", file=posts.file, column=term.column, what=what, why=why)
    if term.transform == "log1p_standardise" and float(column.min()) < 0:
        below = column < 0
        yield compose_problem(
            "IB-D24",
            "refuse",
            file=posts.file,
            column=term.column,
            what="below 0",
            why="log(1 + x) needs counts.",
            remedy="Correct it, or use another transform.",
            lines=[int(line) for line in posts.frame.loc[below, "line"]],
            value=f"{column[below].iloc[0]:g}",
        )


def _judge_new_numbers(column: pd.Series, term: NumericTerm) -> Iterator[Problem]:
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    wrong = ~np.isfinite(numbers)
    if wrong.any():
        what = f"not a finite number in {count_rows(int(wrong.sum()))}: {quote_value(str(column[wrong].iloc[0]))}"
        yield compose_problem("IB-D25", "refuse", file=NEW_ROWS, column=term.column, what=what)
    if term.transform == "log1p_standardise" and (numbers[~wrong] < 0).any():
        why = "log(1 + x) needs counts."
        yield compose_problem("IB-D24", "refuse", file=NEW_ROWS, column=term.column, what="below 0", why=why)


def _judge_new_labels(column: pd.Series, term: FactorTerm, levels: Mapping[str, tuple[str, ...]]) -> Iterator[Problem]:
    if column.isna().any():
        what = f"no label in {count_rows(int(column.isna().sum()))}"
        yield compose_problem("IB-D22", "refuse", file=NEW_ROWS, column=term.column, what=what)
    unseen = sorted(set(column.dropna().astype(str)) - set(levels[term.column]))
    if term.levels == "all" and unseen:
        known = list_values(levels[term.column], most=SHOWN)
        yield compose_problem(
            "IB-F07",
            "refuse",
            file=NEW_ROWS,
            column=term.column,
            what=f"{list_values(unseen, most=SHOWN)} not among the fitted levels {known}",
            remedy="Rename the level, or fit with posts of it.",
        )


def _list_counts(counts: pd.Series) -> str:
    shown = ", ".join(f"{quote_value(str(level))} ({count:,})" for level, count in list(counts.items())[:SHOWN])
    return shown if len(counts) <= SHOWN else f"{shown} and {len(counts) - SHOWN:,} more"
