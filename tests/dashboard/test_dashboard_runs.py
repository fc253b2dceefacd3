"""Run folders as the dashboard finds and compares them; tables as they leave it; labels as they are shown."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from influbayes.dashboard.charts_theme import escape_label, escape_words
from influbayes.dashboard.downloads import encode_table, guard_frame
from influbayes.dashboard.run_changes import compare_runs, find_previous
from influbayes.dashboard.run_index import (
    BrokenRun,
    StudyRun,
    index_runs,
    load_posterior,
    load_run_ledger,
    load_tables,
    open_run,
)
from influbayes.dashboard.templates import list_columns, make_template
from influbayes.dashboard.uploads import PARTS
from influbayes.errors import DataRefused, IncompleteRun
from influbayes.tables.export import export_table
from influbayes.tables.ledger import read_ledger

pytestmark = pytest.mark.xdist_group("dashboard")


def open_whole(folder: Path) -> StudyRun:
    run = open_run(folder)
    assert isinstance(run, StudyRun)
    return run


def test_runs_are_found_newest_first_with_their_verdicts(sample_runs: Path) -> None:
    index = index_runs([sample_runs], kept={})
    assert [(run.study, run.name) for run in index.runs] == [
        ("attribution", "sessions"),
        ("returns", "ledger"),
        ("conversion", "posts"),
    ]
    assert index.broken == ()
    for run in index.runs:
        assert run.is_sample
        assert run.verdict
        assert run.status == run.results["status"]


def test_a_run_is_read_once_and_again_when_it_was_replaced(sample_runs: Path, tmp_path: Path) -> None:
    place = tmp_path / "runs" / "ledger"
    shutil.copytree(sample_runs / "ledger", place)
    kept: dict[tuple[Path, int, int], StudyRun | BrokenRun] = {}
    (first,) = index_runs([place.parent], kept=kept).runs
    (second,) = index_runs([place.parent], kept=kept).runs
    assert second is first
    manifest = place / "MANIFEST.json"
    manifest.write_bytes(manifest.read_bytes() + b"\n")
    (third,) = index_runs([place.parent], kept=kept).runs
    assert third is not first


@pytest.mark.parametrize("damage", ["changed", "missing", "no manifest", "not a run"])
def test_a_broken_run_is_listed_as_broken(damage: str, sample_runs: Path, tmp_path: Path) -> None:
    place = tmp_path / "runs" / "ledger"
    shutil.copytree(sample_runs / "ledger", place)
    if damage == "changed":
        text = (place / "results.json").read_text(encoding="utf-8")
        (place / "results.json").write_text(text.replace("returns", "RETURNS"), encoding="utf-8")
    elif damage == "missing":
        (place / "results.json").unlink()
    elif damage == "no manifest":
        (place / "MANIFEST.json").unlink()
    else:
        (place / "MANIFEST.json").write_text("{}", encoding="utf-8")
    index = index_runs([place.parent], kept={})
    assert index.runs == ()
    assert [row.name for row in index.broken] == ([] if damage == "no manifest" else ["ledger"])
    assert all("Run the analysis again" in row.reason or "not a run folder" in row.reason for row in index.broken)


def test_what_a_run_holds_is_read_back(sample_runs: Path) -> None:
    runs = {run.study: run for run in index_runs([sample_runs], kept={}).runs}
    assert set(load_tables(runs["returns"])) == {"effects", "influencers", "orders", "payouts", "slices"}
    assert load_tables(runs["conversion"]) == {}
    assert load_posterior(runs["conversion"], "as_bought").design.question == "as_bought"
    assert load_posterior(runs["attribution"]) is load_posterior(runs["attribution"])
    with pytest.raises(IncompleteRun, match="no answer to the question"):
        load_posterior(runs["returns"])


def test_the_ledger_of_a_returns_run_is_the_one_that_was_read(sample_runs: Path) -> None:
    kept, read = load_run_ledger(open_whole(sample_runs / "ledger")), read_ledger_of_sample()
    for name in ("influencers", "posts", "orders", "payouts"):
        pd.testing.assert_frame_equal(getattr(kept, name), getattr(read, name))
    assert (kept.digest, kept.rows_read, kept.notices) == (read.digest, read.rows_read, read.notices)


def read_ledger_of_sample() -> object:
    from importlib.resources import as_file, files

    with as_file(files("influbayes.data").joinpath("ledger")) as folder:
        return read_ledger(folder, is_sample=True)


# --- changes ----------------------------------------------------------------------------------------------------------


def change(run: StudyRun, **parts: object) -> StudyRun:
    """The run of a month before, with some of its results changed."""
    results = {**json.loads(json.dumps(run.results)), **parts}
    return replace(run, name="before", created="2026-01-01T00:00:00+00:00", results=results, kept={})


def test_a_run_like_the_one_before_has_no_changes(sample_runs: Path) -> None:
    run = open_whole(sample_runs / "posts")
    found = compare_runs(run, change(run))
    assert found.changes == ()
    assert found.causes == ()
    assert found.same == len(run.results["statements"])


def test_changed_statements_say_by_how_much(sample_runs: Path) -> None:
    run = open_whole(sample_runs / "posts")
    before = change(run)
    statement = before.results["statements"][0]
    effect = next(row for row in before.results["effects"] if row["id"] == statement["effects"][0])
    statement["text"], statement["probability"] = "It was otherwise.", 0.6
    effect["estimate"] = 4.0
    before.results["data"]["digest"] = "another"
    found = compare_runs(run, before)
    (changed,) = found.changes
    assert (changed.kind, changed.before) == ("changed", "It was otherwise.")
    now = next(row for row in run.results["effects"] if row["id"] == statement["effects"][0])["estimate"]
    assert changed.moved.startswith(f"difference per 100 posts 4.00 to {now:.2f} (+{now - 4:.2f})")
    assert "probability 60 % to" in changed.moved
    assert found.causes[0].startswith("The data differ")


def test_numbers_of_withheld_statements_are_not_compared(sample_runs: Path) -> None:
    run = open_whole(sample_runs / "posts")
    before = change(run)
    statement = before.results["statements"][0]
    statement["text"], statement["status"] = "Withheld: the checks failed.", "withheld"
    (changed,) = compare_runs(run, before).changes
    assert changed.moved == "withheld before, stated now"


def test_new_and_gone_statements_are_named(sample_runs: Path) -> None:
    run = open_whole(sample_runs / "sessions")
    before = change(run, statements=[{"id": "odd/0", "kind": "odd", "text": "Gone.", "status": "stated"}])
    found = compare_runs(run, before)
    assert [row.now for row in found.changes if row.kind == "gone"] == [""]
    assert sum(row.kind == "new" for row in found.changes) == len(run.results["statements"])


def test_the_run_before_is_the_newest_older_one_of_the_same_table(sample_runs: Path) -> None:
    run = open_whole(sample_runs / "posts")
    older = [replace(run, name=name, created=f"2026-01-0{day}T00:00:00+00:00") for name, day in (("a", 1), ("b", 3))]
    assert find_previous(run, [run, *older]) is older[1]
    assert find_previous(older[0], [run, *older]) is None


# --- what leaves and what is shown ------------------------------------------------------------------------------------


def test_downloads_are_safe_for_spreadsheets() -> None:
    frame = pd.DataFrame({"=Tier": ["=1+1", "Mega", "@SUM(A1)"], "Fee": [1.5, np.nan, -2.0]})
    assert encode_table(frame) == b"'=Tier,Fee\r\n'=1+1,1.5\r\nMega,\r\n'@SUM(A1),-2.0\r\n"
    shown = guard_frame(frame)
    assert list(shown.columns) == ["'=Tier", "Fee"]
    assert shown.iloc[:, 0].tolist() == ["'=1+1", "Mega", "'@SUM(A1)"]
    pd.testing.assert_series_equal(shown["Fee"], frame["Fee"])


@pytest.mark.parametrize(
    "label", ["<script>alert(1)</script>", "[a](javascript:x)", "$x^2$", ":red[x]", ":material/home:", "**b**", "# h"]
)
def test_labels_are_shown_as_they_are(label: str) -> None:
    escaped = escape_words(label)
    assert escaped.replace("\\", "") == label
    assert not any(a != "\\" and b in "<>[]()$:*#_`" for a, b in zip(f" {escaped}", escaped, strict=False))
    assert "<script" not in escape_label(label)


def test_controls_are_left_out_of_labels() -> None:
    assert escape_label("a\x1b[31mb\n\u202ec") == "a[31mb c"


@pytest.mark.parametrize(("study", "part"), [(study, part) for study, parts in PARTS.items() for part in parts])
def test_templates_hold_every_column_and_two_rows(study: str, part: str) -> None:
    frame = make_template(study, part)
    assert list(frame.columns) == list(list_columns(study, part))
    assert len(frame) == 2


def test_templates_are_read_without_a_fault_of_form(tmp_path: Path) -> None:
    for part in PARTS["returns"]:
        export_table(make_template("returns", part), tmp_path / f"{part}.csv")
    ledger = read_ledger(tmp_path)
    assert len(ledger.influencers) == 2
    from influbayes.tables.reader import read_posts
    from influbayes.tables.session_reader import read_sessions

    export_table(make_template("conversion", "posts"), tmp_path / "p.csv")
    export_table(make_template("attribution", "sessions"), tmp_path / "s.csv")
    assert len(read_sessions(tmp_path / "s.csv").frame) == 2
    try:
        assert len(read_posts(tmp_path / "p.csv").frame) == 2
    except DataRefused as reason:
        pytest.fail(str(reason))
