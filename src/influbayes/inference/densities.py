"""Densities of log scales to draw from and to evaluate: a grid with interpolation, a mixture of t, a defended one.

Takes nodes and log densities, or points; knows no model. `draw` and `log_density` of one object agree exactly, which is
all that a Metropolis proposal needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from math import lgamma, log, pi
from typing import Protocol

import numpy as np

from influbayes.hierarchy.design import FloatArray, IntArray

DF = 5.0
_LLOYD = 20
_PROBABILITIES = np.array([0.005, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.995])


class Density(Protocol):
    """A density of points (S, G)."""

    def draw(self, rng: np.random.Generator, count: int) -> FloatArray:
        """Draw (count, G) points."""
        ...

    def log_density(self, points: FloatArray) -> FloatArray:
        """Return the log density (S,) at points (S, G); -inf outside the support."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GridDensity:
    """Density that is linear between the nodes of a product grid in each of G directions, 0 outside.

    `axes` ascending nodes of each direction; `density` their density, normalised to integral 1.
    """

    axes: tuple[FloatArray, ...]
    density: FloatArray

    def draw(self, rng: np.random.Generator, count: int) -> FloatArray:
        """Draw (count, G) points: a node by its mass, then a triangular step to one of its sides."""
        mass = self.density.copy()
        for k, axis in enumerate(self.axes):
            shape = [-1 if j == k else 1 for j in range(len(self.axes))]
            mass *= _measure_nodes(axis).reshape(shape)
        total = np.cumsum(mass.ravel())
        flat = np.minimum(np.searchsorted(total, rng.random(count) * total[-1]), mass.size - 1)
        nodes = np.unravel_index(flat, mass.shape)
        columns = [_step_aside(rng, axis, at) for axis, at in zip(self.axes, nodes, strict=True)]
        return np.stack(columns, axis=1)

    def log_density(self, points: FloatArray) -> FloatArray:
        """Return the log of the interpolated density (S,)."""
        places = [_locate(axis, points[:, k]) for k, axis in enumerate(self.axes)]
        total = np.zeros(len(points))
        for corner in product((0, 1), repeat=len(self.axes)):
            weight = np.ones(len(points))
            for (_, share, inside), side in zip(places, corner, strict=True):
                weight *= np.where(inside, share if side else 1.0 - share, 0.0)
            at = tuple(low + side for (low, _, _), side in zip(places, corner, strict=True))
            total += weight * self.density[at]
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(total))


def make_grid(axes: tuple[FloatArray, ...], log_density: FloatArray) -> GridDensity:
    """Normalise log densities (product of the axes' lengths) at the nodes of a product grid."""
    shape = tuple(len(axis) for axis in axes)
    density = np.exp(log_density - log_density.max()).reshape(shape)
    integral = density
    for axis in axes:
        integral = np.tensordot(_measure_nodes(axis), integral, axes=(0, 0))
    return GridDensity(axes=axes, density=density / float(integral))


def _measure_nodes(axis: FloatArray) -> FloatArray:
    """Return the integral of each node's tent function."""
    widths = np.diff(axis)
    return np.asarray(0.5 * (np.append(widths, 0.0) + np.insert(widths, 0, 0.0)))


def _step_aside(rng: np.random.Generator, axis: FloatArray, at: IntArray) -> FloatArray:
    widths = np.diff(axis)
    left, right = np.insert(widths, 0, 0.0)[at], np.append(widths, 0.0)[at]
    goes_left = rng.random(len(at)) * (left + right) < left
    step = 1.0 - np.sqrt(rng.random(len(at)))
    return np.asarray(axis[at] + np.where(goes_left, -left, right) * step)


def _locate(axis: FloatArray, values: FloatArray) -> tuple[IntArray, FloatArray, FloatArray]:
    low = np.clip(np.searchsorted(axis, values) - 1, 0, len(axis) - 2)
    share = (values - axis[low]) / (axis[low + 1] - axis[low])
    return low, share, (values >= axis[0]) & (values <= axis[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentMixture:
    """Mixture of K multivariate t densities (5 df): `weights` (K,), `centres` (K, G), `roots` (K, G, G) lower."""

    weights: FloatArray
    centres: FloatArray
    roots: FloatArray

    def draw(self, rng: np.random.Generator, count: int) -> FloatArray:
        """Draw (count, G) points."""
        at = np.minimum(np.searchsorted(np.cumsum(self.weights), rng.random(count)), len(self.weights) - 1)
        z = rng.standard_normal((count, self.centres.shape[1])) / draw_tails(rng, count)[:, None]
        return np.asarray(self.centres[at] + np.einsum("sij,sj->si", self.roots[at], z))

    def log_density(self, points: FloatArray) -> FloatArray:
        """Return the log density (S,) at points (S, G)."""
        parts = []
        for weight, centre, root in zip(self.weights, self.centres, self.roots, strict=True):
            z = np.linalg.solve(root, (points - centre).T).T
            parts.append(log(weight) - np.log(np.diag(root)).sum() + log_student(np.square(z).sum(axis=1), len(centre)))
        return np.asarray(np.logaddexp.reduce(parts, axis=0))


def draw_tails(rng: np.random.Generator, count: int) -> FloatArray:
    """Draw the divisors (count,) that turn normal vectors into t vectors of 5 df."""
    return np.asarray(np.sqrt(rng.chisquare(DF, count) / DF))


def log_student(squared: FloatArray, size: int) -> FloatArray:
    """Return the log density of a standard t vector (5 df) of `size` numbers with the given squared lengths."""
    constant = lgamma((DF + size) / 2) - lgamma(DF / 2) - 0.5 * size * log(DF * pi)
    return np.asarray(constant - 0.5 * (DF + size) * np.log1p(squared / DF))


def factorise(matrices: FloatArray) -> FloatArray:
    """Return the lower Cholesky factors of symmetric matrices (..., n, n).

    A matrix that is not positive definite, if only by rounding, is lifted until it is; one with numbers that are not
    finite counts as the identity. Good enough to propose from, since a proposal's density is that of its own factor.
    """
    try:
        return np.asarray(np.linalg.cholesky(matrices))
    except np.linalg.LinAlgError:
        one = np.eye(matrices.shape[-1])
        usable = np.isfinite(matrices).all(axis=(-1, -2), keepdims=True)
        values, vectors = np.linalg.eigh(np.where(usable, matrices, one))
        least = 1e-10 * np.maximum(np.abs(values).max(axis=-1, keepdims=True), 1e-290)
        lifted = (vectors * np.maximum(values, least)[..., None, :]) @ np.swapaxes(vectors, -1, -2)
        return np.asarray(np.linalg.cholesky(lifted + least[..., None] * one))


@dataclass(frozen=True, slots=True, kw_only=True)
class WarpedNormal:
    """Normal with a share of t (5 df) in scores; each coordinate is a rising, piecewise linear function of its score.

    `knots` (G, K) values of the coordinates at `scores` (G, K), both ascending; straight on beyond the ends. `centre`
    (G,) and `root` (G, G) lower of the scores, `heavy` the share of t.
    """

    knots: FloatArray
    scores: FloatArray
    centre: FloatArray
    root: FloatArray
    heavy: float

    def draw(self, rng: np.random.Generator, count: int) -> FloatArray:
        """Draw (count, G) points."""
        z = rng.standard_normal((count, len(self.centre)))
        tails = np.where(rng.random(count) < self.heavy, draw_tails(rng, count), 1.0)
        s = self.centre + (z / tails[:, None]) @ self.root.T
        return np.stack([_interpolate(s[:, k], self.scores[k], self.knots[k])[0] for k in range(s.shape[1])], axis=1)

    def log_density(self, points: FloatArray) -> FloatArray:
        """Return the log density (S,) at points (S, G)."""
        warped = [_interpolate(points[:, k], self.knots[k], self.scores[k]) for k in range(points.shape[1])]
        s = np.stack([value for value, _ in warped], axis=1)
        squared = np.square(np.linalg.solve(self.root, (s - self.centre).T)).sum(axis=0)
        size = len(self.centre)
        normal = -0.5 * squared - 0.5 * size * log(2.0 * pi) + np.log1p(-self.heavy)
        total = np.logaddexp(normal, log_student(squared, size) + log(self.heavy))
        return np.asarray(total - np.log(np.diag(self.root)).sum() + sum(np.log(slope) for _, slope in warped))


def _interpolate(x: FloatArray, at: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the piecewise linear function through ascending points, straight on beyond them, and its slope."""
    low = np.clip(np.searchsorted(at, x) - 1, 0, len(at) - 2)
    slope = (values[low + 1] - values[low]) / (at[low + 1] - at[low])
    return values[low] + slope * (x - at[low]), slope


def fit_warped(points: FloatArray, *, heavy: float = 0.1, widen: float = 1.1) -> WarpedNormal:
    """Fit a warped Normal to points (N, G): quantiles of each coordinate as knots, then the scores' covariance."""
    from scipy.special import ndtri

    scores = ndtri(_PROBABILITIES)
    knots = np.quantile(points, _PROBABILITIES, axis=0).T
    knots += 1e-6 * np.arange(len(scores))  # no two alike
    whole = np.tile(scores, (len(knots), 1))
    s = np.stack([_interpolate(points[:, k], knots[k], whole[k])[0] for k in range(len(knots))], axis=1)
    spread = widen * _measure_spread(s)
    return WarpedNormal(knots=knots, scores=whole, centre=s.mean(axis=0), root=factorise(spread), heavy=heavy)


def fit_mixture(points: FloatArray, *, parts: int, widen: float = 1.2) -> StudentMixture:
    """Fit a mixture of t densities to points (N, G): groups by Lloyd's rule, each with its mean and covariance."""
    whole = _measure_spread(points)
    white = np.linalg.solve(factorise(whole), points.T).T
    groups = _group_points(white, parts)
    weights, centres, roots = [], [], []
    for group in range(parts):
        own = points[groups == group]
        if len(own) < 2 * points.shape[1] + 2:
            continue
        spread = widen * (_measure_spread(own) + 0.05 * whole)
        weights.append(len(own))
        centres.append(own.mean(axis=0))
        roots.append(factorise(spread))
    share = np.array(weights, dtype=np.float64)
    return StudentMixture(weights=share / share.sum(), centres=np.array(centres), roots=np.array(roots))


def _measure_spread(points: FloatArray) -> FloatArray:
    spread = np.atleast_2d(np.cov(points, rowvar=False))
    return np.asarray(spread + 1e-9 * (1.0 + np.trace(spread)) * np.eye(points.shape[1]))


def _group_points(points: FloatArray, parts: int) -> IntArray:
    order = np.argsort(points[:, 0], kind="stable")
    centres = np.array([chunk.mean(axis=0) for chunk in np.array_split(points[order], parts)])
    groups: IntArray = np.zeros(len(points), dtype=np.int64)
    for _ in range(_LLOYD):
        distance = np.square(points).sum(axis=1)[:, None] - 2.0 * points @ centres.T + np.square(centres).sum(axis=1)
        groups = distance.argmin(axis=1)
        centres = np.array(
            [points[groups == k].mean(axis=0) if (groups == k).any() else centres[k] for k in range(parts)]
        )
    return groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Defended:
    """A density mixed with a share of another whose support is the whole space (the prior), so weights stay bounded."""

    main: Density
    share: float
    draw_other: Callable[[np.random.Generator, int], FloatArray]
    log_density_other: Callable[[FloatArray], FloatArray]

    def draw(self, rng: np.random.Generator, count: int) -> FloatArray:
        """Draw (count, G) points."""
        main, other = self.main.draw(rng, count), self.draw_other(rng, count)
        return np.where((rng.random(count) < self.share)[:, None], other, main)

    def log_density(self, points: FloatArray) -> FloatArray:
        """Return the log density (S,) at points (S, G)."""
        main = self.main.log_density(points) + np.log1p(-self.share)
        return np.asarray(np.logaddexp(main, self.log_density_other(points) + log(self.share)))


@dataclass(frozen=True, slots=True, kw_only=True)
class NoScales:
    """The density where no scale is estimated: a point with probability 1."""

    def draw(self, rng: np.random.Generator, count: int) -> FloatArray:
        """Return (count, 0) points."""
        return np.empty((count, 0))

    def log_density(self, points: FloatArray) -> FloatArray:
        """Return zeros (S,)."""
        return np.zeros(len(points))
