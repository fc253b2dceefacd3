"""`influbayes simulate posts` writes table and truth, both or neither, and never over a file unasked."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pandas as pd
import pytest

from influbayes.reporting import whole_files
from influbayes.simulate import main


def simulate(*words):
    return main(["posts", "--posts", "30", "--creators", "6", *map(str, words)])


def test_table_and_truth_are_written_and_the_next_step_is_named(tmp_path, capsys):
    out = tmp_path / "mine.csv"
    assert simulate("--out", out, "--seed", 4) == 0
    assert len(pd.read_csv(out)) == 30
    truth = tomllib.loads((tmp_path / "mine_truth.toml").read_text(encoding="utf-8"))
    assert (truth["seed"], truth["posts"], truth["creators"]) == (4, 30, 6)
    said = capsys.readouterr().out
    assert "30 simulated posts of 6 creators" in said
    assert "(seed 4)" in said
    assert f"Next: influbayes fit {out}" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.csv", "mine_truth.toml"]


@pytest.mark.parametrize("taken", ["posts.csv", "posts_truth.toml"])
def test_a_file_that_exists_is_left_alone_with_exit_5(tmp_path, capsys, taken):
    (tmp_path / taken).write_text("mine", encoding="utf-8")
    assert simulate("--out", tmp_path / "posts.csv") == 5
    assert [path.name for path in tmp_path.iterdir()] == [taken]
    assert (tmp_path / taken).read_text(encoding="utf-8") == "mine"
    assert f"{taken} exists already. Give another name with --out, or --overwrite" in capsys.readouterr().err


def test_overwrite_replaces_both_files(tmp_path):
    out = tmp_path / "posts.csv"
    assert simulate("--out", out, "--seed", 1) == 0
    before = out.read_bytes()
    assert simulate("--out", out, "--seed", 2, "--overwrite") == 0
    assert out.read_bytes() != before
    assert "seed = 2\n" in (tmp_path / "posts_truth.toml").read_text(encoding="utf-8")


def test_a_folder_that_does_not_exist_is_exit_5(tmp_path, capsys):
    assert simulate("--out", tmp_path / "no" / "posts.csv") == 5
    assert "There is no folder" in capsys.readouterr().err


def test_a_folder_in_place_of_a_file_is_exit_5(tmp_path, capsys):
    assert simulate("--out", tmp_path) == 5
    assert "is a folder. Give a file" in capsys.readouterr().err


def test_a_full_disk_leaves_nothing_behind(tmp_path, capsys, monkeypatch):
    def fail(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(whole_files, "rename_new", fail)
    assert simulate("--out", tmp_path / "posts.csv") == 5
    assert list(tmp_path.iterdir()) == []
    assert "No space left on device" in capsys.readouterr().err


def test_impossible_sizes_are_exit_2_and_nothing_is_written(tmp_path, capsys):
    assert main(["posts", "--posts", "5", "--creators", "6", "--out", str(tmp_path / "a.csv")]) == 2
    assert "at least as many posts as creators" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [[], ["stories"], ["posts", "--posts", "many"], ["posts", "--sead", "1"]])
def test_a_call_that_is_off_is_exit_2(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert "usage: influbayes simulate" in capsys.readouterr().err


def test_an_interrupt_is_exit_130(tmp_path, capsys, monkeypatch):
    def interrupt(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr("influbayes.tables.simulate.simulate_posts", interrupt)
    assert simulate("--out", tmp_path / "posts.csv") == 130
    assert "nothing written" in capsys.readouterr().err


def test_help_needs_neither_numpy_nor_pandas():
    code = "import sys, influbayes.simulate; sys.exit(bool({'numpy', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_module_runs_as_a_program(tmp_path):
    out = tmp_path / "posts.csv"
    words = [sys.executable, "-m", "influbayes.simulate", "posts", "--posts", "9", "--creators", "3", "--out", str(out)]
    assert subprocess.run(words, check=False, capture_output=True).returncode == 0
    assert out.is_file()
