"""A folder given as "." or ".." is shown by its own name in messages, titles and results."""

from __future__ import annotations

from pathlib import Path

import pytest

from influbayes.errors import DataRefused, OutputError
from influbayes.reporting.run_folder import reserve_run
from influbayes.simulate import main as simulate
from influbayes.tables.files import name_place
from influbayes.tables.ledger import read_ledger
from influbayes.tables.ledger_posts import build_posts
from influbayes.tables.ledger_simulation import render_ledger, simulate_ledger
from influbayes.tables.reader import read_posts
from influbayes.tables.session_reader import read_sessions


@pytest.fixture
def spring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "spring"
    (folder / "below").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    ("path", "name"), [(".", "spring"), ("below/..", "spring"), ("", "spring"), ("/", "/"), ("x.csv", "x.csv")]
)
def test_the_name_of_a_place(path: str, name: str, spring: Path) -> None:
    assert name_place(Path(path)) == name


def test_a_ledger_in_the_current_folder_bears_its_name(spring: Path) -> None:
    for name, text in render_ledger(simulate_ledger(influencers=8, users=300)).items():
        Path(name).write_text(text, encoding="utf-8")
    ledger = read_ledger(".")
    assert ledger.folder == "spring"
    assert build_posts(ledger, 7).file == "spring (posts from the ledger)"
    Path("payouts.csv").unlink()
    with pytest.raises(DataRefused, match='file not found in "spring"'):
        read_ledger(".")


@pytest.mark.parametrize("read", [read_posts, read_sessions])
def test_a_folder_instead_of_a_table_is_named(read: object, spring: Path) -> None:
    assert callable(read)
    with pytest.raises(DataRefused, match=r'^IB-D00 spring: "\." is a folder, not a file'):
        read(".")


def test_places_to_write_are_named(spring: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OutputError, match=r"spring exists\. Choose another --out"), reserve_run("."):
        pass
    assert simulate(["ledger", "--influencers", "5", "--users", "100", "--out", "."]) == 0
    assert capsys.readouterr().out.startswith("Wrote spring: 5 simulated influencers")
    assert simulate(["posts", "--out", "."]) == 5
    assert capsys.readouterr().err == "influbayes simulate: spring is a folder. Give a file: --out posts.csv.\n"
