"""The sign-up model: sessions as rows of the hierarchical logistic model, and its answers per channel.

Takes sessions and a specification; makes the table that `hierarchy` reads, and from a fit one row a level. Knows no
engine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from influbayes.attribution.features import INTENT
from influbayes.attribution.history import HISTORY, tell_history
from influbayes.attribution.terms import group_terms
from influbayes.effects.estimands import summarise_draws
from influbayes.errors import UsageError
from influbayes.hierarchy.posterior import Fit
from influbayes.hierarchy.predict import expected_value
from influbayes.hierarchy.spec import FactorTerm, Specification
from influbayes.tables.posts import PostColumns, PostsTable
from influbayes.tables.session_quality import list_set_aside
from influbayes.tables.sessions import USER, SessionsTable

MOST_LEVELS = 40
FEWEST_INTENTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelChance:
    """One level in the sign-up model.

    `odds_ratio` compares a session of this level with one of an average level, all else equal; `chance` is the
    expected share of its own sessions that sign up (0 to 1). Posterior medians with equal-tailed intervals; `rhat` and
    `ess_bulk` are those of the log odds ratio.
    """

    variable: str
    level: str
    sessions: int
    sign_ups: int
    odds_ratio: float
    odds_lower: float
    odds_upper: float
    probability: float
    chance: float
    chance_lower: float
    chance_upper: float
    rhat: float
    ess_bulk: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spreads:
    """Standard deviation between the levels of a factor, in log-odds, with its interval."""

    variable: str
    levels: int
    estimate: float
    lower: float
    upper: float


def fit_to_sessions(spec: Specification, sessions: SessionsTable) -> tuple[Specification, tuple[str, ...]]:
    """Return the specification without the factors the table cannot serve, and why each was left out.

    Search terms get a second, coarser factor, their intent, where there are at least three intents and twice as many
    terms: fewer cannot be told from the terms themselves.
    """
    aside = list_set_aside(dict(sessions.quality))
    reasons: list[str] = []
    kept: list[FactorTerm] = []
    for term in spec.factors:
        if term.column not in sessions.frame:
            reasons.append(f"{term.column}: not in the table")
        elif term.column in aside:
            reasons.append(f"{term.column}: missing in most rows")
        else:
            kept.append(term)
    known = {*sessions.frame.columns, *HISTORY}
    unknown = [term.column for term in spec.numerics if term.column not in known]
    if unknown or not kept:
        raise UsageError(f"The specification {spec.name} needs {', '.join(unknown) or 'a factor'} of these sessions.")
    terms = next((term for term in kept if term.column == "utm_term"), None)
    if terms is not None:
        intents, count = group_terms(sessions.frame["utm_term"]).sizes, sessions.frame["utm_term"].nunique()
        if len(intents) >= FEWEST_INTENTS and count >= 2 * len(intents):
            kept.append(replace(terms, column=INTENT))
        else:
            reasons.append(f"{INTENT}: {len(intents)} intents of {count} terms cannot be told from the terms")
    return replace(spec, factors=tuple(kept)), tuple(reasons)


def make_rows(sessions: SessionsTable, spec: Specification) -> PostsTable:
    """Return the sessions as rows of a logistic model: one trial each, `conversions` 1 where it signed up."""
    frame = sessions.frame.assign(**tell_history(sessions.frame))
    names = [term.column for term in spec.factors] + [term.column for term in spec.numerics]
    data: dict[str, pd.Series] = {name: frame[name] for name in names if name in frame}
    if any(term.column == INTENT for term in spec.factors):
        data[INTENT] = frame["utm_term"].map(dict(group_terms(frame["utm_term"]).intent)).astype("str")
    data["conversions"] = frame["sign_up"]
    data["trials"] = pd.Series(np.ones(len(frame), dtype=np.int64), index=frame.index)
    data["line"] = frame["line"]
    columns = PostColumns(
        outcome="Sign_up",
        numeric=tuple(term.column for term in spec.numerics),
        labels=tuple(term.column for term in spec.factors),
        optional_labels=(),
    )
    return PostsTable(
        frame=pd.DataFrame(data),
        columns=columns,
        file=sessions.file,
        format=sessions.format,
        digest=sessions.digest,
        rows_read=sessions.rows_read,
        rejected=sessions.rejected,
        is_sample=sessions.is_sample,
    )


def summarise_levels(fit: Fit, *, prob: float = 0.9) -> tuple[LevelChance, ...]:
    """Return one row a level of every factor with at most 40 levels, users left out."""
    rows: list[LevelChance] = []
    for term in fit.design.factors:
        levels = fit.design.levels[term.column]
        if term.column != USER and len(levels) <= MOST_LEVELS:
            rows += _summarise_factor(fit, term.column, prob)
    return tuple(rows)


def _summarise_factor(fit: Fit, column: str, prob: float) -> list[LevelChance]:
    codes, levels = fit.design.rows.codes[column], fit.design.levels[column]
    effects = fit.draws[f"effect_{column}"]
    effects = effects - effects.mean(axis=-1, keepdims=True)
    chances = expected_value(fit, by=codes)
    sessions = np.bincount(codes, minlength=len(levels))
    sign_ups = np.bincount(codes, fit.design.conversions, len(levels))
    rows = []
    for code, level in enumerate(levels):
        odds = summarise_draws(effects[..., code], prob=prob)
        chance = summarise_draws(chances[..., code], prob=prob)
        rows.append(
            LevelChance(
                variable=column,
                level=level,
                sessions=int(sessions[code]),
                sign_ups=int(sign_ups[code]),
                odds_ratio=float(np.exp(odds.estimate)),
                odds_lower=float(np.exp(odds.lower)),
                odds_upper=float(np.exp(odds.upper)),
                probability=float(np.mean(effects[..., code] > 0)),
                chance=chance.estimate,
                chance_lower=chance.lower,
                chance_upper=chance.upper,
                rhat=odds.rhat,
                ess_bulk=odds.ess_bulk,
            )
        )
    return rows


def summarise_spreads(fit: Fit, *, prob: float = 0.9) -> tuple[Spreads, ...]:
    """Return how much the levels of each pooled factor differ, users included."""
    rows = []
    for term in fit.design.factors:
        if term.scale is None:
            found = summarise_draws(fit.draws[f"scale_{term.column}"], prob=prob)
            levels = len(fit.design.levels[term.column])
            rows.append(
                Spreads(
                    variable=term.column,
                    levels=levels,
                    estimate=found.estimate,
                    lower=found.lower,
                    upper=found.upper,
                )
            )
    return tuple(rows)
