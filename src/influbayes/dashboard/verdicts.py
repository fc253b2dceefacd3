"""The verdict on a run, shown before anything else of it."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from influbayes.dashboard.charts_theme import escape_words
from influbayes.dashboard.run_index import StudyRun

NAMES = {"ok": "All checks passed", "partly_withheld": "Partly withheld", "withheld": "Withheld"}
_BOXES = {"ok": st.success, "partly_withheld": st.warning, "withheld": st.error}
_ICONS = {"ok": ":material/check_circle:", "partly_withheld": ":material/warning:", "withheld": ":material/block:"}
MOST_REASONS = 6


def show_verdict(run: StudyRun) -> None:
    """Show the verdict with its reasons, and say where the data are the bundled sample."""
    name, text = NAMES[run.status], escape_words(run.verdict)
    lines = [f"**{text}**" if run.verdict.startswith(name) else f"**{name}.** {text}"]
    lines += [f"- {escape_words(reason)}" for reason in run.reasons[:MOST_REASONS]]
    more = len(run.reasons) - MOST_REASONS
    lines += [f"- and {more} more: see the report."] if more > 0 else []
    _BOXES[run.status]("\n".join([lines[0], "", *lines[1:]]), icon=_ICONS[run.status])
    if run.is_sample:
        st.caption("Simulated sample data that come with influbayes, not a real campaign.")


def say_when(run: StudyRun) -> str:
    """Return when a run was made: "23 Nov 2026 09:10 UTC"."""
    return datetime.fromisoformat(run.created).strftime("%d %b %Y %H:%M UTC").lstrip("0")


def show_page_head(title: str, run: StudyRun) -> None:
    """Show the title of a page and under it the verdict on the run it is about."""
    st.title(title)
    show_verdict(run)
