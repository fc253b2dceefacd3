"""How far two sets of draws of one posterior are apart, with the Monte Carlo error of that, and the table of it.

Takes draws by variable, (chain, draw, *dims) each, from either engine; knows no engine and runs none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from influbayes.hierarchy.coding import coords_of, dims_of
from influbayes.hierarchy.design import Design
from influbayes.inference.convergence import estimate_ess_mean

FloatArray = npt.NDArray[np.float64]

LARGEST_SHIFT = 0.1
"""Largest difference of posterior means that agrees, in posterior sds."""

RATIO_BAND = (0.95, 1.05)
"""Ratios of posterior sds that agree."""

LARGEST_ERROR = 0.0125
"""Monte Carlo error of a ratio, a quarter of the band's half width; with a larger one more draws are taken, once."""

CLEAR = 3.0
"""A figure outside its band by fewer of its own Monte Carlo errors is put down to too few draws."""

LEGEND = f"""\
- **shift**: |mean by laplace - mean by nuts| / sd by nuts; at most {LARGEST_SHIFT:g}. **sd ratio**: sd by laplace / sd
  by nuts; {RATIO_BAND[0]:g} to {RATIO_BAND[1]:g}. Of all parameters (intercept, slopes, scales, every level) the one
  farthest off, named in brackets.
- **error**: Monte Carlo standard error of that figure, from the effective sample sizes of both engines. Above
  {LARGEST_ERROR:g} for a ratio both engines draw four times as much, once.
- **agree**: every parameter is inside. **undecided**: one is outside, but by fewer than {CLEAR:g} of its errors.
  **differ**: by more."""

HEADER = (
    "model",
    "rows",
    "parameters",
    "draws: laplace",
    "nuts",
    "largest shift",
    "error",
    "sd ratios",
    "error",
    "verdict",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """One parameter by both engines: shift of the mean in sds of the reference and ratio of sds, with their errors."""

    parameter: str
    shift: float
    shift_error: float
    ratio: float
    ratio_error: float

    @property
    def excess(self) -> float:
        """By how many Monte Carlo errors the worse of both figures is outside its band; 0 inside, infinite for NaN."""
        outside = (
            (abs(self.shift) - LARGEST_SHIFT, self.shift_error),
            (max(RATIO_BAND[0] - self.ratio, self.ratio - RATIO_BAND[1]), self.ratio_error),
        )
        return max(_count_errors(distance, error) for distance, error in outside)


def _count_errors(distance: float, error: float) -> float:
    if distance <= 0:
        return 0.0
    return distance / error if error > 0 and math.isfinite(distance) else math.inf


def name_parameters(design: Design, draws: Mapping[str, FloatArray]) -> Iterator[tuple[str, FloatArray]]:
    """Yield every number of the model by name, (chain, draw) each: `intercept`, `slope[x]`, `effect_Tier[Mid]`."""
    labels = coords_of(design)
    for variable, dims in dims_of(design).items():
        values = draws[variable]
        flat = values.reshape(*values.shape[:2], -1)
        for k, levels in enumerate(product(*(labels[dim] for dim in dims))):
            yield (f"{variable}[{','.join(levels)}]" if dims else variable), flat[..., k]


def compare_draws(parameter: str, tested: FloatArray, reference: FloatArray) -> Agreement:
    """Compare two sets of draws (chain, draw) of one parameter; draws that do not move give errors not-a-number."""
    mean, sd, mean_error, sd_error = _estimate_moments(tested)
    right_mean, right_sd, right_mean_error, right_sd_error = _estimate_moments(reference)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = sd / right_sd
        return Agreement(
            parameter=parameter,
            shift=float((mean - right_mean) / right_sd),
            shift_error=float(np.hypot(mean_error, right_mean_error) / right_sd),
            ratio=float(ratio),
            ratio_error=float(ratio * np.hypot(sd_error / sd, right_sd_error / right_sd)),
        )


def _estimate_moments(draws: FloatArray) -> tuple[np.float64, np.float64, np.float64, np.float64]:
    """Return mean, sd and their Monte Carlo errors; that of the sd is the squares' by the delta method."""
    mean, sd = draws.mean(), draws.std()
    squares = (draws - mean) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return mean, sd, _estimate_error(draws), _estimate_error(squares) / (2 * sd)


def _estimate_error(draws: FloatArray) -> np.float64:
    error: np.float64 = draws.std() / np.sqrt(estimate_ess_mean(draws[None])[0])
    return error


def summarise_agreement(agreements: Sequence[Agreement]) -> dict[str, Any]:
    """Return the verdict over all parameters, and those farthest off: by mean, by the lowest and the highest ratio."""
    # max() would pass over a not-a-number that is not first.
    by_shift = max(agreements, key=lambda one: _order(abs(one.shift)))
    excess = max(one.excess for one in agreements)
    verdict = "agree" if excess == 0 else "undecided" if excess < CLEAR else "differ"
    return {
        "parameters": len(agreements),
        "verdict": verdict,
        "largest_shift": asdict(by_shift),
        "lowest_ratio": asdict(min(agreements, key=lambda one: -_order(-one.ratio))),
        "highest_ratio": asdict(max(agreements, key=lambda one: _order(one.ratio))),
        "outside": [asdict(one) for one in agreements if one.excess > 0],
    }


def find_error(row: Mapping[str, Any]) -> float:
    """Return the larger Monte Carlo error of the lowest and the highest ratio of sds of a summary."""
    return max((float(row[key]["ratio_error"]) for key in ("lowest_ratio", "highest_ratio")), key=_order)


def is_rough(row: Mapping[str, Any]) -> bool:
    """Return whether a summary leaves the ratios of sds too uncertain; not-a-number does."""
    return not find_error(row) <= LARGEST_ERROR


def _order(value: float) -> float:
    return math.inf if math.isnan(value) else value


def render_agreement(record: Mapping[str, Any]) -> str:
    """Return the Markdown of a record: what it was measured on, one row a model, and what lies outside."""
    machine = record["machine"]
    lines = [
        f"Measured {record['date']} on {machine['processor']}; {machine['versions']}.",
        "",
        LEGEND,
        "",
        f"| {' | '.join(HEADER)} |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---|",
        *(_render_row(row) for row in record["rows"]),
    ]
    outside = [(row, one) for row in record["rows"] for one in row.get("outside", ())]
    if outside:
        lines += ["", "Outside a band:", "", *(_render_outside(row, one) for row, one in outside)]
    return "\n".join((*lines, *(f"\nLeft out: {text}" for text in record["absent"]))) + "\n"


def _render_row(row: Mapping[str, Any]) -> str:
    shift, low, high = row["largest_shift"], row["lowest_ratio"], row["highest_ratio"]
    cells = (
        row["model"],
        f"{row['posts']:,}",
        f"{row['parameters']:,}",
        f"{row['laplace']['draws']:,}" + ("" if row["laplace"]["certified"] else ", not certified"),
        f"{row['nuts']['draws']:,}" + (f", {n} divergent" if (n := row["nuts"]["divergences"]) else ""),
        f"{abs(shift['shift']):.3f} ({shift['parameter']})",
        f"{shift['shift_error']:.3f}",
        f"{low['ratio']:.3f} ({low['parameter']}) to {high['ratio']:.3f} ({high['parameter']})",
        f"{find_error(row):.3f}",
        row["verdict"],
    )
    return f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |"


def _render_outside(row: Mapping[str, Any], one: Mapping[str, Any]) -> str:
    return (
        f"- {row['model']}, {one['parameter']}: shift {one['shift']:+.3f} (error {one['shift_error']:.3f}), "
        f"sd ratio {one['ratio']:.3f} (error {one['ratio_error']:.3f})"
    )
