"""Two runs and one place: the second is refused with code 5 before it works, and no run ever spoils another."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from influbayes import fit
from influbayes.reporting.run_folder import verify_run

Check = Callable[..., None]


@contextmanager
def run_beside(results_file: Path, *words: str, seconds: str) -> Iterator[subprocess.Popen[str]]:
    """A run in a process of its own, up to where it writes."""
    program = str(Path(__file__).with_name("faked_entry.py"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "FAKED_SECONDS": seconds}
    command = [sys.executable, program, str(results_file), "posts.csv", "--quiet", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        assert first == "WRITING\n", first + process.stderr.read()
        try:
            yield process
        finally:
            process.terminate()


def write_lock(**owner: object) -> Path:
    lock = Path(".run.lock")
    lock.write_text(json.dumps(owner))
    return lock


def find_dead_pid() -> int:
    with subprocess.Popen(["true"]) as done:
        return done.pid


def test_the_second_of_two_runs_is_refused_and_the_first_one_ends_well(
    old_run: Path, results_file: Path, check_whole: Check, capfd: pytest.CaptureFixture[str]
) -> None:
    with run_beside(results_file, "--out", "run", "--overwrite", "--seed", "3", seconds="0.5") as first:
        assert fit.main(["posts.csv", "--out", "run", "--overwrite", "--seed", "2"]) == 5
        said = capfd.readouterr().err
        assert f"is being written by another run (process {first.pid} on {socket.gethostname()})" in said
        assert verify_run(old_run)["seed"] == 1, "the old run stands until the new one is whole"
        assert first.wait(timeout=30) == 0
    check_whole(seed=3)


def test_two_runs_with_default_names_get_two_folders(posts_csv: Path, results_file: Path, faked: object) -> None:
    with run_beside(results_file, "--seed", "3", seconds="0.5") as first:
        assert fit.main(["posts.csv", "--seed", "2", "--quiet"]) == 0
        assert first.wait(timeout=30) == 0
    assert {path.name: verify_run(path)["seed"] for path in Path("runs").iterdir()} == {"posts": 3, "posts-2": 2}


def test_a_place_taken_while_the_run_went_on_is_left_alone(
    posts_csv: Path, results_file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not by a run, which the lock keeps away, but by a person."""
    with run_beside(results_file, "--out", "run", seconds="0.5") as process:
        Path("run").mkdir()
        Path("run", "mine.txt").write_text("mine")
        assert process.wait(timeout=30) == 5
        assert process.stderr is not None
        assert "run exists." in process.stderr.read()
    assert sorted(path.name for path in Path().iterdir()) == ["posts.csv", "run"]
    assert Path("run", "mine.txt").read_text() == "mine"


def test_the_lock_of_a_dead_process_is_taken_over(old_run: Path, check_whole: Check) -> None:
    write_lock(pid=find_dead_pid(), host=socket.gethostname(), start="1")
    assert fit.main(["posts.csv", "--out", "run", "--overwrite", "--seed", "2", "--quiet"]) == 0
    check_whole(seed=2)


@pytest.mark.parametrize(
    ("owner", "who"),
    [
        ({"pid": os.getppid(), "host": socket.gethostname(), "start": None}, f"process {os.getppid()} on "),
        ({"pid": 1, "host": "elsewhere", "start": "1"}, "process 1 on elsewhere"),
        ({"pid": 2**70, "host": socket.gethostname(), "start": None}, f"process {2**70} on "),
        ({}, "process unknown on an unknown host"),
        ({"pid": "1; rm -rf /", "host": ["x"]}, "process unknown on an unknown host"),
    ],
    ids=["living", "other host", "impossible number", "empty", "nonsense"],
)
def test_a_lock_that_may_be_held_is_respected_and_says_by_whom(
    owner: dict[str, object], who: str, old_run: Path, capfd: pytest.CaptureFixture[str], check_whole: Check
) -> None:
    lock = write_lock(**owner)
    assert fit.main(["posts.csv", "--out", "run", "--overwrite", "--seed", "2"]) == 5
    said = capfd.readouterr().err
    assert who in said
    assert f"If that run is dead, delete {lock.absolute()}." in said
    check_whole(seed=1, beside=("posts.csv", ".run.lock"))


def test_a_default_name_passes_over_a_place_that_another_host_holds(posts_csv: Path, faked: object) -> None:
    Path("runs").mkdir()
    lock = Path("runs", ".posts.lock")
    lock.write_text(json.dumps({"pid": 1, "host": "elsewhere", "start": "1"}))
    assert fit.main(["posts.csv", "--quiet"]) == 0
    assert sorted(path.name for path in Path("runs").iterdir()) == [".posts.lock", "posts-2"]
