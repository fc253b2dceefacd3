"""Says what is being done while it takes long: one moving line on a terminal, plain lines elsewhere.

What cannot be printed any more (the reader of a pipe has gone, the disk is full) never stops the work.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from rich.console import Console

Report = Callable[[str, float], None]

_QUIET_SECONDS = 1.0
_LEAST_COLUMNS = 40


def make_console() -> Console:
    """Return a console on standard output that prints labels as they are."""
    from rich.console import Console

    # Without standard output (`>&-`) rich finds out by itself.
    console = Console(soft_wrap=False, emoji=False, markup=False, highlight=False)
    # A narrower terminal (or one that says it has no columns at all) breaks the lines itself.
    if console.width < _LEAST_COLUMNS:
        console.width = _LEAST_COLUMNS
    return console


@contextmanager
def print_patiently(*, on_loss: Callable[[OSError], None]) -> Iterator[None]:
    """Let standard output take everything in the block, in silence once nothing can be written there.

    Parameters
    ----------
    on_loss
        Called with the reason, once; from then on standard output leads nowhere.
    """
    if sys.stdout is None:
        yield
        return
    patient = cast(IO[str], _PatientStream(sys.stdout, on_loss))
    with redirect_stdout(patient):
        try:
            yield
        finally:
            patient.flush()  # what is held back would fail when the process ends, where nobody can catch it


class _PatientStream:
    """A text stream that takes everything, whether or not it can be written."""

    def __init__(self, stream: IO[str], on_loss: Callable[[OSError], None]) -> None:
        self._stream = stream
        self._on_loss = on_loss
        self._is_lost = False

    def __getattr__(self, name: str) -> Any:
        """Return what the stream itself has: encoding, isatty, fileno."""
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, or give up writing for good."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush, or give up writing for good."""
        self._try(self._stream.flush)

    def _try(self, write: Callable[[], object]) -> None:
        if self._is_lost:
            return
        try:
            write()
        except OSError as reason:
            self._is_lost = True
            _lead_nowhere(self._stream)
            self._on_loss(reason)


def _lead_nowhere(stream: IO[str]) -> None:
    """Let the stream's file be the null device: what it still holds would fail once more when the process ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@contextmanager
def show_progress(console: Console, *, quiet: bool = False) -> Iterator[Report]:
    """Yield a callback (text, share done 0 to 1) that shows what is going on.

    On a terminal one line is rewritten. Elsewhere a plain line is printed when a new step begins, at most one a second.
    """
    if quiet:
        yield lambda text, share: None
    elif console.is_terminal:
        with console.status("reading", spinner="line") as status:
            yield lambda text, share: status.update(_say(text, share))
    else:
        yield _PlainLines(console)


class _PlainLines:
    """Prints each new step on a line of its own."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._step = ""
        self._printed = time.monotonic() - _QUIET_SECONDS

    def __call__(self, text: str, share: float) -> None:
        """Print `text` if it is a new step and the last line is a second old."""
        now = time.monotonic()
        if text != self._step and now - self._printed >= _QUIET_SECONDS:
            self._console.print(f"{text} ...", markup=False, highlight=False)
            self._step, self._printed = text, now


def _say(text: str, share: float) -> str:
    return f"{text} {share:.0%}" if 0 < share < 1 else text
