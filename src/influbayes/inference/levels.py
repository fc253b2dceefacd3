"""Rows of one factor's levels, sorted by level and cut into blocks that fit the processor's cache.

Takes columns, outcomes and level codes; asks the compiled loops of `kernels` for modes, integrals, expansions and
draws. Knows no priors of coefficients and no quadrature rule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from influbayes.hierarchy.design import FloatArray, IntArray
from influbayes.inference.likelihood import Slope

_BLOCK_ROWS = 3000
_NUMBERS = 131_072
_FEWEST_DRAWS, _MOST_DRAWS = 8, 64
_CLIP = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelBlock:
    """Rows of some levels, level by level.

    `X` (n, P), `trials` (n,); `members` (levels,) the levels' codes, `first` (levels + 1,) where each one's rows begin;
    `conversions` (levels,) their sums.
    """

    X: FloatArray
    trials: FloatArray
    members: IntArray
    first: IntArray
    conversions: FloatArray
    is_single: bool

    @property
    def draws_at_once(self) -> int:
        """How many draws to work through together."""
        return int(np.clip(_NUMBERS // max(1, len(self.X)), _FEWEST_DRAWS, _MOST_DRAWS))

    def find_modes(
        self, eta: FloatArray, scale: FloatArray, start: FloatArray, *, close: float
    ) -> tuple[FloatArray, FloatArray]:
        """Return each level's mode of z and its width 1 / sqrt(curvature), both (levels, B), nearly enough.

        `eta` (n, B), `scale` (B,); `start` (levels, B) is where Newton's method begins. No last step is longer than
        `close` widths.
        """
        from influbayes.inference import kernels

        z, width = np.array(start, dtype=np.float64, order="C"), np.empty(start.shape)
        kernels.find_modes(_find_odds(eta), self.trials, self.first, self.conversions, scale, z, width, close)
        return z, width

    def integrate(
        self,
        eta: FloatArray,
        scale: FloatArray,
        start: FloatArray,
        rule: tuple[FloatArray, FloatArray],
        *,
        close: float,
    ) -> FloatArray:
        """Return the sum of the levels' log integrals (B,), by the nodes and log weights of a rule for Normal(0, 1)."""
        from influbayes.inference import kernels

        odds, total = _find_odds(eta), self._correct_clipped(eta)
        z, width = np.array(start, dtype=np.float64, order="C"), np.empty(start.shape)
        kernels.find_modes(odds, self.trials, self.first, self.conversions, scale, z, width, close)
        farthest = (scale * (z + width * rule[0][-1])).max(axis=1)
        kernels.integrate_levels(
            odds, self.trials, self.first, self.conversions, scale, z, width, *rule,
            self.is_single, odds.max(axis=1), farthest, total,
        )  # fmt: skip
        return total

    def _correct_clipped(self, eta: FloatArray) -> FloatArray:
        """Return what log(1 + exp(eta)) grows by beyond the clipping, with its sign in the log likelihood (B,)."""
        if not eta.size or float(eta.max()) <= _CLIP:
            return np.zeros(eta.shape[1])
        return np.asarray(-(self.trials @ np.maximum(eta - _CLIP, 0.0)))

    def expand(self, theta: FloatArray, scale: float, rule: tuple[FloatArray, FloatArray], *, close: float) -> Slope:
        """Return the integrals' value, gradient (P,) and curvature (P, P) at one point; not the part of the outcome."""
        from influbayes.inference import kernels

        eta = self.X @ theta
        z, width = self.find_modes(eta[:, None], np.array([scale]), np.zeros((len(self.members), 1)), close=close)
        gradient, curvature = np.zeros(len(theta)), np.zeros((len(theta), len(theta)))
        value = kernels.expand_levels(
            self.X,
            eta,
            self.trials,
            self.first,
            self.conversions,
            scale,
            z[:, 0],
            width[:, 0],
            *rule,
            gradient,
            curvature,
        )
        return Slope(value=np.asarray(value), gradient=gradient, curvature=curvature)

    def trace(self, theta: FloatArray, scale: float, *, close: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return modes (levels,) and their derivatives by theta (levels, P) and by log s (levels,)."""
        eta = self.X @ theta
        z, width = self.find_modes(eta[:, None], np.array([scale]), np.zeros((len(self.members), 1)), close=close)
        mode, curvature = z[:, 0], width[:, 0] ** -2
        x = np.clip(eta + scale * np.repeat(mode, np.diff(self.first)), -_CLIP, _CLIP)
        p = 1.0 / (1.0 + np.exp(-x))
        pulled = np.add.reduceat((p * (1.0 - p) * self.trials)[:, None] * self.X, self.first[:-1])
        return mode, -scale * pulled / curvature[:, None], mode * (2.0 - curvature) / curvature

    def draw_effects(
        self, eta: FloatArray, scale: FloatArray, z: FloatArray, width: FloatArray, rng: np.random.Generator
    ) -> FloatArray:
        """Draw z of every level and draw (levels, B) from its exact conditional; `z` and `width` are about its mode.

        Source of the three tangents: Gilks and Wild (1992), doi:10.2307/2347565.
        """
        from influbayes.inference import kernels_draws

        drawn = np.empty(z.shape)
        kernels_draws.draw_levels(
            _find_odds(eta), self.trials, self.first, self.conversions, scale, z, width, rng, drawn
        )
        return drawn


def _find_odds(eta: FloatArray) -> FloatArray:
    odds = np.clip(eta, -_CLIP, _CLIP)
    return np.ascontiguousarray(np.exp(odds, out=odds))


def cut_blocks(X: FloatArray, conversions: FloatArray, trials: FloatArray, codes: IntArray) -> tuple[LevelBlock, ...]:
    """Sort rows by level and cut them into blocks of whole levels; every level has at least one row, codes from 0."""
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes)
    ends = np.cumsum(counts)
    block_of = (ends - counts) // _BLOCK_ROWS
    blocks = []
    for number in np.unique(block_of):
        members = np.flatnonzero(block_of == number)
        rows = order[ends[members[0]] - counts[members[0]] : ends[members[-1]]]
        first = np.concatenate(([0], np.cumsum(counts[members])))
        blocks.append(
            LevelBlock(
                X=np.ascontiguousarray(X[rows]),
                trials=trials[rows],
                members=members,
                first=first,
                conversions=np.add.reduceat(conversions[rows], first[:-1]),
                is_single=bool((trials[rows] == 1.0).all()),
            )
        )
    return tuple(blocks)
