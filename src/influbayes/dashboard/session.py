"""One user's view of the dashboard: the runs it may see, its jobs, its private folder, and what it chose.

The folder of private runs and uploads lies in the system's temporary folder, is readable by this user alone, and goes
when the server stops; that of one session goes when nobody has looked for a while.
"""

from __future__ import annotations

import atexit
import hashlib
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import streamlit as st

from influbayes.dashboard.jobs import JobLimits, JobQueue, JobRequest, JobView, list_unfinished
from influbayes.dashboard.run_index import STUDIES, Kept, RunIndex, StudyRun, index_runs
from influbayes.dashboard.settings import DashboardSettings

SECONDS_KEPT = 12 * 3600.0
SAMPLE_OPTIONS: Mapping[str, tuple[str, ...]] = dict.fromkeys(STUDIES, ())


@dataclass(slots=True)
class Workplace:
    """What all sessions of this server share: the queue, the private folders, public runs read so far."""

    folder: Path
    queue: JobQueue
    kept: Kept = field(default_factory=dict)
    seen: dict[str, float] = field(default_factory=dict)
    asked_samples: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def close(self) -> None:
        """Stop all jobs and delete every private run and upload."""
        self.queue.close()
        shutil.rmtree(self.folder, ignore_errors=True)


_PLACES: list[Workplace] = []
_OPENING = threading.Lock()


def open_workplace(limits: JobLimits | None = None) -> Workplace:
    """Return the workplace of this process, made at the first call."""
    with _OPENING:
        if not _PLACES:
            folder = Path(tempfile.mkdtemp(prefix="influbayes-dashboard-"))
            _PLACES.append(Workplace(folder=folder, queue=JobQueue(folder / "jobs", limits)))
            atexit.register(close_workplace)
        return _PLACES[0]


def close_workplace() -> None:
    """Close the workplace of this process, if there is one."""
    with _OPENING:
        while _PLACES:
            _PLACES.pop().close()


@dataclass(slots=True, kw_only=True)
class Session:
    """What a view works with. `token` is a secret by which jobs and private runs know their owner.

    `chosen` maps a study to the folder of the run chosen in the sidebar; `pages` a page's name to its `st.Page`.
    """

    token: str
    settings: DashboardSettings
    workplace: Workplace
    index: RunIndex
    chosen: dict[str, str]
    pages: dict[str, Any] = field(default_factory=dict)

    @property
    def private_folder(self) -> Path:
        """Where uploads and runs of this session lie."""
        return find_folder(self.workplace, self.token)

    def list_jobs(self) -> tuple[JobView, ...]:
        """Return the jobs of this session and the sample jobs of all."""
        return self.workplace.queue.list_jobs(self.token)

    def find_run(self, folder: Path) -> StudyRun | None:
        """Return the run in a folder, if this session may see it."""
        return next((run for run in self.index.runs if run.folder == folder), None)


def find_folder(place: Workplace, token: str) -> Path:
    """Return the private folder of a session; reports name it, so it does not hold the token itself."""
    return place.folder / "sessions" / hashlib.sha256(token.encode()).hexdigest()[:16]


def open_session(settings: DashboardSettings) -> Session:
    """Return the session of this browser tab with its runs as they are now; the first one asks for sample runs."""
    state, place = st.session_state, open_workplace()
    if "influbayes-token" not in state:
        state["influbayes-token"] = secrets.token_hex(16)
        state["influbayes-chosen"], state["influbayes-kept"] = {}, {}
    token = state["influbayes-token"]
    _sweep_sessions(place, token)
    mine = find_folder(place, token) / "runs"
    private = index_runs([], private=[mine], kept=state["influbayes-kept"])
    public = index_runs([settings.runs], kept=place.kept)
    session = Session(
        token=token,
        settings=settings,
        workplace=place,
        index=public.join(private),
        chosen=state["influbayes-chosen"],
    )
    _ask_samples(session)
    return session


def request_sample(session: Session, study: str) -> None:
    """Ask for a run of a study on the bundled data, for all to see, unless one is being made."""
    if list_unfinished(session.workplace.queue.list_jobs(""), study):
        return
    out = session.settings.runs / f"sample-{study}"
    session.workplace.queue.submit(
        JobRequest(
            owner="",
            study=study,
            title=f"Sample of the {study} study",
            source=None,
            out=out,
            options=SAMPLE_OPTIONS[study],
        )
    )


def _ask_samples(session: Session) -> None:
    """At the first view of a server whose folder holds no run at all, make one of each study."""
    place = session.workplace
    with place.lock:
        if place.asked_samples:
            return
        place.asked_samples = True
        if not session.settings.make_samples or session.index.runs or session.index.broken:
            return
        for study in ("returns", "conversion", "attribution"):  # the quickest first
            request_sample(session, study)


def _sweep_sessions(place: Workplace, token: str) -> None:
    """Note that this session is there, and delete what belongs to sessions not seen for long."""
    now = time.monotonic()
    with place.lock:
        place.seen[token] = now
        gone = [name for name, last in place.seen.items() if now - last > SECONDS_KEPT]
        for name in gone:
            del place.seen[name]
    for name in gone:
        for job in place.queue.list_jobs(name):
            place.queue.cancel(job.key, name)
        shutil.rmtree(find_folder(place, name), ignore_errors=True)
