"""TOML text becomes a checked specification, or a refusal that lists every fault with its line.

Takes text and the name of its file; makes a `Specification`. Knows no table: whether the columns exist is judged when
the table is read and when the design is built.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import cast

from influbayes.errors import SpecificationRefused
from influbayes.hierarchy.spec_entries import (
    LONGEST_MESSAGE,
    Entry,
    Faults,
    read_choice,
    read_column,
    read_normal_prior,
    read_pair,
    read_positive,
    read_scale,
    read_text,
    shorten,
)
from influbayes.hierarchy.spec_names import judge_names
from influbayes.hierarchy.terms import (
    FactorTerm,
    InteractionTerm,
    Levels,
    NormalPrior,
    NumericTerm,
    Outcome,
    Specification,
    Transform,
)
from influbayes.hierarchy.toml_lines import locate_keys
from influbayes.tables.problems import Problem

LEVELS: tuple[Levels, ...] = ("all", "sample")
TRANSFORMS: tuple[Transform, ...] = ("standardise", "log1p_standardise", "none")
STAGES = ("after_purchase",)
ROOT_KEYS = ("title", "outcome", "intercept", "numeric", "factor", "interaction")
OUTCOME_KEYS = ("column", "successes", "trials")
NUMERIC_KEYS = ("column", "transform", "prior", "stage", "report_step")
FACTOR_KEYS = ("column", "levels", "reference", "scale_prior", "scale", "stage")
INTERACTION_KEYS = ("of", "scale_prior", "scale")


def parse_spec(text: str, *, name: str, file: str | None = None) -> Specification:
    """Read the TOML `text` of a specification.

    Parameters
    ----------
    text : str
        The TOML text, in the format of the files in `models/`.
    name : str
        What the specification is called in results.
    file : str, optional
        What refusals call the text; without it `name`.

    Returns
    -------
    Specification
        With `source` the text itself. A missing `title` is the name.

    Raises
    ------
    SpecificationRefused
        With one IB-F09 problem per fault, in line order, each with its line of the text.
    """
    text = text.replace("\r\n", "\n")
    faults = Faults(file=file or name)
    values = _parse_toml(text, faults)
    faults.lines.update(locate_keys(text))
    spec = _read_root(Entry(values=values, path=(), faults=faults), name=name, source=text)
    judge_names(values, faults)
    if spec is None or faults.problems:
        raise SpecificationRefused(faults.in_line_order())
    return spec


def _parse_toml(text: str, faults: Faults) -> Mapping[str, object]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as reason:
        raise SpecificationRefused([_describe_syntax(text, faults.file, str(reason))]) from None


def _describe_syntax(text: str, file: str, reason: str) -> Problem:
    """Say where the text stops being TOML."""
    found = re.search(r"\(at line (\d+)", reason)
    line = int(found.group(1)) if found else text.count("\n") + 1
    message = f"line {line}: not valid TOML: {re.sub(r' *[(]at .*[)]', '', reason)}. "
    message += "Text is written in quotes, a list in [ ], a prior as { normal = [0, 1] }. Correct this line."
    return Problem(code="IB-F09", rule="refuse", file=file, lines=(line,), message=shorten(message, LONGEST_MESSAGE))


def _read_root(root: Entry, *, name: str, source: str) -> Specification | None:
    root.refuse_unknown_keys(ROOT_KEYS)
    title = read_text(root, "title") if "title" in root.values else name
    outcome = _read_outcome(root)
    intercept = _read_intercept(root)
    numerics = [_read_numeric(entry) for entry in root.tables("numeric")]
    factors = [_read_factor(entry) for entry in root.tables("factor")]
    interactions = [_read_interaction(entry) for entry in root.tables("interaction")]
    if title is None or outcome is None or intercept is None:
        return None
    return Specification(
        name=name,
        title=title,
        outcome=outcome,
        intercept=intercept,
        numerics=tuple(term for term in numerics if term is not None),
        factors=tuple(term for term in factors if term is not None),
        interactions=tuple(term for term in interactions if term is not None),
        source=source,
    )


def _read_outcome(root: Entry) -> Outcome | None:
    entry = root.table("outcome", remedy='Add [outcome] with column = "Converted".')
    if entry is None:
        return None
    entry.refuse_unknown_keys(OUTCOME_KEYS)
    given = [key for key in OUTCOME_KEYS if key in entry.values]
    if given not in (["column"], ["successes", "trials"]):
        found = f"{' and '.join(given)} given" if given else "no column given"
        entry.refuse(None, f"{found}. Give either column (0/1 per row), or both successes and trials.")
    return Outcome(**{key: read_column(entry, key) for key in given})


def _read_intercept(root: Entry) -> NormalPrior | None:
    entry = root.table("intercept", remedy="Add [intercept] with prior = { normal = [0, 1.5] }.")
    if entry is None:
        return None
    entry.refuse_unknown_keys(("prior",))
    return read_normal_prior(entry, "prior")


def _read_numeric(entry: Entry) -> NumericTerm | None:
    entry.refuse_unknown_keys(NUMERIC_KEYS)
    column = read_column(entry, "column")
    transform = read_choice(entry, "transform", TRANSFORMS, default="standardise")
    prior = read_normal_prior(entry, "prior")
    after_purchase = _read_stage(entry)
    step = read_positive(entry, "report_step") if "report_step" in entry.values else None
    if column is None or transform is None or prior is None:
        return None
    return NumericTerm(
        column=column,
        transform=cast(Transform, transform),
        prior=prior,
        after_purchase=after_purchase,
        report_step=step,
    )


def _read_factor(entry: Entry) -> FactorTerm | None:
    entry.refuse_unknown_keys(FACTOR_KEYS)
    column = read_column(entry, "column")
    levels = read_choice(entry, "levels", LEVELS)
    reference = read_text(entry, "reference") if "reference" in entry.values else None
    scale_prior, scale = read_scale(entry)
    after_purchase = _read_stage(entry)
    if column is None or levels is None:
        return None
    return FactorTerm(
        column=column,
        levels=cast(Levels, levels),
        reference=reference,
        scale_prior=scale_prior,
        scale=scale,
        after_purchase=after_purchase,
    )


def _read_interaction(entry: Entry) -> InteractionTerm | None:
    entry.refuse_unknown_keys(INTERACTION_KEYS)
    pair = read_pair(entry, "of")
    scale_prior, scale = read_scale(entry)
    return None if pair is None else InteractionTerm(of=pair, scale_prior=scale_prior, scale=scale)


def _read_stage(entry: Entry) -> bool:
    """Tell whether the term happens after the creator was bought; a missing stage means it does not."""
    return "stage" in entry.values and read_choice(entry, "stage", STAGES) is not None
