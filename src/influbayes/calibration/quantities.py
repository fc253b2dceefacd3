"""The numbers whose calibration is checked: named functions of the parameters of a design.

Takes parameters, drawn or true, and gives one array a quantity; the joint log likelihood goes through `predict`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from influbayes.hierarchy.design import Design, FloatArray
from influbayes.hierarchy.posterior import Fit
from influbayes.hierarchy.predict import linear_predictor
from influbayes.hierarchy.spec import FactorTerm

LOG_LIKELIHOOD = "log_likelihood"


def measure_parameters(
    design: Design, parameters: Mapping[str, FloatArray], *, chosen: Mapping[str, tuple[int, ...]]
) -> dict[str, FloatArray]:
    """Return the checked quantities of parameters, log-odds scale.

    Intercept, slopes, scales, log odds ratios of every level of an `all` factor against its reference (without one:
    against the mean of the levels), and one level or cell, chosen by the caller, of every `sample` factor and
    interaction, which may have too many to check each.

    Parameters
    ----------
    design : Design
    parameters : mapping of str to ndarray
        As in `Fit.draws`, with any leading axes: (chain, draw) for draws, none for a truth.
    chosen : mapping of str to tuple of int
        From `choose_cells`.

    Returns
    -------
    dict of str to ndarray
        Name -> the leading axes.
    """
    found = {"intercept": parameters["intercept"]}
    for k, column in enumerate(design.numeric_names):
        found[f"slope[{column}]"] = parameters["slope"][..., k]
    found |= {name: values for name, values in parameters.items() if name.startswith("scale_")}
    for term in design.factors:
        if term.levels == "all":
            found |= _measure_odds_ratios(design, term, parameters[f"effect_{term.column}"])
    for name, cell in chosen.items():
        effects = parameters[f"effect_{name}"]
        for at in reversed(cell):
            effects = effects[..., at]
        found[f"effect_{name}[one at random]"] = effects
    return found


def choose_cells(design: Design, *, rng: np.random.Generator) -> dict[str, tuple[int, ...]]:
    """Choose one level of every `sample` factor and one cell of every interaction, whatever the outcome."""
    columns = {term.column: (term.column,) for term in design.factors if term.levels == "sample"}
    crossed: dict[str, tuple[str, ...]] = {**columns, **{pair.name: pair.of for pair in design.interactions}}
    return {name: tuple(int(rng.integers(len(design.levels[column]))) for column in of) for name, of in crossed.items()}


def measure_log_likelihood(fit: Fit, design: Design, truth: Mapping[str, FloatArray]) -> tuple[float, FloatArray]:
    """Return the joint log likelihood of the truth and of every draw (draws,), up to one constant.

    `fit` has one chain; `design` holds the rows as they were simulated, whatever rows the engine was shown.
    """
    joined = {
        name: np.concatenate((values, np.broadcast_to(truth[name], (1, 1, *values.shape[2:]))), axis=1)
        for name, values in fit.draws.items()
    }
    eta = linear_predictor(replace(fit, design=design, draws=joined))[0]
    log_likelihood = eta @ design.conversions - np.logaddexp(0.0, eta) @ design.trials
    return float(log_likelihood[-1]), log_likelihood[:-1]


def _measure_odds_ratios(design: Design, term: FactorTerm, effects: FloatArray) -> dict[str, FloatArray]:
    levels = design.levels[term.column]
    if term.reference is None:
        other, against = effects.mean(axis=-1), "mean of levels"
    else:
        other, against = effects[..., levels.index(term.reference)], term.reference
    return {
        f"log_odds_ratio[{term.column}: {level} vs {against}]": effects[..., k] - other
        for k, level in enumerate(levels)
        if level != term.reference
    }
