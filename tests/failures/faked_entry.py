"""`influbayes fit` with a faked analysis, as a function for tests and as a program: faked_entry.py RESULTS [WORDS ...].

The program prints WRITING when it begins to write and, where FAKED_SECONDS is set, takes that long over it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def fake_study(replace: Callable[[object, str, Any], None], results: dict[str, Any]) -> dict[str, Any]:
    """Replace the analysis in the pipeline; return what tests may change: `seed` of the run, its `files`."""
    from influbayes import pipeline
    from influbayes.reporting import results as room

    state: dict[str, Any] = {
        "seed": results["provenance"]["seed"],
        "files": {"plots/forest.png": b"picture", "posterior.nc": lambda path: path.write_bytes(b"draws" * 100)},
    }

    def analyse(*_: Any, progress: Any = None, settings: Any = None, **__: Any) -> None:
        state["seed"] = settings.seed
        for step in ("sampling", "estimating effects"):
            progress(step, 0.5)

    def collect(*_: Any, **__: Any) -> dict[str, Any]:
        return {**results, "provenance": {**results["provenance"], "seed": state["seed"]}}

    replace(pipeline, "analyse_posts", analyse)
    replace(pipeline, "add_choices", lambda analysis, request=None, **_: analysis)
    replace(pipeline, "find_quick_refit", lambda analysis, settings: None)
    replace(pipeline, "draw_model", lambda analysis: None)
    replace(
        pipeline, "make_files", lambda _, found, **__: {"results.json": room.encode_results(found), **state["files"]}
    )
    replace(room, "collect_results", collect)
    return state


def write_slowly(path: Path) -> None:
    path.write_bytes(b"half")
    print("WRITING", file=sys.stderr, flush=True)
    time.sleep(float(os.environ.get("FAKED_SECONDS", "0")))
    path.write_bytes(b"whole")


def run(words: list[str]) -> int:
    from influbayes import fit

    results = json.loads(Path(words[0]).read_bytes())
    state = fake_study(setattr, {**results, "status": "ok"})
    if "FAKED_SECONDS" in os.environ:
        state["files"]["posterior.nc"] = write_slowly
    return fit.main(words[1:])


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
