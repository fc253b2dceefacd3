"""Coefficients: columns, blocks, decoding against hand computation, and cells of alike rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from influbayes.hierarchy.coding import code_design, collapse_rows, coords_of, decode, dims_of, factor_basis
from influbayes.hierarchy.design import Design, build_design, zero_sum_basis
from influbayes.hierarchy.spec import load_spec
from influbayes.tables.posts import PostsTable


@pytest.fixture
def crossed(sixty_posts: PostsTable) -> Design:
    """Tier, region, their interaction and creators."""
    spec = replace(load_spec("conversion_creator"), interactions=load_spec("conversion_interaction").interactions)
    return build_design(sixty_posts, spec)


def test_blocks_lie_side_by_side_in_the_order_of_the_terms(crossed: Design) -> None:
    coding = code_design(crossed)
    assert [(block.variable, block.start, block.stop) for block in coding.blocks] == [
        ("intercept", 0, 1),
        ("slope", 1, 3),
        ("effect_Influencer_Tier", 3, 5),
        ("effect_Audience_Region", 5, 8),
        ("effect_Influencer_Tier__x__Audience_Region", 8, 14),
    ]
    assert coding.grouped == ("Creator_ID",)
    assert coding.X.shape == (60, 14)
    assert [block.scale for block in coding.scales] == [
        "scale_Influencer_Tier",
        "scale_Audience_Region",
        "scale_Influencer_Tier__x__Audience_Region",
    ]
    whole = code_design(crossed, grouped=())
    assert whole.X.shape == (60, 14 + len(crossed.levels["Creator_ID"]))
    assert whole.grouped == ()


def test_creators_as_columns_are_zeros_and_ones(crossed: Design) -> None:
    coding = code_design(crossed, grouped=())
    block = next(block for block in coding.blocks if block.variable == "effect_Creator_ID")
    columns = coding.X[:, block.start : block.stop]
    np.testing.assert_array_equal(columns.argmax(axis=1), crossed.rows.codes["Creator_ID"])
    np.testing.assert_array_equal(columns.sum(axis=1), 1)
    assert block.basis is not None
    np.testing.assert_array_equal(block.basis, np.eye(block.size))


def test_an_interaction_is_the_kronecker_product_and_sums_to_zero_over_both(crossed: Design) -> None:
    coding = code_design(crossed)
    block = coding.blocks[-1]
    tier, region = zero_sum_basis(3), zero_sum_basis(4)
    for a in range(3):
        for b in range(4):
            expected = [tier[a, i] * region[b, j] for i in range(2) for j in range(3)]
            np.testing.assert_allclose(block.basis[a * 4 + b], expected, atol=1e-15)
    effect = decode(coding, np.arange(14.0))["effect_Influencer_Tier__x__Audience_Region"]
    assert effect.shape == (3, 4)
    np.testing.assert_allclose(effect.sum(axis=0), 0, atol=1e-13)
    np.testing.assert_allclose(effect.sum(axis=1), 0, atol=1e-13)
    np.testing.assert_allclose(block.basis.T @ block.basis, np.eye(6), atol=1e-14)


def test_decoding_by_hand(conversion_design: Design) -> None:
    coding = code_design(conversion_design)
    named = decode(coding, np.array([-0.5, 0.1, 0.2, 1.0, 2.0, 1.0, 2.0, 3.0]))
    root = np.sqrt
    assert named["intercept"] == -0.5
    np.testing.assert_array_equal(named["slope"], [0.1, 0.2])
    # Helmert columns (1, -1, 0) / sqrt 2 and (1, 1, -2) / sqrt 6.
    tier = [1 / root(2) + 2 / root(6), -1 / root(2) + 2 / root(6), -4 / root(6)]
    np.testing.assert_allclose(named["effect_Influencer_Tier"], tier, rtol=1e-14)
    shared = 3 / root(12)
    first, second = 1 / root(2) + 2 / root(6) + shared, -1 / root(2) + 2 / root(6) + shared
    region = [first, second, -4 / root(6) + shared, -9 / root(12)]
    np.testing.assert_allclose(named["effect_Audience_Region"], region, rtol=1e-14)


def test_coded_columns_and_decoded_effects_give_one_linear_predictor(crossed: Design) -> None:
    coding = code_design(crossed, grouped=())
    theta = np.random.default_rng(1).normal(size=(2, 5, coding.X.shape[1]))
    named = decode(coding, theta)
    codes, pair = crossed.rows.codes, "effect_Influencer_Tier__x__Audience_Region"
    eta = named["intercept"][..., None] + named["slope"] @ crossed.rows.x.T
    for column in ("Influencer_Tier", "Audience_Region", "Creator_ID"):
        eta = eta + named[f"effect_{column}"][..., codes[column]]
    eta = eta + named[pair][..., codes["Influencer_Tier"], codes["Audience_Region"]]
    np.testing.assert_allclose(theta @ coding.X.T, eta, rtol=1e-12, atol=1e-12)


def test_contrast_sd_is_scale_times_root_two(conversion_design: Design) -> None:
    basis = factor_basis(conversion_design, conversion_design.factors[0])
    covariance = basis @ basis.T
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert covariance[a, a] + covariance[b, b] - 2 * covariance[a, b] == pytest.approx(2.0, rel=1e-14)


def test_dims_and_coords_name_every_variable(crossed: Design) -> None:
    assert dims_of(crossed) == {
        "intercept": (),
        "slope": ("numeric",),
        "effect_Influencer_Tier": ("Influencer_Tier",),
        "scale_Influencer_Tier": (),
        "effect_Audience_Region": ("Audience_Region",),
        "scale_Audience_Region": (),
        "effect_Creator_ID": ("Creator_ID",),
        "scale_Creator_ID": (),
        "effect_Influencer_Tier__x__Audience_Region": ("Influencer_Tier", "Audience_Region"),
        "scale_Influencer_Tier__x__Audience_Region": (),
    }
    assert coords_of(crossed)["numeric"] == ("Story_Views", "Swipe_Ups")
    assert coords_of(crossed)["Influencer_Tier"] == ("Mega", "Micro", "Mid")
    fixed = replace(
        crossed,
        factors=tuple(replace(term, scale=1.0, scale_prior=None) for term in crossed.factors),
        interactions=(replace(crossed.interactions[0], scale=1.0, scale_prior=None),),
        numerics=(),
    )
    assert [name for name in dims_of(fixed) if name.startswith("scale_") or name == "slope"] == []
    assert "numeric" not in coords_of(fixed)


def log_likelihood(eta: np.ndarray, conversions: np.ndarray, trials: np.ndarray) -> float:
    return float((conversions * eta - trials * np.logaddexp(0, eta)).sum())


@pytest.mark.parametrize("name", ["conversion", "conversion_creator", "complete_pooling"])
def test_cells_of_alike_rows_have_the_log_likelihood_of_the_rows(
    make_posts: Any, sixty_posts: PostsTable, name: str
) -> None:
    rounded = sixty_posts.frame.assign(
        Story_Views=sixty_posts.frame["Story_Views"].round(-4), Swipe_Ups=sixty_posts.frame["Swipe_Ups"].round(-2)
    )
    rng = np.random.default_rng(2)
    trials = rng.integers(1, 5, 60)
    design = build_design(
        make_posts(rounded.assign(trials=trials, conversions=rng.binomial(trials, 0.4))), load_spec(name)
    )
    cells = collapse_rows(design)
    assert len(cells.first) < 60
    assert (cells.trials.sum(), cells.conversions.sum()) == (design.trials.sum(), design.conversions.sum())
    coding = code_design(design, grouped=())
    for theta in rng.normal(size=(5, coding.X.shape[1])):
        eta = coding.X @ theta
        rows = log_likelihood(eta, design.conversions, design.trials)
        assert log_likelihood(eta[cells.first], cells.conversions, cells.trials) == pytest.approx(rows, rel=1e-13)


def test_alike_rows_are_one_cell_and_no_two_cells_are_alike(make_posts: Any, sixty_posts: PostsTable) -> None:
    frame = sixty_posts.frame.drop(columns=["line"])
    twice = make_posts(frame.loc[frame.index.repeat(2)].reset_index(drop=True))
    design = build_design(twice, load_spec("conversion"))
    cells = collapse_rows(design)
    keys = list(
        zip(*design.rows.raw[cells.first].T, *(codes[cells.first] for codes in design.rows.codes.values()), strict=True)
    )
    assert len(set(keys)) == len(keys) == 60
    np.testing.assert_array_equal(cells.trials, 2)


def test_a_model_of_the_intercept_alone_has_one_cell(sixty_posts: PostsTable, conversion: Any) -> None:
    design = build_design(sixty_posts, replace(conversion, numerics=(), factors=()))
    cells = collapse_rows(design)
    assert cells.first.tolist() == [0]
    assert cells.trials.tolist() == [60]
    assert cells.conversions.tolist() == [design.conversions.sum()]
    assert code_design(design).X.shape == (60, 1)
