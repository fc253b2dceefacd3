"""Pictures of how far the fit can be believed: calibration, predictive checks, chains, priors.

Takes an analysis; knows nothing of files or pages. The density of every prior is written out, not sampled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import gamma, pi, sqrt

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from influbayes.effects.criticism import PredictiveCheck
from influbayes.hierarchy.design import Design, FloatArray
from influbayes.hierarchy.posterior import Fit
from influbayes.hierarchy.spec import NormalPrior, ScalePrior
from influbayes.reporting.plots_contrasts import QUESTION_TITLES, order_questions
from influbayes.reporting.plots_style import (
    BLUE,
    CHAINS,
    FAINT,
    INK,
    ORANGE,
    SKY,
    SOFT,
    VERMILLION,
    clean_label,
    draw_note,
    escape_math,
    estimate_density,
    keep_order,
    label_rows,
    new_figure,
    show_percent,
    strip_axes,
)
from influbayes.reporting.results import ConversionAnalysis, QuestionResult
from influbayes.reporting.wording import name_column

MOST_CHECKS, MOST_PARAMETERS = 16, 12
BINS = 20
_COLUMNS = 3
Density = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A number of the model: its draws (chain, draw), its unit, and its prior where it has one of its own."""

    label: str
    unit: str
    draws: FloatArray
    prior: Density | None
    positive: bool


def draw_calibration(analysis: ConversionAnalysis) -> Figure | None:
    """Draw observed against predicted share, smoothed by pool-adjacent-violators, with the band of a true model."""
    parts = [part for part in order_questions(analysis) if part.calibration is not None]
    if not parts:
        return None
    height = 4.9
    figure = new_figure(
        height,
        title="Do posts convert as often as the model says?",
        subtitle="Of posts given a chance of 30 %, about 30 % should convert: the line should follow the diagonal\n"
        "and stay inside the band, where it lies if the model is right.",
    )
    for ax, part in zip(figure.subplots(1, len(parts), squeeze=False)[0], parts, strict=True):
        _draw_calibration(ax, part)
    draw_note(
        figure,
        "Each post is predicted without its own outcome. Line: share observed (isotonic fit). "
        "Band: 99 % of simulated fits.",
        height,
    )
    return figure


def _draw_calibration(ax: Axes, part: QuestionResult) -> None:
    found = part.calibration
    if found is None:
        return
    top = float(min(1.0, 1.06 * max(found.upper.max(), found.predicted.max(), 0.02)))
    ax.plot((0, top), (0, top), color=SOFT, lw=1, ls=(0, (4, 3)))
    ax.fill_between(found.predicted, found.lower, found.upper, color=SKY, alpha=0.35, lw=0, step="mid")
    outside = (found.observed < found.lower) | (found.observed > found.upper)
    ax.step(found.predicted, found.observed, where="mid", color=BLUE, lw=1.8)
    ax.plot(found.predicted[outside], found.observed[outside], "x", color=VERMILLION, ms=4, mew=1.2)
    thin = found.predicted[:: max(1, len(found.predicted) // 400)]
    ax.plot(thin, np.full(len(thin), -0.025 * top), "|", color=SOFT, ms=5, mew=0.5, alpha=0.6)
    ax.set_xlim(0, top)
    ax.set_ylim(-0.05 * top, top)
    show_percent(ax, "x", span=top)
    show_percent(ax, "y", span=top)
    ax.set_title(QUESTION_TITLES[part.fit.design.question])
    ax.set_xlabel("predicted chance of a conversion")
    ax.set_ylabel("share that converted")
    strip_axes(ax, keep_left=True)


def draw_checks(part: QuestionResult) -> Figure | None:
    """Draw observed minus expected conversions of every group of posts, with the interval the model allows."""
    panels = _group_checks(part)
    if not panels:
        return None
    lines = (len(panels) + 1) // 2
    tallest = [max(len(checks) for _, checks in panels[2 * line : 2 * line + 2]) for line in range(lines)]
    height = 1.35 + sum(0.75 + 0.22 * rows for rows in tallest)
    figure = new_figure(
        height,
        title=f"Does the model give back what was seen? {QUESTION_TITLES[part.fit.design.question]}",
        subtitle="Dot: conversions seen, less those expected, in a group of posts. Bar: where the dot should lie\n"
        "if the model is right. A cross outside its bar means that the model does not describe that group.",
    )
    ratios = [rows + 2.5 for rows in tallest]
    axes = figure.subplots(lines, min(2, len(panels)), squeeze=False, height_ratios=ratios).ravel()
    for ax, (title, checks) in zip(axes, panels, strict=False):
        _draw_check_panel(ax, title, checks)
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    return figure


def _group_checks(part: QuestionResult) -> list[tuple[str, list[PredictiveCheck]]]:
    """Return panels: the cells, the tenths of each numeric column, the spread of creators."""
    panels: dict[str, list[PredictiveCheck]] = {}
    for check in part.checks:
        if check.kind in ("cell", "tenth"):
            column = check.subject.rpartition(":")[0]
            title = "Cells" if check.kind == "cell" else f"Tenths of {name_column(column)}"
            panels.setdefault(title, []).append(check)
    return [(title, _keep_extreme(checks)) for title, checks in panels.items()]


def _keep_extreme(checks: list[PredictiveCheck]) -> list[PredictiveCheck]:
    """Return the checks nearest to failing, in their own order."""
    if len(checks) <= MOST_CHECKS:
        return checks
    worst = sorted(checks, key=lambda check: (min(check.tail, 1 - check.tail), check.subject))[:MOST_CHECKS]
    return [check for check in checks if check in worst]


def _draw_check_panel(ax: Axes, title: str, checks: Sequence[PredictiveCheck]) -> None:
    for at, check in enumerate(checks):
        low, high, seen = (value - check.expected for value in (check.lower, check.upper, check.observed))
        inside = low <= seen <= high
        ax.plot((low, high), (at, at), color=SKY, lw=5, solid_capstyle="butt", alpha=0.6)
        ax.plot(seen, at, "o" if inside else "X", color=BLUE if inside else VERMILLION, ms=5 if inside else 7, zorder=4)
    ax.axvline(0, color=INK, lw=0.8, zorder=1)
    label_rows(ax, [_name_check(check) for check in checks])
    ax.set_title(escape_math(clean_label(title, 40)))
    ax.set_xlabel("conversions seen minus expected")
    strip_axes(ax)


def _name_check(check: PredictiveCheck) -> str:
    if check.kind == "cell":
        parts = check.subject.split(":")
        words = [clean_label(part, 17) for part in parts] if len(parts) == 2 else [clean_label(check.subject, 34)]
        return keep_order(", ".join(words))
    tenth = check.subject.rpartition(":")[2]
    return {"1": "lowest tenth", "10": "highest tenth"}.get(tenth, tenth)


def gather_parameters(fit: Fit) -> list[Parameter]:
    """Return intercept, slopes and estimated scales of a fit, with the densities of their priors."""
    design, draws = fit.design, fit.draws
    rows = [_make_normal("Intercept", "log-odds", draws["intercept"], design.specification.intercept)]
    for index, term in enumerate(design.numerics):
        label = f"Slope of {name_column(term.column)}"
        rows.append(_make_normal(label, _say_unit(design, index), draws["slope"][..., index], term.prior))
    named = [(term.column, term.scale_prior) for term in design.factors]
    named += [(pair.name, pair.scale_prior) for pair in design.interactions]
    for name, prior in named:
        if f"scale_{name}" in draws and prior is not None:
            label = "Scale of " + " and ".join(name_column(column) for column in name.split("__x__"))
            rows.append(_make_scale(label, draws[f"scale_{name}"], prior))
    return rows[:MOST_PARAMETERS]


def _say_unit(design: Design, index: int) -> str:
    kind = {"standardise": "per sd", "log1p_standardise": "per sd of log(1 + x)", "none": "per unit"}
    return f"log-odds {kind[design.scalers[index].transform]}"


def _make_normal(label: str, unit: str, draws: FloatArray, prior: NormalPrior) -> Parameter:
    return Parameter(label=label, unit=unit, draws=draws, prior=make_normal_density(prior), positive=False)


def _make_scale(label: str, draws: FloatArray, prior: ScalePrior) -> Parameter:
    return Parameter(label=label, unit="log-odds", draws=draws, prior=make_scale_density(prior), positive=True)


def make_normal_density(prior: NormalPrior) -> Density:
    """Return the density of a normal prior."""
    return lambda x: np.exp(-0.5 * ((x - prior.mean) / prior.sd) ** 2) / (prior.sd * sqrt(2 * pi))


def make_scale_density(prior: ScalePrior) -> Density:
    """Return the density of a prior of a scale on x >= 0: half-normal, exponential, half-Cauchy, half-Student-t."""
    size = prior.parameters[-1]
    if prior.family == "half_normal":
        return lambda x: np.exp(-0.5 * (x / size) ** 2) * sqrt(2 / pi) / size
    if prior.family == "exponential":
        return lambda x: size * np.exp(-size * x)
    if prior.family == "half_cauchy":
        return lambda x: 2 / (pi * size * (1 + (x / size) ** 2))
    df = prior.parameters[0]
    constant = 2 * gamma((df + 1) / 2) / (gamma(df / 2) * sqrt(df * pi) * size)
    return lambda x: constant * (1 + (x / size) ** 2 / df) ** (-(df + 1) / 2)


def draw_chains(fit: Fit) -> Figure:
    """Draw rank plots: each chain's share of draws in twentieths of all draws; level lines mean the chains agree."""
    parameters = gather_parameters(fit)
    figure, axes = _lay_out(
        len(parameters),
        title=f"Do the chains agree? {QUESTION_TITLES[fit.design.question]}",
        subtitle="All draws are ranked together. Chains that explore the same ground have lines that stay near 1:\n"
        "as many draws in every twentieth as the others. A slope or a hill means that they disagree.",
    )
    for ax, parameter in zip(axes, parameters, strict=False):
        _draw_ranks(ax, parameter)
    for place, ax in enumerate(axes[: len(parameters)]):
        _label_outer(ax, lowest=place + _COLUMNS >= len(parameters), first=place % _COLUMNS == 0)
    return figure


def _lay_out(count: int, *, title: str, subtitle: str) -> tuple[Figure, list[Axes]]:
    lines = -(-count // _COLUMNS)
    figure = new_figure(1.0 + 1.75 * lines, title=title, subtitle=subtitle)
    axes = list(figure.subplots(lines, min(_COLUMNS, count), squeeze=False).ravel())
    for ax in axes[count:]:
        ax.set_visible(False)
    return figure, axes


def _label_outer(ax: Axes, *, lowest: bool, first: bool) -> None:
    """Label the axes that panels have in common at the lower and at the left edge only."""
    ax.tick_params(labelbottom=lowest, labelleft=first)
    if lowest:
        ax.set_xlabel("rank, per cent of all draws", fontsize=8)
    if first:
        ax.set_ylabel("against even", fontsize=8)


def _draw_ranks(ax: Axes, parameter: Parameter) -> None:
    chains = len(parameter.draws)
    ranks = np.argsort(np.argsort(np.ravel(parameter.draws), kind="stable"), kind="stable").reshape(chains, -1)
    edges = np.linspace(0, parameter.draws.size, BINS + 1)
    even = parameter.draws.shape[1] / BINS
    ax.axhline(1, color=SOFT, lw=0.8)
    for chain, row in enumerate(ranks):
        share = np.histogram(row, bins=edges)[0] / even
        ax.stairs(
            share, np.linspace(0, 100, BINS + 1), baseline=None, color=CHAINS[chain % len(CHAINS)], lw=1.1, alpha=0.9
        )
    ax.set_ylim(0, 2)
    ax.set_yticks((0, 1, 2))
    ax.set_xlim(0, 100)
    ax.set_xticks((0, 50, 100))
    ax.set_title(escape_math(clean_label(parameter.label, 30)), fontsize=9)
    strip_axes(ax, keep_left=True)


def draw_priors(fit: Fit) -> Figure:
    """Draw prior and posterior density of intercept, slopes and scales."""
    parameters = gather_parameters(fit)
    figure, axes = _lay_out(
        len(parameters),
        title=f"What did the posts add? {QUESTION_TITLES[fit.design.question]}",
        subtitle="Dashed: what was assumed before (prior). Filled: what is known after the posts (posterior).\n"
        "Where both look alike, the posts say little and the answer rests on the prior.",
    )
    for ax, parameter in zip(axes, parameters, strict=False):
        _draw_prior(ax, parameter)
    for ax in axes[::_COLUMNS]:
        ax.set_ylabel("density", fontsize=8)
    return figure


def _draw_prior(ax: Axes, parameter: Parameter) -> None:
    low, high = (float(end) for end in np.quantile(parameter.draws, [0.001, 0.999]))
    room = max(high - low, 1e-9)
    grid = np.linspace(0.0 if parameter.positive else low - 0.7 * room, high + 0.7 * room, 301)
    posterior = _fold_density(parameter, grid)
    ax.fill_between(grid, posterior, color=BLUE, alpha=0.75, lw=0)
    if parameter.prior is not None:
        ax.plot(grid, parameter.prior(grid), color=ORANGE, lw=1.6, ls=(0, (4, 2)))
    ax.set_ylim(0, None)
    ax.set_xlim(float(grid[0]), float(grid[-1]))
    ax.set_yticks([])
    ax.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
    ax.set_title(escape_math(clean_label(parameter.label, 30)), fontsize=9)
    ax.set_xlabel(parameter.unit, fontsize=8)
    ax.grid(axis="x", color=FAINT, lw=0.5)
    ax.set_axisbelow(True)
    strip_axes(ax)


def _fold_density(parameter: Parameter, grid: FloatArray) -> FloatArray:
    """Return the posterior density; that of a scale is reflected at 0, so that no mass leaks below."""
    if not parameter.positive:
        return estimate_density(parameter.draws, grid)
    both = np.concatenate([np.ravel(parameter.draws), -np.ravel(parameter.draws)])
    wide = np.concatenate([-grid[:0:-1], grid])
    # The mirrored sample has about twice the spread; the bandwidth of one half is wanted.
    return 2 * estimate_density(both, wide, like=parameter.draws)[len(grid) - 1 :]
