"""Whether the names of a specification fit together: no column twice, interactions of declared factors, free names.

Takes the TOML values as they are, so that faults of names are found beside faults of values; skips what is no name.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping

from influbayes.hierarchy.spec_entries import Faults, quote_value
from influbayes.hierarchy.toml_lines import KeyPath

Values = Mapping[str, object]

TABLE_NAMES = frozenset({"conversions", "trials", "line"})
FILE_NAMES = frozenset({"chain", "draw", "numeric", "row", "x", "raw", "intercept", "slope"})


def judge_names(values: Values, faults: Faults) -> None:
    """Add a fault for every name that is used twice, is reserved, or is not declared."""
    _judge_duplicates(values, faults)
    _judge_reserved(values, faults)
    _judge_references(values, faults)
    _judge_interactions(values, faults)


def _list_entries(values: Values, key: str) -> Iterator[tuple[int, Values]]:
    items = values.get(key)
    for position, item in enumerate(items if isinstance(items, list) else []):
        if isinstance(item, Mapping):
            yield position, item


def _list_columns(values: Values) -> Iterator[tuple[KeyPath, str]]:
    """Yield path and name of every column that the specification uses."""
    outcome = values.get("outcome")
    if isinstance(outcome, Mapping):
        found = ((("outcome", key), outcome.get(key)) for key in ("column", "successes", "trials"))
        yield from ((path, name) for path, name in found if isinstance(name, str))
    for kind in ("numeric", "factor"):
        for position, entry in _list_entries(values, kind):
            name = entry.get("column")
            if isinstance(name, str):
                yield (kind, position, "column"), name


def _list_pairs(values: Values) -> Iterator[tuple[KeyPath, tuple[str, str]]]:
    for position, entry in _list_entries(values, "interaction"):
        pair = entry.get("of")
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(name, str) for name in pair):
            yield ("interaction", position, "of"), (pair[0], pair[1])


def _judge_duplicates(values: Values, faults: Faults) -> None:
    """Note columns named twice; headers are matched without regard to case, so names must differ in more than case."""
    first: dict[str, KeyPath] = {}
    for path, name in _list_columns(values):
        key = unicodedata.normalize("NFKC", name).strip().casefold()
        if key in first:
            line = faults.lines[first[key]]
            reason = (
                f"column {quote_value(name)} is already used in line {line}. Use a column once; delete one of them."
            )
            faults.refuse(path, reason, value=name)
        first.setdefault(key, path)


def _judge_reserved(values: Values, faults: Faults) -> None:
    """Note columns whose names the checked table or the saved draws cannot hold."""
    taken_by_factors = FILE_NAMES | _name_variables(values)
    for path, name in _list_columns(values):
        taken = (path[0] != "outcome" and name in TABLE_NAMES) or (path[0] == "factor" and name in taken_by_factors)
        if taken or (path[0] == "factor" and "/" in name):  # netCDF has no names with a slash
            reason = "is a name influbayes uses itself" if taken else "has a slash, which a saved fit cannot hold"
            remedy = f"Give the column another name here and map it: --map NEW={name}."
            faults.refuse(path, f"{quote_value(name)} {reason}. {remedy}", value=name)


def _name_variables(values: Values) -> set[str]:
    """Return the names of the variables that the factors and interactions make in a saved fit."""
    terms = [name for path, name in _list_columns(values) if path[0] == "factor"]
    terms += [f"{a}__x__{b}" for _, (a, b) in _list_pairs(values)]
    return {f"{kind}_{term}" for term in terms for kind in ("effect", "scale", "code")}


def _judge_references(values: Values, faults: Faults) -> None:
    for position, entry in _list_entries(values, "factor"):
        if entry.get("levels") == "sample" and "reference" in entry:
            reason = 'levels = "sample" has no reference: its levels are compared with their population'
            remedy = 'Delete this line, or write levels = "all".'
            faults.refuse(("factor", position, "reference"), f"{reason}. {remedy}", value=entry["reference"])


def _judge_interactions(values: Values, faults: Faults) -> None:
    seen: list[set[str]] = []
    for path, pair in _list_pairs(values):
        if set(pair) in seen:
            faults.refuse(path, "this pair of factors has an interaction already. Delete one of them.", value=pair)
        seen.append(set(pair))
        for name in pair:
            _judge_part(name, path, values, faults)


def _judge_part(name: str, path: KeyPath, values: Values, faults: Faults) -> None:
    """Note a part of an interaction that is no declared factor with all levels."""
    levels: dict[object, object] = {}
    for _, entry in _list_entries(values, "factor"):
        levels.setdefault(entry.get("column"), entry.get("levels"))
    if name in levels and levels[name] != "sample":
        return
    whole = [str(column) for column, kind in levels.items() if kind == "all"]
    reason = 'has levels = "sample"' if name in levels else "is not declared as a [[factor]]"
    rule = 'An interaction takes two factors with levels = "all"'
    faults.refuse(path, f"{quote_value(name)} {reason}. {rule}; here: {', '.join(whole) or 'none'}.", value=name)
