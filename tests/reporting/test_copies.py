"""Copies of the process: what they hand over, how they end, and that work they fail to do is done in place."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from influbayes.reporting import copies as room
from influbayes.reporting.copies import NO_COPIES, Copies, collect_output, open_copies, start_copy

if sys.platform != "linux":
    pytest.skip("copies are made on Linux alone", allow_module_level=True)

LARGE = bytes(range(256)) * 20_000


def is_alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(met: Callable[[], bool], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < until
        time.sleep(0.02)


def count_handles() -> int:
    return len(os.listdir("/proc/self/fd"))


def sleep_long() -> bytes:
    time.sleep(60)
    return b"late"


def test_a_copy_hands_over_its_bytes() -> None:
    before = count_handles()
    with open_copies(cores=2) as copies:
        made = [copies.start(lambda size=size: LARGE[:size]) for size in (0, 1, len(LARGE))]
        assert [collect_output(copy) for copy in made] == [b"", LARGE[:1], LARGE]
    assert count_handles() == before


def test_a_copy_has_what_this_process_has_and_changes_nothing_here() -> None:
    numbers = np.arange(5.0)

    def work() -> bytes:
        numbers[0] = 7.0
        return numbers.tobytes()

    with open_copies(cores=2) as copies:
        data = collect_output(copies.start(work))
    assert data is not None
    assert np.frombuffer(data).tolist() == [7.0, 1.0, 2.0, 3.0, 4.0]
    assert numbers.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("cores", [0, 1])
def test_one_core_makes_no_copies(cores: int) -> None:
    with open_copies(cores=cores) as copies:
        assert not copies.allowed
        assert copies.start(sleep_long) is None
    assert collect_output(None) is None
    assert NO_COPIES.start(sleep_long) is None


def test_another_system_makes_no_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room.sys, "platform", "darwin")
    assert start_copy(sleep_long) is None
    with open_copies(cores=8) as copies:
        assert not copies.allowed


def fail_with_an_error() -> bytes:
    raise ValueError("no")


def fail_by_exit() -> bytes:
    raise SystemExit(0)


def fail_by_a_signal() -> bytes:
    os.kill(os.getpid(), signal.SIGKILL)
    return b"never"


@pytest.mark.parametrize("work", [fail_with_an_error, fail_by_exit, fail_by_a_signal])
def test_a_copy_that_fails_brings_nothing_and_says_nothing(
    work: Callable[[], bytes], capfd: pytest.CaptureFixture[str]
) -> None:
    with open_copies(cores=2) as copies:
        assert collect_output(copies.start(work)) is None
    assert capfd.readouterr() == ("", "")


def test_a_copy_never_writes_on_the_screen(capfd: pytest.CaptureFixture[str]) -> None:
    def shout() -> bytes:
        print("out", flush=True)
        print("err", file=sys.stderr, flush=True)
        os.write(1, b"out")
        warnings.warn("loud", stacklevel=1)
        return b"done"

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with open_copies(cores=2) as copies:
            assert collect_output(copies.start(shout)) == b"done"
    assert capfd.readouterr() == ("", "")


def test_a_copy_that_hangs_is_waited_for_no_longer_than_said() -> None:
    with open_copies(cores=2) as copies:
        begin = time.monotonic()
        assert collect_output(copies.start(sleep_long), patience_seconds=0.2) is None
        assert time.monotonic() - begin < 20


def test_a_copy_is_deaf_to_ctrl_c(tmp_path: Path) -> None:
    there = tmp_path / "there"

    def work() -> bytes:
        there.write_text(str(os.getpid()))
        time.sleep(0.5)
        return b"done"

    with open_copies(cores=2) as copies:
        copy = copies.start(work)
        wait_until(lambda: there.exists() and there.read_text() != "")
        os.kill(int(there.read_text()), signal.SIGINT)
        assert collect_output(copy) == b"done"


def test_copies_end_with_the_block_however_it_ends(tmp_path: Path) -> None:
    there = tmp_path / "there"

    def work() -> bytes:
        there.write_text(str(os.getpid()))
        return sleep_long()

    def interrupt() -> None:
        with open_copies(cores=2) as copies:
            copies.start(work)
            wait_until(lambda: there.exists() and there.read_text() != "")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert not is_alive(int(there.read_text()))


def test_no_copy_outlives_a_killed_process(tmp_path: Path) -> None:
    script = (
        "import os, sys, time\n"
        "from influbayes.reporting.copies import open_copies\n"
        "def work():\n"
        "    open('there', 'w').write(str(os.getpid()))\n"
        "    time.sleep(60)\n"
        "with open_copies(cores=2) as copies:\n"
        "    copies.start(work)\n"
        "    time.sleep(60)\n"
    )
    there = tmp_path / "there"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, env=environment) as process:
        wait_until(lambda: there.exists() and there.read_text() != "")
        process.kill()
    wait_until(lambda: not is_alive(int(there.read_text())))


@pytest.mark.parametrize("refused", ["fork", "memfd_create", "pidfd_open"])
def test_where_the_system_grants_no_copy_the_work_is_done_here(refused: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError("no more")

    before = count_handles()
    monkeypatch.setattr(room.os, refused, refuse)
    assert Copies(allowed=True).start(sleep_long) is None
    assert count_handles() == before


def test_where_children_are_not_waited_for_the_work_is_done_here() -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with open_copies(cores=2) as copies:
            assert collect_output(copies.start(lambda: b"unknown")) is None
    finally:
        signal.signal(signal.SIGCHLD, before)


def count_in_copies(times: int) -> None:
    """Copies with BLAS, threads and compiled loops at work before and after, as in a study."""
    from concurrent.futures import ThreadPoolExecutor

    square = np.random.default_rng(1).normal(size=(300, 300))
    expected = (square @ square).tobytes()
    for _ in range(times):
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: square @ square, range(2)))
        with open_copies(cores=2) as copies:
            made = [copies.start(lambda: (square @ square).tobytes()) for _ in range(2)]
            assert (square @ square).tobytes() == expected
            assert [collect_output(copy, patience_seconds=30) for copy in made] == [expected, expected]


def test_copies_do_not_hang_where_threads_were() -> None:
    count_in_copies(15)


@pytest.mark.slow
def test_two_hundred_copies_do_not_hang_where_threads_were() -> None:
    count_in_copies(100)
