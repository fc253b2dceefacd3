"""Makes words of a model: its outcome and terms as plain rows, each prior in a sentence.

Takes the designs of the questions. Knows no draws and no data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from influbayes.hierarchy.design import Design
from influbayes.hierarchy.spec import FactorTerm, InteractionTerm, NormalPrior, NumericTerm, ScalePrior

_SCALE_WORDS = {
    "half_normal": "half-normal({0:g})",
    "exponential": "exponential(rate {0:g})",
    "half_cauchy": "half-Cauchy({0:g})",
    "half_student_t": "half-Student-t({0:g} degrees of freedom, scale {1:g})",
}
_TRANSFORM_WORDS = {
    "standardise": "per standard deviation",
    "log1p_standardise": "per standard deviation of log(1 + value)",
    "none": "per unit",
}


def describe_model(designs: Sequence[Design], *, mermaid: str | None = None) -> dict[str, Any]:
    """Return the `model` part of results.json: ``name, title, mermaid, outcome, terms``.

    Each row of `terms` has ``question, kind`` (`intercept | numeric | factor | interaction`), ``variable, levels``
    (`all | sample`, factors only), ``reference, transform, step, after_purchase`` and ``prior`` in words; a numeric has
    ``means`` too: factor to level to the mean of the raw column over the posts of that level.
    """
    specification = designs[0].specification
    outcome = specification.outcome
    return {
        "name": specification.name,
        "title": specification.title,
        "mermaid": mermaid,
        "outcome": {"column": outcome.column, "successes": outcome.successes, "trials": outcome.trials},
        "terms": [row for design in designs for row in _describe_terms(design)],
    }


def _describe_terms(design: Design) -> list[dict[str, Any]]:
    rows = [_make_row("intercept", "intercept", f"{say_normal(design.specification.intercept)} on the log-odds scale")]
    rows += [{**_describe_numeric(term), "means": _average_column(design, k)} for k, term in enumerate(design.numerics)]
    rows += [_describe_factor(term) for term in design.factors]
    rows += [_describe_interaction(term) for term in design.interactions]
    return [{"question": design.question, **row} for row in rows]


def _make_row(kind: str, variable: str, prior: str, **fields: object) -> dict[str, Any]:
    empty = {"levels": None, "reference": None, "transform": None, "step": None, "after_purchase": False}
    return {"kind": kind, "variable": variable, "prior": prior, **empty, **fields}


def _describe_numeric(term: NumericTerm) -> dict[str, Any]:
    prior = f"{say_normal(term.prior)} on the log-odds scale, {_TRANSFORM_WORDS[term.transform]}"
    return _make_row(
        "numeric",
        term.column,
        prior,
        transform=term.transform,
        step=term.report_step,
        after_purchase=term.after_purchase,
    )


def _average_column(design: Design, place: int) -> dict[str, dict[str, float]]:
    """Factor -> level -> mean of a raw column over the posts of that level."""
    column, found = design.rows.raw[:, place], {}
    for term in design.factors:
        if term.levels == "all":
            codes, levels = design.rows.codes[term.column], design.levels[term.column]
            sums, counts = (np.bincount(codes, weights, minlength=len(levels)) for weights in (column, None))
            means = sums / np.maximum(counts, 1)
            found[term.column] = dict(zip(levels, means.tolist(), strict=True))
    return found


def _describe_factor(term: FactorTerm) -> dict[str, Any]:
    kind = "zero-sum effects" if term.levels == "all" else "effects of levels drawn from a population"
    prior = f"{kind}, {say_scale(term.scale_prior, term.scale)}"
    return _make_row(
        "factor",
        term.column,
        prior,
        levels=term.levels,
        reference=term.reference,
        after_purchase=term.after_purchase,
    )


def _describe_interaction(term: InteractionTerm) -> dict[str, Any]:
    prior = f"effects zero-sum over both, {say_scale(term.scale_prior, term.scale)}"
    return _make_row("interaction", ":".join(term.of), prior)


def say_normal(prior: NormalPrior) -> str:
    """Return "Normal(mean 0, sd 1.5)"."""
    return f"Normal(mean {prior.mean:g}, sd {prior.sd:g})"


def say_scale(prior: ScalePrior | None, fixed: float | None) -> str:
    """Return the scale of a group of effects in words: estimated with its prior, or fixed (no pooling)."""
    if prior is None:
        return f"scale fixed at {fixed:g} (no pooling)"
    return f"scale estimated with a {_SCALE_WORDS[prior.family].format(*prior.parameters)} prior"
