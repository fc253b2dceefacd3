"""What a level may cost: the premium it is worth over another, the break-even premium, and the best buy of all.

Takes `Options`; gives curves, intervals and probabilities. With money per post, without in multiples of the
other's fee. Knows no wording.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np

from influbayes.decisions.options import Options
from influbayes.decisions.regret import Regret, estimate_perfect_information, estimate_regret
from influbayes.decisions.values import Amounts
from influbayes.effects.estimands import (
    Effect,
    Estimand,
    Probability,
    Quantity,
    Scale,
    check_prob,
    estimate_probability,
    estimate_rows,
)
from influbayes.errors import UsageError
from influbayes.hierarchy.design import FloatArray

POINTS = 81
_TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class PairPremium:
    """What `level` may cost over `reference`.

    With values of a conversion `break_even` is the extra money per post at which both are worth the same; without, the
    multiple of the fee of `reference`. `asked` is the premium the fees ask (None without fees), `worth_it` the
    probability that `level` is worth it. `premiums` and `probabilities` (points,) are the curve
    P(`level` is worth the premium). `turning` (with one value for all levels, and fees) is how many times as much a
    conversion of the side behind must be worth to turn the answer: its median is where P = 0.5.
    """

    level: str
    reference: str
    break_even: Effect
    asked: float | None
    worth_it: Probability | None
    premiums: FloatArray
    probabilities: FloatArray
    turning: Effect | None = None
    turning_side: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Premium:
    """Every pair, and the best buy of all.

    `unit` is "currency" (net value per post), "value per post", "conversions per fee unit" or "conversions" by what is
    known, with purchases instead of conversions where they are. `worths` are rows, one an option, in that unit;
    `regrets` the expected loss of choosing it now; `perfect_information` what knowing every rate would be worth per
    post bought.
    """

    variable: str
    unit: str
    pairs: tuple[PairPremium, ...]
    worths: tuple[Effect, ...]
    regrets: tuple[Regret, ...]
    perfect_information: float
    single_value: bool


def price_premium(
    options: Options, pairs: Sequence[tuple[str, str]] | None = None, *, prob: float = 0.9, points: int = POINTS
) -> Premium:
    """Return the premium each option is worth over each other, as a curve and as a break-even point.

    With values of a conversion, a premium p is worth paying where value x rate - value' x rate' > p, in money per post.
    Without, a post of `level` is worth m times the fee of `reference` where rate / rate' > m.

    Parameters
    ----------
    options : Options
        From `gather_options`.
    pairs : sequence of (level, reference), optional
        By default every ordered pair.
    prob : float
        Mass of the intervals, between 0 and 1.
    points : int
        Points of each curve.

    Returns
    -------
    Premium

    Raises
    ------
    UsageError
        Unknown labels, or `prob` outside 0 to 1.
    """
    check_prob(prob)
    chosen = list(permutations(options.labels, 2)) if pairs is None else list(pairs)
    unit, worths = find_worths(options)
    return Premium(
        variable=options.variable,
        unit=unit,
        pairs=tuple(_price_pair(options, level, reference, prob, points) for level, reference in chosen),
        worths=estimate_rows(_label_worths(options, unit, worths), "as_bought", prob=prob),
        regrets=estimate_regret(worths, options.labels),
        perfect_information=estimate_perfect_information(worths),
        single_value=options.single_value,
    )


def find_worths(options: Options) -> tuple[str, FloatArray]:
    """Return the unit and draws (chain, draw, option) of what a post of each option is worth, by what is known."""
    fees, brought = options.fees, options.brought
    if options.has_money:
        return ("value per post", brought) if fees is None else ("currency", brought - fees)
    if fees is not None:
        free = [label for label, fee in zip(options.labels, fees, strict=True) if fee <= 0]
        if free:
            raise UsageError(f"the fee of {', '.join(free)} is 0: {options.counted} per fee unit are not defined.")
        return f"{options.counted} per fee unit", brought / fees
    return options.counted, brought


def find_break_even(options: Options, level: str, reference: str) -> FloatArray:
    """Return draws (chain, draw) of the break-even premium of `level` over `reference`; see `PairPremium`."""
    k, other = options.find(level), options.find(reference)
    if k == other:
        raise UsageError(f"{level!r} cannot be compared with itself.")
    mine, theirs = options.brought[..., k], options.brought[..., other]
    return np.asarray(mine - theirs if options.has_money else mine / np.maximum(theirs, _TINY))


def draw_curve(break_even: FloatArray, premiums: FloatArray) -> FloatArray:
    """Return P(break-even > premium) at each premium (points,); ties count half."""
    flat = np.sort(break_even, axis=None)
    above = flat.size - np.searchsorted(flat, premiums, side="right")
    ties = np.searchsorted(flat, premiums, side="right") - np.searchsorted(flat, premiums, side="left")
    return np.asarray((above + 0.5 * ties) / flat.size)


def _price_pair(options: Options, level: str, reference: str, prob: float, points: int) -> PairPremium:
    draws = find_break_even(options, level, reference)
    asked = _find_asked(options, level, reference)
    grid = _lay_grid(draws, asked, points)
    money = options.has_money
    row = Quantity(
        estimand="break_even_premium" if money else "break_even_ratio",
        variable=options.variable,
        level=level,
        reference=reference,
        population=options.population,
        held="value of a conversion as stated" if money else f"{options.counted} of both worth the same",
        scale="currency" if money else "odds",
        null_value=0.0 if money else 1.0,
        draws=draws if money else np.log(np.maximum(draws, _TINY)),
    )
    (effect,) = estimate_rows([row], "as_bought", prob=prob)
    if not money:
        # Rows on the odds scale are summarised from logarithms, as a ratio must be; its scale is a plain ratio.
        effect = replace(effect, scale="ratio")
    side, turning = _find_turning(options, level, reference, prob)
    return PairPremium(
        level=level,
        reference=reference,
        break_even=effect,
        asked=asked,
        worth_it=None if asked is None else estimate_probability(draws - asked),
        premiums=grid,
        probabilities=draw_curve(draws, grid),
        turning=turning,
        turning_side=side,
    )


def _find_asked(options: Options, level: str, reference: str) -> float | None:
    if options.fees is None:
        return None
    mine, theirs = options.fees[options.find(level)], options.fees[options.find(reference)]
    if options.has_money:
        return float(mine - theirs)
    return float(mine / theirs) if theirs > 0 else None


def _lay_grid(draws: FloatArray, asked: float | None, points: int) -> FloatArray:
    low, high = np.quantile(draws, [0.005, 0.995])
    reach = high - low
    # A premium asked far from the curve would squeeze it into a line; there the probability is 0 or 1 anyway.
    if asked is not None and low - reach <= asked <= high + reach:
        low, high = min(low, asked), max(high, asked)
    return np.linspace(low, high, points)


def _find_turning(options: Options, level: str, reference: str, prob: float) -> tuple[str | None, Effect | None]:
    """How many times as much a conversion of the side behind must be worth, for both to be as good a buy."""
    if not (options.in_money and options.single_value) or options.fees is None or options.values is None:
        return None, None
    net = find_worths(options)[1]
    k, other = options.find(level), options.find(reference)
    ahead, behind = (k, other) if np.median(net[..., k] - net[..., other]) >= 0 else (other, k)
    gross = options.rates[..., behind] * options.values[..., behind]
    factor = (net[..., ahead] + options.fees[behind]) / np.maximum(gross, _TINY)
    row = Quantity(
        estimand="turning_value",
        variable=options.variable,
        level=options.labels[behind],
        reference=options.labels[ahead],
        population=options.population,
        held="the other's value of a conversion and both fees as given",
        scale="ratio",
        null_value=None,
        draws=np.asarray(factor),
    )
    (effect,) = estimate_rows([row], "as_bought", prob=prob)
    return options.labels[behind], effect


def estimate_values(options: Options, amounts: Amounts, *, prob: float = 0.9) -> tuple[Effect, ...]:
    """Return what a conversion of each level brings, from a column of the table: one row a level."""
    if options.values is None:
        return ()
    rows = [
        Quantity(
            estimand="value_per_conversion",
            variable=options.variable,
            level=label,
            population=f"the {posts:,} converting posts of {label} with {amounts.source}, partially pooled",
            held="nothing; posts are taken as independent",
            scale="currency" if options.has_money else "ratio",
            null_value=None,
            draws=options.values[..., options.find(label)],
        )
        for label, posts in zip(amounts.labels, amounts.posts, strict=True)
    ]
    return estimate_rows(rows, "as_bought", prob=prob)


_WORTHS: dict[str, tuple[Estimand, str]] = {
    "currency": ("net_value", "value of a conversion and fee as stated"),
    "value per post": ("net_value", "value of a conversion as stated; no fees"),
    "conversions per fee unit": ("conversions_per_fee", "fees as given"),
    "conversions": ("expected_value", "nothing but the rate"),
    "purchases per fee unit": ("purchases_per_fee", "fees as given; purchases per conversion from the table"),
    "purchases": ("purchases_per_post", "purchases per conversion from the table"),
}


_SCALES: dict[str, Scale] = {"currency": "currency", "value per post": "currency", "conversions": "probability"}


def _label_worths(options: Options, unit: str, worths: FloatArray) -> list[Quantity]:
    estimand, held = _WORTHS[unit]
    return [
        Quantity(
            estimand=estimand,
            variable=options.variable,
            level=label,
            population=options.population,
            held=held,
            scale=_SCALES.get(unit, "ratio"),
            null_value=0.0 if unit == "currency" else None,
            draws=worths[..., k],
        )
        for k, label in enumerate(options.labels)
    ]
