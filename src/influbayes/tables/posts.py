"""A table of posts: which columns it has, what each must hold, and the checked table itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from influbayes.errors import UsageError
from influbayes.tables.problems import Problem, quote_value


@dataclass(frozen=True, slots=True, kw_only=True)
class PostColumns:
    """Which columns a reader must find and how each is to be read.

    `outcome` is a 0/1 column, or `successes` and `trials` are count columns (exactly one of the two forms).
    `numeric` are finite numbers; `labels` are text. `optional_labels` are read as labels when present.
    """

    outcome: str | None = "Converted"
    successes: str | None = None
    trials: str | None = None
    numeric: tuple[str, ...] = ("Story_Views", "Swipe_Ups")
    labels: tuple[str, ...] = ("Influencer_Tier", "Audience_Region")
    optional_labels: tuple[str, ...] = ("Creator_ID",)

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The outcome column, or successes and trials."""
        return tuple(name for name in (self.outcome, self.successes, self.trials) if name is not None)

    @property
    def required(self) -> tuple[str, ...]:
        """Every column that must be in the file, outcome first, none twice."""
        return tuple(dict.fromkeys((*self.outcomes, *self.numeric, *self.labels)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PostsTable:
    """A checked table of posts.

    `frame` has one row a used post in file order: label columns as str, numeric columns as float64, the outcome as
    int64 `conversions` and int64 `trials` (1 for a 0/1 outcome), and `line`, the line of the file. Columns that the
    reader knows (Post_ID, Creator_ID, Post_Date, Fee, Purchases, Revenue) are kept when present. Treat it as read-only.
    """

    frame: pd.DataFrame
    columns: PostColumns
    file: str
    format: str
    digest: str
    rows_read: int
    rejected: Mapping[str, int] = field(default_factory=dict)
    notices: tuple[Problem, ...] = ()
    is_sample: bool = False
    window_days: int | None = None

    @property
    def rows_used(self) -> int:
        """Rows that enter the model; rows_read = rows_used + the sum of `rejected`."""
        return len(self.frame)


def count_levels(posts: PostsTable, column: str) -> dict[str, int]:
    """Return the rows with each level of a label column, levels in sorted order.

    Raises
    ------
    UsageError
        The table has no column of that name.
    """
    if column not in posts.frame:
        raise UsageError(f"{posts.file} has no column {quote_value(column)}.")
    counts = posts.frame[column].value_counts()
    return {str(level): int(counts[level]) for level in sorted(counts.index)}
