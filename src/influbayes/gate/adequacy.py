"""Does the model describe the rows, and do the rows say enough? Judges predictions, separation, LOO and row counts.

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
from influbayes.gate.subjects import POSTS, Subject
from influbayes.gate.thresholds import MAX_PARETO_K, MIN_LEVEL_TRIALS, MIN_ROWS, PREDICTIVE_ALPHA

Counts = npt.NDArray[np.int64]

_COMPLETE = "completely: they tell the {rows} that {did} from the others without one mistake."
_QUASI = "in part: some {rows} are told apart without one mistake, the rest not at all."


def judge_predictions(
    checks: Sequence[PredictiveCheck], *, question: str, subject: Subject = POSTS
) -> tuple[Diagnostic, ...]:
    """Judge predictive checks against the central 1 - 0.002 / number of checks.

    Parameters
    ----------
    checks : sequence of PredictiveCheck
        Of one fit.
    question : str
        The question the fit answers.
    subject : Subject
        What rows are called.

    Returns
    -------
    tuple of Diagnostic
        `predictive_cell` for each cell (failing: that cell is withheld); `predictive_tenth` for each numeric column,
        judged by its worst tenth (failing: statements about that column are withheld); `predictive_creators` (failing:
        statements about factors are withheld); `predictive_rows`, overdispersion of rows of several trials (failing:
        every comparison and step is withheld). `value` is the tail position, `threshold` the smallest distance from 0
        and 1 that passes.
    """
    limit = PREDICTIVE_ALPHA / max(1, len(checks)) / 2.0
    tenths: dict[str, list[PredictiveCheck]] = defaultdict(list)
    for check in checks:
        if check.kind == "tenth":
            tenths[check.subject.rpartition(":")[0]].append(check)
    return (
        *(_judge_cell(check, limit, question, subject) for check in checks if check.kind == "cell"),
        *(_judge_tenths(column, group, limit, question, subject) for column, group in tenths.items()),
        *(_judge_creators(check, limit, question, subject) for check in checks if check.kind == "creator_spread"),
        *(_judge_overdispersion(check, limit, question) for check in checks if check.kind == "row_spread"),
    )


def judge_separation(separation: Separation, *, question: str, subject: Subject = POSTS) -> Diagnostic:
    """Judge separation: where columns separate the outcomes, sizes rest on the prior and the report says so."""
    if separation.kind == "none":
        meaning = f"No combination of columns separates the {subject.rows} that {subject.did} from those that did not."
        return _judge("separation", "table", question, "pass", meaning)
    columns, verb = _join(separation.columns), "separate" if len(separation.columns) > 1 else "separates"
    extent = (_COMPLETE if separation.kind == "complete" else _QUASI).format(rows=subject.rows, did=subject.did)
    meaning = (
        f"{columns} {verb} the outcomes {extent} The direction is clear, but the size of the effects rests on the "
        f"prior. Read the interval, not the point; more {subject.rows} near the boundary help."
    )
    return _judge("separation", ", ".join(separation.columns), question, "warn", meaning, consequence="words_added")


def judge_loo(loo: LooResult, *, question: str, subject: Subject = POSTS) -> Diagnostic:
    """Judge leave-one-out: rows with Pareto k above 0.7 (or NaN) are too influential for its estimate."""
    k = np.asarray(loo.pareto_k, dtype=np.float64)
    above = int((~(k <= MAX_PARETO_K)).sum())
    worst = float(k.max()) if k.size else float("nan")
    if k.size and not above:
        meaning = f"No {subject.row} has an outsized influence: Pareto k is at most {worst:.2f} (limit {MAX_PARETO_K})."
        return _judge("loo_k", subject.rows, question, "pass", meaning, worst, MAX_PARETO_K)
    meaning = (
        f"{above} of {k.size} {subject.rows} influence the fit strongly (Pareto k above {MAX_PARETO_K}), so the "
        f"leave-one-out score is only rough. Look at these {subject.rows} for typing errors."
    )
    return _judge("loo_k", subject.rows, question, "warn", meaning, worst, MAX_PARETO_K, consequence="words_added")


def judge_rows(
    factor: str,
    levels: Sequence[str],
    posts: Counts,
    trials: Counts,
    conversions: Counts,
    *,
    question: str,
    subject: Subject = POSTS,
) -> tuple[Diagnostic, ...]:
    """Judge how much the table says about each level of a factor.

    Parameters
    ----------
    factor : str
        Column of a factor.
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
        *_judge_few_rows(int(np.sum(posts)), question, subject),
        *(
            _judge_few_trials(factor, level, int(n), question, subject)
            for level, n in zip(levels, trials, strict=True)
            if n < MIN_LEVEL_TRIALS
        ),
        *(
            _judge_one_sided(factor, level, int(y), int(n), question, subject)
            for level, y, n in zip(levels, conversions, trials, strict=True)
            if n > 0 and y in (0, n)
        ),
    ]
    if found:
        return tuple(found)
    smallest = float(np.min(trials))
    meaning = f"Every level of {factor} has at least {smallest:,.0f} {subject.trials}, with and without {subject.hits}."
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


def _say_observed(check: PredictiveCheck, subject: Subject) -> str:
    return f"{check.observed:,.0f} {subject.hits} in {check.posts:,} {subject.rows}, {check.expected:,.1f} expected"


def _judge_cell(check: PredictiveCheck, limit: float, question: str, subject: Subject) -> Diagnostic:
    if _fits(check, limit):
        meaning = f"The model describes {check.subject}: {_say_observed(check, subject)}."
        return _judge("predictive_cell", check.subject, question, "pass", meaning, check.tail, limit)
    meaning = (
        f"The model does not describe {check.subject}: {_say_observed(check, subject)}. Its estimate is withheld; "
        f"{subject.cell_remedy}."
    )
    return _judge(
        "predictive_cell", check.subject, question, "fail", meaning, check.tail, limit, consequence="cell_withheld"
    )


def _judge_tenths(
    column: str, checks: Sequence[PredictiveCheck], limit: float, question: str, subject: Subject
) -> Diagnostic:
    misfits = [check for check in checks if not _fits(check, limit)]
    worst = min(
        misfits or checks, key=lambda check: min(check.tail, 1.0 - check.tail) if isfinite(check.tail) else -1.0
    )
    if not misfits:
        every = f"every tenth of the {subject.rows} {subject.does} as often as the model expects"
        meaning = f"The shape in {column} fits: {every}."
        return _judge("predictive_tenth", column, question, "pass", meaning, worst.tail, limit)
    tenths = _join([check.subject.rpartition(":")[2] for check in misfits])
    meaning = (
        f"The shape in {column} does not fit: in tenth {tenths} of its values the model is off "
        f"({_say_observed(worst, subject)}). Statements about {column} are withheld; {subject.shape_remedy}."
    )
    return _judge(
        "predictive_tenth", column, question, "fail", meaning, worst.tail, limit, consequence="statement_withheld"
    )


def _judge_creators(check: PredictiveCheck, limit: float, question: str, subject: Subject) -> Diagnostic:
    if _fits(check, limit):
        meaning = f"{subject.owners} differ as much as the model expects."
        return _judge("predictive_creators", check.subject, question, "pass", meaning, check.tail, limit)
    side = "less" if check.tail < 0.5 else "more"
    times = check.observed / check.expected if check.expected > 0 else float("nan")
    meaning = (
        f"{subject.owners} differ {side} than {subject.spread} (variance of their totals {times:.1f} times the "
        "expected), so intervals of this model cannot be trusted. Statements about factors are withheld; "
        f"{subject.owner_remedy}."
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


def _judge_overdispersion(check: PredictiveCheck, limit: float, question: str) -> Diagnostic:
    if _fits(check, limit):
        meaning = "Rows of several trials differ as much as the model expects: they are not overdispersed."
        return _judge("predictive_rows", check.subject, question, "pass", meaning, check.tail, limit)
    side = "less" if check.tail < 0.5 else "more"
    times = check.observed / check.expected if check.expected > 0 else float("nan")
    meaning = (
        f"Rows of several trials differ {side} than the model expects (variance {times:.1f} times the expected), so "
        "intervals of this model cannot be trusted. Comparisons and steps are withheld; add a column that tells the "
        "rows apart, such as Creator_ID, and a term for it (--model FILE)."
    )
    return _judge(
        "predictive_rows",
        check.subject,
        question,
        "fail",
        meaning,
        check.tail,
        limit,
        consequence="statement_withheld",
    )


def _judge_few_rows(rows: int, question: str, subject: Subject) -> tuple[Diagnostic, ...]:
    if rows >= MIN_ROWS:
        return ()
    meaning = f"The table has {rows} rows; below {MIN_ROWS} the answer rests mostly on the prior. Add {subject.rows}."
    return (_judge("few_rows", "table", question, "warn", meaning, rows, MIN_ROWS, consequence="words_added"),)


def _judge_few_trials(factor: str, level: str, trials: int, question: str, subject: Subject) -> Diagnostic:
    meaning = (
        f"{factor} {level} has {trials} {subject.trials}; below {MIN_LEVEL_TRIALS} its effect rests much on the prior. "
        f"Add {subject.rows} of {level}."
    )
    return _judge(
        "few_rows", f"{factor}:{level}", question, "warn", meaning, trials, MIN_LEVEL_TRIALS, consequence="words_added"
    )


def _judge_one_sided(
    factor: str, level: str, conversions: int, trials: int, question: str, subject: Subject
) -> Diagnostic:
    extent = "None" if conversions == 0 else "All"
    meaning = (
        f"{extent} of the {trials} {subject.trials} of {factor} {level} {subject.did}: the size of its effect rests on "
        "the prior. "
        "Read the bound of its interval, not the point."
    )
    share = conversions / trials
    return _judge("separation", f"{factor}:{level}", question, "warn", meaning, share, consequence="words_added")


def _join(names: Sequence[str]) -> str:
    """Join names in a sentence: "a", "a and b", "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
