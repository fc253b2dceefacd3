"""Rows of one factor's levels laid out so that sums over each level need no gathering.

Takes columns, outcomes and level codes. Rows of a level are cut into pieces of at most 16; the pieces, longest first,
are columns and the places within them `slots`, so that place k of all pieces is one contiguous block. Works through
levels in chunks that fit the processor's cache. Knows no priors.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from influbayes.hierarchy.design import FloatArray, IntArray
from influbayes.inference.likelihood import softplus

PIECE = 16
_CHUNK_ROWS = 3000
_LARGEST_PRODUCT = 40.0
_LARGEST_EXPONENT = 300.0
_BOUND = 700.0
_NOTHING = (0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Sums over the rows of each level at Q shifts, each (Q, levels, draws).

    `log` trials x log(1 + exp(x)); `mean` trials x p; `spread` trials x p (1 - p), p = inv_logit(x). Those not asked
    for are empty.
    """

    log: FloatArray
    mean: FloatArray
    spread: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Rows of some levels. `X` (n, P), `trials` (n,) in slot order; `members` (levels,) their codes.

    `edges` (slots + 1,) where each slot begins; `owner` (pieces,) and `row_owner` (n,) the level within the chunk;
    `conversions` (levels,) their sums. `order` and `starts` add pieces up to levels; None where each is one piece.
    `by_level` lists rows level by level, `level_start` and `level_rows` where each level's begin and how many.
    """

    X: FloatArray
    trials: FloatArray
    members: IntArray
    edges: IntArray
    owner: IntArray
    row_owner: IntArray
    conversions: FloatArray
    order: IntArray | None
    starts: IntArray
    by_level: IntArray
    level_start: IntArray
    level_rows: IntArray
    is_single: bool

    def add_rows(self, values: FloatArray) -> FloatArray:
        """Return sums over the rows of each level (levels, B) of values (n, B)."""
        total = np.zeros((1, len(self.owner), values.shape[1]))
        for low, high in self._slots():
            total[0, : high - low] += values[low:high]
        return np.asarray(self._join_pieces(total)[0])

    def sum_shifted(
        self, eta: FloatArray, shift: FloatArray, *, log: bool = True, mean: bool = False, spread: bool = False
    ) -> Sums:
        """Return the sums asked for over each level's rows, at eta (n, B) + shift (Q, levels, B)."""
        reach = max(float(np.abs(eta).max()), float(np.abs(shift).max()))
        if not reach < _LARGEST_EXPONENT:
            return self._sum_slowly(eta, shift, log, mean, spread)
        odds, factor = np.exp(eta), self._spread_pieces(np.exp(shift))
        product = self.is_single and float(eta.max()) + float(shift.max()) < _LARGEST_PRODUCT
        logs = np.full(factor.shape if log else _NOTHING, 1.0 if product else 0.0)
        means, spreads = np.zeros(factor.shape if mean else _NOTHING), np.zeros(factor.shape if spread else _NOTHING)
        room = np.empty_like(factor)
        for low, high in self._slots():
            at = slice(0, high - low)
            value = np.multiply(factor[:, at], odds[low:high], out=room[:, at])
            trials = None if self.is_single else self.trials[low:high, None]
            if mean or spread:
                p = value / (1.0 + value)
                weighted = p if trials is None else p * trials
                if mean:
                    means[:, at] += weighted
                if spread:
                    spreads[:, at] += weighted * (1.0 - p)
            if log:
                _gather_log(logs[:, at], value, trials, product)
        if log and product:
            np.log(logs, out=logs)
        return Sums(log=self._join_pieces(logs), mean=self._join_pieces(means), spread=self._join_pieces(spreads))

    def _sum_slowly(self, eta: FloatArray, shift: FloatArray, log: bool, mean: bool, spread: bool) -> Sums:
        """Do the same where exp could overflow."""
        trials = self.trials[:, None]
        at = [eta + one[self.row_owner] for one in shift]
        p = [1.0 / (1.0 + np.exp(-np.clip(x, -_BOUND, _BOUND))) for x in at] if mean or spread else []
        nothing = np.zeros(_NOTHING)
        return Sums(
            log=np.stack([self.add_rows(softplus(x) * trials) for x in at]) if log else nothing,
            mean=np.stack([self.add_rows(one * trials) for one in p]) if mean else nothing,
            spread=np.stack([self.add_rows(one * (1.0 - one) * trials) for one in p]) if spread else nothing,
        )

    def sum_pairs(self, eta: FloatArray, level: IntArray, draw: IntArray, shift: FloatArray) -> FloatArray:
        """Return the sum of trials x log(1 + exp(eta + shift)) for some pairs of a level and a draw (pairs,)."""
        counts = self.level_rows[level]
        first = np.cumsum(counts) - counts
        within = np.arange(int(counts.sum())) - np.repeat(first, counts)
        rows = self.by_level[np.repeat(self.level_start[level], counts) + within]
        x = eta[rows, np.repeat(draw, counts)] + np.repeat(shift, counts)
        return np.add.reduceat(softplus(x) * self.trials[rows], first)

    def add_scores(self, eta: FloatArray, shift: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return for one point the sums over rows of trials p x (Q, levels, P), and the mean trials p (1 - p) (n,).

        `eta` (n,), `shift` and `weights` (Q, levels); the mean is over the Q shifts by the level's weights.
        """
        shifted, own = self._spread_pieces(shift[..., None])[..., 0], self._spread_pieces(weights[..., None])[..., 0]
        scores = np.zeros((*shifted.shape, self.X.shape[1]))
        spread = np.empty(len(eta))
        for low, high in self._slots():
            count = high - low
            x = np.clip(shifted[:, :count] + eta[low:high], -_BOUND, _BOUND)
            p = 1.0 / (1.0 + np.exp(-x))
            weighted = p * self.trials[low:high]
            spread[low:high] = (weighted * (1.0 - p) * own[:, :count]).sum(axis=0)
            for k in range(self.X.shape[1]):
                scores[:, :count, k] += weighted * self.X[low:high, k]
        return self._join_pieces(scores), spread

    def _slots(self) -> list[tuple[int, int]]:
        return list(pairwise(self.edges.tolist()))

    def _spread_pieces(self, values: FloatArray) -> FloatArray:
        """Return (Q, pieces, B) from (Q, levels, B)."""
        return values if self.order is None else np.ascontiguousarray(values[:, self.owner])

    def _join_pieces(self, values: FloatArray) -> FloatArray:
        """Return (Q, levels, B) from (Q, pieces, B)."""
        if self.order is None or not values.size:
            return values
        return np.asarray(np.add.reduceat(values[:, self.order], self.starts, axis=1))


def _gather_log(logs: FloatArray, value: FloatArray, trials: FloatArray | None, product: bool) -> None:
    """Add trials x log(1 + value) to `logs`, or where `product` multiply 1 + value into it; `value` is used up."""
    value += 1.0
    if product:
        logs *= value
        return
    np.log(value, out=value)
    if trials is not None:
        value *= trials
    logs += value


def cut_chunks(X: FloatArray, conversions: FloatArray, trials: FloatArray, codes: IntArray) -> tuple[Chunk, ...]:
    """Lay out rows by level; every level has at least one row, codes run from 0."""
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes)
    ends = np.cumsum(counts)
    chunk_of = (ends - counts) // _CHUNK_ROWS
    chunks = []
    for number in np.unique(chunk_of):
        members = np.flatnonzero(chunk_of == number)
        rows = order[ends[members[0]] - counts[members[0]] : ends[members[-1]]]
        chunks.append(_lay_out(X[rows], conversions[rows], trials[rows], codes[rows]))
    return tuple(chunks)


def _lay_out(X: FloatArray, conversions: FloatArray, trials: FloatArray, codes: IntArray) -> Chunk:
    """Lay out rows that are sorted by level."""
    members, first, counts = np.unique(codes, return_index=True, return_counts=True)
    place = np.arange(len(codes)) - np.repeat(first, counts)
    level = np.repeat(np.arange(len(members)), counts)
    piece = np.cumsum((place % PIECE == 0).astype(np.int64)) - 1
    sizes = np.bincount(piece)
    longest_first = np.argsort(-sizes, kind="stable")
    rank = np.empty_like(longest_first)
    rank[longest_first] = np.arange(len(sizes))
    order = np.lexsort((rank[piece], place % PIECE))
    owner = level[np.flatnonzero(place % PIECE == 0)][longest_first]
    single_piece = len(sizes) == len(members)
    new_number = np.arange(len(members))
    if single_piece:  # number the levels by their piece, so that nothing needs gathering
        new_number[owner] = np.arange(len(members))
    level = new_number[level]
    by_code = np.argsort(new_number)
    row_owner = level[order]
    return Chunk(
        X=np.ascontiguousarray(X[order]),
        trials=trials[order],
        members=members[by_code],
        edges=np.concatenate(([0], np.cumsum(np.bincount((place % PIECE)[order])))),
        owner=new_number[owner],
        row_owner=row_owner,
        conversions=np.bincount(level, weights=conversions),
        order=None if single_piece else np.argsort(owner, kind="stable"),
        starts=np.searchsorted(np.sort(owner), np.arange(len(members))),
        by_level=np.argsort(row_owner, kind="stable"),
        level_start=np.searchsorted(np.sort(row_owner), np.arange(len(members))),
        level_rows=np.bincount(level),
        is_single=bool((trials == 1.0).all()),
    )
