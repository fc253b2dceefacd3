"""A small finished study, made by hand: 72 posts of 12 creators, synthetic draws, no sampler.

Other reporting tests (page, pictures) use the same fixtures: `conversion_analysis` and `conversion_results`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from influbayes.effects.contrasts import estimate_effects, make_claims
from influbayes.effects.criticism import Calibration, PredictiveCheck
from influbayes.effects.estimands import estimate_probability
from influbayes.gate.checks import REQUIRED, Diagnostic
from influbayes.hierarchy.design import build_design
from influbayes.hierarchy.posterior import EngineRun, Fit
from influbayes.hierarchy.spec import (
    FactorTerm,
    NormalPrior,
    NumericTerm,
    Outcome,
    ScalePrior,
    Specification,
)
from influbayes.reporting.results import ConversionAnalysis, QuestionResult, collect_results
from influbayes.tables.posts import PostColumns, PostsTable
from influbayes.tables.problems import Problem

TIERS = ("Mega", "Micro", "Mid")
REGIONS = ("APAC", "EU", "LATAM", "US")
CHAINS, DRAWS = 4, 250
# Log-odds effects the synthetic draws scatter around: as bought Micro leads, at equal engagement Mega does.
TIER_EFFECTS = {"as_bought": (-0.5, 0.7, -0.2), "engagement_constant": (0.35, -0.25, -0.1)}
REGION_EFFECTS = (0.02, 0.0, -0.03, 0.01)


def build_posts() -> PostsTable:
    rng = np.random.default_rng(7)
    tier = np.repeat(TIERS, 24)
    views = {"Mega": 40_000, "Mid": 12_000, "Micro": 3_000}
    story_views = np.array([views[name] for name in tier]) * rng.uniform(0.7, 1.3, 72)
    frame = pd.DataFrame(
        {
            "line": np.arange(2, 74),
            "Influencer_Tier": tier,
            "Audience_Region": np.tile(REGIONS, 18),
            "Creator_ID": [f"c{k // 6:02d}" for k in range(72)],
            "Story_Views": np.round(story_views),
            "Swipe_Ups": np.round(rng.uniform(10, 120, 72)),
            "conversions": (rng.uniform(size=72) < 0.4).astype(np.int64),
            "trials": np.ones(72, dtype=np.int64),
        }
    ).astype({"Influencer_Tier": "str", "Audience_Region": "str", "Creator_ID": "str"})
    notices = (
        Problem(
            code="IB-D29",
            rule="warn",
            file="posts.csv",
            message="37 repeats, lines 9, 41.",
            lines=(9, 41),
            count=37,
        ),
        Problem(code="IB-D03", rule="accept", file="posts.csv", message='delimiter ";".'),
    )
    return PostsTable(
        frame=frame,
        columns=PostColumns(),
        file="posts.csv",
        format="csv",
        digest="d" * 64,
        rows_read=75,
        rejected={"no trials": 3},
        notices=notices,
        window_days=7,
    )


def build_specification(question: str) -> Specification:
    half_normal = ScalePrior(family="half_normal", parameters=(1.0,))
    numerics = tuple(
        NumericTerm(column=column, prior=NormalPrior(mean=0, sd=1), after_purchase=True, report_step=step)
        for column, step in (("Story_Views", 5000.0), ("Swipe_Ups", 20.0))
    )
    return Specification(
        name="conversion_creator",
        title="Conversion with partially pooled tier, region and creator",
        outcome=Outcome(column="Converted"),
        intercept=NormalPrior(mean=0, sd=1.5),
        numerics=numerics if question == "engagement_constant" else (),
        factors=(
            FactorTerm(column="Influencer_Tier", levels="all", reference="Mega", scale_prior=half_normal),
            FactorTerm(column="Audience_Region", levels="all", reference="US", scale_prior=half_normal),
            FactorTerm(column="Creator_ID", levels="sample", scale_prior=half_normal),
        ),
        source='title = "Conversion with partially pooled tier, region and creator"\n',
    )


def build_fit(posts: PostsTable, question: Any) -> Fit:
    design = build_design(posts, build_specification(question), question=question)
    rng = np.random.default_rng(11)

    def scatter(centre: Sequence[float] | float, sd: float) -> Any:
        shape = (CHAINS, DRAWS, *np.shape(centre))
        return np.asarray(centre) + sd * rng.standard_normal(shape)

    def zero_sum(values: Any) -> Any:
        return values - values.mean(axis=-1, keepdims=True)

    tiers = dict(zip(TIERS, TIER_EFFECTS[question], strict=True))
    draws = {
        "intercept": scatter(-0.4, 0.1),
        "effect_Influencer_Tier": zero_sum(scatter([tiers[level] for level in design.levels["Influencer_Tier"]], 0.15)),
        "scale_Influencer_Tier": np.abs(scatter(0.6, 0.1)),
        "effect_Audience_Region": zero_sum(scatter(REGION_EFFECTS, 0.25)),
        "scale_Audience_Region": np.abs(scatter(0.3, 0.1)),
        "effect_Creator_ID": scatter(np.zeros(len(design.levels["Creator_ID"])), 0.3),
        "scale_Creator_ID": np.abs(scatter(0.3, 0.05)),
    }
    if design.numeric_names:
        draws["slope"] = scatter([0.05 if name == "Story_Views" else 0.9 for name in design.numeric_names], 0.15)
    run = EngineRun(
        name_asked="auto",
        name_used="nuts",
        why="auto is nuts",
        draws=DRAWS,
        chains=CHAINS,
        seed=1,
        seconds=2.5,
        rungs=({"target_accept": 0.95, "tune": 1000},),
    )
    return Fit(design=design, draws=draws, sample_stats={}, run=run)


def build_checks(posts: PostsTable) -> tuple[PredictiveCheck, ...]:
    cells = [("cell", f"{tier}:{region}") for tier in TIERS for region in REGIONS]
    tenths = [("tenth", f"Swipe_Ups:{k}") for k in range(1, 11)]
    return tuple(
        PredictiveCheck(
            kind=kind,
            subject=subject,
            posts=6,
            observed=2.0,
            expected=2.4,
            lower=0.0,
            upper=5.0,
            tail=0.42,
            raw_rate=1 / 3,
        )
        for kind, subject in (*cells, *tenths)
    )


def pass_check(name: str, question: str, subject: str = "all quantities", **changes: Any) -> Diagnostic:
    passed = Diagnostic(
        name=name,
        subject=subject,
        question=question,
        status="pass",
        value=1.001,
        threshold=1.01,
        consequence="none",
        meaning=f"{name} is fine.",
    )
    return replace(passed, **changes)


def build_question(posts: PostsTable, question: Any, *, prob: float = 0.9) -> QuestionResult:
    fit = build_fit(posts, question)
    claims = make_claims(fit)
    grid = np.linspace(0.05, 0.9, 12)
    return QuestionResult(
        fit=fit,
        effects=estimate_effects(fit, prob=prob),
        claims=claims,
        probabilities={claim.id: estimate_probability(claim.margin) for claim in claims},
        checks=build_checks(posts),
        calibration=Calibration(predicted=grid, observed=grid**1.1, lower=grid * 0.7, upper=np.minimum(grid * 1.3, 1)),
        diagnostics=tuple(pass_check(name, question) for name in (*REQUIRED, "divergences", "ebfmi", "tree_depth")),
    )


def build_analysis() -> ConversionAnalysis:
    posts = build_posts()
    return ConversionAnalysis(
        posts=posts,
        questions=tuple(build_question(posts, name) for name in ("engagement_constant", "as_bought")),
        choice="conversion_creator, because 12 creators have more than one post.",
        prob=0.9,
        seed=20260101,
        command="python -m influbayes.fit posts.csv",
    )


def add_diagnostics(analysis: ConversionAnalysis, *items: Diagnostic) -> ConversionAnalysis:
    """The same study with further diagnostics, each put to its question."""
    questions = tuple(
        replace(
            question,
            diagnostics=(
                *question.diagnostics,
                *(item for item in items if item.question == question.fit.design.question),
            ),
        )
        for question in analysis.questions
    )
    return replace(analysis, questions=questions)


@pytest.fixture(scope="session")
def conversion_analysis() -> ConversionAnalysis:
    """Two questions, 3 tiers, 4 regions, 2 numerics, 12 creators; every check passes."""
    return build_analysis()


@pytest.fixture(scope="session")
def conversion_results(conversion_analysis: ConversionAnalysis) -> dict[str, Any]:
    """Its results.json; do not change it in place."""
    return collect_results(conversion_analysis, created="2026-01-01T00:00:00+00:00")


@pytest.fixture(scope="session")
def judge():
    """Results of the same study with further diagnostics: judge(analysis, item, ...)."""

    def collect(analysis: ConversionAnalysis, *items: Diagnostic) -> dict[str, Any]:
        return collect_results(add_diagnostics(analysis, *items), created="2026-01-01T00:00:00+00:00")

    return collect


@pytest.fixture(scope="session")
def make_check():
    """A diagnostic: make_check(name, question, subject, **changes); passes unless changed."""
    return pass_check
