"""One user's view of the dashboard: its settings, the runs it may see, and what it chose."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

import streamlit as st

from influbayes.dashboard.run_index import Kept, RunIndex, index_runs
from influbayes.dashboard.settings import DashboardSettings

_SHARED: Kept = {}
"""Public runs read so far, for all users; private ones are kept in their session."""


@dataclass(slots=True, kw_only=True)
class Session:
    """What a view works with. `token` is a secret by which jobs and uploads know their owner."""

    token: str
    settings: DashboardSettings
    index: RunIndex
    chosen: dict[str, str] = field(default_factory=dict)


def open_session(settings: DashboardSettings) -> Session:
    """Return the session of this browser tab with its runs as they are now."""
    state = st.session_state
    if "influbayes-token" not in state:
        state["influbayes-token"] = secrets.token_hex(16)
        state["influbayes-chosen"] = {}
    index = index_runs([settings.runs], kept=_SHARED)
    return Session(token=state["influbayes-token"], settings=settings, index=index, chosen=state["influbayes-chosen"])
