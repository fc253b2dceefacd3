"""The PyMC model has the density we say it has: compared with our own, term by term, without sampling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom, norm

from influbayes.errors import UsageError
from influbayes.hierarchy.coding import code_design, decode, dims_of
from influbayes.hierarchy.design import Design, build_design, zero_sum_basis
from influbayes.hierarchy.model import build_model, describe_model, evaluate_model
from influbayes.hierarchy.posterior import EngineRun, Fit
from influbayes.hierarchy.predict import linear_predictor
from influbayes.hierarchy.priors import log_density_scale
from influbayes.hierarchy.spec import ScalePrior, Specification, list_shipped_specs, load_spec, required_columns

pm = pytest.importorskip("pymc")

POINTS = 20
FAMILIES = [
    ScalePrior(family="half_normal", parameters=(0.7,)),
    ScalePrior(family="exponential", parameters=(2.0,)),
    ScalePrior(family="half_cauchy", parameters=(0.4,)),
    ScalePrior(family="half_student_t", parameters=(3.0, 0.8)),
]


def with_scales(spec: Specification, prior: ScalePrior | None, scale: float | None) -> Specification:
    factors = tuple(replace(term, scale_prior=prior, scale=scale) for term in spec.factors)
    pairs = tuple(replace(pair, scale_prior=prior, scale=scale) for pair in spec.interactions)
    return replace(spec, factors=factors, interactions=pairs)


def crossed() -> Specification:
    creator = load_spec("conversion_creator")
    return replace(creator, interactions=load_spec("conversion_interaction").interactions)


SPECIFICATIONS: dict[str, Specification] = {
    **{name: load_spec(name) for name in list_shipped_specs()},
    **{f"all terms, {prior.family}": with_scales(crossed(), prior, None) for prior in FAMILIES},
    "all terms, fixed scales": with_scales(crossed(), None, 0.6),
    "intercept alone": replace(load_spec("conversion"), numerics=(), factors=()),
}


def simulate_table(spec: Specification, make_posts: Any, *, most_trials: int) -> Any:
    """A table with every column of a specification, levels in all their combinations."""
    import pandas as pd

    rng = np.random.default_rng(8)
    rows, columns = 48, required_columns(spec)
    references = {term.column: term.reference for term in spec.factors}
    frame: dict[str, Any] = {name: rng.integers(1, 2000, rows).astype(float) for name in columns.numeric}
    for k, name in enumerate(columns.labels):
        known = [references[name] or "A", "B", "C", "D"][: 3 + k % 2]
        frame[name] = [known[(i // 4**k) % len(known)] for i in range(rows)]
    frame["trials"] = rng.integers(1, most_trials + 1, rows)
    frame["conversions"] = rng.binomial(frame["trials"], 0.4)
    # A few rows twice, so that cells hold more than one row.
    table = pd.DataFrame(frame)
    return make_posts(pd.concat([table, table.iloc[:9]], ignore_index=True), columns=columns)


def draw_points(design: Design) -> list[dict[str, np.ndarray]]:
    """Points in the model's own coordinates: standard coefficients, natural scales."""
    rng = np.random.default_rng(4)
    coding = code_design(design, grouped=())
    points = []
    for _ in range(POINTS):
        point: dict[str, np.ndarray] = {}
        for block in coding.blocks:
            name = block.variable.removeprefix("effect_")
            size = () if name == "intercept" else (block.size,)
            key = name if block.basis is None else f"coefficient_{name}"
            point[key] = rng.normal(0, 1.5, size)
            if block.scale is not None:
                point[block.scale] = np.exp(rng.normal(-0.3, 0.8))
        points.append(point)
    return points


def our_density(design: Design, point: Mapping[str, np.ndarray]) -> float:
    """The log posterior density up to a constant, in centred coordinates plus the change of variables.

    Effects are Normal(0, scale) coefficients; the model samples them divided by their scale, and the scale as its log.
    """
    coding = code_design(design, grouped=())
    theta = np.empty(coding.X.shape[1])
    total = 0.0
    for block in coding.blocks:
        part, name = slice(block.start, block.stop), block.variable.removeprefix("effect_")
        if block.variable == "intercept":
            theta[part], prior = point[name], design.specification.intercept
            total += norm.logpdf(theta[part], prior.mean, prior.sd).sum()
        elif block.variable == "slope":
            theta[part] = point[name]
            total += sum(
                norm.logpdf(value, term.prior.mean, term.prior.sd)
                for value, term in zip(theta[part], design.numerics, strict=True)
            )
        else:
            scale = float(block.fixed_scale if block.scale is None else point[block.scale])
            theta[part] = scale * point[f"coefficient_{name}"]
            total += norm.logpdf(theta[part], 0.0, scale).sum() + block.size * np.log(scale)
            if block.scale is not None:
                total += float(log_density_scale(block.scale_prior, np.float64(scale))) + np.log(scale)
    eta = coding.X @ theta
    return total + float(binom.logpmf(design.conversions, design.trials, expit(eta)).sum())


def to_model_space(model: Any, point: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Scales enter the model as their logs."""
    names = {variable.name: model.rvs_to_values[variable].name for variable in model.free_RVs}
    return {
        names[name]: np.asarray(np.log(value) if names[name].endswith("_log__") else value, dtype=np.float64)
        for name, value in point.items()
    }


def build(name: str, make_posts: Any, most_trials: int) -> Design:
    spec = SPECIFICATIONS[name]
    return build_design(simulate_table(spec, make_posts, most_trials=most_trials), spec)


@pytest.fixture(params=SPECIFICATIONS)
def design(request: pytest.FixtureRequest, make_posts: Any) -> Design:
    return build(request.param, make_posts, most_trials=4 if "fixed" in request.param else 1)


def test_density_is_ours_up_to_one_constant(design: Design) -> None:
    model = build_model(design)
    points = draw_points(design)
    density = model.compile_logp(mode="FAST_COMPILE")
    theirs = np.array([float(density(to_model_space(model, point))) for point in points])
    ours = np.array([our_density(design, point) for point in points])
    differences = theirs - ours
    assert np.isfinite(theirs).all()
    # Cells of alike rows have other binomial coefficients than the rows: the one constant there is.
    np.testing.assert_allclose(differences, differences[0], atol=1e-10 * np.abs(theirs).max())


def test_value_and_gradient_are_pymcs_own_compiled_functions(design: Design) -> None:
    model = build_model(design)
    points = draw_points(design)[:3]
    named = [to_model_space(model, point) for point in points]
    variables = model.continuous_value_vars
    flat = np.array([np.concatenate([np.ravel(point[variable.name]) for variable in variables]) for point in named])
    values, gradients = evaluate_model(design, flat)
    density, gradient = model.compile_logp(mode="FAST_COMPILE"), model.compile_dlogp(mode="FAST_COMPILE")
    np.testing.assert_allclose(values, [float(density(point)) for point in named], rtol=1e-10)
    np.testing.assert_allclose(gradients, [gradient(point) for point in named], rtol=1e-8, atol=1e-8)


def test_linear_predictor_is_the_models_own(design: Design) -> None:
    from influbayes.hierarchy.coding import collapse_rows

    model = build_model(design)
    points = draw_points(design)[:3]
    names = [*dims_of(design), "linear_predictor"]
    import pytensor

    # Free variables are given by name, everything else follows.
    inputs = list(model.value_vars)
    outputs = model.replace_rvs_by_values([model[name] for name in names])
    function = pytensor.function(inputs, outputs, mode="FAST_COMPILE", on_unused_input="ignore")
    values = [function(**to_model_space(model, point)) for point in points]
    table = {name: np.stack([value[k] for value in values])[None] for k, name in enumerate(names)}
    theirs = table.pop("linear_predictor")
    run = EngineRun(name_asked="nuts", name_used="nuts", why="", draws=3, chains=1, seed=1, seconds=0.0)
    fit = Fit(design=design, draws=table, sample_stats={}, run=run)
    ours = linear_predictor(fit)
    np.testing.assert_allclose(ours[..., collapse_rows(design).first], theirs, rtol=1e-10, atol=1e-10)


def test_effects_are_the_decoded_coefficients(make_posts: Any) -> None:
    design = build("all terms, half_normal", make_posts, 1)
    model, point = build_model(design), draw_points(design)[0]
    coding = code_design(design, grouped=())
    theta = np.zeros(coding.X.shape[1])
    for block in coding.blocks:
        if block.scale is not None:
            name = block.variable.removeprefix("effect_")
            theta[block.start : block.stop] = point[block.scale] * point[f"coefficient_{name}"]
    expected = decode(coding, theta)
    inputs = to_model_space(model, point)
    for name in (name for name in dims_of(design) if name.startswith("effect_")):
        function = model.compile_fn(
            model.replace_rvs_by_values([model[name]])[0],
            inputs=model.value_vars,
            mode="FAST_COMPILE",
            point_fn=True,
            on_unused_input="ignore",
        )
        np.testing.assert_allclose(function(inputs), expected[name], rtol=1e-12, atol=1e-13)
        assert model.named_vars_to_dims[name] == dims(design, name)


def dims(design: Design, name: str) -> tuple[str, ...]:

    return dims_of(design)[name]


@pytest.mark.parametrize("levels", [2, 3, 5])
def test_coefficients_on_orthonormal_columns_are_a_zero_sum_normal(levels: int) -> None:
    scale = 0.7
    with pm.Model() as model:
        pm.ZeroSumNormal("effect", sigma=scale, shape=levels)
    effect = np.asarray(np.random.default_rng(levels).normal(size=(10, levels - 1)) @ zero_sum_basis(levels).T)
    theirs = [float(pm.logp(model["effect"], value).eval(mode="FAST_COMPILE")) for value in effect]
    coefficients = effect @ zero_sum_basis(levels)
    ours = norm.logpdf(coefficients, 0.0, scale).sum(axis=1)
    np.testing.assert_allclose(theirs, ours, rtol=1e-10)


def test_an_interaction_is_a_zero_sum_normal_over_both_axes() -> None:
    scale, basis = 0.4, np.kron(zero_sum_basis(3), zero_sum_basis(4))
    with pm.Model() as model:
        pm.ZeroSumNormal("effect", sigma=scale, shape=(3, 4), n_zerosum_axes=2)
    effect = np.random.default_rng(1).normal(size=(5, 6)) @ basis.T
    theirs = [float(pm.logp(model["effect"], value.reshape(3, 4)).eval(mode="FAST_COMPILE")) for value in effect]
    np.testing.assert_allclose(theirs, norm.logpdf(effect @ basis, 0.0, scale).sum(axis=1), rtol=1e-10)


def test_prior_predictive_draws_stay_within_the_trials(make_posts: Any) -> None:
    design = build("all terms, fixed scales", make_posts, 4)
    with build_model(design):
        tree = pm.sample_prior_predictive(
            draws=20, random_seed=1, var_names=["conversions"], compile_kwargs={"mode": "FAST_COMPILE"}
        )
    drawn = tree["prior_predictive"]["conversions"].values
    trials = build_model(design)["trials"].get_value()
    assert drawn.shape == (1, 20, len(trials))
    assert (drawn >= 0).all()
    assert (drawn <= trials).all()
    assert drawn.std() > 0


def test_diagram_names_the_variables(make_posts: Any) -> None:
    design = build("all terms, half_normal", make_posts, 1)
    text = describe_model(design)
    assert text.startswith("graph TD")
    for name in (*dims_of(design), "linear_predictor", "conversions", "coefficient_Creator_ID"):
        assert name in text


def test_an_unknown_prior_family_is_refused(make_posts: Any) -> None:
    design = build("conversion", make_posts, 1)
    wrong: Any = ScalePrior(family="gamma", parameters=(1.0,))  # type: ignore[arg-type]
    factors = (replace(design.factors[0], scale_prior=wrong), *design.factors[1:])
    message = (
        r"^scale_Influencer_Tier: unknown prior family 'gamma'; "
        r"there are half_normal, exponential, half_cauchy, half_student_t\.$"
    )
    with pytest.raises(UsageError, match=message):
        build_model(replace(design, factors=factors))
