"""The proposal: log scales from a density, then coefficients from a Normal-and-t mixture around the quadratic's mode.

Takes expansions, priors and a density of the log scales. Every draw comes with its exact log density, evaluated with
the centre and precision it was drawn from. Knows no rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from influbayes.hierarchy.design import FloatArray
from influbayes.inference.densities import Density, StudentMixture, draw_tails, factorise, log_student
from influbayes.inference.expansion import Expansions, condition
from influbayes.inference.scales import Prior

_LOG_2PI = float(np.log(2.0 * np.pi))
_BLOCK = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """S proposals: coefficients (S, P), log scales (S, G), log density (S,), standardised residuals (S, P)."""

    theta: FloatArray
    phi: FloatArray
    log_density: FloatArray
    residual: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """Residuals of the quadratic's Normal are `shift` (P,) + `root` (P, P, lower) z instead of z."""

    shift: FloatArray
    root: FloatArray

    def apply(self, z: FloatArray) -> FloatArray:
        """Return corrected residuals (S, P)."""
        return np.asarray(self.shift + z @ self.root.T)

    def undo(self, residual: FloatArray) -> FloatArray:
        """Return the z (S, P) that make the residuals."""
        return np.linalg.solve(self.root, (residual - self.shift).T).T

    @property
    def log_root(self) -> float:
        """Log determinant of `root`."""
        return float(np.log(np.diag(self.root)).sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """q(phi) q(theta | phi), and after an adaptation a share of a t density of both together.

    `heavy` is the share of the t (5 df) in q(theta | phi). `correction` moves and turns the standardised residuals
    where a pilot found them off. `joint` is a t mixture over (theta, phi), used with probability `joint_share`.
    """

    prior: Prior
    expansions: Expansions
    scales: Density
    heavy: float
    correction: Correction | None = None
    joint: StudentMixture | None = None
    joint_share: float = 0.0

    def draw(self, rng: np.random.Generator, count: int) -> Proposed:
        """Draw `count` independent proposals."""
        phi = self.scales.draw(rng, count)
        z = rng.standard_normal((count, self.prior.size))
        tails = draw_tails(rng, count)
        z = np.where((rng.random(count) < self.heavy)[:, None], z / tails[:, None], z)
        theta, chosen = np.empty_like(z), np.zeros(count, dtype=bool)
        if self.joint is not None:
            chosen = rng.random(count) < self.joint_share
            together = self.joint.draw(rng, count)
            theta, phi = together[:, : self.prior.size], np.where(chosen[:, None], together[:, self.prior.size :], phi)
        return self._finish(theta, phi, z, chosen)

    def _finish(self, theta: FloatArray, phi: FloatArray, z: FloatArray, chosen: FloatArray) -> Proposed:
        """Place residuals z except where the coefficients were chosen already; evaluate the density at all."""
        size = max(1, _BLOCK // max(1, self.prior.size**2))
        theta, residual, log_density = theta.copy(), z.copy(), np.empty(len(phi))
        for start in range(0, len(phi), size):
            at = slice(start, start + size)
            given = condition(self.expansions, self.prior, phi[at])
            placed = z[at] if self.correction is None else self.correction.apply(z[at])
            theta[at] = np.where(chosen[at, None], theta[at], given.place(placed))
            residual[at] = given.standardise(theta[at])
            log_density[at] = given.log_root
        if self.correction is not None:
            residual = self.correction.undo(residual)
            log_density -= self.correction.log_root
        log_density += self._log_density_residual(residual)
        log_density += self.scales.log_density(phi)
        if self.joint is not None:
            joint = self.joint.log_density(np.hstack((theta, phi))) + np.log(self.joint_share)
            log_density = np.logaddexp(joint, log_density + np.log1p(-self.joint_share))
        return Proposed(theta=theta, phi=phi, log_density=log_density, residual=residual)

    def _log_density_residual(self, z: FloatArray) -> FloatArray:
        squared = np.square(z).sum(axis=1)
        normal = -0.5 * squared - 0.5 * self.prior.size * _LOG_2PI + np.log1p(-self.heavy)
        return np.asarray(np.logaddexp(normal, log_student(squared, self.prior.size) + np.log(self.heavy)))


def correct_residuals(proposal: Proposal, residuals: FloatArray, log_weights: FloatArray) -> Proposal | None:
    """Return the proposal with its residuals' weighted mean and covariance put right; None where weights allow none.

    Parameters
    ----------
    proposal : Proposal
        Without a correction.
    residuals, log_weights : (S, P), (S,) arrays
        Of proposals drawn from it. Weights above their 99 % quantile are cut to it.
    """
    usable = np.isfinite(log_weights) & np.isfinite(residuals).all(axis=1)
    if usable.sum() < 10 * residuals.shape[1]:
        return None
    log_weights, residuals = log_weights[usable], residuals[usable]
    weights = np.exp(np.minimum(log_weights, np.quantile(log_weights, 0.99)) - log_weights.max())
    weights /= weights.sum()
    size = residuals.shape[1]
    if 1.0 / np.square(weights).sum() < 5 * size:
        return None
    shift = weights @ residuals
    spread = (residuals - shift).T @ ((residuals - shift) * weights[:, None])
    return replace(proposal, correction=Correction(shift=shift, root=factorise(spread + 1e-3 * np.eye(size))))
