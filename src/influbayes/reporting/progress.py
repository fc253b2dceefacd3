"""Says what is being done while it takes long: one moving line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

Report = Callable[[str, float], None]

_QUIET_SECONDS = 1.0


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
