"""Separation: does some combination of columns tell conversions from non-conversions without a mistake?

Takes a coded matrix, counts and names; solves linear programmes (Albert and Anderson 1984, 10.1093/biomet/71.1.1;
Konis 2007). Under separation no maximum-likelihood estimate exists, so sizes rest on the prior. Knows no model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Kind = Literal["none", "quasi", "complete"]

INTERCEPT = "intercept"
_NOTICEABLE = 1e-6
_FIRST_ROWS = 400
_MORE_ROWS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Separation:
    """How a table is separated.

    `columns` are the names of the terms involved, in the order given; `sets` the smallest sets of terms that separate
    alike on their own (several where several do). `direction` (columns of X,) holds b with X b >= 0 where rows
    converted and <= 0 where they did not; zeros where `kind` is "none".
    """

    kind: Kind
    columns: tuple[str, ...]
    sets: tuple[tuple[str, ...], ...]
    direction: Numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class _Margins:
    """Rows whose margin must be >= 0 (`one_sided`, signs applied) and those whose margin must be 0 (`mixed`)."""

    one_sided: Numbers
    mixed: Numbers
    gain: Numbers


def find_separation(
    X: Numbers,
    conversions: npt.NDArray[np.int64],
    *,
    trials: npt.NDArray[np.int64],
    names: Sequence[str],
) -> Separation:
    """Find out whether terms separate the outcomes, and which.

    Parameters
    ----------
    X : (rows, columns) array
        Coded columns of full rank: the intercept, numeric columns, coded factors. Leave `sample` factors out.
    conversions, trials : (rows,) int arrays
        Counts of each row.
    names : sequence of str
        Term of each column; several columns may share one, and the column of ones is called "intercept".

    Returns
    -------
    Separation
        "complete": a direction is strictly right for every row; "quasi": right or undecided, never wrong; "none".
        Terms are sought smallest set first: single terms, pairs, then by leaving out one term at a time.

    Raises
    ------
    ValueError
        Where lengths do not agree or X holds a value that is not finite.
    """
    matrix, wins, losses = _prepare(X, conversions, trials, names)
    kind, direction = _classify(matrix, wins, losses)
    if kind == "none":
        return Separation(kind="none", columns=(), sets=(), direction=_read_only(np.zeros(matrix.shape[1])))
    sets = _find_sets(matrix, wins, losses, names, kind)
    columns = tuple(term for term in _list_terms(names) if any(term in members for members in sets))
    largest = np.abs(np.asarray(X, dtype=np.float64)).max(axis=0)
    return Separation(
        kind=kind, columns=columns, sets=sets, direction=_read_only(direction / np.maximum(largest, 1e-300))
    )


def _read_only(array: Numbers) -> Numbers:
    array.setflags(write=False)
    return array


def _prepare(
    X: Numbers, conversions: npt.NDArray[np.int64], trials: npt.NDArray[np.int64], names: Sequence[str]
) -> tuple[Numbers, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Check, scale every column to at most 1 in size, and say which rows hold conversions and non-conversions."""
    matrix = np.asarray(X, dtype=np.float64)
    wins, losses = np.asarray(conversions) > 0, np.asarray(trials) > np.asarray(conversions)
    if matrix.ndim != 2 or len(names) != matrix.shape[1] or not len(matrix) == len(wins) == len(losses):
        raise ValueError(f"X {matrix.shape}, {len(names)} names, {len(wins)} conversions, {len(losses)} trials.")
    if not np.isfinite(matrix).all():
        raise ValueError("X holds values that are not finite.")
    largest = np.abs(matrix).max(axis=0, initial=0.0)
    return matrix / np.where(largest > 0, largest, 1.0), wins, losses


def _list_terms(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name != INTERCEPT))


def _find_sets(
    matrix: Numbers,
    wins: npt.NDArray[np.bool_],
    losses: npt.NDArray[np.bool_],
    names: Sequence[str],
    kind: Kind,
) -> tuple[tuple[str, ...], ...]:
    """Return the smallest sets of terms that separate as the whole table does."""
    terms = _list_terms(names)

    def separates(members: Iterable[str]) -> bool:
        chosen = {INTERCEPT, *members}
        part = matrix[:, [name in chosen for name in names]]
        return kind == _classify(part, wins, losses)[0]

    for size in (1, 2):
        found = tuple(members for members in combinations(terms, size) if separates(members))
        if found:
            return found
    kept = terms
    for term in terms:
        rest = tuple(other for other in kept if other != term)
        kept = rest if separates(rest) else kept
    return (kept,)


def _classify(matrix: Numbers, wins: npt.NDArray[np.bool_], losses: npt.NDArray[np.bool_]) -> tuple[Kind, Numbers]:
    margins = _collect_margins(matrix, wins, losses)
    direction = _separate(margins)
    if direction is None:
        return "none", np.zeros(matrix.shape[1])
    strict = None if len(margins.mixed) else _separate_strictly(margins)
    return ("quasi", direction) if strict is None else ("complete", strict)


def _collect_margins(matrix: Numbers, wins: npt.NDArray[np.bool_], losses: npt.NDArray[np.bool_]) -> _Margins:
    """Give every distinct row once, signed so that a right margin is >= 0; `gain` sums them with their counts."""
    signed = np.where(wins, 1.0, -1.0)[:, None] * matrix
    mixed = np.unique(matrix[wins & losses], axis=0)
    one_sided, counts = np.unique(signed[wins ^ losses], axis=0, return_counts=True)
    total = max(1, int(counts.sum()))
    return _Margins(one_sided=one_sided, mixed=mixed, gain=counts @ one_sided / total)


def _separate(margins: _Margins) -> Numbers | None:
    """Return b in [-1, 1] with no wrong margin and the largest mean margin, or None where only b = 0 has none wrong.

    Rows enter as constraints only when violated. Fewer constraints can only raise the optimum, so an optimum of 0
    proves that the whole table is not separated, long before all rows have been used.
    """
    rows = margins.one_sided
    used = np.zeros(len(rows), dtype=np.bool_)
    used[np.linspace(0, len(rows) - 1, min(_FIRST_ROWS, len(rows))).astype(np.int64)] = True
    mixed_rows = margins.mixed
    while True:
        direction = _maximise(margins.gain, rows[used], mixed_rows)
        if direction is None:
            return None
        wrong = np.where(used, 0.0, -(rows @ direction))
        if not (wrong > _NOTICEABLE).any():
            return direction if (rows @ direction > _NOTICEABLE).any() else None
        used[np.argsort(wrong)[-_MORE_ROWS:][np.sort(wrong)[-_MORE_ROWS:] > _NOTICEABLE]] = True


def _maximise(gain: Numbers, rows: Numbers, mixed: Numbers) -> Numbers | None:
    """Maximise gain . b; None where the optimum is 0 (a separating direction always reaches the edge of the box)."""
    from scipy.optimize import linprog

    reduced = np.linalg.qr(mixed, mode="r") if len(mixed) > mixed.shape[1] else mixed
    result = linprog(
        -gain,
        A_ub=-rows if len(rows) else None,
        b_ub=np.zeros(len(rows)) if len(rows) else None,
        A_eq=reduced if len(reduced) else None,
        b_eq=np.zeros(len(reduced)) if len(reduced) else None,
        bounds=(-1.0, 1.0),
        method="highs",
    )
    if not result.success:
        return None
    direction = np.asarray(result.x, dtype=np.float64)
    return direction if np.abs(direction).max(initial=0.0) > 0.5 else None


def _separate_strictly(margins: _Margins) -> Numbers | None:
    """Return b with every margin above 0, the smallest as large as possible, or None."""
    from scipy.optimize import linprog

    rows = margins.one_sided
    count, width = rows.shape
    result = linprog(
        np.append(np.zeros(width), -1.0),
        A_ub=np.hstack([-rows, np.ones((count, 1))]),
        b_ub=np.zeros(count),
        bounds=[(-1.0, 1.0)] * width + [(0.0, None)],
        method="highs",
    )
    if not result.success:
        return None
    solution = np.asarray(result.x, dtype=np.float64)
    return solution[:width] if solution[-1] > _NOTICEABLE else None
