"""Three partially pooled models with exact conditional posteriors: conversion rates, order counts, spend per buyer.

Takes counts and sums of each influencer; makes draws. The two numbers of each population are integrated over a grid
with their exact marginal likelihood, so no sampler is needed, and time is linear in influencers. Knows no ledger.

- conversions_i ~ Binomial(users_i, p_i), p_i ~ Beta(mean, spread);
- buyers_i ~ Poisson(rate_i), rate_i ~ Gamma(mean, spread), where the ledger knows no user who bought nothing;
- spend_i ~ Gamma(buyers_i / dispersion, mean dispersion x value_i), value_i ~ Inverse-Gamma(mean, spread).
The last keeps the mean right whatever the shape of order values (its score is that of a quasi-likelihood with variance
dispersion x value^2; McCullagh and Nelder 1989); `dispersion` is estimated from buyers within influencers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betaln, gammaln

FloatArray = npt.NDArray[np.float64]

SPREAD_POINTS, MEAN_POINTS, REACH = 40, 15, 4.0
LARGEST_SPREAD, SMALLEST_SPREAD = 3.0, 0.004
DEFAULT_DISPERSION = 1.0  # an exponential distribution, where no influencer has two buyers
RATE_PRIOR_SD, SPEND_PRIOR_SD = 1.0, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Draws of one quantity of every influencer and of the spread between them.

    `draws` (draws, influencers); `spread` (draws,) is the population's standard deviation on the log scale (log-odds for
    conversion, relative for spend); `mean` (draws,) its mean.
    """

    draws: FloatArray
    spread: FloatArray
    mean: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grid:
    """Points of spread and mean with their posterior weights, flattened."""

    spread: FloatArray
    mean: FloatArray
    weight: FloatArray


LogMarginal = Callable[[float, FloatArray], FloatArray]
Centre = Callable[[float], tuple[FloatArray, float]]


def draw_conversions(
    buyers: FloatArray, users: FloatArray, *, draws: int, rng: np.random.Generator, prior_sd: float = RATE_PRIOR_SD
) -> Population:
    """Return draws of conversion rates: beta-binomial, spread on the log-odds ~ half-normal(`prior_sd`)."""
    overall = (buyers.sum() + 0.5) / (users.sum() + 1.0)

    def centre(spread: float) -> tuple[FloatArray, float]:
        used = users > 0
        noise = overall * (1 - overall) / np.maximum(users, 1) + (spread * overall * (1 - overall)) ** 2
        precision = np.where(used, 1 / noise, 0.0)
        total = max(float(precision.sum()), 1e-12)
        mean = float((precision * buyers / np.maximum(users, 1)).sum()) / total
        mean = min(max(mean, 0.25 / (users.sum() + 1)), 1 - 0.25 / (users.sum() + 1))
        error = min(1 / np.sqrt(total) / (mean * (1 - mean)), 3.0)
        return _logistic(np.log(mean / (1 - mean)) + error * _offsets()), error

    def log_marginal(spread: float, means: FloatArray) -> FloatArray:
        first, second = _beta_shapes(spread, means[:, None])
        return np.asarray((betaln(first + buyers, second + users - buyers) - betaln(first, second)).sum(axis=1))

    grid = _weigh_grid(centre, log_marginal, prior_sd)
    spread, mean = _draw_points(grid, draws, rng)
    first, second = _beta_shapes(spread[:, None], mean[:, None])
    one = rng.standard_gamma(np.broadcast_to(first, (draws, len(users))) + buyers)
    other = rng.standard_gamma(np.broadcast_to(second, (draws, len(users))) + (users - buyers))
    return Population(draws=one / np.maximum(one + other, 1e-300), spread=spread, mean=mean)


def draw_counts(
    buyers: FloatArray, *, draws: int, rng: np.random.Generator, prior_sd: float = RATE_PRIOR_SD
) -> Population:
    """Return draws of the expected number of buyers: gamma-Poisson, spread (sd over mean) ~ half-normal(`prior_sd`)."""
    mean_count = max(float(buyers.mean()), 0.5 / len(buyers))

    def centre(spread: float) -> tuple[FloatArray, float]:
        error = float(np.sqrt((1 / mean_count + spread**2) / len(buyers)))
        return mean_count * np.exp(error * _offsets()), error

    def log_marginal(spread: float, means: FloatArray) -> FloatArray:
        shape = spread**-2
        rate = shape / means[:, None]
        fixed = (gammaln(shape + buyers) - gammaln(shape)).sum()
        return np.asarray(fixed + (shape * np.log(rate) - (shape + buyers) * np.log1p(rate)).sum(axis=1))

    grid = _weigh_grid(centre, log_marginal, prior_sd)
    spread, mean = _draw_points(grid, draws, rng)
    shape = spread[:, None] ** -2
    made = rng.standard_gamma(shape + buyers) / (shape / mean[:, None] + 1)
    return Population(draws=made, spread=spread, mean=mean)


def draw_spend(
    spend: FloatArray,
    buyers: FloatArray,
    *,
    dispersion: float,
    draws: int,
    rng: np.random.Generator,
    prior_sd: float = SPEND_PRIOR_SD,
) -> Population:
    """Return draws of the mean spend per buyer: gamma sums, inverse-gamma population, spread ~ half-normal."""
    overall = max(float(spend.sum()), 1e-6) / max(float(buyers.sum()), 1.0)
    # Refunds can leave an influencer with less than nothing, which no gamma sum is: its evidence is that of almost 0.
    sums = np.maximum(spend, 1e-6 * overall) / dispersion
    sums = np.where(buyers > 0, sums, 0.0)
    shape = buyers / dispersion
    used = buyers > 0

    def centre(spread: float) -> tuple[FloatArray, float]:
        precision = np.where(used, 1 / (spread**2 + dispersion / np.maximum(buyers, 1)), 0.0)
        total = max(float(precision.sum()), 1e-12)
        mean = max(float((precision * spend / np.maximum(buyers, 1)).sum()) / total, 0.01 * overall)
        error = min(1 / np.sqrt(total), 1.5)
        return mean * np.exp(error * _offsets()), error

    def log_marginal(spread: float, means: FloatArray) -> FloatArray:
        alpha = 2 + spread**-2
        beta = means[:, None] * (alpha - 1)
        fixed = (gammaln(alpha + shape) - gammaln(alpha))[used].sum()
        varying = alpha * np.log(beta) - (alpha + shape[used]) * np.log(beta + sums[used])
        return np.asarray(fixed + varying.sum(axis=1))

    grid = _weigh_grid(centre, log_marginal, prior_sd)
    spread, mean = _draw_points(grid, draws, rng)
    alpha = 2 + spread[:, None] ** -2
    beta = mean[:, None] * (alpha - 1)
    made = (beta + sums) / rng.standard_gamma(np.broadcast_to(alpha, (draws, len(buyers))) + shape)
    return Population(draws=made, spread=spread, mean=mean)


def estimate_dispersion(spend: FloatArray, squares: FloatArray, buyers: FloatArray) -> float:
    """Return variance over squared mean of what buyers of one influencer spend, pooled over influencers.

    `spend`, `squares` and `buyers` are the sum, the sum of squares and the number of the buyers of each influencer.
    """
    several = buyers > 1
    if not several.any():
        return DEFAULT_DISPERSION
    total, count, square = spend[several], buyers[several], squares[several]
    within = np.maximum(square - total**2 / count, 0.0).sum()
    overall = total.sum() / count.sum()
    centred = (total + 5 * overall) / (count + 5)
    expected = ((count - 1) * centred**2).sum()
    return float(min(max(within / max(expected, 1e-300), 1e-4), 100.0))


def _beta_shapes(spread: FloatArray | float, mean: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return both shapes of the Beta with this mean, its sd on the log-odds near `spread`."""
    size = 1 / (np.asarray(spread) ** 2 * mean * (1 - mean))
    return mean * size, (1 - mean) * size


def _offsets() -> FloatArray:
    return np.linspace(-REACH, REACH, MEAN_POINTS)


def _logistic(value: FloatArray) -> FloatArray:
    return np.asarray(1 / (1 + np.exp(-value)), dtype=np.float64)


def _weigh_grid(centre: Centre, log_marginal: LogMarginal, prior_sd: float) -> _Grid:
    """Return the grid with weights: prior of the spread, flat prior of the mean, marginal likelihood, cell sizes."""
    root = np.linspace(0, 1, SPREAD_POINTS)
    spreads = SMALLEST_SPREAD + (LARGEST_SPREAD - SMALLEST_SPREAD) * root**2
    cells = np.gradient(spreads)
    means, logs = [], []
    for spread, cell in zip(spreads, cells, strict=True):
        points, error = centre(float(spread))
        means.append(points)
        logs.append(log_marginal(float(spread), points) - 0.5 * (spread / prior_sd) ** 2 + np.log(cell * error))
    flat = np.concatenate(logs)
    weight = np.exp(flat - flat.max())
    return _Grid(spread=np.repeat(spreads, MEAN_POINTS), mean=np.concatenate(means), weight=weight / weight.sum())


def _draw_points(grid: _Grid, draws: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    chosen = rng.choice(len(grid.weight), size=draws, p=grid.weight)
    return grid.spread[chosen], grid.mean[chosen]
