"""Choices as plain data: the rows of `decisions` in results.json, and the screen of a plan.

Takes finished choices; computes none. Every decision has `kind, inputs, rows, effects, sentences`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from influbayes.decisions.plan import Plan
from influbayes.reporting.decision_words import say_amount, write_sentences
from influbayes.reporting.plain import make_plain
from influbayes.reporting.wording import strip_controls


def make_decision(
    kind: str,
    *,
    inputs: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    effects: Sequence[str] = (),
    withheld: bool = False,
) -> dict[str, Any]:
    """Return one decision as plain data, with its sentences; numbers that are not finite become None."""
    plain, _ = make_plain({"kind": kind, "inputs": dict(inputs), "rows": list(rows), "effects": list(effects)})
    return {**plain, "sentences": [strip_controls(text) for text in write_sentences(plain, withheld=withheld)]}


def describe_plan(plan: Plan, *, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan as a decision of kind `plan`."""
    whole = ("unit", "risk", "budget", "spent", "objective", "mean", "cvar", "lower", "upper", "conversions", "gap")
    numbers = {name: getattr(plan, name) for name in whole}
    return make_decision(
        "plan",
        inputs={
            "prob": 0.9,
            **inputs,
            **numbers,
            "beats_last": None if plan.beats_last is None else plan.beats_last.value,
            "reaches_target": plan.reaches_target,
            "bindings": [asdict(row) for row in plan.bindings],
        },
        rows=[asdict(line) for line in plan.lines],
    )


def print_plan(described: Mapping[str, Any]) -> None:
    """Print a plan: its sentences, and one line for each cell bought."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(emoji=False, markup=False, highlight=False)
    for sentence in described["sentences"]:
        console.print(Text(sentence))
    bought = [row for row in described["rows"] if row["posts"] > 0]
    if not bought:
        return
    table = Table(box=box.SIMPLE)
    for k, name in enumerate(("Buy", "Posts", "Fee", "Cost", "Expected conversions", "Posts seen")):
        table.add_column(name, justify="left" if k == 0 else "right")
    for row in bought:
        numbers = (row["posts"], row["fee"], row["cost"], row["conversions"], row["observed_posts"])
        cells = [f"{row['posts']:,}", *(say_amount(value) for value in numbers[1:4]), f"{row['observed_posts']:,}"]
        table.add_row(Text(strip_controls(row["label"])), *cells)
    console.print(table)
