"""The sign-up model on held-out folds: the exact engine fits each training part, new users come from the population.

Takes the sessions as rows of the model and a specification; makes a learner for `folds.try_models`. A user of a
held-out fold is new to the model: the effect of users is integrated out over its posterior, and so is that of a level
no training row has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from influbayes.attribution.folds import Learner, Predict
from influbayes.attribution.journeys import FloatArray
from influbayes.hierarchy.design import Design, build_design, encode_rows
from influbayes.hierarchy.posterior import Fit
from influbayes.hierarchy.predict import expected_value
from influbayes.hierarchy.spec import Specification
from influbayes.inference.certificate import is_certified
from influbayes.inference.engine import fit_model
from influbayes.tables.posts import PostsTable

HIERARCHICAL = "hierarchical model"
DRAWS = (300, 1200)
"""Draws a chain; the second where a run of the first is not certified, which few draws are by chance."""


def make_learner(
    rows: PostsTable,
    spec: Specification,
    *,
    draws: Sequence[int] = DRAWS,
    record: Callable[[Fit], None] | None = None,
) -> Learner:
    """Return a learner that fits the sign-up model with the exact engine.

    Parameters
    ----------
    rows : PostsTable
        All sessions, from `signup.make_rows`; features carry the index of its frame.
    spec : Specification
        The model, from `signup.fit_to_sessions`.
    draws : sequence of int
        Draws a chain, tried in turn until a run is certified; chances are means over all draws.
    record : callable, optional
        Told every fit that predicts, so that its certificate can be judged.

    Returns
    -------
    callable
        Features, outcome and seed -> a function from features to the mean chance of each row.
    """

    def learn(frame: pd.DataFrame, outcome: FloatArray, seed: int) -> Predict:
        train = rows.frame.loc[frame.index].assign(conversions=outcome.astype(np.int64))
        design = build_design(replace(rows, frame=train), spec, question="as_bought")
        fit = _fit_in_turn(design, draws, seed)
        if record is not None:
            record(fit)
        return lambda held: predict_chances(fit, rows.frame.loc[held.index])

    return learn


def _fit_in_turn(design: Design, draws: Sequence[int], seed: int) -> Fit:
    for count in draws:
        fit = fit_model(design, engine="laplace", draws=count, seed=seed)
        if is_certified(fit.run.certificate):
            break
    return fit


def predict_chances(fit: Fit, frame: pd.DataFrame) -> FloatArray:
    """Return the posterior mean chance of a sign-up for each row (rows,), levels unseen drawn from their population."""
    given = encode_rows(fit.design, frame)
    alike = np.column_stack([given.x, *given.codes.values()])
    _, first, place = np.unique(alike, axis=0, return_index=True, return_inverse=True)
    codes = {name: code[first] for name, code in given.codes.items()}
    some = replace(given, x=given.x[first], raw=given.raw[first], codes=codes)
    return np.asarray(expected_value(fit, some).mean(axis=(0, 1))[np.ravel(place)], dtype=np.float64)
