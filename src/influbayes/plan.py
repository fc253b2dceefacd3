"""Entry of `influbayes plan`: reads a finished run, fees and limits; prints which posts to buy.

Takes command-line words; makes one screen of text and, with --out, a JSON file. Knows exit codes; computes nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from influbayes.entry.running import WITHHELD, run_entry
from influbayes.errors import UsageError
from influbayes.reporting.whole_files import write_files

if TYPE_CHECKING:
    from influbayes.decisions.options import Options, ValueUnit
    from influbayes.decisions.plan import Limits, Plan


def main(argv: Sequence[str] | None = None) -> int:
    """Run `influbayes plan` and return its exit code.

    0 a plan; 1 a defect of ours; 2 the call is off or no plan keeps all limits; 3 a table or the run folder refused;
    4 the run is withheld, so nothing is planned from it; 5 FILE of --out exists or could not be written; 130
    interrupted.
    """
    return run_entry(build_parser(), argv, work=lambda arguments, _: run_plan(arguments))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of `influbayes plan`; starting it imports nothing heavy."""
    parser = argparse.ArgumentParser(
        prog="influbayes plan",
        description="Which posts to buy for a budget: whole posts per tier and region, from a finished run.",
        epilog="Exit codes: 0 a plan, 1 a defect of ours, 2 wrong call or no plan keeps all limits, 3 run or table "
        "refused, 4 the run is withheld, 5 could not write, 130 interrupted.",
    )
    add = parser.add_argument
    add("run", metavar="RUN", help="run folder of influbayes fit")
    add("--fees", required=True, metavar="FILE", help="CSV with Influencer_Tier, Audience_Region (optional) and Fee")
    add("--budget", required=True, type=float, metavar="X", help="most money to spend, in the currency of the fees")
    add(
        "--value-per-conversion",
        metavar="X|TIER=X,...",
        help="money per conversion; else the run's column Revenue or Purchases is used, else conversions are counted",
    )
    add("--limits", metavar="FILE", help="CSV with tier, region, and Min, Max or Stock: posts at least and at most")
    add("--risk", type=float, default=0.0, metavar="0..1", help="0 the mean (default), 1 the mean of the worst tenth")
    add("--min-posts", type=int, default=0, metavar="N", help="cells with fewer than N posts in the run get at most N")
    add("--last", metavar="FILE", help="CSV with tier, region and Posts: the last plan, to compare with")
    add("--target", type=float, metavar="N", help="conversions to reach")
    add("--out", metavar="FILE", help="also write the plan as JSON; FILE must not exist")
    return parser


def run_plan(arguments: argparse.Namespace) -> int:
    """Read, plan and print; return 0, or 4 where the run is withheld."""
    folder = Path(arguments.run)
    results, fit = _read_run(folder)
    if results["status"] == "withheld":
        print("influbayes plan: the run did not pass its checks, so nothing is planned from it.", file=sys.stderr)
        return WITHHELD
    options, plan = _make_plan(arguments, results, fit)
    from influbayes.reporting.decision_tables import describe_plan
    from influbayes.reporting.plan_screen import print_plan

    inputs = _list_inputs(arguments, results, options)
    described = describe_plan(plan, inputs={**inputs, "prob": results["provenance"]["prob"]})
    if arguments.out is not None:
        _write_json(Path(arguments.out), described)
    print_plan(described)
    return 0


def _read_run(folder: Path) -> tuple[dict[str, Any], Any]:
    from influbayes.hierarchy.posterior import load_fit
    from influbayes.reporting.results import read_results
    from influbayes.reporting.run_folder import verify_run

    verify_run(folder)
    results = read_results(folder / "results.json")
    names = {part["question"]: part["posterior_file"] for part in results["fits"]}
    if "as_bought" not in names:
        raise UsageError(
            f"{folder}: the run has no answer to the question as bought, so nothing can be planned from it."
        )
    return results, load_fit(folder / names["as_bought"])


def _make_plan(arguments: argparse.Namespace, results: Mapping[str, Any], fit: Any) -> tuple[Options, Plan]:
    from influbayes.decisions.options import check_choosable, gather_options
    from influbayes.decisions.plan import plan_posts
    from influbayes.effects.averages import list_all_factors
    from influbayes.reporting.run_reading import list_withheld_cells
    from influbayes.tables.fee_table import read_cell_table

    check_choosable(fit.design)
    factors = list_all_factors(fit.design)[:2]
    levels = {name: fit.design.levels[name] for name in factors}
    fees = read_cell_table(arguments.fees, levels=levels, amounts=["Fee"], complete=True).columns["Fee"]
    values, unit = _find_values(arguments.value_per_conversion, results, fit)
    options = gather_options(fit, ":".join(factors), fees=fees, values=values, unit=unit)
    last = None if arguments.last is None else read_cell_table(arguments.last, levels=levels, counts=["Posts"])
    return options, plan_posts(
        options,
        arguments.budget,
        limits=_read_limits(arguments.limits, levels, options, list_withheld_cells(results)),
        risk=arguments.risk,
        min_posts=arguments.min_posts,
        last=None if last is None else {label: int(n) for label, n in last.columns["Posts"].items()},
        target=arguments.target,
        prob=results["provenance"]["prob"],
        seed=results["provenance"]["seed"],
    )


def _find_values(text: str | None, results: Mapping[str, Any], fit: Any) -> tuple[Any, ValueUnit]:
    """Return values given here, else those of the column Revenue or Purchases that the run was made with."""
    from influbayes.decisions.options import parse_values
    from influbayes.decisions.values import price_amounts, read_amounts

    if text is not None:
        return parse_values(text), "money"
    described = _find_amounts(results)
    if described is None:
        return None, "money"
    amounts = read_amounts(described)
    shape = fit.draws["intercept"].shape
    values = price_amounts(amounts, shape=shape, seed=results["provenance"]["seed"])
    return values, "purchases" if amounts.price is None else "money"


def _read_limits(
    path: str | None, levels: Mapping[str, Sequence[str]], options: Options, withheld: frozenset[str]
) -> dict[str, Limits]:
    """Return the limits of each cell; a cell whose estimate is withheld is not bought."""
    from influbayes.decisions.limits import gather_limits
    from influbayes.tables.fee_table import read_cell_table

    columns: Mapping[str, Mapping[str, float]] = {}
    if path is not None:
        columns = read_cell_table(path, levels=levels, counts=["Min", "Max", "Stock"], optional=True).columns
    return gather_limits(options.labels, columns, withheld=withheld)


def _find_amounts(results: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the amounts of a column Revenue or Purchases as the run describes them."""
    inputs: list[Mapping[str, Any]] = [row["inputs"] for row in results["decisions"] if row["kind"] == "premium"]
    return inputs[0].get("amounts") if inputs else None


def _name_source(results: Mapping[str, Any], options: Options) -> str | None:
    described = _find_amounts(results)
    return None if options.values is None or described is None else str(described["source"])


def _list_inputs(arguments: argparse.Namespace, results: Mapping[str, Any], options: Options) -> dict[str, Any]:
    return {
        "run": str(arguments.run),
        "fees": Path(arguments.fees).name,
        "value_per_conversion": arguments.value_per_conversion,
        "values": "given" if arguments.value_per_conversion is not None else _name_source(results, options),
        "limits": None if arguments.limits is None else Path(arguments.limits).name,
        "last": None if arguments.last is None else Path(arguments.last).name,
        "min_posts": arguments.min_posts,
        "target": arguments.target,
        "population": options.population,
    }


def _write_json(path: Path, described: Mapping[str, Any]) -> None:
    text = json.dumps(described, allow_nan=False, ensure_ascii=False, indent=1, sort_keys=True)
    write_files({path: f"{text}\n".encode()})


if __name__ == "__main__":
    sys.exit(main())
