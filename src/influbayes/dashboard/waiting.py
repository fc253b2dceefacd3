"""What is shown while a run is being made, and where a study has none yet."""

from __future__ import annotations

import streamlit as st

from influbayes.dashboard.charts_theme import escape_words
from influbayes.dashboard.jobs import JobView, list_unfinished
from influbayes.dashboard.session import Session, request_sample


def show_waiting(session: Session, study: str, *, title: str = "") -> None:
    """Say how far the sample run of a study is, or how to make a run; draws anew when the run is there."""
    if title:
        st.title(title)
    if list_unfinished(session.list_jobs(), study):
        _follow(session, study)
        return
    _show_failures(session, study)
    st.info(f"There is no run of the {study} study yet. Upload a table on the page Data, or look at the sample.")
    if st.button("Fit the bundled sample", key=f"sample-{study}"):
        request_sample(session, study)
        st.rerun()


@st.fragment(run_every=1.0)
def _follow(session: Session, study: str) -> None:
    jobs = list_unfinished(session.list_jobs(), study)
    if not jobs:
        st.rerun()
    for job in jobs:
        st.info(say_state(job), icon=":material/hourglass_top:")


def say_state(job: JobView) -> str:
    """Return what a job is doing, escaped: "Sample of ...: fitting (12 s)"."""
    title = escape_words(job.title)
    if job.state == "waiting":
        return f"{title}: waits for {job.ahead + 1} place in the queue" if job.ahead else f"{title}: is next"
    return f"{title} is being fitted: {escape_words(job.step)} ({job.seconds:.0f} s)"


def _show_failures(session: Session, study: str) -> None:
    for job in session.list_jobs():
        if job.study == study and job.state == "failed":
            st.error(f"{escape_words(job.title)} failed. {escape_words(job.message)}")
