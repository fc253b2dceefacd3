"""How the process of an entry goes about memory: what Python and the C library do too often for one short run.

Takes and gives nothing; numbers do not depend on it. Knows no study.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_NEW_OBJECTS = 500_000
"""New objects after which Python looks for cycles, instead of 700: some 50 MB at most, and no time to speak of."""

_COUNTS_WHAT_IS_LEFT = "duckdb"
"""A library that prints, as the process ends, which of its objects nobody has freed."""

_KEPT_BYTES, _LARGE_BYTES = 512 << 20, 64 << 20
"""Freed memory that is kept for the arrays to come, and the size from which an array has pages of its own."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)


@contextmanager
def collect_seldom() -> Iterator[None]:
    """Let Python look for cycles seldom: start-up and pictures make many objects that last, and few cycles.

    Nor does it search all of them once more as the process ends, which took half a second.
    """
    atexit.unregister(_skip_last_search)
    atexit.register(_skip_last_search)
    before = gc.get_threshold()
    gc.set_threshold(_NEW_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _skip_last_search() -> None:
    if _COUNTS_WHAT_IS_LEFT not in sys.modules:
        gc.freeze()


def keep_memory() -> None:
    """Let the C library keep freed memory: handing pages back and getting them anew, zeroed, costs more than sums do.

    What has no `mallopt` (only glibc has it) stays as it is.
    """
    with suppress(AttributeError, OSError, TypeError):
        adjust = ctypes.CDLL(None).mallopt
        adjust(_TRIM_THRESHOLD, _KEPT_BYTES)
        adjust(_MMAP_THRESHOLD, _LARGE_BYTES)
