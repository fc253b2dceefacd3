"""Intervals of tier and region cover the truth as often as they say: 50 tables drawn from the model's own prior."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom

from influbayes.hierarchy.design import build_design
from influbayes.hierarchy.spec import load_spec
from influbayes.inference.nuts import sample_nuts
from influbayes.pipeline import diagnose
from influbayes.tables.simulate import simulate_posts

TABLES, POSTS, CREATORS, PROB = 50, 300, 60, 0.9


def draw_truth(design: Any, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Coefficients drawn from the priors of the specification `conversion`, levels in sorted order."""
    spec = design.specification
    truth = {
        "intercept": rng.normal(spec.intercept.mean, spec.intercept.sd),
        "slope": np.array([rng.normal(term.prior.mean, term.prior.sd) for term in design.numerics]),
    }
    for term in design.factors:
        assert term.scale_prior.family == "half_normal"
        scale = abs(rng.normal(0, term.scale_prior.parameters[0]))
        free = rng.normal(0, scale, len(design.levels[term.column]))
        truth[f"effect_{term.column}"] = free - free.mean()
    return truth


def simulate_outcome(design: Any, truth: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    eta = truth["intercept"] + design.rows.x @ truth["slope"]
    for term in design.factors:
        eta = eta + truth[f"effect_{term.column}"][design.rows.codes[term.column]]
    return (rng.random(len(eta)) < expit(eta)).astype(np.int64)


def count_covered(fit: Any, truth: dict[str, np.ndarray]) -> dict[tuple[str, int, int], bool]:
    """Whether the interval of each log odds ratio holds the truth."""
    covered = {}
    for term in fit.design.factors:
        name = f"effect_{term.column}"
        for a, b in combinations(range(len(fit.design.levels[term.column])), 2):
            low, high = np.quantile(fit.draws[name][..., a] - fit.draws[name][..., b], [0.05, 0.95])
            covered[name, a, b] = bool(low <= truth[name][a] - truth[name][b] <= high)
    return covered


@pytest.mark.slow
@pytest.mark.nuts
def test_intervals_of_tier_and_region_cover_as_they_say(make_posts: Any) -> None:
    hits: dict[tuple[str, int, int], int] = {}
    failed: list[str] = []
    fitted = 0
    for number in range(TABLES):
        rng = np.random.default_rng([20260101, number])
        frame = simulate_posts(posts=POSTS, creators=CREATORS, seed=number).frame
        # Rows in canonical order apart from the outcome, which is drawn here: build, draw, build again.
        blank = build_design(make_posts(frame.assign(Converted=np.arange(POSTS) % 2)), load_spec("conversion"))
        truth = draw_truth(blank, rng)
        outcome = np.empty(POSTS, dtype=np.int64)
        outcome[blank.lines - 2] = simulate_outcome(blank, truth, rng)
        if outcome.min() == outcome.max():
            continue
        fitted += 1
        design = build_design(make_posts(frame.assign(Converted=outcome)), load_spec("conversion"))
        fit = sample_nuts(design, draws=1000, chains=4, seed=number)
        failed += [f"table {number}: {item.name} {item.value}" for item in diagnose(fit) if item.status == "fail"]
        for key, inside in count_covered(fit, truth).items():
            hits[key] = hits.get(key, 0) + inside
    print(f"{fitted} tables, covered: {hits}, share {sum(hits.values()) / (fitted * len(hits)):.3f}, failed: {failed}")
    assert len({line.split(":")[0] for line in failed}) <= 0.02 * fitted, failed
    # Contrasts of one table depend on each other; each is judged alone, with the 1 % shared among them.
    edge = 0.01 / len(hits) / 2
    low, high = binom.ppf([edge, 1 - edge], fitted, PROB)
    assert fitted >= 0.9 * TABLES
    assert len(hits) == 3 + 6
    assert all(low <= count <= high for count in hits.values()), hits
