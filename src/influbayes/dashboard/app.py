"""The app: checks how it is served, finds the runs, lets one be chosen, and shows the page asked for.

Runs once for each view of each user. Takes the words the launcher passed on; knows no number.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import streamlit as st

from influbayes.dashboard.charts_theme import draw_icon, escape_words
from influbayes.dashboard.run_index import StudyRun
from influbayes.dashboard.session import Session, open_session
from influbayes.dashboard.settings import DashboardSettings, compare_options, list_server_options, parse_settings
from influbayes.dashboard.verdicts import say_when
from influbayes.dashboard.waiting import show_waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class PageEntry:
    """A page: its module under `pages`, title, icon, and the study whose run it shows (None: it takes the session)."""

    module: str
    title: str
    icon: str
    study: str | None


PAGES = (
    PageEntry(module="overview", title="Overview", icon=":material/home:", study=None),
    PageEntry(module="conversion", title="Conversion", icon=":material/shopping_cart:", study="conversion"),
    PageEntry(module="returns", title="Returns", icon=":material/payments:", study="returns"),
    PageEntry(module="attribution", title="Attribution", icon=":material/route:", study="attribution"),
    PageEntry(module="plan", title="Plan", icon=":material/checklist:", study="conversion"),
    PageEntry(module="data", title="Data", icon=":material/upload_file:", study=None),
)


def show_app() -> None:
    """Draw one view of the app."""
    st.set_page_config(page_title="influbayes", page_icon=draw_icon(), layout="wide")
    settings = parse_settings(sys.argv[1:])
    _stop_if_unsafe(settings)
    session = open_session(settings)
    pages = [
        st.Page(_make_page(entry, session), title=entry.title, icon=entry.icon, url_path=entry.module)
        for entry in PAGES
    ]
    session.pages.update(zip((entry.module for entry in PAGES), pages, strict=True))
    st.navigation(pages).run()


def _stop_if_unsafe(settings: DashboardSettings) -> None:
    """Show nothing where the server runs with other options than the launcher's: they may show data to others."""
    wanted = list_server_options(settings)
    differences = compare_options(wanted, {name: st.get_option(name) for name in wanted})
    if differences:
        st.error("Not started: the server does not run with the options of influbayes dashboard. Start it with that.")
        st.caption(escape_words(" ".join(differences)))
        st.stop()


def _make_page(entry: PageEntry, session: Session) -> Callable[[], None]:
    def show() -> None:
        show_page = import_module(f"influbayes.dashboard.pages.{entry.module}").show_page
        if entry.study is None:
            show_page(session)
            return
        run = _choose_run(session, entry.study)
        if run is None:
            show_waiting(session, entry.study, title=entry.title)
        else:
            show_page(run)

    return show


def _choose_run(session: Session, study: str) -> StudyRun | None:
    """Return the run chosen in the sidebar, the newest unless the user chose another; None where there is none."""
    runs = session.index.of_study(study)
    if not runs:
        return None
    found = {str(run.folder): run for run in runs}
    wanted = session.chosen.get(study)
    with st.sidebar:
        place = st.selectbox(
            f"Run of the {study} study",
            list(found),
            index=list(found).index(wanted) if wanted in found else 0,
            format_func=lambda place: label_run(found[place]),
        )
        st.caption(escape_words(f"Made {say_when(found[place])} from {found[place].results['data']['file']}."))
    session.chosen[study] = place
    return found[place]


def label_run(run: StudyRun) -> str:
    """Return how a run is named in lists: "posts-2", "posts-2 (sample)", "upload-3f (only you)"."""
    marks = [*(["sample"] if run.is_sample else []), *(["only you"] if run.is_private else [])]
    return f"{run.name} ({', '.join(marks)})" if marks else run.name
