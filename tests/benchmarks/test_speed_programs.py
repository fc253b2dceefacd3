"""Programs of the speed comparison are run, stopped, skipped and named as it says; R ones where R is installed."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from comparison import programs
from comparison.answers import Answer, judge_accuracy, read_answer
from comparison.processes import PROC, Cost, list_session, run_program
from comparison.programs import OURS, PROGRAMS, build_command, explain_absence
from comparison.schedule import SIMULATE, expect_seconds

R_PROGRAMS = [name for name, program in PROGRAMS.items() if program.in_r]


def run_python(code: str, folder: Path, limit: float = 30.0) -> Cost:
    return run_program([sys.executable, "-c", code], environment=os.environ, limit=limit, scratch=folder)


def test_a_run_is_measured_from_outside(tmp_path: Path) -> None:
    code = "import time; held = bytearray(200_000_000); print('done'); end = time.process_time() + 0.5\n"
    cost = run_python(code + "while time.process_time() < end: pass", tmp_path)
    assert (cost.code, cost.stopped) == (0, None)
    assert cost.said == "done\n"
    assert cost.cpu_seconds >= 0.5
    assert cost.whole_seconds >= 0.5
    assert 190 < cost.peak_megabytes < 400


@pytest.mark.skipif(not PROC.is_dir(), reason="memory can be seen in /proc only")
def test_a_program_that_takes_too_much_memory_is_stopped(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; held = bytearray(300_000_000); time.sleep(60)"]
    cost = run_program(command, environment=os.environ, limit=30, scratch=tmp_path, memory=0.2)
    assert cost.stopped == "at 0.2 GB"
    assert cost.whole_seconds < 30


@pytest.mark.skipif(not PROC.is_dir(), reason="helpers can be seen in /proc only")
def test_helpers_count_and_are_stopped_with_their_program(tmp_path: Path) -> None:
    # The helper's parent is gone at once, as with R's cluster of workers: no system call accounts for it.
    helper = '"$0" -c \'while True: pass\' & echo $! > "$1"'
    command = ["sh", "-c", 'sh -c "$2" "$0" "$1"; sleep 60', sys.executable, str(tmp_path / "helper.txt"), helper]
    cost = run_program(command, environment=os.environ, limit=2.0, scratch=tmp_path)
    assert cost.stopped == "after 2 s"
    assert cost.cpu_seconds > 0.2
    state = Path("/proc", (tmp_path / "helper.txt").read_text().strip(), "stat")
    assert state.parent.name.isdigit()
    deadline = time.monotonic() + 10
    while state.exists() and ") Z " not in state.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not state.exists() or ") Z " in state.read_text()


def test_a_session_is_seen_with_seconds_and_memory() -> None:
    if not PROC.is_dir():
        pytest.skip("/proc is not here")
    members = list_session(os.getsid(0))
    assert members[os.getpid()][1] > 10


def test_expected_seconds_grow_in_proportion_or_along_the_last_two_sizes() -> None:
    times = {("a", False): [(1000, 12.0)], ("b", False): [(1000, 12.0), (2000, 14.0)], ("c", True): [(1000, 5.0)]}
    assert expect_seconds(times, "a", 10_000, False) == 120.0
    assert expect_seconds(times, "b", 10_000, False) == pytest.approx(30.0)
    assert expect_seconds(times, "c", 2000, False) == 10.0, "the other kind of model, where this one was not run"
    assert expect_seconds(times, "d", 2000, False) == 0.0
    stopped = {("a", False): [(1000, 12.0), (2000, float("inf"))]}
    assert expect_seconds(stopped, "a", 10_000, False) == float("inf")
    assert expect_seconds(stopped, "a", 1500, True) == 18.0, "a stop at more posts says nothing of fewer"
    assert expect_seconds({("a", False): [(2000, float("inf"))]}, "a", 1000, False) == 0.0


def test_without_r_the_programs_of_r_are_left_out_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs.shutil, "which", lambda name: None)
    assert R_PROGRAMS == ["rstanarm", "lme4", "glmmTMB"]
    assert {explain_absence(PROGRAMS[name]) for name in R_PROGRAMS} == {"Rscript is not on the path"}
    missing = replace(PROGRAMS["bambi-nutpie"], package="no_such_package")
    assert explain_absence(missing) == "the Python package no_such_package is not installed"


@pytest.fixture(scope="module")
def posts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("posts") / "posts.csv"
    subprocess.run([sys.executable, "-c", SIMULATE, str(path), "2000", "300", "1"], check=True)
    return path


def ask(name: str, posts: Path, folder: Path) -> Answer:
    folder.mkdir()
    cost = run_program(
        build_command(PROGRAMS[name], posts, 0, folder, cores=1), environment=os.environ, limit=300, scratch=folder
    )
    assert cost.code == 0, cost.said
    return read_answer(folder)


@pytest.mark.parametrize("name", ["lme4", "glmmTMB", "statsmodels-vb"])
def test_a_fast_program_answers_about_the_same_question(name: str, posts: Path, tmp_path: Path) -> None:
    if why := explain_absence(PROGRAMS[name]):
        pytest.skip(why)
    ours, theirs = ask(OURS, posts, tmp_path / "ours"), ask(name, posts, tmp_path / "theirs")
    assert set(ours.summary) == set(theirs.summary)
    fixed = {key: pair for key, pair in ours.summary.items() if not key.startswith("scale_")}
    judged = judge_accuracy(theirs.summary, {**fixed, "scale_Influencer_Tier": ours.summary["scale_Influencer_Tier"]})
    assert judged["worst_shift"] < 1.5
    assert judged["sd_ratio_low"] > 0.3
