"""The pictures of a conversion study, by name, and the bytes of each as PNG.

Takes an analysis and its results as plain data. What is withheld is not drawn: of a study that is withheld as a whole
only its chains are shown. Matplotlib's objects only; the user's settings of matplotlib do not reach them.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from influbayes.reporting.plots_checks import draw_calibration, draw_chains, draw_checks, draw_priors
from influbayes.reporting.plots_contrasts import draw_contrasts, draw_forest, order_questions
from influbayes.reporting.plots_curves import draw_curves
from influbayes.reporting.plots_decisions import draw_decisions
from influbayes.reporting.plots_rates import draw_creators, draw_levels, draw_maps
from influbayes.reporting.plots_style import drawing_style
from influbayes.reporting.results import ConversionAnalysis


def draw_plots(results: Mapping[str, Any], analysis: ConversionAnalysis) -> dict[str, Figure]:
    """Draw the pictures of a conversion study.

    Parameters
    ----------
    results : mapping
        What `collect_results` made of the analysis: raw rates, statements and what is withheld.
    analysis : ConversionAnalysis
        Draws, estimates and checks.

    Returns
    -------
    dict
        Name -> figure, in the order of the report: ``contrasts, forest, map`` (``map_2`` ...), ``premium, tracking,
        regressions, levels, creators,
        curves, calibration, checks_QUESTION, chains_QUESTION, priors_QUESTION``; a picture that does not apply is left
        out. NAME becomes plots/NAME.png.
    """
    with drawing_style():
        drawn: dict[str, Figure | None] = {}
        if results["status"] != "withheld":
            drawn |= _draw_answers(results, analysis)
        drawn |= _draw_evidence(analysis, withheld=results["status"] == "withheld")
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _draw_answers(results: Mapping[str, Any], analysis: ConversionAnalysis) -> dict[str, Figure | None]:
    maps = draw_maps(analysis, results, find_withheld_cells(results))
    return {
        "contrasts": draw_contrasts(analysis, find_withheld_claims(results)),
        "forest": draw_forest(analysis),
        **{"map" if index == 0 else f"map_{index + 1}": figure for index, figure in enumerate(maps)},
        **draw_decisions(results),
        "levels": draw_levels(analysis, results),
        "creators": draw_creators(analysis, results),
        "curves": draw_curves(analysis),
    }


def _draw_evidence(analysis: ConversionAnalysis, *, withheld: bool) -> dict[str, Figure | None]:
    parts = {part.fit.design.question: part for part in order_questions(analysis)}
    drawn: dict[str, Figure | None] = {} if withheld else {"calibration": draw_calibration(analysis)}
    for name, part in parts.items():
        if not withheld:
            drawn |= {f"checks_{name}": draw_checks(part), f"priors_{name}": draw_priors(part)}
        drawn[f"chains_{name}"] = draw_chains(part)
    return drawn


def find_withheld_claims(results: Mapping[str, Any]) -> frozenset[str]:
    """Return the ids of claims whose statement is withheld."""
    rows = [row for row in results["statements"] if row["status"] == "withheld"]
    return frozenset(row.get("claim") or row["id"] for row in rows)


def find_withheld_cells(results: Mapping[str, Any]) -> frozenset[str]:
    """Return the levels and cells ("Micro:US") whose estimates are withheld, in the question the map shows."""
    hidden, shown = set(results["withheld_effects"]), {row["question"] for row in results["effects"]}
    first = "as_bought" if "as_bought" in shown else "engagement_constant"
    rows = [row for row in results["effects"] if row["id"] in hidden and row["question"] == first]
    return frozenset(str(row["level"]) for row in rows)


def save_figure(figure: Figure) -> bytes:
    """Return a figure as PNG: the same bytes for the same figure, without date or version of software."""
    target = BytesIO()
    with drawing_style():
        # Not figure.savefig: it draws a constrained figure twice. Dots an inch and colour are the figure's own.
        canvas: Any = FigureCanvasAgg(figure)
        canvas.print_png(target, metadata={"Software": None})
    return target.getvalue()
