"""The same comparisons for other populations: a new creator of each level, and a planned mix of regions.

Takes a fit; gives rows of the effects table whose `population` says whom they speak of. Knows no choice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from influbayes.effects.averages import Averages, average_posts
from influbayes.effects.contrasts import contrast_levels, list_contrasts
from influbayes.effects.estimands import Effect, Quantity, check_prob, estimate_rows
from influbayes.errors import UsageError
from influbayes.hierarchy.design import Design, FloatArray
from influbayes.hierarchy.posterior import Fit

NEW_CREATOR = "new_creator"
PLANNED_MIX = "planned_mix"
_NODES = 9


def average_new_creators(fit: Fit) -> Averages:
    """Return averaged expected values with every `sample` factor integrated over its population.

    The expectation over creators yet unknown, Normal(0, scale) on the log odds, by Gauss-Hermite quadrature in every
    draw; without `sample` factors the posts at hand.
    """
    names = [term.column for term in fit.design.factors if term.levels == "sample"]
    if not names:
        return average_posts(fit)
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    spread = _find_spread(fit, names)
    parts = [average_posts(_set_effect(fit, names, spread * node)) for node in nodes]
    return _mix(parts, weights / weights.sum(), f"new creators, otherwise like {parts[0].population.words}")


def estimate_new_creators(fit: Fit, *, prob: float = 0.9) -> tuple[Effect, ...]:
    """Return average odds ratio, difference and lift of every contrast, and expected values, for new creators.

    Ids end in "/new_creator". Empty where the model has no `sample` factor: then nothing else would be said.
    """
    check_prob(prob)
    if not any(term.levels == "sample" for term in fit.design.factors):
        return ()
    averages = average_new_creators(fit)
    rows = estimate_rows(list(_list_contrasts(fit, averages)), fit.design.question, prob=prob)
    return tuple(replace(row, id=f"{row.id}/{NEW_CREATOR}") for row in rows)


def estimate_planned_mix(
    fit: Fit, weights: Mapping[str, float], *, prob: float = 0.9, averages: Averages | None = None
) -> tuple[Effect, ...]:
    """Return the comparisons of the first factor for posts spread over the second one as planned.

    Parameters
    ----------
    fit : Fit
        With two `all` factors.
    weights : mapping
        Level of the second factor -> planned share, 0 or more; scaled to sum to 1. Levels left out have none.
    prob : float
        Mass of the intervals.
    averages : Averages, optional
        Of the posts at hand (default) or of new creators.

    Raises
    ------
    UsageError
        Unknown level, weights that are all 0 or below 0, or fewer than two factors.
    """
    check_prob(prob)
    given = average_posts(fit) if averages is None else averages
    if given.crossed is None or given.cells is None:
        raise UsageError("A planned mix needs two factors, such as tier and region.")
    first, second = given.crossed
    shares = read_shares(fit.design.levels[second], second, weights)
    words = ", ".join(
        f"{100 * share:.3g} % {level}"
        for level, share in zip(fit.design.levels[second], shares, strict=True)
        if share > 0
    )
    population = replace(given.population, words=f"a planned mix of {words}; otherwise {given.population.words}")
    mixed = replace(given, population=population, levels={first: given.cells @ shares})
    rows = estimate_rows(list(_list_contrasts(fit, mixed, only=first)), fit.design.question, prob=prob)
    return tuple(replace(row, id=f"{row.id}/{PLANNED_MIX}") for row in rows)


def _list_contrasts(fit: Fit, averages: Averages, only: str | None = None) -> Iterator[Quantity]:
    """Contrasts that average over posts: the conditional odds ratio is the same for every population."""
    for term in fit.design.factors:
        if term.levels == "all" and only in (None, term.column):
            for level, reference in list_contrasts(fit.design, term):
                for row in contrast_levels(fit, averages, term.column, level, reference):
                    if row.estimand != "odds_ratio":
                        yield row
            yield from _expect_levels(fit.design, averages, term.column)


def _expect_levels(design: Design, averages: Averages, factor: str) -> Iterator[Quantity]:
    for k, level in enumerate(design.levels[factor]):
        yield Quantity(
            estimand="expected_value",
            variable=factor,
            level=level,
            population=averages.population.words,
            held="all else at its values",
            scale="probability",
            null_value=None,
            draws=averages.levels[factor][..., k],
        )


def _find_spread(fit: Fit, names: list[str]) -> FloatArray:
    """Standard deviation (chain, draw) of the sum of the population effects."""
    total = np.zeros(fit.draws["intercept"].shape)
    for term in fit.design.factors:
        if term.column in names:
            total += (fit.draws[f"scale_{term.column}"] if term.scale is None else term.scale) ** 2
    return np.asarray(np.sqrt(total))


def _set_effect(fit: Fit, names: list[str], effect: FloatArray) -> Fit:
    """The fit with one creator for all posts, whose effect is `effect`; further population factors are 0."""
    nobody = np.zeros(len(fit.design.rows), dtype=np.int64)
    rows = replace(fit.design.rows, codes={**fit.design.rows.codes, **dict.fromkeys(names, nobody)})
    levels = {**fit.design.levels, **dict.fromkeys(names, ("new",))}
    draws = {**fit.draws, **{f"effect_{name}": np.zeros((*effect.shape, 1)) for name in names}}
    draws[f"effect_{names[0]}"] = effect[..., None]
    return replace(fit, design=replace(fit.design, rows=rows, levels=levels), draws=draws)


def _mix(parts: list[Averages], weights: FloatArray, words: str) -> Averages:
    first = parts[0]

    def blend(arrays: list[FloatArray]) -> FloatArray:
        return np.asarray(sum(weight * array for weight, array in zip(weights, arrays, strict=True)))

    return Averages(
        population=replace(first.population, words=words),
        overall=blend([part.overall for part in parts]),
        levels={name: blend([part.levels[name] for part in parts]) for name in first.levels},
        steps={name: blend([part.steps[name] for part in parts]) for name in first.steps},
        crossed=first.crossed,
        cells=None if first.cells is None else blend([part.cells for part in parts if part.cells is not None]),
    )


def read_shares(levels: Sequence[str], factor: str, weights: Mapping[str, float]) -> FloatArray:
    """Return the share of each level (levels,), scaled to sum to 1; levels left out have 0.

    Raises
    ------
    UsageError
        Unknown level, or weights that are not finite, below 0 or all 0.
    """
    unknown = [level for level in weights if level not in levels]
    if unknown:
        raise UsageError(f"{', '.join(unknown)} is no level of {factor}; it has {', '.join(levels)}.")
    shares = np.array([weights.get(level, 0.0) for level in levels], dtype=np.float64)
    if not (np.isfinite(shares).all() and (shares >= 0).all() and shares.sum() > 0):
        raise UsageError(f"weights of {factor} are 0 or more and not all 0.")
    return np.asarray(shares / shares.sum())
