"""The report as one HTML page: nothing outside it is loaded, nothing in it runs.

Takes results as plain data and pictures as PNG bytes. Every label is escaped by the template; a content security policy
forbids whatever might slip through.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from influbayes.effects.contrasts import MEAN_OF_LEVELS
from influbayes.reporting import html_tables as tables
from influbayes.reporting.html_decisions import group_decisions
from influbayes.reporting.html_tables import Table
from influbayes.reporting.level_order import order_levels
from influbayes.reporting.numbers import format_count, format_number, format_share
from influbayes.reporting.wording import name_column, say_mass, strip_controls

if TYPE_CHECKING:
    from jinja2 import Environment, Template

CSP = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
# The start of a picture's name -> what it shows, and the table that holds its numbers.
PICTURES = {
    "contrasts": ("Posterior density of each comparison, the part in which the level wins shaded", "table-contrasts"),
    "forest": ("Odds ratios with 50 % and wider intervals, both questions side by side", "table-contrasts"),
    "map": ("Expected conversion of each cell with its interval and its count of posts", "table-cells"),
    "levels": ("Expected conversion of each level beside its raw rate", "table-levels"),
    "creators": ("Expected conversion of the best and the worst beside their raw rates", "table-creators"),
    "curves": ("Expected conversion along each numeric column, with the raw rates of tenths", "table-tenths"),
    "calibration": ("Share of posts that converted against the predicted chance, with a band", "table-calibration"),
    "premium": ("Probability that a post is worth its premium, along the premium", "table-premium"),
    "tracking": ("Tracking errors together at which the order turns", "table-tracking"),
    "regressions": ("Odds ratios of this model beside those of the regressions", "table-regressions"),
    "checks": ("Observed against expected conversions of groups of posts", "table-checks"),
    "chains": ("Ranks of the draws of each chain, which lie level where the chains agree", "table-diagnostics"),
    "priors": ("Prior and posterior density of intercept, slopes and scales", "table-terms"),
}
_OTHER_TABLES = {"regressions_engagement_constant": "table-regressions-engagement_constant"}
STATUS_WORDS = {"ok": "Can be used", "partly_withheld": "Partly withheld", "withheld": "Withheld"}
GROUPS = (
    ("beats", "Which levels beat which"),
    ("no_difference", "Where no difference can be told"),
    ("best", "Which is best"),
    ("step", "What a step is worth"),
    ("disagreement", "Where the two questions disagree"),
    ("misfit", "Where the model does not fit"),
    ("caveat", "Keep in mind"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Statements that unfold under a summary."""

    summary: str
    rows: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Statements under one heading: those in front, and the folds of the rest."""

    heading: str
    front: tuple[Mapping[str, Any], ...]
    folds: tuple[Fold, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture of the page: its name, what it shows in words, its data URI, the id of its table or ""."""

    name: str
    alt: str
    uri: str
    table: str


def render_report(results: Mapping[str, Any], images: Mapping[str, bytes]) -> str:
    """Return the report as one self-contained HTML page.

    Parameters
    ----------
    results : mapping
        What `collect_results` returned, or a results.json read back.
    images : mapping
        Name of a picture (as from `draw_plots`) -> PNG bytes. Names that are not known come last.

    Returns
    -------
    str
        HTML without scripts and without any address that is loaded; the same for the same input.
    """
    estimates = tables.read_estimates(results)
    short, every = tables.tables_creators(results, estimates)
    notable, checked = tables.tables_diagnostics(results)
    found: dict[str, Table | None] = {
        "steps": tables.table_steps(results, estimates),
        "levels": tables.table_levels(results, estimates),
        "cells": tables.table_cells(results, estimates),
        "creators": short,
        "creators_all": every,
        "ranks": tables.table_ranks(results, estimates),
        "calibration": tables.table_calibration(results),
        "checks": tables.table_checks(results),
        "notable": notable,
        "diagnostics": checked,
        "tenths": tables.table_tenths(results),
        "terms": tables.table_terms(results),
        "rows": tables.table_rejected(results),
    }
    chosen = group_decisions(results)
    return load_template().render(
        results=results,
        csp=CSP,
        css=read_part("report.css"),
        tables=found,
        decisions=chosen,
        contrasts=tables.tables_contrasts(results, estimates),
        pictures=_group_pictures(images),
        said=group_statements(results),
        headline=find_headlines(results),
        status_word=STATUS_WORDS[results["status"]],
        questions=tables.list_questions(results),
        levels=_list_levels(results),
        mass=say_mass(results["provenance"]["prob"]),
    )


def find_headlines(results: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the statements of the headline, as bought first; those of questions not asked are left out."""
    known = {row["id"]: row for row in results["statements"]}
    chosen = [results["headline"].get(question) for question in ("as_bought", "engagement_constant")]
    return [known[part["statement"]] for part in chosen if part is not None and part["statement"] in known]


def group_statements(results: Mapping[str, Any]) -> list[Group]:
    """Return the statements in reading order, those of the first question and of the reference in front.

    The headline and the many on single levels stand elsewhere.
    """
    first = tables.list_questions(results)[0]
    references = {term["variable"]: term["reference"] for term in results["model"]["terms"]}
    groups = []
    for kind, heading in GROUPS:
        rows = [row for row in results["statements"] if row["kind"] == kind]
        front = [row for row in rows if kind not in _LONG or _is_in_front(row, first, references)]
        rest = [row for row in rows if row not in front]
        groups.append(Group(heading=heading, front=tuple(front), folds=_fold(kind, rest, first)))
    return [group for group in groups if group.front or group.folds]


def _fold(kind: str, rows: Sequence[Mapping[str, Any]], first: str) -> tuple[Fold, ...]:
    """Return the rest of a group: other pairs of the first question, then the other question."""
    parts = {
        "other pairs": [row for row in rows if row["question"] == first],
        "": [row for row in rows if row["question"] != first],
    }
    found = []
    for words, part in parts.items():
        if part:
            question = tables.QUESTION_WORDS[part[0]["question"]]
            what = words or ("comparisons" if kind == "beats" else "columns")
            named = what.removesuffix("s") if len(part) == 1 else what
            withheld = sum(row["status"] == "withheld" for row in part)
            tail = f" ({withheld} withheld)" if withheld else ""
            found.append(Fold(summary=f"{len(part)} {named}, {question}{tail}", rows=tuple(part)))
    return tuple(found)


_LONG = ("beats", "best")


def _is_in_front(row: Mapping[str, Any], question: str, references: Mapping[str, Any]) -> bool:
    usual = row["kind"] == "best" or row["reference"] in (references.get(row["variable"]), MEAN_OF_LEVELS)
    return row["question"] == question and usual


def _group_pictures(images: Mapping[str, bytes]) -> dict[str, list[Picture]]:
    """Return start of the name -> its pictures; those of unknown names under "more"."""
    groups: dict[str, list[Picture]] = {name: [] for name in (*PICTURES, "more")}
    for name, data in images.items():
        start = name.split("_")[0]
        alt, table = PICTURES.get(start, (name.replace("_", " "), ""))
        table = _OTHER_TABLES.get(name, table)
        question = next((f", {words}" for key, words in tables.QUESTION_WORDS.items() if name.endswith(key)), "")
        picture = embed_picture(name, data, alt=f"{alt}{question}", table=table)
        groups[start if start in PICTURES else "more"].append(picture)
    return groups


def embed_picture(name: str, data: bytes, *, alt: str, table: str = "") -> Picture:
    """Return a picture that is part of the page, from PNG bytes."""
    uri = "data:image/png;base64," + base64.b64encode(data).decode("ascii")
    return Picture(name=name, alt=alt, uri=uri, table=table)


def _list_levels(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (column, levels with their counts) of the data account; of long columns only how many there are."""
    rows, known = [], results["data"]["levels"]
    for column in dict.fromkeys([*(term["variable"] for term in results["model"]["terms"]), *known]):
        counts = known.get(column, {})  # none of a numeric, nor of an interaction, whose cells are counted elsewhere
        if len(counts) > 30:
            rows.append((name_column(column), f"{format_count(len(counts))} levels"))
        elif counts:
            named = ", ".join(f"{level} ({format_count(counts[level])})" for level in order_levels(results, column))
            rows.append((name_column(column), named))
    return rows


@cache
def load_template(name: str = "report.html.j2") -> Template:
    """Return the template of a report; labels are always escaped, an unknown name is an error."""
    return _make_environment().get_template(name)


def _make_environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    loader = FunctionLoader(read_part)
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters |= {"clean": strip_controls, "spoken": keep_together, "width": name_width}
    made.filters |= {"count": format_count, "number": format_number, "share": format_share}
    return made


def keep_together(text: str) -> str:
    """Return a sentence in which no line ends between a number and its per cent sign."""
    return re.sub(r"(?<=\d) %", "\u00a0%", strip_controls(text))


def name_width(text: str) -> str:
    """Return the class of a label cell: short ones stay on one line, words that fit no column may break anywhere."""
    if any(len(word) > 28 for word in text.split()):
        return "long"
    return "short" if len(text) <= 20 else ""


def read_part(name: str) -> str:
    """Return the text of a template or of the style sheet."""
    return resources.files("influbayes.reporting").joinpath("templates", name).read_text(encoding="utf-8")
