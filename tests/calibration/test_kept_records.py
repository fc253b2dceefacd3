"""The calibration records in the repository: of the code as it is now, of 10,000 replications, within all bands."""

from pathlib import Path

import pytest

from influbayes.calibration.decision import find_failures
from influbayes.calibration.record import list_stale_parts, read_record

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"


@pytest.fixture(params=["conversion", "conversion_creator"])
def kept(request):
    return read_record(RESULTS / f"calibration_{request.param}.json")


def test_it_speaks_of_the_code_and_the_specification_there_are_now(kept):
    stale = list_stale_parts(kept)
    assert not stale, (
        f"benchmarks/results/calibration_{kept.model}.json is stale: {' and '.join(stale)} changed since it was made. "
        f"Renew it: python benchmarks/calibration_record.py {kept.model}"
    )


def test_it_holds_ten_thousand_replications_of_the_exact_engine_within_all_bands(kept):
    assert kept.status == "calibrated"
    assert kept.engine == "laplace"
    assert kept.first.replications >= 10_000
    assert kept.first.engines == {"laplace": kept.first.replications - sum(kept.first.failed.values())}
    assert find_failures(kept.first.figures, alpha=kept.first.alpha) == kept.first.failures
    assert {"intercept", "scale_Influencer_Tier", "scale_Audience_Region"} <= {one.name for one in kept.first.figures}
    assert all(one.replications > 9_000 for one in kept.first.figures)
