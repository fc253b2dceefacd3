"""Effects and claims of hand-written draws equal arithmetic, closed forms and direct averages of `predict`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import norm

from influbayes.effects import averages as averages_module
from influbayes.effects.averages import average_posts, sum_shifted
from influbayes.effects.contrasts import estimate_effects, list_contrasts, make_claims
from influbayes.effects.estimands import Effect, estimate_probability
from influbayes.errors import UsageError
from influbayes.hierarchy.design import Design, ModelRows, Scaler, set_level, shift_numeric
from influbayes.hierarchy.posterior import EngineRun, Fit
from influbayes.hierarchy.predict import expected_value, linear_predictor
from influbayes.hierarchy.spec import (
    FactorTerm,
    InteractionTerm,
    NormalPrior,
    NumericTerm,
    Outcome,
    Question,
    Specification,
)

PRIOR = NormalPrior(mean=0, sd=1)
TIERS, REGIONS = ("Mega", "Micro", "Mid"), ("EU", "US")
CHAINS, DRAWS = 4, 50
quick = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def write_fit(
    *,
    intercept: np.ndarray,
    factors: tuple[FactorTerm, ...] = (),
    levels: Mapping[str, tuple[str, ...]] | None = None,
    codes: Mapping[str, np.ndarray] | None = None,
    effects: Mapping[str, np.ndarray] | None = None,
    numerics: tuple[NumericTerm, ...] = (),
    raw: np.ndarray | None = None,
    scalers: tuple[Scaler, ...] = (),
    slope: np.ndarray | None = None,
    interactions: tuple[InteractionTerm, ...] = (),
    trials: np.ndarray | None = None,
    question: Question = "engagement_constant",
    posts: int = 1,
) -> Fit:
    """A Fit whose every number is given."""
    raw = np.zeros((posts, 0)) if raw is None else raw
    x = np.column_stack([s.apply(raw[:, k]) for k, s in enumerate(scalers)]) if scalers else raw
    count = np.ones(len(raw), dtype=np.int64) if trials is None else trials
    rows = ModelRows(x=x, raw=raw, codes=codes or {}, conversions=np.zeros(len(raw), dtype=np.int64), trials=count)
    spec = Specification(
        name="hand", title="Hand-written", outcome=Outcome(column="Converted"), intercept=PRIOR, factors=factors
    )
    design = Design(
        specification=spec,
        question=question,
        rows=rows,
        scalers=scalers,
        levels=levels or {},
        numerics=numerics,
        factors=factors,
        interactions=interactions,
        lines=np.arange(len(raw)),
    )
    draws = {"intercept": intercept, **({} if slope is None else {"slope": slope})}
    draws.update({f"effect_{name}": values for name, values in (effects or {}).items()})
    run = EngineRun(name_asked="nuts", name_used="nuts", why="", draws=DRAWS, chains=CHAINS, seed=1, seconds=0.0)
    return Fit(design=design, draws=draws, sample_stats={}, run=run)


def all_factor(column: str, reference: str | None = None) -> FactorTerm:
    return FactorTerm(column=column, levels="all", reference=reference, scale=1.0)


def zero_sum(values: np.ndarray) -> np.ndarray:
    return values - values.mean(axis=-1, keepdims=True)


def campaign(
    seed: int = 0,
    *,
    posts: int = 40,
    question: Question = "engagement_constant",
    reference: str | None = "Mega",
    interaction: bool = False,
    creators: int = 0,
    third: bool = False,
    log_views: bool = False,
    trials: bool = False,
) -> Fit:
    """Random draws of the conversion model on random posts."""
    rng = np.random.default_rng(seed)
    shape = (CHAINS, DRAWS)
    factors = [all_factor("Tier", reference), all_factor("Region")]
    levels: dict[str, tuple[str, ...]] = {"Tier": TIERS, "Region": REGIONS}
    if third:
        factors.append(all_factor("Format"))
        levels["Format"] = ("Reel", "Story")
    effects = {name: zero_sum(rng.normal(0, 0.6, (*shape, len(known)))) for name, known in levels.items()}
    if creators:
        factors.append(FactorTerm(column="Creator", levels="sample", scale=1.0))
        levels["Creator"] = tuple(f"C{k:02d}" for k in range(creators))
        effects["Creator"] = rng.normal(0, 0.8, (*shape, creators))
    codes = {name: np.resize(rng.permutation(posts) % len(known), posts) for name, known in levels.items()}
    pairs = (InteractionTerm(of=("Tier", "Region"), scale=1.0),) if interaction else ()
    if interaction:
        effects["Tier__x__Region"] = rng.normal(0, 0.5, (*shape, 3, 2))
    raw = np.column_stack([rng.lognormal(8, 0.5, posts), rng.poisson(80, posts).astype(float)])
    return write_fit(
        intercept=rng.normal(-0.5, 0.3, shape),
        factors=tuple(factors),
        levels=levels,
        codes=codes,
        effects=effects,
        numerics=(
            NumericTerm(column="Views", prior=PRIOR, transform="log1p_standardise" if log_views else "standardise"),
            NumericTerm(column="Swipes", prior=PRIOR, report_step=20),
        ),
        raw=raw,
        scalers=(
            Scaler(transform="log1p_standardise", centre=8.0, scale=0.5)
            if log_views
            else Scaler(transform="standardise", centre=raw[:, 0].mean(), scale=raw[:, 0].std()),
            Scaler(transform="standardise", centre=raw[:, 1].mean(), scale=raw[:, 1].std()),
        ),
        slope=rng.normal([0.2, 0.7], 0.2, (*shape, 2)),
        interactions=pairs,
        trials=rng.integers(1, 9, posts) if trials else None,
        question=question,
    )


def by_id(effects: tuple[Effect, ...]) -> dict[str, Effect]:
    table = {row.id: row for row in effects}
    assert len(table) == len(effects), "ids are unique"
    return table


def average(fit: Fit, rows: ModelRows) -> np.ndarray:
    """The plain definition: expected values of all rows, weighted by trials."""
    values = expected_value(fit, rows)
    return np.asarray(np.average(values, axis=-1, weights=fit.design.rows.trials))


# ---- closed forms


def two_levels_one_post() -> tuple[Fit, np.ndarray]:
    gap = np.random.default_rng(1).normal(0.4, 0.3, (CHAINS, DRAWS))
    effects = np.stack([-gap / 2, gap / 2], axis=-1)
    fit = write_fit(
        intercept=np.full((CHAINS, DRAWS), -1.0),
        factors=(all_factor("Tier", "A"),),
        levels={"Tier": ("A", "B")},
        codes={"Tier": np.array([0])},
        effects={"Tier": effects},
    )
    return fit, gap


def test_two_levels_and_one_post_are_the_closed_form() -> None:
    fit, gap = two_levels_one_post()
    table = by_id(estimate_effects(fit))
    low, high = expit(-1 - gap / 2), expit(-1 + gap / 2)
    expected = {
        "odds_ratio/Tier/B/A": np.exp(gap),
        "average_odds_ratio/Tier/B/A": np.exp(gap),
        "difference/Tier/B/A": 100 * (high - low),
        "lift/Tier/B/A": high / low - 1,
        "expected_value/Tier/B": high,
        "expected_value/Tier/A": low,
        "expected_value/all posts": low,
    }
    for name, draws in expected.items():
        row = table[f"engagement_constant/{name}"]
        assert row.estimate == pytest.approx(np.median(draws), rel=1e-12), name
        assert row.lower == pytest.approx(np.quantile(draws, 0.05), rel=1e-12), name
        assert row.upper == pytest.approx(np.quantile(draws, 0.95), rel=1e-12), name
    for name in list(expected)[:4]:
        assert table[f"engagement_constant/{name}"].probability == pytest.approx((gap > 0).mean()), name


def test_scales_and_nulls_are_those_of_the_estimand() -> None:
    fit, _ = two_levels_one_post()
    found = {row.estimand: (row.scale, row.null_value, row.probability is None) for row in estimate_effects(fit)}
    assert found == {
        "odds_ratio": ("odds", 1.0, False),
        "average_odds_ratio": ("odds", 1.0, False),
        "difference": ("per_100_posts", 0.0, False),
        "lift": ("probability", 0.0, False),
        "expected_value": ("probability", None, True),
        "rank": ("probability", None, True),
        "probability_best": ("probability", None, False),
    }


def test_intercept_alone_is_the_logit_normal() -> None:
    grid = norm.ppf((np.arange(4000) + 0.5) / 4000, -0.7, 0.4)
    fit = write_fit(intercept=np.random.default_rng(0).permutation(grid).reshape(4, 1000))
    (row,) = estimate_effects(fit, prob=0.8)
    assert row.id == "engagement_constant/expected_value/all posts"
    assert row.level is None
    assert row.estimate == pytest.approx(expit(-0.7), rel=1e-6)
    assert row.lower == pytest.approx(expit(norm.ppf(0.1, -0.7, 0.4)), rel=1e-3)
    assert row.upper == pytest.approx(expit(norm.ppf(0.9, -0.7, 0.4)), rel=1e-3)
    assert row.mcse == pytest.approx(np.sqrt(np.pi / 2 / 4000) * 0.4 * expit(-0.7) * expit(0.7), rel=0.2)


def test_averaged_logit_normal_posts_have_the_mean_of_a_quadrature() -> None:
    grid = norm.ppf((np.arange(2000) + 0.5) / 2000)
    fit = write_fit(
        intercept=np.random.default_rng(0).normal(-1, 0.2, (CHAINS, DRAWS)),
        numerics=(NumericTerm(column="x", prior=PRIOR, transform="none"),),
        raw=grid[:, None],
        scalers=(Scaler(transform="none", centre=0.0, scale=1.0),),
        slope=np.full((CHAINS, DRAWS, 1), 1.5),
    )
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    wanted = expit(fit.draws["intercept"][..., None] + 1.5 * nodes) @ weights / weights.sum()
    np.testing.assert_allclose(average_posts(fit).overall, wanted, rtol=2e-4)


# ---- averages against the plain definition


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"interaction": True},
        {"creators": 7, "trials": True},
        {"third": True, "interaction": True, "log_views": True},
        {"question": "as_bought", "reference": None},
    ],
)
def test_shared_averages_equal_counterfactual_posts_one_by_one(options: dict[str, object]) -> None:
    fit = campaign(3, **options)  # type: ignore[arg-type]
    design, rows, found = fit.design, fit.design.rows, average_posts(fit)
    np.testing.assert_allclose(found.overall, average(fit, rows), rtol=1e-12)
    for factor, means in found.levels.items():
        for k, level in enumerate(design.levels[factor]):
            np.testing.assert_allclose(means[..., k], average(fit, set_level(design, rows, factor, level)), rtol=1e-12)
    assert found.cells is not None
    for i, tier in enumerate(TIERS):
        for j, region in enumerate(REGIONS):
            cell = set_level(design, set_level(design, rows, "Tier", tier), "Region", region)
            np.testing.assert_allclose(found.cells[..., i, j], average(fit, cell), rtol=1e-12)
    for column, step in (("Swipes", 20.0), ("Views", rows.raw[:, 0].std())):
        shifted = average(fit, shift_numeric(design, rows, column, step))
        np.testing.assert_allclose(found.steps[column], shifted, rtol=1e-11)


def test_equal_posts_are_merged_without_changing_the_average() -> None:
    fit = campaign(4, posts=12)
    rows = fit.design.rows
    twice = np.r_[np.arange(12), np.arange(6)]
    doubled = ModelRows(
        x=rows.x[twice],
        raw=rows.raw[twice],
        codes={name: values[twice] for name, values in rows.codes.items()},
        conversions=np.zeros(18, dtype=np.int64),
        trials=np.ones(18, dtype=np.int64),
    )
    again = replace(fit, design=replace(fit.design, rows=doubled))
    found = average_posts(again)
    assert len(found.population.rows) == 12
    np.testing.assert_allclose(found.overall, average(again, doubled), rtol=1e-12)


def test_huge_linear_predictors_neither_overflow_nor_lose_the_average() -> None:
    eta = np.array([[-900.0, 0.0, 900.0], [-310.0, 2.0, 1.0]])
    shifts = np.array([[0.0, 310.0], [850.0, -5.0]])
    weights = np.array([1.0, 2.0, 1.0])
    wanted = np.stack([expit(eta + shift[:, None]) @ weights for shift in shifts])
    np.testing.assert_allclose(sum_shifted(eta.T, weights, shifts), wanted, rtol=1e-12)


def test_large_averages_use_every_nth_draw_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = campaign(5)
    whole = average_posts(fit)
    monkeypatch.setattr(averages_module, "LARGEST", 40 * CHAINS * DRAWS // 2)
    monkeypatch.setattr(averages_module, "LEAST_DRAWS", 100)
    thinned = average_posts(fit)
    np.testing.assert_allclose(thinned.overall, whole.overall[:, ::2], rtol=1e-12)
    assert thinned.population.words == "the 40 posts in the table (100 of 200 draws)"
    assert whole.population.words == "the 40 posts in the table"
    row = by_id(estimate_effects(fit))["engagement_constant/difference/Tier/Micro/Mega"]
    assert row.population.endswith("(100 of 200 draws)")
    monkeypatch.setattr(averages_module, "LEAST_DRAWS", 101)
    assert average_posts(fit).overall.shape == (CHAINS, DRAWS), "never fewer draws than the gate can judge"


# ---- steps of a numeric


def test_odds_ratio_of_a_step_is_the_power_of_the_slope() -> None:
    fit = campaign(6)
    row = by_id(estimate_effects(fit))["engagement_constant/odds_ratio/Swipes"]
    ratio = np.exp(fit.draws["slope"][..., 1] * 20 / fit.design.scalers[1].scale)
    assert row.estimate == pytest.approx(np.median(ratio), rel=1e-12)
    assert (row.step, row.level, row.reference, row.null_value) == (20.0, None, None, 1.0)
    assert row.held == "Views, Tier and Region held at their values"


@quick
@given(seeds)
def test_step_of_twenty_squared_is_the_step_of_forty(seed: int) -> None:
    fit = campaign(seed, posts=8)
    views, swipes = fit.design.numerics
    longer = replace(fit, design=replace(fit.design, numerics=(views, replace(swipes, report_step=40))))
    one, two = (by_id(estimate_effects(which))["engagement_constant/odds_ratio/Swipes"] for which in (fit, longer))
    for name in ("lower", "upper"):
        assert getattr(two, name) == pytest.approx(getattr(one, name) ** 2, rel=2e-2)
    np.testing.assert_allclose(
        averages_module.find_step_log_odds_ratio(fit, "Swipes", 40),
        2 * averages_module.find_step_log_odds_ratio(fit, "Swipes", 20),
        rtol=1e-12,
    )


def test_step_of_a_logarithm_starts_at_the_mean_and_says_so() -> None:
    fit = campaign(7, log_views=True)
    mean, step = fit.design.rows.raw[:, 0].mean(), fit.design.rows.raw[:, 0].std()
    row = by_id(estimate_effects(fit))["engagement_constant/odds_ratio/Views"]
    change = (np.log1p(mean + step) - np.log1p(mean)) / 0.5
    assert row.estimate == pytest.approx(np.median(np.exp(fit.draws["slope"][..., 0] * change)), rel=1e-12)
    assert row.step == pytest.approx(step)
    assert row.held == f"Views raised from its mean, {mean:,.6g}; Swipes, Tier and Region held at their values"


def test_a_numeric_without_a_step_gets_one_sd_or_one_where_not_transformed() -> None:
    fit = campaign(8)
    assert averages_module.find_step(fit.design, "Views") == pytest.approx(fit.design.rows.raw[:, 0].std())
    views = replace(fit.design.numerics[0], transform="none")
    plain = replace(fit.design, numerics=(views, fit.design.numerics[1]))
    assert averages_module.find_step(plain, "Views") == 1.0


def test_a_log_odds_ratio_is_a_difference_of_linear_predictors() -> None:
    fit = campaign(9)
    rows = fit.design.rows
    up = shift_numeric(fit.design, rows, "Swipes", 20)
    change = linear_predictor(fit, up) - linear_predictor(fit, rows)
    step = averages_module.find_step_log_odds_ratio(fit, "Swipes", 20)
    np.testing.assert_allclose(change, np.broadcast_to(step[..., None], change.shape), rtol=1e-9)


# ---- references, pairs, interactions


@quick
@given(seeds, st.sampled_from(TIERS))
def test_swapping_the_reference_changes_no_conclusion(seed: int, other: str) -> None:
    fit = campaign(seed, posts=10)
    swapped = replace(fit, design=replace(fit.design, factors=(all_factor("Tier", other), all_factor("Region"))))
    one, two = by_id(estimate_effects(fit)), by_id(estimate_effects(swapped))
    for row in one.values():
        if row.id in two:
            assert two[row.id] == row
            continue
        back = two[f"{row.question}/{row.estimand}/{row.variable}/{row.reference}/{row.level}"]
        assert row.probability is not None
        assert back.probability == pytest.approx(1 - row.probability, abs=1e-12)
        if row.estimand == "difference":
            assert (back.lower, back.upper) == pytest.approx((-row.upper, -row.lower), rel=1e-9)
        if row.estimand in ("odds_ratio", "average_odds_ratio"):
            assert back.estimate * row.estimate == pytest.approx(1, rel=5e-2)


@quick
@given(seeds)
def test_margins_of_two_levels_are_antisymmetric_in_every_draw(seed: int) -> None:
    fit = campaign(seed, posts=10)
    swapped = replace(fit, design=replace(fit.design, factors=(all_factor("Tier", "Micro"), all_factor("Region"))))
    forth = next(claim for claim in make_claims(fit) if claim.id.endswith("beats/Tier/Micro/Mega"))
    back = next(claim for claim in make_claims(swapped) if claim.id.endswith("beats/Tier/Mega/Micro"))
    np.testing.assert_allclose(np.exp(forth.margin) * np.exp(back.margin), 1, rtol=1e-12)
    assert estimate_probability(forth.margin).value + estimate_probability(back.margin).value == 1.0


def test_pairs_start_with_the_reference() -> None:
    fit = campaign(0)
    tier, region = fit.design.factors
    assert list_contrasts(fit.design, tier) == (("Micro", "Mega"), ("Mid", "Mega"), ("Mid", "Micro"))
    assert list_contrasts(fit.design, region) == (
        ("EU", "mean of levels"),
        ("US", "mean of levels"),
        ("US", "EU"),
    )


def test_more_than_twelve_levels_are_compared_with_the_reference_only() -> None:
    names = tuple(f"L{k:02d}" for k in range(13))
    design = replace(campaign(0).design, levels={"Tier": names, "Region": names[:12]})
    assert len(list_contrasts(design, all_factor("Tier", "L00"))) == 12
    assert len(list_contrasts(design, all_factor("Region"))) == 12 + 66


def test_without_a_reference_a_level_is_set_against_the_mean_of_the_levels() -> None:
    fit = campaign(11, reference=None)
    table, means = by_id(estimate_effects(fit)), average_posts(fit).levels["Tier"]
    row = table["engagement_constant/odds_ratio/Tier/Micro/mean of levels"]
    assert row.estimate == pytest.approx(np.median(np.exp(fit.draws["effect_Tier"][..., 1])), rel=1e-9)
    gap = means[..., 1] - means.mean(axis=-1)
    assert table["engagement_constant/difference/Tier/Micro/mean of levels"].estimate == pytest.approx(
        100 * np.median(gap)
    )
    lift = table["engagement_constant/lift/Tier/Micro/mean of levels"]
    assert lift.estimate == pytest.approx(np.median(means[..., 1] / means.mean(axis=-1) - 1))


def test_with_an_interaction_the_conditional_odds_ratio_says_what_it_averages_over() -> None:
    table = by_id(estimate_effects(campaign(12, interaction=True)))
    row = table["engagement_constant/odds_ratio/Tier/Micro/Mega"]
    assert row.held == (
        "averaged on the log-odds scale over the levels of Region; Views, Swipes and Region held at their values"
    )
    assert (
        table["engagement_constant/difference/Tier/Micro/Mega"].held == "Views, Swipes and Region held at their values"
    )


def test_no_effect_gives_the_null_of_every_estimand() -> None:
    fit, _ = two_levels_one_post()
    tiny = np.random.default_rng(0).normal(0, 1e-9, (CHAINS, DRAWS))
    level = replace(fit, draws={**fit.draws, "effect_Tier": np.stack([-tiny, tiny], axis=-1)})
    for row in estimate_effects(level):
        if row.null_value is not None:
            assert row.estimate == pytest.approx(row.null_value, abs=1e-6), row.id


# ---- words


def test_population_and_held_values_are_said() -> None:
    fit = campaign(13, trials=True)
    row = by_id(estimate_effects(fit))["engagement_constant/difference/Tier/Micro/Mega"]
    assert row.population == f"the {fit.design.trials.sum()} trials in the 40 rows of the table"
    bought = by_id(estimate_effects(campaign(13, question="as_bought")))
    assert bought["as_bought/difference/Tier/Micro/Mega"].held == (
        "Views, Swipes and Region held at their values; engagement left free to follow Tier"
    )
    assert bought["as_bought/expected_value/Tier:Region/Micro:US"].held == (
        "Views and Swipes held at their values; engagement left free to follow Tier and Region"
    )


def test_one_column_is_held_at_its_values_and_none_at_all_is_said() -> None:
    fit, _ = two_levels_one_post()
    assert by_id(estimate_effects(fit))["engagement_constant/lift/Tier/B/A"].held == "nothing else held"


# ---- creators


def test_each_creator_is_set_against_the_population_and_over_its_own_posts() -> None:
    fit = campaign(14, creators=5, trials=True)
    table, rows = by_id(estimate_effects(fit)), fit.design.rows
    row = table["engagement_constant/odds_ratio/Creator/C03/population"]
    effect = fit.draws["effect_Creator"][..., 3]
    assert row.estimate == pytest.approx(np.median(np.exp(effect)), rel=1e-3)
    assert row.probability == pytest.approx((effect > 0).mean())
    mine = rows.codes["Creator"] == 3
    assert rows.trials is not None
    own = np.average(expected_value(fit)[..., mine], axis=-1, weights=rows.trials[mine])
    found = table["engagement_constant/expected_value/Creator/C03"]
    assert found.estimate == pytest.approx(np.median(own), rel=1e-12)
    assert found.population == f"the posts of C03 among the {rows.trials.sum()} trials in the 40 rows of the table"


# ---- claims


@pytest.mark.parametrize("question", ["as_bought", "engagement_constant"])
@pytest.mark.parametrize("reference", ["Mega", None])
def test_claims_quote_rows_of_the_table_and_agree_with_them(question: Question, reference: str | None) -> None:
    fit = campaign(15, question=question, reference=reference, creators=4)
    table, claims = by_id(estimate_effects(fit)), make_claims(fit)
    assert len({claim.id for claim in claims}) == len(claims)
    assert {claim.kind for claim in claims} == {"beats", "step", "best"}
    for claim in claims:
        assert set(claim.effects) <= set(table), claim.id
        quoted = table[claim.effects[0 if question == "as_bought" or claim.kind != "beats" else 1]]
        assert quoted.probability is not None
        assert estimate_probability(claim.margin).value == pytest.approx(quoted.probability, abs=1e-9), claim.id


def test_margins_are_on_the_scale_of_the_question() -> None:
    constant, bought = campaign(16, interaction=True), campaign(16, interaction=True, question="as_bought")
    effect, means = constant.draws["effect_Tier"], average_posts(bought).levels["Tier"]
    for fit, score in ((constant, effect), (bought, means)):
        claims = {claim.id.split("/", 1)[1]: claim for claim in make_claims(fit)}
        np.testing.assert_allclose(claims["beats/Tier/Micro/Mega"].margin, score[..., 1] - score[..., 0], rtol=1e-12)
        best = score[..., 1] - np.maximum(score[..., 0], score[..., 2])
        np.testing.assert_allclose(claims["best/Tier/Micro"].margin, best, rtol=1e-12)
        np.testing.assert_array_equal(claims["step/Swipes"].margin, fit.draws["slope"][..., 1])


def test_a_claim_quotes_the_difference_the_odds_ratio_and_both_sides() -> None:
    claim = make_claims(campaign(0, question="as_bought"))[0]
    assert claim.id == "as_bought/beats/Tier/Micro/Mega"
    assert claim.effects == (
        "as_bought/difference/Tier/Micro/Mega",
        "as_bought/odds_ratio/Tier/Micro/Mega",
        "as_bought/expected_value/Tier/Micro",
        "as_bought/expected_value/Tier/Mega",
    )


def test_a_model_without_factors_claims_only_steps() -> None:
    fit = write_fit(
        intercept=np.random.default_rng(0).normal(size=(CHAINS, DRAWS)),
        numerics=(NumericTerm(column="x", prior=PRIOR, transform="none", report_step=-2),),
        raw=np.array([[1.0], [2.0]]),
        scalers=(Scaler(transform="none", centre=0.0, scale=1.0),),
        slope=np.random.default_rng(1).normal(size=(CHAINS, DRAWS, 1)),
        question="as_bought",
    )
    (claim,) = make_claims(fit)
    assert (claim.id, claim.step) == ("as_bought/step/x", -2.0)
    np.testing.assert_array_equal(claim.margin, -fit.draws["slope"][..., 0])


# ---- invariances and checks


@quick
@given(seeds)
def test_effects_do_not_depend_on_the_order_of_chains(seed: int) -> None:
    fit = campaign(seed, posts=6)
    order = np.random.default_rng(seed).permutation(CHAINS)
    mixed = replace(fit, draws={name: values[order] for name, values in fit.draws.items()})
    for one, two in zip(estimate_effects(fit), estimate_effects(mixed), strict=True):
        assert one.id == two.id
        for name in ("estimate", "lower", "upper", "rhat", "ess_bulk", "ess_tail", "mcse"):
            assert getattr(one, name) == pytest.approx(getattr(two, name), rel=1e-8), (one.id, name)


def test_every_row_can_be_judged() -> None:
    for row in estimate_effects(campaign(17, creators=6, interaction=True, third=True)):
        for name in ("estimate", "lower", "upper", "mcse", "ess_bulk", "ess_tail", "rhat"):
            assert np.isfinite(getattr(row, name)), (row.id, name)
        assert row.lower <= row.estimate <= row.upper, row.id


def test_averages_already_computed_are_used() -> None:
    fit = campaign(18, question="as_bought")
    known = average_posts(fit)
    assert estimate_effects(fit, averages=known) == estimate_effects(fit)
    for one, two in zip(make_claims(fit, averages=known), make_claims(fit), strict=True):
        np.testing.assert_array_equal(one.margin, two.margin)


def test_mass_outside_zero_to_one_is_refused() -> None:
    with pytest.raises(UsageError, match="prob is the mass of the interval"):
        estimate_effects(campaign(0), prob=90)


def test_saturated_averages_keep_finite_odds() -> None:
    fit, gap = two_levels_one_post()
    sure = replace(fit, draws={**fit.draws, "intercept": np.full_like(gap, 60.0) + gap})
    row = by_id(estimate_effects(sure))["engagement_constant/average_odds_ratio/Tier/B/A"]
    assert np.isfinite(row.estimate)
