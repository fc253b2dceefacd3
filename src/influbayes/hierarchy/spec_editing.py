"""Specifications made from specifications: as bought, with other references, with wider or narrower priors; as TOML.

Takes and returns `Specification`; every function leaves what it is given as it was. Knows no table.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from influbayes.errors import UsageError
from influbayes.hierarchy.terms import (
    FactorTerm,
    InteractionTerm,
    NormalPrior,
    NumericTerm,
    ScalePrior,
    Specification,
)


def has_after_purchase(spec: Specification) -> bool:
    """Tell whether any term happens after the creator was bought, so that the as-bought question differs."""
    return any(term.after_purchase for term in spec.numerics) or any(term.after_purchase for term in spec.factors)


def leave_out_after_purchase(spec: Specification) -> Specification:
    """Return the specification of the as-bought question: terms with `stage = "after_purchase"` left out.

    Interactions that lose a factor go with it. The name stays; the title gains " (as bought)". A specification without
    such terms comes back as it is.
    """
    if not has_after_purchase(spec):
        return spec
    factors = tuple(term for term in spec.factors if not term.after_purchase)
    columns = {term.column for term in factors}
    kept = replace(
        spec,
        title=f"{spec.title} (as bought)",
        numerics=tuple(term for term in spec.numerics if not term.after_purchase),
        factors=factors,
        interactions=tuple(term for term in spec.interactions if columns.issuperset(term.of)),
    )
    return replace(kept, source=render_spec(kept))


def replace_references(spec: Specification, references: Mapping[str, str]) -> Specification:
    """Return the specification with other reference levels.

    Parameters
    ----------
    spec : Specification
    references : Mapping[str, str]
        Column of an `all` factor -> level that the others are compared with.

    Raises
    ------
    UsageError
        Where a column is no factor with all levels, with the columns that are.
    """
    allowed = [term.column for term in spec.factors if term.levels == "all"]
    unknown = [column for column in references if column not in allowed]
    if unknown:
        raise UsageError(
            f"--reference: {', '.join(map(repr, unknown))} is no factor with all levels in {spec.name}. "
            f"It has: {', '.join(allowed) or 'none'}. Write --reference Column=LEVEL."
        )
    factors = tuple(replace(term, reference=references.get(term.column, term.reference)) for term in spec.factors)
    changed = replace(spec, factors=factors)
    return replace(changed, source=render_spec(changed))


def list_prior_scales(spec: Specification) -> tuple[str, ...]:
    """Return the name of every top-level prior: `intercept`, `slope[COLUMN]`, `scale_FACTOR`, `scale_A__x__B`.

    A fixed scale counts as the prior scale of its factor.
    """
    slopes = (f"slope[{term.column}]" for term in spec.numerics)
    return ("intercept", *slopes, *map(_name_scale, spec.factors), *map(_name_scale, spec.interactions))


def multiply_prior_scale(spec: Specification, name: str, factor: float) -> Specification:
    """Return the specification with one prior made wider (`factor` > 1) or narrower (`factor` < 1).

    Parameters
    ----------
    spec : Specification
    name : str
        One of `list_prior_scales(spec)`.
    factor : float
        Finite, above 0. Multiplies the sd of a normal prior, the scale s of half_normal, half_cauchy and
        half_student_t, and a fixed scale; divides the rate of an exponential.

    Raises
    ------
    UsageError
        Where `name` or `factor` is not allowed.
    """
    if name not in list_prior_scales(spec):
        raise UsageError(f"{spec.name} has no prior {name!r}. It has: {', '.join(list_prior_scales(spec))}.")
    if not (math.isfinite(factor) and factor > 0):
        raise UsageError(f"A prior scale is multiplied by a finite number above 0, not by {factor!r}.")
    changed = replace(
        spec,
        intercept=_widen_normal(spec.intercept, factor) if name == "intercept" else spec.intercept,
        numerics=tuple(
            _widen_slope(term, factor) if name == f"slope[{term.column}]" else term for term in spec.numerics
        ),
        factors=tuple(_widen_scale(term, factor) if name == _name_scale(term) else term for term in spec.factors),
        interactions=tuple(
            _widen_scale(term, factor) if name == _name_scale(term) else term for term in spec.interactions
        ),
    )
    return replace(changed, source=render_spec(changed))


def _name_scale(term: FactorTerm | InteractionTerm) -> str:
    return f"scale_{term.column if isinstance(term, FactorTerm) else term.name}"


def _widen_normal(prior: NormalPrior, factor: float) -> NormalPrior:
    return replace(prior, sd=prior.sd * factor)


def _widen_slope(term: NumericTerm, factor: float) -> NumericTerm:
    return replace(term, prior=_widen_normal(term.prior, factor))


def _widen_scale[Term: (FactorTerm, InteractionTerm)](term: Term, factor: float) -> Term:
    if term.scale is not None:
        return replace(term, scale=term.scale * factor)
    return term if term.scale_prior is None else replace(term, scale_prior=_widen_prior(term.scale_prior, factor))


def _widen_prior(prior: ScalePrior, factor: float) -> ScalePrior:
    """Scale the last parameter, which is s in every family; an exponential has a rate, the inverse of a scale."""
    *shape, last = prior.parameters
    return replace(prior, parameters=(*shape, last / factor if prior.family == "exponential" else last * factor))


def render_spec(spec: Specification) -> str:
    """Return the specification as canonical TOML, which reads back as the same terms.

    Every default is written out; comments and the layout of the source are not kept.
    """
    return "\n".join("\n".join(block) + "\n" for block in _render_blocks(spec))


def _render_blocks(spec: Specification) -> Iterator[list[str]]:
    outcome = {key: getattr(spec.outcome, key) for key in ("column", "successes", "trials")}
    yield [f"title = {_render_text(spec.title)}"]
    yield ["[outcome]", *(f"{key} = {_render_text(name)}" for key, name in outcome.items() if name is not None)]
    yield ["[intercept]", _render_normal(spec.intercept)]
    yield from (_render_numeric(term) for term in spec.numerics)
    yield from (_render_factor(term) for term in spec.factors)
    for pair in spec.interactions:
        names = ", ".join(_render_text(name) for name in pair.of)
        yield ["[[interaction]]", f"of = [{names}]", *_render_scale(pair)]


def _render_numeric(term: NumericTerm) -> list[str]:
    lines = ["[[numeric]]", f"column = {_render_text(term.column)}", f"transform = {_render_text(term.transform)}"]
    lines += [_render_normal(term.prior), *_render_stage(term)]
    return lines if term.report_step is None else [*lines, f"report_step = {_render_number(term.report_step)}"]


def _render_factor(term: FactorTerm) -> list[str]:
    lines = ["[[factor]]", f"column = {_render_text(term.column)}", f"levels = {_render_text(term.levels)}"]
    if term.reference is not None:
        lines.append(f"reference = {_render_text(term.reference)}")
    return [*lines, *_render_scale(term), *_render_stage(term)]


def _render_scale(term: FactorTerm | InteractionTerm) -> list[str]:
    if term.scale is not None:
        return [f"scale = {_render_number(term.scale)}"]
    if term.scale_prior is None:
        return []
    numbers = [_render_number(number) for number in term.scale_prior.parameters]
    value = numbers[0] if len(numbers) == 1 else f"[{', '.join(numbers)}]"
    return [f"scale_prior = {{ {term.scale_prior.family} = {value} }}"]


def _render_normal(prior: NormalPrior) -> str:
    return f"prior = {{ normal = [{_render_number(prior.mean)}, {_render_number(prior.sd)}] }}"


def _render_stage(term: NumericTerm | FactorTerm) -> list[str]:
    return ['stage = "after_purchase"'] if term.after_purchase else []


def _render_text(text: str) -> str:
    """Quote text: JSON's escapes are TOML's too, but for the one control character that JSON leaves bare."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _render_number(number: float) -> str:
    """Return the shortest text that reads back as the same number, 1 rather than 1.0."""
    return str(int(number)) if float(number).is_integer() and abs(number) < 1e15 else repr(float(number))
