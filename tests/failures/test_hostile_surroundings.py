"""No temporary folder, no HOME, another encoding, no screen to print on: the run is whole and the code is right."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from influbayes import fit, pipeline
from influbayes.entry import running
from influbayes.reporting.run_folder import verify_run
from influbayes.tables.simulate import simulate_posts

Check = Callable[..., None]
PROGRAM = str(Path(__file__).with_name("faked_entry.py"))


def run_process(
    results_file: Path, *words: str, line: str = '"$@"', changes: dict[str, str | None] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the faked entry through a shell line in which "$@" is the call."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **(changes or {})}
    command = [sys.executable, PROGRAM, str(results_file), *words]
    return subprocess.run(
        ["sh", "-c", line, "sh", *command],
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
        errors="surrogateescape",
        env={name: value for name, value in environment.items() if value is not None},
    )


# --- standard output -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('"$@" >&-', ""),
        ('"$@" | true; exit 0', ""),
        ('{ "$@"; echo "code $?" >&2; } | head -c 1 >/dev/null', "code 0\n"),
        ('"$@" </dev/null', ""),
        ('"$@" <&-', ""),
        (
            '"$@" >/dev/full',
            "influbayes fit: the screen cannot be printed (No space left on device); the run goes on.\n",
        ),
    ],
    ids=["closed", "nobody reads", "broken pipe", "no input", "closed input", "full"],
)
def test_a_screen_that_cannot_be_printed_is_no_reason_to_fail(
    line: str, said: str, posts_csv: Path, results_file: Path, check_whole: Check
) -> None:
    done = run_process(results_file, "posts.csv", "--out", "run", "--seed", "5", line=line)
    assert (done.returncode, done.stderr) == (0, said)
    check_whole(seed=5)


def test_a_refusal_without_standard_error_keeps_its_code(posts_csv: Path, results_file: Path) -> None:
    done = run_process(results_file, "absent.csv", line='"$@" 2>&-')
    assert done.returncode == 3
    assert "Traceback" not in done.stdout


# --- encodings -------------------------------------------------------------------------------------------------------

LANGUAGES = {
    "C": {"LC_ALL": "C", "PYTHONUTF8": None, "PYTHONIOENCODING": None},
    "ASCII": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "Latin-1": {"PYTHONIOENCODING": "latin-1"},
    "cp437": {"PYTHONIOENCODING": "cp437"},
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_labels_beyond_the_encoding_of_the_screen_are_escaped(
    language: str,
    posts_csv: Path,
    results_file: Path,
    check_whole: Check,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    frame = simulate_posts(posts=60, creators=15, seed=3).frame
    frame["Influencer_Tier"] = frame["Influencer_Tier"].replace("Micro", "微型 Größe 😀")
    frame.to_csv("Größe 微.csv", index=False)
    renamed = tmp_path_factory.mktemp("renamed") / "results.json"
    renamed.write_text(results_file.read_text(encoding="utf-8").replace("Micro", "微型 Größe 😀"), encoding="utf-8")
    words = ["Größe 微.csv", "--out", "run", "--seed", "5"]
    done = run_process(renamed, *words, changes=LANGUAGES[language])
    assert (done.returncode, done.stderr) == (0, "")
    assert "vs Mega" in done.stdout
    assert ("微型 Größe 😀 vs Mega" in done.stdout) == (language == "C")
    assert r"\u2212" not in done.stdout  # a minus is written plainly where the encoding has none
    assert ("(-" in done.stdout) == (language != "C")
    check_whole(seed=5, beside=("posts.csv", "Größe 微.csv"))


def test_a_folder_whose_name_is_no_text_is_written_and_named(posts_csv: Path, results_file: Path) -> None:
    done = run_process(results_file, "posts.csv", "--out", os.fsdecode(b"run-\xff"), "--seed", "5")
    assert (done.returncode, done.stderr) == (0, "")
    assert verify_run(os.fsdecode(b"run-\xff"))["seed"] == 5


# --- the size and kind of the terminal -------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", ["1", "7", "20", "0", "-3", "many", "100000"])
def test_any_width_of_the_terminal_is_printed(
    columns: str, posts_csv: Path, faked: Any, monkeypatch: Any, capfd: pytest.CaptureFixture[str], check_whole: Check
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert fit.main(["posts.csv", "--out", "run", "--seed", "5"]) == 0
    caught = capfd.readouterr()
    assert caught.err == ""
    assert caught.out
    check_whole(seed=5)


@pytest.mark.parametrize("name", ["NO_COLOR", "TERM"])
def test_no_colour_where_none_is_wanted(
    name: str, posts_csv: Path, faked: Any, monkeypatch: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv(name, "dumb" if name == "TERM" else "1")
    assert fit.main(["posts.csv", "--out", "run", "--seed", "5"]) == 0
    screen = capfd.readouterr().out
    assert not any(f"\x1b[{style}{colour}m" in screen for style in ("", "1;", "2;") for colour in range(30, 48))


# --- folders ---------------------------------------------------------------------------------------------------------


def test_a_defect_without_a_temporary_folder_is_still_code_1(
    old_run: Path, check_whole: Check, monkeypatch: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    def find_none(*_: Any, **__: Any) -> None:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(pipeline, "analyse_posts", fail)
    monkeypatch.setattr(running.tempfile, "NamedTemporaryFile", find_none)
    assert fit.main(["posts.csv", "--out", "run", "--overwrite"]) == 1
    said = capfd.readouterr().err
    assert "a defect of influbayes, not of your data (ZeroDivisionError)" in said
    assert "no log file could be written): fit.py:" in said
    assert "Traceback" not in said
    check_whole(seed=1)


def test_a_current_folder_that_is_gone_is_code_5(
    posts_csv: Path, faked: Any, monkeypatch: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    gone = posts_csv.parent / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert fit.main([str(posts_csv)]) == 5
    assert "runs: could not be written (No such file or directory)" in capfd.readouterr().err
    monkeypatch.chdir(posts_csv.parent)


REAL = ["posts.csv", "--model", "conversion", "--engine", "laplace", "--draws", "200", "--out", "run", "--quiet"]


def test_a_real_run_needs_neither_home_nor_a_temporary_folder(posts_csv: Path, check_whole: Check) -> None:
    """The exact engine, the pictures and netCDF; 200 draws are withheld, which is code 4."""
    changes = {"HOME": "/nowhere", "TMPDIR": "/nowhere", "XDG_CACHE_HOME": "/nowhere", "LC_ALL": "C"}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **changes}
    environment.pop("MPLCONFIGDIR", None)
    command = [sys.executable, "-m", "influbayes.fit", *REAL]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    check_whole(seed=20260101)
