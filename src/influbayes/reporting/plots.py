"""The pictures of a conversion study, by name, and the bytes of each as PNG.

Takes an analysis and its results as plain data. What is withheld is not drawn: of a study that is withheld as a whole
only its chains are shown. Matplotlib's objects only; the user's settings of matplotlib do not reach them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from io import BytesIO
from typing import Any

from matplotlib.figure import Figure

from influbayes.hierarchy.posterior import Fit
from influbayes.reporting.canvas import LineCanvas
from influbayes.reporting.gallery import Task
from influbayes.reporting.plots_checks import draw_calibration, draw_chains, draw_checks, draw_priors
from influbayes.reporting.plots_contrasts import draw_contrasts, draw_forest, order_questions
from influbayes.reporting.plots_curves import draw_curves
from influbayes.reporting.plots_decisions import draw_decisions
from influbayes.reporting.plots_rates import draw_creators, draw_levels, draw_maps
from influbayes.reporting.plots_style import drawing_style
from influbayes.reporting.results import ConversionAnalysis, QuestionResult

_COMPRESSION = 3
"""Of the nine levels of PNG: a third less work than the usual 6, for an eighth more bytes."""


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
        drawn = {name: figure for task in list_plots(results, analysis).values() for name, figure in task().items()}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def list_plots(results: Mapping[str, Any], analysis: ConversionAnalysis) -> dict[str, Task]:
    """Return the tasks that draw the pictures of a study, in the order of the report; none draws what is withheld."""
    fits = [part.fit for part in order_questions(analysis)]
    shown = {name: task for fit in fits for name, task in list_fit_plots(fit).items()}
    if results["status"] == "withheld":
        return {name: task for name, task in shown.items() if name.startswith("chains_")}
    tasks = shown | list_answer_plots(analysis) | _list_result_plots(results, analysis)
    evidence = [f"{kind}_{fit.design.question}" for fit in fits for kind in ("checks", "priors", "chains")]
    return {name: tasks[name] for name in (*_ORDER, *evidence)}


_ORDER = ("contrasts", "forest", "maps", "decisions", "levels", "creators", "curves", "calibration")


def list_fit_plots(fit: Fit) -> dict[str, Task]:
    """Return the tasks that show the fit of one question."""
    name = fit.design.question
    return {
        f"chains_{name}": lambda: {f"chains_{name}": draw_chains(fit)},
        f"priors_{name}": lambda: {f"priors_{name}": draw_priors(fit)},
    }


def list_answer_plots(analysis: ConversionAnalysis) -> dict[str, Task]:
    """Return the tasks that show the answers to the questions, but no results."""
    checks = {f"checks_{part.fit.design.question}": partial(_draw_checks, part) for part in order_questions(analysis)}
    return {
        **checks,
        "forest": lambda: {"forest": draw_forest(analysis)},
        "curves": lambda: {"curves": draw_curves(analysis)},
        "calibration": lambda: {"calibration": draw_calibration(analysis)},
    }


def _list_result_plots(results: Mapping[str, Any], analysis: ConversionAnalysis) -> dict[str, Task]:
    return {
        "contrasts": lambda: {"contrasts": draw_contrasts(analysis, find_withheld_claims(results))},
        "maps": lambda: _draw_maps(analysis, results),
        "decisions": lambda: draw_decisions(results),
        "levels": lambda: {"levels": draw_levels(analysis, results)},
        "creators": lambda: {"creators": draw_creators(analysis, results)},
    }


def _draw_checks(part: QuestionResult) -> dict[str, Figure | None]:
    return {f"checks_{part.fit.design.question}": draw_checks(part)}


def _draw_maps(analysis: ConversionAnalysis, results: Mapping[str, Any]) -> dict[str, Figure]:
    maps = draw_maps(analysis, results, find_withheld_cells(results))
    return {"map" if index == 0 else f"map_{index + 1}": figure for index, figure in enumerate(maps)}


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
        canvas: Any = LineCanvas(figure)
        canvas.print_png(target, metadata={"Software": None}, pil_kwargs={"compress_level": _COMPRESSION})
    return target.getvalue()
