"""Log prior densities against scipy.stats."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from influbayes.hierarchy.priors import log_density_normal, log_density_scale
from influbayes.hierarchy.spec import NormalPrior, ScalePrior

SCALES = np.array([0.0, 1e-8, 0.03, 0.7, 1.0, 4.2, 60.0])


@pytest.mark.parametrize(
    ("prior", "reference"),
    [
        (ScalePrior(family="half_normal", parameters=(0.7,)), stats.halfnorm(scale=0.7)),
        (ScalePrior(family="exponential", parameters=(2.5,)), stats.expon(scale=1 / 2.5)),
        (ScalePrior(family="half_cauchy", parameters=(1.3,)), stats.halfcauchy(scale=1.3)),
    ],
)
def test_scale_densities_equal_scipy(prior, reference):
    np.testing.assert_allclose(log_density_scale(prior, SCALES), reference.logpdf(SCALES), rtol=1e-12)


def test_half_student_t_is_twice_the_student_t_density():
    prior = ScalePrior(family="half_student_t", parameters=(3.0, 2.5))
    expected = np.log(2) + stats.t(3.0, scale=2.5).logpdf(SCALES)
    np.testing.assert_allclose(log_density_scale(prior, SCALES), expected, rtol=1e-12)


def test_normal_density_equals_scipy_and_keeps_the_shape():
    value = np.linspace(-4, 5, 12).reshape(3, 4)
    density = log_density_normal(NormalPrior(mean=0.4, sd=1.5), value)
    np.testing.assert_allclose(density, stats.norm(0.4, 1.5).logpdf(value), rtol=1e-12)
    assert density.shape == (3, 4)


@pytest.mark.parametrize("family", ["half_normal", "exponential", "half_cauchy", "half_student_t"])
def test_no_scale_is_below_zero_and_nan_stays_nan(family):
    parameters = (3.0, 1.0) if family == "half_student_t" else (1.0,)
    density = log_density_scale(ScalePrior(family=family, parameters=parameters), np.array([-0.1, np.nan]))
    assert density[0] == -np.inf
    assert np.isnan(density[1])
