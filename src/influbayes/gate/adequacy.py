"""Does the model describe the posts, and do the posts say enough? Judges predictions, separation, LOO and row counts.

Takes frozen results and counts, gives diagnostics that withhold a cell or statements, or add words. Not-a-number fails.
Knows no model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import isfinite

import numpy as np
import numpy.typing as npt

from influbayes.effects.criticism import PredictiveCheck
from influbayes.effects.leave_one_out import LooResult
from influbayes.effects.separation import Separation
from influbayes.gate.checks import Consequence, Diagnostic, Status, finite_or_none
from influbayes.gate.thresholds import MAX_PARETO_K, MIN_LEVEL_TRIALS, MIN_ROWS, PREDICTIVE_ALPHA

Counts = npt.NDArray[np.int64]

_COMPLETE = "completely: they tell the posts that converted from the others without one mistake."
_QUASI = "in part: some posts are told apart without one mistake, the rest not at all."


def judge_predictions(checks: Sequence[PredictiveCheck], *, question: str) -> tuple[Diagnostic, ...]:
    """Judge predictive checks against the central 1 - 0.002 / number of checks.

    Parameters
    ----------
    checks : sequence of PredictiveCheck
        Of one fit.
    question : str
        The question the fit answers.

    Returns
    -------
    tuple of Diagnostic
        `predictive_cell` for each cell (failing: that cell is withheld); `predictive_tenth` for each numeric column,
        judged by its worst tenth (failing: statements about that column are withheld); `predictive_creators` (failing:
        statements about factors are withheld). `value` is the tail position, `threshold` the smallest distance from 0
        and 1 that passes.
    """
    limit = PREDICTIVE_ALPHA / max(1, len(checks)) / 2.0
    tenths: dict[str, list[PredictiveCheck]] = defaultdict(list)
    for check in checks:
        if check.kind == "tenth":
            tenths[check.subject.rpartition(":")[0]].append(check)
    return (
        *(_judge_cell(check, limit, question) for check in checks if check.kind == "cell"),
        *(_judge_tenths(column, group, limit, question) for column, group in tenths.items()),
        *(_judge_creators(check, limit, question) for check in checks if check.kind == "creator_spread"),
    )


def judge_separation(separation: Separation, *, question: str) -> Diagnostic:
    """Judge separation: where columns separate the outcomes, sizes rest on the prior and the report says so."""
    if separation.kind == "none":
        meaning = "No combination of columns separates the posts that converted from those that did not."
        return _judge("separation", "table", question, "pass", meaning)
    columns, verb = _join(separation.columns), "separate" if len(separation.columns) > 1 else "separates"
    extent = _COMPLETE if separation.kind == "complete" else _QUASI
    meaning = (
        f"{columns} {verb} the outcomes {extent} The direction is clear, but the size of the effects rests on the "
        "prior. Read the interval, not the point; more posts near the boundary help."
    )
    return _judge("separation", ", ".join(separation.columns), question, "warn", meaning, consequence="words_added")


def judge_loo(loo: LooResult, *, question: str) -> Diagnostic:
    """Judge leave-one-out: rows with Pareto k above 0.7 (or NaN) are too influential for its estimate."""
    k = np.asarray(loo.pareto_k, dtype=np.float64)
    above = int((~(k <= MAX_PARETO_K)).sum())
    worst = float(k.max()) if k.size else float("nan")
    if k.size and not above:
        meaning = f"No post has an outsized influence: Pareto k is at most {worst:.2f} (limit {MAX_PARETO_K})."
        return _judge("loo_k", "posts", question, "pass", meaning, worst, MAX_PARETO_K)
    meaning = (
        f"{above} of {k.size} posts influence the fit strongly (Pareto k above {MAX_PARETO_K}), so the leave-one-out "
        "score is only rough. Look at these posts for typing errors."
    )
    return _judge("loo_k", "posts", question, "warn", meaning, worst, MAX_PARETO_K, consequence="words_added")


def judge_rows(
    factor: str, levels: Sequence[str], posts: Counts, trials: Counts, conversions: Counts, *, question: str
) -> tuple[Diagnostic, ...]:
    """Judge how much the table says about each level of a factor.

    Parameters
    ----------
    factor : str
        Column of an `all` factor.
    levels : sequence of str
        Its levels.
    posts, trials, conversions : (levels,) int arrays
        Rows, trials and conversions of each level.
    question : str
        The question asked.

    Returns
    -------
    tuple of Diagnostic
        `few_rows` for a table of fewer than 8 rows and for each level with fewer than 30 trials; `separation` for each
        level with none or all converted (say the bound, not the point). Where nothing is found one `few_rows` passes.
    """
    found = [
        *_judge_few_rows(int(np.sum(posts)), question),
        *(
            _judge_few_trials(factor, level, int(n), question)
            for level, n in zip(levels, trials, strict=True)
            if n < MIN_LEVEL_TRIALS
        ),
        *(
            _judge_one_sided(factor, level, int(y), int(n), question)
            for level, y, n in zip(levels, conversions, trials, strict=True)
            if n > 0 and y in (0, n)
        ),
    ]
    if found:
        return tuple(found)
    smallest = float(np.min(trials))
    meaning = f"Every level of {factor} has at least {smallest:,.0f} trials, with and without conversions."
    return (_judge("few_rows", factor, question, "pass", meaning, smallest, MIN_LEVEL_TRIALS),)


def _judge(
    name: str,
    subject: str,
    question: str,
    status: Status,
    meaning: str,
    value: float = float("nan"),
    threshold: float = float("nan"),
    *,
    consequence: Consequence = "none",
) -> Diagnostic:
    return Diagnostic(
        name=name,
        subject=subject,
        question=question,
        status=status,
        value=finite_or_none(value),
        threshold=finite_or_none(threshold),
        consequence=consequence,
        meaning=meaning,
    )


def _fits(check: PredictiveCheck, limit: float) -> bool:
    """Written so that a tail that is not a number does not fit."""
    return limit <= check.tail <= 1.0 - limit


def _say_observed(check: PredictiveCheck) -> str:
    return f"{check.observed:,.0f} conversions in {check.posts:,} posts, {check.expected:,.1f} expected"


def _judge_cell(check: PredictiveCheck, limit: float, question: str) -> Diagnostic:
    if _fits(check, limit):
        meaning = f"The model describes {check.subject}: {_say_observed(check)}."
        return _judge("predictive_cell", check.subject, question, "pass", meaning, check.tail, limit)
    meaning = (
        f"The model does not describe {check.subject}: {_say_observed(check)}. Its estimate is withheld; an "
        "interaction of the factors (--model conversion_interaction) may describe it."
    )
    return _judge(
        "predictive_cell", check.subject, question, "fail", meaning, check.tail, limit, consequence="cell_withheld"
    )


def _judge_tenths(column: str, checks: Sequence[PredictiveCheck], limit: float, question: str) -> Diagnostic:
    misfits = [check for check in checks if not _fits(check, limit)]
    worst = min(
        misfits or checks, key=lambda check: min(check.tail, 1.0 - check.tail) if isfinite(check.tail) else -1.0
    )
    if not misfits:
        meaning = f"The shape in {column} fits: every tenth of the posts converts as often as the model expects."
        return _judge("predictive_tenth", column, question, "pass", meaning, worst.tail, limit)
    tenths = _join([check.subject.rpartition(":")[2] for check in misfits])
    meaning = (
        f"The shape in {column} does not fit: in tenth {tenths} of its values the model is off "
        f"({_say_observed(worst)}). Statements about {column} are withheld; try --model conversion_log_engagement."
    )
    return _judge(
        "predictive_tenth", column, question, "fail", meaning, worst.tail, limit, consequence="statement_withheld"
    )


def _judge_creators(check: PredictiveCheck, limit: float, question: str) -> Diagnostic:
    if _fits(check, limit):
        meaning = "Creators differ as much as the model expects of posts that are independent."
        return _judge("predictive_creators", check.subject, question, "pass", meaning, check.tail, limit)
    side = "less" if check.tail < 0.5 else "more"
    times = check.observed / check.expected if check.expected > 0 else float("nan")
    meaning = (
        f"Creators differ {side} than independent posts would (variance of their totals {times:.1f} times the "
        "expected), so intervals of this model cannot be trusted. Statements about factors are withheld; use the "
        "model with creators (--model conversion_creator)."
    )
    return _judge(
        "predictive_creators",
        check.subject,
        question,
        "fail",
        meaning,
        check.tail,
        limit,
        consequence="statement_withheld",
    )


def _judge_few_rows(rows: int, question: str) -> tuple[Diagnostic, ...]:
    if rows >= MIN_ROWS:
        return ()
    meaning = f"The table has {rows} rows; below {MIN_ROWS} the answer rests mostly on the prior. Add posts."
    return (_judge("few_rows", "table", question, "warn", meaning, rows, MIN_ROWS, consequence="words_added"),)


def _judge_few_trials(factor: str, level: str, trials: int, question: str) -> Diagnostic:
    meaning = (
        f"{factor} {level} has {trials} trials; below {MIN_LEVEL_TRIALS} its effect rests much on the prior. Add posts "
        f"of {level}."
    )
    return _judge(
        "few_rows", f"{factor}:{level}", question, "warn", meaning, trials, MIN_LEVEL_TRIALS, consequence="words_added"
    )


def _judge_one_sided(factor: str, level: str, conversions: int, trials: int, question: str) -> Diagnostic:
    extent = "None" if conversions == 0 else "All"
    meaning = (
        f"{extent} of the {trials} trials of {factor} {level} converted: the size of its effect rests on the prior. "
        "Read the bound of its interval, not the point."
    )
    share = conversions / trials
    return _judge("separation", f"{factor}:{level}", question, "warn", meaning, share, consequence="words_added")


def _join(names: Sequence[str]) -> str:
    """Join names in a sentence: "a", "a and b", "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
