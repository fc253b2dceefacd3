"""The tables of the attribution page that its charts need: rows of results.json as frames of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from influbayes.reporting.wording import say_probability

Row = Mapping[str, Any]
MISSING = float("nan")


def list_rules(results: Row) -> dict[str, str]:
    """Return rule -> its name in words, in the order of the report."""
    return {row["rule"]: row["words"] for row in results["rules"]}


def tabulate_credits(results: Row, rules: Sequence[str]) -> pd.DataFrame:
    """Return one row a channel and rule: label, group (rule in words), credit with interval; most credited first."""
    words = list_rules(results)
    rows = [row for rule in rules for row in results["credits"] if row["rule"] == rule]
    frame = pd.DataFrame(
        {
            "label": [row["channel"] for row in rows],
            "group": [words[row["rule"]] for row in rows],
            "estimate": [_read(row["credit"]) for row in rows],
            "lower": [_read(row["lower"]) for row in rows],
            "upper": [_read(row["upper"]) for row in rows],
            "share": [_read(row["share"]) for row in rows],
            "note": [_say_rank(row) for row in rows],
        }
    )
    order = frame.groupby("label")["estimate"].max().sort_values(ascending=False).index
    return frame.sort_values("label", key=lambda names: names.map(order.get_loc), kind="stable").reset_index(drop=True)


def name_credits(frame: pd.DataFrame, *, title: str, prob: float) -> pd.DataFrame:
    """Return the table of credits with readable headers."""
    return pd.DataFrame(
        {
            title: frame["label"],
            "Rule": frame["group"],
            "Sign-ups credited": frame["estimate"],
            f"{prob:.0%} from": frame["lower"],
            f"{prob:.0%} to": frame["upper"],
            "Share, %": 100 * frame["share"],
        }
    )


def tabulate_roles(results: Row) -> pd.DataFrame:
    """Return one row a channel: label, and journeys it opens, assists and closes; the most closing first."""
    roles = results["journeys"]["roles"]
    frame = pd.DataFrame([{"label": name, **counts} for name, counts in roles.items()])
    return frame.sort_values("closes", ascending=False).reset_index(drop=True)


def tabulate_odds(results: Row, variable: str) -> pd.DataFrame:
    """Return the levels of one column of the sign-up model: odds ratio against an average level with its interval."""
    rows = [row for row in results["signup"]["levels"] if row["variable"] == variable]
    frame = pd.DataFrame(
        {
            "label": [row["level"] for row in rows],
            "estimate": [_read(row["odds_ratio"]) for row in rows],
            "lower": [_read(row["odds_lower"]) for row in rows],
            "upper": [_read(row["odds_upper"]) for row in rows],
            "chance": ["" if row["probability"] is None else say_probability(row["probability"]) for row in rows],
            "sessions": [row["sessions"] for row in rows],
            "sign_ups": [row["sign_ups"] for row in rows],
        }
    )
    return frame.sort_values("estimate", ascending=False).reset_index(drop=True)


def name_odds(frame: pd.DataFrame, *, title: str, prob: float) -> pd.DataFrame:
    """Return the table of odds ratios with readable headers."""
    return pd.DataFrame(
        {
            title: frame["label"],
            "Odds ratio against an average one": frame["estimate"],
            f"{prob:.0%} from": frame["lower"],
            f"{prob:.0%} to": frame["upper"],
            "P(above average)": frame["chance"],
            "Sessions": frame["sessions"],
            "Sign-ups": frame["sign_ups"],
        }
    )


def tabulate_curve(curves: Mapping[str, Any], kind: str, x: str, y: str) -> pd.DataFrame:
    """Return the points of all models' curves of one kind."""
    rows = [(name, *point) for name, parts in curves.items() for point in parts[kind]]
    return pd.DataFrame(rows, columns=["Model", x, y])


def tabulate_calendar(results: Row, part: str) -> pd.DataFrame:
    """Return sign-ups by month or weekday: label, count, sessions."""
    rows = results["data"]["calendar"].get(part, [])
    return pd.DataFrame(
        {
            "label": [row["level"] for row in rows],
            "count": [row["sign_ups"] for row in rows],
            "sessions": [row["sessions"] for row in rows],
        }
    )


def _say_rank(row: Row) -> str:
    chance = row["rank_probability"]
    return f"rank {row['rank']}" + ("" if chance is None else f", kept with probability {say_probability(chance)}")


def _read(value: float | None) -> float:
    return MISSING if value is None else float(value)
