"""Pictures of a calibration record: ECDF of ranks with its bands, and coverage of intervals with theirs.

Takes a record; makes PNG bytes. Uses matplotlib's objects only, never pyplot, and none of the user's matplotlibrc.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from influbayes.calibration.bands import find_binomial_band, find_ecdf_band
from influbayes.calibration.decision import QuantityFigures, list_tests
from influbayes.calibration.record import CalibrationRecord, Stage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 3
DPI = 130
COMMON_ALPHA = 0.05
_LONGEST = 40
_LINE, _BAD, _WIDE, _NARROW, _INK = "#0072B2", "#D55E00", "#e8ebee", "#cfd6dc", "#1d232b"


def draw_ecdf(record: CalibrationRecord) -> bytes:
    """Draw, for each quantity, the ECDF of the ranks minus that of uniform ones, in two simultaneous bands (PNG).

    The dark band holds one right quantity with probability 0.95; the light one, all tests together with 0.99.
    """
    return _render(record, _draw_ecdf)


def draw_coverage(record: CalibrationRecord) -> bytes:
    """Draw the coverage of every interval minus what it states, with binomial bands for all tests together (PNG)."""
    return _render(record, _draw_coverage)


def _render(record: CalibrationRecord, draw: Callable[[CalibrationRecord], Figure]) -> bytes:
    import matplotlib

    # A user's matplotlibrc could switch on LaTeX, which would run labels as a program.
    settings: Any = {**matplotlib.rcParamsDefault, "backend": "agg", "font.size": 8.5, "text.color": _INK}
    with matplotlib.rc_context(settings):
        image = io.BytesIO()
        draw(record).savefig(image, format="png", dpi=DPI, metadata={"Software": None})
    return image.getvalue()


def _open_figure(record: CalibrationRecord, *, width: float, height: float, title: str) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height + 0.9), layout="constrained", facecolor="white")
    figure.suptitle(_escape(f"{title}\n{_describe(record)}"), x=0.01, ha="left", fontsize=10, linespacing=1.4)
    return figure


def _describe(record: CalibrationRecord) -> str:
    stage = _shown_stage(record)
    what = "fresh replications" if record.fresh is not None else "replications"
    subject = f"{record.model[:_LONGEST]}, engine {record.engine[:_LONGEST]}: {record.status}"
    return f"{subject}, {stage.replications:,} {what}\n{record.table[: 2 * _LONGEST]}"


def _shown_stage(record: CalibrationRecord) -> Stage:
    """Return the replications that decided."""
    return record.first if record.fresh is None else record.fresh


def _draw_ecdf(record: CalibrationRecord) -> Figure:
    stage = _shown_stage(record)
    rows = max(1, -(-len(stage.figures) // COLUMNS))
    figure = _open_figure(record, width=9.0, height=1.7 * rows, title="Ranks of the truth: ECDF minus uniform")
    grid = figure.subplots(rows, COLUMNS, sharex=True, squeeze=False).ravel()
    alpha = stage.alpha / max(1, len(list_tests(stage.figures)))
    for axes, figures in zip(grid, stage.figures, strict=False):
        _draw_difference(axes, figures, alpha)
    for axes in grid[len(stage.figures) :]:
        axes.set_axis_off()
    figure.supxlabel("rank of the truth among 99 draws, as a share", fontsize=8.5)
    return figure


def _draw_difference(axes: Axes, figures: QuantityFigures, alpha: float) -> None:
    total, bins = figures.replications, len(figures.counts)
    share = np.arange(1, bins) / bins
    for level, colour in ((alpha, _WIDE), (COMMON_ALPHA, _NARROW)):
        band = find_ecdf_band(total, bins, alpha=level)
        axes.fill_between(share, band.lower / total - share, band.upper / total - share, color=colour, linewidth=0)
    difference = np.cumsum(figures.counts)[:-1] / total - share
    axes.plot(share, difference, color=_LINE if figures.p_value > alpha else _BAD, linewidth=1.2)
    axes.axhline(0.0, color=_INK, linewidth=0.5)
    axes.set_title(_shorten(figures.name), fontsize=8, loc="left")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_coverage(record: CalibrationRecord) -> Figure:
    stage = _shown_stage(record)
    shown = [one for one in stage.figures if one.coverage]
    figure = _open_figure(record, width=9.0, height=0.9 + 0.24 * len(shown), title="Coverage of intervals minus stated")
    probs = [held.prob for held in shown[0].coverage] if shown else [0.9]
    alpha = stage.alpha / max(1, len(list_tests(stage.figures)))
    for k, axes in enumerate(figure.subplots(1, len(probs), sharey=True, squeeze=False).ravel()):
        _draw_coverages(axes, shown, k, alpha)
        axes.set_title(f"{probs[k]:.0%} intervals", fontsize=8.5, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_yticks(range(len(shown)), labels=[_shorten(one.name) for one in shown], fontsize=7.5)
        axes.set_ylim(len(shown) - 0.5, -0.5)
    figure.supxlabel("percentage points above (right) or below (left) what is due; grey: range of chance", fontsize=8.5)
    return figure


def _draw_coverages(axes: Axes, shown: list[QuantityFigures], k: int, alpha: float) -> None:
    for row, one in enumerate(shown):
        held, total = one.coverage[k], one.replications
        low, high = (
            100 * (count / total - held.nominal) for count in find_binomial_band(total, held.nominal, alpha=alpha)
        )
        axes.plot([low, high], [row, row], color=_NARROW, linewidth=5, solid_capstyle="butt")
        colour = _LINE if held.p_value > alpha else _BAD
        axes.plot([100 * (held.covered / total - held.nominal)], [row], marker="o", markersize=3.5, color=colour)
    axes.axvline(0.0, color=_INK, linewidth=0.5)


def _shorten(name: str, limit: int = 47) -> str:
    return _escape(name if len(name) <= limit else f"{name[: limit - 1]}\u2026")


def _escape(text: str) -> str:
    return text.replace("$", r"\$")
