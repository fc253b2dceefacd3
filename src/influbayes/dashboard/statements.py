"""What a run says in words, and the tables of its report, as pages show them; the text is the report's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from influbayes.dashboard.charts_theme import escape_words, say

if TYPE_CHECKING:
    from influbayes.reporting.html import Group
    from influbayes.reporting.html_tables import Table


def show_headline(texts: Sequence[str]) -> None:
    """Show the headline large and what belongs to it below."""
    if texts:
        st.markdown(f"#### {escape_words(texts[0])}")
    for text in texts[1:]:
        say(text)


def show_statements(groups: Iterable[Group]) -> None:
    """Show statements under their headings; the less asked ones unfold."""
    for group in groups:
        st.subheader(group.heading)
        _list_texts(group.front)
        for fold in group.folds:
            with st.expander(fold.summary):
                _list_texts(fold.rows)


def _list_texts(rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        st.markdown("\n".join(f"- {escape_words(row['text'])}" for row in rows))


def frame_table(table: Table) -> pd.DataFrame:
    """Return a table of the report as a frame of text; headers that repeat are numbered."""
    heads: list[str] = []
    for place, head in enumerate(table.head):
        name = head or " "
        heads.append(name if name not in heads else f"{name} ({place})")
    return pd.DataFrame(list(table.rows), columns=heads)
