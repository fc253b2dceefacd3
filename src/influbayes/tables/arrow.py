"""Arrow columns to text: what Parquet files and DuckDB hand over, block by block.

Takes record batches; knows no file and no column by name. Works on the distinct values of each block.
"""

from __future__ import annotations

from typing import Any

from influbayes.tables.records import Flaw
from influbayes.tables.typed import write_cell, write_moment

UNREADABLE = "Only columns of text, numbers, dates and yes/no can be read."


def write_batch(batch: Any, unreadable: set[int], pyarrow: Any) -> list[list[str]]:
    """Return the columns of a record batch as text; those in `unreadable` (places) as empty cells."""
    columns = []
    for place in range(batch.num_columns):
        empty = place in unreadable
        columns.append([""] * batch.num_rows if empty else _write_column(batch.column(place), pyarrow))
    return columns


def find_type_flaws(schema: Any, pyarrow: Any) -> tuple[Flaw, ...]:
    """Return the columns whose type holds no single text, number, date or yes/no (IB-D19)."""
    return tuple(
        Flaw(
            place=place,
            what=f"holds {field.type}, not text or numbers"[:120],
            why=UNREADABLE,
            remedy="Write one value in each cell, or map another column with --map {name}=NAME.",
        )
        for place, field in enumerate(schema)
        if not _is_readable(field.type, pyarrow.types)
    )


def _is_readable(kind: Any, types: Any) -> bool:
    if types.is_dictionary(kind):
        return _is_readable(kind.value_type, types)
    checks = (
        types.is_string,
        types.is_large_string,
        types.is_string_view,
        types.is_binary,
        types.is_large_binary,
        types.is_boolean,
        types.is_integer,
        types.is_floating,
        types.is_decimal,
        types.is_date,
        types.is_timestamp,
        types.is_null,
    )
    return any(check(kind) for check in checks)


def _write_column(array: Any, pyarrow: Any) -> list[str]:
    coded = array if pyarrow.types.is_dictionary(array.type) else array.dictionary_encode()
    texts = [*_write_values(coded.dictionary, pyarrow), ""]
    places = coded.indices.cast(pyarrow.int64()).fill_null(len(texts) - 1)
    return [texts[place] for place in places.to_pylist()]


def _write_values(values: Any, pyarrow: Any) -> list[str]:
    types, kind = pyarrow.types, values.type
    if types.is_timestamp(kind):
        rounded = values.cast(pyarrow.timestamp("us", tz=kind.tz), safe=False)
        return [write_moment(text or "") for text in rounded.cast(pyarrow.string()).to_pylist()]
    if types.is_date(kind):
        return [text or "" for text in values.cast(pyarrow.date32()).cast(pyarrow.string()).to_pylist()]
    return [write_cell(value) for value in values.to_pylist()]
