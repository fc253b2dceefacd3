"""The exact engine against posteriors made with another program (skipped where the reference data are absent)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from influbayes.hierarchy.design import build_design
from influbayes.hierarchy.spec import load_spec, required_columns
from influbayes.inference.convergence import find_worst_convergence
from influbayes.inference.laplace import is_certified, sample_laplace
from influbayes.tables.reader import read_posts

ROOT = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
MODELS = sorted(path.parent.name for path in ROOT.glob("*/spec.toml"))
PARAMETER = re.compile(r"(?P<variable>\w+?)(?:\[(?P<level>.*)\])?")

pytestmark = pytest.mark.skipif(not MODELS, reason="no reference posteriors at ../shared/data")


def pick_draws(fit, parameter):
    variable, level = PARAMETER.fullmatch(parameter).group("variable", "level")
    draws = fit.draws[variable]
    if level is None:
        return draws
    design = fit.design
    labels = design.numeric_names if variable == "slope" else design.levels[variable.removeprefix("effect_")]
    return draws[..., labels.index(level)]


@pytest.mark.parametrize("name", MODELS)
def test_posterior_is_that_of_another_program(name):
    spec = load_spec(ROOT / name / "spec.toml")
    design = build_design(read_posts(ROOT / name / "data.csv", columns=required_columns(spec)), spec)
    fit = sample_laplace(design, draws=2000)
    assert is_certified(fit.run.certificate), fit.run.certificate
    worst = find_worst_convergence(fit.draws)
    assert worst.ess_bulk > 1000
    assert worst.rhat < 1.01
    reference = pd.read_csv(ROOT / name / "reference.csv", dtype={"parameter": str})
    short = []
    for row in reference.itertuples():
        draws = pick_draws(fit, row.parameter)
        shift, ratio = abs(draws.mean() - row.mean) / row.sd, draws.std() / row.sd
        if not (shift <= row.tol_mean and abs(ratio - 1) <= row.tol_sd):
            short.append(f"{row.parameter}: shift {shift:.3f}, sd ratio {ratio:.3f}")
    assert not short, "; ".join(short)
    assert np.isfinite(fit.sample_stats["lp"]).all()
