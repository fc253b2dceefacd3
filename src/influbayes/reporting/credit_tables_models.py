"""The tables of models in the attribution report: sign-up model, scores on held-out users. Knows no HTML."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from influbayes.reporting.credit_model_sentences import say_uses
from influbayes.reporting.html_tables import WITHHELD, Table
from influbayes.reporting.numbers import (
    NOTHING,
    format_count,
    format_number,
    format_probability,
    format_ratio,
    format_share,
)
from influbayes.reporting.wording import name_column

Results = Mapping[str, Any]
METRIC_WORDS = {
    "roc_auc": "ROC AUC",
    "roc_auc_last": "ROC AUC, last sessions",
    "pr_auc": "PR AUC",
    "log_loss": "log loss",
    "log_loss_gain": "gain in log loss",
    "brier": "Brier",
    "accuracy": "accuracy",
    "f1": "F1",
}


def say_estimate(row: Mapping[str, Any], name: str, write: Callable[[float | None], str]) -> str:
    """Return an estimate with its interval in brackets."""
    return f"{write(row[name])} {_say_span(row, name, write)}"


def _say_span(row: Mapping[str, Any], name: str, write: Callable[[float | None], str]) -> str:
    return f"({write(row[f'{name}_lower'])} to {write(row[f'{name}_upper'])})"


def table_odds(results: Results) -> Table | None:
    """Return each level of the sign-up model against an average one, and its numbers; None where withheld."""
    model = results["signup"]
    if model is None or model["status"] == "withheld":
        return None
    return Table(
        id="table-odds",
        caption="Sign-up model: each level against an average one",
        head=("Column", "Level", "Sessions", "Sign-ups", "Odds ratio", "P(above 1)", "Expected share"),
        rows=tuple(_list_slopes(model)) + tuple(_list_levels(model)),
        left=2,
        note="All else in the model equal. A level with few sessions is drawn towards the average of its column. A "
        "statement is withheld where halving or doubling the scale of a prior would change it, or where the model does "
        "not predict the sign-ups of the level.",
    )


def _list_levels(model: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for row in model["levels"]:
        hidden = row["id"] in model["withheld"]
        yield (
            name_column(row["variable"]).strip('"'),
            row["level"],
            format_count(row["sessions"]),
            format_count(row["sign_ups"]),
            WITHHELD if hidden else f"{format_ratio(row['odds_ratio'])} {_say_span(row, 'odds', format_ratio)}",
            WITHHELD if hidden else format_probability(row["probability"]),
            WITHHELD if hidden else say_estimate(row, "chance", format_share),
        )


def _list_slopes(model: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for row in model["slopes"]:
        hidden = row["id"] in model["withheld"]
        yield (
            name_column(row["variable"]).strip('"'),
            row["step"],
            NOTHING,
            NOTHING,
            WITHHELD if hidden else f"{format_ratio(row['odds_ratio'])} {_say_span(row, 'odds', format_ratio)}",
            WITHHELD if hidden else format_probability(row["probability"]),
            NOTHING,
        )


def table_spreads(results: Results) -> Table | None:
    """Return how much the levels of each factor differ."""
    model = results["signup"]
    if model is None or model["status"] == "withheld":
        return None
    return Table(
        id="table-spreads",
        caption="How much levels differ: standard deviation between them, in log-odds",
        head=("Column", "Levels", "Spread", "Interval"),
        rows=tuple(
            (
                name_column(row["variable"]).strip('"'),
                format_count(row["levels"]),
                format_number(row["estimate"], 2),
                f"{format_number(row['lower'], 2)} to {format_number(row['upper'], 2)}",
            )
            for row in model["spreads"]
        ),
    )


def table_diagnostics(results: Results) -> Table | None:
    """Return the checks of the sign-up model."""
    model = results["signup"]
    if model is None:
        return None
    return Table(
        id="table-diagnostics",
        caption="Checks of the sign-up model",
        head=("Status", "Check", "What it says"),
        rows=tuple((row["status"], row["name"], row["meaning"]) for row in model["diagnostics"]),
        left=3,
        marks=tuple(row["status"] for row in model["diagnostics"]),
        wide=2,
    )


def table_scores(results: Results) -> Table | None:
    """Return the scores of all models on held-out users."""
    trial = results["baseline"]
    if trial is None:
        return None
    found = {(row["model"], row["metric"]): row for row in trial["scores"]}
    models = list(dict.fromkeys(row["model"] for row in trial["scores"]))
    return Table(
        id="table-scores",
        caption=f"Models on users they have not seen: {trial['folds']} folds, {trial['repeats']} times; base rate "
        f"{format_share(trial['base_rate'])}",
        head=("Model", "Features", *METRIC_WORDS.values()),
        rows=tuple(
            (model, say_uses(trial["uses"][model]), *(_say_score(found[model, metric]) for metric in METRIC_WORDS))
            for model in models
        ),
        left=2,
        note="Mean ± standard deviation over folds; in brackets the bootstrap interval over users. Higher is better, "
        "but for log loss and Brier. Last sessions: each user's last one alone, so that knowing which session is the "
        "last does not help. Gain: how far the log loss is below that of the base rate. Accuracy says little where "
        "sign-ups are rare. Accuracy and F1 at the threshold that is best on the other folds.",
    )


def _say_score(row: Mapping[str, Any]) -> str:
    text = f"{_write(row['mean'])} ± {_write(row['sd'])}"
    return text if row["lower"] is None else f"{text} ({_write(row['lower'])} to {_write(row['upper'])})"


def _write(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"


def table_importances(results: Results) -> Table | None:
    """Return what the baseline uses."""
    rows = [] if results["baseline"] is None else results["baseline"]["importances"]
    if not rows:
        return None
    return Table(
        id="table-importances",
        caption="Importances in the baseline",
        head=("Feature", "SHAP", "Gain"),
        rows=tuple((row["feature"], format_share(row["shap"]), format_share(row["gain"])) for row in rows),
    )


def table_uses(results: Results) -> Table | None:
    """Return which features each model uses."""
    if results["baseline"] is None:
        return None
    return Table(
        id="table-uses",
        caption="Features of each model",
        head=("Model", "Features"),
        rows=tuple((name, ", ".join(uses) or "none") for name, uses in results["baseline"]["uses"].items()),
        left=2,
        wide=1,
    )


def table_left_out(results: Results) -> Table | None:
    """Return the columns no model may use, and why."""
    if results["baseline"] is None:
        return None
    return Table(
        id="table-left-out",
        caption="Columns left out of every model, and why",
        head=("Column", "Why"),
        rows=tuple(results["baseline"]["left_out"].items()),
        left=2,
        wide=1,
    )
