"""Keeps two runs out of one folder: a lock file beside it, with the process that holds it.

Takes the path to protect. A lock whose process is gone from this host is taken over. Knows no run.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from influbayes.errors import OutputError
from influbayes.reporting.interrupts import hold_interrupts

# A lock file without content is being written right now, or its writer was killed in between.
_SECONDS_TO_WRITE = 10.0


@contextmanager
def hold_lock(place: Path) -> Iterator[None]:
    """Hold the lock of a place; it is removed on any exit.

    Raises
    ------
    OutputError
        Another living process holds it, or the file cannot be made.
    """
    lock, taken = name_lock(place), False
    try:
        with hold_interrupts():
            _take_lock(lock, place)
            taken = True
        yield
    finally:
        if taken:
            _remove_lock(lock)


def is_locked(place: Path) -> bool:
    """Return whether a process that may be alive holds the lock of a place."""
    lock = name_lock(place)
    return lock.exists() and not _is_stale(lock)


def name_lock(place: Path) -> Path:
    """Return the lock file of a place: ``.NAME.lock`` beside it."""
    return place.parent / f".{place.name}.lock"


def _take_lock(lock: Path, place: Path) -> None:
    try:
        if _create_lock(lock):
            return
        if _is_stale(lock):
            _remove_stale(lock)
            if _create_lock(lock):
                return
    except OSError as error:
        raise OutputError(f"{lock}: could not be made ({error.strerror}). Choose another --out.") from error
    raise OutputError(_say_held(lock, place))


def _create_lock(lock: Path) -> bool:
    """Make the lock file; False where there is one already."""
    try:
        handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    owner = {"pid": os.getpid(), "host": socket.gethostname(), "start": _find_start(os.getpid())}
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(owner, file)
    except OSError:
        lock.unlink(missing_ok=True)
        raise
    return True


def _remove_lock(lock: Path) -> None:
    # A lock that cannot be removed is no reason to fail: with its process it dies, and the next run takes it over.
    with suppress(OSError):
        lock.unlink(missing_ok=True)


def _remove_stale(lock: Path) -> None:
    """Remove a stale lock by renaming first, so that of two takers only one gets it."""
    aside = lock.with_name(f"{lock.name}.stale-{os.getpid()}")
    try:
        lock.rename(aside)
    except FileNotFoundError:
        return
    if not _is_stale(aside):
        # Another taker was faster and this is its living lock: give it back, unless a third one is there already.
        aside.rename(lock)
        return
    aside.unlink(missing_ok=True)


def _is_stale(lock: Path) -> bool:
    owner = _read_owner(lock)
    if owner is None:
        return _find_age(lock) > _SECONDS_TO_WRITE
    if owner.get("host") != socket.gethostname():
        return False
    return not _is_running(owner)


def _read_owner(lock: Path) -> dict[str, Any] | None:
    try:
        owner = json.loads(lock.read_bytes())
    except (OSError, ValueError):
        return None
    return owner if isinstance(owner, dict) and isinstance(owner.get("pid"), int) else None


def _find_age(lock: Path) -> float:
    try:
        return time.time() - lock.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _is_running(owner: dict[str, Any]) -> bool:
    pid = owner["pid"]
    if os.name == "nt":  # there os.kill(pid, 0) would end the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    # The number may have gone to another process since; its start tells them apart, where the system says it.
    return owner.get("start") in (None, _find_start(pid))


def _find_start(pid: int) -> str | None:
    """Return when a process started, in clock ticks since boot (Linux), or None."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()[19]


def _say_held(lock: Path, place: Path) -> str:
    owner = _read_owner(lock) or {}
    who = f"process {owner.get('pid', 'unknown')} on {owner.get('host', 'an unknown host')}"
    return (
        f"{place} is being written by another run ({who}). Wait for it, or choose another --out. "
        f"If that run is dead, delete {lock}."
    )
