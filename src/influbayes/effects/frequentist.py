"""What a statistician's regressions say of the same posts: maximum likelihood and Firth's penalised likelihood.

Takes a design; gives rows with the columns of the effects table and `interval_kind` "confidence". No partial pooling
and no creators' effects: creators enter the clustered errors only. Knows no draws.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from influbayes.effects.averages import find_step, list_all_factors
from influbayes.effects.contrasts import MEAN_OF_LEVELS, list_contrasts
from influbayes.effects.estimands import Effect, check_prob, name_row
from influbayes.effects.separation import find_separation
from influbayes.hierarchy.coding import Coding, code_design
from influbayes.hierarchy.design import Design, FloatArray, stretch

Method = Literal["wald", "clustered", "firth"]

METHOD_WORDS: dict[Method, str] = {
    "wald": "maximum-likelihood logit, Wald errors that take posts as independent",
    "clustered": "maximum-likelihood logit, errors clustered by creator",
    "firth": "Firth's penalised logit, profile-likelihood interval",
}
MOST_ROWS = 20_000
"""Distinct rows above which Firth's fit is left out: there it equals maximum likelihood to every digit shown."""

# A search that stops at the last digit says that it failed; a looser tolerance is then tried, once.
_TOLERANCES = (1e-6, 1e-4)


_DEPENDENT = (
    "Some columns are sums of others, so that only the priors tell them apart: no regression without priors exists."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frequentist:
    """Regressions of one design.

    `rows`: odds ratios of every contrast and step, one a method; NaN where the estimate does not exist. `exists` tells
    whether the maximum-likelihood estimate does; `separated` names the columns that keep it from existing.
    `notes` say in sentences what was left out and why.
    """

    rows: tuple[Effect, ...]
    exists: bool
    separated: tuple[str, ...]
    clusters: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """One log odds ratio as a linear combination (columns,) of the coded coefficients."""

    variable: str
    level: str | None
    reference: str | None
    step: float | None
    weights: FloatArray


def fit_frequentist(
    design: Design,
    *,
    prob: float = 0.9,
    creators: Sequence[str] | npt.NDArray[Any] | None = None,
    separated: Sequence[str] | None = None,
) -> Frequentist:
    """Fit the design's fixed terms by maximum likelihood and by Firth's method.

    Parameters
    ----------
    design : Design
        `sample` factors are left out of the regression; the first one gives the clusters.
    prob : float
        Mass of the confidence intervals, between 0 and 1.
    creators : (rows,) labels, optional
        Clusters in the design's row order, where the model itself has no creators.
    separated : sequence of str, optional
        Columns that separate the outcomes, where they are known already; by default they are sought.

    Returns
    -------
    Frequentist
        Odds ratios; `probability` is None: a confidence interval gives none.

    Raises
    ------
    UsageError
        `prob` outside 0 to 1.

    Notes
    -----
    Clustered errors are the sandwich of Liang and Zeger (1986, 10.1093/biomet/73.1.13); Firth (1993,
    10.1093/biomet/80.1.27), intervals as by Heinze and Schemper (2002, 10.1002/sim.1047).
    """
    check_prob(prob)
    coding, notes = _code_fixed(design)
    if np.linalg.matrix_rank(coding.X) < coding.X.shape[1]:
        return Frequentist(rows=(), exists=False, separated=(), clusters=0, notes=(*notes, _DEPENDENT))
    contrasts = list_fixed_contrasts(design, coding)
    found = _find_separated(design, coding) if separated is None else tuple(separated)
    exists = not found
    groups = _find_clusters(design, creators)
    if groups is not None and not groups.any():
        groups = None
        notes = [*notes, "All posts are of one creator, so errors clustered by creator do not exist."]
    rows = [*_fit_likelihood(design, coding, contrasts, prob, groups, exists, found)]
    firth, said = _fit_firth(design, coding, contrasts, prob)
    return Frequentist(
        rows=(*rows, *firth),
        exists=exists,
        separated=found,
        clusters=0 if groups is None else int(groups.max()) + 1,
        notes=(*notes, *said),
    )


def list_fixed_contrasts(design: Design, coding: Coding) -> tuple[Contrast, ...]:
    """Return the contrasts of the effects table as weights of coded coefficients; steps are those of the table."""
    found = []
    for block in coding.blocks:
        name = block.variable.removeprefix("effect_")
        if block.variable == "slope":
            found += [
                _weigh_step(design, coding, block.start + k, column) for k, column in enumerate(design.numeric_names)
            ]
        elif name in list_all_factors(design) and block.basis is not None:
            term = next(term for term in design.factors if term.column == name)
            levels = design.levels[name]
            for level, reference in list_contrasts(design, term):
                other = (
                    block.basis.mean(axis=0) if reference == MEAN_OF_LEVELS else block.basis[levels.index(reference)]
                )
                weights = np.zeros(coding.X.shape[1])
                weights[block.start : block.stop] = block.basis[levels.index(level)] - other
                found.append(Contrast(variable=name, level=level, reference=reference, step=None, weights=weights))
    return tuple(found)


def _weigh_step(design: Design, coding: Coding, place: int, column: str) -> Contrast:
    k, step = design.numeric_names.index(column), find_step(design, column)
    scaler = design.scalers[k]
    start = float(design.rows.raw[:, k].mean()) if scaler.transform == "log1p_standardise" else 0.0
    low, high = stretch(np.array([start, start + step]), scaler.transform)
    weights = np.zeros(coding.X.shape[1])
    weights[place] = (high - low) / scaler.scale
    return Contrast(variable=column, level=None, reference=None, step=step, weights=weights)


def _code_fixed(design: Design) -> tuple[Coding, list[str]]:
    """Code the fixed terms; an interaction whose empty cells leave it undetermined is left out, and that is said."""
    coding = code_design(design)
    if not design.interactions or np.linalg.matrix_rank(coding.X) == coding.X.shape[1]:
        return coding, []
    names = ", ".join(":".join(pair.of) for pair in design.interactions)
    note = f"The interaction {names} is left out of the regressions: empty cells leave it undetermined."
    return code_design(replace(design, interactions=())), [note]


def _find_separated(design: Design, coding: Coding) -> tuple[str, ...]:
    names = [name for block in coding.blocks for name in _name_columns(design, block.variable, block.size)]
    return find_separation(coding.X, design.conversions, trials=design.trials, names=names).columns


def _name_columns(design: Design, variable: str, size: int) -> list[str]:
    if variable == "slope":
        return list(design.numeric_names)
    return [variable.removeprefix("effect_").replace("__x__", ":")] * size


def _find_clusters(design: Design, creators: Sequence[str] | npt.NDArray[Any] | None) -> npt.NDArray[np.int64] | None:
    if creators is not None:
        return np.unique(np.asarray(creators, dtype=str), return_inverse=True)[1].astype(np.int64)
    names = [term.column for term in design.factors if term.levels == "sample"]
    return np.unique(design.rows.codes[names[0]], return_inverse=True)[1].astype(np.int64) if names else None


# --- maximum likelihood ---------------------------------------------------------------------------------------------


def _fit_likelihood(
    design: Design,
    coding: Coding,
    contrasts: Sequence[Contrast],
    prob: float,
    groups: npt.NDArray[np.int64] | None,
    exists: bool,
    separated: Sequence[str],
) -> list[Effect]:
    methods: list[Method] = ["wald"] if groups is None else ["wald", "clustered"]
    if not exists:
        why = f"the estimate does not exist: {' and '.join(separated) or 'a term'} separates the outcomes"
        nothing = (float("nan"),) * 3
        return [_make_row(design, one, method, prob, nothing, why) for method in methods for one in contrasts]
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM

    counts = np.column_stack([design.conversions, design.trials - design.conversions])
    model = GLM(counts, coding.X, family=Binomial())
    rows = []
    for method in methods:
        options = {} if method == "wald" else {"cov_type": "cluster", "cov_kwds": {"groups": groups}}
        fitted = model.fit(**options)
        covariance = np.asarray(fitted.cov_params())
        rows += [_make_wald(design, one, method, prob, np.asarray(fitted.params), covariance) for one in contrasts]
    return rows


def _make_wald(
    design: Design, contrast: Contrast, method: Method, prob: float, params: FloatArray, covariance: FloatArray
) -> Effect:
    middle = float(contrast.weights @ params)
    reach = float(ndtri((1 + prob) / 2) * np.sqrt(contrast.weights @ covariance @ contrast.weights))
    return _make_row(design, contrast, method, prob, (middle, middle - reach, middle + reach))


# --- Firth ----------------------------------------------------------------------------------------------------------


def _fit_firth(
    design: Design, coding: Coding, contrasts: Sequence[Contrast], prob: float
) -> tuple[list[Effect], list[str]]:
    X, wins, trials = _collapse(coding.X, design)
    if len(X) > MOST_ROWS:
        note = f"Firth's logit is left out above {MOST_ROWS:,} distinct rows, where it equals maximum likelihood."
        return [], [note]
    doubled = np.concatenate([X, X])
    outcome = np.concatenate([np.ones(len(X)), np.zeros(len(X))])
    weight = np.concatenate([wins, trials - wins])
    kept = weight > 0
    rows = [
        _make_row(design, one, "firth", prob, _profile(doubled[kept], outcome[kept], weight[kept], one.weights, prob))
        for one in contrasts
    ]
    lost = sum(not np.isfinite(row.estimate) for row in rows)
    return rows, [f"Firth's logit did not converge for {lost} of {len(rows)} comparisons."] if lost else []


def _profile(
    X: FloatArray, outcome: FloatArray, weight: FloatArray, contrast: FloatArray, prob: float
) -> tuple[float, float, float]:
    """Return estimate and profile interval of contrast @ coefficients, the model turned so that it is one of them."""
    from firthmodels import FirthLogisticRegression

    place = int(np.abs(contrast).argmax())
    size = contrast[place]
    turned = X - np.outer(X[:, place], contrast / size)
    turned[:, place] = X[:, place] / size
    # Coefficients far from 1 in size would stop the search early; the contrast is measured in its own spread.
    spread = float(turned[:, place].std()) or 1.0
    turned[:, place] /= spread
    for tolerance in _TOLERANCES:
        model = FirthLogisticRegression(
            backend="numpy", fit_intercept=False, max_iter=200, gtol=tolerance, xtol=tolerance
        )
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                model.fit(turned, outcome, sample_weight=weight)
                bounds = model.conf_int(alpha=1 - prob, method="pl", features=place, max_iter=200)[place]
            except np.linalg.LinAlgError:  # weights fell to nothing on the way
                continue
        if not said:
            middle, low, high = float(model.coef_[place]), float(bounds[0]), float(bounds[1])
            return middle / spread, low / spread, high / spread
    return float("nan"), float("nan"), float("nan")


def _collapse(X: FloatArray, design: Design) -> tuple[FloatArray, FloatArray, FloatArray]:
    distinct, member = np.unique(X, axis=0, return_inverse=True)
    codes = member.reshape(-1)
    sums = [np.bincount(codes, counts, len(distinct)) for counts in (design.conversions, design.trials)]
    return distinct, sums[0], sums[1]


def _make_row(
    design: Design,
    contrast: Contrast,
    method: Method,
    prob: float,
    log_odds: tuple[float, float, float],
    why: str = "",
) -> Effect:
    with np.errstate(over="ignore"):
        estimate, lower, upper = (float(np.exp(value)) for value in log_odds)
    base = name_row(design.question, "odds_ratio", contrast.variable, contrast.level, contrast.reference)
    return Effect(
        id=f"{base}/{method}",
        question=design.question,
        estimand="odds_ratio",
        variable=contrast.variable,
        level=contrast.level,
        reference=contrast.reference,
        step=contrast.step,
        population="posts like those in the table; creators not told apart",
        held=f"{METHOD_WORDS[method]}{f'; {why}' if why else ''}",
        scale="odds",
        null_value=1.0,
        estimate=estimate,
        lower=lower,
        upper=upper,
        prob=prob,
        interval_kind="confidence",
        probability=None,
        mcse=None,
        ess_bulk=None,
        ess_tail=None,
        rhat=None,
    )
