"""Estimates with their intervals as horizontal lines, one row a label: the chart most pages need.

Takes a frame; makes a Plotly figure. Knows no study. Rows without numbers are drawn as withheld, never as zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from influbayes.dashboard.charts_theme import Colours, escape_label, make_figure

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

ODDS_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.33, 0.5, 0.67, 1, 1.5, 2, 3, 5, 10, 20, 50, 100)
APART = 0.26  # between two groups of a row, in rows
LABEL = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The axis of numbers: its title with the unit, the value of no effect, whether it is logarithmic, tick format."""

    title: str
    null: float | None = None
    log: bool = False
    form: str = ""
    suffix: str = ""


def draw_intervals(
    frame: pd.DataFrame, axis: Axis, *, colours: Colours, raw_name: str = "", pixels: int | None = None
) -> go.Figure:
    """Return estimates with their intervals, the first row on top.

    Parameters
    ----------
    frame
        Columns `label`, `estimate`, `lower`, `upper`, and optionally `group` (rows of one label in several colours),
        `raw` (a raw figure, drawn as a cross) and `note` (more words for the hover). NaN in `estimate`: withheld.
    axis
        What is shown, in which unit.
    colours
        From `choose_colours`.
    raw_name
        What the crosses are.
    pixels
        Height of the chart; by the number of rows unless told.
    """
    labels = list(dict.fromkeys(frame["label"]))
    groups = list(dict.fromkeys(frame["group"])) if "group" in frame else [""]
    figure = make_figure(x=axis.title, rows=round(len(labels) * (1 + 0.35 * (len(groups) - 1))), height=pixels)
    _add_null(figure, axis, len(labels), colours)
    for number, group in enumerate(groups):
        rows = frame if "group" not in frame else frame[frame["group"] == group]
        places = np.array([labels.index(label) for label in rows["label"]], dtype=np.float64)
        places += (number - (len(groups) - 1) / 2) * APART
        name = str(group) or ("estimate" if raw_name else "")
        _add_group(figure, rows, places, name, colours.series[number % len(colours.series)], axis)
        if raw_name:
            _add_raw(figure, rows, places, raw_name if number == 0 else "", colours)
        _add_withheld(figure, rows, places, axis, colours)
    figure.update_yaxes(
        tickvals=list(range(len(labels))),
        ticktext=[escape_label(str(label), limit=LABEL) for label in labels],
        range=[len(labels) - 0.4, -0.6],
        showgrid=False,
        zeroline=False,
    )
    _set_axis(figure, frame, axis)
    figure.update_layout(showlegend=len(groups) > 1 or bool(raw_name), hovermode="closest")
    return figure


def _add_null(figure: go.Figure, axis: Axis, rows: int, colours: Colours) -> None:
    """Draw the line of no effect as a trace: shapes on logarithmic axes are read differently by versions of Plotly."""
    if axis.null is not None:
        figure.add_scatter(
            x=[axis.null, axis.null],
            y=[-0.6, rows - 0.4],
            mode="lines",
            line={"color": colours.neutral, "width": 1, "dash": "dot"},
            hoverinfo="skip",
            showlegend=False,
        )


def _add_group(figure: go.Figure, rows: pd.DataFrame, places: Any, name: str, colour: str, axis: Axis) -> None:
    notes = rows["note"] if "note" in rows else [""] * len(rows)
    figure.add_scatter(
        x=rows["estimate"],
        y=places,
        mode="markers",
        name=escape_label(name),
        marker={"color": colour, "size": 9},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": rows["upper"] - rows["estimate"],
            "arrayminus": rows["estimate"] - rows["lower"],
            "color": colour,
            "thickness": 2.5,
            "width": 0,
        },
        customdata=[
            [escape_label(str(label)), low, high, escape_label(str(note))]
            for label, low, high, note in zip(rows["label"], rows["lower"], rows["upper"], notes, strict=True)
        ],
        hovertemplate=_write_hover(name, axis),
    )


def _write_hover(name: str, axis: Axis) -> str:
    form = axis.form or ".3g"
    number = f"%{{x:{form}}}{axis.suffix} (%{{customdata[1]:{form}}} to %{{customdata[2]:{form}}}{axis.suffix})"
    group = f", {escape_label(name)}" if name else ""
    return f"<b>%{{customdata[0]}}</b>{group}<br>{number}<br>%{{customdata[3]}}<extra></extra>"


def _add_raw(figure: go.Figure, rows: pd.DataFrame, places: Any, name: str, colours: Colours) -> None:
    figure.add_scatter(
        x=rows["raw"],
        y=places,
        mode="markers",
        name=escape_label(name),
        showlegend=bool(name),
        marker={
            "color": colours.neutral,
            "size": 8,
            "symbol": "x-thin",
            "line": {"color": colours.neutral, "width": 2},
        },
        hovertemplate="raw %{x:.3g}<extra></extra>",
    )


def _add_withheld(figure: go.Figure, rows: pd.DataFrame, places: Any, axis: Axis, colours: Colours) -> None:
    hidden = rows["estimate"].isna().to_numpy()
    if hidden.any():
        figure.add_scatter(
            x=[1.0 if axis.null is None else axis.null] * int(hidden.sum()),
            y=places[hidden],
            mode="text",
            text="withheld",
            textfont={"color": colours.neutral},
            hoverinfo="skip",
            showlegend=False,
        )


def _set_axis(figure: go.Figure, frame: pd.DataFrame, axis: Axis) -> None:
    figure.update_xaxes(ticksuffix=axis.suffix, zeroline=False)
    if not axis.log:
        if axis.form:
            figure.update_xaxes(tickformat=axis.form)
        return
    figure.update_xaxes(type="log", tickvals=_choose_ticks(frame), ticktext=None, tickformat="~g")


def _choose_ticks(frame: pd.DataFrame) -> Sequence[float]:
    """Return ticks of a ratio within the intervals, not more than fit side by side on a telephone."""
    low, high = frame["lower"].min(), frame["upper"].max()
    inside = [tick for tick in ODDS_TICKS if math.isnan(low) or low / 1.6 <= tick <= high * 1.6]
    while len(inside) > 6:
        kept = [tick for k, tick in enumerate(inside) if k % 2 == 0 or tick == 1]
        inside = kept if len(kept) < len(inside) else inside[:6]
    return inside
