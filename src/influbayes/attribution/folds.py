"""Splits by user and models on trial: every person on one side, the same share of sign-ups in each fold.

Takes features and learners (functions that fit and return a function that predicts); makes scores by fold, and pooled
predictions with intervals over users. Knows no particular model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

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
    weigh_brier,
    weigh_log_loss,
    weigh_pr_auc,
    weigh_roc_auc,
)

Predict = Callable[[pd.DataFrame], FloatArray]
Learner = Callable[[pd.DataFrame, FloatArray, int], Predict]

FOLDS, REPEATS = 5, 3
METRICS = ("roc_auc", "roc_auc_last", "pr_auc", "log_loss", "log_loss_gain", "brier", "accuracy", "f1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One metric of one model: `mean` and `sd` over all folds, with a bootstrap interval of the mean over users.

    `roc_auc_last` is the ROC AUC among the last sessions of all users; `log_loss_gain` is how far the log loss is below
    that of the base rate (0 without a base rate on trial). The interval comes from the folds of the first repeat; F1
    and accuracy have none (not-a-number).
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

    `chances` model -> (rows,) held-out chance of a sign-up, averaged over repeats; `uses` model -> its features;
    `outcome` (rows,) 0 or 1. `base_rate` is the share of sessions with a sign-up, `share_last` that of the sign-ups
    that are their user's last session.
    """

    scores: tuple[Score, ...]
    chances: Mapping[str, FloatArray]
    uses: Mapping[str, tuple[str, ...]]
    outcome: IntArray
    user: IntArray
    base_rate: float
    share_last: float
    folds: int
    repeats: int

    def pick(self, model: str, metric: str) -> Score:
        """Return a metric of a model."""
        return next(row for row in self.scores if (row.model, row.metric) == (model, metric))


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A learner and the features it may use."""

    learner: Learner
    uses: tuple[str, ...]


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
    contenders: Mapping[str, Contender],
    *,
    folds: int = FOLDS,
    repeats: int = REPEATS,
    replicates: int = 200,
    prob: float = 0.9,
    seed: int = 20260101,
    base: str | None = None,
    progress: Callable[[float], None] | None = None,
) -> Trial:
    """Return the scores of models on the same stratified, repeated, user-grouped folds.

    The threshold of accuracy and F1 is the one that is best on the held-out predictions of the other folds. `base`
    names the contender that `log_loss_gain` compares with; `progress` is told the share done.
    """
    outcome = features.outcome
    chances = {name: np.zeros((repeats, len(outcome))) for name in contenders}
    fold = np.stack([split_users(outcome, features.user, folds=folds, seed=seed + number) for number in range(repeats)])
    for done, (repeat, number) in enumerate(np.ndindex(repeats, folds)):
        held = fold[repeat] == number
        for name, contender in contenders.items():
            chances[name][repeat, held] = _predict_fold(features, held, contender, seed + repeat)
        if progress is not None:
            progress((done + 1) / (repeats * folds))
    found = {name: _score_folds(features, fold, chances, name, base) for name in contenders}
    intervals = _bootstrap(features, fold[0], chances, base=base, replicates=replicates, prob=prob, seed=seed)
    return Trial(
        scores=tuple(_summarise(found, intervals)),
        chances={name: values.mean(axis=0) for name, values in chances.items()},
        uses={name: contender.uses for name, contender in contenders.items()},
        outcome=outcome,
        user=features.user,
        base_rate=float(outcome.mean()),
        share_last=float(features.last[outcome > 0].mean()) if outcome.any() else float("nan"),
        folds=folds,
        repeats=repeats,
    )


def leave_out_model(trial: Trial, name: str) -> Trial:
    """Return the trial without one of its models."""
    return replace(
        trial,
        scores=tuple(row for row in trial.scores if row.model != name),
        chances={model: values for model, values in trial.chances.items() if model != name},
        uses={model: names for model, names in trial.uses.items() if model != name},
    )


def _predict_fold(features: Features, held: npt.NDArray[np.bool_], contender: Contender, seed: int) -> FloatArray:
    frame = features.frame[list(contender.uses)]
    train = np.flatnonzero(~held)
    predict = contender.learner(frame.iloc[train], features.outcome[train].astype(np.float64), seed)
    return predict(frame.iloc[np.flatnonzero(held)])


def _score_folds(
    features: Features, fold: IntArray, chances: Mapping[str, FloatArray], name: str, base: str | None
) -> list[dict[str, float]]:
    """Return every metric of a model on every fold of every repeat."""
    outcome, found = features.outcome, []
    for repeat, number in np.ndindex(len(fold), int(fold.max()) + 1):
        held, chance = fold[repeat] == number, chances[name][repeat]
        threshold = choose_threshold(outcome[~held], chance[~held])
        plain = chance if base is None else chances[base][repeat]
        loss = compute_log_loss(outcome[held], chance[held])
        called, last = chance[held] >= threshold, held & features.last
        found.append(
            {
                "roc_auc": compute_roc_auc(outcome[held], chance[held]),
                "roc_auc_last": compute_roc_auc(outcome[last], chance[last]),
                "pr_auc": compute_pr_auc(outcome[held], chance[held]),
                "log_loss": loss,
                "log_loss_gain": compute_log_loss(outcome[held], plain[held]) - loss,
                "brier": compute_brier(outcome[held], chance[held]),
                "accuracy": float(np.mean(called == (outcome[held] > 0))),
                "f1": compute_f1(outcome[held], called),
            }
        )
    return found


def _summarise(
    found: Mapping[str, list[dict[str, float]]], intervals: Mapping[tuple[str, str], FloatArray]
) -> Iterator[Score]:
    for name, folds in found.items():
        for metric in METRICS:
            values = np.array([scores[metric] for scores in folds])
            known = values[np.isfinite(values)]
            lower, upper = intervals.get((name, metric), (np.nan, np.nan))
            yield Score(
                model=name,
                metric=metric,
                mean=float(known.mean()) if len(known) else float("nan"),
                sd=float(known.std(ddof=1)) if len(known) > 1 else float("nan"),
                lower=float(lower),
                upper=float(upper),
            )


def _bootstrap(
    features: Features,
    fold: IntArray,
    chances: Mapping[str, FloatArray],
    *,
    base: str | None,
    replicates: int,
    prob: float,
    seed: int,
) -> dict[tuple[str, str], FloatArray]:
    """Return the intervals of the mean over folds when users are drawn anew; every model meets the same draws."""
    rng = np.random.default_rng(seed)
    people = int(features.user.max()) + 1
    weights = rng.multinomial(people, np.full(people, 1 / people), size=replicates)[:, features.user].astype(np.float64)
    drawn: dict[tuple[str, str], FloatArray] = {}
    for name, values in chances.items():
        for metric, means in _measure_folds(features, fold, values[0], weights).items():
            drawn[name, metric] = means
    for name in chances:
        drawn[name, "log_loss_gain"] = drawn[base or name, "log_loss"] - drawn[name, "log_loss"]
    tails = [(1 - prob) / 2, (1 + prob) / 2]
    known = {key: values for key, values in drawn.items() if np.isfinite(values).any()}
    return {key: np.asarray(np.nanquantile(values, tails)) for key, values in known.items()}


def _measure_folds(
    features: Features, fold: IntArray, chance: FloatArray, weights: FloatArray
) -> dict[str, FloatArray]:
    """Return the mean over the folds (replicates,) of each smooth metric, rows counted `weights` times."""
    parts: dict[str, list[FloatArray]] = {}
    for number in range(int(fold.max()) + 1):
        held = fold == number
        for metric, measure in _SMOOTH.items():
            rows = np.flatnonzero(held & features.last if metric == "roc_auc_last" else held)
            values = measure(features.outcome[rows], chance[rows], weights[:, rows])
            parts.setdefault(metric, []).append(values)
    return {metric: _average(np.stack(values)) for metric, values in parts.items()}


def _average(values: FloatArray) -> FloatArray:
    """Return the mean over the first axis of the numbers that are known."""
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.asarray(np.divide(total, known.sum(axis=0), out=np.full(len(total), np.nan), where=known.any(axis=0)))


_SMOOTH: Mapping[str, Callable[[Outcome, FloatArray, FloatArray], FloatArray]] = {
    "roc_auc": weigh_roc_auc,
    "roc_auc_last": weigh_roc_auc,
    "pr_auc": weigh_pr_auc,
    "log_loss": weigh_log_loss,
    "brier": weigh_brier,
}
