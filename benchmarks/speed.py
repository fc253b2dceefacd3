"""How long the same posterior takes with influbayes and with other programs: one table, one model, one run.

Every program is a process of its own over the same simulated file, timed from outside (start-up, compiling and
sampling) and from inside (from data in memory to draws). A short time for a wrong posterior is worth nothing, so each
is compared with a long NUTS run: the largest shift of a mean in posterior sds and the worst ratio of sds.

    python benchmarks/speed.py                    # 1,500 posts, 220 creators, cold and warm compile cache
    python benchmarks/speed.py --posts 1000 10000 --programs influbayes-laplace bambi-nutpie

Writes benchmarks/results/speed.json, speed.md and speed.png.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
PROGRAMS = {
    "influbayes-laplace": [sys.executable, str(HERE / "opponents" / "influbayes_engine.py"), "laplace"],
    "influbayes-nuts": [sys.executable, str(HERE / "opponents" / "influbayes_engine.py"), "nuts"],
    "bambi-nutpie": [sys.executable, str(HERE / "opponents" / "bambi_nutpie.py")],
    "plain-pymc": [sys.executable, str(HERE / "opponents" / "plain_pymc.py")],
    "statsmodels-vb": [sys.executable, str(HERE / "opponents" / "statsmodels_vb.py")],
}
COMPILES = ("influbayes-nuts", "bambi-nutpie", "plain-pymc")
SHOWN = ("posts", "creators", "program", "cache", "whole_seconds", "fit_seconds", "worst_ess", "ess_per_second")
ACCURACY = ("divergences", "peak_megabytes", "worst_shift", "worst_sd_ratio")


def main(argv: list[str] | None = None) -> int:
    """Run the programs asked for and write table, picture and figures."""
    arguments = parse_arguments(argv)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for posts in arguments.posts:
            creators = arguments.creators if arguments.creators is not None else max(10, round(posts * 220 / 1500))
            data = write_posts(Path(scratch), posts, creators, arguments.seed)
            reference = None if arguments.no_reference else run_reference(data, creators)
            for program in arguments.programs:
                for cache in ("cold", "warm") if program in COMPILES else ("none",):
                    row = {"posts": posts, "creators": creators, "program": program, "cache": cache}
                    row |= time_program(program, data, creators, cache, Path(scratch), reference, arguments.timeout)
                    rows.append(row)
                    print("  ".join(f"{key}={show(row.get(key))}" for key in (*SHOWN, *ACCURACY)), flush=True)
    write_results(rows, arguments)
    return 0


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--posts", type=int, nargs="+", default=[1500], metavar="N")
    parser.add_argument(
        "--creators", type=int, metavar="N", help="0: a model without creators; default as in the sample"
    )
    parser.add_argument("--programs", nargs="+", choices=PROGRAMS, default=list(PROGRAMS), metavar="NAME")
    parser.add_argument("--seed", type=int, default=20260101)
    parser.add_argument("--timeout", type=float, default=900, metavar="SECONDS")
    parser.add_argument("--no-reference", action="store_true", help="leave out the long run that judges accuracy")
    parser.add_argument("--name", default="speed", help="name of the files in results/")
    return parser.parse_args(argv)


def write_posts(folder: Path, posts: int, creators: int, seed: int) -> Path:
    """Simulate one table of posts as CSV."""
    from influbayes.tables.simulate import render_posts_csv, simulate_posts

    path = folder / f"posts_{posts}_{creators}.csv"
    path.write_bytes(render_posts_csv(simulate_posts(posts=posts, creators=creators or posts // 7, seed=seed)).encode())
    return path


def run_reference(data: Path, creators: int) -> dict[str, list[float]]:
    """Return mean and sd of every quantity from a long NUTS run."""
    command = [*PROGRAMS["influbayes-nuts"], str(data), str(creators), "--draws", "5000"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1])["quantities"])


def time_program(
    program: str, data: Path, creators: int, cache: str, scratch: Path, reference: dict[str, Any] | None, timeout: float
) -> dict[str, Any]:
    """Run one program once; return its times, effective sample size, memory and accuracy."""
    folder = scratch / f"cache_{program}_{data.stem}"
    environment = {**os.environ, "PYTENSOR_FLAGS": f"base_compiledir={folder}", "MPLBACKEND": "Agg"}
    start = time.perf_counter()
    command = [*PROGRAMS[program], str(data), str(creators)]
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL, env=environment)
        code, usage = wait_for(process, timeout)
        whole = time.perf_counter() - start
        out.seek(0)
        lines = out.read().splitlines()
    if code != 0 or not lines:
        return {"whole_seconds": whole, "failed": f"exit code {code}"}
    said = json.loads(lines[-1])
    return {
        "whole_seconds": whole,
        "peak_megabytes": usage / 1024,
        **{key: said.get(key) for key in ("fit_seconds", "worst_ess", "divergences")},
        "ess_per_second": said["worst_ess"] / said["fit_seconds"] if said.get("worst_ess") else None,
        **(compare(said["quantities"], reference) if reference else {}),
    }


def wait_for(process: subprocess.Popen[bytes], timeout: float) -> tuple[int, float]:
    """Wait for a process; return its exit code and peak memory in kilobytes (-1 as code when it took too long)."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, usage.ru_maxrss
        time.sleep(0.02)
    process.kill()
    process.wait()
    return -1, float("nan")


def compare(found: dict[str, list[float]], reference: dict[str, list[float]]) -> dict[str, float]:
    """Return the largest shift of a mean in reference sds, and the sd ratio farthest from 1."""
    shared = [name for name in reference if name in found]
    ratios = [found[name][1] / reference[name][1] for name in shared]
    return {
        "worst_shift": max(abs(found[name][0] - reference[name][0]) / reference[name][1] for name in shared),
        "worst_sd_ratio": max(ratios, key=lambda ratio: abs(ratio - 1)),
    }


def write_results(rows: list[dict[str, Any]], arguments: argparse.Namespace) -> None:
    """Write figures, table and picture with machine and date."""
    RESULTS.mkdir(exist_ok=True)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    record = {"date": time.strftime("%Y-%m-%d"), "machine": machine, "seed": arguments.seed, "rows": rows}
    (RESULTS / f"{arguments.name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    header = [*SHOWN, *ACCURACY]
    lines = [f"Measured {record['date']} on a shared machine ({machine}): compare rows, not single times.", ""]
    lines += ["| " + " | ".join(name.replace("_", " ") for name in header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(show(row.get(key)) for key in header) + " |" for row in rows]
    (RESULTS / f"{arguments.name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    draw_results(rows, RESULTS / f"{arguments.name}.png")


def draw_results(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw seconds of the whole process against posts, both logarithmic, one line a program."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    axes = figure.subplots()
    for program in dict.fromkeys((row["program"], row["cache"]) for row in rows):
        chosen = [row for row in rows if (row["program"], row["cache"]) == program and "failed" not in row]
        label = program[0] if program[1] == "none" else f"{program[0]}, {program[1]} cache"
        axes.plot([row["posts"] for row in chosen], [row["whole_seconds"] for row in chosen], marker="o", label=label)
    axes.set(xscale="log", yscale="log", xlabel="posts", ylabel="seconds, whole process", title="Start to draws")
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    figure.savefig(path, metadata={"Software": None})


def show(value: object) -> str:
    """Format one cell."""
    if value is None:
        return "-"
    return (
        f"{value:,.3g}"
        if isinstance(value, float) and abs(value) < 1000
        else f"{value:,.0f}"
        if isinstance(value, int | float)
        else str(value)
    )


if __name__ == "__main__":
    sys.exit(main())
