"""How much memory is free, and whether a table fits: refused before it is read, not killed while it is read.

Takes numbers of rows and columns; knows no format.
"""

from __future__ import annotations

import os
from pathlib import Path

from influbayes.errors import DataRefused
from influbayes.tables.problems import compose_problem

# Measured on tables of 9 columns while they are checked: codes, converted numbers, labels and hashes of the rows.
BYTES_PER_ROW = 300
BYTES_PER_CELL = 60
GROUP_LIMITS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)


def estimate_memory(*, rows: int, columns: int) -> int:
    """Return about how many bytes a table of so many used columns needs while it is checked."""
    return rows * (BYTES_PER_ROW + BYTES_PER_CELL * columns)


def measure_free_memory() -> int | None:
    """Return the bytes this process can still use, None where the system does not tell."""
    found = [free for free in (_free_on_machine(), _free_in_group(), _free_in_process()) if free is not None]
    return max(min(found), 0) if found else None


def refuse_if_too_large(file: str, *, rows: int, columns: int) -> None:
    """Refuse (IB-D10) a table that does not fit in the free memory.

    Raises
    ------
    DataRefused
        With the memory needed and the memory free.
    """
    need, free = estimate_memory(rows=rows, columns=columns), measure_free_memory()
    if free is None or need <= free:
        return
    what = f"about {rows:,} rows need {show_bytes(need)} of memory, {show_bytes(free)} are free"
    why = "Reading on would end in a crash."
    remedy = "Give fewer rows, for example one campaign or one quarter, or use a machine with more memory."
    raise DataRefused([compose_problem("IB-D10", "refuse", file=file, what=what, why=why, remedy=remedy)])


def show_bytes(count: int) -> str:
    """Return bytes in the unit that reads best, for example "1.5 GB"."""
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6)):
        if count >= size:
            return f"{count / size:,.3g} {unit}" if count < 1000 * size else f"{count / size:,.0f} {unit}"
    return f"{count / 1000:,.3g} kB"


def _free_on_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return _physical_memory()
    for line in lines:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return _physical_memory()


def _physical_memory() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return None


def _free_in_group() -> int | None:
    """What a container leaves; without a limit None."""
    for limit, used in GROUP_LIMITS:
        try:
            most, now = limit.read_text(encoding="ascii").strip(), int(used.read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue
        if most.isdecimal() and int(most) < 2**60:
            return int(most) - now
    return None


def _free_in_process() -> int | None:
    """What the limit of the address space leaves, if there is one."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        return None
    return None if limit == resource.RLIM_INFINITY else limit - used
