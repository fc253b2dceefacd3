"""Plans of whole posts: equal to enumeration, corners under linear returns, never worse with more money."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from influbayes.decisions.plan import Limits, find_cvar, plan_posts
from influbayes.errors import UsageError

FEES = [70.0, 30.0, 45.0]


def count(plan):
    return [line.posts for line in plan.lines]


def enumerate_best(options, budget, risk, most=8):
    gains = (options.rates * options.values - options.fees).reshape(-1, 3)
    kept = gains[:: max(1, -(-len(gains) // 400))]
    best = -np.inf
    for posts in product(range(most + 1), repeat=3):
        if options.fees @ posts > budget:
            continue
        total = (1 - risk) * (gains.mean(axis=0) @ posts) + risk * find_cvar(kept @ np.array(posts, float))
        best = max(best, total)
    return best


@pytest.mark.parametrize("risk", [0.0, 0.4, 1.0])
def test_a_plan_is_as_good_as_the_best_of_all_plans(make_options, risk):
    options = make_options(fees=FEES, values=300)
    limits = {label: Limits(most=8) for label in options.labels}
    plan = plan_posts(options, 400, limits=limits, risk=risk)
    assert plan.objective == pytest.approx(enumerate_best(options, 400, risk), abs=1e-6)
    assert plan.spent <= 400
    assert plan.gap == 0


def test_linear_returns_give_a_corner(make_options):
    rates = np.full((4, 250, 3), [0.2, 0.25, 0.1])
    plan = plan_posts(make_options(rates, fees=[50.0, 50.0, 50.0], values=1000), 5000)
    assert count(plan) == [0, 100, 0]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), budget=st.floats(0, 900), more=st.floats(0, 400))
def test_a_bigger_budget_is_never_worse(make_options, seed, budget, more):
    options = make_options(fees=FEES, values=260, seed=seed)
    assert plan_posts(options, budget + more).objective >= plan_posts(options, budget).objective - 1e-6


def test_a_bigger_budget_is_never_worse_under_risk(make_options):
    options = make_options(fees=FEES, values=260)
    scores = [plan_posts(options, budget, risk=0.7).objective for budget in (0, 100, 230, 400)]
    assert all(later >= earlier - 1e-6 for earlier, later in pairwise(scores))


def test_the_same_input_gives_the_same_plan_whatever_the_order_of_options(make_options):
    options = make_options(fees=FEES, values=260)
    order = [2, 0, 1]
    turned = make_options(
        options.rates[..., order],
        fees=[FEES[k] for k in order],
        values=260,
        labels=tuple(options.labels[k] for k in order),
    )
    first = {line.label: line.posts for line in plan_posts(options, 777).lines}
    assert first == {line.label: line.posts for line in plan_posts(turned, 777).lines}
    assert count(plan_posts(options, 777)) == count(plan_posts(options, 777))


def test_risk_buys_the_surer_option(make_options):
    rng = np.random.default_rng(1)
    rates = np.stack(
        [rng.choice([0.05, 0.55], (4, 250)), rng.normal(0.28, 0.005, (4, 250)), np.full((4, 250), 0.1)], -1
    )
    options = make_options(rates, fees=[50.0, 50.0, 50.0], values=400)
    assert count(plan_posts(options, 1000, risk=0))[0] == 20
    assert count(plan_posts(options, 1000, risk=1))[1] == 20


def test_what_holds_a_plan_back_is_named(make_options):
    rates = np.full((4, 250, 3), [0.2, 0.25, 0.1])
    options = make_options(rates, fees=[50.0, 50.0, 50.0], values=1000)
    plan = plan_posts(options, 5000, limits={"Micro": Limits(most=10), "Mid": Limits(least=5)})
    assert count(plan) == [85, 10, 5]
    assert {(row.limit, row.label) for row in plan.bindings} == {
        ("budget", None),
        ("at most", "Micro"),
        ("at least", "Mid"),
    }
    gains = {(row.limit, row.label): row.gain for row in plan.bindings}
    assert gains[("at least", "Mid")] == pytest.approx(100)  # one Mega (150 net) instead of one Mid (50 net)


def test_a_stock_limit_that_is_reached_with_money_left_is_named(make_options):
    rates = np.full((4, 250, 3), [0.01, 0.25, 0.01])
    plan = plan_posts(make_options(rates, fees=[50.0] * 3, values=1000), 5000, limits={"Micro": Limits(most=10)})
    assert [(row.limit, row.label, row.gain) for row in plan.bindings] == [("at most", "Micro", pytest.approx(200))]


def test_a_cell_seen_little_is_marked_and_can_be_capped(make_options):
    options = make_options(fees=FEES, values=400, posts=[30, 2, 30])
    plan = plan_posts(options, 3000)
    assert count(plan)[1] == 100
    assert plan.lines[1].marks == ("too good to be true? 100 posts planned on the evidence of 2",)
    capped = plan_posts(options, 3000, min_posts=10)
    assert capped.lines[1].posts == 10
    assert capped.lines[1].capped
    assert ("at most", "Micro") in {(row.limit, row.label) for row in capped.bindings}


def test_comparison_with_the_last_plan_and_the_target(make_options):
    options = make_options(fees=FEES, values=400)
    plan = plan_posts(options, 3000, last={"Mega": 42}, target=0)
    assert plan.beats_last is not None
    assert plan.beats_last.value > 0.9
    assert plan.reaches_target == 1.0
    own = {line.label: line.posts for line in plan.lines}
    assert plan_posts(options, 3000, last=own).beats_last.value == 0.5
    assert plan_posts(options, 3000, target=1e6).reaches_target == 0.0


def test_without_values_conversions_are_planned(make_options):
    plan = plan_posts(make_options(fees=FEES), 600)
    assert plan.unit == "conversions"
    assert count(plan) == [0, 20, 0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"budget": -1}, "0 or more"),
        ({"budget": 100, "risk": 2}, "--risk 2"),
        ({"budget": 100, "limits": {"Mega": Limits(least=3)}}, "Mega: at least 3"),
        ({"budget": 100, "limits": {"Mega": Limits(least=1), "Mid": Limits(least=1)}}, "the minima alone cost 115"),
        ({"budget": 100, "limits": {"Mgea": Limits(most=3)}}, "'Mgea' is nothing that can be bought"),
    ],
)
def test_impossible_plans_are_refused_in_words(make_options, arguments, words):
    with pytest.raises(UsageError, match=words):
        plan_posts(make_options(fees=FEES, values=300), **arguments)


def test_cvar_is_the_mean_of_the_worst_tenth():
    assert find_cvar(np.arange(100.0)) == pytest.approx(np.arange(10.0).mean())
    assert find_cvar(np.arange(15.0)) == pytest.approx((0 + 0.5 * 1) / 1.5)
