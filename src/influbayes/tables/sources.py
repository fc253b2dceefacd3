"""A path or a query to records: finds out what the source is and hands it to the module that reads it.

Knows the kinds of source; knows no column by name.
"""

from __future__ import annotations

from pathlib import Path

from influbayes.tables.encoding import find_encoding
from influbayes.tables.files import check_path, find_kind
from influbayes.tables.parquet import read_parquet
from influbayes.tables.query import QUERY_START, read_query
from influbayes.tables.records import Keep, Records
from influbayes.tables.splitting import split_records
from influbayes.tables.workbook import read_workbook


def read_records(source: str | Path, keep: Keep) -> Records:
    """Return the records of a text, Parquet or XLSX file, or of ``sql:FILE::SELECT ...``.

    Parameters
    ----------
    source
        Path or query.
    keep
        Gives for a header the places of the columns whose cells are wanted.

    Raises
    ------
    DataRefused
        The source cannot be read, is of another kind, or is not a table.
    """
    if str(source).startswith(QUERY_START):
        return read_query(str(source), keep)
    path = Path(source)
    file = check_path(path)
    kind = find_kind(path, file)
    if kind == "parquet":
        return read_parquet(path, file, keep)
    if kind == "xlsx":
        return read_workbook(path, file, keep)
    return split_records(find_encoding(path, file), keep)
