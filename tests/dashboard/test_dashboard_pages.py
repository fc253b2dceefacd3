"""Each page without a server: no error, the verdict first, and figures that are those of the library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from influbayes.dashboard.run_index import StudyRun, load_run_ledger, open_run
from influbayes.dashboard.tables_returns import find_total, pick_effects, tabulate_influencers
from influbayes.dashboard.verdicts import NAMES
from influbayes.reporting.returns_results import collect_part
from influbayes.returns.filters import LedgerFilter
from influbayes.returns.index import cut_ledger, index_ledger
from influbayes.returns.parts import estimate_part, list_alerts

pytestmark = pytest.mark.xdist_group("dashboard")
RUNS = {"conversion": "posts", "returns": "ledger", "attribution": "sessions", "plan": "posts"}


def show(page: str, folder: str, fake_status: str | None = None) -> None:
    from dataclasses import replace
    from importlib import import_module
    from pathlib import Path

    from influbayes.dashboard.run_index import open_run

    run: Any = open_run(Path(folder))
    if fake_status:
        run = replace(run, status=fake_status, verdict="Withheld.", reasons=("The chains do not agree.",))
    import_module(f"influbayes.dashboard.pages.{page}").show_page(run)


def open_page(page: str, sample_runs: Path, *, status: str | None = None) -> AppTest:
    found = AppTest.from_function(show, args=(page, str(sample_runs / RUNS[page]), status), default_timeout=60).run()
    assert not found.exception, found.exception
    return found


def read_run(runs: Path, name: str) -> StudyRun:
    run = open_run(runs / name)
    assert isinstance(run, StudyRun)
    return run


def list_words(page: AppTest) -> str:
    parts = (*page.success, *page.warning, *page.error, *page.markdown, *page.caption, *page.subheader)
    return " ".join(part.value for part in parts).replace("\\", "")


@pytest.mark.parametrize("page", RUNS)
def test_a_page_opens_with_its_verdict_first(page: str, sample_runs: Path) -> None:
    found, run = open_page(page, sample_runs), read_run(sample_runs, RUNS[page])
    boxes = [*found.success, *found.warning, *found.error]
    assert NAMES[run.status].split()[0] in boxes[0].value
    assert run.verdict[:20] in list_words(found)


@pytest.mark.parametrize("page", RUNS)
def test_a_withheld_run_shows_no_estimate(page: str, sample_runs: Path) -> None:
    found = open_page(page, sample_runs, status="withheld")
    assert "The chains do not agree." in list_words(found)
    assert not found.metric
    assert not found.get("plotly_chart")


def test_the_headline_is_the_report_s(sample_runs: Path) -> None:
    results = json.loads((sample_runs / "posts" / "results.json").read_text(encoding="utf-8"))
    assert results["headline"]["as_bought"]["text"] in list_words(open_page("conversion", sample_runs))


def test_without_filters_the_figures_are_those_of_the_run(sample_runs: Path) -> None:
    page, run = open_page("returns", sample_runs), read_run(sample_runs, "ledger")
    shown = {metric.label: metric.value for metric in page.metric}
    roas, lift = find_total(run.results, "roas"), find_total(run.results, "incremental_roas")
    assert roas is not None
    assert lift is not None
    assert shown["ROAS"] == f"{roas['estimate']:.2f}"
    assert shown["Incremental ROAS"] == f"{lift['estimate']:.2f}"
    assert shown["Payout"] == f"{run.results['totals']['payout']:,.0f}"


@pytest.mark.parametrize(
    ("name", "value", "chosen"),
    [
        ("platform", "TikTok", LedgerFilter(platform=("TikTok",))),
        ("campaign", "Campaign 1", LedgerFilter(campaign=("Campaign 1",), payout="by-orders")),
    ],
)
def test_a_filter_changes_the_figures_to_those_of_the_library(
    sample_runs: Path, name: str, value: str, chosen: LedgerFilter
) -> None:
    run = read_run(sample_runs, "ledger")
    page = open_page("returns", sample_runs)
    before = {metric.label: metric.value for metric in page.metric}
    page.multiselect(key=f"returns-{name}-ledger").select(value).run()
    assert not page.exception
    asked = run.results["provenance"]
    part = estimate_part(
        cut_ledger(index_ledger(load_run_ledger(run)), chosen),
        prob=asked["prob"],
        best=asked["best"],
        seed=asked["seed"],
    )
    results = collect_part(part, chosen="x", prob=asked["prob"], best=asked["best"])
    roas = find_total(results, "roas")
    assert roas is not None
    after = {metric.label: metric.value for metric in page.metric}
    assert after["Total revenue"] == f"{part.totals.revenue_credited:,.0f}"
    assert after["Payout"] == f"{part.totals.payout:,.0f}"
    assert after["ROAS"] == f"{roas['estimate']:.2f}"
    assert after != before


def test_the_alerts_are_the_library_s(sample_runs: Path) -> None:
    page, run = open_page("returns", sample_runs), read_run(sample_runs, "ledger")
    page.slider(key="returns-floor").set_value(1.5).run()
    asked = run.results["provenance"]
    part = estimate_part(
        cut_ledger(index_ledger(load_run_ledger(run))),
        prob=asked["prob"],
        best=asked["best"],
        seed=asked["seed"],
        draws=run.results["engine"]["draws"],
    )
    count = len(list_alerts(part, floor=1.5, least=0.8))
    assert count > 0
    assert f"{count} of {len(part.people)} influencers are probably below a ROAS of 1.5" in list_words(page)


def test_what_is_withheld_has_no_number(sample_runs: Path) -> None:
    run = read_run(sample_runs, "ledger")
    hidden = [row["id"] for row in run.results["effects"] if row["question"] == "incremental"]
    results = {**run.results, "withheld_effects": hidden}
    assert find_total(results, "incremental_roas") is None
    assert pick_effects(results, "incremental_roas", "influencer") == {}
    assert tabulate_influencers(results)["lift_estimate"].isna().all()
    assert tabulate_influencers(results)["estimate"].notna().any()


def test_a_part_without_credited_orders_is_said_in_words(sample_runs: Path) -> None:
    page = open_page("returns", sample_runs)
    page.multiselect(key="returns-influencer-ledger").select("i60").run()
    page.multiselect(key="returns-product-ledger").select("Protein").run()
    assert not page.exception
    assert not page.metric
    assert "Nothing to show for these filters" in page.warning[0].value


def test_rules_can_be_chosen_and_left_out(sample_runs: Path) -> None:
    page = open_page("attribution", sample_runs)
    page.multiselect(key="credit-rules").set_value([]).run()
    assert not page.exception
    assert "Choose a rule" in " ".join(box.value for box in page.info)
