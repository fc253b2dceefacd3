"""Whatever the bytes: a table or a refusal; the digest depends on the content alone."""

import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from influbayes.errors import DataRefused
from influbayes.tables.posts import PostColumns, PostsTable
from influbayes.tables.reader import read_posts

TODAY = date(2026, 7, 1)
HEAD = "Post_ID,Creator_ID,Post_Date,Story_Views,Swipe_Ups,Influencer_Tier,Audience_Region,Fee,Converted"
QUICK = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
COUNTED = PostColumns(outcome=None, successes="Swipe_Ups", trials="Story_Views", numeric=("Fee",), labels=())

CELL = st.one_of(
    st.sampled_from(
        [
            "",
            " ",
            "0",
            "1",
            "yes",
            "NA",
            "1,234",
            "1.234",
            "12.000",
            "1 234",
            "-3",
            "1e400",
            "nan",
            "0.5",
            "Total",
            "Mega",
        ]
    ),
    st.sampled_from(
        ["2026-04-03", "03/04/2026", "13/04/2026", "46115", "2026-04-03T10:00Z", "$5", "€1.500,50", '"', "'"]
    ),
    st.text(alphabet=st.characters(codec="utf-8"), max_size=6),
    st.integers(0, 99_999).map(str),
)


def read(content: bytes, *, columns: PostColumns | None = None) -> PostsTable | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "posts.csv"
        path.write_bytes(content)
        try:
            return read_posts(path, columns=columns, today=TODAY)
        except DataRefused as refusal:
            problems = refusal.problems
    check_refusal(problems)
    return None


def check_refusal(problems: tuple[object, ...]) -> None:
    assert problems
    for problem in problems:
        assert len(str(problem)) <= 600
        assert str(problem).isprintable()
        assert str(problem).endswith("Nothing was fitted.")


def check_table(posts: PostsTable) -> None:
    frame = posts.frame
    assert posts.rows_read == posts.rows_used + sum(posts.rejected.values())
    assert (frame["conversions"] <= frame["trials"]).all()
    assert (frame["conversions"] >= 0).all()
    for name in posts.columns.numeric:
        assert np.isfinite(frame[name]).all()
    for name in posts.columns.labels:
        assert (frame[name].str.strip() == frame[name]).all()
        assert (frame[name] != "").all()
    for notice in posts.notices:
        assert len(str(notice)) <= 600
        assert str(notice).isprintable()


@QUICK
@given(st.binary(max_size=400))
def test_any_bytes_give_a_table_or_a_refusal(content: bytes) -> None:
    read(content)
    posts = read(HEAD.encode() + b"\n" + content)
    if posts is not None:
        check_table(posts)


@QUICK
@given(st.text(alphabet="0123456789.,;\t\"'\n\r -+eE/:TZ$€\ufeffMega", max_size=200), st.sampled_from(",;\t"))
def test_any_text_below_a_header_gives_a_table_or_a_refusal(text: str, delimiter: str) -> None:
    posts = read(f"{HEAD.replace(',', delimiter)}\n{text}".encode())
    if posts is not None:
        check_table(posts)


@QUICK
@given(st.lists(st.lists(CELL, min_size=9, max_size=9), min_size=1, max_size=8), st.sampled_from(",;\t"))
def test_any_cells_give_a_table_or_a_refusal(rows: list[list[str]], delimiter: str) -> None:
    lines = [delimiter.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    content = "\n".join([HEAD.replace(",", delimiter), *lines]).encode("utf-8", "replace")
    for columns in (None, COUNTED):
        posts = read(content, columns=columns)
        if posts is not None:
            check_table(posts)


LABEL = st.text(alphabet=st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=8).filter(
    lambda text: "total" not in text.casefold() and "sum" not in text.casefold()
)
POST = st.tuples(st.booleans(), st.integers(50, 9999), st.integers(0, 50), LABEL, LABEL)


@settings(QUICK, max_examples=100)
@given(st.lists(POST, min_size=1, max_size=12), st.randoms(use_true_random=False), st.sampled_from(["\n", "\r\n"]))
def test_digest_and_labels_survive_order_delimiter_and_encoding(posts: list[tuple], rng, end: str) -> None:  # type: ignore[no-untyped-def, type-arg]
    names = ["Converted", "Story_Views", "Swipe_Ups", "Influencer_Tier", "Audience_Region"]

    def write(order: list[int], rows: list[tuple], delimiter: str, line_end: str) -> str:  # type: ignore[type-arg]
        cells = [[names[k] for k in order]]
        cells += [[str(int(row[k]) if k == 0 else row[k]) for k in order] for row in rows]
        return line_end.join(delimiter.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in cells)

    order = list(range(5))
    plain = read(write(order, posts, ",", "\n").encode())
    shuffled = list(posts)
    rng.shuffle(shuffled)
    rng.shuffle(order)
    other = read(write(order, shuffled, ";", end).encode("utf-8-sig"))
    if plain is None or other is None:
        assert plain is other
        return
    assert plain.digest == other.digest
    check_table(plain)
    changed = [(not posts[0][0], *posts[0][1:]), *posts[1:]]
    twisted = read(write(list(range(5)), changed, ",", "\n").encode())
    assert twisted is None or twisted.digest != plain.digest


LONG = 60_000


@pytest.mark.parametrize("cell", ["9", "9,", " ", "1 ", "x", "$", "\u00e9", "=", "0.", "2026-", "total ", "\t ", "1e"])
def test_long_cells_are_read_in_proportion_to_their_length(cell: str, tmp_path: Path) -> None:
    long = cell * (LONG // len(cell))
    start = time.process_time()
    for ending in ("", "x"):
        for encoding in ("utf-8", "cp1252"):
            row = ",".join([f'"{long}{ending}"'] * 9)
            (tmp_path / "posts.csv").write_bytes(f"{HEAD},\u00e9\n{row},\n{row},\n".encode(encoding))
            with pytest.raises(DataRefused):
                read_posts(tmp_path / "posts.csv", today=TODAY)
    assert time.process_time() - start < 5


def test_a_hundred_thousand_rows_are_read_in_seconds(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    views = rng.integers(100, 90_000, 100_000)
    rows = [
        f"p{i},c{i % 5000},2026-0{i % 6 + 1}-1{i % 10},{view},{view // 9},{('Mid', 'Mega')[i % 2]},US,5.{i},{i % 3 % 2}"
        for i, view in enumerate(views)
    ]
    path = tmp_path / "posts.csv"
    path.write_text("\n".join([HEAD, *rows]))
    start = time.process_time()
    posts = read_posts(path, today=TODAY)
    assert posts.rows_used == 100_000
    # About 1.5 s on an idle core; the bar leaves room for a busy one.
    assert time.process_time() - start < 8
