"""The overview: the newest run of each study, verdict and headlines first, and what changed since the run before."""

from __future__ import annotations

import streamlit as st

from influbayes.dashboard.charts_theme import escape_words, say
from influbayes.dashboard.run_index import STUDIES, StudyRun
from influbayes.dashboard.session import Session
from influbayes.dashboard.verdicts import show_verdict
from influbayes.dashboard.waiting import show_waiting
from influbayes.reporting.run_reading import list_headlines


def show_page(session: Session) -> None:
    """Show the overview of all studies."""
    st.title("Overview")
    for study in STUDIES:
        st.header(study.capitalize())
        runs = session.index.of_study(study)
        if runs:
            _show_run(runs[0])
        else:
            show_waiting(session, study)


def _show_run(run: StudyRun) -> None:
    st.caption(escape_words(f"Run {run.name}, {run.created[:16].replace('T', ' ')} UTC"))
    show_verdict(run)
    for text in list_headlines(run.results):
        say(text)
