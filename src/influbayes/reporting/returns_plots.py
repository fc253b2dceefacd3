"""The pictures of the returns report, each from results.json alone.

Makes matplotlib figures; computes no estimate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from influbayes.reporting.returns_sentences import find_effect, say_roas
from influbayes.reporting.wording import say_mass

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = Mapping[str, Any]
MOST_ROWS = 24
ROAS_TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)


def draw_returns(results: Row) -> dict[str, Figure]:
    """Return name -> figure of every picture the results have numbers for."""
    from influbayes.reporting.plots_style import drawing_style

    makers = {
        "influencers": _draw_influencers,
        "incremental": _draw_incremental,
        "personas": _draw_personas,
        "bars": _draw_bars,
        "spend": _draw_spend,
        "weeks": _draw_weeks,
        "engagement": _draw_engagement,
        "orders": _draw_orders,
    }
    with drawing_style():
        made = {name: make(results) for name, make in makers.items()}
    return {name: figure for name, figure in made.items() if figure is not None}


def _show_ratio(axes: Axes, low: float, high: float, *, which: str = "x") -> None:
    """Make an axis of ROAS logarithmic with readable ticks and a line at 1."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    (axes.set_xlim if which == "x" else axes.set_ylim)(low, high)
    axis.set_major_locator(FixedLocator([tick for tick in ROAS_TICKS if low <= tick <= high]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def _limit(values: Sequence[float]) -> tuple[float, float]:
    good = [value for value in values if value > 0]
    return max(min([*good, 0.8]) / 1.15, 0.02), min(max([*good, 1.25]) * 1.15, 1000.0)


def _draw_influencers(results: Row) -> Figure | None:
    """The best and the worst influencers: raw ROAS as a dot, an arrow to the pooled one with its interval."""
    from influbayes.reporting.plots_style import BLUE, INK, SOFT, VERMILLION, clean_label, label_rows, new_figure

    effects = [row for row in results["effects"] if row["estimand"] == "roas" and row["variable"] == "influencer"]
    if not effects:
        return None
    effects.sort(key=lambda row: -row["estimate"])
    if len(effects) > MOST_ROWS:
        effects = [*effects[: MOST_ROWS // 2], *effects[-MOST_ROWS // 2 :]]
    raw = {row["id"]: row["roas"] for row in results["influencers"]}
    height = 1.5 + 0.27 * len(effects)
    mass = say_mass(results["provenance"]["prob"])
    figure = new_figure(
        height,
        title="Raw ROAS and what is left of it once chance is taken out",
        subtitle=f"Dot: raw. Line and bar: partially pooled ROAS with its {mass}. Best and worst by pooled ROAS.",
    )
    axes = figure.subplots()
    low, high = _limit([value for row in effects for value in (row["lower"], row["upper"], raw[row["level"]] or 1.0)])
    for place, row in enumerate(effects):
        colour = VERMILLION if row["estimate"] < 1 else BLUE
        axes.plot([max(row["lower"], low), row["upper"]], [place, place], color=colour, linewidth=2.2, alpha=0.75)
        axes.plot([row["estimate"]], [place], "|", color=colour, markersize=11, markeredgewidth=2.2)
        axes.plot([max(raw[row["level"]] or low, low)], [place], "o", color=INK, markersize=4.5, alpha=0.8)
    label_rows(axes, [clean_label(row["level"]) for row in effects])
    axes.axvline(1, color=SOFT, linewidth=1, linestyle="--")
    _show_ratio(axes, low, high)
    axes.set_xlabel("ROAS: revenue of exposed users / payout (logarithmic; dashed: 1)")
    return figure


def _draw_incremental(results: Row) -> Figure | None:
    """Incremental beside plain ROAS, in total and by platform, type and persona."""
    from influbayes.reporting.plots_style import BLUE, GREY, SOFT, clean_label, label_rows, new_figure

    wanted = ("total", "platform", "type", "persona")
    rows = [row for row in results["effects"] if row["estimand"] == "incremental_roas" and row["variable"] in wanted]
    if not rows or (results["incremental"] or {}).get("label") != "incremental":
        return None
    rows.sort(key=lambda row: (wanted.index(row["variable"]), -row["estimate"]))
    rows = rows[: MOST_ROWS + 4]
    figure = new_figure(
        1.5 + 0.26 * len(rows),
        title="Incremental ROAS: what would not have come without exposure",
        subtitle=f"Blue: incremental with its {say_mass(results['provenance']['prob'])}. Grey dot: plain ROAS.",
    )
    axes = figure.subplots()
    for place, row in enumerate(rows):
        plain = find_effect(results, "roas", row["variable"], row["level"])
        axes.plot([row["lower"], row["upper"]], [place, place], color=BLUE, linewidth=2.4)
        axes.plot([row["estimate"]], [place], "o", color=BLUE, markersize=5)
        if plain:
            axes.plot([plain["estimate"]], [place], "o", color=GREY, markersize=5)
    label_rows(axes, [clean_label(row["level"] or "All influencers") for row in rows])
    for value in (0, 1):
        axes.axvline(value, color=SOFT, linewidth=1, linestyle="--" if value else "-")
    axes.set_xlabel("incremental revenue / payout")
    return figure


def _draw_personas(results: Row) -> Figure | None:
    """Heat map of ROAS by category and gender, each cell with its interval; uncertain cells are paler."""
    from matplotlib.colors import TwoSlopeNorm

    from influbayes.reporting.plots_style import INK, clean_label, escape_math, new_figure

    people = results["influencers"]
    rows, columns = (sorted({row[key] for row in people}) for key in ("category", "gender"))
    if len(rows) > 14 or len(columns) > 6:
        return None
    figure = new_figure(
        1.5 + 0.62 * len(rows),
        title="ROAS of personas",
        subtitle="Ratio of sums, pooled, with its interval. Purple above 1, orange below; paler where less is known.",
    )
    axes = figure.subplots()
    values = np.full((len(rows), len(columns)), np.nan)
    alpha = np.zeros_like(values)
    for i, category in enumerate(rows):
        for j, gender in enumerate(columns):
            effect = find_effect(results, "roas", "persona", f"{category} × {gender}")
            text = "–"
            if effect is not None:
                values[i, j] = np.log(max(effect["estimate"], 1e-3))
                width = np.log(max(effect["upper"], 1e-3) / max(effect["lower"], 1e-3))
                alpha[i, j] = 0.6 / (1 + width)
                text = f"{say_roas(effect['estimate'])}\n{say_roas(effect['lower'])} to {say_roas(effect['upper'])}"
            axes.text(j, i, text, ha="center", va="center", fontsize=9, color=INK, linespacing=1.4)
    reach = max(float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 0.0, 0.7)
    norm = TwoSlopeNorm(vcenter=0.0, vmin=-reach, vmax=reach)
    axes.imshow(np.nan_to_num(values), cmap="PuOr", norm=norm, alpha=alpha, aspect="auto")
    axes.set_xticks(range(len(columns)), [escape_math(clean_label(name)) for name in columns])
    axes.set_yticks(range(len(rows)), [escape_math(clean_label(name)) for name in rows])
    axes.tick_params(length=0)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    return figure


def _draw_bars(results: Row) -> Figure | None:
    """ROAS of personas as bars (raw ratio of sums) with the interval of the pooled one."""
    from influbayes.reporting.plots_style import GREY, INK, SOFT, clean_label, label_rows, new_figure, strip_axes

    parts = [row for row in results["slices"] if row["variable"] == "persona" and row["roas"] is not None]
    parts = sorted(parts, key=lambda row: (-row["roas"], row["level"]))[:MOST_ROWS]
    if not parts:
        return None
    mass = say_mass(results["provenance"]["prob"])
    figure = new_figure(
        1.5 + 0.28 * len(parts),
        title="Personas from best to worst",
        subtitle=f"Bar: revenue over payout, by sums. Line: pooled ROAS with its {mass}.",
    )
    axes = figure.subplots()
    axes.barh(range(len(parts)), [row["roas"] for row in parts], color=GREY, height=0.62)
    for place, row in enumerate(parts):
        effect = find_effect(results, "roas", "persona", row["level"])
        if effect is not None:
            axes.plot([effect["lower"], effect["upper"]], [place, place], color=INK, linewidth=1.6)
    label_rows(axes, [clean_label(row["level"]) for row in parts])
    axes.axvline(1, color=SOFT, linewidth=1, linestyle="--")
    axes.set_xlim(left=0)
    axes.set_xlabel("ROAS (dashed: 1)")
    strip_axes(axes)
    return figure


def _draw_spend(results: Row) -> Figure | None:
    """Revenue against payout, with the lines of ROAS 1 and of ROAS in total."""
    from influbayes.reporting.plots_style import BLUE, SOFT, VERMILLION, new_figure, strip_axes

    rows = [row for row in results["influencers"] if row["payout"] > 0 and row["revenue"] > 0]
    if not rows:
        return None
    figure = new_figure(
        4.6, title="Revenue against payout", subtitle="Each dot an influencer. Below the dashed line: ROAS below 1."
    )
    axes = figure.subplots()
    paid, revenue = (np.array([row[key] for row in rows]) for key in ("payout", "revenue"))
    colours = [VERMILLION if below else BLUE for below in revenue < paid]
    axes.scatter(paid, revenue, c=colours, s=22, alpha=0.75, linewidths=0)
    ends = np.array([min(paid.min(), revenue.min()) / 1.3, max(paid.max(), revenue.max()) * 1.3])
    axes.plot(ends, ends, color=SOFT, linestyle="--", linewidth=1)
    total = results["totals"]["roas"]
    if total:
        axes.plot(ends, ends * total, color=SOFT, linewidth=1)
        label = f"line: all influencers together, ROAS {say_roas(total)}"
        axes.text(0.02, 0.95, label, transform=axes.transAxes, fontsize=8, color=SOFT, va="top")
    _show_money(axes, (paid.min() / 1.3, paid.max() * 1.3), (revenue.min() / 1.4, revenue.max() * 1.4))
    axes.set_xlabel("payout, in currency (logarithmic)")
    axes.set_ylabel("exposed revenue, in currency (logarithmic)")
    strip_axes(axes, keep_left=True)
    return figure


def _show_money(axes: Axes, across: tuple[float, float], up: tuple[float, float]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for axis, set_scale, set_limits, ends in (
        (axes.xaxis, axes.set_xscale, axes.set_xlim, across),
        (axes.yaxis, axes.set_yscale, axes.set_ylim, up),
    ):
        set_scale("log")
        set_limits(*ends)
        axis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axis.set_minor_formatter(NullFormatter())


def _draw_weeks(results: Row) -> Figure | None:
    """Exposed revenue by week as bars, and what had come back of all payouts as a line."""
    from influbayes.reporting.plots_style import BLUE, GREY, SOFT, new_figure, strip_axes

    weeks = results["weeks"]
    if len(weeks) < 2:
        return None
    figure = new_figure(
        4.2,
        title="ROAS over time",
        subtitle="Bars: exposed revenue by week. Line: revenue so far over all payouts (payouts have no date).",
    )
    upper, lower = figure.subplots(2, 1, sharex=True)
    places = np.arange(len(weeks))
    lower.bar(places, [row["revenue"] for row in weeks], color=GREY, width=0.8)
    upper.plot(
        places,
        [row["roas_so_far"] if row["roas_so_far"] is not None else np.nan for row in weeks],
        color=BLUE,
        linewidth=2,
    )
    upper.axhline(1, color=SOFT, linestyle="--", linewidth=1)
    upper.set_ylabel("ROAS so far")
    lower.set_ylabel("revenue")
    step = max(1, len(weeks) // 8)
    lower.set_xticks(places[::step], [row["week"] for row in weeks[::step]], rotation=0, fontsize=8)
    for axes in (upper, lower):
        strip_axes(axes, keep_left=True)
    return figure


def _draw_engagement(results: Row) -> Figure | None:
    """Engagement rate by platform as bars."""
    from influbayes.reporting.plots_style import BLUE, clean_label, label_rows, new_figure, show_percent, strip_axes

    rows = [row for row in results["engagement"] if row["rate"] is not None][:MOST_ROWS]
    if not rows:
        return None
    figure = new_figure(
        1.5 + 0.32 * len(rows),
        title="Engagement rate by platform",
        subtitle="(Likes + comments) / reach, by sums; posts without reach are left out.",
    )
    axes = figure.subplots()
    rates = [row["rate"] for row in rows]
    axes.barh(range(len(rows)), rates, color=BLUE, height=0.6, alpha=0.85)
    for place, row in enumerate(rows):
        axes.text(
            row["rate"], place, f"  {100 * row['rate']:.1f} % of {row['posts']:,} posts", va="center", fontsize=8.5
        )
    label_rows(axes, [clean_label(row["platform"]) for row in rows])
    axes.set_xlim(0, 1.35 * max(rates))
    show_percent(axes, span=max(rates))
    strip_axes(axes)
    return figure


def _draw_orders(results: Row) -> Figure | None:
    """Orders paid for against exposed orders tracked."""
    from influbayes.reporting.plots_style import BLUE, SOFT, new_figure, strip_axes

    rows = results["paid_orders"]
    if not rows:
        return None
    figure = new_figure(
        4.0, title="Orders paid for and orders tracked", subtitle="Each dot an influencer; on the line both agree."
    )
    axes = figure.subplots()
    tracked, paid = (np.array([row[key] for row in rows]) for key in ("tracked", "paid"))
    axes.scatter(tracked, paid, s=22, color=BLUE, alpha=0.7, linewidths=0)
    top = max(int(tracked.max()), int(paid.max()), 1) * 1.05
    axes.plot([0, top], [0, top], color=SOFT, linestyle="--", linewidth=1)
    axes.set_xlim(0, max(int(tracked.max()), 1) * 1.05)
    axes.set_ylim(0, max(int(paid.max()), 1) * 1.1)
    axes.set_xlabel("orders tracked (exposed)")
    axes.set_ylabel("orders paid for")
    strip_axes(axes, keep_left=True)
    return figure
