"""Why a regression and this model differ: the gap in log odds split into creators, pooling and prior.

Takes a fit and its regressions; gives parts that add to the gap. Knows no wording.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from influbayes.effects.frequentist import Contrast, Frequentist, Method, list_fixed_contrasts
from influbayes.effects.logit import fit_normal_logit
from influbayes.hierarchy.coding import Coding, code_design
from influbayes.hierarchy.design import FloatArray
from influbayes.hierarchy.posterior import Fit

NO_POOLING_SCALE = 2.5
"""Scale of the levels' prior without pooling, that of the shipped specification `no_pooling`."""

_NODES = 21


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """log odds ratio of the model minus that of the regression, and its parts: gap = creators + pooling + prior.

    `creators` is non-collapsibility: the odds ratio of two posts of one creator against that of the averages over
    creators. `prior` is what weak independent priors do to the regression. `pooling` is the rest: partial pooling, and
    the weight that each post has when creators are told apart. Where maximum likelihood does not exist every finite
    size is the work of some prior, so pooling is not identified: `pooling` is NaN and `prior` holds both, gap =
    creators + prior. `method` says against which regression; the numbers are NaN where it has none.
    """

    variable: str
    level: str | None
    reference: str | None
    method: Method
    bayesian: float
    regression: float
    gap: float
    creators: float
    pooling: float
    prior: float


def explain_gap(fit: Fit, frequentist: Frequentist) -> tuple[Gap, ...]:
    """Split the gap of every contrast.

    Against maximum likelihood, or against Firth's estimate where that does not exist.

    Notes
    -----
    The creators' part comes from projecting the model's expected values, creators integrated out at the posterior mean,
    on the regression: what it would say of endless posts from the fitted model. The model's own size is the posterior
    median, as in the effects table.
    """
    coding = code_design(fit.design)
    method: Method = "wald" if frequentist.exists else "firth"
    rows = {(row.variable, row.level, row.reference): row for row in frequentist.rows if row.id.endswith(f"/{method}")}
    draws = _draw_coefficients(fit, coding)
    removed, weak = draws.mean(axis=0) - _project(fit, coding, draws.mean(axis=0)), _fit_weak(fit, coding)
    return tuple(
        _split(one, method, float(np.log(rows[key].estimate)) if key in rows else float("nan"), draws, removed, weak)
        for one in list_fixed_contrasts(fit.design, coding)
        if (key := (one.variable, one.level, one.reference))
    )


def _split(
    contrast: Contrast, method: Method, regression: float, draws: FloatArray, removed: FloatArray, weak: FloatArray
) -> Gap:
    model = float(np.median(draws @ contrast.weights))
    creators, independent = float(contrast.weights @ removed), float(contrast.weights @ weak)
    averaged = model - creators
    # Under separation the regression without pooling is as large as its weak prior lets it be: no yardstick.
    identified = method != "firth"
    return Gap(
        variable=contrast.variable,
        level=contrast.level,
        reference=contrast.reference,
        method=method,
        bayesian=model,
        regression=regression,
        gap=model - regression,
        creators=creators,
        pooling=averaged - independent if identified else float("nan"),
        prior=(independent if identified else averaged) - regression,
    )


def _draw_coefficients(fit: Fit, coding: Coding) -> FloatArray:
    """Draws of the coded coefficients (draws, columns)."""
    count = fit.draws["intercept"].size
    found = np.zeros((count, coding.X.shape[1]))
    for block in coding.blocks:
        own = fit.draws[block.variable].reshape(count, -1)
        # The columns of a zero-sum basis are orthonormal, so they take effects back to coefficients.
        found[:, block.start : block.stop] = own if block.basis is None else own @ block.basis
    return found


def _project(fit: Fit, coding: Coding, means: FloatArray) -> FloatArray:
    """Coefficients the regression would have for the model's expected values with creators integrated out."""
    eta = coding.X @ means
    variance = sum(_find_variance(fit, name) for name in coding.grouped)
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    rates = expit(eta[:, None] + np.sqrt(variance) * nodes) @ (weights / weights.sum())
    trials = fit.design.trials.astype(np.float64)
    return fit_normal_logit(coding.X, rates * trials, trials)[0]


def _find_variance(fit: Fit, factor: str) -> float:
    term = next(term for term in fit.design.factors if term.column == factor)
    if term.scale is not None:
        return float(term.scale**2)
    return float((fit.draws[f"scale_{factor}"] ** 2).mean())


def _fit_weak(fit: Fit, coding: Coding) -> FloatArray:
    """The regression with the model's priors on intercept and slopes, and no pooling of levels."""
    size = coding.X.shape[1]
    precision, centre = np.full(size, NO_POOLING_SCALE**-2.0), np.zeros(size)
    priors: Sequence[tuple[int, float, float]] = [
        (0, fit.design.specification.intercept.mean, fit.design.specification.intercept.sd),
        *((1 + k, term.prior.mean, term.prior.sd) for k, term in enumerate(fit.design.numerics)),
    ]
    for place, mean, sd in priors:
        precision[place], centre[place] = sd**-2.0, mean
    wins, trials = fit.design.conversions.astype(np.float64), fit.design.trials.astype(np.float64)
    return fit_normal_logit(coding.X, wins, trials, precision=precision, centre=centre)[0]
