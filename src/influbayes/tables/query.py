"""Queries to records: one SELECT on a DuckDB or SQLite file that is opened for reading only.

Takes ``sql:FILE::SELECT ...``; knows the two engines and no column by name. A query is code, so it may neither write,
nor reach another file, nor run for ever, nor return without end. Rows are numbered from 1.
"""

from __future__ import annotations

import os
import re
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

from influbayes.errors import DataRefused
from influbayes.tables.arrow import find_type_flaws, write_batch
from influbayes.tables.files import check_path, find_database, load_package
from influbayes.tables.problems import compose_problem, escape_text
from influbayes.tables.records import BLOCK_ROWS, Flaw, Keep, RecordCollector, Records, refuse_empty
from influbayes.tables.typed import find_control_flaws, write_cell

QUERY_START = "sql:"
LONGEST_SECONDS = 60.0
MOST_ROWS = 10_000_000
LONGEST_CELL = 1_000_000  # characters
STEPS = 10_000  # SQLite instructions between two looks at the clock
COMMENT = re.compile(r"\s+|--[^\n]*(?:\n|$)|/\*.*?\*/", re.DOTALL)
FIRST_WORD = re.compile(r"\(*\s*(select|with)\b", re.IGNORECASE)
FORM = 'Write "sql:FILE::SELECT ..." with the path of a DuckDB or SQLite file.'
ALLOWED = frozenset((sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE))
DUCKDB_SETTINGS: Mapping[str, str] = {
    "enable_external_access": "false",  # no other file, no network
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",  # a table name must not find a Python variable
    "memory_limit": "1GB",
    "lock_configuration": "true",
}

SECRET_WORD = r"(?:password|passwd|pwd|secret|token|api_?key|access_?key|credential)[a-z_]*"
QUOTED = r"'(?:[^']|'')*'|\"[^\"]*\""
SECRETS = (
    (re.compile(rf"({SECRET_WORD}\s*[=:]\s*)(?:{QUOTED}|[^\s,;&)]+)", re.IGNORECASE), r"\1***"),
    (re.compile(rf"({SECRET_WORD}\s+)(?:{QUOTED})", re.IGNORECASE), r"\1***"),
    (re.compile(r"(://[^\s/:@]*:)[^\s/@]+@"), r"\1***@"),
)
SECRET_NAME = re.compile(r"PASS|PWD|SECRET|TOKEN|KEY|CREDENTIAL", re.IGNORECASE)
SHORTEST_SECRET = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class _Query:
    """The parts of a source, and when the time is over."""

    path: Path
    file: str
    text: str
    deadline: float


def read_query(source: str, keep: Keep) -> Records:
    """Return the records of ``sql:FILE::SELECT ...``.

    Raises
    ------
    DataRefused
        The form is wrong, the file is no database, the query is not exactly one SELECT, fails, takes longer than a
        minute or returns more than 10 million rows (IB-D11); it returns no row (IB-D07).
    """
    name, mark, text = source.removeprefix(QUERY_START).partition("::")
    if not mark or not name.strip() or not text.strip():
        raise _refuse(Path(redact_secrets(name)).name or QUERY_START, "is not a query", FORM)
    path = Path(name)
    if "://" in name:
        raise _refuse(redact_secrets(name), "is an address, not a file", FORM, why="No server is ever asked.")
    file = check_path(path)
    if not FIRST_WORD.match(_strip_comments(text)):
        raise _refuse_statement(file)
    query = _Query(path=path, file=file, text=text, deadline=time.monotonic() + LONGEST_SECONDS)
    engine = find_database(path, file)
    if not engine:
        raise _refuse(file, "is neither a DuckDB nor an SQLite file", FORM)
    return _read_sqlite(query, keep) if engine == "sqlite" else _read_duckdb(query, keep)


def redact_secrets(text: str, environment: Mapping[str, str] | None = None) -> str:
    """Return a text without passwords: those in addresses, behind words such as password=, and in the environment.

    Parameters
    ----------
    text
        A query, a command line or a message of a database.
    environment
        Names and values; the environment of this process unless told.

    Examples
    --------
    >>> redact_secrets("postgresql://me:hunter2@host/db", {})
    'postgresql://me:***@host/db'
    """
    for pattern, replacement in SECRETS:
        text = pattern.sub(replacement, text)
    for name, value in (os.environ if environment is None else environment).items():
        if SECRET_NAME.search(name) and len(value) >= SHORTEST_SECRET:
            text = text.replace(value, "***")
    return text


def _read_sqlite(query: _Query, keep: Keep) -> Records:
    address = f"file:{quote(str(query.path.resolve()))}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            connection.text_factory = bytes  # decoded below: the text of a database need not be UTF-8
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_CELL)
            connection.set_authorizer(_allow_reading)
            connection.set_progress_handler(lambda: time.monotonic() > query.deadline, STEPS)
            cursor = connection.execute(query.text)
            header = [column[0] for column in cursor.description or ()]
            blocks = iter(lambda: [[write_cell(cell) for cell in row] for row in islice(cursor, BLOCK_ROWS)], [])
            return _collect(query, keep, header, (list(zip(*rows, strict=True)) for rows in blocks))
    except UnicodeDecodeError as error:
        raise _refuse(query.file, "returns text that is not UTF-8", "Cast the column, or leave it out.") from error
    except (sqlite3.Error, sqlite3.Warning) as error:
        if "one statement" in str(error) or "not authorized" in str(error) or "prohibited" in str(error):
            raise _refuse_statement(query.file) from error
        raise _refuse_failure(query, str(error)) from error


def _allow_reading(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    loads_code = action == sqlite3.SQLITE_FUNCTION and second == "load_extension"
    return sqlite3.SQLITE_OK if action in ALLOWED and not loads_code else sqlite3.SQLITE_DENY


def _read_duckdb(query: _Query, keep: Keep) -> Records:
    duckdb = load_package("duckdb", file=query.file, purpose="reading DuckDB files")
    pyarrow = load_package("pyarrow", file=query.file, purpose="reading DuckDB files")
    try:
        with closing(duckdb.connect(str(query.path), read_only=True, config=dict(DUCKDB_SETTINGS))) as connection:
            statements = connection.extract_statements(query.text)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise _refuse_statement(query.file)
            alarm = threading.Timer(max(query.deadline - time.monotonic(), 0), connection.interrupt)
            alarm.daemon = True
            alarm.start()
            try:
                return _read_arrow(query, keep, connection.sql(query.text), pyarrow)
            finally:
                alarm.cancel()
    except (duckdb.Error, pyarrow.ArrowException, UnicodeDecodeError, OSError) as error:
        raise _refuse_failure(query, str(error)) from error


def _read_arrow(query: _Query, keep: Keep, relation: Any, pyarrow: Any) -> Records:
    reader = relation.to_arrow_reader(BLOCK_ROWS)
    flaws = find_type_flaws(reader.schema, pyarrow)
    unreadable = {flaw.place for flaw in flaws}
    blocks = (write_batch(batch, unreadable, pyarrow) for batch in reader)
    return _collect(query, keep, list(relation.columns), blocks, flaws)


def _collect(
    query: _Query,
    keep: Keep,
    header: Sequence[str],
    blocks: Iterator[Sequence[Sequence[str]]],
    flaws: tuple[Flaw, ...] = (),
) -> Records:
    collector = RecordCollector(query.file, keep(header))
    for columns in blocks:
        start = collector.rows + 1
        collector.add_columns(columns, range(start, start + len(columns[0])))
        if collector.rows > MOST_ROWS:
            what = f"the query returns more than {MOST_ROWS:,} rows"
            raise _refuse(query.file, what, "Select fewer rows, for example with WHERE.")
        collector.refuse_if_too_large(collector.rows)
    if not collector.rows:
        raise refuse_empty(query.file, "the query returns no rows")
    records = collector.finish(format="sql", header=header, header_line=0, unit="row")
    return replace(records, flaws=(*flaws, *find_control_flaws(records)))


def _strip_comments(text: str) -> str:
    while found := COMMENT.match(text):
        text = text[found.end() :]
    return text


def _refuse_statement(file: str) -> DataRefused:
    why = "The file is only read, and nothing else is reached."
    return _refuse(file, "only one SELECT is run", "Write a single SELECT on the tables of this file.", why=why)


def _refuse_failure(query: _Query, message: str) -> DataRefused:
    if time.monotonic() > query.deadline:
        what = f"the query took longer than {LONGEST_SECONDS:.0f} seconds"
        return _refuse(query.file, what, "Select fewer rows, or prepare the table in the database first.")
    said = escape_text(redact_secrets(message.partition("\n")[0]), limit=200)
    return _refuse(query.file, f"the query failed ({said})", "Correct the query or the file.")


def _refuse(file: str, what: str, remedy: str, *, why: str = "") -> DataRefused:
    return DataRefused([compose_problem("IB-D11", "refuse", file=file, what=what, why=why, remedy=remedy)])
