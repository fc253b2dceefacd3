"""Bytes of a text file to text: finds the encoding of the whole file without guessing, then gives its lines.

Reads the file block by block, so that its size does not matter. Knows encodings and characters that no table holds;
knows no delimiter and no column.
"""

from __future__ import annotations

import codecs
import io
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TextIO

from influbayes.errors import DataRefused
from influbayes.tables.files import describe_failure, refuse_file
from influbayes.tables.problems import Problem, compose_problem, quote_value

BLOCK = 4 * 2**20
KEPT_IN_MEMORY = 2 * BLOCK  # smaller files are read once
LONGEST_LINE = 32 * 2**20
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
CONTROL_BYTES = bytes(byte for byte in range(128) if CONTROL.match(chr(byte)))
OTHER_BYTES = bytes(byte for byte in range(256) if byte not in CONTROL_BYTES)
LINE_END = re.compile("\r\n|\r|\n")
NOT_ASCII = re.compile(r"[^\x00-\x7f]")
WORD_END = re.compile(r'[\s,;"]')
LONGEST_HALF_WORD = 20
MOST_CONTROLS = 10_000  # lines; further ones are not looked for
UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

Blocks = Callable[[], Iterator[bytes]]  # the file from its start, as often as needed


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFile:
    """A text file whose encoding is known, `file` being its name without folders; `raw` is None for a large file."""

    file: str
    path: Path
    encoding: str
    size: int
    raw: bytes | None
    stamp: tuple[int, int]
    notices: tuple[Problem, ...] = ()

    def open_text(self) -> TextIO:
        """Open the text from its start, line ends as they are."""
        stream: BinaryIO = io.BytesIO(self.raw) if self.raw is not None else self.path.open("rb")
        return io.TextIOWrapper(stream, encoding=self.encoding, newline="")

    def refuse_if_changed(self) -> None:
        """Refuse (IB-D00) a large file that another program wrote to while it was read."""
        if self.raw is None and _stamp(self.path) != self.stamp:
            raise refuse_file("IB-D00", self.file, "was changed while it was read", "Wait until it is written.")


class _NotDecodedError(Exception):
    """Where decoding stopped: the byte, its position from 0 in the file and its line."""

    def __init__(self, position: int, byte: int, line: int) -> None:
        super().__init__(position, byte, line)
        self.position, self.byte, self.line = position, byte, line


@dataclass(slots=True)
class _Scan:
    """What a pass over the text has met so far: its line, control characters, the first character beyond ASCII."""

    line: int = 1
    after_cr: bool = False
    run: int = 0
    controls: dict[int, str] = field(default_factory=dict)
    odd: tuple[int, str] | None = None

    def find_line(self, text: str, position: int) -> int:
        """Line of a position in the block that is looked at."""
        before = text[:position]
        joined = self.after_cr and before.startswith("\n")
        return self.line + _count_line_ends(before) - joined

    def pass_block(self, text: str) -> None:
        """Move on behind a block."""
        self.line = self.find_line(text, len(text))
        self.after_cr = text.endswith("\r") if text else self.after_cr
        last = max(text.rfind("\n"), text.rfind("\r"))
        self.run = len(text) - 1 - last if last >= 0 else self.run + len(text)


def find_encoding(path: Path, file: str) -> TextFile:
    """Return a text file with its encoding: UTF-8, UTF-16 with a byte-order mark, or strictly cp1252.

    Raises
    ------
    DataRefused
        The file cannot be read (IB-D00), holds NUL bytes (IB-D06), has a line without end (IB-D10), or cannot be
        decoded without loss (IB-D02).
    """
    try:
        stamp = _stamp(path)
        raw = path.read_bytes() if stamp[0] <= KEPT_IN_MEMORY else None
        return _find_encoding(path, file, raw, stamp)
    except (OSError, ValueError) as error:
        if isinstance(error, DataRefused):
            raise
        raise refuse_file("IB-D00", file, *describe_failure(path, error)) from error


def _stamp(path: Path) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns


def _find_encoding(path: Path, file: str, raw: bytes | None, stamp: tuple[int, int]) -> TextFile:
    def open_blocks() -> Iterator[bytes]:
        return _iterate_blocks(io.BytesIO(raw) if raw is not None else path.open("rb"))

    encoding, notices = _choose_encoding(open_blocks, file)
    return TextFile(file=file, path=path, encoding=encoding, size=stamp[0], raw=raw, stamp=stamp, notices=notices)


def _iterate_blocks(stream: BinaryIO) -> Iterator[bytes]:
    with stream:
        while block := stream.read(BLOCK):
            yield block


def _choose_encoding(blocks: Blocks, file: str) -> tuple[str, tuple[Problem, ...]]:
    start = next(blocks(), b"")[:4]
    if start.startswith(UTF16_MARKS):
        return "utf-16", _check_utf16(blocks, file)
    _refuse_nul(blocks, file)
    try:
        scan = _scan_text(blocks, "utf-8", file)
    except _NotDecodedError:
        return "cp1252", _check_cp1252(blocks, file)
    _refuse_controls(scan, file)
    if not start.startswith(codecs.BOM_UTF8):
        return "utf-8", ()
    what = "begins with a UTF-8 byte-order mark, which is not part of the first header"
    return "utf-8-sig", (compose_problem("IB-D01", "accept", file=file, what=what),)


def _check_utf16(blocks: Blocks, file: str) -> tuple[Problem, ...]:
    try:
        scan = _scan_text(blocks, "utf-16", file)
    except _NotDecodedError as error:
        what = f"begins like UTF-16 but cannot be decoded at byte {error.position + 1:,}"
        raise refuse_file("IB-D02", file, what, "Save it again as CSV UTF-8.", why="The file is damaged.") from error
    _refuse_controls(scan, file)
    return (compose_problem("IB-D02", "accept", file=file, what="read as UTF-16"),)


def _check_cp1252(blocks: Blocks, file: str) -> tuple[Problem, ...]:
    try:
        scan = _scan_text(blocks, "cp1252", file)
    except _NotDecodedError as error:
        what = f"neither UTF-8 nor cp1252: byte 0x{error.byte:02X} in line {error.line}"
        remedy = "Save it again as CSV UTF-8."
        why = "Reading on would lose or change characters."
        raise refuse_file("IB-D02", file, what, remedy, why=why, lines=(error.line,)) from error
    _refuse_controls(scan, file)
    line, word = scan.odd or (1, "")
    what = f"not UTF-8, read as cp1252: {quote_value(word)} in line {line}"
    remedy = "If that word looks wrong, save the file as CSV UTF-8."
    return (compose_problem("IB-D02", "accept", file=file, what=what, remedy=remedy),)


def _refuse_nul(blocks: Blocks, file: str) -> None:
    count = line = newlines = 0
    for block in blocks():
        found = block.count(b"\x00")
        if found and not count:
            line = 1 + newlines + block.count(b"\n", 0, block.index(b"\x00"))
        count += found
        newlines += block.count(b"\n")
    if count:
        why = "A NUL byte never stands in a text table: a binary file, or UTF-16 saved without its byte-order mark."
        what = f"NUL bytes, {count:,} in all, the first in line {line}"
        raise refuse_file("IB-D06", file, what, "Save it again as CSV UTF-8.", why=why, lines=(line,))


def _scan_text(blocks: Blocks, encoding: str, file: str) -> _Scan:
    """Decode the whole file once, block by block, and note what is odd in it."""
    scan = _Scan()
    for block, text in _decode_blocks(blocks, encoding):
        if encoding == "utf-16" or not text.isascii() or block.translate(None, OTHER_BYTES):
            _note_controls(scan, text)
        if scan.odd is None and not text.isascii():
            odd = NOT_ASCII.search(text)
            place = odd.start() if odd else 0
            scan.odd = scan.find_line(text, place), _cut_word(text, place)
        scan.pass_block(text)
        if scan.run > LONGEST_LINE:
            what = f"line {scan.line:,} is longer than {LONGEST_LINE:,} characters"
            why = "A row of a table never is; reading on would fill the memory."
            raise refuse_file("IB-D10", file, what, "Check that this is the right file.", why=why, lines=(scan.line,))
    return scan


def _decode_blocks(blocks: Blocks, encoding: str) -> Iterator[tuple[bytes, str]]:
    decoder = codecs.getincrementaldecoder(encoding)()
    done = newlines = 0
    for block in _and_end(blocks()):
        pending = len(decoder.getstate()[0])
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            inside = max(error.start - pending, 0)
            line = 1 + newlines + block.count(b"\n", 0, inside)
            raise _NotDecodedError(done - pending + error.start, error.object[error.start], line) from error
        yield block, text
        done += len(block)
        newlines += block.count(b"\n")


def _and_end(blocks: Iterator[bytes]) -> Iterator[bytes]:
    yield from blocks
    yield b""


def _note_controls(scan: _Scan, text: str) -> None:
    start = place = 0
    line = scan.line
    for found in CONTROL.finditer(text):
        if len(scan.controls) >= MOST_CONTROLS:
            return
        place = found.start()
        joined = start == 0 and scan.after_cr and text.startswith("\n") and place > 0
        line += sum(1 for _ in LINE_END.finditer(text, start, place)) - joined
        start = place
        scan.controls.setdefault(line, found.group())


def _refuse_controls(scan: _Scan, file: str) -> None:
    if not scan.controls:
        return
    nul = "\x00" in scan.controls.values()
    raise DataRefused(
        [
            compose_problem(
                "IB-D06" if nul else "IB-D02",
                "refuse",
                file=file,
                what="control characters in the text",
                lines=tuple(scan.controls),
                value="\x00" if nul else next(iter(scan.controls.values())),
                why="A table of posts holds none: the encoding is another one, or the file is damaged.",
                remedy="Remove them, or save the file again as CSV UTF-8.",
            )
        ]
    )


def _cut_word(text: str, place: int) -> str:
    """Return the word around a character, at most 20 characters to each side."""
    before = WORD_END.split(text[max(place - LONGEST_HALF_WORD, 0) : place])[-1]
    return before + WORD_END.split(text[place : place + LONGEST_HALF_WORD])[0]


def _count_line_ends(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")
