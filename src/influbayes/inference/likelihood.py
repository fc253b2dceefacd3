"""The passes over the rows: log likelihood of many draws, and value, gradient and curvature at a few points.

Takes a coded design; the only place of the exact engine that touches rows. Rows are worked through in blocks of fixed
size and order, so that the number of threads changes no number. Knows no priors and no scales.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np

from influbayes.hierarchy.coding import Cells, Coding, collapse_rows
from influbayes.hierarchy.design import Design, FloatArray, IntArray

_ROWS = 256
_NUMBERS = 65_536
_POINT_ROWS = 4_096
_BATCH_NUMBERS = 400_000
_BATCH_POINTS = 6
_EXPONENT = 700.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """Value (K,), gradient (K, P) and minus the second derivative (K, P, P) of a log likelihood at K points."""

    value: FloatArray
    gradient: FloatArray
    curvature: FloatArray


class Likelihood(Protocol):
    """What the proposal and the chain need to know of the rows."""

    def evaluate(self, theta: FloatArray, phi: FloatArray) -> FloatArray:
        """Return the log likelihood (S,) at coefficients (S, P) and log scales (S, G)."""
        ...

    def expand(self, theta: FloatArray, phi: FloatArray) -> Slope:
        """Return value, gradient and curvature in the coefficients at K points."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseLikelihood:
    """Binomial rows whose linear predictor is X theta; leaves out the binomial coefficients.

    `X` (n, P), `trials` (n,); the first `single` rows have one trial. `cross` (P,) is X'y, all the likelihood needs to
    know of the outcome, and `weight` (P,) is X'trials.
    """

    X: FloatArray
    conversions: FloatArray
    trials: FloatArray
    single: int
    cross: FloatArray
    weight: FloatArray

    def evaluate(self, theta: FloatArray, phi: FloatArray) -> FloatArray:
        """Return the log likelihood (S,) at coefficients (S, P); the log scales do not enter."""
        size = max(1, _NUMBERS // _ROWS)
        parts = run_blocks(lambda at: self._sum_softplus(theta[at]), split(len(theta), size))
        return np.asarray(theta @ self.cross - np.concatenate(parts))

    def _sum_softplus(self, theta: FloatArray) -> FloatArray:
        """Return sum of trials x log(1 + exp(eta)) for a block of draws.

        log(1 + e^x) = (x + |x|) / 2 + log(1 + e^-|x|). For rows of one trial the logs are taken of products of up to
        256 factors between 1 and 2, which cannot overflow: one logarithm for 256 rows.
        """
        draws = np.ascontiguousarray(theta.T)
        total = 0.5 * (theta @ self.weight)
        for at in split(len(self.X), _ROWS, stop_at=self.single):
            distance = np.abs(self.X[at] @ draws)
            single = at.stop <= self.single
            trials = self.trials[at]
            total += 0.5 * (distance.sum(axis=0) if single else trials @ distance)
            np.negative(distance, out=distance)
            np.exp(distance, out=distance)
            if single:
                distance += 1.0
                total += np.log(np.multiply.reduce(distance, axis=0))
            else:
                total += trials @ np.log1p(distance, out=distance)
        return total

    def expand(self, theta: FloatArray, phi: FloatArray) -> Slope:
        """Return value, gradient and curvature at K points; the log scales do not enter."""
        step = max(1, _BATCH_NUMBERS // max(1, min(len(self.X), _POINT_ROWS)))
        parts = [self._expand_points(theta[at]) for at in split(len(theta), step)]
        return Slope(
            value=np.concatenate([part.value for part in parts]),
            gradient=np.concatenate([part.gradient for part in parts]),
            curvature=np.concatenate([part.curvature for part in parts]),
        )

    def _expand_points(self, theta: FloatArray) -> Slope:
        count, size = theta.shape
        value, gradient = theta @ self.cross, np.tile(self.cross, (count, 1))
        curvature = np.zeros((count, size, size))
        for at in split(len(self.X), _POINT_ROWS):
            X, trials = self.X[at], self.trials[at]
            eta = theta @ X.T
            value -= softplus(eta) @ trials
            mean = expit(eta)
            gradient -= (mean * trials) @ X
            curvature += weigh_squares(X, mean * (1.0 - mean) * trials)
        return Slope(value=value, gradient=gradient, curvature=curvature)


def weigh_squares(X: FloatArray, weights: FloatArray) -> FloatArray:
    """Return X' diag(w) X (K, P, P) for K sets of row weights (K, n)."""
    size = X.shape[1]
    if len(weights) < _BATCH_POINTS:
        return np.stack([(X * row[:, None]).T @ X for row in weights])
    upper, lower = np.triu_indices(size)
    packed = weights @ (X[:, upper] * X[:, lower])
    full = np.empty((len(weights), size, size))
    full[:, upper, lower] = packed
    full[:, lower, upper] = packed
    return full


def softplus(eta: FloatArray) -> FloatArray:
    """Return log(1 + exp(eta)), finite for every finite eta."""
    distance = np.abs(eta)
    total = np.log1p(np.exp(-distance))
    total += 0.5 * (eta + distance)
    return np.asarray(total)


def expit(eta: FloatArray) -> FloatArray:
    """Return 1 / (1 + exp(-eta)); beyond +-700 the value is that of 700."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(eta, -_EXPONENT, _EXPONENT))))


def split(count: int, size: int, *, stop_at: int = 0) -> list[slice]:
    """Cut 0 to `count` into slices of at most `size`; none reaches over `stop_at`."""
    edges = sorted({*range(0, stop_at, size), *range(stop_at, count, size), count} - ({0} if count == 0 else set()))
    return [slice(low, high) for low, high in pairwise(edges)]


def run_blocks[Part](work: Callable[[slice], Part], blocks: Sequence[slice]) -> list[Part]:
    """Apply `work` to every block, in threads where there are several; results in the order of the blocks."""
    threads = min(count_threads(), len(blocks))
    if threads < 2:
        return [work(block) for block in blocks]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, blocks))


def count_threads() -> int:
    """Return how many threads to use: OMP_NUM_THREADS where it is a number, else the cores this process may use."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(int(asked), available)) if asked.isdigit() else available


def hold_blas() -> AbstractContextManager[object]:
    """Keep BLAS to one thread: `run_blocks` has threads of its own, and both together wait for each other."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

    limits: AbstractContextManager[object] = threadpool_limits(1, user_api="blas")
    return limits


def choose_rows(design: Design) -> Cells:
    """Group alike rows into binomial rows where that at least halves them; else keep every row with its one outcome."""
    cells = collapse_rows(design)
    if 2 * len(cells.first) <= len(design.rows) or len(cells.first) == len(design.rows):
        return cells
    every: IntArray = np.arange(len(design.rows))
    return Cells(first=every, conversions=design.conversions, trials=design.trials)


def read_dense(design: Design, coding: Coding) -> DenseLikelihood:
    """Return the rows of a design whose every term is a coded column."""
    cells = choose_rows(design)
    X, trials = coding.X[cells.first], cells.trials.astype(np.float64)
    order = np.argsort(trials != 1.0, kind="stable")
    X, trials = np.ascontiguousarray(X[order]), trials[order]
    conversions = cells.conversions[order].astype(np.float64)
    return DenseLikelihood(
        X=X,
        conversions=conversions,
        trials=trials,
        single=int((trials == 1.0).sum()),
        cross=add_rows(X, conversions),
        weight=add_rows(X, trials),
    )


def add_rows(X: FloatArray, weights: FloatArray) -> FloatArray:
    """Return X'w (P,), block by block."""
    total = np.zeros(X.shape[1])
    for at in _iterate(len(X)):
        total += weights[at] @ X[at]
    return total


def _iterate(count: int) -> Iterator[slice]:
    yield from split(count, _POINT_ROWS)
