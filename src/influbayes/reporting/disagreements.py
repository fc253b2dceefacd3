"""Makes the sentence on two questions that rank the levels differently: both orders, and what engagement has to do.

Takes rows of the effects table and the means of engagement by level, as they stand in results.json. Knows no draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from typing import Any

from influbayes.reporting.setting import AS_BOUGHT, Setting, say_equal
from influbayes.reporting.wording import name_column, name_levels

Fields = Mapping[str, Any]


def write_disagreement(fields: Fields, rows: Sequence[Mapping[str, Any]], setting: Setting) -> str:
    """Return both orders of the levels and the reason, from a statement's rows: expected values and steps."""
    ranked = [row for row in rows if row["estimand"] == "expected_value"]
    bought = [row["level"] for row in ranked if row["question"] == AS_BOUGHT]
    held = [row["level"] for row in ranked if row["question"] != AS_BOUGHT]
    equal, levels = say_equal(setting, "engagement_constant"), name_levels(fields["variable"])
    orders = f"as bought {_say_order(bought)}; {equal} {_say_order(held)}"
    why = f"What a level brings through engagement counts as bought and drops out {equal}."
    engaged = _say_engagement(fields["variable"], (bought, held), rows, setting)
    said = (f"The two questions rank the {levels} differently: {orders}.", why, engaged, _FOR_BUYING)
    return " ".join([*filter(None, said), *fields["reasons"]])


_FOR_BUYING = "For buying, as bought is the one that counts."


def _say_engagement(
    factor: str, orders: tuple[list[str], list[str]], rows: Sequence[Mapping[str, Any]], setting: Setting
) -> str:
    """Say which engagement carries the level that gains as bought, where one does."""
    ahead, behind = _find_turned(*orders)
    steps = [row for row in rows if row["estimand"] == "odds_ratio"]
    found = [_weigh_engagement(row, factor, (ahead, behind), setting) for row in steps]
    share, column = max(((size, row["variable"]) for size, row in zip(found, steps, strict=True)), default=(0.0, ""))
    if share <= 0:
        return ""
    mine, theirs = (_say_mean(setting.find_mean(column, factor, level)) for level in (ahead, behind))
    name, units = name_column(column), setting.units
    return (
        f"{ahead} {units} have {mine} {name} on average, {behind} {units} {theirs}, and {units} with more {name} "
        f"have more {setting.successes}."
    )


def _find_turned(bought: Sequence[str], held: Sequence[str]) -> tuple[str, str]:
    """Return the first level as bought that comes behind another when engagement is held, and the first of those."""
    for k, level in enumerate(bought):
        overtaken = [other for other in bought[k + 1 :] if held.index(other) < held.index(level)]
        if overtaken:
            return level, min(overtaken, key=held.index)
    return bought[0], bought[-1]


def _weigh_engagement(row: Mapping[str, Any], factor: str, pair: tuple[str, str], setting: Setting) -> float:
    """Return by how much more of a column the first level has than the second, in log odds; 0 where that is open."""
    means = [setting.find_mean(row["variable"], factor, level) for level in pair]
    if None in means or not row["step"] or row["lower"] <= 1 <= row["upper"]:
        return 0.0
    return log(row["estimate"]) * (float(means[0] or 0) - float(means[1] or 0)) / float(row["step"])


def _say_mean(value: float | None) -> str:
    size = value or 0.0
    return f"{size:,.0f}" if abs(size) >= 10 else f"{size:.3g}"


def _say_order(levels: Sequence[str]) -> str:
    return ", then ".join(levels)
