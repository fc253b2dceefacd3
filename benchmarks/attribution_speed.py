"""How long all rules with 200 bootstrap replicates take, and whether the time grows with the sessions.

python benchmarks/attribution_speed.py --sessions 130000 260000 520000 1050000
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from influbayes.attribution.credit import attribute_credit
from influbayes.tables.sessions import SessionsTable
from influbayes.tables.simulate_sessions import simulate_sessions


def make_table(sessions: int) -> SessionsTable:
    """Return simulated sessions as a checked table, without the way through a file."""
    frame = simulate_sessions(sessions=sessions).frame
    times = {name: pd.to_datetime(frame[name]).astype("datetime64[s]") for name in frame if name.endswith("_ts")}
    frame = frame.assign(sign_up=frame["Sign_up"], **times)
    frame = frame.astype({"session_id": "str", "user_id": "str", "channel_id": "str"})
    return SessionsTable(
        frame=frame, file="simulated", format="csv", digest="", rows_read=len(frame), rows_used=len(frame)
    )


RESULTS = Path(__file__).parent / "results"
HEAD = ("sessions", "sign_ups", "wall_seconds", "cpu_seconds", "cpu_microseconds_a_session")


def measure(size: int) -> dict[str, float]:
    """Return what all rules with 200 bootstrap replicates take on about `size` sessions."""
    table = make_table(size)
    wall, cpu = time.perf_counter(), time.process_time()
    attribute_credit(table, replicates=200)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    rows = len(table.frame)
    return dict(zip(HEAD, (rows, table.sign_ups, wall, cpu, 1e6 * cpu / rows), strict=True))


def write_results(rows: list[dict[str, float]]) -> None:
    """Write the rows as JSON and as a table, with the date and the machine."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    date = datetime.now(UTC).date().isoformat()
    held = {"date": date, "machine": machine, "replicates": 200, "rows": rows}
    (RESULTS / "attribution_speed.json").write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")
    lines = [
        f"Measured {date} on a shared machine ({machine}): compare rows, not single times.",
        "",
        f"| {' | '.join(name.replace('_', ' ') for name in HEAD)} |",
        f"|{'---|' * len(HEAD)}",
        *(
            f"| {row['sessions']:,} | {row['sign_ups']:,} | {row['wall_seconds']:.1f} | {row['cpu_seconds']:.1f} "
            f"| {row['cpu_microseconds_a_session']:.1f} |"
            for row in rows
        ),
    ]
    (RESULTS / "attribution_speed.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Print one line a size; with --write keep the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, nargs="+", default=[65_000, 130_000, 260_000])
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/attribution_speed.*")
    arguments = parser.parse_args()
    print("  ".join(HEAD))
    rows = []
    for size in arguments.sessions:
        rows.append(measure(size))
        print("  ".join(f"{value:,.2f}" for value in rows[-1].values()), flush=True)
    if arguments.write:
        write_results(rows)


if __name__ == "__main__":
    main()
