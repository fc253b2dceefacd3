"""Copies of this process that do a piece of work on another core and leave bytes behind.

Takes a function without arguments that returns bytes; gives those bytes, or None where the copy could not do it: then
the work is done here, and whatever is wrong shows here. Nothing is pickled: a copy starts with everything this process
has (`fork`), and leaves plain bytes in a nameless file in memory. Knows no study.

A copy says nothing on the screen, is deaf to Ctrl-C (the process that made it is not, and ends it), and ends with the
process that made it, however that ends. Linux only, in the main thread, with more than one core to use; elsewhere
`start_copy` returns None.
"""

from __future__ import annotations

import ctypes
import gc
import os
import select
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import NoReturn

from influbayes.reporting.interrupts import hold_interrupts

PATIENCE_SECONDS = 60.0
"""How long a copy is waited for once its work is needed; then the work is done here."""

_GIVE_WAY = 5
"""Steps of niceness of a copy whose work is not needed next: three of them leave this process a whole core of two."""

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)
_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A copy at work: a handle of the process (pidfd) and one of the file in memory that it writes."""

    process: int
    output: int


@dataclass(slots=True)
class Copies:
    """What starts copies and ends those still at work; without `allowed` it starts none."""

    allowed: bool
    _ending: ExitStack = field(default_factory=ExitStack)

    def start(self, work: Callable[[], bytes], *, urgent: bool = False) -> Copy | None:
        """Start `work` in a copy, or return None where there can be none; unless urgent it gives way to this process.

        Urgent is what this process needs next.
        """
        with hold_interrupts():  # so that none is started that is not ended
            copy = start_copy(work, urgent=urgent) if self.allowed else None
            if copy is not None:
                self._ending.callback(end_copy, copy)
        return copy

    def end(self) -> None:
        """End every copy that was started; those that are done are only forgotten."""
        self._ending.close()


NO_COPIES = Copies(allowed=False)


@contextmanager
def open_copies(*, cores: int) -> Iterator[Copies]:
    """Yield what starts copies where `cores`, those that may be used, are several; end them all on the way out."""
    copies = Copies(allowed=cores > 1 and can_copy())
    try:
        yield copies
    finally:
        with hold_interrupts():
            copies.end()


def can_copy() -> bool:
    """Return whether this process may be copied: on Linux, from the main thread."""
    return sys.platform == "linux" and threading.current_thread() is threading.main_thread()


def start_copy(work: Callable[[], bytes], *, urgent: bool = False) -> Copy | None:
    """Start `work` in a copy of this process, nicer to others unless urgent; None where the system grants none."""
    if sys.platform != "linux":
        return None
    maker = os.getpid()
    try:
        output = os.memfd_create("influbayes-copy")
    except OSError:
        return None
    try:
        made = _fork()
    except OSError:  # no memory, or no more processes allowed
        os.close(output)
        return None
    if made == 0:
        _live_as_copy(work, output, maker, give_way=0 if urgent else _GIVE_WAY)
    try:
        return Copy(process=os.pidfd_open(made), output=output)
    except OSError:  # an old kernel: without a handle it could not be ended safely
        with suppress(OSError):
            os.kill(made, signal.SIGKILL)
            os.waitpid(made, 0)
        os.close(output)
        return None


def collect_output(copy: Copy | None, *, patience_seconds: float = PATIENCE_SECONDS) -> bytes | None:
    """Wait for a copy and return what its work returned; None where it failed, was killed or takes too long."""
    if copy is None:
        return None
    if not select.select([copy.process], [], [], patience_seconds)[0]:
        signal.pidfd_send_signal(copy.process, signal.SIGKILL)
    try:
        found = os.waitid(os.P_PIDFD, copy.process, os.WEXITED)
    except ChildProcessError:  # someone else has waited for it: how it ended is not known
        return None
    if found is None or found.si_code != os.CLD_EXITED or found.si_status != 0:
        return None
    return os.pread(copy.output, os.fstat(copy.output).st_size, 0)


def end_copy(copy: Copy) -> None:
    """End a copy, whether or not it is done, and let go of it."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(copy.process, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitid(os.P_PIDFD, copy.process, os.WEXITED)
    os.close(copy.process)
    os.close(copy.output)


# --- inside the copy --------------------------------------------------------------------------------------------------


def _fork() -> int:
    with warnings.catch_warnings():
        # Python warns of threads that a copy lacks. Those here wait for work (BLAS starts its own anew in a copy) or
        # move the line on the screen, which a copy never touches.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _live_as_copy(work: Callable[[], bytes], output: int, maker: int, *, give_way: int) -> NoReturn:
    """Do the work, write what it returns and end: nothing of this process's own ending is done twice."""
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _end_with(maker)
        _fall_silent()
        os.nice(give_way)
        # One core a copy: libraries that are loaded from now on, and our own threads (`count_threads`), read this.
        os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        gc.disable()  # it will not live long
        _write(output, work())
        code = 0
    finally:
        os._exit(code)


def _end_with(maker: int) -> None:
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != maker:  # it ended before the line above
        os._exit(1)


def _fall_silent() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    sys.stdout = sys.stderr = open(nowhere, "w", closefd=False)  # noqa: SIM115 (open as long as the copy lives)


def _write(output: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(output, rest[:_AT_ONCE]) :]
