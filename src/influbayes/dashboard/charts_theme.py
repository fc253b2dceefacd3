"""The look of every chart and sentence of the dashboard: Plotly figures, colours, escaped labels, a table below each.

The interface that pages use:

- `make_figure(x=..., y=..., rows=...)`: an empty figure; axis titles name quantity and unit.
- `choose_colours()`: colours for the theme in use; `BLUE`, `VERMILLION` ... are those of the reports' pictures.
- `show_chart(figure, table, key=..., alt=...)`: the chart, its table in an expander, and a download.
- `escape_label(text)`: any text of a user before it goes into a figure (Plotly reads a little HTML).
- `escape_words(text)`: any sentence or label before it goes into `st.markdown`, `st.metric`, headings, captions.
- `say(text)`: shows a sentence of a report as plain text.

Text and grid colours come from the browser's theme (light or dark), so figures set none.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from influbayes.dashboard.downloads import show_table
from influbayes.reporting.wording import strip_controls

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

# Okabe and Ito (2008), "Color Universal Design", as in reporting/plots_style (imported there with matplotlib).
BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
SKY, PURPLE, GREY = "#56B4E9", "#CC79A7", "#8a949e"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, VERMILLION, SKY)
SEQUENTIAL = "Cividis"

ROW_PIXELS, FRAME_PIXELS, LEAST_PIXELS = 30, 120, 260
LONGEST_LABEL = 28
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Colours:
    """Colours that are told apart and seen on the background in use."""

    main: str
    against: str
    good: str
    warn: str
    bad: str
    neutral: str
    series: tuple[str, ...]


def choose_colours() -> Colours:
    """Return the colours for the viewer's theme: lighter ones on a dark background."""
    dark = st.context.theme.type == "dark"
    return Colours(
        main=SKY if dark else BLUE,
        against=ORANGE if dark else VERMILLION,
        good=GREEN,
        warn=ORANGE,
        bad=VERMILLION,
        neutral="#a9b2bb" if dark else "#6b7580",
        series=(SKY, ORANGE, GREEN, PURPLE, VERMILLION, "#F0E442") if dark else SERIES,
    )


def make_figure(*, x: str = "", y: str = "", rows: int | None = None, height: int | None = None) -> go.Figure:
    """Return an empty figure with axis titles, room for labels and a legend above.

    Parameters
    ----------
    x, y
        Axis titles with their unit, for example "Odds ratio (log scale)".
    rows
        Rows of a horizontal chart, from which its height follows.
    height
        In pixels, where not by rows.
    """
    import plotly.graph_objects as go

    tall = height or (LEAST_PIXELS if rows is None else max(LEAST_PIXELS, FRAME_PIXELS + ROW_PIXELS * rows))
    figure = go.Figure()
    figure.update_layout(
        height=tall,
        margin={"l": 8, "r": 12, "t": 36, "b": 8},
        xaxis={"title": {"text": escape_label(x)}, "automargin": True, "fixedrange": False},
        yaxis={"title": {"text": escape_label(y)}, "automargin": True},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "xanchor": "left", "x": 0.0},
        hoverlabel={"namelength": -1},
    )
    return figure


def show_chart(
    figure: go.Figure, table: pd.DataFrame, *, key: str, alt: str, note: str = "", columns: dict[str, Any] | None = None
) -> None:
    """Show a chart, what it says in words, and its table with a download.

    Parameters
    ----------
    figure
        Made by `make_figure`; every label in it went through `escape_label`.
    table
        The numbers of the chart with readable headers and units.
    key
        Unique in the app; names the download too.
    alt
        What the chart shows, for those who cannot see it.
    note
        A caption under the chart, plain text.
    columns
        Column -> `st.column_config` of the table.
    """
    st.plotly_chart(
        figure,
        key=f"chart-{key}",
        alt=alt,
        theme="streamlit",
        config={"displaylogo": False, "scrollZoom": False, "modeBarButtonsToRemove": ["lasso2d", "select2d"]},
    )
    if note:
        st.caption(escape_words(note))
    with st.expander("The numbers of this chart"):
        show_table(table, key=key, file_name=f"{key}.csv", columns=columns)


def draw_icon() -> Any:
    """Return the icon of the browser's tab, three bars, as an image: an icon by name would be fetched from afar."""
    import numpy as np
    from PIL import Image

    pixels = np.full((32, 32, 3), 255, dtype=np.uint8)
    for left, top, colour in ((3, 16, BLUE), (12, 5, ORANGE), (21, 11, GREEN)):
        pixels[top:30, left : left + 8] = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    return Image.fromarray(pixels)


def escape_label(text: str, limit: int = LONGEST_LABEL * 4) -> str:
    """Return a text for a figure: one line, no control characters, no HTML, cut after `limit` characters."""
    line = " ".join(strip_controls(text).split())
    return html.escape(line if len(line) <= limit else line[: limit - 1] + "…", quote=False)


def escape_words(text: str) -> str:
    """Return a text that Streamlit's Markdown shows as it is: no markup, formula, colour, icon, emoji or HTML."""
    return _MARKDOWN.sub(r"\\\1", " ".join(strip_controls(text).split()))


def say(text: str) -> None:
    """Show a sentence as plain text."""
    st.markdown(escape_words(text))
