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
from influbayes.inference.levels import Chunk, cut_chunks
from influbayes.inference.likelihood import Slope, add_rows, choose_rows, run_blocks, split, weigh_squares
from influbayes.inference.population import draw_level_effects

NODES = (7, 11, 21, 41, 81)
"""Nodes to try, one after the other, until more of them change nothing that matters."""

_FEW_NODES = 11
_MANY_ROWS = 20_000
_NUMBERS = 32_768
_NEWTON_STEPS = 60
_CLOSE = 0.5
_NEAR = 1.0
_QUITE_CLOSE = 0.05
_VERY_CLOSE = 1e-5
_FARTHEST = 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Guide:
    """Modes of z at K points, and how they move: `z` (K, J), `by_theta` (K, J, P), `by_phi` (K, J).

    `mode` (K, P) and `phi` (K,) are the points, `width` (K, J) is 1 / sqrt(curvature) there. Saves most of the search
    for the modes at every draw.
    """

    mode: FloatArray
    phi: FloatArray
    z: FloatArray
    by_theta: FloatArray
    by_phi: FloatArray
    width: FloatArray

    def predict(
        self, members: IntArray, theta: FloatArray, log_scale: FloatArray
    ) -> tuple[FloatArray, FloatArray, float]:
        """Return modes and widths to expect (levels, B) at coefficients (B, P) and log scales (B,).

        And the largest move from a known mode, in widths: the error of a prediction grows with its square.
        """
        nearest = np.abs(log_scale[:, None] - self.phi).argmin(axis=1)
        modes, widths = np.empty((len(members), len(theta))), np.empty((len(members), len(theta)))
        farthest = 0.0
        for k in np.unique(nearest):
            own = nearest == k
            moved = self.by_theta[k][members] @ (theta[own] - self.mode[k]).T
            moved += self.by_phi[k][members][:, None] * (log_scale[own] - self.phi[k])
            width = self.width[k][members][:, None]
            farthest = max(farthest, float((np.abs(moved) / width).max()))
            modes[:, own] = np.clip(self.z[k][members][:, None] + moved, -_FARTHEST, _FARTHEST)
            widths[:, own] = width
        return modes, widths, farthest


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationLikelihood:
    """Binomial rows with linear predictor X theta + s z[level], z integrated out.

    `X` (n, P); `axis` is the place of log s among the log scales, or None where s is `fixed_scale`.
    """

    X: FloatArray
    cross: FloatArray
    chunks: tuple[Chunk, ...]
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
        order = np.argsort(log_scale, kind="stable")
        theta, log_scale = theta[order], log_scale[order]
        total = theta @ self.cross
        for chunk in self.chunks:
            size = max(1, _NUMBERS // (max(len(chunk.members), len(chunk.X) // 8) * nodes))

            def work(at: slice, chunk: Chunk = chunk) -> FloatArray:
                return self._integrate(chunk, theta[at], log_scale[at], nodes)

            total += np.concatenate(run_blocks(work, split(len(theta), size)))
        result = np.empty_like(total)
        result[order] = total
        return result

    def _integrate(self, chunk: Chunk, theta: FloatArray, log_scale: FloatArray, nodes: int) -> FloatArray:
        """Return the sum over a chunk's levels of their log integrals (B,)."""
        eta, scale = chunk.X @ theta.T, np.exp(log_scale)
        z, width = self.find_level_modes(chunk, eta, theta, log_scale)
        x, log_weight = make_nodes(nodes)
        at = z + width * x[:, None, None]
        shift = scale * at
        value = chunk.conversions[:, None] * shift
        value -= chunk.sum_shifted(eta, shift).log
        at *= at
        at *= 0.5
        value -= at
        value += (log_weight + 0.5 * x**2)[:, None, None]
        return np.asarray((sum_logs(value) + np.log(width)).sum(axis=0))

    def find_level_modes(
        self, chunk: Chunk, eta: FloatArray, theta: FloatArray, log_scale: FloatArray, *, close: float = _CLOSE
    ) -> tuple[FloatArray, FloatArray]:
        """Return each level's mode of z and its width 1 / sqrt(curvature), both (levels, B), nearly enough.

        Newton steps until none is longer than `close` widths: the nodes need not sit at the very mode.
        """
        scale = np.exp(log_scale)
        z = np.zeros((len(chunk.members), len(theta)))
        if self.guide is not None:
            z, width, moved = self.guide.predict(chunk.members, theta, log_scale)
            if moved < close:
                return z, width
        low, high = np.full_like(z, -np.inf), np.full_like(z, np.inf)
        for _ in range(_NEWTON_STEPS):
            sums = chunk.sum_shifted(eta, (scale * z)[None], log=False, mean=True, spread=True)
            gradient = scale * (chunk.conversions[:, None] - sums.mean[0]) - z
            curvature = 1.0 + scale**2 * sums.spread[0]
            width = 1.0 / np.sqrt(curvature)
            low, high = np.where(gradient > 0, z, low), np.where(gradient < 0, z, high)
            new = z + np.clip(gradient / curvature, -2.0, 2.0)
            # the gradient falls in z, so its sign brackets the mode; a step out of the bracket would go in circles
            new = np.where((new <= low) | (new >= high), _halve(z, low, high), new)
            longest = float((np.abs(new - z) / width).max())
            z = new
            if longest <= close:
                break
        return z, width

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
        blocks = [slice(k, k + 1) for k in range(len(self.chunks))]
        parts = run_blocks(lambda at: self._expand_chunk(self.chunks[at.start], theta, log_scale, nodes), blocks)
        value, gradient = theta @ self.cross, self.cross.copy()
        curvature = np.zeros((len(theta), len(theta)))
        for part in parts:
            value, gradient, curvature = value + part.value, gradient + part.gradient, curvature + part.curvature
        return Slope(value=value, gradient=gradient, curvature=_lift(curvature))

    def _expand_chunk(self, chunk: Chunk, theta: FloatArray, log_scale: float, nodes: int) -> Slope:
        eta, scale = chunk.X @ theta[:, None], float(np.exp(log_scale))
        z, width = self.find_level_modes(chunk, eta, theta[None], np.array([log_scale]), close=_QUITE_CLOSE)
        x, log_weight = make_nodes(nodes)
        at = z + width * x[:, None, None]
        value = chunk.conversions[:, None] * scale * at - chunk.sum_shifted(eta, scale * at).log
        value += (log_weight + 0.5 * x**2)[:, None, None] - 0.5 * at**2
        total = sum_logs(value)
        weights = np.exp(value - total)[..., 0]
        scores, spread = chunk.add_scores(eta[:, 0], scale * at[..., 0], weights)
        mean = np.einsum("qj,qjp->jp", weights, scores)
        flat = (scores * np.sqrt(weights)[..., None]).reshape(-1, len(theta))
        curvature = weigh_squares(chunk.X, spread[None])[0] - (flat.T @ flat - mean.T @ mean)
        return Slope(value=np.asarray((total + np.log(width)).sum()), gradient=-mean.sum(axis=0), curvature=curvature)

    def guided_by(self, expansions: Expansions) -> PopulationLikelihood:
        """Return the same likelihood with the modes at the expansions' points known."""
        log_scale = self.read_log_scale(expansions.phi)
        size = (len(log_scale), self.levels)
        z, by_phi, widths = np.empty(size), np.empty(size), np.empty(size)
        by_theta = np.empty((*size, self.X.shape[1]))
        for k, (theta, at) in enumerate(zip(expansions.mode, log_scale, strict=True)):
            for chunk in self.chunks:
                own = chunk.members
                z[k, own], by_theta[k, own], by_phi[k, own], widths[k, own] = self._trace(chunk, theta, float(at))
        guide = Guide(mode=expansions.mode, phi=log_scale, z=z, by_theta=by_theta, by_phi=by_phi, width=widths)
        return replace(self, guide=guide)

    def _trace(
        self, chunk: Chunk, theta: FloatArray, log_scale: float
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return modes (levels,), their derivatives by theta (levels, P) and by log s (levels,), and widths."""
        eta, scale = chunk.X @ theta[:, None], float(np.exp(log_scale))
        z, width = self.find_level_modes(chunk, eta, theta[None], np.array([log_scale]), close=_VERY_CLOSE)
        mode, curvature = z[:, 0], width[:, 0] ** -2
        x = np.clip(eta[:, 0] + scale * mode[chunk.row_owner], -700.0, 700.0)
        p = 1.0 / (1.0 + np.exp(-x))
        pulled = chunk.add_rows((p * (1.0 - p) * chunk.trials)[:, None] * chunk.X)
        return mode, -scale * pulled / curvature[:, None], mode * (2.0 - curvature) / curvature, width[:, 0]

    def draw_effects(self, theta: FloatArray, phi: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Draw the levels' effects (S, J), log-odds, from their exact conditionals given each state."""
        log_scale = self.read_log_scale(phi)
        effects = np.empty((len(theta), self.levels))
        for chunk in self.chunks:
            size = max(1, _NUMBERS // (3 * max(len(chunk.members), len(chunk.X) // 8)))
            blocks = split(len(theta), size)
            streams = dict(zip([at.start for at in blocks], rng.spawn(len(blocks)), strict=True))

            def work(at: slice, chunk: Chunk = chunk, streams: dict[int, np.random.Generator] = streams) -> None:
                eta = chunk.X @ theta[at].T
                z, width = self.find_level_modes(chunk, eta, theta[at], log_scale[at], close=_NEAR)
                scale = np.exp(log_scale[at])
                drawn = draw_level_effects(chunk, eta, scale, z, width, streams[at.start])
                effects[at, chunk.members] = (scale * drawn).T

            run_blocks(work, blocks)
        return effects


def _lift(curvature: FloatArray) -> FloatArray:
    """Return the curvature (P, P) with negative eigenvalues, an error of quadrature, raised to 0."""
    values, vectors = np.linalg.eigh(curvature)
    return curvature if values[0] >= 0 else np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)


def _halve(z: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Return the middle of each bracket; `z` itself where it is open."""
    closed = np.isfinite(low) & np.isfinite(high)
    return np.where(closed, 0.5 * (np.where(closed, low, 0.0) + np.where(closed, high, 0.0)), z)


@cache
def make_nodes(count: int) -> tuple[FloatArray, FloatArray]:
    """Return the nodes and log weights of Gauss-Hermite quadrature for Normal(0, 1), each (count,)."""
    from numpy.polynomial.hermite_e import hermegauss

    x, weight = hermegauss(count)
    with np.errstate(divide="ignore"):
        return x, np.log(weight) - 0.5 * np.log(2.0 * np.pi)


def sum_logs(value: FloatArray) -> FloatArray:
    """Return log sum exp over the first axis; `value` is overwritten by nothing."""
    top = value.max(axis=0)
    shifted = value - top
    np.exp(shifted, out=shifted)
    return np.asarray(np.log(shifted.sum(axis=0)) + top)


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
        chunks=cut_chunks(X, conversions, trials, codes),
        levels=len(design.levels[coding.grouped[0]]),
        axis=axis,
        fixed_scale=fixed_scale,
        nodes=nodes,
    )
