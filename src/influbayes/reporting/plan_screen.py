"""The screen of a plan: its sentences, and what is bought.

Takes a plan as `describe_plan` gives it. Knows no draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from influbayes.reporting.decision_words import say_amount
from influbayes.reporting.wording import strip_controls


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
