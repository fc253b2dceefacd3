"""Exact draws of level effects, compiled: rejection from one tangent's Normal or three tangents' exponentials.

Takes plain arrays as `kernels` does. Given coefficients and scale the density of z (effect = s z) is log-concave, so
tangents lie above its log. Source: Gilks and Wild (1992), doi:10.2307/2347565.
"""

from __future__ import annotations

from math import exp, log, log1p, nan

import numpy as np

from influbayes.hierarchy.design import FloatArray, IntArray
from influbayes.inference.kernels import LARGEST, compile_loop

_FEW_ROUNDS, _ROUNDS = 30, 500
_REACH = 1.2
_WIDENINGS = 60
_WIDE = 0.45
_FLAT = 1e-7


@compile_loop
def _sum_rows(odds: FloatArray, trials: FloatArray, start: int, stop: int, b: int, shift: float) -> tuple[float, float]:
    """Return the sums over rows of trials x log(1 + v) and trials x v / (1 + v), v = odds exp(shift)."""
    factor = exp(min(max(shift, -LARGEST), LARGEST))
    logs, means, product = 0.0, 0.0, 1.0
    for i in range(start, stop):
        v = factor * odds[i, b]
        means += trials[i] * v / (1.0 + v)
        if trials[i] == 1.0 and v < 1e20:
            product *= 1.0 + v
            if product > 1e200:
                logs += log(product)
                product = 1.0
        else:
            logs += trials[i] * log1p(v)
    return logs + log(product), means


@compile_loop
def draw_levels(
    odds: FloatArray,
    trials: FloatArray,
    first: IntArray,
    conversions: FloatArray,
    scale: FloatArray,
    z: FloatArray,
    width: FloatArray,
    rng: np.random.Generator,
    drawn: FloatArray,
) -> None:
    """Draw each level's z (levels, B) into `drawn` from its exact, log-concave density; not-a-number where it failed.

    The log density is a concave sum over rows, minus z^2 / 2. Where the rows say little, a tangent of the sum at `z`
    gives an envelope that is Normal with sd 1; elsewhere three tangents of the whole at `z` and 1.2 widths to its
    sides give exponential pieces. `z` and `width` need only be about right.
    """
    levels, count = z.shape
    for j in range(levels):
        for b in range(count):
            drawn[j, b] = np.nan
            if width[j, b] > _WIDE:
                drawn[j, b] = _draw_by_normal(
                    odds, trials, first[j], first[j + 1], b, conversions[j], scale[b], z[j, b], rng
                )
            if np.isnan(drawn[j, b]):
                drawn[j, b] = _draw_by_tangents(
                    odds, trials, first[j], first[j + 1], b, conversions[j], scale[b], z[j, b], width[j, b], rng
                )


@compile_loop
def _draw_by_normal(
    odds: FloatArray,
    trials: FloatArray,
    start: int,
    stop: int,
    b: int,
    conversions: float,
    scale: float,
    z: float,
    rng: np.random.Generator,
) -> float:
    """Return one draw by rejection from the Normal of one tangent; not-a-number if 30 were rejected."""
    logs, means = _sum_rows(odds, trials, start, stop, b, scale * z)
    centre = scale * (conversions - means)
    for _ in range(_FEW_ROUNDS):
        trial = centre + rng.standard_normal()
        own, _ = _sum_rows(odds, trials, start, stop, b, scale * trial)
        if rng.standard_exponential() >= own - logs - means * scale * (trial - z):
            return trial
    return nan


@compile_loop
def _touch(
    odds: FloatArray,
    trials: FloatArray,
    start: int,
    stop: int,
    b: int,
    conversions: float,
    scale: float,
    z: float,
    width: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return where three tangents touch the log density, its heights and slopes there; the outer ones point inwards."""
    point, height, slope = np.empty(3), np.empty(3), np.empty(3)
    left, right = z - _REACH * width, z + _REACH * width
    for _ in range(_WIDENINGS):
        point[0], point[1], point[2] = left, 0.5 * (left + right), right
        for k in range(3):
            logs, means = _sum_rows(odds, trials, start, stop, b, scale * point[k])
            height[k] = conversions * scale * point[k] - logs - 0.5 * point[k] * point[k]
            slope[k] = scale * (conversions - means) - point[k]
        if slope[0] > 0.0 and slope[2] < 0.0:
            break
        left = left if slope[0] > 0.0 else left - 2.0 * width
        right = right if slope[2] < 0.0 else right + 2.0 * width
    return point, height, slope


@compile_loop
def _draw_by_tangents(
    odds: FloatArray,
    trials: FloatArray,
    start: int,
    stop: int,
    b: int,
    conversions: float,
    scale: float,
    z: float,
    width: float,
    rng: np.random.Generator,
) -> float:
    """Return one draw by rejection from the envelope of three tangents; not-a-number if 500 were rejected."""
    point, height, slope = _touch(odds, trials, start, stop, b, conversions, scale, z, width)
    # where neighbouring tangents cross
    low = (height[1] - height[0] - slope[1] * point[1] + slope[0] * point[0]) / (slope[0] - slope[1])
    high = (height[2] - height[1] - slope[2] * point[2] + slope[1] * point[1]) / (slope[1] - slope[2])
    rise = slope[1] * (high - low)
    top = height[1] + max(slope[1] * (low - point[1]), slope[1] * (high - point[1]))
    share = 1.0 if abs(rise) < _FLAT else (1.0 - exp(-abs(rise))) / abs(rise)
    outer_left = exp(height[0] + slope[0] * (low - point[0]) - top) / slope[0]
    middle = share * (high - low)
    outer_right = exp(height[2] + slope[2] * (high - point[2]) - top) / -slope[2]
    for _ in range(_ROUNDS):
        pick = rng.random() * (outer_left + middle + outer_right)
        u = 1.0 - rng.random()
        if pick <= outer_left:
            k, trial = 0, low + log(u) / slope[0]
        elif pick > outer_left + middle:
            k, trial = 2, high + log(u) / slope[2]
        elif abs(rise) < _FLAT:
            k, trial = 1, low + u * (high - low)
        else:  # measured from the higher end, so that nothing overflows
            part = log1p(-u * (1.0 - exp(-abs(rise)))) / rise
            k, trial = 1, low + (part + (1.0 if rise > 0.0 else 0.0)) * (high - low)
        logs, _ = _sum_rows(odds, trials, start, stop, b, scale * trial)
        value = conversions * scale * trial - logs - 0.5 * trial * trial
        if rng.standard_exponential() >= height[k] + slope[k] * (trial - point[k]) - value:
            result: float = trial
            return result
    return nan
