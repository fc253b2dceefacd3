"""What leaves for a spreadsheet runs nothing there and comes back unchanged but for the guard."""

import csv
from datetime import date
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from influbayes.errors import OutputError, UsageError
from influbayes.tables.export import export_table, guard_text
from influbayes.tables.reader import read_posts

DANGEROUS = ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", " =1", "\u00a0=1", "\u200b=1", "\ufeff+1"]
WIDE = ["\uff1d1", "\uff0b1", "\uff0d1", "\uff201", " \uff1d1", "\ufe661"]
HARMLESS = ["Mega", "a=1", "1-2", "", " ", "'=1", "España", "☎", "(1)"]


@pytest.mark.parametrize("text", DANGEROUS + WIDE)
def test_text_that_looks_like_a_formula_is_guarded(text: str) -> None:
    assert guard_text(text) == "'" + text


@pytest.mark.parametrize("text", HARMLESS)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert guard_text(text) == text


def test_control_characters_do_not_hide_a_formula() -> None:
    assert guard_text("\x00=1") == "'=1"
    assert guard_text("\x1b[31mred") == "[31mred"


def read_csv(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.reader(stream))


@settings(max_examples=100, deadline=None)
@given(texts=st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc"])), min_size=1))
def test_any_text_is_written_and_read_back_but_for_the_guard(texts: list[str], tmp_path_factory) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path_factory.mktemp("export") / "table.csv"
    export_table(pd.DataFrame({"text": texts, "n": 1}), path)
    assert [row[0] for row in read_csv(path)[1:]] == [guard_text(text) for text in texts]
    assert not [row for row in read_csv(path) if row[0].lstrip(" ")[:1] in ("=", "+", "-", "@")]


def test_numbers_are_never_guarded_and_come_back_exactly(tmp_path: Path) -> None:
    numbers = [-1.5, 0.1 + 0.2, -1e-300, 1e22, np.nan]
    frame = pd.DataFrame({"x": numbers, "n": [-3, 2, 1, 0, 2**53 + 1], "b": [True, False] * 2 + [True]})
    rows = read_csv(export_table(frame, tmp_path / "t.csv"))
    assert [row[0] for row in rows[1:]] == ["-1.5", "0.30000000000000004", "-1e-300", "1e+22", ""]
    assert [row[1] for row in rows[1:]] == ["-3", "2", "1", "0", str(2**53 + 1)]
    assert [row[2] for row in rows[1:]] == ["true", "false", "true", "false", "true"]


def test_headers_are_guarded_and_the_index_is_not_written(tmp_path: Path) -> None:
    frame = pd.DataFrame({"=cmd": [1], " @x": ["a"]}, index=["=9"])
    assert read_csv(export_table(frame, tmp_path / "t.csv")) == [["'=cmd", "' @x"], ["1", "a"]]


def test_only_text_beyond_ascii_gets_a_byte_order_mark(tmp_path: Path) -> None:
    plain = export_table(pd.DataFrame({"a": ["x"]}), tmp_path / "plain.csv").read_bytes()
    other = export_table(pd.DataFrame({"a": ["España"]}), tmp_path / "other.csv").read_bytes()
    assert (plain, other[:3]) == (b"a\r\nx\r\n", b"\xef\xbb\xbf")


@pytest.mark.parametrize("ending", [".csv", ".xlsx"])
def test_checked_posts_are_read_back_with_the_same_digest(ending: str, tmp_path: Path) -> None:
    rows = "".join(
        f"{i % 2},{900 + i},{i + 1},{('Mega', 'España', 'NA')[i % 3]},US,00{i},2026-04-{i + 1:02},{i}.125\n"
        for i in range(9)
    )
    head = "Converted,Story_Views,Swipe_Ups,Influencer_Tier,Audience_Region,Creator_ID,Post_Date,Fee\n"
    (tmp_path / "posts.csv").write_text(head + rows.replace(",0.125", ",0.5"))
    posts = read_posts(tmp_path / "posts.csv", today=date(2026, 7, 1))
    frame = posts.frame.rename(columns={"conversions": "Converted"}).drop(columns=["line", "trials"])
    again = read_posts(export_table(frame, tmp_path / f"out{ending}"), today=date(2026, 7, 1))
    assert again.digest == posts.digest


def test_sheet_holds_text_not_formulas(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": ["=1+1", "Mega\x07"], "n": [-1.5, np.inf], "d": [pd.Timestamp("2026-04-03"), pd.NaT]})
    sheet = openpyxl.load_workbook(export_table(frame, tmp_path / "t.xlsx")).active
    assert [[cell.value for cell in row] for row in sheet.iter_rows()] == [
        ["a", "n", "d"],
        ["'=1+1", -1.5, "2026-04-03"],
        ["Mega", "inf", None],
    ]
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} <= {"s", "n", "inlineStr"}


def test_other_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r'Cannot export to "t\.xls": the name must end in \.csv or \.xlsx\.'):
        export_table(pd.DataFrame({"a": [1]}), tmp_path / "t.xls")


def test_failed_export_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.csv"
    path.write_text("old")

    def fail(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OutputError, match=r"Cannot write .*t\.csv.* \(No space left on device\)\."):
        export_table(pd.DataFrame({"a": [1]}), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
