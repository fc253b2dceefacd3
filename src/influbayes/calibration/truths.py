"""One truth drawn from a specification's own prior, and an outcome drawn from that truth.

Takes a design and a table; makes named parameters and conversions. Written from the definition of the model (labels,
centred normals, standardised columns), not from the coding the engines sample, so that a fault there shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from scipy.special import expit

from influbayes.hierarchy.design import Design, FloatArray, IntArray, stretch
from influbayes.hierarchy.spec import FactorTerm, InteractionTerm, NumericTerm, ScaleFamily, ScalePrior

_Sampler = Callable[..., float]

_SCALES: Mapping[ScaleFamily, _Sampler] = {
    "half_normal": lambda rng, s: abs(s * rng.standard_normal()),
    "exponential": lambda rng, rate: rng.exponential(1.0 / rate),
    "half_cauchy": lambda rng, s: abs(s * rng.standard_cauchy()),
    "half_student_t": lambda rng, df, s: abs(s * rng.standard_t(df)),
}


def draw_parameters(design: Design, *, rng: np.random.Generator) -> dict[str, FloatArray]:
    """Draw every parameter of a design from its prior.

    Parameters
    ----------
    design : Design
        Its specification has the priors; its levels and terms say which parameters there are.
    rng : numpy.random.Generator

    Returns
    -------
    dict of str to ndarray
        Log-odds scale, named and shaped as in `Fit.draws` but without chain and draw.
    """
    prior = design.specification.intercept
    truth: dict[str, FloatArray] = {"intercept": np.asarray(rng.normal(prior.mean, prior.sd))}
    if design.numerics:
        truth["slope"] = np.array([rng.normal(term.prior.mean, term.prior.sd) for term in design.numerics])
    for term in design.factors:
        scale = _draw_term_scale(truth, term.column, term, rng)
        z = rng.standard_normal(len(design.levels[term.column]))
        truth[f"effect_{term.column}"] = scale * (z if term.levels == "sample" else centre_effects(z))
    for pair in design.interactions:
        scale = _draw_term_scale(truth, pair.name, pair, rng)
        z = rng.standard_normal([len(design.levels[column]) for column in pair.of])
        truth[f"effect_{pair.name}"] = scale * centre_effects(z)
    return truth


def centre_effects(z: FloatArray) -> FloatArray:
    """Return iid normals projected to sum to zero along every axis: the zero-sum normal prior itself."""
    centred = np.asarray(z, dtype=np.float64)
    for axis in range(centred.ndim):
        centred = centred - centred.mean(axis=axis, keepdims=True)
    return centred


def draw_scale(prior: ScalePrior, *, rng: np.random.Generator) -> float:
    """Draw one scale from its prior (half_normal, exponential by rate, half_cauchy or half_student_t)."""
    return float(_SCALES[prior.family](rng, *prior.parameters))


def _draw_term_scale(
    truth: dict[str, FloatArray], name: str, term: FactorTerm | InteractionTerm, rng: np.random.Generator
) -> float:
    """Return the scale of a term: drawn and put into `truth`, or the number that the specification fixes."""
    if term.scale_prior is None:
        return float(term.scale or 0.0)
    scale = draw_scale(term.scale_prior, rng=rng)
    truth[f"scale_{name}"] = np.asarray(scale)
    return scale


def find_log_odds(design: Design, truth: Mapping[str, FloatArray], frame: pd.DataFrame) -> FloatArray:
    """Return the linear predictor (rows,) of a truth, in the order of `frame`, looked up by column and label."""
    eta = np.full(len(frame), float(truth["intercept"]))
    for k, term in enumerate(design.numerics):
        eta += float(truth["slope"][k]) * _standardise(frame[term.column].to_numpy(np.float64), term)
    for factor in design.factors:
        effects = dict(zip(design.levels[factor.column], truth[f"effect_{factor.column}"].tolist(), strict=True))
        eta += frame[factor.column].map(effects).to_numpy(np.float64)
    for pair in design.interactions:
        first, second = (pd.Index(design.levels[name]).get_indexer(pd.Index(frame[name])) for name in pair.of)
        eta += truth[f"effect_{pair.name}"][first, second]
    return eta


def draw_conversions(eta: FloatArray, trials: IntArray, *, rng: np.random.Generator) -> IntArray:
    """Draw conversions (rows,) ~ Binomial(trials, inv_logit(eta))."""
    return np.asarray(rng.binomial(trials, expit(eta)), dtype=np.int64)


def _standardise(raw: FloatArray, term: NumericTerm) -> FloatArray:
    if term.transform == "none":
        return raw
    column = stretch(raw, term.transform)
    return np.asarray((column - column.mean()) / column.std())
