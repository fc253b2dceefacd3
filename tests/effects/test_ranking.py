"""Ranks and probabilities of being best of hand-written draws equal counting."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from influbayes.effects.averages import average_posts
from influbayes.effects.contrasts import estimate_effects
from influbayes.effects.estimands import estimate_probability, summarise_draws
from influbayes.effects.ranking import find_lead, find_ranks, rank_levels
from influbayes.errors import UsageError
from influbayes.hierarchy.design import Design, ModelRows
from influbayes.hierarchy.posterior import EngineRun, Fit
from influbayes.hierarchy.spec import FactorTerm, NormalPrior, Outcome, Specification

TIERS, REGIONS = ("Mega", "Micro", "Mid"), ("EU", "US")


def write_fit(tier: np.ndarray, region: np.ndarray, creator: np.ndarray, *, reference: str | None = "Mega") -> Fit:
    """Four posts of two creators; only the effects (chain, draw, level) vary."""
    factors = (
        FactorTerm(column="Tier", levels="all", reference=reference, scale=1.0),
        FactorTerm(column="Region", levels="all", scale=1.0),
        FactorTerm(column="Creator", levels="sample", scale=1.0),
    )
    codes = {"Tier": np.array([0, 1, 2, 0]), "Region": np.array([0, 0, 1, 1]), "Creator": np.array([0, 0, 1, 1])}
    blank = np.zeros((4, 0))
    spec = Specification(
        name="hand",
        title="Hand-written",
        outcome=Outcome(column="Converted"),
        intercept=NormalPrior(mean=0, sd=1),
        factors=factors,
    )
    design = Design(
        specification=spec,
        question="as_bought",
        rows=ModelRows(x=blank, raw=blank, codes=codes, trials=np.ones(4, dtype=np.int64)),
        scalers=(),
        levels={"Tier": TIERS, "Region": REGIONS, "Creator": ("ann", "bob")},
        numerics=(),
        factors=factors,
        interactions=(),
        lines=np.arange(4),
    )
    draws = {"effect_Tier": tier, "effect_Region": region, "effect_Creator": creator}
    run = EngineRun(name_asked="nuts", name_used="nuts", why="", draws=100, chains=4, seed=1, seconds=0.0)
    return Fit(design=design, draws={"intercept": np.zeros(tier.shape[:2]), **draws}, sample_stats={}, run=run)


def random_fit(seed: int, *, spread: float = 0.5, reference: str | None = "Mega") -> Fit:
    rng = np.random.default_rng(seed)
    tier = rng.normal([0, 0.1, -0.1], spread, (4, 100, 3))
    region = rng.normal(0, 0.3, (4, 100, 2))
    return write_fit(tier, region, rng.normal(0, 0.5, (4, 100, 2)), reference=reference)


def test_ranks_and_leads_of_three_written_scores() -> None:
    scores = np.array([[0.2, 0.5, 0.1], [3.0, 1.0, 2.0]])
    np.testing.assert_array_equal(find_ranks(scores), [[2, 1, 3], [1, 3, 2]])
    np.testing.assert_allclose(find_lead(scores), [[-0.3, 0.3, -0.4], [1.0, -2.0, -1.0]])


def test_equal_best_scores_lead_by_nothing() -> None:
    np.testing.assert_array_equal(find_lead(np.array([1.0, 1.0, 0.0])), [0.0, 0.0, -1.0])


def test_rank_rows_count_the_draws() -> None:
    fit = random_fit(1)
    rows = {row.id: row for row in rank_levels(fit, "Tier")}
    means = average_posts(fit).levels["Tier"]
    winner = means.argmax(axis=-1)
    place = (-means).argsort(axis=-1).argsort(axis=-1) + 1
    for k, tier in enumerate(TIERS):
        best, rank = rows[f"as_bought/probability_best/Tier/{tier}"], rows[f"as_bought/rank/Tier/{tier}"]
        assert best.estimate == best.lower == best.upper == best.probability == pytest.approx((winner == k).mean())
        assert best.mcse == estimate_probability(find_lead(means)[..., k]).mcse
        assert rank.estimate == np.quantile(place[..., k], 0.5, method="inverted_cdf")
        assert rank.lower == np.quantile(place[..., k], 0.05, method="inverted_cdf")
        assert rank.upper == np.quantile(place[..., k], 0.95, method="inverted_cdf")
        assert rank.probability is None
        underlying = summarise_draws(means[..., k], prob=0.9)
        for row in (best, rank):
            assert (row.rhat, row.ess_bulk, row.ess_tail) == (
                underlying.rhat,
                underlying.ess_bulk,
                underlying.ess_tail,
            )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_probabilities_of_being_best_sum_to_one(seed: int) -> None:
    rows = [row for row in rank_levels(random_fit(seed), "Tier") if row.estimand == "probability_best"]
    if all(row.estimate > 10 / 400 for row in rows):
        assert sum(row.estimate for row in rows) == pytest.approx(1, abs=1e-12)
    else:  # a level that hardly ever wins gets half a draw more (Beta), and no more than that
        assert sum(row.estimate for row in rows) == pytest.approx(1, abs=3 * 0.5 / 50)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(TIERS))
def test_swapping_the_reference_changes_no_rank(seed: int, other: str) -> None:
    assert rank_levels(random_fit(seed), "Tier") == rank_levels(random_fit(seed, reference=other), "Tier")


def test_a_rank_that_never_changes_can_still_be_judged() -> None:
    fit = random_fit(2, spread=1e-3)
    rank = rank_levels(fit, "Tier")[0]
    assert (rank.estimate, rank.lower, rank.upper, rank.mcse) == (2, 2, 2, 0)
    assert rank.rhat is not None
    assert np.isfinite(rank.rhat)
    best = rank_levels(fit, "Tier")[3]
    assert best.level == "Micro"
    assert 0.99 < best.estimate < 1.0, "never certain"


def test_cells_are_ranked_over_all_cells() -> None:
    fit = random_fit(3)
    rows = [row for row in rank_levels(fit, "Tier:Region") if row.estimand == "rank"]
    assert [row.level for row in rows] == ["Mega:EU", "Mega:US", "Micro:EU", "Micro:US", "Mid:EU", "Mid:US"]
    cells = average_posts(fit).cells
    assert cells is not None
    flat = cells.reshape(4, 100, 6)
    assert rows[3].estimate == np.quantile((flat >= flat[..., 3:4]).sum(-1), 0.5, method="inverted_cdf")
    assert rows[3].held == "compared with the other 5 of Tier:Region, draw by draw"


def test_creators_are_ranked_on_their_effects() -> None:
    fit = random_fit(4)
    rows = {row.id: row for row in rank_levels(fit, "Creator")}
    ann, bob = np.moveaxis(fit.draws["effect_Creator"], -1, 0)
    assert rows["as_bought/probability_best/Creator/ann"].estimate == pytest.approx((ann > bob).mean())


def test_ranks_are_in_the_one_table() -> None:
    fit = random_fit(5)
    table = {row.id: row for row in estimate_effects(fit)}
    for variable in ("Tier", "Region", "Tier:Region"):
        for row in rank_levels(fit, variable):
            assert table[row.id] == row


def test_an_unknown_factor_is_named_with_what_there_is() -> None:
    with pytest.raises(
        UsageError, match=r"'Colour' cannot be ranked; this model has Tier, Region, Tier:Region, Creator"
    ):
        rank_levels(random_fit(0), "Colour")


def test_mass_outside_zero_to_one_is_refused() -> None:
    with pytest.raises(UsageError, match="prob is the mass of the interval"):
        rank_levels(random_fit(0), "Tier", prob=1.5)


def test_ranks_stay_whole_where_half_the_draws_are_above() -> None:
    fit = random_fit(6)
    first = np.random.default_rng(0).permutation(np.repeat([1.0, -1.0], 200)).reshape(4, 100)
    draws = {**fit.draws, "effect_Creator": np.stack([first, -first], axis=-1)}
    rank = rank_levels(replace(fit, draws=draws), "Creator")[0]
    assert (rank.estimate, rank.lower, rank.upper) == (1, 1, 2)
