"""Every ledger fault is refused or said under its code, all at once, with file and line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest

from influbayes.errors import DataRefused, UsageError
from influbayes.returns.filters import LedgerFilter, filter_ledger
from influbayes.tables.ledger import TABLE_NAMES, Ledger, read_ledger
from influbayes.tables.ledger_files import read_table

Read = Callable[..., Ledger]
TRACK, PAY, POSTS, PEOPLE = "tracking_data.csv", "payouts.csv", "posts.csv", "influencers.csv"


def codes(ledger: Ledger, rule: str) -> set[str]:
    return {problem.code for problem in ledger.notices if problem.rule == rule}


def add(row: str) -> Callable[[str], str]:
    return lambda text: text + row + "\n"


def swap(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new)


@pytest.mark.parametrize(
    ("code", "file", "change", "words"),
    [
        ("IB-D42", PAY, add("z,post,5,0,5"), "unknown influencer"),
        ("IB-D42", TRACK, add("s,One,i99,u99,P,2026-01-05,1,50,1"), "of unknown"),
        ("IB-D43", TRACK, lambda text: text.replace(",a,u1,", ",A,u1,"), "one id?"),
        ("IB-D43", PAY, lambda text: text.replace("a,post", "A,post"), "one id?"),
        ("IB-D44", PEOPLE, add("a,Ann,Food,Female,1000,Instagram,Micro"), "more than once"),
        ("IB-D47", PAY, swap("20,3,40", "20,3,-40"), "less than 0"),
        ("IB-D47", PAY, swap("a,post", "a,click"), "neither post nor order"),
        ("IB-D22", TRACK, swap("u1,P", "u1,"), "empty label"),
        ("IB-D22", TRACK, swap("a,u1,P", "a,,P"), "empty id"),
        ("IB-D33", TRACK, swap("30,1\n", "30,2\n"), "control"),
        ("IB-D24", TRACK, swap(",1,30,", ",-1,30,"), "below 0"),
        ("IB-D31", TRACK, swap("2026-01-03", ""), "no date"),
        ("IB-D39", POSTS, swap("2026-01-20", "2027-01-20"), "after today"),
        ("IB-D14", POSTS, swap("reach", "Reichweite"), "not found"),
    ],
)
def test_fault_is_refused_with_its_code(
    read_tables: Read, code: str, file: str, change: Callable[[str], str], words: str
) -> None:
    with pytest.raises(DataRefused) as refused:
        read_tables({file: change})
    found = [problem for problem in refused.value.problems if problem.code == code]  # type: ignore[attr-defined]
    assert found, str(refused.value)
    assert words in str(found[0])
    assert str(found[0]).endswith("Nothing was fitted.")


@pytest.mark.parametrize(
    ("code", "rule", "file", "change", "words"),
    [
        (
            "IB-D42",
            "warn",
            TRACK,
            add("s,One,i99,u99,P,2026-01-05,1,2,1"),
            '1 orders, 2.00, 1.6 % of all, of unknown "i99"',
        ),
        ("IB-D42", "accept", TRACK, swap("x", "x"), "organic, no credit (7.00)"),
        ("IB-D42", "warn", POSTS, add("z,TikTok,2026-01-02,u,1,1,1"), "posts of an unknown influencer"),
        ("IB-D45", "accept", PAY, add("a,post,20,0,20"), "2 payouts of 1 influencers with more than one, summed"),
        ("IB-D46", "warn", PAY, swap("c,post,5,0,5", "c,post,0,0,0"), "ROAS not defined"),
        ("IB-D46", "warn", PAY, swap("c,post,5,0,5\n", ""), '1 influencers without a payout ("c")'),
        ("IB-D47", "warn", PAY, swap("b,order,10,1,10", "b,order,10,1,17"), "expected 10.00, paid 17.00"),
        ("IB-D48", "accept", TRACK, swap("x", "x"), '1 influencers without exposed orders, kept as 0 ("c")'),
        ("IB-D49", "warn", TRACK, add("s,One,a,u1,P,2026-01-09,0,-4,1"), "refunds of 4.00 netted"),
        ("IB-D49", "warn", TRACK, add("s,One,a,u11,P,2026-01-09,0,4,1"), "revenue of 4.00 without orders"),
        ("IB-D50", "accept", TRACK, swap("x", "x"), "1 control orders name an influencer: never in ROAS"),
        ("IB-D50", "warn", TRACK, add("s,One,a,u1,P,2026-01-09,0,0,0"), "1 users in both groups"),
        ("IB-D52", "warn", TRACK, swap("2026-01-03", "2025-12-30"), "1 orders (30.00) before the first post"),
        ("IB-D64", "warn", PAY, swap("a,post,20,3", "a,post,20,30"), "tracked"),
    ],
)
def test_fault_is_said_with_its_code(
    read_tables: Read, code: str, rule: str, file: str, change: Callable[[str], str], words: str
) -> None:
    ledger = read_tables({file: change})
    said = [str(problem) for problem in ledger.notices if (problem.code, problem.rule) == (code, rule)]
    assert any(words in text for text in said), said


def test_ledger_without_control_says_so(read_tables: Read) -> None:
    ledger = read_tables(
        {TRACK: lambda text: "".join(line for line in text.splitlines(True) if not line.endswith(",0\n"))}
    )
    assert "IB-D51" in codes(ledger, "warn")


def test_ledger_of_buyers_only_says_so(read_tables: Read) -> None:
    ledger = read_tables({TRACK: lambda text: "".join(line for line in text.splitlines(True) if ",,2026" not in line)})
    (said,) = [str(problem) for problem in ledger.notices if problem.code == "IB-D63"]
    assert "among buyers, not incremental" in said
    assert "4 exposed and 1 control users, all bought" in said


def test_all_problems_of_all_tables_come_at_once(read_tables: Read) -> None:
    with pytest.raises(DataRefused) as refused:
        read_tables({PAY: swap("a,post,20", "a,post,x"), TRACK: swap(",30,", ",inf,"), POSTS: swap("100", "-100")})
    files = [problem.file for problem in refused.value.problems]  # type: ignore[attr-defined]
    assert files == ["posts.csv", "tracking_data.csv", "payouts.csv"]


def test_missing_file_is_named(read_tables: Read, tmp_path) -> None:  # type: ignore[no-untyped-def]
    read_tables()
    (tmp_path / "payouts.csv").unlink()
    with pytest.raises(DataRefused, match=r"payouts\.csv: file not found.*\(or \.tsv, \.parquet, \.xlsx\)"):
        read_ledger(tmp_path)


@pytest.mark.parametrize("kind", [".parquet", ".xlsx", ".tsv"])
def test_a_ledger_is_the_same_in_every_kind_of_file(kind: str, read_tables: Read, tmp_path: Path) -> None:
    plain = read_tables()
    for name in TABLE_NAMES:
        path = tmp_path / f"{name}.csv"
        write_as(path, kind)
        path.unlink()
    again = read_ledger(tmp_path, today=date(2026, 6, 1))
    assert again.digest == plain.digest
    assert again.orders.drop(columns="line").equals(plain.orders.drop(columns="line"))
    assert again.rows_read == plain.rows_read


def write_as(path: Path, kind: str) -> None:
    """Write a CSV file once more as another kind, dates and numbers with their own types."""
    if kind == ".tsv":
        path.with_suffix(kind).write_text(path.read_text(encoding="utf-8").replace(",", "\t"), encoding="utf-8")
        return
    frame = pd.read_csv(path, keep_default_na=False, parse_dates=["date"] if "posts" in path.name else None)
    if kind == ".parquet":
        frame.to_parquet(path.with_suffix(kind))
    else:
        frame.to_excel(path.with_suffix(kind), index=False)


def test_a_table_that_is_there_twice_is_refused(read_tables: Read, tmp_path: Path) -> None:
    read_tables()
    write_as(tmp_path / "payouts.csv", ".parquet")
    said = r'IB-D14 payouts\.parquet: the same table as "payouts\.csv"\. It is not known which of the two counts'
    with pytest.raises(DataRefused, match=said):
        read_ledger(tmp_path)


def test_remedies_are_worded_for_the_command_line_and_for_python(read_tables: Read) -> None:
    early = read_tables({TRACK: swap("2026-01-03", "2025-12-30")})
    (said,) = [str(problem) for problem in early.notices if problem.code == "IB-D52"]
    assert said.endswith("Leave them out: --after-first-post, or LedgerFilter(after_first_post=True) in Python.")
    with pytest.raises(DataRefused) as refused:
        filter_ledger(early, LedgerFilter(product=("P",)))
    both = 'Write --payout by-orders on the command line, LedgerFilter(payout="by-orders") in Python.'
    assert both in str(refused.value)


def test_numbers_do_not_depend_on_row_order(read_tables: Read) -> None:
    def turn(text: str) -> str:
        head, *rows = text.splitlines(True)
        return "".join([head, *reversed(rows)])

    first = read_tables()
    second = read_tables(dict.fromkeys((TRACK, PAY, POSTS, PEOPLE), turn))
    assert first.digest == second.digest
    assert first.orders.drop(columns="line").equals(second.orders.drop(columns="line"))


def test_map_must_name_table_and_column(read_tables: Read) -> None:
    with pytest.raises(UsageError, match=r"TABLE\.COLUMN"):
        read_tables(mapping={"reach": "x"})
    renamed = read_tables({POSTS: swap("reach", "Impressions")}, mapping={"posts.reach": "Impressions"})
    assert renamed.posts["reach"].tolist() == [100, 100, 0]


def test_workbook_table_is_read_alike_and_its_faults_are_refused(read_tables: Read, tmp_path: Path) -> None:
    read_tables()
    book = openpyxl.Workbook()
    sheet: Any = book.active
    for line in (tmp_path / PAY).read_text(encoding="utf-8").splitlines():
        sheet.append([int(cell) if cell.isdigit() else cell for cell in line.split(",")])
    book.save(tmp_path / "payouts.xlsx")
    read = partial(read_table, name="payouts", mapping={}, today=date(2026, 6, 1))
    assert read(tmp_path / "payouts.xlsx").frame.equals(read(tmp_path / PAY).frame)

    sheet["E3"] = "=D3*C3"
    sheet["C3"] = "#REF!"
    book.save(tmp_path / "payouts.xlsx")
    refused = [problem for problem in read(tmp_path / "payouts.xlsx").found if problem.rule == "refuse"]
    assert {(problem.column, problem.lines) for problem in refused} == {("rate", (3,)), ("total_payout", (3,))}
