"""Splits by user and models on trial: every person on one side, the same share of sign-ups in each fold.

Takes features and learners (functions that fit and return a function that predicts); makes scores by fold, and pooled
predictions with intervals over users. Knows no particular model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from influbayes.attribution.features import Features
from influbayes.attribution.journeys import FloatArray, IntArray
from influbayes.attribution.scores import (
    Outcome,
    choose_threshold,
    compute_brier,
    compute_f1,
    compute_log_loss,
    compute_pr_auc,
    compute_roc_auc,
)

Predict = Callable[[pd.DataFrame], FloatArray]
Learner = Callable[[pd.DataFrame, FloatArray, int], Predict]

FOLDS, REPEATS = 5, 3
METRICS = ("roc_auc", "pr_auc", "log_loss", "brier", "accuracy", "f1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One metric of one model: `mean` and `sd` over all folds, with a bootstrap interval of the mean over users.

    The interval comes from the folds of the first repeat; F1 and accuracy have none (not-a-number).
    """

    model: str
    metric: str
    mean: float
    sd: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Models scored on the same folds.

    `chances` model -> (rows,) held-out chance of a sign-up, averaged over repeats; `outcome` (rows,) 0 or 1.
    `base_rate` is the share of sessions with a sign-up.
    """

    scores: tuple[Score, ...]
    chances: Mapping[str, FloatArray]
    outcome: IntArray
    user: IntArray
    base_rate: float
    folds: int
    repeats: int

    def pick(self, model: str, metric: str) -> Score:
        """Return a metric of a model."""
        return next(row for row in self.scores if (row.model, row.metric) == (model, metric))


def split_users(outcome: IntArray, user: IntArray, *, folds: int, seed: int) -> IntArray:
    """Return the fold of each row: users dealt out at random, those with a sign-up separately."""
    rng = np.random.default_rng(seed)
    signed = np.bincount(user, outcome) > 0
    fold = np.empty(len(signed), dtype=np.int64)
    for group in (np.flatnonzero(signed), np.flatnonzero(~signed)):
        fold[rng.permutation(group)] = np.arange(len(group)) % folds
    return fold[user]


def try_models(
    features: Features,
    learners: Mapping[str, Learner],
    *,
    folds: int = FOLDS,
    repeats: int = REPEATS,
    replicates: int = 200,
    prob: float = 0.9,
    seed: int = 20260101,
) -> Trial:
    """Return the scores of models on the same stratified, repeated, user-grouped folds.

    The threshold of accuracy and F1 is chosen inside the training part, on a fifth of its users.
    """
    outcome = features.outcome
    chances = {name: np.zeros((repeats, len(outcome))) for name in learners}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in learners}
    fold = np.stack([split_users(outcome, features.user, folds=folds, seed=seed + number) for number in range(repeats)])
    for repeat, number in np.ndindex(repeats, folds):
        held = fold[repeat] == number
        for name, learner in learners.items():
            chances[name][repeat, held], scores = _try_fold(features, held, learner, seed + repeat)
            found[name].append(scores)
    intervals = _bootstrap(features, fold, chances, replicates=replicates, prob=prob, seed=seed)
    return Trial(
        scores=tuple(_summarise(found, intervals)),
        chances={name: values.mean(axis=0) for name, values in chances.items()},
        outcome=outcome,
        user=features.user,
        base_rate=float(outcome.mean()),
        folds=folds,
        repeats=repeats,
    )


def _try_fold(
    features: Features, held: npt.NDArray[np.bool_], learner: Learner, seed: int
) -> tuple[FloatArray, dict[str, float]]:
    train = np.flatnonzero(~held)
    inner = split_users(features.outcome[train], features.user[train], folds=5, seed=seed + 1000) == 0
    tuned = learner(features.frame.iloc[train[~inner]], features.outcome[train[~inner]].astype(np.float64), seed)
    threshold = choose_threshold(features.outcome[train[inner]], tuned(features.frame.iloc[train[inner]]))
    predict = learner(features.frame.iloc[train], features.outcome[train].astype(np.float64), seed)
    chance = predict(features.frame.iloc[np.flatnonzero(held)])
    return chance, _score(features.outcome[held], chance, chance >= threshold)


def _score(outcome: IntArray, chance: FloatArray, called: npt.NDArray[np.bool_]) -> dict[str, float]:
    return {
        "roc_auc": compute_roc_auc(outcome, chance),
        "pr_auc": compute_pr_auc(outcome, chance),
        "log_loss": compute_log_loss(outcome, chance),
        "brier": compute_brier(outcome, chance),
        "accuracy": float(np.mean(called == (outcome > 0))),
        "f1": compute_f1(outcome, called),
    }


_SMOOTH: Mapping[str, Callable[[Outcome, FloatArray], float]] = {
    "roc_auc": compute_roc_auc,
    "pr_auc": compute_pr_auc,
    "log_loss": compute_log_loss,
    "brier": compute_brier,
}


def _summarise(
    found: Mapping[str, list[dict[str, float]]], intervals: Mapping[tuple[str, str], FloatArray]
) -> Iterator[Score]:
    for name, folds in found.items():
        for metric in METRICS:
            values = np.array([scores[metric] for scores in folds])
            lower, upper = intervals.get((name, metric), (np.nan, np.nan))
            yield Score(
                model=name,
                metric=metric,
                mean=float(np.nanmean(values)),
                sd=float(np.nanstd(values, ddof=1)),
                lower=float(lower),
                upper=float(upper),
            )


def _bootstrap(
    features: Features,
    fold: IntArray,
    chances: Mapping[str, FloatArray],
    *,
    replicates: int,
    prob: float,
    seed: int,
) -> dict[tuple[str, str], FloatArray]:
    """Return the intervals of the mean over folds when users are drawn anew; every model meets the same draws."""
    rng = np.random.default_rng(seed)
    people = int(features.user.max()) + 1
    drawn: dict[tuple[str, str], list[float]] = {}
    for _ in range(replicates):
        times = rng.multinomial(people, np.full(people, 1 / people))[features.user]
        for name, values in chances.items():
            for metric, mean in _measure_folds(features.outcome, fold, values, times).items():
                drawn.setdefault((name, metric), []).append(mean)
    tails = [(1 - prob) / 2, (1 + prob) / 2]
    return {key: np.asarray(np.nanquantile(values, tails)) for key, values in drawn.items()}


def _measure_folds(outcome: IntArray, fold: IntArray, chance: FloatArray, times: IntArray) -> dict[str, float]:
    """Return the mean of each smooth metric over the folds of the first repeat, rows counted `times` times."""
    rows = np.repeat(np.arange(len(outcome)), times)
    parts = [rows[fold[0, rows] == number] for number in range(int(fold.max()) + 1)]
    return {
        metric: float(np.nanmean([measure(outcome[part], chance[0, part]) for part in parts]))
        for metric, measure in _SMOOTH.items()
    }
