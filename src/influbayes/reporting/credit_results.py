"""Everything an attribution study found, as a frozen type and as plain data for results.json.

Takes a finished analysis; gives one dictionary that the terminal, the page and the pictures are made from. Computes no
estimate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from influbayes.attribution.baseline import Importance, MinutesScore
from influbayes.attribution.credit import CreditTable, Disagreement, Spread
from influbayes.attribution.folds import Trial
from influbayes.attribution.history import find_last
from influbayes.attribution.holdout import TimeTestTable
from influbayes.attribution.journeys import JourneySummary
from influbayes.attribution.rules import QUESTIONS
from influbayes.attribution.scores import trace_calibration, trace_pr, trace_roc
from influbayes.attribution.signup import Doubling, LevelChance, Spreads
from influbayes.attribution.terms import Intents
from influbayes.attribution.truth import Conflict
from influbayes.gate.checks import Diagnostic, Verdict
from influbayes.hierarchy.posterior import Fit
from influbayes.reporting.credit_sentences import make_statements
from influbayes.reporting.plain import make_plain
from influbayes.reporting.provenance import list_versions
from influbayes.reporting.schemas import ATTRIBUTION, find_violations
from influbayes.tables.problems import Problem
from influbayes.tables.sessions import CHANNEL, SessionsTable

SCHEMA_VERSION = 1
GROUPS = (CHANNEL, "utm_source", "utm_medium", "utm_campaign", "page", "utm_term", "country")
MOST_LEVELS = 30
MOST_POINTS = 60
_VERDICTS = {
    "ok": "Credits of all rules sum to the same sign-ups. They say what stood on the way, not what caused the sign-up.",
    "withheld": "Credits can be used; the sign-up model did not pass its checks, so its numbers are withheld.",
    "partly_withheld": "Credits can be used; some answers of the sign-up model are withheld, each with its reason.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SignUpAnswer:
    """The sign-up model fitted and judged.

    `withheld` id of a level or slope -> names of the checks that withhold it; `left_out` says which factors the table
    could not serve.
    """

    fit: Fit
    levels: tuple[LevelChance, ...]
    slopes: tuple[Doubling, ...]
    spreads: tuple[Spreads, ...]
    diagnostics: tuple[Diagnostic, ...]
    verdict: Verdict
    withheld: Mapping[str, tuple[str, ...]]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialAnswer:
    """Models scored on held-out users.

    `reason` says what could not be tried, `uncertified` why the hierarchical model is not among the scores.
    """

    trial: Trial
    importances: tuple[Importance, ...]
    minutes: MinutesScore | None
    left_out: Mapping[str, str]
    reason: str = ""
    uncertified: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributionAnalysis:
    """The whole study of one table of sessions.

    `others` are credit tables over further columns, without intervals. `conflicts` compare with a known truth, where
    there is one (`truth_source`). `signup` and `trial` are None where they were not asked for, `skipped` says why.
    """

    sessions: SessionsTable
    table: CreditTable
    others: tuple[CreditTable, ...]
    summary: JourneySummary
    disagreements: tuple[Disagreement, ...]
    spreads: tuple[Spread, ...]
    time_test: TimeTestTable
    conflicts: tuple[Conflict, ...]
    intents: Intents | None
    signup: SignUpAnswer | None
    trial: TrialAnswer | None
    truth_source: str = ""
    skipped: tuple[str, ...] = ()
    command: str = ""


def collect_credit_results(analysis: AttributionAnalysis, *, created: str | None = None) -> dict[str, Any]:
    """Return results.json of an attribution study as plain data.

    The keys are those of ``credit.schema.json``, version 1. Numbers that are not finite are None, and each is listed
    under ``nulls`` with its place and reason.
    """
    table = analysis.table
    model = "ok" if analysis.signup is None else analysis.signup.verdict.status
    status = "ok" if model == "ok" else "partly_withheld"
    document = {
        "schema_version": SCHEMA_VERSION,
        "study": "attribution",
        "status": status,
        "verdict": _VERDICTS[model],
        "data": _account(analysis.sessions),
        "journeys": {
            **asdict(analysis.summary),
            "uncredited": dict(table.journeys.uncredited),
            "lookback_days": table.journeys.lookback_days,
        },
        "options": _describe_options(table),
        "rules": [_describe_rule(rule, table) for rule in table.point],
        "credits": [asdict(row) for row in table.rows],
        "other_credits": [_describe_other(other) for other in analysis.others],
        "disagreements": [asdict(row) for row in analysis.disagreements],
        "spreads": [asdict(row) for row in analysis.spreads],
        "time_test": asdict(analysis.time_test),
        "truth": {"source": analysis.truth_source, "rows": [asdict(row) for row in analysis.conflicts]},
        "signup": _describe_signup(analysis.signup),
        "baseline": _describe_trial(analysis.trial),
        "intents": None if analysis.intents is None else asdict(analysis.intents),
        "skipped": list(analysis.skipped),
        "provenance": {
            "versions": list_versions(),
            "seed": table.seed,
            "prob": table.prob,
            "replicates": table.replicates,
            "command": analysis.command,
            "created": created or datetime.now(UTC).isoformat(timespec="seconds"),
        },
    }
    plain, nulls = make_plain(document)
    return {**plain, "statements": make_statements(plain), "nulls": nulls}


def _account(sessions: SessionsTable) -> dict[str, Any]:
    return {
        "file": sessions.file,
        "is_sample": sessions.is_sample,
        "format": sessions.format,
        "digest": sessions.digest,
        "rows_read": sessions.rows_read,
        "rows_used": sessions.rows_used,
        "rejected": dict(sorted(sessions.rejected.items())),
        "lost_sign_ups": sessions.lost_sign_ups,
        "sessions": len(sessions.frame),
        "users": int(sessions.frame["user_id"].nunique()),
        "sign_ups": sessions.sign_ups,
        "sign_ups_last": int(sessions.frame.loc[find_last(sessions.frame), "sign_up"].sum()),
        "first": str(sessions.frame["event_ts"].min()),
        "last": str(sessions.frame["event_ts"].max()),
        "levels": {name: _count_levels(sessions, name) for name in GROUPS if name in sessions.frame},
        "calendar": _count_calendar(sessions),
        "quality": dict(sessions.quality),
        "warnings": [_say_problem(problem) for problem in sessions.notices if problem.rule == "warn"],
        "notices": [_say_problem(problem) for problem in sessions.notices if problem.rule == "accept"],
    }


def _count_levels(sessions: SessionsTable, name: str) -> list[dict[str, Any]]:
    """Return the largest levels of a column with sessions and sign-ups."""
    table = sessions.frame.groupby(name)["sign_up"].agg(["size", "sum"])
    largest = table.sort_values(["size"], ascending=False, kind="stable").head(MOST_LEVELS)
    return [
        {"level": str(level), "sessions": int(row["size"]), "sign_ups": int(row["sum"])}
        for level, row in largest.iterrows()
    ]


def _count_calendar(sessions: SessionsTable) -> dict[str, list[dict[str, Any]]]:
    times = sessions.frame["event_ts"].dt
    found = {}
    for name, keys in (("month", times.strftime("%Y-%m")), ("weekday", times.day_of_week)):
        table = sessions.frame["sign_up"].groupby(keys).agg(["size", "sum"])
        found[name] = [
            {"level": _name_day(level), "sessions": int(row["size"]), "sign_ups": int(row["sum"])}
            for level, row in table.iterrows()
        ]
    return found


def _name_day(level: object) -> str:
    days = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    return days[level] if isinstance(level, int) else str(level)


def _say_problem(problem: Problem) -> dict[str, Any]:
    return {
        "code": problem.code,
        "column": problem.column,
        "count": problem.count,
        "lines": list(problem.lines[:5]),
        "text": problem.message,
    }


def _describe_options(table: CreditTable) -> dict[str, Any]:
    return {
        "by": table.by,
        "half_life_hours": table.options.half_life_hours,
        "first_share": table.options.first_share,
        "last_share": table.options.last_share,
        "markov_order": table.options.markov_order,
        "direct": list(table.options.find_direct(table.journeys.channels)),
    }


def _describe_rule(rule: str, table: CreditTable) -> dict[str, Any]:
    words, what, question = QUESTIONS[rule]
    return {
        "rule": rule,
        "words": words,
        "what": what,
        "question": question,
        "sum": float(table.point[rule].sum()),
    }


def _describe_other(table: CreditTable) -> dict[str, Any]:
    rows = [{"rule": row.rule, "level": row.channel, "credit": row.credit} for row in table.rows]
    return {"by": table.by, "rows": rows}


def _describe_signup(answer: SignUpAnswer | None) -> dict[str, Any] | None:
    if answer is None:
        return None
    run = answer.fit.run
    return {
        "specification": answer.fit.design.specification.name,
        "title": answer.fit.design.specification.title,
        "status": answer.verdict.status,
        "reasons": list(answer.verdict.reasons),
        "sessions": len(answer.fit.design.rows),
        "left_out": [*answer.left_out, *(f"{name}: the same in every session" for name in answer.fit.design.left_out)],
        "engine": {
            "name_asked": run.name_asked,
            "name_used": run.name_used,
            "why": run.why,
            "draws": run.draws,
            "chains": run.chains,
            "seconds": run.seconds,
        },
        "diagnostics": [asdict(item) for item in answer.diagnostics],
        "withheld": {name: list(causes) for name, causes in answer.withheld.items()},
        "levels": [asdict(row) for row in answer.levels],
        "slopes": [asdict(row) for row in answer.slopes],
        "spreads": [asdict(row) for row in answer.spreads],
    }


def _describe_trial(answer: TrialAnswer | None) -> dict[str, Any] | None:
    if answer is None:
        return None
    trial = answer.trial
    return {
        "folds": trial.folds,
        "repeats": trial.repeats,
        "base_rate": trial.base_rate,
        "scores": [asdict(row) for row in trial.scores],
        "importances": [asdict(row) for row in answer.importances],
        "minutes": None if answer.minutes is None else asdict(answer.minutes),
        "left_out": dict(answer.left_out),
        "uses": {name: list(columns) for name, columns in trial.uses.items()},
        "reason": answer.reason,
        "uncertified": answer.uncertified,
        "curves": {name: _trace(trial, name) for name in trial.chances},
    }


def _trace(trial: Trial, name: str) -> dict[str, Any]:
    chance = trial.chances[name]
    false, true = trace_roc(trial.outcome, chance)
    recall, precision = trace_pr(trial.outcome, chance)
    predicted, observed = trace_calibration(trial.outcome, chance)
    return {
        "roc": _thin(false, true),
        "pr": _thin(recall, precision),
        "calibration": [[float(a), float(b)] for a, b in zip(predicted, observed, strict=True)],
    }


def _thin(x: Any, y: Any) -> list[list[float]]:
    if not len(x):
        return []
    # Even steps along both axes, so that neither the steep nor the flat part of a curve is thinned away.
    steps = np.linspace(0, 1, MOST_POINTS)
    both = [
        np.searchsorted(x, x[0] + steps * (x[-1] - x[0])),
        np.linspace(0, min(len(x) - 1, MOST_POINTS), MOST_POINTS),
    ]
    places = np.unique(np.clip(np.concatenate(both).astype(np.int64), 0, len(x) - 1)).tolist()
    return [[float(x[place]), float(y[place])] for place in places]


def list_credit_facts(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return what MANIFEST.json repeats of an attribution results.json."""
    provenance = results["provenance"]
    return {
        "study": results["study"],
        "status": results["status"],
        "replicates": provenance["replicates"],
        "seed": provenance["seed"],
        "data_digest": results["data"]["digest"],
        "versions": provenance["versions"],
        "schema_version": results["schema_version"],
    }


def validate_credit_results(results: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what is wrong with plain results by the shipped JSON Schema, one message each; empty where all is well."""
    return find_violations(results, ATTRIBUTION)
