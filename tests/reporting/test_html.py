"""The page: the answer first, nothing executes or loads, withheld things are seen to be withheld, same bytes twice."""

from __future__ import annotations

import copy
import re
from html.parser import HTMLParser

import pytest

from influbayes.reporting.html import CSP, render_report

PIXEL = b"\x89PNG\r\n\x1a\nnot a real picture"
NAMES = (
    *("contrasts", "forest", "map", "levels", "creators", "curves"),
    *("calibration", "checks_as_bought", "chains_as_bought", "priors_as_bought"),
)
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{7*7}}",
    "{% raise %}",
    r"$\frac{1}{0}$",
    "=cmd|' /C calc'!A0",
    "</style><b>x",
    "\u202eשלום",
    "😀" * 40,
    "a" * 400,
)
VOID = {"meta", "img", "br", "link", "hr", "input"}


class Page(HTMLParser):
    """Tags, attributes and open elements of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open, tag
        assert self.open.pop() == tag

    def list_attributes(self, tag, name):
        return [attributes.get(name) for found, attributes in self.tags if found == tag]


@pytest.fixture(scope="module")
def page(conversion_results):
    return render_report(conversion_results, dict.fromkeys(NAMES, PIXEL))


def rename(results, old, new):
    """A deep copy of results in which a label is another everywhere: in keys, levels, texts."""
    if isinstance(results, dict):
        return {rename(key, old, new): rename(value, old, new) for key, value in results.items()}
    if isinstance(results, list):
        return [rename(value, old, new) for value in results]
    return results.replace(old, new) if isinstance(results, str) else results


def test_elements_are_closed_in_order(page):
    assert Page(page).open == []


def test_headline_stands_before_everything_else(page, conversion_results):
    lead = page.index('class="lead"')
    assert page.index("<h1>") < lead < page.index("<h2")
    assert lead < page.index("<table") < len(page)
    assert lead < page.index("<img")
    assert page.index('class="lead"') < page.index('class="second"')
    assert conversion_results["headline"]["as_bought"]["text"] in page.replace("&#39;", "'").replace("\u00a0", " ")


def test_page_forbids_scripts_and_outside_requests(page):
    parsed = Page(page)
    assert CSP in parsed.list_attributes("meta", "content")
    assert CSP == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    tags = {tag for tag, _ in parsed.tags}
    assert not tags & {"script", "link", "iframe", "object", "embed", "form", "base"}
    assert not re.search(r"https?://|@import|url\(", page)
    assert all(uri.startswith("data:image/png;base64,") for uri in parsed.list_attributes("img", "src"))
    assert not any(name.startswith("on") for _, attributes in parsed.tags for name in attributes)


def test_page_has_language_title_and_viewport(page):
    parsed = Page(page)
    assert parsed.list_attributes("html", "lang") == ["en"]
    assert "<title>Conversion report: posts.csv</title>" in page
    assert "width=device-width, initial-scale=1" in parsed.list_attributes("meta", "content")


def test_every_picture_has_words_and_leads_to_a_table_that_is_there(page):
    parsed = Page(page)
    assert len(parsed.list_attributes("img", "alt")) == len(NAMES)
    assert all(parsed.list_attributes("img", "alt"))
    ids = set(parsed.list_attributes("table", "id"))
    links = {link for link in parsed.list_attributes("a", "href") if link.startswith("#table")}
    assert links
    assert {link[1:] for link in links} <= ids


def test_identifiers_are_unique(page):
    ids = [attributes["id"] for _, attributes in Page(page).tags if attributes.get("id")]
    assert len(ids) == len(set(ids))


def test_same_results_give_the_same_page(page, conversion_results):
    assert render_report(copy.deepcopy(conversion_results), dict.fromkeys(NAMES, PIXEL)) == page


def test_sample_data_is_announced_only_where_it_is(page, conversion_results):
    assert "SAMPLE DATA" not in page
    sample = {**conversion_results, "data": {**conversion_results["data"], "is_sample": True}}
    assert "SAMPLE DATA" in render_report(sample, {})


def test_rows_are_accounted_for(page):
    rows = re.search(r'id="table-rows".*?</table>', page, flags=re.S).group()
    assert re.findall(r">(\d+)</td>", rows) == ["75", "72", "3"]
    assert "rejected: no trials" in rows
    assert "IB-D29" in page
    assert "IB-D03" in page


def test_comparison_table_holds_the_numbers_of_the_effects(page, conversion_results):
    table = re.search(r'id="table-contrasts".*?</table>', page, flags=re.S).group()
    effect = next(
        row for row in conversion_results["effects"] if row["id"] == "as_bought/difference/Influencer_Tier/Micro/Mega"
    )
    assert f"+{effect['estimate']:.1f} (" in table
    assert f"to +{effect['upper']:.1f})" in table


@pytest.mark.parametrize("label", HOSTILE)
def test_hostile_labels_stay_text(conversion_results, label):
    results = rename(conversion_results, "Micro", label)
    text = render_report(results, {"contrasts": PIXEL})
    parsed = Page(text)
    assert parsed.open == []
    assert {tag for tag, _ in parsed.tags}.isdisjoint({"script", "b"})
    assert parsed.list_attributes("img", "src") == ["data:image/png;base64,iVBORw0KGgpub3QgYSByZWFsIHBpY3R1cmU="]
    assert "49" not in label or "{{7*7}}" in text
    assert "\u202e" not in text


def test_template_code_in_a_label_is_not_run(conversion_results):
    assert "{{7*7}}" in render_report(rename(conversion_results, "Micro", "{{7*7}}"), {})


def test_withheld_statement_is_marked_and_gives_its_reason(conversion_analysis, judge, make_check):
    reason = "Halving the prior of tier turns the answer."
    claim = "as_bought/beats/Influencer_Tier/Micro/Mega"
    changes = {"status": "fail", "consequence": "statement_withheld", "meaning": reason}
    text = render_report(judge(conversion_analysis, make_check("sensitivity", "as_bought", claim, **changes)), {})
    item = re.search(r'<li class="withheld">.*?</li>', text, flags=re.S).group()
    assert '<span class="chip withheld">withheld</span>' in item
    assert reason in item
    table = re.search(r'id="table-contrasts".*?</table>', text, flags=re.S).group()
    assert '<tr class="withheld">' in table
    assert "Partly withheld" in text


def test_withheld_cell_has_no_number_in_its_row(conversion_analysis, judge, make_check):
    item = make_check("predictive_cell", "as_bought", "Micro:EU", status="fail", consequence="cell_withheld")
    text = render_report(judge(conversion_analysis, item), {})
    table = re.search(r'id="table-cells".*?</table>', text, flags=re.S).group()
    row = re.search(r"<tr[^>]*>(?:(?!</tr>).)*Micro, EU.*?</tr>", table, flags=re.S).group()
    assert ">withheld</td>" in row


def test_withheld_study_shows_no_estimate(conversion_analysis, judge, make_check):
    item = make_check(
        "rhat",
        "as_bought",
        "intercept",
        status="fail",
        value=1.4,
        consequence="all_withheld",
        meaning="Chains disagree.",
    )
    text = render_report(judge(conversion_analysis, item), {"chains_as_bought": PIXEL})
    assert 'class="verdict withheld"' in text
    assert "Chains disagree." in text
    ids = set(Page(text).list_attributes("table", "id"))
    assert not ids & {"table-contrasts", "table-levels", "table-cells", "table-creators", "table-ranks", "table-steps"}
    assert {"table-diagnostics", "table-rows"} <= ids


def test_status_of_a_check_stands_in_words(conversion_analysis, judge, make_check):
    item = make_check("few_rows", "as_bought", "posts", status="warn", consequence="words_added", meaning="Few posts.")
    text = render_report(judge(conversion_analysis, item), {})
    notable = re.search(r'id="table-notable".*?</table>', text, flags=re.S).group()
    assert "warn" in notable
    assert "Few posts." in notable


def test_raw_rates_from_few_posts_are_marked(page):
    cells = re.search(r'id="table-cells".*?</table>', page, flags=re.S).group()
    assert "% *</td>" in cells
    assert "too good or too bad to be true" in page


def test_unknown_pictures_are_shown_at_the_end(conversion_results):
    text = render_report(conversion_results, {"extra_view": PIXEL})
    assert text.index('alt="extra view"') > text.index('id="method"')
