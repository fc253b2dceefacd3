"""Do posts convert as often as predicted? Isotonic calibration of leave-one-out probabilities.

Takes a fit and its leave-one-out result. Each post is predicted without its own outcome: with creators in the model a
post's own outcome would pull its prediction towards itself, and even a right model would look too cautious.
"""

from __future__ import annotations

import numpy as np

from influbayes.effects.criticism import Calibration
from influbayes.effects.leave_one_out import LooResult, estimate_loo
from influbayes.hierarchy.design import FloatArray, IntArray
from influbayes.hierarchy.posterior import Fit

BINS = 1_000
POINTS = 100
BAND_TABLES = 1_000


def estimate_calibration(fit: Fit, *, seed: int, loo: LooResult | None = None) -> Calibration:
    """Estimate how often posts convert at each predicted probability.

    Rows are sorted by the probability predicted for them without their own outcome, in at most 1,000 bins of like
    predictions; the band comes from the isotonic fit of 1,000 tables drawn with exactly these probabilities
    (Dimitriadis et al. 2021, doi:10.1073/pnas.2016191118).

    Parameters
    ----------
    fit : Fit
    seed : int
        Seed of the drawn tables.
    loo : LooResult, optional
        `estimate_loo(fit)`, where already computed; it may use an even sample of the rows.

    Returns
    -------
    Calibration
        At most 100 points, probabilities 0 to 1.
    """
    from scipy.optimize import isotonic_regression

    given = estimate_loo(fit) if loo is None else loo
    outcome, count = fit.design.conversions[given.rows], fit.design.trials[given.rows]
    bins = _bin_predictions(given.probabilities)
    trials = np.bincount(bins, count)
    observed = isotonic_regression(np.bincount(bins, outcome) / trials, weights=trials).x
    rng = np.random.default_rng(seed)
    drawn = rng.binomial(count, given.probabilities, (BAND_TABLES, len(count)))
    fits = np.stack([isotonic_regression(np.bincount(bins, table) / trials, weights=trials).x for table in drawn])
    lower, upper = np.quantile(fits, [0.005, 0.995], axis=0)
    predicted = np.bincount(bins, given.probabilities * count) / trials
    shown = np.unique(np.linspace(0, len(trials) - 1, min(POINTS, len(trials))).astype(np.int64))
    return Calibration(predicted=predicted[shown], observed=observed[shown], lower=lower[shown], upper=upper[shown])


def _bin_predictions(mean: FloatArray) -> IntArray:
    """Number at most 1,000 bins in order of prediction; equal predictions share a bin."""
    _, places, counts = np.unique(np.round(mean, 12), return_inverse=True, return_counts=True)
    middle = (np.cumsum(counts) - counts / 2.0) / len(mean)
    bins = np.arange(len(counts)) if len(counts) <= BINS else (BINS * middle).astype(np.int64)
    return np.unique(bins, return_inverse=True)[1][places].astype(np.int64)
