"""Bugs planted on an exact oracle are all caught by the calibration decision; the oracle itself passes."""

import numpy as np
import pytest
from calibration_oracle import BUGS, SLOPES, TIERS, find_one_sided, sample_exactly

from influbayes.calibration.calibrator import calibrate_engine
from influbayes.calibration.covariates import TableShape, simulate_table
from influbayes.calibration.replication import Experiment

FRESH = 100


@pytest.fixture(scope="module")
def tables():
    """One table of predictors a specification: bugs are compared on the same posts, and nothing else is simulated."""
    shape = TableShape(fewest=90, most=90)
    return {spec.name: simulate_table(spec, shape, rng=np.random.default_rng(1)) for spec in (TIERS, SLOPES)}


def plan(spec, tables, **settings):
    return Experiment(
        **{"specification": spec, "posts": tables[spec.name], "engine": sample_exactly, "draws": 200} | settings
    )


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_caught(name, tables):
    spec, replications, plant = BUGS[name]
    experiment = plan(spec, tables, engine=plant(sample_exactly))
    record = calibrate_engine(experiment, replications=replications, fresh=max(FRESH, replications))
    assert record.status == "failed"
    assert record.because


@pytest.mark.parametrize("spec", [TIERS, SLOPES], ids=lambda spec: spec.name)
def test_the_engine_without_a_bug_passes(spec, tables):
    record = calibrate_engine(plan(spec, tables), replications=300, fresh=FRESH)
    assert record.status == "calibrated"


def test_an_interval_that_forgets_one_end_is_caught_by_its_coverage(tables):
    record = calibrate_engine(plan(TIERS, tables, interval=find_one_sided), replications=100, fresh=FRESH)
    assert record.status == "failed"
    assert all("coverage" in sentence for sentence in record.because)


def test_dropped_rows_are_seen_by_the_joint_log_likelihood_alone(tables):
    """A posterior of half of the rows is calibrated for every parameter; only what holds the data can tell."""
    spec, replications, plant = BUGS["half of the rows dropped"]
    experiment = plan(spec, tables, engine=plant(sample_exactly))
    record = calibrate_engine(experiment, replications=replications, fresh=replications)
    assert {failure.quantity for failure in record.first.failures} == {"log_likelihood"}
