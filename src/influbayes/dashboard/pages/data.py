"""Uploads: a form for each study with templates, the same checks as on the command line, and fits with progress.

Starts jobs and shows what they say. Reads no table itself: that happens in the job's own process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from influbayes.dashboard.charts_theme import escape_words
from influbayes.dashboard.downloads import offer_download, show_table
from influbayes.dashboard.jobs import JobRequest, JobView, QueueFull
from influbayes.dashboard.session import Session
from influbayes.dashboard.settings import UPLOAD_MEGABYTES
from influbayes.dashboard.templates import list_columns, make_template
from influbayes.dashboard.uploads import ENDINGS, PARTS, Upload, name_upload, parse_mapping, store_upload
from influbayes.dashboard.waiting import say_state
from influbayes.errors import UsageError

TITLES = {
    "conversion": "Conversion: a table of posts",
    "returns": "Returns: a ledger of four tables",
    "attribution": "Attribution: a table of sessions",
}
_STATES = {
    "done": ("Finished", st.success),
    "refused": ("Refused", st.error),
    "failed": ("Failed", st.error),
    "cancelled": ("Cancelled", st.warning),
}


def show_page(session: Session) -> None:
    """Show uploads, templates and jobs."""
    st.title("Data")
    st.markdown(
        "Upload a table, and the study is fitted to it. What you upload and what comes of it is seen in this browser "
        "tab only; the upload is deleted once it is fitted, the run when the tab has been closed for long or the "
        "server stops. Download the report to keep it."
    )
    _show_jobs(session)
    for tab, study in zip(st.tabs([TITLES[study] for study in PARTS]), PARTS, strict=True):
        with tab:
            _show_form(session, study)


def _show_form(session: Session, study: str) -> None:
    turn = st.session_state.setdefault(f"turn-{study}", 0)
    st.caption(f"Each file at most {UPLOAD_MEGABYTES} MB: {', '.join(ENDINGS[study])}. Larger ones: the command line.")
    columns = st.columns(2) if len(PARTS[study]) > 1 else [st.container()]
    files: dict[str, Upload] = {}
    for place, part in enumerate(PARTS[study]):
        with columns[place % len(columns)]:
            sent = st.file_uploader(
                f"{part}{'.csv' if len(PARTS[study]) > 1 else ''}",
                type=[ending.removeprefix(".") for ending in ENDINGS[study]],
                key=f"upload-{study}-{part}-{turn}",
            )
            if sent is not None:
                files[part] = Upload(name=sent.name, content=sent.getvalue())
            _show_template(study, part)
    with st.expander("My columns have other names (--map)"):
        example = "posts.reach=Impressions" if study == "returns" else "Fee=Costs"
        mapping = st.text_area(f"One a line, for example {example}", key=f"map-{study}", height=80)
    missing = [part for part in PARTS[study] if part not in files]
    if st.button("Check and fit", key=f"fit-{study}", type="primary", disabled=bool(missing)):
        _start(session, study, files, mapping)


def _show_template(study: str, part: str) -> None:
    with st.expander(f"Which columns {part} needs"):
        needed = list_columns(study, part)
        for words, wanted in (("Needed", True), ("Used where present", False)):
            names = [f"`{name}`" for name, is_needed in needed.items() if is_needed == wanted]
            if names:
                st.markdown(f"{words}: {', '.join(names)}")
        name = f"{part}_template.csv"
        offer_download(make_template(study, part), name, key=f"{study}-{part}", label="Download a template")


def _start(session: Session, study: str, files: Mapping[str, Upload], mapping: str) -> None:
    """Write the upload, hand it to the queue, and let go of the bytes in this process."""
    try:
        names = parse_mapping(mapping)
    except UsageError as reason:
        st.warning(escape_words(str(reason)))
        return
    stored = store_upload(study, files, session.private_folder / "uploads")
    run = f"upload-{study}-{stored.folder.name[:6]}"
    request = JobRequest(
        owner=session.token,
        study=study,
        title=name_upload(study, files),
        source=stored.source,
        upload=stored.folder,
        mapping=names,
        out=session.private_folder / "runs" / run,
    )
    try:
        session.workplace.queue.submit(request)
    except QueueFull as reason:
        st.warning(str(reason))
        return
    st.session_state[f"turn-{study}"] += 1
    st.rerun()


# --- jobs -------------------------------------------------------------------------------------------------------------


def _show_jobs(session: Session) -> None:
    jobs = session.list_jobs()
    if not jobs:
        return
    st.subheader("Fits")
    if any(not job.has_ended for job in jobs):
        _follow_jobs(session, len([job for job in jobs if job.has_ended]))
    for job in jobs:
        if job.has_ended and not (job.is_public and job.state == "done"):
            _show_ended(session, job)


@st.fragment(run_every=1.0)
def _follow_jobs(session: Session, ended: int) -> None:
    jobs = session.list_jobs()
    if sum(job.has_ended for job in jobs) != ended:
        st.rerun()
    for job in jobs:
        if job.has_ended:
            continue
        left, right = st.columns([5, 1], vertical_alignment="center")
        left.info(say_state(job), icon=":material/hourglass_top:")
        if not job.is_public and right.button("Cancel", key=f"cancel-{job.key}"):
            session.workplace.queue.cancel(job.key, session.token)


def _show_ended(session: Session, job: JobView) -> None:
    word, box = _STATES[job.state]
    message = f"**{word}: {escape_words(job.title)}** ({job.study}, {job.seconds:.0f} s)"
    if job.state == "refused" and job.problems:
        count = len(job.problems)
        message += f" – {count} problem{'' if count == 1 else 's'}, all listed below. Nothing was fitted."
    elif job.message:
        message += "\n\n" + escape_words(job.message)
    box(message)
    if job.problems:
        show_table(list_problems(job.problems), key=f"problems-{job.key}", file_name="problems.csv")
    run = session.find_run(job.out)
    if run is not None:
        _offer_run(session, job)
    if not job.is_public and st.button("Remove from this list", key=f"forget-{job.key}"):
        session.workplace.queue.forget(job.key, session.token)
        st.rerun()


def _offer_run(session: Session, job: JobView) -> None:
    session.chosen[job.study] = str(job.out)
    left, right = st.columns(2)
    if job.study in session.pages:
        left.page_link(session.pages[job.study], label=f"Look at it: {job.study}", icon=":material/arrow_forward:")
    report = job.out / "report.html"
    right.download_button(
        "Download the report",
        data=report.read_bytes(),
        file_name=f"{job.out.name}.html",
        mime="text/html",
        key=f"report-{job.key}",
        on_click="ignore",
    )


def list_problems(problems: tuple[dict[str, Any], ...]) -> Any:
    """Return the problems as a table: file, column, lines, value, and what is wrong, why, what to do."""
    import pandas as pd

    return pd.DataFrame(
        {
            "File": [row.get("file", "") for row in problems],
            "Column": [row.get("column") or "" for row in problems],
            "Lines": [_say_lines(row) for row in problems],
            "Rows": [int(row.get("count", 1)) for row in problems],
            "First value": [row.get("value") or "" for row in problems],
            "What is wrong, why, and what to do": [row.get("message", "") for row in problems],
            "Code": [row.get("code", "") for row in problems],
        }
    )


def _say_lines(row: Mapping[str, Any]) -> str:
    lines = row.get("lines") or []
    more = int(row.get("count", 1)) - len(lines)
    shown = ", ".join(map(str, lines))
    return f"{shown} and {more:,} more" if lines and more > 0 else shown
