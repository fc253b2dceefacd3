"""From ranks and coverage to a decision: calibrated or not, at a stated probability of a false alarm.

Takes replications or their counts; knows no engine. Every quantity has one test of its ranks and one of the coverage
of each interval; the family of all of them raises a false alarm with probability at most alpha (Holm 1979).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from influbayes.calibration.bands import find_binomial_p_value, find_ecdf_p_value
from influbayes.calibration.ranks import PROBS, THINNED, find_nominal
from influbayes.calibration.replication import Replication
from influbayes.hierarchy.design import IntArray

ALPHA = 0.01
"""Probability that a right engine fails the first replications anywhere."""

FRESH_ALPHA = 0.001
"""The same for the fresh replications that decide a failure."""

MOST_BAD = 0.02
"""Largest share of fits that may fail or be flagged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How often an interval of mass `prob` held the truth: `covered` times; `nominal` is what is due."""

    prob: float
    nominal: float
    covered: int
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantityFigures:
    """The figures of one quantity: `counts[r]` truths had rank r among 99 draws; `p_value` is that of the ECDF."""

    name: str
    counts: tuple[int, ...]
    p_value: float
    coverage: tuple[Coverage, ...]

    @property
    def replications(self) -> int:
        """Number of truths ranked."""
        return sum(self.counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One test that failed: `test` is "ranks" or "coverage 0.9"; `adjusted` is Holm's adjusted p-value."""

    quantity: str
    test: str
    p_value: float
    adjusted: float


def count_figures(replications: Sequence[Replication], *, draws: int) -> tuple[QuantityFigures, ...]:
    """Count ranks and coverage of every quantity, in the order in which they first occur.

    Parameters
    ----------
    replications : sequence of Replication
    draws : int
        Draws an interval was made from, over all chains.
    """
    names = dict.fromkeys(name for one in replications for name in one.ranks)
    return tuple(
        count_quantity(
            name,
            np.array([one.ranks[name] for one in replications if name in one.ranks], dtype=np.int64),
            np.array([one.covered[name] for one in replications if name in one.covered], dtype=bool),
            draws=draws,
        )
        for name in names
    )


def find_failures(
    figures: Iterable[QuantityFigures], *, alpha: float, among: Iterable[Failure] | None = None
) -> tuple[Failure, ...]:
    """Return the tests that fail, the worst first.

    Parameters
    ----------
    figures : iterable of QuantityFigures
    alpha : float
        Probability of any failure where all is right.
    among : iterable of Failure, optional
        Test these only: failures of earlier replications, to be decided by fresh ones.
    """
    asked = None if among is None else {(one.quantity, one.test) for one in among}
    tests = sorted(
        ((p, name, test) for name, test, p in list_tests(figures) if asked is None or (name, test) in asked),
    )
    failures, adjusted = [], 0.0
    for k, (p_value, name, test) in enumerate(tests):
        adjusted = max(adjusted, min(1.0, p_value * (len(tests) - k)))
        if adjusted > alpha:
            break
        failures.append(Failure(quantity=name, test=test, p_value=p_value, adjusted=adjusted))
    return tuple(failures)


def list_tests(figures: Iterable[QuantityFigures]) -> list[tuple[str, str, float]]:
    """Return (quantity, test, p-value) of every test."""
    tests = []
    for one in figures:
        tests.append((one.name, "ranks", one.p_value))
        tests.extend((one.name, f"coverage {held.prob:g}", held.p_value) for held in one.coverage)
    return tests


def count_quantity(name: str, ranks: IntArray, held: npt.NDArray[np.bool_], *, draws: int) -> QuantityFigures:
    """Count the `ranks` (replications,) of one quantity and `held` (replications, PROBS), no rows if not judged."""
    counts = np.bincount(ranks, minlength=THINNED + 1)
    return QuantityFigures(
        name=name,
        counts=tuple(counts.tolist()),
        p_value=find_ecdf_p_value(counts),
        coverage=tuple(_count_coverage(prob, held[:, k], draws) for k, prob in enumerate(PROBS) if len(held)),
    )


def _count_coverage(prob: float, held: npt.NDArray[np.bool_], draws: int) -> Coverage:
    nominal, covered = find_nominal(prob, draws), int(held.sum())
    p_value = find_binomial_p_value(covered, len(held), nominal)
    return Coverage(prob=prob, nominal=nominal, covered=covered, p_value=p_value)
