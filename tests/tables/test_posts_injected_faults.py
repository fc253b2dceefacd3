"""Each named fault, planted in clean generated tables at random places, is found in its place; clean tables pass."""

import csv
import gzip
import io
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from influbayes.errors import DataRefused
from influbayes.tables.fee_table import read_cell_table
from influbayes.tables.problems import Problem
from influbayes.tables.reader import read_posts

TODAY = date(2026, 7, 1)
SEEDS = range(20)
HEADER = [
    "Post_ID",
    "Creator_ID",
    "Post_Date",
    "Story_Views",
    "Swipe_Ups",
    "Influencer_Tier",
    "Audience_Region",
    "Fee",
    "Converted",
]


@dataclass
class Draft:
    """A table being spoiled: what was planted where."""

    rng: np.random.Generator
    header: list[str]
    rows: list[list[str]]
    column: str | None = None
    lines: list[int] = field(default_factory=list)
    raw: dict[int, str] = field(default_factory=dict)
    encode: Callable[[str], bytes] = str.encode

    def pick_row(self) -> int:
        """A random row; its line in the file is noted."""
        i = int(self.rng.integers(len(self.rows)))
        self.lines.append(i + 2)
        return i

    def set_cell(self, column: str, value: str) -> None:
        self.column = column
        self.rows[self.pick_row()][self.header.index(column)] = value

    def to_bytes(self) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.header)
        for i, row in enumerate(self.rows):
            if i in self.raw:
                text.write(self.raw[i] + "\n")
            else:
                writer.writerow(row)
        return self.encode(text.getvalue())


def draw_clean(seed: int) -> Draft:
    """A table without any fault: unique posts, one tier a creator, fewer swipe-ups than views."""
    rng = np.random.default_rng(seed)
    creators = int(rng.integers(8, 30))
    tiers = rng.choice(["Mega", "Mid", "Micro"], creators)
    rows = []
    for i in range(int(rng.integers(20, 120))):
        creator = int(rng.integers(creators))
        views = int(rng.integers(200, 60_000))
        swipes = int(rng.integers(1, views // 3))
        day = date(2026, 1, 1) + timedelta(days=int(rng.integers(150)))
        fee = f"{rng.uniform(50, 900):.2f}"
        region = str(rng.choice(["US", "EU", "LATAM", "APAC"]))
        bought = str(int(rng.random() < 0.4))
        rows.append(
            [f"p{i}", f"c{creator}", str(day), str(views), str(swipes), str(tiers[creator]), region, fee, bought]
        )
    return Draft(rng=rng, header=list(HEADER), rows=rows)


Injector = Callable[[Draft], None]
COUNTS = ["Story_Views", "Swipe_Ups"]
LABELS = ["Influencer_Tier", "Audience_Region", "Creator_ID"]


def put(columns: list[str], values: list[str]) -> Injector:
    def inject(draft: Draft) -> None:
        draft.set_cell(str(draft.rng.choice(columns)), values[int(draft.rng.integers(len(values)))])

    return inject


def join(draft: Draft, i: int) -> str:
    return ",".join(draft.rows[i])


def plant_short_row(draft: Draft) -> None:
    i = draft.pick_row()
    draft.raw[i] = ",".join(draft.rows[i][:-1])


def plant_long_row(draft: Draft) -> None:
    i = draft.pick_row()
    draft.raw[i] = join(draft, i) + ",surplus"


def plant_trailing(draft: Draft) -> None:
    i = draft.pick_row()
    draft.raw[i] = join(draft, i) + ","


def plant_other_delimiter(draft: Draft) -> None:
    i = draft.pick_row()
    draft.raw[i] = join(draft, i).replace(",", ";")


def plant_torn_quote(draft: Draft) -> None:
    i = draft.pick_row()
    draft.raw[i] = '"p"x' + join(draft, i)


def plant_nul(draft: Draft) -> None:
    draft.set_cell("Audience_Region", "U\x00S")
    draft.column = None


def plant_control(draft: Draft) -> None:
    draft.set_cell("Audience_Region", "U\x1bS")
    draft.column = None


def plant_undecodable(draft: Draft) -> None:
    draft.set_cell("Audience_Region", "U@S")
    draft.column = None
    draft.encode = lambda text: text.encode().replace(b"@", b"\x81")


def plant_missing_column(draft: Draft) -> None:
    name = str(draft.rng.choice(["Converted", "Story_Views", "Swipe_Ups", "Influencer_Tier", "Audience_Region"]))
    draft.header[draft.header.index(name)] = name.replace("_", "").lower() + "2"
    draft.column, draft.lines = name, [1]


def plant_second_column(draft: Draft) -> None:
    name = str(draft.rng.choice(HEADER))
    draft.header.append(name)
    for row in draft.rows:
        row.append("1")
    draft.column, draft.lines = name, [1]


def plant_second_column_in_capitals(draft: Draft) -> None:
    plant_second_column(draft)
    draft.header[-1] = f" {draft.header[-1].upper()}\u200b"


def plant_more_swipes(draft: Draft) -> None:
    i = draft.pick_row()
    draft.rows[i][4] = str(int(draft.rows[i][3]) + 1)
    draft.column = "Swipe_Ups"


def plant_total(draft: Draft) -> None:
    rows = draft.rows
    sums = [str(sum(int(row[k]) for row in rows)) for k in (3, 4, 8)]
    rows.append(["Total", "", "", sums[0], sums[1], "", "", "", sums[2]])
    draft.lines = [len(rows) + 1]


def plant_silent_total(draft: Draft) -> None:
    plant_total(draft)
    draft.rows[-1][0] = ""


def plant_second_tier(draft: Draft) -> None:
    """The later row of a creator and day gets another tier."""
    i = draft.pick_row()
    row = list(draft.rows[i])
    row[0] = "again"
    row[5] = "Nano"
    draft.rows.append(row)
    draft.column, draft.lines = "Creator_ID", [len(draft.rows) + 1]


def plant_day_order(draft: Draft) -> None:
    for row in draft.rows:
        _, month, day = row[2].split("-")
        row[2] = f"{int(month):02}/{(int(day) - 1) % 12 + 1:02}/2026"
    draft.column, draft.lines = "Post_Date", list(range(2, len(draft.rows) + 2))


def plant_offset(draft: Draft) -> None:
    i = draft.pick_row()
    for k, row in enumerate(draft.rows):
        row[2] += "T10:00:00" + ("+02:00" if k == i else "")
    draft.column = "Post_Date"


def plant_other_currency(draft: Draft) -> None:
    i = draft.pick_row()
    for k, row in enumerate(draft.rows):
        row[7] = ("€" if k == i else "$") + row[7]
    draft.column = "Fee"


def plant_two_groupings(draft: Draft) -> None:
    i = draft.pick_row()
    for k, row in enumerate(draft.rows):
        row[3] = f"{50_000 + int(row[3]):,}".replace(",", " " if k == i else ",")
    draft.column = "Story_Views"


REFUSED: dict[str, tuple[str, Injector]] = {
    "other encoding": ("IB-D02", plant_undecodable),
    "control character": ("IB-D02", plant_control),
    "other delimiter": ("IB-D03", plant_other_delimiter),
    "trailing comma": ("IB-D04", plant_trailing),
    "short row": ("IB-D05", plant_short_row),
    "long row": ("IB-D05", plant_long_row),
    "torn quote": ("IB-D05", plant_torn_quote),
    "NUL": ("IB-D06", plant_nul),
    "missing column": ("IB-D14", plant_missing_column),
    "column twice": ("IB-D15", plant_second_column),
    "column twice but for case": ("IB-D16", plant_second_column_in_capitals),
    "two groupings": ("IB-D17", plant_two_groupings),
    "ambiguous thousand": ("IB-D18", put(COUNTS, ["12.000", "1.500"])),
    "text among numbers": ("IB-D19", put([*COUNTS, "Fee"], ["abc", "12k", "NA", "#N/A", "12,34", "--", "1_000"])),
    "outcome empty": ("IB-D21", put(["Converted"], ["", "  "])),
    "number empty": ("IB-D22", put(COUNTS, ["", " "])),
    "label empty": ("IB-D22", put(LABELS, ["", " ", "\u00a0"])),
    "not whole": ("IB-D23", put([*COUNTS, "Converted"], ["1.5", "0.25", "3.75"])),
    "negative count": ("IB-D24", put(COUNTS, ["-1", "-250", "\u221212"])),
    "not finite": ("IB-D25", put([*COUNTS, "Fee"], ["inf", "1e400", "nan", "-Infinity", "9" * 400])),
    "id as count": ("IB-D26", put(["Story_Views"], ["17841400000000001", str(2**62)])),
    "total row": ("IB-D30", plant_total),
    "total row without a name": ("IB-D30", plant_silent_total),
    "no date": ("IB-D31", put(["Post_Date"], ["2026-02-30", "soon", "03/04/26", "13.13.2026"])),
    "day or month": ("IB-D31", plant_day_order),
    "offset on one row": ("IB-D32", plant_offset),
    "outcome not 0/1": ("IB-D33", put(["Converted"], ["2", "maybe", "50%", "-1", "10"])),
    "more swipe-ups than views": ("IB-D34", plant_more_swipes),
    "two tiers on a day": ("IB-D38", plant_second_tier),
    "date in the future": ("IB-D39", put(["Post_Date"], ["2026-07-03", "2062-01-01"])),
    "negative fee": ("IB-D40", put(["Fee"], ["-10", "-0.5"])),
    "other currency": ("IB-D40", plant_other_currency),
}


def plant_repeat(draft: Draft) -> None:
    draft.rows.append(list(draft.rows[draft.pick_row()]))
    draft.lines = [len(draft.rows) + 1]


def plant_repeated_id(draft: Draft) -> None:
    row = list(draft.rows[draft.pick_row()])
    row[7] = "1.11"
    draft.rows.append(row)
    draft.column, draft.lines = "Post_ID", [len(draft.rows) + 1]


def plant_named_total(draft: Draft) -> None:
    draft.rows[draft.pick_row()][0] = "Total"


def plant_other_tier(draft: Draft) -> None:
    row = list(draft.rows[draft.pick_row()])
    row[0], row[2], row[5] = "again", "2026-06-30", "Nano"
    draft.rows.append(row)
    draft.column, draft.lines = "Creator_ID", [len(draft.rows) + 1]


def plant_no_swipe(draft: Draft) -> None:
    i = draft.pick_row()
    draft.rows[i][4], draft.rows[i][8] = "0", "1"
    draft.column = "Swipe_Ups"


def plant_no_views(draft: Draft) -> None:
    i = draft.pick_row()
    draft.rows[i][3], draft.rows[i][4], draft.rows[i][8] = "0", "0", "0"
    draft.column = "Story_Views"


def plant_grouping(draft: Draft) -> None:
    i = draft.pick_row()
    draft.rows[i][3] = f"{int(draft.rows[i][3]) + 1000:,}"
    draft.column = "Story_Views"


SAID: dict[str, tuple[str, str, Injector]] = {
    "grouping": ("IB-D17", "accept", plant_grouping),
    "whole with a point": ("IB-D18", "accept", put(["Story_Views"], ["64000.0", "71000.00"])),
    "NA is a level": ("IB-D20", "accept", put(["Audience_Region"], ["NA", "None", "null", "N/A", "nan"])),
    "zero-padded id": ("IB-D27", "accept", put(["Creator_ID"], ["007", "0012", "17841400000000001"])),
    "trimmed": ("IB-D28", "accept", put(["Audience_Region"], ["US ", "US\u00a0", "\u00a0EU"])),
    "near-duplicate": ("IB-D28", "warn", put(["Audience_Region"], ["us", "Latam", "ÉU", "e\u200bu"])),
    "repeated row": ("IB-D29", "warn", plant_repeat),
    "repeated id": ("IB-D29", "warn", plant_repeated_id),
    "named total": ("IB-D30", "warn", plant_named_total),
    "no date": ("IB-D31", "warn", put(["Post_Date"], ["", " "])),
    "no views": ("IB-D35", "warn", plant_no_views),
    "no swipe-up": ("IB-D36", "warn", plant_no_swipe),
    "two tiers": ("IB-D38", "warn", plant_other_tier),
    "fee 0": ("IB-D40", "warn", put(["Fee"], ["0", "0.00", ""])),
}


def judge(draft: Draft, path: Path) -> tuple[bool, tuple[Problem, ...]]:
    path.write_bytes(draft.to_bytes())
    try:
        return True, read_posts(path, today=TODAY).notices
    except DataRefused as refusal:
        return False, refusal.problems


@pytest.mark.parametrize("fifty", range(10))
def test_clean_table_passes_without_a_word(fifty: int, tmp_path: Path) -> None:
    for seed in range(50 * fifty, 50 * fifty + 50):
        assert judge(draw_clean(seed), tmp_path / "posts.csv") == (True, ()), f"seed {seed}"


@pytest.mark.parametrize("fault", REFUSED)
def test_planted_fault_is_refused_in_its_place(fault: str, tmp_path: Path) -> None:
    code, inject = REFUSED[fault]
    for seed in SEEDS:
        draft = draw_clean(seed)
        inject(draft)
        accepted, problems = judge(draft, tmp_path / "posts.csv")
        assert not accepted, f"{fault}, seed {seed}: accepted"
        assert [(found.code, found.column, list(found.lines)) for found in problems] == [
            (code, draft.column, draft.lines)
        ], f"{fault}, seed {seed}: {problems}"


@pytest.mark.parametrize("fault", SAID)
def test_planted_oddity_is_said_in_its_place(fault: str, tmp_path: Path) -> None:
    code, rule, inject = SAID[fault]
    for seed in SEEDS:
        draft = draw_clean(seed)
        inject(draft)
        accepted, notices = judge(draft, tmp_path / "posts.csv")
        assert accepted, f"{fault}, seed {seed}: refused: {notices}"
        places = [(found.code, found.rule, found.column, list(found.lines)) for found in notices]
        assert (code, rule, draft.column, draft.lines) in places, f"{fault}, seed {seed}: {notices}"


def write_xlsx(draft: Draft, folder: Path) -> str:
    book = openpyxl.Workbook()
    for row in (draft.header, *draft.rows):
        book.active.append(row)
    book.save(folder / "posts.xlsx")
    return str(folder / "posts.xlsx")


def write_parquet(draft: Draft, folder: Path) -> str:
    columns = [pa.array(list(column)) for column in zip(*draft.rows, strict=True)]
    pq.write_table(pa.Table.from_arrays(columns, names=draft.header), folder / "posts.parquet")
    return str(folder / "posts.parquet")


def write_sqlite(draft: Draft, folder: Path) -> str:
    path = folder / "posts.db"
    path.unlink(missing_ok=True)
    places = [f"c{k}" for k in range(len(draft.header))]
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE posts ({', '.join(places)})")
        connection.executemany(f"INSERT INTO posts VALUES ({', '.join('?' * len(places))})", draft.rows)
    connection.close()
    named = ", ".join(f'{place} AS "{name}"' for place, name in zip(places, draft.header, strict=True))
    return f"sql:{path}::SELECT {named} FROM posts ORDER BY rowid"


WRITERS: dict[str, Callable[[Draft, Path], str]] = {
    "xlsx": write_xlsx,
    "parquet": write_parquet,
    "sqlite": write_sqlite,
}
TEXT_ONLY = ("other encoding", "other delimiter", "trailing comma", "short row", "long row", "torn quote")
NOT_IN_A_SHEET = ("NUL", "control character")  # no program writes such a sheet


def move_lines(lines: list[int], format: str) -> list[int]:
    """Lines of the text file to rows of the other format, which has no header line unless it is a sheet."""
    return lines if format == "xlsx" else [line - 1 for line in lines if line > 1]


def judge_source(source: str) -> tuple[bool, tuple[Problem, ...]]:
    try:
        return True, read_posts(source, today=TODAY).notices
    except DataRefused as refusal:
        return False, refusal.problems


@pytest.mark.parametrize("format", WRITERS)
def test_clean_table_of_another_format_passes_without_a_word(format: str, tmp_path: Path) -> None:
    for seed in SEEDS:
        assert judge_source(WRITERS[format](draw_clean(seed), tmp_path)) == (True, ())


@pytest.mark.parametrize("format", WRITERS)
@pytest.mark.parametrize("fault", [fault for fault in REFUSED if fault not in TEXT_ONLY])
def test_planted_fault_is_refused_in_every_format(fault: str, format: str, tmp_path: Path) -> None:
    if format == "xlsx" and fault in NOT_IN_A_SHEET:
        return
    code, inject = REFUSED[fault]
    for seed in range(4):
        draft = draw_clean(seed)
        inject(draft)
        column = "Audience_Region" if fault in NOT_IN_A_SHEET else draft.column
        accepted, problems = judge_source(WRITERS[format](draft, tmp_path))
        assert not accepted, f"{fault}, seed {seed}: accepted"
        assert [(found.code, found.column, list(found.lines)) for found in problems] == [
            (code, column, move_lines(draft.lines, format))
        ], f"{fault}, seed {seed}: {problems}"


@pytest.mark.parametrize("format", WRITERS)
@pytest.mark.parametrize("fault", SAID)
def test_planted_oddity_is_said_in_every_format(fault: str, format: str, tmp_path: Path) -> None:
    code, rule, inject = SAID[fault]
    for seed in range(4):
        draft = draw_clean(seed)
        inject(draft)
        accepted, notices = judge_source(WRITERS[format](draft, tmp_path))
        assert accepted, f"{fault}, seed {seed}: refused: {notices}"
        places = [(found.code, found.rule, found.column, list(found.lines)) for found in notices]
        assert (code, rule, draft.column, move_lines(draft.lines, format)) in places, f"{fault}, {seed}: {notices}"


def test_several_faults_are_all_found_at_once(tmp_path: Path) -> None:
    faults = ["text among numbers", "outcome empty", "label empty", "no date", "negative fee", "short row"]
    for seed in SEEDS:
        draft = draw_clean(seed)
        planted = [(fault, plant_elsewhere(draft, fault)) for fault in faults]
        _, problems = judge(draft, tmp_path / "posts.csv")
        assert {(found.code, line) for found in problems for line in found.lines} == {
            (REFUSED[fault][0], line) for fault, line in planted
        }
        assert [found.lines[0] for found in problems] == sorted(found.lines[0] for found in problems)


def plant_elsewhere(draft: Draft, fault: str) -> int:
    """Plant a fault in a line that has none yet; return the line."""
    taken = set(draft.lines)
    while True:
        trial = Draft(rng=draft.rng, header=draft.header, rows=[list(row) for row in draft.rows], raw=dict(draft.raw))
        REFUSED[fault][1](trial)
        if trial.lines[0] not in taken:
            draft.rows, draft.raw = trial.rows, trial.raw
            draft.lines.append(trial.lines[0])
            return trial.lines[0]


def encode_as(encode: Callable[[str], bytes]) -> Injector:
    def inject(draft: Draft) -> None:
        draft.encode = encode

    return inject


def plant_cp1252(draft: Draft) -> None:
    draft.set_cell("Audience_Region", "España")
    draft.column, draft.lines = None, []
    draft.encode = lambda text: text.encode("cp1252")


def plant_odd_header(draft: Draft) -> None:
    i = int(draft.rng.integers(len(HEADER)))
    name = HEADER[i]
    draft.header[i] = str(draft.rng.choice([name.upper(), f" {name} ", f"{name}\u200b"]))
    draft.column, draft.lines = name, []


def plant_words(draft: Draft) -> None:
    words = [("no", "yes"), ("false", "true"), ("0.0", "1.0"), ("No", "Yes")][int(draft.rng.integers(4))]
    for row in draft.rows:
        row[8] = words[int(row[8])]
    draft.column, draft.lines = "Converted", list(range(2, len(draft.rows) + 2))


def plant_ordered_days(draft: Draft) -> None:
    form = str(draft.rng.choice(["%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y"]))
    for row in draft.rows:
        row[2] = date.fromisoformat(row[2]).strftime(form)
    draft.column, draft.lines = "Post_Date", list(range(2, len(draft.rows) + 2))


def plant_serial_days(draft: Draft) -> None:
    for row in draft.rows:
        row[2] = str((date.fromisoformat(row[2]) - date(1899, 12, 30)).days)
    draft.column, draft.lines = "Post_Date", list(range(2, len(draft.rows) + 2))


def plant_one_currency(draft: Draft) -> None:
    sign = str(draft.rng.choice(["$", "€", "£"]))
    for row in draft.rows:
        row[7] = sign + row[7]
    draft.column, draft.lines = "Fee", list(range(2, len(draft.rows) + 2))


# Nothing is wrong with the values: the table must be that of the clean file, and say how it was read.
SAME: dict[str, tuple[str, str, Injector]] = {
    "byte-order mark": ("IB-D01", "accept", encode_as(lambda text: text.encode("utf-8-sig"))),
    "UTF-16": ("IB-D02", "accept", encode_as(lambda text: text.encode("utf-16"))),
    "cp1252": ("IB-D02", "accept", plant_cp1252),
    "semicolons": ("IB-D03", "accept", encode_as(lambda text: text.replace(",", ";").encode())),
    "tabs": ("IB-D03", "accept", encode_as(lambda text: text.replace(",", "\t").encode())),
    "odd header": ("IB-D16", "accept", plant_odd_header),
    "outcome in words": ("IB-D33", "accept", plant_words),
    "one order of day and month": ("IB-D31", "accept", plant_ordered_days),
    "days of a spreadsheet": ("IB-D31", "accept", plant_serial_days),
    "one currency": ("IB-D40", "accept", plant_one_currency),
}


def cut_rows(draft: Draft) -> None:
    draft.rows.clear()


def plant_swapped_views(draft: Draft) -> None:
    a, b = draft.header.index("Story_Views"), draft.header.index("Swipe_Ups")
    draft.header[a], draft.header[b] = draft.header[b], draft.header[a]
    draft.column = "Swipe_Ups"
    draft.lines = [i + 2 for i, row in enumerate(draft.rows) if int(row[3]) > int(row[4])]


# The whole file is refused: no column and no line.
WHOLE: dict[str, tuple[str, Injector]] = {
    "web page": ("IB-D06", encode_as(lambda text: b"<!DOCTYPE html><html><body>Sign in</body></html>")),
    "PDF": ("IB-D06", encode_as(lambda text: b"%PDF-1.7\n" + text.encode())),
    "renamed workbook": ("IB-D06", encode_as(lambda text: b"PK\x03\x04" + text.encode())),
    "empty file": ("IB-D07", encode_as(lambda text: b"")),
    "header only": ("IB-D07", cut_rows),
    "compressed text": ("IB-D08", encode_as(lambda text: gzip.compress(text.encode()))),
}
TEXT_REFUSED: dict[str, tuple[str, Injector]] = {**WHOLE, "columns swapped": ("IB-D34", plant_swapped_views)}


def write_fees(draft: Draft, folder: Path) -> tuple[Path, list[str]]:
    levels = sorted({row[5] for row in draft.rows})
    (folder / "fees.csv").write_text(
        "Influencer_Tier,Fee\n" + "".join(f"{x},{100 + i}\n" for i, x in enumerate(levels))
    )
    return folder / "fees.csv", levels


FEE_FAULTS = ("fee of a tier missing", "fee of an unknown tier", "fee of a tier twice", "fee empty", "fee below 0")


def judge_fees(fault: str, seed: int, folder: Path) -> tuple[Draft, bool, tuple[Problem, ...]]:
    """Plant a fault in the table of fees; return the draft with the place, whether it was accepted, the problems."""
    draft = draw_clean(seed)
    path, levels = write_fees(draft, folder)
    head, *rows = path.read_text().splitlines()
    i = int(draft.rng.integers(len(rows)))
    draft.column, draft.lines = ("Fee" if i >= 0 and fault in FEE_FAULTS[3:] else None), [i + 2]
    if fault == FEE_FAULTS[0]:
        del rows[i]
        draft.lines = []
    elif fault == FEE_FAULTS[1]:
        rows.append("Giga,7")
        draft.column, draft.lines = "Influencer_Tier", [len(rows) + 1]
    elif fault == FEE_FAULTS[2]:
        rows.append(rows[i])
        draft.lines = [len(rows) + 1]
    else:
        rows[i] = f"{rows[i].partition(',')[0]},{'' if fault == FEE_FAULTS[3] else '-5'}"
    path.write_text("\n".join([head, *rows]))
    try:
        read_cell_table(path, levels={"Influencer_Tier": levels}, amounts=("Fee",), complete=True)
    except DataRefused as refusal:
        return draft, False, refusal.problems
    return draft, True, ()


def plant(fault: str, seed: int, folder: Path) -> tuple[Draft, bool, tuple[Problem, ...]]:
    """One spoiled table of any kind and what is said of it."""
    if fault in FEE_FAULTS:
        return judge_fees(fault, seed, folder)
    draft = draw_clean(seed)
    FAULTS[fault][-1](draft)
    return draft, *judge(draft, folder / "posts.csv")


FAULTS = {**REFUSED, **TEXT_REFUSED, **SAID, **SAME}
FAULT_NAMES = (*FAULTS, *FEE_FAULTS)


def score(fault: str, draft: Draft, accepted: bool, problems: tuple[Problem, ...]) -> tuple[bool, bool, bool]:
    """Return whether the fault was seen at all, whether its code and whether its place was right."""
    said = SAID | SAME
    code = "IB-D40" if fault == FEE_FAULTS[4] else "IB-D41" if fault in FEE_FAULTS else FAULTS[fault][0]
    rule = said[fault][1] if fault in said else "refuse"
    mine = [problem for problem in problems if (problem.code, problem.rule) == (code, rule)]
    seen = bool(mine) or not accepted
    right = bool(mine) and accepted == (fault in said) and (accepted or len(problems) == 1)
    return seen, right, right and (draft.column, draft.lines) in [(each.column, list(each.lines)) for each in mine]


@pytest.mark.parametrize("fault", [*TEXT_REFUSED, *SAME, *FEE_FAULTS])
def test_planted_file_fault_is_found_in_its_place(fault: str, tmp_path: Path) -> None:
    for seed in SEEDS:
        draft, accepted, problems = plant(fault, seed, tmp_path)
        planted = (draft.column, draft.lines)
        scored = score(fault, draft, accepted, problems)
        assert scored == (True, True, True), f"{fault}, seed {seed}, planted {planted}, {scored}: {problems}"


@pytest.mark.parametrize("fault", SAME)
def test_other_way_of_writing_gives_the_same_table(fault: str, tmp_path: Path) -> None:
    for seed in range(5):
        clean, other = draw_clean(seed), draw_clean(seed)
        SAME[fault][-1](other)
        if fault == "cp1252":  # the clean table holds the same word in UTF-8
            clean.rows = other.rows
        (tmp_path / "a.csv").write_bytes(clean.to_bytes())
        (tmp_path / "b.csv").write_bytes(other.to_bytes())
        digests = {read_posts(tmp_path / name, today=TODAY).digest for name in ("a.csv", "b.csv")}
        assert len(digests) == 1, f"{fault}, seed {seed}"
