"""R-hat and effective sample sizes of many quantities at once, by ArviZ's definitions.

Source: Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), Rank-normalization, folding, and localization,
doi:10.1214/20-BA1221. Not-a-number in a quantity gives not-a-number here, never a number that looks fine.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from influbayes.hierarchy.design import FloatArray

TAIL = (0.05, 0.95)


@dataclass(frozen=True, slots=True, kw_only=True)
class Convergence:
    """R-hat, bulk and tail ESS of each quantity, arrays of one shape (or numbers: the worst of all)."""

    rhat: FloatArray
    ess_bulk: FloatArray
    ess_tail: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstConvergence:
    """The largest R-hat and the smallest ESS; not-a-number where any quantity has none."""

    rhat: float
    ess_bulk: float
    ess_tail: float


def measure_convergence(draws: FloatArray) -> Convergence:
    """Return rank-normalised split R-hat, bulk ESS and 5 % / 95 % tail ESS.

    Parameters
    ----------
    draws : (chain, draw, ...) array

    Returns
    -------
    Convergence
        Arrays with the trailing shape of `draws`; not-a-number for constant or non-finite quantities.
    """
    from arviz_stats.base import array_stats

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # constants divide by zero; they come out as not-a-number and are judged
        where = {"chain_axis": 0, "draw_axis": 1}
        return Convergence(
            rhat=np.asarray(array_stats.rhat(draws, method="rank", **where)),
            ess_bulk=np.asarray(array_stats.ess(draws, method="bulk", **where)),
            ess_tail=np.asarray(array_stats.ess(draws, method="tail", prob=TAIL, **where)),
        )


def summarise_convergence(draws: Mapping[str, FloatArray]) -> WorstConvergence:
    """Return the worst R-hat and ESS over all variables, each (chain, draw, ...)."""
    flat = [values.reshape(*values.shape[:2], -1) for values in draws.values()]
    measured = measure_convergence(np.concatenate(flat, axis=-1))
    return WorstConvergence(
        rhat=float(np.max(measured.rhat)),
        ess_bulk=float(np.min(measured.ess_bulk)),
        ess_tail=float(np.min(measured.ess_tail)),
    )
