"""What can be wrong with a table or a specification, and how it is said.

A `Problem` names code, file, column, lines, value, reason and remedy. Readers collect problems and raise them once.
Codes are those of the fault list (IB-D01 ...) and are never renumbered. This module takes finished words and numbers;
it knows no file and no column.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Rule = Literal["refuse", "warn", "accept"]
Unit = Literal["line", "row"]  # lines of a text file; rows of a sheet or of a table without a header line

LONGEST_MESSAGE = 600
LONGEST_VALUE = 40
LONGEST_FILE_NAME = 60
EXAMPLES = 5
NOTHING_FITTED = "Nothing was fitted."


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One fault: `refuse` stops the run, `warn` and `accept` are reported and the run goes on.

    `code` is for example "IB-D34"; `lines` are lines of the file with the header as line 1 (all of them, `count` may be
    larger when lines are unknown); `value` is the first offending raw value; `message` is everything after
    "CODE FILE, COLUMN: ", reason and remedy included, already quoted and at most 600 characters. For a workbook `lines`
    are rows of the sheet, for Parquet and SQL numbers of rows from 1; the message says "row" there.
    """

    code: str
    rule: Rule
    file: str
    message: str
    column: str | None = None
    lines: tuple[int, ...] = ()
    value: str | None = None
    count: int = 1

    def __str__(self) -> str:
        return _prefix(self.code, self.file, self.column) + self.message


def escape_text(text: str, *, limit: int = LONGEST_VALUE) -> str:
    """Return `text` on one line, what cannot be printed written as an escape, cut after `limit` characters.

    Control characters, line ends, invisible and direction-changing characters become ``\\n``, ``\\x1b``, ``\\u202e``
    and so on, so that a message can neither move the cursor nor hide a character.

    Examples
    --------
    >>> escape_text("Mega\\t")
    'Mega\\\\t'
    """
    parts: list[str] = []
    room = limit
    for character in text:
        part = _escape_character(character)
        if len(part) > room:
            return "".join(parts) + "…"
        parts.append(part)
        room -= len(part)
    return "".join(parts)


def quote_value(text: str, *, limit: int = LONGEST_VALUE) -> str:
    """Return `text` in double quotes, escaped, cut after `limit` characters: how every raw value is shown.

    Parameters
    ----------
    text
        The raw value of a cell, a header or a path.
    limit
        Characters shown before "…"; 40 unless told.

    Examples
    --------
    >>> quote_value("Méga ")
    '"Méga "'
    """
    return f'"{escape_text(text, limit=limit)}"'


def describe_lines(lines: Sequence[int], *, unit: Unit = "line", count: int | None = None) -> str:
    """Return "line 14" or "lines 14, 88, 201", at most five of them, then how many more of `count` there are."""
    whole = len(lines) if count is None else count
    shown = ", ".join(str(line) for line in lines[:EXAMPLES])
    more = f" and {whole - EXAMPLES:,} more" if whole > EXAMPLES else ""
    return f"{unit}{'s' if whole > 1 else ''} {shown}{more}"


def count_rows(count: int) -> str:
    """Return "1 row" or "1,234 rows"."""
    return f"{count:,} row{'' if count == 1 else 's'}"


def list_values(values: Iterable[str], *, most: int = EXAMPLES) -> str:
    """Return quoted values separated by commas, at most `most` of them, then how many more there are."""
    every = list(values)
    more = f" and {len(every) - most:,} more" if len(every) > most else ""
    return ", ".join(quote_value(value) for value in every[:most]) + more


def compose_problem(
    code: str,
    rule: Rule,
    *,
    file: str,
    what: str,
    why: str = "",
    remedy: str = "",
    column: str | None = None,
    lines: Sequence[int] = (),
    value: str | None = None,
    example: str | None = None,
    count: int | None = None,
    unit: Unit = "line",
) -> Problem:
    """Return a problem worded as all others: what and where, why it matters, what to do.

    Parameters
    ----------
    code, rule
        Code of the fault list and whether it stops the run.
    file, column
        Name of the file (never a path) and the header of the column in that file.
    what, why, remedy
        What is wrong without a full stop; full sentences for the reason and for an edit or option that exists.
    lines
        Lines of the file with the fault, header = line 1; the first five are shown.
    value
        First offending raw value. Shown quoted unless `example` says something else.
    example
        What the first line holds, already quoted, for example ``Swipe_Ups=120, Story_Views=100``; "" shows nothing.
    count
        Rows concerned, where that is not the number of `lines`.
    unit
        What `lines` counts.

    Returns
    -------
    Problem
        Its text is at most 600 characters long, prefix included; refusals end with "Nothing was fitted."
    """
    found = sorted(lines)
    shown = example if example is not None else ("" if value is None else quote_value(value))
    first_sentence = f"{what}{_place(found, shown, unit, max(count or 0, len(found)))}."
    rest = " ".join(part for part in (why, remedy, NOTHING_FITTED if rule == "refuse" else "") if part)
    room = LONGEST_MESSAGE - len(_prefix(code, file, column)) - len(rest) - 1
    if len(first_sentence) > room:
        first_sentence = first_sentence[: max(room - 1, 1)] + "…"
    return Problem(
        code=code,
        rule=rule,
        file=file,
        column=column,
        message=f"{first_sentence} {rest}".strip(),
        lines=tuple(found),
        value=value,
        count=len(found) if count is None and found else (1 if count is None else count),
    )


def sort_problems(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return the problems in line order; those of the whole file first, equal lines by column and code."""
    return tuple(sorted(problems, key=lambda found: (found.lines[:1] or (0,), found.column or "", found.code)))


def _prefix(code: str, file: str, column: str | None) -> str:
    name = escape_text(file, limit=LONGEST_FILE_NAME)
    return f"{code} {name}: " if not column else f"{code} {name}, {escape_text(column)}: "


def _place(lines: Sequence[int], example: str, unit: Unit, count: int) -> str:
    if not lines:
        return f": {example}" if example else ""
    if count == 1:
        return f" in 1 row ({unit} {lines[0]}{': ' if example else ''}{example})"
    tail = f"; {unit} {lines[0]}: {example}" if example else ""
    return f" in {count_rows(count)} ({describe_lines(lines, unit=unit, count=count)}{tail})"


def _escape_character(character: str) -> str:
    if character.isprintable():
        return {'"': '\\"', "\\": "\\\\"}.get(character, character)
    return character.encode("unicode_escape").decode("ascii")
