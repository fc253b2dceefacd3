"""Exact draws of level effects: rejection from an exponential envelope of three tangents.

Takes one chunk of levels and a block of draws. Given coefficients and scale the density of z (effect = s z) is
log-concave, so tangents lie above its log; they touch at the mode and 1.2 widths to both sides. Source: Gilks and Wild
(1992), doi:10.2307/2347565.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from influbayes.hierarchy.design import FloatArray, IntArray
from influbayes.inference.levels import Chunk

_REACH = 1.2
_WIDENINGS = 60
_ROUNDS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Three tangents: points, heights and slopes (3, N), the two places where they cross and the mass of each piece."""

    point: FloatArray
    height: FloatArray
    slope: FloatArray
    left: FloatArray
    right: FloatArray
    cumulative: FloatArray

    def pick(self, at: IntArray) -> Envelope:
        """Return the envelopes of some of the N densities."""
        return Envelope(
            point=self.point[:, at],
            height=self.height[:, at],
            slope=self.slope[:, at],
            left=self.left[at],
            right=self.right[at],
            cumulative=self.cumulative[:, at],
        )

    def draw(self, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """Return one draw from each envelope (N,) and the log envelope there."""
        count = len(self.left)
        pick, u = rng.random(count) * self.cumulative[2], 1.0 - rng.random(count)
        piece = (pick > self.cumulative[0]).astype(np.int64) + (pick > self.cumulative[1])
        slope = self.slope[piece, np.arange(count)]
        outer = np.where(piece == 0, self.left, self.right) + np.log(u) / _avoid_zero(slope)
        z = np.where(piece == 1, _draw_middle(u, slope, self.left, self.right), outer)
        height = self.height[piece, np.arange(count)] + slope * (z - self.point[piece, np.arange(count)])
        return z, height


def _draw_middle(u: FloatArray, slope: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
    """Draw from exp(slope z) between left and right."""
    rise = slope * (right - left)
    flat = np.abs(rise) < 1e-7
    safe = np.where(flat, 1.0, rise)
    # measured from the higher end, so that nothing overflows
    share = np.where(
        safe > 0, 1.0 + np.log1p(-u * -np.expm1(-np.abs(safe))) / safe, np.log1p(-u * -np.expm1(-np.abs(safe))) / safe
    )
    return np.asarray(left + np.where(flat, u, share) * (right - left))


def _avoid_zero(slope: FloatArray) -> FloatArray:
    return np.where(np.abs(slope) < 1e-300, 1e-300, slope)


def make_envelope(point: FloatArray, height: FloatArray, slope: FloatArray) -> Envelope:
    """Make the envelope of N log-concave densities from tangents at three ascending points each (3, N).

    The first slope must be positive and the last negative.
    """
    base = height - slope * point
    left = (base[1] - base[0]) / (slope[0] - slope[1])
    right = (base[2] - base[1]) / (slope[1] - slope[2])
    rise = slope[1] * (right - left)
    flat = np.abs(rise) < 1e-7
    top = np.maximum(base[1] + slope[1] * left, base[1] + slope[1] * right)
    share = np.where(flat, 1.0, -np.expm1(-np.abs(rise)) / np.where(flat, 1.0, np.abs(rise)))
    logs = np.stack(
        (
            base[0] + slope[0] * left - np.log(slope[0]),
            top + np.log(share * np.maximum(right - left, 1e-300)),
            base[2] + slope[2] * right - np.log(-slope[2]),
        )
    )
    mass = np.exp(logs - logs.max(axis=0))
    return Envelope(point=point, height=height, slope=slope, left=left, right=right, cumulative=np.cumsum(mass, axis=0))


def draw_level_effects(
    chunk: Chunk, eta: FloatArray, scale: FloatArray, z: FloatArray, width: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Draw z of every level and draw from its exact conditional.

    Parameters
    ----------
    chunk : Chunk
    eta : (n, B) array
        Linear predictor of the rows without the level effects.
    scale : (B,) array
    z, width : (levels, B) arrays
        Modes and widths, about.
    rng : Generator

    Returns
    -------
    ndarray
        (levels, B).
    """
    envelope = _touch(chunk, eta, scale, z, width)
    shape = z.shape
    result, height = envelope.draw(rng)
    value = _evaluate_all(chunk, eta, scale, result.reshape(shape)).ravel()
    waiting = np.flatnonzero(np.log(1.0 - rng.random(result.size)) > value - height)
    for _ in range(_ROUNDS):
        if not len(waiting):
            return result.reshape(shape)
        level, draw = np.divmod(waiting, shape[1])
        trial, height = envelope.pick(waiting).draw(rng)
        value = chunk.conversions[level] * scale[draw] * trial - 0.5 * trial**2
        value -= chunk.sum_pairs(eta, level, draw, scale[draw] * trial)
        good = np.log(1.0 - rng.random(len(waiting))) <= value - height
        result[waiting[good]] = trial[good]
        waiting = waiting[~good]
    result[waiting] = np.nan  # never seen; not-a-number fails the certificate
    return result.reshape(shape)


def _evaluate_all(chunk: Chunk, eta: FloatArray, scale: FloatArray, z: FloatArray) -> FloatArray:
    sums = chunk.sum_shifted(eta, (scale * z)[None])
    return np.asarray(chunk.conversions[:, None] * scale * z - sums.log[0] - 0.5 * z**2)


def _touch(chunk: Chunk, eta: FloatArray, scale: FloatArray, z: FloatArray, width: FloatArray) -> Envelope:
    """Make the envelopes; the outer points move outwards until the log density falls beyond both."""
    left, right = z - _REACH * width, z + _REACH * width
    for _ in range(_WIDENINGS):
        point = np.stack((left, 0.5 * (left + right), right))
        sums = chunk.sum_shifted(eta, scale * point, mean=True)
        slope = scale * (chunk.conversions[:, None] - sums.mean) - point
        rising, falling = slope[0] > 0, slope[2] < 0
        if rising.all() and falling.all():
            break
        left, right = np.where(rising, left, left - 2.0 * width), np.where(falling, right, right + 2.0 * width)
    height = chunk.conversions[:, None] * scale * point - sums.log - 0.5 * point**2
    return make_envelope(*(part.reshape(3, -1) for part in (point, height, slope)))
