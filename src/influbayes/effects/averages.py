"""Averaged expected values: what all posts at hand would convert if each were set to a level, a cell, or one step up.

Takes a Fit, returns draws (chain, draw); knows no estimand and no words but the population averaged over. All
counterfactual levels and cells come out of one pass over the rows: setting labels shifts the linear predictor of every
post of one profile (its levels of the `all` factors) by the same amount, which is taken from `predict` itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy.special import expit

from influbayes.hierarchy.design import Design, FloatArray, IntArray, ModelRows, shift_numeric, stretch
from influbayes.hierarchy.posterior import Fit
from influbayes.hierarchy.predict import LARGEST, expected_value, iterate_rows

LEAST_DRAWS = 2_000
_CACHED = 32_768
_LARGEST_EXPONENT = 300.0

Profile = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """The posts averaged over: distinct rows with the number of trials each stands for, and the draws used.

    `fit` has every draw, or every n-th where rows x draws would be above 10^7; `words` says which posts and draws.
    """

    fit: Fit
    rows: ModelRows
    weights: FloatArray
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Averages:
    """Expected values averaged over the posts at hand, as probabilities 0 to 1.

    `overall` (chain, draw); `levels` factor -> (chain, draw, level), every post set to that level; `steps`
    numeric -> (chain, draw), every post one step up; `cells` (chain, draw, level of A, level of B) for the first two
    `all` factors, named in `crossed` (None with fewer than two).
    """

    population: Population
    overall: FloatArray
    levels: Mapping[str, FloatArray]
    steps: Mapping[str, FloatArray]
    crossed: tuple[str, str] | None
    cells: FloatArray | None


def average_posts(fit: Fit) -> Averages:
    """Average expected values over the posts at hand: as they are, by level and by cell of the `all` factors."""
    population = _gather_population(fit)
    factors = list_all_factors(fit.design)
    sums = _Sums(fit.design, factors, population.fit.draws["intercept"].shape)
    profiles, own = _list_profiles(population.rows, factors)
    shifts = _Shifts(population.fit, factors)
    sums.steps.update({column: np.zeros_like(sums.overall) for column in shifts.steps})
    for part, eta in iterate_rows(population.fit, population.rows):
        for number in np.unique(own[part]):
            inside = np.flatnonzero(own[part] == number)
            _add_posts(sums, profiles[number], eta[inside], population.weights[part][inside], shifts)
    return sums.divide(population)


def average_own_posts(population: Population, factor: str) -> FloatArray:
    """Return the expected value (chain, draw, level) of each level of `factor` averaged over its own posts."""
    return expected_value(population.fit, population.rows, by=population.rows.codes[factor], weights=population.weights)


def find_step(design: Design, column: str) -> float:
    """Return the step reported for a numeric: `report_step`, else one sd of the raw column (1 if not transformed)."""
    k = design.numeric_names.index(column)
    term = design.numerics[k]
    if term.report_step is not None:
        return float(term.report_step)
    return 1.0 if term.transform == "none" else float(design.rows.raw[:, k].std())


def find_step_log_odds_ratio(fit: Fit, column: str, step: float) -> FloatArray:
    """Return draws (chain, draw) of the log odds ratio of a step, for a logarithm from the mean of the raw column."""
    k = fit.design.numeric_names.index(column)
    scaler, baseline = fit.design.scalers[k], find_baseline(fit.design, column)
    low, high = stretch(np.array([baseline, baseline + step]), scaler.transform)
    return np.asarray(fit.draws["slope"][..., k] * ((high - low) / scaler.scale))


def find_baseline(design: Design, column: str) -> float:
    """Return the mean of the raw column where the transform bends, else 0 (any start gives the same ratio)."""
    return float(design.rows.raw[:, design.numeric_names.index(column)].mean()) if bends(design, column) else 0.0


def bends(design: Design, column: str) -> bool:
    """Tell whether the same step is worth more or less elsewhere on the column's scale."""
    return design.scalers[design.numeric_names.index(column)].transform == "log1p_standardise"


def list_all_factors(design: Design) -> tuple[str, ...]:
    """Return the factors whose levels are all there are, in the order of the specification."""
    return tuple(term.column for term in design.factors if term.levels == "all")


def _average_step(population: Population, column: str) -> FloatArray:
    """Expected value (chain, draw) over all posts with `column` one step up, for a transform that bends."""
    design = population.fit.design
    rows = shift_numeric(design, population.rows, column, find_step(design, column))
    everyone = np.zeros(len(rows), dtype=np.int64)
    return expected_value(population.fit, rows, by=everyone, weights=population.weights)[..., 0]


class _Shifts:
    """What moves the linear predictor of every post alike, each (draws,).

    `find` gives the effect of a profile, up to a constant that differences cancel; `steps` the effect of one step of
    each numeric whose transform does not bend.
    """

    def __init__(self, fit: Fit, factors: tuple[str, ...]) -> None:
        self._fit, self._factors, self._known = fit, factors, dict[Profile, FloatArray]()
        self.steps = {
            column: find_step_log_odds_ratio(fit, column, find_step(fit.design, column)).reshape(-1)
            for column in fit.design.numeric_names
            if not bends(fit.design, column)
        }

    def find(self, profile: Profile) -> FloatArray:
        if profile not in self._known:
            self._known[profile] = self._predict(profile)
        return self._known[profile]

    def _predict(self, profile: Profile) -> FloatArray:
        design = self._fit.design
        codes = {name: np.zeros(1, dtype=np.int64) for name in design.levels}
        codes.update({name: np.array([code]) for name, code in zip(self._factors, profile, strict=True)})
        blank = np.zeros((1, len(design.numerics)))
        ((_, eta),) = iterate_rows(self._fit, ModelRows(x=blank, raw=blank, codes=codes))
        return np.asarray(eta[0])


class _Sums:
    """Running sums of expected values (draws, ...) for the posts as they are, each level and each cell."""

    def __init__(self, design: Design, factors: tuple[str, ...], shape: tuple[int, ...]) -> None:
        self._shape, self.factors = shape, factors
        self.sizes = tuple(len(design.levels[name]) for name in factors)
        draws = int(np.prod(shape))
        self.overall = np.zeros(draws)
        self.steps: dict[str, FloatArray] = {}
        self.levels = [np.zeros((size, draws)) for size in self.sizes]
        self.cells = np.zeros((*self.sizes[:2], draws)) if len(factors) > 1 else None

    def list_targets(self, own: Profile) -> Iterator[Profile]:
        """Every profile that posts of profile `own` are set to by some level or cell, each once."""
        seen = {own}
        yield own
        crossed = product(*(range(size) for size in self.sizes[:2]))
        single = ((k, code) for k, size in enumerate(self.sizes[2:], 2) for code in range(size))
        for target in (
            *((*pair, *own[2:]) for pair in crossed),
            *((*own[:k], code, *own[k + 1 :]) for k, code in single),
        ):
            if target not in seen:
                seen.add(target)
                yield target

    def add(self, own: Profile, target: Profile, total: FloatArray) -> None:
        """Add the sum (draws,) over posts of profile `own` set to `target` wherever it counts."""
        changed = {k for k, (before, after) in enumerate(zip(own, target, strict=True)) if before != after}
        if not changed:
            self.overall += total
        for k, sums in enumerate(self.levels):
            if changed <= {k}:
                sums[target[k]] += total
        if self.cells is not None and changed <= {0, 1}:
            self.cells[target[:2]] += total

    def divide(self, population: Population) -> Averages:
        """Turn sums into means over the population."""
        mass = population.weights.sum()
        cells = None if self.cells is None else self._shape_draws(self.cells / mass)
        return Averages(
            population=population,
            overall=self._shape_draws(self.overall / mass),
            levels={name: self._shape_draws(sums / mass) for name, sums in zip(self.factors, self.levels, strict=True)},
            steps=self._complete_steps(population, mass),
            crossed=None if cells is None else (self.factors[0], self.factors[1]),
            cells=cells,
        )

    def _complete_steps(self, population: Population, mass: float) -> dict[str, FloatArray]:
        known = {column: self._shape_draws(total / mass) for column, total in self.steps.items()}
        names = population.fit.design.numeric_names
        return {name: known[name] if name in known else _average_step(population, name) for name in names}

    def _shape_draws(self, values: FloatArray) -> FloatArray:
        """(..., draws) to (chain, draw, ...)."""
        return np.moveaxis(values, -1, 0).reshape(*self._shape, *values.shape[:-1])


def _add_posts(sums: _Sums, own: Profile, eta: FloatArray, weights: FloatArray, shifts: _Shifts) -> None:
    """Add posts of one profile, `eta` (posts, draws), under every target profile and every step."""
    start, targets = shifts.find(own), list(sums.list_targets(own))
    moves = [shifts.find(target) - start for target in targets]
    totals = sum_shifted(eta, weights, np.array([*moves, *shifts.steps.values()]))
    for target, total in zip(targets, totals, strict=False):
        sums.add(own, target, total)
    for column, total in zip(shifts.steps, totals[len(targets) :], strict=True):
        sums.steps[column] += total


def sum_shifted(eta: FloatArray, weights: FloatArray, shifts: FloatArray) -> FloatArray:
    """Return sums over posts of weights x inv_logit(eta + shift).

    `eta` (posts, draws), `weights` (posts,), `shifts` (shift, draws); the sums are (shift, draws).
    """
    totals = np.empty(shifts.shape)
    size = max(1, _CACHED // max(1, len(eta)))
    for at in range(0, eta.shape[1], size):
        some = slice(at, at + size)
        totals[:, some] = _sum_block(eta[:, some], weights[:, None], shifts[:, some])
    return totals


def _sum_block(eta: FloatArray, weights: FloatArray, shifts: FloatArray) -> FloatArray:
    largest = max(np.abs(eta).max(initial=0.0), np.abs(shifts).max(initial=0.0))
    if not largest < _LARGEST_EXPONENT:
        return np.stack([np.add.reduce(weights * expit(eta + shift), axis=0) for shift in shifts])
    # weight / (1 + exp(-eta) exp(-shift)): the exponential of a post is taken once for all shifts.
    against, factors = np.exp(-eta), np.exp(-shifts)
    room, totals = np.empty_like(against), np.empty(shifts.shape)
    for total, factor in zip(totals, factors, strict=True):
        np.multiply(against, factor, out=room)
        room += 1.0
        np.divide(weights, room, out=room)
        np.add.reduce(room, axis=0, out=total)
    return totals


def _list_profiles(rows: ModelRows, factors: tuple[str, ...]) -> tuple[list[Profile], IntArray]:
    """Return the distinct combinations of levels among the rows, and which one each row has."""
    if not factors:
        return [()], np.zeros(len(rows), dtype=np.int64)
    codes = np.stack([rows.codes[name] for name in factors], axis=1)
    distinct, own = np.unique(codes, axis=0, return_inverse=True)
    return [tuple(profile) for profile in distinct.tolist()], own.reshape(-1).astype(np.int64)


def _gather_population(fit: Fit) -> Population:
    rows, weights = _collapse_rows(fit.design)
    posts, trials = len(fit.design.rows), int(weights.sum())
    words = f"the {posts:,} posts in the table"
    if trials != posts:
        words = f"the {trials:,} trials in the {posts:,} rows of the table"
    draws = fit.draws["intercept"].size
    thin = max(1, min(-(-len(rows) * draws // LARGEST), draws // LEAST_DRAWS))
    if thin == 1:
        return Population(fit=fit, rows=rows, weights=weights, words=words)
    thinned = replace(fit, draws={name: values[:, ::thin] for name, values in fit.draws.items()})
    kept = thinned.draws["intercept"].size
    return Population(fit=thinned, rows=rows, weights=weights, words=f"{words} ({kept:,} of {draws:,} draws)")


def _collapse_rows(design: Design) -> tuple[ModelRows, FloatArray]:
    """Merge posts that the model cannot tell apart, sorted by profile; weights are their trials."""
    rows = design.rows
    trials = np.ones(len(rows)) if rows.trials is None else rows.trials.astype(np.float64)
    names = (*list_all_factors(design), *(term.column for term in design.factors if term.levels == "sample"))
    columns = [*(rows.codes[name] for name in names), *rows.raw.T]
    if not columns:
        first, member = np.zeros(1, dtype=np.int64), np.zeros(len(rows), dtype=np.int64)
    else:
        table = np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1)
        _, first, member = np.unique(table, axis=0, return_index=True, return_inverse=True)
    codes = {name: values[first] for name, values in rows.codes.items()}
    merged = ModelRows(x=rows.x[first], raw=rows.raw[first], codes=codes)
    return merged, np.bincount(member.reshape(-1), weights=trials, minlength=len(first))
