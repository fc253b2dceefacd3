"""Tables to calibrate on: predictors of a stated size, outcomes put in by the caller.

Takes a specification and sizes; makes a checked table that holds every column the specification names. Columns of
sponsored posts come from the posts simulator; any other column is invented with the kind the specification asks for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from influbayes.errors import UsageError
from influbayes.hierarchy.design import IntArray
from influbayes.hierarchy.spec import FactorTerm, NumericTerm, Specification, required_columns
from influbayes.tables.posts import PostsTable
from influbayes.tables.simulate import MOST_POSTS, simulate_posts

FEWEST_CREATORS = 12  # one for each cell of tier and region, so that every level the references name is there
POSTS_PER_CREATOR = 5
INVENTED_LEVELS = ("A", "B", "C", "D")
MOST_TRIALS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class TableShape:
    """Sizes of simulated tables: posts from `fewest` to `most` (even on the log scale), and creators.

    `creators` None: one for every five posts, at least 12.
    """

    fewest: int = 30
    most: int = 500
    creators: int | None = None


def check_shape(shape: TableShape) -> None:
    """Raise UsageError where no table has that shape."""
    if not 8 <= shape.fewest <= shape.most <= MOST_POSTS:
        raise UsageError(
            f"Tables of {shape.fewest:,} to {shape.most:,} posts cannot be simulated. "
            f"Give 8 posts or more, the smaller number first, at most {MOST_POSTS:,}."
        )
    if shape.creators is not None and not 1 <= shape.creators <= shape.fewest:
        raise UsageError(
            f"{shape.creators:,} creators do not fit into tables of {shape.fewest:,} posts. "
            "Give from 1 creator to as many as the smallest table has posts."
        )


def simulate_table(spec: Specification, shape: TableShape, *, rng: np.random.Generator) -> PostsTable:
    """Simulate a table with every column `spec` names.

    Parameters
    ----------
    spec : Specification
    shape : TableShape
    rng : numpy.random.Generator
        The only source of chance.

    Returns
    -------
    PostsTable
        With a placeholder outcome that alternates; `replace_outcomes` puts a real one in.
    """
    posts = _draw_size(shape, rng)
    creators = min(posts, shape.creators or max(FEWEST_CREATORS, posts // POSTS_PER_CREATOR))
    known = simulate_posts(posts=posts, creators=creators, seed=int(rng.integers(2**31))).frame
    columns: dict[str, npt.NDArray[np.generic] | pd.Series] = {}
    for numeric in spec.numerics:
        columns[numeric.column] = _find_numbers(known, numeric, rng)
    for factor in spec.factors:
        columns[factor.column] = _find_labels(known, factor, creators, rng)
    columns["trials"] = _draw_trials(spec, posts, rng)
    columns["conversions"] = np.arange(posts) % 2
    columns["line"] = np.arange(posts) + 2
    return PostsTable(
        frame=pd.DataFrame(columns),
        columns=required_columns(spec),
        file="simulated table",
        format="simulated",
        digest="",
        rows_read=posts,
    )


def replace_outcomes(posts: PostsTable, conversions: IntArray) -> PostsTable:
    """Return the table with other conversions (rows, in the table's order); all else is kept."""
    return replace(posts, frame=posts.frame.assign(conversions=np.asarray(conversions, dtype=np.int64)))


def _draw_size(shape: TableShape, rng: np.random.Generator) -> int:
    low, high = np.log(shape.fewest), np.log(shape.most)
    return int(np.clip(np.rint(np.exp(rng.uniform(low, high))), shape.fewest, shape.most))


def _find_numbers(known: pd.DataFrame, term: NumericTerm, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return the simulated column, or counts spread over two orders of magnitude."""
    if term.column in known and known[term.column].dtype.kind in "if":
        return known[term.column].to_numpy(np.float64)
    return np.asarray(np.rint(np.exp(rng.normal(6.0, 1.0, size=len(known)))), dtype=np.float64)


def _find_labels(known: pd.DataFrame, term: FactorTerm, creators: int, rng: np.random.Generator) -> pd.Series:
    """Return the simulated column, or levels in random order: four for `all`, as many as creators for `sample`."""
    if term.column in known:
        return known[term.column].astype(str)
    levels = [f"{number:05d}" for number in range(creators)] if term.levels == "sample" else list(INVENTED_LEVELS)
    if term.reference is not None:
        levels[0] = term.reference
    return pd.Series(np.array(levels)[rng.permutation(np.arange(len(known)) % len(levels))]).astype(str)


def _draw_trials(spec: Specification, posts: int, rng: np.random.Generator) -> IntArray:
    if spec.outcome.trials is None:
        return np.ones(posts, dtype=np.int64)
    return rng.integers(1, MOST_TRIALS + 1, size=posts)
