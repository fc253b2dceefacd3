"""Simulated tables and their truths as text.

Takes frames and numbers; knows no column.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

import pandas as pd


def render_csv(frame: pd.DataFrame) -> str:
    """Return a table as CSV text with a header, commas and line feeds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(frame.columns)
    writer.writerows(frame.itertuples(index=False))
    return text.getvalue()


def render_tables(head: Sequence[str], tables: Mapping[str, Mapping[str, float]]) -> str:
    """Return TOML: the lines of the head, then each table with its numbers."""
    blocks = [
        [f"[{name}]", *(f"{key} = {value!r}" for key, value in values.items())] for name, values in tables.items()
    ]
    return "\n".join("\n".join(block) + "\n" for block in [head, *blocks])
