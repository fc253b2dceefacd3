"""Files as spreadsheets, trackers and colleagues really write them are read with the right values or refused."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from influbayes.errors import DataRefused, UsageError
from influbayes.tables.posts import PostColumns, PostsTable, count_levels
from influbayes.tables.reader import read_posts

TODAY = date(2026, 7, 1)
HEAD = "Converted,Story_Views,Swipe_Ups,Influencer_Tier,Audience_Region"
BODY = "1,18250,640,Mega,US\n0,16500,310,Mid,EU\n1,9200,420,Micro,US\n"
TABLE = f"{HEAD}\n{BODY}"
NUMBERS_ONLY = PostColumns(outcome="y", numeric=("x",), labels=(), optional_labels=())


def read(tmp_path: Path, content: str | bytes, *, columns: PostColumns | None = None) -> PostsTable:
    path = tmp_path / "posts.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_posts(path, columns=columns, today=TODAY)


def codes(posts: PostsTable) -> list[str]:
    return [notice.code for notice in posts.notices]


def refused_codes(tmp_path: Path, content: str | bytes, *, columns: PostColumns | None = None) -> list[str]:
    with pytest.raises(DataRefused) as refusal:
        read(tmp_path, content, columns=columns)
    return [problem.code for problem in refusal.value.problems]


def read_x(tmp_path: Path, *cells: str, delimiter: str = ",") -> list[float]:
    rows = "".join(f"{i % 2}{delimiter}{cell}\n" for i, cell in enumerate(cells))
    return list(read(tmp_path, f"y{delimiter}x\n{rows}", columns=NUMBERS_ONLY).frame["x"])


def test_frame_has_the_agreed_columns_and_types(tmp_path: Path) -> None:
    head = "Post_ID,Creator_ID,Post_Date,Fee,Caption," + HEAD
    rows = "p1,007,2026-05-01,100.5,a,1,10,2,Mega,US\np2,8,2026-05-02 10:00,,b,0,20,3,Mid,EU\n"
    posts = read(tmp_path, f"{head}\n{rows}")
    frame = posts.frame
    assert list(frame["Creator_ID"]) == ["007", "8"]
    assert pd.api.types.is_string_dtype(frame["Influencer_Tier"])
    assert frame["Story_Views"].dtype == np.float64
    assert frame["Fee"].isna().tolist() == [False, True]
    assert frame["Post_Date"].tolist() == [pd.Timestamp("2026-05-01"), pd.Timestamp("2026-05-02")]
    assert (frame["conversions"].dtype, frame["trials"].dtype, frame["line"].dtype) == (np.int64,) * 3
    assert frame["conversions"].tolist() == [1, 0]
    assert frame["trials"].tolist() == [1, 1]
    assert frame["line"].tolist() == [2, 3]
    assert "Caption" not in frame
    assert (posts.rows_read, posts.rows_used, posts.rejected) == (2, 2, {})
    assert (posts.file, posts.format) == ("posts.csv", "csv")


AWKWARD: dict[str, str | bytes] = {
    "byte-order mark": b"\xef\xbb\xbf" + TABLE.encode(),
    "UTF-16 little-endian": b"\xff\xfe" + TABLE.encode("utf-16-le"),
    "UTF-16 big-endian": b"\xfe\xff" + TABLE.encode("utf-16-be"),
    "UTF-16 with tabs (Excel's Unicode text)": b"\xff\xfe" + TABLE.replace(",", "\t").encode("utf-16-le"),
    "semicolons with byte-order mark and CRLF": b"\xef\xbb\xbf"
    + TABLE.replace(",", ";").replace("\n", "\r\n").encode(),
    "tabs": TABLE.replace(",", "\t"),
    "CRLF": TABLE.replace("\n", "\r\n"),
    "old Mac line ends": TABLE.replace("\n", "\r"),
    "no line end at the end": TABLE.rstrip("\n"),
    "blank lines at the end": TABLE + "\n\n   \n",
    "blank lines between": TABLE.replace("\n", "\n\n"),
    "rows of delimiters below": TABLE + ",,,,\n,,,,\n",
    "everything quoted": "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in TABLE.splitlines()),
    "blanks after commas": TABLE.replace(",", ", "),
    "quotes after blanks": TABLE.replace(",Mega", ', "Mega"'),
    "sep line": "sep=,\r\n" + TABLE,
    "trailing comma throughout": TABLE.replace("\n", ",\n"),
    "surplus columns": TABLE.replace("\n", ",x\n").replace("Region,x", "Region,Notes"),
    "headers in capitals": TABLE.replace(HEAD, HEAD.upper()),
    "headers with zero-width blanks": TABLE.replace("Converted", "Converted\u200b").replace("_Ups", "_Ups "),
    "full-width header and digits": TABLE.replace("Story_Views", "Ｓtory_Views").replace("18250", "１８２５０"),
    "outcome as words": TABLE.replace("\n1,", "\nTRUE,").replace("\n0,", "\nFALSE,"),
    "outcome as decimals": TABLE.replace("\n1,", "\n1.0,").replace("\n0,", "\n0.0,"),
    "grouped thousands": TABLE.replace("18250", '"18,250"').replace("16500", '"16,500"'),
    "grouped by apostrophes": TABLE.replace("18250", "18'250").replace("16500", "16’500"),
    "grouped by thin blanks": TABLE.replace("18250", "18\u202f250").replace("16500", "16\u00a0500"),
    "decimals that are whole": TABLE.replace("18250", "18250.0").replace("16500", "16500.00"),
    "labels with blanks": TABLE.replace("Mega", " Mega "),
}


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_file_gives_the_same_table(name: str, tmp_path: Path) -> None:
    posts = read(tmp_path, AWKWARD[name])
    assert posts.digest == read(tmp_path, TABLE).digest
    assert not [notice for notice in posts.notices if notice.rule == "warn"]


def test_lines_are_physical_lines(tmp_path: Path) -> None:
    head, *rows = TABLE.splitlines()
    noted = [f'{row},"two\nlines"' for row in rows]
    posts = read(tmp_path, "\n".join([f"{head},Notes", noted[0], "", *noted[1:]]))
    assert posts.frame["line"].tolist() == [2, 5, 7]
    assert refused_codes(tmp_path, "\n".join([f"{head},Notes", *noted, '1,x,2,Mega,US,"a"'])) == ["IB-D19"]


def test_sep_line_moves_the_header_to_line_2(tmp_path: Path) -> None:
    posts = read(tmp_path, "sep=;\n" + TABLE.replace(",", ";"))
    assert posts.frame["line"].tolist() == [3, 4, 5]


def test_line_break_in_a_label_becomes_a_blank(tmp_path: Path) -> None:
    for end in ("\n", "\r\n"):
        posts = read(tmp_path, TABLE.replace("Mega", f'"Me{end}ga"'))
        assert posts.frame["Influencer_Tier"][0] == "Me ga"


def test_cp1252_labels_are_read(tmp_path: Path) -> None:
    posts = read(tmp_path, TABLE.replace("EU", "España").encode("cp1252"))
    assert posts.frame["Audience_Region"][1] == "España"
    assert codes(posts) == ["IB-D02"]


def test_na_stays_a_level(tmp_path: Path) -> None:
    for word in ("NA", "None", "null", "nan", "N/A", "NULL"):
        posts = read(tmp_path, TABLE.replace("Mega", word))
        assert count_levels(posts, "Influencer_Tier") == dict.fromkeys(sorted(["Micro", "Mid", word]), 1)
        assert codes(posts) == ["IB-D20"]


def test_count_levels_refuses_unknown_columns(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r'posts\.csv has no column "Tier"'):
        count_levels(read(tmp_path, TABLE), "Tier")


def test_ids_keep_their_digits(tmp_path: Path) -> None:
    ids = ["007", "9007199254740993", "7"]
    rows = [f"{row},{key}" for row, key in zip(BODY.splitlines(), ids, strict=True)]
    posts = read(tmp_path, "\n".join([f"{HEAD},Creator_ID", *rows]))
    assert list(posts.frame["Creator_ID"]) == ids


def test_accents_are_composed(tmp_path: Path) -> None:
    posts = read(tmp_path, TABLE.replace("Mega", "Me\u0301ga").replace("Mid", "M\u00e9ga"))
    assert count_levels(posts, "Influencer_Tier") == {"Micro": 1, "Méga": 2}


@pytest.mark.parametrize(
    ("cells", "delimiter", "values"),
    [
        (["0", "-1.5", "2e3", ".5", "5.", "+3"], ",", [0, -1.5, 2000, 0.5, 5, 3]),
        (["3,5", "-0,25", "7"], ";", [3.5, -0.25, 7]),
        (["1,234", "3,5"], ";", [1.234, 3.5]),
        (["1.234,5", "12,25"], ";", [1234.5, 12.25]),
        (["1 234,5", "12,25"], ";", [1234.5, 12.25]),
        (["1,234,567", "1,234"], ";", [1234567, 1234]),
        (['"1,234.5"', "12"], ",", [1234.5, 12]),
        (["1,234,567", "12"], "\t", [1234567, 12]),
        (["1,234.5", "1,234"], "\t", [1234.5, 1234]),
        (["1,234", "3,5"], "\t", [1.234, 3.5]),
        (["1.234,5", "12,25"], "\t", [1234.5, 12.25]),
        (["1 234,5", "-0,25"], "\t", [1234.5, -0.25]),
        (["12.000", "0.125"], ",", [12, 0.125]),
        (["1.234.567", "1.234"], ",", [1234567, 1234]),
        (["\u22123", "１２"], ",", [-3, 12]),
    ],
)
def test_numbers_are_read(cells: list[str], delimiter: str, values: list[float], tmp_path: Path) -> None:
    assert read_x(tmp_path, *cells, delimiter=delimiter) == values


@pytest.mark.parametrize(
    ("cells", "delimiter", "expected"),
    [
        (["1,234", "12"], ";", ["IB-D18"]),
        (["1,234", "12"], "\t", ["IB-D18"]),
        (["3,5", "3.5"], "\t", ["IB-D18"]),
        (["3,5", "1,234.5"], "\t", ["IB-D17"]),
        (["3,5", "3.5"], ";", ["IB-D18"]),
        (["1 234", "1'234"], ",", ["IB-D17"]),
        (["1e13", "1"], ",", ["IB-D26"]),
        (["12 34", "1"], ",", ["IB-D19"]),
        (["50%", "$3", "0x10", "1_000", "٣x"], ",", ["IB-D19"]),
    ],
)
def test_unclear_numbers_are_refused(cells: list[str], delimiter: str, expected: list[str], tmp_path: Path) -> None:
    rows = "".join(f"{i % 2}{delimiter}{cell}\n" for i, cell in enumerate(cells))
    assert refused_codes(tmp_path, f"y{delimiter}x\n{rows}", columns=NUMBERS_ONLY) == expected


def test_count_written_with_points_everywhere_is_refused(tmp_path: Path) -> None:
    text = TABLE.replace("18250", "18.250").replace("16500", "16.500").replace("9200", "9.200")
    assert refused_codes(tmp_path, text) == ["IB-D18"]


def test_unused_columns_may_hold_anything(tmp_path: Path) -> None:
    rows = [f"{row},{cell}" for row, cell in zip(BODY.splitlines(), ["", "inf", "total views"], strict=True)]
    posts = read(tmp_path, "\n".join([f"{HEAD},Notes", *rows]))
    assert posts.rows_used == 3


def test_footer_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(DataRefused) as refusal:
        read(tmp_path, TABLE + "\nExported on 2026-06-30\n")
    assert [(problem.code, problem.lines) for problem in refusal.value.problems] == [("IB-D05", (6,))]


def test_subtotals_are_refused(tmp_path: Path) -> None:
    rows = [
        "1,10,2,Mega,US",
        "0,20,3,Mega,EU",
        "1,30,5,Total Mega,",
        "0,5,1,Mid,US",
        "1,6,2,Mid,EU",
        "1,11,3,Subtotal,",
    ]
    with pytest.raises(DataRefused) as refusal:
        read(tmp_path, "\n".join([HEAD, *rows]))
    assert [(problem.code, problem.lines) for problem in refusal.value.problems] == [("IB-D30", (4, 7))]


def test_successes_and_trials(tmp_path: Path) -> None:
    columns = PostColumns(outcome=None, successes="r", trials="n", numeric=("x",), labels=("g",))
    posts = read(tmp_path, 'r,n,x,g\n0,47,1,"1"\n18,148,0,"2"\n0,0,0,"3"\n', columns=columns)
    assert posts.frame["conversions"].tolist() == [0, 18]
    assert posts.frame["trials"].tolist() == [47, 148]
    assert list(posts.frame["g"]) == ["1", "2"]
    assert (posts.rows_read, posts.rows_used, posts.rejected) == (3, 2, {"0 trials": 1})
    assert refused_codes(tmp_path, "r,n,x,g\n,47,1,a\n1,,1,a\n", columns=columns) == ["IB-D21", "IB-D21"]


def test_mapping_can_swap_columns(tmp_path: Path) -> None:
    path = tmp_path / "posts.csv"
    path.write_text(TABLE.replace("Story_Views,Swipe_Ups", "Swipe_Ups,Story_Views"))
    swap = {"Story_Views": "Swipe_Ups", "Swipe_Ups": "Story_Views"}
    assert read_posts(path, mapping=swap, today=TODAY).frame["Story_Views"].tolist() == [18250, 16500, 9200]


def test_mapping_of_an_optional_and_of_an_unneeded_column(tmp_path: Path) -> None:
    path = tmp_path / "posts.csv"
    path.write_text(f"{HEAD},who\n" + "".join(f"{row},c{i}\n" for i, row in enumerate(BODY.splitlines())))
    posts = read_posts(path, mapping={"Creator_ID": "who"}, today=TODAY)
    assert list(posts.frame["Creator_ID"]) == ["c0", "c1", "c2"]
    lean = PostColumns(numeric=("Story_Views",))
    assert "Swipe_Ups" not in read_posts(path, columns=lean, mapping={"Swipe_Ups": "clicks"}, today=TODAY).frame


def test_hostile_header_is_never_offered_to_a_shell(tmp_path: Path) -> None:
    with pytest.raises(DataRefused) as refusal:
        read(tmp_path, TABLE.replace("Swipe_Ups", "Swipe_Up$(reboot)"))
    message = str(refusal.value)
    assert "--map Swipe_Ups=NAME" in message
    assert "=Swipe_Up$" not in message


def test_one_day_of_slack(tmp_path: Path) -> None:
    rows = [f"{row},2026-07-02" for row in BODY.splitlines()]
    assert read(tmp_path, "\n".join([f"{HEAD},Post_Date", *rows])).rows_used == 3


@pytest.mark.parametrize(
    ("cells", "days"),
    [
        (["2026-04-03", "2026-4-5", "2026-04-06T10:00:00Z"], None),
        (["2026/04/03", "2026.04.05", "2026-04-06 10:00:00.123"], ["2026-04-03", "2026-04-05", "2026-04-06"]),
        (["03.04.2026", "05.04.2026", "26.04.2026"], ["2026-04-03", "2026-04-05", "2026-04-26"]),
        (["04/03/2026", "04/05/2026", "04/26/2026 09:30 PM"], ["2026-04-03", "2026-04-05", "2026-04-26"]),
        (["46115.5", "46117", "46118"], ["2026-04-03", "2026-04-05", "2026-04-06"]),
    ],
)
def test_dates_are_read(cells: list[str], days: list[str] | None, tmp_path: Path) -> None:
    rows = [f"{row},{cell}" for row, cell in zip(BODY.splitlines(), cells, strict=True)]
    text = "\n".join([f"{HEAD},Post_Date", *rows])
    if days is None:
        assert refused_codes(tmp_path, text) == ["IB-D32"]
    else:
        assert [str(day)[:10] for day in read(tmp_path, text).frame["Post_Date"]] == days


@pytest.mark.parametrize(
    "cells",
    [
        ["13/04/2026", "04/13/2026", "05/04/2026"],
        ["2026-04-03", "03/04/2026", "46115"],
        ["03/04/26", "04/04/26", "13/04/26"],
        ["2026-04-03", "12", "2026-04-03"],
    ],
)
def test_unclear_dates_are_refused(cells: list[str], tmp_path: Path) -> None:
    rows = [f"{row},{cell}" for row, cell in zip(BODY.splitlines(), cells, strict=True)]
    assert refused_codes(tmp_path, "\n".join([f"{HEAD},Post_Date", *rows])) == ["IB-D31"]


@pytest.mark.parametrize(
    ("cells", "fees"),
    [
        (["$100", "$1 200.50", "$0.5"], [100, 1200.5, 0.5]),
        (["100 €", "50€", "12.5 €"], [100, 50, 12.5]),
        (["USD 100", "USD 50", "70 USD"], [100, 50, 70]),
        (["US$100", "US$50", "US$70"], [100, 50, 70]),
        (["532.187", "20", "1.5"], [532.187, 20, 1.5]),
    ],
)
def test_fees_are_read(cells: list[str], fees: list[float], tmp_path: Path) -> None:
    rows = [f"{row},{cell}" for row, cell in zip(BODY.splitlines(), cells, strict=True)]
    assert read(tmp_path, "\n".join([f"{HEAD},Fee", *rows])).frame["Fee"].tolist() == fees


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1.500 €", "2.000 €", "1.250 €"], ["IB-D18"]),
        (["$100", "50", "70"], ["IB-D40"]),
        (["$100", "-$50", "$70"], ["IB-D40"]),
        (["$100", "free", "$70"], ["IB-D19", "IB-D40"]),
    ],
)
def test_unclear_fees_are_refused(cells: list[str], expected: list[str], tmp_path: Path) -> None:
    rows = [f"{row},{cell}" for row, cell in zip(BODY.splitlines(), cells, strict=True)]
    assert refused_codes(tmp_path, "\n".join([f"{HEAD},Fee", *rows])) == expected


SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "seeds" / "influencer_conversion_data.csv"


@pytest.mark.skipif(not SHARED.exists(), reason="the shared reference data are not beside this checkout")
def test_the_real_story_table_is_read_without_a_word() -> None:
    posts = read_posts(SHARED)
    assert (posts.rows_used, posts.notices) == (60, ())
    assert count_levels(posts, "Influencer_Tier") == {"Mega": 20, "Micro": 20, "Mid": 20}
    assert posts.frame["conversions"].sum() == 30


WIDE_HEAD = "Creator_ID,Post_Date,Fee,Caption," + HEAD
WIDE_ROWS = [
    ["007", "2026-04-13", "1234.50", "Spring", "1", "18250", "640", "Mega", "US"],
    ["0012", "2026-04-05", "310.25", "Sale", "0", "16500", "310", "Mid", "EU"],
    ["03", "2026-05-30", "2500.75", "Bars", "1", "9200", "420", "NA", "España"],
]
WIDE = "\n".join([WIDE_HEAD, *(",".join(row) for row in WIDE_ROWS)]) + "\n"


def export(
    *,
    delimiter: str = ",",
    day: str = "%Y-%m-%d",
    fee: str = "{}",
    decimal: str = ".",
    group: str = "",
    yes: tuple[str, str] = ("0", "1"),
    end: str = "\r\n",
    encoding: str = "utf-8",
    above: str = "",
    below: str = "",
    caption: str = "{}",
) -> bytes:
    """The wide table as a spreadsheet of some locale writes it."""

    def write(text: str, places: int = 0) -> str:
        made = f"{float(text):,.{places}f}".replace(",", "_").replace(".", decimal).replace("_", group)
        return f'"{made}"' if delimiter in made else made

    lines = [WIDE_HEAD.replace(",", delimiter)]
    for row in WIDE_ROWS:
        cells = [row[0], date.fromisoformat(row[1]).strftime(day), fee.format(write(row[2], 2))]
        cells += [caption.format(row[3]), yes[int(row[4])], write(row[5]), write(row[6]), *row[7:]]
        lines.append(delimiter.join(cells))
    return (above + end.join(lines) + end + below).encode(encoding)


DOTS, SLASHES, US_DAYS = "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y"
SAME_EXPORTS: dict[str, bytes] = {
    "de_DE": export(delimiter=";", day=DOTS, decimal=","),
    "de_DE with byte-order mark": export(delimiter=";", day=DOTS, decimal=",", encoding="utf-8-sig"),
    "de_DE in cp1252": export(delimiter=";", day=DOTS, decimal=",", encoding="cp1252"),
    "de_DE with euros": export(delimiter=";", day=DOTS, decimal=",", fee="{} €"),
    "de_DE with euros in cp1252": export(delimiter=";", day=DOTS, decimal=",", fee="{} €", encoding="cp1252"),
    "de_DE with words": export(delimiter=";", day=DOTS, decimal=",", yes=("no", "yes")),
    "de_CH with apostrophes": export(delimiter=";", day=DOTS, group="'", fee="CHF {}"),
    "de_CH with curly apostrophes": export(delimiter=";", day=DOTS, group="\u2019"),
    "fr_FR": export(delimiter=";", day=SLASHES, decimal=","),
    "fr_FR with narrow blanks": export(delimiter=";", day=SLASHES, decimal=",", group="\u202f", fee="{} €"),
    "fr_FR with wide blanks in cp1252": export(
        delimiter=";", day=SLASHES, decimal=",", group="\u00a0", encoding="cp1252"
    ),
    "fr_FR in UTF-16 with semicolons": export(delimiter=";", day=SLASHES, decimal=",", encoding="utf-16"),
    "en_GB": export(day=SLASHES),
    "en_GB with pounds and groups": export(day=SLASHES, group=",")
    .replace(b'"1,234.50"', '"£1,234.50"'.encode())
    .replace(b"310.25", "£310.25".encode())
    .replace(b'"2,500.75"', '"£2,500.75"'.encode()),
    "en_GB with words": export(day=SLASHES, yes=("FALSE", "TRUE")),
    "en_US": export(day=US_DAYS),
    "en_US with groups": export(day=US_DAYS, group=","),
    "en_US with dollars": export(day=US_DAYS, fee="${}"),
    "en_IN with dashes in dates": export(day="%d-%m-%Y"),
    "tr_TR": export(delimiter=";", day=DOTS, decimal=","),
    "tr_TR with lira": export(delimiter=";", day=DOTS, decimal=",", fee="₺{}"),
    "pl_PL with zloty": export(delimiter=";", day=DOTS, decimal=",", fee="{} zł"),
    "sv_SE with kronor": export(delimiter=";", decimal=",", group="\u00a0", fee="{} kr"),
    "ja_JP with slashes": export(day="%Y/%m/%d", encoding="utf-8-sig"),
    "UTF-16 big-endian with semicolons": b"\xfe\xff" + export(delimiter=";", decimal=",", encoding="utf-16-be"),
    "sep line with semicolons": export(delimiter=";", decimal=",", above="sep=;\r\n"),
    "sep line with tabs": export(delimiter="\t", above="sep=\t\r\n"),
    "de_DE with tabs in UTF-16": export(delimiter="\t", day=DOTS, decimal=",", encoding="utf-16"),
    "fr_FR with tabs and narrow blanks": export(delimiter="\t", day=SLASHES, decimal=",", group="\u202f", fee="{} €"),
    "pl_PL with tabs and zloty": export(delimiter="\t", day=DOTS, decimal=",", group="\u00a0", fee="{} zł"),
    "en_US with tabs and groups": export(delimiter="\t", day=US_DAYS, group=","),
    "CR only": export(end="\r"),
    "line breaks in captions": export(caption='"{}\nnow, ""big"""'),
    "CRLF in captions, semicolons": export(delimiter=";", decimal=",", caption='"{};\r\n\r\nnow"'),
    "clock at midnight": export(day="%Y-%m-%d 00:00:00"),
    "rows of semicolons below": export(delimiter=";", decimal=",", below=";;;;;;;;\r\n;;;;;;;;\r\n"),
}


@pytest.mark.parametrize("name", SAME_EXPORTS)
def test_export_of_a_locale_gives_the_same_table(name: str, tmp_path: Path) -> None:
    posts = read(tmp_path, SAME_EXPORTS[name])
    plain = read(tmp_path, WIDE)
    assert posts.digest == plain.digest
    assert list(posts.frame["Creator_ID"]) == ["007", "0012", "03"]
    assert posts.frame["Fee"].tolist() == [1234.5, 310.25, 2500.75]
    assert not [notice for notice in posts.notices if notice.rule == "warn"]


SUMS = ["2", "43950", "1370"]
REFUSED_EXPORTS: dict[str, tuple[bytes | str, list[str]]] = {
    "total": (export(below=f"Total,,,,{','.join(SUMS)},,\n"), ["IB-D30"]),
    "Gesamt, semicolons": (
        export(delimiter=";", decimal=",", below=f"Gesamt;;;;{';'.join(SUMS)};;\n"),
        ["IB-D30"],
    ),
    "Summe": (export(below=f"Summe,,,,{','.join(SUMS)},,\n"), ["IB-D30"]),
    "Toplam": (export(below=f"Toplam,,,,{','.join(SUMS)},,\n"), ["IB-D30"]),
    "Total général": (export(below=f"Total général,,,,{','.join(SUMS)},,\n"), ["IB-D30"]),
    "sum without a word": (export(below=f",,,,{','.join(SUMS)},,\n"), ["IB-D30"]),
    "footer": (export(below="\r\nExported by tracker 3.1\r\n"), ["IB-D05"]),
    "title above": (export(above="Report of June\r\n\r\n"), ["IB-D05", "IB-D14"]),
    "points between thousands": (export(delimiter=";", decimal=",", group="."), ["IB-D18"]),
    "two currencies": (export(fee="${}").replace(b"$310", "€310".encode()), ["IB-D40"]),
    "UTF-16 without a mark": (export(encoding="utf-16-le"), ["IB-D06"]),
    "tabs and points between thousands": (export(delimiter="\t", decimal=",", group="."), ["IB-D18"]),
    "tabs, one fee with a decimal point": (
        export(delimiter="\t", decimal=",").replace(b"310,25", b"310.25"),
        ["IB-D18"],
    ),
    "cut in a quote": (export(caption='"{}"')[:-70].rstrip(b"\r\n") + b',"', ["IB-D05"]),
}


@pytest.mark.parametrize("name", REFUSED_EXPORTS)
def test_export_that_cannot_be_trusted_is_refused(name: str, tmp_path: Path) -> None:
    content, expected = REFUSED_EXPORTS[name]
    found = refused_codes(tmp_path, content)
    assert sorted(set(found)) == expected


def test_there_are_sixty_realistic_files() -> None:
    assert len(AWKWARD) + len(SAME_EXPORTS) + len(REFUSED_EXPORTS) >= 60
