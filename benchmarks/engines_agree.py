"""Do both engines draw from the same posterior? Every parameter by `laplace` against `nuts`, with Monte Carlo errors.

Fits the bundled sample's default model, both questions, and every model of a folder that holds one folder a model with
`data.csv` and `spec.toml`. Means must lie within 0.1 sd, sds within 5 %; each engine takes enough draws that the Monte
Carlo error is a fraction of that, and the error stands beside the figure.

    python benchmarks/engines_agree.py --reference FOLDER        # half an hour; without --reference the sample alone
    python benchmarks/engines_agree.py --only surgical --name one

Writes NAME.json and NAME.md in benchmarks/results/ (default engines_agree) after every model. With --resume the models
that NAME.json holds already, by the same versions, seed and draws, are not fitted again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from comparison.agreement import (
    compare_draws,
    is_rough,
    name_parameters,
    render_agreement,
    summarise_agreement,
)
from comparison.machine import describe_machine

from influbayes.hierarchy.design import Design, build_design
from influbayes.hierarchy.posterior import Fit
from influbayes.hierarchy.spec import choose_spec, load_spec, required_columns
from influbayes.inference.certificate import is_certified
from influbayes.inference.engine import fit_model
from influbayes.pipeline import build_designs
from influbayes.tables.reader import read_posts

RESULTS = Path(__file__).resolve().parent / "results"
SAMPLE = "bundled sample"
MORE = 4
"""How many times the draws a second try takes."""


def main(argv: list[str] | None = None) -> int:
    """Fit every model with both engines and write how far apart they are; 1 where a model differs."""
    arguments = parse_arguments(argv)
    record: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": describe_machine(2),
        "seed": arguments.seed,
        "draws": {"models": arguments.draws, SAMPLE: arguments.sample_draws},
        "absent": explain_absence(arguments.reference),
        "rows": [],
    }
    if arguments.resume:
        record["rows"] = read_rows(record, arguments.name)
    for line in record["absent"]:
        print(f"Left out: {line}")
    # The longest last: what is interrupted then has most models.
    for name, design in sorted(list_designs(arguments.reference), key=lambda pair: len(pair[1].rows)):
        if (arguments.only and name not in arguments.only) or name in {row["model"] for row in record["rows"]}:
            continue
        draws = arguments.sample_draws if name.startswith(SAMPLE) else arguments.draws
        record["rows"].append(compare_until_sure(name, design, draws=draws, seed=arguments.seed))
        write_record(record, arguments.name)  # an interrupted run keeps what it measured
        print(json.dumps(record["rows"][-1]), flush=True)
    print(render_agreement(record))
    return int(any(row["verdict"] == "differ" for row in record["rows"]))


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reference", type=Path, metavar="FOLDER", help="one folder a model: data.csv, spec.toml")
    parser.add_argument("--only", nargs="+", metavar="MODEL")
    parser.add_argument("--draws", type=int, default=10_000, help="draws a chain, of four")
    parser.add_argument("--sample-draws", type=int, default=5_000, help="the same for the bundled sample")
    parser.add_argument("--seed", type=int, default=20260101)
    parser.add_argument("--resume", action="store_true", help="keep the models of NAME.json that were made alike")
    parser.add_argument("--name", default="engines_agree")
    return parser.parse_args(argv)


def explain_absence(reference: Path | None) -> list[str]:
    """Return why the reference models are left out, if they are."""
    if reference is None:
        return ["the reference models, because no folder was given (--reference FOLDER)."]
    return [] if any(reference.glob("*/spec.toml")) else ["the reference models, because the folder holds none."]


def list_designs(reference: Path | None) -> Iterator[tuple[str, Design]]:
    """Yield name and design of every model of the folder, then of the sample's two questions."""
    for path in sorted(reference.glob("*/spec.toml")) if reference else ():
        spec = load_spec(str(path))
        yield (
            path.parent.name,
            build_design(read_posts(path.with_name("data.csv"), columns=required_columns(spec)), spec),
        )
    with as_file(files("influbayes.data").joinpath("posts.csv")) as path:
        posts = read_posts(path)
    for design in build_designs(posts, choose_spec(posts)[0]):
        yield f"{SAMPLE}, {design.question.replace('_', ' ')}", design


def compare_until_sure(name: str, design: Design, *, draws: int, seed: int) -> dict[str, Any]:
    """Return the row of one design, with four times the draws where fewer leave the ratios of sds uncertain."""
    row = compare_engines(name, design, draws=draws, seed=seed)
    return compare_engines(name, design, draws=MORE * draws, seed=seed) if is_rough(row) else row


def compare_engines(name: str, design: Design, *, draws: int, seed: int) -> dict[str, Any]:
    """Fit one design with both engines and return its row."""
    # Not the same seed twice: the engines must not share a stream.
    nuts = fit_model(design, engine="nuts", draws=draws, seed=seed + 1)
    # As many as nuts kept: after divergences it draws four times as much.
    exact = fit_model(design, engine="laplace", draws=nuts.run.draws, seed=seed)
    right = dict(name_parameters(design, nuts.draws))
    compared = [compare_draws(key, values, right[key]) for key, values in name_parameters(design, exact.draws)]
    return {
        "model": name,
        "posts": len(design.rows),
        "laplace": describe_run(exact) | {"certified": is_certified(exact.run.certificate)},
        "nuts": describe_run(nuts) | {"divergences": int(nuts.sample_stats["diverging"].sum())},
        **summarise_agreement(compared),
    }


def describe_run(fit: Fit) -> dict[str, Any]:
    """Return the draws kept over all chains and the seconds of fitting."""
    return {"draws": int(fit.draws["intercept"].size), "seconds": round(fit.run.seconds, 2)}


def read_rows(record: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the rows of an earlier record if its machine, versions, seed and draws are those of this one."""
    path = RESULTS / f"{name}.json"
    earlier = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    same = all(earlier.get(key) == record[key] for key in ("machine", "seed", "draws"))
    return list(earlier["rows"]) if same else []


def write_record(record: dict[str, Any], name: str) -> None:
    """Write figures and table."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    (RESULTS / f"{name}.md").write_text(render_agreement(record), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
