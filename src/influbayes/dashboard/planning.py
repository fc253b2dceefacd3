"""A plan from a conversion run and what the page asks for: calls the same functions as `influbayes plan`.

Takes a run and plain answers; gives the decision as plain data. Draws nothing and computes no number itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from influbayes.dashboard.run_index import StudyRun, load_posterior
from influbayes.errors import UsageError
from influbayes.reporting.run_reading import list_withheld_cells

if TYPE_CHECKING:
    from influbayes.decisions.options import Options


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """What the page asks for. Mappings are label -> number; labels without a number are left out of them."""

    budget: float
    fees: Mapping[str, float]
    value: float | None = None
    risk: float = 0.0
    min_posts: int = 0
    target: float | None = None
    least: Mapping[str, int] = field(default_factory=dict)
    most: Mapping[str, int] = field(default_factory=dict)
    last: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanChoices:
    """What can be bought: labels with the posts seen of each, and the fees and value that the run was told."""

    labels: tuple[str, ...]
    variable: str
    posts: tuple[int, ...]
    fees: tuple[float | None, ...]
    value: float | None
    withheld: frozenset[str]


def list_choices(run: StudyRun) -> PlanChoices:
    """Return what can be bought by a run.

    Raises
    ------
    IncompleteRun
        The run has no answer to the question as bought.
    """
    from influbayes.decisions.options import find_amount

    options = _gather(run, None, None)
    told = _find_told(run.results)
    fees = [(find_amount(told, label) or {}).get("fee") for label in options.labels]
    values = {row.get("value") for row in told.values()}
    return PlanChoices(
        labels=options.labels,
        variable=options.variable,
        posts=tuple(int(count) for count in options.posts),
        fees=tuple(fees),
        value=values.pop() if len(values) == 1 else None,
        withheld=list_withheld_cells(run.results),
    )


def make_plan(run: StudyRun, request: PlanRequest) -> dict[str, Any]:
    """Return the plan as `influbayes plan --out` writes it: sentences, rows, inputs with what binds.

    Raises
    ------
    UsageError
        Fees are missing, limits cross, or no plan keeps them all.
    """
    from influbayes.decisions.limits import gather_limits
    from influbayes.decisions.plan import plan_posts
    from influbayes.reporting.decision_tables import describe_plan

    if run.status == "withheld":
        raise UsageError("The run did not pass its checks, so nothing is planned from it.")
    options = _gather(run, request.fees, request.value)
    prob, seed = run.results["provenance"]["prob"], run.results["provenance"]["seed"]
    plan = plan_posts(
        options,
        request.budget,
        limits=gather_limits(
            options.labels, {"Min": request.least, "Max": request.most}, withheld=list_withheld_cells(run.results)
        ),
        risk=request.risk,
        min_posts=request.min_posts,
        last=dict(request.last) or None,
        target=request.target,
        prob=prob,
        seed=seed,
    )
    return describe_plan(plan, inputs={"run": run.name, "prob": prob, "population": options.population})


def _gather(run: StudyRun, fees: Mapping[str, float] | None, value: float | None) -> Options:
    from influbayes.decisions.options import gather_options
    from influbayes.effects.averages import average_posts, list_all_factors

    fit = load_posterior(run, "as_bought")
    if "averages" not in run.kept:
        run.kept["averages"] = average_posts(fit)
    variable = ":".join(list_all_factors(fit.design)[:2])
    return gather_options(fit, variable, fees=fees, values=value, averages=run.kept["averages"])


def _find_told(results: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return fee and value of each level as the run was told them, for a start."""
    premium = next((row for row in results["decisions"] if row["kind"] == "premium"), None)
    options = [] if premium is None else premium["inputs"].get("options", [])
    return {row["label"]: row for row in options}
