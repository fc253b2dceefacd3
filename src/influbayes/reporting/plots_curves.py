"""Pictures of conversion along a numeric column: the predicted curve with its band, and the raw rates of tenths.

Takes an analysis; knows nothing of files or pages.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import betaincinv

from influbayes.effects.averages import sum_shifted
from influbayes.hierarchy.design import FloatArray, ModelRows, stretch
from influbayes.hierarchy.posterior import Fit
from influbayes.hierarchy.predict import iterate_rows
from influbayes.hierarchy.spec import NumericTerm
from influbayes.reporting.plots_contrasts import order_questions
from influbayes.reporting.plots_style import (
    BLUE,
    VERMILLION,
    draw_note,
    escape_math,
    new_figure,
    show_percent,
    strip_axes,
    title_column,
)
from influbayes.reporting.results import ConversionAnalysis, QuestionResult
from influbayes.reporting.wording import name_column

CURVE_POINTS, CURVE_DRAWS, CURVE_ROWS = 31, 400, 500


def draw_curves(analysis: ConversionAnalysis) -> Figure | None:
    """Draw expected conversion along each numeric column, with the raw rates of its tenths."""
    part = max(order_questions(analysis), key=lambda one: len(one.fit.design.numerics))
    numerics = part.fit.design.numerics[:4]
    if not numerics:
        return None
    lines = (len(numerics) + 1) // 2
    height = 1.3 + 2.6 * lines
    figure = new_figure(
        height,
        title="How conversion moves with " + " and ".join(name_column(term.column) for term in numerics),
        subtitle="Line and band: expected share of posts with a conversion as the column alone changes.\n"
        "Squares: raw rates of tenths of the posts, which also differ in everything else.",
    )
    axes = figure.subplots(lines, min(2, len(numerics)), squeeze=False).ravel()
    for ax, term in zip(axes, numerics, strict=False):
        _draw_curve(ax, part, term, analysis.prob)
    for ax in axes[len(numerics) :]:
        ax.set_visible(False)
    draw_note(
        figure, f"Band and bars: {100 * analysis.prob:g} % intervals; those of the raw rates by Jeffreys.", height
    )
    return figure


def _draw_curve(ax: Axes, part: QuestionResult, term: NumericTerm, prob: float) -> None:
    design = part.fit.design
    raw = design.rows.raw[:, design.numeric_names.index(term.column)]
    low, high = (float(end) for end in np.quantile(raw, [0.005, 0.995]))
    logarithmic = low > 0 and (term.transform == "log1p_standardise" or high > 20 * low)
    grid = np.geomspace(low, high, CURVE_POINTS) if logarithmic else np.linspace(low, high, CURVE_POINTS)
    curve = predict_curve(part.fit, term.column, grid)
    tail = (1 - prob) / 2
    lower, middle, upper = np.quantile(curve, [tail, 0.5, 1 - tail], axis=0)
    ax.fill_between(grid, lower, upper, color=BLUE, alpha=0.2, lw=0)
    ax.plot(grid, middle, color=BLUE, lw=1.8)
    tops = _draw_tenths(ax, part, raw, tail)
    if logarithmic:
        ax.set_xscale("log")
        _tick_log(ax, low, high)
    ax.set_ylim(0, min(1.0, 1.08 * max(float(upper.max()), tops)))
    show_percent(ax, "y", span=max(float(upper.max()), tops))
    ax.set_xlabel(escape_math(title_column(term.column)) + (" (logarithmic axis)" if logarithmic else ""))
    ax.set_ylabel("posts with a conversion")
    strip_axes(ax, keep_left=True)


def _tick_log(ax: Axes, low: float, high: float) -> None:
    """Put ticks at 1, 2, 5 x powers of ten, thinned to at most five."""
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    every = [base * 10.0**power for power in powers for base in (1, 2, 5)]
    inside = [tick for tick in every if low <= tick <= high]
    shown = inside[:: max(1, -(-len(inside) // 5))]
    ax.set_xticks(shown, labels=[f"{tick:,g}" if tick < 1e6 else f"{tick:.0e}" for tick in shown])
    ax.set_xticks([], minor=True)


def predict_curve(fit: Fit, column: str, grid: FloatArray) -> FloatArray:
    """Return draws (draws, points) of the mean expected value with one column set to each point of the grid.

    At most 400 evenly spaced draws and 500 evenly spaced posts: a picture needs no more.
    """
    thin = max(1, fit.draws["intercept"].shape[1] * fit.draws["intercept"].shape[0] // CURVE_DRAWS)
    small = replace(fit, draws={name: values[:, ::thin] for name, values in fit.draws.items()})
    picked = np.unique(np.linspace(0, len(fit.design.rows) - 1, CURVE_ROWS).astype(np.int64))
    at = fit.design.numeric_names.index(column)
    scaler = fit.design.scalers[at]
    along = (stretch(grid, scaler.transform) - scaler.centre) / scaler.scale
    start = np.concatenate([eta for _, eta in iterate_rows(small, _set_column(fit, picked, at, grid[0], along[0]))])
    shifts = (along - along[0])[:, None] * small.draws["slope"][..., at].reshape(-1)
    return sum_shifted(start, np.full(len(picked), 1 / len(picked)), shifts).T


def _set_column(fit: Fit, picked: Any, at: int, value: float, scaled: float) -> ModelRows:
    rows = fit.design.rows
    x, raw = rows.x[picked].copy(), rows.raw[picked].copy()
    raw[:, at], x[:, at] = value, scaled
    codes = {name: values[picked] for name, values in rows.codes.items()}
    return ModelRows(x=x, raw=raw, codes=codes)


def _draw_tenths(ax: Axes, part: QuestionResult, raw: FloatArray, tail: float) -> float:
    """Draw the raw rate of each tenth at its median value, with its interval; return the top of the tallest."""
    rows = part.fit.design.rows
    if rows.conversions is None or rows.trials is None:
        return 0.0
    order = np.argsort(raw, kind="stable")
    tallest = 0.0
    for group in np.array_split(order, min(10, len(order))):
        hits, tries = float(rows.conversions[group].sum()), float(rows.trials[group].sum())
        ends = betaincinv(hits + 0.5, tries - hits + 0.5, np.array([tail, 1 - tail]))
        at = float(np.median(raw[group]))
        ax.plot((at, at), ends, color=VERMILLION, lw=1.0, alpha=0.8)
        ax.plot(at, hits / tries, "s", color="white", mec=VERMILLION, mew=1.3, ms=4.5)
        tallest = max(tallest, float(ends[1]))
    return tallest
