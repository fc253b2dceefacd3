"""Do 90 % intervals of tiers cover when posts of one creator are alike? A model without creators beside one with.

Simulates tables like the bundled sample: tiers, regions and slopes drawn from the specification's own priors, creators
that differ by the sample's standard deviation on the log-odds, or another. Fits `conversion` and `conversion_creator`
with the exact engine, engagement constant, and counts how often the intervals of the tier contrasts hold the truth.
(For one fixed truth partial pooling trades coverage for precision; over truths drawn from the priors the stated rate
must hold.)

    python benchmarks/creators_coverage.py --tables 400

Writes benchmarks/results/creators_coverage.json and .md.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from influbayes.hierarchy.design import build_design
from influbayes.hierarchy.spec import load_spec
from influbayes.inference.certificate import is_certified
from influbayes.inference.laplace import sample_laplace
from influbayes.tables.reader import read_posts
from influbayes.tables.simulate import PostsTruth, render_posts_csv, simulate_posts

RESULTS = Path(__file__).resolve().parent / "results"
MODELS = ("conversion", "conversion_creator")
PAIRS = (("Mid", "Mega"), ("Micro", "Mega"), ("Micro", "Mid"))


def main(argv: list[str] | None = None) -> int:
    """Count and write the coverage of both models."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=int, default=400, metavar="N")
    parser.add_argument("--posts", type=int, default=1500, metavar="N")
    parser.add_argument("--creators", type=int, default=220, metavar="N")
    parser.add_argument("--creator-sd", type=float, default=PostsTruth().creator_sd, metavar="SD")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args(argv)
    held: dict[str, list[list[bool]]] = {name: [] for name in MODELS}
    uncertified = 0
    for number in range(arguments.tables):
        for name, inside, sure in count_table(arguments, arguments.seed + number):
            held[name].append(inside)
            uncertified += not sure
    write_results(arguments, held, uncertified)
    return 0


def draw_truth(seed: int, creator_sd: float) -> PostsTruth:
    """Draw tiers, regions and slopes from the priors of the shipped specifications; creators differ by `creator_sd`."""
    rng = np.random.default_rng(seed)
    plain = PostsTruth()

    def draw_levels(names: list[str]) -> dict[str, float]:
        effects = abs(rng.standard_normal()) * rng.standard_normal(len(names))
        return dict(zip(names, (effects - effects.mean()).tolist(), strict=True))

    return replace(
        plain,
        slopes={name: float(rng.standard_normal()) for name in plain.slopes},
        tier_effects=draw_levels(list(plain.tier_effects)),
        region_effects=draw_levels(list(plain.region_effects)),
        creator_sd=creator_sd,
    )


def count_table(arguments: argparse.Namespace, seed: int) -> list[tuple[str, list[bool], bool]]:
    """Fit both models to one simulated table; return for each whether the intervals of the tier contrasts hold."""
    truth = draw_truth(seed, arguments.creator_sd)
    simulated = simulate_posts(posts=arguments.posts, creators=arguments.creators, seed=seed, truth=truth)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "posts.csv"
        path.write_bytes(render_posts_csv(simulated).encode())
        posts = read_posts(path)
    found = []
    for name in MODELS:
        fit = sample_laplace(build_design(posts, load_spec(name)), seed=seed)
        levels, effects = fit.design.levels["Influencer_Tier"], fit.draws["effect_Influencer_Tier"]
        inside = []
        for level, reference in PAIRS:
            draws = effects[..., levels.index(level)] - effects[..., levels.index(reference)]
            low, high = np.quantile(draws, [0.05, 0.95])
            inside.append(bool(low <= truth.tier_effects[level] - truth.tier_effects[reference] <= high))
        found.append((name, inside, is_certified(fit.run.certificate)))
    return found


def write_results(arguments: argparse.Namespace, held: dict[str, list[list[bool]]], uncertified: int) -> None:
    """Write coverage with its standard error over tables."""
    RESULTS.mkdir(exist_ok=True)
    rows = {}
    for name, tables in held.items():
        # The contrasts of one table share its draws: the tables are what is independent.
        error = float(np.std(np.mean(tables, axis=1), ddof=1) / np.sqrt(len(tables)))
        rows[name] = {
            "coverage": float(np.mean(tables)),
            "standard_error": error,
            "by_contrast": np.mean(tables, axis=0).tolist(),
            "tables": len(tables),
        }
    record = {
        "date": time.strftime("%Y-%m-%d"),
        "posts": arguments.posts,
        "creators": arguments.creators,
        "creator_sd": arguments.creator_sd,
        "seed": arguments.seed,
        "uncertified": uncertified,
        "models": rows,
    }
    (RESULTS / "creators_coverage.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    lines = [
        f"90 % intervals of tier contrasts over {arguments.tables} simulated tables of {arguments.posts:,} posts by "
        f"{arguments.creators} creators whose sd is {arguments.creator_sd:g}.",
        "",
        "| model | covered | standard error | " + " | ".join(f"{a} against {b}" for a, b in PAIRS) + " |",
        "|---|---:|---:|" + "---:|" * len(PAIRS),
    ]
    lines += [
        f"| {name} | {row['coverage']:.1%} | {row['standard_error']:.1%} | "
        + " | ".join(f"{share:.1%}" for share in row["by_contrast"])
        + " |"
        for name, row in rows.items()
    ]
    (RESULTS / "creators_coverage.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
