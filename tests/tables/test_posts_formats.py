"""Workbooks, Parquet files and queries: the same table as from CSV, and every fault of their own word for word."""

import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path

import duckdb
import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from influbayes.errors import DataRefused
from influbayes.tables import encoding, files, memory, query, splitting
from influbayes.tables.posts import PostsTable
from influbayes.tables.query import redact_secrets
from influbayes.tables.reader import read_posts
from influbayes.tables.typed import write_cell

TODAY = date(2026, 7, 1)
NAMES = ["Converted", "Story_Views", "Swipe_Ups", "Influencer_Tier", "Audience_Region"]
ROWS = [[1, 18250, 640, "Mega", "US"], [0, 16500, 310, "Mega", "EU"], [1, 9200, 420, "Mid", "US"]]
Row = Sequence[object]


def read(source: str | Path) -> PostsTable:
    return read_posts(source, today=TODAY)


def make_frame(rows: Sequence[Row] = ROWS, names: Sequence[str] = NAMES) -> pd.DataFrame:
    return pd.DataFrame([list(row) for row in rows], columns=list(names))


def write_parquet(folder: Path, frame: pd.DataFrame) -> str:
    frame.to_parquet(folder / "posts.parquet", index=False)
    return str(folder / "posts.parquet")


def write_xlsx(folder: Path, frame: pd.DataFrame) -> str:
    frame.to_excel(folder / "posts.xlsx", index=False)
    return str(folder / "posts.xlsx")


def write_csv(folder: Path, frame: pd.DataFrame) -> str:
    frame.to_csv(folder / "posts.csv", index=False)
    return str(folder / "posts.csv")


def write_sqlite(folder: Path, frame: pd.DataFrame) -> str:
    path = folder / "posts.db"
    path.unlink(missing_ok=True)
    plain = frame.astype({name: str for name in frame if frame[name].dtype.kind == "M"})
    connection = sqlite3.connect(path)
    plain.to_sql("posts", connection, index=False)
    connection.close()
    return f"sql:{path}::SELECT * FROM posts"


def write_duckdb(folder: Path, frame: pd.DataFrame) -> str:
    path = folder / "posts.duckdb"
    path.unlink(missing_ok=True)
    connection = duckdb.connect(str(path))
    connection.register("frame", frame)
    connection.execute("CREATE TABLE posts AS SELECT * FROM frame")
    connection.close()
    return f"sql:{path}::SELECT * FROM posts"


WRITERS: Mapping[str, Callable[[Path, pd.DataFrame], str]] = {
    "csv": write_csv,
    "parquet": write_parquet,
    "xlsx": write_xlsx,
    "sqlite": write_sqlite,
    "duckdb": write_duckdb,
}

# Fees have at most 15 digits: a workbook keeps no more.
LABEL = st.text(alphabet=st.characters(categories=["L", "N"]), min_size=1, max_size=6)
POST = st.tuples(
    st.integers(0, 1),
    st.integers(50, 99_999),
    st.integers(0, 50),
    LABEL,
    LABEL,
    st.one_of(
        st.none(),
        st.floats(0.01, 9e5).map(lambda fee: round(fee, 6)),
        st.integers(1, 5000).map(float),
        st.integers(1, 9999).map(lambda n: n / 1000),
    ),
    st.dates(date(2020, 1, 1), date(2026, 6, 30)),
)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(posts=st.lists(POST, min_size=2, max_size=9), random=st.randoms(use_true_random=False))
def test_the_same_table_has_one_digest_in_every_format(posts: list[Row], random, tmp_path_factory) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("formats")
    frame = make_frame(posts, [*NAMES, "Fee", "Post_Date"]).astype({"Fee": float})
    # As text 1.500 may be a thousand and a half; as a stored number it may not, so CSV gets a fourth decimal.
    plain = frame.assign(Fee=[write_cell(None if np.isnan(fee) else fee) for fee in frame["Fee"]])
    typed = frame.assign(Post_Date=pd.to_datetime(frame["Post_Date"]))
    found: list[PostsTable | str] = [try_read(write_csv(folder, plain))]
    for write in list(WRITERS.values())[1:]:
        rows = random.sample(range(len(typed)), len(typed))
        names = random.sample(list(typed), len(list(typed)))
        found += [try_read(write(folder, typed)), try_read(write(folder, typed.iloc[rows][names]))]
    first = found[0]
    if isinstance(first, str):
        assert set(found) == {first}
        return
    tables = [table for table in found if isinstance(table, PostsTable)]
    assert {table.digest for table in tables} == {first.digest}
    assert len(tables) == len(found)
    for table in tables[1::2]:
        pd.testing.assert_frame_equal(table.frame.drop(columns="line"), first.frame.drop(columns="line"))
    assert [table.format for table in tables] == ["csv", *["parquet"] * 2, *["xlsx"] * 2, *["sql"] * 4]


def try_read(source: str) -> PostsTable | str:
    try:
        return read(source)
    except DataRefused as refusal:
        return " ".join(sorted({getattr(problem, "code", "") for problem in refusal.problems}))


def save_book(folder: Path, rows: Sequence[Row], change: Callable[[openpyxl.Workbook], None] | None = None) -> str:
    book = openpyxl.Workbook()
    for row in (NAMES, *rows):
        book.active.append(list(row))
    if change:
        change(book)
    book.save(folder / "posts.xlsx")
    return str(folder / "posts.xlsx")


def book_with(change: Callable[[openpyxl.Workbook], None]) -> Callable[[Path], str]:
    return lambda folder: save_book(folder, ROWS, change)


def set_cell(place: str, value: object, format: str = "General") -> Callable[[openpyxl.Workbook], None]:
    def change(book: openpyxl.Workbook) -> None:
        book.active[place] = value
        book.active[place].number_format = format

    return change


def add_sheet(book: openpyxl.Workbook) -> None:
    book.create_sheet("Empty")
    book.create_sheet("Notes")["B3"] = "made in June"


def merge(book: openpyxl.Workbook) -> None:
    book.active.merge_cells("D2:D3")


def hide(book: openpyxl.Workbook) -> None:
    book.active.row_dimensions[3].hidden = True


def rewrite(folder: Path, part: str, change: Callable[[bytes], bytes]) -> str:
    """A workbook with one part changed."""
    save_book(folder, ROWS)
    path = folder / "posts.xlsx"
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts[part] = change(parts[part])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return str(path)


SHEET = "xl/worksheets/sheet1.xml"
DOCTYPE = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'


def with_entities(folder: Path) -> str:
    return rewrite(folder, SHEET, lambda content: DOCTYPE + content[content.index(b"<worksheet") :])


def with_far_row(folder: Path) -> str:
    return rewrite(folder, SHEET, lambda content: content.replace(b'<row r="3"', b'<row r="9999999"'))


def with_bomb(folder: Path) -> str:
    return rewrite(folder, SHEET, lambda content: content.replace(b"<sheetData>", b"<sheetData>" + b" " * 250_000_000))


def cut_short(folder: Path) -> str:
    path = Path(save_book(folder, ROWS))
    path.write_bytes(path.read_bytes()[:-200])
    return str(path)


def rename(write: Callable[[Path, pd.DataFrame], str], name: str) -> Callable[[Path], str]:
    return lambda folder: str(Path(write(folder, make_frame())).rename(folder / name))


def damage_parquet(folder: Path) -> str:
    path = Path(write_parquet(folder, make_frame()))
    content = path.read_bytes()
    path.write_bytes(content[:60] + b"\xff" * 40 + content[100:])
    return str(path)


def write_arrow(folder: Path, column: str, array: pa.Array) -> str:
    table = pa.Table.from_pandas(make_frame(), preserve_index=False)
    place = NAMES.index(column)
    pq.write_table(table.set_column(place, column, array), folder / "posts.parquet")
    return str(folder / "posts.parquet")


def write_dense(folder: Path) -> str:
    nulls = pa.nulls(20_000_000, pa.int8())
    table = pa.Table.from_arrays([nulls] * 5, names=NAMES)
    pq.write_table(table, folder / "posts.parquet", row_group_size=20_000_000)
    return str(folder / "posts.parquet")


def ask(statement: str, write: Callable[[Path, pd.DataFrame], str] = write_sqlite) -> Callable[[Path], str]:
    return lambda folder: write(folder, make_frame()).partition("::")[0] + f"::{statement}"


ENDLESS = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r) SELECT max(i) FROM r"
SOURCES: Mapping[str, Callable[[Path], str]] = {
    "D02-control": lambda folder: write_arrow(folder, "Audience_Region", pa.array(["U\x1bS", "EU", "US"])),
    "D02-bytes": lambda folder: write_arrow(folder, "Audience_Region", pa.array([b"\xff", b"EU", b"US"])),
    "D05-merged": book_with(merge),
    "D05-beyond": book_with(set_cell("G3", "x")),
    "D06-sheets": book_with(add_sheet),
    "D06-cut": cut_short,
    "D06-renamed-xlsx": rename(write_xlsx, "posts.csv"),
    "D06-renamed-parquet": rename(write_parquet, "posts.csv"),
    "D06-renamed-csv": rename(write_csv, "posts.xlsx"),
    "D06-parquet": damage_parquet,
    "D07-book": lambda folder: save_book(folder, []),
    "D07-parquet": lambda folder: write_parquet(folder, make_frame().head(0)),
    "D07-query": ask("SELECT * FROM posts WHERE 0"),
    "D08-bomb": with_bomb,
    "D08-entities": with_entities,
    "D08-row": with_far_row,
    "D09": write_dense,
    "D11-two": ask("SELECT 1; SELECT 2"),
    "D11-write": ask("DELETE FROM posts", write_duckdb),
    "D11-hidden-write": ask("WITH x AS (SELECT 1) DELETE FROM posts"),
    "D11-copy": ask("SELECT * FROM read_csv('/etc/passwd')", write_duckdb),
    "D11-table": ask("SELECT * FROM nope"),
    "D11-time": ask(ENDLESS),
    "D11-time-duckdb": ask("SELECT count(*) FROM range(100000000000) t(i) WHERE i % 7 = 3", write_duckdb),
    "D11-file": lambda folder: f"sql:{write_csv(folder, make_frame())}::SELECT 1",
    "D11-form": lambda folder: f"sql:{folder}/posts.db",
    "D11-address": lambda folder: "sql:postgresql://me:hunter2@host/db::SELECT 1",
    "D11-rows": ask("SELECT a.* FROM posts a, posts b, posts c"),
    "D14-numbers": lambda folder: write_parquet(folder, make_frame(names=["0", "1", "2", "3", "4"])),
    "D19-formula": book_with(set_cell("B3", "=A1*2")),
    "D19-error": book_with(set_cell("D3", "#N/A")),
    "D19-day": book_with(set_cell("B3", datetime(2026, 4, 3), "dd/mm/yyyy")),
    "D19-list": lambda folder: write_arrow(folder, "Influencer_Tier", pa.array([["a"], ["b"], []])),
    "D21-null": lambda folder: write_parquet(folder, make_frame().assign(Converted=[1.0, None, 0.0])),
    "D23-stored": lambda folder: write_parquet(
        folder, make_frame().assign(Story_Views=[18.125, 900.0, 9200.0], Swipe_Ups=[1, 2, 3])
    ),
    "D25-nan": lambda folder: write_arrow(folder, "Swipe_Ups", pa.array([1.0, float("nan"), 2.0])),
    "D27-cut": lambda folder: write_parquet(folder, make_frame().assign(Creator_ID=[1.7841400000000003e16, 2.0, 3.0])),
    "D30-hidden": book_with(hide),
    "D33-true": book_with(set_cell("A2", True)),
    "D34-rows": lambda folder: write_parquet(
        folder, make_frame([[1, 100, 120, "Mega", "US"], *ROWS[1:], [0, 5, 6, "Mid", "EU"]])
    ),
    "D40-formats": lambda folder: write_fees(folder, ["[$€-407]#,##0.00", '"$"#,##0.00', '"$"#,##0.00']),
}


def write_fees(folder: Path, formats: Sequence[str]) -> str:
    def add(book: openpyxl.Workbook) -> None:
        book.active["F1"] = "Fee"
        for row, format in enumerate(formats, 2):
            set_cell(f"F{row}", 100.5, format)(book)

    return save_book(folder, ROWS, add)


def load_expected() -> dict[str, tuple[str, list[str]]]:
    expected: dict[str, tuple[str, list[str]]] = {}
    for line in (Path(__file__).parent / "formats_messages.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            _, name, outcome = line.split(" ")
            expected[name] = (outcome, [])
        else:
            expected[name][1].append(line)
    return expected


EXPECTED = load_expected()


def test_every_source_has_its_expected_messages() -> None:
    assert SOURCES.keys() == EXPECTED.keys()


def say(source: str) -> tuple[str, list[str]]:
    try:
        return "ok", [str(notice) for notice in read(source).notices]
    except DataRefused as refusal:
        return "refused", [str(problem) for problem in refusal.problems]


@pytest.mark.parametrize("name", SOURCES)
def test_message_is_word_for_word_as_recorded(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "LONGEST_SECONDS", 1.0 if "time" in name else 60.0)
    monkeypatch.setattr(query, "MOST_ROWS", 20)
    outcome, messages = say(SOURCES[name](tmp_path))
    assert (outcome, messages) == EXPECTED[name]
    for message in messages:
        assert message.startswith(f"IB-{name[:3]} ")
        assert len(message) <= 600
        assert message.endswith("Nothing was fitted.") == (outcome == "refused")


@pytest.mark.parametrize("package", ["pyarrow", "defusedxml", "duckdb"])
def test_missing_package_is_named(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = {"pyarrow": write_parquet, "defusedxml": write_xlsx, "duckdb": write_duckdb}
    source = sources[package](tmp_path, make_frame())

    def fail(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(files, "import_module", fail)
    with pytest.raises(
        DataRefused, match=rf"IB-D00 .* needs the package {package}, which is not installed\. pip install {package}"
    ):
        read(source)


def test_faults_of_columns_that_are_not_used_do_not_matter(tmp_path: Path) -> None:
    def spoil(book: openpyxl.Workbook) -> None:
        for place, value in (("F1", "Notes"), ("F2", "=A1"), ("F3", "#REF!"), ("G1", "More")):
            book.active[place] = value
        book.active.merge_cells("G2:G4")

    assert read(save_book(tmp_path, ROWS, spoil)).rows_used == 3
    frame = make_frame().assign(tags=[["a"], ["b"], ["c"]])
    assert read(write_parquet(tmp_path, frame)).rows_used == 3


def test_sheet_rows_are_those_of_the_sheet(tmp_path: Path) -> None:
    def insert(book: openpyxl.Workbook) -> None:
        book.active.insert_rows(1, 2)
        book.active.insert_rows(5)
        book.active.insert_cols(1)

    assert read(save_book(tmp_path, ROWS, insert)).frame["line"].tolist() == [4, 6, 7]


def test_numbers_stored_as_text_are_read_like_those_of_a_text_file(tmp_path: Path) -> None:
    posts = read(save_book(tmp_path, [["1", "18,250", "640", "Mega", "US"], ["0", "1,200", 3, "Mid", 7]]))
    assert posts.frame["Story_Views"].tolist() == [18250, 1200]
    assert posts.frame["Audience_Region"].tolist() == ["US", "7"]
    assert [notice.code for notice in posts.notices] == ["IB-D17"]


@pytest.mark.parametrize("epoch_1904", [False, True])
def test_days_of_a_sheet_are_days(epoch_1904: bool, tmp_path: Path) -> None:
    def add(book: openpyxl.Workbook) -> None:
        if epoch_1904:
            book.epoch = openpyxl.utils.datetime.MAC_EPOCH
        book.active["F1"] = "Post_Date"
        for row, day in enumerate((datetime(2026, 4, 3, 10, 30), datetime(2026, 4, 4), datetime(2024, 2, 29)), 2):
            set_cell(f"F{row}", day, "d. mmmm yyyy")(book)

    days = read(save_book(tmp_path, ROWS, add)).frame["Post_Date"]
    assert [str(day)[:10] for day in days] == ["2026-04-03", "2026-04-04", "2024-02-29"]


def test_fees_keep_the_currency_they_are_shown_with(tmp_path: Path) -> None:
    posts = read(write_fees(tmp_path, ["[$€-407]#,##0.00"] * 3))
    assert posts.frame["Fee"].tolist() == [100.5] * 3
    assert next(str(notice) for notice in posts.notices).startswith("IB-D40 posts.xlsx, Fee: fees in one currency (€)")


def test_rich_texts_and_escapes_of_a_sheet_are_plain_text(tmp_path: Path) -> None:
    rich = b"<is><r><t>Me</t></r><r><t>ga_x0020_1</t></r><rPh><t>hint</t></rPh></is>"

    def change(content: bytes) -> bytes:
        cell = content.index(b'r="D2"')
        end = content.index(b"</c>", cell)
        return content[:cell] + b'r="D2" t="inlineStr">' + rich + content[end:]

    assert read(rewrite(tmp_path, SHEET, change)).frame["Influencer_Tier"][0] == "Mega 1"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (7.0, "7"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (18.125, "18.1250"),
        (1e15, "1.0e+15"),
        (1e300, "1.0e+300"),
        (float("inf"), "inf"),
        (2**62, str(2**62)),
        (datetime(2026, 4, 3), "2026-04-03"),
        (datetime(2026, 4, 3, 10, 5), "2026-04-03 10:05:00"),
        (date(2026, 4, 3), "2026-04-03"),
        (b"Mega", "Mega"),
    ],
)
def test_typed_cells_become_plain_text(value: object, text: str) -> None:
    assert write_cell(value) == text  # type: ignore[arg-type]


def test_secrets_are_not_shown() -> None:
    environment = {"DB_PASSWORD": "correcthorse", "HOME": "/somewhere/me", "API_KEY": "abc"}
    texts = {
        "SELECT 'correcthorse'": "SELECT '***'",
        "postgres://u:pw@h/db": "postgres://u:***@h/db",
        "password='it''s'; x": "password=***; x",
        "SECRET 'abc' more": "SECRET *** more",
        "api_key = abc, b": "api_key = ***, b",
        "SELECT token, secret FROM t": "SELECT token, secret FROM t",
    }
    assert {text: redact_secrets(text, environment) for text in texts} == texts


def test_query_reads_a_database_that_may_not_be_written(tmp_path: Path) -> None:
    source = write_sqlite(tmp_path, make_frame())
    before = (tmp_path / "posts.db").read_bytes()
    assert (read(source).file, read(source).format) == ("posts.db", "sql")
    assert (tmp_path / "posts.db").read_bytes() == before
    assert list(tmp_path.iterdir()) == [tmp_path / "posts.db"]


def test_table_that_does_not_fit_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "measure_free_memory", lambda: 8000)
    monkeypatch.setattr(splitting, "BLOCK_ROWS", 10)
    for write in WRITERS.values():
        with pytest.raises(DataRefused) as refusal:
            read(write(tmp_path, make_frame(ROWS * 100)))
        message = str(refusal.value)
        assert message.startswith("IB-D10 posts.")
        assert "of memory, 8 kB are free. Reading on would end in a crash. Give fewer rows" in message


def test_free_memory_is_known_and_shown_in_a_unit_that_reads_well() -> None:
    free = memory.measure_free_memory()
    assert free is not None
    assert free > 10**7
    shown = {8000: "8 kB", 1_500_000: "1.5 MB", 4 * 10**10: "40 GB", 2 * 10**12: "2 TB", 5 * 10**15: "5,000 TB"}
    assert {count: memory.show_bytes(count) for count in shown} == shown


BOMBS = {
    "xlsx": ("IB-D08", with_bomb),
    "entities": ("IB-D08", with_entities),
    "far row": ("IB-D08", with_far_row),
    "parquet": ("IB-D09", write_dense),
}
READ_ALONE = """
import sys, time
from pathlib import Path
from influbayes.errors import DataRefused
from influbayes.tables.reader import read_posts
start = time.monotonic()
try:
    read_posts(sys.argv[1])
except DataRefused as refusal:
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024
    print(refusal.problems[0].code, time.monotonic() - start, peak)
"""


@pytest.mark.parametrize("name", BOMBS)
def test_bomb_is_refused_within_5_seconds_and_512_megabytes(name: str, tmp_path: Path) -> None:
    code, make = BOMBS[name]
    command = [sys.executable, "-c", READ_ALONE, make(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert found[0] == code
    assert float(found[1]) < 5
    assert int(found[2]) < 512


def test_large_text_file_is_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of several blocks gives what it gives in one, line numbers and notices included."""
    rows = "".join(f"{i % 2},{900 + i},{i % 7},\u00e9{i % 3},EU\r\n" for i in range(3000))
    path = tmp_path / "posts.csv"
    for text, coding in ((rows, "utf-8"), (rows, "cp1252"), (rows, "utf-16"), (rows + "1,2\r\n", "utf-8-sig")):
        path.write_bytes((",".join(NAMES) + "\r\n" + text).encode(coding))
        whole = describe(path)
        with monkeypatch.context() as patch:
            patch.setattr(encoding, "BLOCK", 997)
            patch.setattr(encoding, "KEPT_IN_MEMORY", 0)
            patch.setattr(splitting, "BLOCK_ROWS", 101)
            assert describe(path) == whole


def describe(path: Path) -> object:
    try:
        posts = read(path)
    except DataRefused as refusal:
        return [str(problem) for problem in refusal.problems]
    return posts.digest, posts.frame["line"].tolist(), [str(notice) for notice in posts.notices]


def test_control_characters_are_found_in_every_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "".join(f"1,900,7,M{chr(7) if i in (300, 700) else ''},EU\r\n" for i in range(900))
    path = tmp_path / "posts.csv"
    path.write_bytes((",".join(NAMES) + "\r\n" + rows).encode())
    for size in (97, 98, 4096, 10**6):
        monkeypatch.setattr(encoding, "BLOCK", size)
        with pytest.raises(DataRefused) as refusal:
            read(path)
        assert refusal.value.problems[0].lines == (302, 702)  # type: ignore[attr-defined]


def test_line_without_end_and_file_that_changes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "posts.csv"
    path.write_text(",".join(NAMES) + "\n" + "x" * 5000)
    monkeypatch.setattr(encoding, "LONGEST_LINE", 2000)
    monkeypatch.setattr(encoding, "BLOCK", 500)
    with pytest.raises(
        DataRefused, match=r"IB-D10 posts\.csv: line 2 is longer than 2,000 characters\. A row of a table"
    ):
        read(path)
    write_csv(tmp_path, make_frame())
    monkeypatch.setattr(encoding, "KEPT_IN_MEMORY", 0)
    stamps = iter(range(99))
    monkeypatch.setattr(encoding, "_stamp", lambda path: (200, next(stamps)))
    with pytest.raises(
        DataRefused, match=r"IB-D00 posts\.csv: was changed while it was read\. Wait until it is written"
    ):
        read(path)


@pytest.mark.parametrize("write", [write_duckdb, write_sqlite], ids=["duckdb", "sqlite"])
def test_a_process_that_read_a_database_ends_with_its_own_words_only(tmp_path: Path, write: Callable[..., str]) -> None:
    source = write(tmp_path, make_frame()).replace("SELECT *", "SELECT Influencer_Tier")
    command = [sys.executable, "-m", "influbayes.fit", source, "--quiet", "--out", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith("influbayes fit: ")
    assert "leak" not in done.stderr
    assert not done.stdout
