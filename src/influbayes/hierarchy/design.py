"""A table and a specification become arrays: coding, learnt scaling, canonical row order.

Rows are sorted by their model columns, so that the order of the file changes nothing. `sample` factors and `all`
factors alike are kept as integer codes; `zero_sum_basis` turns zero-sum coefficients into level effects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from influbayes.hierarchy.spec import FactorTerm, InteractionTerm, NumericTerm, Question, Specification

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaler:
    """transformed = (f(raw) - centre) / scale, f = log1p for `log1p_standardise`, else the identity."""

    transform: Literal["standardise", "log1p_standardise", "none"]
    centre: float
    scale: float


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

    `numerics`, `factors`, `interactions` are the terms that are really in the model (constant columns and one-level
    factors without a reference are left out and named in `left_out`).
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

    @property
    def numeric_names(self) -> tuple[str, ...]:
        """Names of the numeric terms, in the order of `rows.x`."""
        return tuple(term.column for term in self.numerics)


def zero_sum_basis(levels: int) -> FloatArray:
    """Return (levels, levels - 1) orthonormal columns, each summing to zero (Helmert contrasts)."""
    basis = np.zeros((levels, levels - 1))
    for k in range(1, levels):
        basis[:k, k - 1] = 1.0
        basis[k, k - 1] = -float(k)
        basis[:, k - 1] /= np.sqrt(k * (k + 1.0))
    return basis
