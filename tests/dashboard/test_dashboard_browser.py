"""The dashboard in a real browser: pages, uploads, filters, downloads, both widths, and what a server must refuse."""

from __future__ import annotations

import base64
import http.client
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import pytest

from influbayes.dashboard.run_index import StudyRun, load_run_ledger, open_run
from influbayes.returns.filters import LedgerFilter
from influbayes.returns.index import cut_ledger, index_ledger
from influbayes.returns.parts import sum_part

pytestmark = pytest.mark.xdist_group("dashboard")
PAGES = ("Overview", "Conversion", "Returns", "Attribution", "Plan", "Data")
PATIENCE = 60_000
FOREIGN = "elsewhere.example"
OVERSIZED = b"x" * (26 * 1024 * 1024)
FORM_HEADERS = {"Content-Type": "multipart/form-data; boundary=edge"}


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


class View:
    """A browser tab on the dashboard that notes every error of its console."""

    def __init__(self, browser: Any, address: str, *, width: int = 1440) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 1000}, accept_downloads=True)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.errors: list[str] = []
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(address)
        self.page.get_by_role("heading", name="Overview", exact=True).wait_for()

    def open(self, title: str) -> None:
        """Go to a page by its link, as a user does."""
        narrow = self.page.viewport_size["width"] < 700
        if narrow:
            self.page.get_by_test_id("stExpandSidebarButton").click()
        self.page.get_by_role("link", name=title, exact=True).click()
        self.page.get_by_role("heading", name=title, exact=True, level=1).wait_for()
        if narrow:
            self.page.get_by_test_id("stSidebarCollapseButton").get_by_role("button").click(force=True)
        self.settle()

    def settle(self) -> None:
        """Wait until the script has run to its end."""
        self.page.wait_for_timeout(300)
        self.page.wait_for_function("document.querySelector('[data-testid=\"stStatusWidget\"]') === null")
        self.page.wait_for_timeout(300)

    def require_no_error(self) -> None:
        assert self.page.get_by_test_id("stException").count() == 0
        assert self.errors == []


@pytest.fixture
def view(browser: Any, server: Any) -> Iterator[View]:
    opened = View(browser, server.url)
    yield opened
    opened.context.close()


@pytest.mark.parametrize("width", [1440, 390])
def test_every_page_opens_without_error_and_fits_the_screen(
    browser: Any, server: Any, width: int, tmp_path: Path
) -> None:
    view = View(browser, server.url, width=width)
    for title in PAGES:
        view.open(title)
        wide = view.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{title} is {wide} pixels wide on a screen of {width}"
        picture = tmp_path / f"{title}.png"
        view.page.screenshot(path=picture)
        assert picture.stat().st_size > 10_000
    view.require_no_error()
    view.context.close()


def test_a_filter_changes_the_revenue_to_what_the_library_computes(view: View, sample_runs: Path) -> None:
    run = open_run(sample_runs / "ledger")
    assert isinstance(run, StudyRun)
    index = index_ledger(load_run_ledger(run))
    view.open("Returns")
    assert read_metric(view, "Total revenue") == f"{sum_part(cut_ledger(index)).totals.revenue_credited:,.0f}"
    view.page.get_by_role("combobox", name=re.compile("Platform")).click()
    view.page.get_by_role("option", name="TikTok").click()
    expected = sum_part(cut_ledger(index, LedgerFilter(platform=("TikTok",)))).totals
    view.page.get_by_text("Only platform TikTok", exact=False).first.wait_for()
    view.settle()
    assert read_metric(view, "Total revenue") == f"{expected.revenue_credited:,.0f}"
    assert read_metric(view, "Payout") == f"{expected.payout:,.0f}"
    view.require_no_error()


def read_metric(view: View, label: str) -> str:
    box = view.page.get_by_test_id("stMetric").filter(has_text=label).first
    return str(box.get_by_test_id("stMetricValue").inner_text()).strip()


def test_a_table_is_downloaded_as_the_library_writes_it(view: View, sample_runs: Path, tmp_path: Path) -> None:
    view.open("Returns")
    view.page.get_by_text("The numbers of this chart").first.click()
    view.settle()  # a click while the table still unfolds is lost
    with view.page.expect_download() as waiting:
        view.page.get_by_role("button", name="Download CSV").first.click()
    waiting.value.save_as(tmp_path / "influencers.csv")
    found = pd.read_csv(tmp_path / "influencers.csv")
    run = open_run(sample_runs / "ledger")
    assert isinstance(run, StudyRun)
    rows = {row["id"]: row for row in run.results["influencers"]}
    assert set(found["Influencer"]) == set(rows)
    assert dict(zip(found["Influencer"], found["Payout"], strict=True)) == pytest.approx(
        {name: row["payout"] for name, row in rows.items()}
    )
    view.require_no_error()


def test_a_good_upload_is_fitted_for_this_tab_alone(browser: Any, view: View, server: Any, tables: Path) -> None:
    view.open("Data")
    view.page.locator('input[type="file"]').first.set_input_files(str(tables / "posts.csv"))
    view.page.get_by_role("button", name="Check and fit").first.click()
    view.page.get_by_text("Look at it: conversion").wait_for(timeout=120_000)
    view.require_no_error()
    other = View(browser, server.url)
    other.open("Data")
    assert other.page.get_by_text("Look at it: conversion").count() == 0
    other.open("Overview")
    assert other.page.get_by_text("only you").count() == 0
    assert other.page.get_by_text("upload-conversion").count() == 0
    other.context.close()


def test_a_bad_upload_is_refused_with_every_problem(view: View, tmp_path: Path) -> None:
    rows = ["P1,1000,50,Mega,US,1", "P2,abc,50,Mid,US,2", "P3,1000,50,Micro,EU,0"]
    table = tmp_path / "../posts bad.csv"
    table.write_text(
        "\n".join(["Post_ID,Story_Views,Swipe_Ups,Influencer_Tier,Audience_Region,Converted", *rows]) + "\n",
        encoding="utf-8",
    )
    view.open("Data")
    view.page.locator('input[type="file"]').first.set_input_files(str(table))
    view.page.get_by_role("button", name="Check and fit").first.click()
    view.page.get_by_text("Nothing was fitted", exact=False).first.wait_for(timeout=60_000)
    words = view.page.inner_text("section.stMain, [data-testid='stMain']")
    assert "2 problems" in words
    assert "Traceback" not in words
    view.require_no_error()


# --- probes of the server ---------------------------------------------------------------------------------------------


def ask(server: Any, method: str, path: str, *, headers: dict[str, str] | None = None, body: bytes = b"") -> Any:
    place = urlsplit(server.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port or 0, timeout=30)
    try:
        connection.request(method, path, body=body or None, headers=headers or {})
        with connection.getresponse() as answer:
            text = "" if answer.status == http.HTTPStatus.SWITCHING_PROTOCOLS else answer.read(100_000).decode()
            return answer.status, text
    finally:
        connection.close()


def ask_socket(server: Any, *, origin: str, host: str | None = None) -> int:
    key = base64.b64encode(os.urandom(16)).decode()
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13",
        "Origin": origin,
        "Host": host or urlsplit(server.url).netloc,
    }
    return int(ask(server, "GET", "/_stcore/stream", headers=headers)[0])


def test_foreign_origins_and_hosts_are_refused(server: Any) -> None:
    assert ask_socket(server, origin="https://" + FOREIGN) == 403
    assert ask_socket(server, origin=server.url, host=FOREIGN) in (400, 403)
    assert ask_socket(server, origin=server.url) == 101


def test_an_oversized_upload_is_refused_and_nothing_tells_of_the_code(server: Any) -> None:
    form = encode_form(OVERSIZED)
    headers = {**FORM_HEADERS, "Content-Length": str(len(form))}
    try:
        status, text = ask(server, "PUT", "/_stcore/upload_file/none/none", headers=headers, body=form)
    except (ConnectionResetError, BrokenPipeError):
        return  # refused while it was being sent
    assert status in (400, 403, 413)
    assert "Traceback" not in text


def test_an_oversized_upload_is_refused_even_where_a_session_asks_for_it(view: View, tmp_path: Path) -> None:
    """A program with a session's own token, past the browser's check of the size."""
    table = tmp_path / "small.csv"
    table.write_text("Post_ID\nP1\n", encoding="utf-8")
    view.open("Data")
    with view.page.expect_request(lambda asked: "/upload_file/" in asked.url and asked.method == "PUT") as waiting:
        view.page.locator('input[type="file"]').first.set_input_files(str(table))
    view.settle()
    asked = waiting.value
    kept = {name: value for name, value in asked.all_headers().items() if name not in ("content-length", "host")}
    small = view.page.request.put(asked.url, headers={**kept, **FORM_HEADERS}, data=encode_form(b"Post_ID\nP1\n"))
    large = view.page.request.put(asked.url, headers={**kept, **FORM_HEADERS}, data=encode_form(OVERSIZED))
    assert (small.status, large.status) == (http.HTTPStatus.NO_CONTENT, http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    assert "Traceback" not in large.text()


def test_an_oversized_file_is_refused_on_the_page(view: View, tmp_path: Path) -> None:
    table = tmp_path / "large.csv"
    table.write_bytes(OVERSIZED)
    view.open("Data")
    view.page.locator('input[type="file"]').first.set_input_files(str(table))
    view.page.get_by_text("25.0MB", exact=False).first.wait_for()
    view.require_no_error()


def encode_form(content: bytes) -> bytes:
    head = '--edge\r\nContent-Disposition: form-data; name="file"; filename="big.csv"\r\n\r\n'
    return head.encode() + content + b"\r\n--edge--\r\n"


@pytest.mark.parametrize("path", ["/", "/nothing", "/../../etc/passwd", "/_stcore/upload_file/x/y", "/media/none.csv"])
def test_no_answer_holds_a_traceback_or_a_file_of_this_machine(server: Any, path: str) -> None:
    _, text = ask(server, "GET", path)
    assert "Traceback" not in text
    assert "root:" not in text
