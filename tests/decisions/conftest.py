"""Options and fits with known draws, made without a sampler."""

from __future__ import annotations

import numpy as np
import pytest

from influbayes.decisions.options import Options


def build_options(
    rates: np.ndarray | None = None,
    *,
    fees: list[float] | None = None,
    values: float | None = None,
    posts: list[int] | None = None,
    seed: int = 3,
    labels: tuple[str, ...] | None = None,
) -> Options:
    rng = np.random.default_rng(seed)
    if rates is None:
        rates = rng.beta([6, 12, 9], [40, 40, 40], size=(4, 250, 3))
    count = rates.shape[-1]
    return Options(
        variable="Influencer_Tier",
        labels=labels or ("Mega", "Micro", "Mid", "Nano", "Mini")[:count],
        rates=rates,
        fees=None if fees is None else np.array(fees, dtype=float),
        values=None if values is None else np.full(rates.shape, float(values)),
        posts=np.array(posts if posts is not None else [20] * count, dtype=float),
        population="the 60 posts in the table",
        question="as_bought",
        single_value=True,
    )


@pytest.fixture(scope="session")
def make_options():
    """make_options(rates (chain, draw, option), fees=, values=, posts=): options with these draws."""
    return build_options


@pytest.fixture(scope="session")
def fit_quickly():
    """fit_quickly(design): the exact engine, 4 chains of 250 draws."""
    from influbayes.inference.engine import fit_model

    return lambda design: fit_model(design, engine="laplace", draws=250, chains=4, seed=3)
