"""Runs of the bundled data, quickly made, one server and one browser: each once a session.

All tests of the dashboard are one group of pytest-xdist, so that one worker makes these.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path

import pytest

from influbayes.dashboard.settings import LOOPBACK

pytest.importorskip("streamlit", reason="the extra dashboard is not installed")

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS_TO_START = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A dashboard that is being served, and the folder of its runs."""

    address: str
    port: int
    runs: Path
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"


@pytest.fixture(scope="session")
def sample_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of each study on the bundled data: few draws, otherwise as the entries make them."""
    folder = tmp_path_factory.mktemp("runs")
    with as_file(files("influbayes.data").joinpath("posts.csv")) as data:
        make_conversion(data, folder / "posts")
        make_returns(data.parent / "ledger", folder / "ledger")
        make_attribution(data.parent, folder / "sessions")
    return folder


def make_conversion(data: Path, out: Path) -> None:
    from influbayes.decisions.study import Request
    from influbayes.hierarchy.spec import choose_spec
    from influbayes.pipeline import Settings, add_choices, analyse_posts, find_quick_refit, make_files
    from influbayes.reporting.results import collect_results, list_facts
    from influbayes.reporting.run_folder import publish_run, reserve_run
    from influbayes.tables.reader import read_posts

    posts = replace(read_posts(data), is_sample=True)
    spec, choice = choose_spec(posts)
    settings = Settings(engine="laplace", draws=250, chains=4, seed=20260101, prob=0.9)
    analysis = analyse_posts(posts, spec, choice=choice, settings=settings)
    analysis = add_choices(
        analysis, Request(fees=None, values=None, threshold=None), refit=find_quick_refit(analysis, settings)
    )
    results = collect_results(analysis, created="2026-02-01T10:00:00+00:00")
    with reserve_run(out) as place:
        publish_run(place, make_files(analysis, results), facts=list_facts(results))


def make_returns(data: Path, out: Path) -> None:
    from influbayes.pipeline_ledger import analyse_ledger, write_returns
    from influbayes.tables.ledger import read_ledger

    returns, results = analyse_ledger(
        read_ledger(data, is_sample=True), draws=1000, created="2026-02-02T10:00:00+00:00"
    )
    write_returns(returns, results, out)


def make_attribution(data: Path, out: Path) -> None:
    from influbayes.attribution.truth import load_truth
    from influbayes.pipeline_sessions import SessionSettings, analyse_sessions, write_credit_report
    from influbayes.tables.session_reader import read_sessions

    settings = SessionSettings(replicates=40, folds=2, repeats=1, draws=250, engine="laplace")
    sessions = replace(read_sessions(data / "sessions.csv"), is_sample=True)
    truth = load_truth(data / "sessions_truth.toml")
    analysis = analyse_sessions(sessions, settings=settings, truth=truth, truth_source="the simulation's truth")
    write_credit_report(analysis, out, created="2026-02-03T10:00:00+00:00")


# --- the server -------------------------------------------------------------------------------------------------------


def find_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def server(sample_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`influbayes dashboard` on the sample runs, started as a user starts it."""
    folder, port = tmp_path_factory.mktemp("server"), find_port()
    words = ["--runs", str(sample_runs), "--port", str(port), "--no-samples"]
    log = folder / "log.txt"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "influbayes.dashboard", *words],
            cwd=folder,
            stdout=out,
            stderr=out,
            # An environment that would open the server to everyone: the flags must win.
            env={**os.environ, "STREAMLIT_SERVER_ADDRESS": "0.0.0.0", "STREAMLIT_SERVER_MAX_UPLOAD_SIZE": "900"},
        )
    try:
        wait_for(f"http://{LOOPBACK[0]}:{port}/_stcore/health", process, log)
        yield Server(address=LOOPBACK[0], port=port, runs=sample_runs, process=process, log=log)
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"the server did not answer in {SECONDS_TO_START} s: {log.read_text(encoding='utf-8')}")


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small posts.csv."""
    from influbayes import simulate

    folder = tmp_path_factory.mktemp("tables")
    assert simulate.main(["posts", "--posts", "240", "--creators", "40", "--out", str(folder / "posts.csv")]) == 0
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where a Chromium is. Without one the tests are skipped, or fail where browser tests are "required"."""
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        message = "no Chromium on this machine: the dashboard was not looked at in a browser"
        if os.environ.get("INFLUBAYES_BROWSER_TESTS") == "required":
            pytest.fail(message)
        pytest.skip(message)
    return path
