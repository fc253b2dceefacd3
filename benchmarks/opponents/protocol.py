"""What every Python opponent shares: the call, the table, and what it hands back.

Call: `OPPONENT.py DATA CREATORS OUT [--draws N] [--cores N] [--seed S]`. CREATORS 0 leaves the creators out of the
model. Hands back, in the folder OUT, figures.csv (name, value) and either draws.npz (one (chain, draw) array a
parameter) or summary.csv (name, mean, sd). Knows no opponent.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

NUMERIC = ("Story_Views", "Swipe_Ups")
GROUPS = ("Influencer_Tier", "Audience_Region", "Creator_ID")
SHORT = {"Influencer_Tier": "tier", "Audience_Region": "region"}
REFERENCES = {"Influencer_Tier": "Mega", "Audience_Region": "US"}


class Clock:
    """Seconds of wall and of the processor (all threads) since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        """Return both under the names of figures.csv."""
        return {
            "fit_seconds": time.perf_counter() - self._wall,
            "fit_cpu_seconds": time.process_time() - self._cpu,
        }


def read_call() -> argparse.Namespace:
    """Return data, creators (bool), out, draws, cores and seed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("creators", type=lambda text: int(text) > 0)
    parser.add_argument("out", type=Path)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def list_groups(creators: bool) -> list[str]:
    """Return the columns that group the posts."""
    return list(GROUPS if creators else GROUPS[:2])


def read_posts(path: Path) -> Any:
    """Read the table with numeric columns standardised as z_NAME."""
    import pandas as pd

    # Without the two arguments a region called NA would be missing.
    posts = pd.read_csv(path, keep_default_na=False, na_values=[""])
    for column in NUMERIC:
        posts[f"z_{column}"] = (posts[column] - posts[column].mean()) / posts[column].std(ddof=0)
    return posts


def name_levels(group: str, levels: Any, draws: Any) -> dict[str, Any]:
    """Return draws (chain, draw, level) of a factor's effects as one array a level."""
    return {f"{SHORT[group]}[{level}]": draws[..., k] for k, level in enumerate(levels)}


def write_figures(out: Path, figures: Mapping[str, object]) -> None:
    """Write the single numbers: seconds, divergences, version."""
    with (out / "figures.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("name", "value"), *figures.items()])


def write_draws(out: Path, draws: Mapping[str, Any]) -> None:
    """Write draws, each (chain, draw)."""
    np.savez(out / "draws.npz", **{name: np.asarray(values, dtype=float) for name, values in draws.items()})


def write_summary(out: Path, summary: Mapping[str, tuple[float, float]]) -> None:
    """Write mean and standard deviation where there are no draws."""
    with (out / "summary.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("name", "mean", "sd"), *((name, *pair) for name, pair in summary.items())])
