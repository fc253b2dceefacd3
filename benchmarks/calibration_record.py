"""Makes the calibration records of the repository: 10,000 replications of each default model with the exact engine.

    python benchmarks/calibration_record.py [conversion | conversion_creator]

Writes `results/calibration_MODEL.json`, with pictures of its ranks and coverage beside it. Finished replications are kept
in `runs/calibration_MODEL.jsonl`, so a run that was stopped goes on where it was; one made with other code starts anew.
Takes about a quarter of an hour for `conversion` and half an hour for `conversion_creator` on one core.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from influbayes.calibrate import main as calibrate

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
MODELS = ("conversion", "conversion_creator")
REPLICATIONS = 10_000
DRAWS = 100
"""A chain; 400 in all, of which ranks are counted among 99."""


def make_record(model: str) -> int:
    """Calibrate a shipped model, put the record and its pictures into the results; return the exit code."""
    journal = ROOT / "runs" / f"calibration_{model}.jsonl"
    journal.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "record"
        words = ["--model", model, "--engine", "laplace", "--replications", str(REPLICATIONS), "--draws", str(DRAWS)]
        code = calibrate([*words, "--workers", "1", "--journal", str(journal), "--out", str(out)])
        if (out / "record.json").exists():
            shutil.copy(out / "record.json", RESULTS / f"calibration_{model}.json")
            for name in ("ecdf", "coverage"):
                shutil.copy(out / "plots" / f"{name}.png", RESULTS / f"calibration_{model}_{name}.png")
    return code


if __name__ == "__main__":
    sys.exit(max(make_record(model) for model in sys.argv[1:] or MODELS))
