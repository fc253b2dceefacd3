"""A run folder appears whole or not at all, and is read only when whole."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from influbayes.errors import IncompleteRun, OutputError
from influbayes.reporting import run_folder
from influbayes.reporting.renaming import rename_new, swap_folders, swap_in_steps
from influbayes.reporting.run_folder import MANIFEST, choose_folder, publish_run, reserve_run, verify_run
from influbayes.reporting.run_lock import hold_lock, is_locked, name_lock

FILES = {"report.html": b"<p>report</p>", "plots/forest.png": b"png"}
FACTS = {"draws": 1000, "chains": 4, "status": "ok", "seed": 1}


def publish(out: Path, *, overwrite: bool = False, files: dict[str, object] | None = None) -> Path:
    with reserve_run(out, overwrite=overwrite) as place:
        return publish_run(place, files or FILES, facts=FACTS)  # type: ignore[arg-type]


def list_names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_run_appears_with_its_manifest_and_nothing_beside_it(tmp_path: Path) -> None:
    out = tmp_path / "my run"
    assert publish(out) == out
    assert list_names(tmp_path) == {"my run"}
    manifest = verify_run(out)
    assert manifest["files"]["report.html"]["bytes"] == len(FILES["report.html"])
    assert {name: manifest[name] for name in FACTS} == FACTS
    assert (out / "plots" / "forest.png").read_bytes() == b"png"


def test_a_writer_function_gets_a_path_inside_the_hidden_folder(tmp_path: Path) -> None:
    seen = []

    def write(path: Path) -> None:
        seen.append(path)
        path.write_bytes(b"draws")

    publish(tmp_path / "out", files={"posterior.nc": write})
    assert seen[0].parent.name.startswith(".out.tmp-")
    assert (tmp_path / "out" / "posterior.nc").read_bytes() == b"draws"


def test_nothing_is_seen_before_the_rename(tmp_path: Path) -> None:
    out = tmp_path / "out"
    publish(out, files={"a": lambda path: (path.write_bytes(b"a"), pytest.fail("seen") if out.exists() else None)})
    assert out.exists()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, MemoryError])
def test_any_exit_before_publishing_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), reserve_run(tmp_path / "out"):
        raise error
    assert list_names(tmp_path) == set()


def test_an_interrupt_while_writing_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish(tmp_path / "out", files={"posterior.nc": interrupt})
    assert list_names(tmp_path) == set()


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), RuntimeError("NetCDF: HDF error"), PermissionError(13, "denied")]
)
def test_a_disk_that_fails_is_named_and_the_old_run_stands(tmp_path: Path, error: Exception) -> None:
    out = publish(tmp_path / "out")

    def fail(path: Path) -> None:
        raise error

    with pytest.raises(OutputError, match=r"posterior\.nc: could not be written \(.*Nothing was published"):
        publish(out, overwrite=True, files={"posterior.nc": fail})
    assert verify_run(out)["files"].keys() == FILES.keys()
    assert list_names(tmp_path) == {"out"}


def test_a_defect_of_a_writer_is_not_called_a_full_disk(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        publish(tmp_path / "out", files={"a": fail})
    assert list_names(tmp_path) == set()


def test_a_file_size_limit_says_path_and_bytes(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(OutputError, match=r"big\.bin: 100,000 bytes could not be written"):
            publish(tmp_path / "out", files={"big.bin": b"x" * 100_000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list_names(tmp_path) == set()


def test_too_little_room_is_said_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="bytes are needed"), reserve_run(tmp_path / "out", needed_bytes=10**18):
        pytest.fail("the work began")
    assert list_names(tmp_path) == set()


def test_a_taken_place_is_refused_with_the_remedy(tmp_path: Path) -> None:
    out = publish(tmp_path / "out")
    with pytest.raises(OutputError, match=r"out exists.*--out.*--overwrite") as caught:
        publish(out)
    assert caught.value.exit_code == 5


def test_an_empty_folder_is_taken_too(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputError, match="exists"):
        publish(tmp_path / "out")
    with pytest.raises(OutputError, match="no influbayes run"):
        publish(tmp_path / "out", overwrite=True)


def test_a_place_taken_while_the_work_went_on_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with reserve_run(out) as place:
        out.mkdir()
        with pytest.raises(OutputError, match="exists"):
            publish_run(place, FILES, facts=FACTS)  # type: ignore[arg-type]
    assert list_names(tmp_path) == {"out"}


def test_overwrite_replaces_a_run(tmp_path: Path) -> None:
    out = publish(tmp_path / "out")
    publish(out, overwrite=True, files={"new.txt": b"new"})
    assert list_names(out) == {"new.txt", MANIFEST}
    assert list_names(tmp_path) == {"out"}
    verify_run(out)


def test_overwrite_leaves_a_folder_with_foreign_or_missing_files(tmp_path: Path) -> None:
    out = publish(tmp_path / "out")
    (out / "thesis.docx").write_bytes(b"years of work")
    with pytest.raises(OutputError, match=r"'thesis\.docx' is not of the run"):
        publish(out, overwrite=True)
    (out / "thesis.docx").unlink()
    (out / "report.html").unlink()
    with pytest.raises(OutputError, match=r"'report\.html' is missing from the run"):
        publish(out, overwrite=True)
    assert (out / "plots" / "forest.png").exists()


def test_overwrite_never_follows_a_link(tmp_path: Path) -> None:
    real = publish(tmp_path / "real")
    (tmp_path / "out").symlink_to(real)
    with pytest.raises(OutputError, match="not a folder"):
        publish(tmp_path / "out", overwrite=True)
    verify_run(real)


def test_overwrite_without_exchange_keeps_both_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = publish(tmp_path / "out")
    monkeypatch.setattr(run_folder, "swap_folders", swap_in_steps)
    publish(out, overwrite=True, files={"new.txt": b"new"})
    assert list_names(out) == {"new.txt", MANIFEST}
    assert list_names(tmp_path) == {"out"}


def test_the_next_start_puts_back_an_old_run_left_between_two_renames(tmp_path: Path) -> None:
    out = publish(tmp_path / "out")
    out.rename(tmp_path / ".out.old-0123456789ab")
    (tmp_path / ".out.tmp-0123456789ab").mkdir()
    with pytest.raises(OutputError, match="exists"):
        publish(out)
    verify_run(out)
    assert list_names(tmp_path) == {"out"}


def test_default_names_count_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = []
    for _ in range(3):
        with reserve_run(None, name="posts") as place:
            made.append(publish_run(place, FILES, facts=FACTS).name)  # type: ignore[arg-type]
    assert made == ["posts", "posts-2", "posts-3"]
    assert (tmp_path / "runs" / "posts-3").is_dir()


def test_two_default_runs_at_once_get_two_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with reserve_run(None, name="posts") as first, reserve_run(None, name="posts") as second:
        assert (first.final.name, second.final.name) == ("posts", "posts-2")


@pytest.mark.parametrize("name", ["../up", "/etc/passwd", "..", "", "a:$b\n\x1b", ".hidden"])
def test_a_default_name_never_leaves_its_folder(tmp_path: Path, name: str) -> None:
    place = choose_folder(name, parent=tmp_path)
    assert place.parent == tmp_path
    assert not place.name.startswith(".")


@pytest.mark.parametrize("name", ["../x", "/x", "", "a/../../x", MANIFEST, "a\\b"])
def test_a_file_name_never_leaves_the_run(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="no name for a file"):
        publish(tmp_path / "out", files={name: b""})


def test_a_second_run_is_refused_while_the_first_writes(tmp_path: Path) -> None:
    with reserve_run(tmp_path / "out"):
        with (
            pytest.raises(OutputError, match=rf"another run \(process {os.getpid()} on .*--out.*delete"),
            reserve_run(tmp_path / "out"),
        ):
            pytest.fail("both hold it")
        assert name_lock(tmp_path / "out").exists()
    assert list_names(tmp_path) == set()


def find_dead_pid() -> int:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def write_lock(place: Path, **owner: object) -> None:
    name_lock(place).write_text(json.dumps(owner))


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    write_lock(tmp_path / "out", pid=find_dead_pid(), host=socket.gethostname(), start="1")
    publish(tmp_path / "out")
    assert list_names(tmp_path) == {"out"}


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the start of a process is known on Linux only")
def test_the_lock_of_an_earlier_process_with_this_number_is_taken_over(tmp_path: Path) -> None:
    write_lock(tmp_path / "out", pid=os.getpid(), host=socket.gethostname(), start="1")
    publish(tmp_path / "out")


def test_the_lock_of_another_host_is_respected(tmp_path: Path) -> None:
    write_lock(tmp_path / "out", pid=find_dead_pid(), host="elsewhere", start="1")
    with pytest.raises(OutputError, match="on elsewhere"):
        publish(tmp_path / "out")
    assert is_locked(tmp_path / "out")


def test_an_empty_lock_counts_until_it_is_old(tmp_path: Path) -> None:
    lock = name_lock(tmp_path / "out")
    lock.touch()
    with pytest.raises(OutputError, match="another run"), hold_lock(tmp_path / "out"):
        pytest.fail("taken at once")
    os.utime(lock, (1, 1))
    with hold_lock(tmp_path / "out"):
        assert is_locked(tmp_path / "out")
    assert not lock.exists()


KILLED = """
import sys, time
from pathlib import Path
from influbayes.reporting.run_folder import publish_run, reserve_run

def write(path):
    path.write_bytes(b"half")
    print("writing", flush=True)
    time.sleep(60)

with reserve_run(Path(sys.argv[1]), overwrite=True) as place:
    publish_run(place, {"posterior.nc": write}, facts={})
"""


def test_a_run_killed_while_writing_leaves_the_old_one_and_the_next_start_clears_up(tmp_path: Path) -> None:
    out = publish(tmp_path / "out")
    with subprocess.Popen([sys.executable, "-c", KILLED, str(out)], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "writing\n"
        with pytest.raises(OutputError, match=f"process {run.pid} on"):
            publish(out, overwrite=True)
        run.kill()
    assert len(list_names(tmp_path)) == 3  # out, its lock and the hidden folder
    verify_run(out)
    publish(out, overwrite=True, files={"new.txt": b"new"})
    assert list_names(tmp_path) == {"out"}
    assert (out / "new.txt").exists()


def test_a_place_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="file"):
        publish(tmp_path / "file" / "out")


def damage(path: Path, how: str) -> None:
    file = path / "report.html"
    if how == "missing":
        file.unlink()
    elif how == "short":
        file.write_bytes(file.read_bytes()[:-1])
    elif how == "changed":
        file.write_bytes(b"X" + file.read_bytes()[1:])
    elif how == "no manifest":
        (path / MANIFEST).unlink()
    else:
        manifest = json.loads((path / MANIFEST).read_text())
        changes = {
            "newer": {"manifest_version": 99},
            "foreign": {"made_by": "someone"},
            "list": {"files": ["report.html"]},
            "outside": {"files": {"../x": {"bytes": 1, "sha256": ""}}},
            "absolute": {"files": {"/etc/hostname": {"bytes": 1, "sha256": ""}}},
        }
        (path / MANIFEST).write_text("{" if how == "torn" else json.dumps({**manifest, **changes.get(how, {})}))


@pytest.mark.parametrize(
    "how",
    ["missing", "short", "changed", "no manifest", "torn", "newer", "foreign", "list", "outside", "absolute"],
)
def test_a_damaged_run_is_never_taken_for_whole(tmp_path: Path, how: str) -> None:
    out = publish(tmp_path / "out")
    damage(out, how)
    with pytest.raises(IncompleteRun):
        verify_run(out)


def test_rename_new_never_replaces_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with pytest.raises(FileExistsError):
        rename_new(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize("swap", [swap_folders, swap_in_steps])
def test_swapping_exchanges_two_folders(tmp_path: Path, swap: object) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    swap(tmp_path / "a", tmp_path / "b", aside=tmp_path / "aside")  # type: ignore[operator]
    assert (list_names(tmp_path / "a"), list_names(tmp_path / "b")) == ({"b"}, {"a"})
    assert list_names(tmp_path) == {"a", "b"}


def test_a_swap_that_fails_half_way_puts_the_old_one_back(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with pytest.raises(FileNotFoundError):
        swap_in_steps(tmp_path / "absent", tmp_path / "old", aside=tmp_path / "aside")
    assert list_names(tmp_path) == {"old"}
