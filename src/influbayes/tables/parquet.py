"""Parquet files to records: what the metadata declare is judged before a row is read.

Takes a path; knows Parquet and no column by name. Rows are numbered from 1.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from influbayes.errors import DataRefused
from influbayes.tables.arrow import find_type_flaws, write_batch
from influbayes.tables.files import load_package, refuse_file
from influbayes.tables.memory import measure_free_memory, show_bytes
from influbayes.tables.records import BLOCK_ROWS, MOST_COLUMNS, Keep, RecordCollector, Records, refuse_empty
from influbayes.tables.typed import find_control_flaws

MOST_CELLS = 10**9
MOST_ROWS_A_BYTE = 20  # views and swipe-ups differ: a row of posts takes a byte or more
INDEX = re.compile(r"__index_level_[0-9]+__")  # row names that pandas adds
WHY_BOMB = "A table of posts never is so large; reading it would fill the memory."
REMEDY_BOMB = "Check where the file comes from; write only the posts you need."


def read_parquet(path: Path, file: str, keep: Keep) -> Records:
    """Return the records of a Parquet file.

    Raises
    ------
    DataRefused
        The file is damaged (IB-D06), declares more than can be a table of posts (IB-D09) or than fits in memory
        (IB-D10), or holds no rows (IB-D07).
    """
    pyarrow = load_package("pyarrow", file=file, purpose="reading Parquet")
    parquet = load_package("pyarrow.parquet", file=file, purpose="reading Parquet")
    try:
        with parquet.ParquetFile(path) as source:
            _refuse_bombs(source.metadata, path, file)
            return _read_rows(source, file, keep, pyarrow)
    except UnicodeDecodeError as error:
        what = "holds text that is not UTF-8"
        why = "Reading on would lose or change characters."
        raise refuse_file("IB-D02", file, what, "Write the text columns as strings.", why=why) from error
    except (pyarrow.ArrowException, OSError) as error:
        what = "begins like a Parquet file but cannot be read"
        remedy = "Write or download it again, without encryption, or save the table as CSV."
        raise refuse_file("IB-D06", file, what, remedy, why="It is damaged, cut short or encrypted.") from error


def _refuse_bombs(metadata: Any, path: Path, file: str) -> None:
    rows, columns = metadata.num_rows, metadata.num_columns
    dense = rows > MOST_ROWS_A_BYTE * path.stat().st_size
    if rows * max(columns, 1) > MOST_CELLS or dense or columns > MOST_COLUMNS:
        what = f"declares {rows:,} rows of {columns:,} columns in {show_bytes(path.stat().st_size)}"
        raise refuse_file("IB-D09", file, what, REMEDY_BOMB, why=WHY_BOMB)
    free = measure_free_memory()
    groups = (metadata.row_group(i) for i in range(metadata.num_row_groups))
    largest = max((group.column(k).total_uncompressed_size for group in groups for k in range(columns)), default=0)
    if free is not None and largest > free / 2:
        what = f"declares a column that unpacks to {show_bytes(largest)}, {show_bytes(free)} of memory are free"
        raise refuse_file("IB-D09", file, what, REMEDY_BOMB, why=WHY_BOMB)


def _read_rows(source: Any, file: str, keep: Keep, pyarrow: Any) -> Records:
    names = [name for name in source.schema_arrow.names if not INDEX.fullmatch(name)]
    if source.metadata.num_rows == 0 or not names:
        raise refuse_empty(file, "holds no rows")
    places = [i for i, name in enumerate(source.schema_arrow.names) if not INDEX.fullmatch(name)]
    schema = pyarrow.schema([source.schema_arrow.field(i) for i in places])
    flaws = find_type_flaws(schema, pyarrow)
    collector = RecordCollector(file, keep(names))
    collector.refuse_if_too_large(source.metadata.num_rows)
    for batch in source.iter_batches(batch_size=BLOCK_ROWS):
        kept = pyarrow.RecordBatch.from_arrays([batch.column(i) for i in places], schema=schema)
        columns = write_batch(kept, {flaw.place for flaw in flaws}, pyarrow)
        start = collector.rows + 1
        collector.add_columns(columns, range(start, start + kept.num_rows))
    if collector.rows != source.metadata.num_rows:
        raise DataRefused(
            refuse_file("IB-D06", file, "holds fewer rows than it declares", "Write or download it again.").problems
        )
    records = collector.finish(format="parquet", header=names, header_line=0, unit="row")
    return replace(records, flaws=(*flaws, *find_control_flaws(records)))
