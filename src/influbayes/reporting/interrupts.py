"""Lets an interrupt wait while a few steps are taken that belong together: Ctrl-C and SIGTERM, Python's main thread.

Takes nothing. Knows no file and no run.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_HELD = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def hold_interrupts() -> Iterator[None]:
    """Let the first SIGINT or SIGTERM wait for the end of the block; a second one acts at once.

    A signal that is ignored stays ignored. In other threads nothing is held: signals reach the main thread alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: handler for number in _HELD if (handler := signal.getsignal(number)) not in (None, signal.SIG_IGN)
    }
    waiting: list[int] = []

    def give_back() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def wait(number: int, frame: FrameType | None) -> None:
        waiting.append(number)
        if len(waiting) > 1:
            give_back()
            signal.raise_signal(number)

    try:
        for number in before:
            signal.signal(number, wait)
        yield
    finally:
        give_back()
        if len(waiting) == 1:
            signal.raise_signal(waiting[0])
