"""Turns the record of a comparison into Markdown: the full table, and the short one of the README.

A record is what speed.json holds: date, machine, limit, rows. Computes ratios and slopes; measures nothing.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from comparison.programs import OURS, PROGRAMS

Row = Mapping[str, Any]
HEADER = (
    "program",
    "fit, s",
    "fit, CPU s",
    "whole, s",
    "whole, CPU s",
    "worst ESS",
    "ESS / s",
    "ours / its",
    "ours / its, CPU",
    "divergences",
    "peak, MB",
    "largest shift, sd",
    "scales, sd",
    "sd ratio",
)
LEGEND = """\
- **fit**: from the table in memory to draws or estimates. **whole**: the process, from start to written answer. *CPU*:
  processor seconds of all threads and helpers. *cold*: an empty compile cache; otherwise a warm one.
- **worst ESS**: smallest bulk effective sample size of intercept, slopes, tiers, regions and scales, of 4,000 draws.
- **ours / its**: ESS per second of influbayes, laplace, run directly before and after (geometric mean of the two), over
  that of the program; where it gives no draws, its seconds over ours. *CPU*: the same with CPU seconds of fitting.
- **largest shift**: over slopes, contrasts of tiers and regions, and scales: |mean - reference mean| / reference sd.
  **scales**: the same over the scales alone. **sd ratio**: smallest and largest sd / reference sd. The reference is
  40,000 draws with another seed; which engine drew them stands under each table."""


def summarise_ours(rows: Iterable[Row]) -> dict[tuple[int, int], dict[str, float]]:
    """Return for each size (posts, creators) the medians over all runs of influbayes, laplace, and their number."""
    runs: dict[tuple[int, int], list[Row]] = {}
    for row in rows:
        if row["program"] == OURS and "fit_seconds" in row and row["cache"] != "cold":
            runs.setdefault((row["posts"], row["creators"]), []).append(row)
    keys = ("fit_seconds", "fit_cpu_seconds", "whole_seconds", "whole_cpu_seconds", "peak_megabytes", "worst_ess")
    return {
        size: {key: statistics.median(run[key] for run in found) for key in keys}
        | {
            "runs": len(found),
            "fastest": min(run["fit_seconds"] for run in found),
            "slowest": max(run["fit_seconds"] for run in found),
        }
        for size, found in runs.items()
    }


def compare_speed(row: Row, *, seconds: str = "fit_seconds") -> float | None:
    """Return how many times faster influbayes, run directly beside, is: by ESS per second, without draws by seconds."""
    beside = row.get("ours_beside")
    if not beside or not row.get(seconds) or not all(run.get(seconds) for run in beside):
        return None
    ess = row.get("worst_ess")
    ours = [(run["worst_ess"] if ess else 1.0) / run[seconds] for run in beside]
    return math.exp(statistics.fmean(map(math.log, ours))) / ((ess or 1.0) / row[seconds])


def estimate_slope(sizes: Mapping[int, float]) -> float | None:
    """Return the least-squares slope of log seconds on log posts; None with fewer than two sizes."""
    if len(sizes) < 2:
        return None
    return statistics.linear_regression([math.log(n) for n in sizes], [math.log(s) for s in sizes.values()]).slope


def render_tables(record: Mapping[str, Any]) -> str:
    """Return the whole record as Markdown."""
    rows = record["rows"]
    parts = [say_machine(record), "", LEGEND, ""]
    for posts, creators in dict.fromkeys((row["posts"], row["creators"]) for row in rows):
        chosen = [row for row in rows if (row["posts"], row["creators"]) == (posts, creators)]
        parts += [f"## {posts:,} posts, {_say_creators(creators)}", "", *render_size(chosen), ""]
    parts += ["## Growth with the posts", "", *render_growth(rows), "", "## What differs", ""]
    parts += [
        f"- **{PROGRAMS[name].label}** ({find_version(rows, name)}): {PROGRAMS[name].differs}."
        for name in dict.fromkeys(row["program"] for row in rows)
    ]
    parts += [f"- **{PROGRAMS[name].label}**: not run, {why}." for name, why in record.get("absent", {}).items()]
    return "\n".join(parts) + "\n"


def say_machine(record: Mapping[str, Any]) -> str:
    """Return one sentence on date and machine."""
    machine = record["machine"]
    return (
        f"Measured {record['date']} on {machine['processor']}, {machine['cores']}, {machine['memory']}, "
        f"{machine['system']}; {machine['versions']}. Other work shared the machine: compare programs with the run of "
        "influbayes beside them, and CPU seconds, rather than single times."
    )


def render_size(rows: Sequence[Row]) -> list[str]:
    """Return the table of one size: influbayes as median of its warm runs, the others as measured."""
    lines = ["| " + " | ".join(HEADER) + " |", "|---|" + "---:|" * (len(HEADER) - 1)]
    ours = [row for row in rows if row["program"] == OURS and "fit_seconds" in row and row["cache"] != "cold"]
    if ours:
        (median,) = summarise_ours(ours).values()
        first = {**ours[0], **median, "ess_per_second": median["worst_ess"] / median["fit_seconds"]}
        lines.append(render_row(first, f"{PROGRAMS[OURS].label} (median of {len(ours)})"))
    for row in rows:
        if row not in ours:
            cold = ", cold" if row.get("cache") == "cold" else ""
            lines.append(render_row(row, PROGRAMS[row["program"]].label + cold))
    engines = {row["reference"] for row in rows if "reference" in row}
    exceptions = [PROGRAMS[row["program"]].label for row in rows if row.get("reference") == "laplace"]
    which = f"nuts (for {', '.join(dict.fromkeys(exceptions))}: laplace)" if len(engines) > 1 else "".join(engines)
    return [*lines, "", f"Reference: {which or '-'}."]


def render_row(row: Row, label: str) -> str:
    """Return one line of a table, or the reason why there are no numbers."""
    if why := row.get("not_run") or row.get("failed"):
        return f"| {label} | {why} |" + " |" * (len(HEADER) - 2)
    low, high = row.get("sd_ratio_low"), row.get("sd_ratio_high")
    cells = [
        row["fit_seconds"],
        row.get("fit_cpu_seconds"),
        row["whole_seconds"],
        row["whole_cpu_seconds"],
        row.get("worst_ess"),
        row.get("ess_per_second"),
        compare_speed(row),
        compare_speed(row, seconds="fit_cpu_seconds"),
        row.get("divergences"),
        row["peak_megabytes"],
    ]
    accuracy = [
        f"{row['worst_shift']:.2f} ({row['worst_shift_of']})" if "worst_shift" in row else "-",
        f"{row['scale_shift']:.2f}" if "scale_shift" in row else "-",
        "-" if low is None or high is None else f"{low:.2f} - {high:.2f}",
    ]
    return "| " + " | ".join([label, *map(show_number, cells), *accuracy]) + " |"


def render_growth(rows: Sequence[Row]) -> list[str]:
    """Return how seconds of influbayes grow: the slope of log seconds on log posts, over all sizes and between two."""
    found = summarise_ours(rows)
    lines = []
    for kind, chosen in (
        ("without creators", {s: v for s, v in found.items() if not s[1]}),
        ("with creators", {s: v for s, v in found.items() if s[1]}),
    ):
        seconds = {posts: values["fit_seconds"] for (posts, _), values in sorted(chosen.items())}
        slope = estimate_slope(seconds)
        if slope is None:
            continue
        cpu = estimate_slope({posts: values["fit_cpu_seconds"] for (posts, _), values in sorted(chosen.items())})
        sizes = list(seconds)
        steps = [
            f"{estimate_slope({a: seconds[a], b: seconds[b]}):.2f} from {a:,} to {b:,}" for a, b in pairwise(sizes)
        ]
        lines.append(
            f"influbayes, laplace, {kind}: slope of log seconds on log posts {slope:.2f} (CPU seconds {cpu:.2f}); "
            f"{', '.join(steps)}. A slope of 1 is linear."
        )
    return lines or ["One size only."]


def find_version(rows: Iterable[Row], program: str) -> str:
    """Return the version a program said it has."""
    return next(
        (str(row["version"]) for row in rows if row["program"] == program and "version" in row), "version unknown"
    )


def render_short(record: Mapping[str, Any]) -> str:
    """Return the short table of the README: seconds of fitting at every size, and accuracy at the smallest."""
    rows = record["rows"]
    sizes = list(dict.fromkeys((row["posts"], row["creators"]) for row in rows))
    names = [OURS, *(name for name in PROGRAMS if name != OURS and any(row["program"] == name for row in rows))]
    heads = [f"{posts:,}" + (f" of {creators:,}" if creators else "") for posts, creators in sizes]
    lines = [
        "| seconds of fitting, posts (of creators) | " + " | ".join(heads) + " | scales off by |",
        "|---|" + "---:|" * (len(heads) + 1),
    ]
    for name in names:
        cells = [_show_seconds(rows, name, size) for size in sizes]
        lines.append("| " + " | ".join([PROGRAMS[name].label, *cells, _show_scales(rows, name)]) + " |")
    return "\n".join(lines)


def _show_seconds(rows: Sequence[Row], name: str, size: tuple[int, int]) -> str:
    found = [row for row in rows if row["program"] == name and (row["posts"], row["creators"]) == size]
    if name == OURS:
        found = [dict(values) for values in summarise_ours(found).values()]
    timed = [row for row in found if "fit_seconds" in row]
    if timed:
        return show_number(timed[-1]["fit_seconds"])
    return "stopped" if any("stopped" in row.get("failed", "") for row in found) else "-"


def _show_scales(rows: Sequence[Row], name: str) -> str:
    shifts = [row["scale_shift"] for row in rows if row["program"] == name and "scale_shift" in row]
    return f"{max(shifts):.2f} sd" if shifts else "-"


def _say_creators(creators: int) -> str:
    return f"{creators:,} creators" if creators else "no creators in the model"


def show_number(value: object) -> str:
    """Return a number with three significant digits, thousands without decimals; - for none."""
    if not isinstance(value, int | float):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 or isinstance(value, int) else f"{value:.3g}"
