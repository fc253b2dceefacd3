"""Rules, Markov chains and Shapley values equal other programs' results, closed forms and arithmetic by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from influbayes.attribution.credit import compare_rules, credit_journeys, find_spreads, group_credits
from influbayes.attribution.journeys import make_journeys, summarise_journeys
from influbayes.attribution.markov import DENSE_STATES, build_chain, compute_removal_effects
from influbayes.attribution.rules import HALF_LIFE_HOURS, QUESTIONS, RULES, RuleOptions, weigh_touches
from influbayes.attribution.shapley import compute_shapley, share_rates
from influbayes.errors import UsageError

PATHS = st.lists(st.lists(st.sampled_from("abcde"), min_size=1, max_size=6), min_size=1, max_size=8)


def read_paths(text):
    return [path.split(" > ") for path in text]


@pytest.fixture(scope="module")
def paths(shared):
    table = pd.read_csv(shared / "attribution" / "PathData.csv")
    return make_journeys(
        read_paths(table["path"]),
        conversions=table["total_conversions"],
        nulls=table["total_null"],
        values=table["total_conversion_value"] / table["total_conversions"].clip(lower=1),
    )


def test_first_last_and_linear_equal_the_given_results(paths, shared):
    given = pd.read_csv(shared / "attribution" / "pathdata_first_last_linear.csv").set_index("channel_name")
    given = given.loc[list(paths.channels)]
    table = credit_journeys(paths, replicates=0)
    for rule in ("first", "last", "linear"):
        np.testing.assert_allclose(table.point[rule], given[f"{rule}_touch_conversions"], rtol=0, atol=1e-8)


def test_markov_of_order_one_equals_the_exact_solution(paths, shared):
    given = pd.read_csv(shared / "attribution" / "pathdata_markov_order1_exact.csv").set_index("channel_name")
    given = given.loc[list(paths.channels)]
    rate, effects = compute_removal_effects(build_chain(paths))
    assert rate[0] == pytest.approx(0.2238451, abs=5e-8)
    np.testing.assert_allclose(effects[0], given["removal_effect"], rtol=1e-8)
    credit = credit_journeys(paths, rules=("markov",), replicates=0).point["markov"]
    np.testing.assert_allclose(credit, given["conversions"], rtol=1e-8)


def test_the_chain_of_any_order_keeps_the_conversion_rate_and_the_credits(paths):
    rate = paths.conversions.sum() / (paths.conversions + paths.nulls).sum()
    for order in (2, 3):
        chain = build_chain(paths, order=order)
        assert compute_removal_effects(chain)[0][0] == pytest.approx(rate, rel=1e-9)
        table = credit_journeys(paths, rules=("markov",), options=RuleOptions(markov_order=order), replicates=0)
        assert table.point["markov"].sum() == pytest.approx(19_785, rel=1e-12)
    assert len(chain.last_channel) > DENSE_STATES


def test_the_toy_table_is_reproduced_rule_by_rule(shared):
    table = pd.read_csv(shared / "attribution" / "dp6_toy_paths.csv")
    given = pd.read_csv(shared / "attribution" / "dp6_toy_results.csv").set_index("channels").loc[["A", "B", "C"]]
    journeys = make_journeys(read_paths(table["channels_agg"]), conversions=table["conversion_value"], hours_apart=24)
    options = RuleOptions(half_life_hours=1, direct=frozenset("A"))
    point = credit_journeys(journeys, options=options, replicates=0).point
    columns = {
        "first": "first_click_heuristic",
        "last": "last_click_heuristic",
        "last_non_direct": "last_click_non_A_heuristic",
        "linear": "linear_heuristic",
        "position": "position_based_0.4_0.2_0.4_heuristic",
        "time_decay": "time_decay0.5_freq1_heuristic",
        "markov": "markov_algorithmic",
    }
    for rule, column in columns.items():
        np.testing.assert_allclose(point[rule], given[f"attribution_{column}"], rtol=1e-7, err_msg=rule)
    effects = compute_removal_effects(build_chain(journeys))[1][0]
    np.testing.assert_allclose(effects, [2 / 3, 8 / 15, 28 / 57], rtol=1e-12)
    # The other program's Shapley is its own game; this is the usual one, as its notes state it.
    np.testing.assert_allclose(point["shapley"], [10.5, 9.0, 7.5], rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(PATHS, st.lists(st.integers(0, 5), min_size=8, max_size=8), st.integers(1, 3))
def test_every_rule_and_grouping_conserves_credit(found, counts, order):
    conversions = np.array(counts[: len(found)], dtype=float)
    if not conversions.any():
        conversions[0] = 1
    journeys = make_journeys(found, conversions=conversions, nulls=np.arange(len(found)), values=conversions * 2.5)
    table = credit_journeys(journeys, options=RuleOptions(markov_order=order), replicates=3)
    worth = float(journeys.value @ journeys.conversions)
    for rule in RULES:
        assert table.point[rule].sum() == pytest.approx(conversions.sum(), rel=1e-9), rule
        assert sum(row.value for row in table.rows if row.rule == rule) == pytest.approx(worth, rel=1e-9)
    for sums in group_credits(table, {"a": "x", "b": "x", "c": "y"}).values():
        assert sum(sums.values()) == pytest.approx(conversions.sum(), rel=1e-9)


def test_the_closed_form_of_shapley_counts_equals_the_sum_over_all_sets():
    rng = np.random.default_rng(4)
    found = [list(rng.choice(list("abcd"), size=rng.integers(1, 6))) for _ in range(30)]
    weight = rng.integers(0, 4, size=30).astype(float)
    journeys = make_journeys(found, conversions=weight)
    worth = np.zeros((16, 1))
    for code in range(16):
        inside = {name for k, name in enumerate("abcd") if code >> k & 1}
        worth[code] = sum(w for path, w in zip(found, weight, strict=True) if set(path) <= inside)
    expected = compute_shapley(worth)[0]
    np.testing.assert_allclose(credit_journeys(journeys, replicates=0).point["shapley"], expected, rtol=1e-10)


def test_shapley_values_equal_the_average_over_all_orders():
    worth = np.random.default_rng(1).normal(size=(8, 1))
    worth[0] = 0
    orders = list(itertools.permutations(range(3)))
    expected = np.zeros(3)
    for order in orders:
        code = 0
        for player in order:
            expected[player] += worth[code | 1 << player, 0] - worth[code, 0]
            code |= 1 << player
    np.testing.assert_allclose(compute_shapley(worth)[0], expected / math.factorial(3), rtol=1e-12)


def test_sampled_shapley_lies_within_its_stated_error_of_the_exact_one(monkeypatch):
    rng = np.random.default_rng(2)
    found = [list(rng.choice(list("abcdef"), size=rng.integers(1, 5))) for _ in range(200)]
    journeys = make_journeys(found, conversions=rng.integers(0, 2, 200), nulls=rng.integers(0, 5, 200))
    exact = share_rates(journeys)
    monkeypatch.setattr("influbayes.attribution.shapley.EXACT_CHANNELS", 3)
    sampled = share_rates(journeys)
    assert exact.exact
    assert not sampled.exact
    assert (sampled.error > 0).all()
    assert (np.abs(sampled.credits - exact.credits) < 4 * sampled.error).all()
    assert sampled.credits.sum() == pytest.approx(journeys.credited)


def test_many_channels_are_sampled_and_conserve_credit():
    rng = np.random.default_rng(8)
    names = [f"c{k:02d}" for k in range(70)]
    found = [list(rng.choice(names, size=3)) for _ in range(150)]
    journeys = make_journeys(found, conversions=np.ones(150), nulls=np.ones(150))
    table = credit_journeys(journeys, rules=("shapley_rate", "markov"), replicates=2)
    for rule in ("shapley_rate", "markov"):
        assert table.point[rule].sum() == pytest.approx(150)


def test_time_decay_halves_with_the_one_half_life():
    journeys = make_journeys([["a", "b"]], conversions=[1], hours_apart=HALF_LIFE_HOURS)
    np.testing.assert_allclose(weigh_touches(journeys, "time_decay"), [1 / 3, 2 / 3])
    assert RuleOptions().half_life_hours == HALF_LIFE_HOURS == 168
    assert "7 days" in QUESTIONS["time_decay"][1]


def test_position_shares_are_adjustable():
    journeys = make_journeys([["a", "b", "c", "d"], ["a", "b"], ["a"]], conversions=[1, 1, 1])
    weights = weigh_touches(journeys, "position", RuleOptions(first_share=0.6, last_share=0.2))
    np.testing.assert_allclose(weights, [0.6, 0.1, 0.1, 0.2, 0.75, 0.25, 1.0])


def test_intervals_hold_the_credit_and_a_seed_repeats_them():
    journeys = make_journeys([["a", "b"], ["b"], ["a"]] * 40, conversions=[1, 1, 0] * 40, nulls=[0, 0, 1] * 40)
    one, two = (credit_journeys(journeys, seed=7) for _ in range(2))
    assert one.rows == two.rows
    for row in one.rows:
        assert row.lower <= row.credit <= row.upper
    # 80 journeys of 120 convert, half of the first kind: sd of the last-touch credit of b under Dirichlet weights.
    sd = one.draws["last"][:, 1].std()
    assert sd == pytest.approx(120 * math.sqrt((2 / 3) * (1 / 3) / 121), rel=0.15)


def test_rules_that_agree_move_nothing_and_the_widest_spread_comes_first():
    journeys = make_journeys([["a", "b", "c"]] * 3, conversions=[2, 2, 2])
    table = credit_journeys(journeys, replicates=0)
    moved = {frozenset((row.rule, row.other)): row.moved for row in compare_rules(table)}
    assert moved[frozenset(("last", "first"))] == 6
    assert moved[frozenset(("linear", "shapley"))] == pytest.approx(0)
    spreads = find_spreads(table)
    assert spreads[0].highest - spreads[0].lowest >= spreads[-1].highest - spreads[-1].lowest


def test_roles_and_lengths_are_counted():
    summary = summarise_journeys(make_journeys([["a", "b", "a", "c"], ["c"]], conversions=[2, 1]))
    assert summary.roles["a"] == {"opens": 2, "assists": 2, "closes": 0}
    assert summary.roles["c"] == {"opens": 1, "assists": 0, "closes": 3}
    assert summary.mean_touches == pytest.approx(3)
    assert summary.share_one_touch == pytest.approx(1 / 3)


def test_every_rule_names_the_question_it_answers():
    assert set(QUESTIONS) == set(RULES)
    assert all(question.strip() for _, _, question in QUESTIONS.values())


@pytest.mark.parametrize(
    "wrong",
    [{"half_life_hours": 0}, {"first_share": 0.8, "last_share": 0.4}, {"markov_order": 0}, {"first_share": -0.1}],
)
def test_impossible_options_are_refused(wrong):
    with pytest.raises(UsageError):
        RuleOptions(**wrong)
