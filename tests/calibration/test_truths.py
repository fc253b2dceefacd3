"""Truths follow the priors, and outcomes follow the truths."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from influbayes.calibration.covariates import TableShape, check_shape, replace_outcomes, simulate_table
from influbayes.calibration.replication import number_cells, put_outcome
from influbayes.calibration.truths import centre_effects, draw_conversions, draw_parameters, draw_scale, find_log_odds
from influbayes.errors import UsageError
from influbayes.hierarchy.design import build_design, zero_sum_basis
from influbayes.hierarchy.posterior import EngineRun, Fit
from influbayes.hierarchy.predict import linear_predictor
from influbayes.hierarchy.priors import log_density_scale
from influbayes.hierarchy.spec import Outcome, ScalePrior, list_shipped_specs, load_spec

FAMILIES = [
    ScalePrior(family="half_normal", parameters=(0.7,)),
    ScalePrior(family="exponential", parameters=(2.0,)),
    ScalePrior(family="half_cauchy", parameters=(0.5,)),
    ScalePrior(family="half_student_t", parameters=(4.0, 0.8)),
]


def make_design(name, *, posts=80, seed=3, outcome=None):
    spec = load_spec(name)
    spec = spec if outcome is None else replace(spec, outcome=outcome)
    table = simulate_table(spec, TableShape(fewest=posts, most=posts), rng=np.random.default_rng(seed))
    return build_design(table, spec), table


@pytest.mark.parametrize("prior", FAMILIES, ids=lambda prior: prior.family)
def test_scales_follow_the_density_that_the_engines_use(prior):
    rng = np.random.default_rng(5)
    drawn = np.array([draw_scale(prior, rng=rng) for _ in range(4000)])
    grid = np.concatenate([[0.0], np.geomspace(1e-5, 1e6, 60_000)])
    density = np.exp(log_density_scale(prior, grid))
    cdf = np.concatenate([[0.0], np.cumsum(np.diff(grid) * (density[1:] + density[:-1]) / 2)])
    assert cdf[-1] == pytest.approx(1.0, abs=1e-3)
    assert stats.kstest(drawn, lambda value: np.interp(value, grid, cdf)).pvalue > 0.001


@pytest.mark.parametrize("shape", [(3,), (4,), (3, 4)])
def test_centred_normals_have_the_covariance_of_the_coding(shape):
    """The truth is drawn by centring, the engines sample orthonormal coefficients: the same distribution."""
    size = int(np.prod(shape))
    columns = np.stack([centre_effects(unit.reshape(shape)).ravel() for unit in np.eye(size)], axis=1)
    basis = zero_sum_basis(shape[0])
    for levels in shape[1:]:
        basis = np.kron(basis, zero_sum_basis(levels))
    np.testing.assert_allclose(columns @ columns.T, basis @ basis.T, atol=1e-12)


@pytest.mark.parametrize("name", list_shipped_specs())
def test_the_log_odds_of_a_truth_equal_those_that_predict_gives(name):
    """Labels and columns looked up in the table, against the arrays of the design: two ways to one number."""
    design, table = make_design(name)
    truth = draw_parameters(design, rng=np.random.default_rng(6))
    run = EngineRun(name_asked="truth", name_used="truth", why="", draws=1, chains=1, seed=0, seconds=0.0)
    fit = Fit(design=design, draws={k: v[None, None] for k, v in truth.items()}, sample_stats={}, run=run)
    place = {line: k for k, line in enumerate(table.frame["line"])}
    eta = find_log_odds(design, truth, table.frame)[[place[line] for line in design.lines]]
    np.testing.assert_allclose(linear_predictor(fit)[0, 0], eta, atol=1e-10)


def test_a_truth_has_every_variable_of_a_fit_and_zero_sums():
    design, _ = make_design("conversion_interaction")
    truth = draw_parameters(design, rng=np.random.default_rng(7))
    pair = design.interactions[0]
    assert truth["slope"].shape == (len(design.numerics),)
    assert abs(truth["effect_Influencer_Tier"].sum()) < 1e-12
    np.testing.assert_allclose(truth[f"effect_{pair.name}"].sum(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(truth[f"effect_{pair.name}"].sum(axis=1), 0, atol=1e-12)


def test_a_fixed_scale_is_used_and_not_drawn():
    design, _ = make_design("no_pooling")
    rng = np.random.default_rng(8)
    drawn = [draw_parameters(design, rng=rng) for _ in range(800)]
    assert not any(name.startswith("scale_") for name in drawn[0])
    contrasts = np.array([one["effect_Influencer_Tier"][0] - one["effect_Influencer_Tier"][1] for one in drawn])
    assert contrasts.std() == pytest.approx(2.5 * np.sqrt(2), rel=0.1)


def test_conversions_have_the_mean_of_their_probability():
    eta, trials = np.repeat([-2.0, 0.0, 1.0], 4000), np.full(12_000, 3)
    drawn = draw_conversions(eta, trials, rng=np.random.default_rng(9)).reshape(3, -1).mean(axis=1)
    np.testing.assert_allclose(drawn, 3 / (1 + np.exp([2.0, 0.0, -1.0])), atol=0.06)


@pytest.mark.parametrize("outcome", [None, Outcome(successes="sold", trials="asked")])
@pytest.mark.parametrize("name", ["conversion", "complete_pooling", "conversion_ledger"])
def test_putting_an_outcome_in_equals_building_the_design_afresh(name, outcome):
    design, table = make_design(name, posts=150, outcome=outcome)
    trials = table.frame["trials"].to_numpy()
    conversions = np.random.default_rng(10).integers(0, trials + 1)
    built = build_design(replace_outcomes(table, conversions), design.specification)
    put = put_outcome(design, conversions, table)
    np.testing.assert_array_equal(put.conversions, built.conversions)
    np.testing.assert_array_equal(put.trials, built.trials)
    np.testing.assert_array_equal(put.rows.x, built.rows.x)
    for column, codes in built.rows.codes.items():
        np.testing.assert_array_equal(put.rows.codes[column], codes)


def test_rows_alike_in_every_model_column_share_a_number():
    design, _ = make_design("conversion")
    assert len(set(number_cells(design).tolist())) == len(design.rows)
    bare = replace(design, rows=replace(design.rows, raw=design.rows.raw[:, :0]))
    assert number_cells(bare).max() < 12


@pytest.mark.parametrize("name", list_shipped_specs())
def test_every_shipped_specification_can_be_simulated_at_every_size(name):
    for posts in (30, 500):
        design, table = make_design(name, posts=posts, seed=posts)
        assert len(design.rows) == table.rows_used == posts
        assert not design.left_out


def test_sizes_lie_between_the_bounds_and_vary():
    shape, rng = TableShape(fewest=30, most=60), np.random.default_rng(11)
    spec = load_spec("conversion")
    sizes = {simulate_table(spec, shape, rng=rng).rows_used for _ in range(40)}
    assert min(sizes) >= 30
    assert max(sizes) <= 60
    assert len(sizes) > 10


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (TableShape(fewest=3, most=10), "Tables of 3 to 10 posts cannot be simulated"),
        (TableShape(fewest=50, most=40), "the smaller number first"),
        (TableShape(fewest=30, most=40, creators=31), "31 creators do not fit into tables of 30 posts"),
    ],
)
def test_impossible_shapes_are_refused(shape, words):
    with pytest.raises(UsageError, match=words):
        check_shape(shape)
