"""The innermost loops over rows, levels and draws, compiled by numba and cached on disk.

Takes plain arrays, writes into arrays it is given. Rows are sorted by level: those of level j are `first[j]` to
`first[j + 1]`. `odds` (rows, B) are exp(eta) with eta clipped to +-300, one column a draw. Costs a third of a second to
import, so import it where it is used. Every column is worked through alone and in one order, so that neither threads
nor blocks change a number.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, inf, log, log1p, sqrt
from typing import Any

import numba
import numpy as np
from numba.core import types
from numba.extending import intrinsic

from influbayes.hierarchy.design import FloatArray, IntArray

LARGEST = 300.0
"""Linear predictors and shifts are clipped to this, so that products of two exponentials stay finite."""

_PIECE = 16
_NEWTON_STEPS = 60
_LONGEST_STEP = 2.0
_REACH = 1.2
_WIDENINGS = 60
_FEW_ROUNDS, _ROUNDS = 30, 500
_WIDE = 0.45
_FLAT = 1e-7

_LOG2_E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_ROUNDER = 1.5 * 2.0**52 + 1023.0
"""Added to a number it leaves the nearest integer plus 1023, a double's exponent, in the last bits of the sum."""


def _compile[Loop: Callable[..., Any]](function: Loop) -> Loop:
    """Compile without the interpreter's lock; keep the machine code on disk where a place for it can be written to."""
    try:
        compiled: Loop = numba.njit(function, nogil=True, cache=True, error_model="numpy")
    except RuntimeError:  # no folder for the cache
        compiled = numba.njit(function, nogil=True, error_model="numpy")
    return compiled


@intrinsic  # type: ignore[untyped-decorator]
def _shift_to_exponent(typing: Any, number: Any) -> Any:
    """Return the double whose exponent bits are the last bits of another double."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        integer, double = (context.get_value_type(kind) for kind in (types.int64, types.float64))
        bits = builder.bitcast(arguments[0], integer)
        return builder.bitcast(builder.shl(bits, integer(52)), double)

    return types.float64(types.float64), generate


@_compile
def _exp(x: float) -> float:
    """Return exp(x) for |x| < 700 to 2e-16 relative; unlike the library's it is worked out for several x at once."""
    shifted = x * _LOG2_E + _ROUNDER
    whole = shifted - _ROUNDER
    r = (x - whole * _LN2_HIGH) - whole * _LN2_LOW
    total = 1.0 / 6227020800.0
    total = total * r + 1.0 / 479001600.0
    total = total * r + 1.0 / 39916800.0
    total = total * r + 1.0 / 3628800.0
    total = total * r + 1.0 / 362880.0
    total = total * r + 1.0 / 40320.0
    total = total * r + 1.0 / 5040.0
    total = total * r + 1.0 / 720.0
    total = total * r + 1.0 / 120.0
    total = total * r + 1.0 / 24.0
    total = total * r + 1.0 / 6.0
    total = total * r + 0.5
    total = total * r + 1.0
    total = total * r + 1.0
    return total * _shift_to_exponent(shifted)


@_compile
def find_modes(
    odds: FloatArray,
    trials: FloatArray,
    first: IntArray,
    conversions: FloatArray,
    scale: FloatArray,
    z: FloatArray,
    width: FloatArray,
    close: float,
) -> None:
    """Move `z` (levels, B) to each level's mode by Newton's method, put 1 / sqrt(curvature) there into `width`.

    At least one step; the last of no draw is longer than `close` widths.
    """
    levels, count = z.shape
    mean, spread, factor = np.empty(count), np.empty(count), np.empty(count)
    low, high = np.empty(count), np.empty(count)
    for j in range(levels):
        low[:] = -inf
        high[:] = inf
        for _ in range(_NEWTON_STEPS):
            for b in range(count):
                factor[b] = _exp(min(max(scale[b] * z[j, b], -LARGEST), LARGEST))
                mean[b] = 0.0
                spread[b] = 0.0
            for i in range(first[j], first[j + 1]):
                for b in range(count):
                    v = factor[b] * odds[i, b]
                    p = v / (1.0 + v)
                    mean[b] += trials[i] * p
                    spread[b] += trials[i] * p * (1.0 - p)
            longest = 0.0
            for b in range(count):
                at = z[j, b]
                gradient = scale[b] * (conversions[j] - mean[b]) - at
                curvature = 1.0 + scale[b] * scale[b] * spread[b]
                # the gradient falls in z, so its sign brackets the mode; a step out of the bracket would go in circles
                if gradient > 0.0:
                    low[b] = at
                else:
                    high[b] = at
                new = at + min(max(gradient / curvature, -_LONGEST_STEP), _LONGEST_STEP)
                if new <= low[b] or new >= high[b]:
                    new = 0.5 * (low[b] + high[b]) if low[b] > -inf and high[b] < inf else at
                z[j, b] = new
                width[j, b] = 1.0 / sqrt(curvature)
                longest = max(longest, abs(new - at) / width[j, b])
            if longest <= close:
                break


@_compile
def integrate_levels(
    odds: FloatArray,
    trials: FloatArray,
    first: IntArray,
    conversions: FloatArray,
    scale: FloatArray,
    z: FloatArray,
    width: FloatArray,
    x: FloatArray,
    log_weight: FloatArray,
    single: bool,
    greatest: FloatArray,
    shift: FloatArray,
    total: FloatArray,
) -> None:
    """Add to `total` (B,) every level's log integral over z, by quadrature nodes `x` (Q,) centred and scaled.

    `greatest` (rows,) are the largest odds of each row, `shift` (levels,) the largest scale x z at any node.
    """
    levels, count = z.shape
    size = len(x)
    factor, room = np.empty((size, count)), np.empty((size + 1, count))
    logs = np.empty((size, count))
    for j in range(levels):
        start, stop = first[j], first[j + 1]
        for q in range(size):
            for b in range(count):
                factor[q, b] = _exp(min(max(scale[b] * (z[j, b] + width[j, b] * x[q]), -LARGEST), LARGEST))
        largest = log1p(greatest[start:stop].max()) + max(shift[j], 0.0)
        if single and (stop - start) * largest < LARGEST:
            _integrate_few(odds, start, stop, conversions[j], scale, z[j], width[j], x, log_weight, factor, room, total)
        else:
            if single and _PIECE * largest < 2.0 * LARGEST:
                _add_pieces(odds, start, stop, factor, room, logs)
            else:
                _add_rows(odds, trials, start, stop, scale, z[j], width[j], x, factor, logs)
            _integrate_many(conversions[j], scale, z[j], width[j], x, log_weight, logs, total)


@_compile
def _integrate_few(
    odds: FloatArray,
    start: int,
    stop: int,
    conversions: float,
    scale: FloatArray,
    z: FloatArray,
    width: FloatArray,
    x: FloatArray,
    log_weight: FloatArray,
    factor: FloatArray,
    product: FloatArray,
    total: FloatArray,
) -> None:
    """Add the log integral of a level of few rows of one trial: without a logarithm, as no product can overflow."""
    size, count = factor.shape
    product[:] = 1.0
    for i in range(start, stop):
        for q in range(size):
            for b in range(count):
                product[q, b] *= 1.0 + factor[q, b] * odds[i, b]
    for b in range(count):
        product[size, b] = 0.0
    for q in range(size):
        constant = log_weight[q] + 0.5 * x[q] * x[q]
        for b in range(count):
            step = width[b] * x[q]
            exponent = constant + step * (conversions * scale[b] - z[b] - 0.5 * step)
            product[size, b] += _exp(min(max(exponent, -690.0), 690.0)) / product[q, b]
    for b in range(count):
        total[b] += log(product[size, b] * width[b]) + z[b] * (conversions * scale[b] - 0.5 * z[b])


@_compile
def _add_pieces(
    odds: FloatArray, start: int, stop: int, factor: FloatArray, product: FloatArray, logs: FloatArray
) -> None:
    """Put into `logs` (Q, B) the sums of log(1 + odds x factor), with one logarithm for 16 rows."""
    size, count = factor.shape
    logs[:] = 0.0
    for piece in range(start, stop, _PIECE):
        product[:] = 1.0
        for i in range(piece, min(piece + _PIECE, stop)):
            for q in range(size):
                for b in range(count):
                    product[q, b] *= 1.0 + factor[q, b] * odds[i, b]
        for q in range(size):
            for b in range(count):
                logs[q, b] += log(product[q, b])


@_compile
def _add_rows(
    odds: FloatArray,
    trials: FloatArray,
    start: int,
    stop: int,
    scale: FloatArray,
    z: FloatArray,
    width: FloatArray,
    x: FloatArray,
    factor: FloatArray,
    logs: FloatArray,
) -> None:
    """Put into `logs` (Q, B) the sums of trials x log(1 + odds x factor), right also where the factor was clipped."""
    size, count = factor.shape
    all_trials = trials[start:stop].sum()
    for q in range(size):
        for b in range(count):
            logs[q, b] = all_trials * max(scale[b] * (z[b] + width[b] * x[q]) - LARGEST, 0.0)
    for i in range(start, stop):
        for q in range(size):
            for b in range(count):
                logs[q, b] += trials[i] * log1p(factor[q, b] * odds[i, b])


@_compile
def _integrate_many(
    conversions: float,
    scale: FloatArray,
    z: FloatArray,
    width: FloatArray,
    x: FloatArray,
    log_weight: FloatArray,
    logs: FloatArray,
    total: FloatArray,
) -> None:
    """Add the log integral of a level of any rows from their `logs`, which are used up."""
    size, count = logs.shape
    for b in range(count):
        top = -inf
        for q in range(size):
            at = z[b] + width[b] * x[q]
            logs[q, b] = conversions * scale[b] * at - logs[q, b] - 0.5 * at * at + log_weight[q] + 0.5 * x[q] * x[q]
            top = max(top, logs[q, b])
        mass = 0.0
        for q in range(size):
            mass += exp(logs[q, b] - top)
        total[b] += top + log(mass) + log(width[b])


@_compile
def expand_levels(
    X: FloatArray,
    eta: FloatArray,
    trials: FloatArray,
    first: IntArray,
    conversions: FloatArray,
    scale: float,
    z: FloatArray,
    width: FloatArray,
    x: FloatArray,
    log_weight: FloatArray,
    gradient: FloatArray,
    curvature: FloatArray,
) -> float:
    """Return the sum of the levels' log integrals at one point; add to its `gradient` (P,) and minus its Hessian.

    `eta` (rows,), `z` and `width` (levels,). By Louis' identity: expectations under each level's node weights.
    """
    size, columns = len(x), X.shape[1]
    most = 0
    for j in range(len(z)):
        most = max(most, first[j + 1] - first[j])
    p, weight = np.empty((most, size)), np.empty(size)
    scores, mean = np.empty((size, columns)), np.empty(columns)
    total = 0.0
    for j in range(len(z)):
        start, stop = first[j], first[j + 1]
        for q in range(size):
            at = z[j] + width[j] * x[q]
            weight[q] = conversions[j] * scale * at - 0.5 * at * at + log_weight[q] + 0.5 * x[q] * x[q]
        for i in range(start, stop):
            for q in range(size):
                shifted = eta[i] + scale * (z[j] + width[j] * x[q])
                small = exp(-abs(shifted))
                weight[q] -= trials[i] * (max(shifted, 0.0) + log1p(small))
                p[i - start, q] = (1.0 if shifted >= 0.0 else small) / (1.0 + small)
        top = weight.max()
        weight[:] = np.exp(weight - top)
        mass = weight.sum()
        weight /= mass
        total += top + log(mass) + log(width[j])
        scores[:] = 0.0
        for i in range(start, stop):
            spread = 0.0
            for q in range(size):
                pulled = trials[i] * p[i - start, q]
                spread += weight[q] * pulled * (1.0 - p[i - start, q])
                for k in range(columns):
                    scores[q, k] += pulled * X[i, k]
            for k in range(columns):
                for m in range(k + 1):
                    curvature[k, m] += spread * X[i, k] * X[i, m]
        for k in range(columns):
            mean[k] = 0.0
            for q in range(size):
                mean[k] += weight[q] * scores[q, k]
            gradient[k] -= mean[k]
        for q in range(size):
            for k in range(columns):
                for m in range(k + 1):
                    curvature[k, m] -= weight[q] * (scores[q, k] - mean[k]) * (scores[q, m] - mean[m])
    for k in range(columns):
        for m in range(k):
            curvature[m, k] = curvature[k, m]
    return total


@_compile
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


@_compile
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


@_compile
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
    return np.nan


@_compile
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
            return trial
    return np.nan
