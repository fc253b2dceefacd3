"""What rules credit against what channels caused, where the cause is known: simulated tables and experiments.

Takes a credit table and the sign-ups each channel caused; makes one row a rule and channel. Reads no session.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from influbayes.attribution.credit import CreditTable
from influbayes.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Credit of a rule beside the sign-ups a channel caused; `conflict` where the interval does not hold the truth."""

    rule: str
    channel: str
    credit: float
    lower: float
    upper: float
    caused: float
    conflict: bool


def load_truth(path: str | Path) -> dict[str, float]:
    """Return channel -> sign-ups caused, from the table `incremental` of a TOML file.

    Raises
    ------
    UsageError
        The file cannot be read or has no such table of numbers.
    """
    try:
        found = tomllib.loads(Path(path).read_text(encoding="utf-8")).get("incremental")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as reason:
        raise UsageError(f"{path}: not a readable TOML file ({reason}).") from reason
    if not isinstance(found, dict) or not all(isinstance(value, int | float) for value in found.values()):
        raise UsageError(f"{path}: it needs a table [incremental] with one number a channel.")
    return {str(name): float(value) for name, value in found.items()}


def find_conflicts(table: CreditTable, caused: Mapping[str, float]) -> tuple[Conflict, ...]:
    """Return every rule and channel with a known truth, the largest differences first within each rule.

    A conflict is a bootstrap interval that does not hold the number of sign-ups the channel caused.
    """
    rows = [
        Conflict(
            rule=row.rule,
            channel=row.channel,
            credit=row.credit,
            lower=row.lower,
            upper=row.upper,
            caused=caused[row.channel],
            conflict=not row.lower <= caused[row.channel] <= row.upper,
        )
        for row in table.rows
        if row.channel in caused
    ]
    order = {rule: number for number, rule in enumerate(table.point)}
    return tuple(sorted(rows, key=lambda row: (order[row.rule], -abs(row.credit - row.caused))))
