"""How every entry runs and ends: signals, screens that cannot be printed, defects, exit codes.

Takes a parser and the work of an entry; makes an exit code and, at most, a few words on standard error. Knows no study.
"""

from __future__ import annotations

import argparse
import codecs
import io
import shlex
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from influbayes.entry.memory import collect_seldom, keep_memory
from influbayes.errors import InflubayesError, Interrupted
from influbayes.reporting.progress import Report, print_patiently

DEFECT, WITHHELD, INTERRUPTED = 1, 4, 130

_MOMENT_SECONDS = 0.02

Results = dict[str, Any]


def run_entry(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None, *, work: Callable[[argparse.Namespace, str], int]
) -> int:
    """Parse the words, do the work and return the exit code: what every `main` of an entry is made of.

    SIGTERM is taken as Ctrl-C while the work runs, so that everything temporary is removed; a second one ends the
    process at once. What cannot be printed (a closed pipe, a full disk) is no reason to fail.

    Parameters
    ----------
    parser
        Its `prog` (``influbayes fit``) begins every message.
    argv
        Words of the call; None takes those of the process.
    work
        Called with the arguments and the whole command as text; returns the exit code.

    Returns
    -------
    int
        What `work` returns; the code of an `InflubayesError`; 130 where interrupted; 1 for any other exception, which
        is a defect: its traceback goes to a log file that the message names.

    Raises
    ------
    SystemExit
        From the parser: 0 after ``--help``, 2 where the words are off.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    keep_memory()
    try:
        with _stop_on_sigterm(), _interrupt_again(), _print_anything(parser.prog), collect_seldom():
            return work(parser.parse_args(words), shlex.join([*parser.prog.split(), *words]))
    except InflubayesError as reason:
        return _end(f"{parser.prog}: {reason}", reason.exit_code)
    except KeyboardInterrupt:
        return _end(f"{parser.prog}: interrupted, nothing written.", INTERRUPTED)
    except Exception as defect:  # noqa: BLE001 (a defect of ours: a short message and a log file, never a traceback)
        return _end(f"{parser.prog}: {_say_defect(defect)}", DEFECT)


def run_study(
    analyse: Callable[[Report], tuple[Results, Path]], *, quiet: bool, print_screen: Callable[..., None]
) -> int:
    """Analyse under a progress line, print the screen and return the exit code.

    Parameters
    ----------
    analyse
        Called with the callback of the progress line; returns the results and the published run folder.
    quiet
        Print neither progress nor screen.
    print_screen
        Called with the results, `console` and `paths`.

    Returns
    -------
    int
        0, or 4 where everything is withheld.

    Raises
    ------
    Interrupted
        Instead of a KeyboardInterrupt that came after the run was published; the message says so.
    """
    from influbayes.reporting.progress import make_console, show_progress
    from influbayes.reporting.run_folder import say_published

    console, folder = make_console(), None
    try:
        with show_progress(console, quiet=quiet) as progress:
            results, folder = analyse(progress)
        if not quiet:
            print_screen(results, console=console, paths={"report": folder / "report.html", "folder": folder})
    except KeyboardInterrupt as reason:
        if folder is None:
            raise
        raise Interrupted(say_published(folder)) from reason
    return WITHHELD if results["status"] == "withheld" else 0


def _end(message: str, code: int) -> int:
    print(message, file=sys.stderr)
    return code


# --- signals ----------------------------------------------------------------------------------------------------------


@contextmanager
def _stop_on_sigterm() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C, so that everything temporary is removed; a second one ends the process at once."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may listen to signals
        return
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _interrupt_again() -> Iterator[None]:
    """Deliver an interruption a moment later where it fell into a destructor or a callback, which drop exceptions."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return
    hook, before = sys.unraisablehook, signal.signal(signal.SIGALRM, _deliver)

    def note(dropped: sys.UnraisableHookArgs) -> None:
        if issubclass(dropped.exc_type, KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, _MOMENT_SECONDS)
        else:
            hook(dropped)

    sys.unraisablehook = note
    try:
        yield
    finally:
        sys.unraisablehook = hook
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def _deliver(number: int, frame: object) -> None:
    if not callable(signal.getsignal(signal.SIGINT)):
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)  # so that whoever holds interrupts back holds this one too


def _stop(number: int, frame: object) -> None:
    # Not an exception of ours: libraries swallow those that are ordinary `Exception`s.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise KeyboardInterrupt


# --- screens ----------------------------------------------------------------------------------------------------------


@contextmanager
def _print_anything(prog: str) -> Iterator[None]:
    """Let neither a label that the encoding does not hold nor a lost standard output be a reason to fail."""

    def say_lost(reason: OSError) -> None:
        # Where the reader has just seen enough (`| head`) nothing needs saying.
        if not isinstance(reason, BrokenPipeError):
            print(f"{prog}: the screen cannot be printed ({reason.strerror}); the run goes on.", file=sys.stderr)

    for stream in (sys.stdout, sys.stderr):
        # Errors other than strict are kept where every character has its bytes.
        if isinstance(stream, io.TextIOWrapper) and (stream.errors == "strict" or stream.encoding.lower() != "utf-8"):
            stream.reconfigure(errors=_PLAINLY)
    with print_patiently(on_loss=say_lost):
        yield


def _write_plainly(error: UnicodeError) -> tuple[str, int]:
    """Stand in for letters that an encoding lacks: the plain sign that looks alike, else the number of the letter."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_LOOKS_LIKE.get(letter, ascii(letter)[1:-1]) for letter in lacking), error.end


_LOOKS_LIKE = {"\u2212": "-", "\u2013": "-", "\u2500": "-", "\u2026": "...", "\u00d7": "x"}
_PLAINLY = "influbayes.plainly"
codecs.register_error(_PLAINLY, _write_plainly)


# --- defects ----------------------------------------------------------------------------------------------------------


def _say_defect(defect: Exception) -> str:
    """Write the traceback to a log file and return a short message that names it."""
    return (
        f"a defect of influbayes, not of your data ({type(defect).__name__}). Nothing is left half written. "
        f"Please report it with {_write_log(defect)}."
    )


def _write_log(defect: Exception) -> str:
    """Return the name of the log file; where none can be written, the lines of code the defect came through."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="influbayes-defect-", suffix=".log", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as log:
            log.write("".join(traceback.format_exception(defect)))
    except OSError:
        frames = traceback.extract_tb(defect.__traceback__)[-3:]
        places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames]
        return f"these words (no log file could be written): {', '.join(places)}"
    return log.name
