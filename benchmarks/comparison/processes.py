"""Runs one program as a process of its own and says what it cost: wall and processor seconds, peak memory.

Programs may start helpers that outlive their parent's accounting (rstanarm's chains do), so on Linux every process of
the program's session is looked at while it runs; elsewhere only what the system accounts to the program itself.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one run cost. `stopped` says why it was stopped, if it was; `said` is the end of what it printed."""

    code: int
    stopped: str | None
    whole_seconds: float
    cpu_seconds: float
    peak_megabytes: float
    said: str


def run_program(
    command: Sequence[str], *, environment: Mapping[str, str], limit: float, scratch: Path, memory: float = 8.0
) -> Cost:
    """Run one command for at most `limit` seconds and return its cost.

    Parameters
    ----------
    command : sequence of str
    environment : mapping
        The whole environment of the process.
    limit : float
        Seconds of wall after which it is stopped, with every helper it started.
    scratch : Path
        Folder for what it prints.
    memory : float
        Gigabytes, of all its processes, at which it is stopped; looked at where the system has /proc.

    Returns
    -------
    Cost
    """
    printed = scratch / "printed.txt"
    start = time.perf_counter()
    with printed.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=dict(environment), start_new_session=True)
        cpu, peak, stopped = _watch(process, start, limit, memory)
    return Cost(
        code=process.returncode,
        stopped=stopped,
        whole_seconds=time.perf_counter() - start,
        cpu_seconds=cpu,
        peak_megabytes=peak,
        said=printed.read_text(encoding="utf-8", errors="replace")[-2000:],
    )


def _watch(
    process: subprocess.Popen[bytes], start: float, limit: float, memory: float
) -> tuple[float, float, str | None]:
    """Wait for a process; return processor seconds and peak megabytes of its session, and why it was stopped."""
    seconds: dict[int, float] = {}
    peak, next_look = 0.0, 0.0
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            helpers = sum(spent for member, spent in seconds.items() if member != process.pid)
            unit = 1024**2 if sys.platform == "darwin" else 1024
            # Linux counts the caller's own memory before exec into ru_maxrss, so there the looks are better.
            return usage.ru_utime + usage.ru_stime + helpers, peak or usage.ru_maxrss / unit, None
        now = time.perf_counter()
        if now >= next_look:
            members = list_session(process.pid)
            seconds |= {member: spent for member, (spent, _) in members.items()}
            resident = sum(held for _, held in members.values())
            peak, next_look = max(peak, resident), now + LOOK_SECONDS
            late, large = now - start > limit, resident > memory * 1024
            if late or large:
                _stop(process, members)
                return sum(seconds.values()), peak, f"after {limit:.0f} s" if late else f"at {memory:g} GB"
        time.sleep(0.005)


def list_session(session: int) -> dict[int, tuple[float, float]]:
    """Return processor seconds and resident megabytes of every process of a session; empty where /proc is missing."""
    found = {}
    for entry in PROC.glob("[0-9]*") if PROC.is_dir() else ():
        with suppress(OSError, ValueError, IndexError):
            # The name, in brackets, may hold blanks; the session is the fourth field after it.
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            if int(fields[3]) == session:
                ticks = int(fields[11]) + int(fields[12])
                pages = int(fields[21])
                found[int(entry.name)] = (
                    ticks / os.sysconf("SC_CLK_TCK"),
                    pages * os.sysconf("SC_PAGE_SIZE") / 1024**2,
                )
    return found


def _stop(process: subprocess.Popen[bytes], members: Mapping[int, object]) -> None:
    for member in {process.pid, *members}:
        with suppress(ProcessLookupError):
            os.kill(member, signal.SIGKILL)
    process.wait()
