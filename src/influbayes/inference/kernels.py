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

_LOG2_E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_ROUNDER = 1.5 * 2.0**52 + 1023.0
"""Added to a number it leaves the nearest integer plus 1023, a double's exponent, in the last bits of the sum."""


def compile_loop[Loop: Callable[..., Any]](function: Loop) -> Loop:
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


@compile_loop
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
    value: float = total * _shift_to_exponent(shifted)
    return value


@compile_loop
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


@compile_loop
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


@compile_loop
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


@compile_loop
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


@compile_loop
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


@compile_loop
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


@compile_loop
def _weigh_nodes(
    eta: FloatArray,
    trials: FloatArray,
    conversions: float,
    scale: float,
    z: float,
    width: float,
    x: FloatArray,
    log_weight: FloatArray,
    p: FloatArray,
    weight: FloatArray,
) -> float:
    """Return one level's log integral; put its nodes' shares into `weight` (Q,), each row's chances into `p`."""
    for q in range(len(x)):
        at = z + width * x[q]
        weight[q] = conversions * scale * at - 0.5 * at * at + log_weight[q] + 0.5 * x[q] * x[q]
    for i in range(len(eta)):
        for q in range(len(x)):
            shifted = eta[i] + scale * (z + width * x[q])
            small = exp(-abs(shifted))
            weight[q] -= trials[i] * (max(shifted, 0.0) + log1p(small))
            p[i, q] = (1.0 if shifted >= 0.0 else small) / (1.0 + small)
    top = weight.max()
    weight[:] = np.exp(weight - top)
    mass = weight.sum()
    weight /= mass
    value: float = top + log(mass) + log(width)
    return value


@compile_loop
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
    """Return the levels' log integrals at one point; add to its `gradient` (P,) and minus its Hessian (Louis)."""
    size, columns = len(x), X.shape[1]
    p, weight = np.empty((np.diff(first).max(), size)), np.empty(size)
    scores, mean = np.empty((size, columns)), np.empty(columns)
    total = 0.0
    for j in range(len(z)):
        start, stop = first[j], first[j + 1]
        total += _weigh_nodes(
            eta[start:stop], trials[start:stop], conversions[j], scale, z[j], width[j], x, log_weight, p, weight
        )
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
