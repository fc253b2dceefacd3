"""Cells to labels and to the 0/1 outcome: text stays text, only an empty cell is missing, near-duplicates are named.

Takes text columns; knows no model. Labels are never merged.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from influbayes.tables.cells import FloatArray, TextColumn
from influbayes.tables.numbers import PLAIN, report_fault
from influbayes.tables.problems import Problem, quote_value

# Text that other readers turn into a missing value without a word; here it is a level.
LOOKS_MISSING = frozenset(("na", "n/a", "#n/a", "nan", "-nan", "<na>", "null", "none", "nil"))
ID_LIKE = re.compile(r"0[0-9]+|[0-9]{16,}")
CUT_ID = re.compile(r"[0-9][.,][0-9]+[eE]\+[0-9]{2,}")  # what a spreadsheet makes of a long id
LINE_BREAKS = re.compile(r"[\r\n\t]+")
OUTCOME_WORDS = {"yes": 1, "no": 0, "true": 1, "false": 0}
OUTCOME_NUMBER = re.compile(r"([01])(?:\.0*)?")
SHOWN_GROUPS = 4


def read_labels(column: TextColumn, *, allow_empty: bool = False) -> tuple[TextColumn, list[Problem]]:
    """Return the column with labels trimmed and in Unicode form NFC, and its problems and notices.

    Refused: empty labels (IB-D22) unless `allow_empty`. Said: "NA" and the like kept as a level (IB-D20), ids kept as
    text (IB-D27), labels trimmed (IB-D28). Warned: labels alike but for case, accents or blanks (IB-D28), ids that a
    spreadsheet has cut to 1.78E+16 (IB-D27).
    """
    labels = [clean_label(value) for value in column.values]
    problems = [] if allow_empty else _refuse_empty(column, labels)
    cleaned = _merge_values(column, labels)
    problems += _note_trimmed(column, labels) + _warn_cut_ids(cleaned)
    if not allow_empty:
        problems += [*_note_missing_words(cleaned), *_warn_near_duplicates(cleaned)]
    return cleaned, problems + _note_ids(cleaned)


def clean_label(text: str) -> str:
    """Return a label without outer blanks, a line break inside as one blank, in Unicode form NFC."""
    return LINE_BREAKS.sub(" ", unicodedata.normalize("NFC", text)).strip()


def fold_label(label: str) -> str:
    """Return what is left of a label without case, accents, quotes and kinds of blanks: equal means easily confused."""
    apart = unicodedata.normalize("NFKD", label)
    kept = "".join(char for char in apart if unicodedata.category(char) not in ("Mn", "Cf"))
    return re.sub(r"[\s_-]+", " ", kept.casefold().strip("\"' ")).strip() or label


def read_outcome(column: TextColumn) -> tuple[FloatArray, list[Problem]]:
    """Return 0 or 1 a row (NaN where refused): 0/1, 0.0/1.0, yes/no, true/false, whatever the case.

    Refused: empty (IB-D21), not whole (IB-D23), anything else (IB-D33). What words were read as is said (IB-D33).
    """
    texts = [unicodedata.normalize("NFKC", value).strip().casefold() for value in column.values]
    outcomes = [_read_outcome_cell(text) for text in texts]
    codes = [
        "" if found is not None else _name_outcome_fault(text) for text, found in zip(texts, outcomes, strict=True)
    ]
    numbers = np.array([np.nan if found is None else float(found) for found in outcomes])
    problems = [
        report_fault(column, code, [found == code for found in codes]) for code in ("IB-D21", "IB-D23") if code in codes
    ]
    if "IB-D33" in codes:
        problems.append(_refuse_outcome(column, texts, codes))
    return numbers[column.codes], problems + _note_outcome(column, texts, outcomes)


def _read_outcome_cell(text: str) -> int | None:
    number = OUTCOME_NUMBER.fullmatch(text)
    return int(number.group(1)) if number else OUTCOME_WORDS.get(text)


def _name_outcome_fault(text: str) -> str:
    if not text:
        return "IB-D21"
    fraction = PLAIN.fullmatch(text) and float(text) % 1 > 0
    return "IB-D23" if fraction else "IB-D33"


def _refuse_outcome(column: TextColumn, texts: Sequence[str], codes: Sequence[str]) -> Problem:
    coded = {text for text in texts if text} == {"1", "2"}
    return column.report(
        "IB-D33",
        "refuse",
        column.mark_rows([code == "IB-D33" for code in codes]),
        what="neither 0 nor 1",
        why="1/2 coding? It is not known which one means a purchase."
        if coded
        else "The outcome is a purchase or none.",
        remedy="Write 1 for a purchase and 0 for none (yes/no and true/false are read too).",
    )


def _note_outcome(column: TextColumn, texts: Sequence[str], outcomes: Sequence[int | None]) -> list[Problem]:
    counts = column.count_values()
    seen: dict[tuple[int, str], int] = {}
    for value, text, found, count in zip(column.values, texts, outcomes, counts, strict=True):
        if found is not None and text not in ("0", "1"):
            key = (found, value.strip())
            seen[key] = seen.get(key, 0) + int(count)
    if not seen:
        return []
    ordered = sorted(seen.items(), key=lambda item: (-item[0][0], -item[1], item[0][1]))
    words = ", ".join(f"{quote_value(text)} = {found} ({count:,})" for (found, text), count in ordered[:8])
    rows = column.mark_rows(
        [found is not None and text not in ("0", "1") for text, found in zip(texts, outcomes, strict=True)]
    )
    return [column.report("IB-D33", "accept", rows, what=f"outcome read as {words}", example="")]


def _merge_values(column: TextColumn, labels: Sequence[str]) -> TextColumn:
    """The same rows with cleaned labels; values that became equal share a code."""
    distinct = {label: code for code, label in enumerate(dict.fromkeys(labels))}
    recode = np.array([distinct[label] for label in labels], dtype=np.int64)
    return replace(column, codes=recode[column.codes] if len(labels) else column.codes, values=tuple(distinct))


def _refuse_empty(column: TextColumn, labels: Sequence[str]) -> list[Problem]:
    flags = [not label for label in labels]
    if not any(flags):
        return []
    why = "A row without this label cannot enter the model, and no level is made up."
    remedy = 'Write the label, or "unknown" to keep the rows as a level of their own.'
    return [column.report("IB-D22", "refuse", column.mark_rows(flags), what="empty label", why=why, remedy=remedy)]


def _note_trimmed(column: TextColumn, labels: Sequence[str]) -> list[Problem]:
    flags = [bool(label) and label != value for label, value in zip(labels, column.values, strict=True)]
    if not any(flags):
        return []
    return [column.report("IB-D28", "accept", column.mark_rows(flags), what="labels trimmed, in Unicode form NFC,")]


def _note_missing_words(column: TextColumn) -> list[Problem]:
    flags = [label.casefold() in LOOKS_MISSING for label in column.values]
    notices = []
    for i in np.flatnonzero(flags):
        rows = column.codes == i
        what = f"{quote_value(column.values[i])} is a level, not a missing value,"
        notices.append(column.report("IB-D20", "accept", rows, what=what, example=""))
    return notices


def _note_ids(column: TextColumn) -> list[Problem]:
    flags = [ID_LIKE.fullmatch(label) is not None for label in column.values]
    if not any(flags):
        return []
    return [
        column.report("IB-D27", "accept", column.mark_rows(flags), what="ids read as text, digits kept as written,")
    ]


def _warn_cut_ids(column: TextColumn) -> list[Problem]:
    flags = [CUT_ID.fullmatch(label) is not None for label in column.values]
    if not any(flags):
        return []
    what = "ids that a spreadsheet has turned into rounded numbers,"
    why = "The last digits are lost, so two ids may have become one."
    remedy = "Format the column as text where the ids come from, and export again."
    return [column.report("IB-D27", "warn", column.mark_rows(flags), what=what, why=why, remedy=remedy)]


def _warn_near_duplicates(column: TextColumn) -> list[Problem]:
    groups: dict[str, list[int]] = {}
    for i, label in enumerate(column.values):
        if label:
            groups.setdefault(fold_label(label), []).append(i)
    alike = [group for group in groups.values() if len(group) > 1]
    if not alike:
        return []
    counts = column.count_values()
    shown = "; ".join(
        ", ".join(f"{quote_value(column.values[i], limit=24)} ({counts[i]:,})" for i in group[:SHOWN_GROUPS])
        for group in alike[:SHOWN_GROUPS]
    )
    more = f"; and {len(alike) - SHOWN_GROUPS:,} more such groups" if len(alike) > SHOWN_GROUPS else ""
    minor = [i for group in alike for i in sorted(group, key=lambda i: (-counts[i], i))[1:]]
    flags = np.isin(np.arange(len(column.values)), minor)
    return [
        column.report(
            "IB-D28",
            "warn",
            column.mark_rows(flags),
            what=f"labels that are nearly the same are kept apart: {shown}{more}. The rarer ones stand",
            why="Each counts as a level of its own.",
            remedy="If they are one, write them alike in the file.",
        )
    ]
