"""Everything that can be chosen from one finished study: premium, information, tracking, and the comparisons beside it.

Takes the fits of the questions, fees and values; gives one frozen `Choices`. Knows no wording and no file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from influbayes.decisions.options import Options, ValueUnit, find_fees, gather_options
from influbayes.decisions.premium import Premium, estimate_values, find_worths, price_premium
from influbayes.decisions.regret import Information, estimate_perfect_information, value_posts
from influbayes.decisions.tracking import TippingPoint, find_tipping_point
from influbayes.decisions.values import Amounts, Source, price_amounts, summarise_amounts
from influbayes.effects.averages import Averages, average_posts, list_all_factors
from influbayes.effects.clustering import Clustering, Confidence, compare_without_creators, count_effective_posts
from influbayes.effects.equivalence import Equivalence, estimate_equivalence
from influbayes.effects.estimands import Effect
from influbayes.effects.frequentist import Frequentist, fit_frequentist
from influbayes.effects.gap import Gap, explain_gap
from influbayes.effects.model_comparison import Score
from influbayes.effects.populations import estimate_new_creators, estimate_planned_mix
from influbayes.effects.prior_predictive import PriorStatement, describe_priors
from influbayes.hierarchy.design import Design
from influbayes.hierarchy.posterior import Fit
from influbayes.hierarchy.spec import Specification
from influbayes.tables.posts import PostsTable

MORE_POSTS = 12
"""New posts of one kind whose worth is reported."""

FEE, REVENUE, PURCHASES = "Fee", "Revenue", "Purchases"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the user gave; None: nothing.

    `fees` of labels; `values` of a conversion; `per_purchase`, money per purchase where the table counts them;
    `threshold`, the bound of practical equivalence; `mix`, shares of the levels of the second factor that are planned;
    `folds` of the exact cross-validation of the shipped specifications.
    """

    fees: Mapping[str, float] | None = None
    values: float | Mapping[str, float] | None = None
    per_purchase: float | None = None
    threshold: float | None = None
    mix: Mapping[str, float] | None = None
    folds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What one study lets a buyer choose, and what was compared beside it; parts that do not apply are None or empty.

    `fees_from` says where fees came from: "given", "column" or None; `values_from` where what a conversion brings came
    from: "given", "Revenue", "Purchases" or None; `amounts` are those of the column. `levels` are the options of the
    first factor, `cells` those of tier x region (or the same levels with one factor). `comparison` is by leave-one-out,
    `cross_validated` by folds that keep creators whole.
    """

    levels: Options | None
    cells: Options | None
    fees_from: str | None
    values_from: str | None
    amounts: Amounts | None
    conversion_values: tuple[Effect, ...]
    premium: Premium | None
    information: tuple[Information, ...]
    perfect: float
    tracking: TippingPoint | None
    new_creators: tuple[Effect, ...]
    planned_mix: tuple[Effect, ...]
    mix: Mapping[str, float] | None
    clustering: Clustering | None
    confidence: tuple[Confidence, ...]
    equivalence: Mapping[str, tuple[Equivalence, ...]]
    threshold: float | None
    priors: tuple[PriorStatement, ...]
    frequentist: Mapping[str, Frequentist]
    gaps: Mapping[str, tuple[Gap, ...]]
    comparison: tuple[Score, ...]
    cross_validated: tuple[Score, ...]
    folds: int | None


def make_choices(
    fits: Sequence[Fit],
    posts: PostsTable,
    *,
    request: Request | None = None,
    prob: float = 0.9,
    seed: int = 20260101,
    without_creators: Fit | None = None,
    comparison: tuple[Score, ...] = (),
    cross_validated: tuple[Score, ...] = (),
    regressions: Mapping[str, Frequentist] | None = None,
) -> Choices:
    """Return what can be chosen from the fits of a study.

    Parameters
    ----------
    fits : sequence of Fit
        One a question; choices are made from the one as bought.
    posts : PostsTable
        The table; its columns Fee, Revenue and Purchases are used where nothing is given.
    request : Request, optional
        Fees, values, threshold and planned mix that the user gave.
    prob : float
        Mass of the intervals.
    seed : int
        Of the bootstrap of revenue.
    without_creators : Fit, optional
        The question as bought fitted without creators; by default their worth is told by the design effect.
    comparison, cross_validated : tuple of Score, optional
        Of the shipped specifications, where they were fitted.
    regressions : mapping, optional
        Question -> what `fit_regressions` gives, where they were fitted already.

    Raises
    ------
    UsageError
        The planned mix names an unknown level, or is not made of shares.
    """
    asked = request or Request()
    bought = next(fit for fit in fits if fit.design.question == "as_bought")
    levels, cells, sources, amounts = _gather(bought, posts, asked, seed)
    unit_worths = None if cells is None else find_worths(cells)[1]
    clustered = any(term.levels == "sample" for term in bought.design.factors)
    compared: Mapping[str, Frequentist] = regressions or {
        fit.design.question: fit_regressions(fit.design, posts, prob) for fit in fits
    }
    return Choices(
        levels=levels,
        cells=cells,
        fees_from=sources[0],
        values_from=sources[1],
        amounts=amounts,
        conversion_values=() if levels is None or amounts is None else estimate_values(levels, amounts, prob=prob),
        premium=None if levels is None else price_premium(levels, prob=prob),
        information=()
        if cells is None or unit_worths is None
        else value_posts(unit_worths, cells.rates, cells.labels, posts=MORE_POSTS),
        perfect=0.0 if unit_worths is None else estimate_perfect_information(unit_worths),
        tracking=None if levels is None or len(levels.labels) < 2 else find_tipping_point(levels, prob=prob),
        new_creators=estimate_new_creators(bought, prob=prob),
        planned_mix=() if asked.mix is None else estimate_planned_mix(bought, asked.mix, prob=prob),
        mix=asked.mix,
        clustering=count_effective_posts(bought) if clustered else None,
        confidence=compare_without_creators(bought, without_creators) if clustered else (),
        equivalence={}
        if asked.threshold is None
        else {fit.design.question: estimate_equivalence(fit, threshold=asked.threshold) for fit in fits},
        threshold=asked.threshold,
        priors=describe_priors(bought.design.specification, prob=prob, seed=seed),
        frequentist=compared,
        gaps={fit.design.question: explain_gap(fit, compared[fit.design.question]) for fit in fits},
        comparison=comparison,
        cross_validated=cross_validated,
        folds=asked.folds,
    )


def leave_out_samples(spec: Specification) -> Specification:
    """Return the specification without the factors whose levels are drawn from a population."""
    return replace(spec, factors=tuple(term for term in spec.factors if term.levels == "all"))


def _gather(
    fit: Fit, posts: PostsTable, asked: Request, seed: int
) -> tuple[Options | None, Options | None, tuple[str | None, str | None], Amounts | None]:
    """Return the options by level and by cell, where fees and values came from, and the amounts of a column."""
    factors = list_all_factors(fit.design)
    if not factors:
        return None, None, (None, None), None
    fees, fees_from = _find_fees(fit, posts, asked)
    averages = average_posts(fit)
    values, values_from, amounts = _find_values(averages, posts, factors[0], asked, seed)
    unit: ValueUnit = "money" if amounts is None or amounts.price is not None else "purchases"
    by_level = _sum_up(fees, fit, factors)
    levels = gather_options(fit, factors[0], fees=by_level, values=values, unit=unit, averages=averages)
    cells = levels
    if len(factors) > 1:
        cells = gather_options(fit, ":".join(factors[:2]), fees=fees, values=values, unit=unit, averages=averages)
    return levels, cells, (fees_from, values_from), amounts


def _find_fees(fit: Fit, posts: PostsTable, asked: Request) -> tuple[Mapping[str, float] | None, str | None]:
    """Fees given, or the means of the column Fee where every level has paid posts."""
    if asked.fees is not None:
        return asked.fees, "given"
    if FEE not in posts.frame:
        return None, None
    factors = list_all_factors(fit.design)[:2]
    amounts = posts.frame.set_index("line")[FEE].reindex(fit.design.lines).to_numpy(np.float64)
    codes = {name: fit.design.rows.codes[name] for name in factors}
    found = find_fees(amounts, codes, {name: fit.design.levels[name] for name in factors})
    missing = [level for level in fit.design.levels[factors[0]] if not found.get(level, 0) > 0]
    return (None, None) if missing else (found, "column")


def _sum_up(fees: Mapping[str, float] | None, fit: Fit, factors: Sequence[str]) -> Mapping[str, float] | None:
    """Add the fee of a level that was given by cell only: the mean over its posts."""
    if fees is None or len(factors) < 2:
        return fees
    first, second = factors[:2]
    found = dict(fees)
    for i, one in enumerate(fit.design.levels[first]):
        cells = [f"{one}:{two}" for two in fit.design.levels[second]]
        if one not in found and all(cell in fees for cell in cells):
            own = fit.design.rows.codes[second][fit.design.rows.codes[first] == i]
            counts = np.bincount(own, minlength=len(cells)).astype(np.float64)
            found[one] = float(np.average([fees[cell] for cell in cells], weights=counts if counts.sum() else None))
    return found


def _find_values(
    averages: Averages, posts: PostsTable, factor: str, asked: Request, seed: int
) -> tuple[Any, str | None, Amounts | None]:
    """Values given, or the mean of Revenue, else of Purchases, over the converting posts of each level."""
    if asked.values is not None:
        return asked.values, "given", None
    amounts = find_amounts(
        posts, factor, averages.population.fit.design.levels[factor], per_purchase=asked.per_purchase
    )
    if amounts is None:
        return None, None, None
    shape: tuple[int, int] = averages.overall.shape[0], averages.overall.shape[1]
    return price_amounts(amounts, shape=shape, seed=seed), amounts.source, amounts


def find_amounts(
    posts: PostsTable, factor: str, levels: Sequence[str], *, per_purchase: float | None = None
) -> Amounts | None:
    """Return the amounts of converting posts by level: Revenue where the table has it, else Purchases; else None."""
    for source, price in ((REVENUE, 1.0), (PURCHASES, per_purchase)):
        if source in posts.frame:
            bought = posts.frame[(posts.frame["conversions"] > 0) & posts.frame[source].notna()]
            # Where a row holds many trials its amount is that of all its conversions together.
            each = (bought[source] / bought["conversions"]).to_numpy(np.float64)
            name: Source = "Revenue" if source == REVENUE else "Purchases"
            return summarise_amounts(each, bought[factor].tolist(), levels, source=name, price=price)
    return None


def fit_regressions(design: Design, posts: PostsTable, prob: float) -> Frequentist:
    """Return the regressions of a design, with errors clustered by the creators of the table where it has them."""
    return fit_frequentist(design, prob=prob, creators=_find_creators(posts, design))


def _find_creators(posts: PostsTable, design: Design) -> npt.NDArray[Any] | None:
    """Creator of every row in the design's order, where the table has creators and the model does not."""
    if "Creator_ID" not in posts.frame or "Creator_ID" in design.levels:
        return None
    return np.asarray(posts.frame.set_index("line")["Creator_ID"].reindex(design.lines).to_numpy())
