"""Hierarchical Bayesian answers for influencer campaigns: from a table of posts to a checked, written report.

The names below are loaded when they are first used, so that `--help` and the report start without PyMC or pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_EXPORTS = {
    "read_posts": "tables.reader",
    "read_sessions": "tables.session_reader",
    "simulate_posts": "tables.simulate",
    "simulate_sessions": "tables.simulate_sessions",
    "attribute_credit": "attribution.credit",
    "analyse_sessions": "pipeline_sessions",
    "read_ledger": "tables.ledger",
    "build_posts": "tables.ledger_posts",
    "simulate_ledger": "tables.ledger_simulation",
    "estimate_returns": "returns.estimates",
    "analyse_ledger": "pipeline_ledger",
    "export_table": "tables.export",
    "load_spec": "hierarchy.spec",
    "build_design": "hierarchy.design",
    "build_model": "hierarchy.model",
    "load_fit": "hierarchy.posterior",
    "save_fit": "hierarchy.posterior",
    "linear_predictor": "hierarchy.predict",
    "expected_value": "hierarchy.predict",
    "predictive_draws": "hierarchy.predict",
    "fit_model": "inference.engine",
    "compare": "effects.comparison",
    "probability": "effects.comparison",
    "rank_levels": "effects.ranking",
    "estimate_new_creators": "effects.populations",
    "estimate_planned_mix": "effects.populations",
    "estimate_equivalence": "effects.equivalence",
    "count_effective_posts": "effects.clustering",
    "compare_without_creators": "effects.clustering",
    "compare_models": "effects.model_comparison",
    "describe_priors": "effects.prior_predictive",
    "gather_options": "decisions.options",
    "price_premium": "decisions.premium",
    "find_worths": "decisions.premium",
    "estimate_regret": "decisions.regret",
    "value_posts": "decisions.regret",
    "find_tipping_point": "decisions.tracking",
    "plan_posts": "decisions.plan",
    "Limits": "decisions.plan",
    "Request": "decisions.study",
    "fit_frequentist": "effects.frequentist",
    "explain_gap": "effects.gap",
    "diagnose": "judging",
    "Settings": "pipeline",
    "analyse_posts": "pipeline",
    "add_choices": "pipeline",
    "build_designs": "pipeline",
    "find_quick_refit": "pipeline",
    "write_report": "pipeline",
}

__all__ = ["__version__", *sorted(_EXPORTS)]


def __getattr__(name: str) -> Any:
    """Load an exported function from its module on first use."""
    if name not in _EXPORTS:
        raise AttributeError(f"module 'influbayes' has no attribute {name!r}")
    value = getattr(import_module(f"influbayes.{_EXPORTS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the exported names."""
    return sorted(__all__)
