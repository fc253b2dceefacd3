"""A fit by normal approximation, quick enough for simulations: creators' scale on a grid, the rest at its mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import halfnorm

from influbayes.effects.logit import fit_normal_logit
from influbayes.hierarchy.coding import code_design, decode
from influbayes.hierarchy.design import Design
from influbayes.hierarchy.posterior import EngineRun, Fit
from influbayes.tables.posts import PostColumns, PostsTable

GRID = (0.05, 0.25, 0.5, 0.75, 1.0, 1.3, 1.7, 2.2)
CHAINS, DRAWS = 4, 250


def approximate_posterior(design: Design, *, level_scale: float = 1.0, seed: int = 1) -> Fit:
    """Draws of every coefficient; scales of `all` factors are held at `level_scale`, `sample` scales share a grid."""
    coding = code_design(design, grouped=())
    samples = {term.column for term in design.factors if term.levels == "sample"}
    grid = np.array(GRID) if samples else np.array([1.0])
    wins, trials = design.conversions.astype(float), design.trials.astype(float)
    modes, covariances, weights = [], [], []
    for scale in grid:
        precision, centre = np.zeros(coding.X.shape[1]), np.zeros(coding.X.shape[1])
        for block in coding.blocks:
            place = slice(block.start, block.stop)
            precision[place] = level_scale**-2.0
            if block.variable == "intercept":
                precision[place] = 1.5**-2.0
            elif block.variable.removeprefix("effect_") in samples:
                precision[place] = scale**-2.0
        mode, information = fit_normal_logit(coding.X, wins, trials, precision=precision, centre=centre)
        eta = coding.X @ mode
        score = (wins * eta - trials * np.logaddexp(0, eta)).sum() - 0.5 * (precision * mode**2).sum()
        score += 0.5 * np.log(precision).sum() - 0.5 * np.linalg.slogdet(information)[1] + halfnorm.logpdf(scale)
        modes.append(mode)
        covariances.append(np.linalg.inv(information))
        weights.append(score + np.log(np.gradient(grid)[len(weights)] if len(grid) > 1 else 1.0))
    rng = np.random.default_rng(seed)
    shares = np.exp(np.array(weights) - max(weights))
    chosen = rng.choice(len(grid), CHAINS * DRAWS, p=shares / shares.sum())
    roots = [np.linalg.cholesky(one) for one in covariances]
    noise = rng.standard_normal((CHAINS * DRAWS, coding.X.shape[1]))
    draws = np.array([modes[k] + roots[k] @ z for k, z in zip(chosen, noise, strict=True)])
    named = decode(coding, draws.reshape(CHAINS, DRAWS, -1))
    scales = {f"scale_{name}": grid[chosen].reshape(CHAINS, DRAWS) for name in samples}
    levels = {
        f"scale_{term.column}": np.full((CHAINS, DRAWS), level_scale)
        for term in design.factors
        if term.levels == "all" and term.scale is None
    }
    run = EngineRun(
        name_asked="normal", name_used="normal", why="a test", draws=DRAWS, chains=CHAINS, seed=seed, seconds=0.0
    )
    return Fit(design=design, draws={**named, **scales, **levels}, sample_stats={}, run=run)


@pytest.fixture(scope="session")
def fit_normally() -> Callable[..., Fit]:
    """fit_normally(design, level_scale=, seed=): draws of the normal approximation."""
    return approximate_posterior


def tabulate_posts(columns: dict[str, Any]) -> PostsTable:
    frame = pd.DataFrame(columns)
    frame["conversions"] = frame.pop("Converted").astype(np.int64)
    frame["trials"] = np.ones(len(frame), dtype=np.int64)
    frame["line"] = np.arange(2, len(frame) + 2)
    labels = [name for name in ("Influencer_Tier", "Audience_Region", "Creator_ID") if name in frame]
    return PostsTable(
        frame=frame.astype(dict.fromkeys(labels, "str")),
        columns=PostColumns(),
        file="posts.csv",
        format="csv",
        digest="d" * 64,
        rows_read=len(frame),
    )


@pytest.fixture(scope="session")
def make_posts() -> Callable[..., PostsTable]:
    """make_posts({"Influencer_Tier": ..., "Converted": ...}): a checked table of these columns."""
    return tabulate_posts
