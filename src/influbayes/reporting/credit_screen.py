"""Makes the one screen of an attribution study: headline, credits by rule, what to mind, data, where the report is.

Takes a results.json and nothing else. Labels are printed as plain text, controls removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from influbayes.reporting.credit_sentences import say_credit
from influbayes.reporting.terminal import clean, say_open

Results = Mapping[str, Any]

_SHOWN_RULES = ("last", "first", "linear", "markov", "shapley_rate")
_MOST_CHANNELS = 12
_MOST_LINES = 10
_KINDS = ("conflict", "caveat", "disagreement", "time_test", "record", "signup", "baseline", "few", "lost", "skipped")


def print_credit_screen(results: Results, *, console: Console, paths: Mapping[str, str | Path] | None = None) -> None:
    """Print the screen of an attribution study; `paths` names ``report`` and ``folder`` where they were written."""
    console.print(render_credit_screen(results, paths=paths), highlight=False, markup=False, emoji=False)


def render_credit_screen(results: Results, *, paths: Mapping[str, str | Path] | None = None) -> Group:
    """Return the screen as one rich renderable; readable from 80 columns."""
    return Group(
        *_render_head(results), *_render_credits(results), *_render_notes(results), *_render_data(results, paths or {})
    )


def _render_head(results: Results) -> Iterator[RenderableType]:
    if results["data"]["is_sample"]:
        yield Text("SAMPLE DATA: simulated sessions that come with influbayes, not yours.", style="bold yellow")
        yield Text("")
    for row in results["statements"]:
        if row["kind"] in ("headline", "conservation"):
            yield clean(row["text"], style="bold" if row["kind"] == "headline" else "")
    yield Text("")


def _render_credits(results: Results) -> Iterator[RenderableType]:
    mass = f"{100 * results['provenance']['prob']:.10g} % bootstrap interval over users"
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, title=f"Sign-ups credited ({mass})", title_justify="left"
    )
    table.title_style = "bold"
    table.add_column("", overflow="ellipsis", no_wrap=True, max_width=16)
    words = {row["rule"]: row["words"] for row in results["rules"]}
    rules = [rule for rule in _SHOWN_RULES if rule in words]
    for rule in rules:
        table.add_column(words[rule], justify="right")
    credits = {(row["rule"], row["channel"]): row for row in results["credits"]}
    channels = sorted(
        {row["channel"] for row in results["credits"]}, key=lambda name: -credits[rules[0], name]["credit"]
    )
    for name in channels[:_MOST_CHANNELS]:
        table.add_row(clean(name), *(Text(_say_cell(credits[rule, name])) for rule in rules))
    yield table
    yield Text(f"All {len(words)} rules, and the question each answers, are in the report.", style="dim")
    yield Text("")


def _say_cell(row: Mapping[str, Any]) -> str:
    if row["lower"] is None:
        return say_credit(row["credit"])
    return f"{say_credit(row['credit'])} ({say_credit(row['lower'])}-{say_credit(row['upper'])})"


def _render_notes(results: Results) -> Iterator[RenderableType]:
    rows = [row for kind in _KINDS for row in results["statements"] if row["kind"] == kind]
    items = Table.grid(padding=(0, 1, 0, 0))
    for row in rows[:_MOST_LINES]:
        items.add_row(Text("-"), clean(row["text"], style="yellow" if row["kind"] == "conflict" else ""))
    yield items
    yield Text("")


def _render_data(results: Results, paths: Mapping[str, str | Path]) -> Iterator[RenderableType]:
    data = results["data"]
    rejected = data["rows_read"] - data["rows_used"]
    text = (
        f"{data['file']}: {data['rows_read']:,} rows read, {data['rows_used']:,} used, {rejected:,} rejected; "
        f"{data['users']:,} users, {data['sign_ups']:,} sign-ups."
    )
    yield Text.assemble(("Data: ", "bold"), clean(text))
    for row in data["warnings"][:5]:
        yield clean(f"- {row['code']} {row['column'] or ''}: {row['text']}", style="yellow")
    if "folder" in paths:
        yield Text.assemble(("Run: ", "bold"), clean(paths["folder"]))
    if "report" in paths:
        yield Text.assemble(("Report: ", "bold"), clean(paths["report"]))
        yield Text.assemble(("Open it: ", "bold"), clean(say_open(str(paths["report"]))))
