"""How wrong the tracking would have to be to turn the choice: tipping points on the draws.

Takes draws of two rates; gives the share of conversions missed, or of code leakage, at which neither is ahead. Knows no
model: a tracking error is not estimated here, only how large it would have to be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from influbayes.decisions.options import Options
from influbayes.effects.estimands import Effect, Quantity, check_prob, estimate_rows
from influbayes.hierarchy.design import FloatArray

POINTS = 21
_TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class TippingPoint:
    """What would turn the choice between `ahead` and `behind`.

    `missed` is the share of conversions of `behind` that must have gone untracked, `leaked` the share of posts of
    `ahead` without a conversion that must have been credited with one (a code passed on); each median is where P = 0.5.
    `map_leaked` and `map_missed` (points,) are the line of both errors together on which P = 0.5; above it `behind` is
    ahead.
    """

    ahead: str
    behind: str
    missed: Effect
    leaked: Effect
    map_leaked: FloatArray
    map_missed: FloatArray


def find_tipping_point(
    options: Options, *, pair: tuple[str, str] | None = None, prob: float = 0.9, points: int = POINTS
) -> TippingPoint:
    """Return how much under-tracking or leakage would turn the choice between two options.

    Parameters
    ----------
    options : Options
        Rates as recorded; fees and values play no part.
    pair : (label, label), optional
        By default the two with the highest mean rate.
    prob : float
        Mass of the intervals.
    points : int
        Points of the line where P = 0.5.

    Returns
    -------
    TippingPoint

    Notes
    -----
    A share u of conversions missed makes a recorded rate r = (1 - u) x true rate; a share l of non-conversions credited
    makes recorded odds (true odds + l) / (1 - l), so true odds = recorded odds x (1 - l) - l.
    """
    check_prob(prob)
    first, second = _pick_pair(options) if pair is None else (options.find(pair[0]), options.find(pair[1]))
    if np.median(options.rates[..., first] - options.rates[..., second]) < 0:
        first, second = second, first
    lead, trail = options.rates[..., first], options.rates[..., second]
    labels = options.labels[first], options.labels[second]
    missed = _label(options, labels, find_missed_share(lead, trail), "conversions of the one behind missed")
    leaked = _label(options, labels, find_leaked_share(lead, trail), "non-conversions of the one ahead credited")
    rows = estimate_rows([missed, leaked], "as_bought", prob=prob)
    line = np.linspace(0.0, max(0.0, min(1.0, rows[1].estimate)), points)
    return TippingPoint(
        ahead=labels[0],
        behind=labels[1],
        missed=rows[0],
        leaked=rows[1],
        map_leaked=line,
        map_missed=np.array([np.median(find_missed_share(remove_leakage(lead, share), trail)) for share in line]),
    )


def find_missed_share(ahead: FloatArray, behind: FloatArray) -> FloatArray:
    """Return the share of the conversions of `behind` missed at which both true rates are equal: 1 - behind/ahead."""
    return np.asarray(1.0 - behind / np.maximum(ahead, _TINY))


def find_leaked_share(ahead: FloatArray, behind: FloatArray) -> FloatArray:
    """Return the share of non-conversions of `ahead` credited at which both true rates are equal."""
    return np.asarray((ahead - behind) / np.maximum(1.0 - behind, _TINY))


def remove_leakage(rate: FloatArray, share: float) -> FloatArray:
    """Return the true rate (0 to 1) behind a recorded one when `share` of the non-conversions was credited."""
    return np.asarray(np.clip((rate - share) / max(1.0 - share, _TINY), 0.0, 1.0))


def _pick_pair(options: Options) -> tuple[int, int]:
    order = np.argsort(-options.rates.mean(axis=(0, 1)), kind="stable")
    return int(order[0]), int(order[1])


def _label(options: Options, labels: tuple[str, str], draws: FloatArray, held: str) -> Quantity:
    return Quantity(
        estimand="tipping_point",
        variable=options.variable,
        level=labels[0],
        reference=labels[1],
        population=options.population,
        held=held,
        scale="probability",
        null_value=0.0,
        draws=draws,
    )
