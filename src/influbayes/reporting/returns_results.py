"""Everything a returns study found as plain data for its results.json, and the verdict on it.

Takes estimates; computes none. The schema is results_returns.schema.json, version 1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np

from influbayes.effects.estimands import Probability
from influbayes.gate.wording import judge_probability
from influbayes.reporting.plain import make_plain
from influbayes.reporting.provenance import list_versions
from influbayes.reporting.returns_sentences import make_statements
from influbayes.reporting.schemas import RETURNS, find_violations
from influbayes.returns.estimates import Returns
from influbayes.returns.filters import describe_filter
from influbayes.returns.incremental import CONTROL_WORDS, INCREMENTAL
from influbayes.returns.parts import PartReturns
from influbayes.returns.pictures import compare_paid_orders, rate_engagement, sum_weeks
from influbayes.tables.problems import Problem

SCHEMA_VERSION = 1
Estimated = Returns | PartReturns
FEW_BUYERS = 5
MODEL_TEXT = """\
Revenue of an influencer = users reached x conversion x spend per buyer; buyers only: expected buyers x spend.
buyers ~ Binomial(users, conversion); conversion ~ Beta, its spread on the log-odds ~ half-normal(0.5)
  a spread at the prior median, 0.34, makes the odds of an influencer one sd above the average 1.4 times the average
buyers ~ Poisson(expected); expected ~ Gamma, spread (sd over mean) ~ half-normal(0.5)   [buyers only]
log spend ~ Normal(level, noise); level ~ Normal(mean, spread), spread ~ half-normal(0.5)
  the mean spend of all buyers comes from the Bayesian bootstrap; only differences rest on the log-normal shape
Both numbers of each population are integrated over a grid with their exact likelihood; draws are independent.
Total incremental ROAS: Bayesian bootstrap over users, which assumes nothing about how people spend.
"""
_VERDICTS = {
    "ok": "Every figure can be used as far as tracking and payouts are right.",
    "partly_withheld": "ROAS can be used; some figures are withheld, and each says why.",
    "withheld": "Nothing is concluded from this ledger.",
}


def collect_part(returns: Estimated, *, chosen: str, prob: float, best: int) -> dict[str, Any]:
    """Return what results.json says of totals, slices, influencers and statements, for a part of a ledger.

    `chosen` is the filter in words. Weeks, engagement, provenance and the account of rows are those of the whole run.
    """
    diagnostics = judge_returns(returns)
    status = _decide(diagnostics)
    held = [] if _is_incremental(returns) else [row.id for row in returns.effects if row.question == "incremental"]
    plain, nulls = make_plain(
        {
            "study": "returns",
            "status": status,
            "data": {"filter": chosen},
            "totals": asdict(returns.totals),
            "slices": returns.slices,
            "influencers": _list_influencers(returns),
            "incremental": _describe_incremental(returns),
            "heterogeneity": _describe_heterogeneity(returns),
            "engine": {"draws": returns.draws},
            "diagnostics": diagnostics,
            "effects": returns.effects,
            "withheld_effects": held,
            "provenance": {"prob": prob, "best": best},
        }
    )
    return {**plain, "statements": make_statements(plain), "nulls": nulls}


def collect_returns(returns: Returns, *, command: str = "", created: str | None = None) -> dict[str, Any]:
    """Return the results.json of a returns study as plain data."""
    diagnostics = judge_returns(returns)
    status = _decide(diagnostics)
    held = [] if _is_incremental(returns) else [row.id for row in returns.effects if row.question == "incremental"]
    raw: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "study": "returns",
        "status": status,
        "window_days": None,
        "choice": "Partially pooled returns: " + _say_kind(returns),
        "data": _account(returns),
        "totals": asdict(returns.totals),
        "slices": returns.slices,
        "influencers": _list_influencers(returns),
        "incremental": _describe_incremental(returns),
        "heterogeneity": _describe_heterogeneity(returns),
        "weeks": sum_weeks(returns.ledger),
        "engagement": rate_engagement(returns.ledger),
        "paid_orders": compare_paid_orders(returns.ledger),
        "engine": _describe_engine(returns),
        "diagnostics": diagnostics,
        "effects": returns.effects,
        "withheld_effects": held,
        "frequentist": [],
        "decisions": [],
        "provenance": _describe_provenance(returns, command, created),
    }
    plain, nulls = make_plain(raw)
    plain["statements"] = make_statements(plain)
    lead = plain["statements"][0]
    reasons = [row["meaning"] for row in diagnostics if row["status"] == "fail"]
    plain["headline"] = {
        "returns": {"text": lead["text"], "statement": lead["id"]},
        "verdict": {"status": status, "text": _VERDICTS[status], "reasons": reasons},
    }
    return {**plain, "nulls": nulls}


def validate_returns(results: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a results.json of a returns study; nothing for a good one."""
    return list(find_violations(results, RETURNS))


# --- judgement --------------------------------------------------------------------------------------------------------


def judge_returns(returns: Estimated) -> list[dict[str, Any]]:
    """Return the diagnostics: finite draws, buyers only, few buyers, prior sensitivity, errors of probabilities."""
    found = [_judge_finite(returns), _judge_groups(returns), _judge_prior(returns)]
    found += [asdict(row) for row in _judge_probabilities(returns)]
    few = [
        str(name)
        for name, count in zip(returns.people["id"], returns.pooled.counts.buyers, strict=True)
        if count < FEW_BUYERS
    ]
    if few:
        shown = ", ".join(few[:8]) + (" and more" if len(few) > 8 else "")
        meaning = f"{len(few):,} influencers with fewer than {FEW_BUYERS} buyers rest much on the others: {shown}."
        found.append(_judge("few_rows", "influencer", "warn", float(len(few)), 0.0, "words_added", meaning))
    return found


def _judge(
    name: str,
    subject: str,
    status: str,
    value: float | None,
    threshold: float | None,
    consequence: str,
    meaning: str,
    question: str = "returns",
) -> dict[str, Any]:
    return {
        "name": name,
        "subject": subject,
        "question": question,
        "status": status,
        "value": value,
        "threshold": threshold,
        "consequence": consequence,
        "meaning": meaning,
    }


def _judge_finite(returns: Estimated) -> dict[str, Any]:
    good = bool(np.isfinite(returns.pooled.revenue).all())
    meaning = "Every draw is a finite number." if good else "Some draws are not finite, so nothing is concluded."
    consequence = "none" if good else "all_withheld"
    return _judge("draws_finite", "revenue", "pass" if good else "fail", None, None, consequence, meaning)


def _is_incremental(returns: Estimated) -> bool:
    return returns.incremental is not None and returns.incremental.label == INCREMENTAL


def _judge_groups(returns: Estimated) -> dict[str, Any]:
    lift = returns.incremental
    if _is_incremental(returns):
        meaning = "Users who bought nothing are known, or group sizes are given."
        return _judge("control_group", "incremental_roas", "pass", None, None, "none", meaning, "incremental")
    if lift is None:
        meaning = "There are no control users or no exposed ones, so incremental ROAS is withheld."
    else:
        meaning = (
            "The ledger holds buyers only: a difference among buyers is not incremental. Give the sizes of the groups "
            "with --exposed-users and --control-users."
        )
    return _judge("control_group", "incremental_roas", "fail", None, None, "statement_withheld", meaning, "incremental")


def _judge_prior(returns: Estimated) -> dict[str, Any]:
    steady = returns.heterogeneity.steady
    meaning = (
        "Whether influencers can be told apart does not change when the priors of their spread are halved or doubled."
        if steady
        else "Whether influencers can be told apart depends on the prior of their spread; the weaker words are used."
    )
    consequence = "none" if steady else "words_added"
    return _judge("sensitivity", "spread", "pass" if steady else "warn", None, None, consequence, meaning)


def _judge_probabilities(returns: Estimated) -> list[Any]:
    """Judge the Monte Carlo error of the probabilities in sentences: of ROAS in total and of personas."""
    return [
        judge_probability(
            row.id, Probability(value=row.probability, mcse=_error(row.probability, returns.draws)), question="returns"
        )
        for row in returns.effects
        if row.probability is not None and row.variable in ("total", "persona") and row.question == "returns"
    ]


def _error(probability: float, draws: int) -> float:
    return float(np.sqrt(probability * (1 - probability) / draws))


def _decide(diagnostics: list[dict[str, Any]]) -> str:
    consequences = {row["consequence"] for row in diagnostics}
    if "all_withheld" in consequences:
        return "withheld"
    return "partly_withheld" if "statement_withheld" in consequences else "ok"


# --- parts ------------------------------------------------------------------------------------------------------------


def _say_kind(returns: Estimated) -> str:
    if returns.pooled.buyers_only:
        return "the ledger holds buyers only, so the number of buyers is taken as random too."
    return "users who bought nothing are known, so conversion and spend per buyer are estimated apart."


def _account(returns: Returns) -> dict[str, Any]:
    ledger = returns.ledger
    read = sum(ledger.rows_read.values())
    return {
        "file": ledger.folder,
        "is_sample": ledger.is_sample,
        "format": "ledger",
        "digest": ledger.digest,
        "rows_read": read,
        "rows_used": read - sum(ledger.rejected.values()),
        "rejected": dict(ledger.rejected),
        "tables": dict(ledger.rows_read),
        "filter": describe_filter(returns.chosen),
        "has_clock": ledger.has_clock,
        "warnings": [_describe_problem(row) for row in ledger.notices if row.rule == "warn"],
        "notices": [_describe_problem(row) for row in ledger.notices if row.rule == "accept"],
    }


def _describe_problem(problem: Problem) -> dict[str, Any]:
    return {
        "code": problem.code,
        "file": problem.file,
        "column": problem.column,
        "count": problem.count,
        "lines": list(problem.lines[:20]),
        "text": problem.message,
    }


def _list_influencers(returns: Estimated) -> list[dict[str, Any]]:
    """Return each influencer with raw sums; its estimates stand in `effects`."""
    counts, raw = returns.pooled.counts, {part.level: part for part in returns.slices if part.variable == "influencer"}
    lift = returns.incremental
    rows = []
    for i, person in enumerate(returns.people.to_dict("records")):
        part = raw[str(person["id"])]
        rows.append(
            {
                **{key: person[key] for key in ("id", "name", "category", "gender", "platform", "influencer_type")},
                "follower_count": int(person["follower_count"]),
                "exposed_users": int(counts.users[i]),
                "buyers": int(counts.buyers[i]),
                "orders": part.orders,
                "revenue": part.revenue,
                "payout": part.payout,
                "roas": part.roas,
                "state": _say_state(float(returns.payout[i]), int(counts.users[i]), int(counts.buyers[i])),
                "rate_above_mean": float(returns.heterogeneity.above[i]),
                "control": lift.control[i] if lift else None,
                "control_users": int(lift.control_users[i]) if lift else None,
            }
        )
    return rows


def _say_state(payout: float, users: int, buyers: int) -> str:
    """Say in a word what is special: nothing paid, nobody reached, no order, one buyer."""
    if payout <= 0:
        return "payout_zero"
    if users == 0:
        return "no_users"
    return {0: "no_orders", 1: "one_buyer"}.get(buyers, "")


def _describe_incremental(returns: Estimated) -> dict[str, Any] | None:
    lift = returns.incremental
    if lift is None:
        return None
    kinds = sorted(set(lift.control))
    return {
        "label": lift.label,
        "exposed_users": lift.exposed_users,
        "control_users": lift.all_control_users,
        "exposed_mean": lift.exposed_mean,
        "control_mean": lift.control_mean,
        "raw": (lift.exposed_mean - lift.control_mean) * lift.exposed_users / returns.totals.payout
        if returns.totals.payout > 0
        else float("nan"),
        "left_out": lift.left_out,
        "by_influencer": lift.influencers is not None,
        "why_not": lift.why_not,
        "controls": {kind: CONTROL_WORDS[kind] for kind in kinds},
    }


def _describe_heterogeneity(returns: Estimated) -> dict[str, Any]:
    found = returns.heterogeneity
    return {
        "apart": found.apart,
        "steady": found.steady,
        "raw_sd": found.raw_sd,
        "pooled_sd": found.pooled_sd,
        "lower": found.lower,
        "upper": found.upper,
        "unit": "influencer" if returns.pooled.buyers_only else "exposed user",
    }


def _describe_engine(returns: Returns) -> dict[str, Any]:
    why = "Exact conditional posteriors, two population numbers integrated over a grid: independent draws."
    if returns.draws < returns.asked:
        why += f" {returns.draws:,} draws instead of {returns.asked:,}, as there are many influencers."
    return {
        "name_asked": "exact",
        "name_used": "exact",
        "why": why,
        "draws": returns.draws,
        "chains": 1,
        "seconds": None,
        "certificate": None,
    }


def _describe_provenance(returns: Returns, command: str, created: str | None) -> dict[str, Any]:
    return {
        "versions": list_versions(),
        "seed": returns.seed,
        "prob": returns.prob,
        "best": returns.best,
        "command": command,
        "created": created or datetime.now(UTC).isoformat(timespec="seconds"),
        "specification": {
            "name": "returns",
            "title": "Partially pooled returns of influencers",
            "digest": hashlib.sha256(MODEL_TEXT.encode()).hexdigest(),
            "text": MODEL_TEXT,
        },
    }
