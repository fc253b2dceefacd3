"""Importance weights, Pareto-smoothed, with the diagnostic that says whether they can be trusted.

Takes log ratios of densities at draws; knows neither the densities nor the model.
"""

from __future__ import annotations

import numpy as np

from influbayes.hierarchy.design import FloatArray

_SMALLEST_TAIL = 5
_EQUAL = 1e-8


def smooth_log_weights(log_ratios: FloatArray) -> tuple[FloatArray, float]:
    """Return Pareto-smoothed log weights (sum of weights 1) and Pareto k of importance ratios (Vehtari et al. 2024).

    Ratios whose upper tail is equal to within 10^-8 need no smoothing and would break the Pareto fit: they are only
    normalised, with k = 0. Ratios too uneven to fit have k = inf; ratios that are not finite also have NaN weights.
    """
    from arviz_stats.base import array_stats
    from scipy.special import logsumexp

    flat = np.asarray(log_ratios, dtype=np.float64).ravel()
    if not np.isfinite(flat).all():
        return np.full_like(flat, np.nan), float("inf")
    tail = np.sort(flat)[-max(_SMALLEST_TAIL, int(np.ceil(min(flat.size / 5, 3 * np.sqrt(flat.size))))) :]
    if np.ptp(tail) < _EQUAL:
        return flat - logsumexp(flat), 0.0
    weights, k = array_stats.psislw(-flat)
    return np.asarray(weights, dtype=np.float64), float("inf") if np.isnan(k) else float(k)
