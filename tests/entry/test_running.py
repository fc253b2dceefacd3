"""What every entry does around its work: exit codes, last words, SIGTERM, screens that cannot be printed."""

from __future__ import annotations

import argparse
import gc
import os
import re
import signal
import subprocess
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from influbayes import attribute, calibrate, fit, plan, roas, simulate
from influbayes.cli import ENTRIES
from influbayes.entry.memory import collect_seldom
from influbayes.entry.running import run_entry, run_study
from influbayes.errors import DataRefused, Interrupted, OutputError, SamplingFailed, UsageError
from influbayes.reporting.interrupts import hold_interrupts

WORK = {
    fit: "run_fit",
    roas: "run_roas",
    attribute: "run_attribute",
    plan: "run_plan",
    calibrate: "_calibrate",
    simulate: "_simulate",
}
WORDS = {plan: ["run", "--fees", "fees.csv", "--budget", "1"], simulate: ["posts"]}


def parse_nothing() -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog="influbayes try")


def run(work: Any, *words: str) -> int:
    return run_entry(parse_nothing(), list(words), work=lambda arguments, command: work())


def fail_with(reason: BaseException) -> Any:
    def work(*_: Any, **__: Any) -> int:
        raise reason

    return work


ENDS = [
    (UsageError("--prob 2: no."), 2, "--prob 2: no."),
    (DataRefused(["IB-D07 posts.csv: empty"]), 3, "IB-D07 posts.csv: empty"),
    (SamplingFailed("no draws."), 4, "no draws."),
    (OutputError("run exists."), 5, "run exists."),
    (Interrupted("Stopped while sampling."), 130, "Stopped while sampling."),
    (KeyboardInterrupt(), 130, "interrupted, nothing written."),
]


@pytest.mark.parametrize(("reason", "code", "said"), ENDS)
@pytest.mark.parametrize("entry", WORK, ids=lambda entry: entry.__name__.rpartition(".")[2])
def test_every_entry_ends_alike(
    entry: Any, reason: BaseException, code: int, said: str, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(entry, WORK[entry], fail_with(reason))
    assert entry.main(WORDS.get(entry, [])) == code
    name = entry.__name__.rpartition(".")[2]
    assert capsys.readouterr().err == f"influbayes {name}: {said}\n"


class InterruptedWhenDropped:
    """Is dropped while a signal comes: what its destructor raises Python drops too."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        signal.raise_signal(self.number)


def wait_a_while() -> int:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        time.sleep(0.01)
    return 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupt_that_falls_into_a_destructor_is_not_lost(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        dropped = InterruptedWhenDropped(number)
        del dropped
        return wait_a_while()

    hook = sys.unraisablehook
    assert run(work) == 130
    assert capsys.readouterr().err == "influbayes try: interrupted, nothing written.\n"
    assert sys.unraisablehook is hook


def test_an_interrupt_that_was_dropped_waits_where_interrupts_are_held(capsys: pytest.CaptureFixture[str]) -> None:
    steps = []

    def work() -> int:
        dropped = InterruptedWhenDropped(signal.SIGTERM)
        del dropped
        with hold_interrupts():
            time.sleep(0.2)
            steps.append("held")
        return wait_a_while()

    assert run(work) == 130
    assert steps == ["held"]
    capsys.readouterr()


@pytest.mark.parametrize("entry", WORK, ids=lambda entry: entry.__name__.rpartition(".")[2])
def test_a_defect_of_any_entry_is_code_1_with_a_log(
    entry: Any, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(entry, WORK[entry], fail_with(ZeroDivisionError("by nought")))
    assert entry.main(WORDS.get(entry, [])) == 1
    said = capsys.readouterr().err
    found = re.fullmatch(
        r"influbayes \w+: a defect of influbayes, not of your data \(ZeroDivisionError\)\. Nothing is left half "
        r"written\. Please report it with (\S+\.log)\.\n",
        said,
    )
    assert found, said
    log = Path(found[1])
    assert "by nought" in log.read_text(encoding="utf-8")
    log.unlink()


def test_every_command_is_tried_here() -> None:
    names = {entry.__name__.rpartition(".")[2] for entry in WORK}
    folders = {name for name in ENTRIES if hasattr(import_module(f"influbayes.{name}"), "__path__")}
    assert names == set(ENTRIES) - folders


# --- signals ----------------------------------------------------------------------------------------------------------


def test_sigterm_is_an_interruption_that_no_library_swallows(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        try:
            signal.raise_signal(signal.SIGTERM)
        except Exception:  # noqa: BLE001 (what a library may do)
            return 0
        return 0

    before = signal.getsignal(signal.SIGTERM)
    assert run(work) == 130
    assert capsys.readouterr().err == "influbayes try: interrupted, nothing written.\n"
    assert signal.getsignal(signal.SIGTERM) is before


def test_another_thread_runs_an_entry_without_signals() -> None:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(run(lambda: 0)))
    thread.start()
    thread.join()
    assert codes == [0]


def test_the_handler_is_given_back_whatever_happens() -> None:
    before = signal.getsignal(signal.SIGTERM)
    for reason in (UsageError("no"), KeyboardInterrupt()):
        run(fail_with(reason))
        assert signal.getsignal(signal.SIGTERM) is before
    with pytest.raises(SystemExit):
        run(lambda: 0, "--unknown")
    assert signal.getsignal(signal.SIGTERM) is before


# --- screens ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("target", "said"), [("/dev/full", "No space left on device"), (None, "")])
def test_plain_prints_go_on_without_a_screen(target: str | None, said: str, tmp_path: Path) -> None:
    """In a process of its own, as the interpreter flushes once more when it ends."""
    script = "import sys; from influbayes.cli import main; sys.exit(main(['simulate', 'posts', '--posts', '300']))"
    line = '"$@" | true; exit 0' if target is None else f'"$@" >{target}'
    command = ["sh", "-c", line, "sh", sys.executable, "-c", script]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    lost = f"influbayes simulate: the screen cannot be printed ({said}); the run goes on.\n" if said else ""
    assert (done.returncode, done.stderr) == (0, lost)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["posts.csv", "posts_truth.toml"]


# --- studies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("partly_withheld", 0), ("withheld", 4)])
def test_a_study_ends_with_4_only_where_everything_is_withheld(status: str, code: int) -> None:
    screens: list[Any] = []
    done = run_study(
        lambda progress: ({"status": status}, Path("run")),
        quiet=False,
        print_screen=lambda results, **named: screens.append((results, named["paths"])),
    )
    assert done == code
    assert screens == [({"status": status}, {"report": Path("run/report.html"), "folder": Path("run")})]


def test_an_interrupt_while_printing_says_that_the_run_is_written() -> None:
    with pytest.raises(Interrupted, match="interrupted, but the run was written already: run is whole"):
        run_study(
            lambda progress: ({"status": "ok"}, Path("run")), quiet=False, print_screen=fail_with(KeyboardInterrupt())
        )


def test_an_interrupt_before_that_says_nothing_of_a_run() -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        run_study(fail_with(KeyboardInterrupt()), quiet=True, print_screen=fail_with(AssertionError()))
    assert not isinstance(caught.value, Interrupted)


# --- memory -----------------------------------------------------------------------------------------------------------

ENDING = """
import sys
from influbayes.entry.memory import collect_seldom, keep_memory

class Ring:
    def __init__(self):
        self.ring = self
    def __del__(self):
        print("searched")

keep_memory()
with collect_seldom():
    pass
ring = Ring()
{more}
"""


@pytest.mark.parametrize(("more", "said"), [("", ""), ("import duckdb", "searched\n")])
def test_the_last_search_for_cycles_is_left_out_unless_a_library_counts_on_it(more: str, said: str) -> None:
    done = subprocess.run([sys.executable, "-c", ENDING.format(more=more)], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (said, "")


def test_python_looks_for_cycles_as_before_once_the_work_is_done() -> None:
    before = gc.get_threshold()
    with collect_seldom():
        assert gc.get_threshold()[0] > before[0]
    assert gc.get_threshold() == before
