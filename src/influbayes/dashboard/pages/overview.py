"""The overview: the newest run of each study, verdict and headlines first, and what changed since the run before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from influbayes.dashboard.charts_theme import escape_words, say
from influbayes.dashboard.downloads import show_table
from influbayes.dashboard.run_changes import Comparison, compare_runs, find_previous
from influbayes.dashboard.run_index import STUDIES, StudyRun
from influbayes.dashboard.session import Session
from influbayes.dashboard.verdicts import NAMES, say_when, show_verdict
from influbayes.dashboard.waiting import show_waiting
from influbayes.reporting.run_reading import list_headlines

if TYPE_CHECKING:
    import pandas as pd

QUESTIONS = {
    "conversion": "Which tiers, regions and creators bring purchases?",
    "returns": "What do influencers return on what they were paid?",
    "attribution": "Which channels stood on the way to a sign-up?",
}


def show_page(session: Session) -> None:
    """Show the newest run of each study, then all runs."""
    st.title("Overview")
    for study in STUDIES:
        with st.container(border=True):
            _show_study(session, study)
    _show_runs(session)


def _show_study(session: Session, study: str) -> None:
    st.subheader(f"{study.capitalize()}: {QUESTIONS[study]}", anchor=study)
    runs = session.index.of_study(study)
    if not runs:
        show_waiting(session, study)
        return
    run = runs[0]
    show_verdict(run)
    for text in list_headlines(run.results):
        say(text)
    rows = run.results["data"]["rows_used"]
    data = f"{rows:,} of {run.results['data']['rows_read']:,} rows of {run.results['data']['file']}"
    st.caption(escape_words(f"Run {run.name}, {say_when(run)}; {data} used."))
    before = find_previous(run, runs)
    if before is None:
        st.caption("There is no earlier run of this study to compare with.")
    else:
        _show_comparison(compare_runs(run, before))
    if study in session.pages:
        st.page_link(session.pages[study], label=f"More: {study}", icon=":material/arrow_forward:")


def _show_comparison(found: Comparison) -> None:
    run = found.before
    head = f"Against the run before ({run.name}, {say_when(run)})"
    if not found.changes:
        st.caption(escape_words(f"{head}: all {found.same} statements are the same, word for word."))
        return
    count = len(found.changes)
    words = f"{count} statement{'' if count == 1 else 's'} changed, {found.same} the same"
    with st.expander(escape_words(f"{head}: {words}")):
        for cause in found.causes:
            say(cause)
        frame = tabulate_changes(found)
        show_table(frame, key=f"changes-{run.study}", file_name=f"changes_{run.study}.csv")


def tabulate_changes(found: Comparison) -> pd.DataFrame:
    """Return the changes as a table: what kind, by how much, the text now and before."""
    import pandas as pd

    return pd.DataFrame(
        {
            "Change": [row.kind for row in found.changes],
            "By how much": [row.moved for row in found.changes],
            "Now": [row.now for row in found.changes],
            "Before": [row.before for row in found.changes],
        }
    )


def _show_runs(session: Session) -> None:
    st.subheader("All runs")
    for broken in session.index.broken:
        st.warning(escape_words(f"{broken.name} cannot be read and is left out. {broken.reason}"))
    if session.index.runs:
        show_table(tabulate_runs(session.index.runs), key="runs", file_name="runs.csv")


def tabulate_runs(runs: tuple[StudyRun, ...]) -> pd.DataFrame:
    """Return the runs as a table, newest first."""
    import pandas as pd

    return pd.DataFrame(
        {
            "Study": [run.study for run in runs],
            "Run": [run.name for run in runs],
            "Made": [say_when(run) for run in runs],
            "Verdict": [NAMES[run.status] for run in runs],
            "Data": [run.results["data"]["file"] for run in runs],
            "Rows used": [run.results["data"]["rows_used"] for run in runs],
            "Seen by": ["you" if run.is_private else "all" for run in runs],
        }
    )
