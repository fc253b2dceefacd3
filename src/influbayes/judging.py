"""From a fit to verdicts: whether its draws can be trusted, what its table can tell, whether a prior decides.

Takes fits, designs and claims of any study; gives diagnostics by the gate's rules. Computes no estimate.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from influbayes.effects.estimands import Claim
from influbayes.effects.sensitivity import assess_sensitivity
from influbayes.effects.separation import find_separation
from influbayes.errors import SamplingFailed
from influbayes.gate.adequacy import judge_rows, judge_separation
from influbayes.gate.checks import Diagnostic
from influbayes.gate.convergence import judge_certificate, judge_convergence, judge_draws, judge_sampler
from influbayes.gate.subjects import POSTS, Subject
from influbayes.gate.thresholds import MAX_RHAT, MIN_ESS
from influbayes.gate.wording import judge_sensitivity
from influbayes.hierarchy.coding import code_design, coords_of, dims_of
from influbayes.hierarchy.design import Design
from influbayes.hierarchy.posterior import Fit
from influbayes.hierarchy.spec import Specification
from influbayes.inference.convergence import find_worst_convergence, stack_quantities, summarise_quantities
from influbayes.inference.engine import fit_model


class Estimated(Protocol):
    """A row of estimates that says how well its draws mixed; rows cut into ranks are not judged."""

    @property
    def id(self) -> str:
        """Name of the row."""

    @property
    def rhat(self) -> float | None:
        """R-hat of the continuous quantity behind the row."""

    @property
    def ess_bulk(self) -> float | None:
        """Bulk effective sample size of it."""

    @property
    def ess_tail(self) -> float | None:
        """Tail effective sample size of it."""


def diagnose(fit: Fit, effects: Sequence[Estimated] = ()) -> tuple[Diagnostic, ...]:
    """Judge whether the draws of a fit can be trusted.

    Parameters
    ----------
    fit : Fit
    effects : sequence, optional
        Estimates (such as `Effect`) whose R-hat and ESS are judged beside those of every model variable.

    Returns
    -------
    tuple of Diagnostic
        Draws, R-hat, ESS, and the sampler's own statistics or certificate. Any failure withholds everything.
    """
    question = fit.design.question
    table = summarise_quantities(stack_quantities(fit.draws), prob=0.5)
    rows = [row for row in effects if getattr(row, "estimand", None) not in ("rank", "probability_best")]
    sampler = (
        judge_sampler(fit.sample_stats, question=question, engine=fit.run.name_used)
        if fit.run.certificate is None
        else judge_certificate(fit.run.certificate, question=question)
    )
    return (
        *judge_draws(fit.draws, chains_asked=fit.run.chains, draws_asked=fit.run.draws, question=question),
        *judge_convergence(
            [*_name_quantities(fit), *(row.id for row in rows)],
            np.concatenate([table.rhat, _column(rows, "rhat")]),
            np.concatenate([table.ess_bulk, _column(rows, "ess_bulk")]),
            np.concatenate([table.ess_tail, _column(rows, "ess_tail")]),
            question=question,
        ),
        *sampler,
    )


def judge_table(
    design: Design, *, factors: Sequence[str] | None = None, subject: Subject = POSTS
) -> tuple[Diagnostic, ...]:
    """Judge what the table itself can tell: separation, few rows, levels where all or none converted.

    Parameters
    ----------
    design : Design
    factors : sequence of str, optional
        Factors that are looked at as columns; by default every `all` factor.
    subject : Subject
        What rows are called.
    """
    chosen = [term for term in design.factors if (term.levels == "all" if factors is None else term.column in factors)]
    names = {term.column for term in chosen}
    pairs = tuple(pair for pair in design.interactions if names.issuperset(pair.of))
    columns = replace(design, factors=tuple(replace(term, levels="all") for term in chosen), interactions=pairs)
    coding = code_design(columns)
    terms = [name for block in coding.blocks for name in _name_columns(design, block.variable, block.size)]
    separation = find_separation(coding.X, design.conversions, trials=design.trials, names=terms)
    levels = [row for term in chosen for row in _judge_levels(design, term.column, subject)]
    return (judge_separation(separation, question=design.question, subject=subject), *levels)


def _judge_levels(design: Design, factor: str, subject: Subject) -> tuple[Diagnostic, ...]:
    codes, levels = design.rows.codes[factor], design.levels[factor]
    posts, trials, conversions = (
        np.bincount(codes, weights, minlength=len(levels)).astype(np.int64)
        for weights in (None, design.trials, design.conversions)
    )
    return judge_rows(factor, levels, posts, trials, conversions, question=design.question, subject=subject)


def judge_priors(
    fit: Fit,
    claims: Sequence[Claim],
    *,
    make_claims: Callable[[Fit], Sequence[Claim]],
    engine: str,
    draws: int,
    seed: int,
    subject: Subject = POSTS,
) -> tuple[Diagnostic, ...]:
    """Judge whether halving or doubling a prior scale flips a claim; refits that do not converge count as flips.

    Parameters
    ----------
    fit : Fit
    claims : sequence of Claim
        Of this very fit.
    make_claims : callable
        Fit -> its claims, for refits.
    engine, draws, seed
        How refits are made.
    subject : Subject
        What rows are called.
    """

    def refit(changed: Specification) -> Fit:
        again = fit_model(change_priors(fit.design, changed), engine=engine, draws=draws, seed=seed)
        worst = find_worst_convergence(again.draws)
        if not (worst.rhat <= MAX_RHAT and min(worst.ess_bulk, worst.ess_tail) >= MIN_ESS):
            raise SamplingFailed("A refit with a changed prior did not converge.")
        return again

    shifts = assess_sensitivity(fit, claims, refit=refit, make_claims=make_claims)
    ids = [claim.id for claim in claims]
    return judge_sensitivity(shifts, question=fit.design.question, claim_ids=ids, subject=subject)


def change_priors(design: Design, changed: Specification) -> Design:
    """Return the design with the terms of a specification that differs in priors only."""
    kept = {term.column for term in (*design.numerics,)} | set(design.levels)
    names = {pair.name for pair in design.interactions}
    return replace(
        design,
        specification=changed,
        numerics=tuple(term for term in changed.numerics if term.column in kept),
        factors=tuple(term for term in changed.factors if term.column in kept),
        interactions=tuple(term for term in changed.interactions if term.name in names),
    )


def is_unreliable(diagnostics: Sequence[Diagnostic]) -> bool:
    """Return whether a check failed that withholds everything."""
    return any(item.status == "fail" and item.consequence == "all_withheld" for item in diagnostics)


def _name_quantities(fit: Fit) -> list[str]:
    """Return the name of every number of every variable, as "effect_Influencer_Tier[Micro]"."""
    dims, coords = dims_of(fit.design), coords_of(fit.design)
    return [
        f"{name}[{', '.join(labels)}]" if labels else name
        for name in fit.draws
        for labels in itertools.product(*(coords[dim] for dim in dims[name]))
    ]


def _name_columns(design: Design, variable: str, size: int) -> list[str]:
    if variable == "intercept":
        return ["intercept"]
    if variable == "slope":
        return list(design.numeric_names)
    return [variable.removeprefix("effect_").replace("__x__", ":")] * size


def _column(rows: Sequence[Estimated], name: str) -> npt.NDArray[np.float64]:
    return np.array([getattr(row, name) for row in rows], dtype=np.float64)
