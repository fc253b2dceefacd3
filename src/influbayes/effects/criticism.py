"""Does the model describe the posts? Predictive checks of cells and tenths, calibration, leave-one-out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from influbayes.hierarchy.design import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictiveCheck:
    """Observed conversions of a group of posts against replicated ones.

    `kind`: `cell` (subject "Micro:US"), `tenth` (subject "Swipe_Ups:3", tenths 1 to 10 by the raw value),
    `creator_spread` (subject "Creator_ID": variance of creator totals around their expectation). `tail` is the mid-p
    position of `observed` among the replicates, 0 to 1. `raw_rate` = conversions / trials of the group.
    """

    kind: Literal["cell", "tenth", "creator_spread"]
    subject: str
    posts: int
    observed: float
    expected: float
    lower: float
    upper: float
    tail: float
    raw_rate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Pool-adjacent-violators calibration of the posterior mean probabilities.

    All arrays (points,): `predicted` sorted mean probability, `observed` isotonic fit of the outcomes on it, `lower` and
    `upper` the pointwise 99 % band of replicated isotonic fits.
    """

    predicted: FloatArray
    observed: FloatArray
    lower: FloatArray
    upper: FloatArray
