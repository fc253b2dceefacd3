"""The only place where priors become PyMC: a design as a PyMC model with named dims.

The likelihood is binomial on cells of alike rows. Effects are built from iid Normal coefficients on orthonormal
columns (equal to `pm.ZeroSumNormal` and much faster to compile), non-centred. Rows, outcome and prior parameters are
`pm.Data`, so that they can be exchanged. `nuts` samples a loop with this model's density and compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from influbayes.errors import UsageError
from influbayes.hierarchy.coding import Block, Coding, code_design, collapse_rows, coords_of
from influbayes.hierarchy.design import Design, FloatArray, IntArray
from influbayes.hierarchy.spec import ScalePrior

if TYPE_CHECKING:
    import pymc as pm

SCALE_FAMILIES = ("half_normal", "exponential", "half_cauchy", "half_student_t")


def build_model(design: Design) -> pm.Model:
    """Build the PyMC model of a design.

    Parameters
    ----------
    design : Design

    Returns
    -------
    pymc.Model
        Free variables `intercept`, `slope`, `scale_F`, `coefficient_F`; deterministics `effect_F` (dims as in
        posterior.nc) and `linear_predictor` (cell); observed `conversions` (cell). `pm.model_to_mermaid` draws it.
    """
    import pymc as pm

    coding = code_design(design)
    data = collect_data(design, coding)
    with pm.Model(coords=_model_coords(design, coding)) as model:
        shared = {name: pm.Data(name, values, dims=_data_dims(name)) for name, values in data.items()}
        parts = [pm.Normal("intercept", shared["intercept_prior"][0], shared["intercept_prior"][1])[None]]
        if design.numerics:
            prior = shared["slope_prior"]
            parts.append(pm.Normal("slope", prior[0], prior[1], dims="numeric"))
        parts += [_add_effect(block, shared, design) for block in coding.blocks if block.basis is not None]
        eta = shared["X"] @ pm.math.concatenate(parts)
        for factor in coding.grouped:
            eta = eta + _add_population(factor, shared, design)[shared[f"code_{factor}"]]
        eta = pm.Deterministic("linear_predictor", eta, dims="cell")
        pm.CustomDist(
            "conversions",
            *(eta, shared["trials"], shared["log_ways"]),
            logp=_log_likelihood,
            random=_draw_conversions,
            observed=shared["observed"],
            dims="cell",
        )
    return model


def collect_data(design: Design, coding: Coding) -> dict[str, Any]:
    """Return every array the model holds as data, by name: cells, codes, outcome, prior parameters."""
    cells = collapse_rows(design)
    data: dict[str, Any] = {
        "X": coding.X[cells.first],
        "trials": cells.trials,
        "observed": cells.conversions,
        "log_ways": _count_ways(cells.conversions, cells.trials),
        "intercept_prior": _pair(design.specification.intercept.mean, design.specification.intercept.sd),
    }
    if design.numerics:
        priors = [term.prior for term in design.numerics]
        data["slope_prior"] = np.array([[p.mean for p in priors], [p.sd for p in priors]], dtype=np.float64)
    data |= {f"code_{name}": design.rows.codes[name][cells.first].astype(np.int32) for name in coding.grouped}
    return data | {
        f"{name}_prior": np.asarray(values, dtype=np.float64) for name, values in _scale_parameters(design).items()
    }


def _count_ways(conversions: IntArray, trials: IntArray) -> FloatArray:
    """Return the log binomial coefficient of every cell: data, so computed once and not at every step."""
    from scipy.special import gammaln

    return np.asarray(gammaln(trials + 1.0) - gammaln(conversions + 1.0) - gammaln(trials - conversions + 1.0))


def _log_likelihood(conversions: Any, eta: Any, trials: Any, log_ways: Any) -> Any:
    """Binomial log probability on the log-odds scale; finite for any finite eta."""
    import pymc as pm

    return conversions * eta - trials * pm.math.log1pexp(eta) + log_ways


def _draw_conversions(eta: Any, trials: Any, log_ways: Any, rng: Any = None, size: Any = None) -> Any:
    """Draw conversions of every cell (predictive sampling by PyMC)."""
    from scipy.special import expit

    return rng.binomial(trials, expit(eta), size=size)


def _pair(first: float, second: float) -> FloatArray:
    return np.array([first, second], dtype=np.float64)


def _data_dims(name: str) -> tuple[str, ...] | None:
    if name == "X":
        return ("cell", "coefficient")
    return ("cell",) if name in ("trials", "observed", "log_ways") or name.startswith("code_") else None


def _model_coords(design: Design, coding: Coding) -> Mapping[str, Any]:
    """Return labels of levels and predictors, and numbers for coefficients."""
    contrasts = {
        f"{block.variable.removeprefix('effect_')}_contrast": np.arange(block.size)
        for block in coding.blocks
        if block.basis is not None
    }
    return {**{name: list(labels) for name, labels in coords_of(design).items()}, **contrasts}


def _scale_parameters(design: Design) -> dict[str, tuple[float, ...]]:
    """Return prior parameters per estimated scale, or the fixed scale itself, by the name of the scale."""
    terms = [(term.column, term) for term in design.factors] + [(pair.name, pair) for pair in design.interactions]
    return {
        f"scale_{name}": (term.scale_prior.parameters if term.scale_prior else (float(term.scale or 0.0),))
        for name, term in terms
    }


def _add_effect(block: Block, shared: Mapping[str, Any], design: Design) -> Any:
    """Add the coefficients of a coded block; return them, their effects are stored by name."""
    import pymc as pm

    name = block.variable.removeprefix("effect_")
    raw = pm.Normal(f"coefficient_{name}", 0.0, 1.0, dims=f"{name}_contrast")
    coefficients = _add_scale(f"scale_{name}", block.scale_prior, shared) * raw
    effect = pm.math.dot(np.asarray(block.basis), coefficients)
    dims = next((pair.of for pair in design.interactions if pair.name == name), (name,))
    pm.Deterministic(block.variable, effect.reshape(block.shape), dims=dims)
    return coefficients


def _add_population(factor: str, shared: Mapping[str, Any], design: Design) -> Any:
    """Add the effects of a `sample` factor: one draw a level from Normal(0, scale), non-centred."""
    import pymc as pm

    term = next(term for term in design.factors if term.column == factor)
    raw = pm.Normal(f"coefficient_{factor}", 0.0, 1.0, dims=factor)
    return pm.Deterministic(
        f"effect_{factor}", _add_scale(f"scale_{factor}", term.scale_prior, shared) * raw, dims=factor
    )


def _add_scale(name: str, prior: ScalePrior | None, shared: Mapping[str, Any]) -> Any:
    """Add the scale of an effect: a free variable, or the fixed number where the specification fixes it."""
    import pymc as pm

    values = shared[f"{name}_prior"]
    if prior is None:
        return values[0]
    match prior.family:
        case "half_normal":
            return pm.HalfNormal(name, sigma=values[0])
        case "exponential":
            return pm.Exponential(name, lam=values[0])
        case "half_cauchy":
            return pm.HalfCauchy(name, beta=values[0])
        case "half_student_t":
            return pm.HalfStudentT(name, nu=values[0], sigma=values[1])
    raise UsageError(f"{name}: unknown prior family {prior.family!r}; there are {', '.join(SCALE_FAMILIES)}.")


def describe_model(design: Design) -> str:
    """Return the model as mermaid text (a diagram of variables, priors and dims)."""
    import pymc as pm

    return str(pm.model_to_mermaid(build_model(design)))


def evaluate_model(design: Design, points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the PyMC model's own log posterior density and its gradient, for comparison with faster ones.

    Parameters
    ----------
    design : Design
    points : ndarray
        (number, point): the model's free variables, flat and in its order, scales as their logs.

    Returns
    -------
    tuple of ndarray
        Densities (number,) and gradients (number, point). Nothing is compiled: right for a few points, too slow for
        sampling.
    """
    import pytensor
    from pytensor.compile.mode import Mode

    model = build_model(design)
    variables = model.continuous_value_vars
    density = model.logp()
    # Neither optimised nor compiled: a fifth of a second instead of ten, and as PyMC states it.
    function = model.compile_fn(
        [density, *pytensor.grad(density, variables)], inputs=variables, mode=Mode(linker="py", optimizer=None)
    )
    start = model.initial_point()
    shapes = [np.shape(start[variable.name]) for variable in variables]
    cuts = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
    values, gradients = [], []
    for point in points:
        named = {
            variable.name: part.reshape(shape)
            for variable, part, shape in zip(variables, np.split(point, cuts), shapes, strict=True)
        }
        value, *slopes = function(named)
        values.append(float(value))
        gradients.append(np.concatenate([np.ravel(slope) for slope in slopes]))
    return np.array(values), np.array(gradients)
