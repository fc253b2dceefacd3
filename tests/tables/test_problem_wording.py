"""Quoting, cutting and counting in messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from influbayes.tables.problems import (
    Problem,
    compose_problem,
    count_rows,
    describe_lines,
    list_values,
    quote_value,
    sort_problems,
)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("Méga ", '"Méga "'),
        ('say "hi"', '"say \\"hi\\""'),
        ("back\\slash", '"back\\\\slash"'),
        ("\x1b[31m", '"\\x1b[31m"'),
        ("a\r\nb\t", '"a\\r\\nb\\t"'),
        ("\u202eevil", '"\\u202eevil"'),
        ("12\u00a0000", '"12\\xa0000"'),
        ("x" * 41, '"' + "x" * 40 + '…"'),
        ("x" * 40, '"' + "x" * 40 + '"'),
        ("x" * 38 + "\x1b", '"' + "x" * 38 + '…"'),
    ],
)
def test_quote_value_escapes_and_cuts(raw: str, shown: str) -> None:
    assert quote_value(raw) == shown


@given(st.text())
def test_quoted_values_are_printable_and_short(raw: str) -> None:
    shown = quote_value(raw)
    assert shown.isprintable()
    assert len(shown) <= 43


@given(
    st.text(max_size=900), st.text(max_size=200), st.text(max_size=200), st.lists(st.integers(1, 10**9), max_size=30)
)
def test_no_message_is_longer_than_600(what: str, file: str, column: str, lines: list[int]) -> None:
    problem = compose_problem(
        "IB-D19",
        "refuse",
        file=file,
        column=column,
        what=what,
        why="Why. " * 20,
        remedy="Remedy. " * 20,
        lines=lines,
        value=what,
    )
    assert len(str(problem)) <= 600
    assert str(problem).endswith("Nothing was fitted.")


def test_lines_are_counted_and_the_first_five_shown() -> None:
    assert describe_lines([14]) == "line 14"
    assert describe_lines([14, 88]) == "lines 14, 88"
    assert describe_lines(list(range(1, 1238))) == "lines 1, 2, 3, 4, 5 and 1,232 more"
    assert count_rows(1) == "1 row"
    assert count_rows(1234) == "1,234 rows"
    assert list_values(["a", "b"], most=1) == '"a" and 1 more'


def test_problem_escapes_file_and_column_names() -> None:
    problem = Problem(code="IB-D19", rule="refuse", file="a\x1b.csv", column="n\n", message="not a number.")
    assert str(problem) == "IB-D19 a\\x1b.csv, n\\n: not a number."


def test_problems_are_sorted_by_line_then_column() -> None:
    made = [
        Problem(code=code, rule="warn", file="f", message="", column=column, lines=lines)
        for code, column, lines in (("IB-D3", "b", (9,)), ("IB-D2", "a", (9,)), ("IB-D1", None, ()))
    ]
    assert [problem.code for problem in sort_problems(made)] == ["IB-D1", "IB-D2", "IB-D3"]
