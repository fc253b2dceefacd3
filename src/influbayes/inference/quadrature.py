"""The likelihood with one large `sample` factor integrated out by adaptive Gauss-Hermite quadrature.

Takes a design whose other terms are coded columns. Given the coefficients and the factor's scale s the likelihood is a
product over levels of integrals over z ~ Normal(0, 1), effect = s z; nodes are centred and scaled at each level's mode.
Gradient and curvature follow from Louis (1982), doi:10.1111/j.2517-6161.1982.tb01203.x.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from influbayes.hierarchy.coding import Coding
from influbayes.hierarchy.design import Design, FloatArray, IntArray
from influbayes.inference.expansion import Expansions
from influbayes.inference.levels import LevelBlock, cut_blocks
from influbayes.inference.likelihood import Slope, add_rows, choose_rows, run_blocks, split

NODES = (7, 11, 21, 41, 81)
"""Nodes to try, one after the other, until more of them change nothing that matters."""

_FEW_NODES = 11
_MANY_ROWS = 20_000
_CLOSE = 0.5
_NEAR = 1.0
_QUITE_CLOSE = 0.05
_VERY_CLOSE = 1e-5
_FARTHEST = 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Guide:
    """Modes of z at K points, and how they move: `z` (K, J), `by_theta` (K, J, P), `by_phi` (K, J).

    `mode` (K, P) and `phi` (K,) are the points. Saves most of the search for the modes at every draw.
    """

    mode: FloatArray
    phi: FloatArray
    z: FloatArray
    by_theta: FloatArray
    by_phi: FloatArray

    def predict(self, members: IntArray, theta: FloatArray, log_scale: FloatArray) -> FloatArray:
        """Return the modes to expect (levels, B) at coefficients (B, P) and log scales (B,)."""
        nearest = np.abs(log_scale[:, None] - self.phi).argmin(axis=1)
        modes = np.empty((len(members), len(theta)))
        for k in np.unique(nearest):
            own = nearest == k
            moved = self.by_theta[k][members] @ (theta[own] - self.mode[k]).T
            moved += self.by_phi[k][members][:, None] * (log_scale[own] - self.phi[k])
            modes[:, own] = np.clip(self.z[k][members][:, None] + moved, -_FARTHEST, _FARTHEST)
        return modes


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationLikelihood:
    """Binomial rows with linear predictor X theta + s z[level], z integrated out.

    `X` (n, P); `axis` is the place of log s among the log scales, or None where s is `fixed_scale`.
    """

    X: FloatArray
    cross: FloatArray
    blocks: tuple[LevelBlock, ...]
    levels: int
    axis: int | None
    fixed_scale: float | None
    nodes: int
    guide: Guide | None = None

    def evaluate(self, theta: FloatArray, phi: FloatArray) -> FloatArray:
        """Return the integrated log likelihood (S,), binomial coefficients left out."""
        return self._evaluate(theta, self.read_log_scale(phi), self.nodes)

    def compare_nodes(self, theta: FloatArray, phi: FloatArray) -> float:
        """Return the sd over draws of the change of the log likelihood with q and 2q + 1 nodes.

        By the inequality of Cauchy and Schwarz no mean moves by more than this many of its sds (to first order).
        """
        log_scale = self.read_log_scale(phi)
        finer = self._evaluate(theta, log_scale, 2 * self.nodes + 1)
        return float(np.std(finer - self._evaluate(theta, log_scale, self.nodes)))

    def read_log_scale(self, phi: FloatArray) -> FloatArray:
        """Return the log scale of the factor (S,) from all log scales (S, G)."""
        if self.axis is not None:
            return phi[:, self.axis]
        return np.full(len(phi), np.log(self.fixed_scale if self.fixed_scale is not None else 1.0))

    def _evaluate(self, theta: FloatArray, log_scale: FloatArray, nodes: int) -> FloatArray:
        order = np.argsort(log_scale, kind="stable")  # neighbours share a guide
        theta, log_scale = theta[order], log_scale[order]
        total, rule = theta @ self.cross, make_nodes(nodes)
        for block in self.blocks:

            def work(at: slice, block: LevelBlock = block) -> FloatArray:
                start = self._predict_modes(block, theta[at], log_scale[at])
                return block.integrate(block.X @ theta[at].T, np.exp(log_scale[at]), start, rule, close=_CLOSE)

            total += np.concatenate(run_blocks(work, split(len(theta), block.draws_at_once)))
        result = np.empty_like(total)
        result[order] = total
        return result

    def _predict_modes(self, block: LevelBlock, theta: FloatArray, log_scale: FloatArray) -> FloatArray:
        if self.guide is None:
            return np.zeros((len(block.members), len(theta)))
        return self.guide.predict(block.members, theta, log_scale)

    def expand(self, theta: FloatArray, phi: FloatArray) -> Slope:
        """Return value, gradient and curvature of the integrated log likelihood in the coefficients at K points."""
        log_scale = self.read_log_scale(phi)
        nodes = min(self.nodes, _FEW_NODES) if len(self.X) > _MANY_ROWS else self.nodes
        points = [self._expand_point(one, at, nodes) for one, at in zip(theta, log_scale, strict=True)]
        return Slope(
            value=np.array([point.value for point in points]),
            gradient=np.stack([point.gradient for point in points]),
            curvature=np.stack([point.curvature for point in points]),
        )

    def _expand_point(self, theta: FloatArray, log_scale: float, nodes: int) -> Slope:
        scale, rule = float(np.exp(log_scale)), make_nodes(nodes)
        places = [slice(k, k + 1) for k in range(len(self.blocks))]
        parts = run_blocks(lambda at: self.blocks[at.start].expand(theta, scale, rule, close=_QUITE_CLOSE), places)
        value, gradient = theta @ self.cross, self.cross.copy()
        curvature = np.zeros((len(theta), len(theta)))
        for part in parts:
            value, gradient, curvature = value + part.value, gradient + part.gradient, curvature + part.curvature
        return Slope(value=value, gradient=gradient, curvature=_lift(curvature))

    def guided_by(self, expansions: Expansions) -> PopulationLikelihood:
        """Return the same likelihood with the modes at the expansions' points known."""
        log_scale = self.read_log_scale(expansions.phi)
        size = (len(log_scale), self.levels)
        z, by_phi, by_theta = np.empty(size), np.empty(size), np.empty((*size, self.X.shape[1]))
        for k, (theta, at) in enumerate(zip(expansions.mode, log_scale, strict=True)):
            for block in self.blocks:
                own = block.members
                z[k, own], by_theta[k, own], by_phi[k, own] = block.trace(theta, float(np.exp(at)), close=_VERY_CLOSE)
        guide = Guide(mode=expansions.mode, phi=log_scale, z=z, by_theta=by_theta, by_phi=by_phi)
        return replace(self, guide=guide)

    def draw_effects(self, theta: FloatArray, phi: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Draw the levels' effects (S, J), log-odds, from their exact conditionals given each state."""
        log_scale = self.read_log_scale(phi)
        effects = np.empty((len(theta), self.levels))
        for block in self.blocks:
            places = split(len(theta), block.draws_at_once)
            streams = dict(zip([at.start for at in places], rng.spawn(len(places)), strict=True))

            def work(at: slice, block: LevelBlock = block, streams: dict[int, np.random.Generator] = streams) -> None:
                eta, scale = block.X @ theta[at].T, np.exp(log_scale[at])
                start = self._predict_modes(block, theta[at], log_scale[at])
                z, width = block.find_modes(eta, scale, start, close=_NEAR)
                effects[at, block.members] = (scale * block.draw_effects(eta, scale, z, width, streams[at.start])).T

            run_blocks(work, places)
        return effects


def _lift(curvature: FloatArray) -> FloatArray:
    """Return the curvature (P, P) with negative eigenvalues, an error of quadrature, raised to 0."""
    if not np.isfinite(curvature).all():
        return np.zeros_like(curvature)
    values, vectors = np.linalg.eigh(curvature)
    return curvature if values[0] >= 0 else np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)


@cache
def make_nodes(count: int) -> tuple[FloatArray, FloatArray]:
    """Return the nodes and log weights of Gauss-Hermite quadrature for Normal(0, 1), each (count,)."""
    from numpy.polynomial.hermite_e import hermegauss

    x, weight = hermegauss(count)
    with np.errstate(divide="ignore"):
        return x, np.log(weight) - 0.5 * np.log(2.0 * np.pi)


def read_population(
    design: Design, coding: Coding, *, axis: int | None, fixed_scale: float | None, nodes: int
) -> PopulationLikelihood:
    """Return the rows of a design whose one grouped factor is integrated out."""
    cells = choose_rows(design)
    X = coding.X[cells.first]
    conversions, trials = cells.conversions.astype(np.float64), cells.trials.astype(np.float64)
    codes = design.rows.codes[coding.grouped[0]][cells.first]
    return PopulationLikelihood(
        X=X,
        cross=add_rows(X, conversions),
        blocks=cut_blocks(X, conversions, trials, codes),
        levels=len(design.levels[coding.grouped[0]]),
        axis=axis,
        fixed_scale=fixed_scale,
        nodes=nodes,
    )
