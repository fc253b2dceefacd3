"""Everything a conversion study found, as frozen types and as plain data for results.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from influbayes.effects.criticism import Calibration, PredictiveCheck
from influbayes.effects.estimands import Claim, Effect, Probability
from influbayes.gate.checks import Diagnostic
from influbayes.hierarchy.posterior import Fit
from influbayes.tables.posts import PostsTable


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionResult:
    """One question answered: its fit, estimates, claims with their probabilities (by claim id), checks."""

    fit: Fit
    effects: tuple[Effect, ...]
    claims: tuple[Claim, ...]
    probabilities: Mapping[str, Probability]
    checks: tuple[PredictiveCheck, ...]
    calibration: Calibration | None
    diagnostics: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionAnalysis:
    """The whole study of one table of posts.

    `questions` holds engagement_constant and as_bought (only as_bought where nothing is marked after_purchase);
    `choice` says in a sentence which specification was used and why; `prob` is the mass of the intervals.
    """

    posts: PostsTable
    questions: tuple[QuestionResult, ...]
    choice: str
    prob: float
    seed: int
    command: str
