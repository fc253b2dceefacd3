"""One small run of each study and, for browser tests, one server that shows them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from influbayes import attribute, fit, roas, simulate

REQUIRED = os.environ.get("INFLUBAYES_BROWSER_TESTS") == "required"


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with posts.csv and sessions.csv, simulated."""
    folder = tmp_path_factory.mktemp("tables")
    assert simulate.main(["posts", "--posts", "240", "--creators", "40", "--out", str(folder / "posts.csv")]) == 0
    assert simulate.main(["sessions", "--sessions", "700", "--out", str(folder / "sessions.csv")]) == 0
    return folder


@pytest.fixture(scope="session")
def runs(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of each study."""
    folder = tmp_path_factory.mktemp("runs")
    posts, sessions = str(tables / "posts.csv"), str(tables / "sessions.csv")
    made = [
        fit.main([posts, "--out", str(folder / "posts"), "--model", "conversion", "--quiet"]),
        roas.main(["--out", str(folder / "returns"), "--draws", "500", "--quiet"]),
        attribute.main(
            [sessions, "--out", str(folder / "sessions"), "--model", "none", "--replicates", "50", "--quiet"]
        ),
    ]
    assert made == [0, 0, 0]
    return folder


@pytest.fixture(scope="session")
def server(runs: Path) -> Iterator[str]:
    """The address of a really launched dashboard."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["-m", "influbayes.dashboard", "--runs", str(runs), "--port", str(port), "--no-samples"]
    with subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        address = f"http://127.0.0.1:{port}"
        try:
            _wait_for(f"{address}/_stcore/health", process)
            yield address
        finally:
            process.terminate()
            process.wait(timeout=20)


def _wait_for(address: str, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert process.poll() is None, process.stdout.read() if process.stdout else "the server ended"
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("the dashboard did not start within a minute")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where a Chromium is; without one the test is skipped, or fails where browser tests are required."""
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    if found is None:
        if REQUIRED:
            pytest.fail("INFLUBAYES_BROWSER_TESTS=required, and there is no chromium on the PATH")
        pytest.skip("no chromium on the PATH, so the dashboard was not opened in a browser")
    return found
