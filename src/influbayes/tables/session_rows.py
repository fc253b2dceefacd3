"""Checks across the columns and rows of a session table: clocks, ids, users, channels, ties.

Takes text columns and converted arrays side by side; makes problems (IB-D54 to IB-D62). Knows no file.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from influbayes.tables.cells import BoolArray, IntArray, TextColumn
from influbayes.tables.dates import DateArray
from influbayes.tables.problems import Problem, Rule, compose_problem, quote_value
from influbayes.tables.sessions import MISSING, PLACEHOLDERS

LONGEST_SESSION_HOURS = 24
MOST_LOST_SIGN_UPS = 0.05
SHARED_USER = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The three times of each row (datetime64[s]) with the column that problems point to."""

    column: TextColumn
    event: DateArray
    start: DateArray
    end: DateArray


def judge_clocks(clock: Clock) -> list[Problem]:
    """Return the refusal of sessions that end before they start (IB-D54) and the warnings on clocks (IB-D55)."""
    backwards = clock.end < clock.start
    if backwards.any():
        i = int(np.flatnonzero(backwards)[0])
        shown = f"from {_say_time(clock.start[i])} to {_say_time(clock.end[i])}"
        why = "Swapped columns, or times of two time zones?"
        remedy = "Use --map session_start_ts=NAME --map session_end_ts=NAME, or correct the rows."
        what = "session ends before it starts"
        return [clock.column.report("IB-D54", "refuse", backwards, what=what, why=why, remedy=remedy, example=shown)]
    return [*_warn_outside(clock), *_warn_long(clock)]


def _warn_outside(clock: Clock) -> list[Problem]:
    rows = (clock.event < clock.start) | (clock.event > clock.end)
    if not rows.any():
        return []
    i = int(np.flatnonzero(rows)[0])
    shown = f"event {_say_time(clock.event[i])}, session from {_say_time(clock.start[i])} to {_say_time(clock.end[i])}"
    why = "A clock may be wrong. The rows are kept."
    return [clock.column.report("IB-D55", "warn", rows, what="event_ts outside its session", why=why, example=shown)]


def _warn_long(clock: Clock) -> list[Problem]:
    hours = (clock.end - clock.start) / np.timedelta64(1, "h")
    rows = hours > LONGEST_SESSION_HOURS
    if not rows.any():
        return []
    days = float(np.nanmax(hours)) / 24
    what = f"session longer than {LONGEST_SESSION_HOURS} hours, the longest {days:.1f} days,"
    why = "It was left open, or a clock is wrong. The rows are kept."
    return [clock.column.report("IB-D55", "warn", rows, what=what, why=why, example="")]


def refuse_two_owners(sessions: TextColumn, owners: TextColumn) -> list[Problem]:
    """Return the refusal of session ids that have two users or two channels (IB-D56)."""
    rows = _mark_second(sessions.codes, owners.codes)
    if not rows.any():
        return []
    code = sessions.codes[np.flatnonzero(rows)[0]]
    found = dict.fromkeys(owners.values[owner] for owner in owners.codes[sessions.codes == code])
    named = ", ".join(quote_value(value, limit=20) for value in list(found)[:4])
    what = f"one session with two values of {owners.header}. The later row stands"
    shown = f"{quote_value(sessions.values[code], limit=20)} has {named}"
    why, remedy = "Who gets the credit would depend on the order of rows.", "Give each session its own id."
    return [sessions.report("IB-D56", "refuse", rows, what=what, why=why, remedy=remedy, example=shown)]


def _mark_second(groups: IntArray, kinds: IntArray) -> BoolArray:
    """Rows whose kind differs from that of their group's first row."""
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    return np.asarray(kinds != kinds[first][inverse], dtype=np.bool_)


def reject_without_user(users: TextColumn, sign_ups: IntArray) -> tuple[BoolArray, list[Problem]]:
    """Return the rows without a user, which no journey can hold, and what to say of them (IB-D57).

    Refused where they hold more than 5 % of all sign-ups.
    """
    rows = users.mark_rows([not value.strip() for value in users.values])
    if not rows.any():
        return rows, []
    lost, total = int(sign_ups[rows].sum()), int(sign_ups.sum())
    too_many = lost > MOST_LOST_SIGN_UPS * total
    what = f"no user, rejected, with {lost:,} of {total:,} sign-ups,"
    why = "Without a user the touches before a sign-up are unknown."
    remedy = "Above 5 % of the sign-ups credit would mislead. Fill in the users." if too_many else ""
    rule: Rule = "refuse" if too_many else "warn"
    return rows, [users.report("IB-D57", rule, rows, what=what, why=why, remedy=remedy, example="")]


def warn_shared_users(users: TextColumn, used: BoolArray) -> list[Problem]:
    """Return the warnings on ids that hold more than 10 % of the sessions, as "guest" does (IB-D57)."""
    counts = np.bincount(users.codes[used], minlength=len(users.values))
    shared = np.flatnonzero(counts > SHARED_USER * max(1, int(used.sum())))
    found = []
    for code in shared:
        share = counts[code] / used.sum()
        what = f"{quote_value(users.values[code])} has {share:.0%} of the sessions,"
        why = "An id that many people share merges their journeys into one. The rows are kept."
        rows = (users.codes == code) & used
        found.append(users.report("IB-D57", "warn", rows, what=what, why=why, example=""))
    return found


def note_missing_labels(column: TextColumn) -> list[Problem]:
    """Say how many labels are missing and kept as a level, and warn of words that stand for nothing (IB-D58)."""
    found = []
    empty = column.mark_rows([value == MISSING for value in column.values])
    if empty.any():
        what = f"{int(empty.sum()):,} of {len(empty):,} values missing, kept as the level {MISSING},"
        found.append(column.report("IB-D58", "accept", empty, what=what, example=""))
    for code, value in enumerate(column.values):
        if value.casefold() in PLACEHOLDERS:
            rows = column.codes == code
            if rows.any():
                what = f"{quote_value(value)} stands for an unknown value and is kept as a level,"
                found.append(column.report("IB-D58", "warn", rows, what=what, example=""))
    return found


def note_order(users: IntArray, column: TextColumn, event: DateArray, sign_ups: IntArray) -> list[Problem]:
    """Say what the order of touches rests on: several sign-ups of a user (IB-D59), equal times (IB-D61)."""
    order = np.lexsort((event, users))
    same_user = np.diff(users[order]) == 0
    tied = np.zeros(len(users), dtype=np.bool_)
    tied[order[1:][same_user & (np.diff(event[order]) == np.timedelta64(0, "s"))]] = True
    found = _note_later(users, column, sign_ups)
    if tied.any():
        what = "the same time as another session of the user"
        why = "Such touches are ordered by event_ts, then session start, then session_id."
        found.append(column.report("IB-D61", "warn", tied, what=what, why=why, example=""))
    return found


def _note_later(users: IntArray, column: TextColumn, sign_ups: IntArray) -> list[Problem]:
    per_user = np.bincount(users, sign_ups)
    later = int(np.maximum(per_user - 1, 0).sum())
    if not later:
        return []
    rows = (per_user[users] > 1) & (sign_ups > 0)
    what = f"{later:,} later sign-up{'s' if later > 1 else ''} of {int((per_user > 1).sum()):,} users,"
    why = "The first sign-up ends a journey; the later ones are counted, not credited."
    return [column.report("IB-D59", "accept", rows, what=what, why=why, example="")]


def warn_early_sign_ups(clock: Clock, first_start: DateArray, sign_ups: IntArray) -> list[Problem]:
    """Warn of sign-ups dated before the first touch of their user (IB-D60); `first_start` is per row."""
    rows = (sign_ups > 0) & (clock.event < first_start)
    if not rows.any():
        return []
    why = "No earlier touch: credit from the future is not given, so these sign-ups are counted as uncredited."
    return [clock.column.report("IB-D60", "warn", rows, what="sign-up before the user's first touch", why=why)]


def refuse_nothing_to_share(file: str, channels: TextColumn, used: BoolArray, sign_ups: int) -> list[Problem]:
    """Return the refusal of tables with one channel, or without a sign-up (IB-D62)."""
    present = [channels.values[code] for code in np.unique(channels.codes[used])]
    found = []
    if len(present) < 2:
        only = quote_value(present[0]) if present else "nothing"
        what = f"only {only}: there is nothing to share out"
        remedy = "Give sessions of at least two channels, or map the column with --map channel_id=NAME."
        column = channels.header
        found.append(compose_problem("IB-D62", "refuse", file=file, column=column, what=what, remedy=remedy))
    if not sign_ups:
        what, remedy = "no sign-up in the table: there is nothing to share out", "Check the column Sign_up."
        found.append(compose_problem("IB-D62", "refuse", file=file, what=what, remedy=remedy))
    return found


def _say_time(time: np.datetime64) -> str:
    return "unknown" if np.isnat(time) else str(time).replace("T", " ")
