"""200 hostile labels through every output: nothing executes, nothing breaks, nothing is read as markup or formula."""

from __future__ import annotations

import copy
import csv
import io
import json
import shlex
import subprocess
import sys
import tomllib
import unicodedata
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest
from rich.console import Console

from influbayes import pipeline
from influbayes.errors import SpecificationRefused
from influbayes.hierarchy.posterior import load_fit
from influbayes.hierarchy.spec import load_spec, parse_spec, render_spec, replace_references
from influbayes.pipeline import Settings, analyse_posts
from influbayes.reporting.html import render_report
from influbayes.reporting.results import ConversionAnalysis, collect_results, encode_results, read_results
from influbayes.reporting.run_folder import publish_run, reserve_run, verify_run
from influbayes.reporting.terminal import print_screen, say_open
from influbayes.tables.export import export_table
from influbayes.tables.simulate import simulate_posts

# --- the labels ------------------------------------------------------------------------------------------------------

MARKUP = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)//",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "</style><b>x",
    "</title><b>x",
    "</td></tr></table>",
    "<!-- x",
    "--> x",
    "<![CDATA[x]]>",
    "<?php system('id') ?>",
    "&lt;b&gt;",
    "&#x3C;b&#x3E;",
    "&amp;&nbsp",
    "<iframe src=//a.b>",
    "<base href=//a.b>",
    "<meta http-equiv=refresh content=0>",
    "<a href='data:text/html,x'>x</a>",
    "<plaintext>",
    "<textarea>",
    "<template>",
    "<math><mi//xlink:href='data:x'>",
    "{{7*7}}",
    "{% raise %}",
    "{# x #}",
    "{{ self.__init__.__globals__ }}",
    "${7*7}",
    "#{7*7}",
    "<%= 7*7 %>",
    "[red]x[/red]",
    "[/b]",
    "[link=file:///etc/passwd]x[/link]",
    "[bold",
    ":smile:",
    "**bold**",
    "# heading",
    "[x](javascript:alert(1))",
    "`code`",
    "$\\frac{1}{0}$",
    "$x_",
    "$$",
    "\\$x\\$",
    "$\\undefined$",
    "\\input{/etc/passwd}",
    "x^2_3",
    "graph TD; a-->b",
    'A["x"]; click A "javascript:alert(1)"',
    "%%{init: {}}%%",
]
FORMULAS = [
    *("=1+1", "+1+1", "-1+1", "@SUM(A1)", " =1+1", "=cmd|' /C calc'!A0", '=HYPERLINK("x","y")', "＝1+1", "＋1", "－1"),
    *("＠SUM(A1)", "\u200b=1+1", "'=1+1", "=", "+", "-", "@", '"=1+1"', ";=1+1", "=1,=2"),
]
PROGRAMS = [
    *("'; DROP TABLE posts; --", '" OR 1=1 --', "$(touch pwned)", "`touch pwned`", "; rm -rf /", "| cat /etc/passwd"),
    *("&& id", "%s%s%s%n", "%(name)s", "{0.__class__}", "{x}", "{", "}", "%", "100 %", "50 %/y", "__import__('os')"),
    *("../../etc/passwd", "..", ".", "/", "\\", "C:\\x", "CON", "nul", "a/b", "a:b", "A × B", "a__x__b", "file:///x"),
]
NUMBERS = [
    *(
        "0",
        "-1",
        "1e400",
        "NaN",
        "nan",
        "inf",
        "-inf",
        "None",
        "null",
        "NULL",
        "NA",
        "N/A",
        "true",
        "False",
        "007",
        "7.0",
    ),
    *("1_000", "0x10", "2026-01-01", "12:00", "1,5", "1/2", "½", "٣", "²", "Ⅷ"),
]
JSONS = [
    '"',
    "'",
    '\\"',
    "\\",
    "\\u0000",
    "\\n",
    '{"a": 1}',
    "[1]",
    '"""',
    "'''",
    'x" = 1',
    "[table]",
    "# x = 1",
    '","',
]
UNICODE = [
    "Größe",
    "España",
    "微型",
    "Ελλάδα",
    "שלום",
    "مرحبا",
    "हिन्दी",
    "ไทย",
    "İstanbul ıI",
    "ﬁ ﬃ",
    "😀",
    "👩‍👩‍👧‍👦",
    "🇩🇪",
    "e\u0301",
    "Z̸̢̛͚͉a̶͎l̷g̵o̴",
    "\u202egpj.exe",
    "\u2066x\u2069",
    "a\u200bb",
    "a\u200db",
    "\ufeffx",
    "a\u00a0b",
    "a\u3000b",
    "a\u2028b",
    "a\u2029b",
    "a\u0085b",
    "\U000e0041",
    "\uffff",
    "\U0010ffff",
    "\ue000",
    "ß",
    "ẞ",
    "Ǆ",
    "ſ",
    "K",
    "Å",
    "｜",
    "Ａ",
    "✓",
    "─│┌",
]
CONTROLS = [
    *(
        "a\tb",
        "a\nb",
        "a\r\nb",
        "\tx",
        "\nx",
        "\x1b[2J",
        "\x1b]0;pwned\x07",
        "\x1b[31mred",
        "\x9b31m",
        "\x00x",
        "a\x08b",
    ),
    *("\x7f", "a\x0bb", "a\x0cb", "\x1b]8;;file:///etc/passwd\x07x\x1b]8;;\x07", "\nSAMPLE DATA", "\rCHECKS PASSED."),
]
LONG = ["x" * 60, "x" * 400, "x " * 200, "😀" * 60, "<b>" * 60, "=" * 60, "$" * 61, "微" * 100]
HOSTILE = list(dict.fromkeys([*MARKUP, *FORMULAS, *PROGRAMS, *NUMBERS, *JSONS, *UNICODE, *CONTROLS, *LONG]))


def test_there_are_two_hundred_different_labels() -> None:
    assert len(HOSTILE) >= 200


# --- results, page and screen with every label ------------------------------------------------------------------------

PLAIN = ("Mega", "Micro", "Mid", "US", "posts.csv", "Nano", "EU", "APAC", "LATAM")
BATCH = 5
BATCHES = [HOSTILE[start : start + BATCH] for start in range(0, len(HOSTILE), BATCH)]


def rename(value: Any, names: dict[str, str]) -> Any:
    """Results in which labels, and what is made of them, are others."""
    if isinstance(value, dict):
        return {rename(key, names): rename(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [rename(item, names) for item in value]
    if isinstance(value, str):
        for plain, hostile in names.items():
            value = value.replace(plain, hostile)
    return value


@pytest.fixture(scope="module")
def plain_analysis(sixty_posts: Any, approximate: Any) -> ConversionAnalysis:
    return analyse(sixty_posts, load_spec("conversion_creator"), approximate)


def analyse(posts: Any, spec: Any, approximate: Any) -> ConversionAnalysis:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "fit_model", approximate)
        patch.setattr(pipeline, "_judge_priors", lambda averages, settings: ())
        return analyse_posts(posts, spec, settings=Settings(draws=100), choice="asked for", command="influbayes fit")


@pytest.fixture(scope="module")
def plain_results(plain_analysis: ConversionAnalysis) -> dict[str, Any]:
    return {**collect_results(plain_analysis, created="now"), "status": "ok"}


class Skeleton(HTMLParser):
    """The tags of a page with the names of their attributes, and all its text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.other: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        links = [value or "" for name, value in attrs if name in ("href", "src", "action", "style")]
        assert not any(value.strip().lower().startswith(("javascript:", "file:", "http:", "//")) for value in links)

    def handle_endtag(self, tag: str) -> None:
        self.tags.append((f"/{tag}", ()))

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.other.append(data)

    def unknown_decl(self, data: str) -> None:
        self.other.append(data)

    def handle_pi(self, data: str) -> None:
        self.other.append(data)


@pytest.mark.parametrize("batch", BATCHES, ids=range(len(BATCHES)))
def test_page_and_screen_stay_what_they_are(plain_results: dict[str, Any], batch: list[str]) -> None:
    """The page has the same tags and attributes as with harmless labels; the screen no control, no foreign line."""
    found = [name for name in PLAIN if name in json.dumps(plain_results)][: len(batch)]
    hostile = rename(copy.deepcopy(plain_results), dict(zip(found, batch, strict=False)))
    harmless, page = Skeleton(render_report(plain_results, {})), Skeleton(render_report(hostile, {}))
    assert page.tags == harmless.tags
    assert page.other == harmless.other
    for label in batch[: len(found)]:
        assert flatten(label)[:20] in flatten(page.text)
    check_screen(show(hostile))
    assert json.loads(encode_results(hostile)) == hostile


def flatten(text: str) -> str:
    """What remains of a text on a page: no controls, no blanks."""
    kept = "".join(char for char in text if unicodedata.category(char) not in ("Cc", "Cf", "Cs"))
    return "".join(kept.split())


def show(results: dict[str, Any], *, width: int = 100) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=False, color_system=None)
    print_screen(results, console=console, paths={"folder": "runs/x", "report": "runs/x/report.html"})
    return file.getvalue()


def check_screen(screen: str) -> None:
    assert not [char for char in screen if unicodedata.category(char) in ("Cc", "Cf", "Cs") and char != "\n"]
    lines = screen.split("\n")
    assert not any(line.startswith("SAMPLE DATA") for line in lines)
    assert sum(line.startswith(("CHECKS PASSED.", "PARTLY WITHHELD.", "WITHHELD.")) for line in lines) == 1
    assert lines[-1] == ""


# --- a whole study whose tiers, regions and creators have these names -------------------------------------------------

# NUL ends a text in netCDF; the readers refuse a table that holds one (IB-D06).
CREATORS = [label for label in HOSTILE if "\0" not in label]
TIERS, REGIONS = HOSTILE[::34], HOSTILE[7::34]


@pytest.fixture(scope="module")
def hostile_analysis(make_posts: Any, approximate: Any) -> ConversionAnalysis:
    frame = simulate_posts(posts=len(CREATORS), creators=40, seed=4).frame
    count = len(frame)
    frame["Influencer_Tier"] = [TIERS[k % len(TIERS)] for k in range(count)]
    frame["Audience_Region"] = [REGIONS[k // len(TIERS) % len(REGIONS)] for k in range(count)]
    frame["Creator_ID"] = CREATORS
    posts = replace(make_posts(frame), file="<script>alert(1)</script>$x_\x1b[2J.csv")
    references = {"Influencer_Tier": TIERS[1], "Audience_Region": REGIONS[2]}
    return analyse(posts, replace_references(load_spec("conversion_creator"), references), approximate)


@pytest.fixture(scope="module")
def hostile_run(hostile_analysis: ConversionAnalysis, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole run folder, pictures too."""
    results = collect_results(hostile_analysis, created="now")
    with reserve_run(tmp_path_factory.mktemp("hostile") / "run") as place:
        return publish_run(place, pipeline.make_files(hostile_analysis, results), facts={"seed": 1})


def test_a_study_of_hostile_labels_is_written_whole(hostile_run: Path, hostile_analysis: ConversionAnalysis) -> None:
    verify_run(hostile_run)
    found = read_results(hostile_run / "results.json")
    assert {row["level"] for row in found["creators"]} == set(CREATORS)
    assert {row["level"] for row in found["effects"] if row["variable"] == "Influencer_Tier"} >= set(TIERS)
    page = Skeleton((hostile_run / "report.html").read_text(encoding="utf-8"))
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "b", "iframe", "base", "svg", "textarea", "template"})
    assert not any(name.startswith("on") for _, names in page.tags for name in names)
    check_screen(show(found))
    assert len(list((hostile_run / "plots").glob("*.png"))) > 2
    assert sorted(path.name for path in hostile_run.parent.iterdir()) == ["run"]

    check_saved_fit(hostile_run, hostile_analysis.questions[0].fit)


def check_saved_fit(hostile_run: Path, fit: Any) -> None:
    """The specification and the draws keep every label."""
    text = (hostile_run / "spec.toml").read_text(encoding="utf-8")
    tomllib.loads(text)
    assert {term.reference for term in parse_spec(text, name="x").factors} >= {TIERS[1], REGIONS[2]}
    loaded = load_fit(hostile_run / "posterior.nc")
    assert loaded.design.levels == fit.design.levels


def test_every_printable_label_survives_as_a_reference_and_the_others_are_refused() -> None:
    spec = load_spec("conversion")
    for label in CREATORS:
        changed = replace_references(spec, {"Influencer_Tier": label})
        if not label.isprintable():
            with pytest.raises(SpecificationRefused, match=r"IB-F09 conversion, factor\[1\]\.reference: line 26"):
                parse_spec(render_spec(changed), name=spec.name)
            continue
        again = parse_spec(render_spec(changed), name=spec.name)
        assert [term.reference for term in again.factors] == [term.reference for term in changed.factors], label


@pytest.mark.skipif(sys.platform == "win32", reason="the shell of POSIX systems")
def test_the_command_to_open_the_page_runs_nothing_else(tmp_path: Path) -> None:
    """It is there to be pasted, and the name of a folder is part of it."""
    paths = [f"/runs/{label.replace(chr(0), '')}/report.html" for label in HOSTILE]
    for path in paths:
        words = shlex.split(say_open(path))
        assert words == [words[0], path]
    lines = [say_open(path).replace("xdg-open", ":", 1).replace("open", ":", 1) for path in paths]
    subprocess.run(["sh", "-eu"], input="\n".join(lines), text=True, check=True, cwd=tmp_path, errors="surrogateescape")
    assert list(tmp_path.iterdir()) == []


# --- exports ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exported() -> pd.DataFrame:
    columns = {name: range(len(HOSTILE)) for name in HOSTILE[:60]}
    return pd.DataFrame({"label": HOSTILE, "number": -1.5, **columns})


def is_formula(cell: str) -> bool:
    """What a spreadsheet takes for one, after blanks and invisible characters."""
    seen = "".join(char for char in cell if not char.isspace() and unicodedata.category(char) != "Cf")
    return unicodedata.normalize("NFKC", seen[:1]) in ("=", "+", "-", "@") or cell[:1] in ("\t", "\r", "\n")


def test_no_cell_and_no_header_of_an_exported_csv_is_a_formula(exported: pd.DataFrame, tmp_path: Path) -> None:
    path = export_table(exported, tmp_path / "labels.csv")
    with path.open(encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file)
    assert len(rows) == len(HOSTILE)
    assert {len(row) for row in rows} == {len(header)} == {exported.shape[1]}
    assert not [cell for cell in [*header, *(row[0] for row in rows)] if is_formula(cell)]
    assert {row[1] for row in rows} == {"-1.5"}, "numbers stay numbers"


def test_no_cell_of_an_exported_sheet_is_a_formula(exported: pd.DataFrame, tmp_path: Path) -> None:
    kept = exported[exported["label"] != "\uffff"].drop(columns="\uffff", errors="ignore")  # see below
    book = openpyxl.load_workbook(export_table(kept, tmp_path / "labels.xlsx"))
    cells = [cell for row in book.active.iter_rows() for cell in row]
    assert not [cell.value for cell in cells if cell.data_type == "f"]
    assert not [cell.value for cell in cells if isinstance(cell.value, str) and is_formula(cell.value)]
    assert {row[1].value for row in list(book.active.iter_rows())[1:]} == {-1.5}


def test_a_sheet_with_a_noncharacter_can_be_opened(tmp_path: Path) -> None:
    openpyxl.load_workbook(export_table(pd.DataFrame({"label": ["a\uffffb"]}), tmp_path / "labels.xlsx"))
