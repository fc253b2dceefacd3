"""Log densities of the priors a specification can name.

Takes a prior and values, gives log densities in numpy; knows no model, no engine and no draws.
"""

from __future__ import annotations

from collections.abc import Callable
from math import lgamma, log, pi

import numpy as np

from influbayes.hierarchy.design import FloatArray
from influbayes.hierarchy.spec import NormalPrior, ScaleFamily, ScalePrior


def log_density_normal(prior: NormalPrior, value: FloatArray) -> FloatArray:
    """Return the log density of Normal(mean, sd) at `value` (any shape, log-odds scale)."""
    standardised = (np.asarray(value, dtype=np.float64) - prior.mean) / prior.sd
    return np.asarray(-0.5 * standardised**2 - log(prior.sd) - 0.5 * log(2.0 * pi))


def log_density_scale(prior: ScalePrior, scale: FloatArray) -> FloatArray:
    """Return the log density of a scale prior at `scale`.

    Parameters
    ----------
    prior : ScalePrior
        half_normal [s], exponential [rate], half_cauchy [s] or half_student_t [df, s].
    scale : ndarray
        Any shape, log-odds scale. Not the log of the scale: add the Jacobian log(scale) for that.

    Returns
    -------
    ndarray
        Same shape; -inf below 0, NaN where `scale` is NaN.
    """
    value = np.asarray(scale, dtype=np.float64)
    return np.where(value < 0, -np.inf, _DENSITIES[prior.family](value, *prior.parameters))


def _half_normal(value: FloatArray, s: float) -> FloatArray:
    return np.asarray(0.5 * log(2.0 / pi) - log(s) - 0.5 * (value / s) ** 2)


def _exponential(value: FloatArray, rate: float) -> FloatArray:
    return log(rate) - rate * value


def _half_cauchy(value: FloatArray, s: float) -> FloatArray:
    return np.asarray(log(2.0 / (pi * s)) - np.log1p((value / s) ** 2))


def _half_student_t(value: FloatArray, df: float, s: float) -> FloatArray:
    constant = log(2.0) + lgamma((df + 1.0) / 2.0) - lgamma(df / 2.0) - 0.5 * log(df * pi) - log(s)
    return np.asarray(constant - 0.5 * (df + 1.0) * np.log1p((value / s) ** 2 / df))


_DENSITIES: dict[ScaleFamily, Callable[..., FloatArray]] = {
    "half_normal": _half_normal,
    "exponential": _exponential,
    "half_cauchy": _half_cauchy,
    "half_student_t": _half_student_t,
}
