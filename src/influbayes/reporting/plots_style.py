"""The look of every picture: colours, fonts, clean labels, axes with units.

Makes figures and small pieces of axes from plain numbers. Knows no study. Uses matplotlib's objects only, never pyplot;
the user's matplotlibrc does not reach the pictures (`drawing_style`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from influbayes.hierarchy.design import FloatArray
from influbayes.reporting.wording import name_column, strip_controls

# Okabe and Ito (2008), "Color Universal Design": told apart with every common colour vision.
BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
SKY, PURPLE, BLACK = "#56B4E9", "#CC79A7", "#000000"
INK, SOFT, FAINT, GREY = "#1d232b", "#59636e", "#d5dae0", "#b3bac2"
CHAINS = (BLUE, ORANGE, GREEN, PURPLE, VERMILLION, SKY, BLACK)

DPI = 150
WIDTH = 8.0
LABEL_LENGTH = 28
MISSING = "\u25a1"
# Fonts looked at for letters that DejaVu Sans, which comes with matplotlib, does not have.
FALLBACK_FONTS = (
    "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans JP", "Noto Sans SC", "Noto Sans KR", "Noto Sans Devanagari",
    "Noto Sans Thai", "Arial Unicode MS", "Hiragino Sans", "Microsoft YaHei", "Malgun Gothic", "Yu Gothic",
)  # fmt: skip
ODDS_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.33, 0.5, 0.67, 1, 1.5, 2, 3, 5, 10, 20, 50, 100)


@lru_cache(maxsize=1)
def list_fonts() -> tuple[str, ...]:
    """Return the font families in use: DejaVu Sans first, then the installed fallbacks."""
    installed = set(font_manager.fontManager.get_font_names())
    return ("DejaVu Sans", *(name for name in FALLBACK_FONTS if name in installed))


@lru_cache(maxsize=1)
def list_glyphs() -> frozenset[int]:
    """Return the code points that the fonts in use can draw."""
    paths = [font_manager.findfont(name) for name in list_fonts()]
    return frozenset().union(*(font_manager.get_font(path).get_charmap() for path in paths))


def drawing_style() -> AbstractContextManager[None]:
    """Return a context with matplotlib's own defaults and this house's look; it undoes itself.

    A user's matplotlibrc could switch on LaTeX, which would run labels as a program.
    """
    look: dict[str, Any] = {
        "font.family": list(list_fonts()), "font.size": 9.0, "axes.titlesize": 10.0, "axes.labelsize": 9.0,
        "xtick.labelsize": 8.5, "ytick.labelsize": 9.0, "axes.edgecolor": SOFT, "axes.labelcolor": INK,
        "text.color": INK, "xtick.color": SOFT, "ytick.color": INK, "xtick.labelcolor": INK, "axes.linewidth": 0.8,
        "axes.titlelocation": "left", "axes.titleweight": "bold", "hatch.linewidth": 0.6, "hatch.color": "#8a949e",
        "legend.frameon": False, "legend.fontsize": 8.5,
    }  # fmt: skip
    settings: Any = {**matplotlib.rcParamsDefault, "backend": "agg", **look}
    return matplotlib.rc_context(settings)


def clean_label(text: str, limit: int = LABEL_LENGTH) -> str:
    """Return a label fit to draw: one line, no control letters, letters the fonts have, at most `limit` of them."""
    line = " ".join(strip_controls(unicodedata.normalize("NFC", text)).split())
    bare = "".join(
        letter for letter in line if unicodedata.category(letter) not in {"Co", "Cn", "Me"} and letter != "\ufe0f"
    )
    short = bare if len(bare) <= limit else bare[: limit - 1].rstrip() + "\u2026"
    return "".join(letter if ord(letter) in list_glyphs() else MISSING for letter in short) or "(blank)"


def keep_order(text: str) -> str:
    """Return text made of several labels so marked that a label written from right to left does not turn the others."""
    turned = any(unicodedata.bidirectional(letter) in {"R", "AL"} for letter in text)
    return f"\u200e{text}" if turned else text


def escape_math(text: str) -> str:
    """Return text in which no dollar sign starts mathtext; every text that holds a label goes through it, once."""
    return text.replace("$", r"\$")


def title_column(column: str, limit: int = 34) -> str:
    """Return a column's name to stand at the start of a heading: "Swipe-ups", "Tier"."""
    words = name_column(column).strip('"').replace("_", " ")
    return clean_label(words[:1].upper() + words[1:], limit)


def new_figure(height: float, *, title: str, subtitle: str = "") -> Figure:
    """Return an empty figure of the report's width; the subject stands above, the reading under it."""
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained", facecolor="white")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.06, hspace=0.03, wspace=0.03)  # type: ignore[union-attr, call-arg]
    lines = subtitle.count("\n") + 1 if subtitle else 0
    top = 1 - (0.36 + 0.18 * lines) / height
    figure.get_layout_engine().set(rect=(0, 0, 1, top))  # type: ignore[union-attr, call-arg]
    heading = escape_math(keep_order(clean_label(title, 88)))
    figure.text(0.012, 1 - 0.10 / height, heading, fontsize=12, weight="bold", va="top")
    figure.text(0.012, 1 - 0.36 / height, subtitle, fontsize=9, color=SOFT, va="top", linespacing=1.35)
    return figure


def strip_axes(axes: Axes, *, keep_left: bool = False) -> None:
    """Take away the frame that carries no information."""
    for side in ("top", "right") if keep_left else ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    if not keep_left:
        axes.tick_params(axis="y", length=0)


def label_rows(axes: Axes, labels: Sequence[str], *, top: float = 0.6) -> None:
    """Give each row 0, 1, 2 ... from the top its label (clean already)."""
    axes.set_yticks(range(len(labels)), labels=[escape_math(label) for label in labels])
    axes.set_ylim(len(labels) - 1 + 0.6, -top)


def show_percent(axes: Axes, which: str = "x", *, span: float = 1.0) -> None:
    """Write the ticks of an axis of shares as per cent, with a decimal where the axis is short."""
    digits = 0 if span > 0.05 else 1 if span > 0.005 else 2
    formatter = FuncFormatter(lambda value, _: f"{100 * value:.{digits}f} %")
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(formatter)
    axis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10]))  # no 2.5: it would be rounded in the label


def show_odds(axes: Axes, low: float, high: float) -> None:
    """Make x an odds axis: logarithmic, equal steps for x 2 and x 1/2, readable ticks."""
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    ticks = ODDS_TICKS if high / low < 1e4 else tuple(10.0**power for power in range(-6, 7))
    inside = [tick for tick in ticks if low <= tick <= high]
    step = max(1, int(np.ceil(len(inside) / 7)))
    centre = inside.index(1) if 1 in inside else 0
    shown = [tick for index, tick in enumerate(inside) if (index - centre) % step == 0]
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())


def limit_odds(lower: Sequence[float], upper: Sequence[float]) -> tuple[float, float]:
    """Return the ends of an odds axis that shows all intervals, the null, and at most a factor of 10^6 each way."""
    low, high = min([*lower, 0.8]), max([*upper, 1.25])
    return max(low / 1.12, 1e-6), min(high * 1.12, 1e6)


def estimate_density(draws: FloatArray, grid: FloatArray, *, like: FloatArray | None = None) -> FloatArray:
    """Return the Gaussian kernel density (points,) of draws on an even grid.

    The bandwidth is that of Silverman (1986), equation 3.31, for the draws, or for those in `like`.
    """
    flat, shape = np.ravel(draws), np.ravel(draws if like is None else like)
    middle = float(np.subtract(*np.quantile(shape, [0.75, 0.25]))) / 1.34
    width = 0.9 * (min(float(shape.std()), middle) or float(shape.std())) * len(shape) ** -0.2
    if not np.isfinite(width) or width <= 0:
        return np.zeros_like(grid)
    step = grid[1] - grid[0]
    edges = np.append(grid - step / 2, grid[-1] + step / 2)
    counts = np.histogram(flat, bins=edges)[0] / (len(flat) * step)
    reach = np.arange(-len(grid) + 1, len(grid)) * step
    kernel = np.exp(-0.5 * (reach / max(width, step)) ** 2)
    return np.asarray(np.convolve(counts, kernel / kernel.sum(), mode="valid"), dtype=np.float64)


def draw_note(figure: Figure, text: str, height: float) -> None:
    """Write a note along the lower edge, and keep the axes above it."""
    lines = text.count("\n") + 1
    share = (0.08 + 0.165 * lines) / height
    engine: Any = figure.get_layout_engine()
    left, bottom, width, tall = engine.get()["rect"]
    engine.set(rect=(left, bottom + share, width, tall - share))
    figure.text(0.012, 0.06 / height, text, fontsize=8, color=SOFT, va="bottom", linespacing=1.3)
