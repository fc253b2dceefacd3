"""Small tables, a stand-in for the sampler, and the fits that tests share: each is sampled once a session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from influbayes.hierarchy.coding import code_design, decode, dims_of
from influbayes.hierarchy.design import Design, build_design
from influbayes.hierarchy.posterior import EngineRun, Fit
from influbayes.hierarchy.spec import Specification, leave_out_after_purchase, load_spec
from influbayes.tables.posts import PostColumns, PostsTable
from influbayes.tables.simulate import simulate_posts

MakePosts = Callable[..., PostsTable]
LABELS = ("Influencer_Tier", "Audience_Region", "Creator_ID")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put tests that sample with PyMC in one group, so that one worker alone loads and compiles what they need."""
    for item in items:
        if item.get_closest_marker("nuts"):
            item.add_marker(pytest.mark.xdist_group("nuts"))


def table_of(frame: pd.DataFrame, *, columns: PostColumns | None = None, file: str = "posts.csv") -> PostsTable:
    """A checked table of a frame with the columns of simulated posts, or with conversions and trials."""
    frame = frame.copy()
    if "conversions" not in frame:
        frame = frame.rename(columns={"Converted": "conversions"})
    frame["trials"] = frame["trials"].astype(np.int64) if "trials" in frame else 1
    if "line" not in frame:
        frame["line"] = np.arange(2, len(frame) + 2)
    labels = {name: "str" for name in LABELS if name in frame}
    numbers = {name: np.float64 for name in ("Story_Views", "Swipe_Ups") if name in frame}
    return PostsTable(
        frame=frame.astype({**labels, **numbers, "conversions": np.int64}),
        columns=columns or PostColumns(),
        file=file,
        format="csv",
        digest="0" * 64,
        rows_read=len(frame),
    )


@pytest.fixture(scope="session")
def make_posts() -> MakePosts:
    return table_of


@pytest.fixture(scope="session")
def sixty_posts() -> PostsTable:
    """Sixty simulated posts of fifteen creators."""
    return table_of(simulate_posts(posts=60, creators=15, seed=3).frame)


@pytest.fixture(scope="session")
def conversion() -> Specification:
    return load_spec("conversion")


# --- a stand-in for the sampler ---------------------------------------------------------------------------------------


def approximate_fit(
    design: Design,
    *,
    engine: str = "auto",
    draws: int = 1000,
    chains: int = 4,
    seed: int = 20260101,
    progress: Any = None,
) -> Fit:
    """Independent draws of a normal approximation at the mode, scales near half of their prior's: quick, not exact."""
    if progress is not None:
        progress("sampling", 0.5)
    rng = np.random.default_rng(seed)
    coding = code_design(design, grouped=())
    scales = {block.variable: _typical_scale(block) for block in coding.blocks if block.basis is not None}
    mode, covariance = _approximate(design, coding, scales)
    theta = rng.multivariate_normal(mode, covariance, size=(chains, draws), method="cholesky")
    values = decode(coding, theta)
    for block in coding.scales:
        noise = rng.normal(0, 0.2, (chains, draws))
        values[str(block.scale)] = scales[block.variable] * np.exp(noise)
    quiet = {name: np.zeros((chains, draws)) for name in ("diverging", "maxdepth_reached")}
    statistics = {**quiet, "energy": rng.normal(0, 2, (chains, draws)), "n_steps": np.full((chains, draws), 7.0)}
    run = EngineRun(
        name_asked=engine, name_used="nuts", why="faked", draws=draws, chains=chains, seed=seed, seconds=0.1
    )
    ordered = {name: np.ascontiguousarray(values[name]) for name in dims_of(design)}
    return Fit(design=design, draws=ordered, sample_stats=statistics, run=run)


def _typical_scale(block: Any) -> float:
    if block.fixed_scale is not None:
        return float(block.fixed_scale)
    last = block.scale_prior.parameters[-1]
    return float(0.5 / last if block.scale_prior.family == "exponential" else 0.5 * last)


def _approximate(design: Design, coding: Any, scales: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Newton steps to the mode given the scales; the inverse curvature there."""
    spec = design.specification
    mean, sd = np.zeros(coding.X.shape[1]), np.ones(coding.X.shape[1])
    for block in coding.blocks:
        part = slice(block.start, block.stop)
        if block.variable == "intercept":
            mean[part], sd[part] = spec.intercept.mean, spec.intercept.sd
        elif block.variable == "slope":
            mean[part] = [term.prior.mean for term in design.numerics]
            sd[part] = [term.prior.sd for term in design.numerics]
        else:
            sd[part] = scales[block.variable]
    theta = mean.copy()
    for _ in range(30):
        p = expit(coding.X @ theta)
        gradient = coding.X.T @ (design.conversions - design.trials * p) - (theta - mean) / sd**2
        curvature = (coding.X * (design.trials * p * (1 - p))[:, None]).T @ coding.X + np.diag(1 / sd**2)
        theta = theta + np.clip(np.linalg.solve(curvature, gradient), -2, 2)
    return theta, np.linalg.inv(curvature)


@pytest.fixture(scope="session")
def approximate() -> Callable[..., Fit]:
    return approximate_fit


@pytest.fixture
def faked_engine(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The pipeline with `approximate_fit` in place of every engine; the settings of each call."""
    calls: list[dict[str, Any]] = []

    def fit_model(design: Design, **settings: Any) -> Fit:
        calls.append({"design": design, **settings})
        return approximate_fit(design, **settings)

    monkeypatch.setattr("influbayes.pipeline.fit_model", fit_model)
    return calls


# --- sampled once a session -------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def conversion_design(sixty_posts: PostsTable, conversion: Specification) -> Design:
    return build_design(sixty_posts, conversion)


@pytest.fixture(scope="session")
def bought_design(sixty_posts: PostsTable, conversion: Specification) -> Design:
    return build_design(sixty_posts, leave_out_after_purchase(conversion), question="as_bought")


@pytest.fixture(scope="session")
def conversion_fit(conversion_design: Design) -> Fit:
    """The shared sampled fit: sixty posts, the specification `conversion`."""
    from influbayes.inference.nuts import sample_nuts

    return sample_nuts(conversion_design, draws=1000, chains=4, seed=11)


@pytest.fixture(scope="session")
def small_fit(conversion_design: Design) -> Fit:
    """A stand-in fit of sixty posts, 4 chains of 50 draws, for tests that need no sampler."""
    return approximate_fit(conversion_design, draws=50, seed=5)


@pytest.fixture(scope="session")
def creator_fit(sixty_posts: PostsTable) -> Fit:
    """A stand-in fit with a `sample` factor and an interaction."""
    creator, pair = load_spec("conversion_creator"), load_spec("conversion_interaction")
    spec = replace(creator, interactions=pair.interactions)
    return approximate_fit(build_design(sixty_posts, spec), draws=50, seed=6)
