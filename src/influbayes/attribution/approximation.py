"""The sign-up model on held-out folds: a quick normal approximation of the same hierarchical model.

Fitting the full model on every fold takes long; here the scales are set at their approximate posterior mode and the
effects are normal around theirs (Laplace). The effect of users is left out, because the users of a held-out fold are
new: for them the model knows the population only. Takes a specification; makes a learner for `folds.try_models`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from influbayes.attribution.folds import Learner, Predict
from influbayes.attribution.journeys import FloatArray, IntArray
from influbayes.hierarchy.priors import log_density_scale
from influbayes.hierarchy.spec import FactorTerm, Specification
from influbayes.tables.sessions import USER

HIERARCHICAL = "hierarchical model"
_START = 0.5
_NEWTON_STEPS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cells:
    """Rows grouped into cells of equal levels: design (cells, coefficients), trials and sign-ups."""

    design: FloatArray
    trials: FloatArray
    sign_ups: FloatArray
    block: IntArray


def make_learner(spec: Specification) -> Learner:
    """Return a learner of the sign-up model's factors that the features hold, users left out."""

    def learn(frame: pd.DataFrame, outcome: FloatArray, seed: int) -> Predict:
        terms = [term for term in spec.factors if term.column in frame and term.column != USER]
        levels = {term.column: sorted(map(str, frame[term.column].unique())) for term in terms}
        codes = {name: _code(frame[name], known) for name, known in levels.items()}
        cells = _group(codes, [len(levels[term.column]) for term in terms], outcome)
        scales = _choose_scales(cells, terms, spec)
        mean, covariance = _approximate(cells, scales, spec)[:2]
        return lambda rows: _predict(rows, levels, mean, covariance, scales)

    return learn


def _code(column: pd.Series, known: list[str]) -> IntArray:
    return pd.Index(known).get_indexer(pd.Index(column.astype(str))).astype(np.int64)


def _group(codes: dict[str, IntArray], sizes: list[int], outcome: FloatArray) -> _Cells:
    table = np.stack(list(codes.values()), axis=1)
    cells, inverse = np.unique(table, axis=0, return_inverse=True)
    trials = np.bincount(np.ravel(inverse)).astype(np.float64)
    sign_ups = np.bincount(np.ravel(inverse), outcome)
    return _Cells(
        design=_expand(cells, sizes),
        trials=trials,
        sign_ups=sign_ups,
        block=np.concatenate([[-1], np.repeat(np.arange(len(sizes)), sizes)]).astype(np.int64),
    )


def _expand(codes: IntArray, sizes: list[int]) -> FloatArray:
    """Return intercept and one column a level; a level that was not seen (-1) has none."""
    parts = [np.ones((len(codes), 1))]
    for place, size in enumerate(sizes):
        parts.append((codes[:, [place]] == np.arange(size)).astype(np.float64))
    return np.concatenate(parts, axis=1)


def _choose_scales(cells: _Cells, terms: list[FactorTerm], spec: Specification) -> FloatArray:
    """Return the mode of the scales' approximate posterior on the log scale, which does not run off to 0."""
    from scipy.optimize import minimize

    free = [place for place, term in enumerate(terms) if term.scale_prior is not None]
    scales = np.array([_START if term.scale is None else term.scale for term in terms])
    if not free:
        return scales

    def lose(log_scales: FloatArray) -> float:
        tried = scales.copy()
        tried[free] = np.exp(np.clip(log_scales, -5, 3))
        prior = sum(
            float(log_density_scale(term.scale_prior, np.asarray(tried[place]))) + float(np.log(tried[place]))
            for place, term in enumerate(terms)
            if term.scale_prior is not None
        )
        return -(_approximate(cells, tried, spec)[2] + prior)

    options: Any = {"maxiter": 120, "xatol": 0.05, "fatol": 0.02}
    found = minimize(lose, np.log(scales[free]), method="Nelder-Mead", options=options)
    scales[free] = np.exp(np.clip(found.x, -5, 3))
    return scales


def _approximate(cells: _Cells, scales: FloatArray, spec: Specification) -> tuple[FloatArray, FloatArray, float]:
    """Return mode, covariance and the Laplace approximation of the log marginal likelihood, given the scales."""
    sd = np.where(cells.block < 0, spec.intercept.sd, scales[np.maximum(cells.block, 0)])
    centre = np.where(cells.block < 0, spec.intercept.mean, 0.0)
    precision = 1.0 / sd**2
    beta = centre.copy()
    for _ in range(_NEWTON_STEPS):
        eta = cells.design @ beta
        chance = expit(eta)
        gradient = cells.design.T @ (cells.sign_ups - cells.trials * chance) - precision * (beta - centre)
        weight = cells.trials * chance * (1 - chance)
        hessian = (cells.design * weight[:, None]).T @ cells.design + np.diag(precision)
        step = np.linalg.solve(hessian, gradient)
        beta = beta + step * min(1.0, 4.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-6:
            break
    eta = cells.design @ beta
    log_likelihood = float(np.sum(cells.sign_ups * eta - cells.trials * np.logaddexp(0, eta)))
    log_prior = float(-0.5 * np.sum(precision * (beta - centre) ** 2) - np.sum(np.log(sd)))
    marginal = log_likelihood + log_prior - 0.5 * float(np.linalg.slogdet(hessian)[1])
    return beta, np.linalg.inv(hessian), marginal


def _predict(
    rows: pd.DataFrame,
    levels: dict[str, list[str]],
    mean: FloatArray,
    covariance: FloatArray,
    scales: FloatArray,
) -> FloatArray:
    """Return the mean chance of each row, uncertainty included (MacKay 1992, doi:10.1162/neco.1992.4.5.720)."""
    codes = np.stack([_code(rows[name], known) for name, known in levels.items()], axis=1)
    distinct, inverse = np.unique(codes, axis=0, return_inverse=True)
    design = _expand(distinct, [len(known) for known in levels.values()])
    spread = np.einsum("ij,jk,ik->i", design, covariance, design) + (distinct < 0) @ scales**2
    chance = expit((design @ mean) / np.sqrt(1 + np.pi * spread / 8))
    return np.asarray(chance[np.ravel(inverse)], dtype=np.float64)
