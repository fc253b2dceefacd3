"""All returns of a ledger: totals, slices, posterior ROAS of influencers and groups, who to keep, incremental ROAS.

Takes a checked ledger; makes one frozen result. Words, pictures and files are made elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from influbayes.errors import UsageError
from influbayes.returns.bootstrap import MOST_WEIGHTS
from influbayes.returns.estimands import ReturnEffect, make_rows, make_value_rows
from influbayes.returns.filters import LedgerFilter, filter_ledger
from influbayes.returns.incremental import INCREMENTAL, GroupSizes, Incremental, estimate_incremental
from influbayes.returns.money import OF_INFLUENCER, Slice, Totals, code_people, sum_slices, sum_totals
from influbayes.returns.pooling import PooledReturns, pool_counts, pool_returns
from influbayes.tables.cells import BoolArray, FloatArray, IntArray
from influbayes.tables.ledger import Ledger, sum_payouts

MOST_NUMBERS = 5_000_000  # draws x influencers
FEWEST_DRAWS = 500
REACHED = "the exposed users of this ledger, had they been reached again"
SENSITIVITY = (0.5, 2.0)
CHECK_DRAWS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Heterogeneity:
    """Whether influencers differ in what they bring: draws against chance.

    `above` (influencers,) P(revenue per exposed user, or per influencer, above the influencers' mean); `apart`: whether
    any lies outside 5 to 95 %, and whether that holds when the priors of the spreads are halved and doubled (`steady`);
    `raw_sd` and `pooled_sd` are relative spreads of raw and of expected rates, with the interval of the latter.
    """

    above: FloatArray
    apart: bool
    steady: bool
    raw_sd: float
    pooled_sd: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Returns:
    """Everything the returns study estimates.

    `effects` is the one table; `payout` (influencers,) in currency; `ranked` marks influencers with ROAS defined;
    `incremental` is None where there is no control; `draws` were made, `asked` were wanted.
    """

    ledger: Ledger
    chosen: LedgerFilter
    totals: Totals
    slices: tuple[Slice, ...]
    pooled: PooledReturns
    payout: FloatArray
    ranked: BoolArray
    effects: tuple[ReturnEffect, ...]
    incremental: Incremental | None
    heterogeneity: Heterogeneity
    best: int
    prob: float
    seed: int
    draws: int
    asked: int

    @property
    def people(self) -> pd.DataFrame:
        """The influencers, in the order of the draws."""
        return self.ledger.influencers


def estimate_returns(
    ledger: Ledger,
    chosen: LedgerFilter | None = None,
    *,
    prob: float = 0.9,
    draws: int = 4000,
    best: int = 5,
    seed: int = 20260101,
    sizes: GroupSizes | None = None,
) -> Returns:
    """Estimate what influencers return and how sure that is.

    ROAS is revenue of exposed rows / payout, both of the same part of the ledger. Its posterior is that of the expected
    revenue of the users reached (given the payouts), with conversion and spend per buyer partially pooled over
    influencers. Groups are sums of their influencers' draws over sums of their payouts.

    Parameters
    ----------
    ledger : Ledger
        From `read_ledger`.
    chosen : LedgerFilter, optional
        Part of the ledger to look at.
    prob : float
        Mass of the credible intervals, 0.5 to 0.999. Default 0.9.
    draws : int
        From 500 to 100,000; fewer are made where draws x influencers would pass 5,000,000, and the result says so.
    best : int
        k of "truly among the best k". Default 5.
    seed : int
        0 or more.
    sizes : GroupSizes, optional
        Sizes of the groups where the ledger holds buyers only.

    Returns
    -------
    Returns
        Ratios in units of revenue per unit of payout; NaN where nothing was paid.

    Raises
    ------
    DataRefused
        IB-D51 or IB-D53.
    UsageError
        A number out of its range.

    Examples
    --------
    >>> returns = estimate_returns(read_ledger("campaign"))  # doctest: +SKIP
    """
    _require_settings(prob, draws, best, seed)
    chosen = chosen or LedgerFilter()
    part = filter_ledger(ledger, chosen)
    made = min(draws, max(FEWEST_DRAWS, MOST_NUMBERS // max(len(part.influencers), 1)))
    pool_rng, lift_rng, check_rng = np.random.default_rng(seed).spawn(3)
    pooled = pool_returns(part, draws=made, rng=pool_rng)
    payout = sum_payouts(part)
    ranked = payout > 0
    lift = estimate_incremental(part, sizes=sizes, draws=made, rng=lift_rng)
    effects = describe_returns(part.influencers, pooled, lift, payout, best=best, prob=prob)
    return Returns(
        ledger=part,
        chosen=chosen,
        totals=sum_totals(part),
        slices=sum_slices(part),
        pooled=pooled,
        payout=payout,
        ranked=ranked,
        effects=effects,
        incremental=lift,
        heterogeneity=judge_heterogeneity(pooled, prob=prob, rng=check_rng),
        best=best,
        prob=prob,
        seed=seed,
        draws=made,
        asked=draws,
    )


def _require_settings(prob: float, draws: int, best: int, seed: int) -> None:
    if not 0.5 <= prob <= 0.999:
        raise UsageError(f"--prob {prob:g}: the mass of an interval lies between 0.5 and 0.999; 0.9 is the default.")
    if not FEWEST_DRAWS <= draws <= 100_000:
        raise UsageError(f"--draws {draws:,}: give {FEWEST_DRAWS} to 100,000.")
    if best < 1 or seed < 0:
        raise UsageError("--best is 1 or more, and --seed a whole number from 0.")


def describe_returns(
    people: pd.DataFrame,
    pooled: PooledReturns,
    lift: Incremental | None,
    payout: FloatArray,
    *,
    best: int,
    prob: float,
) -> tuple[ReturnEffect, ...]:
    """Return the effects table of returns: ROAS of groups, influencers and who to keep, incremental ROAS.

    `people` is the frame of influencers, in the order of the draws; `payout` (influencers,) in currency.
    """
    return (
        *_describe_groups(people, pooled.revenue, payout, prob),
        *_describe_influencers(people, pooled.revenue, payout, best, prob),
        *(_describe_incremental(people, lift, payout, prob) if lift else []),
    )


def _describe_groups(people: pd.DataFrame, revenue: FloatArray, payout: FloatArray, prob: float) -> list[ReturnEffect]:
    """ROAS in total and of every group of influencers, by sums."""
    rows = _ratio_rows(revenue.sum(axis=1)[:, None], payout.sum()[None], "returns", "roas", "total", (None,), prob)
    for variable in OF_INFLUENCER:
        codes, levels = code_people(people, variable)
        rows += _ratio_rows(
            sum_draws(revenue, codes, len(levels)),
            np.bincount(codes, weights=payout, minlength=len(levels)),
            "returns",
            "roas",
            variable,
            levels,
            prob,
        )
    return rows


def sum_draws(draws: FloatArray, codes: IntArray, groups: int) -> FloatArray:
    """Return (draws, groups) sums over the influencers of each group."""
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(groups))
    return np.asarray(np.add.reduceat(draws[:, order], starts, axis=1), dtype=np.float64)


def _ratio_rows(
    revenue: FloatArray,
    payout: FloatArray,
    question: str,
    estimand: str,
    variable: str,
    levels: tuple[str | None, ...],
    prob: float,
) -> list[ReturnEffect]:
    """Return the rows of ratios to payout; levels that were paid nothing have none."""
    paid = payout > 0
    kept = tuple(level for level, there in zip(levels, paid, strict=True) if there)
    if not kept:
        return []
    return make_rows(
        revenue[:, paid] / payout[paid],
        question=question,  # type: ignore[arg-type]  # the two callers name the two questions
        estimand=estimand,  # type: ignore[arg-type]
        variable=variable,
        levels=kept,
        population=REACHED,
        scale="ratio",
        null_value=1.0,
        prob=prob,
    )


def _describe_influencers(
    people: pd.DataFrame, revenue: FloatArray, payout: FloatArray, best: int, prob: float
) -> list[ReturnEffect]:
    """Expected revenue, place among the best, and what keeping or dropping is expected to cost."""
    ids, ranked = tuple(people["id"].astype(str)), payout > 0
    rows = make_rows(
        revenue,
        question="returns",
        estimand="expected_value",
        variable="influencer",
        levels=ids,
        population=REACHED,
        scale="currency",
        null_value=None,
        prob=prob,
    )
    kept = tuple(name for name, there in zip(ids, ranked, strict=True) if there)
    if not kept:
        return rows
    paid = payout[ranked]
    net = revenue[:, ranked] - paid
    count = len(revenue)
    chance = find_best(revenue[:, ranked] / paid, best)
    tables = (
        ("probability_best", "probability", chance, np.sqrt(chance * (1 - chance) / count)),
        ("expected_loss_keeping", "currency", *_average(np.maximum(-net, 0))),
        ("expected_loss_dropping", "currency", *_average(np.maximum(net, 0))),
    )
    for estimand, scale, values, errors in tables:
        rows += make_value_rows(
            values,
            errors,
            draws=count,
            estimand=estimand,  # type: ignore[arg-type]  # literal above
            levels=kept,
            population=REACHED,
            scale=scale,  # type: ignore[arg-type]
            prob=prob,
        )
    return rows


def _average(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    return values.mean(axis=0), values.std(axis=0) / np.sqrt(len(values))


def find_best(ratios: FloatArray, best: int) -> FloatArray:
    """Return (influencers,) the share of draws (draws, influencers) in which each is among the `best` highest."""
    count = ratios.shape[1]
    if best >= count:
        return np.ones(count)
    top = np.argpartition(-ratios, best - 1, axis=1)[:, :best]
    return np.bincount(top.ravel(), minlength=count) / len(ratios)


def _describe_incremental(
    people: pd.DataFrame, lift: Incremental, payout: FloatArray, prob: float
) -> list[ReturnEffect]:
    """Incremental ROAS in total and, where groups are known in full, of every group of influencers."""
    total = lift.total[:, None]
    rows = _ratio_rows(total, payout.sum()[None], "incremental", "incremental_roas", "total", (None,), prob)
    if lift.influencers is None or lift.label != INCREMENTAL:
        return rows
    for variable in OF_INFLUENCER:
        codes, levels = code_people(people, variable)
        paid = np.bincount(codes, weights=payout, minlength=len(levels))
        summed = sum_draws(lift.influencers, codes, len(levels))
        rows += _ratio_rows(summed, paid, "incremental", "incremental_roas", variable, levels, prob)
    return rows


def judge_heterogeneity(
    pooled: PooledReturns, *, prob: float, rng: np.random.Generator, most_weights: int = MOST_WEIGHTS
) -> Heterogeneity:
    """Return whether what influencers bring differs by more than chance, under the stated and under other priors."""
    above = find_above(pooled.rate)
    apart = is_apart(above)
    draws = min(len(pooled.rate), CHECK_DRAWS)
    others = [is_apart(find_above(_pool_again(pooled, draws, rng, factor, most_weights))) for factor in SENSITIVITY]
    spread = pooled.rate.std(axis=1) / pooled.rate.mean(axis=1)
    raw = pooled.raw_rate[np.isfinite(pooled.raw_rate)]
    tail = (1 - prob) / 2
    low, middle, high = np.quantile(spread, [tail, 0.5, 1 - tail])
    return Heterogeneity(
        above=above,
        apart=apart,
        steady=all(other == apart for other in others),
        raw_sd=float(raw.std() / raw.mean()) if raw.size and raw.mean() > 0 else float("nan"),
        pooled_sd=float(middle),
        lower=float(low),
        upper=float(high),
    )


def _pool_again(
    pooled: PooledReturns, draws: int, rng: np.random.Generator, factor: float, most_weights: int
) -> FloatArray:
    """Return rates (draws, influencers) of the same counts under other priors of the spreads."""
    again = pool_counts(
        pooled.counts,
        buyers_only=pooled.buyers_only,
        draws=draws,
        rng=rng,
        prior_factor=factor,
        most_weights=most_weights,
    )
    return again.rate


def find_above(rate: FloatArray) -> FloatArray:
    """Return (influencers,) P(rate above the mean of all influencers), from draws (draws, influencers)."""
    return np.asarray((rate > rate.mean(axis=1, keepdims=True)).mean(axis=0), dtype=np.float64)


def is_apart(above: FloatArray) -> bool:
    """Return whether any influencer is above or below the mean with a probability of 95 % or more."""
    return bool(((above >= 0.95) | (above <= 0.05)).any())
