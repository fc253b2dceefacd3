"""Ctrl-C and SIGTERM at every stage: nothing published before the rename, a whole run after it, code 130, no traces."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from influbayes import fit, pipeline
from influbayes.reporting import interrupts, run_folder, run_lock, terminal
from influbayes.reporting.interrupts import hold_interrupts
from influbayes.reporting.run_folder import verify_run
from influbayes.tables import reader

Check = Callable[..., None]

BEFORE: dict[str, tuple[object, str]] = {
    "reading": (reader, "read_posts"),
    "taking the lock": (run_lock, "_create_lock"),
    "sampling": (pipeline, "analyse_posts"),
    "plotting": (pipeline, "make_files"),
    "writing": (run_folder, "_describe_file"),
    "just before the rename": (run_folder, "_sync_tree"),
}
AFTER: dict[str, tuple[object, str]] = {
    "renaming": (run_folder, "_swap"),
    "just after the rename": (run_folder, "_sync_folder"),
    "removing the old run": (run_folder, "_remove_folder"),
    "giving up the lock": (run_lock, "_remove_lock"),
    "printing": (terminal, "print_screen"),
}
SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture(autouse=True)
def python_listens_to_ctrl_c() -> Any:
    """Where the tests run in the background, Ctrl-C may be ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt_at(patch: pytest.MonkeyPatch, place: tuple[object, str], number: int, *, after_rename: bool) -> list[int]:
    """Let the stage send its own process a signal, once: first where nothing is published yet, else after its work."""
    module, name = place
    work, sent = getattr(module, name), []

    def stage(*words: Any, **named: Any) -> Any:
        if not after_rename:
            send()
        done = work(*words, **named)
        if after_rename and not (name == "_sync_folder" and ".tmp-" in str(words[0])):
            send()
        return done

    def send() -> None:
        if not sent:
            sent.append(number)
            os.kill(os.getpid(), number)
            time.sleep(0)  # Python looks for signals between two of its steps

    patch.setattr(module, name, stage)
    return sent


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("stage", BEFORE)
def test_an_interrupt_before_the_rename_leaves_the_old_run(
    stage: str, number: int, old_run: Path, check_whole: Check, monkeypatch: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    sent = interrupt_at(monkeypatch, BEFORE[stage], number, after_rename=False)
    code = fit.main(["posts.csv", "--out", "run", "--overwrite", "--seed", "2"])
    assert (code, capfd.readouterr().err) == (130, "influbayes fit: interrupted, nothing written.\n")
    assert sent
    check_whole(seed=1)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("stage", AFTER)
def test_an_interrupt_after_the_rename_leaves_the_new_run_and_says_so(
    stage: str, number: int, old_run: Path, check_whole: Check, monkeypatch: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    sent = interrupt_at(monkeypatch, AFTER[stage], number, after_rename=True)
    code = fit.main(["posts.csv", "--out", "run", "--overwrite", "--seed", "2"])
    said = f"influbayes fit: interrupted, but the run was written already: {old_run} is whole.\n"
    assert (code, capfd.readouterr().err) == (130, said)
    assert sent
    check_whole(seed=2)


def test_an_interrupted_first_run_leaves_nothing(
    posts_csv: Path, faked: Any, check_whole: Check, monkeypatch: Any
) -> None:
    interrupt_at(monkeypatch, BEFORE["writing"], signal.SIGTERM, after_rename=False)
    assert fit.main(["posts.csv", "--out", "run"]) == 130
    check_whole(seed=None)


# --- holding interrupts ----------------------------------------------------------------------------------------------


def interrupt_a_block(*, times: int) -> list[str]:
    """Tell the steps a block of `times` interrupts takes."""
    steps = []
    try:
        with hold_interrupts():
            for time_ in range(times):
                signal.raise_signal(signal.SIGINT)
                steps.append(f"step {time_ + 1}")
    except KeyboardInterrupt:
        steps.append("interrupted")
    return steps


def test_the_first_interrupt_waits_for_the_end_of_the_block() -> None:
    assert interrupt_a_block(times=1) == ["step 1", "interrupted"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_second_interrupt_acts_at_once() -> None:
    assert interrupt_a_block(times=3) == ["step 1", "interrupted"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with hold_interrupts():
            signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_other_threads_hold_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts.threading, "main_thread", lambda: None)
    assert interrupt_a_block(times=1) == ["interrupted"]


# --- processes that are killed ---------------------------------------------------------------------------------------

# One process forks the runs, so that Python starts once; it kills each after a random time and looks at what is left.
KILLER = """
import json, os, random, signal, sys, time
from pathlib import Path
from faked_entry import fake_study
from influbayes import fit
from influbayes.pipeline import Settings  # loaded before the forks
from influbayes.hierarchy import spec
from influbayes.reporting import run_folder, terminal
from influbayes.tables import reader
import influbayes.inference.engine, influbayes.reporting.results, influbayes.reporting.progress, rich.console

results, how_often, seed = json.loads(Path(sys.argv[1]).read_bytes()), int(sys.argv[2]), int(sys.argv[3])
fake_study(setattr, {**results, "status": "ok"})["files"]["large.bin"] = bytes(300_000)
chance = random.Random(seed)
words = ["posts.csv", "--out", "run", "--overwrite", "--quiet"]

def start():
    child = os.fork()
    if child == 0:
        os.dup2(os.open("err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
            code = fit.main(words)
        except KeyboardInterrupt:  # a step before the entry listens, or after it has ended
            code = 130
        sys.exit(code)  # not os._exit: what a process does at its end belongs to it
    return child

started = time.monotonic()
assert os.waitpid(start(), 0)[1] == 0
usual, counts = time.monotonic() - started, {}
for _ in range(how_often):
    number = chance.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    run_folder.verify_run("run")
    before = set(os.listdir())  # what an earlier SIGKILL left stays until a run gets as far as clearing it away
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    child = start()
    time.sleep(chance.uniform(0, 1.2 * usual))
    os.kill(child, number)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    run_folder.verify_run("run")
    said = Path("err").read_text()
    left = sorted(path.name for path in Path().iterdir() if path.name not in {*before, "err"})
    if code == 5:  # the run before was killed while it wrote its lock, which counts for ten seconds
        assert "process unknown" in said, said
        os.utime(".run.lock", (1, 1))
        continue
    assert code in (0, 130, -number), (code, number)
    assert "Traceback" not in said, said
    # A signal before the entry listens, or SIGKILL at any time, ends the process; the next start clears up after it.
    assert not left or code == -number, (left, number, code, said)
    counts[f"{signal.Signals(number).name} {code}"] = counts.get(f"{signal.Signals(number).name} {code}", 0) + 1
assert os.waitpid(start(), 0)[1] == 0
run_folder.verify_run("run")
print(json.dumps({"left": sorted(os.listdir()), "counts": counts}))
"""


def kill_runs(results_file: Path, folder: Path, *, how_often: int, seed: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLER, str(results_file), str(how_often), str(seed)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_runs_killed_at_random_times_never_leave_a_torn_run(posts_csv: Path, results_file: Path) -> None:
    found = kill_runs(results_file, posts_csv.parent, how_often=25, seed=1)
    assert found["left"] == ["err", "posts.csv", "run"]
    assert sum(found["counts"].values()) == 25
    verify_run(posts_csv.parent / "run")


@pytest.mark.slow
def test_five_hundred_runs_killed_at_random_times(posts_csv: Path, results_file: Path) -> None:
    found = kill_runs(results_file, posts_csv.parent, how_often=500, seed=2)
    assert found["left"] == ["err", "posts.csv", "run"]


def test_a_second_sigterm_ends_a_run_at_once_and_the_next_start_clears_up(
    old_run: Path, results_file: Path, check_whole: Check
) -> None:
    """The first one is held up by a library that swallows it; the second one does not wait."""
    script = (
        "import sys, time, faked_entry\n"
        "def swallow(path):\n"
        "    path.write_bytes(b'half')\n"
        "    for _ in range(2):\n"
        "        try:\n"
        "            print('WRITING', flush=True)\n"
        "            time.sleep(60)\n"
        "        except BaseException:\n"
        "            pass\n"
        "faked_entry.write_slowly = swallow\n"
        "sys.exit(faked_entry.run(sys.argv[1:]))\n"
    )
    words = [sys.executable, "-c", script, str(results_file), "posts.csv", "--out", "run", "--overwrite", "--quiet"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "FAKED_SECONDS": "60"}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for _ in range(2):
            assert process.stdout.readline() == "WRITING\n"
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == -signal.SIGTERM
    assert json.loads((old_run / "MANIFEST.json").read_text())["seed"] == 1
    assert len(list(old_run.parent.iterdir())) == 4  # the table, the old run, the hidden folder and the lock
    assert fit.main(["posts.csv", "--out", "run", "--overwrite", "--seed", "2", "--quiet"]) == 0
    check_whole(seed=2)
