"""Keeps the checked ledger of a returns study in its run folder, so that it can be filtered and estimated from again.

Takes a ledger; makes Parquet files and one JSON file, and reads them back. Knows no estimate.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from influbayes.errors import IncompleteRun
from influbayes.tables.ledger import Ledger
from influbayes.tables.problems import Problem

FOLDER = "ledger"
FRAMES = ("influencers", "posts", "orders", "payouts")
ACCOUNT = f"{FOLDER}/account.json"


def store_ledger(ledger: Ledger) -> dict[str, bytes | Callable[[Path], None]]:
    """Return the files that hold a ledger: name -> bytes, or a function that writes to a path."""
    account = {
        "folder": ledger.folder,
        "digest": ledger.digest,
        "rows_read": dict(ledger.rows_read),
        "rejected": dict(ledger.rejected),
        "notices": [asdict(problem) for problem in ledger.notices],
        "has_clock": ledger.has_clock,
        "is_sample": ledger.is_sample,
    }
    text = json.dumps(account, allow_nan=False, ensure_ascii=False, indent=1, sort_keys=True)
    return {
        ACCOUNT: text.encode("utf-8"),
        **{f"{FOLDER}/{name}.parquet": partial(_write_frame, getattr(ledger, name)) for name in FRAMES},
    }


def load_ledger(folder: str | Path) -> Ledger:
    """Return the ledger that a run folder holds; `run_folder.verify_run` says whether its files are whole.

    Raises
    ------
    IncompleteRun
        The folder holds no ledger: it is not of the returns study, or of an older version.
    """
    place = Path(folder)
    try:
        account: dict[str, Any] = json.loads((place / ACCOUNT).read_bytes())
        frames: dict[str, Any] = {name: _read_frame(place / FOLDER / f"{name}.parquet") for name in FRAMES}
    except (OSError, ValueError) as error:
        raise IncompleteRun(f"{place}: holds no ledger to look further into. Run influbayes roas again.") from error
    notices = tuple(Problem(**{**row, "lines": tuple(row["lines"])}) for row in account.pop("notices"))
    return Ledger(**account, **frames, notices=notices)


def _write_frame(frame: pd.DataFrame, path: Path) -> None:
    frame.to_parquet(path, engine="pyarrow", index=False)


def _read_frame(path: Path) -> pd.DataFrame:
    frame = pd.read_parquet(path, engine="pyarrow")
    # Parquet has no seconds: days come back in milliseconds.
    return frame.assign(day=frame["day"].astype("datetime64[s]")) if "day" in frame else frame
