"""What the whole command costs on the bundled sample: `influbayes fit` with report, pictures and files of draws.

Every run is a process of its own that writes a run folder. Runs on all cores (copies of the process work beside it) and
in one process (OMP_NUM_THREADS=1) take turns, so that a busy machine hurts both alike. CPU seconds are those of the
process and of its copies. Python keeps its bytecode, as it does unless told otherwise. Imports are timed in a fresh
process, in the order in which a run needs them.

    python benchmarks/command_time.py --repeats 5

Writes benchmarks/results/command_time.json and .md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from comparison.machine import describe_machine

RESULTS = Path(__file__).resolve().parent / "results"
WAYS = {"all cores": {}, "one process": {"OMP_NUM_THREADS": "1"}}
# What is imported, and by which part of a run.
IMPORTS = {
    "reading, models, estimates": "influbayes.inference.engine, influbayes.reporting.terminal, influbayes.pipeline",
    "the exact engine's loops (numba)": "influbayes.inference.kernels",
    "pictures (matplotlib)": "influbayes.reporting.plots",
    "checks (scipy.optimize)": "scipy.optimize",
    "regressions (statsmodels, firthmodels)": "statsmodels.genmod.generalized_linear_model, firthmodels",
    "files of draws (xarray, netCDF4)": "xarray, netCDF4",
}

Row = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Run, time and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        time_command(Path(folder) / "first", {})  # compiles, reads files into memory
        runs = {way: [] for way in WAYS}
        for number in range(arguments.repeats):
            for way, settings in WAYS.items():
                runs[way].append(time_command(Path(folder) / f"{way}-{number}", settings))
    imports = median_columns([time_imports() for _ in range(arguments.repeats)])
    write_results(runs, imports)
    return 0


def time_command(out: Path, settings: Mapping[str, str]) -> Row:
    """Return wall and CPU seconds of one run, and the load of the machine before it."""
    words = [sys.executable, "-m", "influbayes.fit", "--quiet", "--out", str(out)]
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    load, begin = os.getloadavg()[0], time.perf_counter()
    process = subprocess.Popen(words, env={**usual, **settings})
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"the command ended with code {process.returncode}")
    return {"wall_seconds": wall, "user_seconds": used.ru_utime, "system_seconds": used.ru_stime, "load": load}


def time_imports() -> dict[str, float]:
    """Return CPU seconds of each group of imports, one after the other in one fresh process."""
    lines = ["import json, time", "found, last = {}, time.process_time()"]
    for name, modules in IMPORTS.items():
        lines += [f"import {modules}", f"found[{name!r}], last = time.process_time() - last, time.process_time()"]
    script = "\n".join([*lines, "print(json.dumps(found))"])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def median_columns(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of each column."""
    return {name: median(row[name] for row in rows) for name in rows[0]}


def summarise(rows: Sequence[Row]) -> Row:
    """Return best and median of wall and CPU seconds, and the least load a run began under."""
    wall = [row["wall_seconds"] for row in rows]
    cpu = [row["user_seconds"] + row["system_seconds"] for row in rows]
    return {
        "wall_best": min(wall),
        "wall_median": median(wall),
        "cpu_best": min(cpu),
        "cpu_median": median(cpu),
        "load_least": min(row["load"] for row in rows),
    }


def write_results(runs: Mapping[str, Sequence[Row]], imports: Mapping[str, float]) -> None:
    """Write the figures as JSON and as tables."""
    found = {way: summarise(rows) for way, rows in runs.items()}
    machine = describe_machine(len(os.sched_getaffinity(0)))
    document = {"machine": machine, "summary": found, "imports_cpu_seconds": imports, "runs": runs}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "command_time.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    lines = [
        "`influbayes fit` on the bundled sample (1,500 posts, 220 creators), with report, pictures and files of draws.",
        "Seconds; a load above 0 at the start means that others used the machine too: then compare rows and CPU.",
        "",
        "| | wall, best | wall, median | CPU, best | CPU, median | least load |",
        "|---|---|---|---|---|---|",
        *(f"| {way} | " + " | ".join(f"{value:.1f}" for value in row.values()) + " |" for way, row in found.items()),
        "",
        "| imports for | CPU seconds |",
        "|---|---|",
        *(f"| {name} | {value:.2f} |" for name, value in imports.items()),
    ]
    (RESULTS / "command_time.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
