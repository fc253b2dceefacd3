"""An exact oracle for small models, and the bugs that are planted on it. No engine of the product is used.

The oracle draws scales from their prior, the other coefficients from a t around their mode given the scales, and
resamples by weight: exact in the limit, without Markov chains. A test compares it with quadrature.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.special import expit

from influbayes.calibration.ranks import find_interval
from influbayes.calibration.truths import draw_scale
from influbayes.hierarchy.coding import code_design, collapse_rows, decode
from influbayes.hierarchy.design import Design
from influbayes.hierarchy.posterior import EngineRun, Fit
from influbayes.hierarchy.spec import (
    FactorTerm,
    NormalPrior,
    NumericTerm,
    Outcome,
    ScalePrior,
    Specification,
)

PROPOSALS = 1000
DF = 5.0

TIER = FactorTerm(
    column="Influencer_Tier",
    levels="all",
    reference="Mega",
    scale_prior=ScalePrior(family="half_normal", parameters=(1.0,)),
)
TIERS = Specification(
    name="tiers",
    title="Tiers",
    outcome=Outcome(successes="sold", trials="asked"),
    intercept=NormalPrior(mean=-0.5, sd=1.0),
    factors=(TIER,),
)
SLOPES = Specification(
    name="slopes",
    title="A slope and tiers with a fixed scale",
    outcome=Outcome(column="Converted"),
    intercept=NormalPrior(mean=-1.0, sd=1.0),
    numerics=(NumericTerm(column="Swipe_Ups", transform="log1p_standardise", prior=NormalPrior(mean=0.5, sd=0.7)),),
    factors=(replace(TIER, scale_prior=None, scale=0.3),),
)


def sample_exactly(design, *, draws=100, chains=4, seed=0, progress=None) -> Fit:
    rng = np.random.default_rng(seed)
    coding, cells = code_design(design, grouped=()), collapse_rows(design)
    X, scales = coding.X[cells.first], _draw_scales(coding, rng)
    mean, precision = _collect_prior(design, coding, scales)
    theta = _find_modes(X, cells, mean, precision)
    hessian = _find_hessian(X, cells, theta, precision)
    proposed, log_q = _propose(theta, hessian, rng)
    log_p = _find_log_likelihood(X, cells, proposed) - 0.5 * (precision * (proposed - mean) ** 2).sum(1)
    log_w = log_p + 0.5 * np.log(precision).sum(1) - log_q
    weights = np.exp(log_w - log_w.max())
    kept = rng.choice(PROPOSALS, size=chains * draws, p=weights / weights.sum())
    named = decode(coding, proposed[kept]) | {name: values[kept] for name, values in scales.items()}
    shaped = {name: values.reshape(chains, draws, *values.shape[1:]) for name, values in named.items()}
    run = EngineRun(
        name_asked="oracle", name_used="oracle", why="test", draws=draws, chains=chains, seed=seed, seconds=0.0
    )
    return Fit(design=design, draws=shaped, sample_stats={}, run=run)


def _draw_scales(coding, rng):
    return {
        block.scale: np.array([draw_scale(block.scale_prior, rng=rng) for _ in range(PROPOSALS)])
        for block in coding.scales
    }


def _collect_prior(design, coding, scales):
    """Mean (coefficients,) and precision (proposals or 1, coefficients)."""
    mean = np.zeros(coding.X.shape[1])
    precision = np.ones((PROPOSALS if scales else 1, len(mean)))
    intercept = design.specification.intercept
    mean[0], precision[:, 0] = intercept.mean, intercept.sd**-2
    for k, term in enumerate(design.numerics):
        mean[1 + k], precision[:, 1 + k] = term.prior.mean, term.prior.sd**-2
    for block in coding.blocks[2 if design.numerics else 1 :]:
        scale = block.fixed_scale if block.scale is None else scales[block.scale][:, None]
        precision[:, block.start : block.stop] = np.maximum(scale, 1e-6) ** -2.0
    return mean, precision


def _find_modes(X, cells, mean, precision):
    theta = np.broadcast_to(mean, precision.shape).copy()
    for _ in range(12):
        p = expit(theta @ X.T)
        gradient = (cells.conversions - cells.trials * p) @ X - precision * (theta - mean)
        step = np.linalg.solve(_find_hessian(X, cells, theta, precision), gradient[..., None])[..., 0]
        theta += step / np.maximum(1.0, np.abs(step).max(1, keepdims=True))
    return theta


def _find_hessian(X, cells, theta, precision):
    p = expit(theta @ X.T)
    outer = X[:, :, None] * X[:, None, :]
    hessian = np.tensordot(cells.trials * p * (1 - p), outer, axes=1)
    at = np.arange(X.shape[1])
    hessian[:, at, at] += precision
    return hessian


def _propose(theta, hessian, rng):
    size = theta.shape[1]
    factor = np.linalg.cholesky(hessian)
    z = rng.standard_normal((PROPOSALS, size)) / np.sqrt(rng.chisquare(DF, size=(PROPOSALS, 1)) / DF)
    step = np.linalg.solve(np.swapaxes(factor, 1, 2), z[..., None])[..., 0]
    log_det = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(1)
    return theta + step, log_det - 0.5 * (DF + size) * np.log1p((z**2).sum(1) / DF)


def _find_log_likelihood(X, cells, theta):
    eta = theta @ X.T
    return eta @ cells.conversions - np.logaddexp(0.0, eta) @ cells.trials


# --- planted bugs: each takes an engine and returns one that is wrong -------------------------------------------------


def change_draws(engine: Callable[..., Fit], change: Callable[[dict], dict]) -> Callable[..., Fit]:
    def wrong(design, **settings):
        fit = engine(design, **settings)
        return replace(fit, draws={**fit.draws, **change(fit.draws)})

    return wrong


def change_design(engine: Callable[..., Fit], change: Callable[[Design], Design]) -> Callable[..., Fit]:
    return lambda design, **settings: engine(change(design), **settings)


def change_effects(engine, change):
    return change_draws(engine, lambda draws: {"effect_Influencer_Tier": change(draws["effect_Influencer_Tier"])})


def change_rows(engine, change):
    return change_design(engine, lambda design: replace(design, rows=replace(design.rows, **change(design.rows))))


def keep_rows(engine, choose):
    from influbayes.effects.criticism import take_rows

    def drop(design):
        kept = np.flatnonzero(choose(np.arange(len(design.rows))))
        return replace(design, rows=take_rows(design.rows, kept), lines=design.lines[kept])

    return change_design(engine, drop)


def change_spec(engine, change):
    """Fit with other priors, as if the specification had been read wrongly."""

    def wrong(design):
        spec = change(design.specification)
        by_name = {term.column: term for term in (*spec.numerics, *spec.factors)}
        return replace(
            design,
            specification=spec,
            numerics=tuple(by_name[term.column] for term in design.numerics),
            factors=tuple(by_name[term.column] for term in design.factors),
        )

    return change_design(engine, wrong)


def scale_factor_priors(spec: Specification, by: float) -> Specification:
    factors = []
    for term in spec.factors:
        if term.scale_prior is None:
            factors.append(replace(term, scale=by * term.scale))
        else:
            wider = tuple(by * value for value in term.scale_prior.parameters)
            factors.append(replace(term, scale_prior=replace(term.scale_prior, parameters=wider)))
    return replace(spec, factors=tuple(factors))


def squeeze(draws, by):
    return {name: by * values + (1 - by) * values.mean(axis=(0, 1)) for name, values in draws.items()}


def treat_reference_as_zero(draws):
    """Effects against the first level, with the intercept left at the mean of the levels."""
    effects = draws["effect_Influencer_Tier"]
    return {"effect_Influencer_Tier": effects - effects[..., :1]}


class StaleCache:
    """Gives the draws of the fit before this one."""

    def __init__(self, engine):
        self.engine, self.last = engine, None

    def __call__(self, design, **settings):
        fit = self.engine(design, **settings)
        stale, self.last = self.last or fit, fit
        return replace(stale, design=design)


class BrokenNow:
    """Gives draws that are not numbers in one of ten fits."""

    def __init__(self, engine):
        self.engine, self.fits = engine, 0

    def __call__(self, design, **settings):
        self.fits += 1
        fit = self.engine(design, **settings)
        if self.fits % 10:
            return fit
        return replace(fit, draws=fit.draws | {"intercept": np.full_like(fit.draws["intercept"], np.nan)})


def shuffle_outcomes(rows):
    order = np.random.default_rng(int(rows.conversions.sum())).permutation(len(rows))
    return {"conversions": rows.conversions[order], "trials": rows.trials[order]}


def divide_by_variance(rows):
    return {"x": rows.x / np.log1p(rows.raw).std(axis=0)}


def find_one_sided(ordered, prob):
    """An interval that forgets its lower end."""
    return -np.inf, find_interval(ordered, prob)[1]


def move_fixed_scale(spec, power):
    return replace(spec, factors=tuple(replace(term, scale=term.scale**power) for term in spec.factors))


def centre_priors(spec):
    """Every prior centred on 0, whatever the specification says."""
    numerics = tuple(replace(term, prior=replace(term.prior, mean=0.0)) for term in spec.numerics)
    return replace(spec, intercept=replace(spec.intercept, mean=0.0), numerics=numerics)


# name -> (specification, replications that catch it, engine -> wrong engine)
BUGS = {
    "levels swapped": (TIERS, 100, lambda e: change_effects(e, lambda x: x[..., [1, 0, 2]])),
    "reference off by one": (TIERS, 100, lambda e: change_effects(e, lambda x: np.roll(x, 1, axis=-1))),
    "reference taken as zero": (TIERS, 100, lambda e: change_draws(e, treat_reference_as_zero)),
    "half of the rows dropped": (TIERS, 100, lambda e: keep_rows(e, lambda row: row % 2 == 0)),
    "trials plus one": (TIERS, 100, lambda e: change_rows(e, lambda rows: {"trials": rows.trials + 1})),
    "rows counted twice": (
        TIERS,
        100,
        lambda e: change_rows(e, lambda rows: {"conversions": 2 * rows.conversions, "trials": 2 * rows.trials}),
    ),
    "prior scale doubled": (TIERS, 300, lambda e: change_spec(e, lambda spec: scale_factor_priors(spec, 2.0))),
    "variance for scale": (
        TIERS,
        300,
        lambda e: change_draws(e, lambda d: {"scale_Influencer_Tier": d["scale_Influencer_Tier"] ** 2}),
    ),
    "log for logit": (TIERS, 100, lambda e: change_draws(e, lambda d: {"intercept": np.log(expit(d["intercept"]))})),
    "draws of the fit before": (TIERS, 100, StaleCache),
    "draws a third too narrow": (TIERS, 100, lambda e: change_draws(e, lambda d: squeeze(d, 2 / 3))),
    "draws that are no numbers": (TIERS, 50, BrokenNow),
    "slope with the wrong sign": (SLOPES, 100, lambda e: change_draws(e, lambda d: {"slope": -d["slope"]})),
    "outcomes of other rows": (SLOPES, 100, lambda e: change_rows(e, shuffle_outcomes)),
    "predictor divided by its variance": (SLOPES, 200, lambda e: change_rows(e, divide_by_variance)),
    "scale for variance": (SLOPES, 400, lambda e: change_spec(e, lambda spec: move_fixed_scale(spec, 0.5))),
    "priors centred on zero": (SLOPES, 400, lambda e: change_spec(e, centre_priors)),
}
