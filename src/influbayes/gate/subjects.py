"""What the rows of a study are called, so that one check speaks of posts here and of sessions there.

Knows words; judges nothing.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The words of a study: one row and several, what is counted, what a row did and does, who has several rows.

    `spread` is what the totals of `owners` are compared with, after "differ more than"; `cell_remedy`, `shape_remedy`
    and `owner_remedy` end the messages of a failed predictive check.
    """

    row: str
    rows: str
    trials: str
    hits: str
    did: str
    does: str
    owners: str
    spread: str
    cell_remedy: str
    shape_remedy: str
    owner_remedy: str


POSTS = Subject(
    row="post",
    rows="posts",
    trials="trials",
    hits="conversions",
    did="converted",
    does="converts",
    owners="Creators",
    spread="independent posts would",
    cell_remedy="an interaction of the factors (--model conversion_interaction) may describe it",
    shape_remedy="try --model conversion_log_engagement",
    owner_remedy="use the model with creators (--model conversion_creator)",
)

SESSIONS = Subject(
    row="session",
    rows="sessions",
    trials="sessions",
    hits="sign-ups",
    did="signed up",
    does="signs up",
    owners="Users",
    spread="the model expects",
    cell_remedy="a further column or an interaction of two may describe it (--model FILE)",
    shape_remedy="try another transform (--model FILE)",
    owner_remedy="use a model with an effect of users (--model signup)",
)
