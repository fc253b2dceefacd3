"""What is shown where a study has no run yet."""

from __future__ import annotations

import streamlit as st

from influbayes.dashboard.session import Session


def show_waiting(session: Session, study: str, *, title: str = "") -> None:
    """Say that there is no run of a study yet, and how to make one."""
    if title:
        st.title(title)
    st.info(f"There is no run of the {study} study yet. Upload a table on the page Data, or run influbayes.")
