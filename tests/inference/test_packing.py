"""The density NUTS samples is the PyMC model's: value, gradient, order of the coordinates, names of the draws."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from influbayes.hierarchy.coding import dims_of
from influbayes.hierarchy.design import Design, build_design
from influbayes.hierarchy.model import build_model, evaluate_model
from influbayes.hierarchy.spec import ScalePrior, Specification, list_shipped_specs, load_spec, required_columns
from influbayes.inference import kernels_gradient as layout
from influbayes.inference.packing import START_WIDTH, make_starts, name_draws, pack_design, place_parts

pytest.importorskip("pymc")

FAMILIES = [
    ScalePrior(family="half_normal", parameters=(0.7,)),
    ScalePrior(family="exponential", parameters=(2.0,)),
    ScalePrior(family="half_cauchy", parameters=(0.4,)),
    ScalePrior(family="half_student_t", parameters=(3.0, 0.8)),
]


def with_scales(prior: ScalePrior | None, scale: float | None) -> Specification:
    """Every kind of term: numbers, factors, a `sample` factor, an interaction."""
    spec = replace(load_spec("conversion_creator"), interactions=load_spec("conversion_interaction").interactions)
    factors = tuple(replace(term, scale_prior=prior, scale=scale) for term in spec.factors)
    pairs = tuple(replace(pair, scale_prior=prior, scale=scale) for pair in spec.interactions)
    return replace(spec, factors=factors, interactions=pairs)


SPECIFICATIONS = {
    **{name: load_spec(name) for name in list_shipped_specs()},
    **{f"all terms, {prior.family}": with_scales(prior, None) for prior in FAMILIES},
    "all terms, fixed scales": with_scales(None, 0.6),
    "intercept alone": replace(load_spec("conversion"), numerics=(), factors=()),
}


def simulate_table(spec: Specification, make_posts: Any, *, rows: int, most_trials: int) -> Any:
    rng = np.random.default_rng(8)
    columns = required_columns(spec)
    references = {term.column: term.reference for term in spec.factors}
    frame: dict[str, Any] = {name: rng.integers(1, 2000, rows).astype(float) for name in columns.numeric}
    for k, name in enumerate(columns.labels):
        known = [references[name] or "A", "B", "C", "D"][: 3 + k % 2]
        frame[name] = [known[(i // 4**k) % len(known)] for i in range(rows)]
    frame["trials"] = rng.integers(1, most_trials + 1, rows)
    frame["conversions"] = rng.binomial(frame["trials"], 0.4)
    return make_posts(pd.DataFrame(frame), columns=columns)


def make_design(name: str, make_posts: Any, *, rows: int = 100, most_trials: int = 4) -> Design:
    spec = SPECIFICATIONS[name]
    return build_design(simulate_table(spec, make_posts, rows=rows, most_trials=most_trials), spec)


def evaluate(words: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    gradients = np.empty_like(points)
    values = [layout.evaluate_point(words, words.view(np.int64), *pair) for pair in zip(points, gradients, strict=True)]
    return np.array(values), gradients


def draw_points(design: Design, *, number: int = 4, width: float = 1.0) -> np.ndarray:
    size = place_parts(design)[-1].stop
    return np.random.default_rng(3).normal(0, width, (number, size))


def compare(design: Design, points: np.ndarray) -> None:
    theirs, their_gradients = evaluate_model(design, points)
    ours, gradients = evaluate(pack_design(design), points)
    np.testing.assert_allclose(ours, theirs, rtol=1e-10)
    np.testing.assert_allclose(gradients, their_gradients, rtol=1e-8, atol=1e-10 * np.abs(their_gradients).max())


@pytest.mark.parametrize("name", SPECIFICATIONS)
@pytest.mark.parametrize("most_trials", [1, 4])
def test_density_and_gradient_are_the_pymc_models(name: str, most_trials: int, make_posts: Any) -> None:
    design = make_design(name, make_posts, most_trials=most_trials)
    compare(design, draw_points(design))


@pytest.mark.parametrize("rows", [63, 64, 65])
def test_any_number_of_rows(rows: int, make_posts: Any) -> None:
    design = make_design("complete_pooling", make_posts, rows=rows, most_trials=1)
    assert len(design.rows) == rows
    compare(design, draw_points(design))


def test_products_of_many_rows_do_not_overflow(make_posts: Any) -> None:
    """40,000 cells of one trial near even odds: a product of so many numbers of nearly 2 would be infinite."""
    design = make_design("complete_pooling", make_posts, rows=40_000, most_trials=1)
    compare(design, draw_points(design, number=2, width=0.05))


def test_far_from_the_data_density_and_gradient_stay_right(make_posts: Any) -> None:
    design = make_design("all terms, half_normal", make_posts)
    points = draw_points(design)
    points[:, 0] = [-400.0, 400.0, -900.0, 900.0]
    compare(design, points)


def test_the_gradient_is_the_slope_of_the_density(make_posts: Any) -> None:
    design = make_design("all terms, half_student_t", make_posts)
    words, (point,), step = pack_design(design), draw_points(design, number=1), 1e-5
    _, (gradient,) = evaluate(words, point[None])
    shifts = step * np.eye(len(point))
    up, down = evaluate(words, point + shifts)[0], evaluate(words, point - shifts)[0]
    np.testing.assert_allclose((up - down) / (2 * step), gradient, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["all terms, exponential", "all terms, fixed scales", "intercept alone"])
def test_named_draws_are_the_pymc_models_deterministics(name: str, make_posts: Any) -> None:
    import pytensor

    design = make_design(name, make_posts)
    points, model = draw_points(design), build_model(design)
    ours = name_draws(design, points[None])
    assert list(ours) == list(dims_of(design))
    variables = model.value_vars
    outputs = model.replace_rvs_by_values([model[wanted] for wanted in ours])
    function = pytensor.function(list(variables), outputs, mode="FAST_COMPILE", on_unused_input="ignore")
    start = model.initial_point()
    shapes = [np.shape(start[variable.name]) for variable in variables]
    cuts = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
    for k, point in enumerate(points):
        theirs = function(*(part.reshape(shape) for part, shape in zip(np.split(point, cuts), shapes, strict=True)))
        for wanted, values in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(ours[wanted][0, k], values, rtol=1e-12, atol=1e-13, err_msg=wanted)


def test_the_order_of_the_rows_is_one_of_them_and_spreads_alike_levels(make_posts: Any) -> None:
    from influbayes.inference.packing import _spread_levels

    code = np.array([0, 0, 0, 1, 1, 2])
    order = _spread_levels([code, np.zeros(6, dtype=np.int64)], 6)
    np.testing.assert_array_equal(np.sort(order), np.arange(6))
    np.testing.assert_array_equal(code[order], [0, 1, 2, 0, 1, 0])
    np.testing.assert_array_equal(_spread_levels([], 3), [0, 1, 2])


def test_starts_are_spread_around_the_prior_and_repeatable(make_posts: Any) -> None:
    design = make_design("all terms, exponential", make_posts)
    start = make_starts(design)
    points = np.array([start(seed) for seed in range(400)])
    np.testing.assert_array_equal(start(7), points[7])
    intercept = design.specification.intercept
    for at, centre, sd in [(0, intercept.mean, intercept.sd), (-1, -np.log(2.0), 1.0)]:
        apart = (points[:, at] - centre) / sd
        assert np.abs(apart).max() <= START_WIDTH
        assert apart.std() == pytest.approx(START_WIDTH / np.sqrt(3), rel=0.1)
