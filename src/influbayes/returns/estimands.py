"""The table of estimates of the returns study: the columns of every study's effects, and how draws become rows.

Takes independent draws; R-hat does not apply to them and is left empty. Knows no ledger.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
from scipy.special import betaincinv

from influbayes.effects.estimands import Probability, name_row
from influbayes.tables.cells import FloatArray

Question = Literal["returns", "incremental"]
Estimand = Literal[
    "roas", "incremental_roas", "expected_value", "probability_best", "expected_loss_keeping", "expected_loss_dropping"
]
FEW_DRAWS = 10
MEDIAN_ERROR = 1.2533  # sd of a sample median over that of the mean, normal case


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnEffect:
    """One row of the effects table, the same columns in every study.

    `estimate` is the posterior median (for probabilities and expected losses the value itself), `lower` and `upper` the
    equal-tailed interval; `probability` = P(above `null_value`).
    """

    id: str
    question: Question
    estimand: Estimand
    variable: str
    level: str | None
    reference: str | None = None
    step: float | None = None
    population: str
    held: str = ""
    scale: Literal["ratio", "probability", "currency"]
    null_value: float | None
    estimate: float
    lower: float
    upper: float
    prob: float
    interval_kind: Literal["eti"] = "eti"
    probability: float | None
    mcse: float
    ess_bulk: float
    ess_tail: float
    rhat: None = None


def count_probability(hits: int, draws: int) -> Probability:
    """Return a probability from independent draws; with few on one side, from Beta(k + 1/2, n - k + 1/2)."""
    few = min(hits, draws - hits) < FEW_DRAWS
    value = (hits + 0.5) / (draws + 1) if few else hits / draws
    shapes = (hits + 0.5, draws - hits + 0.5)
    return Probability(
        value=value,
        mcse=sqrt(value * (1 - value) / draws),
        at_least=float(betaincinv(*shapes, 0.05)) if few and hits > draws / 2 else None,
        at_most=float(betaincinv(*shapes, 0.95)) if few and hits <= draws / 2 else None,
    )


def make_rows(
    draws: FloatArray,
    *,
    question: Question,
    estimand: Estimand,
    variable: str,
    levels: tuple[str | None, ...],
    population: str,
    scale: Literal["ratio", "probability", "currency"],
    null_value: float | None,
    prob: float,
) -> list[ReturnEffect]:
    """Return a row for each column of draws (draws, levels)."""
    count = len(draws)
    tail = (1 - prob) / 2
    low, middle, high = np.quantile(draws, [tail, 0.5, 1 - tail], axis=0)
    error = MEDIAN_ERROR * draws.std(axis=0) / sqrt(count)
    above = None if null_value is None else (draws > null_value).sum(axis=0)
    return [
        ReturnEffect(
            id=name_row(question, estimand, variable, level),
            question=question,
            estimand=estimand,
            variable=variable,
            level=level,
            population=population,
            scale=scale,
            null_value=null_value,
            estimate=float(middle[i]),
            lower=float(low[i]),
            upper=float(high[i]),
            prob=prob,
            probability=None if above is None else count_probability(int(above[i]), count).value,
            mcse=float(error[i]),
            ess_bulk=float(count),
            ess_tail=float(count),
        )
        for i, level in enumerate(levels)
    ]


def make_value_rows(
    values: FloatArray,
    errors: FloatArray,
    *,
    draws: int,
    estimand: Estimand,
    levels: tuple[str, ...],
    population: str,
    scale: Literal["probability", "currency"],
    prob: float,
) -> list[ReturnEffect]:
    """Return rows of posterior expectations (a probability, an expected loss), which have an error but no interval."""
    return [
        ReturnEffect(
            id=name_row("returns", estimand, "influencer", level),
            question="returns",
            estimand=estimand,
            variable="influencer",
            level=level,
            population=population,
            scale=scale,
            null_value=None,
            estimate=float(values[i]),
            lower=float("nan"),
            upper=float("nan"),
            prob=prob,
            probability=float(values[i]) if scale == "probability" else None,
            mcse=float(errors[i]),
            ess_bulk=float(draws),
            ess_tail=float(draws),
        )
        for i, level in enumerate(levels)
    ]
