"""Draws seconds of fitting against posts, both logarithmic: one line a program, labelled at its end.

Marker, line style and label differ as well as colour, so that the picture reads in greyscale.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from comparison.programs import OURS, PROGRAMS
from comparison.tables import summarise_ours

# Okabe and Ito's colours: told apart by most colour-blind readers.
COLOURS = ("#000000", "#E69F00", "#0072B2", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (6, 2, 1, 2)))
LEAST_STEP = 0.17  # of a decade, between two labels


def draw_record(record: Mapping[str, Any], path: Path) -> None:
    """Write one panel for models without creators and one for those with, as far as they were run."""
    from matplotlib.figure import Figure

    kinds = [kind for kind in (False, True) if any(bool(row["creators"]) == kind for row in record["rows"])]
    figure = Figure(figsize=(5.2 * len(kinds) + 1.2, 5.2), dpi=140, layout="constrained")
    panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    for axes, kind in zip(panels, kinds, strict=True):
        lines = collect_lines(record["rows"], creators=kind)
        _draw_panel(axes, lines, record["limit"])
        axes.set_title(_name_panel(record["rows"], kind), fontsize=10)
    panels[0].set_ylabel("seconds of fitting (compile cache warm)")
    figure.savefig(path, metadata={"Software": None})


def _name_panel(rows: Sequence[Mapping[str, Any]], kind: bool) -> str:
    sizes = sorted({(row["posts"], row["creators"]) for row in rows if bool(row["creators"]) == kind})
    if not kind:
        return "without creators"
    return "with creators: " + ", ".join(f"{creators:,}" for _, creators in sizes)


def collect_lines(rows: Sequence[Mapping[str, Any]], *, creators: bool) -> dict[str, list[tuple[int, float]]]:
    """Return for each program its points (posts, seconds of fitting with a warm cache)."""
    chosen = [row for row in rows if bool(row["creators"]) == creators and "fit_seconds" in row]
    lines = {OURS: [(posts, values["fit_seconds"]) for (posts, _), values in sorted(summarise_ours(chosen).items())]}
    for name in PROGRAMS:
        points = {r["posts"]: r["fit_seconds"] for r in chosen if r["program"] == name and r.get("cache") != "cold"}
        if name != OURS and points:
            lines[name] = sorted(points.items())
    return lines


def _draw_panel(axes: Any, lines: Mapping[str, Sequence[tuple[int, float]]], limit: float) -> None:
    order = list(PROGRAMS)
    for name, points in lines.items():
        k = order.index(name)
        style = {"color": COLOURS[k], "marker": MARKERS[k], "linestyle": LINES[k]}
        axes.plot(*zip(*points, strict=True), **style, linewidth=2.6 if name == OURS else 1.4, markersize=6)
    for name, (x, y, height) in place_labels(lines).items():
        axes.annotate(
            PROGRAMS[name].label,
            xy=(x, y),
            xytext=(x * 1.25, height),
            va="center",
            fontsize=9,
            fontweight="bold" if name == OURS else "normal",
            color=COLOURS[order.index(name)] if name != OURS else "black",
        )
    axes.axhline(limit, color="0.6", linewidth=1, linestyle=(0, (1, 3)))
    sizes = [x for points in lines.values() for x, _ in points]
    axes.annotate(f"limit {limit:.0f} s", xy=(min(sizes), limit * 1.1), fontsize=8, color="0.4")
    axes.set(xscale="log", yscale="log", xlabel="posts", xlim=(min(sizes) * 0.6, max(sizes) * 12))
    axes.set_xticks(sorted(set(sizes)), [f"{x:,}" for x in sorted(set(sizes))], fontsize=8)
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def place_labels(lines: Mapping[str, Sequence[tuple[int, float]]]) -> dict[str, tuple[int, float, float]]:
    """Return for each line its end (x, y) and the height of its label, moved apart where ends share an x."""
    ends = {name: points[-1] for name, points in lines.items()}
    placed: dict[str, tuple[int, float, float]] = {}
    for x in {x for x, _ in ends.values()}:
        names = sorted((name for name in ends if ends[name][0] == x), key=lambda name: ends[name][1])
        heights = [math.log10(ends[name][1]) for name in names]
        spread = _move_apart(heights)
        placed |= {name: (*ends[name], 10**height) for name, height in zip(names, spread, strict=True)}
    return placed


def _move_apart(heights: Sequence[float]) -> list[float]:
    """Return rising heights at least LEAST_STEP apart, moved up as little as that takes, about the same middle."""
    moved: list[float] = []
    for height in heights:
        moved.append(max(height, moved[-1] + LEAST_STEP) if moved else height)
    back = sum(a - b for a, b in zip(moved, heights, strict=True)) / len(moved)
    return [height - back for height in moved]
