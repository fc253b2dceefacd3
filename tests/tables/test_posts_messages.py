"""Every message of read_posts, word for word: the tables are here, the texts in posts_messages.txt."""

import os
from datetime import date
from pathlib import Path

import pytest

from influbayes.errors import DataRefused, UsageError
from influbayes.tables.files import SIGNATURES
from influbayes.tables.posts import PostColumns
from influbayes.tables.reader import read_posts

TODAY = date(2026, 7, 1)
HEAD = "Converted,Story_Views,Swipe_Ups,Influencer_Tier,Audience_Region"
ROWS = ("1,18250,640,Mega,US", "0,16500,310,Mega,EU", "1,9200,420,Mid,US", "0,2100,35,Micro,EU")
COUNTED = PostColumns(outcome=None, successes="Wins", trials="Games", numeric=(), labels=("Team",), optional_labels=())


def write(*rows: str, head: str = HEAD) -> str:
    return "".join(f"{line}\n" for line in (head, *(rows or ROWS)))


def change(row: int, place: int, value: str) -> str:
    cells = [line.split(",") for line in ROWS]
    cells[row][place] = value
    return write(*(",".join(line) for line in cells))


def extend(name: str, *values: str) -> str:
    return write(*(f"{row},{value}" for row, value in zip(ROWS, values, strict=True)), head=f"{HEAD},{name}")


TABLES: dict[str, str | bytes] = {
    "D01": "\ufeff" + write(),
    "D02-utf16": write().encode("utf-16"),
    "D02-cp1252": write(*(row.replace("EU", "España") for row in ROWS)).encode("cp1252"),
    "D02-neither": change(2, 4, "EQ").encode().replace(b"EQ", b"E\x81"),
    "D02-control": change(1, 3, "Me\x1b[31mga"),
    "D02-utf16-damaged": b"\xff\xfe" + "abc".encode("utf-16-le") + b"\x00",
    "D03-semicolon": write().replace(",", ";"),
    "D03-mixed": write(ROWS[0], ROWS[1].replace(",", ";"), ROWS[2]),
    "D03-sep": "sep=;\n" + write().replace(",", ";"),
    "D04": write(*(f"{row}," for row in ROWS)),
    "D04-header": write(head=f"{HEAD},"),
    "D05-short": write(ROWS[0], "1,2,3,Mega", ROWS[2]),
    "D05-long": write(ROWS[0], "1,2,3,Mega,US,x,y", ROWS[2], "only"),
    "D05-quote": write(ROWS[0], '1,2,3,"Mega"x,US', ROWS[2]),
    "D06-html": "<!DOCTYPE html>\n<html><body>Log in</body></html>",
    "D06-pdf": "%PDF-1.7\n",
    "D06-xlsx": b"PK\x03\x04\x14\x00[Content_Types].xml",
    "D06-zip": b"PK\x03\x04\x14\x00posts.csv",
    "D08-gzip": b"\x1f\x8b\x08",
    "D06-parquet": b"PAR1\x15",
    "D06-sqlite": b"SQLite format 3\x00",
    "D06-json": '[{"Converted": 1}]',
    "D06-nul": change(1, 3, "Me\x00ga"),
    "D07-empty": "",
    "D07-header": f"{HEAD}\n",
    "D14-near": write().replace("Swipe_Ups", "swipeups").replace("Audience_Region", "Country"),
    "D14-map": write(),
    "D14-map-unknown": write(),
    "D14-data": write(*ROWS[1:], head=ROWS[0]),
    "D15": write(*(f"{row},5,6" for row in ROWS), head=f"{HEAD},Fee,Fee"),
    "D15-shared": write(),
    "D16": write().replace("Influencer_Tier", " influencer_TIER "),
    "D16-collision": write(*(f"{row},x" for row in ROWS), head=f"{HEAD},INFLUENCER_TIER"),
    "D17": change(0, 1, '"18,250"'),
    "D17-mixed": change(0, 1, '"18,250"').replace("16500", "16 500"),
    "D18": change(0, 1, "18.250"),
    "D18-accept": change(0, 1, "18250.0"),
    "D19": change(1, 1, "abc"),
    "D20": change(1, 3, "NA"),
    "D21": change(1, 0, ""),
    "D22-number": change(1, 2, ""),
    "D22-label": change(1, 3, " "),
    "D23": change(1, 0, "0.5"),
    "D23-count": change(1, 2, "31.5"),
    "D24": change(1, 2, "-3"),
    "D25": change(1, 2, "1e400"),
    "D26": change(1, 1, "17841400000000001"),
    "D27": extend("Creator_ID", "007", "8", "9", "10"),
    "D28-trim": change(1, 3, "Mega "),
    "D28-near": change(1, 3, "mega"),
    "D29": write(*ROWS, ROWS[1]),
    "D29-id": extend("Post_ID", "a", "b", "b", "c"),
    "D30": write(*ROWS, "2,46050,1405,Total,"),
    "D30-silent": write(*ROWS, "2,46050,1405,,"),
    "D30-warn": write(*ROWS, "1,500,5,Total,US"),
    "D31-order": extend("Post_Date", "03/04/2026", "04/04/2026", "05/04/2026", "06/04/2026"),
    "D31-accept": extend("Post_Date", "03/04/2026", "13/04/2026", "05/04/2026", "06/04/2026"),
    "D31-serial": extend("Post_Date", "46115", "46116", "46117", "46118"),
    "D31-strange": extend("Post_Date", "2026-04-03", "2026-02-31", "soon", "2026-04-03"),
    "D31-empty": extend("Post_Date", "2026-04-03", "", "2026-04-01", "2026-04-03"),
    "D32": extend(
        "Post_Date", "2026-04-03T10:00:00+02:00", "2026-04-03T10:00:00", "2026-04-01 10:00", "2026-04-03 11:00"
    ),
    "D33": change(1, 0, "maybe"),
    "D33-12": write("1,5,2,a,b", "2,6,3,a,b", "1,5,4,a,c"),
    "D33-yes": write("yes,5,2,a,b", "no,6,3,a,b", "No,5,4,a,c"),
    "D34": write("1,100,120,Mega,US", "0,50,5,Mid,EU", "0,10,11,Mid,EU"),
    "D34-trials": write("3,2,a", "1,2,b", head="Wins,Games,Team"),
    "D35": write("0,0,a", "1,2,b", head="Wins,Games,Team"),
    "D35-all": write("0,0,a", "0,0,b", head="Wins,Games,Team"),
    "D35-views": write("0,0,0,Mega,US", "1,5,1,Mid,EU"),
    "D36": write("1,100,0,Mega,US", "1,50,0,Mid,EU", "0,10,1,Mid,EU"),
    "D38": extend("Creator_ID", "c1", "c1", "c1", "c2"),
    "D38-day": write(
        *(f"{row},c1,2026-04-0{day}" for row, day in zip(ROWS, (1, 2, 2, 3), strict=True)),
        head=f"{HEAD},Creator_ID,Post_Date",
    ),
    "D39": extend("Post_Date", "2026-04-03", "2026-07-03", "2026-07-02", "2026-04-03"),
    "D40-mixed": extend("Fee", "$100", "€200", "$50", "$20"),
    "D40-negative": extend("Fee", "100", "-200", "50", "20"),
    "D40-zero": extend("Fee", "100", "0", "", "20"),
    "D40-sign": extend("Fee", "$100", "$200.50", "$50", "$20"),
}
MAPPINGS = {
    "D14-map": {"Swipe_Ups": "clicks"},
    "D14-map-unknown": {"Clicks": "Swipe_Ups"},
    "D15-shared": {"Story_Views": "Swipe_Ups"},
}


def load_expected() -> dict[str, tuple[str, list[str]]]:
    expected: dict[str, tuple[str, list[str]]] = {}
    for line in (Path(__file__).parent / "posts_messages.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            _, name, outcome = line.split(" ")
            expected[name] = (outcome, [])
        else:
            expected[name][1].append(line)
    return expected


EXPECTED = load_expected()


def read(path: Path, name: str) -> tuple[str, list[str]]:
    columns = COUNTED if name in ("D34-trials", "D35", "D35-all") else None
    try:
        posts = read_posts(path, columns=columns, mapping=MAPPINGS.get(name), today=TODAY)
    except DataRefused as refusal:
        return "refused", [str(problem) for problem in refusal.problems]
    return "ok", [str(notice) for notice in posts.notices]


def test_every_table_has_its_expected_messages() -> None:
    assert TABLES.keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", TABLES)
def test_message_is_word_for_word_as_recorded(name: str, tmp_path: Path) -> None:
    path = tmp_path / "posts.csv"
    content = TABLES[name]
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    outcome, messages = read(path, name)
    assert (outcome, messages) == EXPECTED[name]
    for message in messages:
        assert message.startswith(f"IB-{name[:3]} posts.csv")
        assert len(message) <= 600
        assert message.endswith("Nothing was fitted.") == (outcome == "refused")


@pytest.mark.parametrize(("signature", "what", "remedy"), SIGNATURES)
def test_other_kinds_of_file_are_named(signature: bytes, what: str, remedy: str, tmp_path: Path) -> None:
    path = tmp_path / "posts.csv"
    path.write_bytes(signature + b"rest")
    with pytest.raises(DataRefused) as refusal:
        read_posts(path)
    code = "IB-D08" if remedy.startswith("Unpack") else "IB-D06"
    assert str(refusal.value) == f"{code} posts.csv: this is {what}, not a CSV file. {remedy} Nothing was fitted."


def test_xml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "posts.csv"
    path.write_text('<?xml version="1.0"?><rows/>')
    with pytest.raises(DataRefused, match=r"IB-D06 posts.csv: this is an XML document, not a CSV file\. Export"):
        read_posts(path)


def test_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "posts_june.csv").write_text("x")
    with pytest.raises(DataRefused) as refusal:
        read_posts(tmp_path / "post_june.csv")
    shown = tmp_path / "post_june.csv"
    assert str(refusal.value) == (
        f'IB-D00 post_june.csv: there is no file "{shown}". Did you mean "posts_june.csv"? Nothing was fitted.'
    )


def test_missing_file_without_neighbours(tmp_path: Path) -> None:
    with pytest.raises(DataRefused, match="Check the spelling and the folder you are in"):
        read_posts(tmp_path / "posts.csv")
    with pytest.raises(DataRefused, match="The folder does not exist or cannot be read; check the path"):
        read_posts(tmp_path / "no" / "posts.csv")


def test_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataRefused, match=r"is a folder, not a file\. Give the CSV file inside it\. Nothing was fitted"
    ):
        read_posts(tmp_path)


def test_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "posts.csv")
    with pytest.raises(DataRefused, match=r"is not an ordinary file\. Save the table to a file first"):
        read_posts(tmp_path / "posts.csv")


def test_file_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "posts.csv"
    path.write_text(write())

    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataRefused, match=r"no permission to read .*\. Ask for the right to read it, or copy it"):
        read_posts(path)


def test_broken_drive_and_impossible_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataRefused, match="IB-D00"):
        read_posts("a\x00b.csv")
    path = tmp_path / "posts.csv"
    path.write_text(write())

    def fail(self: Path) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(DataRefused, match=r"cannot read .* \(Input/output error\)\. Check name and drive"):
        read_posts(path)


@pytest.mark.parametrize(
    "columns",
    [
        PostColumns(outcome=None),
        PostColumns(successes="Wins", trials="Games"),
        PostColumns(outcome=None, trials="Games"),
        PostColumns(successes="Wins"),
    ],
)
def test_outcome_must_be_of_one_form(columns: PostColumns) -> None:
    with pytest.raises(UsageError, match="Give either a 0/1 outcome column, or successes and trials"):
        read_posts("posts.csv", columns=columns)


def test_all_problems_come_at_once_in_line_order(tmp_path: Path) -> None:
    path = tmp_path / "posts.csv"
    rows = ["1,10,2,Mega,US", "2,10,3,Mega,US", "0,abc,3,,US", "0,-1,3,Mid,US", "0,5,6,Mid,EU", "1,2"]
    path.write_text(write(*rows))
    with pytest.raises(DataRefused) as refusal:
        read_posts(path)
    found = [(problem.code, problem.column, problem.lines) for problem in refusal.value.problems]
    assert found == [
        ("IB-D33", "Converted", (3,)),
        ("IB-D22", "Influencer_Tier", (4,)),
        ("IB-D19", "Story_Views", (4,)),
        ("IB-D24", "Story_Views", (5,)),
        ("IB-D34", "Swipe_Ups", (6,)),
        ("IB-D05", None, (7,)),
    ]
