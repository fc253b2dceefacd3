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
from influbayes.hierarchy.design_faults import judge_cells, judge_columns, judge_new_rows, judge_table
from influbayes.hierarchy.spec import FactorTerm, InteractionTerm, NumericTerm, Question, Specification, Transform
from influbayes.tables.posts import PostsTable
from influbayes.tables.problems import Problem, list_values

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_SORT_LAST = ("Creator_ID", "Post_ID")


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
        as many levels as rows (IB-F06), log of a number below 0 (IB-D24), table read for another specification
        (IB-D14). All problems at once.
    """
    _refuse(judge_columns(posts, spec))
    problems = judge_table(posts, spec)
    _refuse(problems)
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
        notices=(*problems, *judge_cells(posts, interactions)),
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
        Column missing (IB-D14), no label (IB-D22), no finite number (IB-D25), log of a number below 0 (IB-D24), or a
        level of an `all` factor that was not fitted (IB-F07). All problems at once.
    """
    _refuse(judge_new_rows(frame, numerics=design.numerics, factors=design.factors, levels=design.levels))
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
        raise UsageError(f"{level!r} is no level of {factor}; it has {list_values(levels, most=8)}.")
    return levels.index(level)


def zero_sum_basis(levels: int) -> FloatArray:
    """Return (levels, levels - 1) orthonormal columns, each summing to zero (Helmert contrasts)."""
    basis = np.zeros((levels, levels - 1))
    for k in range(1, levels):
        basis[:k, k - 1] = 1.0
        basis[k, k - 1] = -float(k)
        basis[:, k - 1] /= np.sqrt(k * (k + 1.0))
    return basis


def _refuse(problems: list[Problem]) -> None:
    refused = [problem for problem in problems if problem.rule == "refuse"]
    if refused:
        raise DataRefused(refused)


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
    return _freeze(pd.Index(levels).get_indexer(pd.Index(labels.astype(str))).astype(np.int64))


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
