"""The passes over the rows against direct formulas."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.special import log_expit

from influbayes.hierarchy.coding import code_design
from influbayes.inference.likelihood import (
    DenseLikelihood,
    add_rows,
    choose_rows,
    expit,
    read_dense,
    softplus,
    split,
    weigh_squares,
)


def make_likelihood(rows: int, size: int, *, trials: int = 1, seed: int = 3) -> tuple[DenseLikelihood, np.ndarray]:
    rng = np.random.default_rng(seed)
    X, m = rng.normal(size=(rows, size)), np.sort(rng.integers(1, trials + 1, rows)).astype(float)
    y = rng.binomial(m.astype(int), 0.3).astype(float)
    single = int((m == 1).sum())
    built = DenseLikelihood(X=X, conversions=y, trials=m, single=single, cross=add_rows(X, y), weight=add_rows(X, m))
    return built, rng.normal(size=(300, size))


def compute_directly(rows: DenseLikelihood, theta: np.ndarray) -> np.ndarray:
    eta = theta @ rows.X.T
    return (rows.conversions * log_expit(eta) + (rows.trials - rows.conversions) * log_expit(-eta)).sum(axis=1)


@pytest.mark.parametrize("rows", [1, 7, 255, 256, 257, 1000])
@pytest.mark.parametrize("trials", [1, 5])
def test_log_likelihood_of_many_draws_is_the_binomial_formula(rows, trials):
    built, theta = make_likelihood(rows, 4, trials=trials)
    np.testing.assert_allclose(built.evaluate(theta, theta), compute_directly(built, theta), rtol=1e-11, atol=1e-10)


def test_log_likelihood_stays_finite_and_right_far_out():
    built, theta = make_likelihood(600, 3)
    far = 400.0 * theta
    np.testing.assert_allclose(built.evaluate(far, far), compute_directly(built, far), rtol=1e-11)


@pytest.mark.parametrize("points", [1, 5, 6, 40])
def test_gradient_and_curvature_are_the_derivatives(points):
    built, theta = make_likelihood(500, 3, trials=4)
    theta, step = theta[:points], 1e-5
    slope = built.expand(theta, theta)
    np.testing.assert_allclose(slope.value, compute_directly(built, theta), rtol=1e-11)
    for k in range(3):
        shift = step * np.eye(3)[k]
        up, down = built.expand(theta + shift, theta), built.expand(theta - shift, theta)
        np.testing.assert_allclose(slope.gradient[:, k], (up.value - down.value) / (2 * step), rtol=1e-5, atol=1e-4)
        change = -(up.gradient - down.gradient) / (2 * step)
        np.testing.assert_allclose(slope.curvature[:, k], change, rtol=1e-5, atol=1e-4)


def test_curvature_is_symmetric_and_the_same_one_by_one_and_together():
    X, weights = np.random.default_rng(1).normal(size=(50, 4)), np.random.default_rng(2).random((8, 50))
    together = weigh_squares(X, weights)
    np.testing.assert_allclose(together, np.swapaxes(together, 1, 2))
    np.testing.assert_allclose(together[:3], weigh_squares(X, weights[:3]), rtol=1e-12)


def test_scalar_functions_far_out():
    eta = np.array([-1e4, -30.0, 0.0, 30.0, 1e4])
    np.testing.assert_allclose(softplus(eta), -log_expit(-eta))
    assert expit(eta)[0] >= 0.0
    assert expit(eta)[-1] == 1.0


def test_slices_cover_everything_once_and_respect_the_border():
    blocks = split(1000, 256, stop_at=300)
    assert [(at.start, at.stop) for at in blocks] == [(0, 256), (256, 300), (300, 556), (556, 812), (812, 1000)]
    assert split(0, 10) == []


def test_alike_rows_become_binomial_rows_with_the_same_likelihood_but_for_a_constant(make_design):
    import pandas as pd

    frame = pd.DataFrame({"conversions": [0, 1] * 30, "trials": 1, "x": np.repeat([0.0, 1.0, 2.0], 20)})
    text = (
        'title = "t"\n[outcome]\ncolumn = "Converted"\n[intercept]\nprior = { normal = [0, 1] }\n'
        '[[numeric]]\ncolumn = "x"\ntransform = "none"\nprior = { normal = [0, 1] }\n'
    )
    design = make_design(text, frame)
    assert len(choose_rows(design).first) == 3
    coding = code_design(design)
    theta = np.random.default_rng(1).normal(size=(20, 2))
    found = read_dense(design, coding).evaluate(theta, theta)
    eta = theta @ coding.X.T
    direct = (design.conversions * log_expit(eta) + (1 - design.conversions) * log_expit(-eta)).sum(axis=1)
    np.testing.assert_allclose(found, direct, rtol=1e-12)


SCRIPT = """
import sys, hashlib
import numpy as np
sys.path.insert(0, sys.argv[1])
import importlib.util
spec = importlib.util.spec_from_file_location("cases", sys.argv[2])
cases = importlib.util.module_from_spec(spec); spec.loader.exec_module(cases)
built, theta = cases.make_likelihood(9000, 12)
parts = [
    built.evaluate(theta, theta), built.expand(theta[:9], theta).curvature, built.expand(theta[:1], theta).gradient]
print(hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest())
"""


def test_number_of_threads_changes_no_number():
    found = set()
    for threads in ("1", "2"):
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, "src", __file__],
            capture_output=True,
            text=True,
            env=environment,
            check=True,
        )
        found.add(done.stdout)
    assert len(found) == 1
