"""The attribution report as one HTML page: nothing outside it is loaded, nothing in it runs.

Takes plain results and pictures as PNG bytes. Every label is escaped by the template.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from influbayes.reporting.credit_sentences import NOT_CAUSE
from influbayes.reporting.credit_tables import list_other_tables, list_tables
from influbayes.reporting.html import CSP, Picture, embed_picture, load_template, read_part

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
    return load_template("credit.html.j2").render(
        results=results,
        csp=CSP,
        css=read_part("report.css"),
        tables=list_tables(results),
        others=list_other_tables(results),
        pictures={name: [_embed(name, data)] for name, data in images.items()},
        lead=[row for row in said if row["kind"] in _LEAD],
        rest=[row for row in said if row["kind"] not in (*_LEAD, "caveat")],
        not_cause=NOT_CAUSE,
        status_word=STATUS_WORDS[results["status"]],
    )


def _embed(name: str, data: bytes) -> Picture:
    alt, table = PICTURES[name]
    return embed_picture(name, data, alt=alt, table=table)
