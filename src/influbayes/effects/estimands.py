"""The one table of estimates: what every row says, and how draws become a row.

An `Effect` names its estimand, population, held values and scale, so that no number stands without its meaning. Takes
draws (chain, draw) with their labels; knows no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import betaincinv

from influbayes.errors import UsageError
from influbayes.hierarchy.design import FloatArray
from influbayes.hierarchy.spec import Question
from influbayes.inference.convergence import Summaries, estimate_ess_bulk, estimate_ess_mean, summarise_quantities

Estimand = Literal[
    "odds_ratio",
    "average_odds_ratio",
    "difference",
    "lift",
    "expected_value",
    "rank",
    "probability_best",
    "break_even_premium",
    "break_even_ratio",
    "turning_value",
    "net_value",
    "conversions_per_fee",
    "purchases_per_fee",
    "purchases_per_post",
    "value_per_conversion",
    "tipping_point",
]
Scale = Literal["odds", "probability", "per_100_posts", "currency", "ratio"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One quantity: median, equal-tailed interval, Monte Carlo error of the median, ESS and R-hat."""

    estimate: float
    lower: float
    upper: float
    mcse: float
    ess_bulk: float
    ess_tail: float
    rhat: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A row before it is summarised: its labels and its `draws` (chain, draw).

    Draws of a row on the odds scale are log odds (ratios). Where `null_value` is set, the effect favours `level` in the
    draws above 0.
    """

    estimand: Estimand
    variable: str
    level: str | None = None
    reference: str | None = None
    step: float | None = None
    population: str
    held: str
    scale: Scale
    null_value: float | None
    draws: FloatArray


_FEW_DRAWS = 10
_STACKED = 256


def name_row(question: str, what: str, variable: str, *labels: str | None) -> str:
    """Return the id of an effect or a claim: QUESTION/WHAT/VARIABLE/LEVEL/REFERENCE, parts that are None left out."""
    return "/".join((question, what, variable, *(label for label in labels if label is not None)))


def summarise_draws(draws: FloatArray, *, prob: float = 0.9) -> Summary:
    """Return the median and equal-tailed interval of one quantity, with the errors of its draws.

    Parameters
    ----------
    draws : (chain, draw) array
        In the unit the summary is to have.
    prob : float
        Mass of the interval, between 0 and 1.

    Returns
    -------
    Summary
        Not-a-number throughout where a draw is not finite; R-hat also where the quantity is constant.

    Raises
    ------
    UsageError
        `prob` outside 0 to 1, or `draws` not (chain, draw).

    Notes
    -----
    Rank-normalised split R-hat, bulk and tail (5 % and 95 %) ESS: doi:10.1214/20-BA1221.

    Examples
    --------
    >>> import numpy as np
    >>> summarise_draws(np.arange(400.0).reshape(4, 100), prob=0.5).estimate
    199.5
    """
    check_prob(prob)
    _check_draws(draws)
    return list_summaries(summarise_quantities(np.asarray(draws, dtype=np.float64)[None], prob=prob))[0]


def estimate_probability(margin: FloatArray) -> Probability:
    """Return P(margin > 0), with its Monte Carlo error.

    With 10 draws or more on either side it is the share of draws (ties count half), its error that share's standard
    error with the ESS of the indicator. With fewer, k draws on the rarer side, the rarer side has the distribution
    Beta(k + 1/2, ESS - k + 1/2), ESS the bulk ESS of the margin: its mean, sd and one-sided 95 % bound are reported.

    Parameters
    ----------
    margin : (chain, draw) array
        The statement holds where it is above 0.

    Returns
    -------
    Probability
        P(margin > 0) + P(-margin > 0) = 1 exactly; not-a-number where a draw is not finite.

    Raises
    ------
    UsageError
        `margin` not (chain, draw).

    Examples
    --------
    >>> import numpy as np
    >>> estimate_probability(np.arange(-100.0, 300.0).reshape(4, 100) + 0.5).value
    0.75
    """
    _check_draws(margin)
    draws = np.asarray(margin, dtype=np.float64)
    if not np.isfinite(draws).all():
        return Probability(value=float("nan"), mcse=float("nan"))
    wins = _score_wins(draws)
    flipped = bool(wins.mean() > 0.5)
    # P + P' = 1 holds exactly because a margin and its negative are both judged from their rarer side.
    rarer, towards = (1 - wins, -draws) if flipped else (wins, draws)
    if rarer.sum() >= _FEW_DRAWS:
        return _share_of_draws(rarer, flipped)
    return _bound_rare_side(float(rarer.sum()), float(estimate_ess_bulk(towards[None])[0]), draws.size, flipped)


def estimate_shares(margins: FloatArray, ess_bulk: FloatArray) -> FloatArray:
    """Return P(margin > 0) (quantity,) for margins (quantity, chain, draw): the values of `estimate_probability`."""
    wins = _score_wins(margins).mean(axis=(1, 2))
    size = margins[0].size
    flipped = wins > 0.5
    rare = np.where(flipped, 1 - wins, wins)
    count = np.rint(2 * rare * size) / 2
    value = np.where(count >= _FEW_DRAWS, rare, _rare_share(count, ess_bulk, size))
    value[~np.isfinite(margins).all(axis=(1, 2))] = np.nan
    return np.where(flipped, 1 - value, value)


def check_prob(prob: float) -> None:
    """Raise UsageError unless `prob`, the mass of an interval, lies between 0 and 1."""
    if not 0 < prob < 1:
        raise UsageError(f"prob is the mass of the interval, between 0 and 1; found {prob!r}. Try 0.9.")


def estimate_rows(quantities: Sequence[Quantity], question: Question, *, prob: float) -> tuple[Effect, ...]:
    """Summarise `quantities` into rows of the effects table, in their order."""
    rows: dict[int, Effect] = {}
    kinds = [(one.draws.shape, one.scale == "odds") for one in quantities]
    for kind in dict.fromkeys(kinds):
        alike = [at for at, other in enumerate(kinds) if other == kind]
        for start in range(0, len(alike), _STACKED):
            places = alike[start : start + _STACKED]
            rows.update(zip(places, _estimate_block([quantities[at] for at in places], question, prob), strict=True))
    return tuple(rows[at] for at in range(len(quantities)))


def _estimate_block(quantities: list[Quantity], question: Question, prob: float) -> list[Effect]:
    """Rows of quantities of one shape and kind of scale, summarised together."""
    draws = np.stack([one.draws for one in quantities])
    table = summarise_quantities(draws, prob=prob, exponentiate=quantities[0].scale == "odds")
    shares = estimate_shares(draws, table.ess_bulk)
    summaries = list_summaries(table)
    return [
        label_row(one, question, summary, prob=prob, probability=None if one.null_value is None else float(share))
        for one, summary, share in zip(quantities, summaries, shares, strict=True)
    ]


def label_row(
    quantity: Quantity, question: Question, summary: Summary, *, prob: float, probability: float | None
) -> Effect:
    """Put the labels of `quantity` on its `summary`."""
    return Effect(
        id=name_row(question, quantity.estimand, quantity.variable, quantity.level, quantity.reference),
        question=question,
        estimand=quantity.estimand,
        variable=quantity.variable,
        level=quantity.level,
        reference=quantity.reference,
        step=quantity.step,
        population=quantity.population,
        held=quantity.held,
        scale=quantity.scale,
        null_value=quantity.null_value,
        estimate=summary.estimate,
        lower=summary.lower,
        upper=summary.upper,
        prob=prob,
        interval_kind="eti",
        probability=probability,
        mcse=summary.mcse,
        ess_bulk=summary.ess_bulk,
        ess_tail=summary.ess_tail,
        rhat=summary.rhat,
    )


def list_summaries(table: Summaries) -> list[Summary]:
    """Return one `Summary` a quantity."""
    columns = [getattr(table, name).tolist() for name in Summary.__dataclass_fields__]
    return [Summary(**dict(zip(Summary.__dataclass_fields__, row, strict=True))) for row in zip(*columns, strict=True)]


def _check_draws(draws: FloatArray) -> None:
    if np.ndim(draws) != 2:
        raise UsageError(f"draws of one quantity are (chain, draw); found an array with shape {np.shape(draws)}.")


def _score_wins(margins: FloatArray) -> FloatArray:
    """1 above zero, 1/2 at zero, 0 below."""
    return (np.sign(margins) + 1) / 2


def _share_of_draws(rarer: FloatArray, flipped: bool) -> Probability:
    share = float(rarer.mean())
    error = float(rarer.std() / np.sqrt(estimate_ess_mean(rarer[None])[0]))
    return Probability(value=1 - share if flipped else share, mcse=error)


def _rare_share(count: FloatArray, ess: FloatArray, size: int) -> FloatArray:
    """Mean of Beta(count + 1/2, ESS - count + 1/2); ESS never below the count nor above the number of draws."""
    return np.asarray((count + 0.5) / (np.clip(ess, count, size) + 1))


def _bound_rare_side(count: float, ess: float, size: int, flipped: bool) -> Probability:
    effective = float(np.clip(ess, count, size))
    first, second = count + 0.5, effective - count + 0.5
    share = first / (effective + 1)
    error = float(np.sqrt(share * (1 - share) / (effective + 2)))
    bound = float(betaincinv(first, second, 0.95))
    if flipped:
        return Probability(value=1 - share, mcse=error, at_least=1 - bound)
    return Probability(value=share, mcse=error, at_most=bound)
