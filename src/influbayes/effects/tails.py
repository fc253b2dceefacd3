"""Where an observed number lies among replicated ones, also beyond the last of them.

Takes replicates and a number, gives a position from 0 to 1; knows no posts and no model.
"""

from __future__ import annotations

import numpy as np

from influbayes.hierarchy.design import FloatArray

_ENOUGH_BEYOND = 10
_ABOVE_ZERO = 1e-9


def locate_count(replicated: FloatArray, observed: float, trials: float) -> float:
    """Return the mid-p position (0 to 1) of a count among replicated counts out of `trials`.

    With fewer than 10 replicates on one side their share is too rough to judge by. The position is then that of the
    binomial with their mean, continued between whole numbers by the incomplete beta function, and the distance of the
    count from the mean is first scaled by how much more or less than that binomial the replicates spread.
    """
    share = _share_below(replicated, observed)
    if share is not None:
        return share
    from scipy.special import betaincc

    rate = (replicated.sum() + 0.5) / (replicated.size * trials + 1.0)
    mean, variance = rate * trials, trials * rate * (1.0 - rate)
    spread = float(replicated.var()) or variance
    scaled = mean + (observed - mean) * np.sqrt(variance / spread)
    at_or_below = betaincc(max(scaled + 1.0, _ABOVE_ZERO), max(trials - scaled, _ABOVE_ZERO), rate)
    below = betaincc(max(scaled, _ABOVE_ZERO), max(trials - scaled + 1.0, _ABOVE_ZERO), rate)
    return float(at_or_below + below) / 2.0


def locate_variance(replicated: FloatArray, observed: float) -> float:
    """Return the mid-p position of a variance; its cube root is nearly normal (Wilson and Hilferty 1931)."""
    share = _share_below(replicated, observed)
    if share is not None:
        return share
    from scipy.special import ndtr

    roots = np.cbrt(replicated)
    spread = float(roots.std())
    return float(ndtr((np.cbrt(observed) - float(roots.mean())) / spread)) if spread > 0 else float("nan")


def _share_below(replicated: FloatArray, observed: float) -> float | None:
    """Return the share of replicates below plus half of those equal, or None where fewer than 10 are on one side."""
    if not (np.isfinite(observed) and np.isfinite(replicated).all()):
        return float("nan")
    below = float((replicated < observed).sum() + 0.5 * (replicated == observed).sum())
    return below / len(replicated) if min(below, len(replicated) - below) >= _ENOUGH_BEYOND else None
