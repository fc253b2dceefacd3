"""Charts of the returns page: revenue against payout, and the map of personas. Frames in, Plotly figures out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from influbayes.dashboard.charts_theme import SEQUENTIAL, Colours, escape_label, make_figure

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

SCATTER_PIXELS, CELL_PIXELS, MAP_FRAME = 440, 64, 130
ROOM = 1.4


def draw_money(frame: pd.DataFrame, *, colours: Colours) -> go.Figure:
    """Return revenue against payout on logarithmic axes, with the line where they are equal.

    `frame` has label, revenue, payout, estimate (ROAS); influencers without payout or revenue have no place here. The
    five of most payout are named.
    """
    shown = frame[(frame["payout"] > 0) & (frame["revenue"] > 0)]
    figure = make_figure(x="Payout (log scale)", y="Revenue (log scale)", height=SCATTER_PIXELS)
    if shown.empty:
        return figure
    ends = [shown[["payout", "revenue"]].min().min() / ROOM, shown[["payout", "revenue"]].max().max() * ROOM]
    figure.add_scatter(
        x=ends,
        y=ends,
        mode="lines",
        name="ROAS 1: revenue = payout",
        line={"color": colours.neutral, "width": 1, "dash": "dot"},
        hoverinfo="skip",
    )
    _add_people(figure, shown[shown["estimate"] >= 1], "pooled ROAS 1 or more", colours.main, "circle")
    _add_people(figure, shown[~(shown["estimate"] >= 1)], "pooled ROAS below 1", colours.against, "diamond")
    for axis, column in ((figure.update_xaxes, "payout"), (figure.update_yaxes, "revenue")):
        low, high = shown[column].min() / ROOM, shown[column].max() * ROOM
        axis(type="log", range=[float(np.log10(low)), float(np.log10(high))], dtick="D2", tickformat="~s")
    figure.update_layout(showlegend=True)
    return figure


def _add_people(figure: go.Figure, rows: pd.DataFrame, name: str, colour: str, symbol: str) -> None:
    figure.add_scatter(
        x=rows["payout"],
        y=rows["revenue"],
        mode="markers",
        name=name,
        marker={"color": colour, "size": 9, "symbol": symbol, "opacity": 0.8},
        customdata=[
            [escape_label(str(label)), value] for label, value in zip(rows["label"], rows["estimate"], strict=True)
        ],
        hovertemplate="<b>%{customdata[0]}</b><br>revenue %{y:,.0f}<br>payout %{x:,.0f}"
        "<br>pooled ROAS %{customdata[1]:.2f}<extra></extra>",
    )


def draw_persona_map(frame: pd.DataFrame, *, first: str, second: str) -> go.Figure:
    """Return the ROAS of personas as a map; the interval stands in each cell.

    `frame` has first, second, estimate, lower, upper; cells without a persona stay empty.
    """
    import plotly.graph_objects as go

    rows, columns = sorted(frame["first"].unique()), sorted(frame["second"].unique())
    found: dict[tuple[str, str], dict[Any, Any]] = {
        (row["first"], row["second"]): row for row in frame.to_dict("records")
    }
    cells = [[found.get((one, two)) for two in columns] for one in rows]
    figure = make_figure(x=second, y=first, height=MAP_FRAME + CELL_PIXELS * len(rows))
    figure.add_trace(
        go.Heatmap(
            x=[escape_label(name) for name in columns],
            y=[escape_label(name) for name in rows],
            z=[[np.nan if cell is None else cell["estimate"] for cell in line] for line in cells],
            text=[[_write_cell(cell) for cell in line] for line in cells],
            texttemplate="%{text}",
            textfont={"size": 12},
            colorscale=SEQUENTIAL,
            colorbar={"title": {"text": "ROAS"}, "thickness": 12},
            hovertemplate="%{y} × %{x}<br>ROAS %{text}<extra></extra>",
            xgap=2,
            ygap=2,
        )
    )
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(showgrid=False)
    return figure


def _write_cell(cell: dict[Any, Any] | None) -> str:
    if cell is None or cell["estimate"] != cell["estimate"]:
        return ""
    return f"<b>{cell['estimate']:.2f}</b><br>{cell['lower']:.2f} to {cell['upper']:.2f}"
