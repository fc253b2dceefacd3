"""What a path leads to: an ordinary file that can be read, and of which kind, told by its first bytes.

Takes a path; knows signatures and endings, opens no table.
"""

from __future__ import annotations

import codecs
import difflib
import re
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

from influbayes.errors import DataRefused
from influbayes.tables.problems import Problem, compose_problem, list_values, quote_value

LONGEST_PATH = 200
START = 4096  # bytes looked at

UNPACK = "Unpack it and give the CSV file inside."

# Signature, what the file is, what to do. Checked before anything is decoded.
SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"%PDF-", "a PDF document", "Export the table itself as CSV."),
    (b"PK\x05\x06", "a zip archive without content", "Give the CSV file itself."),
    (b"\x1f\x8b", "a file compressed with gzip", UNPACK),
    (b"BZh", "a file compressed with bzip2", UNPACK),
    (b"\xfd7zXZ\x00", "a file compressed with xz", UNPACK),
    (b"\x28\xb5\x2f\xfd", "a file compressed with zstd", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", UNPACK),
    (b"Rar!", "a RAR archive", UNPACK),
    (b"PAR1", "a Parquet file", "Rename it to end in .parquet, or export it as CSV."),
    (b"ARROW1", "an Arrow file", "Export it as CSV or Parquet."),
    (b"SQLite format 3\x00", "an SQLite database", 'Ask it for the posts: "sql:FILE::SELECT ...".'),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "an old Excel workbook (.xls), or one with a password",
        "Save it as .xlsx without a password, or the sheet as CSV UTF-8.",
    ),
    (b"\x89PNG", "a picture (PNG)", "Give the table as CSV."),
    (b"\xff\xd8\xff", "a picture (JPEG)", "Give the table as CSV."),
    (b"{\\rtf", "a text document (RTF)", "Save the table as CSV."),
)
HTML_START = re.compile(rb"\s*<(!doctype\s+html|html|head|body|table|!--)", re.IGNORECASE)
XML_START = re.compile(rb"\s*<\?xml", re.IGNORECASE)
JSON_START = re.compile(rb'\s*(\{\s*"|\[\s*[\[{])')
ZIP_START = b"PK\x03\x04"
PARQUET_START = b"PAR1"
SQLITE_START = b"SQLite format 3\x00"
DUCKDB_SIGN = slice(8, 12), b"DUCK"  # after the checksum of the first block
ENDINGS = {".parquet": "parquet", ".pq": "parquet", ".xlsx": "xlsx", ".xlsm": "xlsx"}
TEXT_ENDINGS = frozenset((".csv", ".tsv", ".tab", ".txt"))
KIND_NAMES = {"parquet": "a Parquet file", "xlsx": "an Excel workbook"}


def name_place(path: Path) -> str:
    """Return the bare name of a file or folder as messages show it; of "." and ".." the name of the folder meant."""
    name = path.name
    return (name if name not in ("", "..") else path.resolve().name) or str(path)


def check_path(path: Path) -> str:
    """Return the bare name of an ordinary file that can be read.

    Raises
    ------
    DataRefused
        There is no such file, it is a folder or a pipe, or it cannot be read (IB-D00).
    """
    file = name_place(path)
    try:
        fault = _find_path_fault(path)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        fault = describe_failure(path, error)
    if fault is not None:
        raise refuse_file("IB-D00", file, *fault)
    return file


def read_start(path: Path, file: str) -> bytes:
    """Return the first bytes of a file; refused (IB-D00) where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(START)
    except (OSError, ValueError) as error:
        raise refuse_file("IB-D00", file, *describe_failure(path, error)) from error


def find_kind(path: Path, file: str) -> str:
    """Return "text", "parquet" or "xlsx": what the bytes are, if the name does not say otherwise.

    Raises
    ------
    DataRefused
        The file is something else (IB-D06) or compressed (IB-D08), or its ending names another kind than its bytes.
    """
    start = read_start(path, file)
    kind = "parquet" if start.startswith(PARQUET_START) else "xlsx" if _is_workbook(path, start) else "text"
    named = ENDINGS.get(path.suffix.lower())
    if named == "xlsx" and start.startswith(ZIP_START) and not _list_archive(path):
        return "xlsx"  # cut short: the reader of workbooks says so
    if kind != "text" and (named == kind or (named is None and path.suffix.lower() not in TEXT_ENDINGS)):
        return kind
    _refuse_other_kinds(path, start, file, wanted=KIND_NAMES[named] if named else "a CSV file")
    if named is not None:
        what = f"is not {KIND_NAMES[named]}, though its name says so"
        why = "It is damaged or cut short, or it is text."
        remedy = "Download or save it again; rename it to end in .csv if it is a text table."
        raise refuse_file("IB-D06", file, what, remedy, why=why)
    return "text"


def find_database(path: Path, file: str) -> str:
    """Return "sqlite" or "duckdb", or "" where the file is no database."""
    start = read_start(path, file)
    if start.startswith(SQLITE_START):
        return "sqlite"
    return "duckdb" if start[DUCKDB_SIGN[0]] == DUCKDB_SIGN[1] else ""


def load_package(name: str, *, file: str, purpose: str) -> Any:
    """Return an installed package; refused (IB-D00) with its name where it is missing."""
    try:
        return import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        what = f"{purpose} needs the package {package}, which is not installed"
        raise refuse_file("IB-D00", file, what, f"pip install {package}, or save the table as CSV.") from error


def refuse_file(
    code: str, file: str, what: str, remedy: str, *, why: str = "", lines: tuple[int, ...] = ()
) -> DataRefused:
    """Return the refusal of a whole file; `lines` are those that `what` already names."""
    problem = compose_problem(code, "refuse", file=file, what=what, why=why, remedy=remedy)
    return DataRefused([Problem(code=code, rule="refuse", file=file, message=problem.message, lines=lines)])


def describe_failure(path: Path, error: OSError | ValueError) -> tuple[str, str]:
    """Return what went wrong with a file and what to do."""
    if isinstance(error, PermissionError):
        return f"no permission to read {_show(path)}", "Ask for the right to read it, or copy it to a folder of yours."
    reason = getattr(error, "strerror", None) or "the name is not one a file can have"
    return f"cannot read {_show(path)} ({reason})", "Check name and drive."


def _find_path_fault(path: Path) -> tuple[str, str] | None:
    if path.is_dir():
        return f"{_show(path)} is a folder, not a file", "Give the CSV file inside it."
    if not path.exists():
        if "\x00" in str(path):
            return f"cannot read {_show(path)} (the name is not one a file can have)", "Check name and drive."
        return f"there is no file {_show(path)}", _suggest_files(path)
    if not path.is_file():  # a pipe or a device: reading could wait for ever
        return f"{_show(path)} is not an ordinary file", "Save the table to a file first."
    return None


def _suggest_files(path: Path) -> str:
    try:
        names = sorted(entry.name for entry in path.parent.iterdir() if entry.is_file())
    except (OSError, ValueError):
        return "The folder does not exist or cannot be read; check the path."
    near = difflib.get_close_matches(path.name, names, n=3)
    return f"Did you mean {list_values(near)}?" if near else "Check the spelling and the folder you are in."


def _refuse_other_kinds(path: Path, start: bytes, file: str, *, wanted: str) -> None:
    kind = _name_kind(path, start)
    if kind:
        what, remedy = kind
        packed = remedy == UNPACK and (not start.startswith(ZIP_START) or bool(_list_archive(path)))
        raise refuse_file("IB-D08" if packed else "IB-D06", file, f"this is {what}, not {wanted}", remedy)


def _name_kind(path: Path, start: bytes) -> tuple[str, str] | None:
    bare = start.removeprefix(codecs.BOM_UTF8)
    if bare.startswith(ZIP_START):
        return _name_archive(path, start)
    if HTML_START.match(bare):
        return "an HTML page", "A login page saved by mistake? Log in and download the table again as CSV."
    if XML_START.match(bare):
        return "an XML document", "Export the table as CSV."
    if JSON_START.match(bare):
        return "JSON", "Export the table as CSV."
    if bare[DUCKDB_SIGN[0]] == DUCKDB_SIGN[1]:
        return "a DuckDB database", 'Ask it for the posts: "sql:FILE::SELECT ...".'
    return next(((what, remedy) for sign, what, remedy in SIGNATURES if bare.startswith(sign)), None)


def _name_archive(path: Path, start: bytes) -> tuple[str, str]:
    names = _list_archive(path)
    if b"opendocument.spreadsheet" in start:
        return "an OpenDocument spreadsheet", "Save it as .xlsx, or the sheet as CSV UTF-8."
    if "xl/workbook.bin" in names:
        return "a binary Excel workbook (.xlsb)", "Save it as .xlsx, or the sheet as CSV UTF-8."
    if _is_workbook(path, start):
        return "an Excel workbook", "Rename it to end in .xlsx, or save the sheet as CSV UTF-8."
    if b"[Content_Types].xml" in start:
        return "a damaged Office document", "Save it again, or the sheet as CSV UTF-8."
    return "a zip archive", UNPACK


def _is_workbook(path: Path, start: bytes) -> bool:
    return start.startswith(ZIP_START) and "xl/workbook.xml" in _list_archive(path)


def _list_archive(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.lstrip("/") for name in archive.namelist()]
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return []


def _show(path: Path) -> str:
    return quote_value(str(path), limit=LONGEST_PATH)
