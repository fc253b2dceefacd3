"""Each session fault, planted in clean generated journeys at random places, is found in its column and line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from influbayes.errors import DataRefused
from influbayes.tables.problems import Problem
from influbayes.tables.session_reader import read_sessions

SEEDS = range(20)
HEADER = [
    "session_id",
    "user_id",
    "event_ts",
    "session_start_ts",
    "session_end_ts",
    "channel_id",
    "utm_source",
    "country",
    "Sign_up",
]
SESSION, USER, EVENT, START, END, CHANNEL, SOURCE, COUNTRY, SIGNED = range(9)
OPENING = datetime(2026, 1, 1, 8)


@dataclass
class Draft:
    """A table of sessions being spoiled: what was planted where."""

    rng: np.random.Generator
    rows: list[list[str]]
    header: list[str] = field(default_factory=lambda: list(HEADER))
    column: str | None = None
    lines: list[int] = field(default_factory=list)

    def note(self, place: int | None, *rows: int) -> None:
        self.column, self.lines = None if place is None else HEADER[place], [i + 2 for i in rows]

    def pick(self, wanted: Callable[[list[str]], bool] = lambda row: True) -> int:
        return int(self.rng.choice([i for i, row in enumerate(self.rows) if wanted(row)]))

    def add(self, row: list[str]) -> int:
        self.rows.append(row)
        return len(self.rows) - 1


def draw_clean(seed: int) -> Draft:
    """Journeys of 1 to 4 sessions, at most one sign-up a user and that in the last session: nothing to say."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(int(rng.integers(40, 60))):
        touches = int(rng.integers(1, 5))
        days = np.sort(rng.choice(60, touches, replace=False))
        signs = user < 3 or rng.random() < 0.4
        for k, day in enumerate(days):
            start = OPENING + timedelta(days=int(day), minutes=int(rng.integers(600)))
            event, end = (start + timedelta(minutes=int(rng.integers(*span))) for span in ((0, 10), (10, 90)))
            channel = ("search", "social", "direct", "mail")[(user + k) % 4]
            source, country = str(rng.choice(["google", "bing", "reddit"])), str(rng.choice(["DE", "FR", "TR"]))
            signed = int(signs and k == touches - 1)
            row = [f"s{len(rows)}", f"u{user}", str(event), str(start), str(end), channel, source, country, str(signed)]
            rows.append(row)
    return Draft(rng=rng, rows=rows)


def is_quiet(row: list[str]) -> bool:
    return row[SIGNED] == "0"


def is_signed(row: list[str]) -> bool:
    return row[SIGNED] == "1"


def shift(text: str, **by: int) -> str:
    return str(datetime.fromisoformat(text) + timedelta(**by))


Injector = Callable[[Draft], None]


def put(place: int, values: list[str], wanted: Callable[[list[str]], bool] = lambda row: True) -> Injector:
    def inject(draft: Draft) -> None:
        i = draft.pick(wanted)
        draft.rows[i][place] = values[int(draft.rng.integers(len(values)))]
        draft.note(place, i)

    return inject


def plant_backwards(draft: Draft) -> None:
    i = draft.pick()
    draft.rows[i][END] = shift(draft.rows[i][START], minutes=-int(draft.rng.integers(1, 300)))
    draft.note(END, i)


def plant_second_owner(place: int) -> Injector:
    def inject(draft: Draft) -> None:
        row = list(draft.rows[draft.pick(is_quiet)])
        row[place] = "other"
        draft.note(SESSION, draft.add(row))

    return inject


def plant_lost_sign_ups(draft: Draft) -> None:
    signed = [i for i, row in enumerate(draft.rows) if is_signed(row)]
    lost = sorted(draft.rng.choice(signed, max(2, len(signed) // 4), replace=False).tolist())
    for i in lost:
        draft.rows[i][USER] = ""
    draft.note(USER, *lost)


def plant_one_channel(draft: Draft) -> None:
    for row in draft.rows:
        row[CHANNEL] = "search"
    draft.note(CHANNEL)


def plant_no_sign_up(draft: Draft) -> None:
    for row in draft.rows:
        row[SIGNED] = "0"
    draft.note(None)


def plant_missing_column(draft: Draft) -> None:
    place = int(draft.rng.choice([SESSION, USER, EVENT, CHANNEL, SIGNED]))
    draft.header[place] = f"Spalte{place}"
    draft.note(place)
    draft.lines = [1]


def plant_offset(draft: Draft) -> None:
    i = draft.pick()
    draft.rows[i][EVENT] += "+02:00"
    draft.note(EVENT, i)


def plant_day_or_month(draft: Draft) -> None:
    for row in draft.rows:
        time = datetime.fromisoformat(row[EVENT])
        row[EVENT] = f"{(time.day - 1) % 12 + 1:02}/{time.month:02}/2026 {time:%H:%M:%S}"
    draft.note(EVENT, *range(len(draft.rows)))


REFUSED: dict[str, tuple[str, Injector]] = {
    "session ends before it starts": ("IB-D54", plant_backwards),
    "session of two users": ("IB-D56", plant_second_owner(USER)),
    "session of two channels": ("IB-D56", plant_second_owner(CHANNEL)),
    "sign-ups without user": ("IB-D57", plant_lost_sign_ups),
    "one channel": ("IB-D62", plant_one_channel),
    "no sign-up": ("IB-D62", plant_no_sign_up),
    "no such session column": ("IB-D14", plant_missing_column),
    "session without id": ("IB-D22", put(SESSION, ["", " "])),
    "sign-up empty": ("IB-D21", put(SIGNED, ["", " "])),
    "sign-up not 0/1": ("IB-D33", put(SIGNED, ["2", "maybe", "50%"])),
    "sign-up not whole": ("IB-D23", put(SIGNED, ["1.5", "0.25"])),
    "no time": ("IB-D31", put(EVENT, ["soon", "2026-02-30 10:00:00", "", "2026-01-02 25:00:00"])),
    "day or month in times": ("IB-D31", plant_day_or_month),
    "offset on one time": ("IB-D32", plant_offset),
}


def plant_outside(draft: Draft) -> None:
    i = draft.pick(is_quiet)
    row = draft.rows[i]
    row[EVENT] = shift(row[END], minutes=1) if draft.rng.random() < 0.5 else shift(row[START], minutes=-1)
    draft.note(END, i)


def plant_long(draft: Draft) -> None:
    i = draft.pick()
    draft.rows[i][END] = shift(draft.rows[i][START], hours=int(draft.rng.integers(25, 200)))
    draft.note(END, i)


def plant_guest(draft: Draft) -> None:
    """One id for many sessions, none of which signs up."""
    rows = [i for i, row in enumerate(draft.rows) if is_quiet(row)]
    rows = sorted(draft.rng.choice(rows, len(draft.rows) // 5, replace=False).tolist())
    for i in rows:
        draft.rows[i][USER] = "guest"
    draft.note(USER, *rows)


def plant_later_sign_up(draft: Draft) -> None:
    i = draft.pick(is_signed)
    row = list(draft.rows[i])
    row[SESSION] = "again"
    row[EVENT:CHANNEL] = [shift(time, days=2) for time in row[EVENT:CHANNEL]]
    draft.note(EVENT, i, draft.add(row))


def plant_early_sign_up(draft: Draft) -> None:
    start = "2026-02-01 12:00:00"
    row = ["early", "early", shift(start, hours=-2), start, shift(start, hours=1), "search", "google", "DE", "1"]
    draft.note(EVENT, draft.add(row))


def plant_tie(draft: Draft) -> None:
    row = list(draft.rows[draft.pick()])
    row[SESSION], row[SIGNED] = "tied", "0"
    draft.note(EVENT, draft.add(row))


def plant_second_event(draft: Draft) -> None:
    row = list(draft.rows[draft.pick(is_quiet)])
    row[EVENT] = shift(row[EVENT], seconds=1)
    draft.note(SESSION, draft.add(row))


SAID: dict[str, tuple[str, str, Injector]] = {
    "event outside its session": ("IB-D55", "warn", plant_outside),
    "session of days": ("IB-D55", "warn", plant_long),
    "second event of a session": ("IB-D56", "accept", plant_second_event),
    "no user": ("IB-D57", "warn", put(USER, ["", " "], is_quiet)),
    "shared user": ("IB-D57", "warn", plant_guest),
    "no channel": ("IB-D58", "accept", put(CHANNEL, ["", " "])),
    "no source": ("IB-D58", "accept", put(SOURCE, ["", " "])),
    "placeholder": ("IB-D58", "warn", put(SOURCE, ["blank", "(not set)", "undefined"])),
    "later sign-up": ("IB-D59", "accept", plant_later_sign_up),
    "sign-up before its touch": ("IB-D60", "warn", plant_early_sign_up),
    "equal times": ("IB-D61", "warn", plant_tie),
    "near-duplicate channel": ("IB-D28", "warn", put(CHANNEL, ["Search", "SOCIAL", "dírect"])),
}


FAULT_NAMES = (*REFUSED, *SAID)


def judge(draft: Draft, path: Path) -> tuple[bool, tuple[Problem, ...]]:
    path.write_text("".join(",".join(row) + "\n" for row in (draft.header, *draft.rows)), encoding="utf-8")
    try:
        return True, read_sessions(path).notices
    except DataRefused as refusal:
        return False, refusal.problems  # type: ignore[return-value]


def plant(fault: str, seed: int, folder: Path) -> tuple[Draft, bool, tuple[Problem, ...]]:
    draft = draw_clean(seed)
    (REFUSED | SAID)[fault][-1](draft)  # type: ignore[operator]
    return draft, *judge(draft, folder / "sessions.csv")


def score(fault: str, draft: Draft, accepted: bool, problems: tuple[Problem, ...]) -> tuple[bool, bool, bool]:
    """Return whether the fault was seen at all, whether its code and whether its place was right."""
    code = (REFUSED | SAID)[fault][0]
    rule = SAID[fault][1] if fault in SAID else "refuse"
    mine = [problem for problem in problems if (problem.code, problem.rule) == (code, rule)]
    seen = bool(mine) or not accepted
    right = bool(mine) and accepted == (fault in SAID) and (accepted or len(problems) == 1)
    return seen, right, right and (draft.column, draft.lines) in [(each.column, list(each.lines)) for each in mine]


@pytest.mark.parametrize("seed", range(40))
def test_clean_sessions_pass_without_a_word(seed: int, tmp_path: Path) -> None:
    assert judge(draw_clean(seed), tmp_path / "sessions.csv") == (True, ())


@pytest.mark.parametrize("fault", FAULT_NAMES)
def test_planted_session_fault_is_found_in_its_place(fault: str, tmp_path: Path) -> None:
    for seed in SEEDS:
        draft, accepted, problems = plant(fault, seed, tmp_path)
        scored = score(fault, draft, accepted, problems)
        planted = (draft.column, draft.lines)
        assert scored == (True, True, True), f"{fault}, seed {seed}, planted {planted}, {scored}: {problems}"
