"""Tables and designs small enough to check by hand or by quadrature."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from influbayes.hierarchy.design import Design, build_design
from influbayes.hierarchy.spec import parse_spec, required_columns
from influbayes.tables.posts import PostsTable

MakeDesign = Callable[..., Design]


@pytest.fixture(scope="session")
def make_design() -> MakeDesign:
    """Return a function (TOML text, frame with conversions and trials) -> design."""

    def make(text: str, frame: pd.DataFrame) -> Design:
        spec = parse_spec(text, name="test", file="test.toml")
        frame = frame.assign(line=np.arange(len(frame)) + 2)
        posts = PostsTable(
            frame=frame,
            columns=required_columns(spec),
            file="posts.csv",
            format="csv",
            digest="",
            rows_read=len(frame),
        )
        return build_design(posts, spec)

    return make


OUTCOME = 'title = "test"\n[outcome]\ncolumn = "Converted"\n'


@pytest.fixture(scope="session")
def intercept_only(make_design: MakeDesign) -> Design:
    """Seven of twenty converted; intercept ~ Normal(-1, 0.7)."""
    frame = pd.DataFrame({"conversions": [1] * 7 + [0] * 13, "trials": 1})
    return make_design(OUTCOME + "[intercept]\nprior = { normal = [-1, 0.7] }\n", frame)


@pytest.fixture(scope="session")
def with_slope(make_design: MakeDesign) -> Design:
    """Twenty-four rows, intercept ~ Normal(0.5, 1), slope ~ Normal(-1, 0.8)."""
    x = np.linspace(-1.5, 2.0, 24)
    outcome = (np.sin(7 * x) + x > 0.3).astype(int)
    text = OUTCOME + (
        '[intercept]\nprior = { normal = [0.5, 1] }\n[[numeric]]\ncolumn = "x"\ntransform = "none"\n'
        "prior = { normal = [-1, 0.8] }\n"
    )
    return make_design(text, pd.DataFrame({"conversions": outcome, "trials": 1, "x": x}))


def write_factor(column: str, levels: str, prior: str) -> str:
    """Return the TOML of a factor; `prior` is a scale_prior table's inside or a fixed scale."""
    entry = f"scale_prior = {{ {prior} }}" if "=" in prior else f"scale = {prior}"
    return f'[[factor]]\ncolumn = "{column}"\nlevels = "{levels}"\n{entry}\n'


@pytest.fixture(scope="session")
def campaign(make_design: MakeDesign) -> MakeDesign:
    """Return a function (rows, seed, ...) -> design with two slopes, tier and region, optionally creators."""

    def make(
        rows: int,
        seed: int,
        *,
        creators: int = 0,
        prior: str = "half_normal = 1",
        creator_prior: str = "half_normal = 1",
        interaction: bool = False,
        trials: int = 1,
        rate: float = -0.5,
        separated: bool = False,
        creator_sd: float = 0.8,
        region_levels: str = "all",
    ) -> Design:
        rng = np.random.default_rng(seed)
        count = max(creators, 1)
        creator = np.concatenate((np.arange(count), rng.integers(0, count, rows)))[:rows]
        tier, region = rng.integers(0, 3, rows), rng.integers(0, 4, rows)
        x1, x2 = rng.normal(size=rows), rng.normal(size=rows)
        eta = rate + 0.4 * x1 - 0.3 * x2 + np.array([0.5, 0.0, -0.5])[tier]
        eta = eta + (creator_sd * rng.normal(size=count)[creator] if creators else 0.0)
        outcome = rng.binomial(trials, 1 / (1 + np.exp(-eta)))
        frame = pd.DataFrame(
            {
                "conversions": (x1 > 0).astype(int) if separated else outcome,
                "trials": trials,
                "x1": x1,
                "x2": x2,
                "tier": np.array(["a", "b", "c"])[tier],
                "region": np.array(["k", "l", "m", "n"])[region],
                "creator": [f"C{k:05d}" for k in creator],
            }
        )
        text = OUTCOME + "[intercept]\nprior = { normal = [0, 1.5] }\n"
        for name in ("x1", "x2"):
            text += f'[[numeric]]\ncolumn = "{name}"\ntransform = "none"\nprior = {{ normal = [0, 1] }}\n'
        text += write_factor("tier", "all", prior) + write_factor("region", region_levels, prior)
        text += write_factor("creator", "sample", creator_prior) if creators else ""
        text += '[[interaction]]\nof = ["tier", "region"]\nscale_prior = { half_normal = 0.5 }\n' if interaction else ""
        return make_design(text, frame)

    return make
