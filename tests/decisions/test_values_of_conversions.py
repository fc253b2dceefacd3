"""Values from a column of purchases or revenue: pooled means that cover the truth, used everywhere, stated in words."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from influbayes.decisions.options import gather_options
from influbayes.decisions.premium import find_worths
from influbayes.decisions.study import Request, find_amounts, make_choices
from influbayes.decisions.values import (
    check_values,
    describe_amounts,
    draw_amounts,
    price_amounts,
    read_amounts,
    summarise_amounts,
)
from influbayes.errors import UsageError
from influbayes.hierarchy.design import build_design
from influbayes.hierarchy.spec import leave_out_after_purchase, load_spec
from influbayes.reporting.decision_tables import describe_choices
from influbayes.tables.simulate import simulate_posts

LEVELS = ("Mega", "Micro", "Mid")
SHAPE = (4, 500)


def summarise(parts, **fields):
    amounts = np.concatenate(parts)
    levels = [label for label, part in zip(LEVELS, parts, strict=True) for _ in part]
    return summarise_amounts(amounts, levels, LEVELS, source="Revenue", **fields)


def test_with_many_posts_each_level_keeps_its_mean_and_its_standard_error():
    rng = np.random.default_rng(5)
    parts = [rng.gamma(2.0, mean / 2.0, 4_000) for mean in (50.0, 90.0, 140.0)]
    found = draw_amounts(summarise(parts), shape=(4, 2_000))
    for label, part in zip(LEVELS, parts, strict=True):
        assert found[label].mean() == pytest.approx(part.mean(), rel=0.005)
        assert found[label].std() == pytest.approx(part.mean() / np.sqrt(2.0 * 4_000), rel=0.08)


def test_a_level_with_few_posts_is_drawn_towards_the_others_and_one_with_none_comes_from_their_population():
    rng = np.random.default_rng(6)
    parts = [rng.gamma(2.0, 25.0, 300), rng.gamma(2.0, 25.0, 300), np.array([160.0, 180.0])]
    found = draw_amounts(summarise(parts), shape=SHAPE)
    assert np.median(found["Mid"]) < 140
    assert found["Mid"].std() > 3 * found["Mega"].std()
    nothing = draw_amounts(summarise([*parts[:2], np.array([])]), shape=SHAPE)
    assert np.quantile(nothing["Mid"], 0.1) < 50 < np.quantile(nothing["Mid"], 0.9)
    assert nothing["Mid"].std() > 3 * nothing["Mega"].std()


@pytest.mark.parametrize("sizes", [(40, 25, 15), (30, 12, 4)])
@pytest.mark.parametrize("kind", ["gamma", "lognormal"])
def test_intervals_hold_the_true_mean_as_often_as_they_say(sizes, kind):
    """400 worlds: levels spread as the prior says, amounts gamma (as assumed) or lognormal (not quite)."""
    rng, worlds, held = np.random.default_rng(3), 400, []
    for seed in range(worlds):
        means = np.exp(4.0 + abs(rng.standard_normal()) * rng.standard_normal(3))
        if kind == "gamma":
            parts = [rng.gamma(1.5, mean / 1.5, n) for mean, n in zip(means, sizes, strict=True)]
        else:
            parts = [mean * rng.lognormal(-0.32, 0.8, n) for mean, n in zip(means, sizes, strict=True)]
        found = draw_amounts(summarise(parts), shape=(1, 400), seed=seed)
        ends = [np.quantile(found[label], [0.05, 0.95]) for label in LEVELS]
        held.append([low <= mean <= high for (low, high), mean in zip(ends, means, strict=True)])
    share = np.mean(held, axis=0)
    low, high = binom.ppf([0.0005, 0.9995], worlds, 0.9) / worlds
    # Amounts that are not gamma are covered a little less often; more than four points would be a fault.
    slack = 0.0 if kind == "gamma" else 0.04
    assert ((share >= low - slack) & (share <= high + slack)).all(), share


def test_amounts_survive_json_and_give_the_same_draws():
    amounts = summarise([np.array([1.0, 2.0, 4.0]), np.array([3.0]), np.array([])])
    again = read_amounts(json.loads(json.dumps(describe_amounts(amounts)).replace("NaN", "null")))
    one, other = (draw_amounts(found, shape=SHAPE, seed=9) for found in (amounts, again))
    assert all((one[label] == other[label]).all() for label in LEVELS)


def test_too_few_amounts_give_no_value():
    assert summarise([np.array([5.0]), np.array([7.0]), np.array([])]) is None
    assert summarise([np.zeros(4), np.zeros(2), np.array([])]) is None


def test_equal_amounts_are_known_exactly():
    found = draw_amounts(summarise([np.ones(9), np.ones(5), np.ones(4)]), shape=SHAPE)
    assert np.allclose([found[label].mean() for label in LEVELS], 1, atol=1e-3)


@pytest.mark.parametrize(
    ("per_conversion", "per_purchase", "columns", "words"),
    [
        ("25", 3.0, ["Purchases"], "Keep one"),
        (None, -1.0, ["Purchases"], "--value-per-purchase -1: give an amount of money"),
        (None, 3.0, ["Fee"], "needs a column Purchases"),
        (None, 3.0, ["Purchases", "Revenue"], "the table has a column Revenue"),
    ],
)
def test_ways_of_valuing_a_conversion_that_contradict_each_other_are_refused(
    per_conversion, per_purchase, columns, words
):
    with pytest.raises(UsageError, match=words):
        check_values(per_conversion=per_conversion, per_purchase=per_purchase, columns=columns)
    check_values(per_conversion="25", per_purchase=None, columns=["Revenue", "Purchases"])


# --- in a study -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study(make_posts, fit_quickly):
    """300 posts whose Mega conversions bring three times the revenue and twice the purchases of the others."""
    frame = simulate_posts(posts=300, creators=60, seed=4).frame
    rng = np.random.default_rng(1)
    bought, mega = frame["Converted"] == 1, frame["Influencer_Tier"] == "Mega"
    purchases = (1 + rng.poisson(np.where(mega, 3.0, 1.0))) * bought
    revenue = np.round(purchases * rng.gamma(4.0, np.where(mega, 15.0, 10.0)), 2) * bought
    table = make_posts(frame)
    table = replace(table, frame=table.frame.assign(Purchases=purchases.astype(float), Revenue=revenue))
    spec = leave_out_after_purchase(load_spec("conversion"))
    return table, fit_quickly(build_design(table, spec, question="as_bought"))


def describe(fit, table, request=None):
    choices = make_choices([fit], table, request=request)
    decisions = describe_choices(choices, references={"Influencer_Tier": "Mega", "Audience_Region": "US"}, prob=0.9)
    return choices, next(row for row in decisions if row["kind"] == "premium")


def test_revenue_values_conversions_by_tier_with_its_uncertainty(study):
    table, fit = study
    choices, premium = describe(fit, table)
    assert choices.values_from == "Revenue"
    assert choices.premium.unit == "currency"  # the simulated table has fees
    levels = choices.levels
    raw = table.frame[table.frame["conversions"] == 1].groupby("Influencer_Tier")["Revenue"].mean()
    for label in LEVELS:
        values = levels.values[..., levels.find(label)]
        assert values.mean() == pytest.approx(raw[label], rel=0.1)
        assert values.std() > 0.02 * values.mean()
    assert not levels.single_value
    text = next(text for text in premium["sentences"] if "the column Revenue" in text)
    assert text.startswith("What a conversion brings is taken from the column Revenue: the mean revenue of converting")
    assert "partially pooled over the tiers" in text
    assert all(f"{label} " in text for label in LEVELS)
    assert not any("One value was taken" in sentence for sentence in premium["sentences"])
    # Uncertain values widen what a premium is known to: the same rates with the mean values as constants.
    constant = {label: float(levels.values[..., levels.find(label)].mean()) for label in LEVELS}
    narrow, _ = describe(fit, table, Request(values=constant))
    wide_row = next(row for row in choices.premium.pairs if (row.level, row.reference) == ("Micro", "Mega"))
    row = next(row for row in narrow.premium.pairs if (row.level, row.reference) == ("Micro", "Mega"))
    assert wide_row.break_even.upper - wide_row.break_even.lower > 1.05 * (row.break_even.upper - row.break_even.lower)


def test_a_value_given_wins_over_the_column(study):
    table, fit = study
    choices, premium = describe(fit, table, Request(values=100.0))
    assert (choices.values_from, choices.amounts) == ("given", None)
    assert any("One value was taken" in sentence for sentence in premium["sentences"])


def test_purchases_are_priced_or_counted(study):
    table, fit = study
    counted_table = replace(table, frame=table.frame.drop(columns="Revenue"))
    priced, described = describe(fit, counted_table, Request(per_purchase=20.0))
    assert priced.values_from == "Purchases"
    assert priced.premium.unit == "currency"
    assert any("at 20 a purchase" in text for text in described["sentences"])
    counted, described = describe(fit, counted_table)
    assert counted.premium.unit == "purchases per fee unit"
    assert any("without a price" in text for text in described["sentences"])
    assert described["inputs"]["values"] is None
    unit, worths = find_worths(counted.levels)
    assert described["inputs"]["unit"] == unit == "purchases per fee unit"
    np.testing.assert_allclose(worths, counted.levels.rates * counted.levels.values / counted.levels.fees)
    ratio = next(row for row in counted.premium.pairs if (row.level, row.reference) == ("Mega", "Micro")).break_even
    plain = make_choices([fit], replace(table, frame=table.frame.drop(columns=["Revenue", "Purchases"])))
    blind = next(row for row in plain.premium.pairs if (row.level, row.reference) == ("Mega", "Micro")).break_even
    assert ratio.estimate > 1.5 * blind.estimate  # Mega conversions hold twice the purchases
    assert ratio.scale == "ratio"


def test_amounts_of_rows_with_many_trials_are_those_of_one_conversion(make_posts):
    frame = simulate_posts(posts=60, creators=20, seed=4).frame
    table = make_posts(frame)
    changed = table.frame.assign(conversions=2 * table.frame["conversions"], trials=4, Revenue=30.0)
    found = find_amounts(replace(table, frame=changed), "Influencer_Tier", LEVELS)
    assert found.means == pytest.approx((15.0, 15.0, 15.0))


def test_options_of_cells_take_the_value_of_their_tier(study):
    table, fit = study
    amounts = find_amounts(table, "Influencer_Tier", LEVELS)
    values = price_amounts(amounts, shape=fit.draws["intercept"].shape)
    cells = gather_options(fit, "Influencer_Tier:Audience_Region", values=values)
    assert (cells.values[..., cells.find("Mega:US")] == values["Mega"]).all()


@pytest.mark.parametrize(
    ("label", "amount"),
    [("Mega", 1.0), ("Mega:US", 1.0), ("Mi:cro:US", 3.0), ("Mi:x", 2.0), ("Mi:cro", 3.0), ("Mid:US", None), ("", None)],
)
def test_the_amount_of_a_level_stands_for_its_cells_whatever_colons_are_in_it(label, amount):
    from influbayes.decisions.options import find_amount

    assert find_amount({"Mega": 1.0, "Mi": 2.0, "Mi:cro": 3.0}, label) == amount
