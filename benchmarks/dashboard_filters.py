"""How long the returns page of the dashboard takes to answer a filter on a ledger of 100,000 orders.

python benchmarks/dashboard_filters.py --write

Measured is what the page does between a moved filter and its charts: cut the ledger, estimate the part, and lay its
numbers out. Every filter is a new one, so nothing is found in a store of earlier answers.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from influbayes.reporting.returns_results import collect_part
from influbayes.returns.filters import LedgerFilter
from influbayes.returns.index import LedgerIndex, cut_ledger, index_ledger
from influbayes.returns.parts import PART_DRAWS, estimate_part
from influbayes.tables.ledger import read_ledger
from influbayes.tables.ledger_simulation import simulate_ledger

RESULTS = Path(__file__).parent / "results"
TABLES = ("influencers", "posts", "tracking_data", "payouts")
GOAL = 0.3
REPEATS = 3


def make_index(users: int, influencers: int) -> LedgerIndex:
    """Return a simulated ledger, read back from files and laid out for filters."""
    simulated = simulate_ledger(users=users, influencers=influencers, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        for name in TABLES:
            getattr(simulated, name).to_csv(Path(folder) / f"{name}.csv", index=False)
        return index_ledger(read_ledger(folder))


def list_filters(index: LedgerIndex) -> Iterator[tuple[str, LedgerFilter]]:
    """Return one filter of every kind, as the page can ask for them."""
    people, epoch = index.ledger.influencers, date(1970, 1, 1)
    first, last = (epoch + timedelta(days=int(day)) for day in (index.day.min(), index.day.max()))
    middle = first + (last - first) / 2
    yield "platform", LedgerFilter(platform=(str(people["platform"].iloc[0]),))
    yield "category", LedgerFilter(category=(str(people["category"].iloc[0]),))
    yield "influencers", LedgerFilter(influencer=tuple(people["id"].iloc[:20]))
    for name in ("product", "campaign"):
        yield name, LedgerFilter(**{name: (index.levels[name][-1],)}, payout="by-orders")
    yield "period", LedgerFilter(start=first + timedelta(days=1), end=middle, payout="by-orders")
    yield (
        "platform and period",
        LedgerFilter(platform=(str(people["platform"].iloc[0]),), start=first + timedelta(days=1), payout="whole"),
    )


def answer(index: LedgerIndex, chosen: LedgerFilter) -> None:
    """Do what the page does when a filter has moved."""
    found = estimate_part(cut_ledger(index, chosen), prob=0.9, best=5, seed=1, draws=PART_DRAWS)
    collect_part(found, chosen="a part", prob=0.9, best=5)


def measure(call: Callable[[], None]) -> tuple[float, float]:
    """Return the median wall and CPU seconds of a call."""
    walls, spent = [], []
    for _ in range(REPEATS):
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        walls.append(time.perf_counter() - wall)
        spent.append(time.process_time() - cpu)
    return median(walls), median(spent)


def measure_ledger(users: int, influencers: int) -> list[dict[str, Any]]:
    """Return seconds of every kind of filter on one ledger."""
    index = make_index(users, influencers)
    orders = len(index.ledger.orders)
    rows = []
    for name, chosen in list_filters(index):
        wall, cpu = measure(lambda chosen=chosen: answer(index, chosen))  # type: ignore[misc]
        rows.append(
            {
                "orders": orders,
                "influencers": influencers,
                "filter": name,
                "wall_seconds": round(wall, 3),
                "cpu_seconds": round(cpu, 3),
            }
        )
        print("  ".join(f"{value:,}" if isinstance(value, int) else str(value) for value in rows[-1].values()))
    return rows


def main() -> None:
    """Print a line a filter; with --write keep them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--influencers", type=int, nargs="+", default=[60, 600, 5000])
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/dashboard_filters.json")
    arguments = parser.parse_args()
    rows = [row for count in arguments.influencers for row in measure_ledger(arguments.users, count)]
    slowest = max(row["cpu_seconds"] for row in rows)
    print(f"Slowest: {slowest:.3f} s of CPU; the page should answer within {GOAL} s.")
    if arguments.write:
        machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
        held = {"date": datetime.now(UTC).date().isoformat(), "machine": machine, "goal_seconds": GOAL, "rows": rows}
        (RESULTS / "dashboard_filters.json").write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
