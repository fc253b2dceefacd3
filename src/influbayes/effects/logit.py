"""One logistic regression by Newton's method, with or without normal priors; counts may be fractions.

Takes arrays; knows no design and no names. Used to take the gap between fits apart, not for reported intervals.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from influbayes.hierarchy.design import FloatArray

_STEPS = 100
_SMALL = 1e-10
_HALVINGS = 30


def fit_normal_logit(
    X: FloatArray,
    successes: FloatArray,
    trials: FloatArray,
    *,
    precision: FloatArray | None = None,
    centre: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Return the coefficients that maximise the logistic likelihood times normal priors, and the information there.

    Parameters
    ----------
    X : (rows, columns) array
    successes, trials : (rows,) arrays
        Counts; fractions are allowed, as expected counts are.
    precision, centre : (columns,) arrays, optional
        1 / sd^2 and mean of the normal priors; by default none, which is maximum likelihood.

    Returns
    -------
    (coefficients (columns,), information)
        `information` (columns, columns) is the negative second derivative at the coefficients.

    Notes
    -----
    Without priors under separation the coefficients run away: look for separation first.
    """
    weight = np.zeros(X.shape[1]) if precision is None else precision
    middle = np.zeros(X.shape[1]) if centre is None else centre
    now = middle.copy()
    value = _score(X, successes, trials, now, weight, middle)
    information = np.diag(weight)
    for _ in range(_STEPS):
        p = expit(X @ now)
        slope = X.T @ (successes - trials * p) - weight * (now - middle)
        information = (X * (trials * p * (1 - p))[:, None]).T @ X + np.diag(weight)
        step = np.linalg.lstsq(information, slope, rcond=None)[0]
        now, value, moved = _move(X, successes, trials, now, step, value, weight, middle)
        if moved < _SMALL:
            break
    return now, np.asarray(information)


def _move(
    X: FloatArray,
    successes: FloatArray,
    trials: FloatArray,
    now: FloatArray,
    step: FloatArray,
    value: float,
    weight: FloatArray,
    middle: FloatArray,
) -> tuple[FloatArray, float, float]:
    """Take the step, halved until it does not lower the objective."""
    for k in range(_HALVINGS):
        there = now + step / 2**k
        reached = _score(X, successes, trials, there, weight, middle)
        if reached >= value - _SMALL:
            return there, reached, float(np.abs(there - now).max(initial=0.0))
    return now, value, 0.0


def _score(
    X: FloatArray, successes: FloatArray, trials: FloatArray, at: FloatArray, weight: FloatArray, middle: FloatArray
) -> float:
    eta = X @ at
    return float((successes * eta - trials * np.logaddexp(0, eta)).sum() - 0.5 * (weight * (at - middle) ** 2).sum())
