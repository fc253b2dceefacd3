"""Fits in processes of their own: at most two at a time, the rest in a queue; limits on memory, time and number.

A job belongs to the session whose secret token it carries, or to all ("" as owner: sample runs). Whoever asks sees
their own jobs and those of all. Uploads are deleted when their job ends, however it ends. Knows no study's numbers.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from influbayes.errors import InflubayesError

State = Literal["waiting", "running", "done", "refused", "failed", "cancelled"]
ENDED = ("done", "refused", "failed", "cancelled")
TICK_SECONDS = 0.2
GRACE_SECONDS = 5.0
LONGEST_MESSAGE = 4000
LAST_STEP = "writing the report"
_CODES: dict[int, State] = {0: "done", 3: "refused", 4: "done"}


class QueueFull(InflubayesError, RuntimeError):
    """Too many jobs of one session are waiting or running."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLimits:
    """What a job may use, how many run together, and how many one session may have unfinished."""

    running: int = 2
    unfinished_each: int = 4
    memory_bytes: int = 6 * 1024**3
    cpu_seconds: int = 1200
    wall_seconds: float = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """One fit: who asks, which study, its name on the page, what is read, where the run goes.

    `source` is what the command reads (None: the bundled sample); `upload` the folder that is deleted at the end;
    `mapping` our column name -> theirs.
    """

    owner: str
    study: str
    title: str
    source: Path | None
    out: Path
    upload: Path | None = None
    options: tuple[str, ...] = ()
    mapping: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job as it is now. `step` is what the command said last; `problems` what is wrong with the upload."""

    key: str
    is_public: bool
    study: str
    title: str
    out: Path
    state: State
    step: str
    seconds: float
    ahead: int
    problems: tuple[dict[str, Any], ...]
    message: str

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ENDED


@dataclass(slots=True)
class _Job:
    """A job while it is worked on; touched under the queue's lock only."""

    key: str
    request: JobRequest
    folder: Path
    state: State = "waiting"
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    seconds: float = 0.0
    stop_after: float = field(default=float("inf"))
    cancelled: bool = False
    message: str = ""
    problems: tuple[dict[str, Any], ...] = ()


class JobQueue:
    """Runs jobs one after the other, `limits.running` at a time, in a thread that ends with the process."""

    def __init__(self, folder: Path, limits: JobLimits | None = None) -> None:
        self.limits = limits or JobLimits()
        self._folder = folder
        self._jobs: dict[str, _Job] = {}
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None

    def submit(self, request: JobRequest) -> str:
        """Take a job and return its key.

        Raises
        ------
        QueueFull
            The session has as many unfinished jobs as it may have.
        """
        with self._lock:
            mine = [job for job in self._jobs.values() if job.request.owner == request.owner]
            if sum(job.state not in ENDED for job in mine) >= self.limits.unfinished_each:
                raise QueueFull(f"{self.limits.unfinished_each} of your fits are unfinished. Wait, or cancel one.")
            key = secrets.token_hex(8)
            folder = self._folder / key
            folder.mkdir(parents=True, mode=0o700)
            self._jobs[key] = _Job(key=key, request=request, folder=folder)
            self._work()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._watch, name="influbayes-jobs", daemon=True)
                self._thread.start()
        return key

    def cancel(self, key: str, owner: str) -> None:
        """Stop a job of this owner; nothing happens to those of others."""
        with self._lock:
            job = self._jobs.get(key)
            if job is None or job.request.owner != owner or job.state in ENDED:
                return
            job.cancelled = True
            if job.process is None:
                self._end(job, "cancelled")
            else:
                self._stop(job)

    def list_jobs(self, owner: str) -> tuple[JobView, ...]:
        """Return the jobs this owner may see, oldest first."""
        with self._lock:
            return tuple(self._view(job) for job in self._jobs.values() if job.request.owner in (owner, ""))

    def forget(self, key: str, owner: str) -> None:
        """Take an ended job of this owner off the list."""
        with self._lock:
            job = self._jobs.get(key)
            if job is not None and job.request.owner == owner and job.state in ENDED:
                del self._jobs[key]

    def close(self) -> None:
        """Stop every job and wait for it, so that no process and no upload is left."""
        with self._lock:
            for job in self._jobs.values():
                job.cancelled = True
                if job.state == "waiting":
                    self._end(job, "cancelled")
                elif job.process is not None and job.state == "running":
                    self._stop(job)
        end = time.monotonic() + 2 * GRACE_SECONDS
        while time.monotonic() < end and any(job.state not in ENDED for job in self._jobs.values()):
            with self._lock:
                self._work()
            time.sleep(TICK_SECONDS / 4)

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        while True:
            with self._lock:
                self._work()
                if all(job.state in ENDED for job in self._jobs.values()):
                    self._thread = None
                    return
            time.sleep(TICK_SECONDS)

    def _work(self) -> None:
        """End what has ended, stop what took too long, start what there is room for."""
        running = [job for job in self._jobs.values() if job.state == "running"]
        for job in running:
            self._look_after(job)
        free = self.limits.running - sum(job.state == "running" for job in running)
        for job in [job for job in self._jobs.values() if job.state == "waiting"][: max(free, 0)]:
            self._start(job)

    def _look_after(self, job: _Job) -> None:
        process = job.process
        if process is None:
            return
        job.seconds = time.monotonic() - job.started
        if process.poll() is not None:
            self._finish(job, process.returncode)
        elif time.monotonic() > job.stop_after:
            _signal_group(process, signal.SIGKILL)
        elif job.seconds > self.limits.wall_seconds and job.stop_after == float("inf"):
            job.message = f"Stopped after {self.limits.wall_seconds / 60:.0f} minutes: {_SAY_COMMAND_LINE}"
            self._stop(job)

    def _start(self, job: _Job) -> None:
        request = job.request
        described = {
            "study": request.study,
            "source": None if request.source is None else str(request.source),
            "out": str(request.out),
            "options": list(request.options),
            "mapping": dict(request.mapping),
            "problems": str(job.folder / "problems.json"),
            "memory_bytes": self.limits.memory_bytes,
            "cpu_seconds": self.limits.cpu_seconds,
        }
        description = job.folder / "job.json"
        description.write_text(json.dumps(described), encoding="utf-8")
        with (job.folder / "out.txt").open("wb") as out, (job.folder / "err.txt").open("wb") as err:
            job.process = subprocess.Popen(
                [sys.executable, "-m", "influbayes.dashboard.worker", str(description)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=job.folder,
                env=_make_environment(),
                start_new_session=True,
            )
        job.started, job.state = time.monotonic(), "running"

    def _stop(self, job: _Job) -> None:
        """Ask a job to stop, as Ctrl-C would; what does not stop in time is killed by `_look_after`."""
        if job.process is not None:
            _signal_group(job.process, signal.SIGTERM)
            job.stop_after = time.monotonic() + GRACE_SECONDS

    def _finish(self, job: _Job, code: int) -> None:
        job.problems = _read_problems(job.folder / "problems.json")
        said = _read_end(job.folder / "err.txt")
        state: State = "cancelled" if job.cancelled else _CODES.get(code, "failed")
        if not job.message and state in ("refused", "failed"):
            job.message = "" if job.problems else _explain_end(code, said)
        self._end(job, state)

    def _end(self, job: _Job, state: State) -> None:
        job.state, job.process = state, None
        shutil.rmtree(job.folder, ignore_errors=True)
        if job.request.upload is not None:
            shutil.rmtree(job.request.upload, ignore_errors=True)

    def _view(self, job: _Job) -> JobView:
        waiting = [other.key for other in self._jobs.values() if other.state == "waiting"]
        running = job.state == "running"
        return JobView(
            key=job.key,
            is_public=not job.request.owner,
            study=job.request.study,
            title=job.request.title,
            out=job.request.out,
            state=job.state,
            step=_read_step(job.folder / "out.txt") if running else "",
            seconds=time.monotonic() - job.started if running else job.seconds,
            ahead=waiting.index(job.key) if job.key in waiting else 0,
            problems=job.problems,
            message=job.message,
        )


_SAY_COMMAND_LINE = "the table is too large for the dashboard. The command line has no such limit."


def _make_environment() -> dict[str, str]:
    """Return this process's environment without what steers the server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("STREAMLIT_")}


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _read_problems(path: Path) -> tuple[dict[str, Any], ...]:
    try:
        return tuple(json.loads(path.read_bytes()))
    except (OSError, ValueError):
        return ()


def _read_end(path: Path) -> str:
    try:
        return path.read_bytes()[-LONGEST_MESSAGE:].decode("utf-8", "replace").strip()
    except OSError:
        return ""


def _read_step(path: Path) -> str:
    """Return the last step that the command said it began, without its dots."""
    lines = [line.removesuffix("...").strip() for line in _read_end(path).splitlines() if line.endswith("...")]
    if LAST_STEP in lines:
        return LAST_STEP  # what comes after it is the screen of the finished run
    return lines[-1] if lines else "reading the table"


def _explain_end(code: int, said: str) -> str:
    """Return what went wrong in words: what the command said, or which limit it met."""
    if "MemoryError" in said or code == -signal.SIGKILL:
        return f"Stopped for want of memory: {_SAY_COMMAND_LINE}"
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        return f"Stopped, its processor time is used up: {_SAY_COMMAND_LINE}"
    return said if code in (2, 3, 4, 5) and said else f"The fit ended unexpectedly (exit code {code})."


def list_unfinished(jobs: Sequence[JobView], study: str | None = None) -> tuple[JobView, ...]:
    """Return the jobs that wait or run, of one study or of all."""
    return tuple(job for job in jobs if not job.has_ended and study in (None, job.study))
