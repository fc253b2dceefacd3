"""What to buy: whole posts per option under a budget, stock and limits, by a mixed-integer program.

Takes draws of what a post of each option brings, fees and limits; gives the plan with what binds it and how sure it is.
Returns are linear in posts, so without limits the plan is a corner; the same input has one plan, whatever the start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import floor

import numpy as np

from influbayes.decisions.options import Options
from influbayes.decisions.premium import find_worths
from influbayes.effects.estimands import Probability, estimate_probability
from influbayes.errors import UsageError
from influbayes.hierarchy.design import FloatArray

SCENARIOS = 400
"""Draws the risk measure is taken over while planning; probabilities of the finished plan use all of them."""

TAIL = 0.1
"""CVaR is the mean of the worst tenth of the draws."""

MOST_POSTS = 10_000_000
TIME_LIMIT_SECONDS = 60.0
MUCH_MORE = 5.0
_TIE = 1e-9
_SLACK = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one option: at least `least`, at most `most` posts (None: no limit)."""

    least: int = 0
    most: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One option of a plan. `marks` says in words where its rate may be too good to be true."""

    label: str
    posts: int
    fee: float
    cost: float
    conversions: float
    worth: float
    observed_posts: int
    capped: bool
    marks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A limit that holds the plan back: how much the objective gains when it is loosened by `step`."""

    limit: str
    label: str | None
    step: float
    gain: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Whole posts per option.

    `unit` is "currency" (net value), "conversions" or "purchases"; `mean`, `cvar` and the interval `lower` to `upper`
    of the whole plan are in it; `objective` = (1 - risk) x mean + risk x cvar. `beats_last` is P(more than the last
    plan), `reaches_target` P(conversions realised >= target), both None unless asked. `gap` is 0 where the optimum is
    proven.
    """

    lines: tuple[Line, ...]
    unit: str
    risk: float
    budget: float
    spent: float
    objective: float
    mean: float
    cvar: float
    lower: float
    upper: float
    conversions: float
    bindings: tuple[Binding, ...]
    beats_last: Probability | None
    reaches_target: float | None
    gap: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Problem:
    """The program: gains (scenario, option), their mean over all draws, fees, bounds."""

    gains: FloatArray
    mean: FloatArray
    fees: FloatArray
    least: FloatArray
    most: FloatArray
    budget: float
    risk: float


def plan_posts(
    options: Options,
    budget: float,
    *,
    limits: Mapping[str, Limits] | None = None,
    risk: float = 0.0,
    min_posts: int = 0,
    last: Mapping[str, int] | None = None,
    target: float | None = None,
    prob: float = 0.9,
    seed: int = 20260101,
) -> Plan:
    """Return the whole posts per option with the highest expected worth, or the best tail, within the budget.

    Parameters
    ----------
    options : Options
        With fees. With values of a conversion the plan maximises net value, without them conversions.
    budget : float
        Most money to spend; it need not be spent.
    limits : mapping, optional
        Label -> `Limits`.
    risk : float
        0 maximises the mean, 1 the mean of the worst tenth of the draws (CVaR), in between their mix.
    min_posts : int
        Options with fewer posts than this in the table get at most that many posts.
    last : mapping, optional
        Label -> posts of the last plan, to compare with; labels left out are 0.
    target : float, optional
        Conversions to reach.
    prob : float
        Mass of the interval.
    seed : int
        Of the realised conversions behind `reaches_target`.

    Returns
    -------
    Plan

    Raises
    ------
    UsageError
        No fees, a fee of 0 with no limit, unknown labels, bounds that cross, a budget that the minima exceed.
    """
    fees = _require_fees(options)
    if not (np.isfinite(budget) and budget >= 0):
        raise UsageError(f"--budget {budget:g}: give an amount of 0 or more.")
    if not 0 <= risk <= 1:
        raise UsageError(f"--risk {risk:g}: 0 is the mean, 1 the worst tenth; give a number between.")
    unit, gains = _find_gains(options)
    least, most, capped = _find_bounds(options, budget, dict(limits or {}), min_posts)
    flat = gains.reshape(-1, gains.shape[-1])
    problem = _Problem(
        gains=_thin(flat), mean=flat.mean(axis=0), fees=fees, least=least, most=most, budget=budget, risk=risk
    )
    posts, gap = _solve(problem)
    total = gains @ posts
    low, high = np.quantile(total, [(1 - prob) / 2, (1 + prob) / 2])
    return Plan(
        lines=_write_lines(options, posts, problem.mean, capped),
        unit=unit,
        risk=risk,
        budget=budget,
        spent=float(fees @ posts),
        objective=_score(problem, posts),
        mean=float(total.mean()),
        cvar=find_cvar(total.reshape(-1)),
        lower=float(low),
        upper=float(high),
        conversions=float((options.rates @ posts).mean()),
        bindings=_find_bindings(options, problem, posts),
        beats_last=None if last is None else _compare_last(options, gains, posts, last),
        reaches_target=None if target is None else _reach(options, posts, target, seed),
        gap=gap,
    )


def find_cvar(draws: FloatArray) -> float:
    """Return the mean of the worst tenth of the draws (draw,), the last one counted in part."""
    ordered = np.sort(draws)
    size = TAIL * len(ordered)
    whole = floor(size)
    part = ordered[:whole].sum() + (size - whole) * ordered[min(whole, len(ordered) - 1)]
    return float(part / size)


def _require_fees(options: Options) -> FloatArray:
    if options.fees is None:
        raise UsageError("A plan needs the fee of a post of every tier and region (--fees FILE).")
    return options.fees


def _find_gains(options: Options) -> tuple[str, FloatArray]:
    if options.in_money:
        return "currency", find_worths(options)[1]
    return options.counted, options.brought


def _find_bounds(
    options: Options, budget: float, limits: dict[str, Limits], min_posts: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Least and most posts of each option, and where `min_posts` set the upper bound."""
    fees = _require_fees(options)
    for label in limits:
        options.find(label)
    least, most = np.zeros(len(options.labels)), np.zeros(len(options.labels))
    capped = np.zeros(len(options.labels))
    for k, label in enumerate(options.labels):
        bound, fee = limits.get(label, Limits()), fees[k]
        if fee <= 0 and bound.most is None:
            raise UsageError(f"{label}: the fee is 0, so nothing limits its posts. Give a fee, or a Max in --limits.")
        most[k] = floor(budget / fee + _SLACK) if fee > 0 else MOST_POSTS
        most[k] = most[k] if bound.most is None else min(most[k], bound.most)
        if options.posts[k] < min_posts and min_posts < most[k]:
            most[k], capped[k] = min_posts, 1.0
        least[k] = bound.least
        if least[k] > most[k]:
            raise UsageError(
                f"{label}: at least {bound.least:,} posts are asked for, at most {most[k]:,.0f} are possible."
            )
    needed = float(least @ fees)
    if needed > budget + _SLACK:
        raise UsageError(f"the minima alone cost {needed:,.10g}, more than the budget of {budget:,.10g}.")
    return least, most, capped


def _thin(gains: FloatArray) -> FloatArray:
    """Evenly spaced draws, at most SCENARIOS."""
    return gains[:: max(1, -(-len(gains) // SCENARIOS))]


def _solve(problem: _Problem) -> tuple[FloatArray, float]:
    """Return the whole posts (option,) of the optimum, and the proven gap."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    options = len(problem.fees)
    scenarios = len(problem.gains) if problem.risk > 0 else 0
    # Ties between equally good options go to the earlier label, so that the plan is one and the same.
    tie = _TIE * max(1.0, float(np.abs(problem.mean).max(initial=0.0))) * np.arange(options)
    cost = np.zeros(options + (1 + scenarios if scenarios else 0))
    cost[:options] = -(1 - problem.risk) * problem.mean + tie
    rows = [LinearConstraint(np.pad(problem.fees, (0, len(cost) - options))[None], -np.inf, problem.budget + _SLACK)]
    if scenarios:
        # Rockafellar and Uryasev (2000): CVaR = max t - mean shortfall below t / tail.
        cost[options], cost[options + 1 :] = -problem.risk, problem.risk / (TAIL * scenarios)
        shortfall = np.hstack([problem.gains, -np.ones((scenarios, 1)), np.eye(scenarios)])
        rows.append(LinearConstraint(csr_array(shortfall), 0, np.inf))
    lower = np.concatenate([problem.least, np.full(1 if scenarios else 0, -np.inf), np.zeros(scenarios)])
    upper = np.concatenate([problem.most, np.full(len(cost) - options, np.inf)])
    whole = np.concatenate([np.ones(options), np.zeros(len(cost) - options)])
    found = milp(
        cost,
        integrality=whole,
        bounds=Bounds(lower, upper),
        constraints=rows,
        options={"mip_rel_gap": 0.0, "time_limit": TIME_LIMIT_SECONDS},
    )
    if found.x is None:
        raise UsageError(f"no plan keeps all limits ({found.message}). Loosen --limits or raise --budget.")
    return np.round(found.x[:options]), float(found.mip_gap or 0.0)


def _score(problem: _Problem, posts: FloatArray) -> float:
    mean = float(problem.mean @ posts)
    return mean if problem.risk == 0 else (1 - problem.risk) * mean + problem.risk * find_cvar(problem.gains @ posts)


def _find_bindings(options: Options, problem: _Problem, posts: FloatArray) -> tuple[Binding, ...]:
    """Loosen each limit the plan touches, and see whether a better plan appears."""
    now, found = _score(problem, posts), []
    dearest = float(problem.fees.max(initial=0.0))
    trials: list[tuple[str, str | None, float, _Problem]] = [
        ("budget", None, dearest, replace(problem, budget=problem.budget + dearest, most=_loosen(problem)))
    ]
    for k, label in enumerate(options.labels):
        if posts[k] == problem.most[k] and (problem.fees[k] * (posts[k] + 1) <= problem.budget + _SLACK):
            trials.append(("at most", label, 1.0, replace(problem, most=_bump(problem.most, k, 1.0))))
        if posts[k] == problem.least[k] > 0:
            trials.append(("at least", label, 1.0, replace(problem, least=_bump(problem.least, k, -1.0))))
    for limit, name, step, loosened in trials:
        gain = _score(loosened, _solve(loosened)[0]) - now
        if gain > 1e-9 * max(1.0, abs(now)):
            found.append(Binding(limit=limit, label=name, step=step, gain=gain))
    return tuple(found)


def _loosen(problem: _Problem) -> FloatArray:
    """Upper bounds that came from the budget alone move with it."""
    dearest = problem.fees.max(initial=0.0)
    with np.errstate(divide="ignore"):
        reach = np.floor(problem.budget / problem.fees + _SLACK)
        further = np.floor((problem.budget + dearest) / problem.fees + _SLACK)
    return np.where((problem.most == reach) & (problem.fees > 0), further, problem.most)


def _bump(bounds: FloatArray, k: int, step: float) -> FloatArray:
    changed = bounds.copy()
    changed[k] += step
    return changed


def _write_lines(options: Options, posts: FloatArray, mean: FloatArray, capped: FloatArray) -> tuple[Line, ...]:
    fees = _require_fees(options)
    rates = options.rates.mean(axis=(0, 1))
    return tuple(
        Line(
            label=label,
            posts=int(posts[k]),
            fee=float(fees[k]),
            cost=float(fees[k] * posts[k]),
            conversions=float(rates[k] * posts[k]),
            worth=float(mean[k] * posts[k]),
            observed_posts=int(options.posts[k]),
            capped=bool(capped[k]),
            marks=_mark(options, k, posts[k]) if posts[k] > 0 else (),
        )
        for k, label in enumerate(options.labels)
    )


def _mark(options: Options, k: int, posts: float) -> tuple[str, ...]:
    """Say where a rate may be too good to be true: little seen, much bought."""
    seen = options.posts[k]
    if seen == 0:
        return ("too good to be true? no post of it was seen, so its rate rests on the model and the other cells",)
    if posts > MUCH_MORE * seen:
        return (f"too good to be true? {posts:,.0f} posts planned on the evidence of {seen:,.0f}",)
    return ()


def _compare_last(options: Options, gains: FloatArray, posts: FloatArray, last: Mapping[str, int]) -> Probability:
    before = np.zeros(len(options.labels))
    for label, count in last.items():
        before[options.find(label)] = count
    if (before == posts).all():
        return Probability(value=0.5, mcse=0.0)
    return estimate_probability(gains @ (posts - before))


def _reach(options: Options, posts: FloatArray, target: float, seed: int) -> float:
    """P(realised conversions >= target), with the luck of single posts."""
    rng = np.random.default_rng(seed)
    counts = rng.binomial(posts.astype(np.int64), np.clip(options.rates, 0, 1)).sum(axis=-1)
    return float((counts >= target).mean())
