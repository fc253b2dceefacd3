"""Other populations, equivalence, clustering and priors: closed forms, brute force, simulation with creators."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm

from influbayes.effects.clustering import compare_without_creators, count_effective_posts
from influbayes.effects.contrasts import make_claims
from influbayes.effects.equivalence import estimate_equivalence, place_contrasts
from influbayes.effects.estimands import estimate_probability
from influbayes.effects.model_comparison import (
    compare_models,
    cross_validate,
    cross_validate_specifications,
    score_rows,
    split_creators,
)
from influbayes.effects.populations import average_new_creators, estimate_new_creators, estimate_planned_mix
from influbayes.effects.prior_predictive import describe_priors
from influbayes.errors import UsageError
from influbayes.hierarchy.design import build_design
from influbayes.hierarchy.spec import leave_out_after_purchase, load_spec


def simulate(make_posts, *, creators, each, creator_sd, seed, effects=(0.0, 0.0, 0.0)):
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(creators), each)
    tier, region = np.arange(creators) % 3, (np.arange(creators) // 3) % 2
    luck = rng.normal(0, creator_sd, creators)
    rates = expit(-0.4 + np.array(effects)[tier] + luck)[owner]
    return make_posts(
        {
            "Influencer_Tier": np.array(["Mega", "Micro", "Mid"])[tier[owner]],
            "Audience_Region": np.array(["EU", "US"])[region[owner]],
            "Creator_ID": [f"c{k:03d}" for k in owner],
            "Converted": rng.random(len(owner)) < rates,
        }
    )


def spec(name):
    return leave_out_after_purchase(load_spec(name))


@pytest.fixture(scope="module")
def fit(make_posts, fit_normally):
    table = simulate(make_posts, creators=60, each=6, creator_sd=0.9, seed=4, effects=(-0.4, 0.5, 0.0))
    return fit_normally(build_design(table, spec("conversion_creator"), question="as_bought"))


def test_a_new_creator_is_the_population_integrated_out_draw_by_draw(fit):
    averages = average_new_creators(fit)
    rng = np.random.default_rng(0)
    levels, regions = fit.design.levels["Influencer_Tier"], fit.design.rows.codes["Audience_Region"]
    place = levels.index("Micro")
    draws = {name: values[0, 0] for name, values in fit.draws.items()}
    luck = draws["scale_Creator_ID"] * rng.standard_normal(200_000)
    fixed = draws["intercept"] + draws["effect_Influencer_Tier"][place]
    shares = np.bincount(regions) / len(regions)
    expected = sum(
        share * expit(fixed + effect + luck).mean()
        for share, effect in zip(shares, draws["effect_Audience_Region"], strict=True)
    )
    assert averages.levels["Influencer_Tier"][0, 0, place] == pytest.approx(expected, abs=0.003)
    rows = estimate_new_creators(fit)
    assert all("new creators" in row.population for row in rows)
    assert len({row.id for row in rows}) == len(rows)


def test_without_creators_in_the_model_there_is_nothing_to_add(make_posts, fit_normally):
    table = simulate(make_posts, creators=30, each=2, creator_sd=0, seed=1)
    assert estimate_new_creators(fit_normally(build_design(table, spec("conversion"), question="as_bought"))) == ()


def test_a_planned_mix_of_one_region_is_that_region(fit):
    rows = estimate_planned_mix(fit, {"US": 2.0})
    from influbayes.effects.averages import average_posts

    cells = average_posts(fit).cells[..., fit.design.levels["Audience_Region"].index("US")]
    place = fit.design.levels["Influencer_Tier"].index("Micro")
    row = next(row for row in rows if (row.estimand, row.level) == ("expected_value", "Micro"))
    assert row.estimate == pytest.approx(np.median(cells[..., place]))
    assert "100 % US" in row.population
    with pytest.raises(UsageError, match="MARS is no level"):
        estimate_planned_mix(fit, {"MARS": 1})
    with pytest.raises(UsageError, match="not all 0"):
        estimate_planned_mix(fit, {"US": 0})


def test_practical_equivalence_is_the_share_of_draws_within_the_bound_both_ways_round(fit):
    rows = {(row.level, row.reference): row for row in estimate_equivalence(fit, threshold=1.5)}
    levels = fit.design.levels["Influencer_Tier"]
    effect = fit.draws["effect_Influencer_Tier"]
    apart = effect[..., levels.index("Micro")] - effect[..., levels.index("Mega")]
    within = (np.abs(apart) < np.log(1.5)).mean()
    assert rows[("Micro", "Mega")].probability.value == pytest.approx(within, abs=1e-3)
    from influbayes.hierarchy.spec import replace_references

    turned = replace_references(fit.design.specification, {"Influencer_Tier": "Micro"})
    other = replace(fit, design=replace(fit.design, specification=turned, factors=turned.factors))
    back = {(row.level, row.reference): row for row in estimate_equivalence(other, threshold=1.5)}
    assert back[("Mega", "Micro")].probability.value == rows[("Micro", "Mega")].probability.value


@pytest.mark.parametrize("bound", [1.0, 0.9, float("inf"), float("nan")])
def test_a_bound_not_above_one_is_refused(fit, bound):
    with pytest.raises(UsageError, match="--threshold"):
        estimate_equivalence(fit, threshold=bound)


def test_the_design_effect_is_kishs(fit):
    found = count_effective_posts(fit)
    scale = fit.draws["scale_Creator_ID"]
    share = scale**2 / (scale**2 + np.pi**2 / 3)
    assert found.design_effect == pytest.approx(np.median(1 + 5 * share))
    assert (found.posts, found.creators) == (360, 60)
    assert 60 < found.effective_posts < 360
    with pytest.raises(UsageError, match="Influencer_Tier"):
        count_effective_posts(fit, "Influencer_Tier")


def test_with_few_creators_and_many_posts_the_naive_probability_is_over_confident(make_posts, fit_normally):
    """60 tables with no true difference: the naive probability is far from 1/2 too often, that with creators is not."""
    mine, naive, narrowed = [], [], []
    for seed in range(60):
        table = simulate(make_posts, creators=24, each=12, creator_sd=1.0, seed=seed)
        clustered = fit_normally(build_design(table, spec("conversion_creator"), question="as_bought"))
        plain = fit_normally(build_design(table, spec("conversion"), question="as_bought"))
        row = compare_without_creators(clustered, plain)[0]
        mine.append(row.probability)
        naive.append(row.naive)
        narrowed.append(compare_without_creators(clustered)[0].naive)
    outside = [np.mean(np.abs(np.array(one) - 0.5) > 0.45) for one in (mine, naive, narrowed)]
    assert outside[0] < 0.20  # stated at 10 %; 60 tables leave an error of 4 points
    assert outside[1] > 0.30
    assert outside[2] > outside[0]


def test_a_beats_b_and_b_beats_a_add_up_to_one(fit):
    from influbayes.hierarchy.spec import replace_references

    turned = replace_references(fit.design.specification, {"Influencer_Tier": "Micro"})
    other = replace(fit, design=replace(fit.design, specification=turned, factors=turned.factors))
    one = {(c.level, c.reference): estimate_probability(c.margin).value for c in make_claims(fit) if c.kind == "beats"}
    two = {
        (c.level, c.reference): estimate_probability(c.margin).value for c in make_claims(other) if c.kind == "beats"
    }
    assert one[("Micro", "Mega")] + two[("Mega", "Micro")] == 1


def test_priors_in_natural_units_equal_their_closed_forms():
    rows = {row.name: row for row in describe_priors(load_spec("conversion"))}
    assert rows["rate"].lower == pytest.approx(expit(1.5 * norm.ppf(0.05)), abs=0.01)
    assert rows["rate"].upper == pytest.approx(expit(1.5 * norm.ppf(0.95)), abs=0.01)
    tier = rows["difference/Influencer_Tier"]
    assert 30 < tier.upper < 50
    wide = replace(load_spec("conversion").factors[0], scale_prior=None, scale=20.0)
    broad = describe_priors(replace(load_spec("conversion"), factors=(wide,)))[1]
    assert broad.upper > 95


def test_the_true_specification_predicts_left_out_posts_better(make_posts, fit_normally):
    table = simulate(make_posts, creators=60, each=6, creator_sd=1.6, seed=2)
    fits = {
        name: fit_normally(build_design(table, spec(name), question="as_bought"))
        for name in ("conversion", "conversion_creator")
    }
    scores = compare_models(fits)
    assert scores[0].name == "conversion_creator"
    assert scores[1].difference < -2 * scores[1].difference_se
    with pytest.raises(UsageError, match="two or more"):
        compare_models({"one": fits["conversion"]})


@pytest.mark.parametrize("creators", [3, 4, 25])
def test_folds_keep_creators_whole_and_none_is_empty(creators):
    codes = np.random.default_rng(0).integers(0, creators, 200)
    parts = split_creators(codes, folds=10, seed=1)
    assert len(parts) == min(10, len(set(codes.tolist())))
    assert sorted(np.concatenate(parts).tolist()) == list(range(200))
    homes = [set(codes[part].tolist()) for part in parts]
    assert all(not (one & other) for k, one in enumerate(homes) for other in homes[:k])


def test_cross_validation_adds_up_log_scores_of_left_out_creators():
    codes = np.repeat(np.arange(6), 5)
    truth = np.log(np.linspace(0.2, 0.8, 30))
    scores = cross_validate(["good", "bad"], codes, score=lambda name, part: truth[part] - (name == "bad"), folds=3)
    assert scores[0].elpd == pytest.approx(truth.sum())
    assert scores[1].difference == pytest.approx(-30)
    eta = np.array([[0.0, 1.0], [0.0, -1.0]])
    assert score_rows(eta, np.array([1, 0]), np.array([1, 1])) == pytest.approx(np.log([0.5, 0.5]))


def test_leaving_creators_out_by_refits_prefers_the_model_that_knows_tiers(make_posts, fit_normally):
    table = simulate(make_posts, creators=60, each=4, creator_sd=0.3, seed=3, effects=(-1.2, 1.2, 0.0))
    flat = replace(spec("conversion"), factors=spec("conversion").factors[1:])
    designs = {
        name: build_design(table, one, question="as_bought")
        for name, one in (("tiers", spec("conversion_creator")), ("no tiers", flat))
    }
    codes = np.unique(table.frame["Creator_ID"].to_numpy(), return_inverse=True)[1]
    scores = cross_validate_specifications(designs, codes, refit=fit_normally, folds=4)
    assert scores[0].name == "tiers"
    assert scores[1].difference < -2 * scores[1].difference_se


def test_a_comparison_is_worse_equal_or_better_and_these_add_to_one(fit):
    equal = {row.id: row.probability.value for row in estimate_equivalence(fit, threshold=1.3)}
    rows = place_contrasts(fit, threshold=1.3)
    assert [row.id for row in rows] == list(equal)
    for row in rows:
        draws = fit.draws[f"effect_{row.variable}"]
        levels = fit.design.levels[row.variable]
        log_ratio = draws[..., levels.index(row.level)] - draws[..., levels.index(row.reference)]
        above = int((log_ratio > np.log(1.3)).sum())
        if 10 <= above <= log_ratio.size - 10:
            assert row.better.value == pytest.approx(above / log_ratio.size)
        assert row.equal.value == pytest.approx(equal[row.id])
        assert row.worse.value + row.equal.value + row.better.value == pytest.approx(1.0, abs=0.02)
    wide = {row.id: row.equal.value for row in place_contrasts(fit, threshold=3.0)}
    assert all(wide[name] >= value for name, value in equal.items())


def test_a_bound_of_one_is_refused_for_positions_too(fit):
    with pytest.raises(UsageError, match="an odds ratio above 1"):
        place_contrasts(fit, threshold=1.0)
