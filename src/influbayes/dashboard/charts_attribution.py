"""Charts of the attribution page: roles of channels, and how models rank users they have not seen.

Takes plain rows of results; makes Plotly figures. Computes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from influbayes.dashboard.charts_theme import Colours, escape_label, make_figure

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

ROLES = {"opens": "opens", "assists": "assists", "closes": "closes"}
CURVE_PIXELS = 420
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


def draw_roles(frame: pd.DataFrame, *, colours: Colours) -> go.Figure:
    """Return bars of how many converting journeys each channel opens, assists and closes.

    `frame` has label, opens, assists, closes; the first row on top.
    """
    figure = make_figure(x="Converting journeys", rows=round(1.8 * len(frame)))
    names = [escape_label(str(label), limit=24) for label in frame["label"]]
    for number, (role, title) in enumerate(ROLES.items()):
        figure.add_bar(
            y=names,
            x=frame[role],
            name=title,
            orientation="h",
            marker={"color": colours.series[number]},
            hovertemplate=f"<b>%{{y}}</b> {title}<br>%{{x:,.0f}} journeys<extra></extra>",
        )
    figure.update_layout(barmode="group", showlegend=True, bargap=0.3)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def draw_curves(
    curves: Mapping[str, Mapping[str, Sequence[Sequence[float]]]], kind: str, *, colours: Colours, base_rate: float
) -> go.Figure:
    """Return one curve a model: "roc", "pr" (precision and recall) or "calibration".

    Parameters
    ----------
    curves
        Model -> kind -> points (x, y), each 0 to 1.
    kind
        Which curve.
    base_rate
        Share of sessions with a sign-up: where a model without knowledge lies in the "pr" curve.
    """
    titles = {
        "roc": ("Share of other sessions flagged", "Share of sign-ups found"),
        "pr": ("Share of sign-ups found", "Share of flagged that sign up"),
        "calibration": ("Predicted chance of a sign-up", "Share that signed up"),
    }
    x, y = titles[kind]
    figure = make_figure(x=x, y=y, height=CURVE_PIXELS)
    most = max((max(point) for parts in curves.values() for point in parts["calibration"]), default=1.0)
    ends = {"roc": ([0, 1], [0, 1]), "pr": ([0, 1], [base_rate] * 2), "calibration": ([0, most], [0, most])}
    figure.add_scatter(
        x=ends[kind][0],
        y=ends[kind][1],
        mode="lines",
        name="right chances" if kind == "calibration" else "no knowledge",
        line={"color": colours.neutral, "width": 1, "dash": "dot"},
        hoverinfo="skip",
    )
    shown = {name: parts for name, parts in curves.items() if name != "base rate"}
    for number, (name, parts) in enumerate(shown.items()):
        _add_curve(figure, name, parts[kind], colours.series[number % len(colours.series)], number, kind)
    figure.update_layout(showlegend=True, legend={"y": -0.28, "yanchor": "top"})
    return figure


def _add_curve(
    figure: go.Figure, name: str, points: Sequence[Sequence[float]], colour: str, number: int, kind: str
) -> None:
    figure.add_scatter(
        x=[point[0] for point in points],
        y=[point[1] for point in points],
        mode="lines+markers" if kind == "calibration" else "lines",
        name=escape_label(name),
        line={"color": colour, "width": 2, "dash": DASHES[number % len(DASHES)]},
        hovertemplate=f"{escape_label(name)}<br>%{{x:.3f}}, %{{y:.3f}}<extra></extra>",
    )


def draw_counts(frame: pd.DataFrame, x: str, *, colours: Colours) -> go.Figure:
    """Return bars of a count by label; `frame` has label and count."""
    figure: Any = make_figure(x=x, rows=len(frame))
    figure.add_bar(
        y=[escape_label(str(label), limit=24) for label in frame["label"]],
        x=frame["count"],
        orientation="h",
        marker={"color": colours.main},
        hovertemplate="<b>%{y}</b><br>%{x:,.0f}<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure
