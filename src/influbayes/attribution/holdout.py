"""The test of credit over time: learnt on the first weeks, held against the sign-ups of the rest.

Takes sessions; makes one row a rule. What is tested is whether credit tells which later journeys end in a sign-up and
whether a rule says the same again, not whether channels cause anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from influbayes.attribution.credit import CreditTable, credit_journeys
from influbayes.attribution.journeys import FloatArray, Journeys, build_journeys
from influbayes.attribution.rules import RULES, RuleOptions
from influbayes.attribution.scores import compute_roc_auc
from influbayes.tables.sessions import CHANNEL, EVENT, USER, SessionsTable

TRAIN_SHARE = 0.7
FEWEST_SIGN_UPS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeTest:
    """How a rule's credit of the first weeks holds in the rest.

    `auc` is that of later journeys scored by the credit per touch of their channels, with a bootstrap interval over
    users; `expected` and `observed` are later sign-ups; `moved` is the share of credit that the same rule gives to
    other channels later (0 to 1).
    """

    rule: str
    auc: float
    auc_lower: float
    auc_upper: float
    expected: float
    observed: float
    moved: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeTestTable:
    """Rows by rule, the number of weeks in each part, and why there are no rows where there are none."""

    rows: tuple[TimeTest, ...]
    train_weeks: int
    test_weeks: int
    reason: str = ""


def check_over_time(
    sessions: SessionsTable,
    *,
    rules: Sequence[str] = RULES,
    options: RuleOptions | None = None,
    lookback_days: float = 90.0,
    replicates: int = 200,
    prob: float = 0.9,
    seed: int = 20260101,
) -> TimeTestTable:
    """Return how credit learnt on the first 70 % of the weeks fits the sign-ups of the rest, by rule.

    People who signed up in the first part are left out of the second.
    """
    week = _number_weeks(sessions.frame)
    train_weeks = max(1, round(TRAIN_SHARE * (int(week.max()) + 1)))
    test_weeks = int(week.max()) + 1 - train_weeks
    early, late = _split(sessions, week < train_weeks)
    if test_weeks < 1 or min(early.sign_ups, late.sign_ups) < FEWEST_SIGN_UPS:
        there = f"there are {early.sign_ups} and {late.sign_ups}"
        reason = f"Not done: it needs {FEWEST_SIGN_UPS} sign-ups in each part; {there}."
        return TimeTestTable(rows=(), train_weeks=train_weeks, test_weeks=test_weeks, reason=reason)
    before, after = (
        credit_journeys(
            build_journeys(part, by=CHANNEL, lookback_days=lookback_days),
            rules=rules,
            options=options,
            replicates=0,
        )
        for part in (early, late)
    )
    weights = _draw_persons(after.journeys, replicates, seed)
    rows = tuple(_test_rule(rule, before, after, weights, prob) for rule in rules)
    return TimeTestTable(rows=rows, train_weeks=train_weeks, test_weeks=test_weeks)


def _number_weeks(frame: pd.DataFrame) -> FloatArray:
    seconds = (frame[EVENT] - frame[EVENT].min()).dt.total_seconds().to_numpy(np.float64)
    return np.asarray(np.floor(seconds / (7 * 86_400)), dtype=np.float64)


def _split(sessions: SessionsTable, early: npt.NDArray[np.bool_]) -> tuple[SessionsTable, SessionsTable]:
    frame = sessions.frame
    gone = set(frame.loc[early & (frame["sign_up"].to_numpy() > 0), USER])
    late = ~early & ~frame[USER].isin(gone).to_numpy()
    return replace(sessions, frame=frame[early]), replace(sessions, frame=frame[late])


def _draw_persons(journeys: Journeys, replicates: int, seed: int) -> FloatArray:
    """Return (replicates, journeys) bootstrap counts: AUC needs whole people."""
    rng = np.random.default_rng(seed)
    shares = np.full(journeys.persons, 1 / journeys.persons)
    return rng.multinomial(journeys.persons, shares, size=replicates)[:, journeys.person].astype(np.float64)


def _test_rule(rule: str, before: CreditTable, after: CreditTable, weights: FloatArray, prob: float) -> TimeTest:
    journeys = after.journeys
    worth = _price_touches(before, rule)
    overall = before.journeys.credited / len(before.journeys.channel)
    per_touch = np.array([worth.get(name, overall) for name in journeys.channels])
    score = np.bincount(journeys.journey, per_touch[journeys.channel], len(journeys))
    outcome = journeys.conversions
    drawn = [compute_roc_auc(*_repeat(outcome, score, row)) for row in weights]
    lower, upper = np.nanquantile(drawn, [(1 - prob) / 2, (1 + prob) / 2]) if drawn else (np.nan, np.nan)
    return TimeTest(
        rule=rule,
        auc=compute_roc_auc(outcome, score),
        auc_lower=float(lower),
        auc_upper=float(upper),
        expected=float(score.sum()),
        observed=float(outcome.sum()),
        moved=_compare_shares(before, after, rule),
    )


def _price_touches(table: CreditTable, rule: str) -> Mapping[str, float]:
    """Return channel -> credited sign-ups per touch."""
    journeys = table.journeys
    touches = np.bincount(journeys.channel, minlength=len(journeys.channels))
    per_touch = table.point[rule] / np.maximum(touches, 1)
    return dict(zip(journeys.channels, map(float, per_touch), strict=True))


def _repeat(outcome: FloatArray, score: FloatArray, counts: FloatArray) -> tuple[FloatArray, FloatArray]:
    times = counts.astype(np.int64)
    return np.repeat(outcome, times), np.repeat(score, times)


def _compare_shares(before: CreditTable, after: CreditTable, rule: str) -> float:
    shares = []
    names = sorted({*before.journeys.channels, *after.journeys.channels})
    for table in (before, after):
        found = dict(zip(table.journeys.channels, table.point[rule] / table.journeys.credited, strict=True))
        shares.append(np.array([found.get(name, 0.0) for name in names]))
    return float(0.5 * np.abs(shares[0] - shares[1]).sum())
