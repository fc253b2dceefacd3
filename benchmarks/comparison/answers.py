"""Reads what a program handed back, and judges it: effective sample size of its worst parameter, and accuracy.

Every program hands back figures.csv (name, value) and draws (draws.npz or draws.csv) or a summary.csv. Parameters are
`intercept`, `slope[NAME]`, `tier[LEVEL]`, `region[LEVEL]` and `scale_COLUMN`; what is compared between programs are
slopes, contrasts with the reference level, and scales. Knows no program.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
REFERENCES = {"tier": "Mega", "region": "US"}
LEVEL = re.compile(r"(tier|region)\[(.+)\]")


class UnreadableAnswer(ValueError):
    """A program handed back something other than agreed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a program said of one posterior.

    `figures` are its single numbers; `summary` maps each compared quantity to mean and standard deviation (NaN where
    it gives none); `worst_ess` is the smallest bulk effective sample size over its own parameters (creators' effects
    left out), `shared_ess` over the compared quantities; None without draws.
    """

    figures: Mapping[str, float | str]
    summary: Mapping[str, tuple[float, float]]
    worst_ess: float | None = None
    worst_parameter: str | None = None
    shared_ess: float | None = None


def read_answer(folder: Path) -> Answer:
    """Read figures and draws or summary from a folder.

    Raises
    ------
    UnreadableAnswer
        Where a file is missing or is not as agreed.
    """
    figures = _read_figures(folder / "figures.csv")
    if "fit_seconds" not in figures:
        raise UnreadableAnswer(f"{folder}/figures.csv holds no fit_seconds")
    draws = read_draws(folder)
    if draws is None:
        return Answer(figures=figures, summary=_read_summary(folder / "summary.csv"))
    shared = compare_levels(draws)
    names, sizes = list(draws), estimate_ess(draws)
    return Answer(
        figures=figures,
        summary={name: (float(values.mean()), float(values.std())) for name, values in shared.items()},
        worst_ess=float(sizes.min()),
        worst_parameter=names[int(sizes.argmin())],
        shared_ess=float(estimate_ess(shared).min()),
    )


def _read_rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except OSError as reason:
        raise UnreadableAnswer(f"{path.name} is missing") from reason


def _read_figures(path: Path) -> dict[str, float | str]:
    rows = _read_rows(path)
    return {row["name"]: row["value"] if row["name"] == "version" else float(row["value"]) for row in rows}


def _read_summary(path: Path) -> dict[str, tuple[float, float]]:
    return {row["name"]: (float(row["mean"]), float(row["sd"] or "nan")) for row in _read_rows(path)}


def read_draws(folder: Path) -> dict[str, FloatArray] | None:
    """Return each parameter's draws (chain, draw), or None where the program gave none."""
    if (folder / "draws.npz").exists():
        with np.load(folder / "draws.npz", allow_pickle=False) as held:
            return {name: np.asarray(held[name], dtype=float) for name in held.files}
    if not (folder / "draws.csv").exists():
        return None
    with (folder / "draws.csv").open(encoding="utf-8", newline="") as file:
        names, *rows = csv.reader(file)
    table = np.array(rows, dtype=float)
    if names[0] != "chain" or table.ndim != 2:
        raise UnreadableAnswer("draws.csv must start with the column chain and hold rows")
    chains = np.unique(table[:, 0])
    return {
        name: np.stack([table[table[:, 0] == chain, k] for chain in chains]) for k, name in enumerate(names) if k > 0
    }


def compare_levels(draws: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Return slopes, scales and, for tiers and regions, contrasts with the reference level."""
    shared = {name: values for name, values in draws.items() if name.startswith(("slope[", "scale_"))}
    for name, values in draws.items():
        if (found := LEVEL.fullmatch(name)) and found[2] != REFERENCES[found[1]]:
            reference = f"{found[1]}[{REFERENCES[found[1]]}]"
            shared[f"{name}-{reference}"] = values - draws[reference]
    return shared


def estimate_ess(draws: Mapping[str, FloatArray]) -> FloatArray:
    """Return the bulk effective sample size of each parameter (equal to ArviZ, as the package's tests show)."""
    from influbayes.inference.convergence import estimate_ess_bulk

    return estimate_ess_bulk(np.stack(list(draws.values())))


def judge_accuracy(
    summary: Mapping[str, tuple[float, float]], reference: Mapping[str, tuple[float, float]]
) -> dict[str, Any]:
    """Return how far a summary lies from a reference.

    Returns
    -------
    dict
        `worst_shift` the largest |difference of means| / sd of the reference and `worst_shift_of` which quantity;
        `scale_shift` the largest over scales; `sd_ratio_low`, `sd_ratio_high` the range of sd ratios (None where it
        gives no sd).

    Raises
    ------
    UnreadableAnswer
        Where a quantity of the reference is missing.
    """
    missing = sorted(set(reference) - set(summary))
    if missing:
        raise UnreadableAnswer(f"no {', '.join(missing)}")
    shifts = {name: abs(summary[name][0] - mean) / sd for name, (mean, sd) in reference.items()}
    ratios = [summary[name][1] / sd for name, (_, sd) in reference.items() if np.isfinite(summary[name][1])]
    worst = max(shifts, key=shifts.__getitem__)
    return {
        "worst_shift": shifts[worst],
        "worst_shift_of": worst,
        "scale_shift": max(shift for name, shift in shifts.items() if name.startswith("scale_")),
        "sd_ratio_low": min(ratios, default=None),
        "sd_ratio_high": max(ratios, default=None),
    }
