"""The tables of the returns page: rows of results as frames of numbers, what is withheld without its number.

Takes results as plain data, alerts and engagement; computes no estimate. Money is in the ledger's currency.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from influbayes.reporting.wording import say_probability
from influbayes.returns.engagement import Engagement
from influbayes.returns.parts import LossAlert

Row = Mapping[str, Any]
NUMBERS = ("estimate", "lower", "upper")
PERSONA_SIGN = " × "
MISSING = float("nan")


def pick_effects(results: Row, estimand: str, variable: str) -> dict[str, Row]:
    """Return level -> effect (the total has the level ""), withheld ones left out."""
    hidden = set(results["withheld_effects"])
    return {
        row["level"] or "": row
        for row in results["effects"]
        if row["estimand"] == estimand and row["variable"] == variable and row["id"] not in hidden
    }


def find_total(results: Row, estimand: str) -> Row | None:
    """Return the effect of the whole part, None where it is withheld or not defined."""
    found = pick_effects(results, estimand, "total").get("")
    return None if found is None or found["estimate"] is None else found


def tabulate_influencers(results: Row) -> pd.DataFrame:
    """Return one row an influencer with its ROAS, the best first; label, numbers, raw ROAS, P(best), money."""
    roas, best = pick_effects(results, "roas", "influencer"), pick_effects(results, "probability_best", "influencer")
    lift = pick_effects(results, "incremental_roas", "influencer")
    rows = [
        {
            "label": row["id"],
            "name": row["name"],
            **_take(roas.get(row["id"])),
            "raw": _read(row["roas"]),
            "chance": _read(best[row["id"]]["estimate"]) if row["id"] in best else MISSING,
            **{f"lift_{name}": value for name, value in _take(lift.get(row["id"])).items()},
            "revenue": row["revenue"],
            "payout": row["payout"],
            "note": f"revenue {row['revenue']:,.0f}, payout {row['payout']:,.0f}",
        }
        for row in results["influencers"]
    ]
    frame = pd.DataFrame(rows)
    return frame.sort_values("estimate", ascending=False, na_position="last").reset_index(drop=True)


def name_influencers(frame: pd.DataFrame, *, prob: float, best: int) -> pd.DataFrame:
    """Return the table of influencers with readable headers."""
    low, high = f"{prob:.0%} from", f"{prob:.0%} to"
    return pd.DataFrame(
        {
            "Influencer": frame["label"],
            "Name": frame["name"],
            "ROAS": frame["estimate"],
            low: frame["lower"],
            high: frame["upper"],
            "Raw ROAS": frame["raw"],
            f"P(among the best {best})": [_say_chance(value) for value in frame["chance"]],
            "Incremental ROAS": frame["lift_estimate"],
            f"Incremental {low}": frame["lift_lower"],
            f"Incremental {high}": frame["lift_upper"],
            "Revenue": frame["revenue"],
            "Payout": frame["payout"],
        }
    )


def tabulate_groups(results: Row, variable: str) -> pd.DataFrame:
    """Return one row a group (persona, platform, type) with its ROAS, the best first."""
    chances = pick_effects(results, "roas", variable)
    lift = pick_effects(results, "incremental_roas", variable)
    rows = [
        {
            "label": level,
            **_take(row),
            "above": say_probability(row["probability"]) if row["probability"] is not None else "",
            **{f"lift_{name}": value for name, value in _take(lift.get(level)).items()},
            "note": "" if row["probability"] is None else f"P(ROAS above 1): {say_probability(row['probability'])}",
        }
        for level, row in chances.items()
    ]
    columns = ["label", *NUMBERS, "above", *(f"lift_{name}" for name in NUMBERS), "note"]
    return pd.DataFrame(rows, columns=columns).sort_values("estimate", ascending=False).reset_index(drop=True)


def name_groups(frame: pd.DataFrame, title: str, *, prob: float) -> pd.DataFrame:
    """Return the table of groups with readable headers."""
    low, high = f"{prob:.0%} from", f"{prob:.0%} to"
    return pd.DataFrame(
        {
            title: frame["label"],
            "ROAS": frame["estimate"],
            low: frame["lower"],
            high: frame["upper"],
            "P(above 1)": frame["above"],
            "Incremental ROAS": frame["lift_estimate"],
            f"Incremental {low}": frame["lift_lower"],
            f"Incremental {high}": frame["lift_upper"],
        }
    )


def split_personas(frame: pd.DataFrame) -> pd.DataFrame:
    """Return personas with columns first (category) and second (gender) for a map."""
    parts = [label.split(PERSONA_SIGN) for label in frame["label"]]
    kept = [len(part) == 2 for part in parts]
    split = frame[kept].copy()
    split["first"] = [part[0] for part, keep in zip(parts, kept, strict=True) if keep]
    split["second"] = [part[1] for part, keep in zip(parts, kept, strict=True) if keep]
    return split


def tabulate_slices(results: Row, variable: str) -> pd.DataFrame:
    """Return the sums of one variable: level, revenue, payout, raw ROAS, orders, users; the largest revenue first."""
    rows = [row for row in results["slices"] if row["variable"] == variable]
    frame = pd.DataFrame(
        {
            variable.capitalize(): [row["level"] for row in rows],
            "Revenue": [row["revenue"] for row in rows],
            "Payout": [row["payout"] for row in rows],
            "Raw ROAS": [_read(row["roas"]) for row in rows],
            "Orders": [row["orders"] for row in rows],
            "Users": [row["users"] for row in rows],
        }
    )
    return frame.sort_values("Revenue", ascending=False).reset_index(drop=True)


def tabulate_alerts(alerts: Sequence[LossAlert]) -> pd.DataFrame:
    """Return alerts as rows of a chart: label, numbers, raw ROAS, and what to know."""
    return pd.DataFrame(
        [
            {
                "label": row.influencer,
                "estimate": row.roas,
                "lower": row.lower,
                "upper": row.upper,
                "raw": row.raw,
                "chance": say_probability(row.probability),
                "payout": row.payout,
                "loss": row.expected_loss,
                "note": f"{say_probability(row.probability)} that it is below",
            }
            for row in alerts
        ]
    )


def name_alerts(frame: pd.DataFrame, *, floor: float, prob: float) -> pd.DataFrame:
    """Return the table of alerts with readable headers."""
    return pd.DataFrame(
        {
            "Influencer": frame["label"],
            f"P(ROAS below {floor:g})": frame["chance"],
            "ROAS": frame["estimate"],
            f"{prob:.0%} from": frame["lower"],
            f"{prob:.0%} to": frame["upper"],
            "Raw ROAS": frame["raw"],
            "Payout": frame["payout"],
            "Expected loss if kept": frame["loss"],
        }
    )


def tabulate_engagement(rows: Sequence[Engagement]) -> pd.DataFrame:
    """Return engagement per platform in per cent, with its interval."""
    return pd.DataFrame(
        {
            "label": [row.platform for row in rows],
            "estimate": [100 * row.rate for row in rows],
            "lower": [100 * row.lower for row in rows],
            "upper": [100 * row.upper for row in rows],
            "posts": [row.posts for row in rows],
            "reach": [row.reach for row in rows],
            "engaged": [row.engaged for row in rows],
        }
    )


def name_engagement(frame: pd.DataFrame, *, prob: float) -> pd.DataFrame:
    """Return the table of engagement with readable headers."""
    return pd.DataFrame(
        {
            "Platform": frame["label"],
            "Engagement, %": frame["estimate"],
            f"{prob:.0%} from": frame["lower"],
            f"{prob:.0%} to": frame["upper"],
            "Posts": frame["posts"],
            "Likes and comments": frame["engaged"],
            "Reach": frame["reach"],
        }
    )


def _take(effect: Row | None) -> dict[str, float]:
    return {name: MISSING if effect is None else _read(effect[name]) for name in NUMBERS}


def _read(value: float | None) -> float:
    return MISSING if value is None else float(value)


def _say_chance(value: float) -> str:
    return "" if value != value else say_probability(value)
