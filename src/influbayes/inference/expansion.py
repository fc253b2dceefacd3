"""Quadratics of the log likelihood around its penalised modes, and what they say of coefficients and scales.

Takes a likelihood and priors. At some log scales the mode of the coefficients is found by Newton's method; the second
order expansion there then stands for the likelihood wherever only the scales differ. Everything made here is used to
propose: an error costs acceptance, never correctness.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from influbayes.hierarchy.design import FloatArray, IntArray
from influbayes.inference.densities import factorise
from influbayes.inference.likelihood import Likelihood, Slope
from influbayes.inference.scales import Prior

_STEPS = 40
_HALVINGS = 8
_SLACK = 1e-3
"""Fall of the log density that is taken for rounding, and for the error of quadrature near a mode."""
_DECREMENT = 1e-5
_LONGEST_STEP = 4.0
_JITTER = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansions:
    """M quadratics: log likelihood ~ constant + linear'theta - theta' curvature theta / 2.

    `phi` (M, G) are the log scales they were made at, `mode` (M, P) the modes there, `decrement` (M,) what the last
    Newton step promised to gain. With `axis` the likelihood itself depends on that log scale: quadratics are then
    interpolated along it (`phi[:, axis]` ascends); else the nearest is taken.
    """

    phi: FloatArray
    mode: FloatArray
    curvature: FloatArray
    linear: FloatArray
    constant: FloatArray
    decrement: FloatArray
    axis: int | None = None

    def blend(self, phi: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return curvature (S, P, P), linear (S, P) and constant (S,) for log scales (S, G)."""
        if len(self.mode) == 1:
            count = len(phi)
            return (
                np.broadcast_to(self.curvature, (count, *self.curvature.shape[1:])),
                np.broadcast_to(self.linear, (count, self.linear.shape[1])),
                np.broadcast_to(self.constant, (count,)),
            )
        if self.axis is None:
            at = self.find_nearest(phi)
            return self.curvature[at], self.linear[at], self.constant[at]
        low, share = find_interval(self.phi[:, self.axis], phi[:, self.axis])
        return (
            _mix(self.curvature, low, share[:, None, None]),
            _mix(self.linear, low, share[:, None]),
            _mix(self.constant, low, share),
        )

    def find_nearest(self, phi: FloatArray) -> IntArray:
        """Return the index (S,) of the quadratic made nearest to log scales (S, G)."""
        distance = np.zeros((len(phi), len(self.phi)))
        for k in range(phi.shape[1]):
            distance += np.square(phi[:, k, None] - self.phi[None, :, k])
        nearest: IntArray = distance.argmin(axis=1)
        return nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditional:
    """Normal of the coefficients given each of S log scales, and the Laplace value of those.

    precision = D^-1 L L' D^-1 with `spread` (S, P) the diagonal of D, `factor` (S, P, P) = L and `inverse` = L^-1.
    `log_root` (S,) is half the log determinant of the precision, `value` (S,) the log Laplace marginal of the scales.
    """

    centre: FloatArray
    spread: FloatArray
    factor: FloatArray
    inverse: FloatArray
    log_root: FloatArray
    value: FloatArray

    def place(self, z: FloatArray) -> FloatArray:
        """Return coefficients for standardised residuals z (S, P)."""
        return np.asarray(self.centre + self.spread * np.einsum("spq,sp->sq", self.inverse, z))

    def standardise(self, theta: FloatArray) -> FloatArray:
        """Return the standardised residuals (S, P) of coefficients."""
        return np.asarray(np.einsum("spq,sp->sq", self.factor, (theta - self.centre) / self.spread))


def find_interval(nodes: FloatArray, values: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return the index of the interval of ascending `nodes` a value lies in, and how far into it (0 to 1)."""
    low = np.clip(np.searchsorted(nodes, values) - 1, 0, len(nodes) - 2)
    share = (values - nodes[low]) / (nodes[low + 1] - nodes[low])
    return np.asarray(low), np.asarray(np.clip(share, 0.0, 1.0))


def _mix(table: FloatArray, low: IntArray, share: FloatArray) -> FloatArray:
    return np.asarray(table[low] + share * (table[low + 1] - table[low]))


def condition(expansions: Expansions, prior: Prior, phi: FloatArray) -> Conditional:
    """Return the Normal of the coefficients given log scales (S, G), by the quadratics plus the prior."""
    curvature, linear, constant = expansions.blend(phi)
    precision = prior.precision(phi)
    right = linear + precision * prior.mean
    every = np.arange(prior.size)
    total = curvature.copy()
    total[:, every, every] += precision
    spread = 1.0 / np.sqrt(total[:, every, every])
    total *= spread[:, :, None] * spread[:, None, :]
    total[:, every, every] += _JITTER
    factor = factorise(total)
    inverse = np.linalg.inv(factor)
    half = np.einsum("spq,sq->sp", inverse, spread * right)
    log_root = np.log(factor[:, every, every]).sum(axis=1) - np.log(spread).sum(axis=1)
    value = constant + 0.5 * np.square(half).sum(axis=1) - 0.5 * (precision * prior.mean**2).sum(axis=1)
    value = value + 0.5 * np.log(precision).sum(axis=1) - log_root + prior.log_density_scales(phi)
    return Conditional(
        centre=spread * np.einsum("spq,sp->sq", inverse, half),
        spread=spread,
        factor=factor,
        inverse=inverse,
        log_root=log_root,
        value=value,
    )


def evaluate_marginal(expansions: Expansions, prior: Prior, phi: FloatArray) -> FloatArray:
    """Return the log Laplace marginal (S,) of log scales (S, G), in blocks."""
    size = max(1, 2_000_000 // max(1, prior.size**2))
    parts = [condition(expansions, prior, phi[at : at + size]).value for at in range(0, len(phi), size)]
    return np.concatenate(parts)


def expand_at(
    likelihood: Likelihood, prior: Prior, phi: FloatArray, *, start: FloatArray, axis: int | None = None
) -> Expansions:
    """Find the mode of the coefficients at log scales (M, G) by Newton's method and expand there.

    Parameters
    ----------
    likelihood, prior
        The model.
    phi : (M, G) array
    start : (M, P) or (P,) array
        Where to start from.
    axis : int, optional
        The log scale the likelihood depends on.
    """
    precision = prior.precision(phi)
    theta = np.broadcast_to(start, (len(phi), prior.size)).copy()
    slope = likelihood.expand(theta, phi)
    decrement = np.full(len(phi), np.inf)
    stuck = np.zeros(len(phi), dtype=bool)
    for _ in range(_STEPS):
        step, decrement = _propose_step(slope, precision, prior, theta)
        moving = (decrement > _DECREMENT) & ~stuck
        if not moving.any():
            break
        step = np.where(moving[:, None], step, 0.0)
        theta, slope, failed = _take_step(likelihood, prior, phi, precision, theta, slope, step)
        stuck[failed] = True
    linear = np.einsum("mpq,mq->mp", slope.curvature, theta) + slope.gradient
    return Expansions(
        phi=phi,
        mode=theta,
        curvature=slope.curvature,
        linear=linear,
        constant=slope.value
        - (linear * theta).sum(axis=1)
        + 0.5 * np.einsum("mp,mpq,mq->m", theta, slope.curvature, theta),
        decrement=decrement,
        axis=axis,
    )


def _propose_step(
    slope: Slope, precision: FloatArray, prior: Prior, theta: FloatArray
) -> tuple[FloatArray, FloatArray]:
    gradient = slope.gradient - precision * (theta - prior.mean)
    total = slope.curvature.copy()
    every = np.arange(prior.size)
    total[:, every, every] += precision
    step = _solve(total, gradient)
    decrement = 0.5 * (gradient * step).sum(axis=1)
    longest = np.abs(step).max(axis=1, keepdims=True)
    return step * np.minimum(1.0, _LONGEST_STEP / np.maximum(longest, 1e-300)), decrement


def _solve(total: FloatArray, gradient: FloatArray) -> FloatArray:
    """Return the Newton steps (M, P); where a matrix is singular, those of its lifted Cholesky factor."""
    try:
        return np.asarray(np.linalg.solve(total, gradient[..., None])[..., 0])
    except np.linalg.LinAlgError:
        factor = factorise(total)
        half = np.linalg.solve(factor, gradient[..., None])
        return np.asarray(np.linalg.solve(np.swapaxes(factor, -1, -2), half)[..., 0])


def _take_step(
    likelihood: Likelihood,
    prior: Prior,
    phi: FloatArray,
    precision: FloatArray,
    theta: FloatArray,
    slope: Slope,
    step: FloatArray,
) -> tuple[FloatArray, Slope, IntArray]:
    """Go `step`, halved at each point until the penalised likelihood does not fall there; say where it always does."""
    before = _penalise(slope.value, precision, prior, theta)
    waiting = np.flatnonzero(np.abs(step).max(axis=1) > 0)
    theta, slope = theta.copy(), replace(slope)
    value, gradient, curvature = slope.value.copy(), slope.gradient.copy(), slope.curvature.copy()
    share = 1.0
    for _ in range(_HALVINGS):
        trial = theta[waiting] + share * step[waiting]
        found = likelihood.expand(trial, phi[waiting])
        after = _penalise(found.value, precision[waiting], prior, trial)
        good = after >= before[waiting] - _SLACK
        at = waiting[good]
        theta[at], value[at] = trial[good], found.value[good]
        gradient[at], curvature[at] = found.gradient[good], found.curvature[good]
        waiting = waiting[~good]
        if not len(waiting):
            break
        share /= 2.0
    return theta, Slope(value=value, gradient=gradient, curvature=curvature), waiting


def _penalise(value: FloatArray, precision: FloatArray, prior: Prior, theta: FloatArray) -> FloatArray:
    return np.asarray(value - 0.5 * (precision * np.square(theta - prior.mean)).sum(axis=1))
