"""The one screen of the returns study: verdict, headline, key metrics, the best, the losing, warnings, where it is.

Takes results as plain data; prints labels as plain text, never as markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from influbayes.reporting.returns_html import list_metrics
from influbayes.reporting.returns_sentences import find_effect, say_money, say_roas
from influbayes.reporting.terminal import clean, say_open
from influbayes.reporting.wording import say_mass, say_probability

Row = Mapping[str, Any]
_STYLES = {"ok": "bold green", "partly_withheld": "bold yellow", "withheld": "bold red"}
_WORDS = {"ok": "CHECKS PASSED", "partly_withheld": "PARTLY WITHHELD", "withheld": "WITHHELD"}
_MOST_ROWS, _MOST_WARNINGS = 8, 8


def print_returns(results: Row, *, console: Console, paths: Mapping[str, str | Path] | None = None) -> None:
    """Print the screen of a returns study."""
    console.print(render_screen(results, paths=paths or {}), highlight=False, markup=False, emoji=False)


def render_screen(results: Row, *, paths: Mapping[str, str | Path]) -> Group:
    """Return the screen of a returns study as one rich renderable; readable from 80 columns."""
    return Group(
        *_render_head(results),
        *_render_metrics(results),
        *_render_best(results),
        *_render_losing(results),
        *_render_warnings(results),
        *_render_paths(paths),
    )


def _render_head(results: Row) -> Iterator[RenderableType]:
    if results["data"]["is_sample"]:
        yield Text("SAMPLE DATA: a simulated ledger that comes with influbayes, not yours.", style="bold yellow")
    verdict = results["headline"]["verdict"]
    yield Text.assemble((f"{_WORDS[verdict['status']]}. ", _STYLES[verdict["status"]]), clean(verdict["text"]))
    yield Text("")
    for row in results["statements"]:
        if row["kind"] in ("headline", "incremental", "no_difference"):
            yield clean(row["text"], style="bold" if row["kind"] == "headline" else "")
    yield Text("")


def _render_metrics(results: Row) -> Iterator[RenderableType]:
    table = Table(box=None, show_header=False, pad_edge=False)
    metrics = list_metrics(results)
    for left, right in zip(metrics[::2], metrics[1::2], strict=True):
        table.add_row(Text(left[0], style="dim"), Text(left[1]), Text(right[0], style="dim"), Text(right[1]))
    yield table
    yield Text("")


def _render_best(results: Row) -> Iterator[RenderableType]:
    best = results["provenance"]["best"]
    leaders = [row for row in results["statements"] if row["kind"] == "leader"][:_MOST_ROWS]
    if not leaders:
        return
    title = f"Most probably among the best {best} ({say_mass(results['provenance']['prob'])})"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, title=title, title_justify="left")
    table.title_style = "bold"
    table.add_column("", overflow="ellipsis", no_wrap=True, max_width=22)
    for heading in ("raw", "pooled ROAS", f"P(best {best})"):
        table.add_column(heading, justify="right", no_wrap=True)
    raw = {row["id"]: row["roas"] for row in results["influencers"]}
    for row in leaders:
        effect = find_effect(results, "roas", "influencer", row["level"])
        shown = (
            f"{say_roas(effect['estimate'])} ({say_roas(effect['lower'])} to {say_roas(effect['upper'])})"
            if effect
            else "-"
        )
        cells = (say_roas(raw[row["level"]]), shown, say_probability(row["probability"]))
        table.add_row(clean(row["level"]), *(Text(cell) for cell in cells))
    yield table
    yield Text("")


def _render_losing(results: Row) -> Iterator[RenderableType]:
    losing = [row for row in results["statements"] if row["kind"] == "losing"]
    if not losing:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, title="Below 1x", title_justify="left")
    table.title_style = "bold"
    table.add_column("", overflow="ellipsis", no_wrap=True, max_width=22)
    for heading in ("pooled ROAS", "P(truly below 1)", "loss if kept", "if dropped"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in losing[:_MOST_ROWS]:
        effect = find_effect(results, "roas", "influencer", row["level"])
        losses = [
            find_effect(results, f"expected_loss_{what}", "influencer", row["level"])
            for what in ("keeping", "dropping")
        ]
        table.add_row(
            clean(row["level"]),
            Text(say_roas(effect["estimate"]) if effect else "-"),
            Text(say_probability(row["probability"])),
            *(Text(say_money(loss["estimate"] if loss else None)) for loss in losses),
        )
    yield table
    if len(losing) > _MOST_ROWS:
        yield Text(f"{len(losing) - _MOST_ROWS} more are in the report.", style="dim")
    yield Text("")


def _render_warnings(results: Row) -> Iterator[RenderableType]:
    data = results["data"]
    tables = ", ".join(f"{name} {rows:,}" for name, rows in data["tables"].items())
    yield Text.assemble(("Data: ", "bold"), clean(f"{data['file']}: {tables} rows."))
    for row in data["warnings"][:_MOST_WARNINGS]:
        where = f"{row['file']}, {row['column']}" if row["column"] else row["file"]
        yield clean(f"- {row['code']} {where}: {row['text']}", style="yellow")
    more = len(data["warnings"]) - _MOST_WARNINGS
    if more > 0:
        yield Text(f"and {more} more warnings, all in the report", style="yellow")


def _render_paths(paths: Mapping[str, str | Path]) -> Iterator[RenderableType]:
    if "folder" in paths:
        yield Text.assemble(("Run: ", "bold"), clean(paths["folder"]))
    if "report" in paths:
        yield Text.assemble(("Open it: ", "bold"), clean(say_open(str(paths["report"]))))
