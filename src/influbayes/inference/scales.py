"""Priors of coefficients and scales as arrays: precision and log density for many log scales at once.

Takes a design and its coding. `phi` are the logs of the estimated scales, in the order of `names`; a `sample` factor
that is integrated out has a scale but no coefficients here. Knows no rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from influbayes.hierarchy.coding import Block, Coding
from influbayes.hierarchy.design import Design, FloatArray, IntArray
from influbayes.hierarchy.priors import log_density_scale
from influbayes.hierarchy.spec import FactorTerm, NormalPrior, ScaleFamily, ScalePrior

_LOG_2PI = float(np.log(2.0 * np.pi))


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """Normal priors of P coefficients given G log scales, and the priors of the scales.

    `mean` (P,); `fixed` (P,) precision of coefficients without estimated scale, else 0; `owner` (P,) index of the
    scale, -1 where fixed. `population` is the index of the scale of the factor that is integrated out, if estimated.
    """

    mean: FloatArray
    fixed: FloatArray
    owner: IntArray
    names: tuple[str, ...]
    scales: tuple[ScalePrior, ...]
    population: int | None = None

    @property
    def size(self) -> int:
        """Number of coefficients P."""
        return len(self.mean)

    def precision(self, phi: FloatArray) -> FloatArray:
        """Return the prior precision (S, P) of the coefficients at log scales (S, G)."""
        result = np.broadcast_to(self.fixed, (len(phi), self.size)).copy()
        owned = self.owner >= 0
        result[:, owned] = np.exp(-2.0 * phi[:, self.owner[owned]])
        return result

    def log_density_coefficients(self, theta: FloatArray, phi: FloatArray) -> FloatArray:
        """Return log N(theta; mean, precision(phi)^-1), (S,)."""
        precision = self.precision(phi)
        distance = precision * np.square(theta - self.mean)
        return np.asarray(0.5 * (np.log(precision) - distance - _LOG_2PI).sum(axis=1))

    def log_density_scales(self, phi: FloatArray) -> FloatArray:
        """Return the log density (S,) of the log scales: prior at exp(phi) times the Jacobian exp(phi)."""
        total = np.zeros(len(phi))
        for k, prior in enumerate(self.scales):
            total += log_density_scale(prior, np.exp(phi[:, k])) + phi[:, k]
        return total

    def draw_scales(self, rng: np.random.Generator, count: int) -> FloatArray:
        """Draw log scales (count, G) from their priors."""
        columns = [_DRAWS[prior.family](rng, count, *prior.parameters) for prior in self.scales]
        return np.log(np.stack(columns, axis=1)) if columns else np.empty((count, 0))

    def find_medians(self) -> FloatArray:
        """Return the log of the prior median of every scale (G,)."""
        return np.array([np.log(_MEDIANS[prior.family](*prior.parameters)) for prior in self.scales])


def collect_priors(design: Design, coding: Coding) -> Prior:
    """Collect the priors of coefficients and scales of a design with at most one grouped factor."""
    mean, fixed = np.zeros(coding.X.shape[1]), np.zeros(coding.X.shape[1])
    owner = np.full(coding.X.shape[1], -1, dtype=np.int64)
    names: list[str] = []
    scales: list[ScalePrior] = []
    for block in coding.blocks:
        at = slice(block.start, block.stop)
        if block.basis is None:
            mean[at], fixed[at] = _read_normal(design, block)
        elif block.scale is not None and block.scale_prior is not None:
            owner[at] = len(names)
            names.append(block.scale)
            scales.append(block.scale_prior)
        elif block.fixed_scale is not None:
            fixed[at] = block.fixed_scale**-2
    grouped = find_grouped(design, coding)
    population = None
    if grouped is not None and grouped.scale_prior is not None:
        population = len(names)
        names.append(f"scale_{grouped.column}")
        scales.append(grouped.scale_prior)
    return Prior(mean=mean, fixed=fixed, owner=owner, names=tuple(names), scales=tuple(scales), population=population)


def find_grouped(design: Design, coding: Coding) -> FactorTerm | None:
    """Return the factor that is integrated out, if any."""
    return next((term for term in design.factors if term.column in coding.grouped), None)


def _read_normal(design: Design, block: Block) -> tuple[FloatArray, FloatArray]:
    priors: list[NormalPrior] = (
        [design.specification.intercept] if block.variable == "intercept" else [term.prior for term in design.numerics]
    )
    return np.array([prior.mean for prior in priors]), np.array([prior.sd**-2 for prior in priors])


def _draw_half_normal(rng: np.random.Generator, count: int, s: float) -> FloatArray:
    return np.abs(rng.normal(0.0, s, count))


def _draw_exponential(rng: np.random.Generator, count: int, rate: float) -> FloatArray:
    return rng.exponential(1.0 / rate, count)


def _draw_half_cauchy(rng: np.random.Generator, count: int, s: float) -> FloatArray:
    return s * np.abs(rng.standard_cauchy(count))


def _draw_half_student_t(rng: np.random.Generator, count: int, df: float, s: float) -> FloatArray:
    return s * np.abs(rng.standard_t(df, count))


_DRAWS: dict[ScaleFamily, Callable[..., FloatArray]] = {
    "half_normal": _draw_half_normal,
    "exponential": _draw_exponential,
    "half_cauchy": _draw_half_cauchy,
    "half_student_t": _draw_half_student_t,
}

_MEDIANS: dict[ScaleFamily, Callable[..., float]] = {
    "half_normal": lambda s: 0.6745 * s,
    "exponential": lambda rate: 0.6931 / rate,
    "half_cauchy": lambda s: s,
    "half_student_t": lambda df, s: 0.8 * s,  # a place to start from, not a quantile anybody reads
}
