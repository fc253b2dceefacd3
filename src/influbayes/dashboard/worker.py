"""What a job runs in a process of its own: takes limits upon itself, checks the upload, then becomes the command line.

Takes the path of a JSON file that `jobs` wrote. What is wrong with an upload is written beside it as JSON, so that the
page can show it as a table; everything else is said by the command that this process turns into (`exec`).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from influbayes.errors import Refused

READERS: Mapping[str, tuple[str, str]] = {
    "conversion": ("influbayes.tables.reader", "read_posts"),
    "returns": ("influbayes.tables.ledger", "read_ledger"),
    "attribution": ("influbayes.tables.session_reader", "read_sessions"),
}
ENTRIES = {"conversion": "influbayes.fit", "returns": "influbayes.roas", "attribution": "influbayes.attribute"}
LINES_SHOWN = 20


def main(path: str) -> int:
    """Do the job that a file describes; return 3 where the upload is refused, else become the command."""
    job = json.loads(Path(path).read_bytes())
    limit_process(memory_bytes=job["memory_bytes"], cpu_seconds=job["cpu_seconds"])
    source = job["source"]
    try:
        if source is not None:
            _read_upload(job["study"], source, job["mapping"])
    except Refused as reason:
        Path(job["problems"]).write_text(json.dumps(describe_problems(reason)), encoding="utf-8")
        return reason.exit_code
    maps = [f"--map={ours}={theirs}" for ours, theirs in job["mapping"].items()]
    words = [*([] if source is None else [source]), "--out", job["out"], *maps, *job["options"]]
    return os.execv(sys.executable, [sys.executable, "-u", "-m", ENTRIES[job["study"]], *words])


def limit_process(*, memory_bytes: int, cpu_seconds: int) -> None:
    """Set limits of memory and processor time that this process and what it turns into cannot raise."""
    try:
        resource = import_module("resource")
    except ImportError:  # Windows has none; the wall clock of `jobs` is the limit there
        return
    for kind, limit in ((resource.RLIMIT_AS, memory_bytes), (resource.RLIMIT_CPU, cpu_seconds)):
        _, hard = resource.getrlimit(kind)
        wanted = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (wanted, wanted))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def describe_problems(reason: Refused) -> list[dict[str, Any]]:
    """Return every problem as plain data: code, file, column, lines, value, count, message."""
    rows = []
    for problem in reason.problems:
        row = asdict(problem)  # type: ignore[call-overload]  # problems of every room are dataclasses
        rows.append({**row, "lines": list(row.get("lines", ()))[:LINES_SHOWN]})
    return rows


def _read_upload(study: str, source: str, mapping: Mapping[str, str]) -> None:
    module, name = READERS[study]
    read: Callable[..., object] = getattr(import_module(module), name)
    read(source, mapping=mapping)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
