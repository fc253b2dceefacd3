"""Files that belong together are written all or none, whatever fails or interrupts."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from influbayes.errors import Interrupted, OutputError
from influbayes.reporting import whole_files
from influbayes.reporting.whole_files import write_files


def list_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_are_written_and_replaced_only_where_asked(tmp_path: Path) -> None:
    first, second = tmp_path / "a.csv", tmp_path / "b.toml"
    write_files({first: b"1", second: b"2"})
    with pytest.raises(OutputError, match=r"b\.toml: could not be written \(it exists already\)\. Choose"):
        write_files({second: b"3"})
    write_files({second: b"4"}, overwrite=True)
    assert (first.read_bytes(), second.read_bytes(), list_names(tmp_path)) == (b"1", b"4", ["a.csv", "b.toml"])


def test_where_the_second_fails_the_first_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = whole_files.rename_new

    def fail_second(source: Path, target: Path) -> None:
        if target.name == "b":
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(whole_files, "rename_new", fail_second)
    with pytest.raises(OutputError, match="No space left on device"):
        write_files({tmp_path / "a": b"1", tmp_path / "b": b"2"})
    assert list_names(tmp_path) == []


@pytest.mark.parametrize(("stage", "left"), [("before", []), ("during", ["a", "b"])])
def test_an_interrupt_leaves_none_or_all_and_says_which(
    stage: str, left: list[str], tmp_path: Path, monkeypatch: Any
) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    write, rename = Path.write_bytes, whole_files.rename_new

    def interrupt_writing(path: Path, content: bytes) -> int:
        done = write(path, content)
        if stage == "before" and content == b"2":
            signal.raise_signal(signal.SIGINT)
        return done

    def interrupt_renaming(source: Path, target: Path) -> None:
        rename(source, target)
        if stage == "during" and target.name == "a":
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Path, "write_bytes", interrupt_writing)
    monkeypatch.setattr(whole_files, "rename_new", interrupt_renaming)
    try:
        with pytest.raises(KeyboardInterrupt) as caught:
            write_files({tmp_path / "a": b"1", tmp_path / "b": b"2"})
    finally:
        signal.signal(signal.SIGINT, before)
    assert list_names(tmp_path) == left
    assert isinstance(caught.value, Interrupted) == bool(left)
    assert ("everything was written already" in str(caught.value)) == bool(left)
