"""Scores of predicted chances against what happened: ROC AUC, PR AUC, log loss, Brier, curves. Plain numpy.

Takes outcomes (0/1) and scores; knows no model. Ties count half in the ROC AUC.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from influbayes.attribution.journeys import FloatArray

Outcome = npt.NDArray[np.float64] | npt.NDArray[np.int64]

_SMALL = 1e-12


def compute_roc_auc(outcome: Outcome, score: FloatArray) -> float:
    """Return the chance that a random 1 scores above a random 0 (ties half); not-a-number with one class only.

    Examples
    --------
    >>> compute_roc_auc(np.array([0, 1]), np.array([0.1, 0.9]))
    1.0
    """
    ones = outcome > 0
    count, rest = int(ones.sum()), int((~ones).sum())
    if not count or not rest:
        return float("nan")
    return float((rankdata(score)[ones].sum() - count * (count + 1) / 2) / (count * rest))


def compute_pr_auc(outcome: Outcome, score: FloatArray) -> float:
    """Return the average precision: the mean of precision over the positives, tied scores together."""
    recall, precision = trace_pr(outcome, score)
    return float(np.sum(np.diff(recall, prepend=0.0) * precision)) if len(recall) else float("nan")


def compute_log_loss(outcome: Outcome, chance: FloatArray) -> float:
    """Return the mean of -log of the chance given to what happened."""
    clipped = np.clip(chance, _SMALL, 1 - _SMALL)
    return float(-np.mean(np.where(outcome > 0, np.log(clipped), np.log1p(-clipped))))


def compute_brier(outcome: Outcome, chance: FloatArray) -> float:
    """Return the mean squared difference of chance and outcome."""
    return float(np.mean((chance - outcome) ** 2))


def compute_f1(outcome: Outcome, called: npt.NDArray[np.bool_]) -> float:
    """Return the harmonic mean of precision and recall; 0 where nothing is called rightly."""
    hits = float(np.sum((outcome > 0) & called))
    denominator = float(np.sum(called) + np.sum(outcome > 0))
    return 2 * hits / denominator if denominator else 0.0


def weigh_roc_auc(outcome: Outcome, score: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the ROC AUC (replicates,) with rows counted `weights` (replicates, rows) times; ties half.

    Examples
    --------
    >>> weigh_roc_auc(np.array([0, 1, 1]), np.array([0.1, 0.9, 0.0]), np.array([[1, 1, 0], [1, 1, 1]]))
    array([1. , 0.5])
    """
    hits, misses = _count_weighted(outcome, score, weights)
    new_hits, new_misses = np.diff(hits, prepend=0.0), np.diff(misses, prepend=0.0)
    below = misses[:, -1:] - misses + 0.5 * new_misses
    pairs = hits[:, -1] * misses[:, -1]
    return _divide((new_hits * below).sum(axis=1), pairs)


def weigh_pr_auc(outcome: Outcome, score: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the average precision (replicates,) with rows counted `weights` (replicates, rows) times."""
    hits, misses = _count_weighted(outcome, score, weights)
    count = hits + misses
    precision = np.divide(hits, count, out=np.zeros_like(hits), where=count > 0)
    total = (np.diff(hits, prepend=0.0) * precision).sum(axis=1)
    return _divide(total, hits[:, -1])


def weigh_log_loss(outcome: Outcome, chance: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the log loss (replicates,) with rows counted `weights` (replicates, rows) times."""
    clipped = np.clip(chance, _SMALL, 1 - _SMALL)
    losses = -np.where(outcome > 0, np.log(clipped), np.log1p(-clipped))
    return _divide(weights @ losses, weights.sum(axis=1))


def weigh_brier(outcome: Outcome, chance: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the Brier score (replicates,) with rows counted `weights` (replicates, rows) times."""
    return _divide(weights @ np.square(chance - outcome), weights.sum(axis=1))


def _divide(above: FloatArray, below: FloatArray) -> FloatArray:
    """Return the quotient, not-a-number where the divisor is 0."""
    return np.asarray(np.divide(above, below, out=np.full(len(below), np.nan), where=below > 0))


def _count_weighted(outcome: Outcome, score: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return weighted ones and zeros (replicates, distinct scores) at or above each score, the highest first."""
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    ones = (outcome[order] > 0).astype(np.float64)
    placed = weights[:, order]
    hits = np.cumsum(placed * ones, axis=1)[:, last]
    return hits, np.cumsum(placed, axis=1)[:, last] - hits


def choose_threshold(outcome: Outcome, score: FloatArray) -> float:
    """Return the score from which calling a sign-up has the best F1."""
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(outcome[order] > 0)
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + max(1, int((outcome > 0).sum())))
    return float(score[order][int(np.argmax(f1))])


def trace_roc(outcome: Outcome, score: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return false and true positive rates from 0 to 1, one point a distinct score."""
    hits, misses = _count_above(outcome, score)
    down = misses / max(misses[-1], 1) if len(misses) else misses
    up = hits / max(hits[-1], 1) if len(hits) else hits
    return np.concatenate([[0.0], down]), np.concatenate([[0.0], up])


def trace_pr(outcome: Outcome, score: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return recall and precision, one point a distinct score, the highest score first."""
    hits, misses = _count_above(outcome, score)
    if not len(hits) or not hits[-1]:
        return np.empty(0), np.empty(0)
    return hits / hits[-1], hits / (hits + misses)


def trace_calibration(outcome: Outcome, chance: FloatArray, *, bins: int = 10) -> tuple[FloatArray, FloatArray]:
    """Return the mean chance and the share of ones in groups of equal size, by chance."""
    order = np.argsort(chance, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return np.array([chance[part].mean() for part in parts]), np.array([outcome[part].mean() for part in parts])


def _count_above(outcome: Outcome, score: FloatArray) -> tuple[FloatArray, FloatArray]:
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1) if len(order) else np.empty(0, dtype=int)
    hits = np.cumsum(outcome[order] > 0)[last].astype(np.float64)
    return hits, last + 1.0 - hits
