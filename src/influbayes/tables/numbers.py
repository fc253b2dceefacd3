"""Cells to numbers: plain numbers, one way of grouping thousands, decimal commas; what is ambiguous is refused.

Takes distinct text cells of one column; knows counts, measurements and money, and no column by name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from influbayes.tables.cells import FloatArray, TextColumn
from influbayes.tables.problems import Problem, quote_value

Kind = Literal["count", "number", "money"]

COMMA_DELIMITERS = frozenset((";", "\t"))  # files split by these may have decimal commas
LARGEST = 1e12  # above this a "count" is an id, and float64 no longer holds sums of squares well

# Each pattern can match a text in one way only, so that long cells take time in proportion to their length.
PLAIN = re.compile(r"\s*[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*")
WHOLE = re.compile(r"\s*\+?[0-9]+\s*")
NOT_FINITE = re.compile(r"[+-]?(?:inf|infinity|nan|∞)", re.IGNORECASE)
POINT_AS_GROUP = re.compile(r"[+-]?[1-9][0-9]{0,2}\.[0-9]{3}")
COMMA_AS_GROUP = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")
POINT_DECIMALS = re.compile(r"[+-]?[0-9]*\.[0-9]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Style:
    """One way to write numbers: the mark between groups of three digits and the decimal mark."""

    group: str
    decimal: str

    def fits(self, text: str) -> bool:
        group, decimal = re.escape(self.group), re.escape(self.decimal)
        grouped = rf"[1-9][0-9]{{0,2}}(?:{group}[0-9]{{3}})+" if self.group else "[0-9]+"
        plain = "|[0-9]+" if self.decimal == "," else ""
        return re.fullmatch(rf"[+-]?(?:{grouped}{plain})(?:{decimal}[0-9]+)?", text) is not None

    def read(self, text: str) -> float:
        return float((text.replace(self.group, "") if self.group else text).replace(self.decimal, "."))


WITH_POINT = tuple(_Style(group=group, decimal=".") for group in (",", " ", "'"))
POINT_GROUPS = _Style(group=".", decimal=",")
WITH_COMMA = tuple(_Style(group=group, decimal=",") for group in ("", " ", "'"))


@dataclass(slots=True)
class _Reading:
    """What each distinct value became: a number or the code of its fault, and the style that was found."""

    numbers: FloatArray
    faults: list[str]
    style: _Style | None = None
    restyled: list[int] | None = None


def read_numbers(column: TextColumn, *, kind: Kind, missing: str = "IB-D22") -> tuple[FloatArray, list[Problem]]:
    """Return one float a row (NaN where refused) and the problems and notices of the column.

    Parameters
    ----------
    column
        The text cells.
    kind
        "count": whole numbers from 0; "number": any finite number; "money": a finite number, in which
        ``1.500`` throughout is as ambiguous as in a count.
    missing
        Code of an empty cell: IB-D21 where the column is the outcome, "" where empty cells are allowed.
    """
    if all(map(PLAIN.fullmatch, column.values)) and not _needs_care(column.values, kind):
        reading = _Reading(numbers=np.array(list(map(float, column.values))), faults=[""] * len(column.values))
    else:
        reading = _read_carefully(column, kind)
    _judge_numbers(reading, kind)
    problems = _report_faults(column, reading, missing) + _report_accepted(column, reading, kind)
    return reading.numbers[column.codes], problems


def read_loosely(text: str) -> float:
    """Return the number of a plain or comma-grouped cell, NaN for anything else; for comparing sums only."""
    bare = _clean(text).replace(",", "").replace(" ", "")
    return float(bare) if PLAIN.fullmatch(bare) else float("nan")


def _needs_care(values: Sequence[str], kind: Kind) -> bool:
    return kind != "number" and any("." in value for value in values)


def _clean(text: str) -> str:
    """Fold full-width digits, special blanks, the true minus and typographic apostrophes to plain ones."""
    folded = unicodedata.normalize("NFKC", text).strip()
    return folded.replace("\u2212", "-").replace("\u2019", "'")


def _read_carefully(column: TextColumn, kind: Kind) -> _Reading:
    texts = [_clean(value) for value in column.values]
    reading = _Reading(numbers=np.full(len(texts), np.nan), faults=[""] * len(texts))
    candidates: list[int] = []
    for i, text in enumerate(texts):
        if PLAIN.fullmatch(text):
            reading.numbers[i] = float(text)
        elif not text:
            reading.faults[i] = "missing"
        elif NOT_FINITE.fullmatch(text):
            reading.faults[i] = "IB-D25"
        elif re.fullmatch(r"[+-]?[0-9][0-9.,' ]*", text):
            candidates.append(i)
        else:
            reading.faults[i] = "IB-D19"
    _read_styled(reading, texts, candidates, column.delimiter)
    if column.delimiter in COMMA_DELIMITERS:
        _refuse_unclear_commas(reading, texts, kind, column.delimiter)
    _refuse_unclear_points(reading, texts, kind)
    return reading


def _read_styled(reading: _Reading, texts: list[str], candidates: list[int], delimiter: str) -> None:
    styles = (*WITH_POINT, POINT_GROUPS, *(WITH_COMMA if delimiter in COMMA_DELIMITERS else ()))
    fits = {style: [i for i in candidates if style.fits(texts[i])] for style in styles}
    best = max(styles, key=lambda style: len(fits[style]))
    if delimiter not in COMMA_DELIMITERS and best is POINT_GROUPS and any("," in texts[i] for i in fits[best]):
        fits[best] = [i for i in fits[best] if "," not in texts[i]]
    readable = {i for found in fits.values() for i in found}
    for i in candidates:
        if i in fits[best]:
            reading.numbers[i] = best.read(texts[i])
        else:
            reading.faults[i] = "IB-D17" if i in readable else "IB-D19"
    if fits[best]:
        reading.style, reading.restyled = best, fits[best]


def _refuse_unclear_commas(reading: _Reading, texts: list[str], kind: Kind, delimiter: str) -> None:
    """In a file split by semicolons or tabs a comma may be the decimal mark: 1,234 needs another cell that decides.

    Files split by tabs come from both sides of the ocean: a count of 18,250 is no whole number unless the comma groups.
    """
    unclear = [i for i, text in enumerate(texts) if COMMA_AS_GROUP.fullmatch(text)]
    if delimiter == "\t" and kind == "count" and any(not texts[i].endswith(",000") for i in unclear):
        return
    proves_group = any(re.fullmatch(r"[+-]?[0-9]{1,3}(?:,[0-9]{3}){2,}", text) for text in texts)
    proves_decimal = any("," in text and not reading.faults[i] for i, text in enumerate(texts) if i not in unclear)
    if proves_group or (proves_decimal and kind != "count"):
        return
    for i in unclear:
        reading.faults[i], reading.numbers[i] = "IB-D18", np.nan


def _refuse_unclear_points(reading: _Reading, texts: list[str], kind: Kind) -> None:
    """12.000 in a count is twelve or twelve thousand, unless a cell such as 1.234.567 decides."""
    pointed = [i for i, text in enumerate(texts) if POINT_DECIMALS.fullmatch(text) and not reading.faults[i]]
    unclear = [i for i in pointed if POINT_AS_GROUP.fullmatch(texts[i])]
    if reading.style is not None and reading.style.group == ".":
        for i in unclear:
            reading.numbers[i] = POINT_GROUPS.read(texts[i])
        refused = [i for i in pointed if i not in unclear]
    elif reading.style is not None and reading.style.decimal == ",":
        refused = pointed
    elif kind == "number" or (kind == "money" and len(unclear) < len(pointed)):
        refused = []
    else:
        refused = unclear
    for i in refused:
        reading.faults[i], reading.numbers[i] = "IB-D18", np.nan


def _judge_numbers(reading: _Reading, kind: Kind) -> None:
    numbers, faults = reading.numbers, reading.faults
    known = np.array([not fault for fault in faults], dtype=np.bool_)
    checks = [("IB-D25", ~np.isfinite(numbers)), ("IB-D26", np.abs(numbers) > LARGEST)]
    if kind == "count":
        checks += [("IB-D24", numbers < 0), ("IB-D23", numbers != np.floor(numbers))]
    for code, failed in checks:
        for i in np.flatnonzero(known & failed):
            faults[i] = faults[i] or code
    numbers[[bool(fault) for fault in faults]] = np.nan


# Code -> what, why, remedy. {column} is the header in the file.
FAULTS: dict[str, tuple[str, str, str]] = {
    "IB-D17": (
        "thousands are grouped in more than one way",
        "Only one way of grouping can be right in one column.",
        "Write the numbers without grouping.",
    ),
    "IB-D18": (
        "the mark in a number can mean a decimal or a thousand",
        "One reading is a thousand times the other (twelve or twelve thousand?).",
        "Write whole numbers without any mark, and one decimal mark throughout.",
    ),
    "IB-D19": (
        "not a number",
        "This column holds numbers only.",
        "Correct the cells, or map another column with --map {name}=NAME.",
    ),
    "IB-D23": (
        "not a whole number",
        "Counts and 0/1 outcomes are whole, and are never cut off or rounded here.",
        "Correct the cells, or map another column with --map {name}=NAME.",
    ),
    "IB-D24": ("below 0", "A count cannot be negative.", "Correct the rows, or remove them."),
    "IB-D25": ("not finite", "Infinite and not-a-number values cannot be fitted.", "Correct the cells."),
    "IB-D26": (
        "above 1,000,000,000,000. Is this an id? The value stands",
        "No post has so many.",
        "Map the right column with --map {name}=NAME, or correct the cells.",
    ),
    "IB-D21": (
        "empty outcome",
        "Empty is not 0: an outcome is never filled in or dropped here.",
        "Write the outcome, or remove posts whose outcome is not known yet.",
    ),
    "IB-D22": (
        "empty cell",
        "A post without this number cannot enter the model, and no value is made up.",
        "Write the number, or remove the rows.",
    ),
}


def _report_faults(column: TextColumn, reading: _Reading, missing: str) -> list[Problem]:
    named = [missing if fault == "missing" else fault for fault in reading.faults]
    return [report_fault(column, code, [fault == code for fault in named]) for code in sorted(set(named) - {""})]


def report_fault(column: TextColumn, code: str, flags: Sequence[bool]) -> Problem:
    """Return the refusal of the flagged distinct values under a code of `FAULTS`."""
    what, why, remedy = FAULTS[code]
    rows = column.mark_rows(flags)
    return column.report(code, "refuse", rows, what=what, why=why, remedy=remedy.format(name=column.name))


def _report_accepted(column: TextColumn, reading: _Reading, kind: Kind) -> list[Problem]:
    found: list[Problem] = []
    styled = [i for i in reading.restyled or [] if not reading.faults[i]]
    if styled and reading.style is not None:
        what = f"numbers written like {_show(column, reading, styled[0])}"
        flags = np.isin(np.arange(len(column.values)), styled)
        found.append(column.report("IB-D17", "accept", column.mark_rows(flags), what=what))
    if kind == "count":
        pointed = [
            i
            for i, value in enumerate(column.values)
            if not WHOLE.fullmatch(value) and not reading.faults[i] and i not in styled
        ]
        if pointed:
            what = f"whole numbers written like {_show(column, reading, pointed[0])}"
            flags = np.isin(np.arange(len(column.values)), pointed)
            found.append(column.report("IB-D18", "accept", column.mark_rows(flags), what=what))
    return found


def _show(column: TextColumn, reading: _Reading, i: int) -> str:
    return f"{quote_value(column.values[i].strip())}, read as {reading.numbers[i]:.15g},"
