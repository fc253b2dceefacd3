"""A disk that fails at any step of writing: code 5, the path is named, the old run stands, nothing is left about."""

from __future__ import annotations

import errno
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from influbayes import fit
from influbayes.reporting import renaming, run_folder
from influbayes.reporting.run_folder import verify_run

Check = Callable[..., None]


class FailingCall:
    """A function of the operating system whose n-th call inside the run's folder fails."""

    def __init__(self, call: Callable[..., Any], number: int, *, at: int, watched: Path) -> None:
        self._call, self._error, self._at, self._watched = call, number, at, str(watched)
        self.seen = 0

    def __call__(self, *words: Any, **named: Any) -> Any:
        if self._is_ours(words[0]):
            self.seen += 1
            if self.seen == self._at:
                raise OSError(self._error, os.strerror(self._error), str(words[0]))
        return self._call(*words, **named)

    def _is_ours(self, target: Any) -> bool:
        name = os.readlink(f"/proc/self/fd/{target}") if isinstance(target, int) else os.fspath(target)
        return name.startswith(self._watched) and not name.endswith("posts.csv")


STEPS = {
    "make a folder": (os, "mkdir"),
    "open a handle": (os, "open"),
    "open a file": (io, "open"),
    "flush to disk": (os, "fsync"),
    "rename": (run_folder, "rename_new"),
    "swap": (run_folder, "swap_folders"),
}


@pytest.mark.parametrize("overwrite", [False, True], ids=["new", "overwrite"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO], ids=["no space", "input/output error"])
@pytest.mark.parametrize("step", STEPS)
def test_every_step_may_fail(
    step: str,
    number: int,
    overwrite: bool,
    old_run: Path,
    check_whole: Check,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Lets the first, the second, ... call fail until a run gets through."""
    if (step == "swap") != overwrite and step in ("rename", "swap"):
        pytest.skip("a new run is renamed, an old one swapped")
    if not overwrite:
        shutil.rmtree(old_run)
    module, name = STEPS[step]
    words = ["posts.csv", "--out", "run", "--seed", "2", *(["--overwrite"] if overwrite else [])]
    for at in range(1, 60):
        with monkeypatch.context() as patch:
            failing = FailingCall(getattr(module, name), number, at=at, watched=old_run.parent)
            patch.setattr(module, name, failing)
            code = fit.main(words)
        said = capfd.readouterr().err
        if failing.seen < at:
            break
        assert "Traceback" not in said
        if code == 0:  # the failure did not matter: a folder that is there already, the removal of the old run
            start_again(old_run, overwrite=overwrite)
            continue
        assert code == 5, (at, said)
        assert said.startswith(f"influbayes fit: {old_run.parent}"), (at, said)
        check_whole(seed=1 if overwrite else None)
    else:
        pytest.fail("no run got through")
    assert at > 1, "the step was never taken"
    assert code == 0
    check_whole(seed=2)


def start_again(old_run: Path, *, overwrite: bool) -> None:
    """The new run is whole; the next start clears away what could not be removed."""
    assert verify_run(old_run)["seed"] == 2
    assert fit.main(["posts.csv", "--out", "run", "--seed", "1", "--overwrite", "--quiet"]) == 0
    if not overwrite:
        shutil.rmtree(old_run)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_each_of_three_renames_may_fail_where_folders_cannot_be_exchanged(
    at: int, old_run: Path, check_whole: Check, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    rename, seen = os.rename, []

    def fail(source: Any, target: Any) -> None:
        seen.append(source)
        if len(seen) == at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rename(source, target)

    monkeypatch.setattr(renaming, "_call_renameat2", lambda *_: False)
    monkeypatch.setattr(os, "rename", fail)
    assert fit.main(["posts.csv", "--out", "run", "--overwrite", "--seed", "2"]) == 5
    assert "Input/output error" in capfd.readouterr().err
    check_whole(seed=1)


def test_a_run_gets_through_where_folders_cannot_be_exchanged(
    old_run: Path, check_whole: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renaming, "_call_renameat2", lambda *_: False)
    assert fit.main(["posts.csv", "--out", "run", "--overwrite", "--seed", "2", "--quiet"]) == 0
    check_whole(seed=2)


def test_too_little_room_is_said_before_the_work(
    old_run: Path, check_whole: Check, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(9, 8, 1))  # type: ignore[attr-defined]
    assert fit.main(["posts.csv", "--out", "run", "--overwrite"]) == 5
    assert "bytes are needed, 1 are free. Make room, or choose --out." in capfd.readouterr().err
    check_whole(seed=1)


# --- places that cannot be written ------------------------------------------------------------------------------------


@pytest.fixture
def read_only_folder() -> Iterator[Path]:
    """A folder this process may not write to, even where the tests run as root."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        is_root = os.geteuid() == 0
        if is_root:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if is_root:
                os.seteuid(0)
            folder.chmod(0o755)


def test_a_folder_that_may_not_be_written_is_named(
    old_run: Path, read_only_folder: Path, capfd: pytest.CaptureFixture[str], faked: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(fit, "_read", lambda *_: read_as_given(old_run))
    assert fit.main(["posts.csv", "--out", str(read_only_folder / "run")]) == 5
    assert capfd.readouterr().err.startswith(f"influbayes fit: {read_only_folder}/.run.lock: could not be made (Permi")
    assert list(read_only_folder.iterdir()) == []


def test_a_stale_lock_that_may_not_be_removed_is_code_5(
    old_run: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = old_run.parent / ".run.lock"
    lock.touch()
    os.utime(lock, (1, 1))

    def forbid(*_: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "rename", forbid)
    assert fit.main(["posts.csv", "--out", "run", "--overwrite"]) == 5
    assert ".run.lock: could not be made (Permission denied)" in capfd.readouterr().err
    assert verify_run(old_run)["seed"] == 1


def read_as_given(old_run: Path) -> tuple[Any, Any, str]:
    """The table is read by a user who may."""
    from influbayes.hierarchy.spec import load_spec
    from influbayes.tables.reader import read_posts

    if os.geteuid() == 65534:
        os.seteuid(0)
        try:
            posts = read_posts(old_run.parent / "posts.csv")
        finally:
            os.seteuid(65534)
    else:
        posts = read_posts(old_run.parent / "posts.csv")
    return posts, load_spec("conversion"), "asked for"


def test_a_missing_parent_is_made(old_run: Path) -> None:
    assert fit.main(["posts.csv", "--out", "new/deeper/run", "--quiet"]) == 0
    assert [path.name for path in (old_run.parent / "new" / "deeper").iterdir()] == ["run"]


@pytest.mark.parametrize(
    ("out", "reason"),
    [
        ("posts.csv/run", "posts.csv: could not be written"),
        ("posts.csv", "exists"),
        ("x" * 256, "File name too long"),
        ("/".join(["x" * 200] * 30), "File name too long"),
        ("/proc/run", "could not be made"),
    ],
    ids=["below a file", "a file", "name too long", "path too long", "a system folder"],
)
def test_a_place_that_cannot_be_is_code_5(
    out: str, reason: str, old_run: Path, check_whole: Check, capfd: pytest.CaptureFixture[str]
) -> None:
    assert fit.main(["posts.csv", "--out", out]) == 5
    said = capfd.readouterr().err
    assert reason in said
    assert "Choose another --out" in said or "choose another --out" in said
    check_whole(seed=1)


def test_a_long_name_of_a_table_is_cut_for_its_folder(
    posts_csv: Path, faked: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    name = "表" * 80
    posts_csv.rename(f"{name}.csv")
    assert fit.main([f"{name}.csv", "--quiet"]) == 0
    (made,) = (posts_csv.parent / "runs").iterdir()
    assert made.name == "表" * 26
    verify_run(made)


# --- an old run that someone has worked in ----------------------------------------------------------------------------


def test_overwrite_replaces_an_edited_file_of_the_run(old_run: Path, check_whole: Check) -> None:
    """The rule goes by names: text typed into report.html is lost, a file put beside it is not."""
    (old_run / "results.json").write_text("my notes")
    assert fit.main(["posts.csv", "--out", "run", "--overwrite", "--seed", "2", "--quiet"]) == 0
    check_whole(seed=2)


def test_overwrite_never_touches_a_folder_with_a_file_of_someone_else(
    old_run: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (old_run / "plots" / "mine.txt").write_text("my notes")
    assert fit.main(["posts.csv", "--out", "run", "--overwrite", "--seed", "2"]) == 5
    assert "'plots/mine.txt' is not of the run" in capfd.readouterr().err
    assert verify_run(old_run)["seed"] == 1
    assert (old_run / "plots" / "mine.txt").read_text() == "my notes"


# --- with the real engine and the real netCDF ------------------------------------------------------------------------

LIMITED = """
import resource, sys
from influbayes import fit, pipeline
from influbayes.reporting.results import encode_results
pipeline._judge_priors = lambda averages, settings: ()
pipeline.make_files = lambda analysis, results, ahead: {
    "results.json": encode_results(results)[:1000],
    "posterior.nc": ahead.write_posteriors([part.fit for part in analysis.questions])["posterior.nc"],
}
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(fit.main(sys.argv[2:]))
"""


def test_a_disk_that_fills_while_the_draws_are_written(old_run: Path, check_whole: Check) -> None:
    """netCDF reports it in its own way; nothing of that reaches the user."""
    words = ["posts.csv", "--model", "conversion", "--engine", "laplace", "--draws", "200", "--quiet", "--out", "run"]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, "50000", *words, "--overwrite"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 5, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "posterior.nc: could not be written" in done.stderr
    check_whole(seed=1)
