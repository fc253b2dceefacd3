"""The charts of the conversion page: the map of tiers and regions, practical equality, premiums, calibration.

Takes frames and plain rows; makes Plotly figures. Computes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from influbayes.dashboard.charts_theme import SEQUENTIAL, Colours, escape_label, make_figure

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

CELL_PIXELS, MAP_FRAME = 52, 170
POSITIONS = {
    "worse": "worse by more than the bound",
    "equal": "practically equal",
    "better": "better by more than the bound",
}


def draw_cells(frame: pd.DataFrame, *, first: str, second: str) -> go.Figure:
    """Return the map of expected conversions: a square a cell, its interval written in it; withheld cells stay empty.

    `frame` has first, second, estimate, lower, upper, posts; the label column with more levels runs downwards.
    """
    import plotly.graph_objects as go

    down, across = ("first", "second")
    if frame["second"].nunique() > frame["first"].nunique():
        down, across, first, second = "second", "first", second, first
    rows, columns = (sorted(frame[name].unique()) for name in (down, across))
    found: dict[tuple[str, str], dict[Any, Any]] = {(row[down], row[across]): row for row in frame.to_dict("records")}
    cells = [[found.get((one, two)) for two in columns] for one in rows]
    figure = make_figure(x=second, y=first, height=MAP_FRAME + CELL_PIXELS * len(rows))
    figure.add_trace(
        go.Heatmap(
            x=list(range(len(columns))),
            y=list(range(len(rows))),
            z=[[np.nan if cell is None else cell["estimate"] for cell in line] for line in cells],
            text=[[_write_cell(cell) for cell in line] for line in cells],
            texttemplate="%{text}",
            textfont={"size": 12},
            hovertext=[[_describe_cell(cell) for cell in line] for line in cells],
            hovertemplate="%{hovertext}<extra></extra>",
            colorscale=SEQUENTIAL,
            colorbar={
                "orientation": "h",
                "y": 1.02,
                "yanchor": "bottom",
                "thickness": 10,
                "title": {"text": "Expected conversions per 100 posts", "side": "top"},
            },
            xgap=3,
            ygap=3,
        )
    )
    figure.update_xaxes(tickvals=list(range(len(columns))), ticktext=[escape_label(c, 12) for c in columns])
    figure.update_yaxes(
        tickvals=list(range(len(rows))), ticktext=[escape_label(r, 14) for r in rows], autorange="reversed"
    )
    figure.update_xaxes(showgrid=False, zeroline=False)
    figure.update_yaxes(showgrid=False, zeroline=False)
    return figure


def _write_cell(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return ""
    if np.isnan(cell["estimate"]):
        return "withheld"
    return f"<b>{cell['estimate']:.0f}</b><br>{cell['lower']:.0f} to {cell['upper']:.0f}"


def _describe_cell(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return "no posts"
    if np.isnan(cell["estimate"]):
        return escape_label(f"{cell['label']}: {cell['note']}")
    numbers = f"{cell['estimate']:.1f} ({cell['lower']:.1f} to {cell['upper']:.1f}) per 100 posts"
    return f"<b>{escape_label(cell['label'])}</b><br>{numbers}<br>raw {cell['raw']:.1f}, {cell['posts']:,} posts"


def draw_positions(frame: pd.DataFrame, *, colours: Colours) -> go.Figure:
    """Return P(worse), P(practically equal) and P(better) of each comparison as one bar of 100 %."""
    import plotly.graph_objects as go

    figure = make_figure(x="Probability (%)", rows=len(frame))
    labels = [escape_label(str(label), 24) for label in frame["label"]]
    for (name, words), colour in zip(POSITIONS.items(), (colours.against, colours.neutral, colours.main), strict=True):
        figure.add_trace(
            go.Bar(
                x=frame[name],
                y=labels,
                orientation="h",
                name=words,
                marker={"color": colour},
                hovertemplate=f"<b>%{{y}}</b><br>{words}: %{{x:.1f}} %<extra></extra>",
            )
        )
    figure.update_layout(barmode="stack", bargap=0.35, legend={"traceorder": "normal"})
    figure.update_xaxes(range=[0, 100], ticksuffix=" %")
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def draw_premiums(pairs: Sequence[Mapping[str, Any]], *, money: bool, colours: Colours) -> go.Figure:
    """Return P(worth the premium) along the premium, a line a pair, with a mark at the premium that the fees ask.

    `pairs` are rows of a premium decision; withheld ones are left out.
    """
    unit = "Premium per post (currency of the fees)" if money else "Times the fee of the other"
    figure = make_figure(x=unit, y="Probability it is worth it (%)", height=380)
    for number, pair in enumerate(row for row in pairs if row["status"] != "withheld"):
        colour, name = colours.series[number % len(colours.series)], f"{pair['level']} over {pair['reference']}"
        chances = [100 * chance for chance in pair["probabilities"]]
        figure.add_scatter(
            x=pair["premiums"],
            y=chances,
            mode="lines",
            name=escape_label(name, 30),
            line={"color": colour, "width": 2.5},
            hovertemplate=f"<b>{escape_label(name)}</b><br>premium %{{x:,.4~g}}: %{{y:.0f}} %<extra></extra>",
        )
        if pair["asked"] is not None:
            _add_asked(figure, pair, colour)
    figure.update_yaxes(range=[-3, 103], ticksuffix=" %")
    figure.update_xaxes(tickformat=",~g")
    return figure


def _add_asked(figure: go.Figure, pair: Mapping[str, Any], colour: str) -> None:
    low, high = pair["premiums"][0], pair["premiums"][-1]
    if low <= pair["asked"] <= high:
        figure.add_scatter(
            x=[pair["asked"]],
            y=[100 * pair["probability"]],
            mode="markers",
            marker={"color": colour, "size": 12, "symbol": "diamond", "line": {"color": "white", "width": 1}},
            showlegend=False,
            hovertemplate="asked %{x:,.4~g}: %{y:.0f} %<extra></extra>",
        )


def draw_calibration(frame: pd.DataFrame, *, colours: Colours) -> go.Figure:
    """Return the share that converted along the predicted chance, with the band in which a right model lies."""
    figure = make_figure(x="Predicted chance (%)", y="Posts that converted (%)", height=360)
    x = frame["Predicted (%)"]
    band = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    figure.add_scatter(x=x, y=frame["Band, low (%)"], showlegend=False, **band)
    figure.add_scatter(
        x=x,
        y=frame["Band, high (%)"],
        fill="tonexty",
        fillcolor="rgba(128,136,144,0.25)",
        name="99 % of right models",
        **band,
    )
    figure.add_scatter(
        x=x,
        y=frame["Converted (%)"],
        mode="lines",
        name="posts in the table",
        line={"color": colours.main, "width": 2.5, "shape": "hv"},
        hovertemplate="predicted %{x:.0f} %, converted %{y:.0f} %<extra></extra>",
    )
    figure.update_xaxes(ticksuffix=" %")
    figure.update_yaxes(ticksuffix=" %", rangemode="tozero")
    return figure
