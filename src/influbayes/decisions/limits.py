"""Bounds of a plan from columns of numbers: minimum, maximum and stock by label, and what must not be bought.

Takes labels and columns; makes `Limits`. Knows no file and no page.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from influbayes.decisions.plan import Limits
from influbayes.errors import UsageError


def gather_limits(
    labels: Sequence[str], columns: Mapping[str, Mapping[str, float]], *, withheld: Collection[str] = ()
) -> dict[str, Limits]:
    """Return the limits of each option that has one.

    Parameters
    ----------
    labels
        What can be bought.
    columns
        "Min", "Max", "Stock" -> label -> posts; a label without a number is not limited by it.
    withheld
        Labels whose estimate is withheld: at most 0 posts.

    Raises
    ------
    UsageError
        A column names what is no single option.
    """
    unknown = sorted({label for column in columns.values() for label in column} - set(labels))
    if unknown:
        raise UsageError(f"--limits: {', '.join(unknown)} is no single cell; name tier and region of each limit.")
    found = {}
    for label in labels:
        ends = [columns[name][label] for name in ("Max", "Stock") if label in columns.get(name, {})]
        ends += [0.0] if label in withheld else []
        least = int(columns.get("Min", {}).get(label, 0))
        if ends or least:
            found[label] = Limits(least=least, most=int(min(ends)) if ends else None)
    return found
