"""Do the answers depend on the priors? Halves and doubles each prior scale and recomputes the probabilities.

Takes a fit and its claims; reweights the draws where that is reliable and refits where it is not. Judges nothing: what
counts as a flip belongs to the gate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from influbayes.effects.estimands import Claim
from influbayes.effects.weights import smooth_log_weights
from influbayes.errors import SamplingFailed
from influbayes.hierarchy.design import FloatArray
from influbayes.hierarchy.posterior import Fit
from influbayes.hierarchy.priors import log_density_normal, log_density_scale
from influbayes.hierarchy.spec import (
    FactorTerm,
    InteractionTerm,
    NormalPrior,
    ScalePrior,
    Specification,
    list_prior_scales,
    multiply_prior_scale,
)

FACTORS = (0.5, 2.0)
"""What each prior scale is multiplied by."""

MAX_PARETO_K = 0.7
MIN_WEIGHTED_ESS = 200.0

Refit = Callable[[Specification], Fit]
MakeClaims = Callable[[Fit], Sequence[Claim]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorShift:
    """What one change of one prior scale does to one claim.

    `factor` multiplies the scale of `prior`; `pareto_k` is that of the importance weights (also given where they were
    too uneven and the model was refitted). `probability_after` is NaN where no draws could be had.
    """

    prior: str
    factor: float
    method: Literal["reweighted", "refitted"]
    claim_id: str
    probability_before: float
    probability_after: float
    pareto_k: float


def assess_sensitivity(
    fit: Fit, claims: Sequence[Claim], *, refit: Refit, make_claims: MakeClaims
) -> tuple[PriorShift, ...]:
    """Recompute the probability of every claim with each prior scale halved and doubled.

    Parameters
    ----------
    fit : Fit
    claims : sequence of Claim
        Claims of `fit`, whose margins have its chains and draws.
    refit : callable
        Changed specification -> Fit to the same posts. Called only where the weights are too uneven (Pareto k of at
        least 0.7, or a weighted effective sample size below 200).
    make_claims : callable
        Fit -> its claims, matched by id.

    Returns
    -------
    tuple of PriorShift
        One for each prior scale in the model, factor and claim. Probabilities 0 to 1. Where a refit fails or lacks the
        claim `probability_after` is NaN.
    """
    if not claims:
        return ()
    return tuple(
        shift
        for prior, factor, changed, log_ratios in _iterate_changes(fit)
        for shift in _shift_claims(fit, claims, prior, factor, changed, log_ratios, refit, make_claims)
    )


def log_prior_ratio(fit: Fit, changed: Specification) -> FloatArray | None:
    """Return the log of new over old prior density (chain, draw) at every draw, None where no variable is governed.

    Only the variables whose prior differs between the two specifications enter: the intercept, a slope, an estimated
    scale, or the effects under a fixed scale.
    """
    parts = list(_iterate_log_ratios(fit, changed))
    return np.asarray(np.sum(parts, axis=0)) if parts else None


def weigh_claim(claim: Claim, weights: FloatArray) -> float:
    """Return P(margin > 0), 0 to 1, under weights (chain x draw,) that sum to 1; a margin of 0 counts half."""
    margin = np.asarray(claim.margin).ravel()
    if not np.isfinite(margin).all():
        return float("nan")
    return float(np.clip(weights @ ((margin > 0) + 0.5 * (margin == 0)), 0.0, 1.0))


def _iterate_changes(fit: Fit) -> Iterator[tuple[str, float, Specification, FloatArray]]:
    """Yield every change of a prior that governs a variable of the fit."""
    for prior in list_prior_scales(fit.design.specification):
        for factor in FACTORS:
            changed = multiply_prior_scale(fit.design.specification, prior, factor)
            log_ratios = log_prior_ratio(fit, changed)
            if log_ratios is not None:
                yield prior, factor, changed, log_ratios


def _shift_claims(
    fit: Fit,
    claims: Sequence[Claim],
    prior: str,
    factor: float,
    changed: Specification,
    log_ratios: FloatArray,
    refit: Refit,
    make_claims: MakeClaims,
) -> Iterator[PriorShift]:
    log_weights, k = smooth_log_weights(log_ratios)
    weights = np.exp(log_weights)
    reliable = k < MAX_PARETO_K and 1.0 / float(np.square(weights).sum()) >= MIN_WEIGHTED_ESS
    equal = np.full(weights.shape, 1.0 / weights.size)
    after = (
        {claim.id: weigh_claim(claim, weights) for claim in claims}
        if reliable
        else _refit_probabilities(changed, refit, make_claims)
    )
    for claim in claims:
        yield PriorShift(
            prior=prior,
            factor=factor,
            method="reweighted" if reliable else "refitted",
            claim_id=claim.id,
            probability_before=weigh_claim(claim, equal),
            probability_after=after.get(claim.id, float("nan")),
            pareto_k=k,
        )


def _refit_probabilities(changed: Specification, refit: Refit, make_claims: MakeClaims) -> dict[str, float]:
    """Return claim id -> probability of a fresh fit; nothing where the sampler failed, so that the gate withholds."""
    try:
        claims = make_claims(refit(changed))
    except SamplingFailed:
        return {}
    return {claim.id: weigh_claim(claim, np.full(claim.margin.size, 1.0 / claim.margin.size)) for claim in claims}


def _iterate_log_ratios(fit: Fit, changed: Specification) -> Iterator[FloatArray]:
    old = fit.design.specification
    if changed.intercept != old.intercept:
        yield _compare_normal(old.intercept, changed.intercept, fit.draws["intercept"])
    new_priors = {term.column: term.prior for term in changed.numerics}
    for index, term in enumerate(fit.design.numerics):
        if new_priors[term.column] != term.prior:
            yield _compare_normal(term.prior, new_priors[term.column], fit.draws["slope"][..., index])
    yield from _compare_groups(fit, changed)


def _compare_groups(fit: Fit, changed: Specification) -> Iterator[FloatArray]:
    """Compare scales of factors and interactions between the design's own terms and the changed specification."""
    factors = {term.column: term for term in changed.factors}
    pairs = {term.name: term for term in changed.interactions}
    for term in fit.design.factors:
        free = len(fit.design.levels[term.column]) - (term.levels == "all")
        yield from _compare_term(fit, term.column, term, factors[term.column], free)
    for pair in fit.design.interactions:
        sizes = [len(fit.design.levels[name]) - 1 for name in pair.of]
        yield from _compare_term(fit, pair.name, pair, pairs[pair.name], sizes[0] * sizes[1])


def _compare_term(
    fit: Fit, name: str, old: FactorTerm | InteractionTerm, new: FactorTerm | InteractionTerm, free: int
) -> Iterator[FloatArray]:
    if old.scale_prior is not None and new.scale_prior is not None and old.scale_prior != new.scale_prior:
        yield _compare_scale(old.scale_prior, new.scale_prior, fit.draws[f"scale_{name}"])
    if old.scale is not None and new.scale is not None and old.scale != new.scale:
        yield _compare_effects(old.scale, new.scale, fit.draws[f"effect_{name}"], free)


def _compare_normal(old: NormalPrior, new: NormalPrior, value: FloatArray) -> FloatArray:
    return log_density_normal(new, value) - log_density_normal(old, value)


def _compare_scale(old: ScalePrior, new: ScalePrior, scale: FloatArray) -> FloatArray:
    return log_density_scale(new, scale) - log_density_scale(old, scale)


def _compare_effects(old: float, new: float, effect: FloatArray, free: int) -> FloatArray:
    """Compare Normal(0, scale) densities of `free` coefficients; their squares sum to those of the effects."""
    squares = np.square(effect).reshape(*effect.shape[:2], -1).sum(axis=-1)
    return np.asarray(-free * np.log(new / old) - 0.5 * squares * (new**-2 - old**-2))
