"""What the whole command costs with `--engine nuts`, beside Bambi with nutpie on the same model, in one run.

Ours reads the bundled sample, fits both questions, checks, judges and writes report, pictures and draws. Bambi reads
it and fits the first question (`bambi`) or both (`bambi-both`), and writes draws. Every program runs as a process of
its own, first with empty compile caches ("cold"), then `--repeats` times in turn with those it filled ("warm").

    python benchmarks/whole_process.py [--repeats 3]

Writes whole_process.json and whole_process.md in benchmarks/results/.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from comparison.answers import estimate_ess, read_draws
from comparison.machine import describe_machine
from comparison.processes import run_program
from comparison.programs import OPPONENTS
from comparison.schedule import build_environment

RESULTS = Path(__file__).resolve().parent / "results"
SAMPLE = Path(__file__).resolve().parents[1] / "data" / "posts.csv"
OURS, ONE, BOTH = "influbayes-nuts", "bambi", "bambi-both"
CREATORS = "220"  # any number above 0: the creators are in the model
LIMIT = 900.0

Row = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Run every program cold and warm, and write figures and table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="warm runs of each program")
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args(argv)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(1 + arguments.repeats):
            cache = "warm" if number else "cold"
            for name in (ONE, OURS, BOTH):
                rows.append(measure(name, cache, Path(scratch), arguments.cores))
                print(say_row(rows[-1]), flush=True)
    record = {"date": time.strftime("%Y-%m-%d"), "machine": describe_machine(arguments.cores), "rows": rows}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "whole_process.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "whole_process.md").write_text(render_table(record), encoding="utf-8")
    print(render_table(record))
    return 0


def measure(name: str, cache: str, scratch: Path, cores: int) -> Row:
    """Run one program once; a cold run has compile caches of its own, which later runs find filled."""
    out = scratch / f"{name}_{time.monotonic_ns()}"
    environment = build_environment(cores, scratch / f"cache_{name}")
    if name == OURS:
        command = ["-m", "influbayes.fit", str(SAMPLE), "--engine", "nuts", "--out", str(out), "--quiet"]
    else:
        out.mkdir()
        command = [str(OPPONENTS / "bambi_nutpie.py"), str(SAMPLE), CREATORS, str(out), "--cores", str(cores)]
        command += ["--both"] if name == BOTH else []
    cost = run_program([sys.executable, *command], environment=environment, limit=LIMIT, scratch=scratch)
    if cost.code:
        raise RuntimeError(f"{name} ended with {cost.code}: {cost.said}")
    row = {"program": name, "cache": cache, "wall_seconds": cost.whole_seconds, "cpu_seconds": cost.cpu_seconds}
    return row | (describe_fit(out) if name == OURS else describe_answer(out))


def describe_fit(out: Path) -> Row:
    """Return the worst ESS and the divergences of our first question, from the saved draws."""
    from influbayes.hierarchy.posterior import load_fit

    fit = load_fit(out / "posterior.nc")
    draws = {"intercept": fit.draws["intercept"]}
    for name, values in fit.draws.items():
        if name.startswith("scale_"):
            draws[name] = values
        elif name != "effect_Creator_ID":
            draws |= {f"{name}[{k}]": values[..., k] for k in range(values.shape[-1])} if values.ndim == 3 else {}
    return {"worst_ess": float(estimate_ess(draws).min()), "divergences": int(fit.sample_stats["diverging"].sum())}


def describe_answer(out: Path) -> Row:
    """Return the worst ESS over the same kinds of parameters, and the divergences, of what Bambi handed back."""
    draws = read_draws(out)
    if draws is None:
        raise RuntimeError("Bambi handed back no draws.")
    figures = dict(line.split(",") for line in (out / "figures.csv").read_text(encoding="utf-8").splitlines())
    return {"worst_ess": float(estimate_ess(draws).min()), "divergences": int(figures["divergences"])}


def say_row(row: Row) -> str:
    """Return one line for the screen."""
    return (
        f"{row['cache']} {row['program']:<16} wall {row['wall_seconds']:6.1f} s  cpu {row['cpu_seconds']:6.1f} s  "
        f"worst ESS {row['worst_ess']:6.0f}  divergences {row['divergences']}"
    )


def render_table(record: Mapping[str, Any]) -> str:
    """Return the figures as a table: medians where a program ran several times."""
    lines = [
        "# The whole command with --engine nuts, beside Bambi with nutpie",
        "",
        f"Bundled sample, the model with creators. {'; '.join(record['machine'].values())}. {record['date']}.",
        "",
        "| cache | program | runs | wall s | cpu s | worst ESS | divergences |",
        "|---|---|---|---|---|---|---|",
    ]
    kinds = dict.fromkeys((row["cache"], row["program"]) for row in record["rows"])
    for cache, program in kinds:
        rows = [row for row in record["rows"] if (row["cache"], row["program"]) == (cache, program)]
        middle = {key: median(row[key] for row in rows) for key in ("wall_seconds", "cpu_seconds", "worst_ess")}
        lines.append(
            f"| {cache} | {program} | {len(rows)} | {middle['wall_seconds']:.1f} | {middle['cpu_seconds']:.1f} "
            f"| {middle['worst_ess']:.0f} | {max(row['divergences'] for row in rows)} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
