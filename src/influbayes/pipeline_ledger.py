"""The returns study on one screen: a checked ledger in, a checked and written answer out.

Each step is a function of the room that owns it; nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from influbayes.reporting.ledger_store import store_ledger
from influbayes.reporting.results import encode_results, list_facts
from influbayes.reporting.returns_results import collect_returns
from influbayes.returns.estimates import Returns, estimate_returns
from influbayes.returns.filters import LedgerFilter
from influbayes.returns.incremental import GroupSizes
from influbayes.returns.pictures import list_influencers
from influbayes.tables.export import export_table
from influbayes.tables.ledger import Ledger


def analyse_ledger(
    ledger: Ledger,
    chosen: LedgerFilter | None = None,
    *,
    prob: float = 0.9,
    draws: int = 4000,
    best: int = 5,
    seed: int = 20260101,
    sizes: GroupSizes | None = None,
    command: str = "",
    created: str | None = None,
) -> tuple[Returns, dict[str, Any]]:
    """Return the estimates of a ledger and its results as plain data; parameters as `estimate_returns`."""
    returns = estimate_returns(ledger, chosen, prob=prob, draws=draws, best=best, seed=seed, sizes=sizes)
    return returns, collect_returns(returns, command=command, created=created)


def make_returns_files(returns: Returns, results: Mapping[str, Any]) -> dict[str, Any]:
    """Return the files of a run folder: results.json, report.html, plots, tables for spreadsheets, and the ledger."""
    from influbayes.reporting.plots import save_figure
    from influbayes.reporting.returns_html import render_returns
    from influbayes.reporting.returns_plots import draw_returns

    images = {name: save_figure(figure) for name, figure in draw_returns(results).items()}
    return {
        "results.json": encode_results(results),
        "report.html": render_returns(results, images).encode("utf-8"),
        "model.txt": str(results["provenance"]["specification"]["text"]).encode("utf-8"),
        **{f"plots/{name}.png": image for name, image in images.items()},
        **{f"tables/{name}.csv": partial(export_table, frame) for name, frame in make_tables(returns, results).items()},
        **store_ledger(returns.ledger),
    }


def make_tables(returns: Returns, results: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """Return the filtered tables that are exported, by name."""
    people = list_influencers(returns.ledger)
    sums = pd.DataFrame(results["influencers"]).drop(columns=[name for name in people.columns if name != "id"])
    orders = returns.ledger.orders.drop(columns=["influencer", "user", "line"])
    return {
        "influencers": people.merge(sums, on="id", validate="one_to_one"),
        "slices": pd.DataFrame(results["slices"]),
        "effects": pd.DataFrame(results["effects"]),
        "orders": orders,
        "payouts": returns.ledger.payouts.drop(columns=["influencer", "line"]),
    }


def write_returns(returns: Returns, results: Mapping[str, Any], out: str | Path, *, overwrite: bool = False) -> Path:
    """Write the run folder of a returns study, whole or not at all, and return it."""
    from influbayes.reporting.run_folder import publish_run, reserve_run

    with reserve_run(out, overwrite=overwrite) as place:
        return publish_run(place, make_returns_files(returns, results), facts=list_facts(results))
