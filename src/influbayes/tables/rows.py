"""Checks across the columns of a row and across rows: totals, repeats, more swipe-ups than views, two tiers.

Takes text columns and converted arrays side by side; knows the names of the standard columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from influbayes.tables.cells import MOST_LINES, BoolArray, FloatArray, IntArray, TextColumn
from influbayes.tables.dates import DateArray
from influbayes.tables.labels import fold_label
from influbayes.tables.numbers import LARGEST, read_loosely
from influbayes.tables.problems import Problem, compose_problem, quote_value
from influbayes.tables.records import Records

FEWEST_ROWS_FOR_SUM = 2
SHOWN_CREATORS = 4
SHOWN_TIERS = 4


def find_totals(
    records: Records, text_places: Sequence[int], number_places: Sequence[int]
) -> tuple[set[int], list[Problem]]:
    """Return the rows that hold the sum of the others, to be left out of all other checks, and what to say (IB-D30).

    A row is looked at if a text column says "total" or the like, and the last row in any case. Refused if a number in
    it (two, in a row that does not say so) is the sum of all other rows or of those since the last total; a row that
    only says so is warned of.
    """
    wanted = set(text_places)
    said = sorted(i for i, places in records.said_totals.items() if wanted.intersection(places))
    ordinary = np.ones(len(records.lines), dtype=np.bool_)
    ordinary[said] = False
    columns = [_ColumnSums(records, place, ordinary) for place in number_places]
    sums: list[int] = []
    start = 0
    for i in said:
        if any(column.is_sum(i, start) for column in columns):
            sums.append(i)
        start = i + 1
    last = len(records.lines) - 1
    if last not in said and sum(column.is_silent_sum(last) for column in columns) >= 2:
        sums.append(last)
    kept = [i for i in said if i not in set(sums)]
    problems = [_refuse_totals(records, sums)] if sums else []
    return set(sums), problems + ([_warn_totals(records, kept)] if kept else [])


class _ColumnSums:
    """Numbers of one column, and their running sum and count over the rows that do not say they are a total."""

    def __init__(self, records: Records, place: int, ordinary: BoolArray) -> None:
        found = records.cells[place]
        self.numbers = _read_values_loosely(found.values)[found.codes]
        kept = np.where(ordinary & np.isfinite(self.numbers), self.numbers, 0.0)
        self.kept = kept
        self.sums = np.concatenate([[0.0], np.cumsum(kept)])
        self.counts = np.concatenate([[0], np.cumsum(ordinary)])

    def is_sum(self, i: int, start: int) -> bool:
        """Whether row i, which says it is a total, is the sum of the rows from `start` on or of all."""
        return self._equals(i, start, i) or self._equals(i, 0, len(self.kept))

    def is_silent_sum(self, last: int) -> bool:
        """Whether the last row is the sum of those above."""
        return self._equals(last, 0, last)

    def _equals(self, i: int, start: int, stop: int) -> bool:
        claimed = self.numbers[i]
        if self.counts[stop] - self.counts[start] < FEWEST_ROWS_FOR_SUM or not claimed > 0:
            return False
        if abs(claimed - (self.sums[stop] - self.sums[start])) > 1e-9 * claimed:
            return False
        # A sum of several amounts is larger than each; 1 = 1 + 0 in a 0/1 column proves nothing.
        others = np.delete(self.kept[start:stop], [i - start] if start <= i < stop else [])
        return bool(claimed > others.max())


def _read_values_loosely(values: Sequence[str]) -> FloatArray:
    try:
        numbers = np.array(list(map(float, values)), dtype=np.float64)
    except ValueError:  # some value is not plain
        numbers = np.array([read_loosely(value) for value in values], dtype=np.float64)
    return np.where(np.abs(numbers) <= LARGEST, numbers, np.nan)


def _refuse_totals(records: Records, rows: Sequence[int]) -> Problem:
    return compose_problem(
        "IB-D30",
        "refuse",
        file=records.file,
        what="a total: the sum of other rows",
        lines=[int(records.lines[i]) for i in rows],
        unit=records.unit,
        value=records.delimiter.join(records.shown[rows[0]]),
        why="It would count every post twice.",
        remedy="Remove it.",
    )


def _warn_totals(records: Records, rows: Sequence[int]) -> Problem:
    return compose_problem(
        "IB-D30",
        "warn",
        file=records.file,
        what="says it is a total, but is not the sum of other rows, and is used as a post,",
        lines=[int(records.lines[i]) for i in rows],
        unit=records.unit,
        value=records.delimiter.join(records.shown[rows[0]]),
        remedy="Remove it if it is not a post.",
    )


def warn_repeats(records: Records, posts: TextColumn | None) -> list[Problem]:
    """Return warnings about repeated rows and repeated Post_IDs (IB-D29); none is removed."""
    _, first, same = np.unique(records.fingerprints, return_index=True, return_inverse=True)
    origins = first[same]
    repeats = np.flatnonzero(origins != np.arange(len(origins)))
    found: list[Problem] = []
    if len(repeats):
        found.append(
            compose_problem(
                "IB-D29",
                "warn",
                file=records.file,
                what="repeats of an earlier row",
                lines=records.lines[repeats[:MOST_LINES]].tolist(),
                count=len(repeats),
                unit=records.unit,
                example=f"the same as {records.unit} {records.lines[origins[repeats[0]]]}",
                why="Counted twice, a post makes the answer too sure. None was removed.",
                remedy="Remove them if they are the same posts.",
            )
        )
    return found + (_warn_repeated_ids(posts, repeats) if posts else [])


def _warn_repeated_ids(posts: TextColumn, repeats: IntArray) -> list[Problem]:
    later = np.ones(len(posts.codes), dtype=np.bool_)
    later[np.unique(posts.codes, return_index=True)[1]] = False
    later &= posts.mark_rows([bool(value) for value in posts.values])
    later[repeats] = False
    if not later.any():
        return []
    why = "Two rows of one post make the answer too sure. None was removed."
    remedy = "Keep one row for each post."
    what = "the same id as an earlier row, with other values,"
    return [posts.report("IB-D29", "warn", later, what=what, why=why, remedy=remedy)]


def refuse_larger(part: TextColumn, whole: TextColumn, larger: BoolArray, *, why: str) -> list[Problem]:
    """Return the refusal of rows in which a part is larger than its whole (IB-D34)."""
    if not larger.any():
        return []
    i = int(np.flatnonzero(larger)[0])
    shown = ", ".join(f"{col.header}={col.values[col.codes[i]].strip()}" for col in (part, whole))
    remedy = f"Columns swapped? Use --map {whole.name}=NAME --map {part.name}=NAME, or correct the rows."
    what = f"larger than {whole.header}"
    return [part.report("IB-D34", "refuse", larger, what=what, why=why, remedy=remedy, example=shown)]


def warn_without_swipe(
    swipes: TextColumn, bought: FloatArray, swipe_ups: FloatArray, tiers: TextColumn | None
) -> list[Problem]:
    """Return the warning about purchases without a swipe-up (IB-D36), counted by tier where there is one."""
    rows = (bought > 0) & (swipe_ups == 0)
    if not rows.any():
        return []
    by_tier = ""
    if tiers is not None:
        counts = np.bincount(tiers.codes[rows], minlength=len(tiers.values))
        named = [
            f"{quote_value(tiers.values[i])} {counts[i]:,}" for i in np.argsort(-counts, kind="stable") if counts[i]
        ]
        by_tier = f" ({', '.join(named[:8])})"
    why = "People bought by another route, or tracking was lost. The posts are kept."
    return [swipes.report("IB-D36", "warn", rows, what=f"bought without a swipe-up{by_tier}", why=why, example="")]


def warn_no_views(views: TextColumn, numbers: FloatArray) -> list[Problem]:
    """Return the warning about posts that nobody saw (IB-D35); they are kept."""
    if not (numbers == 0).any():
        return []
    why = "A post without views says little. The rows are kept."
    return [views.report("IB-D35", "warn", numbers == 0, what="0 views", why=why, example="")]


def judge_tiers(creators: TextColumn, tiers: TextColumn, days: DateArray | None) -> list[Problem]:
    """Return what to say about creators with more than one tier (IB-D38): refused where both fall on one day."""
    folded = {fold: code for code, fold in enumerate(dict.fromkeys(fold_label(value) for value in tiers.values))}
    kinds = np.array([folded[fold_label(value)] for value in tiers.values], dtype=np.int64)[tiers.codes]
    named = creators.mark_rows([bool(value) for value in creators.values])
    if days is not None:
        dated = named & ~np.isnat(days)
        day_codes = np.unique(days, return_inverse=True)[1]
        same_day = _mark_several(creators.codes * (len(days) + 1) + day_codes, kinds, dated)
        if same_day.any():
            return [_report_tiers(creators, tiers, same_day, same_day=True)]
    several = _mark_several(creators.codes, kinds, named)
    return [_report_tiers(creators, tiers, several, same_day=False)] if several.any() else []


def _mark_several(groups: IntArray, kinds: IntArray, rows: BoolArray) -> BoolArray:
    """Rows of a group whose kind is not that of the group's first row."""
    marked = np.zeros(len(groups), dtype=np.bool_)
    places = np.flatnonzero(rows)
    if len(places):
        _, first, inverse = np.unique(groups[places], return_index=True, return_inverse=True)
        marked[places] = kinds[places] != kinds[places][first][inverse]
    return marked


def _report_tiers(creators: TextColumn, tiers: TextColumn, rows: BoolArray, *, same_day: bool) -> Problem:
    concerned = list(dict.fromkeys(creators.codes[rows].tolist()))
    shown = "; ".join(_count_tiers(creators, tiers, code) for code in concerned[:SHOWN_CREATORS])
    more = f"; and {len(concerned) - SHOWN_CREATORS:,} more" if len(concerned) > SHOWN_CREATORS else ""
    return creators.report(
        "IB-D38",
        "refuse" if same_day else "warn",
        rows,
        what=f"{'two tiers on one day' if same_day else 'two tiers'} ({shown}{more}). The later tier stands",
        why="A creator has one tier at a time." if same_day else "The creator's own effect may absorb the difference.",
        remedy="Correct the tier or the id." if same_day else "Correct the tier unless the creator has moved.",
        example="",
    )


def _count_tiers(creators: TextColumn, tiers: TextColumn, code: int) -> str:
    counts = np.bincount(tiers.codes[creators.codes == code], minlength=len(tiers.values))
    order = [i for i in np.argsort(-counts, kind="stable") if counts[i]]
    shown = ", ".join(f"{quote_value(tiers.values[i])} {counts[i]:,}" for i in order[:SHOWN_TIERS])
    return f"{quote_value(creators.values[code])}: {shown}"


def reject_without_trials(trials: TextColumn, numbers: FloatArray) -> tuple[BoolArray, list[Problem]]:
    """Return the rows with 0 trials, which say nothing and are rejected, and the warning about them (IB-D35)."""
    rows = numbers == 0
    if not rows.any():
        return rows, []
    if rows.all():
        what, why = "0 trials in every row", "There is nothing to learn from."
        remedy = f"Map the right column with --map {trials.name}=NAME."
        return rows, [trials.report("IB-D35", "refuse", rows, what=what, why=why, remedy=remedy, example="")]
    why = "Without trials there is nothing to count. The rows are left out."
    return rows, [trials.report("IB-D35", "warn", rows, what="0 trials, rejected,", why=why, example="")]
