"""How much evidence posts of the same creators carry, and what leaving creators out would do to a probability.

Takes a fit with a `sample` factor; knows no wording.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from influbayes.effects.contrasts import make_claims
from influbayes.effects.estimands import estimate_probability
from influbayes.errors import UsageError
from influbayes.hierarchy.design import FloatArray
from influbayes.hierarchy.posterior import Fit

_LOGISTIC_VARIANCE = np.pi**2 / 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Clustering:
    """What repeated posts of one creator are worth.

    `correlation` is the intraclass correlation on the log-odds scale, `design_effect` = 1 + (posts of a creator
    averaged over posts - 1) x correlation, `effective_posts` = posts / design effect; each the posterior median, the
    last with its 90 % interval.
    """

    factor: str
    posts: int
    creators: int
    correlation: float
    design_effect: float
    effective_posts: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """One claim with creators in the model, and without (`source`: `refit`, or `design_effect`: approximate)."""

    id: str
    variable: str
    level: str
    reference: str
    probability: float
    naive: float
    source: str


def count_effective_posts(fit: Fit, factor: str | None = None) -> Clustering:
    """Return the design effect and the effective number of posts from the scale of the creators.

    Raises
    ------
    UsageError
        The model has no such `sample` factor.

    Notes
    -----
    Kish's design effect for a contrast between creators; the latent variance of a post is pi^2 / 3.
    """
    name = _find_factor(fit, factor)
    sizes = np.bincount(fit.design.rows.codes[name], weights=fit.design.trials)
    sizes = sizes[sizes > 0]
    correlation = _find_correlation(fit, name)
    effect = 1 + ((sizes**2).sum() / sizes.sum() - 1) * correlation
    effective = sizes.sum() / effect
    low, high = np.quantile(effective, [0.05, 0.95])
    return Clustering(
        factor=name,
        posts=int(sizes.sum()),
        creators=len(sizes),
        correlation=float(np.median(correlation)),
        design_effect=float(np.median(effect)),
        effective_posts=float(np.median(effective)),
        lower=float(low),
        upper=float(high),
    )


def compare_without_creators(fit: Fit, without: Fit | None = None) -> tuple[Confidence, ...]:
    """Return every `beats` claim with creators in the model and without them.

    Parameters
    ----------
    fit : Fit
        With creators.
    without : Fit, optional
        The same question without creators; by default the posterior is narrowed by the design effect, which is
        approximate and marked so.
    """
    mine = {claim.id: claim for claim in make_claims(fit) if claim.kind == "beats"}
    if without is not None:
        naive = {claim.id: estimate_probability(claim.margin).value for claim in make_claims(without)}
    else:
        narrowing = float(np.sqrt(count_effective_posts(fit).design_effect))
        naive = {name: _narrow(claim.margin, narrowing) for name, claim in mine.items()}
    return tuple(
        Confidence(
            id=name,
            variable=claim.variable,
            level=str(claim.level),
            reference=str(claim.reference),
            probability=estimate_probability(claim.margin).value,
            naive=naive[name],
            source="design_effect" if without is None else "refit",
        )
        for name, claim in mine.items()
        if name in naive
    )


def _narrow(margin: FloatArray, factor: float) -> float:
    spread = float(margin.std())
    return float(ndtr(factor * margin.mean() / spread)) if spread > 0 else float(margin.mean() > 0)


def _find_factor(fit: Fit, factor: str | None) -> str:
    names = [term.column for term in fit.design.factors if term.levels == "sample"]
    if factor is None and names:
        return names[0]
    if factor is None or factor not in names:
        raise UsageError(
            f"{factor!r} is no factor drawn from a population; this model has {', '.join(names) or 'none'}."
        )
    return factor


def _find_correlation(fit: Fit, name: str) -> FloatArray:
    term = next(term for term in fit.design.factors if term.column == name)
    scale = fit.draws[f"scale_{name}"] if term.scale is None else np.full(fit.draws["intercept"].shape, term.scale)
    return np.asarray(scale**2 / (scale**2 + _LOGISTIC_VARIANCE))
