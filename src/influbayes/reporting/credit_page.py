"""The attribution report as one HTML page: nothing outside it is loaded, nothing in it runs.

Takes plain results and pictures as PNG bytes. Every label is escaped by the template.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from influbayes.reporting.credit_sentences import NOT_CAUSE
from influbayes.reporting.credit_tables import list_other_tables, list_tables
from influbayes.reporting.html import CSP, Picture, keep_together, name_width
from influbayes.reporting.numbers import format_count, format_number, format_share
from influbayes.reporting.wording import strip_controls

if TYPE_CHECKING:
    from jinja2 import Template

PICTURES = {
    "credits": ("Credit of each channel by every rule, with intervals", "table-credits"),
    "truth": ("Credit of each channel beside what it caused", "table-truth"),
    "roles": ("How often each channel opens, assists and closes a journey", "table-roles"),
    "rates": ("Share of sessions that sign up by level, with intervals", "table-rates"),
    "calendar": ("Share of sessions that sign up by month and weekday", ""),
    "minutes": ("Densities of session minutes by level", "table-minutes"),
    "odds": ("Odds ratios of the sign-up model with intervals", "table-odds"),
    "trial": ("ROC curve, precision and recall, and calibration of the models on held-out users", "table-scores"),
    "importances": ("Importances of the features in the baseline", "table-importances"),
}
STATUS_WORDS = {"ok": "Can be used", "partly_withheld": "Partly withheld"}
_LEAD = ("headline", "conservation", "conflict", "few", "lost")


def render_credit_page(results: Mapping[str, Any], images: Mapping[str, bytes]) -> str:
    """Return the attribution report as one self-contained HTML page, the same for the same input."""
    said = results["statements"]
    return load_credit_template().render(
        results=results,
        csp=CSP,
        css=_read_part("report.css"),
        tables=list_tables(results),
        others=list_other_tables(results),
        pictures={name: _embed(name, data) for name, data in images.items()},
        lead=[row for row in said if row["kind"] in _LEAD],
        rest=[row for row in said if row["kind"] not in (*_LEAD, "caveat")],
        not_cause=NOT_CAUSE,
        status_word=STATUS_WORDS[results["status"]],
    )


def _embed(name: str, data: bytes) -> Picture:
    alt, table = PICTURES[name]
    uri = "data:image/png;base64," + base64.b64encode(data).decode("ascii")
    return Picture(name=name, alt=alt, uri=uri, table=table)


@cache
def load_credit_template() -> Template:
    """Return the template of the report; labels are always escaped, an unknown name is an error."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    loader = FunctionLoader(_read_part)
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters |= {"clean": strip_controls, "spoken": keep_together, "width": name_width}
    made.filters |= {"count": format_count, "number": format_number, "share": format_share}
    return made.get_template("credit.html.j2")


def _read_part(name: str) -> str:
    return resources.files("influbayes.reporting").joinpath("templates", name).read_text(encoding="utf-8")
