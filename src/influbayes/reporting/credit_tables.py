"""The tables of the attribution report: rows of results.json as formatted text. Knows no HTML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from influbayes.reporting.credit_sentences import say_credit, say_interval
from influbayes.reporting.credit_tables_models import (
    say_estimate,
    table_diagnostics,
    table_importances,
    table_left_out,
    table_odds,
    table_scores,
    table_spreads,
    table_uses,
)
from influbayes.reporting.html_tables import Table
from influbayes.reporting.numbers import (
    NOTHING,
    format_count,
    format_number,
    format_probability,
    format_share,
)
from influbayes.reporting.wording import name_column

Results = Mapping[str, Any]


def list_tables(results: Results) -> dict[str, Table | None]:
    """Return name -> table, None where the results hold nothing for it."""
    return {
        "credits": _table_credits(results),
        "questions": _table_questions(results),
        "shares": _table_shares(results),
        "ranks": _table_ranks(results),
        "disagreements": _table_disagreements(results),
        "truth": _table_truth(results),
        "roles": _table_roles(results),
        "time": _table_time(results),
        "odds": table_odds(results),
        "spreads": table_spreads(results),
        "diagnostics": table_diagnostics(results),
        "scores": table_scores(results),
        "uses": table_uses(results),
        "importances": table_importances(results),
        "left_out": table_left_out(results),
        "missing": _table_missing(results),
        "minutes": _table_minutes(results),
        "rates": _table_rates(results),
        "intents": _table_intents(results),
    }


def list_other_tables(results: Results) -> list[Table]:
    """Return the credits of further columns, one table each."""
    return [_table_other(results, other) for other in results["other_credits"]]


def _heads(results: Results) -> tuple[str, ...]:
    return tuple(row["words"] for row in results["rules"])


def _sort_channels(results: Results) -> list[str]:
    first = results["rules"][0]["rule"]
    rows = [row for row in results["credits"] if row["rule"] == first]
    return [row["channel"] for row in sorted(rows, key=lambda row: -row["credit"])]


def _cross(results: Results, say: Any) -> tuple[tuple[str, ...], ...]:
    found = {(row["rule"], row["channel"]): row for row in results["credits"]}
    rules = [row["rule"] for row in results["rules"]]
    return tuple((name, *(say(found[rule, name]) for rule in rules)) for name in _sort_channels(results))


def _table_credits(results: Results) -> Table:
    total = ("All", *(say_credit(row["sum"]) for row in results["rules"]))
    return Table(
        id="table-credits",
        caption="Sign-ups credited by rule, with bootstrap intervals over users",
        head=(results["options"]["by"], *_heads(results)),
        rows=(*_cross(results, say_interval), total),
        note="Every rule shares out the same sign-ups. Shapley rates may be below 0: journeys with that channel sign "
        "up less.",
    )


def _table_shares(results: Results) -> Table:
    return Table(
        id="table-shares",
        caption="Share of the credited sign-ups",
        head=(results["options"]["by"], *_heads(results)),
        rows=_cross(results, lambda row: format_share(row["share"])),
    )


def _table_ranks(results: Results) -> Table:
    def say(row: Mapping[str, Any]) -> str:
        chance = row["rank_probability"]
        return f"{row['rank']}" if chance is None else f"{row['rank']} ({format_probability(chance)})"

    return Table(
        id="table-ranks",
        caption="Rank of each channel, and how often it keeps it when users are reweighted",
        head=(results["options"]["by"], *_heads(results)),
        rows=_cross(results, say),
    )


def _table_questions(results: Results) -> Table:
    return Table(
        id="table-questions",
        caption="Which rule answers which question",
        head=("Rule", "What it does", "The question it answers"),
        rows=tuple((row["words"], row["what"], row["question"]) for row in results["rules"]),
        left=3,
        wide=2,
    )


def _table_disagreements(results: Results) -> Table:
    words = {row["rule"]: row["words"] for row in results["rules"]}
    rows = tuple(
        (words[row["rule"]], words[row["other"]], say_credit(row["moved"]), _say_range(row["lower"], row["upper"]))
        for row in results["disagreements"][:12]
    )
    return Table(
        id="table-disagreements",
        caption="Sign-ups that two rules give to different channels, the largest first",
        head=("Rule", "Other rule", "Sign-ups", "Interval"),
        rows=rows,
        left=2,
    )


def _say_range(lower: float | None, upper: float | None) -> str:
    return NOTHING if lower is None or upper is None else f"{say_credit(lower)} to {say_credit(upper)}"


def _table_truth(results: Results) -> Table | None:
    rows = results["truth"]["rows"]
    if not rows:
        return None
    words = {row["rule"]: row["words"] for row in results["rules"]}
    return Table(
        id="table-truth",
        caption=f"Credit against cause, by {results['truth']['source']}",
        head=("Rule", "Channel", "Credit", "Caused", ""),
        rows=tuple(
            (
                words[row["rule"]],
                row["channel"],
                say_interval(row),
                say_credit(row["caused"]),
                "conflict" if row["conflict"] else "agrees",
            )
            for row in rows
        ),
        left=2,
        marks=tuple("warn" if row["conflict"] else "pass" for row in rows),
        note="Conflict: the interval of the credit does not hold what the channel caused.",
    )


def _table_roles(results: Results) -> Table:
    roles = results["journeys"]["roles"]
    return Table(
        id="table-roles",
        caption="Journeys to a sign-up that a channel opens, assists, closes",
        head=("Channel", "Opens", "Assists", "Closes"),
        rows=tuple(
            (name, *(format_count(roles[name][role]) for role in ("opens", "assists", "closes")))
            for name in sorted(roles, key=lambda name: -roles[name]["closes"])
        ),
    )


def _table_time(results: Results) -> Table | None:
    test = results["time_test"]
    if not test["rows"]:
        return None
    words = {row["rule"]: row["words"] for row in results["rules"]}
    rows = tuple(
        (
            words[row["rule"]],
            say_estimate(row, "auc", format_number),
            say_credit(row["expected"]),
            say_credit(row["observed"]),
            format_share(row["moved"]),
        )
        for row in test["rows"]
    )
    return Table(
        id="table-time",
        caption=f"Credit of the first {test['train_weeks']} weeks against sign-ups of the last {test['test_weeks']}",
        head=("Rule", "AUC of later journeys", "Expected", "Observed", "Credit that moves"),
        rows=rows,
        note="AUC 0.5: no better than chance. Expected: touches of later journeys at the credit per touch of the first "
        "weeks.",
    )


def _table_missing(results: Results) -> Table:
    return Table(
        id="table-missing",
        caption="Missing values, and what was done with them",
        head=("Column", "What was done", "Missing", "Share", "Levels"),
        rows=tuple(
            (
                row["column"],
                row["done"],
                format_count(row["missing"]),
                format_share(row["share"]),
                format_count(row["levels"]),
            )
            for row in results["data"]["quality"]["missing"]
        ),
        left=2,
        wide=1,
    )


def _table_minutes(results: Results) -> Table | None:
    minutes = results["data"]["quality"]["minutes"]
    if not minutes["groups"]:
        return None
    return Table(
        id="table-minutes",
        caption=f"Session minutes by source and outcome; outliers lie above {format_number(minutes['fence'])} minutes",
        head=("Source", "Signed up", "Sessions", "Median minutes", "Outliers"),
        rows=tuple(
            (
                row["source"],
                "yes" if row["sign_up"] else "no",
                format_count(row["sessions"]),
                format_number(row["median"]),
                format_count(row["outliers"]),
            )
            for row in minutes["groups"]
        ),
        left=2,
        note="Outliers are counted, not removed.",
    )


def _table_rates(results: Results) -> Table:
    rows = [
        (name_column(column).strip('"'), row["level"], format_count(row["sessions"]), format_count(row["sign_ups"]),
         format_share(row["sign_ups"] / row["sessions"]))
        for column, levels in results["data"]["levels"].items()
        for row in levels
    ]  # fmt: skip
    return Table(
        id="table-rates",
        caption="Sessions and sign-ups by level",
        head=("Column", "Level", "Sessions", "Sign-ups", "Share"),
        rows=tuple(rows),
        left=2,
    )


def _table_intents(results: Results) -> Table | None:
    intents = results["intents"]
    if intents is None:
        return None
    members: dict[str, list[str]] = {}
    for term, intent in intents["intent"].items():
        members.setdefault(intent, []).append(term)
    return Table(
        id="table-intents",
        caption="Search terms grouped into intents",
        head=("Intent", "Terms", "Sessions"),
        rows=tuple(
            (name, ", ".join(members[name][:8]), format_count(rows))
            for name, rows in list(intents["sizes"].items())[:20]
        ),
        left=2,
        wide=1,
    )


def _table_other(results: Results, other: Mapping[str, Any]) -> Table:
    found = {(row["rule"], row["level"]): row["credit"] for row in other["rows"]}
    rules = [row["rule"] for row in results["rules"]]
    levels = sorted({row["level"] for row in other["rows"]}, key=lambda name: -found[rules[0], name])
    total = ("All", *(say_credit(sum(found[rule, name] for name in levels)) for rule in rules))
    rows = tuple((name, *(say_credit(found[rule, name]) for rule in rules)) for name in levels[:20])
    return Table(
        id=f"table-by-{other['by']}",
        caption=f"The same sign-ups credited to levels of {other['by']}",
        head=(other["by"], *_heads(results)),
        rows=(*rows, total),
    )
