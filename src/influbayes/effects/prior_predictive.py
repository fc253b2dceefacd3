"""What the priors alone say, in natural units: conversion rates and how far two levels may differ per 100 posts.

Takes a specification; draws from its priors only, so that it can be read before any post. Knows no table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from influbayes.effects.estimands import check_prob
from influbayes.hierarchy.design import FloatArray
from influbayes.hierarchy.spec import FactorTerm, ScalePrior, Specification

DRAWS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorStatement:
    """One prior quantity, its median and an interval of mass `prob`.

    `rate` (0 to 1, equal-tailed), or the distance between two levels of `variable` in conversions per 100 posts (from 0
    to `upper`).
    """

    name: str
    variable: str | None
    estimate: float
    lower: float
    upper: float
    prob: float


def describe_priors(spec: Specification, *, prob: float = 0.9, seed: int = 20260101) -> tuple[PriorStatement, ...]:
    """Return what the priors of `spec` say of an average post, and of two levels of each factor.

    Parameters
    ----------
    spec : Specification
    prob : float
        Mass of the statements, between 0 and 1.
    seed : int
        Of the prior draws (20,000).
    """
    check_prob(prob)
    rng = np.random.default_rng(seed)
    start = rng.normal(spec.intercept.mean, spec.intercept.sd, DRAWS)
    rate = expit(start)
    low, middle, high = np.quantile(rate, [(1 - prob) / 2, 0.5, (1 + prob) / 2])
    found = [
        PriorStatement(
            name="rate", variable=None, estimate=float(middle), lower=float(low), upper=float(high), prob=prob
        )
    ]
    return (*found, *(_describe_factor(term, start, prob, rng) for term in spec.factors))


def _describe_factor(term: FactorTerm, start: FloatArray, prob: float, rng: np.random.Generator) -> PriorStatement:
    scale = np.full(DRAWS, term.scale) if term.scale_prior is None else draw_scales(term.scale_prior, DRAWS, rng)
    # Two levels of either kind differ by Normal(0, scale sqrt(2)); they stand at equal distance from the middle.
    half = scale * rng.standard_normal(DRAWS) / np.sqrt(2)
    apart = 100 * np.abs(expit(start + half) - expit(start - half))
    return PriorStatement(
        name=f"difference/{term.column}",
        variable=term.column,
        estimate=float(np.median(apart)),
        lower=0.0,
        upper=float(np.quantile(apart, prob)),
        prob=prob,
    )


def draw_scales(prior: ScalePrior, size: int, rng: np.random.Generator) -> FloatArray:
    """Return draws (size,) of a scale from its prior."""
    first = prior.parameters[0]
    if prior.family == "half_normal":
        return np.abs(rng.normal(0, first, size))
    if prior.family == "exponential":
        return rng.exponential(1 / first, size)
    if prior.family == "half_cauchy":
        return np.abs(first * rng.standard_cauchy(size))
    return np.abs(prior.parameters[1] * rng.standard_t(first, size))
