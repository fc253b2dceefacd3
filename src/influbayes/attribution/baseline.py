"""The machine-learning baseline: LightGBM for the sign-up and for session minutes, in a fair trial.

Needs the extra `ml` (LightGBM). Takes features; makes learners for `folds.try_models`, importances, and the score of
the regressor. One thread and fixed seeds, so that numbers repeat.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd

from influbayes.attribution.features import Features
from influbayes.attribution.folds import Contender, Predict, split_users
from influbayes.attribution.history import HISTORY
from influbayes.attribution.journeys import FloatArray
from influbayes.errors import UsageError

PLAIN, WEIGHTED = "LightGBM", "LightGBM, sign-ups weighted"
LABELS_ONLY, EVERYTHING = "LightGBM, labels alone", "LightGBM, all features"
CONSTANT = "base rate"
TREES = 120
_SETTINGS: Mapping[str, Any] = {
    "num_leaves": 8,
    "learning_rate": 0.05,
    "min_data_in_leaf": 25,
    "lambda_l2": 5.0,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """What one feature does in the baseline: share of the gain, and of the mean absolute SHAP value (log-odds)."""

    feature: str
    gain: float
    shap: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MinutesScore:
    """How well minutes of a session are predicted for new users: R-squared and mean error, beside the median alone."""

    rows: int
    r_squared: float
    error: float
    error_of_median: float


def has_baseline() -> bool:
    """Return whether LightGBM is installed."""
    return find_spec("lightgbm") is not None


def learn_constant(frame: pd.DataFrame, outcome: FloatArray, seed: int) -> Predict:
    """Predict the training rate for everybody: what any model has to beat."""
    rate = float(outcome.mean())
    return lambda rows: np.full(len(rows), rate)


def learn_trees(frame: pd.DataFrame, outcome: FloatArray, seed: int) -> Predict:
    """Fit the LightGBM classifier, all rows alike."""
    booster = _train(frame, outcome, "binary", seed)
    return lambda rows: np.asarray(booster.predict(rows), dtype=np.float64)


def learn_weighted_trees(frame: pd.DataFrame, outcome: FloatArray, seed: int) -> Predict:
    """Fit the LightGBM classifier with sign-ups weighted up to the weight of the rest."""
    weight = (len(outcome) - outcome.sum()) / max(outcome.sum(), 1.0)
    booster = _train(frame, outcome, "binary", seed, scale_pos_weight=weight)
    return lambda rows: np.asarray(booster.predict(rows), dtype=np.float64)


def list_contenders(features: Features, uses: tuple[str, ...]) -> dict[str, Contender]:
    """Return the contenders that can run here, by name: without LightGBM the base rate alone.

    Parameters
    ----------
    features : Features
    uses : tuple of str
        The features that LightGBM shares with the hierarchical model. Beside these it is tried with their labels alone
        and with all features.
    """
    found = {CONSTANT: Contender(learner=learn_constant, uses=())}
    if not has_baseline():
        return found
    found[PLAIN] = Contender(learner=learn_trees, uses=uses)
    found[WEIGHTED] = Contender(learner=learn_weighted_trees, uses=uses)
    labels, every = tuple(name for name in uses if name not in HISTORY), tuple(map(str, features.frame))
    if labels and labels != uses:
        found[LABELS_ONLY] = Contender(learner=learn_trees, uses=labels)
    if set(every) != set(uses):
        found[EVERYTHING] = Contender(learner=learn_trees, uses=every)
    return found


def explain_trees(features: Features, *, seed: int = 20260101) -> tuple[Importance, ...]:
    """Return the importances of a classifier fitted to all rows, largest SHAP first.

    SHAP values are those of the trees, exact (Lundberg et al. 2018, arXiv:1802.03888), on the log-odds scale.
    """
    booster = _train(features.frame, features.outcome.astype(np.float64), "binary", seed)
    gain = np.asarray(booster.feature_importance("gain"), dtype=np.float64)
    shap = np.abs(np.asarray(booster.predict(features.frame, pred_contrib=True)))[:, :-1].mean(axis=0)
    rows = [
        Importance(feature=name, gain=float(a / max(gain.sum(), 1e-300)), shap=float(b / max(shap.sum(), 1e-300)))
        for name, a, b in zip(features.frame.columns, gain, shap, strict=True)
    ]
    return tuple(sorted(rows, key=lambda row: (-row.shap, row.feature)))


def score_minutes(features: Features, *, folds: int = 5, seed: int = 20260101) -> MinutesScore | None:
    """Return how well session minutes are predicted for users of other folds; None where fewer than 50 are known.

    The regressor is fitted to log(1 + minutes); errors are in minutes.
    """
    known = np.isfinite(features.minutes)
    if known.sum() < 50:
        return None
    frame, minutes = features.frame.loc[known], features.minutes[known]
    users = np.unique(features.user[known], return_inverse=True)[1]
    fold = split_users(features.outcome[known], users, folds=folds, seed=seed)
    said, plain = np.empty(len(minutes)), np.empty(len(minutes))
    for number in range(folds):
        held = fold == number
        booster = _train(frame.loc[~held], np.log1p(minutes[~held]), "regression_l1", seed)
        said[held] = np.expm1(np.asarray(booster.predict(frame.loc[held])))
        plain[held] = np.median(minutes[~held])
    log_said, log_true = np.log1p(np.maximum(said, 0)), np.log1p(minutes)
    variance = float(np.sum((log_true - log_true.mean()) ** 2))
    return MinutesScore(
        rows=int(known.sum()),
        r_squared=1.0 - float(np.sum((log_true - log_said) ** 2)) / max(variance, 1e-300),
        error=float(np.abs(said - minutes).mean()),
        error_of_median=float(np.abs(plain - minutes).mean()),
    )


def _train(frame: pd.DataFrame, outcome: FloatArray, objective: str, seed: int, **more: float) -> Any:
    if not has_baseline():
        raise UsageError('The baseline needs LightGBM. Install it with: pip install "influbayes[ml]"')
    import lightgbm

    settings = {**_SETTINGS, "objective": objective, "seed": seed % 2**31, **more}
    data = lightgbm.Dataset(frame, label=outcome, free_raw_data=True)
    return lightgbm.train(settings, data, num_boost_round=TREES)
