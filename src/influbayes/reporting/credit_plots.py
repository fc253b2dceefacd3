"""The pictures of an attribution study: credits, rates, session minutes, models on trial.

Takes plain results and, for the violins, the frame of sessions; makes figures by name. Computes no estimate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from influbayes.reporting.plots_style import (
    BLUE,
    FAINT,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SOFT,
    VERMILLION,
    clean_label,
    drawing_style,
    escape_math,
    label_rows,
    limit_odds,
    new_figure,
    show_odds,
    show_percent,
    strip_axes,
    title_column,
)

Results = Mapping[str, Any]

MOST_ROWS = 10
MOST_MINUTES = 60.0
_FEWEST_FOUND = 0.05
_VIOLIN_COLUMNS = ("channel_id", "utm_medium", "utm_source", "page", "utm_term")
_RATE_COLUMNS = ("channel_id", "utm_campaign", "page", "country")
_MODEL_COLOURS = {
    "hierarchical model": VERMILLION,
    "LightGBM": BLUE,
    "LightGBM, labels alone": GREEN,
    "LightGBM, all features": PURPLE,
}


def draw_credit_plots(results: Results, frame: pd.DataFrame) -> dict[str, Figure]:
    """Return name -> figure for everything the results hold; pictures without content are left out."""
    makers: dict[str, Callable[[], Figure | None]] = {
        "credits": lambda: _draw_credits(results),
        "truth": lambda: _draw_truth(results),
        "roles": lambda: _draw_roles(results),
        "rates": lambda: _draw_rates(results),
        "calendar": lambda: _draw_calendar(results),
        "minutes": lambda: _draw_minutes(results, frame),
        "odds": lambda: _draw_odds(results),
        "trial": lambda: _draw_trial(results),
        "importances": lambda: _draw_importances(results),
    }
    with drawing_style():
        drawn = {name: make() for name, make in makers.items()}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _list_channels(results: Results) -> list[str]:
    """Return the channels in the picture, the largest mean credit first."""
    sums: dict[str, float] = {}
    for row in results["credits"]:
        sums[row["channel"]] = sums.get(row["channel"], 0.0) + row["credit"]
    return sorted(sums, key=lambda name: -sums[name])[:MOST_ROWS]


def _label(axes: Axes, names: Sequence[str], limit: int = 18) -> None:
    label_rows(axes, [clean_label(name, limit) for name in names])


def _draw_credits(results: Results) -> Figure:
    names, rules = _list_channels(results), results["rules"]
    rows = ceil(len(rules) / 3)
    height = 0.95 + rows * (0.45 + 0.24 * len(names))
    mass = f"{100 * results['provenance']['prob']:.10g} %"
    figure = new_figure(
        height,
        title="Sign-ups credited to each channel, by rule",
        subtitle=f"Dot: credit. Line: {mass} Bayesian bootstrap interval over users. Grey line: mean over the rules.",
    )
    grid = figure.subplots(rows, 3, sharex=True, sharey=True, squeeze=False)
    credits = {(row["rule"], row["channel"]): row for row in results["credits"]}
    mean = {name: np.mean([credits[rule["rule"], name]["credit"] for rule in rules]) for name in names}
    for axes, rule in zip(grid.flat, rules, strict=False):
        _draw_rule(axes, [credits[rule["rule"], name] for name in names], [mean[name] for name in names])
        axes.set_title(rule["words"])
    for axes in list(grid.flat)[len(rules) :]:
        axes.set_visible(False)
    _label(grid[0, 0], names, 16)
    for axes in grid[-1]:
        axes.set_xlabel("sign-ups")
    return figure


def _draw_rule(axes: Axes, rows: Sequence[Mapping[str, Any]], mean: Sequence[float]) -> None:
    places = np.arange(len(rows))
    axes.axvline(0, color=FAINT, lw=0.8, zorder=0)
    axes.vlines(mean, places - 0.35, places + 0.35, color=GREY, lw=1.4)
    for place, row in zip(places, rows, strict=True):
        if row["lower"] is not None:
            axes.plot([row["lower"], row["upper"]], [place, place], color=BLUE, lw=1.8, solid_capstyle="butt")
        axes.plot([row["credit"]], [place], "o", color=BLUE, ms=4)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    strip_axes(axes)


def _draw_truth(results: Results) -> Figure | None:
    rows = results["truth"]["rows"]
    if not rows:
        return None
    names = [name for name in _list_channels(results) if any(row["channel"] == name for row in rows)]
    wanted = ("last", "first", "linear", "markov", "shapley_rate")
    shown = [rule for rule in wanted if any(row["rule"] == rule for row in rows)]
    words = {row["rule"]: row["words"] for row in results["rules"]}
    height = 1.15 + 0.5 * len(names)
    figure = new_figure(
        height,
        title="Credit against cause",
        subtitle=f"Diamond: sign-ups the channel caused, by {results['truth']['source']}.",
    )
    axes = figure.subplots()
    found = {(row["rule"], row["channel"]): row for row in rows}
    for number, (rule, colour) in enumerate(zip(shown, (BLUE, ORANGE, GREEN, PURPLE, VERMILLION), strict=True)):
        offset = 0.16 * (number - (len(shown) - 1) / 2)
        for place, name in enumerate(names):
            row = found[rule, name]
            label = words[rule] if place == 0 else None
            axes.plot([row["credit"]], [place + offset], "o", color=colour, ms=4.5, label=label)
            if row["lower"] is not None:
                axes.plot([row["lower"], row["upper"]], [place + offset] * 2, color=colour, lw=1.5)
    caused = [found[shown[0], name]["caused"] for name in names]
    axes.plot(caused, range(len(names)), "D", color=INK, ms=6, label="caused", zorder=5)
    axes.axvline(0, color=FAINT, lw=0.8, zorder=0)
    _label(axes, names)
    axes.set_xlabel("sign-ups")
    axes.legend(loc="lower right")
    strip_axes(axes)
    return figure


def _draw_roles(results: Results) -> Figure:
    roles = results["journeys"]["roles"]
    names = sorted(roles, key=lambda name: -sum(roles[name].values()))[:MOST_ROWS]
    figure = new_figure(
        1.15 + 0.34 * len(names),
        title="What each channel does in journeys to a sign-up",
        subtitle="Opens: stands first. Assists: is touched, does not close. Closes: stands last.",
    )
    axes = figure.subplots()
    for number, (role, colour) in enumerate((("opens", ORANGE), ("assists", GREY), ("closes", BLUE))):
        values = [roles[name][role] for name in names]
        axes.barh(np.arange(len(names)) + 0.26 * (number - 1), values, 0.24, color=colour, label=role)
    _label(axes, names)
    axes.set_xlabel("journeys")
    axes.legend(loc="lower right")
    strip_axes(axes)
    return figure


def _draw_rates(results: Results) -> Figure | None:
    levels = results["data"]["levels"]
    columns = [name for name in _RATE_COLUMNS if name in levels and len(levels[name]) > 1]
    most = max((min(len(levels[name]), 8) for name in columns), default=0)
    if not columns:
        return None
    rows = ceil(len(columns) / 2)
    figure = new_figure(
        0.9 + rows * (0.6 + 0.27 * most),
        title="Share of sessions that sign up",
        subtitle="Raw shares with 90 % Wilson intervals. Behind each name: sign-ups of sessions.",
    )
    grid = figure.subplots(rows, 2, squeeze=False)
    for axes, name in zip(grid.flat, columns, strict=False):
        _draw_rate_rows(axes, levels[name][:8], title_column(name))
    for axes in list(grid.flat)[len(columns) :]:
        axes.set_visible(False)
    return figure


def _draw_rate_rows(axes: Axes, rows: Sequence[Mapping[str, Any]], title: str) -> None:
    for place, row in enumerate(rows):
        low, middle, high = _find_wilson(row["sign_ups"], row["sessions"])
        axes.plot([low, high], [place, place], color=BLUE, lw=1.8)
        axes.plot([middle], [place], "o", color=BLUE, ms=4.5)
    names = [f"{clean_label(row['level'], 20)}  {row['sign_ups']:,}/{row['sessions']:,}" for row in rows]
    label_rows(axes, names)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    show_percent(axes, span=axes.get_xlim()[1])
    axes.set_title(escape_math(title))
    strip_axes(axes)


def _find_wilson(hits: int, count: int) -> tuple[float, float, float]:
    """Return lower end, share, upper end (Wilson 1927, doi:10.1080/01621459.1927.10502953)."""
    z = 1.6449
    share = hits / count
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return float(middle - half), share, float(middle + half)


def _draw_calendar(results: Results) -> Figure:
    calendar = results["data"]["calendar"]
    figure = new_figure(2.6, title="When sessions sign up", subtitle="Raw shares with 90 % Wilson intervals.")
    for axes, name in zip(figure.subplots(1, 2), ("month", "weekday"), strict=True):
        rows = calendar[name]
        for place, row in enumerate(rows):
            low, middle, high = _find_wilson(row["sign_ups"], row["sessions"])
            axes.plot([place, place], [low, high], color=BLUE, lw=1.8)
            axes.plot([place], [middle], "o", color=BLUE, ms=4.5)
        short = [row["level"] if name == "month" else row["level"][:3] for row in rows]
        step = max(1, ceil(len(rows) / 7))
        axes.set_xticks(range(0, len(rows), step), labels=short[::step])
        axes.set_xlim(-0.5, len(rows) - 0.5)
        axes.set_ylim(bottom=0)
        show_percent(axes, "y", span=axes.get_ylim()[1])
        axes.set_title(f"By {name}")
        strip_axes(axes, keep_left=True)
    return figure


def _draw_minutes(results: Results, frame: pd.DataFrame) -> Figure | None:
    known = frame.loc[np.isfinite(frame["minutes"])]
    columns = [name for name in _VIOLIN_COLUMNS if name in frame and frame[name].nunique() > 1]
    if len(known) < 20 or not columns:
        return None
    rows = ceil(len(columns) / 2)
    top = float(min(np.quantile(known["minutes"], 0.99), MOST_MINUTES))
    figure = new_figure(
        0.9 + 2.35 * rows,
        title="Minutes of a session",
        subtitle=f"Shape: density. Line: median. Cut at {top:.0f} minutes; the six largest levels of each column.",
    )
    grid = figure.subplots(rows, 2, squeeze=False)
    for axes, name in zip(grid.flat, columns, strict=False):
        _draw_violins(axes, known, name, top)
    for axes in list(grid.flat)[len(columns) :]:
        axes.set_visible(False)
    return figure


def _draw_violins(axes: Axes, frame: pd.DataFrame, name: str, top: float) -> None:
    counts = frame[name].value_counts()
    groups = {
        level: frame.loc[frame[name] == level, "minutes"].clip(upper=top).to_numpy() for level in counts.index[:6]
    }
    drawn = {level: values for level, values in groups.items() if len(values) >= 5 and np.ptp(values) > 0}
    if drawn:
        parts = axes.violinplot(
            list(drawn.values()), positions=range(len(drawn)), orientation="horizontal", widths=0.85, showextrema=False,
            showmedians=True,
        )  # fmt: skip
        bodies: Any = parts["bodies"]
        for body in bodies:
            body.set(facecolor=BLUE, alpha=0.35, edgecolor=BLUE)
        parts["cmedians"].set(color=INK, linewidth=1.4)
    _label(axes, list(map(str, drawn)), 20)
    axes.set_xlim(0, top)
    axes.set_title(escape_math(title_column(name)))
    axes.set_xlabel("minutes")
    strip_axes(axes)


def _draw_odds(results: Results) -> Figure | None:
    model = results["signup"]
    if model is None or model["status"] == "withheld":
        return None
    said = [row for row in model["levels"] if row["id"] not in model["withheld"]]
    if not said:
        return None
    columns = list(dict.fromkeys(row["variable"] for row in said))
    shown = {name: [row for row in said if row["variable"] == name][:MOST_ROWS] for name in columns}
    lower = [row["odds_lower"] for rows in shown.values() for row in rows]
    upper = [row["odds_upper"] for rows in shown.values() for row in rows]
    sizes = [len(rows) + 1.6 for rows in shown.values()]
    figure = new_figure(
        0.9 + 0.25 * sum(sizes),
        title="Sign-up model: odds of each level against an average one",
        subtitle="Posterior median with credible interval, all else in the model equal. 1: no difference.",
    )
    grid = figure.subplots(len(shown), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": sizes})
    for axes, (name, rows) in zip(grid[:, 0], shown.items(), strict=True):
        show_odds(axes, *limit_odds(lower, upper))
        axes.axvline(1, color=SOFT, lw=0.8)
        for place, row in enumerate(rows):
            axes.plot([row["odds_lower"], row["odds_upper"]], [place, place], color=BLUE, lw=1.8)
            axes.plot([row["odds_ratio"]], [place], "o", color=BLUE, ms=4.5)
        _label(axes, [row["level"] for row in rows], 26)
        axes.set_title(escape_math(title_column(name)))
        strip_axes(axes)
    grid[-1, 0].set_xlabel("odds ratio")
    return figure


def _draw_trial(results: Results) -> Figure | None:
    trial = results["baseline"]
    if trial is None:
        return None
    figure = new_figure(
        3.7,
        title="Models on held-out users",
        subtitle="Averaged predictions of users the model has not seen. Grey: the base rate. From 5 % found on.",
    )
    roc, pr, calibration = figure.subplots(1, 3)
    rate = trial["base_rate"]
    roc.plot([0, 1], [0, 1], color=GREY, lw=1)
    pr.axhline(rate, color=GREY, lw=1)
    models = [name for name in _MODEL_COLOURS if name in trial["curves"]]
    most = 2 * rate
    for name in models:
        curves, colour = trial["curves"][name], _MODEL_COLOURS[name]
        roc.plot(*zip(*curves["roc"], strict=True), color=colour, lw=1.5, label=name)
        steady = [point for point in curves["pr"] if point[0] >= _FEWEST_FOUND]  # before, one hit more is everything
        if steady:
            pr.plot(*zip(*steady, strict=True), color=colour, lw=1.5)
        calibration.plot(*zip(*curves["calibration"], strict=True), "o-", color=colour, lw=1.2, ms=3.5)
        most = max(most, *(max(point) for point in curves["calibration"]))
    calibration.plot([0, most], [0, most], color=GREY, lw=1)
    names = ("false positives", "true positives"), ("share found", "share of calls right"), ("predicted", "observed")
    for axes, (x, y), title in zip(
        (roc, pr, calibration), names, ("ROC", "Precision and recall", "Calibration"), strict=True
    ):
        axes.set(xlabel=x, ylabel=y, title=title)
        strip_axes(axes, keep_left=True)
        axes.xaxis.set_major_locator(MaxNLocator(3))
        show_percent(axes, "x", span=1 if axes is not calibration else most)
        show_percent(axes, "y", span=1 if axes is not calibration else most)
    pr.set_ylim(0, None)
    if models:
        figure.legend(*roc.get_legend_handles_labels(), loc="outside lower center", ncols=len(models))
    return figure


def _draw_importances(results: Results) -> Figure | None:
    rows = [] if results["baseline"] is None else results["baseline"]["importances"][:12]
    if not rows:
        return None
    figure = new_figure(
        1.1 + 0.3 * len(rows),
        title="What the baseline uses",
        subtitle="Share of the mean absolute SHAP value and of the gain. What predicts a sign-up need not cause it.",
    )
    axes = figure.subplots()
    places = np.arange(len(rows))
    axes.barh(places - 0.19, [row["shap"] for row in rows], 0.36, color=BLUE, label="SHAP")
    axes.barh(places + 0.19, [row["gain"] for row in rows], 0.36, color=GREY, label="gain")
    _label(axes, [row["feature"] for row in rows], 24)
    show_percent(axes)
    axes.legend(loc="lower right")
    strip_axes(axes)
    return figure
