"""The one table of estimates: what every row says, and how draws become a row.

An `Effect` names its estimand, population, held values and scale, so that no number stands without its meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from influbayes.hierarchy.design import FloatArray
from influbayes.hierarchy.spec import Question

Estimand = Literal[
    "odds_ratio", "average_odds_ratio", "difference", "lift", "expected_value", "rank", "probability_best"
]
Scale = Literal["odds", "probability", "per_100_posts", "currency"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One row of the effects table (the columns of results.json).

    `estimate` is the posterior median, `lower` and `upper` the equal-tailed interval of probability `prob`;
    `probability` = P(effect > null), the probability that the effect favours `level` (None where the row has no null);
    `mcse` is the Monte Carlo standard error of `estimate`. R-hat and ESS are those of the continuous quantity the row
    is cut from (log odds for odds ratios). Cells: variable "A:B", level "a:b".
    """

    id: str
    question: Question
    estimand: Estimand
    variable: str
    level: str | None
    reference: str | None
    step: float | None
    population: str
    held: str
    scale: Scale
    null_value: float | None
    estimate: float
    lower: float
    upper: float
    prob: float
    interval_kind: Literal["eti", "hdi", "confidence"]
    probability: float | None
    mcse: float | None
    ess_bulk: float | None
    ess_tail: float | None
    rhat: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A statement that may be made: it holds in the draws where `margin` (chain, draw) is above 0.

    kinds: `beats` (level against reference; as_bought on the difference of expected values, engagement_constant on the
    log odds ratio), `step` (a report_step of a numeric raises the odds), `best` (level above every other level).
    `effects` are the ids of the rows a sentence about it quotes.
    """

    id: str
    kind: Literal["beats", "step", "best"]
    question: Question
    variable: str
    level: str | None
    reference: str | None
    step: float | None
    effects: tuple[str, ...]
    margin: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Probability:
    """P(margin > 0) from draws, with its Monte Carlo standard error.

    With fewer than 10 draws on one side `value` and the one-sided 95 % bound `at_least` / `at_most` come from
    Beta(k + 1/2, ESS - k + 1/2); otherwise the bounds are None.
    """

    value: float
    mcse: float
    at_least: float | None = None
    at_most: float | None = None
