"""A table and a specification become arrays: levels, learnt scaling, canonical row order.

Rows are sorted by their model columns, so that the order of the file changes nothing. Levels are sorted text. Factors
are kept as integer codes; `coding` turns them into the coefficients an engine samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from influbayes.errors import DataRefused, UsageError
from influbayes.hierarchy.spec import FactorTerm, InteractionTerm, NumericTerm, Question, Specification, Transform
from influbayes.tables.posts import PostsTable
from influbayes.tables.problems import Problem

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_SORT_LAST = ("Creator_ID", "Post_ID")
_SHOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaler:
    """transformed = (f(raw) - centre) / scale, f = log1p for `log1p_standardise`, else the identity."""

    transform: Transform
    centre: float
    scale: float

    def apply(self, raw: FloatArray) -> FloatArray:
        """Return `raw` (any shape, unit of the column) on the model's scale."""
        return (stretch(raw, self.transform) - self.centre) / self.scale


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRows:
    """Rows as the model sees them.

    `x` (rows, numerics) transformed predictors; `raw` (rows, numerics) the same columns in their own unit;
    `codes` factor column -> (rows,) level index, -1 = a level of a `sample` factor that was not seen;
    `conversions`, `trials` (rows,) counts, None for rows to predict.
    """

    x: FloatArray
    raw: FloatArray
    codes: Mapping[str, IntArray]
    conversions: IntArray | None = None
    trials: IntArray | None = None

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Everything an engine needs: rows in canonical order, levels (sorted) per factor, learnt scalers, terms used.

    `numerics`, `factors`, `interactions` are the terms that are really in the model; a constant column or a factor with
    one level is left out, named in `left_out` and explained in `notices`. `lines` (rows,) are lines of the file.
    """

    specification: Specification
    question: Question
    rows: ModelRows
    scalers: tuple[Scaler, ...]
    levels: Mapping[str, tuple[str, ...]]
    numerics: tuple[NumericTerm, ...]
    factors: tuple[FactorTerm, ...]
    interactions: tuple[InteractionTerm, ...]
    lines: IntArray
    left_out: tuple[str, ...] = ()
    notices: tuple[Problem, ...] = ()

    @property
    def numeric_names(self) -> tuple[str, ...]:
        """Names of the numeric terms, in the order of `rows.x`."""
        return tuple(term.column for term in self.numerics)

    @property
    def conversions(self) -> IntArray:
        """Conversions (rows,) of the rows the model is fitted to."""
        return _observed(self.rows.conversions)

    @property
    def trials(self) -> IntArray:
        """Trials (rows,) of the rows the model is fitted to."""
        return _observed(self.rows.trials)


def _observed(counts: IntArray | None) -> IntArray:
    if counts is None:
        raise UsageError("These rows hold no outcome; they can be predicted, not fitted.")
    return counts


def stretch(raw: FloatArray, transform: Transform) -> FloatArray:
    """Return log(1 + raw) for `log1p_standardise`, else `raw`."""
    return np.log1p(raw) if transform == "log1p_standardise" else raw


def build_design(posts: PostsTable, spec: Specification, *, question: Question = "engagement_constant") -> Design:
    """Build the arrays of `spec` from a checked table.

    Parameters
    ----------
    posts : PostsTable
        Table that holds every column `spec` names.
    spec : Specification
        The model, already without its after-purchase terms when `question` is "as_bought".
    question : {"engagement_constant", "as_bought"}
        Which question the model answers; carried on to every estimate.

    Returns
    -------
    Design
        Rows in canonical order; scaling learnt over the rows used (sd with denominator n).

    Raises
    ------
    DataRefused
        Reference that is no level (IB-D37), outcome constant (IB-F04), one level of a factor with a reference (IB-F03),
        as many levels as rows (IB-F06), log of a number below 0 (IB-D24). All problems at once.
    """
    problems = [*_judge_outcome(posts), *_judge_factors(posts, spec), *_judge_numerics(posts, spec)]
    refused = [problem for problem in problems if problem.rule == "refuse"]
    if refused:
        raise DataRefused(refused)
    numerics = tuple(term for term in spec.numerics if not _is_constant(posts.frame[term.column]))
    factors = tuple(term for term in spec.factors if posts.frame[term.column].nunique() > 1)
    names = {term.column for term in factors}
    interactions = tuple(term for term in spec.interactions if names.issuperset(term.of))
    frame = _sort_rows(posts.frame, [*sorted(names)], [term.column for term in numerics])
    scalers = tuple(_learn_scaler(frame[term.column].to_numpy(float), term.transform) for term in numerics)
    levels = {term.column: tuple(sorted(frame[term.column].unique())) for term in factors}
    return Design(
        specification=spec,
        question=question,
        rows=_encode(frame, numerics, scalers, levels),
        scalers=scalers,
        levels=levels,
        numerics=numerics,
        factors=factors,
        interactions=interactions,
        lines=_freeze(frame["line"].to_numpy(np.int64)),
        left_out=_name_left_out(spec, numerics, factors, interactions),
        notices=(*problems, *_judge_cells(posts, interactions)),
    )


def encode_rows(design: Design, frame: pd.DataFrame) -> ModelRows:
    """Code new rows with the levels and the scaling that `design` learnt.

    Parameters
    ----------
    design : Design
    frame : DataFrame
        One row a post to predict, with every numeric and label column of the design.

    Returns
    -------
    ModelRows
        Without outcome. A new level of a `sample` factor is coded -1 ("a new creator").

    Raises
    ------
    DataRefused
        Column missing (IB-D14), or a level of an `all` factor that was not fitted (IB-F07).
    """
    wanted = [*design.numeric_names, *design.levels]
    missing = [column for column in wanted if column not in frame.columns]
    if missing:
        raise DataRefused([_problem("IB-D14", missing[0], f"columns missing from the rows: {', '.join(missing)}.")])
    closed = [term for term in design.factors if term.levels == "all"]
    unseen = [problem for term in closed for problem in _judge_unseen(design, term, frame)]
    if unseen:
        raise DataRefused(unseen)
    return _encode(frame, design.numerics, design.scalers, design.levels, outcome=False)


def set_level(design: Design, rows: ModelRows, factor: str, level: str) -> ModelRows:
    """Return `rows` with every post's `factor` set to `level` (counterfactual; the rest is held)."""
    codes = np.full(len(rows), find_level(design, factor, level), dtype=np.int64)
    return replace(rows, codes={**rows.codes, factor: _freeze(codes)})


def shift_numeric(design: Design, rows: ModelRows, column: str, step: float) -> ModelRows:
    """Return `rows` with `column` raised by `step` (in the column's own unit) in every post."""
    if column not in design.numeric_names:
        raise UsageError(f"{column!r} is no numeric term of this model; it has {', '.join(design.numeric_names)}.")
    k = design.numeric_names.index(column)
    raw = rows.raw.copy()
    raw[:, k] += step
    x = rows.x.copy()
    x[:, k] = design.scalers[k].apply(raw[:, k])
    return replace(rows, raw=_freeze(raw), x=_freeze(x))


def find_level(design: Design, factor: str, level: str) -> int:
    """Return the index of `level` among the sorted levels of `factor`; UsageError names what there is."""
    if factor not in design.levels:
        raise UsageError(f"{factor!r} is no factor of this model; it has {', '.join(design.levels)}.")
    levels = design.levels[factor]
    if level not in levels:
        raise UsageError(f"{level!r} is no level of {factor}; it has {_list_some(levels)}.")
    return levels.index(level)


def zero_sum_basis(levels: int) -> FloatArray:
    """Return (levels, levels - 1) orthonormal columns, each summing to zero (Helmert contrasts)."""
    basis = np.zeros((levels, levels - 1))
    for k in range(1, levels):
        basis[:k, k - 1] = 1.0
        basis[k, k - 1] = -float(k)
        basis[:, k - 1] /= np.sqrt(k * (k + 1.0))
    return basis


def _freeze[ArrayT: npt.NDArray[np.generic]](array: ArrayT) -> ArrayT:
    array.setflags(write=False)
    return array


def _sort_rows(frame: pd.DataFrame, factors: list[str], numerics: list[str]) -> pd.DataFrame:
    """Sort by factors, then numbers, then outcome; columns outside the model only settle ties."""
    ties = [column for column in _SORT_LAST if column in frame.columns and column not in factors]
    return frame.sort_values([*factors, *numerics, "conversions", "trials", *ties], kind="stable")


def _learn_scaler(raw: FloatArray, transform: Transform) -> Scaler:
    if transform == "none":
        return Scaler(transform=transform, centre=0.0, scale=1.0)
    values = np.sort(stretch(raw, transform))
    return Scaler(transform=transform, centre=float(values.mean()), scale=float(values.std()))


def _encode(
    frame: pd.DataFrame,
    numerics: tuple[NumericTerm, ...],
    scalers: tuple[Scaler, ...],
    levels: Mapping[str, tuple[str, ...]],
    *,
    outcome: bool = True,
) -> ModelRows:
    raw = frame[[term.column for term in numerics]].to_numpy(np.float64).reshape(len(frame), len(numerics))
    x = np.empty_like(raw)
    for k, scaler in enumerate(scalers):
        x[:, k] = scaler.apply(raw[:, k])
    return ModelRows(
        x=_freeze(x),
        raw=_freeze(raw.copy()),
        codes={column: _code_labels(frame[column], known) for column, known in levels.items()},
        conversions=_freeze(frame["conversions"].to_numpy(np.int64).copy()) if outcome else None,
        trials=_freeze(frame["trials"].to_numpy(np.int64).copy()) if outcome else None,
    )


def _code_labels(labels: pd.Series[str], levels: tuple[str, ...]) -> IntArray:
    return _freeze(pd.Index(levels).get_indexer(pd.Index(labels.astype(object))).astype(np.int64))


def _is_constant(column: pd.Series[float]) -> bool:
    return bool(column.nunique() < 2)


def _name_left_out(
    spec: Specification,
    numerics: tuple[NumericTerm, ...],
    factors: tuple[FactorTerm, ...],
    interactions: tuple[InteractionTerm, ...],
) -> tuple[str, ...]:
    used = {term.column for term in numerics} | {term.column for term in factors}
    named = [*(term.column for term in spec.numerics), *(term.column for term in spec.factors)]
    left = [column for column in named if column not in used]
    return (*left, *(term.name for term in spec.interactions if term not in interactions))


def _problem(code: str, column: str | None, message: str, *, rule: str = "refuse", file: str = "rows") -> Problem:
    if rule == "refuse":
        return Problem(code=code, rule="refuse", file=file, column=column, message=f"{message} Nothing was fitted.")
    return Problem(code=code, rule="warn", file=file, column=column, message=message)


def _list_some(levels: tuple[str, ...]) -> str:
    shown = ", ".join(repr(level) for level in levels[:_SHOWN])
    return shown if len(levels) <= _SHOWN else f"{shown} and {len(levels) - _SHOWN:,} more"


def _judge_outcome(posts: PostsTable) -> list[Problem]:
    conversions, trials = int(posts.frame["conversions"].sum()), int(posts.frame["trials"].sum())
    if 0 < conversions < trials:
        return []
    what = "none converted" if conversions == 0 else "all converted"
    column = posts.columns.outcome or posts.columns.successes
    message = f"of {trials:,} trials {what}: there is nothing to compare. Check the column, or add posts of both kinds."
    return [_problem("IB-F04", column, message, file=posts.file)]


def _judge_factors(posts: PostsTable, spec: Specification) -> list[Problem]:
    return [problem for term in spec.factors for problem in _judge_factor(posts, term)]


def _judge_factor(posts: PostsTable, term: FactorTerm) -> list[Problem]:
    counts = posts.frame[term.column].value_counts().sort_index()
    levels, rows = tuple(counts.index), len(posts.frame)
    if len(levels) == 1 and term.reference is None:
        message = f"only the level {levels[0]!r}: nothing to compare, so the column is left out of the model."
        return [_problem("IB-F03", term.column, message, rule="warn", file=posts.file)]
    if len(levels) == 1:
        message = (
            f"only the level {levels[0]!r}: nothing to compare with the reference {term.reference!r}. "
            f"Add posts of another level, or use a specification without this column (--model FILE)."
        )
        return [_problem("IB-F03", term.column, message, file=posts.file)]
    if term.reference is not None and term.reference not in levels:
        found = ", ".join(f"{level} ({count})" for level, count in list(counts.items())[:_SHOWN])
        message = (
            f"reference {term.reference!r} not found. Found: {found}. Choose one of them with "
            f"--reference {term.column}=LEVEL."
        )
        return [_problem("IB-D37", term.column, message, file=posts.file)]
    if len(levels) >= rows:
        return [_judge_many_levels(posts.file, term, len(levels), rows)]
    return []


def _judge_many_levels(file: str, term: FactorTerm, levels: int, rows: int) -> Problem:
    if term.levels == "all":
        remedy = 'Group the levels, or use levels = "sample".'
        message = f"{levels:,} levels in {rows:,} rows: each row is its own level. {remedy}"
        return _problem("IB-F06", term.column, message, file=file)
    message = f"{levels:,} levels in {rows:,} rows: how much they differ (its scale) rests largely on the prior."
    return _problem("IB-F06", term.column, message, rule="warn", file=file)


def _judge_numerics(posts: PostsTable, spec: Specification) -> list[Problem]:
    problems = []
    for term in spec.numerics:
        column = posts.frame[term.column]
        if _is_constant(column):
            message = f"every row is {column.iloc[0]:g}: nothing to learn, so the column is left out of the model."
            problems.append(_problem("IB-F03", term.column, message, rule="warn", file=posts.file))
        if term.transform == "log1p_standardise" and float(column.min()) < 0:
            line = int(posts.frame["line"].iloc[int(column.to_numpy().argmin())])
            remedy = "log(1 + x) needs counts. Correct it, or use another transform."
            message = f"below 0 in line {line} ({column.min():g}); {remedy}"
            problems.append(_problem("IB-D24", term.column, message, file=posts.file))
    return problems


def _judge_cells(posts: PostsTable, interactions: tuple[InteractionTerm, ...]) -> list[Problem]:
    """Name cells of an interaction that hold no post (IB-F08)."""
    problems = []
    for term in interactions:
        counts = pd.crosstab(posts.frame[term.of[0]], posts.frame[term.of[1]])
        empty = [f"{a}:{b}" for a in counts.index for b in counts.columns if counts.loc[a, b] == 0]
        if empty:
            message = f"no post in {', '.join(empty[:_SHOWN])}: these cells rest on the prior and the other cells."
            problems.append(_problem("IB-F08", ":".join(term.of), message, rule="warn", file=posts.file))
    return problems


def _judge_unseen(design: Design, term: FactorTerm, frame: pd.DataFrame) -> list[Problem]:
    known = design.levels[term.column]
    unseen = tuple(sorted(set(frame[term.column].astype(str)) - set(known)))
    if not unseen:
        return []
    remedy = "Rename the level, or fit with posts of it."
    message = f"{_list_some(unseen)} not among the fitted levels {_list_some(known)}. {remedy}"
    return [_problem("IB-F07", term.column, message)]
