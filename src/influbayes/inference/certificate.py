"""What must hold before the exact engine's draws may be used: a mapping name -> value, threshold, passed.

Takes the numbers of one run; knows no model. Not-a-number fails every entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from influbayes.hierarchy.design import FloatArray
from influbayes.inference.pareto import estimate_pareto_k

Certificate = Mapping[str, Mapping[str, Any]]

MIN_ACCEPTANCE = 0.4
"""Smallest share of accepted proposals."""

MAX_PARETO_K = 0.7
"""Pareto k of the weights above which a few of them rule the chain (Vehtari et al. 2024, arXiv:1507.02646)."""

MAX_LOG_WEIGHT_VARIANCE = 0.05
"""Variance of the log weights below which they are as good as equal, and k (free of scale) says nothing."""

MAX_NEWTON_GAIN = 1e-3
"""Log density the last Newton step still promised at the worst node; above it the mode was not found."""

MAX_CONDITION = 1e10
"""Condition number of the scaled precision above which its Cholesky factor loses too many digits."""

MAX_QUADRATURE_SD = 0.05
"""Sd over draws of the change of the log likelihood with more nodes. No mean moves by more than this many sds."""

MAX_MISFIT = 2.2
"""Largest mean square of the residuals in any direction; 1 where the Normal fits, more where it is narrow or off."""

MAX_REACH = 1.45
"""How far the states' 10 % to 90 % range may lie beyond the proposals', in proposals' half ranges, for every number."""

MIN_MOVEMENT = 0.05
"""Smallest share of different values among the states of a chain, over all coefficients and scales."""


def judge_value(value: float, threshold: float, *, at_least: bool = False) -> Mapping[str, Any]:
    """Return one entry; a value that is not finite fails."""
    inside = value >= threshold if at_least else value <= threshold
    return {"value": float(value), "threshold": threshold, "passed": bool(np.isfinite(value) and inside)}


def judge_weights(log_weights: FloatArray) -> Certificate:
    """Judge the weights of all proposals: their variance where it is tiny, else their Pareto k."""
    finite = log_weights[np.isfinite(log_weights)]
    variance = float(np.var(finite)) if len(finite) else np.nan
    if len(finite) == len(log_weights) and variance < MAX_LOG_WEIGHT_VARIANCE:
        return {"log_weight_variance": judge_value(variance, MAX_LOG_WEIGHT_VARIANCE)}
    return {"pareto_k": judge_value(estimate_pareto_k(log_weights), MAX_PARETO_K)}


def judge_residuals(residuals: FloatArray) -> Mapping[str, Any]:
    """Judge the residuals (S, P) of the chain's states by the largest eigenvalue of their second moments."""
    if not np.isfinite(residuals).all():
        return judge_value(np.nan, MAX_MISFIT)
    moments = residuals.T @ residuals / len(residuals)
    return judge_value(float(np.linalg.eigvalsh(moments)[-1]), MAX_MISFIT)


def measure_reach(states: FloatArray, proposed: FloatArray) -> float:
    """Return how much farther from the proposals' median the states reach than the proposals do, at 10 % and 90 %.

    Both are (S, columns); the largest ratio of all columns and both sides, 1 where states are distributed as proposals.
    """
    if not (np.isfinite(states).all() and np.isfinite(proposed).all()):
        return float("nan")
    low, middle, high = np.quantile(proposed, (0.1, 0.5, 0.9), axis=0)
    state_low, state_high = np.quantile(states, (0.1, 0.9), axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.concatenate(((state_high - middle) / (high - middle), (middle - state_low) / (middle - low)))
    return float(ratios.max())


def measure_movement(states: FloatArray) -> float:
    """Return the smallest share of different values in a chain, over chains and columns of (chain, draw, column)."""
    if not np.isfinite(states).all():
        return float("nan")
    ordered = np.sort(states, axis=1)
    return float((1.0 + (np.diff(ordered, axis=1) != 0).sum(axis=1)).min() / states.shape[1])


def count_infinite(*arrays: FloatArray) -> float:
    """Return how many numbers are not finite."""
    return float(sum(int((~np.isfinite(array)).sum()) for array in arrays))


def is_certified(certificate: Certificate | None) -> bool:
    """Return whether there is a certificate and every entry of it passed with a finite value."""
    if not certificate:
        return False
    return all(
        entry.get("passed") is True and np.isfinite(entry.get("value", np.nan)) for entry in certificate.values()
    )
