"""The exact engine is calibrated: at least 1,000 replications over several specifications, sizes and base rates."""

from dataclasses import replace

import numpy as np
import pytest
from calibration_oracle import change_draws, change_effects, change_rows, change_spec, scale_factor_priors, squeeze

from influbayes.calibration.calibrator import calibrate_engine
from influbayes.calibration.covariates import TableShape
from influbayes.calibration.replication import Experiment
from influbayes.hierarchy.spec import NormalPrior, ScalePrior, leave_out_after_purchase, load_spec

laplace = pytest.importorskip("influbayes.inference.laplace", reason="the exact engine is not in this tree")

DRAWS = 250


def make_rare(spec):
    """The same model for a product that few posts sell: about one post in twenty."""
    return replace(spec, intercept=NormalPrior(mean=-3.0, sd=0.8))


def change_families(spec):
    """The same model with the prior families that no shipped specification uses."""
    priors = (
        ScalePrior(family="exponential", parameters=(1.5,)),
        ScalePrior(family="half_student_t", parameters=(4.0, 0.7)),
    )
    factors = tuple(replace(term, scale_prior=prior) for term, prior in zip(spec.factors, priors, strict=True))
    return replace(spec, factors=factors)


# name -> (specification, shape of the tables, replications)
CASES = {
    "conversion": (load_spec("conversion"), TableShape(fewest=30, most=500), 300),
    "rare conversions": (make_rare(load_spec("conversion")), TableShape(fewest=60, most=500), 200),
    "as bought, other families": (
        change_families(leave_out_after_purchase(load_spec("conversion"))),
        TableShape(fewest=30, most=200),
        250,
    ),
    "no pooling": (load_spec("no_pooling"), TableShape(fewest=30, most=200), 170),
    "creators": (load_spec("conversion_creator"), TableShape(fewest=40, most=120), 80),
}
BUGS = {
    "tiers swapped": lambda e: change_effects(e, lambda x: x[..., [1, 0, 2]]),
    "prior scales doubled": lambda e: change_spec(e, lambda spec: scale_factor_priors(spec, 2.0)),
    "scales squared": lambda e: change_draws(
        e, lambda d: {name: values**2 for name, values in d.items() if name.startswith("scale_")}
    ),
    "trials plus one": lambda e: change_rows(e, lambda rows: {"trials": rows.trials + 1}),
    "draws 40 % too narrow": lambda e: change_draws(e, lambda d: squeeze(d, 0.6)),
}


def test_the_cases_are_a_thousand_replications():
    assert sum(replications for *_, replications in CASES.values()) >= 1000
    assert len({spec.name for spec, *_ in CASES.values()}) >= 3


@pytest.mark.parametrize("name", CASES)
def test_the_exact_engine_is_calibrated(name):
    spec, shape, replications = CASES[name]
    experiment = Experiment(specification=spec, engine=laplace.sample_laplace, shape=shape, draws=DRAWS, seed=11)
    record = calibrate_engine(experiment, replications=replications, fresh=replications)
    assert record.status == "calibrated", record.because


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_planted_on_the_exact_engine_is_caught(name):
    spec = leave_out_after_purchase(load_spec("conversion"))
    engine = BUGS[name](laplace.sample_laplace)
    experiment = Experiment(
        specification=spec, engine=engine, shape=TableShape(fewest=60, most=120), draws=DRAWS, seed=12
    )
    record = calibrate_engine(experiment, replications=100, fresh=100)
    assert record.status == "failed"
    assert np.any([failure.adjusted < 0.001 for failure in record.fresh.failures])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["conversion", "conversion_creator"])
def test_the_default_models_are_calibrated_as_users_run_them(name):
    experiment = Experiment(specification=load_spec(name), engine=laplace.sample_laplace, seed=13)
    record = calibrate_engine(experiment, replications=2000, workers=2)
    assert record.status == "calibrated", record.because
