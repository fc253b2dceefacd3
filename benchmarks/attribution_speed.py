"""How long all rules with 200 bootstrap replicates take, and whether the time grows with the sessions.

python benchmarks/attribution_speed.py --sessions 130000 260000 520000 1050000
"""

from __future__ import annotations

import argparse
import time

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


def main() -> None:
    """Print one line a size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, nargs="+", default=[65_000, 130_000, 260_000])
    print("sessions   sign-ups   wall s    cpu s   microseconds a session")
    for size in parser.parse_args().sessions:
        table = make_table(size)
        wall, cpu = time.perf_counter(), time.process_time()
        attribute_credit(table, replicates=200)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        rows = len(table.frame)
        print(f"{rows:9,} {table.sign_ups:9,} {wall:8.2f} {cpu:8.2f} {1e6 * wall / rows:12.2f}")


if __name__ == "__main__":
    main()
