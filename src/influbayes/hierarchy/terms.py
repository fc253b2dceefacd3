"""The terms of a model specification as frozen types.

Made by `spec_reader` from TOML, or by hand; knows no table, no file and no model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ScaleFamily = Literal["half_normal", "exponential", "half_cauchy", "half_student_t"]
Transform = Literal["standardise", "log1p_standardise", "none"]
Levels = Literal["all", "sample"]
Question = Literal["engagement_constant", "as_bought"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalPrior:
    """Normal(mean, sd) on the log-odds scale."""

    mean: float
    sd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalePrior:
    """Prior of a scale: half_normal [s], exponential [rate], half_cauchy [s] or half_student_t [df, s]."""

    family: ScaleFamily
    parameters: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A 0/1 `column`, or `successes` of `trials`."""

    column: str | None = None
    successes: str | None = None
    trials: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NumericTerm:
    """A slope: `report_step` is in the raw unit of the column, the prior per unit of the transformed column."""

    column: str
    transform: Transform = "standardise"
    prior: NormalPrior
    after_purchase: bool = False
    report_step: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorTerm:
    """Effects of the levels of a label column; exactly one of `scale_prior` and `scale` (fixed: no pooling) is set."""

    column: str
    levels: Levels
    reference: str | None = None
    scale_prior: ScalePrior | None = None
    scale: float | None = None
    after_purchase: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionTerm:
    """Effects of pairs of levels of two `all` factors, zero-sum over both."""

    of: tuple[str, str]
    scale_prior: ScalePrior | None = None
    scale: float | None = None

    @property
    def name(self) -> str:
        """Name as in posterior.nc: `A__x__B`."""
        return f"{self.of[0]}__x__{self.of[1]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Specification:
    """A whole model; `name` is the shipped name or the file's stem, `source` its TOML text."""

    name: str
    title: str
    outcome: Outcome
    intercept: NormalPrior
    numerics: tuple[NumericTerm, ...] = ()
    factors: tuple[FactorTerm, ...] = ()
    interactions: tuple[InteractionTerm, ...] = ()
    source: str = ""
