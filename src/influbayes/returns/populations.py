"""Three partially pooled models with exact conditional posteriors: conversion rates, order counts, spend per buyer.

Takes counts and sums of each influencer; makes draws. The two numbers of each population are integrated over a grid
with their exact marginal likelihood, so no sampler is needed, and time is linear in influencers. Knows no ledger.

- conversions_i ~ Binomial(users_i, p_i), p_i ~ Beta(mean, spread);
- buyers_i ~ Poisson(rate_i), rate_i ~ Gamma(mean, spread), where the ledger knows no user who bought nothing;
- log of what a buyer spends ~ Normal(level_i, noise), level_i ~ Normal(mean, spread).
Order values are heavy-tailed: on the log scale one large order does not make an influencer. The overall level is not
taken from the log-normal shape but given by the caller, from the Bayesian bootstrap, in the manner of Duan's smearing
estimate (1983, 10.1080/01621459.1983.10478017).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betaln, chdtri, gammaln

FloatArray = npt.NDArray[np.float64]

SPREAD_POINTS, MEAN_POINTS, REACH = 32, 11, 4.0
LARGEST_SPREAD, SMALLEST_SPREAD = 3.0, 0.004
DEFAULT_LOG_VARIANCE = 0.5  # where no influencer has two buyers: sd over mean 0.8
NOISE_POINTS = 7
RATE_PRIOR_SD, SPEND_PRIOR_SD = 0.5, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Draws of one quantity of every influencer and of the spread between them.

    `draws` (draws, influencers); `spread` (draws,) is the population's sd on the log scale (log-odds for
    conversion); `mean` (draws,) its mean.
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
    logs: FloatArray,
    squares: FloatArray,
    buyers: FloatArray,
    *,
    overall: FloatArray,
    rng: np.random.Generator,
    prior_sd: float = SPEND_PRIOR_SD,
) -> Population:
    """Return draws of the mean spend per buyer: normal on the log, partially pooled, at the overall level given.

    Parameters
    ----------
    logs, squares, buyers
        Sum and sum of squares of the logs of what buyers spent, and their number, for each influencer.
    overall
        (draws,) draws of the mean spend of a buyer of any influencer. It sets the level, refunds included, so that only
        differences between influencers rest on the log-normal shape.
    """
    used = buyers > 0
    count, mean = buyers[used], logs[used] / buyers[used]
    spreads, cells = _make_spreads()
    noises = _make_noises(count, mean, squares[used])
    spread, noise = (axis.ravel() for axis in np.meshgrid(spreads, noises, indexing="ij"))
    centre, error, log_weight = _weigh_normal(spread, noise, count, mean)
    log_weight += np.repeat(np.log(cells), len(noises)) - 0.5 * (spread / prior_sd) ** 2
    weight = np.exp(log_weight - log_weight.max())
    chosen = rng.choice(len(weight), size=len(overall), p=weight / weight.sum())
    middle = centre[chosen] + error[chosen] * rng.standard_normal(len(overall))
    made = _draw_logs(spread[chosen], noise[chosen], middle, logs, buyers, rng)
    ratio = np.exp(made - made.max())
    level = (ratio * buyers).sum(axis=1) / buyers.sum()
    return Population(draws=ratio * (overall / level)[:, None], spread=spread[chosen], mean=overall)


def _make_spreads() -> tuple[FloatArray, FloatArray]:
    spreads = SMALLEST_SPREAD + (LARGEST_SPREAD - SMALLEST_SPREAD) * np.linspace(0, 1, SPREAD_POINTS) ** 2
    return spreads, np.gradient(spreads)


def _make_noises(count: FloatArray, mean: FloatArray, squares: FloatArray) -> FloatArray:
    """Return equally likely values of the variance of logs within an influencer: a scaled inverse chi-square."""
    free = float((count - 1).sum())
    if free < 1:
        return np.array([DEFAULT_LOG_VARIANCE])
    within = max(float(np.maximum(squares - count * mean**2, 0).sum()), 1e-9 * free)
    return np.asarray(within / chdtri(free, (np.arange(NOISE_POINTS) + 0.5) / NOISE_POINTS), dtype=np.float64)


def _weigh_normal(
    spread: FloatArray, noise: FloatArray, count: FloatArray, mean: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return, for each pair of spread and noise, the population mean, its error and the log marginal likelihood."""
    found = np.empty((3, len(spread)))
    for i, (between, within) in enumerate(zip(spread, noise, strict=True)):
        precision = 1 / (between**2 + within / count)
        total = precision.sum()
        centre = (precision @ mean) / total
        fit = np.log(precision).sum() - precision @ (mean - centre) ** 2 - np.log(total)
        found[:, i] = centre, total**-0.5, 0.5 * fit
    return found[0], found[1], found[2]


def _draw_logs(
    spread: FloatArray,
    noise: FloatArray,
    middle: FloatArray,
    logs: FloatArray,
    buyers: FloatArray,
    rng: np.random.Generator,
) -> FloatArray:
    """Return (draws, influencers) logs of the typical spend; without buyers they come from the population."""
    precision = spread[:, None] ** -2 + buyers / noise[:, None]
    expected = (middle / spread**2)[:, None] + logs / noise[:, None]
    normal = rng.standard_normal(precision.shape)
    return np.asarray(expected / precision + normal / np.sqrt(precision), dtype=np.float64)


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
    spreads, cells = _make_spreads()
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
