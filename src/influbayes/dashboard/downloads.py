"""What leaves the dashboard: tables as CSV files, through the one export that is safe for spreadsheets.

Takes frames; knows no study. `st.dataframe` has a download of its own that escapes nothing, so every frame on a page is
shown by `show_table`, whose text is guarded before.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from influbayes.tables.export import export_table, guard_text

if TYPE_CHECKING:
    import pandas as pd


def show_table(
    frame: pd.DataFrame,
    *,
    key: str,
    file_name: str | None = None,
    columns: Mapping[str, Any] | None = None,
    height: int | None = None,
) -> None:
    """Show a table and, with a file name ("contrasts.csv"), a button to download it.

    Parameters
    ----------
    frame
        The table with readable headers; the index is not shown.
    key
        Of the button, unique on the page.
    columns
        Column -> `st.column_config`, for formats.
    height
        In pixels; as high as the rows need, up to ten, unless told.
    """
    st.dataframe(
        guard_frame(frame),
        hide_index=True,
        column_config={**_group_thousands(frame), **(columns or {})},
        height="auto" if height is None else height,
        width="stretch",
    )
    if file_name is not None:
        offer_download(frame, file_name, key=key)


def _group_thousands(frame: pd.DataFrame) -> dict[str, Any]:
    numbers = [str(name) for name, kind in frame.dtypes.items() if kind.kind in "iuf"]
    return {name: st.column_config.NumberColumn(format="localized") for name in numbers}


def offer_download(frame: pd.DataFrame, file_name: str, *, key: str, label: str = "Download CSV") -> None:
    """Show a button that downloads a table as a CSV file."""
    st.download_button(
        label, data=encode_table(frame), file_name=file_name, mime="text/csv", key=f"download-{key}", on_click="ignore"
    )


def encode_table(frame: pd.DataFrame) -> bytes:
    """Return the bytes of a CSV file as `export_table` writes it."""
    with tempfile.TemporaryDirectory(prefix="influbayes-") as folder:
        return export_table(frame, Path(folder) / "table.csv").read_bytes()


def guard_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame whose headers and text cells start no formula in a spreadsheet."""
    guarded = frame.rename(columns=lambda name: guard_text(str(name)))
    for place, kind in enumerate(frame.dtypes):
        if kind.kind not in "biufMm":
            cells = [guard_text(cell) if isinstance(cell, str) else cell for cell in frame.iloc[:, place]]
            guarded.isetitem(place, cells)
    return guarded
