"""Each ledger fault, planted in clean generated ledgers at random places, is found in its file, column and line."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from influbayes.errors import DataRefused
from influbayes.returns.filters import LedgerFilter, filter_ledger
from influbayes.tables.ledger import read_ledger
from influbayes.tables.ledger_posts import build_posts
from influbayes.tables.problems import Problem

TODAY = date(2026, 7, 1)
SEEDS = range(20)
PEOPLE, POSTS, TRACK, PAY = "influencers", "posts", "tracking_data", "payouts"
HEADERS = {
    PEOPLE: ["id", "name", "category", "gender", "follower_count", "platform", "influencer_type"],
    POSTS: ["influencer_id", "platform", "date", "url", "reach", "likes", "comments"],
    TRACK: ["source", "campaign", "influencer_id", "user_id", "product", "date", "orders", "revenue", "group"],
    PAY: ["influencer_id", "basis", "rate", "orders", "total_payout"],
}
ID, USER, PRODUCT, DAY, ORDERS, REVENUE, GROUP = 2, 3, 4, 5, 6, 7, 8  # places in tracking_data


@dataclass
class Draft:
    """A ledger being spoiled: what was planted in which file, column and lines."""

    rng: np.random.Generator
    headers: dict[str, list[str]]
    tables: dict[str, list[list[str]]]
    file: str = ""
    column: str | None = None
    lines: list[int] = field(default_factory=list)
    chosen: LedgerFilter | None = None
    window: int | None = None

    def note(self, table: str, column: str | None, *rows: int) -> None:
        self.file, self.column, self.lines = f"{table}.csv", column, [i + 2 for i in rows]

    def pick(self, table: str, wanted: Callable[[list[str]], bool] = lambda row: True) -> int:
        return int(self.rng.choice([i for i, row in enumerate(self.tables[table]) if wanted(row)]))

    def set_cell(self, table: str, column: str, i: int, value: str) -> None:
        self.tables[table][i][HEADERS[table].index(column)] = value
        self.note(table, column, i)

    def add(self, table: str, row: list[str]) -> int:
        self.tables[table].append(row)
        return len(self.tables[table]) - 1

    def write(self, folder: Path) -> None:
        for name, rows in self.tables.items():
            with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as stream:
                csv.writer(stream, lineterminator="\n").writerows([self.headers[name], *rows])


def draw_clean(seed: int) -> Draft:
    """Influencers with posts, exposed and control users who buy or not, payouts as tracked: nothing to warn of."""
    rng = np.random.default_rng(seed)
    number_ids = bool(rng.random() < 0.5)
    tables: dict[str, list[list[str]]] = {name: [] for name in HEADERS}
    user = 0
    for k in range(int(rng.integers(5, 12))):
        key = str(k + 11) if number_ids else f"i{k}"
        platform = str(rng.choice(["Instagram", "YouTube", "TikTok"]))
        kind = str(rng.choice(["Micro", "Macro", "Mega"]))
        tables[PEOPLE].append([key, f"Name {k}", "Food", "Female", str(rng.integers(500, 90_000)), platform, kind])
        for i in range(int(rng.integers(2, 5))):
            day = date(2026, 2, 1) + timedelta(days=30 * i + int(rng.integers(10)))
            counts = [str(rng.integers(*span)) for span in ((900, 9000), (10, 900), (1, 90))]
            tables[POSTS].append([key, platform, str(day), f"https://example.org/{key}/{i}", *counts])
        sold = 0
        for i in range(int(rng.integers(6, 12))):
            bought = int(i == 0 or rng.random() < 0.5) * int(rng.integers(1, 4))
            sold += bought
            tables[TRACK].append(_draw_order(rng, key, platform, user, bought, "1"))
            user += 1
        tables[TRACK].append(_draw_order(rng, key, platform, user, 0, "1"))
        tables[TRACK].append(_draw_order(rng, key, platform, user + 1, 0, "0"))
        user += 2
        tables[PAY].append([key, "order", "12", str(sold), str(12 * sold)])
    return Draft(rng=rng, headers={name: list(header) for name, header in HEADERS.items()}, tables=tables)


def _draw_order(rng: np.random.Generator, key: str, platform: str, user: int, bought: int, group: str) -> list[str]:
    day = date(2026, 3, 1) + timedelta(days=int(rng.integers(80)))
    revenue = f"{bought * rng.uniform(20, 60):.2f}" if bought else "0"
    product = str(rng.choice(["Bar", "Shake"])) if bought else ""
    return [platform, "Spring", key, f"u{user}", product, str(day), str(bought), revenue, group]


def is_sale(row: list[str]) -> bool:
    return row[ORDERS] != "0" and row[GROUP] == "1"


def is_idle(row: list[str]) -> bool:
    return row[ORDERS] == "0" and row[GROUP] == "1"


def new_order(draft: Draft, key: str, *, bought: int = 1, revenue: str = "2.5", group: str = "1") -> int:
    row = [
        "Instagram",
        "Spring",
        key,
        f"new{draft.rng.integers(1000)}",
        "Bar",
        "2026-05-25",
        str(bought),
        revenue,
        group,
    ]
    return draft.add(TRACK, row)


Injector = Callable[[Draft], None]


def put(table: str, column: str, values: list[str], wanted: Callable[[list[str]], bool] = lambda row: True) -> Injector:
    def inject(draft: Draft) -> None:
        i = draft.pick(table, wanted)
        draft.set_cell(table, column, i, values[int(draft.rng.integers(len(values)))])

    return inject


def plant_unknown_payout(draft: Draft) -> None:
    draft.note(PAY, "influencer_id", draft.add(PAY, ["zz9", "order", "5", "2", "10"]))


def plant_large_unknown_order(draft: Draft) -> None:
    draft.note(TRACK, "influencer_id", new_order(draft, "zz9", revenue="99000"))


def plant_spelling(table: str) -> Injector:
    def inject(draft: Draft) -> None:
        i = draft.pick(table)
        place = HEADERS[table].index("influencer_id")
        key = draft.tables[table][i][place]
        other = [f"{key}.0", f"00{key}"] if key.isdigit() else [key.upper()]
        draft.set_cell(table, "influencer_id", i, str(draft.rng.choice(other)))

    return inject


def plant_second_influencer(draft: Draft) -> None:
    i = draft.pick(PEOPLE)
    row = [*draft.tables[PEOPLE][i][:1], "Other Name", *draft.tables[PEOPLE][i][2:]]
    draft.note(PEOPLE, "id", i, draft.add(PEOPLE, row))


def plant_negative_payout(draft: Draft) -> None:
    i = draft.pick(PAY)
    draft.set_cell(PAY, "total_payout", i, f"-{draft.tables[PAY][i][4]}")


def plant_missing_column(draft: Draft) -> None:
    table = str(draft.rng.choice(list(HEADERS)))
    place = int(draft.rng.integers(len(HEADERS[table])))
    draft.headers[table][place] = f"Spalte{place}"
    draft.note(table, HEADERS[table][place])
    draft.lines = [1]


def plant_missing_file(draft: Draft) -> None:
    table = str(draft.rng.choice(list(HEADERS)))
    del draft.tables[table]
    draft.note(table, None)


def plant_total(table: str, columns: list[str]) -> Injector:
    def inject(draft: Draft) -> None:
        rows = draft.tables[table]
        total = ["Total"] + [""] * (len(HEADERS[table]) - 1)
        for column in columns:
            place = HEADERS[table].index(column)
            total[place] = f"{sum(float(row[place]) for row in rows):.2f}".removesuffix(".00")
        draft.note(table, None, draft.add(table, total))

    return inject


def plant_filter(draft: Draft) -> None:
    draft.chosen = LedgerFilter(product=(str(draft.rng.choice(["Bar", "Shake"])),))
    draft.note(PAY, None)


REFUSED: dict[str, tuple[str, Injector]] = {
    "payout without influencer": ("IB-D42", plant_unknown_payout),
    "much revenue without influencer": ("IB-D42", plant_large_unknown_order),
    "id spelled otherwise in orders": ("IB-D43", plant_spelling(TRACK)),
    "id spelled otherwise in payouts": ("IB-D43", plant_spelling(PAY)),
    "id spelled otherwise in posts": ("IB-D43", plant_spelling(POSTS)),
    "influencer twice": ("IB-D44", plant_second_influencer),
    "net payout below 0": ("IB-D47", plant_negative_payout),
    "unknown basis": ("IB-D47", put(PAY, "basis", ["click", "views", "Orders"])),
    "filter on revenue alone": ("IB-D53", plant_filter),
    "no such ledger column": ("IB-D14", plant_missing_column),
    "no such ledger file": ("IB-D14", plant_missing_file),
    "order without product": ("IB-D22", put(TRACK, "product", ["", " "], is_sale)),
    "order without user": ("IB-D22", put(TRACK, "user_id", ["", " "])),
    "group neither 0 nor 1": ("IB-D33", put(TRACK, "group", ["2", "yes", "both", ""])),
    "negative orders": ("IB-D24", put(TRACK, "orders", ["-1", "-7"])),
    "orders not whole": ("IB-D23", put(TRACK, "orders", ["1.5", "0.25"])),
    "revenue as text": ("IB-D19", put(TRACK, "revenue", ["abc", "12k", "n/a"])),
    "revenue not finite": ("IB-D25", put(TRACK, "revenue", ["inf", "1e400", "nan"])),
    "order without date": ("IB-D31", put(TRACK, "date", ["", " "])),
    "post on no date": ("IB-D31", put(POSTS, "date", ["2026-02-30", "soon"])),
    "order in the future": ("IB-D39", put(TRACK, "date", ["2026-07-03", "2062-01-01"])),
    "total of payouts": ("IB-D30", plant_total(PAY, ["orders", "total_payout"])),
    "total of orders": ("IB-D30", plant_total(TRACK, ["orders", "revenue"])),
}


def plant_small_unknown_order(draft: Draft) -> None:
    draft.note(TRACK, "influencer_id", new_order(draft, "zz9"))


def plant_organic(draft: Draft) -> None:
    draft.note(TRACK, "influencer_id", new_order(draft, ""))


def plant_unknown_post(draft: Draft) -> None:
    row = ["zz9", "TikTok", "2026-04-01", "https://example.org/z", "900", "9", "1"]
    draft.note(POSTS, "influencer_id", draft.add(POSTS, row))


def plant_second_payout(draft: Draft) -> None:
    i = draft.pick(PAY)
    row = [draft.tables[PAY][i][0], "post", "25", "0", "50"]
    draft.note(PAY, "influencer_id", i, draft.add(PAY, row))


def plant_zero_payout(draft: Draft) -> None:
    i = draft.pick(PAY)
    draft.tables[PAY][i][2] = "0"
    draft.set_cell(PAY, "total_payout", i, "0")


def plant_no_payout(draft: Draft) -> None:
    del draft.tables[PAY][draft.pick(PAY)]
    draft.note(PAY, None)


def plant_other_payout(draft: Draft) -> None:
    i = draft.pick(PAY)
    draft.set_cell(PAY, "total_payout", i, str(int(draft.tables[PAY][i][4]) + 7))


def plant_no_orders(draft: Draft) -> None:
    key = draft.tables[PEOPLE][draft.pick(PEOPLE)][0]
    draft.tables[TRACK] = [row for row in draft.tables[TRACK] if row[ID] != key]
    draft.note(TRACK, None)


def plant_no_posts(draft: Draft) -> None:
    key = draft.tables[PEOPLE][draft.pick(PEOPLE)][0]
    draft.tables[POSTS] = [row for row in draft.tables[POSTS] if row[0] != key]
    draft.note(POSTS, None)


def plant_free_revenue(draft: Draft) -> None:
    draft.set_cell(TRACK, "revenue", draft.pick(TRACK, is_idle), "4.5")


def plant_refund(draft: Draft) -> None:
    draft.set_cell(TRACK, "revenue", draft.pick(TRACK, is_idle), "-4.5")


def plant_control_order(draft: Draft) -> None:
    new_order(draft, draft.tables[PEOPLE][0][0], group="0")
    draft.note(TRACK, "group")


def plant_user_in_both(draft: Draft) -> None:
    i = draft.pick(TRACK, is_sale)
    row = list(draft.tables[TRACK][i])
    row[PRODUCT], row[ORDERS], row[REVENUE], row[GROUP] = "", "0", "0", "0"
    draft.note(TRACK, "group", i, draft.add(TRACK, row))


def plant_one_group(kept: str) -> Injector:
    def inject(draft: Draft) -> None:
        draft.tables[TRACK] = [row for row in draft.tables[TRACK] if row[GROUP] == kept]
        draft.note(TRACK, "group")

    return inject


def plant_buyers_only(draft: Draft) -> None:
    draft.tables[TRACK] = [row for row in draft.tables[TRACK] if row[ORDERS] != "0"]
    draft.note(TRACK, "orders")


def plant_paid_otherwise(draft: Draft) -> None:
    i = draft.pick(PAY)
    times = 5 * int(draft.tables[PAY][i][3])
    draft.tables[PAY][i][3:] = [str(times), str(12 * times)]
    draft.note(PAY, "orders")


def plant_repeat(draft: Draft) -> None:
    draft.note(TRACK, None, draft.add(TRACK, list(draft.tables[TRACK][draft.pick(TRACK)])))


def plant_wide_window(draft: Draft) -> None:
    draft.tables[POSTS] = list({row[0]: row for row in reversed(draft.tables[POSTS])}.values())
    draft.window = 365
    draft.note(POSTS, None)


SAID: dict[str, tuple[str, str, Injector]] = {
    "little revenue without influencer": ("IB-D42", "warn", plant_small_unknown_order),
    "organic order": ("IB-D42", "accept", plant_organic),
    "post without influencer": ("IB-D42", "warn", plant_unknown_post),
    "several payouts": ("IB-D45", "accept", plant_second_payout),
    "payout 0": ("IB-D46", "warn", plant_zero_payout),
    "no payout": ("IB-D46", "warn", plant_no_payout),
    "payout not rate times orders": ("IB-D47", "warn", plant_other_payout),
    "influencer without orders": ("IB-D48", "accept", plant_no_orders),
    "influencer without posts": ("IB-D48", "accept", plant_no_posts),
    "refund": ("IB-D49", "warn", plant_refund),
    "revenue without orders": ("IB-D49", "warn", plant_free_revenue),
    "control order names influencer": ("IB-D50", "accept", plant_control_order),
    "user in both groups": ("IB-D50", "warn", plant_user_in_both),
    "no control": ("IB-D51", "warn", plant_one_group("1")),
    "no exposed": ("IB-D51", "warn", plant_one_group("0")),
    "order before the first post": ("IB-D52", "warn", put(TRACK, "date", ["2025-12-30", "2026-01-09"], is_sale)),
    "buyers only": ("IB-D63", "warn", plant_buyers_only),
    "paid for other orders than tracked": ("IB-D64", "warn", plant_paid_otherwise),
    "nearly every post converts": ("IB-D65", "warn", plant_wide_window),
    "repeated order": ("IB-D29", "warn", plant_repeat),
    "group in words": ("IB-D33", "accept", put(TRACK, "group", ["exposed", "Exposed"], lambda row: row[GROUP] == "1")),
}


FAULT_NAMES = (*REFUSED, *SAID)


def judge(draft: Draft, folder: Path) -> tuple[bool, tuple[Problem, ...]]:
    draft.write(folder)
    try:
        ledger = read_ledger(folder, today=TODAY)
        if draft.chosen:
            ledger = filter_ledger(ledger, draft.chosen)
        if draft.window:
            return True, build_posts(ledger, draft.window).notices
        return True, ledger.notices
    except DataRefused as refusal:
        return False, refusal.problems  # type: ignore[return-value]


def plant(fault: str, seed: int, folder: Path) -> tuple[Draft, bool, tuple[Problem, ...]]:
    place = folder / f"{seed}-{len(list(folder.iterdir()))}"
    place.mkdir()
    draft = draw_clean(seed)
    (REFUSED | SAID)[fault][-1](draft)  # type: ignore[operator]
    return draft, *judge(draft, place)


def score(fault: str, draft: Draft, accepted: bool, problems: tuple[Problem, ...]) -> tuple[bool, bool, bool]:
    code = (REFUSED | SAID)[fault][0]
    rule = SAID[fault][1] if fault in SAID else "refuse"
    mine = [problem for problem in problems if (problem.code, problem.rule) == (code, rule)]
    seen = bool(mine) or not accepted
    right = bool(mine) and accepted == (fault in SAID) and (accepted or len(problems) == 1)
    place = (draft.file, draft.column, draft.lines)
    return seen, right, right and place in [(found.file, found.column, list(found.lines)) for found in mine]


@pytest.mark.parametrize("seed", range(40))
def test_clean_ledger_passes_without_a_word(seed: int, tmp_path: Path) -> None:
    assert judge(draw_clean(seed), tmp_path) == (True, ())


@pytest.mark.parametrize("fault", FAULT_NAMES)
def test_planted_ledger_fault_is_found_in_its_place(fault: str, tmp_path: Path) -> None:
    for seed in SEEDS:
        draft, accepted, problems = plant(fault, seed, tmp_path)
        scored = score(fault, draft, accepted, problems)
        planted = (draft.file, draft.column, draft.lines)
        assert scored == (True, True, True), f"{fault}, seed {seed}, planted {planted}, {scored}: {problems}"
