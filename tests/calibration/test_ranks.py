"""Ranks, ties, thinning and intervals on numbers written by hand."""

import numpy as np
import pytest

from influbayes.calibration.ranks import choose_thinned, find_interval, find_nominal, rank_truth
from influbayes.errors import UsageError
from influbayes.inference.convergence import summarise_quantities


def rng(seed=1):
    return np.random.default_rng(seed)


def test_the_rank_is_the_number_of_draws_below():
    draws = np.arange(99.0)
    assert [rank_truth(value, draws, rng=rng()) for value in (-1.0, 0.5, 49.5, 200.0)] == [0, 1, 50, 99]


def test_ties_are_broken_evenly_over_the_ranks_possible():
    draws = np.array([0.0] * 10 + [1.0] * 3 + [2.0] * 86)
    generator = rng()
    ranks = [rank_truth(1.0, draws, rng=generator) for _ in range(4000)]
    assert set(ranks) == {10, 11, 12, 13}
    assert np.bincount(ranks)[10:].min() > 850


@pytest.mark.parametrize("draws", [99, 100, 400, 4000])
def test_thinned_draws_are_99_different_ones_from_first_to_last(draws):
    places = choose_thinned(draws)
    assert len(set(places.tolist())) == 99
    assert (places[0], places[-1]) == (0, draws - 1)


def test_too_few_draws_are_refused():
    with pytest.raises(UsageError, match="98 draws in all are too few to rank a truth among 99"):
        choose_thinned(98)


@pytest.mark.parametrize("prob", [0.5, 0.8, 0.9, 0.95])
def test_the_interval_is_the_one_that_the_report_states(prob):
    draws = rng(2).standard_normal((1, 4, 250))
    table = summarise_quantities(draws, prob=prob)
    lower, upper = find_interval(np.sort(draws.ravel()), prob)
    assert (lower, upper) == (pytest.approx(table.lower[0]), pytest.approx(table.upper[0]))


@pytest.mark.parametrize("draws", [99, 400])
def test_the_nominal_coverage_is_that_of_intervals_from_so_many_draws(draws):
    sample = np.sort(rng(3).random((20_000, draws)), axis=1)
    truth = rng(4).random(20_000)
    ends = np.array([find_interval(one, 0.9) for one in sample])
    covered = ((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean()
    assert covered == pytest.approx(find_nominal(0.9, draws), abs=0.007)
