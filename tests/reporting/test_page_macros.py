"""What the pages of all studies show alike is written once; a probability reads alike in diagnostics and reports."""

from __future__ import annotations

import re
from collections import Counter
from importlib import resources

import pytest

from influbayes.gate import wording as gate_wording
from influbayes.reporting import wording
from influbayes.reporting.html import Picture, embed_picture, load_template

TEMPLATES = resources.files("influbayes.reporting") / "templates"
ROW = {"status": "stated", "text": "Micro beats Mega."}


def render(call: str, **named: object) -> str:
    imported = '{% from "macros.html.j2" import show_pictures, show_statement %}'
    return load_template("macros.html.j2").environment.from_string(imported + call).render(**named)


def test_no_macro_is_written_twice() -> None:
    texts = [path.read_text(encoding="utf-8") for path in TEMPLATES.iterdir() if path.name.endswith(".j2")]
    macros = Counter(name for text in texts for name in re.findall(r"{% macro (\w+)", text))
    assert macros["show_table"] == 1
    assert {name for name, count in macros.items() if count > 1} == set()


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (ROW, "<li>Micro beats Mega.</li>"),
        ({**ROW, "status": "weakened"}, '<span class="chip weakened">weakened</span>Micro beats Mega.</li>'),
        ({**ROW, "status": "weakened", "reasons": ["<few>"]}, '<span class="reasons">&lt;few&gt;</span></li>'),
        (
            {"status": "withheld", "text": "Withheld: it."},
            'class="withheld"><span class="chip withheld">withheld</span>it',
        ),
    ],
)
def test_a_statement_reads_alike_on_every_page(row: dict[str, object], text: str) -> None:
    assert text in render("{{ show_statement(row) }}", row=row)


@pytest.mark.parametrize("table", ["", "table-weeks"])
def test_a_picture_points_to_its_table_where_it_has_one(table: str) -> None:
    picture = embed_picture("weeks", b"PNG", alt='Revenue "by week"', table=table)
    assert picture == Picture(name="weeks", alt='Revenue "by week"', uri="data:image/png;base64,UE5H", table=table)
    page = render("{{ show_pictures([picture]) }}", picture=picture)
    assert 'alt="Revenue &#34;by week&#34;"' in page
    assert ('href="#table-weeks"' in page) == bool(table)


def test_there_is_one_rule_for_the_digits_of_a_probability() -> None:
    assert wording.say_probability is gate_wording.say_probability
