"""Twelve ways a sampler fails are each withheld, clean fits pass, and not-a-number fails wherever it stands."""

from __future__ import annotations

import numpy as np
import pytest
from arviz_stats.base import array_stats

from influbayes.gate.checks import decide_verdict
from influbayes.gate.convergence import judge_certificate, judge_convergence, judge_draws, judge_sampler

QUESTION = "as_bought"
CHAINS, LENGTH = 4, 1000


def make_draws(seed=0, chains=CHAINS, length=LENGTH):
    rng = np.random.default_rng(seed)
    return {"intercept": rng.normal(size=(chains, length)), "effect_Tier": rng.normal(size=(chains, length, 3))}


def make_stats(seed=0):
    shape = (CHAINS, LENGTH)
    energy = np.random.default_rng(seed).normal(size=shape)
    return {"diverging": np.zeros(shape), "energy": energy, "maxdepth_reached": np.zeros(shape)}


def judge(draws, sample_stats=None, *, chains=CHAINS, length=LENGTH, interrupted=False):
    """Run every check of this room on draws, with R-hat and ESS from arviz-stats."""
    scalars = {}
    for name, array in draws.items():
        for index, column in enumerate(np.moveaxis(array.reshape(*array.shape[:2], -1), -1, 0)):
            scalars[f"{name}[{index}]"] = column

    def compute(function, method):
        return [float(function(column, chain_axis=0, draw_axis=1, method=method)) for column in scalars.values()]

    def compute_tail():
        return [
            float(array_stats.ess(c, chain_axis=0, draw_axis=1, method="tail", prob=(0.05, 0.95)))
            for c in scalars.values()
        ]

    with np.errstate(all="ignore"):
        convergence = judge_convergence(
            list(scalars),
            compute(array_stats.rhat, "rank"),
            compute(array_stats.ess, "bulk"),
            compute_tail(),
            question=QUESTION,
        )
    return (
        *judge_draws(draws, chains_asked=chains, draws_asked=length, question=QUESTION, interrupted=interrupted),
        *convergence,
        *judge_sampler(make_stats() if sample_stats is None else sample_stats, question=QUESTION),
    )


def failing(diagnostics):
    return {item.name for item in diagnostics if item.status == "fail"}


def stick(draws):
    draws["intercept"][2, 150:] = draws["intercept"][2, 150]


def duplicate(draws):
    for array in draws.values():
        array[3] = array[0]


def freeze(draws):
    draws["effect_Tier"][1, :, 2] = 0.3


def spoil(draws):
    draws["effect_Tier"][3, 999, 1] = np.nan


def split_modes(draws):
    draws["intercept"][:2] += 4.0


def make_modes_mix(draws):
    draws["intercept"][:, 500:] += 4.0


@pytest.mark.parametrize(
    ("change", "names", "words"),
    [
        (stick, {"rhat"}, "The chains do not agree: R-hat of intercept"),
        (duplicate, {"draws_complete"}, "Chains 1 and 4 hold the same draws."),
        (freeze, {"draws_complete"}, "Chain 2 never moves in effect_Tier."),
        (
            spoil,
            {"draws_finite", "rhat", "ess_bulk"},
            "1 drawn values are not finite numbers, most of them in effect_Tier.",
        ),
        (split_modes, {"rhat", "ess_bulk"}, "The chains do not agree"),
        (make_modes_mix, {"rhat", "ess_bulk"}, "The chains do not agree"),
    ],
)
def test_bad_draws_are_withheld(change, names, words):
    draws = make_draws()
    change(draws)
    found = judge(draws)
    assert names <= failing(found)
    assert any(item.meaning.startswith(words) for item in found)
    verdict = decide_verdict(found)
    assert (verdict.status, verdict.exit_code) == ("withheld", 4)
    assert all(item.consequence == "all_withheld" for item in found if item.status == "fail")


def test_a_single_chain_is_withheld():
    found = judge_draws(make_draws(chains=1), chains_asked=1, draws_asked=LENGTH, question=QUESTION)
    assert found[0].status == "fail"
    assert found[0].meaning.startswith("1 chains were run; at least 4 are needed to see whether they agree.")


def test_a_missing_chain_and_short_chains_are_withheld():
    lost = judge_draws(make_draws(chains=3), chains_asked=4, draws_asked=LENGTH, question=QUESTION)[0]
    assert lost.meaning.startswith("4 chains x 1,000 draws were asked for, but intercept has 3 x 1000.")
    assert (lost.value, lost.threshold) == (3000.0, 4000.0)
    short = judge_draws(make_draws(length=999), chains_asked=4, draws_asked=LENGTH, question=QUESTION)[0]
    assert short.status == "fail"


def test_an_interrupted_run_is_withheld_whatever_its_draws():
    found = judge(make_draws(), interrupted=True)
    assert failing(found) == {"draws_complete"}
    assert found[0].meaning.startswith("The run was interrupted before its end. Nothing is reported.")


def test_no_draws_at_all_are_withheld():
    found = judge_draws({}, chains_asked=4, draws_asked=LENGTH, question=QUESTION)
    assert failing(found) == {"draws_complete", "draws_finite"}


def test_low_energy_information_is_withheld():
    stats = make_stats()
    stats["energy"][1] = np.cumsum(stats["energy"][1])
    found = judge(make_draws(), stats)
    assert failing(found) == {"ebfmi"}
    assert "E-BFMI of chain 2 is 0.0" in found[6].meaning
    assert found[6].subject == "chain 2"


def test_maximum_tree_depth_is_withheld_above_five_per_cent():
    stats = make_stats()
    stats["maxdepth_reached"].ravel()[:200] = 1
    assert failing(judge_sampler(stats, question=QUESTION)) == set()
    stats["maxdepth_reached"].ravel()[200] = 1
    found = judge_sampler(stats, question=QUESTION)
    assert failing(found) == {"tree_depth"}
    assert "5.0 % of the draws ended at the maximum tree depth (limit 5 %)." in found[2].meaning


def test_one_divergence_of_a_funnel_is_withheld():
    stats = make_stats()
    stats["diverging"][0, 3] = 1
    found = judge(make_draws(), stats)
    assert failing(found) == {"divergences"}
    assert found[5].meaning.startswith("1 of 4,000 draws diverged: part of the posterior was not reached")
    assert decide_verdict(found).exit_code == 4


@pytest.mark.parametrize("seed", range(50))
def test_clean_fits_pass(seed):
    found = judge(make_draws(seed), make_stats(seed))
    assert {item.status for item in found} == {"pass"}
    assert decide_verdict(found).status == "ok"


@pytest.mark.parametrize("column", [0, 1, 2])
@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_value_that_is_no_number_fails_in_every_position(column, position, poison):
    columns = [np.full(3, 1.0), np.full(3, 2000.0), np.full(3, 2000.0)]
    columns[column][position] = poison
    found = judge_convergence(["a", "b", "c"], *columns, question=QUESTION)
    assert [item.status == "fail" for item in found] == [index == column for index in range(3)]
    assert found[column].subject == "abc"[position]
    assert found[column].value is None
    assert "is not a finite number" in found[column].meaning


@pytest.mark.parametrize("statistic", ["diverging", "energy", "maxdepth_reached"])
def test_a_sampler_statistic_that_is_no_number_fails(statistic):
    stats = make_stats()
    stats[statistic][2, 17] = np.nan
    assert sum(item.status == "fail" for item in judge_sampler(stats, question=QUESTION)) == 1


def test_constant_energy_fails():
    stats = make_stats()
    stats["energy"][0] = 1.0
    assert failing(judge_sampler(stats, question=QUESTION)) == {"ebfmi"}


def test_the_limits_themselves_pass_and_the_next_number_fails():
    at = judge_convergence(["a"], [1.01], [400.0], [400.0], question=QUESTION)
    assert {item.status for item in at} == {"pass"}
    beyond = judge_convergence(
        ["a"], [np.nextafter(1.01, 2)], [np.nextafter(400.0, 0)], [np.nextafter(400.0, 0)], question=QUESTION
    )
    assert {item.status for item in beyond} == {"fail"}


def test_the_worst_quantity_is_named_and_the_failing_ones_counted():
    rhat = judge_convergence(["a", "b", "c"], [1.02, 1.3, 1.0], [900, 900, 900], [500, 700, 800], question=QUESTION)
    assert rhat[0].meaning == (
        "The chains do not agree: R-hat of b is 1.300 (limit 1.01); 2 of 3 reported quantities fail. Nothing is "
        "reported. Run again with more draws (for example --draws 4000) or another --seed."
    )
    assert rhat[2].meaning == "Tail ESS is at least 500 in all 3 reported quantities (at least 400 needed)."
    assert (rhat[2].subject, rhat[2].value) == ("a", 500.0)


def test_no_quantities_fail():
    found = judge_convergence([], [], [], [], question=QUESTION)
    assert {item.status for item in found} == {"fail"}
    assert found[0].meaning.startswith("R-hat was computed for no quantity at all.")


def test_columns_of_different_length_are_an_error():
    with pytest.raises(ValueError, match="2 names"):
        judge_convergence(["a", "b"], [1.0], [500.0], [500.0], question=QUESTION)


def test_missing_statistics_fail_for_nuts_and_are_not_assessed_for_another_engine():
    nuts = judge_sampler({}, question=QUESTION)
    assert {item.status for item in nuts} == {"fail"}
    assert nuts[1].meaning.startswith("The sampler did not record energy")
    other = judge_sampler({}, question=QUESTION, engine="laplace")
    assert {(item.status, item.consequence) for item in other} == {("not_assessed", "none")}
    assert other[0].meaning == "The engine laplace has no such statistic; its certificate is judged instead."


def test_a_certificate_passes_only_when_every_entry_says_so_with_a_number():
    good = {"acceptance": {"value": 0.7, "threshold": 0.4, "passed": True}}
    assert [item.status for item in judge_certificate(good, question=QUESTION)] == ["pass"]
    for broken in (
        {"value": 0.7, "threshold": 0.4, "passed": False},
        {"value": np.nan, "threshold": 0.4, "passed": True},
        {"value": None, "threshold": 0.4, "passed": True},
        {"value": 0.7, "threshold": 0.4},
        {"value": 0.7, "threshold": 0.4, "passed": "yes"},
    ):
        found = judge_certificate({**good, "pareto_k": broken}, question=QUESTION)
        assert [item.status for item in found] == ["pass", "fail"]
        assert found[1].consequence == "all_withheld"
        assert found[1].meaning.startswith("Certificate of the engine, pareto_k:")


@pytest.mark.parametrize("certificate", [None, {}])
def test_no_certificate_fails(certificate):
    found = judge_certificate(certificate, question=QUESTION)
    assert [item.consequence for item in found] == ["all_withheld"]
    assert found[0].meaning.startswith("The engine gave no certificate")
