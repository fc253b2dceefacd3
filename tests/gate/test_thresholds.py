"""The wording bands and odds of a probability."""

from __future__ import annotations

import math

import pytest

from influbayes.gate import thresholds
from influbayes.gate.thresholds import CUTS, band, odds


def test_a_cut_belongs_to_the_band_above_it():
    assert [band(cut) for cut in CUTS] == [1, 2, 3, 4, 5]
    assert [band(math.nextafter(cut, 0)) for cut in CUTS] == [0, 1, 2, 3, 4]
    assert (band(0.0), band(0.5), band(1.0)) == (0, thresholds.UNDECIDED, 5)


@pytest.mark.parametrize("probability", [math.nan, -0.01, 1.01, math.inf])
def test_no_band_for_what_is_not_a_probability(probability):
    with pytest.raises(ValueError, match="a number from 0 to 1 is needed"):
        band(probability)
    assert math.isnan(odds(probability))


def test_odds():
    assert odds(0.9) == pytest.approx(9.0)
    assert odds(0.0) == 0.0
    assert odds(1.0) == math.inf
    assert odds(0.25) * odds(0.75) == pytest.approx(1.0)


def test_the_numbers_are_those_of_the_gate_table():
    assert (thresholds.MAX_RHAT, thresholds.MIN_ESS, thresholds.MIN_CHAINS) == (1.01, 400.0, 4)
    assert (thresholds.MAX_DIVERGENCES, thresholds.MIN_EBFMI, thresholds.MAX_DEPTH_SHARE) == (0, 0.3, 0.05)
    assert (thresholds.MAX_PROBABILITY_MCSE, thresholds.CUT_DISTANCE, thresholds.PREDICTIVE_ALPHA) == (0.01, 3.0, 0.002)
