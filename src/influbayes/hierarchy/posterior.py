"""The posterior as draws: `Fit`, with save and load as netCDF that ArviZ opens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from influbayes.hierarchy.design import Design, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRun:
    """How the draws were made: `rungs` is one record per attempt (settings and what it gave), `seconds` design to draws."""

    name_asked: str
    name_used: str
    why: str
    draws: int
    chains: int
    seed: int
    seconds: float
    rungs: tuple[Mapping[str, Any], ...] = ()
    certificate: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Draws of every model variable on the log-odds scale.

    `draws` name -> (chain, draw, *dims): `intercept`; `slope` (numeric); `effect_<factor>` (levels, sorted);
    `scale_<factor>` where the scale is estimated; `effect_A__x__B` (levels of A, levels of B); `scale_A__x__B`.
    `sample_stats` name -> (chain, draw): nuts has `diverging`, `energy`, `maxdepth_reached`, `lp`.
    """

    design: Design
    draws: Mapping[str, FloatArray]
    sample_stats: Mapping[str, FloatArray]
    run: EngineRun
