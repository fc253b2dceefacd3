"""The log posterior density and its gradient at one point, compiled by numba for nutpie and cached on disk.

Takes one packed buffer (see `pack_design` in `inference.packing`, which knows what every word means) and a point in the
PyMC model's own coordinates. One machine code serves every design, so that a model is never compiled twice. Rows come
in pieces of 64 with rows of no trials at the end; sums run in 64 lanes of fixed order, so that no number hangs on how
the compiler joins loops. Costs a third of a second to import, so import it where it is used.
"""

from __future__ import annotations

from functools import cache
from math import exp, isfinite, log, log1p
from typing import Any

import numba
import numpy as np
from numba.core import types

from influbayes.hierarchy.design import FloatArray, IntArray
from influbayes.inference.kernels import _exp, compile_loop

LANES = 64

HEADER = 16
ROWS, COLUMNS, POINT, GROUPED, TERMS, MANY = range(6)
AT_X, AT_CONVERSIONS, AT_TRIALS, AT_CODES, AT_MANY, AT_TERMS, AT_NUMBERS, AT_NORMAL, AT_CONSTANT = range(6, 15)
"""Words of the header: counts, then the places of the parts."""

KIND, START, SIZE, TARGET, SCALE_AT, FAMILY = range(6)
"""Columns of the table of terms: what it is, its place in the point, its column (or code), the place of its scale."""
TERM_WIDTH = 6

PLAIN, CODED, GROUP = range(3)
HALF_NORMAL, EXPONENTIAL, HALF_T = range(3)

_LONGEST = 700.0
_FLUSH = 512
"""A product of this many numbers up to 2 does not overflow."""


@compile_loop
def _add_scale(family: int, parameter: float, df: float, log_scale: float, scale: float) -> tuple[float, float]:
    """Return the log density of a scale's logarithm up to its constant, and the derivative."""
    if family == HALF_NORMAL:
        square = (scale / parameter) ** 2
        return log_scale - 0.5 * square, 1.0 - square
    if family == EXPONENTIAL:
        return log_scale - parameter * scale, 1.0 - parameter * scale
    square = (scale / parameter) ** 2
    return log_scale - 0.5 * (df + 1.0) * log1p(square / df), 1.0 - (df + 1.0) * square / (df + square)


@compile_loop
def _add_columns(X: FloatArray, theta: FloatArray, eta: FloatArray) -> None:
    """Add X theta, column by column, to `eta` (rows,); X is (columns, rows)."""
    for k in range(X.shape[0]):
        weight = theta[k]
        for i in range(X.shape[1]):
            eta[i] += X[k, i] * weight


@compile_loop
def _sum_lanes(lanes: FloatArray) -> float:
    total = 0.0
    for lane in range(LANES):
        total += lanes[lane]
    return total


@compile_loop
def _pass_rows(
    eta: FloatArray,
    conversions: FloatArray,
    trials: FloatArray,
    many: IntArray,
    residual: FloatArray,
    small: FloatArray,
) -> float:
    """Return the log likelihood without its constant; put conversions less expected ones into `residual` (rows,)."""
    lanes, product = np.zeros(LANES), np.ones(LANES)
    total = 0.0
    for piece in range(0, len(eta), LANES):
        # Slices, because the compiler joins loops only where it sees that no index counts from the end.
        here, e, rest = eta[piece : piece + LANES], small[piece : piece + LANES], residual[piece : piece + LANES]
        y, n = conversions[piece : piece + LANES], trials[piece : piece + LANES]
        for lane in range(LANES):
            e[lane] = _exp(max(-abs(here[lane]), -_LONGEST))
        for lane in range(LANES):
            share = (1.0 if here[lane] >= 0.0 else e[lane]) / (1.0 + e[lane])
            rest[lane] = y[lane] - n[lane] * share
            lanes[lane] += y[lane] * here[lane] - n[lane] * max(here[lane], 0.0)
            product[lane] *= 1.0 + (e[lane] if n[lane] == 1.0 else 0.0)
        if (piece // LANES) % _FLUSH == _FLUSH - 1:
            total -= _take_logs(product)
    total -= _take_logs(product)
    for j in range(len(many)):
        total -= trials[many[j]] * log1p(small[many[j]])
    value: float = total + _sum_lanes(lanes)
    return value


@compile_loop
def _take_logs(product: FloatArray) -> float:
    """Return the log of the product of all lanes, and set them to one."""
    total = 0.0
    for lane in range(LANES):
        total += log(product[lane])
        product[lane] = 1.0
    return total


@compile_loop
def _pull_back(X: FloatArray, residual: FloatArray, slope: FloatArray) -> None:
    """Put X' residual into `slope` (columns,); X is (columns, rows)."""
    lanes = np.empty(LANES)
    for k in range(X.shape[0]):
        lanes[:] = 0.0
        for piece in range(0, X.shape[1], LANES):
            x, r = X[k, piece : piece + LANES], residual[piece : piece + LANES]
            for lane in range(LANES):
                lanes[lane] += x[lane] * r[lane]
        slope[k] = _sum_lanes(lanes)


@compile_loop
def _spread_point(
    words: FloatArray, whole: IntArray, point: FloatArray, gradient: FloatArray, theta: FloatArray, eta: FloatArray
) -> float:
    """Return the log prior, its slopes in `gradient`; coefficients go into `theta`, grouped effects onto `eta`."""
    rows = whole[ROWS]
    total = float(words[whole[AT_CONSTANT]])
    for t in range(whole[TERMS]):
        term = whole[whole[AT_TERMS] + t * TERM_WIDTH : whole[AT_TERMS] + (t + 1) * TERM_WIDTH]
        numbers = words[whole[AT_NUMBERS] + 2 * t : whole[AT_NUMBERS] + 2 * t + 2]
        start, size, target = term[START], term[SIZE], term[TARGET]
        if term[KIND] == PLAIN:
            for k in range(size):
                mean, sd = words[whole[AT_NORMAL] + 2 * (target + k)], words[whole[AT_NORMAL] + 2 * (target + k) + 1]
                z = (point[start + k] - mean) / sd
                total -= 0.5 * z * z
                gradient[start + k] = -z / sd
                theta[target + k] = point[start + k]
            continue
        scale = numbers[0]
        if term[SCALE_AT] >= 0:
            log_scale = point[term[SCALE_AT]]
            scale = exp(log_scale)
            value, slope = _add_scale(term[FAMILY], numbers[0], numbers[1], log_scale, scale)
            total += value
            gradient[term[SCALE_AT]] = slope
        for k in range(size):
            z = point[start + k]
            total -= 0.5 * z * z
            gradient[start + k] = -z
        if term[KIND] == CODED:
            for k in range(size):
                theta[target + k] = scale * point[start + k]
        else:
            codes = whole[whole[AT_CODES] + target * rows : whole[AT_CODES] + (target + 1) * rows]
            for i in range(rows):
                eta[i] += scale * point[start + codes[i]]
    return total


@compile_loop
def _collect_gradient(
    words: FloatArray,
    whole: IntArray,
    point: FloatArray,
    residual: FloatArray,
    slope: FloatArray,
    gradient: FloatArray,
) -> None:
    """Add the likelihood's share to `gradient`, from its derivatives by row and by column."""
    rows = whole[ROWS]
    for t in range(whole[TERMS]):
        term = whole[whole[AT_TERMS] + t * TERM_WIDTH : whole[AT_TERMS] + (t + 1) * TERM_WIDTH]
        start, size, target = term[START], term[SIZE], term[TARGET]
        if term[KIND] == PLAIN:
            for k in range(size):
                gradient[start + k] += slope[target + k]
            continue
        scale = words[whole[AT_NUMBERS] + 2 * t] if term[SCALE_AT] < 0 else exp(point[term[SCALE_AT]])
        part = np.zeros(size)
        if term[KIND] == CODED:
            part[:] = slope[target : target + size]
        else:
            codes = whole[whole[AT_CODES] + target * rows : whole[AT_CODES] + (target + 1) * rows]
            for i in range(rows):
                part[codes[i]] += residual[i]
        along = 0.0
        for k in range(size):
            gradient[start + k] += scale * part[k]
            along += part[k] * point[start + k]
        if term[SCALE_AT] >= 0:
            gradient[term[SCALE_AT]] += scale * along


@compile_loop
def evaluate_point(words: FloatArray, whole: IntArray, point: FloatArray, gradient: FloatArray) -> float:
    """Return the log posterior density at a point, put its gradient into `gradient`.

    `words` is the packed buffer, `whole` the same memory read as whole numbers.
    """
    rows, columns = whole[ROWS], whole[COLUMNS]
    X = words[whole[AT_X] : whole[AT_X] + rows * columns].reshape((columns, rows))
    conversions = words[whole[AT_CONVERSIONS] : whole[AT_CONVERSIONS] + rows]
    trials = words[whole[AT_TRIALS] : whole[AT_TRIALS] + rows]
    many = whole[whole[AT_MANY] : whole[AT_MANY] + whole[MANY]]
    theta, slope = np.empty(columns), np.empty(columns)
    eta, residual, small = np.zeros(rows), np.empty(rows), np.empty(rows)
    prior = _spread_point(words, whole, point, gradient, theta, eta)
    _add_columns(X, theta, eta)
    likelihood = _pass_rows(eta, conversions, trials, many, residual, small)
    _pull_back(X, residual, slope)
    _collect_gradient(words, whole, point, residual, slope, gradient)
    value: float = prior + likelihood
    return value


def _log_density(size: int, point_: Any, gradient_: Any, value_: Any, buffer_: Any) -> int:
    """Answer nutpie: 0, or a number above 0 where density or gradient are not finite."""
    header = numba.carray(buffer_, (HEADER,), np.int64)
    length = header[HEADER - 1]
    words, whole = numba.carray(buffer_, (length,), np.float64), numba.carray(buffer_, (length,), np.int64)
    if size != whole[POINT]:
        return -1
    point, gradient = numba.carray(point_, (size,)), numba.carray(gradient_, (size,))
    value = evaluate_point(words, whole, point, gradient)
    value_[0] = value
    for k in range(size):
        if not isfinite(gradient[k]):
            return 3
    return 0 if isfinite(value) else 4


def _copy_point(size: int, expanded: int, point_: Any, out_: Any, buffer_: Any) -> int:
    """Answer nutpie's question for what is kept of a draw: the point itself."""
    if size != expanded:
        return -1
    for k in range(size):
        out_[k] = point_[k]
    return 0


_NUMBERS = types.CPointer(types.float64)  # type: ignore[attr-defined]
_DENSITY = types.int64(types.uint64, _NUMBERS, _NUMBERS, _NUMBERS, types.voidptr)
_KEEP = types.int64(types.uint64, types.uint64, _NUMBERS, _NUMBERS, types.voidptr)


def _compile_callback(signature: Any, function: Any) -> Any:
    """Compile for calls from C; keep the machine code on disk where a place for it can be written to."""
    try:
        return numba.cfunc(signature, cache=True, error_model="numpy")(function)
    except RuntimeError:  # no folder for the cache
        return numba.cfunc(signature, error_model="numpy")(function)


@cache
def compile_callbacks() -> tuple[Any, Any]:
    """Return density and copying as C callbacks with an `address`; after a first run from the cache on disk."""
    return _compile_callback(_DENSITY, _log_density), _compile_callback(_KEEP, _copy_point)
