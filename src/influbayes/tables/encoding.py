"""Bytes of a file to text: takes a path, tells apart text and what only looks like a table, decodes without guessing.

Knows encodings and file signatures; knows no delimiter and no column.
"""

from __future__ import annotations

import codecs
import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from influbayes.errors import DataRefused
from influbayes.tables.problems import Problem, compose_problem, list_values, quote_value

LONGEST_PATH = 200

# Signature, what the file is, what to do. Checked before anything is decoded.
SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"%PDF-", "a PDF document", "Export the table itself as CSV."),
    (b"PK\x05\x06", "a zip archive without content", "Give the CSV file itself."),
    (b"\x1f\x8b", "a file compressed with gzip", "Unpack it and give the CSV file inside."),
    (b"BZh", "a file compressed with bzip2", "Unpack it and give the CSV file inside."),
    (b"\xfd7zXZ\x00", "a file compressed with xz", "Unpack it and give the CSV file inside."),
    (b"\x28\xb5\x2f\xfd", "a file compressed with zstd", "Unpack it and give the CSV file inside."),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "Unpack it and give the CSV file inside."),
    (b"Rar!", "a RAR archive", "Unpack it and give the CSV file inside."),
    (b"PAR1", "a Parquet file", "Export it as CSV."),
    (b"ARROW1", "an Arrow file", "Export it as CSV."),
    (b"SQLite format 3\x00", "an SQLite database", "Export the table of posts as CSV."),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook (.xls)", "Save the sheet as CSV UTF-8."),
    (b"\x89PNG", "a picture (PNG)", "Give the table as CSV."),
    (b"\xff\xd8\xff", "a picture (JPEG)", "Give the table as CSV."),
    (b"{\\rtf", "a text document (RTF)", "Save the table as CSV."),
)
HTML_START = re.compile(rb"\s*<(!doctype\s+html|html|head|body|table|!--)", re.IGNORECASE)
XML_START = re.compile(rb"\s*<\?xml", re.IGNORECASE)
JSON_START = re.compile(rb'\s*(\{\s*"|\[\s*[\[{])')
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
LINE_END = re.compile("\r\n|\r|\n")
NOT_ASCII = re.compile(r"[^\x00-\x7f]")
WORD_END = re.compile(r'[\s,;"]')
LONGEST_HALF_WORD = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FileText:
    """The decoded text of a file, `file` being its name without folders, and what was accepted on the way."""

    file: str
    text: str
    notices: tuple[Problem, ...] = ()


def read_text(source: str | Path) -> FileText:
    """Return the text of a file, decoded as UTF-8, UTF-16 with a byte-order mark, or strictly as cp1252.

    Raises
    ------
    DataRefused
        The file cannot be read (IB-D00), is not a text table (IB-D06), or cannot be decoded without loss (IB-D02).
    """
    path = Path(source)
    file = path.name or str(path)
    raw = _read_bytes(path, file)
    _refuse_other_kinds(raw, file)
    decoded = _decode(raw, file)
    _refuse_controls(decoded.text, file)
    return decoded


def count_line(text: str, position: int) -> int:
    """Return the line, starting at 1, in which `position` lies; CR, LF and CRLF end a line."""
    return 1 + sum(1 for _ in LINE_END.finditer(text, 0, position))


def _read_bytes(path: Path, file: str) -> bytes:
    raw = b""
    try:
        fault = _find_path_fault(path)
        if fault is None:
            raw = path.read_bytes()
    except PermissionError:
        fault = f"no permission to read {_show(path)}", "Ask for the right to read it, or copy it to a folder of yours."
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = getattr(error, "strerror", None) or "the name is not one a file can have"
        fault = f"cannot read {_show(path)} ({reason})", "Check name and drive."
    if fault is not None:
        raise _refusal("IB-D00", file, *fault)
    return raw


def _find_path_fault(path: Path) -> tuple[str, str] | None:
    if path.is_dir():
        return f"{_show(path)} is a folder, not a file", "Give the CSV file inside it."
    if not path.exists():
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


def _refuse_other_kinds(raw: bytes, file: str) -> None:
    kind = _name_kind(raw)
    if kind:
        what, remedy = kind
        raise _refusal("IB-D06", file, f"this is {what}, not a CSV file", remedy)
    if b"\x00" in raw and not raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        position = raw.index(b"\x00")
        line = 1 + raw.count(b"\n", 0, position)
        why = "A NUL byte never stands in a text table: a binary file, or UTF-16 saved without its byte-order mark."
        what = f"NUL bytes, {raw.count(b'\x00'):,} in all, the first in line {line}"
        raise _refusal("IB-D06", file, what, "Save it again as CSV UTF-8.", why=why, lines=(line,))


def _name_kind(raw: bytes) -> tuple[str, str] | None:
    start = raw[:1024].removeprefix(codecs.BOM_UTF8)
    if start.startswith(b"PK\x03\x04"):
        workbook = b"[Content_Types].xml" in raw[:4096] or b"xl/" in raw
        return (
            ("an Excel workbook", "Save the sheet as CSV UTF-8.")
            if workbook
            else ("a zip archive", "Unpack it and give the CSV file inside.")
        )
    if HTML_START.match(start):
        return "an HTML page", "A login page saved by mistake? Log in and download the table again as CSV."
    if XML_START.match(start):
        return "an XML document", "Export the table as CSV."
    if JSON_START.match(start):
        return "JSON", "Export the table as CSV."
    return next(((what, remedy) for sign, what, remedy in SIGNATURES if start.startswith(sign)), None)


def _decode(raw: bytes, file: str) -> FileText:
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _decode_utf16(raw, file)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return _decode_cp1252(raw, file, error.start)
    if not raw.startswith(codecs.BOM_UTF8):
        return FileText(file=file, text=text)
    what = "begins with a UTF-8 byte-order mark, which is not part of the first header"
    return FileText(file=file, text=text[1:], notices=(compose_problem("IB-D01", "accept", file=file, what=what),))


def _decode_utf16(raw: bytes, file: str) -> FileText:
    try:
        text = raw.decode("utf-16")
    except UnicodeDecodeError as error:
        what = f"begins like UTF-16 but cannot be decoded at byte {error.start + 1:,}"
        raise _refusal("IB-D02", file, what, "Save it again as CSV UTF-8.", why="The file is damaged.") from error
    notice = compose_problem("IB-D02", "accept", file=file, what="read as UTF-16")
    return FileText(file=file, text=text, notices=(notice,))


def _decode_cp1252(raw: bytes, file: str, position: int) -> FileText:
    try:
        text = raw.decode("cp1252")
    except UnicodeDecodeError as error:
        line = 1 + raw.count(b"\n", 0, error.start)
        what = f"neither UTF-8 nor cp1252: byte 0x{raw[error.start]:02X} in line {line}"
        remedy = "Save it again as CSV UTF-8."
        why = "Reading on would lose or change characters."
        raise _refusal("IB-D02", file, what, remedy, why=why, lines=(line,)) from error
    odd = NOT_ASCII.search(text)
    place = odd.start() if odd else position
    line, shown = count_line(text, place), _cut_word(text, place)
    what = f"not UTF-8, read as cp1252: {quote_value(shown)} in line {line}"
    remedy = "If that word looks wrong, save the file as CSV UTF-8."
    notice = compose_problem("IB-D02", "accept", file=file, what=what, remedy=remedy)
    return FileText(file=file, text=text, notices=(notice,))


def _cut_word(text: str, place: int) -> str:
    """Return the word around a character, at most 20 characters to each side."""
    before = WORD_END.split(text[max(place - LONGEST_HALF_WORD, 0) : place])[-1]
    return before + WORD_END.split(text[place : place + LONGEST_HALF_WORD])[0]


def _refuse_controls(text: str, file: str) -> None:
    found = list(CONTROL.finditer(text))
    if not found:
        return
    nul = [match for match in found if match.group() == "\x00"]
    first = (nul or found)[0]
    raise DataRefused(
        [
            compose_problem(
                "IB-D06" if nul else "IB-D02",
                "refuse",
                file=file,
                what="control characters in the text",
                lines=_lines_of(text, [match.start() for match in found]),
                value=first.group(),
                why="A table of posts holds none: the encoding is another one, or the file is damaged.",
                remedy="Remove them, or save the file again as CSV UTF-8.",
            )
        ]
    )


def _lines_of(text: str, positions: list[int]) -> tuple[int, ...]:
    """Return the distinct lines of sorted positions in one pass over the text."""
    lines: dict[int, None] = {}
    line, start = 1, 0
    for position in positions:
        line += sum(1 for _ in LINE_END.finditer(text, start, position))
        start = position
        lines[line] = None
    return tuple(lines)


def _refusal(
    code: str, file: str, what: str, remedy: str, *, why: str = "", lines: tuple[int, ...] = ()
) -> DataRefused:
    problem = compose_problem(code, "refuse", file=file, what=what, why=why, remedy=remedy)
    located = Problem(code=code, rule="refuse", file=file, message=problem.message, lines=lines)
    return DataRefused([located])


def _show(path: Path) -> str:
    return quote_value(str(path), limit=LONGEST_PATH)
