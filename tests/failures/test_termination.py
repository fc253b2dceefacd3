"""SIGTERM and Ctrl-C in processes of their own: every study cleans up, the old run stays, no worker process is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from influbayes.reporting.run_folder import publish_run, reserve_run, verify_run

# The work that is held up, and the words of the call; each study reads its bundled sample.
STUDIES = {
    "fit": ("influbayes.pipeline", "analyse_posts", []),
    "roas": ("influbayes.pipeline_ledger", "analyse_ledger", []),
    "attribute": ("influbayes.pipeline_sessions", "analyse_sessions", []),
    "calibrate": ("influbayes.calibration.calibrator", "calibrate_engine", []),
}
HELD_UP = """
import sys, time
from importlib import import_module
entry, module, name, *words = sys.argv[1:]
def wait(*_, **__):
    print("WORKING", flush=True)
    try:
        time.sleep(60)
    except Exception:  # what a library may do
        time.sleep(60)
setattr(import_module(module), name, wait)
sys.exit(import_module(f"influbayes.{entry}").main(words))
"""
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    with reserve_run("run") as place:
        return publish_run(place, {"results.json": b"old"}, facts={"seed": 1})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("study", STUDIES)
def test_a_signal_ends_a_study_with_130_and_leaves_the_old_run(study: str, number: int, old: Path) -> None:
    module, name, words = STUDIES[study]
    out = ["--out", "new"] if study == "calibrate" else ["--out", "run", "--overwrite"]
    command = [sys.executable, "-W", "ignore", "-c", HELD_UP, study, module, name, *words, *out]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, preexec_fn=listen_to_ctrl_c
    ) as process:
        assert process.stdout is not None
        while process.stdout.readline() != "WORKING\n":
            assert process.poll() is None
        assert list(old.parent.glob(".*.lock")), "the run is not under way"
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, f"influbayes {study}: interrupted, nothing written.\n")
    assert verify_run(old)["seed"] == 1
    assert [path.name for path in old.parent.iterdir()] == ["run"]


def listen_to_ctrl_c() -> None:
    """Where the tests run in the background, Ctrl-C may be ignored or blocked, and a child would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])


# --- worker processes ------------------------------------------------------------------------------------------------

CALIBRATE = [
    *(sys.executable, "-W", "ignore", "-m", "influbayes.calibrate", "--model", "conversion", "--engine", "laplace"),
    *("--posts", "60", "--replications", "100000", "--workers", "2", "--out", "done"),
]


def list_group(group: int) -> set[int]:
    """Return the living processes of a process group (Linux)."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == group and fields[0] != "Z":
                found.add(int(folder.name))
    return found


def wait_for(group: int, *, processes: range, seconds: float = 60) -> set[int]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if len(found := list_group(group)) in processes:
            return found
        time.sleep(0.1)
    raise AssertionError(f"processes: {list_group(group)}")


@pytest.fixture
def calibration(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A calibration in a process group of its own, its two workers and the tracker of semaphores under way."""
    if sys.platform != "linux":
        pytest.skip("looks at /proc")
    with subprocess.Popen(
        CALIBRATE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        cwd=tmp_path,
        process_group=0,
        preexec_fn=listen_to_ctrl_c,
    ) as process:
        wait_for(process.pid, processes=range(4, 9))
        yield process
        for left in list_group(process.pid):
            os.kill(left, signal.SIGKILL)


@pytest.mark.parametrize(
    ("number", "whole_group"), [(signal.SIGTERM, False), (signal.SIGINT, False), (signal.SIGINT, True)]
)
def test_no_worker_outlives_an_interrupted_calibration(
    number: int, whole_group: bool, calibration: subprocess.Popen[str], tmp_path: Path
) -> None:
    time.sleep(1.0)  # some are still importing, some are at work
    if whole_group:  # as Ctrl-C on a terminal
        os.killpg(calibration.pid, number)
    else:
        calibration.send_signal(number)
    _, said = calibration.communicate(timeout=30)
    assert calibration.returncode == 130
    assert said.endswith("influbayes calibrate: Stopped while calibrating; nothing was written.\n")
    assert "Traceback" not in said
    wait_for(calibration.pid, processes=range(1), seconds=5)
    assert list(tmp_path.iterdir()) == []


def test_no_worker_outlives_a_killed_calibration(calibration: subprocess.Popen[str]) -> None:
    calibration.kill()
    calibration.wait(timeout=10)
    wait_for(calibration.pid, processes=range(1), seconds=20)


def test_a_worker_that_is_killed_ends_the_calibration_in_words(
    calibration: subprocess.Popen[str], tmp_path: Path
) -> None:
    workers = [pid for pid in list_group(calibration.pid) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(workers[0], signal.SIGKILL)
    _, said = calibration.communicate(timeout=30)
    assert (calibration.returncode, said) == (
        4,
        "influbayes calibrate: A worker process ended by itself: killed, or out of memory. Try again with fewer "
        "(--workers).\n",
    )
    assert list(tmp_path.iterdir()) == []


# --- copies that work beside a study ---------------------------------------------------------------------------------


@pytest.fixture
def fitting(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A fit of the bundled sample in a process group of its own, a copy of it under way."""
    if sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("copies are made on Linux, with two cores")
    with subprocess.Popen(
        [sys.executable, "-m", "influbayes.fit", "--quiet", "--out", "run"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**ENVIRONMENT, "OMP_NUM_THREADS": "2"},
        cwd=tmp_path,
        process_group=0,
        preexec_fn=listen_to_ctrl_c,
    ) as process:
        wait_for(process.pid, processes=range(2, 9))
        yield process
        for left in list_group(process.pid):
            os.kill(left, signal.SIGKILL)


@pytest.mark.parametrize(
    ("number", "whole_group"), [(signal.SIGTERM, False), (signal.SIGINT, False), (signal.SIGINT, True)]
)
def test_no_copy_outlives_an_interrupted_fit(
    number: int, whole_group: bool, fitting: subprocess.Popen[str], tmp_path: Path
) -> None:
    time.sleep(1.0)
    if whole_group:  # as Ctrl-C on a terminal
        os.killpg(fitting.pid, number)
    else:
        fitting.send_signal(number)
    _, said = fitting.communicate(timeout=60)
    assert (fitting.returncode, said) == (130, "influbayes fit: interrupted, nothing written.\n")
    wait_for(fitting.pid, processes=range(1), seconds=5)
    assert list(tmp_path.iterdir()) == []


def test_a_fit_whose_copies_are_killed_makes_the_same_run(fitting: subprocess.Popen[str], tmp_path: Path) -> None:
    while fitting.poll() is None:  # whatever a copy was to bring is made by the study itself
        for pid in list_group(fitting.pid) - {fitting.pid}:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    assert fitting.communicate()[1] == ""
    assert fitting.returncode == 0
    words = [sys.executable, "-m", "influbayes.fit", "--quiet", "--out", "alone"]
    subprocess.run(words, env={**ENVIRONMENT, "OMP_NUM_THREADS": "1"}, cwd=tmp_path, check=True)
    pictures = [{path.name: path.read_bytes() for path in (tmp_path / run / "plots").iterdir()} for run in RUNS]
    assert pictures[0] == pictures[1]
    verify_run(tmp_path / "run")
    found = [json.loads((tmp_path / run / "results.json").read_bytes()) for run in RUNS]
    for results in found:
        for part in (results["engine"], *(fit["engine"] for fit in results["fits"])):
            del part["seconds"]
        del results["provenance"]["created"], results["provenance"]["command"]
    assert found[0] == found[1]


RUNS = ("run", "alone")
