"""Makes the one screen of a study: verdict, headline, contrasts, steps, what is withheld, data, where the report is.

Takes a results.json and nothing else. Everything that comes from a table is printed as plain text, controls removed,
and never read as markup.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from influbayes.effects.contrasts import MEAN_OF_LEVELS
from influbayes.reporting.decision_words import write_key_sentences
from influbayes.reporting.notes import merge_notes
from influbayes.reporting.wording import (
    join_words,
    name_column,
    say_mass,
    say_per_100,
    say_probability,
    say_ratio,
    strip_controls,
)

Results = Mapping[str, Any]
Row = Mapping[str, Any]

_VERDICT_STYLES = {"ok": "bold green", "partly_withheld": "bold yellow", "withheld": "bold red"}
_VERDICT_WORDS = {"ok": "CHECKS PASSED", "partly_withheld": "PARTLY WITHHELD", "withheld": "WITHHELD"}
_MOST_WITHHELD = 6
_MOST_WARNINGS = 5
_MOST_TOPICS = 3
_MOST_REASONS = 4
_MOST_CONTRASTS = 12
_MOST_CHOICES = 12
_WIDTH = 80
_PADDING = 10
# Characters that mean nothing to a shell, at most in double quotes; the command is there to be pasted.
_HARMLESS_PATH = re.compile(r"[\w@%+=:,./ -]+")


def print_screen(results: Results, *, console: Console, paths: Mapping[str, str | Path] | None = None) -> None:
    """Print the screen of a study.

    Parameters
    ----------
    results
        A results.json as plain data.
    console
        Where to print; without a terminal it comes out as plain text.
    paths
        ``report`` (the page) and ``folder`` (the run), where they were written.
    """
    console.print(render_screen(results, paths=paths), highlight=False, markup=False, emoji=False)


def render_screen(results: Results, *, paths: Mapping[str, str | Path] | None = None) -> Group:
    """Return the screen of a study as one rich renderable; readable from 80 columns."""
    parts = [
        *_render_sample(results),
        *_render_verdict(results),
        *_render_headline(results),
        *_render_contrasts(results),
        *_render_steps(results),
        *_render_choices(results),
        *_render_withheld(results),
        *_render_notes(results),
        *_render_data(results),
        *_render_paths(paths or {}),
    ]
    return Group(*parts)


def clean(text: object, *, style: str = "") -> Text:
    """Return text as it is, without control characters and never read as markup."""
    return Text(strip_controls(str(text)), style=style)


def _mark(label: str, text: str, *, style: str = "bold") -> Text:
    return Text.assemble((f"{label} ", style), clean(text))


def _list_items(lines: Sequence[str], *, style: str = "") -> Table:
    items = Table.grid(padding=(0, 1, 0, 0))
    for line in lines:
        items.add_row(Text("-", style=style), clean(line, style=style))
    return items


def _render_sample(results: Results) -> Iterator[RenderableType]:
    if results["data"]["is_sample"]:
        yield Text("SAMPLE DATA: simulated posts that come with influbayes, not yours.", style="bold yellow")
        yield Text("")


def _render_verdict(results: Results) -> Iterator[RenderableType]:
    verdict = results["headline"]["verdict"]
    status = verdict["status"]
    yield _mark(f"{_VERDICT_WORDS[status]}.", verdict["text"], style=_VERDICT_STYLES[status])
    if status == "withheld":
        yield _list_items(_shorten(verdict["reasons"], _MOST_REASONS, "reasons"))
    yield clean(results["choice"], style="dim")
    yield Text("")


def _render_headline(results: Results) -> Iterator[RenderableType]:
    headline, found = results["headline"], False
    for question, style in (("as_bought", "bold"), ("engagement_constant", "")):
        line = headline[question]
        # Everything withheld: the verdict above has said why, once.
        if line is not None and headline["verdict"]["status"] != "withheld":
            found = True
            yield clean(line["text"], style=style)
    if found:
        yield Text("")


# --- contrasts ------------------------------------------------------------------------------------------------------


def _render_contrasts(results: Results) -> Iterator[RenderableType]:
    rows = list(_list_contrasts(results))
    if not rows or results["status"] == "withheld":
        return
    shown = rows[:_MOST_CONTRASTS]
    mass = say_mass(results["provenance"]["prob"])
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        title=f"Against the reference ({mass})",
        title_justify="left",
    )
    table.title_style = "bold"
    headings = ("per 100 posts,\nas bought", "odds ratio,\nengagement constant", "P,\nas bought")
    widths = [
        max(max(map(len, heading.split("\n"))), *(row[place].cell_len for row in shown))
        for place, heading in enumerate(headings, 1)
    ]
    # A cut label is a nuisance, a cut number a wrong number: the labels take what room is left.
    table.add_column("", overflow="ellipsis", no_wrap=True, max_width=max(8, _WIDTH - sum(widths) - _PADDING))
    for heading, width in zip(headings, widths, strict=True):
        table.add_column(heading, justify="right", no_wrap=True, min_width=width)
    for row in shown:
        table.add_row(*row)
    yield table
    if len(rows) > len(shown):
        yield Text(f"{len(rows) - len(shown)} more contrasts are in the report.", style="dim")
    yield Text(_say_equal(results), style="dim")
    yield Text("")


def _say_equal(results: Results) -> str:
    terms = results["model"]["terms"]
    held = [row for row in terms if row["kind"] == "numeric" and row["question"] == "engagement_constant"]
    names = join_words([name_column(strip_controls(row["variable"])) for row in held])
    return f"Engagement constant: at equal {names}." if names else "Odds ratios: with all else in the model equal."


def _list_contrasts(results: Results) -> Iterator[tuple[Text, Text, Text, Text]]:
    factors = [row for row in results["model"]["terms"] if row["kind"] == "factor" and row["levels"] == "all"]
    references = {row["variable"]: row["reference"] or MEAN_OF_LEVELS for row in factors}
    statements = {
        (row["question"], row["variable"], row["level"], row["reference"]): row
        for row in results["statements"]
        if row["kind"] == "beats"
    }
    pairs = dict.fromkeys(key[1:] for key in statements)
    for variable, level, reference in pairs:
        if references.get(variable) == reference:
            bought = statements.get(("as_bought", variable, level, reference))
            equal = statements.get(("engagement_constant", variable, level, reference))
            yield _render_contrast(results, level, reference, bought=bought, equal=equal)


def _render_contrast(
    results: Results, level: str, reference: str | None, *, bought: Row | None, equal: Row | None
) -> tuple[Text, Text, Text, Text]:
    return (
        clean(f"{level} vs {reference}"),
        _render_numbers(results, bought, "difference"),
        _render_numbers(results, equal, "odds_ratio"),
        _render_chance(bought if bought is not None else equal),
    )


def _render_numbers(results: Results, statement: Row | None, estimand: str) -> Text:
    if statement is None:
        return Text("-")
    if statement["status"] == "withheld":
        return Text("withheld", style="yellow")
    row = next(
        (row for row in results["effects"] if row["id"] in statement["effects"] and row["estimand"] == estimand), None
    )
    if row is None or None in (row["estimate"], row["lower"], row["upper"]):
        return Text("-")
    say = say_ratio if row["scale"] == "odds" else say_per_100
    sign = "+" if row["scale"] != "odds" and row["estimate"] > 0 else ""
    return Text(f"{sign}{say(row['estimate'])} ({say(row['lower'])} to {say(row['upper'])})")


def _render_chance(statement: Row | None) -> Text:
    if statement is None or statement["probability"] is None:
        return Text("-")
    if statement["status"] == "withheld":
        return Text("withheld", style="yellow")
    bounds = {"at_least": statement["at_least"], "at_most": statement["at_most"]}
    return Text(say_probability(statement["probability"], **bounds))


# --- the rest -------------------------------------------------------------------------------------------------------


def _render_steps(results: Results) -> Iterator[RenderableType]:
    steps = [row for row in results["statements"] if row["kind"] == "step" and row["status"] != "withheld"]
    if steps:
        yield _list_items([row["text"] for row in steps])
        yield Text("")


def _render_choices(results: Results) -> Iterator[RenderableType]:
    """What to buy, shortly: the best buy, and what was asked for with an option."""
    lines = []
    for decision in results["decisions"] if results["status"] != "withheld" else ():
        lines += write_key_sentences(decision)
    if lines:
        yield Text("What to buy", style="bold")
        yield _list_items(_shorten(lines, _MOST_CHOICES, "answers"))
        yield Text("")


def _render_withheld(results: Results) -> Iterator[RenderableType]:
    if results["status"] == "withheld":
        return
    # A headline repeats a comparison that is in the list anyway; so does what is concluded from several.
    kinds = {"headline", "no_difference", "disagreement"}
    held = [row["text"] for row in results["statements"] if row["status"] == "withheld" and row["kind"] not in kinds]
    if held:
        yield Text("What is withheld, and why", style="bold yellow")
        meanings = [str(row["meaning"]) for row in results["diagnostics"]]
        lines = group_withheld([text.removeprefix("Withheld: ") for text in held], meanings)
        yield _list_items(_shorten(lines, _MOST_WITHHELD, "statements"))
        yield Text("")


def group_withheld(texts: Sequence[str], meanings: Sequence[str]) -> list[str]:
    """Return the texts, those that end in the same meaning of a check as one: "this; that; and 3 more. Meaning"."""
    groups: dict[str, list[str]] = {}
    for text in texts:
        reason = next((meaning for meaning in meanings if meaning and text.endswith(f". {meaning}")), "")
        groups.setdefault(reason or text, []).append(text.removesuffix(f". {reason}") if reason else "")
    return [_join_topics(topics, reason) for reason, topics in groups.items()]


def _join_topics(topics: Sequence[str], reason: str) -> str:
    if topics == [""]:
        return reason
    more = len(topics) - _MOST_TOPICS
    named = [*topics[:_MOST_TOPICS], *([f"and {more} more"] if more > 0 else [])]
    return f"{'; '.join(named)}. {reason}"


def _render_notes(results: Results) -> Iterator[RenderableType]:
    kinds = {"disagreement", "misfit"}
    stated = [row for row in results["statements"] if row["kind"] in kinds and row["status"] != "withheld"]
    # Two orders that differ by chance are told in the report; the screen keeps to those where a pair is told apart.
    notes = [row["text"] for row in stated if row["kind"] != "disagreement" or not row["reasons"]]
    added = ("separation", "few_rows", "loo_k")
    warnings = [row for row in results["diagnostics"] if row["name"] in added and row["status"] == "warn"]
    warned = [row["meaning"] for row in merge_notes(warnings)]
    lines = list(dict.fromkeys([*notes, *warned]))
    if lines and results["status"] != "withheld":
        yield Text("Mind", style="bold")
        yield _list_items(_shorten(lines, _MOST_WITHHELD, "notes"))
        yield Text("")


def _render_data(results: Results) -> Iterator[RenderableType]:
    data = results["data"]
    rejected = data["rows_read"] - data["rows_used"]
    why = ", ".join(f"{reason}: {rows:,}" for reason, rows in data["rejected"].items())
    account = f"{data['file']}: {data['rows_read']:,} rows read, {data['rows_used']:,} used, {rejected:,} rejected"
    yield _mark("Data:", f"{account}{f' ({why})' if why else ''}.")
    warnings = [f"{row['code']} {_say_column(row)}{row['text']}" for row in data["warnings"]]
    if warnings:
        yield _list_items(_shorten(warnings, _MOST_WARNINGS, "warnings"), style="yellow")


def _say_column(problem: Row) -> str:
    return f"{problem['column']}: " if problem["column"] else ""


def _render_paths(paths: Mapping[str, str | Path]) -> Iterator[RenderableType]:
    if "folder" in paths:
        yield _mark("Run:", str(paths["folder"]))
    if "report" in paths:
        yield _mark("Report:", str(paths["report"]))
        yield _mark("Open it:", say_open(str(paths["report"])))


def say_open(path: str) -> str:
    """Return the command that opens a page in the browser of this system."""
    opener = {"darwin": "open", "win32": "start"}.get(sys.platform, "xdg-open")
    if sys.platform != "win32" and not _HARMLESS_PATH.fullmatch(path):
        return f"{opener} {shlex.quote(path)}"
    return f'{opener} "{path}"' if " " in path else f"{opener} {path}"


def _shorten(lines: Sequence[str], most: int, what: str) -> list[str]:
    more = len(lines) - most
    return [*lines[:most], *([f"and {more} more {what}, all in the report"] if more > 0 else [])]
