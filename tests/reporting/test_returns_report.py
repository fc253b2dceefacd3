"""The returns report: schema, sentences rebuilt from numbers, hostile labels, pictures, screen, run folder."""

from __future__ import annotations

import io
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from influbayes.pipeline_ledger import analyse_ledger
from influbayes.reporting.returns_html import render_returns
from influbayes.reporting.returns_plots import draw_returns
from influbayes.reporting.returns_results import validate_returns
from influbayes.reporting.returns_sentences import say_roas, write_statement
from influbayes.reporting.returns_terminal import render_screen
from influbayes.reporting.run_folder import verify_run
from influbayes.roas import main
from influbayes.tables.ledger import read_ledger
from influbayes.tables.ledger_simulation import render_ledger, simulate_ledger

HOSTILE = '=<script>alert(1)</script>[/b]$\\x$"'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("small")
    texts = render_ledger(simulate_ledger(influencers=12, users=600, seed=3))
    texts["influencers.csv"] = texts["influencers.csv"].replace("Beauty", '"' + HOSTILE.replace('"', '""') + '"')
    for name, text in texts.items():
        (place / name).write_text(text, encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def results(folder: Path) -> dict[str, Any]:
    return analyse_ledger(read_ledger(folder, today=date(2026, 12, 1)), draws=500)[1]


def drop_others(folder: Path, place: Path) -> Path:
    """Write the ledger with buyers only."""
    for path in folder.iterdir():
        rows = path.read_text(encoding="utf-8").splitlines(True)
        kept = [row for row in rows if path.name != "tracking_data.csv" or ",0,0.0," not in row]
        (place / path.name).write_text("".join(kept), encoding="utf-8")
    return place


def test_results_fit_their_schema_and_survive_json(results: dict[str, Any]) -> None:
    assert validate_returns(json.loads(json.dumps(results, allow_nan=False))) == []
    assert results["study"] == "returns"
    assert validate_returns({**results, "surprise": 1}) != []


def test_sentences_are_rebuilt_from_the_numbers(results: dict[str, Any]) -> None:
    assert [write_statement(row, results) for row in results["statements"]] == [
        row["text"] for row in results["statements"]
    ]
    kinds = {row["kind"] for row in results["statements"]}
    assert {"headline", "incremental", "no_difference", "leader", "persona", "caveat"} <= kinds


def test_sentence_follows_the_number(results: dict[str, Any]) -> None:
    other = json.loads(json.dumps(results))
    other["totals"]["roas"] = 9.87
    row = other["statements"][0]
    assert "ROAS is 9.87" in write_statement(row, other) != row["text"]


def test_buyers_only_is_labelled_and_withheld(folder: Path, tmp_path: Path) -> None:
    ledger = read_ledger(drop_others(folder, tmp_path), today=date(2026, 12, 1))
    found = analyse_ledger(ledger, draws=500)[1]
    (row,) = [row for row in found["statements"] if row["kind"] == "incremental"]
    assert row["status"] == "withheld"
    assert row["text"].startswith("Withheld: incremental ROAS. Among buyers, not incremental:")
    assert row["probability"] is None
    assert found["status"] == "partly_withheld"
    assert found["withheld_effects"] == ["incremental/incremental_roas/total"]


def test_page_escapes_labels_and_loads_nothing(results: dict[str, Any]) -> None:
    page = render_returns(results, {"influencers": b"x"})
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    assert "http" not in page.replace('http-equiv="', "")


def test_every_picture_is_drawn_and_screen_is_plain_text(results: dict[str, Any]) -> None:
    from rich.console import Console

    figures = draw_returns(results)
    assert set(figures) == {"influencers", "incremental", "personas", "bars", "spend", "weeks", "engagement", "orders"}
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(render_screen(results, paths={}))
    assert "Most probably among the best 5" in console.export_text()


def test_entry_writes_a_whole_run_and_says_what_is_wrong(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    words = [str(folder), "--out", str(out), "--draws", "500", "--quiet"]
    assert main(words) == 0
    assert {"results.json", "report.html", "tables/influencers.csv", "plots/weeks.png"} <= set(verify_run(out)["files"])
    assert "\n'=<script>" not in (out / "tables/effects.csv").read_text(encoding="utf-8-sig")
    assert ",'=<script>" in (out / "tables/influencers.csv").read_text(encoding="utf-8-sig").replace('"', "")
    assert main(words) == 5
    assert main([str(tmp_path / "none")]) == 3
    assert main([str(folder), "--filter", "colour=red"]) == 2
    assert main([str(folder), "--filter", "product=Protein", "--out", str(tmp_path / "b")]) == 3
    assert main([str(folder), "--exposed-users", "5"]) == 2
    assert "IB-D53" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


def test_filtered_run_says_what_became_of_payouts(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "part"
    words = ["--filter", "product=Protein", "--payout", "by-orders", "--draws", "500", "--quiet", "--out", str(out)]
    assert main([str(folder), *words]) == 0
    found = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert "in proportion to the exposed orders" in found["data"]["filter"]
    assert any(row["claim"] == "filter" for row in found["statements"])


@pytest.mark.parametrize(("value", "text"), [(0.468, "0.47"), (12.34, "12.3"), (41.2, "41"), (None, "–")])
def test_roas_is_written_short(value: float | None, text: str) -> None:
    assert say_roas(value) == text
