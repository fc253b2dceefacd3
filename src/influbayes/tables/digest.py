"""The digest of a checked table: the same for the same content, whatever the order of rows and columns.

Takes a frame of labels, numbers and dates; knows no file. Line numbers are left out.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pandas as pd

BLOCK_ROWS = 50_000


def digest_table(frame: pd.DataFrame) -> str:
    """Return the SHA-256 (hexadecimal) of a table's content.

    Every row is written with its columns in the order of their names and hashed; the digest is that of the column
    names and of the sorted row hashes. The column `line` is left out, -0.0 counts as 0.0, a missing value as empty.
    """
    names = sorted(str(name) for name in frame.columns if name != "line")
    blocks = range(0, len(frame) if names else 0, BLOCK_ROWS)
    hashes = b"".join(_hash_rows(frame[names].iloc[start : start + BLOCK_ROWS]) for start in blocks)
    # Four big-endian words a hash, so that sorting the words sorts the bytes.
    words = np.frombuffer(hashes, dtype=">u8").reshape(-1, 4)
    whole = hashlib.sha256(json.dumps(names).encode())
    whole.update(words[np.lexsort(words.T[::-1])].tobytes())
    return whole.hexdigest()


def _hash_rows(block: pd.DataFrame) -> bytes:
    rows = zip(*(_write_cells(block[name]) for name in block.columns), strict=True)
    # Control characters are refused in every cell, so the unit separator cannot occur inside one.
    return b"".join(hashlib.sha256("\x1f".join(row).encode()).digest() for row in rows)


def _write_cells(cells: pd.Series) -> list[str]:
    if cells.dtype.kind == "f":
        return ["" if number != number else repr(number) for number in (cells.to_numpy(np.float64) + 0.0).tolist()]
    if cells.dtype.kind == "M":
        return ["" if day is None else str(day) for day in cells.to_numpy("datetime64[D]").tolist()]
    return [str(cell) for cell in cells.to_numpy(object).tolist()]
